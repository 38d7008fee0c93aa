"""What a partner node is asked for: sizes, numbers, lengths and speeds, as its inputs say.

Partners call things by different names; the tables say which.  What the inputs leave open is as the
partner's documentation has it, or else as most of them have it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from comfystub.nodes.invocation import Invocation
from comfystub.nodes.schema import Input
from comfystub.nodes.values import Images, Masks, Sounds, Video, first

Size = tuple[int, int]
T = TypeVar("T")

# Names of inputs; the first that tells anything counts.

SIZES = ("size", "size_preset", "resolution", "ratio")
#: What stands before ``width`` and ``height``.
SIDES = ("", "custom_", "canvas_", "output_")
RATIOS = ("aspect_ratio", "ratio", "expand_mode")
RESOLUTIONS = ("resolution", "target_resolution", "upscaler_resolution", "size", "quality", "mode")
FACTORS = ("upscale_factor", "scale_factor", "desired_increase")
COUNTS = ("n", "num_images", "number_of_images", "max_images", "series_amount")
#: How many pixels are added.
EDGES = ("left", "top", "right", "bottom")
LENGTHS = ("duration", "duration_seconds")
SPEEDS = ("fps", "interpolation_frame_rate")
#: Lengths of parts, which are added up.
PARTS = re.compile(r"storyboard_\d+_duration|duration\d+")
SPOKEN = re.compile(r"text\d*|text_prompt")

# What they say.

PIXELS = re.compile(r"(\d{3,4})\s*[x:]\s*(\d{3,4})")
RATIO = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
LINES = re.compile(r"(\d{3,4})p")
KILO = re.compile(r"(\d+(?:\.\d+)?)k")
LENGTH_IN_MODE = re.compile(r"(\d+)s duration")
#: Lines of a film, by the name of its quality.
QUALITIES = {"pro": 1080, "std": 720, "2k": 1440, "4k": 2160, "8k": 4320}

# What they leave open.

#: The side of a square picture with as many pixels, and the lines of a film.
SIDE, TALL = 1024, 720
WIDESCREEN = 16 / 9
SECONDS, FPS = 5.0, 24.0
#: Characters that are spoken in a second.
PACE = 15

# Exceptions, by the beginning of the name of a class or of a model.

SIDE_OF = {"IdeogramV4": 2048, "LumaImageNode": 1536}
SECONDS_OF = {"KlingVideoExtendNode": 10.0, "MinimaxTextToVideoNode": 6.0, "MinimaxImageToVideoNode": 6.0}
FPS_OF = {
    "FluxVideoUpscaleNode": 24.0,
    "MinimaxImageToVideoNode": 25.0,
    "MinimaxTextToVideoNode": 25.0,
    "OpenAIVideoSora": 30.0,
}
FACTOR_OF = {"RecraftCreativeUpscaleNode": 4.0, "RecraftCrispUpscaleNode": 4.0}
#: Those that make as many pictures of each that came in.
OF_EACH = ("Recraft",)
#: Those whose resolution is the shorter side, rather than as many pixels as a wide picture has.
BY_SHORTER_SIDE = ("HeyGen",)

_GEMINI_3 = "1024x1024 1264x848 1200x896 1152x928 1376x768 1584x672 2048x512 3072x384"
_IDEOGRAM = "1024x1024 1312x736 1280x800 1248x832 1152x864 1120x896 1408x704 1536x512"
#: Sizes that a partner has published, upright ones left out: the one of the nearest shape is taken.
PUBLISHED = {
    "FluxKontext": "1024x1024 1104x944 1184x880 1248x832 1328x800 1392x752 1456x720 1504x688 1568x672",
    "FluxProUltra": "2048x2048 2368x1792 2496x1664 2752x1536 3136x1344",
    "gemini-2.5": "1024x1024 1248x832 1184x864 1152x896 1344x768 1536x672",
    "GeminiImage2": _GEMINI_3,
    "GeminiNano": _GEMINI_3,
    "IdeogramPImage": _IDEOGRAM,
    "IdeogramV3": _IDEOGRAM,
    "OpenAIGPTImage": "1024x1024 1536x1024",
}


class Asked(NamedTuple):
    """What a node is given: plain values by the last part of their names, and what came over links."""

    name: str
    told: Mapping[str, Any]
    images: Images | None
    masks: Masks | None
    film: Video | None
    sounds: Sounds | None

    def number(self, names: Iterable[str]) -> float | None:
        """The first of these inputs that says a number."""
        found = (_number(self.told.get(name)) for name in names)
        return next((number for number in found if number is not None), None)

    def among(self, beginnings: Iterable[str]) -> str | None:
        """Which of these the name of its model or its class begins with."""
        names = [str(self.told[key]) for key in ("model", "model_name") if key in self.told] + [self.name]
        return next((start for start in beginnings if any(name.startswith(start) for name in names)), None)

    def exception(self, table: Mapping[str, T], usual: T) -> T:
        """What a table says of its model or its class."""
        start = self.among(table)
        return usual if start is None else table[start]


def asked(run: Invocation) -> Asked:
    """What a node is asked for; what its inputs leave out is as the class has it."""
    values, declared = run.inputs, run.node_class.inputs(run.inputs)
    usual = {wanted.name: _default(wanted) for wanted in declared}
    given = {**usual, **{name: value for name, value in values.items() if value is not None}}
    told = {name.rpartition(".")[2]: value for name, value in given.items() if value is not None}
    on = {n: v for n, v in told.items() if told.get(f"{n.partition('_')[0]}_enabled", True)}
    # In the order in which the class has its inputs, not in that of the prompt.
    came = [values[wanted.name] for wanted in declared if wanted.name in values]
    return Asked(
        run.node_class.name,
        on,
        first(Images, came) or None,
        first(Masks, came) or None,
        first(Video, came),
        first(Sounds, came) or None,
    )


def _default(wanted: Input) -> Any:
    choices = wanted.choices
    return wanted.config.get("default", choices[0] if isinstance(choices, list) and choices else None)


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        found = NUMBER.search(value)
        return float(found[0]) if found else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


# Sizes


def picture_size(order: Asked) -> Size:
    """The size of a picture, in pixels."""
    own = order.images[0].size if order.images else None
    size = _told(order, own)
    if size is None and own and order.masks:
        size = own
    if size is None:
        size = _of_shape(order, own, _side(order), order.exception(SIDE_OF, SIDE), 16)
    factor = order.number(FACTORS) or order.exception(FACTOR_OF, 1.0)
    left, top, right, bottom = (int(order.number((edge,)) or 0) for edge in EDGES)
    width, height = round(size[0] * factor) + left + right, round(size[1] * factor) + top + bottom
    return max(1, width), max(1, height)


def film_size(order: Asked) -> Size:
    """The size of the frames of a film, in pixels, which are even numbers."""
    still = order.images[0].size if order.images else None
    own = order.film.images[0].size if order.film and order.film.images else None
    size = _told(order, own or still)
    if size is None:
        lines = _lines(order)
        if own and _ratio(order) is None:
            scale = lines / min(own) if lines else order.number(FACTORS) or 1.0
            size = round(own[0] * scale), round(own[1] * scale)
        elif order.among(BY_SHORTER_SIDE):
            size = _around(lines or TALL, _shape(order, still, WIDESCREEN))
        else:
            side, usual = (math.sqrt(WIDESCREEN) * count for count in (lines or TALL, TALL))
            size = _of_shape(order, own or still, side, usual, 2, WIDESCREEN)
    return _multiple(size[0], 2), _multiple(size[1], 2)


def _told(order: Asked, own: Size | None) -> Size | None:
    """A size that is told in pixels; where one side is 0, the other one's scale decides."""
    for name in SIZES:
        if found := PIXELS.search(str(order.told.get(name, ""))):
            return int(found[1]), int(found[2])
    for start in SIDES:
        width, height = (int(order.number((start + side,)) or 0) for side in ("width", "height"))
        if start == "custom_" and order.told.get("size") != "Custom":
            continue
        if width or height:
            shape = own[0] / own[1] if own else 1.0
            return width or round(height * shape), height or round(width / shape)
    return None


