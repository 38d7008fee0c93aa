"""Blend modes: what two pictures look like when one lies on the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

Mode = Callable[["Image", "Image"], "Image"]


def blend(mode: str, below: Image, above: Image) -> Image:
    """Return an image in mode RGB that shows two others on top of each other.

    Args:
        mode: a name that layered files use, such as `"multiply"` or `"soft-light"`; any other leaves
            `above`.
        below: in mode RGB.
        above: in mode RGB, as large as the other.
    """
    function = _modes().get(mode)
    if function is not None:
        return function(below, above)
    if mode in _DIVISIONS:
        return _by_sample(_DIVISIONS[mode], below, above)
    if mode in _CHANNELS:
        return _by_channel(_CHANNELS[mode], below, above)
    return above


def _modes() -> dict[str, Mode]:
    from PIL import ImageChops as chops

    return {
        "multiply": chops.multiply,
        "screen": chops.screen,
        "overlay": chops.overlay,
        "darken": chops.darker,
        "lighten": chops.lighter,
        "hard-light": chops.hard_light,
        "soft-light": chops.soft_light,
        "difference": chops.difference,
        "exclusion": lambda a, b: chops.subtract(chops.screen(a, b), chops.multiply(a, b)),
        "linear-dodge": chops.add,
        "linear-burn": lambda a, b: chops.add(a, b, offset=-255),
        "linear-light": _linear_light,
        "pin-light": lambda a, b: chops.lighter(chops.darker(a, b.point(_double)), b.point(_upper)),
        "hard-mix": lambda a, b: chops.add(a, b, offset=-254).point(lambda level: 255 if level else 0),
        "subtract": chops.subtract,
        "grain-extract": lambda a, b: chops.subtract(a, b, offset=128),
        "grain-merge": lambda a, b: chops.add(a, b, offset=-128),
    }


def _linear_light(below: Image, above: Image) -> Image:
    from PIL.ImageChops import add, subtract

    return add(subtract(below, above.point(lambda level: max(0, 255 - 2 * level))), above.point(_upper))


def _double(level: int) -> int:
    return min(255, 2 * level)


def _upper(level: int) -> int:
    return max(0, 2 * level - 255)


# Modes that divide, sample by sample


def _dodge(below: int, above: int) -> int:
    return min(255, below * 255 // max(1, 255 - above))


def _burn(below: int, above: int) -> int:
    return 255 - min(255, (255 - below) * 255 // max(1, above))


def _vivid(below: int, above: int) -> int:
    return _burn(below, 2 * above) if above < 128 else _dodge(below, 2 * above - 255)


def _divide(below: int, above: int) -> int:
    return 255 if above <= 0 else min(255, below * 255 // above)


_DIVISIONS = {"color-dodge": _dodge, "color-burn": _burn, "vivid-light": _vivid, "divide": _divide}


def _by_sample(function: Callable[[int, int], int], below: Image, above: Image) -> Image:
    from PIL import Image

    table = [[function(a, b) for b in range(256)] for a in range(256)]
    samples = bytes([table[a][b] for a, b in zip(below.tobytes(), above.tobytes())])
    return Image.frombytes("RGB", below.size, samples)


# Modes that take hue, saturation and value from one picture or the other

_CHANNELS = {
    "hue": (True, False, False),
    "saturation": (False, True, False),
    "color": (True, True, False),
    "luminosity": (False, False, True),
}


def _by_channel(from_above: tuple[bool, ...], below: Image, above: Image) -> Image:
    from PIL import Image

    pairs = zip(from_above, below.convert("HSV").split(), above.convert("HSV").split())
    return Image.merge("HSV", [b if takes else a for takes, a, b in pairs]).convert("RGB")
