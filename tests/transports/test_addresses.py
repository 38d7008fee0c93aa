"""Which connections and look-ups are a stub's, and that all others are left alone."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import pathlib
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest
from calls import URL, named
from network import NetworkUsed
from wire import ADDRESS, LONG, listen

import comfystub

OTHER = "http://other.test:8188"


def who(sock: socket.socket) -> str:
    """The name of the server at the other end."""
    sock.sendall(b"GET /models/checkpoints HTTP/1.1\r\nHost: a\r\n\r\n")
    return sock.recv(1 << 20).partition(b"\r\n\r\n")[2].decode()[2:-2]


def connected(host: str = "comfy.test", port: int = 8188) -> socket.socket:
    return socket.create_connection((host, port), timeout=LONG)


@contextlib.contextmanager
def fails(number: int) -> Iterator[None]:
    """A block that fails with an error of the system's."""
    with pytest.raises(OSError) as caught:
        yield
    assert caught.value.errno == number


# --- connecting


def test_a_host_may_be_any_text(echo_url: str) -> None:
    """Where it is a stub's, and where it is not."""
    port = int(echo_url.rpartition(":")[2])
    for host, number in (
        (b"comfy.test", 8188),
        (bytearray(b"comfy.test"), 8188),
        (bytearray(b"127.0.0.1"), port),
    ):
        with named("it"), socket.socket() as sock:
            sock.connect((host, number))
            assert sock.getpeername()[1] == number


def test_a_name_may_be_given_to_connect() -> None:
    with named("it"), socket.socket() as sock:
        sock.connect(ADDRESS)
        assert sock.getpeername() == ADDRESS
        assert who(sock) == "it"


def test_connecting_may_be_asked_for_without_an_exception() -> None:
    with named("it"), socket.socket() as sock:
        assert sock.connect_ex(ADDRESS) == 0
        assert who(sock) == "it"
        assert sock.connect_ex(ADDRESS) == errno.EISCONN


def test_a_connected_socket_stays_where_it_is() -> None:
    with named("it"), connected() as sock:
        with fails(errno.EISCONN):
            sock.connect(ADDRESS)
        assert who(sock) == "it"


@pytest.mark.parametrize("host", ["COMFY.TEST", b"comfy.test", bytearray(b"comfy.test")])
def test_a_host_may_look_otherwise(host: Any) -> None:
    with named("it"):
        with socket.socket() as sock:
            sock.connect((host, 8188))
            assert who(sock) == "it"
        with connected(host) as sock:
            assert who(sock) == "it"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_address_of_a_name_is_that_stubs(family: int) -> None:
    with named("it"), named("other", OTHER):
        [(*_, address)] = socket.getaddrinfo("comfy.test", 8188, family, socket.SOCK_STREAM)
        assert address[0] != "comfy.test"
        with socket.socket(family) as sock:
            sock.connect(address)
            assert sock.getpeername() == address
            assert len(sock.getsockname()) == len(address)
            assert who(sock) == "it"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1"])
def test_the_usual_addresses(host: str) -> None:
    with comfystub.patch(models={"checkpoints": ["it"]}), connected(host) as sock:
        assert who(sock) == "it"
        assert sock.family == (socket.AF_INET6 if host == "::1" else socket.AF_INET)


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_a_long_form_of_an_ipv6_address() -> None:
    with named("it", "http://[::1]:8188"), socket.socket(socket.AF_INET6) as sock:
        sock.connect(("::1", 8188, 0, 0))
        assert who(sock) == "it"


def test_an_address_that_was_looked_up_in_another_block_stays_the_names() -> None:
    with named("first"):
        [(*_, address)] = socket.getaddrinfo(*ADDRESS, socket.AF_INET, socket.SOCK_STREAM)
    with named("second"), socket.socket() as sock:
        sock.connect(address)
        assert who(sock) == "second"
    with socket.socket() as sock, pytest.raises(NetworkUsed):
        sock.connect(address)


def test_an_address_without_its_stub_leads_to_the_real_server_of_that_name(echo_url: str) -> None:
    port = urlsplit(echo_url).port
    with named("it", "http://localhost:1"):
        [(*_, (address, _))] = socket.getaddrinfo("localhost", 1, socket.AF_INET, socket.SOCK_STREAM)
        for connect in ("connect", "connect_ex"):
            with socket.socket() as sock:
                assert not getattr(sock, connect)((address, port))
                sock.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                assert sock.recv(1000).startswith(b"HTTP/1.0 200 OK")


# --- looking up


def kinds(found: list[Any]) -> set[tuple[int, int]]:
    return {(family, kind) for family, kind, *_ in found}


