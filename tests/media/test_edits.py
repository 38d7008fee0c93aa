"""Pictures that are made from others."""

from __future__ import annotations

import io
import itertools

import pytest
from PIL import Image

from comfystub.media import png16
from comfystub.media.blends import blend
from comfystub.media.edits import (
    Edited,
    colored,
    cropped,
    feather,
    fitted,
    grown,
    levels,
    placed,
    ramped,
    rgb,
    scaled,
)
from comfystub.media.pictures import Mosaic, Picture, Pixels, Solid

NOISE = Image.effect_noise((24, 16), 60).convert("RGB")


class TestEdited:
    def test_it_is_made_once_and_only_when_somebody_looks(self) -> None:
        made = []

        def make() -> Image.Image:
            made.append(1)
            return NOISE

        picture = Edited(NOISE.size, make)
        assert (picture.size, repr(picture), made) == ((24, 16), "<Edited 24x16>", [])
        assert picture.pixels().tobytes() == NOISE.tobytes()
        assert (picture.mode, picture.pixels().size, len(picture.png()) > 0, made) == (
            "RGB",
            (24, 16),
            True,
            [1],
        )

    def test_what_it_was_made_from_is_let_go(self) -> None:
        source = Pixels(NOISE)
        picture = Edited(NOISE.size, source.pixels)
        picture.pixels()
        assert not callable(picture._state)

    def test_its_file_carries_texts(self) -> None:
        data = Edited((24, 16), lambda: NOISE).png([("prompt", "{}")])
        assert Image.open(io.BytesIO(data)).info["prompt"] == "{}"

    @pytest.mark.parametrize(("mode", "pixels"), [("L", "RGB"), ("RGBA", "RGBA"), ("1", "RGB")])
    def test_modes(self, mode: str, pixels: str) -> None:
        assert Edited((24, 16), lambda: NOISE.convert(mode)).mode == pixels

    def test_a_mask_is_written_in_colour(self) -> None:
        data = colored(Pixels(NOISE.convert("L"))).png()
        assert Image.open(io.BytesIO(data)).mode == "RGB"
        assert colored(Solid(0, 8, 8)).size == (8, 8)


class TestSizes:
    @pytest.mark.parametrize(
        ("picture", "crop", "kind"),
        [
            (Mosaic(b"a", 64, 48), False, Mosaic),
            (Mosaic(b"a", 32, 16), True, Mosaic),
            (Mosaic(b"a", 64, 48), True, Edited),
            (Solid(7, 64, 48), True, Solid),
            (Pixels(NOISE), False, Edited),
        ],
    )
    def test_pictures_of_tiles_need_no_pixels(self, picture: Picture, crop: bool, kind: type) -> None:
        other = scaled(picture, (20, 10), "BICUBIC", crop)
        assert (type(other), other.size, other.pixels().size) == (kind, (20, 10), (20, 10))

    def test_the_same_size_is_the_same_picture(self) -> None:
        picture = Pixels(NOISE)
        assert scaled(picture, NOISE.size) is picture
        assert cropped(picture, (0, 0, 24, 16)) is picture
        assert fitted(picture, NOISE.size) is picture

    def test_cropping(self) -> None:
        part = cropped(Pixels(NOISE), (2, 3, 10, 9))
        assert (part.size, part.pixels().tobytes()) == ((8, 6), NOISE.crop((2, 3, 10, 9)).tobytes())
        assert isinstance(cropped(Solid(7, 24, 16), (2, 3, 10, 9)), Solid)

    @pytest.mark.parametrize(
        ("size", "inner"),
        [
            ((48, 48), (0, 8, 48, 40)),
            ((24, 32), (0, 8, 24, 24)),
            ((100, 16), (38, 0, 62, 16)),
            ((7, 7), (0, 1, 7, 6)),
        ],
    )
    def test_fitting_into_a_size(self, size: tuple[int, int], inner: tuple[int, int, int, int]) -> None:
        image = fitted(Solid(0xFF0000, 24, 16), size, color=0x0000FF).pixels()
        assert image.size == size
        red = image.getchannel(0).getbbox()
        assert red == inner
        assert image.getpixel((size[0] - 1, size[1] - 1)) == (0, 0, 255) or inner[2:] == size

    def test_a_larger_canvas(self) -> None:
        image = placed(Solid(0xFF0000, 2, 2), (6, 4), 0x00FF00).pixels()
        assert (image.size, image.getpixel((2, 1)), image.getpixel((1, 1))) == (
            (6, 4),
            (255, 0, 0),
            (0, 255, 0),
        )


