"""Batches and lists of pictures: put together, taken apart, put in another order."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

from comfystub.media.edits import Edited, cropped, feather, ramped, rgb, scaled
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.boxes import Area
from comfystub.nodes.families.editing import (
    alike,
    each,
    edit,
    gathered,
    joined,
    one_by_one,
    options,
    singles,
)
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Several

if TYPE_CHECKING:
    from PIL.Image import Image

#: The sides of the thumbnails that tell whether two pictures are alike.
THUMBNAIL = (8, 8)


# --- batches


def append(run: Invocation) -> Result:
    """ImageBatch: the second batch after the first, in the first one's size."""
    one = run.images("image1")
    return Result((Images([*one, *alike(run.images("image2"), one[0].size)]),))


def batch(run: Invocation) -> Result:
    """BatchImagesNode: in the size of the first picture."""
    return Result((Images(joined(gathered(run, "images", Images) or [run.images()])),))


def repeat(run: Invocation) -> Result:
    return Result((Images(run.images() * max(1, run.value("amount", 1))),))


def part(run: Invocation) -> Result:
    """ImageFromBatch; an index below 0 counts from the end."""
    images = run.images()
    index = run.value("batch_index", 0)
    start = min(max(index + len(images) if index < 0 else index, 0), len(images) - 1)
    return Result((Images(images[start : start + max(1, run.value("length", 1))]),))


# --- lists


def rebatch(run: Invocation) -> Result:
    pictures, size = one_by_one(run), max(1, options(run).value("batch_size", 1))
    starts = range(0, len(pictures), size)
    return Result((Several(Images(pictures[start : start + size]) for start in starts),))


def merge(run: Invocation) -> Result:
    return Result((Several(run.inputs.get("images", ())),))


def shuffle(run: Invocation) -> Result:
    """ShuffleDataset and ShuffleImageTextDataset: texts stay with their pictures."""
    lists = [run.inputs.get(name, ()) for name in ("images", "texts") if name in run.inputs]
    order = list(range(min(map(len, lists), default=0)))
    Random(options(run).value("seed", 0)).shuffle(order)
    return Result([Several(values[number] for number in order) for values in lists])


def deduplicate(run: Invocation) -> Result:
    """ImageDeduplication: of pictures that look alike the first one."""
    least = options(run).value("similarity_threshold", 0.95)
    kept: list[tuple[Picture, bytes]] = []
    for picture in one_by_one(run):
        look = _thumbnail(picture)
        if all(_likeness(look, other) <= least for _, other in kept):
            kept.append((picture, look))
    return Result((singles([picture for picture, _ in kept]),))


def _thumbnail(picture: Picture) -> bytes:
    return rgb(scaled(picture, THUMBNAIL, "BOX")).tobytes()


def _likeness(one: bytes, other: bytes) -> float:
    """How alike two thumbnails are: 1 when they are the same, 0 when one is black and one white."""
    return 1 - sum(abs(a - b) for a, b in zip(one, other)) / (255 * len(one))


# --- grids and tiles


def grid(run: Invocation) -> Result:
    """ImageGrid: row by row, every picture stretched to its cell, black between them."""
    pictures, run = one_by_one(run), options(run)
    pictures = pictures or run.images()
    columns, gap = max(1, run.value("columns", 4)), max(0, run.value("padding", 4))
    cell = max(1, run.value("cell_width", 256)), max(1, run.value("cell_height", 256))
    rows = math.ceil(len(pictures) / columns)
    size = columns * (cell[0] + gap) - gap, rows * (cell[1] + gap) - gap

    def paint() -> Image:
        canvas = Solid(0, *size).pixels()
        for number, picture in enumerate(pictures):
            row, column = divmod(number, columns)
            place = column * (cell[0] + gap), row * (cell[1] + gap)
            canvas.paste(rgb(scaled(picture, cell, "LANCZOS")), place)
        return canvas

    return Result((Images([Edited(size, paint)]),))


def split(run: Invocation) -> Result:
    """SplitImageToTileList: tiles that overlap, row by row."""
    images, overlap = run.images(), run.value("overlap", 128)
    tile = max(1, run.value("tile_width", 1024)), max(1, run.value("tile_height", 1024))
    areas = tiles(images[0].size, tile, overlap)
    return Result((Several(Images(_cut(images, area)) for area in areas),))


def _cut(images: Images, area: Area) -> list[Picture]:
    return each(lambda picture: cropped(picture, area.corners), images)


def merge_tiles(run: Invocation) -> Result:
    """ImageMergeTileList: tiles in their places, fading into each other where they overlap."""
    found = [batch for batch in run.inputs.get("image_list", ()) if isinstance(batch, Images) and batch]
    run = options(run)
    found = found or [run.images()]
    size = max(1, run.value("final_width", 1024)), max(1, run.value("final_height", 1024))
    overlap = run.value("overlap", 128)
    areas = tiles(size, found[0][0].size, overlap)

    def paint(*pictures: Picture) -> Image:
        canvas = Solid(0, *size).pixels()
        for picture, area in zip(pictures, areas):
            columns = feather(area.width, overlap if area.x else 0, 0)
            rows = feather(area.height, overlap if area.y else 0, 0)
            part = rgb(scaled(picture, (area.width, area.height)))
            canvas.paste(part, (area.x, area.y), ramped((area.width, area.height), columns, rows))
        return canvas

    return Result((Images(edit(paint, *found, size=size)),))


def tiles(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> list[Area]:
    """The tiles that cover a size, row by row; the last of a row or a column ends at the edge."""
    width, height = (min(pair) for pair in zip(size, tile))
    columns, rows = (_starts(*sides, overlap) for sides in zip(size, (width, height)))
    return [Area(x, y, width, height) for y in rows for x in columns]


def _starts(side: int, tile: int, overlap: int) -> list[int]:
    step = max(1, tile - max(0, overlap))
    count = 1 + math.ceil((side - tile) / step)
    return [min(number * step, side - tile) for number in range(count)]


BEHAVIOURS: dict[str, Behaviour] = {
    "ImageBatch": append,
    "BatchImagesNode": batch,
    "RepeatImageBatch": repeat,
    "ImageFromBatch": part,
    "RebatchImages": rebatch,
    "MergeImageLists": merge,
    "ShuffleDataset": shuffle,
    "ShuffleImageTextDataset": shuffle,
    "ImageDeduplication": deduplicate,
    "ImageGrid": grid,
    "SplitImageToTileList": split,
    "ImageMergeTileList": merge_tiles,
}
