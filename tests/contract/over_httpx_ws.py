"""Listeners of httpx-ws, which live on the connections of an httpx client."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from typing import Any

import httpx
import httpx_ws
import httpx_ws._api

from contract.clients import PATIENCE, AsyncClient, Closed, Listener, NothingCame, SyncClient

LOST = (httpx_ws.WebSocketDisconnect, httpx_ws.WebSocketNetworkError)

#: Before 0.7.2, a session that comes to the end of its connection goes on reading, and reads nothing.
NOTICES_THE_END = hasattr(httpx_ws._api, "EndOfStream")


def content(event: Any) -> str | bytes:
    return event.data if isinstance(event.data, str) else bytes(event.data)


def code_of(error: Exception) -> int | None:
    return error.code if isinstance(error, httpx_ws.WebSocketDisconnect) else None


class SyncListener(Listener):
    """A sync session, which reads ahead in threads of its own."""

    def __init__(self, url: str, client: httpx.Client) -> None:
        self._open = contextlib.ExitStack()
        self._session = self._open.enter_context(httpx_ws.connect_ws(url, client))

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        try:
            return content(self._session.receive(timeout))
        except queue.Empty:
            raise NothingCame from None
        except LOST as error:
            raise Closed(code_of(error)) from None

    async def send(self, text: str) -> None:
        self._session.send_text(text)

    async def close(self) -> None:
        self._open.close()


class AsyncListener(Listener):
    """An async session, in a task of its own: in one task, the newest has to be left first."""

    def __init__(self) -> None:
        self._leave = asyncio.Event()

    async def start(self, url: str, client: httpx.AsyncClient) -> AsyncListener:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()
        self._task = loop.create_task(self._stay(url, client, opened))
        self._session = await opened
        return self

    async def _stay(self, url: str, client: httpx.AsyncClient, opened: asyncio.Future[Any]) -> None:
        try:
            async with httpx_ws.aconnect_ws(url, client) as session:
                opened.set_result(session)
                await self._leave.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        try:
            return content(await self._session.receive(timeout))
        except (asyncio.TimeoutError, TimeoutError):
            raise NothingCame from None
        except LOST as error:
            raise Closed(code_of(error)) from None

    async def send(self, text: str) -> None:
        await self._session.send_text(text)

    async def close(self) -> None:
        self._leave.set()
        await self._task


class OverSync(SyncClient):
    """A client whose WebSockets are those of httpx-ws."""

    ws_unreachable = (httpx.ConnectError,)
    not_upgraded = (httpx_ws.WebSocketUpgradeError,)
    notices_the_end = NOTICES_THE_END
    session: httpx.Client

    async def connect(self, url: str) -> Listener:
        return SyncListener(url, self.session)


class OverAsyncio(AsyncClient):
    """An async client whose WebSockets are those of httpx-ws."""

    ws_unreachable = (httpx.ConnectError,)
    not_upgraded = (httpx_ws.WebSocketUpgradeError,)
    notices_the_end = NOTICES_THE_END
    session: httpx.AsyncClient

    async def connect(self, url: str) -> Listener:
        return await AsyncListener().start("http" + url.removeprefix("ws"), self.session)
