"""Parts of pictures: where numbers, a seed, boxes or a mask say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

from comfystub.media.edits import Size, cropped, fitted, grown, levels, rgb, scaled
from comfystub.media.pictures import Picture
from comfystub.nodes.families.boxes import Area, areas_of
from comfystub.nodes.families.editing import color, each, edit, masks
from comfystub.nodes.families.saving import shown
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images

if TYPE_CHECKING:
    from PIL.Image import Image

Cut = Callable[[Invocation, Size], Area]


def cut_out(run: Invocation, cut: Cut) -> Images:
    """The same part of every picture; what would reach beyond the edge ends there."""
    images = run.images()
    box = cut(run, images[0].size).within(images[0].size)
    return Images(each(lambda picture: cropped(picture, box), images))


def cutting(cut: Cut) -> Behaviour:
    return lambda run: Result((cut_out(run, cut),))


def at_a_place(run: Invocation, _size: Size) -> Area:
    return Area(run.value("x", 0), run.value("y", 0), *_asked(run))


def in_the_middle(run: Invocation, size: Size) -> Area:
    width, height = _asked(run)
    return Area(max(0, size[0] - width) // 2, max(0, size[1] - height) // 2, width, height)


def anywhere(run: Invocation, size: Size) -> Area:
    """Where the seed says."""
    choose, asked = Random(run.value("seed", 0)), _asked(run)
    x, y = (choose.randint(0, max(0, side - length)) for side, length in zip(size, asked))
    return Area(x, y, *asked)


def in_the_region(run: Invocation, size: Size) -> Area:
    region = run.inputs.get("crop_region")
    return Area.of(region) if isinstance(region, Mapping) else Area(0, 0, *size)


def _asked(run: Invocation) -> Size:
    return max(1, run.value("width", 512)), max(1, run.value("height", 512))


def crop_region(run: Invocation) -> Result:
    """ImageCropV2, which shows the picture that it cuts."""
    return Result((cut_out(run, in_the_region),), shown(run, run.images()))


def crop_by_boxes(run: Invocation) -> Result:
    """CropByBBoxes: of each picture what all its boxes reach over, in one size."""
    images, pad = run.images(), run.value("padding", 0)
    size = max(1, run.value("output_width", 512)), max(1, run.value("output_height", 512))
    fit = fitted if run.value("keep_aspect", "stretch") == "pad" else scaled
    cut = Images()
    for picture, areas in zip(images, areas_of(run.inputs.get("bboxes"), len(images))):
        area = Area.over(areas).padded(pad) if areas else Area(0, 0, *picture.size)
        cut.append(fit(cropped(picture, area.within(picture.size)), size, "BILINEAR"))
    return Result((cut,))


def crop_to_mask(run: Invocation) -> Result:
    """ImageCropToMask: what is masked, in the middle of a picture of one colour."""
    images = run.images("images")
    size = max(1, run.value("width", 1024)), max(1, run.value("height", 1024))
    room, grow = run.value("pad_factor", 1.0), run.value("grow_mask", 0)

    def cut(picture: Picture, mask: Picture) -> Image:
        from PIL import Image

        subject = grown(levels(scaled(mask, picture.size, "BILINEAR")), grow)
        left, top, right, bottom = subject.getbbox() or (0, 0, *picture.size)
        # Around the middle of the subject, in the shape that is asked for.
        unit = max((right - left) / size[0], (bottom - top) / size[1]) * room
        corner = (left + right - unit * size[0]) / 2, (top + bottom - unit * size[1]) / 2
        placing = size, Image.Transform.AFFINE, (unit, 0, corner[0], 0, unit, corner[1])
        canvas = Image.new("RGB", size, color(run, "background", "#000000"))
        canvas.paste(rgb(picture).transform(*placing), mask=subject.transform(*placing))
        return canvas

    return Result((Images(edit(cut, images, masks(run, "masks", images[0].size), size=size)),))


BEHAVIOURS: dict[str, Behaviour] = {
    "ImageCrop": cutting(at_a_place),
    "CenterCropImages": cutting(in_the_middle),
    "RandomCropImages": cutting(anywhere),
    "ImageCropV2": crop_region,
    "CropByBBoxes": crop_by_boxes,
    "ImageCropToMask": crop_to_mask,
}
