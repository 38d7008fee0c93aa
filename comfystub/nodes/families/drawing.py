"""What is drawn in the browser: boxes and curves, and the histogram that stands behind a curve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from comfystub.media.edits import Size
from comfystub.media.pictures import Picture, Pixels, Solid
from comfystub.nodes.families.boxes import Area, framed
from comfystub.nodes.families.saving import save
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.values import Images
from comfystub.nodes.writing import temp_prefix

#: What the coordinates of an element are parts of.
WHOLE = 1000
#: The colour of a canvas without a background, and of the boxes on it.
CANVAS, OUTLINE = 0x202020, "#4a9eff"
#: How red, green and blue count for luminance (ITU-R BT.709).
LUMINANCE = (0.2126, 0.7152, 0.0722, 0)


def bounding_box(run: Invocation) -> Result:
    """PrimitiveBoundingBox."""
    return Result((Area.of(run.inputs)._asdict(),))


def bounding_boxes(run: Invocation) -> Result:
    """CreateBoundingBoxes: the boxes drawn, in pixels and as elements of a prompt; it shows them as well."""
    size = max(1, run.value("width", 1024)), max(1, run.value("height", 1024))
    # What came over a link stands there until something is drawn.
    [boxes] = framed(run.inputs.get("editor_state") or run.inputs.get("bboxes"), 1)
    areas = [Area.of(box) for box in boxes]
    elements = [_element(box, area, size) for box, area in zip(boxes, areas)]
    preview = Images([_drawn(run, areas, size)])
    shown = save(run._replace(inputs={"images": preview}), "temp", temp_prefix(run)).ui
    return Result((preview, [area._asdict() for area in areas], elements), shown)


def _element(box: Mapping[str, Any], area: Area, size: Size) -> dict[str, Any]:
    """A box as Ideogram takes it: its edges from the top and the left, in thousandths."""
    left, top, right, bottom = area.corners
    edges = (top, size[1]), (left, size[0]), (bottom, size[1]), (right, size[0])
    known = {"type": box.get("type") or "obj", "bbox": [round(WHOLE * at / side) for at, side in edges]}
    said = {"text": box.get("text"), "desc": box.get("desc"), "color_palette": box.get("palette")}
    return known | {name: value for name, value in said.items() if value}


def _drawn(run: Invocation, areas: Iterable[Area], size: Size) -> Picture:
    from PIL import ImageDraw

    behind = run.inputs.get("background")
    canvas = behind[0] if isinstance(behind, Images) and behind else Solid(CANVAS, *size)
    image = canvas.resized(size).pixels().convert("RGB")
    draw = ImageDraw.Draw(image)
    for area in areas:
        draw.rectangle(area.within(size), outline=OUTLINE, width=max(1, size[0] // 256))
    return Pixels(image)


def curve(run: Invocation) -> Result:
    """CurveEditor: the curve as it is; it shows the histogram that it is drawn over."""
    behind = run.inputs.get("histogram")
    return Result((run.inputs.get("curve"),), None if behind is None else {"histogram": [behind]})


def histogram(run: Invocation) -> Result:
    """ImageHistogram: how many pixels of the first picture have each of the 256 values."""
    image = run.images()[0].pixels().convert("RGB")
    red, green, blue = (band.histogram() for band in image.split())
    together = [sum(counts) // 3 for counts in zip(red, green, blue)]
    return Result((together, image.convert("L", LUMINANCE).histogram(), red, green, blue))


BEHAVIOURS = {
    "CreateBoundingBoxes": bounding_boxes,
    "CurveEditor": curve,
    "ImageHistogram": histogram,
    "PrimitiveBoundingBox": bounding_box,
}
