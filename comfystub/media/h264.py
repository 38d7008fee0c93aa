"""H.264 video of pictures made of cells, without an encoder: Pillow has none, and PyAV is no dependency.

A macroblock of 16 by 16 pixels is predicted to go on as the one to its left, or above it, and what is
written down is by how much its colour differs: for most of them nothing, and they take one byte.  A frame
that equals the one before it is a P slice that skips every macroblock.
"""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import isqrt

from comfystub.media.bits import fixed, packed, se, ue
from comfystub.media.cells import Grid, Levels

SIDE = 16  # pixels of a macroblock

_PROFILE = 66  # Baseline ...
_CONSTRAINTS = 0b11000000  # ... and constrained: a part of Main as well

_LEVELS = (
    (10, 1485, 99),
    (11, 3000, 396),
    (12, 6000, 396),
    (13, 11880, 396),
    (21, 19800, 792),
    (22, 20250, 1620),
    (30, 40500, 1620),
    (31, 108000, 3600),
    (32, 216000, 5120),
    (40, 245760, 8192),
    (42, 522240, 8704),
    (50, 589824, 22080),
    (51, 983040, 36864),
    (52, 2073600, 36864),
    (60, 4177920, 139264),
    (61, 8355840, 139264),
    (62, 16711680, 139264),
)
"""Level, and how many macroblocks a second and a frame may have in it."""

# With these a level in the bitstream is one step of colour, for luma and for both differences of colour.
_QUANTIZER = 28
_CHROMA_OFFSET = -6

_IDR, _P = 0x65, 0x41  # the bytes that NAL units with reference pictures begin with
_SPS, _PPS = b"\x67", b"\x68"
_SKIPPED, _INTRA = 5, 7  # slice types, of which all slices of the picture are
_FRAME_NUMBER_BITS = 4

_VERTICAL, _HORIZONTAL, _FLAT = 0, 1, 2  # how a macroblock is predicted
_CHROMA_MODES = (ue(2), ue(1), ue(0))  # the same for its differences of colour
_LIKE_ABOVE, _LIKE_LEFT = "01001111", "01101011"
_GREY = (128, 128, 128)  # what is predicted where there is nothing on the left and nothing above

_FORBIDDEN = re.compile(b"\0\0(?=[\0-\3])")


