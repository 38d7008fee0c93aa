"""Pictures whose size stays and whose pixels change: colours, blur, edges, noise."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import shake_128
from typing import TYPE_CHECKING

from comfystub.media import blends
from comfystub.media.edits import grown, levels, rgb
from comfystub.media.pictures import Picture
from comfystub.nodes.families.editing import alike, edit
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images

if TYPE_CHECKING:
    from PIL.Image import Image

#: What ImageBlend calls otherwise than layered files do.
BLEND_MODES = {"soft_light": "soft-light", "difference": "subtract"}

Filter = Callable[[Invocation, "Image"], "Image"]


def filtering(change: Filter) -> Behaviour:
    """A class that changes every picture by itself."""

    def behaviour(run: Invocation) -> Result:
        return Result((Images(edit(lambda picture: change(run, rgb(picture)), run.images())),))

    return behaviour


def by_level(level: Callable[[Invocation, float], float]) -> Behaviour:
    """A class that changes each sample by itself; samples are 0 to 1."""

    def change(run: Invocation, image: Image) -> Image:
        table = [min(255, max(0, round(255 * level(run, sample / 255)))) for sample in range(256)]
        return image.point(table * 3)

    return filtering(change)


def blur(run: Invocation, image: Image) -> Image:
    from PIL import ImageFilter

    return image.filter(ImageFilter.GaussianBlur(min(run.value("sigma", 1.0), run.value("blur_radius", 1))))


def sharpen(run: Invocation, image: Image) -> Image:
    from PIL import ImageFilter

    percent = round(100 * run.value("alpha", 1.0))
    return image.filter(ImageFilter.UnsharpMask(run.value("sigma", 1.0), percent, 0))


def quantize(run: Invocation, image: Image) -> Image:
    """ImageQuantize: no more colours than asked for; they are not dithered."""
    return image.quantize(min(256, max(1, run.value("colors", 256)))).convert("RGB")


def find_edges(run: Invocation, image: Image) -> Image:
    """Canny: white where neighbours differ, on black."""
    from PIL.ImageChops import subtract

    grey, least = image.convert("L"), round(255 * run.value("low_threshold", 0.4))
    contrast = subtract(grown(grey, 1), grown(grey, -1))
    return contrast.point(lambda level: 255 if level >= least else 0).convert("RGB")


def add_noise(run: Invocation, image: Image) -> Image:
    """Noise that follows from the seed."""
    from PIL import Image, ImageChops

    seed, strength = run.value("seed", 0), run.value("strength", 0.5)
    noise = shake_128(str(seed).encode()).digest(3 * image.width * image.height)
    grain = Image.frombytes("RGB", image.size, noise).point(lambda level: round(level * strength))
    return ImageChops.add(image, grain, offset=-round(127.5 * strength))


def morph(run: Invocation, image: Image) -> Image:
    from PIL.ImageChops import subtract

    reach = max(3, run.value("kernel_size", 3)) // 2

    def dilated(image: Image) -> Image:
        return grown(image, reach)

    def eroded(image: Image) -> Image:
        return grown(image, -reach)

    operations: dict[str, Callable[[], Image]] = {
        "erode": lambda: eroded(image),
        "dilate": lambda: dilated(image),
        "open": lambda: dilated(eroded(image)),
        "close": lambda: eroded(dilated(image)),
        "gradient": lambda: subtract(dilated(image), eroded(image)),
        "top_hat": lambda: subtract(image, dilated(eroded(image))),
        "bottom_hat": lambda: subtract(eroded(dilated(image)), image),
    }
    return operations.get(run.value("operation", "erode"), lambda: image)()


# --- of two pictures


def blend(run: Invocation) -> Result:
    """ImageBlend: the second picture over the first one, as much of it as is asked for."""
    name = run.value("blend_mode", "normal")
    mode, factor = BLEND_MODES.get(name, name), run.value("blend_factor", 0.5)

    def blended(one: Picture, two: Picture) -> Image:
        from PIL import Image

        return Image.blend(rgb(one), blends.blend(mode, rgb(one), rgb(two)), factor)

    below, above = run.images("image1"), run.images("image2")
    return Result((Images(edit(blended, below, alike(above, below[0].size))),))


def transfer_color(run: Invocation) -> Result:
    """ColorTransfer: pictures in the colours of others."""
    images, reference = run.images("image_target"), run.inputs.get("image_ref")
    strength = run.value("strength", 1.0)
    if not isinstance(reference, Images) or not reference or not strength:
        return Result((images,))

    def transferred(picture: Picture, like: Picture) -> Image:
        from PIL import Image

        return Image.blend(rgb(picture), recolored(rgb(picture), rgb(like)), strength)

    return Result((Images(edit(transferred, images, reference)),))


def recolored(image: Image, like: Image) -> Image:
    """An image with the mean and the spread that each channel of another one has."""
    from PIL import ImageStat

    own, other = ImageStat.Stat(image), ImageStat.Stat(like)
    table: list[float] = []
    for mean, spread, new_mean, new_spread in zip(own.mean, own.stddev, other.mean, other.stddev):
        gain = new_spread / spread if spread else 1.0
        table += [min(255, max(0, round((level - mean) * gain + new_mean))) for level in range(256)]
    return image.point(table)


# --- colour spaces


def to_yuv(run: Invocation) -> Result:
    """ImageRGBToYUV: each channel as a grey picture."""

    def channel(name: str) -> Images:
        return Images(edit(lambda p: rgb(p).convert("YCbCr").getchannel(name).convert("RGB"), run.images()))

    return Result([channel(name) for name in ("Y", "Cb", "Cr")])


def from_yuv(run: Invocation) -> Result:
    channels = [run.images(name) for name in "YUV"]

    def merged(*pictures: Picture) -> Image:
        from PIL import Image

        return Image.merge("YCbCr", [levels(picture) for picture in pictures]).convert("RGB")

    return Result((Images(edit(merged, *channels)),))


BEHAVIOURS: dict[str, Behaviour] = {
    "ImageInvert": by_level(lambda run, level: 1 - level),
    "AdjustBrightness": by_level(lambda run, level: level * run.value("factor", 1.0)),
    "AdjustContrast": by_level(lambda run, level: (level - 0.5) * run.value("factor", 1.0) + 0.5),
    "NormalizeImages": by_level(
        lambda run, level: (level - run.value("mean", 0.5)) / max(0.001, run.value("std", 0.5))
    ),
    "ImageBlur": filtering(blur),
    "ImageSharpen": filtering(sharpen),
    "ImageQuantize": filtering(quantize),
    "ImageAddNoise": filtering(add_noise),
    "Canny": filtering(find_edges),
    "Morphology": filtering(morph),
    "ImageBlend": blend,
    "ColorTransfer": transfer_color,
    "ImageRGBToYUV": to_yuv,
    "ImageYUVToRGB": from_yuv,
}
