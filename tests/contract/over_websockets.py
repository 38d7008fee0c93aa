"""Listeners of websockets: its sync client, that of asyncio, and the one that was there before."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from typing import Any

import websockets.exceptions
import websockets.sync.client

from contract.clients import (
    PATIENCE,
    AsyncClient,
    Closed,
    Listener,
    NothingCame,
    SyncClient,
    in_time,
    trusting,
)

try:
    import websockets.asyncio.client as current
except ImportError:  # before websockets 13
    current = None
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import websockets.legacy.client as legacy
except ImportError:
    legacy = None

#: The sync client's name for what the others have always called ``ssl``.
SYNC_SSL = next(
    n for n in ("ssl", "ssl_context") if n in inspect.signature(websockets.sync.client.connect).parameters
)


def tls(url: str, name: str = "ssl") -> dict[str, Any]:
    return {name: trusting()} if url.startswith("wss:") else {}


def code_of(error: websockets.exceptions.ConnectionClosed) -> int | None:
    return None if error.rcvd is None else error.rcvd.code


class SyncListener(Listener):
    """``websockets.sync.client``, which reads ahead in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._open = contextlib.ExitStack()
        # Before 13.0, one that has not read all waits in vain, as long as this, for the server's goodbye.
        connection = websockets.sync.client.connect(url, close_timeout=0.5, **tls(url, SYNC_SSL))
        self._socket = self._open.enter_context(connection)

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        try:
            return self._socket.recv(timeout)
        except TimeoutError:
            raise NothingCame from None
        except websockets.exceptions.ConnectionClosed as error:
            raise Closed(code_of(error)) from None

    async def send(self, text: str) -> None:
        self._socket.send(text)

    async def close(self) -> None:
        self._open.close()


class AsyncListener(Listener):
    """``websockets.asyncio.client``, or ``websockets.legacy.client``."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        try:
            return await in_time(self._socket.recv(), timeout)
        except websockets.exceptions.ConnectionClosed as error:
            raise Closed(code_of(error)) from None

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    async def close(self) -> None:
        await self._socket.close()


class OverSync(SyncClient):
    """A client whose WebSockets are those of ``websockets.sync``."""

    ws_unreachable = (ConnectionRefusedError,)
    not_upgraded = (websockets.exceptions.InvalidStatus,)

    async def connect(self, url: str) -> Listener:
        return SyncListener(url)


class OverAsyncio(AsyncClient):
    """A client whose WebSockets are those of ``websockets.asyncio``."""

    ws_unreachable = (OSError,)
    not_upgraded = (websockets.exceptions.InvalidStatus,)

    async def connect(self, url: str) -> Listener:
        return AsyncListener(await current.connect(url, **tls(url)))


class OverLegacy(AsyncClient):
    """A client whose WebSockets are those of ``websockets.legacy``."""

    ws_unreachable = (OSError,)
    not_upgraded = (websockets.exceptions.InvalidHandshake,)

    async def connect(self, url: str) -> Listener:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return AsyncListener(await legacy.connect(url, **tls(url)))
