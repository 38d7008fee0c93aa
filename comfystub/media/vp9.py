"""VP9 video of pictures made of cells, without an encoder: Pillow has none, and PyAV is no dependency.

Every frame is a key frame.  Its probabilities are those that the format begins with, and here stand the
few of them that come up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from comfystub.media import blocks
from comfystub.media.arithmetic import Bit, BitCoder
from comfystub.media.bits import fixed, packed
from comfystub.media.blocks import Node
from comfystub.media.cells import Grid

_SYNC = 0x498342
_BT_601 = 1
_TILE = 64  # pixels: tiles end where squares of this size do
_WIDEST, _NARROWEST = 64, 4  # how many of these there are in a tile, at most and at least

_EVEN = 128
_NO_UPDATE = (0, 252)

_DIVISION = {
    1: ((158, 97, 94),),
    2: ((149, 53, 53), (94, 20, 48), (83, 53, 24), (52, 18, 18)),
    4: ((150, 40, 39), (78, 12, 26), (67, 33, 11), (24, 7, 5)),
    8: ((174, 35, 49), (68, 11, 27), (57, 15, 9), (12, 3, 3)),
}
"""By side in units, and context."""

_SKIP = (192, 128, 64)  # by how many neighbours have no levels
_LUMA_MODE = (((137, 30), (59, 67)), ((65, 70), (43, 81)))  # by the modes above and to the left
_CHROMA_MODE = ((144, 11), (102, 19))  # by the mode of the luma

_LEVEL = {
    (False, 8): ((125, 34, 187), (52, 41, 133), (6, 31, 56)),
    (False, 16): ((7, 27, 153), (5, 30, 95), (1, 16, 30)),
    (False, 32): ((17, 38, 140), (7, 34, 80), (1, 17, 29)),
    (True, 4): ((214, 49, 220), (132, 63, 188), (42, 65, 137)),
    (True, 8): ((212, 35, 215), (113, 47, 169), (29, 48, 105)),
    (True, 16): ((211, 29, 217), (96, 47, 156), (22, 43, 87)),
}
"""By whether it is chroma, the side in pixels, and how many neighbours have a level: that there is none,
that it is 0, that it is 1."""

_NO_OTHER = {
    (False, 8): (23, 8, 1, 1),
    (False, 16): (27, 10, 1, 1),
    (False, 32): (26, 12, 2, 1),
    (True, 4): (49, 21, 2, 1),
    (True, 8): (49, 19, 4, 1),
    (True, 16): (46, 15, 2, 1),
}
"""The same for what follows, and by how large the level was: that there is none."""

_LARGE = {
    29: (76, 97, 136, 123, 107, 227, 159, 228),
    30: (78, 97, 136, 126, 108, 229, 160, 229),
    56: (128, 108, 145, 181, 127, 249, 198, 245),
    80: (164, 119, 153, 211, 143, 253, 217, 249),
    87: (173, 123, 155, 217, 148, 254, 222, 250),
    95: (183, 127, 158, 222, 153, 254, 226, 251),
    105: (193, 133, 162, 228, 160, 255, 230, 252),
    133: (216, 148, 173, 240, 176, 255, 238, 253),
    137: (219, 150, 174, 241, 179, 255, 239, 253),
    140: (221, 152, 175, 242, 180, 255, 240, 253),
    153: (229, 160, 181, 245, 187, 255, 242, 253),
    156: (230, 162, 182, 246, 188, 255, 243, 253),
    169: (236, 170, 188, 248, 195, 255, 245, 253),
    187: (243, 182, 197, 251, 204, 255, 247, 254),
    188: (243, 183, 197, 251, 204, 255, 247, 254),
    215: (250, 203, 212, 253, 216, 255, 249, 254),
    217: (251, 204, 213, 253, 217, 255, 250, 254),
    220: (251, 206, 215, 254, 218, 255, 250, 254),
}
"""By the probability that a level is 1: how large it is, when it is larger."""

_CLASSES = (
    (
        67,
        ((0, 1), (3, 1), (5, 1), (7, 1)),
        3,
        (254, 254, 254, 252, 249, 243, 230, 196, 177, 153, 140, 133, 130, 129),
    ),
    (35, ((0, 1), (3, 1), (5, 1), (7, 0)), 3, (180, 157, 141, 134, 130)),
    (19, ((0, 1), (3, 1), (5, 0), (6, 1)), 3, (176, 155, 140, 135)),
    (11, ((0, 1), (3, 1), (5, 0), (6, 0)), 3, (173, 148, 140)),
    (7, ((0, 1), (3, 0), (4, 1)), 2, (165, 145)),
    (5, ((0, 1), (3, 0), (4, 0)), 2, (159,)),
    (4, ((0, 0), (1, 1), (2, 1)), 1, ()),
    (3, ((0, 0), (1, 1), (2, 0)), 1, ()),
    (2, ((0, 0), (1, 0)), 0, ()),
)
"""The smallest level of a class, which of the probabilities above lead to it, how large it counts as, and
the probabilities of the bits that tell it from the others of the class."""


class Encoder:
    """Writes the frames of one video.

    Args:
        width: in pixels, at most 65536.
        height: in pixels, at most 65536.
    """

    configuration = b""
    """What a decoder has to see first: nothing."""

    def __init__(self, width: int, height: int) -> None:
        self._height = height
        columns = -(-width // _TILE)
        tiles_log2 = 0
        while _WIDEST << tiles_log2 < columns:
            tiles_log2 += 1
        starts = [(number * columns >> tiles_log2) * _TILE for number in range(1 << tiles_log2)]
        self._edges = [*starts, width]
        compressed = _compressed_header()
        bits = (
            "10" + "00" + "0",
            "011",  # a key frame, shown, whose probabilities are forgotten after it
            fixed(_SYNC, 24) + fixed(_BT_601, 3) + "0",
            fixed(width - 1, 16) + fixed(height - 1, 16) + "0",
            "00",
            fixed(0, 6) + fixed(0, 3) + "0",  # no loop filter: edges stay sharp
            fixed(blocks.QUANTIZER, 8) + "000",
            "0",  # no segments
            "0" if columns >> tiles_log2 >= 2 * _NARROWEST else "",  # tiles could be half as wide
            "0",
            fixed(len(compressed), 16),
        )
        self._header = packed("".join(bits)) + compressed

    def frame(self, grid: Grid, side: int) -> bytes:
        """Return a frame that shows cells whose side is 8, 16 or 32 pixels."""
        tiles = [self._tile(grid, side, left, right) for left, right in pairwise(self._edges)]
        sized = [len(tile).to_bytes(4, "big") + tile for tile in tiles[:-1]]
        return b"".join((self._header, *sized, tiles[-1]))

    def _tile(self, grid: Grid, side: int, left: int, right: int) -> bytes:
        """Return a part of a frame; nothing in it depends on what lies outside."""
        writer = _Writer()
        part = [row[left // side : -(-right // side)] for row in grid]
        blocks.write(part, side, right - left, self._height, writer)
        return writer.finish()


def _compressed_header() -> bytes:
    coder = BitCoder()
    coder.write((int(bit), _EVEN) for bit in "110" + "0000")  # the largest transforms that fit
    coder.write((_NO_UPDATE,) * len(_SKIP))
    return coder.finish()


class _Writer(BitCoder):
    """Writes a tile."""

    def divide(self, node: Node) -> None:
        stays, across, down = _DIVISION[node.side][node.context]
        if node.whole:
            self.write(((0, stays),))
        elif node.right and node.lower:
            self.write(((1, stays), (1, across), (1, down)))
        elif node.right:
            self.write(((1, across),))
        elif node.lower:
            self.write(((1, down),))

    def predict(self, gradient: bool, above: bool, left: bool) -> None:
        skip = (int(gradient), _SKIP[above + left])
        self.write(
            (skip, *_mode(gradient, _LUMA_MODE[above][left]), *_mode(gradient, _CHROMA_MODE[gradient]))
        )

    def level(self, plane: int, side: int, level: int, above: Sequence[int], left: Sequence[int]) -> None:
        self.write(_bits_of_level(plane > 0, side, level, any(above) + any(left)))


def _mode(gradient: bool, probabilities: tuple[int, int]) -> tuple[Bit, ...]:
    """Return the bits of one of two modes: DC, the mean of the neighbours, or TM, their gradient."""
    mean, rest = probabilities
    return ((1, mean), (0, rest)) if gradient else ((0, mean),)


@lru_cache(maxsize=4096)
def _bits_of_level(chroma: bool, side: int, level: int, neighbours: int) -> tuple[Bit, ...]:
    """Return the bits of a level, which is even, and of there being no other."""
    none, zero, one = _LEVEL[chroma, side][neighbours]
    if level == 0:
        return ((0, none),)
    size = abs(level)
    smallest, path, counted, others = next(entry for entry in _CLASSES if size >= entry[0])
    bits = [(1, none), (1, zero), (1, one)]
    bits += [(bit, _LARGE[one][node]) for node, bit in path]
    bits += [(size - smallest >> place & 1, p) for place, p in zip(range(len(others) - 1, -1, -1), others)]
    return (*bits, (int(level < 0), _EVEN), (0, _NO_OTHER[chroma, side][counted]))
