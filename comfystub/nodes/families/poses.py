"""Poses, as OpenPose tells them: the joints of people in pictures, and what is drawn of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from comfystub.media.edits import Edited
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.boxes import COLORS, Area, areas_of, guess
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, nth

if TYPE_CHECKING:
    from PIL.Image import Image

Point = tuple[float, float]
Person = Mapping[str, Any]

#: The joints of a person, as parts of the box around it, in OpenPose's order.
BODY: tuple[Point, ...] = (
    (0.5, 0.09),  # nose
    (0.5, 0.2),  # neck
    (0.34, 0.21),  # right shoulder, elbow, wrist
    (0.24, 0.36),
    (0.16, 0.5),
    (0.66, 0.21),  # left shoulder, elbow, wrist
    (0.76, 0.36),
    (0.84, 0.5),
    (0.4, 0.52),  # right hip, knee, ankle
    (0.38, 0.74),
    (0.37, 0.95),
    (0.6, 0.52),  # left hip, knee, ankle
    (0.62, 0.74),
    (0.63, 0.95),
    (0.46, 0.07),  # eyes, ears; the right ones first
    (0.54, 0.07),
    (0.42, 0.09),
    (0.58, 0.09),
)
#: The joints that are joined.
LIMBS = (
    *((1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
HEAD = frozenset({0, 14, 15, 16, 17})

#: What else is told of a person: how many points, the joint they are around, and how far from it.
AROUND = {
    "face_keypoints_2d": (70, (0,), 0.07),
    "hand_right_keypoints_2d": (21, (4,), 0.05),
    "hand_left_keypoints_2d": (21, (7,), 0.05),
    "foot_keypoints_2d": (3, (10, 13), 0.03),
}

#: The size of what is drawn where nothing is known of a picture.
NOTHING = (64, 64)


def extract(run: Invocation) -> Result:
    """SDPoseKeypointExtractor: one person in each picture, or one for each of its boxes."""
    images = run.images()
    boxes = areas_of(run.inputs.get("bboxes"), len(images))
    frames = []
    for number, (picture, areas) in enumerate(zip(images, boxes)):
        people = areas or [guess(nth(run.signature, number), picture.size)]
        width, height = picture.size
        frames.append(
            {"canvas_width": width, "canvas_height": height, "people": [_person(area) for area in people]}
        )
    return Result((frames,))


def _person(area: Area) -> Person:
    joints = [(area.x + x * area.width, area.y + y * area.height) for x, y in BODY]
    told = {"pose_keypoints_2d": joints}
    for name, (count, centers, reach) in AROUND.items():
        radius = reach * area.height
        told[name] = [point for center in centers for point in _ring(joints[center], radius, count)]
    return {name: [value for x, y in points for value in (x, y, 1.0)] for name, points in told.items()}


def _ring(center: Point, radius: float, count: int) -> Iterator[Point]:
    for number in range(count):
        angle = math.tau * number / count
        yield center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle)


def _frames(run: Invocation) -> Sequence[Mapping[str, Any]]:
    given = run.inputs.get("keypoints")
    return [frame for frame in given if isinstance(frame, Mapping)] if isinstance(given, list) else []


def _points(person: Person, name: str) -> list[tuple[float, float, float]]:
    """Points as their places and how certain they are."""
    values = person.get(name) or []
    return list(zip(values[::3], values[1::3], values[2::3]))


def face_boxes(run: Invocation) -> Result:
    """SDPoseFaceBBoxes: a box around each person's face, as large as is asked for."""
    scale, squares = run.value("scale", 1.5), bool(run.inputs.get("force_square", True))
    found = [
        [
            _around(_points(person, "face_keypoints_2d"), scale, squares)._asdict()
            for person in frame.get("people", ())
            if person.get("face_keypoints_2d")
        ]
        for frame in _frames(run)
    ]
    return Result((found,))


def _around(points: Sequence[tuple[float, float, float]], scale: float, squares: bool) -> Area:
    spans = [(min(places), max(places)) for places in list(zip(*points))[:2]]
    width, height = ((high - low) * scale for low, high in spans)
    if squares:
        width = height = max(width, height)
    (left, right), (top, bottom) = spans
    corner = (left + right - width) / 2, (top + bottom - height) / 2
    return Area(max(0, round(corner[0])), max(0, round(corner[1])), round(width), round(height))


def draw(run: Invocation) -> Result:
    """SDPoseDrawKeypoints: sticks and dots on black."""
    frames = _frames(run)
    return Result((Images([_drawn(run, frame) for frame in frames] or [Solid(0, *NOTHING)]),))


def _drawn(run: Invocation, frame: Mapping[str, Any]) -> Picture:
    size = max(1, int(frame.get("canvas_width", 64))), max(1, int(frame.get("canvas_height", 64)))
    least, width = run.value("score_threshold", 0.3), run.value("stick_width", 4)
    dots = {
        "face_keypoints_2d": ("draw_face", run.value("face_point_size", 3), "white"),
        "hand_right_keypoints_2d": ("draw_hands", 2, "blue"),
        "hand_left_keypoints_2d": ("draw_hands", 2, "blue"),
        "foot_keypoints_2d": ("draw_feet", 2, "red"),
    }

    def make() -> Image:
        from PIL import Image, ImageDraw

        image = Image.new("RGB", size)
        canvas = ImageDraw.Draw(image)
        for person in frame.get("people", ()):
            joints = _points(person, "pose_keypoints_2d")
            for limb, color in zip(LIMBS, cycle(COLORS)):
                switch = "draw_head" if HEAD & set(limb) else "draw_body"
                ends = [joints[end][:2] for end in limb if end < len(joints) and joints[end][2] >= least]
                if run.inputs.get(switch, True) and len(ends) == 2:
                    canvas.line(ends, fill=color, width=width)
            for name, (switch, radius, color) in dots.items():
                for x, y, score in _points(person, name) if run.inputs.get(switch, True) else ():
                    if score >= least:
                        canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
        return image

    return Edited(size, make)


BEHAVIOURS: dict[str, Behaviour] = {
    "SDPoseKeypointExtractor": extract,
    "SDPoseFaceBBoxes": face_boxes,
    "SDPoseDrawKeypoints": draw,
}
