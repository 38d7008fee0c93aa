"""Layers, ComfyUI's ``LAYERS``: pictures with a place each, and the picture they make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.media.blends import blend
from comfystub.media.edits import Edited, Size, alpha, cropped, levels, rgb, scaled
from comfystub.media.pictures import Picture
from comfystub.nodes.families.boxes import Area, aligned
from comfystub.nodes.families.saving import shown
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Masks

if TYPE_CHECKING:
    from PIL.Image import Image

#: The most layers that ComfyUI puts together.
MOST_LAYERS = 50
#: What the edges of an element of a prompt are parts of.
ELEMENT_WHOLE = 1000


class Layer(NamedTuple):
    """A picture and its place, in pixels.  ``mask`` is white where it is seen through."""

    picture: Picture
    area: Area
    mask: Picture | None = None
    opacity: float = 1.0
    mode: str = "normal"
    rotation: float = 0.0
    flips: tuple[bool, bool] = (False, False)
    z_index: int = 0


class Layers(NamedTuple):
    """A stack of layers, and the size of what they lie on, where somebody has said one."""

    items: tuple[Layer, ...] = ()
    canvas: Size | None = None

    @property
    def size(self) -> Size:
        """The size of what they make: as far as they reach."""
        areas = [layer.area for layer in self.items]
        right, bottom = (max(1, *ends) for ends in zip((1, 1), *(area.corners[2:] for area in areas)))
        return self.canvas or (right, bottom)


def _stack(run: Invocation) -> Layers:
    given = run.inputs.get("layers")
    return given if isinstance(given, Layers) else Layers()


def _mask(run: Invocation, number: int) -> Picture | None:
    """The mask of one of a batch of pictures."""
    given = run.inputs.get("mask")
    return given[number % len(given)] if isinstance(given, Masks) and given else None


def add(run: Invocation) -> Result:
    """AddLayer: one layer for each picture of the batch."""
    stack = _stack(run)
    place = run.value("x", 0), run.value("y", 0)
    made = [
        Layer(
            picture,
            Area(*place, run.value("width", 0) or picture.width, run.value("height", 0) or picture.height),
            _mask(run, number),
            min(1.0, max(0.0, run.value("opacity", 1.0))),
            run.value("blend_mode", "normal"),
            run.value("rotation", 0.0),
            (bool(run.inputs.get("flip_h")), bool(run.inputs.get("flip_v"))),
            run.value("z_index", 0),
        )
        for number, picture in enumerate(run.images())
    ]
    return Result((stack._replace(items=(*stack.items, *made)),))


def from_boxes(run: Invocation) -> Result:
    """LayersFromBoundingBoxes: each picture where its box says, above all that is there."""
    stack, images = _stack(run), run.images()
    canvas = run.value("canvas_width", 0), run.value("canvas_height", 0)
    top = max((layer.z_index + 1 for layer in stack.items), default=0)
    crops = bool(run.inputs.get("crop_to_content", True))
    boxes = aligned(run.inputs.get("bboxes"), len(images))
    made = [
        _placed(picture, _mask(run, number), box, canvas, crops)
        for number, (picture, box) in enumerate(zip(images, boxes))
    ]
    raised = (layer._replace(z_index=layer.z_index + top) for layer in made)
    return Result((Layers((*stack.items, *raised), canvas if all(canvas) else stack.canvas),))


def _placed(
    picture: Picture, mask: Picture | None, box: Mapping[str, Any], canvas: Size, crops: bool
) -> Layer:
    """A picture where a box says; what it says of the picture's content may cut it to that."""
    area, said = _area(box, canvas), box.get("metadata")
    told: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    z_index, content = told.get("z_index"), told.get("content_rect")
    if crops and isinstance(content, Mapping):
        inner = Area.of(content).within(picture.size)
        mask = mask and cropped(scaled(mask, picture.size, "BILINEAR"), inner)
        picture = cropped(picture, inner)
        area = Area(area.x + inner[0], area.y + inner[1], *picture.size)
    whole = area._replace(width=area.width or picture.width, height=area.height or picture.height)
    return Layer(picture, whole, mask, z_index=z_index if isinstance(z_index, int) else 0)


