from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from itertools import combinations

import pytest
from PIL import Image, ImageChops, ImageStat, PngImagePlugin

from comfystub.media import png
from comfystub.media.pictures import (
    Encoded,
    Mosaic,
    Picture,
    Pixels,
    Solid,
    animated_png,
    animated_webp,
)

SIZES = [
    (1, 1),
    (2, 2),
    (3, 1),
    (7, 5),
    (8, 8),
    (9, 64),
    (64, 64),
    (509, 333),
    (512, 512),
    (2048, 64),
    (64, 2048),
]
TEXTS = [("prompt", '{"3": {}}'), ("workflow", "狐 🦊"), ("note", "é")]
RGBA = Image.merge(
    "RGBA", [Image.linear_gradient("L").rotate(90 * turn).resize((50, 40)) for turn in range(4)]
)


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def tiles(picture: Picture) -> list[tuple[int, ...]]:
    """The colour in the middle of each tile."""
    pixels, width, height = picture.pixels(), picture.width, picture.height
    across = [(width * x // 8 + width * (x + 1) // 8) // 2 for x in range(8)]
    down = [(height * y // 8 + height * (y + 1) // 8) // 2 for y in range(8)]
    return [color for y in down for x in across if isinstance(color := pixels.getpixel((x, y)), tuple)]


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def texts_of(data: bytes) -> dict[str, str | PngImagePlugin.iTXt]:
    image = opened(data)
    assert isinstance(image, PngImagePlugin.PngImageFile)
    return image.text


def saved(image: Image.Image, format: str = "PNG") -> bytes:
    file = BytesIO()
    image.save(file, format)
    return file.getvalue()


KINDS = [
    Mosaic(digest(1), 50, 40),
    Solid(0xC0FFEE, 50, 40),
    Pixels(RGBA),
    Pixels(RGBA.convert("RGB")),
    Encoded(saved(RGBA)),
    Encoded(png.mosaic([[b"abc", b"xyz"]], 50, 40, [("prompt", "of another"), ("author", "me")])),
]


class TestEveryPicture:
    @pytest.mark.parametrize("picture", KINDS, ids=repr)
    def test_knows_its_size(self, picture: Picture) -> None:
        assert (picture.width, picture.height) == picture.size == picture.pixels().size == (50, 40)
        assert "50x40" in repr(picture)

    @pytest.mark.parametrize("picture", KINDS, ids=repr)
    def test_writes_the_pixels_it_shows(self, picture: Picture) -> None:
        image = opened(picture.png())
        assert image.format == "PNG"
        assert image.mode == picture.mode == picture.pixels().mode
        assert image.tobytes() == picture.pixels().tobytes()

    @pytest.mark.parametrize("picture", KINDS, ids=repr)
    def test_writes_the_texts_it_is_given_and_no_others(self, picture: Picture) -> None:
        assert texts_of(picture.png(TEXTS)) == dict(TEXTS)
        assert texts_of(picture.png()) == {}

    @pytest.mark.parametrize("picture", KINDS, ids=repr)
    @pytest.mark.parametrize("size", [(1, 1), (50, 40), (99, 20), (300, 300)], ids=str)
    def test_scales(self, picture: Picture, size: tuple[int, int]) -> None:
        scaled = picture.resized(size)
        assert (scaled.size, scaled.mode) == (size, picture.mode)
        assert picture.size == (50, 40)

    @pytest.mark.parametrize("picture", KINDS, ids=repr)
    def test_has_no_room_for_typing_errors(self, picture: Picture) -> None:
        with pytest.raises(AttributeError):
            picture.heigth = 1  # type: ignore[attr-defined]

    @pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, -1)], ids=str)
    def test_has_pixels(self, size: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match="at least one pixel"):
            Mosaic(b"", *size)
        with pytest.raises(ValueError, match="at least one pixel"):
            Solid(0, *size)
        with pytest.raises(ValueError, match="at least one pixel"):
            Picture(*size)


class TestMosaic:
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_file_and_pixels_agree_at_any_size(self, size: tuple[int, int]) -> None:
        mosaic = Mosaic(digest(2), *size)
        image = opened(mosaic.png())
        assert (image.size, image.mode) == (size, "RGB")
        assert image.tobytes() == mosaic.pixels().tobytes()

    @pytest.mark.parametrize(
        "size", [(1, 8), (2, 2), (3, 3), (4, 8), (7, 5), (8, 8), (64, 48), (512, 512)], ids=str
    )
    def test_is_its_own_mirror_image(self, size: tuple[int, int]) -> None:
        pixels = Mosaic(digest(3), *size).pixels()
        assert pixels.tobytes() == pixels.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()

    @pytest.mark.parametrize("size", [size for size in SIZES if min(size) >= 8], ids=str)
    def test_looks_the_same_at_any_size(self, size: tuple[int, int]) -> None:
        assert tiles(Mosaic(digest(4), *size)) == tiles(Mosaic(digest(4), 8, 8))

    def test_keeps_its_top_left_tiles_when_there_is_no_room_for_all(self) -> None:
        whole, part = Mosaic(digest(5), 8, 8).pixels(), Mosaic(digest(5), 3, 2).pixels()
        for place in [(0, 0), (1, 0), (0, 1), (1, 1)]:
            assert part.getpixel(place) == whole.getpixel(place)

    def test_is_colourful(self) -> None:
        for number in range(50):
            assert len(set(tiles(Mosaic(digest(number), 64, 64)))) >= 8

    def test_looks_different_for_every_digest(self) -> None:
        mosaics = [Mosaic(digest(number), 8, 8) for number in range(120)]
        for one, other in combinations(mosaics, 2):
            changed = sum(a != b for a, b in zip(tiles(one), tiles(other)))
            difference = ImageStat.Stat(ImageChops.difference(one.pixels(), other.pixels())).mean
            assert changed >= 48, "of 64 tiles"
            assert sum(difference) > 20

    @pytest.mark.parametrize("length", [0, 1, 20, 32, 64, 1000])
    def test_every_bit_of_the_digest_counts(self, length: int) -> None:
        plain = bytes(length)
        for other in (plain + b"\0", plain[:-1] + b"\x01"):
            assert sum(a != b for a, b in zip(tiles(Mosaic(plain, 8, 8)), tiles(Mosaic(other, 8, 8)))) >= 32

    def test_differs_even_as_a_single_pixel(self) -> None:
        assert len({Mosaic(digest(number), 1, 1).png() for number in range(100)}) == 100

    def test_writes_the_same_bytes_again(self) -> None:
        assert Mosaic(digest(6), 100, 80).png(TEXTS) == Mosaic(digest(6), 100, 80).png(TEXTS)

    def test_needs_no_pillow_to_be_written(self) -> None:
        program = (
            "import sys\n"
            "from comfystub.media import convert, pictures\n"
            "assert pictures.Mosaic(b'a', 64, 64).png([('prompt', '{}')]).startswith(b'\\x89PNG')\n"
            "assert pictures.Solid(0xFF0000, 64, 64).png().startswith(b'\\x89PNG')\n"
            "pictures.Encoded(pictures.Solid(0, 8, 8).png()).png([('prompt', '{}')])\n"
            "sys.exit('PIL' in sys.modules)\n"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class TestSolid:
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_is_of_one_colour(self, size: tuple[int, int]) -> None:
        image = opened(Solid(0xFF8001, *size).png())
        assert (image.size, image.mode) == (size, "RGB")
        assert image.getcolors() == [(size[0] * size[1], (0xFF, 0x80, 0x01))]

    def test_takes_24_bits(self) -> None:
        assert Solid(0x5_000010, 1, 1).pixels().getpixel((0, 0)) == (0, 0, 0x10)


class TestPixels:
    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
    def test_a_file_keeps_plain_modes(self, mode: str) -> None:
        image = RGBA.convert(mode)
        again = opened(Pixels(image).png())
        assert again.mode == mode
        assert again.tobytes() == image.tobytes()

    @pytest.mark.parametrize(
        ("mode", "becomes"),
        [
            *((mode, "RGB") for mode in ("1", "L", "P", "CMYK", "YCbCr", "HSV", "F")),
            *((mode, "RGBA") for mode in ("LA", "PA", "RGBa")),
        ],
    )
    def test_other_modes_become_rgb_or_rgba(self, mode: str, becomes: str) -> None:
        image = (
            (RGBA if becomes == "RGBA" else RGBA.convert("RGB"))
            .convert("LA" if mode == "PA" else mode)
            .convert(mode)
        )
        picture = Pixels(image)
        assert picture.pixels().mode == picture.mode == becomes
        assert picture.pixels().tobytes() == image.convert(becomes).tobytes()

    @pytest.mark.parametrize("mode", ["P", "RGB", "L"])
    def test_a_transparent_colour_becomes_alpha(self, mode: str) -> None:
        image = Image.new("RGB", (2, 1), (10, 10, 10))
        image.putpixel((1, 0), (200, 200, 200))
        image = image.quantize() if mode == "P" else image.convert(mode)
        image.info["transparency"] = image.getpixel((1, 0))
        picture = Pixels(image)
        assert picture.mode == "RGBA"
        assert picture.pixels().getchannel("A").tobytes() == b"\xff\x00"
        assert opened(picture.png()).getchannel("A").tobytes() == b"\xff\x00"

    @pytest.mark.parametrize("mode", ["I", "I;16"])
    def test_of_deep_samples_the_high_byte_stays(self, mode: str) -> None:
        deep = Image.new(mode, (3, 1))
        for x, sample in enumerate((0x0000, 0x80FF, 0xFFFF)):
            deep.putpixel((x, 0), sample)
        assert Pixels(deep).pixels().tobytes() == bytes((0, 0, 0, 0x80, 0x80, 0x80, 0xFF, 0xFF, 0xFF))


class TestEncoded:
    def test_is_never_encoded_anew(self) -> None:
        data = saved(RGBA.quantize())
        assert Encoded(data).png() == data
        assert Encoded(png.with_texts(data, TEXTS)).png() == data

    def test_is_decoded_once(self) -> None:
        picture = Encoded(saved(RGBA))
        assert picture.pixels() is picture.pixels()

    @pytest.mark.parametrize(("mode", "shows"), [("P", "RGB"), ("L", "RGB"), ("LA", "RGBA"), ("I;16", "RGB")])
    def test_shows_any_png_as_rgb_or_rgba(self, mode: str, shows: str) -> None:
        assert Encoded(saved(Image.new(mode, (5, 4)))).mode == shows

    def test_refuses_other_files(self) -> None:
        with pytest.raises(ValueError, match="not a PNG"):
            Encoded(saved(RGBA.convert("RGB"), "JPEG"))


class TestPreview:
    @pytest.mark.parametrize("picture", KINDS, ids=repr)
    @pytest.mark.parametrize("size", [(512, 512), (256, 512), (512, 32), (1, 1)], ids=str)
    def test_is_a_jpeg_of_exactly_that_size(self, picture: Picture, size: tuple[int, int]) -> None:
        image = opened(picture.resized(size).jpeg())
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)

    @pytest.mark.parametrize("picture", KINDS, ids=repr)
    def test_shows_the_picture(self, picture: Picture) -> None:
        shown = opened(picture.resized((400, 320)).jpeg()).resize(picture.size, Image.Resampling.BOX)
        difference = ImageChops.difference(shown, picture.pixels().convert("RGB"))
        assert max(ImageStat.Stat(difference).mean) < 12


Animate = Callable[..., bytes]

DIFFERENT = [Mosaic(digest(number), 32, 32) for number in range(3)]
TURNED = [Pixels(RGBA.resize((32, 32)).rotate(90 * turn)) for turn in (0, 1, 1, 2)]


def frames(data: bytes) -> list[tuple[Image.Image, float]]:
    """The frames of an animation, each with its time in milliseconds."""
    found = []
    with Image.open(BytesIO(data)) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()
            found.append((image.copy(), image.info["duration"]))
    return found


def seen(image: Image.Image) -> bytes:
    """What of an image can be seen: its pixels on black."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA")).tobytes()


@pytest.mark.parametrize("animated", [animated_png, animated_webp])
class TestAnimations:
    @pytest.mark.parametrize("pictures", [DIFFERENT, [TURNED[0], TURNED[1], TURNED[3]]], ids=repr)
    def test_show_every_picture_for_its_time(self, animated: Animate, pictures: list[Picture]) -> None:
        shown = frames(animated(pictures, fps=6.0))
        assert [seen(image) for image, _ in shown] == [seen(picture.pixels()) for picture in pictures]
        assert {duration for _, duration in shown} == {166}

    @pytest.mark.parametrize(
        ("pictures", "mode"), [(DIFFERENT, "RGB"), (TURNED, "RGBA")], ids=["RGB", "RGBA"]
    )
    def test_are_as_opaque_as_their_pictures(
        self, animated: Animate, pictures: list[Picture], mode: str
    ) -> None:
        assert opened(animated(pictures)).mode == mode

    def test_play_for_ever(self, animated: Animate) -> None:
        assert opened(animated(DIFFERENT)).info["loop"] == 0

    def test_of_one_picture_are_ordinary_files(self, animated: Animate) -> None:
        image = opened(animated(DIFFERENT[:1]))
        assert getattr(image, "n_frames", 1) == 1
        assert image.convert("RGB").tobytes() == DIFFERENT[0].pixels().tobytes()

    def test_want_a_picture(self, animated: Animate) -> None:
        with pytest.raises(ValueError, match="one or more pictures"):
            animated([])

    def test_want_pictures_of_one_size(self, animated: Animate) -> None:
        with pytest.raises(ValueError, match="same size"):
            animated([Solid(0, 4, 4), Solid(0, 4, 5)])


def test_an_animated_png_keeps_its_texts() -> None:
    assert opened(animated_png(DIFFERENT, texts=[("prompt", "{}")])).text == {"prompt": "{}"}


def test_an_animated_webp_may_lose_pixels() -> None:
    shown = frames(animated_webp(DIFFERENT, fps=12.5, lossless=False, quality=90, method=0))
    for (image, _), picture in zip(shown, DIFFERENT, strict=True):
        difference = ImageChops.difference(image.convert("RGB"), picture.pixels())
        assert max(ImageStat.Stat(difference).mean) < 24
