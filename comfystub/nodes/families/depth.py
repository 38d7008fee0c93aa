"""How far away things are in pictures: what Depth Anything 3 and MoGe make of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from comfystub.media.edits import rgb
from comfystub.media.pictures import Picture
from comfystub.nodes.families.editing import edit
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Opaque, first

if TYPE_CHECKING:
    from PIL.Image import Image

#: The horizontal field of view of a camera that nothing is known of, in degrees.
DEFAULT_FOV = 60.0
#: The colours of near, halfway and far.
NEAR, HALFWAY, FAR = "#7a0403", "#a2fc3c", "#30123b"


def infer(run: Invocation) -> Result:
    """MoGeInference: the pictures, and how wide the camera sees."""
    fov = run.value("fov_x_degrees", 0.0) or DEFAULT_FOV
    return Result((Opaque("MOGE_GEOMETRY", run.signature, (run.images(), fov)),))


def field_of_view(run: Invocation) -> Result:
    """MoGeGeometryToFOV: the angle along an axis, and the focal length in pixels."""
    width, height = run.images("moge_geometry")[0].size
    across = math.radians(first(float, [run.inputs.get("moge_geometry")]) or DEFAULT_FOV)
    focal = width / 2 / math.tan(across / 2)
    sides = {"horizontal": width, "diagonal": math.hypot(width, height)}
    angle = 2 * math.atan(sides.get(run.value("axis", "vertical"), height) / 2 / focal)
    return Result((math.degrees(angle) if run.value("unit", "degrees") == "degrees" else angle, focal))


# --- pictures of it: lighter is nearer


def render(run: Invocation) -> Result:
    """DA3Render and MoGeRender: a view of what each picture shows, in its size."""
    kind, geometry = run.value("output", "depth"), run.images()
    colored = kind == "depth_colored" or bool(run.inputs.get("output.colored"))
    view = _normals if kind.startswith("normal") else _map
    return Result((Images(edit(lambda picture: view(kind, colored, picture), geometry)),))


def _map(kind: str, colored: bool, picture: Picture) -> Image:
    """Depth, or how sure something is: that nothing is sky, and everything else."""
    from PIL import ImageOps

    depth = _depth(picture)
    sure = {"sky_mask": 0, "confidence": 255, "mask": 255}
    if kind in sure:
        depth = depth.point(lambda _: sure[kind])
    return ImageOps.colorize(depth, FAR, NEAR, HALFWAY) if colored else depth.convert("RGB")


def _depth(picture: Picture) -> Image:
    from PIL import ImageFilter

    return rgb(picture).convert("L").filter(ImageFilter.GaussianBlur(max(picture.size) / 64))


def _normals(kind: str, _colored: bool, picture: Picture) -> Image:
    """Which way surfaces look: to the right in red, up or down in green, to the viewer in blue."""
    from PIL import Image, ImageChops

    depth = _depth(picture)
    right, down = (
        ImageChops.subtract(ImageChops.offset(depth, *step), depth, 2, 128) for step in ((-1, 0), (0, -1))
    )
    green = down if kind == "normal_directx" else ImageChops.invert(down)
    return Image.merge("RGB", [right, green, Image.new("L", depth.size, 255)])


BEHAVIOURS: dict[str, Behaviour] = {
    "MoGeInference": infer,
    "MoGeGeometryToFOV": field_of_view,
    "MoGeRender": render,
    "DA3Render": render,
}
