"""Faces: where they are in pictures, and what is drawn of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from comfystub.media.edits import Edited, Size, rgb
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.boxes import Area, scored
from comfystub.nodes.families.editing import color
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Masks, nth

if TYPE_CHECKING:
    from PIL.Image import Image

Part = tuple[float, float, float, float]

#: Where the features of a face are, as parts of its box: their left, upper, right and lower edges.
FEATURES: dict[str, tuple[Part, ...]] = {
    "face_oval": ((0.0, 0.0, 1.0, 1.0),),
    "left_eyebrow": ((0.58, 0.27, 0.86, 0.33),),
    "right_eyebrow": ((0.14, 0.27, 0.42, 0.33),),
    "left_eye": ((0.6, 0.36, 0.84, 0.46),),
    "right_eye": ((0.16, 0.36, 0.4, 0.46),),
    "irises": ((0.68, 0.37, 0.76, 0.45), (0.24, 0.37, 0.32, 0.45)),
    "nose": ((0.42, 0.42, 0.58, 0.64),),
    "lips": ((0.32, 0.72, 0.68, 0.84),),
}


class Faces(NamedTuple):
    """The faces in each of some pictures of one size, ComfyUI's ``FACE_LANDMARKS``."""

    size: Size
    frames: tuple[tuple[Area, ...], ...]


def find(run: Invocation) -> Result:
    """MediaPipeFaceLandmarker: a list of faces for each picture."""
    images, most = run.images(), run.value("num_faces", 1) or None
    size, least = images[0].size, run.value("min_confidence", 0.5)
    frames = [scored(nth(run.signature, number), size, least)[:most] for number in range(len(images))]
    faces = Faces(size, tuple(tuple(map(Area.of, frame)) for frame in frames))
    return Result((faces, [[{**face, "label": "face"} for face in frame] for frame in frames]))


def _faces(run: Invocation) -> Faces:
    given = run.inputs.get("face_landmarks")
    return given if isinstance(given, Faces) else Faces(run.images()[0].size, ((),))


def _chosen(run: Invocation, name: str) -> list[Part]:
    """The features that a node is to draw."""
    custom = run.value(name, "all") == "custom"
    names = [feature for feature in FEATURES if not custom or run.inputs.get(f"{name}.{feature}")]
    return [part for feature in names for part in FEATURES[feature]]


def _boxes(faces: tuple[Area, ...], parts: list[Part]) -> list[tuple[float, ...]]:
    """Where features are in a picture: their edges."""
    return [
        tuple(start + length * edge for start, length, edge in zip((x, y) * 2, (width, height) * 2, part))
        for x, y, width, height in faces
        for part in parts
    ]


def mask(run: Invocation) -> Result:
    """MediaPipeFaceMask: white where the features are."""
    faces, parts = _faces(run), _chosen(run, "regions")

    def drawn(frame: tuple[Area, ...]) -> Picture:
        def draw() -> Image:
            from PIL import Image, ImageDraw

            canvas = Image.new("L", faces.size)
            for box in _boxes(frame, parts):
                ImageDraw.Draw(canvas).ellipse(box, fill=255)
            return canvas

        return Edited(faces.size, draw)

    return Result((Masks(map(drawn, faces.frames)),))


def visualize(run: Invocation) -> Result:
    """MediaPipeFaceMeshVisualize: the outlines of the features, and dots on them."""
    faces, given = _faces(run), run.inputs.get("image")
    images = given if isinstance(given, Images) and given else Images([Solid(0, *faces.size)])
    behind = [images[number % len(images)] for number in range(len(faces.frames))]
    fills = run.value("connections", "all") == "fill"
    parts = list(FEATURES["face_oval"]) if fills else _chosen(run, "connections")
    width, radius = run.value("thickness", 1), run.value("point_size", 2)

    def drawn(picture: Picture, frame: tuple[Area, ...]) -> Picture:
        def draw() -> Image:
            from PIL import ImageDraw

            image = rgb(picture).copy()
            canvas, shade = ImageDraw.Draw(image), color(run, "color", "#00ff00")
            for box in _boxes(frame, parts):
                if fills:
                    canvas.ellipse(box, fill=shade)
                    continue
                if width:
                    canvas.ellipse(box, outline=shade, width=width)
                left, top, right, bottom = box
                for x, y in (((left + right) / 2, top), ((left + right) / 2, bottom)):
                    if radius:
                        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade)
            return image

        return Edited(picture.size, draw)

    return Result((Images(map(drawn, behind, faces.frames)),))


BEHAVIOURS: dict[str, Behaviour] = {
    "MediaPipeFaceLandmarker": find,
    "MediaPipeFaceMask": mask,
    "MediaPipeFaceMeshVisualize": visualize,
}
