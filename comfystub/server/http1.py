"""The server's end of HTTP/1.1 on bytes: what a client sends becomes requests, responses become bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from comfystub.server.http import CLOSE, REASONS, Headers, Response, text_response

#: The largest head of a request, and the longest line between two chunks of a body, in bytes.
LARGEST_HEAD = 64 * 1024
LARGEST_LINE = 8190

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~\w]+) ([!-~\x80-\xff]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~\w]+):[ \t]*([^\0-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?")


class Malformed(Exception):
    """What came is no HTTP."""


class Received(NamedTuple):
    """A whole request, as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class _Head(NamedTuple):
    """What comes before the body; ``length`` is ``None`` for a body in chunks."""

    method: str
    target: str
    headers: dict[str, str]
    length: int | None
    keeps_alive: bool


class Http1:
    """One connection; what is to be sent to the client is added to ``out``."""

    def __init__(self, out: bytearray) -> None:
        #: Whether the server closes the connection now.
        self.over = False
        self._out = out
        self._data = bytearray()
        # The request whose body is still coming, and what came of it in chunks.
        self._head: _Head | None = None
        self._chunks = bytearray()
        self._keeps_alive = True
        self._ended = False

    @property
    def left_over(self) -> bytes:
        """What came after the last request."""
        return bytes(self._data)

    def receive(self, data: bytes) -> Iterator[Received]:
        """The requests that some more bytes complete; ``b""`` says that no more will come.

        Each has to be answered before the next one is asked for.
        """
        self._data += data
        self._ended = not data
        return self.requests()

    def requests(self) -> Iterator[Received]:
        """The requests that are complete and were not asked for yet."""
        try:
            while not self.over and (received := self._next()) is not None:
                yield received
        except Malformed as malformed:
            self._keeps_alive = False
            text = str(malformed)
            self.answer(text_response(text, 400, (("Content-Length", str(len(text))),)))
        self.over = self.over or self._ended

    def answer(self, response: Response, sent: int | None = None) -> None:
        """Send the response to the request that came last, or only so many bytes of its body."""
        status, headers, body = response[:3]
        if not self._keeps_alive and status != 101 and CLOSE not in headers:
            headers = (*headers, CLOSE)
        self.over = CLOSE in headers
        self._out += _head_of(status, headers) + body[:sent]

    def _next(self) -> Received | None:
        head = self._head
        if head is None:
            head = self._head = self._read_head()
        if head is None or (body := self._read_body(head.length)) is None:
            return None
        self._head, self._keeps_alive = None, head.keeps_alive
        path, _, query = head.target.partition("?")
        return Received(head.method, path, query, head.headers, body)

    def _read_head(self) -> _Head | None:
        data = self._data
        while data.startswith(b"\r\n"):  # some clients send a line too much after a body
            del data[:2]
        end = data.find(b"\r\n\r\n")
        if end > LARGEST_HEAD or (end < 0 and (len(data) > LARGEST_HEAD or b"\n\n" in data)):
            raise Malformed("a head that is too long, or does not end as it should")
        if end < 0:
            return None
        head = _parsed(bytes(data[:end]))
        del data[: end + 4]
        if head.headers.get("expect", "").lower() == "100-continue" and not data:
            self._out += b"HTTP/1.1 100 Continue\r\n\r\n"
        return head

    def _read_body(self, length: int | None) -> bytes | None:
        """The body, taken off the data; ``None`` when it is not complete."""
        data = self._data
        if length is not None:
            if len(data) < length:
                return None
            body = bytes(data[:length])
            del data[:length]
            return body
        while (size := self._read_chunk()) is not None:
            if size == 0:
                body, self._chunks = bytes(self._chunks), bytearray()
                return body
        return None

    def _read_chunk(self) -> int | None:
        """Take a chunk off the data; its size, ``None`` when it is not complete."""
        data = self._data
        end = data.find(b"\r\n")
        if end < 0 and len(data) > LARGEST_LINE:
            raise Malformed("a line that is too long between two chunks")
        if end < 0:
            return None
        found = _CHUNK_SIZE.fullmatch(data[:end])
        if found is None:
            raise Malformed("a chunk without a size")
        size, start = int(found[1], 16), end + 2
        if size == 0:
            # What may follow the last chunk are header fields; an empty line ends them.
            end = data.find(b"\r\n\r\n", end)
            if end < 0:
                return None
            del data[: end + 4]
            return 0
        if len(data) < start + size + 2:
            return None
        if data[start + size : start + size + 2] != b"\r\n":
            raise Malformed("a chunk that is longer than it says")
        self._chunks += data[start : start + size]
        del data[: start + size + 2]
        return size


def _head_of(status: int, headers: Headers) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    return "".join([*lines, "\r\n"]).encode()


def _parsed(head: bytes) -> _Head:
    """The head of a request.  Raises ``Malformed`` when it is none."""
    first, *lines = head.split(b"\r\n")
    request = _REQUEST_LINE.fullmatch(first)
    if request is None:
        raise Malformed("no request line")
    headers: dict[str, str] = {}
    lengths = set()
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Malformed("no header field")
        name, value = field[1].decode("latin-1").lower(), field[2].decode("latin-1")
        headers.setdefault(name, value)
        if name == "content-length":
            lengths.add(value)
    connection = headers.get("connection", "").lower()
    keeps_alive = "close" not in connection if request[3] == b"1" else "keep-alive" in connection
    length = _length(lengths, headers.get("transfer-encoding"))
    return _Head(request[1].decode("latin-1"), request[2].decode("latin-1"), headers, length, keeps_alive)


def _length(lengths: set[str], encoding: str | None) -> int | None:
    """How long the body is; ``None`` for one in chunks."""
    if encoding is not None:
        if encoding.lower() != "chunked" or lengths:
            raise Malformed("a body whose length is not clear")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not (length := lengths.pop()).isdecimal() or not length.isascii():
        raise Malformed("a length that is none")
    return int(length)