class Encoder:
    """Writes the frames of one video, as MP4 has them: NAL units behind their length in four bytes.

    Args:
        width: in pixels, even.
        height: in pixels, even.
        rate: frames per second.
    """

    def __init__(self, width: int, height: int, rate: Fraction) -> None:
        columns, rows = -(-width // SIDE), -(-height // SIDE)
        self._macroblocks = columns * rows
        level = _level(columns, rows, rate)
        self.configuration = _configuration(
            _SPS + _payload(_sequence_parameters(width, height, rate, level)),
            _PPS + _payload(_picture_parameters()),
        )
        """What a decoder has to see first, as avcC boxes have it."""
        self._number = 0  # of the frame, counted from the last one that needs no other
        self._odd = False

    def frame(self, grid: Grid) -> bytes:
        """Return a frame that shows cells of 16 pixels."""
        self._number = 0
        self._odd = not self._odd  # neighbours among such frames have to differ in their id
        header = _slice_header(_INTRA, 0) + ue(int(self._odd)) + "00"
        return _unit(_IDR, header + _END_OF_HEADER + _macroblocks(grid))

    def same(self) -> bytes:
        """Return a frame that shows what the one before it shows."""
        self._number = (self._number + 1) % (1 << _FRAME_NUMBER_BITS)
        header = _slice_header(_SKIPPED, self._number) + "000"
        return _unit(_P, header + _END_OF_HEADER + ue(self._macroblocks))


# Parameter sets and headers


def _configuration(sequence: bytes, picture: bytes) -> bytes:
    profile = sequence[1:4]
    sets = (
        b"\xe1" + len(sequence).to_bytes(2, "big"),
        sequence,
        b"\1" + len(picture).to_bytes(2, "big"),
        picture,
    )
    return b"\1" + profile + b"\xff" + b"".join(sets)


def _level(columns: int, rows: int, rate: Fraction) -> int:
    macroblocks = columns * rows
    for level, a_second, a_frame in _LEVELS:
        fits = macroblocks <= a_frame and macroblocks * rate <= a_second
        if fits and max(columns, rows) <= isqrt(8 * a_frame):
            return level
    return _LEVELS[-1][0]


def _sequence_parameters(width: int, height: int, rate: Fraction, level: int) -> str:
    right, bottom = -width % SIDE // 2, -height % SIDE // 2
    return "".join(
        (
            fixed(_PROFILE, 8) + fixed(_CONSTRAINTS, 8) + fixed(level, 8) + ue(0),
            ue(_FRAME_NUMBER_BITS - 4),
            ue(2),  # frames are shown in the order in which they come
            ue(1) + "0",  # one reference frame
            ue((width + right * 2) // SIDE - 1) + ue((height + bottom * 2) // SIDE - 1),
            "11",  # frames, not fields
            "1" + ue(0) + ue(right) + ue(0) + ue(bottom),  # cropping, in pairs of pixels
            "1" + _usability(rate),
        )
    )


def _usability(rate: Fraction) -> str:
    """Return how the samples are to be seen: their range and colours, and when."""
    colors = fixed(6, 8)  # SMPTE 170M, for the primaries, the transfer and the matrix: BT.601
    return "".join(
        (
            "00",
            "1" + fixed(5, 3) + "0" + "1" + colors * 3,  # limited range
            "0",
            "1" + fixed(rate.denominator, 32) + fixed(rate.numerator * 2, 32) + "1",  # counted in fields
            "000",
            "1" + "1" + ue(0) + ue(0) + ue(0) + ue(0) + ue(0) + ue(1),  # no frame is held back
        )
    )


def _picture_parameters() -> str:
    return "".join(
        (
            ue(0) + ue(0),
            "00" + ue(0),  # CAVLC
            ue(0) + ue(0) + "000",
            se(_QUANTIZER - 26) + se(0) + se(_CHROMA_OFFSET),
            "1" + "00",  # slices say whether they are deblocked
        )
    )


def _slice_header(kind: int, number: int) -> str:
    return ue(0) + ue(kind) + ue(0) + fixed(number, _FRAME_NUMBER_BITS)


_END_OF_HEADER = se(0) + ue(1)  # the quantizer of the parameter set, and no deblocking: edges stay sharp


def _unit(kind: int, bits: str) -> bytes:
    payload = _payload(bits)
    return struct.pack(">IB", 1 + len(payload), kind) + payload


def _payload(bits: str) -> bytes:
    """Return bits as the bytes of a NAL unit, in which nothing looks like the start of one."""
    return _FORBIDDEN.sub(b"\0\0\3", packed(bits + "1"))


# Macroblocks


def _macroblocks(grid: Grid) -> str:
    bits = []
    above: list[Levels] = []
    for row in grid:
        bits.append(_LIKE_ABOVE * len(row) if row == above else _row(row, above))
        above = row
    return "".join(bits)


def _row(row: list[Levels], above: list[Levels]) -> str:
    """Return the bits of a row that differs from the one above it; the first row has none above."""
    first = row[0]
    bits = [_macroblock(_VERTICAL, first, above[0]) if above else _macroblock(_FLAT, first, _GREY)]
    for before, levels in pairwise(row):
        bits.append(_LIKE_LEFT if levels == before else _macroblock(_HORIZONTAL, levels, before))
    return "".join(bits)


def _macroblock(mode: int, levels: Levels, predicted: Levels) -> str:
    """Return the bits of an Intra_16x16 macroblock whose only frequency is 0."""
    luma, blue, red = levels[0] - predicted[0], levels[1] - predicted[1], levels[2] - predicted[2]
    chroma = _chroma(blue) + _chroma(red) if blue or red else ""
    return ue(1 + mode + (4 if chroma else 0)) + _CHROMA_MODES[mode] + "1" + _luma(luma) + chroma


@lru_cache(maxsize=1024)
def _luma(level: int) -> str:
    if level == 0:
        return "1"
    return ("01" if abs(level) == 1 else "000101") + _coefficient(level) + "1"


@lru_cache(maxsize=1024)
def _chroma(level: int) -> str:
    if level == 0:
        return "01"
    return ("1" if abs(level) == 1 else "000111") + _coefficient(level) + "1"


def _coefficient(level: int) -> str:
    """Return the level of a block's only frequency: the sign of a one, or a code for larger levels."""
    negative = level < 0
    if abs(level) == 1:
        return str(int(negative))
    code = 2 * abs(level) - 4 + negative
    if code < 14:
        return "0" * code + "1"
    if code < 30:
        return "0" * 14 + "1" + fixed(code - 14, 4)
    return "0" * 15 + "1" + fixed(code - 30, 12)
