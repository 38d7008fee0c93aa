"""Masks: made, changed, put together, and turned from and into pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from comfystub.media.edits import alpha, colored, cropped, feather, grown, levels, ramped, rgb
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.boxes import Area
from comfystub.nodes.families.editing import each, edit, gathered, joined, masks
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Masks

if TYPE_CHECKING:
    from PIL.Image import Image

#: From where on each level of VOID's quadmask begins, and what it becomes: what is to go is white.
QUADMASK = ((0, 255), (32, 192), (96, 128), (192, 0))

#: Operations on masks to Pillow's name for them, and whether it is asked of levels or of truth values.
OPERATIONS = {
    "multiply": ("multiply", False),
    "add": ("add", False),
    "subtract": ("subtract", False),
    "and": ("darker", True),
    "or": ("lighter", True),
    "xor": ("difference", True),
}
#: The channels of a picture to Pillow's name for them.
CHANNELS = {"red": "R", "green": "G", "blue": "B", "alpha": "A"}

Change = Callable[[Invocation, "Image"], "Image"]


def changing(change: Change) -> Behaviour:
    """A class that changes every mask by itself."""

    def behaviour(run: Invocation) -> Result:
        return Result((Masks(edit(lambda mask: change(run, levels(mask)), masks(run))),))

    return behaviour


def solid(run: Invocation) -> Result:
    level = min(255, max(0, int(255 * run.value("value", 1.0))))
    size = max(1, run.value("width", 512)), max(1, run.value("height", 512))
    return Result((Masks([Solid(0x010101 * level, *size)]),))


def invert(_run: Invocation, mask: Image) -> Image:
    return mask.point(lambda level: 255 - level)


def threshold(run: Invocation, mask: Image) -> Image:
    least = 255 * run.value("value", 0.5)
    return mask.point(lambda level: 255 if level > least else 0)


def grow(run: Invocation, mask: Image) -> Image:
    return grown(mask, run.value("expand", 0), bool(run.inputs.get("tapered_corners", True)))


def fade_at_edges(run: Invocation, mask: Image) -> Image:
    """FeatherMask."""
    from PIL.ImageChops import multiply

    left, top, right, bottom = (max(0, run.value(side, 0)) for side in ("left", "top", "right", "bottom"))
    return multiply(
        mask, ramped(mask.size, feather(mask.width, left, right), feather(mask.height, top, bottom))
    )


def quadmask(run: Invocation, mask: Image) -> Image:
    """VOIDQuadmaskPreprocess: what is black, which is to go, grows; then there are four levels."""

    def level(value: int) -> int:
        return next(becomes for begins, becomes in reversed(QUADMASK) if value >= begins)

    return grown(mask, -run.value("dilate_width", 0)).point(level)


def crop(run: Invocation) -> Result:
    given = masks(run)
    area = Area(*(run.value(name, default) for name, default in zip(Area._fields, (0, 0, 512, 512))))
    box = area.within(given[0].size)
    return Result((Masks(each(lambda mask: cropped(mask, box), given)),))


def batch(run: Invocation) -> Result:
    """BatchMasksNode: in the size of the first one."""
    return Result((Masks(joined(gathered(run, "masks", Masks) or [masks(run)])),))


def composite(run: Invocation) -> Result:
    """MaskComposite: the source on the destination, as far as it lies there."""
    operation, of_truths = OPERATIONS.get(run.value("operation", "multiply"), OPERATIONS["multiply"])
    x, y = run.value("x", 0), run.value("y", 0)

    def composed(destination: Picture, source: Picture) -> Image:
        from PIL import ImageChops

        below, above = levels(destination), levels(source)
        right, bottom = min(below.width, x + above.width), min(below.height, y + above.height)
        if x >= right or y >= bottom:
            return below
        pair = below.crop((x, y, right, bottom)), above.crop((0, 0, right - x, bottom - y))
        if of_truths:
            pair = _truths(pair[0]), _truths(pair[1])
        canvas = below.copy()
        canvas.paste(getattr(ImageChops, operation)(*pair), (x, y))
        return canvas

    return Result((Masks(edit(composed, masks(run, "destination"), masks(run, "source"))),))


def _truths(mask: Image) -> Image:
    return mask.point(lambda level: 255 if level > 127 else 0)


# --- pictures


def to_image(run: Invocation) -> Result:
    return Result((Images(each(colored, masks(run))),))


def of_channel(run: Invocation) -> Result:
    """ImageToMask; a picture without alpha is opaque."""
    channel = CHANNELS.get(run.value("channel", "red"), "R")

    def level(picture: Picture) -> Image:
        if channel == "A":
            return alpha(picture) or Solid(0xFFFFFF, *picture.size).pixels().getchannel(0)
        return rgb(picture).getchannel(channel)

    return Result((Masks(edit(level, run.images())),))


def of_color(run: Invocation) -> Result:
    """ImageColorToMask: white where the picture has exactly that colour."""
    color = run.value("color", 0) & 0xFFFFFF

    def level(picture: Picture) -> Image:
        from PIL import ImageChops

        difference = ImageChops.difference(rgb(picture), Solid(color, *picture.size).pixels())
        red, green, blue = difference.split()
        largest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        return largest.point(lambda level: 0 if level else 255)

    return Result((Masks(edit(level, run.images())),))


BEHAVIOURS: dict[str, Behaviour] = {
    "SolidMask": solid,
    "InvertMask": changing(invert),
    "ThresholdMask": changing(threshold),
    "GrowMask": changing(grow),
    "FeatherMask": changing(fade_at_edges),
    "VOIDQuadmaskPreprocess": changing(quadmask),
    "CropMask": crop,
    "BatchMasksNode": batch,
    "MaskComposite": composite,
    "MaskToImage": to_image,
    "ImageToMask": of_channel,
    "ImageColorToMask": of_color,
}