def _area(box: Mapping[str, Any], canvas: Size) -> Area:
    """A box in pixels; that of an element has its edges from the top and the left, as parts of the canvas."""
    edges = box.get("bbox")
    if not isinstance(edges, Sequence) or len(edges) != 4:
        return Area.of(box)
    width, height = canvas
    sides = zip(edges, (height, width, height, width))
    top, left, bottom, right = (round(float(edge) * side / ELEMENT_WHOLE) for edge, side in sides)
    return Area(left, top, right - left, bottom - top)


# --- the picture


def compose(run: Invocation) -> Result:
    """ImageCompositor: the layers from the lowest to the highest; it shows the result."""
    stack = _stack(run)
    if len(stack.items) > MOST_LAYERS:
        raise ValueError(f"The layer stack has {len(stack.items)} layers, the maximum is {MOST_LAYERS}.")
    ordered = sorted(stack.items, key=lambda layer: layer.z_index)

    def flat() -> Image:
        from PIL import Image

        canvas = Image.new("RGBA", stack.size)
        for layer in ordered:
            canvas = _laid(layer, canvas)
        return canvas

    both = Edited(stack.size, flat)
    image, mask = Edited(stack.size, lambda: _opaque(both)), Edited(stack.size, lambda: _seen_through(both))
    images = Images([image])
    return Result((images, Masks([mask])), shown(run, images))


def _opaque(picture: Picture) -> Image:
    """The pixels, without transparency where there is none."""
    opacity = alpha(picture)
    solid = opacity is None or opacity.getextrema() == (255, 255)
    return rgb(picture) if solid else picture.pixels()


def _seen_through(picture: Picture) -> Image:
    from PIL.ImageChops import invert

    return invert(picture.pixels().getchannel("A"))


def _laid(layer: Layer, canvas: Image) -> Image:
    """The canvas with a layer on it; one that blends shows only where something lies below it."""
    from PIL import Image, ImageChops

    image = _turned(layer)
    middle = layer.area.x + layer.area.width / 2, layer.area.y + layer.area.height / 2
    sheet = Image.new("RGBA", canvas.size)
    sheet.paste(image, (round(middle[0] - image.width / 2), round(middle[1] - image.height / 2)))
    if layer.mode != "normal":
        opacity = ImageChops.multiply(sheet.getchannel("A"), canvas.getchannel("A"))
        sheet = blend(layer.mode, canvas.convert("RGB"), sheet.convert("RGB"))
        sheet.putalpha(opacity)
    return Image.alpha_composite(canvas, sheet)


def _turned(layer: Layer) -> Image:
    """A layer's picture as it lies on the canvas: in its size, flipped and rotated, with its transparency."""
    from PIL.Image import Resampling, Transpose
    from PIL.ImageChops import invert, multiply

    size = max(1, layer.area.width), max(1, layer.area.height)
    picture = scaled(layer.picture, size)
    image = picture.pixels().convert("RGBA")
    opacity = image.getchannel("A").point(lambda level: round(level * layer.opacity))
    if layer.mask is not None:
        opacity = multiply(opacity, invert(levels(scaled(layer.mask, size, "BILINEAR"))))
    image.putalpha(opacity)
    for flips, how in zip(layer.flips, (Transpose.FLIP_LEFT_RIGHT, Transpose.FLIP_TOP_BOTTOM)):
        image = image.transpose(how) if flips else image
    return image.rotate(-layer.rotation, Resampling.BICUBIC, expand=True) if layer.rotation else image


BEHAVIOURS: dict[str, Behaviour] = {
    "AddLayer": add,
    "LayersFromBoundingBoxes": from_boxes,
    "ImageCompositor": compose,
}
