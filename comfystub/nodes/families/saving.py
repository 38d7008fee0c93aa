"""Output nodes for pictures: the files they write and what they show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from comfystub.media.pictures import Picture, animated_png, animated_webp
from comfystub.nodes.invocation import Invocation, Progress, Reports, Result
from comfystub.nodes.writing import entry, temp_prefix, texts

#: The choices of SaveAnimatedWEBP to libwebp's effort, from 0, quick, to 6, small.
WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}


def save_image(run: Invocation) -> Result:
    return save(run, "output", run.value("filename_prefix", "ComfyUI"))


def preview_image(run: Invocation) -> Result:
    return save(run, "temp", temp_prefix(run))


def save(run: Invocation, kind: str, prefix: str) -> Result:
    """Write every picture that came in to a folder, as PNG files that carry the prompt."""
    images = run.images("images")
    place = run.save_place(kind, prefix, images[0].size)
    chunks = texts(run)
    names = [place.save(".png", picture.png(chunks), number) for number, picture in enumerate(images)]
    return Result((images,), {"images": [entry(name, place.subfolder, kind) for name in names]})


def save_animated_webp(run: Invocation) -> Result:
    def encode(images: list[Picture]) -> bytes:
        return animated_webp(
            images,
            run.value("fps", 6.0),
            bool(run.inputs.get("lossless", True)),
            run.value("quality", 80),
            WEBP_METHODS.get(run.value("method", "default"), WEBP_METHODS["default"]),
        )

    return _save_animation(run, ".webp", encode)


def save_animated_png(run: Invocation) -> Result:
    def encode(images: list[Picture]) -> bytes:
        return animated_png(images, run.value("fps", 6.0), run.value("compress_level", 4), texts(run))

    return _save_animation(run, ".png", encode)


def _save_animation(run: Invocation, ending: str, encode: Callable[[list[Picture]], bytes]) -> Result:
    images = run.images("images")
    prefix = run.value("filename_prefix", "ComfyUI")
    place = run.save_place("output", prefix, images[0].size)
    name = place.save(ending, encode(images))
    return Result((images,), {"images": [entry(name, place.subfolder, "output")], "animated": [True]})


def send_images(run: Invocation) -> Reports:
    """SaveImageWebsocket: each picture as a binary frame, none on disk and none in the history."""
    images = run.images("images")
    for number, picture in enumerate(images):
        yield Progress(number, len(images), picture)
    return Result()


def preview_any(run: Invocation) -> Result:
    source = run.inputs.get("source")
    text = source if isinstance(source, str) else _shown(source)
    return Result((text,), {"text": [text]})


def _shown(value: Any) -> str:
    if isinstance(value, (bool, int, float)) or value is None:
        return str(value)
    try:
        return json.dumps(value)
    except TypeError:
        return "source exists, but could not be serialized."


BEHAVIOURS = {
    "SaveImage": save_image,
    "PreviewImage": preview_image,
    "SaveAnimatedWEBP": save_animated_webp,
    "SaveAnimatedPNG": save_animated_png,
    "SaveImageWebsocket": send_images,
    "PreviewAny": preview_any,
}
