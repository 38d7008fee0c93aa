"""The pictures that flow through a workflow, and the files they become.

A picture knows its size and writes itself as a PNG; its pixels are made only when something asks for
them.  So a text-to-image job runs, saves and is fetched without Pillow being imported at all.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from comfystub.media import jpeg, png
from comfystub.media.png import Colors, Texts

if TYPE_CHECKING:
    from PIL.Image import Image

#: Colours, as three bytes each: red, green and blue.
Palette = tuple[bytes, ...]


class Picture:
    """A picture, `width` pixels wide and `height` pixels high.

    Raises:
        ValueError: a side is below 1.
    """

    __slots__ = ("height", "width")

    def __init__(self, width: int, height: int) -> None:
        if width < 1 or height < 1:
            raise ValueError(f"a picture has at least one pixel, not {width}x{height}")
        self.width = width
        self.height = height

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.width}x{self.height}>"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def mode(self) -> str:
        """The mode of the pixels: `"RGB"`, or `"RGBA"` for a picture with transparency."""
        return self.pixels().mode

    def pixels(self) -> Image:
        """Return the picture as a Pillow image in mode RGB or RGBA, not to be modified."""
        raise NotImplementedError

    def png(self, texts: Texts = ()) -> bytes:
        """Return the picture as a PNG file that carries these texts and no others.

        Args:
            texts: keyword and text of each text chunk.

        Raises:
            ValueError: a keyword is not Latin-1.
        """
        raise NotImplementedError

    def jpeg(self) -> bytes:
        """Return the picture as a JPEG file, without its transparency."""
        return encode(_in_mode(self.pixels(), "RGB"), "JPEG")

    def resized(self, size: tuple[int, int]) -> Picture:
        """Return the picture at another width and height in pixels."""
        from PIL.Image import Resampling

        return Pixels(self.pixels().resize(size, Resampling.BILINEAR, reducing_gap=2.0))


class Tiled(Picture):
    """A picture that is a grid of coloured tiles, which Pillow is not needed for."""

    __slots__ = ()

    mode = "RGB"

    def pixels(self) -> Image:
        from PIL import Image

        return Image.frombytes("RGB", self.size, png.raster(self.tiles(), *self.size))

    def png(self, texts: Texts = ()) -> bytes:
        return png.mosaic(self.tiles(), *self.size, texts)

    def jpeg(self) -> bytes:
        return jpeg.mosaic(self.tiles(), *self.size)

    def tiles(self) -> Colors:
        """Return the colours of the tiles, row by row from the top."""
        raise NotImplementedError


class Mosaic(Tiled):
    """What sampling makes: eight by eight tiles, mirrored left to right, in colours that go together.

    Pattern and colours come from the digest alone.  So the same digest looks the same at any size, and
    another one looks different.  A side of fewer than eight pixels has a tile for each pixel.

    Args:
        digest: bytes of any length that stand for all that the picture is made from.
        width: in pixels, at least 1.
        height: in pixels, at least 1.
        palette: the colours to use, as three bytes each, in place of those the digest chooses.
    """

    __slots__ = ("digest", "palette")

    def __init__(self, digest: bytes, width: int, height: int, palette: Palette = ()) -> None:
        super().__init__(width, height)
        self.digest = digest
        self.palette = palette

    def resized(self, size: tuple[int, int]) -> Mosaic:
        return Mosaic(self.digest, *size, self.palette)

    def tiles(self) -> Colors:
        return _pattern(self.digest, min(self.width, _TILES), min(self.height, _TILES), self.palette)


class Solid(Tiled):
    """A picture of one colour.

    Args:
        color: `0xRRGGBB`, as in the inputs of EmptyImage; higher bits do not count.
        width: in pixels, at least 1.
        height: in pixels, at least 1.
    """

    __slots__ = ("color",)

    def __init__(self, color: int, width: int, height: int) -> None:
        super().__init__(width, height)
        self.color = color & 0xFFFFFF

    def resized(self, size: tuple[int, int]) -> Solid:
        return Solid(self.color, *size)

    def tiles(self) -> Colors:
        return ((self.color.to_bytes(3, "big"),),)


class Pixels(Picture):
    """A picture that is a Pillow image.

    Images in modes other than RGB, RGBA and L become RGB, or RGBA when they know transparency; of 16-bit
    samples the high bytes stay.  A PNG keeps mode L.

    Args:
        image: the image; it is not copied.
    """

    __slots__ = ("_image",)

    def __init__(self, image: Image) -> None:
        super().__init__(*image.size)
        self._image = _plain(image)

    def pixels(self) -> Image:
        return self._image if self._image.mode != "L" else self._image.convert("RGB")

    def png(self, texts: Texts = ()) -> bytes:
        return png.with_texts(encode(self._image, "PNG", compress_level=1), texts)


class Encoded(Picture):
    """A picture that is a PNG file, decoded when its pixels are needed and never encoded anew.

    Args:
        data: the file.

    Raises:
        ValueError: `data` is no PNG.
    """

    __slots__ = ("_image", "data")

    def __init__(self, data: bytes) -> None:
        super().__init__(*png.size_of(data))
        self.data = data
        self._image: Image | None = None

    def pixels(self) -> Image:
        if self._image is None:
            from PIL import Image

            self._image = Pixels(Image.open(BytesIO(self.data))).pixels()
        return self._image

    def png(self, texts: Texts = ()) -> bytes:
        return png.with_texts(png.without_texts(self.data), texts)


def encode(image: Image, format: str, **options: Any) -> bytes:
    """Return the file that Pillow makes of an image.

    Args:
        image: a Pillow image.
        format: Pillow's name of the format, such as `"PNG"`.
        options: what Pillow's `Image.save` takes for that format.
    """
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def animated_webp(
    pictures: Sequence[Picture], fps: float = 6.0, lossless: bool = True, quality: int = 80, method: int = 4
) -> bytes:
    """Return an animated WebP that plays the pictures; of one picture, an ordinary WebP.

    Equal pictures in a row become one frame, as Pillow writes them.

    Args:
        pictures: one or more of the same size.
        fps: frames per second, above 0; a frame is shown for a whole number of milliseconds.
        lossless: whether the pixels are kept exactly.
        quality: 0 to 100, of the picture, or of the search for a small file when lossless.
        method: 0, quick, to 6, small.

    Raises:
        ValueError: there is no picture, or the sizes differ.
    """
    return _animated("WEBP", pictures, fps, lossless=lossless, quality=quality, method=method)


def animated_png(
    pictures: Sequence[Picture], fps: float = 6.0, compress_level: int = 4, texts: Texts = ()
) -> bytes:
    """Return an animated PNG that plays the pictures; of one picture, an ordinary PNG.

    Equal pictures in a row become one frame, as Pillow writes them.

    Args:
        pictures: one or more of the same size.
        fps: frames per second, above 0; a frame is shown for a whole number of milliseconds.
        compress_level: 0 to 9.
        texts: keywords and texts, kept as text chunks.

    Raises:
        ValueError: there is no picture, or the sizes differ.
    """
    return png.with_texts(_animated("PNG", pictures, fps, compress_level=compress_level), texts)


def _animated(format: str, pictures: Sequence[Picture], fps: float, **options: Any) -> bytes:
    mode = _common_mode(pictures)
    images = [_in_mode(picture.pixels(), mode) for picture in pictures]
    duration = max(1, int(1000 / fps))
    return encode(
        images[0], format, save_all=True, append_images=images[1:], duration=duration, loop=0, **options
    )


# How a mosaic looks

_TILES = 8  # along each side of a mosaic

_SWINGS = (1 / 12, -1 / 12, 1 / 3, 5 / 12, 1 / 2, 7 / 12, 2 / 3)
"""How far the accents may turn away from the hue of the rest, as parts of the colour circle."""

_MOODS = (
    (  # dark
        (0.0, 16, (40, 46, 52, 58, 64, 70)),
        (0.0, 56, (112, 122, 132, 142, 152)),
        (0.5, 48, (96, 110, 124)),
        (1.0, 44, (184, 200)),
    ),
    (  # light
        (0.0, 12, (228, 221, 214, 207, 200, 193)),
        (0.0, 56, (124, 134, 144, 154, 164)),
        (0.5, 48, (108, 122, 136)),
        (1.0, 60, (104, 118)),
    ),
)
"""Ground, figure, its companion and the accents: the part of the swing they take, how much colour they
have, and how light their shades are, both out of 255.  What has more shades is chosen more often.
"""


@lru_cache(maxsize=256)
def _pattern(digest: bytes, columns: int, rows: int, palette: Palette = ()) -> Colors:
    """Return the tiles that belong to a digest, as many of them as there is room for."""
    # hashed again, so that digests that differ in one bit look as different as any two
    noise = hashlib.blake2b(digest, digest_size=4 + _TILES * _TILES // 2).digest()
    palette = palette or _palette(noise)
    tiles = [palette[byte % len(palette)] for byte in noise[4:]]
    left_halves = [tiles[start : start + _TILES // 2] for start in range(0, len(tiles), _TILES // 2)]
    return [half[: columns - columns // 2] + half[: columns // 2][::-1] for half in left_halves[:rows]]


def palette_of(name: bytes) -> Palette:
    """Return colours that go together, those that belong to a name."""
    return _palette(hashlib.blake2b(name, digest_size=4).digest())


def _palette(noise: bytes) -> Palette:
    """Return the colours of a mosaic, which the first four bytes choose."""
    hue = int.from_bytes(noise[:2], "big") / 0x10000  # as a part of the colour circle, as swings are
    swing, mood = _SWINGS[noise[2] % len(_SWINGS)], noise[3] % len(_MOODS)
    palette = []
    for part, chroma, lights in _MOODS[mood]:
        # Blue and red difference: the circle on which colours of the same luma look about equally light.
        angle = math.tau * (hue + part * swing)
        cb, cr = chroma * math.cos(angle), chroma * math.sin(angle)
        red, green, blue = round(1.402 * cr), round(-0.344 * cb - 0.714 * cr), round(1.772 * cb)
        palette += [bytes((_byte(luma + red), _byte(luma + green), _byte(luma + blue))) for luma in lights]
    return tuple(palette)


def _byte(value: int) -> int:
    return 0 if value < 0 else 255 if value > 255 else value


# Pillow images

_TRANSPARENT_MODES = frozenset(("LA", "PA", "RGBA", "RGBa"))


def _plain(image: Image) -> Image:
    """Return an image in mode RGB, RGBA or L that shows the same."""
    if image.mode in _TRANSPARENT_MODES or "transparency" in image.info:
        return _in_mode(image, "RGBA")
    if image.mode.startswith("I"):  # Pillow would cut off what is above 255, which is nearly everything
        image = image.convert("I").point(lambda sample: sample * (1 / 256))
    return _in_mode(image, "L" if image.mode == "L" else "RGB")


def _in_mode(image: Image, mode: str) -> Image:
    return image if image.mode == mode else image.convert(mode)


# Animations


def _common_mode(pictures: Sequence[Picture]) -> str:
    """Return the mode that holds all pictures, or raise ValueError when they make no animation."""
    if len({picture.size for picture in pictures}) != 1:
        raise ValueError("an animation is one or more pictures of the same size")
    return "RGBA" if any(picture.mode == "RGBA" for picture in pictures) else "RGB"
