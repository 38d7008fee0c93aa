"""No client library at all: HTTP/1.1 and RFC 6455 by hand, over a socket or over anyio."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import struct
from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc

from contract.clients import (
    PATIENCE,
    Answer,
    AsyncClient,
    Closed,
    Failures,
    Listener,
    NothingCame,
    SyncClient,
    answer,
    trusting,
)
from contract.http_clients import Encoding

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
CHUNK = 0x10000

#: What means that the connection is gone.
LOST = (Closed, OSError, anyio.BrokenResourceError)


class NotUpgraded(Exception):
    """The server did not take the handshake."""


class Stream(ABC):
    """A connection, and what was received and not taken yet."""

    def __init__(self) -> None:
        self._data = bytearray()

    async def take(self, size: int, timeout: float = PATIENCE) -> bytes:
        """That many bytes; none is taken as long as they are not all there."""
        await self._fill(lambda: len(self._data) >= size, timeout)
        return self._cut(size)

    async def take_line_of(self, mark: bytes, timeout: float) -> bytes:
        """All up to a mark, which is taken too."""
        await self._fill(lambda: mark in self._data, timeout)
        return self._cut(self._data.index(mark) + len(mark))

    async def peek(self, size: int, timeout: float) -> bytes:
        await self._fill(lambda: len(self._data) >= size, timeout)
        return bytes(self._data[:size])

    async def _fill(self, enough: Any, timeout: float) -> None:
        while not enough():
            data = await self.receive(timeout)
            if not data:
                raise Closed
            self._data += data

    def _cut(self, size: int) -> bytes:
        data = bytes(self._data[:size])
        del self._data[:size]
        return data

    @abstractmethod
    async def receive(self, timeout: float) -> bytes: ...

    @abstractmethod
    async def send(self, data: bytes) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...


class SocketStream(Stream):
    def __init__(self, host: str, port: int, tls: bool) -> None:
        super().__init__()
        sock = socket.create_connection((host, port), PATIENCE)
        self._socket = trusting().wrap_socket(sock, server_hostname=host) if tls else sock

    async def receive(self, timeout: float) -> bytes:
        self._socket.settimeout(timeout)
        try:
            return self._socket.recv(CHUNK)
        except TimeoutError:
            raise NothingCame from None

    async def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    async def close(self) -> None:
        self._socket.close()


class AnyioStream(Stream):
    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        super().__init__()
        self._stream = stream

    async def receive(self, timeout: float) -> bytes:
        try:
            with anyio.fail_after(timeout):
                return await self._stream.receive(CHUNK)
        except TimeoutError:
            raise NothingCame from None
        except anyio.EndOfStream:
            return b""

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)

    async def close(self) -> None:
        await self._stream.aclose()


class FrameListener(Listener):
    """WebSocket frames, as RFC 6455 has them."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._closed = False

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        while True:
            try:
                opcode, payload = await self._frame(timeout)
            except LOST:
                raise Closed from None
            if opcode == TEXT:
                return payload.decode()
            if opcode == BINARY:
                return payload
            if opcode == CLOSE:
                raise Closed(int.from_bytes(payload[:2], "big") or None)
            assert opcode == PING, f"a frame with opcode {opcode}"

    async def _frame(self, timeout: float) -> tuple[int, bytes]:
        """The next frame; it is left where it is as long as it is not complete."""
        first, second = await self._stream.peek(2, timeout)
        assert first & 0xF0 == 0x80, "a frame that is not whole"
        assert second < 0x80, "a server masks nothing"
        extra = {126: 2, 127: 8}.get(second, 0)
        head = await self._stream.peek(2 + extra, timeout)
        size = int.from_bytes(head[2:], "big") if extra else second
        frame = await self._stream.take(2 + extra + size, timeout)
        return first & 0x0F, frame[2 + extra :]

    async def send(self, text: str) -> None:
        await self._send(TEXT, text.encode())

    async def _send(self, opcode: int, payload: bytes) -> None:
        assert len(payload) < 126
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        await self._stream.send(struct.pack("!BB", 0x80 | opcode, 0x80 | len(payload)) + mask + masked)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            try:
                await self._send(CLOSE, struct.pack("!H", 1000))
            except LOST:
                """The server's end is gone already."""
            await self._stream.close()


