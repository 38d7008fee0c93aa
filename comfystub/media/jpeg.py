"""JPEG files of mosaics, without Pillow.

A JPEG is made of blocks of 8 by 8 pixels.  A block of one colour needs none of what makes the format
elaborate: its frequencies are all zero, and the colour itself is written down as the difference from the
block before it.  Within a cell of a mosaic that is zero as well, and so a block takes six bits.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import pairwise

from comfystub.media.png import Colors, spans

_SIDE = 8  # pixels of a block
_SIX_ZEROS = (
    "000000"  # a block like the one before it: no difference and no frequencies, in each of Y, Cb, Cr
)

Levels = tuple[int, int, int]
"""Luma and both differences of colour, 128 taken off each."""


def mosaic(colors: Colors, width: int, height: int) -> bytes:
    """Return a JPEG file that shows a grid of coloured cells, their edges moved to those of blocks.

    Args:
        colors: the rows of cells, each a sequence of 3-byte RGB colours from left to right.
        width: in pixels, 1 to 65535.
        height: in pixels, 1 to 65535.
    """
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    return b"".join(
        (_BEFORE_SIZE, _segment(0xC0, frame), _AFTER_SIZE, _scan(colors, width, height), b"\xff\xd9")
    )


def _scan(colors: Colors, width: int, height: int) -> bytes:
    """Return the blocks from left to right and from top to bottom."""
    bits: list[str] = []
    before: Levels = (0, 0, 0)
    across, down = (-(-size // _SIDE) for size in (width, height))
    for row, lines in zip(colors, spans(down, len(colors))):
        if lines:
            runs = [(_levels(color), run) for color, run in zip(row, spans(across, len(row))) if run]
            first, rest = runs[0][0], _rest(runs)
            bits += _block(first, before), rest
            before = runs[-1][0]
            bits.append((_block(first, before) + rest) * (lines - 1))
    bits.append("1" * (-sum(map(len, bits)) % 8))
    text = "".join(bits)
    # A byte of ones begins a marker, unless a zero follows it.
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")


def _rest(runs: list[tuple[Levels, int]]) -> str:
    """Return the bits of a line of blocks without its first one."""
    bits = [_SIX_ZEROS * (runs[0][1] - 1)]
    for (before, _), (levels, run) in pairwise(runs):
        bits += _block(levels, before), _SIX_ZEROS * (run - 1)
    return "".join(bits)


def _block(levels: Levels, before: Levels) -> str:
    """Return the bits of a block: how it differs from the one before it, and that it has no frequencies."""
    (luma, blue, red), (last_luma, last_blue, last_red) = levels, before
    return _part(luma - last_luma) + _part(blue - last_blue) + _part(red - last_red)


@lru_cache(maxsize=1024)
def _part(difference: int) -> str:
    if difference == 0:
        return "00"
    size = abs(difference).bit_length()
    # one's complement for what is negative
    value = difference if difference > 0 else difference + (1 << size) - 1
    return f"1{size - 1:04b}{value:0{size}b}0"


@lru_cache(maxsize=1024)
def _levels(color: bytes) -> Levels:
    red, green, blue = color
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(luma - 128), round((blue - luma) * 0.564), round((red - luma) * 0.713)


def _segment(kind: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, 2 + len(data)) + data


# A level is an eighth of its block's coefficient, so with eights in the table of divisors it is written
# as it is.  Of the codes for differences, 0 is the one of size 0, and 10000 to 11000 are those of the sizes
# 1 to 9; among the frequencies there is nothing to say but that there are none.
_BEFORE_SIZE = (
    b"\xff\xd8" + _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0") + _segment(0xDB, b"\0" + b"\x08" * 64)
)
_AFTER_SIZE = (
    _segment(0xC4, b"\0" + bytes((1, 0, 0, 0, 9)) + bytes(11) + bytes(range(10)))
    + _segment(0xC4, b"\x10" + bytes((1,)) + bytes(15) + b"\0")
    + _segment(0xDA, b"\3\1\0\2\0\3\0\0\x3f\0")
)
