"""EBML, of which Matroska and WebM files are made: elements, each an id, a length and what is in it."""

from __future__ import annotations

import struct


def element(id: int, *parts: bytes) -> bytes:
    """Return an element that holds parts, one after the other."""
    body = b"".join(parts)
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + _length(len(body)) + body


def unsigned(id: int, value: int) -> bytes:
    """Return an element that is a number of zero or more."""
    return element(id, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def real(id: int, value: float) -> bytes:
    """Return an element that is a floating-point number."""
    return element(id, struct.pack(">d", value))


def text(id: int, value: str) -> bytes:
    """Return an element that is a text."""
    return element(id, value.encode())


def _length(value: int) -> bytes:
    """Return a length in as few bytes as it takes; all ones would say that it is not known."""
    size = 1
    while value >= (1 << 7 * size) - 1:
        size += 1
    return (1 << 7 * size | value).to_bytes(size, "big")
