"""Pictures in, pictures out: sizes, batches and what a user can see of the pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from comfystub.media.pictures import Picture, Pixels, Solid
from comfystub.nodes.invocation import Invocation, Reports, Result, Text
from comfystub.nodes.values import Images, Masks

if TYPE_CHECKING:
    from PIL import Image

#: ComfyUI's names for resampling filters to Pillow's.
FILTERS = {
    "nearest-exact": "NEAREST",
    "bilinear": "BILINEAR",
    "area": "BOX",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
}
#: The side of the empty mask of a picture without an alpha channel, in pixels.
EMPTY_MASK_SIDE = 64


def empty_image(run: Invocation) -> Result:
    size = max(1, run.value("width", 512)), max(1, run.value("height", 512))
    picture = Solid(run.value("color", 0), *size)
    return Result((Images([picture] * max(1, run.value("batch_size", 1))),))


def load_image(run: Invocation) -> Result:
    """Read a file of the input folder: its frames without alpha, and the alpha as a mask."""
    from PIL import Image, ImageOps, ImageSequence

    name = run.value("image", "example.png")
    path = run.server.folders.locate(name)
    if path is None:
        raise FileNotFoundError(f"[Errno 2] No such file or directory: {name!r}")
    images, masks = Images(), Masks()
    with Image.open(path) as opened:
        for frame in ImageSequence.Iterator(opened):
            upright = ImageOps.exif_transpose(frame)
            pixels = upright.convert("RGB")
            if images and pixels.size != images[0].size:
                continue
            images.append(Pixels(pixels))
            masks.append(Pixels(_mask_of(upright)))
    return Result((images, masks))


def _mask_of(image: Image.Image) -> Image.Image:
    from PIL import Image, ImageChops

    if "A" in image.getbands() or "transparency" in image.info:
        return ImageChops.invert(image.convert("RGBA").getchannel("A"))
    return Image.new("L", (EMPTY_MASK_SIDE, EMPTY_MASK_SIDE))


def scale(run: Invocation) -> Result:
    """ImageScale: where one side is 0 the other one's scale decides, with both 0 nothing changes."""
    images = run.images()
    width, height = run.value("width", 512), run.value("height", 512)
    if not width and not height:
        return Result((images,))
    own_width, own_height = images[0].size
    width = width or max(1, round(own_width * height / own_height))
    height = height or max(1, round(own_height * width / own_width))
    return Result((resized(run, images, width, height, run.value("crop", "disabled") == "center"),))


def scale_by(run: Invocation) -> Result:
    images, factor = run.images(), run.value("scale_by", 1.0)
    return Result((resized(run, images, *_by(images[0].size, factor)),))


def scale_to_pixels(run: Invocation) -> Result:
    images = run.images()
    multiple = max(1, run.value("resolution_steps", 1))
    width, height = _of_pixels(images[0].size, run.value("megapixels", 1.0))
    width, height = (max(multiple, round(side / multiple) * multiple) for side in (width, height))
    return Result((resized(run, images, width, height),))


def scale_to_longest(run: Invocation) -> Result:
    images = run.images()
    return Result((resized(run, images, *_of_longest(images[0].size, run.value("largest_size", 512))),))


def _of_pixels(size: tuple[int, int], megapixels: float) -> tuple[int, int]:
    """A size of the same shape with that many pixels (a megapixel has 1024 x 1024)."""
    factor = math.sqrt(megapixels * 1024 * 1024 / (size[0] * size[1]))
    return round(size[0] * factor), round(size[1] * factor)