@pytest.mark.parametrize(
    ("family", "length"), [(socket.AF_INET, 2), (socket.AF_INET6, 4), (socket.AF_UNSPEC, 2)]
)
def test_a_stubs_name_has_an_address_of_each_family(family: int, length: int) -> None:
    with named("it"):
        found = socket.getaddrinfo("comfy.test", 8188, family, socket.SOCK_STREAM)
        assert {len(address) for *_, address in found} == {length}
        assert {address[1] for *_, address in found} == {8188}
        assert kinds(found) == {(family or socket.AF_INET, socket.SOCK_STREAM)}


@pytest.mark.parametrize("port", [80, "80", b"80", "http"])
def test_a_port_may_be_a_text_or_a_service(port: Any) -> None:
    with named("it", "http://comfy.test"):
        found = socket.getaddrinfo("comfy.test", port, type=socket.SOCK_STREAM)
        assert {address[1] for *_, address in found} == {80}


def test_any_kind_of_socket_may_be_asked_for() -> None:
    with named("it"):
        assert (socket.AF_INET, socket.SOCK_DGRAM) in kinds(socket.getaddrinfo(*ADDRESS))
        assert socket.getaddrinfo(*ADDRESS, flags=socket.AI_ADDRCONFIG, type=socket.SOCK_STREAM)


@pytest.mark.parametrize(
    "arguments",
    [
        ("elsewhere.test", 8188),
        ("comfy.test", 8189),
        ("comfy.test", None),
        ("comfy.test", "https"),
        ("comfy.test", 8188, 0, 0, 0, socket.AI_PASSIVE),
    ],
)
def test_other_look_ups_are_made(arguments: tuple[Any, ...]) -> None:
    with named("it"), pytest.raises(NetworkUsed, match=arguments[0]):
        socket.getaddrinfo(*arguments)