class ByHand(Encoding):
    """Requests over a connection that is kept; WebSockets over one each."""

    not_upgraded = (NotUpgraded,)

    def __init__(self, url: str) -> None:
        super().__init__(url)
        # Those that are not in use.
        self._kept: dict[str, Stream] = {}

    async def dial(self, host: str, port: int, tls: bool) -> Stream:
        raise NotImplementedError

    async def _dial(self, url: str) -> Stream:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        return await self.dial(parts.hostname, parts.port, parts.scheme in ("https", "wss"))

    async def close(self) -> None:
        for stream in self._kept.values():
            await stream.close()

    async def put(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        url = self.url
        request = (method, url + target, {**headers, "Content-Length": str(len(body or b""))}, body)
        kept = self._kept.pop(url, None)
        stream = kept or await self._dial(url)
        try:
            found = await self._ask(stream, *request)
        except Exception as error:
            await stream.close()
            if kept is None or not isinstance(error, LOST):
                raise
            # The server may have closed it since.
            stream = await self._dial(url)
            found = await self._ask(stream, *request)
        if self._kept.setdefault(url, stream) is not stream:
            await stream.close()
        return found

    async def _ask(
        self, stream: Stream, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Answer:
        await self._send_head(stream, method, url, headers, body or b"")
        status, found = await self._head(stream, self.patience)
        body = await stream.take(int(found.get("content-length", 0)))
        return answer(status, found.items(), body)

    async def _send_head(
        self, stream: Stream, method: str, url: str, headers: dict[str, str], body: bytes = b""
    ) -> None:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        await stream.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def _head(self, stream: Stream, timeout: float = PATIENCE) -> tuple[int, dict[str, str]]:
        first, *lines = (await stream.take_line_of(b"\r\n\r\n", timeout)).decode("latin-1").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version in ("HTTP/1.1", "HTTP/1.0")
        pairs = (line.split(": ", 1) for line in lines if line)
        return int(status), {name.lower(): value for name, value in pairs}

    async def connect(self, url: str) -> Listener:
        stream = await self._dial(url)
        try:
            await self._shake_hands(stream, url)
        except BaseException:
            await stream.close()
            raise
        return FrameListener(stream)

    async def _shake_hands(self, stream: Stream, url: str) -> None:
        key = base64.b64encode(os.urandom(16))
        asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        await self._send_head(stream, "GET", url, {**asked, "Sec-WebSocket-Key": key.decode()})
        status, headers = await self._head(stream)
        if status != 101:
            raise NotUpgraded(status)
        assert headers["sec-websocket-accept"] == base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()


class RawSocket(ByHand, SyncClient):
    unreachable = ws_unreachable = (ConnectionRefusedError,)
    failures = Failures(
        reset=(ConnectionResetError,), hung_up=(Closed,), cut=(Closed,), times_out=(NothingCame,)
    )

    async def dial(self, host: str, port: int, tls: bool) -> Stream:
        return SocketStream(host, port, tls)


class Anyio(ByHand, AsyncClient):
    unreachable = ws_unreachable = (OSError,)
    failures = Failures(
        reset=(anyio.BrokenResourceError,), hung_up=(Closed,), cut=(Closed,), times_out=(NothingCame,)
    )

    async def dial(self, host: str, port: int, tls: bool) -> Stream:
        options: dict[str, Any] = {"ssl_context": trusting(), "tls_standard_compatible": False} if tls else {}
        return AnyioStream(await anyio.connect_tcp(host, port, tls=tls, **options))
