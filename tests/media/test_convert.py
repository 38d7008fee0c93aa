from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat, PngImagePlugin, UnidentifiedImageError

from comfystub.media.convert import channel, preview, put_mask
from comfystub.media.pictures import Mosaic, Solid, animated_png

SHADES = [Image.linear_gradient("L").rotate(90 * turn).resize((40, 30)) for turn in range(4)]
RGBA = Image.merge("RGBA", SHADES)
RGB = Image.merge("RGB", SHADES[:3])


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def distance(one: Image.Image, other: Image.Image) -> float:
    """How far apart two images are on average, 0 to 255, in the band in which they differ most."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


class TestPreview:
    @pytest.mark.parametrize(
        ("spec", "of_channel", "content_type"),
        [
            ("webp", None, "image/webp"),
            ("webp;90", None, "image/webp"),
            ("jpeg", None, "image/jpeg"),
            ("jpeg;70", None, "image/jpeg"),
            ("jpeg;70", "rgb", "image/jpeg"),
            ("jpeg;70", "rgba", "image/webp"),
            ("jpeg;70", "a", "image/webp"),
            ("jpeg", "alpha", "image/webp"),
            ("jpeg", "", "image/jpeg"),
            ("bogus", None, "image/webp"),
            ("", None, "image/webp"),
            ("80", None, "image/webp"),
            ("JPEG", None, "image/webp"),
            (" jpeg", None, "image/webp"),
        ],
    )
    def test_format(self, spec: str, of_channel: str | None, content_type: str) -> None:
        data, answered = preview(Solid(0xFF0000, 40, 30).png([("prompt", "{}")]), spec, of_channel)
        image = opened(data)
        assert answered == content_type
        assert (f"image/{image.format}".lower(), image.size, image.mode) == (content_type, (40, 30), "RGB")
        assert distance(image, Image.new("RGB", (40, 30), (255, 0, 0))) < 3

    @pytest.mark.parametrize(
        ("spec", "of_channel", "mode"),
        [
            ("webp", None, "RGBA"),
            ("webp", "rgba", "RGBA"),
            ("webp", "a", "RGBA"),
            ("webp", "rgb", "RGB"),
            ("jpeg", "a", "RGBA"),
            ("jpeg", None, "RGB"),
            ("jpeg", "rgb", "RGB"),
        ],
    )
    def test_transparency(self, spec: str, of_channel: str | None, mode: str) -> None:
        assert opened(preview(saved(RGBA), spec, of_channel)[0]).mode == mode

    @pytest.mark.parametrize("format", ["webp", "jpeg"])
    def test_quality(self, format: str) -> None:
        data = saved(RGB)
        sizes = [len(preview(data, f"{format};{quality}")[0]) for quality in (5, 50, 90, 100)]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[3]

    @pytest.mark.parametrize("spec", ["webp", "webp;", "webp;high", "webp;-5", "webp;7.5", "webp;20;x"])
    def test_quality_is_90_when_it_is_no_number(self, spec: str) -> None:
        assert preview(saved(RGB), spec) == preview(saved(RGB), "webp;90")

    def test_quality_is_the_last_part_even_if_it_is_the_only_one(self) -> None:
        assert preview(saved(RGB), "20") == preview(saved(RGB), "webp;20") == preview(saved(RGB), "webp;x;20")
        assert preview(saved(RGB), "20") != preview(saved(RGB), "webp;90")

    @pytest.mark.parametrize("spec", ["webp;101", "webp;²"])
    def test_quality_out_of_range(self, spec: str) -> None:
        with pytest.raises(ValueError):
            preview(saved(RGB), spec)

    @pytest.mark.parametrize("spec", ["webp", "jpeg"])
    def test_shows_the_first_frame(self, spec: str) -> None:
        pictures = [Mosaic(b"first", 64, 64), Mosaic(b"second", 64, 64), Mosaic(b"third", 64, 64)]
        image = opened(preview(animated_png(pictures), spec)[0])
        assert getattr(image, "n_frames", 1) == 1
        assert distance(image, pictures[0].pixels()) < distance(image, pictures[1].pixels()) / 5

    @pytest.mark.parametrize("spec", ["webp", "jpeg"])
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "RGB", "RGBA"])
    def test_any_picture(self, mode: str, spec: str) -> None:
        image = opened(preview(saved(Image.new(mode, (7, 5))), spec)[0])
        assert (image.format, image.size) == (spec.upper(), (7, 5))

    @pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF", "BMP"])
    def test_any_format(self, format: str) -> None:
        image = opened(preview(saved(RGB, format), "jpeg")[0])
        assert (image.format, image.size, image.mode) == ("JPEG", (40, 30), "RGB")


class TestChannel:
    def test_rgb_is_the_picture_without_transparency(self) -> None:
        data, content_type = channel(saved(RGBA), "rgb")
        image = opened(data)
        assert content_type == "image/png"
        assert (image.format, image.mode) == ("PNG", "RGB")
        assert image.tobytes() == RGB.tobytes()

    def test_a_is_the_transparency_of_black(self) -> None:
        data, content_type = channel(saved(RGBA), "a")
        image = opened(data)
        assert content_type == "image/png"
        assert (image.format, image.mode) == ("PNG", "RGBA")
        assert [band.tobytes() for band in image.split()] == [bytes(1200)] * 3 + [
            RGBA.getchannel("A").tobytes()
        ]

    @pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "1"])
    def test_a_is_opaque_for_all_but_rgba(self, mode: str) -> None:
        image = opened(channel(saved(Image.new(mode, (40, 30))), "a")[0])
        assert (image.mode, image.getcolors()) == ("RGBA", [(1200, (0, 0, 0, 255))])

    @pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGB"])
    def test_rgb_of_any_mode(self, mode: str) -> None:
        image = RGBA.convert("L").convert(mode)
        assert opened(channel(saved(image), "rgb")[0]).tobytes() == image.convert("RGB").tobytes()

    @pytest.mark.parametrize("which", ["rgb", "a"])
    def test_texts_do_not_go_along(self, which: str) -> None:
        image = opened(channel(Solid(255, 8, 8).png([("prompt", "{}")]), which)[0])
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.text == {}

    @pytest.mark.parametrize("which", ["rgba", "", "r", "A"])
    def test_others_are_not_converted(self, which: str) -> None:
        with pytest.raises(ValueError, match="channel"):
            channel(saved(RGBA), which)


class TestPutMask:
    TEXTS = [("prompt", '{"1": {}}'), ("workflow", "狐"), ("note", "é")]

    def test_takes_the_transparency_of_the_mask_and_nothing_else(self) -> None:
        picture = Mosaic(b"original", 40, 30)
        image = opened(put_mask(picture.png(), saved(RGBA)))
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (40, 30))
        assert image.convert("RGB").tobytes() == picture.pixels().tobytes()
        assert image.getchannel("A").tobytes() == RGBA.getchannel("A").tobytes()

    def test_replaces_the_transparency_there_was(self) -> None:
        image = opened(put_mask(saved(RGBA), saved(RGB)))
        assert image.tobytes() == RGB.convert("RGBA").tobytes()

    def test_keeps_the_texts_of_the_original(self) -> None:
        original = Mosaic(b"original", 40, 30).png(self.TEXTS)
        image = opened(
            put_mask(original, Mosaic(b"mask", 40, 30).png([("prompt", "of the mask"), ("other", "x")]))
        )
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.text == dict(self.TEXTS)

    def test_keeps_the_language_of_a_text(self) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_itxt("title", "renard", lang="fr", tkey="titre")
        image = opened(put_mask(saved(RGB, pnginfo=info), saved(RGBA)))
        assert isinstance(image, PngImagePlugin.PngImageFile)
        text = image.text["title"]
        assert isinstance(text, PngImagePlugin.iTXt)
        assert (text, text.lang, text.tkey) == ("renard", "fr", "titre")

    @pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF"])
    def test_takes_other_formats(self, format: str) -> None:
        image = opened(put_mask(saved(RGB, format), saved(RGBA)))
        assert (image.format, image.mode) == ("PNG", "RGBA")
        assert image.convert("RGB").tobytes() == opened(saved(RGB, format)).convert("RGB").tobytes()

    def test_the_sizes_agree(self) -> None:
        with pytest.raises(ValueError):
            put_mask(saved(RGB), saved(RGBA.resize((10, 10))))


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_raises_pillows_error(data: bytes) -> None:
    for call in (
        lambda: preview(data, "webp"),
        lambda: preview(data, "jpeg", "rgb"),
        lambda: channel(data, "rgb"),
        lambda: channel(data, "a"),
        lambda: put_mask(data, saved(RGBA)),
        lambda: put_mask(saved(RGBA), data),
    ):
        with pytest.raises(UnidentifiedImageError):
            call()


def test_half_a_picture_raises_pillows_error() -> None:
    half = saved(Image.effect_noise((200, 200), 90))[:-9000]
    with pytest.raises(OSError, match="truncated"):
        preview(half, "webp")
    with pytest.raises(OSError, match="truncated"):
        channel(half, "rgb")
    with pytest.raises(OSError, match="truncated"):
        put_mask(half, saved(RGBA))
