"""Pictures that are made from others, when something asks for their pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from comfystub.media.pictures import Mosaic, Picture, Pixels, Solid
from comfystub.media.png import Texts

if TYPE_CHECKING:
    from PIL.Image import Image

Size = tuple[int, int]

Box = tuple[int, int, int, int]
"""The left, upper, right and lower edge of a part of a picture, in pixels."""


class Edited(Picture):
    """A picture that is not made before its pixels, or its file, are asked for; and then once.

    Args:
        size: width and height in pixels of what `make` returns, each at least 1.
        make: returns the Pillow image; its modes are those of `Pixels`.
    """

    __slots__ = ("_state",)

    def __init__(self, size: Size, make: Callable[[], Image]) -> None:
        super().__init__(*size)
        self._state: Callable[[], Image] | Pixels = make

    def pixels(self) -> Image:
        return self._made().pixels()

    def png(self, texts: Texts = ()) -> bytes:
        return self._made().png(texts)

    def _made(self) -> Pixels:
        state = self._state
        if not isinstance(state, Pixels):
            # What was asked is let go, and with it the pictures that this one was made from.
            self._state = state = Pixels(state())
        return state


def rgb(picture: Picture) -> Image:
    """Return the pixels of a picture without its transparency, not to be modified."""
    pixels = picture.pixels()
    return pixels if pixels.mode == "RGB" else pixels.convert("RGB")


def levels(mask: Picture) -> Image:
    """Return how far a mask is set, pixel by pixel: an image in mode L, white where it is."""
    return mask.pixels().getchannel(0)


def alpha(picture: Picture) -> Image | None:
    """Return how opaque a picture is, pixel by pixel, or `None` for one without transparency."""
    pixels = picture.pixels()
    return pixels.getchannel("A") if pixels.mode == "RGBA" else None


def colored(mask: Picture) -> Picture:
    """Return a mask as a picture in colour, which is what is written of it."""
    return mask if isinstance(mask, (Mosaic, Solid)) else Edited(mask.size, mask.pixels)


def scaled(picture: Picture, size: Size, resampling: str = "BICUBIC", crop: bool = False) -> Picture:
    """Return a picture in another size.

    Args:
        picture: a picture or a mask.
        size: width and height in pixels, each at least 1.
        resampling: the name of one of Pillow's filters.
        crop: whether to cut it to the new shape first, around its middle, instead of stretching it.
    """
    if picture.size == size:
        return picture
    cuts = crop and picture.width * size[1] != picture.height * size[0]
    if isinstance(picture, Solid) or (isinstance(picture, Mosaic) and not cuts):
        return picture.resized(size)
    return Edited(size, lambda: _resampled(picture.pixels(), size, resampling, cuts))


def _resampled(image: Image, size: Size, resampling: str, cuts: bool) -> Image:
    from PIL import ImageOps
    from PIL.Image import Resampling

    how = Resampling[resampling]
    return ImageOps.fit(image, size, how) if cuts else image.resize(size, how)


def fitted(picture: Picture, size: Size, resampling: str = "BICUBIC", color: int = 0) -> Picture:
    """Return a picture scaled to fit into a size, in the middle of it.

    Args:
        picture: a picture; its transparency is left out where there is something around it.
        size: width and height in pixels, each at least 1.
        resampling: the name of one of Pillow's filters.
        color: what is around it, `0xRRGGBB`.
    """
    scale = min(size[0] / picture.width, size[1] / picture.height)
    inner_size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    inner = scaled(picture, inner_size, resampling)
    return inner if inner_size == size else placed(inner, size, color)


def placed(picture: Picture, size: Size, color: int = 0) -> Picture:
    """Return a picture in the middle of one that is larger."""

    def make() -> Image:
        canvas = Solid(color, *size).pixels()
        canvas.paste(rgb(picture), ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
        return canvas

    return Edited(size, make)


def cropped(picture: Picture, box: Box) -> Picture:
    """Return a part of a picture that lies within it."""
    size = box[2] - box[0], box[3] - box[1]
    if size == picture.size:
        return picture
    if isinstance(picture, Solid):
        return picture.resized(size)
    return Edited(size, lambda: picture.pixels().crop(box))


def ramped(size: Size, columns: bytes, rows: bytes) -> Image:
    """Return an image in mode L whose level at each pixel is that of its column times that of its row."""
    from PIL import Image, ImageChops

    across = Image.frombytes("L", (size[0], 1), columns).resize(size)
    down = Image.frombytes("L", (1, size[1]), rows).resize(size)
    return ImageChops.multiply(across, down)


def feather(length: int, start: int, end: int) -> bytes:
    """Return levels along a side that rise over its first `start` pixels and fall over its last `end`."""
    start, end = min(start, length), min(end, length)
    levels = [255.0] * length
    for place in range(start):
        levels[place] *= (place + 1) / start
    for place in range(end):
        levels[-1 - place] *= (place + 1) / end
    return bytes(map(int, levels))


def grown(image: Image, radius: int, tapered: bool = False) -> Image:
    """Return an image whose light parts reach further, by as many pixels as `radius` says.

    Args:
        image: in mode L or RGB.
        radius: in pixels; below 0 the dark parts grow.
        tapered: whether corners are cut off at 45 degrees.
    """
    from PIL import ImageChops

    pick, outside = (ImageChops.lighter, 0) if radius > 0 else (ImageChops.darker, 255)
    left, done = min(abs(radius), sum(image.size)), 0
    while left:
        # What has grown by so much already reaches as far again when it is moved by that.
        step = min(left, max(1, done))
        for moves in _moves(step, tapered):
            before = image
            for x, y in moves:
                image = pick(image, _moved(before, x, y, outside))
        left, done = left - step, done + step
    return image


def _moves(step: int, tapered: bool) -> Sequence[Sequence[Size]]:
    across, down = [(step, 0), (-step, 0)], [(0, step), (0, -step)]
    return [across + down] if tapered else [across, down]


def _moved(image: Image, x: int, y: int, outside: int) -> Image:
    """Return an image moved to the right and down, with `outside` where nothing was."""
    from PIL import Image

    moved = Image.new(image.mode, image.size, (outside,) * len(image.getbands()))
    moved.paste(image, (x, y))
    return moved
