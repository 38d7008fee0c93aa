"""Client libraries that give up after minutes, of which no test has to wait one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import websocket
import websockets
import websockets.sync.client
from calls import URL, in_thread
from wire import LONG, submit

import comfystub

WS_URL = "ws://comfy.test:8188/ws?clientId=me"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    """A stub that says nothing by itself."""
    with comfystub.patch(URL, clock="virtual", pace="manual") as stub:
        yield stub


# --- HTTP: polling until a deadline


def poll(get: Callable[[str], Any]) -> int:
    polls, end = 0, time.monotonic() + 300
    while time.monotonic() < end:
        get(f"{URL}/history/unknown")
        polls += 1
        time.sleep(1)
    return polls


async def poll_async(get: Callable[[str], Any]) -> int:
    polls, end = 0, time.monotonic() + 300
    while time.monotonic() < end:
        await get(f"{URL}/history/unknown")
        polls += 1
        await asyncio.sleep(1)
    return polls


def over_httpx() -> int:
    with httpx.Client() as client:
        return poll(client.get)


def over_requests() -> int:
    with requests.Session() as session:
        return poll(session.get)


def over_requests_with_retries() -> int:
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
        return poll(session.get)


def over_urllib() -> int:
    def get(url: str) -> None:
        with urllib.request.urlopen(url, timeout=10) as response:
            response.read()

    return poll(get)


def over_async_httpx() -> int:
    async def main() -> int:
        async with httpx.AsyncClient() as client:
            return await poll_async(client.get)

    polls: int = in_thread(asyncio.run, main())
    return polls


def over_aiohttp() -> int:
    async def main() -> int:
        async with aiohttp.ClientSession() as session:

            async def get(url: str) -> None:
                async with session.get(url) as response:
                    await response.read()

            return await poll_async(get)

    polls: int = in_thread(asyncio.run, main())
    return polls


@pytest.mark.parametrize(
    "client",
    [over_httpx, over_requests, over_requests_with_retries, over_urllib, over_async_httpx, over_aiohttp],
)
def test_a_client_gives_up_after_300_seconds_of_polling(
    stub: comfystub.Stub, client: Callable[[], int]
) -> None:
    assert client() == 300
    assert len(stub.requests) == 300
    assert stub.clock.elapsed == 300


# --- WebSockets: reading until a time-out


def test_websocket_client(stub: comfystub.Stub) -> None:
    socket = websocket.create_connection(WS_URL, timeout=300)
    assert "sid" in socket.recv()
    with pytest.raises(websocket.WebSocketTimeoutException):
        socket.recv()
    assert stub.clock.elapsed == 300
    socket.close()


def app(**handlers: Any) -> Any:
    return websocket.WebSocketApp(WS_URL, **handlers)


@contextlib.contextmanager
def running(app: Any, **options: Any) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=app.run_forever, kwargs=options, daemon=True)
    thread.start()
    yield thread
    app.close()
    thread.join(LONG)
    assert not thread.is_alive()


def test_websocket_app(stub: comfystub.Stub) -> None:
    heard: list[tuple[float, int]] = []
    with running(
        app(on_message=lambda app, message: heard.append((stub.clock.elapsed, len(message))))
    ) as thread:
        time.sleep(100)
        submit(stub)
        thread.join(200)
        assert thread.is_alive()
        assert [elapsed for elapsed, _ in heard] == [0, 100]
        assert stub.clock.elapsed == 300


def test_websocket_app_that_pings(stub: comfystub.Stub) -> None:
    pongs: list[float] = []
    errors: list[Any] = []
    client = app(
        on_pong=lambda app, message: pongs.append(stub.clock.elapsed),
        on_error=lambda app, error: errors.append(error),
    )
    with running(client, ping_interval=30, ping_timeout=10):
        time.sleep(100)
        # websocket-client before 1.7 lets the first interval pass.
        assert pongs in ([30, 60, 90], [60, 90])
        assert errors == []


def test_websockets_sync(stub: comfystub.Stub) -> None:
    with websockets.sync.client.connect(WS_URL) as socket:
        assert "sid" in socket.recv(timeout=10)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=300)
        assert stub.clock.elapsed == 300
        submit(stub)
        assert "status" in socket.recv(timeout=10)
        assert stub.clock.elapsed == 300


def test_websockets(stub: comfystub.Stub) -> None:
    async def main() -> None:
        async with websockets.connect(WS_URL) as socket:
            assert "sid" in await socket.recv()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(socket.recv(), 300)
            assert stub.clock.elapsed == 300
            submit(stub)
            assert "status" in await asyncio.wait_for(socket.recv(), 10)

    in_thread(asyncio.run, main())
    assert stub.clock.elapsed == 300


def test_aiohttp(stub: comfystub.Stub) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(WS_URL) as socket:
            assert "sid" in (await socket.receive_str())
            with pytest.raises(asyncio.TimeoutError):
                await socket.receive(timeout=300)
            assert stub.clock.elapsed == 300

    in_thread(asyncio.run, main())


# --- while the stub has something to say


@pytest.mark.parametrize("pace", ["instant", 0])
def test_time_does_not_jump_while_the_engine_can_move(pace: str | int) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        socket = websocket.create_connection(WS_URL, timeout=5)
        submit(stub)
        while '"executing", "data": {"node": null' not in str(socket.recv()):
            assert stub.clock.elapsed == 0
        socket.close()
        assert stub.jobs[0].status == "completed"
        assert stub.clock.elapsed == 0


def test_nor_in_a_loop() -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(WS_URL) as socket:
            submit(stub)
            message = ""
            while '"executing", "data": {"node": null' not in message:
                message = str((await asyncio.wait_for(socket.receive(), 5)).data)

    with comfystub.patch(URL, clock="virtual") as stub:
        in_thread(asyncio.run, main())
        assert stub.clock.elapsed == 0
