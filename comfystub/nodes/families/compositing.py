"""Pictures on other pictures, and what is seen through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from comfystub.media.edits import alpha, levels, rgb, scaled
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.editing import alike, each, edit, masks
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Masks

if TYPE_CHECKING:
    from PIL.Image import Image


def composite_masked(run: Invocation) -> Result:
    """ImageCompositeMasked: the source on the destination, where the mask is set."""
    below, above = run.images("destination"), run.images("source")
    x, y = run.value("x", 0), run.value("y", 0)
    given = run.inputs.get("mask")
    mask = given if isinstance(given, Masks) and given else Masks([Solid(0xFFFFFF, *above[0].size)])
    if run.inputs.get("resize_source"):
        above = Images(each(lambda p: scaled(p, below[0].size, "BILINEAR"), above))

    def composed(destination: Picture, source: Picture, mask: Picture) -> Image:
        canvas = rgb(destination).copy()
        canvas.paste(rgb(source), (x, y), levels(scaled(mask, source.size, "BILINEAR")))
        return canvas

    return Result((Images(edit(composed, below, above, mask)),))


# --- alpha: a mask is white where a picture is seen through


def join_alpha(run: Invocation) -> Result:
    images, mask = run.images(), masks(run, "alpha")
    count = max(len(images), len(mask))

    def joined(picture: Picture, mask: Picture) -> Image:
        from PIL.ImageChops import invert

        image = rgb(picture).copy()
        image.putalpha(invert(levels(scaled(mask, picture.size, "BILINEAR"))))
        return image

    many = [images[number % len(images)] for number in range(count)]
    return Result((Images(edit(joined, many, mask)),))


def split_alpha(run: Invocation) -> Result:
    def seen_through(picture: Picture) -> Image:
        from PIL.ImageChops import invert

        opacity = alpha(picture)
        return Solid(0, *picture.size).pixels().getchannel(0) if opacity is None else invert(opacity)

    images = run.images()
    return Result((Images(edit(rgb, images)), Masks(edit(seen_through, images))))


# --- Porter and Duff

#: How much each operator keeps of the source, and of the destination: all of it, nothing, or as much
#: as the other one is there (``inside``) or is not (``outside``).
OPERATORS = {
    "CLEAR": ("nothing", "nothing"),
    "SRC": ("all", "nothing"),
    "DST": ("nothing", "all"),
    "SRC_OVER": ("all", "outside"),
    "DST_OVER": ("outside", "all"),
    "SRC_IN": ("inside", "nothing"),
    "DST_IN": ("nothing", "inside"),
    "SRC_OUT": ("outside", "nothing"),
    "DST_OUT": ("nothing", "outside"),
    "SRC_ATOP": ("inside", "outside"),
    "DST_ATOP": ("outside", "inside"),
    "XOR": ("outside", "outside"),
    "ADD": ("all", "all"),
}


def porter_duff(run: Invocation) -> Result:
    """PorterDuffImageComposite, in the size of the source."""
    source = run.images("source")
    size, mode = source[0].size, run.value("mode", "DST")
    layers = (
        source,
        masks(run, "source_alpha", size),
        alike(run.images("destination"), size),
        masks(run, "destination_alpha", size),
    )
    count = min(map(len, layers))

    def composed(*layers: Picture) -> Image:
        above, above_alpha, below, below_alpha = layers
        return _composed(mode, _premultiplied(above, above_alpha), _premultiplied(below, below_alpha))

    both = edit(composed, *(layer[:count] for layer in layers))
    return Result((Images(edit(rgb, both)), Masks(edit(lambda p: p.pixels().getchannel("A"), both))))


def _premultiplied(picture: Picture, mask: Picture) -> Image:
    """Four channels: the colours as far as the picture is there, and how far that is."""
    from PIL import Image
    from PIL.ImageChops import multiply

    there = levels(scaled(mask, picture.size, "BILINEAR"))
    return Image.merge("RGBA", [*(multiply(band, there) for band in rgb(picture).split()), there])


def _composed(mode: str, above: Image, below: Image) -> Image:
    from PIL import Image, ImageChops

    blends: dict[str, Callable[[Image.Image, Image.Image], Image.Image]] = {
        "MULTIPLY": ImageChops.multiply,
        "SCREEN": ImageChops.screen,
        "OVERLAY": lambda above, below: ImageChops.overlay(below, above),
        "DARKEN": lambda above, below: ImageChops.add(rest, ImageChops.darker(above, below)),
        "LIGHTEN": lambda above, below: ImageChops.add(rest, ImageChops.lighter(above, below)),
    }
    rest = _operated(*OPERATORS.get(mode, OPERATORS["XOR"]), above, below)
    made = blends[mode](above, below) if mode in blends else rest
    if mode in ("OVERLAY", "DARKEN", "LIGHTEN"):
        made.putalpha(ImageChops.screen(above, below).getchannel("A"))
    # Divided by how far the picture is there, which leaves its colours.
    return Image.merge("RGBa", made.split()).convert("RGBA")


def _operated(of_above: str, of_below: str, above: Image, below: Image) -> Image:
    from PIL.ImageChops import add

    return add(_kept(of_above, above, below), _kept(of_below, below, above))


def _kept(part: str, image: Image, other: Image) -> Image:
    """The part of an image that an operator keeps."""
    from PIL import Image
    from PIL.ImageChops import invert, multiply

    there = other.getchannel("A")
    weights = {"nothing": there.point(lambda _: 0), "inside": there, "outside": invert(there)}
    return image if part == "all" else multiply(image, Image.merge("RGBA", [weights[part]] * 4))


BEHAVIOURS: dict[str, Behaviour] = {
    "ImageCompositeMasked": composite_masked,
    "JoinImageWithAlpha": join_alpha,
    "SplitImageWithAlpha": split_alpha,
    "PorterDuffImageComposite": porter_duff,
}
