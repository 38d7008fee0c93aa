"""Drawings, as SVG."""

from __future__ import annotations

from itertools import accumulate

from comfystub.media import png
from comfystub.media.pictures import Mosaic


def mosaic(digest: bytes, width: int, height: int) -> str:
    """Return an SVG document that shows the mosaic of a digest, as `pictures.Mosaic` does.

    Args:
        digest: bytes of any length that stand for all that the drawing is made from.
        width: in pixels, at least 1.
        height: in pixels, at least 1.

    Raises:
        ValueError: a side is below 1.
    """
    rows = Mosaic(digest, width, height).tiles()
    rectangles = [
        f'<rect x="{x}" y="{y}" width="{across}" height="{down}" fill="#{color.hex()}"/>\n'
        for row, (y, down) in zip(rows, _stretches(height, len(rows)))
        for color, (x, across) in zip(row, _stretches(width, len(row)))
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" shape-rendering="crispEdges">\n{"".join(rectangles)}</svg>\n'
    )


def _stretches(size: int, parts: int) -> list[tuple[int, int]]:
    """Return where each part of a side starts, and how long it is."""
    lengths = png.spans(size, parts)
    return list(zip(accumulate(lengths, initial=0), lengths))
