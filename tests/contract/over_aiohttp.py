"""aiohttp, for HTTP and for WebSockets."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any

import aiohttp

from contract.clients import (
    PATIENCE,
    Answer,
    AsyncClient,
    Closed,
    Failures,
    Files,
    Listener,
    NothingCame,
    answer,
)

MESSAGES = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)


class AiohttpListener(Listener):
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        try:
            message = await self._socket.receive(timeout)
        except asyncio.TimeoutError:
            raise NothingCame from None
        if message.type not in MESSAGES:
            raise Closed(self._socket.close_code)
        data: str | bytes = message.data
        return data

    async def send(self, text: str) -> None:
        await self._socket.send_str(text)

    async def close(self) -> None:
        await self._socket.close()


class AiohttpSession(AsyncClient):
    """The HTTP half."""

    unreachable = (aiohttp.ClientConnectorError,)
    failures = Failures(
        reset=(aiohttp.ClientOSError,),
        hung_up=(aiohttp.ServerDisconnectedError,),
        cut=(aiohttp.ClientPayloadError,),
        times_out=(getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError),),
        left_over=(aiohttp.ClientResponseError,),
    )

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False))

    async def close(self) -> None:
        await self.session.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        files: Files | None = None,
        fields: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        data: Any = _form(files, fields or {}) if files is not None else body and io.BytesIO(body)
        timeout = aiohttp.ClientTimeout(PATIENCE, sock_read=self.patience)
        async with self.session.request(
            method, self.url + path, data=data, timeout=timeout, **options
        ) as response:
            return answer(response.status, response.headers.items(), await response.read())


class Aiohttp(AiohttpSession):
    """Both halves, one session."""

    ws_unreachable = (aiohttp.ClientConnectorError,)
    not_upgraded = (aiohttp.WSServerHandshakeError,)

    async def connect(self, url: str) -> Listener:
        # aiohttp takes the URL of HTTP as well, and that is what most of its users give it.
        url = "http" + url.removeprefix("ws")
        return AiohttpListener(await self.session.ws_connect(url, heartbeat=PATIENCE, autoping=True))


def _form(files: Files, fields: Mapping[str, str]) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    for field, (name, content) in files.items():
        form.add_field(field, content, filename=name, content_type="image/png")
    for field, value in fields.items():
        form.add_field(field, value)
    return form
