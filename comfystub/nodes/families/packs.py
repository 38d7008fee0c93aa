"""Classes that widely used custom node packs bring, as far as a client can tell what they do.

They count when a server knows such a class (``object_info=``, a snapshot, ``add_node``) or takes any
(``unknown_nodes="accept"``).  Their names and shapes are those of the packs' own documentation and of
workflows that people published.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable
from typing import Any

from comfystub.media.pictures import Mosaic, Picture, Pixels, animated_webp, encode
from comfystub.nodes.families import latents, sampling
from comfystub.nodes.families.saving import preview_image, send_images
from comfystub.nodes.families.scaling import resized
from comfystub.nodes.families.video import interpolate
from comfystub.nodes.invocation import Behaviour, Invocation, Reports, Result
from comfystub.nodes.values import Images, Latent, Masks, Several, Sounds, first
from comfystub.nodes.writing import entry, texts

# --- values


def literal(name: str) -> Behaviour:
    """A node that gives what stands in one of its inputs."""
    return lambda run: Result((run.inputs.get(name),))


def chosen(which: str, yes: str, no: str) -> Behaviour:
    """A node that gives one of two inputs."""
    return lambda run: Result((run.inputs.get(yes if run.inputs.get(which) else no),))


def show_text(name: str) -> Behaviour:
    """A node that shows its input as text, and passes it on."""

    def act(run: Invocation) -> Result:
        value = run.inputs.get(name)
        shown = value if isinstance(value, Several) else [value]
        return Result((value,), {"text": [one if isinstance(one, str) else str(one) for one in shown]})

    return act


# --- pictures


def image_size(run: Invocation) -> Result:
    """Width, height and number of the pictures."""
    images = run.images()
    return Result((*images[0].size, len(images)))


def image_size_and_count(run: Invocation) -> Result:
    images = run.images()
    return Result((images, *images[0].size, len(images)))


def image_count(run: Invocation) -> Result:
    return Result((len(run.images("images")),))


def resize(run: Invocation) -> Result:
    """To a width and a height, of which 0 keeps the picture's own; then the sizes it has got."""
    images = run.images()
    own = images[0].size
    width, height = run.value("width", own[0]) or own[0], run.value("height", own[1]) or own[1]
    if run.inputs.get("keep_proportion") is True or run.inputs.get("method") == "keep proportion":
        scale = min(width / own[0], height / own[1])
        width, height = round(own[0] * scale), round(own[1] * scale)
    multiple = run.value("divisible_by", run.value("multiple_of", 1)) or 1
    width, height = (max(multiple, side // multiple * multiple) for side in (width, height))
    return Result((resized(run, images, width, height), width, height))


def upscale(run: Invocation) -> Result:
    """UltimateSDUpscale: by a factor."""
    images, factor = run.images(), run.value("upscale_by", 2.0)
    width, height = (max(1, round(side * factor)) for side in images[0].size)
    return Result((resized(run, images, width, height),))


def compare(run: Invocation) -> Result:
    """Image Comparer: both sides as previews, under keys of their own."""
    sides: dict[str, Any] = {"a_images": [], "b_images": []}
    for key, name in (("a_images", "image_a"), ("b_images", "image_b")):
        if isinstance(run.inputs.get(name), Images):
            shown = preview_image(run._replace(inputs={"images": run.inputs[name]})).ui or {}
            sides[key] = shown["images"]
    return Result((), sides)


def preview_mask(run: Invocation) -> Result:
    """Masks, or pictures, as previews."""
    masks = first(Masks, run.inputs.values())
    pictures = first(Images, run.inputs.values()) or Images(masks or ())
    return preview_image(run._replace(inputs={"images": pictures or run.images()}))


def batch_to_list(run: Invocation) -> Result:
    return Result((Several(Images([picture]) for picture in run.images()),))


def load_base64(run: Invocation) -> Result:
    """ETN_LoadImageBase64: a picture that stands in the prompt itself, and its mask."""
    from PIL import Image

    try:
        data = base64.b64decode(run.value("image", ""))
    except binascii.Error as problem:
        raise ValueError(f"Invalid base64-encoded image: {problem}") from None
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    mask = image.getchannel("A").point(lambda alpha: 255 - alpha)
    return Result((Images([Pixels(image.convert("RGB"))]), Masks([Pixels(mask)])))


def send_over_socket(run: Invocation) -> Reports:
    """ETN_SendImageWebSocket: as SaveImageWebsocket, and an entry for each that says so."""
    images = run.images("images")
    yield from send_images(run)
    sent = {"source": "websocket", "content-type": "image/png", "type": "output"}
    return Result((), {"images": [dict(sent) for _ in images]})


# --- films


def combine(run: Invocation) -> Result:
    """VHS_VideoCombine and ADE_AnimateDiffCombine: a film, listed under ``gifs``.

    The files count on by themselves, ``name_00001.mp4``; one with sound is called ``…-audio``.
    """
    images, kind = run.images("images"), run.value("format", "image/gif")
    fps, saved = (
        run.value("frame_rate", 8.0),
        run.inputs.get("save_output", run.inputs.get("save_image", True)),
    )
    if run.inputs.get("pingpong"):
        images = Images([*images, *images[-2:0:-1]])
    folder = "output" if saved else "temp"
    place = run.save_place(folder, run.value("filename_prefix", "AnimateDiff"), images[0].size)
    number = 1 + _highest(place.names(), place.stem)
    sound = first(Sounds, run.inputs.values())
    ending, data = _film(kind, images, fps, sound)
    mute = sound is None or kind.startswith("image/")
    name = f"{place.stem}_{number:05}{'' if mute else '-audio'}{ending}"
    path = place.put(name, data)
    shown: dict[str, Any] = {**entry(name, place.subfolder, folder), "format": kind}
    if run.inputs.get("save_metadata", True) and run.node_class.name == "VHS_VideoCombine":
        still = f"{place.stem}_{number:05}.png"
        place.put(still, images[0].png(texts(run)))
        shown |= {"frame_rate": fps, "workflow": still, "fullpath": str(path)}
    return Result(((bool(saved), [str(path)]),), {"gifs": [shown]})


def _highest(names: list[str], stem: str) -> int:
    numbered = re.compile(re.escape(stem) + r"_(\d+)\D*\..+")
    return max((int(found[1]) for name in names if (found := numbered.fullmatch(name))), default=0)


def _film(kind: str, images: list[Picture], fps: float, sound: Sounds | None) -> tuple[str, bytes]:
    """The ending and the bytes of a film of a kind such as ``video/h264-mp4``."""
    if kind == "image/webp":
        return ".webp", animated_webp(images, fps)
    if kind.startswith("image/"):
        frames = [picture.pixels().convert("RGB") for picture in images]
        options = {"save_all": True, "append_images": frames[1:], "loop": 0}
        return ".gif", encode(frames[0], "GIF", duration=round(1000 / fps), **options)
    from comfystub.media import video

    if "webm" in kind:
        return ".webm", video.webm(images, fps, "av1" if "av1" in kind else "vp9")
    return ".mp4", video.mp4(images, fps, sound[0] if sound else None)


def load_film(run: Invocation) -> Result:
    """VHS_LoadVideo and its kin: as many frames as are there, or as are asked for."""
    from comfystub.media import video

    path = run.server.folders.locate(run.value("video", ""))
    data = path.read_bytes() if path is not None and path.is_file() else b""
    found = video.probe(data)
    width, height, fps, count = (512, 512, 24.0, 16)
    if found is not None:
        width, height, fps, count = found.width, found.height, found.fps, found.frames
    if wanted := run.value("force_rate", 0.0):
        count, fps = max(1, round(count * wanted / fps)), wanted
    width = run.value("custom_width", 0) or width
    height = run.value("custom_height", 0) or height
    count = len(range(run.value("skip_first_frames", 0), count, max(1, run.value("select_every_nth", 1))))
    count = max(1, min(count, run.value("frame_load_cap", 0) or count))
    frames = Images([Mosaic(run.signature, width, height)] * count)
    sound = found.sound if found else None
    info = {"fps": fps, "frame_count": count, "duration": count / fps, "width": width, "height": height}
    return Result((frames, count, Sounds([sound] if sound else []), info))


def film_info(run: Invocation) -> Result:
    """VHS_VideoInfo: rate, count, duration, width and height, of the file and of what was loaded of it."""
    info = run.inputs.get("video_info")
    facts = tuple(info.values()) if isinstance(info, dict) else (24.0, 16, 16 / 24, 512, 512)
    return Result(facts + facts)


# --- samplers


def film_latent(run: Invocation) -> Result:
    """WanVideoEmptyEmbeds: an empty film."""
    return Result((_empty_film(run),))


def _empty_film(run: Invocation) -> Latent:
    width, height = run.value("width", 832), run.value("height", 480)
    return Latent(max(8, width), max(8, height), 1, run.signature, frames=max(1, run.value("num_frames", 81)))


def wan_sampler(run: Invocation) -> Reports:
    steps = run.value("steps", 30)
    return sampling.sample(run, run.latent("image_embeds"), steps, steps)


def hunyuan_sampler(run: Invocation) -> Reports:
    steps = run.value("steps", 30)
    return sampling.sample(run, _empty_film(run), steps, steps)


def efficient_sampler(run: Invocation) -> Reports:
    """KSampler (Efficient): the sampled latent among what came in, and its pictures."""
    steps = run.value("steps", 20)
    result = yield from sampling.sample(run, run.latent("latent_image"), steps, steps)
    latent = result.outputs[0]
    given = (run.inputs.get(name) for name in ("model", "positive", "negative"))
    return Result((*given, latent, run.inputs.get("optional_vae"), latent.decoded()))


# --- sums

#: What CM_IntBinaryOperation and its kin do.
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "Div": lambda a, b: a // b,
    "Mod": lambda a, b: a % b,
    "Pow": lambda a, b: a**b,
}


def binary(run: Invocation) -> Result:
    operate = OPERATIONS.get(run.value("op", "Add"), OPERATIONS["Add"])
    return Result((operate(run.value("a", 0), run.value("b", 0)),))


#: Class to the input that its output is.
LITERALS = {
    "Primitive integer [Crystools]": "int",
    "Primitive float [Crystools]": "float",
    "Primitive boolean [Crystools]": "boolean",
    "Primitive string [Crystools]": "string",
    "Primitive string multiline [Crystools]": "string",
    "Int Literal": "int",
    "Float Literal": "float",
    "String Literal": "string",
    "easy int": "value",
    "easy float": "value",
    "easy string": "value",
    "easy boolean": "value",
    "easy seed": "seed",
    "ImpactInt": "value",
    "ImpactFloat": "value",
    "INTConstant": "value",
    "FloatConstant": "value",
    "StringConstant": "string",
    "StringConstantMultiline": "string",
    "DF_Integer": "Value",
    "DF_Float": "Value",
    "DF_Text": "Text",
    "Seed (rgthree)": "seed",
    "Seed Generator": "seed",
    "Text Multiline": "text",
    "Text _O": "text",
    "CR Prompt Text": "prompt",
    "CR Text": "text",
    "ImagePass": "image",
}

#: Class to the input that it shows as text.
SHOWN = {
    "ShowText|pysssss": "text",
    "easy showAnything": "anything",
    "Display Any (rgthree)": "source",
    "Display Int (rgthree)": "input",
    "ConsoleDebug+": "value",
}

BEHAVIOURS: dict[str, Behaviour] = {
    **{name: literal(wanted) for name, wanted in LITERALS.items()},
    **{name: show_text(wanted) for name, wanted in SHOWN.items()},
    "Switch any [Crystools]": chosen("boolean", "on_true", "on_false"),
    "easy ifElse": chosen("boolean", "on_true", "on_false"),
    "ImpactConditionalBranch": chosen("cond", "tt_value", "ff_value"),
    "CM_IntBinaryOperation": binary,
    "CM_FloatBinaryOperation": binary,
    "GetImageSize+": image_size,
    "easy imageSize": image_size,
    "GetImageSizeAndCount": image_size_and_count,
    "VHS_GetImageCount": image_count,
    "ImageResize+": resize,
    "ImageResizeKJ": resize,
    "ImageResizeKJv2": resize,
    "UltimateSDUpscale": upscale,
    "RIFE VFI": interpolate,
    "Image Comparer (rgthree)": compare,
    "MaskPreview+": preview_mask,
    "ImageAndMaskPreview": preview_mask,
    "easy imageBatchToImageList": batch_to_list,
    "ETN_LoadImageBase64": load_base64,
    "ETN_SendImageWebSocket": send_over_socket,
    "VHS_VideoCombine": combine,
    "ADE_AnimateDiffCombine": combine,
    "VHS_LoadVideo": load_film,
    "VHS_LoadVideoPath": load_film,
    "VHS_VideoInfo": film_info,
    "WanVideoEmptyEmbeds": film_latent,
    "WanVideoSampler": wan_sampler,
    "WanVideoDecode": latents.decode,
    "HyVideoSampler": hunyuan_sampler,
    "HyVideoDecode": latents.decode,
    "KSampler (Efficient)": efficient_sampler,
}

#: Classes that make a prompt run, whether or not something is linked to them.
OUTPUT_CLASSES = frozenset(
    {
        *SHOWN,
        *("VHS_VideoCombine", "ADE_AnimateDiffCombine", "Image Comparer (rgthree)", "MaskPreview+"),
        *("ImageAndMaskPreview", "ETN_SendImageWebSocket"),
    }
)
