"""The box that every 3D file shows: its proportions and the colours of its corners tell digests apart."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import NamedTuple

from comfystub.media.pictures import Mosaic

Point = tuple[float, float, float]

_GRAIN = 4096  # steps to a unit: every format, the one with 12 bits after the point too, holds them exactly

#: The corners of each side, counterclockwise as seen from outside.
QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))

#: The same sides, as two triangles each.
TRIANGLES = tuple(triangle for a, b, c, d in QUADS for triangle in ((a, b, c), (a, c, d)))


class Box(NamedTuple):
    """A box around the origin, 0.5 to 2.5 units long, high and wide."""

    name: str
    """Hexadecimal digits that no other digest has: for formats with a place for them."""

    half: Point
    """Half of its size along x, y and z."""

    colors: list[bytes]
    """The colours of its corners, three bytes each: red, green and blue."""

    @property
    def corners(self) -> list[Point]:
        """Where its eight corners are, those with the smaller x first, then y, then z."""
        x, y, z = self.half
        return list(product((-x, x), (-y, y), (-z, z)))


def of(digest: bytes) -> Box:
    """Return the box of a digest; its colours are those at the left edge of the digest's mosaic."""
    noise = hashlib.blake2b(digest, digest_size=16).digest()
    x, y, z = (0.25 + int.from_bytes(noise[at : at + 2], "big") % _GRAIN / _GRAIN for at in range(0, 6, 2))
    return Box(noise.hex(), (x, y, z), [row[0] for row in Mosaic(digest, 1, 8).tiles()])
