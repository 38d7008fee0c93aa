"""Pictures as encoders of video see them: a grid of cells, each of one colour.

The encoders here write no details, only what colour each block of pixels has.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from comfystub.media.pictures import Picture, Tiled
from comfystub.media.png import Colors

Levels = tuple[int, int, int]
"""Luma and both differences of colour by BT.601, in the limited range: 16 to 235, and 16 to 240."""

Grid = list[list[Levels]]
"""Rows of cells from top to bottom, each from left to right."""

_MATRIX = (
    (0.256788, 0.504129, 0.097906, 16.0),
    (-0.148223, -0.290993, 0.439216, 128.0),
    (0.439216, -0.367788, -0.071427, 128.0),
)


def grid(picture: Picture, side: int, width: int, height: int) -> Grid:
    """Return the colours of a picture's cells.

    Args:
        picture: what is shown.
        side: of a cell, in pixels.
        width: of the video, in pixels; it may be one less than the picture's.
        height: of the video, in pixels.
    """
    columns, rows = -(-width // side), -(-height // side)
    if isinstance(picture, Tiled):
        return _of_tiles(picture.tiles(), picture.size, side, columns, rows)
    return _of_pixels(picture, side, columns, rows)


def _of_tiles(tiles: Colors, size: tuple[int, int], side: int, columns: int, rows: int) -> Grid:
    """Return the cells of a mosaic, each in the colour of the tile at its centre."""
    lines: Grid = []
    for row, repeats in groupby(_indices(rows, side, len(tiles), size[1])):
        colors = tiles[row]
        line = [_levels(colors[column]) for column in _indices(columns, side, len(colors), size[0])]
        lines += [line] * sum(1 for _ in repeats)
    return lines


@lru_cache(maxsize=64)
def _indices(cells: int, side: int, tiles: int, size: int) -> Sequence[int]:
    """Return which of the tiles along a side the centre of each cell lies in."""
    return [min((2 * cell + 1) * side * tiles // (2 * size), tiles - 1) for cell in range(cells)]


def _of_pixels(picture: Picture, side: int, columns: int, rows: int) -> Grid:
    """Return the cells of a picture, each in the mean colour of its pixels."""
    small = picture.pixels().reduce(side).convert("RGB").convert("RGB", sum(_MATRIX, ()))
    bands = [band.tobytes() for band in small.split()]
    cells = list(zip(*bands))
    return [cells[start : start + columns] for start in range(0, rows * small.width, small.width)]


@lru_cache(maxsize=1024)
def _levels(color: bytes) -> Levels:
    red, green, blue = color
    luma, to_blue, to_red = (round(r * red + g * green + b * blue + offset) for r, g, b, offset in _MATRIX)
    return luma, to_blue, to_red
