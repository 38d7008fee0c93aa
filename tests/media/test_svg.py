"""SVG documents, painted rectangle by rectangle."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from PIL import Image

from comfystub.media import svg
from comfystub.media.pictures import Mosaic

SVG = "{http://www.w3.org/2000/svg}"
SIZES = [(1, 1), (3, 1), (2, 9), (7, 5), (8, 8), (64, 48), (509, 333)]


def painted(text: str) -> Image.Image:
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    size = int(root.attrib["width"]), int(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {size[0]} {size[1]}"
    image = Image.new("RGB", size, "magenta")
    for item in root:
        assert item.tag == f"{SVG}rect"
        x, y, width, height = (int(item.attrib[name]) for name in ("x", "y", "width", "height"))
        assert width > 0 and height > 0
        image.paste(item.attrib["fill"], (x, y, x + width, y + height))
    return image


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_shows_the_mosaic_of_the_digest(size: tuple[int, int]) -> None:
    image = painted(svg.mosaic(b"a red fox", *size))
    assert image.size == size
    assert image.tobytes() == Mosaic(b"a red fox", *size).pixels().tobytes()


def test_tells_digests_apart() -> None:
    texts = [svg.mosaic(b"%d" % number, 64, 64) for number in range(100)]
    assert len(set(texts)) == 100
    assert texts == [svg.mosaic(b"%d" % number, 64, 64) for number in range(100)]


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (-1, 8)], ids=str)
def test_refuses_a_drawing_without_extent(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        svg.mosaic(b"", *size)
