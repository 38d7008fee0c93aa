"""Pictures that are read or drawn: from files, from a painter's canvas, by a shader, or of one colour."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from comfystub.media.edits import alpha, rgb, scaled
from comfystub.media.pictures import Picture, Pixels, Solid
from comfystub.nodes.families.editing import color, each, edit, gathered
from comfystub.nodes.families.masks import CHANNELS
from comfystub.nodes.families.saving import shown
from comfystub.nodes.invocation import Behaviour, Invocation, Reports, Result, Text
from comfystub.nodes.values import Images, Masks

if TYPE_CHECKING:
    import pathlib

    from PIL import Image

#: The side of the empty mask of a picture without an alpha channel, in pixels.
EMPTY_MASK_SIDE = 64
#: What a shader writes to, in its source.
TARGET = re.compile(r"layout\s*\(\s*location\s*=\s*([0-3])\s*\)\s*out\b")


def empty_image(run: Invocation) -> Result:
    size = max(1, run.value("width", 512)), max(1, run.value("height", 512))
    picture = Solid(run.value("color", 0), *size)
    return Result((Images([picture] * max(1, run.value("batch_size", 1))),))


def image_size(run: Invocation) -> Reports:
    """GetImageSize: its numbers as outputs, and as a text to every client."""
    images = run.images()
    width, height = images[0].size
    yield Text(f"width: {width}, height: {height}\n batch size: {len(images)}")
    return Result((width, height, len(images)))


# --- files


def load_image(run: Invocation) -> Result:
    """A file's frames without alpha, and the alpha as a mask."""
    from PIL import Image, ImageOps, ImageSequence

    images, masks = Images(), Masks()
    with Image.open(_file(run)) as opened:
        for frame in ImageSequence.Iterator(opened):
            upright = ImageOps.exif_transpose(frame)
            pixels = upright.convert("RGB")
            if images and pixels.size != images[0].size:
                continue
            images.append(Pixels(pixels))
            masks.append(_seen_through(upright))
    return Result((images, masks))


def load_mask(run: Invocation) -> Result:
    """LoadImageMask: a channel of a file's first frame."""
    from PIL import Image, ImageOps

    channel = CHANNELS.get(run.value("channel", "alpha"), "A")
    with Image.open(_file(run)) as opened:
        upright = ImageOps.exif_transpose(opened)
        if channel == "A":
            return Result((Masks([_seen_through(upright)]),))
        return Result((Masks([Pixels(upright.convert("RGB").getchannel(channel))]),))


def _file(run: Invocation) -> pathlib.Path:
    name = run.value("image", "example.png")
    path = run.server.folders.locate(name)
    if path is None:
        raise FileNotFoundError(f"[Errno 2] No such file or directory: {name!r}")
    return path


def _seen_through(image: Image.Image) -> Picture:
    from PIL import ImageChops

    if "A" in image.getbands() or "transparency" in image.info:
        return Pixels(ImageChops.invert(image.convert("RGBA").getchannel("A")))
    return Solid(0, EMPTY_MASK_SIDE, EMPTY_MASK_SIDE)


# --- what is drawn


def paint(run: Invocation) -> Result:
    """Painter: what was painted, on pictures or on a canvas, and where, as a mask.  It shows the result."""
    given = run.inputs.get("image")
    images = given if isinstance(given, Images) and given else Images([_canvas(run)])
    size, path = images[0].size, run.server.folders.locate(run.value("mask", ""))
    if path is None or not path.is_file():
        return Result((images, Masks([Solid(0, *size)])), shown(run, images))
    painting = scaled(_painting(path), size)

    def painted(picture: Picture) -> Image.Image:
        image = rgb(picture).copy()
        image.paste(rgb(painting), mask=alpha(painting))
        return image

    images = Images(edit(painted, images))
    return Result((images, Masks(edit(lambda p: p.pixels().getchannel("A"), [painting]))), shown(run, images))


def _painting(path: pathlib.Path) -> Picture:
    from PIL import Image

    with Image.open(path) as opened:
        return Pixels(opened.convert("RGBA"))


def _canvas(run: Invocation) -> Picture:
    red, green, blue = color(run, "bg_color", "#000000")
    size = max(1, run.value("width", 512)), max(1, run.value("height", 512))
    return Solid(red << 16 | green << 8 | blue, *size)


def shade(run: Invocation) -> Result:
    """GLSLShader: the first picture for everything the shader writes to, black for the rest.

    What a shader makes of its pictures is not worked out.
    """
    images = next(iter(gathered(run, "images", Images)), None) or run.images()
    if run.value("size_mode", "from_input") == "custom":
        size = max(1, run.value("size_mode.width", 512)), max(1, run.value("size_mode.height", 512))
        images = Images(each(lambda picture: scaled(picture, size, "BILINEAR"), images))
    black = Images([Solid(0, *images[0].size)] * len(images))
    targets = TARGET.findall(run.value("fragment_shader", ""))
    outputs = [Images(images) if str(number) in targets else black for number in range(4)]
    return Result(outputs, shown(run, outputs[0]))


BEHAVIOURS: dict[str, Behaviour] = {
    "EmptyImage": empty_image,
    "GetImageSize": image_size,
    "LoadImage": load_image,
    "LoadImageOutput": load_image,
    "WebcamCapture": load_image,
    "LoadImageMask": load_mask,
    "Painter": paint,
    "GLSLShader": shade,
}
