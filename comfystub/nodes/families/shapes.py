"""Three-dimensional things: the files they come from and become, and the pictures that show them."""

from __future__ import annotations

import math
import pathlib
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from comfystub.media.files import split_annotation
from comfystub.media.pictures import Mosaic, Picture, Pixels, Solid
from comfystub.media.shapes import Shape, encode
from comfystub.nodes.families.video import frames, read_film
from comfystub.nodes.invocation import Behaviour, Invocation, Reports, Result, Text
from comfystub.nodes.reading import digest_of, read
from comfystub.nodes.values import Images, Masks, first, nth
from comfystub.nodes.writing import Entry, temp_prefix, write

#: Pixels of a side, where the node does not say.
VIEW_SIDE, TEXTURE_SIDE = 1024, 2048

BLACK, WHITE, FLAT_NORMAL = 0x000000, 0xFFFFFF, 0x8080FF

#: What there is of the box that the stub makes: corners and triangles, or Gaussians in its corners.
VERTICES, FACES, GAUSSIANS = 8, 12, 8
#: Where a PLY file says how many points it has.
POINTS = re.compile(rb"element vertex (\d+)")


def shape(run: Invocation, name: str = "model_3d") -> Shape:
    """The shape of an input, or any that came in, or one the stub makes up."""
    return first(Shape, [run.inputs.get(name), *run.inputs.values()]) or Shape(run.signature)


# --- shapes that are loaded, and what a page has drawn of them


def load_3d(run: Invocation) -> Result:
    """Load3D: a file, and what the page has drawn of it, or else pictures of the size asked for."""
    state, size = _state(run, "image"), (run.value("width", VIEW_SIDE), run.value("height", VIEW_SIDE))
    recording = state.get("recording")
    return Result(
        (
            Images([_drawn(run, state, "image") or Mosaic(nth(run.signature, 0), *size)]),
            Masks([_drawn(run, state, "mask") or Solid(WHITE, *size)]),
            run.value("model_file", ""),
            Images([_drawn(run, state, "normal") or Mosaic(nth(run.signature, 1), *size)]),
            state.get("camera_info"),
            read_film(read(run, recording)) if recording else None,
            _loaded(run),
            state.get("model_3d_info", []),
        )
    )


def load_3d_advanced(run: Invocation) -> Result:
    return Result((_loaded(run), *_view(run)))


def _loaded(run: Invocation) -> Shape | None:
    name = run.value("model_file", "none")
    if name in ("", "none"):
        return None
    data = read(run, name)
    ending = pathlib.PurePath(split_annotation(name)[0]).suffix
    return Shape(digest_of(data), ending[1:].lower() or "glb", data)


def _state(run: Invocation, name: str) -> Mapping[str, Any]:
    """What a page has to say of its view; clients without one have nothing to say."""
    state = run.inputs.get(name)
    return state if isinstance(state, Mapping) else {}


def _drawn(run: Invocation, state: Mapping[str, Any], name: str) -> Picture | None:
    if not state.get(name):
        return None
    from PIL import Image

    with Image.open(BytesIO(read(run, state[name]))) as opened:
        return Pixels(opened.convert("RGB"))


def _view(run: Invocation) -> tuple[Any, Any, int, int]:
    """What is known of a model and of the camera before it, and the size of the view."""
    state = _state(run, "viewport_state")
    info = run.inputs.get("model_3d_info") or state.get("model_3d_info", [])
    camera = run.inputs.get("camera_info") or state.get("camera_info")
    return info, camera, run.value("width", VIEW_SIDE), run.value("height", VIEW_SIDE)


def create_camera(run: Invocation) -> Result:
    """CreateCameraInfo: where a camera is, and what it looks at."""
    mode, target = run.value("mode", "orbit"), _vector(run, "target", 0.0)
    position = _orbiting(run, target) if mode == "orbit" else _vector(run, "mode.position", 4.0)
    camera: dict[str, Any] = {"position": position, "target": target}
    if mode == "quaternion":
        camera["quaternion"] = _vector(run, "mode.quat", 0.0) | {"w": run.value("mode.quat_w", 1.0)}
    camera |= {"roll": run.value("roll", 0.0), "fov": run.value("fov", 35.0), "zoom": run.value("zoom", 1.0)}
    return Result((camera | {"cameraType": run.value("camera_type", "perspective")},))


def _vector(run: Invocation, name: str, default: float) -> dict[str, float]:
    return {axis: run.value(f"{name}_{axis}", default) for axis in "xyz"}


def _orbiting(run: Invocation, target: Mapping[str, float]) -> dict[str, float]:
    """A place around the target, by its angles in degrees; y points up."""
    yaw = math.radians(run.value("mode.yaw", 35.0))
    pitch = math.radians(run.value("mode.pitch", 30.0))
    distance = run.value("mode.distance", 4.0)
    return {
        "x": target["x"] + distance * math.cos(pitch) * math.sin(yaw),
        "y": target["y"] + distance * math.sin(pitch),
        "z": target["z"] + distance * math.cos(pitch) * math.cos(yaw),
    }


# --- shapes in other types, counted and drawn


def passing(name: str) -> Behaviour:
    """The shape of an input as it is, under another type."""
    return lambda run: Result((shape(run, name),))


def splat_to_file(run: Invocation) -> Result:
    """SplatToFile3D: in the format that is asked for."""
    splat, format = shape(run, "splat"), run.value("format", "ply")
    return Result((splat if splat.format == format else Shape(splat.digest, format),))