def _of_shape(
    order: Asked, own: Size | None, side: float | None, usual: float, multiple: int, shape: float = 1.0
) -> Size:
    """A size with as many pixels as a square of a side has, of the shape that is told or that came in."""
    shape = _shape(order, own, shape)
    if published := order.exception(PUBLISHED, ""):
        sizes = ((int(width), int(height)) for width, height in PIXELS.findall(published))
        width, height = _nearest(sizes, shape)
        scale = (side or SIDE) / SIDE
        return round(width * scale), round(height * scale)
    if own and side is None and _ratio(order) is None:
        return own
    root = math.sqrt(shape)
    return _multiple((side or usual) * root, multiple), _multiple((side or usual) / root, multiple)


def _shape(order: Asked, own: Size | None, usual: float) -> float:
    """Width by height: a film has the shape of its first frame, whatever else is told."""
    told = None if own and "start_frame" in order.told else _ratio(order)
    return told or (own[0] / own[1] if own else usual)


def _ratio(order: Asked) -> float | None:
    found = (RATIO.search(str(order.told.get(name, ""))) for name in RATIOS)
    sides = next(((float(ratio[1]), float(ratio[2])) for ratio in found if ratio), None)
    across, down = sides or (order.number(("ratio_width",)), order.number(("ratio_height",)))
    return across / down if across and down else None


