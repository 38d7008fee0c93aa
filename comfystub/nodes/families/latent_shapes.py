"""Latents in another size, cut, turned and put together; and the masks of what is sampled anew.

The pictures that they decode to change alike, but not before somebody looks at them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from comfystub.media.edits import Box, Edited, Size, cropped, feather, levels, ramped, rgb, scaled
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.editing import each, edit
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.values import Images, Latent, Masks, first

if TYPE_CHECKING:
    from PIL.Image import Image

#: The pixels that these nodes take for a unit, whatever the space of the latent.
PIXELS_OF_UNIT = 8
#: The least side that a latent is upscaled to, in pixels.
LEAST_SIDE = 64

#: ComfyUI's names of ways to resize to Pillow's filters.
FILTERS = {"nearest-exact": "NEAREST", "bilinear": "BILINEAR", "area": "BOX", "bicubic": "BICUBIC"}


def showing(latent: Latent, pictures: Sequence[Picture], size: Size | None = None) -> Latent:
    """A latent that decodes to other pictures; ``size`` is theirs, where it is another."""
    width, height = size or (latent.width, latent.height)
    return latent._replace(width=width, height=height, pictures=Images(pictures))


def items(latent: Latent) -> list[list[Picture]]:
    """The pictures that each latent of the batch decodes to."""
    pictures, frames = latent.decoded(), max(1, latent.frames)
    return [pictures[start : start + frames] for start in range(0, len(pictures), frames)]


def in_units(run: Invocation, latent: Latent, name: str, default: int = 0) -> int:
    """A length that a node tells, in the pixels of the latent."""
    return run.value(name, default) // PIXELS_OF_UNIT * latent.space.unit


# --- size


def resized(latent: Latent, size: Size, method: str = "bilinear", crop: bool = False) -> Latent:
    how = FILTERS.get(method, "BICUBIC")
    return showing(latent, each(lambda picture: scaled(picture, size, how, crop), latent.decoded()), size)


def upscale(run: Invocation, unit: int = PIXELS_OF_UNIT) -> Result:
    """LatentUpscale: to a size; where one side is 0 the other one's scale decides."""
    latent = run.latent()
    width, height = run.value("width", 512), run.value("height", 512)
    if not width and not height:
        return Result((latent,))
    width = width or round(latent.width * max(LEAST_SIDE, height) / latent.height)
    height = height or round(latent.height * max(LEAST_SIDE, width) / latent.width)
    across, down = (max(LEAST_SIDE, side) // unit * latent.space.unit for side in (width, height))
    crop = run.value("crop", "disabled") == "center"
    return Result((resized(latent, (across, down), run.value("upscale_method", ""), crop),))


def upscale_by(run: Invocation) -> Result:
    latent = run.latent()
    size = _scaled(latent, run.value("scale_by", 1.5))
    return Result((resized(latent, size, run.value("upscale_method", "")),))


def upscale_by_model(run: Invocation) -> Result:
    """LTXVLatentUpsampler: as much larger, or longer, as the name of its model says."""
    latent = run.latent()._replace(mask=None)
    name = first(str, [run.inputs.get("upscale_model")]) or ""
    if "temporal" in name:
        slower = ([picture for picture in film for _ in range(2)][1:] for film in items(latent))
        return Result((latent._replace(frames=2 * latent.frames - 1, pictures=Images(chain(*slower))),))
    factor = re.search(r"x(\d+(?:\.\d+)?)", name)
    return Result((resized(latent, _scaled(latent, float(factor[1]) if factor else 2.0)),))


def _scaled(latent: Latent, factor: float) -> Size:
    unit = latent.space.unit
    width, height = (max(1, round(side / unit * factor)) * unit for side in (latent.width, latent.height))
    return width, height


# --- parts and turns


def crop(run: Invocation) -> Result:
    """LatentCrop: a part, which ends at the edge and begins before the last 64 pixels."""
    latent = run.latent()
    unit = latent.space.unit
    last = LEAST_SIDE // PIXELS_OF_UNIT * unit
    left = min(in_units(run, latent, "x"), max(0, latent.width - last))
    top = min(in_units(run, latent, "y"), max(0, latent.height - last))
    right = min(left + max(unit, in_units(run, latent, "width", 512)), latent.width)
    bottom = min(top + max(unit, in_units(run, latent, "height", 512)), latent.height)
    return Result((cut_out(latent, (left, top, right, bottom)),))


def cut_out(latent: Latent, box: Box) -> Latent:
    size = box[2] - box[0], box[3] - box[1]
    return showing(latent, each(lambda picture: cropped(picture, box), latent.decoded()), size)


#: ``rotation`` and ``flip_method`` to Pillow's name of the same.
ROTATIONS = {"90": "ROTATE_270", "180": "ROTATE_180", "270": "ROTATE_90"}
FLIPS = {"x": "FLIP_TOP_BOTTOM", "y": "FLIP_LEFT_RIGHT"}


def rotate(run: Invocation) -> Result:
    latent, how = run.latent(), ROTATIONS.get(run.value("rotation", "none").partition(" ")[0])
    return Result((_turned(latent, how) if how else latent,))


def flip(run: Invocation) -> Result:
    return Result((_turned(run.latent(), FLIPS.get(run.value("flip_method", "")[:1], FLIPS["x"])),))


def _turned(latent: Latent, how: str) -> Latent:
    size = latent.width, latent.height
    if how in ("ROTATE_90", "ROTATE_270"):
        size = size[::-1]
    turned = edit(lambda picture: _transposed(picture, how), latent.decoded(), size=size)
    return showing(latent, turned, size)


def _transposed(picture: Picture, how: str) -> Image:
    from PIL.Image import Transpose

    return picture.pixels().transpose(Transpose[how])


# --- one with another


def mix(run: Invocation, how: Callable[[Image, Image], Image]) -> Result:
    """Two latents as one, the second in the size of the first."""
    one, two = run.latent("samples1"), run.latent("samples2")
    two = resized(two, (one.width, one.height), crop=True)
    return Result((showing(one, edit(lambda a, b: how(rgb(a), rgb(b)), one.decoded(), two.decoded())),))


def add(run: Invocation) -> Result:
    from PIL import ImageChops

    return mix(run, ImageChops.add)


def subtract(run: Invocation) -> Result:
    from PIL import ImageChops

    return mix(run, ImageChops.subtract)


def blend(run: Invocation, name: str) -> Result:
    """So much of the first latent as an input says, and the rest of the second."""
    from PIL import Image

    part = run.value(name, 0.5)
    return mix(run, lambda one, two: Image.blend(two, one, part))


def multiply(run: Invocation) -> Result:
    latent, factor = run.latent(), run.value("multiplier", 1.0)

    def multiplied(picture: Picture) -> Image:
        return rgb(picture).point(lambda level: level * factor)

    return Result((latent if factor == 1 else showing(latent, edit(multiplied, latent.decoded())),))


def beside(one: Latent, two: Latent, down: bool = False) -> Latent:
    """Two latents side by side, or the second below the first."""
    two = resized(two, (one.width, two.height) if down else (two.width, one.height))
    at = (0, one.height) if down else (one.width, 0)
    size = (one.width, one.height + two.height) if down else (one.width + two.width, one.height)

    def joined(picture: Picture, other: Picture) -> Image:
        from PIL import Image

        canvas = Image.new("RGB", size)
        canvas.paste(rgb(picture))
        canvas.paste(rgb(other), at)
        return canvas

    return showing(one, edit(joined, one.decoded(), two.decoded(), size=size), size)


def composite(run: Invocation) -> Result:
    """LatentComposite: one on the other, with edges that fade where they do not meet those below."""
    below, above = run.latent("samples_to"), run.latent("samples_from")
    at = in_units(run, below, "x"), in_units(run, below, "y")
    soft = in_units(run, below, "feather")
    sides = (at[0], above.width, below.width), (at[1], above.height, below.height)
    columns, rows = (
        feather(length, soft if start else 0, soft if start + length < end else 0)
        for start, length, end in sides
    )
    mask = Edited((above.width, above.height), lambda: ramped((above.width, above.height), columns, rows))
    return Result((_laid(below, above, at, Masks([mask]) if soft else None),))


def composite_masked(run: Invocation) -> Result:
    """LatentCompositeMasked: one on the other where a mask says so."""
    below, above = run.latent("destination"), run.latent("source")
    if run.inputs.get("resize_source"):
        above = resized(above, (below.width, below.height))
    at = in_units(run, below, "x"), in_units(run, below, "y")
    masks = run.inputs.get("mask")
    return Result((_laid(below, above, at, masks if isinstance(masks, Masks) else None),))


def _laid(below: Latent, above: Latent, at: Size, masks: Masks | None) -> Latent:
    """One latent on another, through a mask of the size of the upper one."""
    mask = scaled(masks[0], (above.width, above.height)) if masks else None
    return showing(
        below, edit(lambda one, two: _pasted(one, two, at, mask), below.decoded(), above.decoded())
    )


def _pasted(below: Picture, above: Picture, at: Size, mask: Picture | None = None) -> Image:
    canvas = rgb(below).copy()
    canvas.paste(rgb(above), at, levels(mask) if mask else None)
    return canvas


# --- masks

BLACK, WHITE = 0x000000, 0xFFFFFF


def set_mask(run: Invocation) -> Result:
    """SetLatentNoiseMask; sound is kept as a whole by a mask that is black all over."""
    latent, masks = run.latent(), run.inputs.get("mask")
    if not isinstance(masks, Masks):
        return Result((latent,))
    if latent.frames:
        return Result((latent._replace(mask=masks),))
    return Result((latent._replace(keeps_sound=all(map(_is_black, masks))),))


def _is_black(mask: Picture) -> bool:
    return mask.color == BLACK if isinstance(mask, Solid) else levels(mask).getbbox() is None


def kept_outside(latent: Latent, made: Latent) -> Latent:
    """What was made of a latent, with the pictures as they were where its mask does not reach."""
    if not latent.mask or not latent.frames:
        return made
    return showing(made, each(_remade, latent.decoded(), made.decoded(), latent.mask))


def _remade(old: Picture, new: Picture, mask: Picture) -> Picture:
    if isinstance(mask, Solid) and mask.color in (BLACK, WHITE):
        return new if mask.color else old
    return Edited(old.size, lambda: _pasted(old, new, (0, 0), scaled(mask, old.size, "BILINEAR")))


BEHAVIOURS = {
    "LatentUpscale": upscale,
    "LatentUpscaleBy": upscale_by,
    "LTXVLatentUpsampler": upscale_by_model,
    "HunyuanVideo15LatentUpscaleWithModel": partial(upscale, unit=16),
    "LatentCrop": crop,
    "LatentRotate": rotate,
    "LatentFlip": flip,
    "LatentAdd": add,
    "LatentSubtract": subtract,
    "LatentBlend": partial(blend, name="blend_factor"),
    "LatentInterpolate": partial(blend, name="ratio"),
    "LatentMultiply": multiply,
    "LatentComposite": composite,
    "LatentCompositeMasked": composite_masked,
    "SetLatentNoiseMask": set_mask,
}
