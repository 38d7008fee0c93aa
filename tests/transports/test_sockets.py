"""Sockets of the standard library that are connected to a stub: they read, write, wait and end as others do."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import pathlib
import select
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from calls import URL
from wire import ADDRESS, GET, GET_WS, LONG, NOTHING_QUEUED, listen
from workflows import text_to_image

import comfystub
from comfystub.transports import stubbed


@pytest.fixture
def sock(stub: comfystub.Stub) -> Iterator[socket.socket]:
    with socket.create_connection(ADDRESS, timeout=LONG) as sock:
        yield sock


@pytest.fixture
def listener(sock: socket.socket) -> socket.socket:
    """A socket that is a WebSocket's, and has nothing to read."""
    listen(sock)
    return sock


def answer(sock: socket.socket) -> bytes:
    """The body of an answer that fits into one read."""
    return sock.recv(1 << 20).partition(b"\r\n\r\n")[2]


def submit(stub: comfystub.Stub, client_id: str = "me") -> None:
    with stub.client() as client:
        sent = {"prompt": text_to_image(), "client_id": client_id}
        client.post("/prompt", json=sent).raise_for_status()


@contextlib.contextmanager
def fails(number: int) -> Iterator[None]:
    """A block that fails with an error of the system's."""
    with pytest.raises(OSError) as caught:
        yield
    assert caught.value.errno == number


# --- reading and writing


def test_a_request_is_answered(sock: socket.socket) -> None:
    for _ in range(2):
        sock.sendall(GET)
        assert answer(sock) == NOTHING_QUEUED


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_whatever_has_bytes_can_be_sent(sock: socket.socket, wrap: Callable[[bytes], Any]) -> None:
    assert sock.send(wrap(GET)) == len(GET)
    assert answer(sock) == NOTHING_QUEUED


def test_parts_can_be_sent_together(sock: socket.socket) -> None:
    assert sock.sendmsg([GET[:5], bytearray(GET[5:9]), memoryview(GET[9:])]) == len(GET)
    assert answer(sock) == NOTHING_QUEUED


def test_nothing_can_be_sent_and_ends_nothing(sock: socket.socket) -> None:
    assert sock.send(b"") == 0
    sock.sendall(b"")
    sock.sendall(GET)
    assert answer(sock) == NOTHING_QUEUED


def test_a_file_can_be_sent(sock: socket.socket, tmp_path: pathlib.Path) -> None:
    (tmp_path / "request").write_bytes(b"123" + GET + b"456")
    with open(tmp_path / "request", "rb") as file:
        assert sock.sendfile(file, 3, len(GET)) == len(GET)
        assert file.tell() == 3 + len(GET)
    assert answer(sock) == NOTHING_QUEUED
    assert sock.sendfile(io.BytesIO(GET)) == len(GET)
    assert answer(sock) == NOTHING_QUEUED


def test_parts_can_be_read(sock: socket.socket) -> None:
    sock.sendall(GET)
    assert sock.recv(4) == b"HTTP"
    assert sock.recvfrom(1)[0] == b"/"
    buffer = bytearray(b"." * 10)
    assert sock.recv_into(buffer, 3) == 3
    assert buffer == b"1.1......."
    assert sock.recv_into(memoryview(buffer)[2:8]) == 6
    assert buffer == b"1. 200 O.."


def test_what_is_peeked_at_stays(sock: socket.socket) -> None:
    sock.sendall(GET)
    assert sock.recv(4, socket.MSG_PEEK) == sock.recv(4, socket.MSG_PEEK) == b"HTTP"
    assert sock.recv(8) == b"HTTP/1.1"


def test_a_read_that_may_not_wait(sock: socket.socket) -> None:
    sock.settimeout(None)  # with a time-out, a real one waits all the same
    with pytest.raises(BlockingIOError):
        sock.recv(1, socket.MSG_DONTWAIT)
    with pytest.raises(BlockingIOError):
        sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    sock.sendall(GET)
    assert sock.recv(4, socket.MSG_DONTWAIT) == b"HTTP"
    assert sock.gettimeout() is None


