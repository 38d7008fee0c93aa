"""Nodes without a behaviour of their own: they pass on what came in, type by type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfystub.media.pictures import Solid
from comfystub.media.sound import Sound
from comfystub.nodes.catalogue import builtin
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.schema import NodeClass
from comfystub.nodes.values import (
    DEFAULT_SIZE,
    Images,
    Latent,
    Masks,
    Opaque,
    Sigmas,
    Sounds,
    Svg,
    Video,
    first,
)

#: Frames per second of a film that nothing in the workflow says the speed of.
DEFAULT_FPS = 24.0
#: Seconds of a sound that nothing in the workflow says the length of.
DEFAULT_SECONDS = 1.0


def default(node_class: NodeClass) -> Behaviour:
    """What a node does of whose class the stub knows no more than its inputs and outputs, if that."""
    if not node_class.entry:
        return black_box
    # ComfyUI's own output nodes leave files of their own kinds: none at all is less wrong than pictures.
    if node_class.output_node and builtin(node_class.name) is None:
        return pass_on_and_save
    return pass_on


def pass_on(run: Invocation) -> Result:
    """Give each output what came in under its type, or else something of that type."""
    return Result([output_of_type(run, kind) for kind in run.node_class.output])


def pass_on_and_save(run: Invocation) -> Result:
    """The same for an output node, which saves the pictures it was given."""
    return Result(pass_on(run).outputs, save_what_came(run))


def black_box(run: Invocation) -> Result:
    """A class that nothing is known of: whatever is linked to it finds what came in behind it."""
    return Result(_AnySlot(Opaque("*", run.signature, tuple(run.inputs.values()))), save_what_came(run))


def save_what_came(run: Invocation) -> dict[str, Any] | None:
    """Save the pictures that came in as SaveImage does, and return what it shows."""
    from comfystub.nodes.families.saving import save_image

    return save_image(run).ui if first(Images, run.inputs.values()) else None


class _AnySlot(list[Any]):
    """Outputs of a node whose number of outputs is not known: each slot holds the same."""

    def __init__(self, value: Any) -> None:
        super().__init__([value])

    def __getitem__(self, slot: Any) -> Any:
        return super().__getitem__(0)


def output_of_type(run: Invocation, kind: Any) -> Any:
    """A value of a type for an output slot."""
    make = MAKERS.get(kind) if isinstance(kind, str) else None
    return make(run) if make else Opaque(str(kind), run.signature, tuple(run.inputs.values()))


def _images(run: Invocation) -> Images:
    values = run.inputs.values()
    came = first(Images, values)
    if came is not None:
        return came
    film = first(Video, values)
    return film.images if film is not None else (first(Latent, values) or _latent(run)).decoded()


def _masks(run: Invocation) -> Masks:
    came = first(Masks, run.inputs.values())
    if came is not None:
        return came
    images = first(Images, run.inputs.values())
    sizes = [picture.size for picture in images] if images else [(64, 64)]
    return Masks(Solid(0xFFFFFF, *size) for size in sizes)


def _latent(run: Invocation) -> Latent:
    came = first(Latent, run.inputs.values())
    if came is not None:
        return came._replace(digest=run.signature) if came.pictures is None else came
    width, height = run.value("width", DEFAULT_SIZE), run.value("height", DEFAULT_SIZE)
    return Latent(max(8, width // 8 * 8), max(8, height // 8 * 8), 1, run.signature)


def _sigmas(run: Invocation) -> Sigmas:
    return first(Sigmas, run.inputs.values()) or Sigmas(max(0, run.value("steps", 20)))


def _sounds(run: Invocation) -> Sounds:
    values = run.inputs.values()
    came = first(Sounds, values)
    if came:
        return came
    film, latent = first(Video, values), first(Latent, values)
    if film is not None and film.sound is not None:
        return Sounds([film.sound])
    if latent is not None and latent.sound is not None:
        return latent.sounds()
    return Sounds([Sound(_seconds(run), digest=run.signature)])


def _video(run: Invocation) -> Video:
    values = run.inputs.values()
    came = first(Video, values)
    if came is not None:
        return came
    fps = run.value("fps", DEFAULT_FPS)
    fps = fps if fps > 0 else DEFAULT_FPS
    count = max(1, round(_seconds(run) * fps))
    new = _latent(run)._replace(frames=count)
    images = first(Images, values) or (first(Latent, values) or new).decoded()
    return Video(images if len(images) > 1 else Images(images * count), fps)


def _seconds(run: Invocation) -> float:
    """How long something is to be, as far as the node says."""
    return max(0.0, run.value("duration", run.value("seconds", DEFAULT_SECONDS)))


def _drawings(run: Invocation) -> Svg:
    from comfystub.media.svg import mosaic

    came = first(Svg, run.inputs.values())
    return came or Svg([mosaic(run.signature, *_images(run)[0].size)])


def _shape(format: str) -> Callable[[Invocation], Any]:
    """What makes something three-dimensional, in the format of a file."""

    def make(run: Invocation) -> Any:
        from comfystub.media.shapes import Shape

        return Shape(run.signature, format)

    return make


def _plain(kind: type, names: tuple[str, ...]) -> Callable[[Invocation], Any]:
    """The input that gives a primitive its value, else the first one of the kind."""

    def make(run: Invocation) -> Any:
        values = [run.inputs[name] for name in names if name in run.inputs] or list(run.inputs.values())
        return next((value for value in values if type(value) is kind), kind())

    return make


#: Types of what is three-dimensional, to the format of the file that it becomes.
SHAPES = {
    "MESH": "glb",
    "SPLAT": "ply",
    "FILE_3D": "glb",
    "FILE_3D_GLB": "glb",
    "FILE_3D_GLTF": "gltf",
    "FILE_3D_OBJ": "obj",
    "FILE_3D_FBX": "fbx",
    "FILE_3D_STL": "stl",
    "FILE_3D_USDZ": "usdz",
    "FILE_3D_PLY": "ply",
    "FILE_3D_SPLAT": "splat",
    "FILE_3D_SPZ": "spz",
    "FILE_3D_KSPLAT": "ksplat",
    "FILE_3D_SPLAT_ANY": "ply",
    "FILE_3D_POINT_CLOUD_ANY": "ply",
}
#: Output type to what makes a value of it; any other type is opaque.
MAKERS: dict[str, Callable[[Invocation], Any]] = {
    "IMAGE": _images,
    "MASK": _masks,
    "LATENT": _latent,
    "SIGMAS": _sigmas,
    "AUDIO": _sounds,
    "VIDEO": _video,
    "SVG": _drawings,
    **{kind: _shape(format) for kind, format in SHAPES.items()},
    "INT": _plain(int, ("value", "seed")),
    "FLOAT": _plain(float, ("value",)),
    "STRING": _plain(str, ("value", "string", "text")),
    "BOOLEAN": _plain(bool, ("value",)),
}
