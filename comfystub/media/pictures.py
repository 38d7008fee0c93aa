"""The pictures that flow through a workflow, and the files they become.

A picture knows its size and writes itself as a PNG; its pixels are made only when something asks for
them.  So a text-to-image job runs, saves and is fetched without Pillow being imported at all.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from . import png
from .png import Colors, Texts

if TYPE_CHECKING:
    from PIL.Image import Image


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

    def resized(self, size: tuple[int, int]) -> Picture:
        """Return the picture at another width and height in pixels."""
        from PIL.Image import Resampling

        return Pixels(self.pixels().resize(size, Resampling.BILINEAR, reducing_gap=2.0))


class _Tiled(Picture):
    """A picture that is a grid of coloured tiles, which Pillow is not needed for."""

    __slots__ = ()

    mode = "RGB"

    def pixels(self) -> Image:
        from PIL import Image

        return Image.frombytes("RGB", self.size, png.raster(self._tiles(), *self.size))

    def png(self, texts: Texts = ()) -> bytes:
        return png.mosaic(self._tiles(), *self.size, texts)

    def _tiles(self) -> Colors:
        raise NotImplementedError


class Mosaic(_Tiled):
    """What sampling makes: eight by eight tiles, mirrored left to right, in colours that go together.

    Pattern and colours come from the digest alone.  So the same digest looks the same at any size, and
    another one looks different.  A side of fewer than eight pixels has a tile for each pixel.

    Args:
        digest: bytes of any length that stand for all that the picture is made from.
        width: in pixels, at least 1.
        height: in pixels, at least 1.
    """

    __slots__ = ("digest",)

    def __init__(self, digest: bytes, width: int, height: int) -> None:
        super().__init__(width, height)
        self.digest = digest

    def resized(self, size: tuple[int, int]) -> Mosaic:
        return Mosaic(self.digest, *size)

    def _tiles(self) -> Colors:
        return _pattern(self.digest, min(self.width, _TILES), min(self.height, _TILES))


class Solid(_Tiled):
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

    def _tiles(self) -> Colors:
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


def preview_jpeg(picture: Picture, size: tuple[int, int]) -> bytes:
    """Return the JPEG that a preview frame shows: the picture at exactly that size, without transparency.

    Args:
        picture: what is shown.
        size: width and height in pixels.
    """
    return encode(_in_mode(picture.resized(size).pixels(), "RGB"), "JPEG")


def animated_webp(
    pictures: Sequence[Picture],
    fps: float = 6.0,
    lossless: bool = True,
    quality: int = 80,
    method: int = 4,
    texts: Texts = (),
) -> bytes:
    """Return an animated WebP that plays the pictures for ever; of one picture, an ordinary WebP.

    Every picture stays a frame, also one that equals the picture before it.  The texts are EXIF tags as
    ComfyUI 0.33 writes them: `prompt:…` is the camera's model (0x0110), and the others go into the tags
    below it, from its make (0x010F) downwards.  EXIF knows ASCII only: other characters become `?`.

    Args:
        pictures: one or more of the same size.
        fps: frames per second, above 0; a frame is shown for a whole number of milliseconds.
        lossless: whether the pixels are kept exactly.
        quality: 0 to 100, of the picture, or of the search for a small file when lossless.
        method: 0, quick, to 6, small; the choices of SaveAnimatedWEBP are 0 (`fastest`), 4 (`default`)
            and 6 (`slowest`).
        texts: keywords and texts.

    Raises:
        ValueError: there is no picture, or the sizes differ.
    """
    mode = _common_mode(pictures)
    exif = _exif(texts)
    images = [_in_mode(picture.pixels(), mode) for picture in pictures]
    options = {"lossless": lossless, "quality": quality, "method": method}
    if len(images) == 1:
        return encode(images[0], "WEBP", exif=exif, **options)
    frames = [encode(image, "WEBP", **options) for image in images]
    return _webp_animation(frames, images[0].size, _duration(fps), mode == "RGBA", exif)


def animated_png(
    pictures: Sequence[Picture], fps: float = 6.0, compress_level: int = 4, texts: Texts = ()
) -> bytes:
    """Return an animated PNG that plays the pictures for ever; of one picture, an ordinary PNG.

    Every picture stays a frame, also one that equals the picture before it.  The texts stand in private
    `comf` chunks behind the picture data, as ComfyUI 0.33 writes them into animated files.

    Args:
        pictures: one or more of the same size.
        fps: frames per second, above 0; a frame is shown for a whole number of milliseconds.
        compress_level: 0 to 9, for pictures that Pillow has to encode.
        texts: keywords and texts, Latin-1 both.

    Raises:
        ValueError: there is no picture, the sizes differ, or a text is not Latin-1.
    """
    mode = _common_mode(pictures)
    frames = [
        picture.png()
        if isinstance(picture, _Tiled) and mode == "RGB"
        else encode(_in_mode(picture.pixels(), mode), "PNG", compress_level=compress_level)
        for picture in pictures
    ]
    return png.animation(frames, _duration(fps), texts)


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
def _pattern(digest: bytes, columns: int, rows: int) -> Colors:
    """Return the tiles that belong to a digest, as many of them as there is room for."""
    # hashed again, so that digests that differ in one bit look as different as any two
    noise = hashlib.blake2b(digest, digest_size=4 + _TILES * _TILES // 2).digest()
    hue = int.from_bytes(noise[:2], "big") / 0x10000
    palette = _palette(hue, _SWINGS[noise[2] % len(_SWINGS)], noise[3] % len(_MOODS))
    tiles = [palette[byte % len(palette)] for byte in noise[4:]]
    left_halves = [tiles[start : start + _TILES // 2] for start in range(0, len(tiles), _TILES // 2)]
    return [half[: columns - columns // 2] + half[: columns // 2][::-1] for half in left_halves[:rows]]


def _palette(hue: float, swing: float, mood: int) -> list[bytes]:
    """Return the colours of a mosaic; `hue` and `swing` are parts of the colour circle."""
    palette = []
    for part, chroma, lights in _MOODS[mood]:
        # Blue and red difference: the circle on which colours of the same luma look about equally light.
        angle = math.tau * (hue + part * swing)
        cb, cr = chroma * math.cos(angle), chroma * math.sin(angle)
        red, green, blue = round(1.402 * cr), round(-0.344 * cb - 0.714 * cr), round(1.772 * cb)
        palette += [bytes((_byte(luma + red), _byte(luma + green), _byte(luma + blue))) for luma in lights]
    return palette


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


def _duration(fps: float) -> int:
    """Return how long a frame is shown, in milliseconds."""
    return int(1000 / fps)


def _exif(texts: Texts) -> bytes:
    """Return the EXIF data that holds the texts, nothing for no texts."""
    from PIL.Image import Exif

    exif = Exif()
    make = itertools.count(0x010F, -1)
    for keyword, text in texts:
        exif[0x0110 if keyword == "prompt" else next(make)] = f"{keyword}:{text}"
    return exif.tobytes().removeprefix(b"Exif\0\0") if exif else b""


def _webp_animation(
    frames: Sequence[bytes], size: tuple[int, int], duration: int, transparent: bool, exif: bytes
) -> bytes:
    """Return an animated WebP that plays WebP files for ever; nothing is encoded anew.

    Pillow writes animations with an encoder of libwebp's that always merges equal frames.
    """
    canvas = _u24(size[0] - 1) + _u24(size[1] - 1)
    flags = 0x02 | (0x10 if transparent else 0) | (0x08 if exif else 0)
    # at the corner, at full size, and in place of what was there: neither blended with it nor disposed of
    control = _u24(0) + _u24(0) + canvas + _u24(min(duration, 0xFFFFFF)) + b"\x02"
    chunks = [
        _riff(b"VP8X", _u24(flags) + b"\0" + canvas),
        _riff(b"ANIM", struct.pack("<IH", 0, 0)),  # background, repeats
        *(_riff(b"ANMF", control + _webp_picture(frame)) for frame in frames),
    ]
    if exif:
        chunks.append(_riff(b"EXIF", exif))
    return _riff(b"RIFF", b"WEBP" + b"".join(chunks))


def _webp_picture(data: bytes) -> bytes:
    """Return those chunks of a WebP file that hold its picture."""
    chunks = []
    start = 12
    while start < len(data):
        length = int.from_bytes(data[start + 4 : start + 8], "little")
        end = start + 8 + length + length % 2
        if data[start : start + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            chunks.append(data[start:end])
        start = end
    return b"".join(chunks)


def _riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def _u24(number: int) -> bytes:
    return number.to_bytes(3, "little")
