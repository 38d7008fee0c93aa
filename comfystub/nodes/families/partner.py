"""Partner nodes: what they give when the account is good and the partner is well.

One behaviour serves them all.  How much of what they give follows from their inputs; what it looks
like is generated.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from comfystub.media.pictures import Mosaic
from comfystub.media.shapes import Shape, encode
from comfystub.media.sound import Sound
from comfystub.media.svg import mosaic
from comfystub.nodes import passing
from comfystub.nodes.families.partner_sizes import (
    Asked,
    Size,
    asked,
    count,
    film_size,
    fps,
    picture_size,
    seconds,
    spoken,
)
from comfystub.nodes.families.text import answer
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.values import Images, Masks, Sounds, Svg, Video, nth

#: The colours of a mask.
BLACK_AND_WHITE = (b"\x00\x00\x00", b"\xff\xff\xff")

#: Inputs that hold a prompt.
PROMPTS = ("prompt", "text_prompt", "prompt_text", "text", "edit_instruction", "storyboard_1_prompt")
#: Inputs that say whether a film has sound.
SOUND_SWITCHES = ("generate_audio", "audio", "background_music", "keep_original_sound")

# Exceptions, by the beginning of the name of a class or of a model.

#: Those that give back the pictures that came in, in another size perhaps, and no others.
FAITHFUL = (
    "BriaIncreaseResolution",
    "BriaRemoveImageBackground",
    "HitPawGeneralImageEnhance",
    "MagnificImageSkinEnhancerNode",
    "MagnificImageUpscaler",
    "RecraftCreativeUpscaleNode",
    "RecraftCrispUpscaleNode",
    "RecraftRemoveBackgroundNode",
    "TopazImageEnhance",
    "WavespeedImageUpscaleNode",
)
#: Those whose films always have sound.
SOUNDING = ("GeminiVideoOmni", "Grok", "OpenAIVideoSora", "Wan2", "kling-3.0-turbo")


def run_at_partner(run: Invocation) -> Result:
    """Give each output something of its type, of the size and length that the inputs ask for."""
    order = asked(run)
    return Result([_output(run, order, slot) for slot in range(len(run.node_class.output))])


def _output(run: Invocation, order: Asked, slot: int) -> Any:
    kind = str(run.node_class.output[slot])  # a list of options is a type as well
    digest = nth(run.signature, slot) if slot else run.signature
    if kind in MAKERS:
        return MAKERS[kind](run, order, digest)
    if kind == "STRING":
        names = run.node_class.entry.get("output_name", run.node_class.output)
        return _string(run, order, digest, names[slot])
    if kind in passing.SHAPES:
        return _shape(run, order, passing.SHAPES[kind])
    return _id(run.signature) if kind.endswith("TASK_ID") else passing.output_of_type(run, kind)


# Pictures


def _images(run: Invocation, order: Asked, digest: bytes) -> Images:
    if order.film and not order.images:
        return _film(run, order, digest).images
    size, look = picture_size(order), run.look()
    if order.images and order.among(FAITHFUL):
        return Images(picture.resized(size) for picture in order.images)
    return Images(look.picture(own, *size) for own in _digests(digest, count(order)))


def _masks(run: Invocation, order: Asked, digest: bytes) -> Masks:
    """Masks for the pictures of the first output."""
    pictures = _images(run, order, run.signature)
    digests = _digests(digest, len(pictures))
    return Masks(_mask(own, picture.size) for own, picture in zip(digests, pictures))


def _mask(digest: bytes, size: Size) -> Mosaic:
    return Mosaic(digest, *size, BLACK_AND_WHITE)


def _drawings(run: Invocation, order: Asked, digest: bytes) -> Svg:
    return Svg(mosaic(own, *picture_size(order)) for own in _digests(digest, count(order)))


def _digests(digest: bytes, number: int) -> list[bytes]:
    return [nth(digest, index) for index in range(number)] if number > 1 else [digest]


# Films and sound


def _film(run: Invocation, order: Asked, digest: bytes) -> Video:
    """A film that shows another picture in each second."""
    length, speed, size, look = seconds(order), fps(order), film_size(order), run.look()
    moments = [int(frame / speed) for frame in range(max(1, round(length * speed)))]
    shots = [look.picture(nth(digest, second), *size) for second in range(moments[-1] + 1)]
    return Video(Images(shots[second] for second in moments), speed, _track(order, digest, length))


def _track(order: Asked, digest: bytes, length: float) -> Sound | None:
    """The sound of a film: generated where it is asked for, else what came in."""
    switches = [order.told[name] for name in SOUND_SWITCHES if isinstance(order.told.get(name), bool)]
    if order.sounds:
        return order.sounds[0]._replace(seconds=length)
    if order.told.get("keep_original_sound") and order.film:
        return order.film.sound
    if any(switches) or spoken(order) or order.among(SOUNDING):
        return Sound(length, digest=digest)
    return order.film.sound if order.film and not switches else None


def _sounds(run: Invocation, order: Asked, digest: bytes) -> Sounds:
    came = order.sounds[0] if order.sounds else Sound(0.0)
    rate = order.number(("sample_rate",)) or _rate(str(order.told.get("output_format"))) or came.sample_rate
    return Sounds([came._replace(seconds=seconds(order), sample_rate=int(rate), digest=digest)])


def _rate(format: str) -> int | None:
    """The sample rate in the name of a format, ``mp3_44100_192``."""
    parts = format.split("_")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else None


MAKERS: Mapping[str, Callable[[Invocation, Asked, bytes], Any]] = {
    "AUDIO": _sounds,
    "IMAGE": _images,
    "MASK": _masks,
    "SVG": _drawings,
    "VIDEO": _film,
}


# Three-dimensional things


def _shape(run: Invocation, order: Asked, format: str) -> Shape:
    return Shape(run.signature, str(order.told.get("geometry_file_format") or format))


def _model_file(run: Invocation) -> str:
    """Write the model to the output folder; its name there."""
    partner = run.node_class.entry.get("category", "").rpartition("/")[2].lower()
    name = f"{partner}_model_{_id(run.signature)}.glb"
    path = run.server.folders.folder("output") / name
    run.before_save(str(path))
    run.server.folders.write(path, encode(Shape(run.signature)))
    return name


# Texts


def _string(run: Invocation, order: Asked, digest: bytes, name: str) -> str:
    told = str(order.told.get(name) or "")
    if name in ("model_file", "3D Model Path"):
        return _model_file(run)
    if name == "duration":
        return f"{seconds(order):g}"
    if name == "language_code":
        return told or str(order.told.get("language") or "en")
    if name in ("text", "words_json", "segments_json"):
        return _transcript(run.signature, seconds(order), name)
    if name.endswith("_id"):
        return told or _id(digest)
    if order.told.get("response_modalities") == "IMAGE":
        return ""
    said = answer(next((str(order.told[key]) for key in PROMPTS if order.told.get(key)), ""), run.signature)
    return told or (json.dumps({"short_description": said}) if name == "structured_prompt" else said)


def _transcript(digest: bytes, length: float, form: str) -> str:
    """What is heard in a sound: as a text, or as JSON that tells when each word or sentence is said."""
    text = f"This is the sound {digest.hex()[:6]}."
    if form == "text":
        return text
    pieces = text.split() if form == "words_json" else [text]
    step = length / len(pieces)
    said = [
        {"text": piece, "start": round(step * number, 3), "end": round(step * (number + 1), 3)}
        for number, piece in enumerate(pieces)
    ]
    return json.dumps(said)


def _id(digest: bytes) -> str:
    return str(uuid.UUID(bytes=digest, version=4))


# Exceptions


def separate_layers(run: Invocation) -> Result:
    """ByteDanceSeedreamLayerSeparationNode: a background, and a layer in each of two corners of it."""
    order = asked(run)
    width, height = picture_size(order)
    half = max(1, width // 2), max(1, height // 2)
    size = half if order.told.get("crop_layers") else (width, height)
    digests, look = _digests(nth(run.signature, 1), 2), run.look()
    places = ((0, 0), (width - half[0], height - half[1]))
    boxes = [{"x": x, "y": y, "width": half[0], "height": half[1]} for x, y in places]
    return Result(
        (
            Images([look.picture(run.signature, width, height)]),
            Masks([Mosaic(run.signature, width, height, BLACK_AND_WHITE[:1])]),
            Images(look.picture(digest, *size) for digest in digests),
            Masks(_mask(digest, size) for digest in digests),
            boxes,
            passing.output_of_type(run, "LAYERS"),
        )
    )


def convert_model(run: Invocation) -> Result:
    """TripoConversionNode: the partner converts the model, and nothing comes back."""
    return Result()


BEHAVIOURS = {
    "ByteDanceSeedreamLayerSeparationNode": separate_layers,
    "TripoConversionNode": convert_model,
}
DEFAULT = run_at_partner
