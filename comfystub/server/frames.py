"""WebSocket frames (RFC 6455) as a server writes and reads them; without I/O, and without extensions."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

#: Codes that say why a connection is closed.
NORMAL, PROTOCOL_ERROR, NOT_UTF8, TOO_BIG = 1000, 1002, 1007, 1009

#: The largest message that the server takes from a client, in bytes.
LARGEST_MESSAGE = 4 << 20

_FINAL, _RESERVED, _MASKED = 0x80, 0x70, 0x80


class Violation(Exception):
    """The client broke the protocol; ``code`` is what its connection is closed with."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Message(NamedTuple):
    """A whole message, or a control frame."""

    opcode: int
    payload: bytes


def frame(opcode: int, payload: bytes) -> bytes:
    """The frame that carries a whole message."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", _FINAL | opcode, size) + payload
    if size < 0x10000:
        return struct.pack("!BBH", _FINAL | opcode, 126, size) + payload
    return struct.pack("!BBQ", _FINAL | opcode, 127, size) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


class Reader:
    """Puts a client's frames together to messages."""

    def __init__(self) -> None:
        self._data = bytearray()
        # The message whose frames are still coming: its opcode and what came so far.
        self._opcode = CONTINUATION
        self._parts = bytearray()

    def read(self, data: bytes) -> Iterator[Message]:
        """The messages that some more bytes complete.

        Raises ``Violation`` where they are none.
        """
        self._data += data
        while (found := self._frame()) is not None:
            final, opcode, payload = found
            if opcode >= CLOSE:
                yield Message(opcode, payload)
            elif (message := self._join(final, opcode, payload)) is not None:
                yield message

    def _frame(self) -> tuple[bool, int, bytes] | None:
        """The first frame, taken off the data; ``None`` when it is not complete."""
        data = self._data
        if len(data) < 2:
            return None
        final, opcode, masked, size = data[0] & _FINAL, data[0] & 0x0F, data[1] & _MASKED, data[1] & 0x7F
        _check_head(data[0] & _RESERVED, bool(final), opcode, masked, size)
        start = 2 if size < 126 else 4 if size == 126 else 10
        if len(data) < start + 4:
            return None
        if size >= 126:
            size = int.from_bytes(data[2:start], "big")
        if opcode < CLOSE and size + len(self._parts) > LARGEST_MESSAGE:
            raise Violation(TOO_BIG, f"a message of more than {LARGEST_MESSAGE} bytes")
        end = start + 4 + size
        if len(data) < end:
            return None
        payload = _unmasked(bytes(data[start + 4 : end]), bytes(data[start : start + 4]))
        del data[:end]
        return bool(final), opcode, payload

    def _join(self, final: bool, opcode: int, payload: bytes) -> Message | None:
        """A data frame added to those before it; the message, when it was the last."""
        if (opcode == CONTINUATION) != (self._opcode != CONTINUATION):
            raise Violation(PROTOCOL_ERROR, "a message inside another, or a continuation of none")
        self._opcode = opcode or self._opcode
        self._parts += payload
        if not final:
            return None
        message = Message(self._opcode, bytes(self._parts))
        self._opcode, self._parts = CONTINUATION, bytearray()
        return message


def _check_head(reserved: int, final: bool, opcode: int, masked: int, size: int) -> None:
    if reserved or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        raise Violation(PROTOCOL_ERROR, "a frame of a kind that nobody agreed on")
    if not masked:
        raise Violation(PROTOCOL_ERROR, "a client's frame without a mask")
    if opcode >= CLOSE and not (final and size < 126):
        raise Violation(PROTOCOL_ERROR, "a control frame that is long or in parts")


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    stream = mask * (size // 4 + 1)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream[:size], "big")).to_bytes(size, "big")


def close_code(payload: bytes) -> int | None:
    """The code of a close frame, ``None`` for one without.

    Raises ``Violation`` for a frame that is none.
    """
    if not payload:
        return None
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (1000 <= code < 5000) or code in (1004, 1005, 1006, 1015):
        raise Violation(PROTOCOL_ERROR, "a close frame without a proper code")
    text(payload[2:])
    return code


def text(payload: bytes) -> str:
    """A message's text.  Raises ``Violation`` where it is none."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Violation(NOT_UTF8, "a text that is not UTF-8") from None
