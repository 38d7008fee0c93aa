"""AV1 video of pictures made of cells, without an encoder: Pillow has none, and PyAV is no dependency.

Every frame is a key frame.  Its probabilities are those that the format begins with, for a quantizer as
small as ours, and here stand the few of them that come up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from comfystub.media import blocks
from comfystub.media.arithmetic import Cdf, Symbol, SymbolCoder
from comfystub.media.bits import fixed, packed, ue
from comfystub.media.blocks import Node
from comfystub.media.cells import Grid

_SEQUENCE_HEADER, _FRAME = 1, 6  # kinds of OBU

_LEVELS = (
    (0, 147456, 4423680),
    (1, 278784, 8363520),
    (4, 665856, 19975680),
    (5, 1065024, 31950720),
    (8, 2359296, 70778880),
    (9, 2359296, 141557760),
    (12, 8912896, 267386880),
    (13, 8912896, 534773760),
    (14, 8912896, 1069547520),
    (17, 35651584, 2139095040),
    (18, 35651584, 4278190080),
)
"""Level, and how many pixels a frame and a second may have in it."""
_NO_LEVEL = 31
_FIRST_WITH_TIER = 8

_TILE = 64  # pixels: tiles end where squares of this size do
_WIDEST = 64  # how many of these there are next to each other in a tile, at most
_LARGEST = 64 * 36  # and altogether
_MOST = 64  # tiles next to each other, or on top of each other
_SIZE = 4  # bytes that tell how long a tile is

_DIVISION = {
    1: ((19132, 25510, 30392),),
    2: (
        (15597, 20929, 24571, 26706, 27664, 28821, 29601, 30571, 31902),
        (7925, 11043, 16785, 22470, 23971, 25043, 26651, 28701, 29834),
        (5414, 13269, 15111, 20488, 22360, 24500, 25537, 26336, 32117),
        (2662, 6362, 8614, 20860, 23053, 24778, 26436, 27829, 31171),
    ),
    4: (
        (18462, 20920, 23124, 27647, 28227, 29049, 29519, 30178, 31544),
        (7689, 9060, 12056, 24992, 25660, 26182, 26951, 28041, 29052),
        (6015, 9009, 10062, 24544, 25409, 26545, 27071, 27526, 32047),
        (1394, 2208, 2796, 28614, 29061, 29466, 29840, 30185, 31899),
    ),
    8: (
        (20137, 21547, 23078, 29566, 29837, 30261, 30524, 30892, 31724),
        (6732, 7490, 9497, 27944, 28250, 28515, 28969, 29630, 30104),
        (5945, 7663, 8348, 28683, 29117, 29749, 30064, 30298, 32238),
        (870, 1212, 1487, 31198, 31394, 31574, 31743, 31881, 32332),
    ),
}
"""By side in units, and context."""
_WHOLE, _SPLIT = 0, 3
_CUT_UPPER_HALF = (2, 3, 4, 6, 7, 9)  # the divisions that do so, from top to bottom
_CUT_LEFT_HALF = (1, 3, 4, 5, 6, 8)  # and from left to right

_EVEN: Cdf = (16384,)
_SKIP: Sequence[Cdf] = ((31671,), (16515,), (4576,))  # by how many neighbours have no levels
_LUMA_MODE: Cdf = (15588, 17027, 19338, 20218, 20682, 21110, 21825, 23244, 24189, 28165, 29093, 30466)
_MEAN, _GRADIENT = 0, 12
_CHROMA_MODE: dict[int, Cdf] = {
    _MEAN: (10407, 11208, 12900, 13181, 13823, 14175, 14899, 15656, 15986, 20086, 20995, 22455, 24212),
    _GRADIENT: (3144, 5087, 7382, 7504, 7593, 7690, 7801, 8064, 8232, 9248, 9875, 10521, 29048),
}
"""By the mode of the luma."""

_TRANSFORM: dict[int, Cdf] = {8: (6554, 13107, 19661, 26214), 16: (1127, 12814, 22772, 27483)}
"""By side; there is but one transform for larger ones."""
_COSINES = 1


class _Coefficients(NamedTuple):
    """How likely it is what the levels of a square are."""

    none: Sequence[Cdf]
    """That there are none, by how many neighbours have some: for luma it does not depend on them."""
    last: Cdf
    """Where the last one is."""
    small: Cdf
    """How large the last one is, at the first place: 1, 2, or more."""
    more: Cdf
    """How much larger: by 0, 1, 2, or more."""


_LEVEL = {
    (False, 8): _Coefficients(
        ((31548,),) * 3, (329, 498, 1101, 1784, 3265, 7758), (5717, 26477), (14406, 20862, 24414)
    ),
    (False, 16): _Coefficients(
        ((29957,),) * 3,
        (310, 584, 1887, 3589, 6168, 8611, 11352, 15652),
        (1786, 12612),
        (10563, 16233, 19763),
    ),
    (False, 32): _Coefficients(
        ((17920,),) * 3,
        (393, 421, 751, 1623, 3160, 6352, 13345, 18047, 22571, 25830),
        (1787, 2532),
        (2331, 3662, 5244),
    ),
    (True, 4): _Coefficients(
        ((7654,), (19473,), (29984,)), (3247, 4950, 9688, 14563), (21365, 30026), (15967, 22905, 26286)
    ),
    (True, 8): _Coefficients(
        ((5403,), (18096,), (30003,)),
        (3505, 5304, 10086, 13814, 17684, 23370),
        (12608, 27820),
        (15460, 21696, 25469),
    ),
    (True, 16): _Coefficients(
        ((3778,), (15336,), (28981,)),
        (2520, 3240, 5952, 8870, 12577, 17558, 19954, 24168),
        (18857, 23865),
        (10870, 16684, 20949),
    ),
}
"""By whether it is chroma, and the side in pixels."""

_SIGN: Sequence[Sequence[Cdf]] = (
    ((16000,), (13056,), (18816,)),
    ((15232,), (12928,), (17280,)),
)
"""By whether it is chroma, and which sign most neighbours have: none, minus, plus."""
_TOLD = (3, 6, 9, 12)  # the levels from which on it is told how much larger one is
_GOLOMB = 15  # and the level from which on there is a code behind the sign


class Encoder:
    """Writes the frames of one video.

    Args:
        width: in pixels, at most 65536.
        height: in pixels, at most 65536.
        rate: frames per second.
    """

    def __init__(self, width: int, height: int, rate: Fraction) -> None:
        level = _level(width * height, rate)
        self._sequence = _sequence_header(width, height, level)
        self.configuration = bytes((0x81, level, 0b00001100, 0)) + self._sequence
        """What a decoder has to see first, as av1C boxes have it."""
        tiling, self._columns, self._rows = _tiling(width, height)
        bits = (
            "0" + "00" + "1",  # a key frame, shown
            "1",  # probabilities stay as they are
            "00",  # as large as all of them
            tiling,
            fixed(blocks.QUANTIZER, 8) + "0000",
            "00",  # no segments, and no other quantizers
            fixed(0, 12) + fixed(0, 3) + "0",  # no loop filter: edges stay sharp
            "01",  # the largest transforms that fit, of few kinds
        )
        self._header = packed("".join(bits))

    def frame(self, grid: Grid, side: int) -> bytes:
        """Return a frame that shows cells whose side is 8, 16 or 32 pixels."""
        tiles = [
            _tile(grid, side, left, right, top, bottom)
            for top, bottom in pairwise(self._rows)
            for left, right in pairwise(self._columns)
        ]
        sized = [(len(tile) - 1).to_bytes(_SIZE, "little") + tile for tile in tiles[:-1]]
        here = b"\0" if sized else b""  # all tiles
        return self._sequence + _obu(_FRAME, b"".join((self._header, here, *sized, tiles[-1])))


# Headers


def _level(pixels: int, rate: Fraction) -> int:
    for level, a_frame, a_second in _LEVELS:
        if pixels <= a_frame and pixels * rate <= a_second:
            return level
    return _NO_LEVEL


def _obu(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    length = b""
    while size > 0x7F:
        length += bytes((size & 0x7F | 0x80,))
        size >>= 7
    return bytes((kind << 3 | 2,)) + length + bytes((size,)) + payload


def _sequence_header(width: int, height: int, level: int) -> bytes:
    bits = (
        "000" + "00" + "00",
        fixed(0, 5) + fixed(0, 12) + fixed(level, 5),
        "0" if level >= _FIRST_WITH_TIER else "",
        fixed(15, 4) * 2 + fixed(width - 1, 16) + fixed(height - 1, 16),
        "0" * 9,  # none of the tools
        "00",  # nor those for the content of screens
        "000",
        "00" + "1" + fixed(6, 8) * 3 + "0",  # BT.601, in the limited range
        "00" + "0" + "0",
        "1",
    )
    return _obu(_SEQUENCE_HEADER, packed("".join(bits)))


def _tiling(width: int, height: int) -> tuple[str, list[int], list[int]]:
    """Return how a frame is said to be divided into tiles, as few as may be, and where they end."""
    columns, rows = -(-width // _TILE), -(-height // _TILE)
    columns_log2 = _log2(columns / _WIDEST)
    rows_log2 = max(_log2(columns * rows / _LARGEST), columns_log2) - columns_log2
    bits = "1"
    for log2, squares in ((columns_log2, columns), (rows_log2, rows)):
        bits += "0" if log2 < _log2(min(squares, _MOST)) else ""
    if columns_log2 or rows_log2:
        bits += fixed(0, columns_log2 + rows_log2) + fixed(_SIZE - 1, 2)
    return bits, _edges(width, columns, columns_log2), _edges(height, rows, rows_log2)


def _log2(value: float) -> int:
    """Return how often 1 has to be doubled to get that far."""
    return (math.ceil(value) - 1).bit_length()


def _edges(size: int, squares: int, log2: int) -> list[int]:
    step = -(-squares >> log2) * _TILE
    return [*range(0, size, step), size]


# Tiles


def _tile(grid: Grid, side: int, left: int, right: int, top: int, bottom: int) -> bytes:
    """Return a part of a frame; nothing in it depends on what lies outside."""
    writer = _Writer()
    part = [row[left // side : -(-right // side)] for row in grid[top // side : -(-bottom // side)]]
    blocks.write(part, side, right - left, bottom - top, writer)
    return writer.finish()


class _Writer(SymbolCoder):
    """Writes a tile."""

    def divide(self, node: Node) -> None:
        division = _DIVISION[node.side][node.context]
        if node.right and node.lower:
            self.write(((division, _WHOLE if node.whole else _SPLIT),))
        elif node.right:
            self.write(((_either(division, _CUT_UPPER_HALF), 1),))
        elif node.lower:
            self.write(((_either(division, _CUT_LEFT_HALF), 1),))

    def predict(self, gradient: bool, above: bool, left: bool) -> None:
        mode = _GRADIENT if gradient else _MEAN
        self.write(((_SKIP[above + left], int(gradient)), (_LUMA_MODE, mode), (_CHROMA_MODE[mode], mode)))

    def level(self, plane: int, side: int, level: int, above: Sequence[int], left: Sequence[int]) -> None:
        balance = sum(above) + sum(left)
        sign = 1 if balance < 0 else 2 if balance > 0 else 0
        self.write(_symbols_of_level(plane > 0, side, level, any(above) + any(left), sign))


@lru_cache(maxsize=64)
def _either(division: Cdf, of: Sequence[int]) -> Cdf:
    """Return how likely it is that a square is divided in none of some ways."""
    edges = (0, *division, 0x8000)
    return (0x8000 - sum(edges[way + 1] - edges[way] for way in of),)


@lru_cache(maxsize=4096)
def _symbols_of_level(chroma: bool, side: int, level: int, neighbours: int, sign: int) -> tuple[Symbol, ...]:
    """Return the symbols of a square's only level, which is even."""
    likely = _LEVEL[chroma, side]
    if level == 0:
        return ((likely.none[neighbours], 1),)
    symbols: list[Symbol] = [(likely.none[neighbours], 0)]
    if not chroma and side in _TRANSFORM:
        symbols.append((_TRANSFORM[side], _COSINES))
    size = abs(level)
    symbols += (likely.last, 0), (likely.small, min(size, 3) - 1)
    symbols += [(likely.more, min(size - told, 3)) for told in _TOLD if size >= told]
    symbols.append((_SIGN[chroma][sign], int(level < 0)))
    if size >= _GOLOMB:
        symbols += [(_EVEN, int(bit)) for bit in ue(size - _GOLOMB)]
    return tuple(symbols)
