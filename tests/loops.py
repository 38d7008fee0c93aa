"""What tests of event loops share: a protocol that writes down what happens to it, and ways to run it."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from calls import in_thread
from wire import ADDRESS, GET, GET_WS, LONG

GET_AND_CLOSE = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


def loops() -> list[Any]:
    """How to run a coroutine: in asyncio's loop, and in uvloop's where it is installed."""

    def run_in_asyncio(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return in_thread(asyncio.run, coroutine)

    def run_in_uvloop(coroutine: Coroutine[Any, Any, Any]) -> Any:
        import uvloop

        loop = uvloop.new_event_loop()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            loop.close()

    without = pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
    return [
        pytest.param(run_in_asyncio, id="asyncio"),
        pytest.param(run_in_uvloop, id="uvloop", marks=without),
    ]


each_loop = pytest.mark.parametrize("run", loops())
Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Recorder(asyncio.Protocol):
    """Writes down what happens to it."""

    def __init__(self, keeps_open: bool = False) -> None:
        self.happened: list[str] = []
        self.data = b""
        self.keeps_open = keeps_open
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.happened.append("made")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.happened[-1] != "data":
            self.happened.append("data")

    def eof_received(self) -> bool:
        self.happened.append("eof")
        return self.keeps_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.happened.append("lost")
        self.lost.set_result(exc)

    async def until(self, wanted: bytes) -> None:
        async def wait() -> None:
            while wanted not in self.data:
                await asyncio.sleep(0)

        await asyncio.wait_for(wait(), LONG)


async def connect(protocol: Any = Recorder, **options: Any) -> Any:
    _, made = await asyncio.get_running_loop().create_connection(protocol, *ADDRESS, **options)
    return made


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def listening(protocol: Any = Recorder) -> Any:
    made = await connect(protocol)
    made.transport.write(GET_WS)
    await made.until(b'"sid"')
    made.data = b""
    return made
