"""Pictures padded, turned and put side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfystub.media.edits import Box, Edited, Size, alpha, fitted, ramped, rgb, scaled
from comfystub.media.pictures import Picture
from comfystub.nodes.families.editing import each, edit
from comfystub.nodes.families.filters import recolored
from comfystub.nodes.families.scaling import FILTERS
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Masks

if TYPE_CHECKING:
    from PIL import Image

#: The grey around a picture that was padded for outpainting.
OUTPAINT_GREY = (127, 127, 127)

#: How a picture is turned, to Pillow's name for it: there, degrees count the other way round.
TRANSPOSITIONS = {
    "x-axis: vertically": "FLIP_TOP_BOTTOM",
    "y-axis: horizontally": "FLIP_LEFT_RIGHT",
    "90 degrees": "ROTATE_270",
    "180 degrees": "ROTATE_180",
    "270 degrees": "ROTATE_90",
}

#: SeedVR2's pictures have sides that are multiples of this, and its films a multiple of this and one more.
SEEDVR2_SIDE, SEEDVR2_FRAMES = 16, 4


def resize_and_pad(run: Invocation) -> Result:
    size = max(1, run.value("target_width", 512)), max(1, run.value("target_height", 512))
    color = 0x000000 if run.value("padding_color", "white") == "black" else 0xFFFFFF
    method = FILTERS.get(run.value("interpolation", "area"), "BOX")
    return Result((Images(each(lambda picture: fitted(picture, size, method, color), run.images())),))


# --- ImagePadForOutpaint


def pad_for_outpainting(run: Invocation) -> Result:
    """The picture on grey, and a mask that is white where nothing was."""
    images = run.images()
    left, top, right, bottom = (max(0, run.value(side, 0)) for side in ("left", "top", "right", "bottom"))
    width, height = images[0].size
    size, reach = (left + width + right, top + height + bottom), run.value("feathering", 40)

    def padded(picture: Picture) -> Image.Image:
        from PIL import Image

        canvas = Image.new("RGB", size, OUTPAINT_GREY)
        canvas.paste(rgb(picture), (left, top))
        return canvas

    def mask() -> Image.Image:
        from PIL import Image

        canvas = Image.new("L", size, 255)
        canvas.paste(_fading((width, height), reach, (left, top, right, bottom)), (left, top))
        return canvas

    return Result((Images(edit(padded, images, size=size)), Masks([Edited(size, mask)])))


def _fading(size: Size, reach: int, added: Box) -> Image.Image:
    """A mask that fades out, over ``reach`` pixels, from the sides that something was added to."""
    from PIL import ImageChops

    if 2 * reach >= min(size):
        reach = 0
    left, top, right, bottom = (reach if side else 0 for side in added)
    columns, rows = b"\xff" * size[0], b"\xff" * size[1]
    return ImageChops.lighter(
        ramped(size, _fade(size[0], left, right), rows), ramped(size, columns, _fade(size[1], top, bottom))
    )


def _fade(length: int, start: int, end: int) -> bytes:
    """Levels that fall with the square of the way, over so many pixels from the start and from the end."""

    def fall(reach: int) -> list[int]:
        return [int(255 * (1 - place / reach) ** 2) for place in range(reach)]

    return bytes([*fall(start), *[0] * (length - start - end), *reversed(fall(end))])


# --- turning


def transpose(run: Invocation) -> Result:
    """ImageFlip and ImageRotate."""
    images = run.images()
    how = TRANSPOSITIONS.get(run.value("rotation", run.value("flip_method", "none")))
    if how is None:
        return Result((images,))
    width, height = images[0].size
    size = (height, width) if how in ("ROTATE_90", "ROTATE_270") else (width, height)

    def turned(picture: Picture) -> Image.Image:
        from PIL import Image

        return picture.pixels().transpose(Image.Transpose[how])

    return Result((Images(edit(turned, images, size=size)),))


# --- ImageStitch


def stitch(run: Invocation) -> Result:
    """The second picture to the right or left of the first one, above or below it."""
    one, two = run.images("image1"), run.inputs.get("image2")
    if not isinstance(two, Images) or not two:
        return Result((one,))
    direction, color = run.value("direction", "right"), run.value("spacing_color", "white")
    gap = run.value("spacing_width", 0)
    gap += gap % 2
    beside = direction in ("left", "right")
    if run.inputs.get("match_image_size", True):
        shared = one[0].height / two[0].height if beside else one[0].width / two[0].width
        size = max(1, round(two[0].width * shared)), max(1, round(two[0].height * shared))
        two = Images(each(lambda picture: scaled(picture, size, "LANCZOS"), two))
    pair = (one, two) if direction in ("right", "down") else (two, one)
    (width, height), (other_width, other_height) = (batch[0].size for batch in pair)
    if beside:
        whole, begin = (width + gap + other_width, max(height, other_height)), (width + gap, 0)
        between = (width, 0, width + gap, whole[1])
    else:
        whole, begin = (max(width, other_width), height + gap + other_height), (0, height + gap)
        between = (0, height, whole[0], height + gap)

    def stitched(*pictures: Picture) -> Image.Image:
        from PIL import Image

        canvas = Image.new("RGB", whole, "white" if color == "white" else "black")
        canvas.paste(color, between)
        for picture, (x, y) in zip(pictures, ((0, 0), begin)):
            # The smaller of the two lies in the middle of the side that they share.
            middle = (whole[0] - picture.width) // 2, (whole[1] - picture.height) // 2
            canvas.paste(rgb(picture), (x, middle[1]) if beside else (middle[0], y))
        return canvas

    count = max(map(len, pair))
    return Result((Images(edit(stitched, *(_lasting(batch, count) for batch in pair), size=whole)),))


def _lasting(batch: Images, count: int) -> Images:
    """A batch of so many pictures: the last one stays."""
    return Images(batch[min(number, len(batch) - 1)] for number in range(count))


# --- SeedVR2


def pad_for_seedvr2(run: Invocation) -> Result:
    images = run.images("resized_images")
    width, height = (side + -side % SEEDVR2_SIDE for side in images[0].size)
    frames = len(images) + (1 - len(images)) % SEEDVR2_FRAMES

    def padded(picture: Picture) -> Image.Image:
        return rgb(picture).crop((0, 0, width, height))

    return Result((_lasting(Images(edit(padded, images, size=(width, height))), frames),))


def cut_to_original(run: Invocation) -> Result:
    """SeedVR2PostProcessing: as large, as long and as transparent as what was upscaled, in its colours."""
    images, original = run.images("images"), run.images("original_resized_images")
    width, height = (max(1, min(sides) // 2 * 2) for sides in zip(images[0].size, original[0].size))
    keeps_colors = run.value("color_correction_method", "lab") == "none"

    def cut(picture: Picture, like: Picture) -> Image.Image:
        image = rgb(picture).crop((0, 0, width, height))
        image = image if keeps_colors else recolored(image, rgb(like))
        if (opacity := alpha(like)) is not None:
            image.putalpha(opacity.crop((0, 0, width, height)))
        return image

    return Result((Images(edit(cut, images[: len(original)], original, size=(width, height))),))


BEHAVIOURS: dict[str, Behaviour] = {
    "ResizeAndPadImage": resize_and_pad,
    "ImagePadForOutpaint": pad_for_outpainting,
    "ImageFlip": transpose,
    "ImageRotate": transpose,
    "ImageStitch": stitch,
    "SeedVR2Preprocess": pad_for_seedvr2,
    "SeedVR2PostProcessing": cut_to_original,
}