def _side(order: Asked) -> float | None:
    """The side that a resolution such as ``2K`` stands for."""
    found = (KILO.search(text) for text in _resolutions(order))
    return next((float(kilo[1]) * 1024 for kilo in found if kilo), None)


def _lines(order: Asked) -> int | None:
    """The lines that a resolution such as ``720p`` or ``4K`` stands for."""
    if short := order.number(("short_side",)):
        return int(short)
    for text in _resolutions(order):
        if found := LINES.search(text):
            return int(found[1])
        for quality, lines in QUALITIES.items():
            if text.startswith(quality):
                return lines
    return None


def _resolutions(order: Asked) -> list[str]:
    return [str(order.told[name]).lower() for name in RESOLUTIONS if name in order.told]


def _nearest(sizes: Iterable[Size], shape: float) -> Size:
    upright = shape < 1
    wanted = 1 / shape if upright else shape
    width, height = min(sizes, key=lambda size: abs(math.log(size[0] / size[1] / wanted)))
    return (height, width) if upright else (width, height)


def _around(shorter: float, shape: float) -> Size:
    return round(shorter * max(1.0, shape)), round(shorter * max(1.0, 1 / shape))


def _multiple(side: float, of: int) -> int:
    return max(of, round(side / of) * of)


# Numbers, lengths and speeds


def count(order: Asked) -> int:
    """How many pictures or drawings are made."""
    number = int(order.number(COUNTS) or 1)
    if order.told.get("sequential_image_generation") == "disabled":
        number = 1
    each = len(order.images) if order.images and order.among(OF_EACH) else 1
    return max(1, number) * each


def seconds(order: Asked) -> float:
    """How long a film or a sound is: as told, as what came in, or as a text takes to be spoken."""
    parts = sum(_number(value) or 0.0 for name, value in order.told.items() if PARTS.fullmatch(name))
    mode = LENGTH_IN_MODE.search(str(order.told.get("mode", "")))
    told = order.number(LENGTHS) or parts or (float(mode[1]) if mode else 0.0)
    if told:
        return told
    if order.film:
        return order.film.seconds * (order.number(("interpolation_slowmo",)) or 1.0)
    if text := spoken(order):
        return max(1.0, len(text) / PACE / (order.number(("speed", "voice_speed")) or 1.0))
    return order.sounds[0].seconds if order.sounds else order.exception(SECONDS_OF, SECONDS)


def spoken(order: Asked) -> str:
    """The text that is to be spoken, ``""`` without any."""
    texts = (str(value) for name, value in order.told.items() if SPOKEN.fullmatch(name))
    return " ".join(text for text in texts if text)


def fps(order: Asked) -> float:
    """The frames of a second: as told, as those of the film that came in, or as the partner has them."""
    return order.number(SPEEDS) or order.exception(FPS_OF, order.film.fps if order.film else FPS)