# --- time-outs


def test_a_read_that_brings_nothing_times_out(sock: socket.socket) -> None:
    sock.settimeout(0.01)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            sock.recv(1)
    sock.sendall(GET)
    assert answer(sock) == NOTHING_QUEUED


def test_a_socket_that_does_not_wait(sock: socket.socket) -> None:
    sock.setblocking(False)
    assert sock.gettimeout() == 0
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    sock.sendall(GET)
    assert answer(sock) == NOTHING_QUEUED
    with pytest.raises(BlockingIOError):
        sock.recv(1)


@pytest.mark.parametrize("timeout", [None, 0, 0.5])
def test_a_time_out_that_was_set_before_stays(stub: comfystub.Stub, timeout: float | None) -> None:
    with socket.socket() as sock:
        sock.settimeout(timeout)
        sock.connect(ADDRESS)
        assert sock.gettimeout() == timeout
        assert sock.getblocking() == (timeout != 0)


def test_the_default_time_out_holds(stub: comfystub.Stub) -> None:
    socket.setdefaulttimeout(0.01)
    try:
        with socket.socket() as sock:
            sock.connect(ADDRESS)
            assert sock.gettimeout() == 0.01
            with pytest.raises(TimeoutError):
                sock.recv(1)
    finally:
        socket.setdefaulttimeout(None)


# --- readiness


def by_select(sock: socket.socket) -> tuple[bool, bool]:
    readable, writable, broken = select.select([sock], [sock], [sock], 0)
    assert broken == []
    return bool(readable), bool(writable)


def by_poll(sock: socket.socket) -> tuple[bool, bool]:
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    events = dict(poll.poll(0)).get(sock.fileno(), 0)
    return bool(events & select.POLLIN), bool(events & select.POLLOUT)


def by_selector(sock: socket.socket) -> tuple[bool, bool]:
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        events = sum(events for _, events in selector.select(0))
        return bool(events & selectors.EVENT_READ), bool(events & selectors.EVENT_WRITE)


ready = pytest.mark.parametrize("ready", [by_select, by_poll, by_selector])
Ready = Callable[[socket.socket], tuple[bool, bool]]


@ready
def test_a_socket_is_readable_while_bytes_wait(sock: socket.socket, ready: Ready) -> None:
    assert ready(sock) == (False, True)
    sock.sendall(GET)
    for _ in range(3):
        assert ready(sock) == (True, True)
        sock.recv(1)
    sock.recv(1, socket.MSG_PEEK)
    assert ready(sock) == (True, True)
    sock.recv(1 << 20)
    assert ready(sock) == (False, True)


@ready
def test_a_socket_is_readable_while_a_job_can_be_moved(
    listener: socket.socket, stub: comfystub.Stub, ready: Ready
) -> None:
    assert ready(listener) == (False, True)
    submit(stub)
    reads = 0
    listener.setblocking(False)
    while ready(listener)[0]:
        assert listener.recv(1 << 20)
        reads += 1
    assert reads > 5
    with pytest.raises(BlockingIOError):
        listener.recv(1)
    assert stub._engine.jobs[0].ended


@ready
def test_a_socket_is_not_readable_by_what_others_read(
    listener: socket.socket, stub: comfystub.Stub, ready: Ready
) -> None:
    submit(stub, "another")
    stub.finish()
    listener.setblocking(False)
    while ready(listener)[0]:
        assert listener.recv(1 << 20)
    with pytest.raises(BlockingIOError):
        listener.recv(1)


@ready
def test_at_the_end_a_socket_stays_readable(sock: socket.socket, ready: Ready) -> None:
    sock.shutdown(socket.SHUT_WR)
    for _ in range(3):
        assert ready(sock)[0]
        assert sock.recv(1) == b""


