"""Pictures in other sizes: by a number, by the size of another picture, by an upscale model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from comfystub.media.edits import Size, scaled
from comfystub.nodes.families.editing import each
from comfystub.nodes.invocation import Behaviour, Invocation, Progress, Reports, Result
from comfystub.nodes.values import Images, Masks, first

#: ComfyUI's names for resampling filters to Pillow's.
FILTERS = {
    "nearest-exact": "NEAREST",
    "bilinear": "BILINEAR",
    "area": "BOX",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
}

#: How many times larger an upscale model makes a picture whose name does not say it.
DEFAULT_FACTOR = 4
#: The tiles that a picture goes through an upscale model in, and what they have in common, in pixels.
UPSCALE_TILE, UPSCALE_OVERLAP = 512, 32

#: What Flux Kontext was trained with; a picture gets the size whose shape is closest to its own.
KONTEXT_SIZES = (
    (672, 1568),
    (688, 1504),
    (720, 1456),
    (752, 1392),
    (800, 1328),
    (832, 1248),
    (880, 1184),
    (944, 1104),
    (1024, 1024),
    (1104, 944),
    (1184, 880),
    (1248, 832),
    (1328, 800),
    (1392, 752),
    (1456, 720),
    (1504, 688),
    (1568, 672),
)

Sizing = Callable[[Invocation, Size], Size]


def resized(
    run: Invocation, pictures: Images | Masks, width: int, height: int, crop: bool = False
) -> Images | Masks:
    """Every picture of a batch in another size; ``crop`` cuts to the new shape first."""
    method = FILTERS.get(run.value("upscale_method", run.value("scale_method", "lanczos")), "NEAREST")
    size = max(1, width), max(1, height)
    return type(pictures)(each(lambda picture: scaled(picture, size, method, crop), pictures))


def scaling(sizing: Sizing) -> Behaviour:
    """A class that changes the size of its pictures, all in the same way."""

    def behaviour(run: Invocation) -> Result:
        images = run.images()
        width, height = sizing(run, images[0].size)
        return Result((resized(run, images, width, height, run.value("crop", "disabled") == "center"),))

    return behaviour


# --- sizes


def to_sides(run: Invocation, size: Size, prefix: str = "") -> Size:
    """The sides that the inputs say: for one that is 0 the other's scale, and with both 0 no change."""
    width, height = run.value(f"{prefix}width", 512), run.value(f"{prefix}height", 512)
    if not width and not height:
        return size
    return width or round(size[0] * height / size[1]), height or round(size[1] * width / size[0])


def by_factor(size: Size, factor: float) -> Size:
    return round(size[0] * factor), round(size[1] * factor)


def of_pixels(size: Size, megapixels: float, multiple: int = 1) -> Size:
    """A size of the same shape with that many pixels (a megapixel has 1024 x 1024)."""
    factor = math.sqrt(max(0.0, megapixels) * 1024 * 1024 / (size[0] * size[1]))
    width, height = (max(multiple, round(side * factor / multiple) * multiple) for side in size)
    return width, height


def of_longest(size: Size, longest: int) -> Size:
    """A size of the same shape whose longer side is ``longest``."""
    return by_factor(size, longest / max(size))


def of_shortest(size: Size, shortest: int) -> Size:
    return by_factor(size, shortest / min(size))


def kontext_size(size: Size) -> Size:
    """The size for Flux Kontext."""
    return min(KONTEXT_SIZES, key=lambda known: abs(known[0] / known[1] - size[0] / size[1]))


# --- ResizeImageMaskNode


def _amount(run: Invocation, name: str, default: int = 512) -> int:
    return run.value(f"resize_type.{name}", default)


def _matched(run: Invocation, size: Size) -> Size:
    match = run.inputs.get("resize_type.match")
    return match[0].size if isinstance(match, (Images, Masks)) and match else size


def _multiple_of(run: Invocation, size: Size) -> Size:
    multiple = max(1, _amount(run, "multiple", 8))
    return size[0] // multiple * multiple, size[1] // multiple * multiple


#: ``resize_type`` to the size it asks for.
RESIZINGS: dict[str, Sizing] = {
    "scale dimensions": lambda run, size: to_sides(run, size, "resize_type."),
    "scale by multiplier": lambda run, size: by_factor(size, run.value("resize_type.multiplier", 1.0)),
    "scale longer dimension": lambda run, size: of_longest(size, _amount(run, "longer_size")),
    "scale shorter dimension": lambda run, size: of_shortest(size, _amount(run, "shorter_size")),
    "scale width": lambda run, size: by_factor(size, _amount(run, "width") / size[0]),
    "scale height": lambda run, size: by_factor(size, _amount(run, "height") / size[1]),
    "scale total pixels": lambda run, size: of_pixels(size, run.value("resize_type.megapixels", 1.0)),
    "match size": _matched,
    "scale to multiple": _multiple_of,
}

#: Ways to resize that cut a picture to its new shape without being asked.
CUTTING = frozenset({"scale to multiple"})


def resize(run: Invocation) -> Result:
    """ResizeImageMaskNode, for pictures and for masks."""
    given = run.inputs.get("input")
    pictures = given if isinstance(given, (Images, Masks)) and given else run.images("input")
    how = run.value("resize_type", "")
    if how not in RESIZINGS:
        raise ValueError(f"Unsupported resize type: {how}")
    crop = how in CUTTING or run.value("resize_type.crop", "disabled") == "center"
    return Result((resized(run, pictures, *RESIZINGS[how](run, pictures[0].size), crop),))


# --- upscale models

_FACTOR = re.compile(r"(?<![0-9a-z])(16|[1-8])x(?![0-9])|x(16|[1-8])(?![0-9])", re.IGNORECASE)


def upscale(run: Invocation) -> Reports:
    """ImageUpscaleWithModel: as many times larger as the model's name says, tile by tile."""
    images = run.images()
    factor = factor_of(first(str, [run.inputs.get("upscale_model")]) or "")
    tiles = len(images) * math.prod(map(_tiles, images[0].size))
    for value in range(1, tiles + 1):
        yield Progress(value, tiles)
    return Result((resized(run, images, *by_factor(images[0].size, factor)),))


def factor_of(name: str) -> int:
    """How many times larger an upscale model makes a picture, as its name says: ``4x-…``, ``…_x2``."""
    found = _FACTOR.search(name)
    return int(found[1] or found[2]) if found else DEFAULT_FACTOR


def _tiles(side: int) -> int:
    """How many tiles a side of a picture takes."""
    if side <= UPSCALE_TILE:
        return 1
    return math.ceil((side - UPSCALE_OVERLAP) / (UPSCALE_TILE - UPSCALE_OVERLAP))


BEHAVIOURS: dict[str, Behaviour] = {
    "ImageScale": scaling(to_sides),
    "ImageScaleBy": scaling(lambda run, size: by_factor(size, run.value("scale_by", 1.0))),
    "ImageScaleToTotalPixels": scaling(
        lambda run, size: of_pixels(
            size, run.value("megapixels", 1.0), max(1, run.value("resolution_steps", 1))
        )
    ),
    "ImageScaleToMaxDimension": scaling(lambda run, size: of_longest(size, run.value("largest_size", 512))),
    "ResizeImagesByLongerEdge": scaling(lambda run, size: of_longest(size, run.value("longer_edge", 1024))),
    "ResizeImagesByShorterEdge": scaling(lambda run, size: of_shortest(size, run.value("shorter_edge", 512))),
    "ResizeImageMaskNode": resize,
    "ImageUpscaleWithModel": upscale,
    "FluxKontextImageScale": scaling(lambda run, size: kontext_size(size)),
}
