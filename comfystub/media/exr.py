"""OpenEXR files, which Pillow does not write."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_MAGIC, _VERSION = 20000630, 2
_FLOAT = 2  # the type of samples


def encode(image: Image, linear: bool = False) -> bytes:
    """Return an image as an OpenEXR file: RGB, 32-bit floats, a block for each line, uncompressed.

    Args:
        image: a Pillow image; its transparency is left out.
        linear: whether its samples stand for amounts of light, as those of an OpenEXR file do; others are
            taken for sRGB and converted.
    """
    width, height = image.size
    header = _header(width, height)
    block_size = 8 + 12 * width
    first = len(header) + 8 * height
    offsets = struct.pack(f"<{height}Q", *range(first, first + height * block_size, block_size))
    blue, green, red = (_floats(band.tobytes(), linear) for band in reversed(image.convert("RGB").split()))
    blocks: list[bytes] = []
    for y in range(height):
        line = slice(4 * width * y, 4 * width * (y + 1))
        blocks += struct.pack("<iI", y, 12 * width), blue[line], green[line], red[line]
    return header + offsets + b"".join(blocks)


def _header(width: int, height: int) -> bytes:
    channels = b"".join(name + struct.pack("<xiIii", _FLOAT, 0, 1, 1) for name in (b"B", b"G", b"R")) + b"\0"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = (
        (b"channels", b"chlist", channels),
        (b"compression", b"compression", b"\0"),
        (b"dataWindow", b"box2i", window),
        (b"displayWindow", b"box2i", window),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1)),
        (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1)),
    )
    written = (
        b"%b\0%b\0%b" % (name, kind, struct.pack("<I", len(data))) + data for name, kind, data in attributes
    )
    return struct.pack("<II", _MAGIC, _VERSION) + b"".join(written) + b"\0"


def _floats(samples: bytes, linear: bool) -> bytes:
    """Return 8-bit samples as floats, made byte by byte: each has a table that maps a sample to it."""
    values = [sample / 255 for sample in range(256)]
    table = struct.pack("<256f", *(values if linear else map(_light, values)))
    floats = bytearray(4 * len(samples))
    for place in range(4):
        floats[place::4] = samples.translate(table[place::4])
    return bytes(floats)


def _light(value: float) -> float:
    """Return the amount of light that an sRGB value stands for, both 0 to 1."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