def _of_longest(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """A size of the same shape whose longer side is ``longest``."""
    factor = longest / max(size)
    return round(size[0] * factor), round(size[1] * factor)


def _of_shortest(size: tuple[int, int], shortest: int) -> tuple[int, int]:
    factor = shortest / min(size)
    return round(size[0] * factor), round(size[1] * factor)


def _multiple_of(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    return size[0] // multiple * multiple, size[1] // multiple * multiple


def _by(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return round(size[0] * factor), round(size[1] * factor)


Sizing = Callable[[Invocation, tuple[int, int]], tuple[int, int]]


def _amount(run: Invocation, name: str, default: int = 512) -> int:
    return run.value(f"resize_type.{name}", default)


def _matched(run: Invocation, size: tuple[int, int]) -> tuple[int, int]:
    match = run.inputs.get("resize_type.match")
    return match[0].size if isinstance(match, (Images, Masks)) and match else size


#: ``resize_type`` of ResizeImageMaskNode to the size it asks for.
RESIZINGS: dict[str, Sizing] = {
    "scale dimensions": lambda run, size: (
        _amount(run, "width") or size[0],
        _amount(run, "height") or size[1],
    ),
    "scale by multiplier": lambda run, size: _by(size, run.value("resize_type.multiplier", 1.0)),
    "scale longer dimension": lambda run, size: _of_longest(size, _amount(run, "longer_size")),
    "scale shorter dimension": lambda run, size: _of_shortest(size, _amount(run, "shorter_size")),
    "scale width": lambda run, size: _by(size, _amount(run, "width") / size[0]),
    "scale height": lambda run, size: _by(size, _amount(run, "height") / size[1]),
    "scale total pixels": lambda run, size: _of_pixels(size, run.value("resize_type.megapixels", 1.0)),
    "match size": _matched,
    "scale to multiple": lambda run, size: _multiple_of(size, max(1, _amount(run, "multiple", 8))),
}


def resize(run: Invocation) -> Result:
    """ResizeImageMaskNode, for pictures and for masks."""
    given = run.inputs.get("input")
    pictures = given if isinstance(given, (Images, Masks)) and given else run.images("input")
    how = run.value("resize_type", "")
    if how not in RESIZINGS:
        raise ValueError(f"Unsupported resize type: {how}")
    width, height = RESIZINGS[how](run, pictures[0].size)
    crop = run.value("resize_type.crop", "disabled") == "center"
    return Result((resized(run, pictures, max(1, width), max(1, height), crop),))


def resized(
    run: Invocation, pictures: Images | Masks, width: int, height: int, crop: bool = False
) -> Images | Masks:
    """Every picture of a batch in another size; ``crop`` cuts to the new shape first."""
    from PIL import Image, ImageOps

    method = run.value("upscale_method", run.value("scale_method", "nearest-exact"))
    how = Image.Resampling[FILTERS.get(method, "NEAREST")]

    def to_size(picture: Picture) -> Picture:
        if picture.size == (width, height):
            return picture
        pixels = picture.pixels()
        if crop:
            return Pixels(ImageOps.fit(pixels, (width, height), how))
        return Pixels(pixels.resize((width, height), how))

    return type(pictures)(_each(to_size, pictures))


def _each(change: Callable[[Picture], Picture], pictures: Images | Masks) -> list[Picture]:
    """Apply a change, once to a picture that a batch holds several times."""
    done = {id(picture): picture for picture in pictures}
    changed = {key: change(picture) for key, picture in done.items()}
    return [changed[id(picture)] for picture in pictures]


def invert(run: Invocation) -> Result:
    from PIL import ImageChops

    return Result(
        (Images(_each(lambda p: Pixels(ImageChops.invert(p.pixels().convert("RGB"))), run.images())),)
    )


def crop(run: Invocation) -> Result:
    """ImageCrop: a part of the picture; one that would reach beyond the edge ends there."""
    images = run.images()
    width, height = images[0].size
    left, top = min(run.value("x", 0), width - 1), min(run.value("y", 0), height - 1)
    right, bottom = (
        min(left + max(1, run.value("width", 512)), width),
        min(top + max(1, run.value("height", 512)), height),
    )
    box = (left, top, right, bottom)
    return Result((Images(_each(lambda picture: Pixels(picture.pixels().crop(box)), images)),))


def pad(run: Invocation) -> Result:
    """ImagePadForOutpaint: the picture on grey, and a mask that is white where nothing was."""
    from PIL import Image

    images = run.images()
    left, top, right, bottom = (run.value(side, 0) for side in ("left", "top", "right", "bottom"))
    width, height = images[0].size
    size = (left + width + right, top + height + bottom)

    def padded(picture: Picture) -> Picture:
        canvas = Image.new("RGB", size, (127, 127, 127))
        canvas.paste(picture.pixels(), (left, top))
        return Pixels(canvas)

    mask = Image.new("L", size, 255)
    mask.paste(0, (left, top, left + width, top + height))
    return Result((Images(_each(padded, images)), Masks([Pixels(mask)])))


def batch(run: Invocation) -> Result:
    """ImageBatch: the second batch after the first, in the first one's size."""
    one, two = run.images("image1"), run.images("image2")
    return Result((Images([*one, *resized(run, two, *one[0].size, crop=True)]),))


def image_size(run: Invocation) -> Reports:
    """GetImageSize: its numbers as outputs, and as a text to every client."""
    images = run.images()
    width, height = images[0].size
    yield Text(f"width: {width}, height: {height}\n batch size: {len(images)}")
    return Result((width, height, len(images)))


BEHAVIOURS = {
    "EmptyImage": empty_image,
    "LoadImage": load_image,
    "LoadImageOutput": load_image,
    "ImageScale": scale,
    "ImageScaleBy": scale_by,
    "ImageScaleToTotalPixels": scale_to_pixels,
    "ImageScaleToMaxDimension": scale_to_longest,
    "ResizeImageMaskNode": resize,
    "ImageInvert": invert,
    "ImageBatch": batch,
    "ImageCrop": crop,
    "ImagePadForOutpaint": pad,
    "GetImageSize": image_size,
}