class TestLevels:
    def test_of_masks_and_of_pictures(self) -> None:
        grey = NOISE.convert("L")
        assert levels(Pixels(grey)).tobytes() == grey.tobytes()
        assert rgb(Pixels(NOISE.convert("RGBA"))).tobytes() == NOISE.tobytes()

    @pytest.mark.parametrize(
        ("length", "start", "end", "expected"),
        [
            (4, 0, 0, [255, 255, 255, 255]),
            (4, 2, 0, [127, 255, 255, 255]),
            (4, 0, 4, [255, 191, 127, 63]),
            (4, 99, 0, [63, 127, 191, 255]),
            (3, 3, 3, [85, 113, 85]),
        ],
    )
    def test_feathers(self, length: int, start: int, end: int, expected: list[int]) -> None:
        assert list(feather(length, start, end)) == expected

    def test_ramps(self) -> None:
        ramp = ramped((3, 2), bytes([255, 128, 0]), bytes([255, 128]))
        assert list(ramp.tobytes()) == [255, 128, 0, 128, 64, 0]

    @pytest.mark.parametrize("radius", [0, 1, 2, 3, 7, 10])
    @pytest.mark.parametrize("tapered", [True, False])
    def test_growing(self, radius: int, tapered: bool) -> None:
        image = Image.new("L", (25, 25))
        image.putpixel((12, 12), 255)
        inverted = image.point(lambda level: 255 - level)
        after = grown(image, radius, tapered)
        for x, y in itertools.product(range(25), repeat=2):
            right, down = abs(x - 12), abs(y - 12)
            reached = (right + down if tapered else max(right, down)) <= radius
            assert (after.getpixel((x, y)) == 255) == reached
        shrunk = grown(inverted, -radius, tapered)
        assert shrunk.point(lambda level: 255 - level).tobytes() == after.tobytes()

    def test_growing_in_colour_and_beyond_all_bounds(self) -> None:
        image = Image.new("RGB", (9, 7), (10, 20, 30))
        image.putpixel((0, 0), (255, 0, 0))
        assert grown(image, 16384).getcolors() == [(63, (255, 20, 30))]
        assert grown(image, -16384).getcolors() == [(63, (10, 0, 0))]


class TestBlending:
    @pytest.mark.parametrize(
        ("mode", "result"),
        [
            ("normal", (200, 100, 0)),
            ("multiply", (78, 78, 0)),
            ("screen", (222, 222, 255)),
            ("overlay", (156, 189, 255)),
            ("darken", (100, 100, 0)),
            ("lighten", (200, 200, 255)),
            ("hard-light", (189, 156, 0)),
            ("difference", (100, 100, 255)),
            ("exclusion", (144, 144, 255)),
            ("linear-dodge", (255, 255, 255)),
            ("linear-burn", (45, 45, 0)),
            ("linear-light", (245, 145, 0)),
            ("pin-light", (145, 200, 0)),
            ("hard-mix", (255, 255, 255)),
            ("subtract", (0, 100, 255)),
            ("divide", (127, 255, 255)),
            ("color-dodge", (255, 255, 255)),
            ("color-burn", (58, 115, 255)),
            ("grain-extract", (28, 228, 255)),
            ("grain-merge", (172, 172, 127)),
        ],
    )
    def test_each_channel(self, mode: str, result: tuple[int, int, int]) -> None:
        below, above = Image.new("RGB", (2, 2), (100, 200, 255)), Image.new("RGB", (2, 2), (200, 100, 0))
        assert all(abs(a - b) <= 1 for a, b in zip(blend(mode, below, above).getpixel((0, 0)), result))

    @pytest.mark.parametrize("mode", ["soft-light", "vivid-light"])
    def test_grey_in_the_middle_changes_little(self, mode: str) -> None:
        grey = Image.new("RGB", NOISE.size, (128,) * 3)
        after = blend(mode, NOISE, grey)
        assert max(abs(a - b) for a, b in zip(after.tobytes(), NOISE.tobytes())) <= 2

    @pytest.mark.parametrize(
        ("mode", "result"),
        [
            ("hue", (60, 120, 60)),
            ("color", (0, 120, 0)),
            ("saturation", (120, 0, 0)),
            ("luminosity", (200, 100, 100)),
        ],
    )
    def test_hue_saturation_and_value(self, mode: str, result: tuple[int, int, int]) -> None:
        below, above = Image.new("RGB", (2, 2), (120, 60, 60)), Image.new("RGB", (2, 2), (0, 200, 0))
        seen = blend(mode, below, above).getpixel((0, 0))
        assert all(abs(a - b) <= 2 for a, b in zip(seen, result))


class TestDeepPng:
    @pytest.mark.parametrize("mode", ["RGB", "RGBA"])
    def test_it_shows_the_same_with_16_bits(self, mode: str) -> None:
        image = NOISE.convert(mode)
        data = png16.encode(image, [("prompt", "狐")])
        with Image.open(io.BytesIO(data)) as back:
            back.load()
            assert (data[24], back.size, back.info["prompt"]) == (16, image.size, "狐")
            assert back.convert(mode).tobytes() == image.tobytes()
