"""JPEG files of mosaics, as Pillow reads them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from comfystub.media import jpeg

COLOR = st.binary(min_size=3, max_size=3)


def opened(colors: Sequence[Sequence[bytes]], width: int, height: int) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg.mosaic(colors, width, height)))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


@given(data=st.data(), columns=st.integers(1, 9), rows=st.integers(1, 9), block=st.integers(1, 3))
def test_every_cell_has_its_colour(data: st.DataObject, columns: int, rows: int, block: int) -> None:
    row = st.lists(COLOR, min_size=columns, max_size=columns)
    colors = data.draw(st.lists(row, min_size=rows, max_size=rows))
    side = 8 * block
    image = opened(colors, side * columns, side * rows)
    assert image.size == (side * columns, side * rows)
    for y, line in enumerate(colors):
        for x, color in enumerate(line):
            for edge in (0, side - 1):
                seen = image.getpixel((side * x + edge, side * y + edge))
                assert all(abs(a - b) <= 3 for a, b in zip(seen, color)), (x, y)


@given(width=st.integers(1, 600), height=st.integers(1, 600))
def test_it_has_any_size(width: int, height: int) -> None:
    red, blue = b"\xff\0\0", b"\0\0\xff"
    image = opened([[red, blue], [blue, red]], width, height)
    assert image.size == (width, height)
    assert image.getpixel((width - 1, height - 1))[0] > 250


@pytest.mark.parametrize("color", [b"\0\0\0", b"\xff\xff\xff", b"\xff\0\0", b"\0\xff\0", b"\0\0\xff"])
def test_colours_at_the_edge_of_what_there_is(color: bytes) -> None:
    inverse = bytes(255 - byte for byte in color)
    image = opened([[color, inverse] * 4, [inverse, color] * 4], 64, 16)
    assert all(abs(a - b) <= 3 for a, b in zip(image.getpixel((4, 4)), color))
    assert all(abs(a - b) <= 3 for a, b in zip(image.getpixel((60, 4)), inverse))