def test_the_wildcard_is_left_to_the_system() -> None:
    with comfystub.patch():
        found = socket.getaddrinfo(None, 8188, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
        assert [address for *_, address in found] == [("0.0.0.0", 8188)]
        found = socket.getaddrinfo(
            "127.0.0.1", 8188, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_PASSIVE
        )
        assert [address for *_, address in found] == [("127.0.0.1", 8188)]


def test_a_look_up_with_wrong_arguments_fails_as_ever() -> None:
    with named("it"):
        for host, port in ((3, 80), ("comfy.test", 1.5)):
            with pytest.raises((TypeError, OSError)):
                socket.getaddrinfo(host, port)  # type: ignore[call-overload]


# --- what is not a stub's


@pytest.mark.parametrize("unmatched", ["pass", "error"])
def test_other_kinds_of_sockets_are_left_alone(tmp_path: pathlib.Path, unmatched: str) -> None:
    with comfystub.patch(unmatched=unmatched):
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
            one.bind(("127.0.0.1", 0))
            other.connect(one.getsockname())
            other.send(b"x")
            assert one.recv(1) == b"x"
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(str(tmp_path / "s"))
            server.listen()
            client.connect(str(tmp_path / "s"))
            assert client.connect_ex(str(tmp_path / "s")) == errno.EISCONN
        one, other = socket.socketpair()
        with one, other:
            one.send(b"x")
            assert other.recv(1) == b"x"


def test_connections_to_real_servers_are_left_alone(echo_url: str) -> None:
    port = urlsplit(echo_url).port
    assert port
    with comfystub.patch():
        for connect in ("connect", "connect_ex"):
            with socket.socket() as sock:
                assert not getattr(sock, connect)(("127.0.0.1", port))
                assert type(sock) is socket.socket
                sock.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                assert sock.recv(1000).startswith(b"HTTP/1.0 200 OK")
                assert sock.getpeername() == ("127.0.0.1", port)


def test_a_connection_that_nobody_takes_fails_as_ever() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        with comfystub.patch(), socket.socket() as sock:
            assert sock.connect_ex(bound.getsockname()) == errno.ECONNREFUSED
            with pytest.raises(ConnectionRefusedError):
                sock.connect(bound.getsockname())


@pytest.mark.parametrize("address", [("comfy.test",), "comfy.test", None, 5])
def test_what_is_no_address_fails_as_ever(address: Any) -> None:
    with socket.socket() as sock:
        with pytest.raises((TypeError, OSError)) as without:
            sock.connect(address)
    with named("it"), socket.socket() as sock:
        with pytest.raises(without.type):
            sock.connect(address)


# --- refusing


@pytest.mark.parametrize("host", ["elsewhere.test", "192.0.2.1", "127.0.0.1"])
def test_other_hosts_can_be_refused(host: str) -> None:
    with comfystub.patch(URL, unmatched="error"):
        with socket.socket() as sock:
            with pytest.raises(ConnectionRefusedError, match="refuses other hosts") as caught:
                sock.connect((host, 8188))
            assert caught.value.errno == errno.ECONNREFUSED
            assert sock.connect_ex((host, 8188)) == errno.ECONNREFUSED
        with pytest.raises(ConnectionRefusedError):
            connected(host)


def test_a_look_up_of_a_host_that_is_refused_asks_nobody() -> None:
    with comfystub.patch(URL, unmatched="error"):
        [(*_, address)] = socket.getaddrinfo("elsewhere.test", 80, socket.AF_INET, socket.SOCK_STREAM)
        with socket.socket() as sock, pytest.raises(ConnectionRefusedError, match=r"elsewhere\.test:80"):
            sock.connect(address)


def test_a_refused_socket_can_be_used_again() -> None:
    with comfystub.patch(URL, unmatched="error", models={"checkpoints": ["it"]}), socket.socket() as sock:
        assert sock.connect_ex(("elsewhere.test", 80)) == errno.ECONNREFUSED
        assert sock.connect_ex(ADDRESS) == 0
        assert who(sock) == "it"


def test_pairs_that_are_made_of_two_sockets_are_not_refused() -> None:
    """The standard library does so where the system has no pairs; event loops are built on one."""

    def socketpair() -> tuple[socket.socket, socket.socket]:
        with socket.socket() as server, contextlib.ExitStack() as stack:
            server.bind(("127.0.0.1", 0))
            server.listen()
            client = stack.enter_context(socket.socket())
            client.connect(server.getsockname())
            stack.pop_all()
            return client, server.accept()[0]

    with comfystub.patch(URL, unmatched="error"):
        one, other = socketpair()
        with one, other:
            one.send(b"x")
            assert other.recv(1) == b"x"


# --- several stubs


def test_of_two_stubs_the_innermost_answers_a_connection_that_is_kept() -> None:
    with named("outer"), connected() as sock:
        assert who(sock) == "outer"
        with named("inner"):
            assert who(sock) == "inner"
        assert who(sock) == "outer"


def ends(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return sock.recv(1) == b""
    except BlockingIOError:
        return False


def listening() -> socket.socket:
    sock = connected()
    listen(sock, "")  # which lets the server find a name
    return sock


def test_an_open_websocket_stays_with_its_stub() -> None:
    with named("outer"), listening() as outer:
        with named("inner"), listening() as inner:
            assert not ends(outer) and not ends(inner)
        assert not ends(outer)


def test_connections_end_when_their_stub_leaves() -> None:
    with contextlib.ExitStack() as socks:
        with named("it"), named("other", OTHER):
            plain, websocket = (socks.enter_context(sock) for sock in (connected(), listening()))
            assert not ends(plain) and not ends(websocket)
        for sock in (plain, websocket):
            assert ends(sock)
            with pytest.raises(BrokenPipeError):
                sock.send(b"x")
            sock.shutdown(socket.SHUT_RDWR)


def test_a_websocket_ends_with_the_inner_stub_while_the_outer_goes_on() -> None:
    with named("outer"):
        with named("inner"):
            sock, kept = listening(), connected()
        with sock, kept:
            assert ends(sock)
            assert not ends(kept), "the outer one answers it now"
            kept.settimeout(LONG)
            assert who(kept) == "outer"


def test_a_stub_that_is_in_force_twice_keeps_its_sockets() -> None:
    stub = comfystub.Stub(URL)
    with comfystub.patch(stub=stub):
        with comfystub.patch(stub=stub):
            sock = listening()
        with sock:
            assert not ends(sock)


def test_a_read_that_waits_ends_with_the_stub() -> None:
    read: list[bytes] = []
    with named("it"):
        sock = listening()
        thread = threading.Thread(target=lambda: read.append(sock.recv(1)), daemon=True)
        thread.start()
    thread.join(LONG)
    assert read == [b""]
    sock.close()


# --- proxies

PROXY = "http_proxy"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing about proxies."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


def test_without_a_proxy_nothing_is_said_of_one(environment: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    with comfystub.patch(URL):
        assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "ws_proxy"])
def test_no_proxy_is_asked_for_a_stub(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "http://proxy.test:3128")
    with comfystub.patch([URL, f"{URL}/below", OTHER]):
        assert os.environ["no_proxy"] == "comfy.test,other.test"
    assert "no_proxy" not in os.environ


def test_urllib_goes_straight_to_the_stub(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(PROXY, "http://proxy.test:3128")
    with comfystub.patch(URL):
        with urllib.request.build_opener().open(f"{URL}/queue", timeout=LONG) as response:
            assert response.status == 200


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_needed_no_proxy_before_needs_none(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(PROXY, "http://proxy.test:3128")
    environment.setenv(name, "intern.test,.local")
    before = dict(os.environ)
    with comfystub.patch(URL):
        assert os.environ["no_proxy"] == "intern.test,.local,comfy.test"
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_where_nothing_needs_a_proxy_that_stays(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(PROXY, "http://proxy.test:3128")
    environment.setenv(name, "*")
    with comfystub.patch(URL):
        assert os.environ["no_proxy"] == "*"


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_nested_stubs_need_no_proxy_and_put_it_back(environment: pytest.MonkeyPatch, first: str) -> None:
    environment.setenv(PROXY, "http://proxy.test:3128")
    environment.setenv("no_proxy", "x")
    outer, inner = comfystub.patch(URL), comfystub.patch(OTHER)
    outer.__enter__()
    inner.__enter__()
    assert os.environ["no_proxy"] == "x,comfy.test,other.test"
    for leaving in (outer, inner) if first == "outer" else (inner, outer):
        assert "comfy.test" in os.environ["no_proxy"]
        leaving.__exit__(None, None, None)
    assert os.environ["no_proxy"] == "x"


def test_an_own_setting_wins(environment: pytest.MonkeyPatch) -> None:
    environment.setenv(PROXY, "http://proxy.test:3128")
    with comfystub.patch(URL, env={"no_proxy": "mine"}):
        assert os.environ["no_proxy"] == "mine"


# --- what is changed, and put back

SEAMS: dict[str, tuple[Any, str]] = {
    "connect": (socket.socket, "connect"),
    "connect_ex": (socket.socket, "connect_ex"),
    "getaddrinfo": (socket, "getaddrinfo"),
    "wrap_socket": (ssl.SSLContext, "wrap_socket"),
    "create_connection": (asyncio.BaseEventLoop, "create_connection"),
}
INHERITED = ("connect", "connect_ex")
ORIGINALS = {name: getattr(*where) for name, where in SEAMS.items()}


def is_original(name: str) -> bool:
    owner, attribute = SEAMS[name]
    return getattr(owner, attribute) is ORIGINALS[name] and (attribute in vars(owner)) == (
        name not in INHERITED
    )


@pytest.fixture(autouse=True)
def _everything_is_put_back() -> Iterator[None]:
    yield
    assert all(map(is_original, SEAMS))


@pytest.mark.parametrize("name", SEAMS)
def test_a_hook_is_there_while_a_stub_is(name: str) -> None:
    assert is_original(name)
    with comfystub.patch(URL):
        assert not is_original(name)
        with comfystub.patch(OTHER):
            assert not is_original(name)
        assert not is_original(name)
        assert getattr(*SEAMS[name]).__name__ == name
    assert is_original(name)


@contextlib.contextmanager
def wrapped(name: str, calls: list[str]) -> Iterator[None]:
    """Somebody else's patch, which passes on."""
    owner, attribute = SEAMS[name]
    inside = getattr(owner, attribute)

    def passes_on(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return inside(*args, **kwargs)

    with mock.patch.object(owner, attribute, passes_on):
        yield


@pytest.mark.parametrize("name", ["connect", "getaddrinfo"])
@pytest.mark.parametrize("order", list(itertools.permutations("pw")))
def test_others_may_patch_too(name: str, order: tuple[str, ...]) -> None:
    calls: list[str] = []
    makers: dict[str, Callable[[], Any]] = {"p": lambda: named("it"), "w": lambda: wrapped(name, calls)}
    with contextlib.ExitStack() as stack:
        for one in order:
            stack.enter_context(makers[one]())
        with connected() as sock:
            assert who(sock) == "it"
        # A stub that is patched in later answers a connection by itself; a look-up it passes on.
        assert (name in calls) == (order[-1] == "w" or name == "getaddrinfo")


def test_a_patch_that_outlives_the_stub_is_left_alone() -> None:
    calls: list[str] = []
    with contextlib.ExitStack() as stack:
        with named("it"):
            stack.enter_context(wrapped("getaddrinfo", calls))
        mine = socket.getaddrinfo
        with pytest.raises(NetworkUsed):
            connected()
        assert socket.getaddrinfo is mine
        with named("another"), connected() as sock:
            assert who(sock) == "another"
        assert socket.getaddrinfo is mine
        assert calls
    with pytest.raises(NetworkUsed):
        connected()  # the hook that was put back goes at its first call