def mesh_info(run: Invocation) -> Reports:
    """GetMeshInfo: how much there is in a mesh, as an output and as a text to every client."""
    info = f"vertices: {VERTICES}\nfaces: {FACES}\nattributes: vertex_colors"
    yield Text(info)
    return Result((shape(run, "mesh"), info))


def splat_count(run: Invocation) -> Reports:
    """GetSplatCount: the number of Gaussians, as an output and as a text to every client."""
    splat = shape(run, "splat")
    said = POINTS.search(splat.data) if splat.data else None
    count = int(said[1]) if said else GAUSSIANS
    yield Text(f"{count:,}")
    return Result((splat, count))


def render(run: Invocation) -> Result:
    """RenderMesh and RenderSplat: pictures of the size asked for, as many as a turn of the camera has."""
    size, count = (run.value("width", VIEW_SIDE), run.value("height", VIEW_SIDE)), abs(run.value("frames", 1))
    images = frames(run.signature, count, *size)
    return Result((images, Masks([Solid(WHITE, *size)] * len(images))))


def texture(side: str, default: int, *colors: int | None) -> Behaviour:
    """A square picture for each output: of one colour, or a generated one where that is ``None``."""

    def behaviour(run: Invocation) -> Result:
        size = (run.value(side, default),) * 2
        digests = [nth(run.signature, number) for number in range(len(colors))]
        pictures = [
            Mosaic(digest, *size) if color is None else Solid(color, *size)
            for digest, color in zip(digests, colors)
        ]
        return Result([Images([picture]) for picture in pictures])

    return behaviour


# --- shapes that are written


def save_glb(run: Invocation) -> Result:
    """SaveGLB: a mesh as GLB, a file in the format it has."""
    return Result((), {"3d": [_saved(run, shape(run, "mesh"))]})


def save_view(run: Invocation) -> Result:
    """Save3DAdvanced and its kin: they show the path of the file, with the camera and the model's place."""
    model = shape(run)
    saved = _saved(run, model)
    path = pathlib.PurePosixPath(saved["subfolder"], saved["filename"])
    return _viewed(run, model, str(path))


def preview_view(run: Invocation) -> Result:
    """Preview3DAdvanced and its kin: the same, of a file in the temp folder."""
    model = shape(run)
    return _viewed(run, model, f"{_left(run, 'temp', model)} [temp]")


def preview_3d(run: Invocation) -> Result:
    """Preview3D: the path of a file in the output folder, the camera, and the picture in the background."""
    given = run.inputs.get("model_file")
    path = given if isinstance(given, str) else _left(run, "output", shape(run, "model_file"))
    return Result((), {"result": [path, _shown(run.inputs.get("camera_info")), _background(run)]})


def _saved(run: Invocation, model: Shape) -> Entry:
    prefix = run.value("filename_prefix", "3d/ComfyUI")
    return write(run, f".{model.format}", encode(model), prefix=prefix)


def _left(run: Invocation, kind: str, model: Shape) -> str:
    """Write a shape for a page to look at; the name of the file."""
    name, folders = f"preview3d_{run.signature.hex()}.{model.format}", run.server.folders
    path = folders.folder(kind) / name
    run.before_save(str(path))
    folders.write(path, encode(model))
    return name


def _background(run: Invocation) -> str | None:
    images = first(Images, [run.inputs.get("bg_image")])
    if not images:
        return None
    saved = write(run, ".png", images[0].png(), kind="temp", prefix=temp_prefix(run), size=images[0].size)
    return f"temp/{saved['filename']}"


def _viewed(run: Invocation, model: Shape, path: str) -> Result:
    info, camera, width, height = _view(run)
    return Result((model, info, camera, width, height), {"result": [path, _shown(camera), _shown(info)]})


def _shown(value: Any) -> Any:
    """What a client can be shown of a camera or of a model's place: nothing of an unknown node's."""
    return value if isinstance(value, (dict, list)) else None


BEHAVIOURS = {
    "Load3D": load_3d,
    "Load3DAdvanced": load_3d_advanced,
    "CreateCameraInfo": create_camera,
    "MeshToFile3D": passing("mesh"),
    "File3DToSplat": passing("model_3d"),
    "SplatToFile3D": splat_to_file,
    "GetMeshInfo": mesh_info,
    "GetSplatCount": splat_count,
    "RenderMesh": render,
    "RenderSplat": render,
    "RenderUVAtlas": texture("resolution", VIEW_SIDE, None),
    "BakeTextureFromVoxel": texture("texture_size", TEXTURE_SIDE, None, BLACK, BLACK),
    "BakeNormalMapFromMesh": texture("resolution", VIEW_SIDE, None),
    "BakeAmbientOcclusion": texture("resolution", VIEW_SIDE, None),
    "MeshTextureToImage": texture("texture_size", TEXTURE_SIDE, None, BLACK, BLACK, WHITE, FLAT_NORMAL),
    "SaveGLB": save_glb,
    "Save3DAdvanced": save_view,
    "SaveGaussianSplat": save_view,
    "SavePointCloud": save_view,
    "Preview3D": preview_3d,
    "Preview3DAdvanced": preview_view,
    "PreviewGaussianSplat": preview_view,
    "PreviewPointCloud": preview_view,
}
