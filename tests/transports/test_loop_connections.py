"""Ways into an event loop, raw sockets in one, several loops, and loops that are closed."""

from __future__ import annotations

import asyncio
import asyncio.proactor_events
import contextlib
import errno
import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
from calls import URL, in_thread, named
from loops import Recorder, Run, connect, each_loop, listening, turns
from network import NetworkUsed
from wire import ADDRESS, GET, GET_WS, LAST, LONG, NOTHING_QUEUED, submit

import comfystub
from comfystub.transports import stubbed

# --- connecting


async def test_a_connection_that_is_cancelled_is_closed(stub: comfystub.Stub) -> None:
    protocols: list[Recorder] = []

    def protocol() -> Recorder:
        protocols.append(Recorder())
        return protocols[-1]

    before = set(stubbed._channels)
    task = asyncio.create_task(connect(protocol))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns()
    assert set(stubbed._channels) == before
    assert [made.happened for made in protocols] == [["made", "lost"]]


async def test_a_socket_that_is_connected_may_be_given(stub: comfystub.Stub) -> None:
    sock = socket.create_connection(ADDRESS)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_connection(Recorder, sock=sock)
    transport.write(GET)
    await made.until(NOTHING_QUEUED)
    transport.close()
    await made.lost
    assert sock.fileno() == -1


async def test_a_socket_that_listens_may_be_given(stub: comfystub.Stub) -> None:
    """The handshake is over by then: it is the loop that has to be woken from now on."""
    sock = socket.create_connection(ADDRESS)
    sock.sendall(GET_WS)
    heard = b""
    while b'"sid"' not in heard:
        heard += sock.recv(1000)
    sock.setblocking(False)
    _, made = await asyncio.get_running_loop().create_connection(Recorder, sock=sock)
    with contextlib.closing(made.transport):
        await turns()
        submit(stub)
        await made.until(LAST)


@each_loop
def test_other_hosts_are_refused(run: Run) -> None:
    async def main() -> None:
        with comfystub.patch(URL, unmatched="error"), pytest.raises(ConnectionRefusedError) as caught:
            await asyncio.open_connection("elsewhere.test", 80)
        assert caught.value.errno == errno.ECONNREFUSED

    run(main())


@each_loop
def test_other_hosts_are_left_alone(stub: comfystub.Stub, run: Run, echo_url: str) -> None:
    host, _, port = echo_url.removeprefix("http://").partition(":")

    async def main() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"GET /x ")
        writer.close()
        await writer.wait_closed()

    run(main())


async def test_without_a_stub_the_name_is_looked_up() -> None:
    with named("it"):
        pass
    with pytest.raises(NetworkUsed):
        await asyncio.open_connection(*ADDRESS)


@each_loop
def test_sockets_may_be_used_in_a_loop(stub: comfystub.Stub, run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ADDRESS)
            buffer = bytearray(4)
            waiting = asyncio.create_task(loop.sock_recv_into(sock, buffer))
            await turns(3)
            assert not waiting.done()
            await loop.sock_sendall(sock, GET)
            assert await asyncio.wait_for(waiting, LONG) == 4
            assert bytes(buffer) == b"HTTP"
            assert (await loop.sock_recv(sock, 1000)).endswith(NOTHING_QUEUED)

    run(main())


async def test_a_listener_may_use_a_socket_in_a_loop(stub: comfystub.Stub) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection(ADDRESS) as sock:
        sock.setblocking(False)
        await loop.sock_sendall(sock, GET_WS)
        loop.call_later(0.01, submit, stub)
        heard = b""
        while LAST not in heard:
            heard += await asyncio.wait_for(loop.sock_recv(sock, 1 << 16), LONG)


async def test_the_loop_of_windows_connects_to_a_stub(stub: comfystub.Stub) -> None:
    """Its sockets are connected by the system, without a call to their own method."""
    sock_connect: Any = asyncio.proactor_events.BaseProactorEventLoop.sock_connect
    with socket.socket() as sock:
        sock.setblocking(False)
        await sock_connect(asyncio.get_running_loop(), sock, ADDRESS)
        sock.sendall(GET)
        assert sock.recv(1000).endswith(NOTHING_QUEUED)


async def test_the_loop_of_windows_goes_elsewhere_as_ever(stub: comfystub.Stub) -> None:
    sock_connect: Any = asyncio.proactor_events.BaseProactorEventLoop.sock_connect

    class Loop:
        _proactor: Any = None

    for address in (("127.0.0.1", 1), "/a/path"):
        with socket.socket() as sock, pytest.raises((AttributeError, ValueError)):
            await sock_connect(Loop(), sock, address)
    assert sock_connect.__wrapped__.__module__ == "asyncio.proactor_events"


# --- several loops, and loops that are closed


@each_loop
def test_loops_in_threads_listen_to_one_stub(stub: comfystub.Stub, run: Run) -> None:
    ready = threading.Barrier(4)
    heard: dict[str, bytes] = {}

    def listen(name: str) -> None:
        async def main() -> None:
            made = await connect()
            made.transport.write(GET_WS.replace(b"=me", b"=" + name.encode()))
            await made.until(b'"sid"')
            await asyncio.to_thread(ready.wait, LONG)
            await asyncio.to_thread(submit, stub, name)
            await made.until(LAST)
            heard[name] = made.data
            made.transport.close()

        run(main())

    threads = [threading.Thread(target=listen, args=(name,), daemon=True) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(heard) == list("abcd")
    assert all(data.count(b"execution_success") == 1 for data in heard.values())


@each_loop
def test_a_loop_that_was_closed_disturbs_nobody(stub: comfystub.Stub, run: Run) -> None:
    kept: list[Any] = []

    async def main() -> None:
        kept.append(await listening())

    run(main())
    submit(stub)
    stub.finish()
    assert stub.jobs[0].status == "completed"
    kept[0].transport.get_extra_info("socket").close()


def test_a_connection_that_nobody_closed_is_not_kept() -> None:
    """One that stays longer than its stub would stay for good."""
    before = set(stubbed._channels)

    async def main() -> None:
        await listening()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        with comfystub.patch(URL):
            in_thread(asyncio.run, main())
        gc.collect()
    left = set(stubbed._channels) - before
    for key in left:
        stubbed._forget(key)
    assert not left


async def test_a_stub_that_leaves_ends_its_connections() -> None:
    with comfystub.patch(URL):
        made = await listening()
    assert await asyncio.wait_for(made.lost, LONG) is None
    assert made.happened[-2:] == ["eof", "lost"]


@pytest.fixture(autouse=True)
async def _nothing_is_left_undone() -> AsyncIterator[None]:
    yield
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others
