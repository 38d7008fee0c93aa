"""What VP9 and AV1 have in common: a frame is a tree of squares, and each goes on as its neighbours do.

A square of one colour needs no details.  Where the square above and the one to the left tell its colour,
no more is written down than that they do; elsewhere, by how much its colour differs from their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from comfystub.media.cells import Grid, Levels

QUANTIZER = 11
"""What both formats call a step of 16, with which a level of `n // 2` is one step of colour in a square of
`n` pixels by `n`."""

_UNIT = 8  # pixels along the side of the smallest square
_TOP = 8  # units along the side of the largest one, with which the tree begins

_GREY = (128, 128, 128)


class Node(NamedTuple):
    """A square in the tree: its side, and its place from the left and from the top, in units of 8 pixels."""

    side: int
    x: int
    y: int
    context: int
    """1 when the square above is smaller, and 2 when the one to the left is; or both."""
    right: bool
    """Whether its right half begins inside the frame."""
    lower: bool
    """Whether its lower half does."""
    whole: bool
    """Whether it stays whole, rather than being divided into four."""


class Writer(Protocol):
    """Writes down, in one of the formats, what the tree and its squares are."""

    def divide(self, node: Node) -> None:
        """Say whether a square stays whole."""

    def predict(self, gradient: bool, above: bool, left: bool) -> None:
        """Say whether a square is what its neighbours make of it, and whether they themselves were."""

    def level(self, plane: int, side: int, level: int, above: Sequence[int], left: Sequence[int]) -> None:
        """Say how one of the planes differs, given the signs of the differences above and to the left.

        Args:
            plane: 0 for luma, 1 and 2 for the differences of colour.
            side: of the square in that plane, in pixels.
            level: the difference, in the units of the format.
            above: -1, 0 or 1 for each unit.
            left: the same.
        """


def side(width: int, height: int) -> int:
    """Return how many pixels the side of a square has, so that there are eight of them each way, or more."""
    shorter = min(width, height)
    return 32 if shorter >= 256 else 16 if shorter >= 128 else _UNIT


def write(grid: Grid, side: int, width: int, height: int, writer: Writer) -> None:
    """Write down a frame, or a tile of it.

    Args:
        grid: what is shown.
        side: of the cells, in pixels: 8, 16 or 32.
        width: in pixels.
        height: in pixels.
        writer: of the format.
    """
    columns, rows, scale = -(-width // _UNIT), -(-height // _UNIT), side // _UNIT
    # What is above and what is to the left: whether it was predicted, and the signs of its differences.
    gradients = [False] * columns, [False] * rows
    signs = [([0] * columns, [0] * rows) for _ in range(3)]
    for node in _tree(columns, rows, scale):
        writer.divide(node)
        if not node.whole:
            continue
        across, down = slice(node.x, node.x + node.side), slice(node.y, node.y + node.side)
        differences = _differences(grid, scale, node.x, node.y)
        writer.predict(differences is None, gradients[0][node.x], gradients[1][node.y])
        gradients[0][across] = gradients[1][down] = [differences is None] * node.side
        for plane, (above, left) in enumerate(signs):
            sign = 0
            if differences is not None:
                length = node.side * (_UNIT if plane == 0 else _UNIT // 2)
                level = differences[plane] * length // 2
                writer.level(plane, length, level, above[across], left[down])
                sign = (level > 0) - (level < 0)
            above[across] = left[down] = [sign] * node.side


def _differences(grid: Grid, scale: int, x: int, y: int) -> Levels | None:
    """Return how a square differs from the mean of its neighbours; None when it follows from them.

    It does when the corner between them has the colour of one, for then it has the colour of the other:
    both VP9's TM and AV1's Paeth predict that.
    """
    row, column = y // scale, x // scale
    color = grid[row][column]
    above = grid[(y - 1) // scale][column] if y else None
    left = grid[row][(x - 1) // scale] if x else None
    if above is None or left is None:
        expected = above or left
        mean = expected or _GREY
    else:
        corner = grid[(y - 1) // scale][(x - 1) // scale]
        expected = left if above == corner else above if left == corner else None
        mean = _mean(above, left)
    if color == expected:
        return None
    return color[0] - mean[0], color[1] - mean[1], color[2] - mean[2]


def _mean(one: Levels, other: Levels) -> Levels:
    return (one[0] + other[0] + 1) >> 1, (one[1] + other[1] + 1) >> 1, (one[2] + other[2] + 1) >> 1


@lru_cache(maxsize=16)
def _tree(columns: int, rows: int, largest: int) -> Sequence[Node]:
    """Return the squares of a frame in the order in which they are written.

    A square that lies across the edge of the frame is divided, and so is one larger than `largest`.
    """
    nodes: list[Node] = []
    above, left = [_TOP] * columns, [_TOP] * rows

    def visit(side: int, x: int, y: int) -> None:
        if x >= columns or y >= rows:
            return
        half = side // 2
        whole = side <= largest and x + side <= columns and y + side <= rows
        context = (above[x] < side) + 2 * (left[y] < side)
        nodes.append(Node(side, x, y, context, x + half < columns, y + half < rows, whole))
        if whole:
            above[x : x + side] = left[y : y + side] = [side] * side
            return
        for down in (0, half):
            for across in (0, half):
                visit(half, x + across, y + down)

    for y in range(0, rows, _TOP):
        for x in range(0, columns, _TOP):
            visit(_TOP, x, y)
    return nodes
