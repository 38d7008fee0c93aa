"""PNG files with 16 bits to a sample, which Pillow does not write in colour."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from comfystub.media.png import SIGNATURE, Texts, with_texts

if TYPE_CHECKING:
    from PIL.Image import Image

_COLOR_TYPES = {"RGB": 2, "RGBA": 6}


def encode(image: Image, texts: Texts = ()) -> bytes:
    """Return an image as a PNG file with 16 bits to a sample.

    Args:
        image: a Pillow image in mode RGB or RGBA.
        texts: keywords and texts, kept as text chunks.
    """
    samples = image.tobytes()
    deep = bytearray(2 * len(samples))
    # A sample times 257: white stays white.
    deep[::2] = deep[1::2] = samples
    stride = len(deep) // image.height
    lines = (b"\0" + deep[start : start + stride] for start in range(0, len(deep), stride))
    header = struct.pack(">IIBBBBB", *image.size, 16, _COLOR_TYPES[image.mode], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(lines), 1)), (b"IEND", b""))
    return with_texts(SIGNATURE + b"".join(_chunk(kind + body) for kind, body in chunks), texts)


def _chunk(named: bytes) -> bytes:
    return struct.pack(">I", len(named) - 4) + named + struct.pack(">I", zlib.crc32(named))