@ready
def test_a_job_that_only_the_test_moves_makes_nothing_readable(ready: Ready) -> None:
    with comfystub.patch(URL, pace="manual") as stub, socket.create_connection(ADDRESS, timeout=0) as sock:
        sock.sendall(GET_WS)
        submit(stub)
        while ready(sock)[0]:
            sock.recv(1 << 20)
        stub.step()
        assert ready(sock)[0]
        assert b"execution_start" in sock.recv(1 << 20)
        assert not ready(sock)[0]


@ready
def test_a_socket_that_was_taken_over_is_not_readable(
    listener: socket.socket, stub: comfystub.Stub, ready: Ready
) -> None:
    submit(stub)
    assert ready(listener)[0]
    with socket.create_connection(ADDRESS, timeout=LONG) as newer:
        newer.sendall(GET_WS)
        listener.setblocking(False)
        listener.recv(1 << 20)  # the status of the submission
        assert not ready(listener)[0], "it would be read in vain"
        assert ready(newer)[0]


# --- the end


def test_a_socket_that_was_closed_is_none(sock: socket.socket) -> None:
    sock.close()
    sock.close()
    assert sock.fileno() == -1
    for use in (
        lambda: sock.recv(1),
        lambda: sock.send(b"x"),
        lambda: sock.sendall(b"x"),
        sock.getpeername,
        sock.getsockname,
        lambda: sock.shutdown(socket.SHUT_RDWR),
        lambda: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    ):
        with fails(errno.EBADF):
            use()


def is_open(stub: comfystub.Stub) -> bool:
    """Whether the server takes its client for one that listens."""
    return bool(stub._engine.hub._sessions)


@pytest.mark.parametrize("first", ["socket", "file"])
def test_the_server_learns_of_the_end_with_the_last_who_holds_the_socket(
    listener: socket.socket, stub: comfystub.Stub, first: str
) -> None:
    file = listener.makefile("rb")
    one, other = (listener, file) if first == "socket" else (file, listener)
    one.close()
    assert is_open(stub)
    if first == "socket":
        submit(stub)
        assert file.read(2)
    other.close()
    assert not is_open(stub)
    assert listener.fileno() == -1


def test_files_read_and_write(sock: socket.socket) -> None:
    with sock.makefile("rwb") as file:
        file.write(GET)
        file.flush()
        assert file.readline() == b"HTTP/1.1 200 OK\r\n"
        sizes = [int(line.split()[1]) for line in iter(file.readline, b"\r\n") if b"Length" in line]
        assert file.read(sizes[0]) == NOTHING_QUEUED


def test_a_client_that_says_no_more_is_answered(sock: socket.socket) -> None:
    sock.sendall(GET)
    sock.shutdown(socket.SHUT_WR)
    sock.shutdown(socket.SHUT_WR)
    assert answer(sock) == NOTHING_QUEUED
    assert sock.recv(1) == b""
    with pytest.raises(BrokenPipeError) as caught:
        sock.sendall(GET)
    assert caught.value.errno == errno.EPIPE


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
def test_a_client_that_reads_no_more(listener: socket.socket, stub: comfystub.Stub, how: int) -> None:
    listener.shutdown(how)
    assert listener.recv(1) == b""
    assert not is_open(stub)


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR, socket.SHUT_WR])
def test_a_shutdown_elsewhere_ends_a_read(listener: socket.socket, how: int) -> None:
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(listener.recv(1)), daemon=True)
    thread.start()
    listener.shutdown(how)
    thread.join(LONG)
    assert read == [b""]


