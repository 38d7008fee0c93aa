"""Output nodes for pictures: the files they write and what they show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from comfystub.media.edits import colored
from comfystub.media.pictures import Picture, animated_png, animated_webp
from comfystub.nodes.families.editing import each, masks
from comfystub.nodes.invocation import Invocation, Progress, Reports, Result
from comfystub.nodes.values import DEFAULT_SIZE, Images, Svg
from comfystub.nodes.writing import Entry, Texts, entry, temp_prefix, texts

#: The choices of SaveAnimatedWEBP to libwebp's effort, from 0, quick, to 6, small.
WEBP_METHODS = {"default": 4, "fastest": 0, "slowest": 6}

Encode = Callable[[Picture], bytes]


def save_image(run: Invocation) -> Result:
    return save(run, "output", run.value("filename_prefix", "ComfyUI"))


def preview_image(run: Invocation) -> Result:
    return save(run, "temp", temp_prefix(run))


def save(run: Invocation, kind: str, prefix: str) -> Result:
    """Write every picture that came in to a folder, as PNG files that carry the prompt."""
    images = run.images("images")
    return Result((images,), {"images": write_all(run, images, kind, prefix, as_png(texts(run)))})


def shown(run: Invocation, images: Images) -> dict[str, Any]:
    """Pictures that a node shows, in files of the temp folder; a class that knows the prompt puts it in."""
    chunks = texts(run) if run.node_class.hidden else []
    return {"images": write_all(run, images, "temp", temp_prefix(run), as_png(chunks))}


def as_png(chunks: Texts) -> Encode:
    return lambda picture: picture.png(chunks)


def write_all(
    run: Invocation, images: Images, kind: str, prefix: str, encode: Encode, ending: str = ".png"
) -> list[Entry]:
    """Write pictures to a folder, a file each, and return how a client is shown them."""
    place = run.save_place(kind, prefix, images[0].size)
    names = [place.save(ending, encode(picture), number) for number, picture in enumerate(images)]
    return [entry(name, place.subfolder, kind) for name in names]


def preview_mask(run: Invocation) -> Result:
    given = masks(run)
    return Result((given,), shown(run, Images(each(colored, given))))


def compare(run: Invocation) -> Result:
    """ImageCompare: each side in a list of its own."""
    sides = {side: run.inputs.get(f"image_{side}") for side in "ab"}
    return Result(
        ui={
            f"{side}_images": shown(run, images)["images"] if isinstance(images, Images) and images else []
            for side, images in sides.items()
        }
    )


# --- other formats


def save_advanced(run: Invocation) -> Result:
    """SaveImageAdvanced: PNG files with 8 or 16 bits to a sample, or OpenEXR files."""
    images, prefix = run.images("images"), run.value("filename_prefix", "ComfyUI")
    encode, ending = _format(run)
    return Result((images,), {"images": write_all(run, images, "output", prefix, encode, ending)})


def _format(run: Invocation) -> tuple[Callable[[Picture], bytes], str]:
    """How the pictures are written, and how their names end."""
    from comfystub.media import exr, png16

    chunks = texts(run)
    if run.value("format", "png") == "exr":
        linear = run.value("format.input_color_space", "sRGB") == "linear"
        return lambda picture: exr.encode(picture.pixels(), linear), ".exr"
    if run.value("format.bit_depth", "8-bit") == "16-bit":
        return lambda picture: png16.encode(picture.pixels(), chunks), ".png"
    return as_png(chunks), ".png"


def save_svg(run: Invocation) -> Result:
    """SaveSVGNode: drawings that carry the prompt."""
    from comfystub.media import svg

    given = run.inputs.get("svg")
    drawings = (
        given if isinstance(given, Svg) else Svg([svg.mosaic(run.signature, DEFAULT_SIZE, DEFAULT_SIZE)])
    )
    place = run.save_place("output", run.value("filename_prefix", "svg/ComfyUI"), (0, 0))
    names = [place.save(".svg", _annotated(drawing, texts(run)).encode()) for drawing in drawings]
    return Result((drawings,), {"images": [entry(name, place.subfolder, "output") for name in names]})


def _annotated(drawing: str, chunks: Texts) -> str:
    """A drawing with what it comes from in its metadata, as JSON."""
    told = json.dumps({key: json.loads(value) for key, value in chunks}, indent=2).replace("]]>", "]]\\u003e")
    start, tag, rest = drawing.partition("<svg")
    attributes, end, content = rest.partition(">")
    return f"{start}{tag}{attributes}{end}<metadata><![CDATA[\n{told}\n]]></metadata>{content}"


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
    text = source if isinstance(source, str) else _as_text(source)
    return Result((text,), {"text": [text]})


def _as_text(value: Any) -> str:
    if isinstance(value, (bool, int, float)) or value is None:
        return str(value)
    try:
        return json.dumps(value)
    except TypeError:
        return "source exists, but could not be serialized."


BEHAVIOURS = {
    "SaveImage": save_image,
    "PreviewImage": preview_image,
    "MaskPreview": preview_mask,
    "ImageCompare": compare,
    "SaveImageAdvanced": save_advanced,
    "SaveSVGNode": save_svg,
    "SaveAnimatedWEBP": save_animated_webp,
    "SaveAnimatedPNG": save_animated_png,
    "SaveImageWebsocket": send_images,
    "PreviewAny": preview_any,
}