def test_a_server_that_closed_takes_no_more(sock: socket.socket) -> None:
    sock.sendall(b"GET /queue HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer(sock) == NOTHING_QUEUED
    assert sock.recv(1) == b""
    for send in (sock.send, sock.sendall, lambda data: sock.sendmsg([data])):
        with pytest.raises(BrokenPipeError):
            send(GET)
    assert sock.send(b"") == 0


def test_a_socket_that_nobody_closed(stub: comfystub.Stub) -> None:
    before = len(stubbed._channels)
    socks = [socket.create_connection(ADDRESS, timeout=LONG)]
    socks[0].sendall(GET_WS)
    assert len(stubbed._channels) == before + 1
    assert is_open(stub)
    with pytest.warns(ResourceWarning, match="unclosed"):
        socks.clear()
    gc.collect()
    assert len(stubbed._channels) == before
    assert not is_open(stub)


@pytest.mark.parametrize("end", ["close", "leave"])
def test_no_file_descriptor_is_left(stub: comfystub.Stub, end: str) -> None:
    before = set(pathlib.Path("/proc/self/fd").iterdir())
    with contextlib.ExitStack() as stack:
        stack.enter_context(comfystub.patch("http://other.test"))
        socks = [socket.create_connection(("other.test", 80)) for _ in range(3)]
        for sock in socks if end == "close" else ():
            sock.close()
    for sock in socks:
        sock.close()
    del sock, socks
    assert set(pathlib.Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize("name", ["detach", "dup", "recvfrom_into", "recvmsg", "recvmsg_into", "sendto"])
def test_what_would_reach_below_is_refused(sock: socket.socket, name: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {
        "recvfrom_into": (bytearray(1),),
        "recvmsg": (1,),
        "recvmsg_into": ([bytearray(1)],),
        "sendto": (b"x", ADDRESS),
    }
    with fails(errno.EOPNOTSUPP):
        getattr(sock, name)(*arguments.get(name, ()))
    sock.sendall(GET)
    assert answer(sock) == NOTHING_QUEUED


# --- options, subclasses, TLS


def test_options_are_kept(sock: socket.socket) -> None:
    nodelay = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(*nodelay) == 0
    sock.setsockopt(*nodelay, 1)
    assert sock.getsockopt(*nodelay) == 1
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert (sock.type, sock.proto) == (socket.SOCK_STREAM, socket.IPPROTO_TCP)


class Counted(socket.socket):
    """A subclass as an application has one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sent = 0

    def count(self, data: bytes) -> None:
        self.sent += len(data)
        self.sendall(data)


def test_a_subclass_keeps_its_own(stub: comfystub.Stub) -> None:
    with Counted() as sock:
        sock.connect(ADDRESS)
        sock.count(GET)
        assert isinstance(sock, Counted)
        assert (sock.sent, answer(sock)) == (len(GET), NOTHING_QUEUED)


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.mark.parametrize("first", ["connect", "wrap"])
def test_a_socket_passes_for_an_encrypted_one(
    stub: comfystub.Stub, context: ssl.SSLContext, first: str
) -> None:
    plain = socket.socket()
    if first == "connect":
        plain.connect(ADDRESS)
    sock = context.wrap_socket(plain, server_hostname="comfy.test")
    with sock:
        if first == "wrap":
            assert isinstance(sock, ssl.SSLSocket)
            sock.connect(ADDRESS)
        sock.do_handshake()
        assert sock.getpeercert() == {"subjectAltName": (("DNS", "comfy.test"),)}
        assert isinstance(sock.getpeercert(True), bytes)
        assert (sock.version() or "").startswith("TLS")
        assert sock.cipher() and sock.pending() == 0 and sock.selected_alpn_protocol() is None
        sock.write(GET)
        buffer = bytearray(4)
        assert (sock.read(4), sock.read(4, buffer), bytes(buffer)) == (b"HTTP", 4, b"/1.1")
        assert answer(sock) == NOTHING_QUEUED
        sock.sendall(GET)
        assert answer(sock) == NOTHING_QUEUED
        sock.unwrap().close()
    assert sock.fileno() == -1


def test_an_encrypted_socket_can_be_connected_without_an_exception(
    stub: comfystub.Stub, context: ssl.SSLContext
) -> None:
    with context.wrap_socket(socket.socket(), server_hostname="comfy.test") as sock:
        assert sock.connect_ex(ADDRESS) == 0
        sock.sendall(GET)
        assert answer(sock) == NOTHING_QUEUED
