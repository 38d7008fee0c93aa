"""Rectangles in pictures, ComfyUI's ``BOUNDING_BOX``: lists of dicts for each picture of a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from comfystub.media.edits import Box, Size
from comfystub.nodes.values import nth

Found = dict[str, Any]

#: The most things that are found in a picture, and the least certain of them; 1 is certain.
MOST_FOUND, LEAST_SCORE = 3, 0.6
#: The colours of what was found, one after the other.
COLORS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c")


class Area(NamedTuple):
    """A rectangle, in pixels."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def of(cls, box: Mapping[str, Any]) -> Area:
        """The rectangle that a bounding box says; what it leaves out, or says badly, is 0."""
        return cls(*(_whole(box.get(name)) for name in cls._fields))

    @classmethod
    def over(cls, areas: Sequence[Area]) -> Area:
        """The smallest rectangle that reaches over others, of which there is at least one."""
        left, top = min(area.x for area in areas), min(area.y for area in areas)
        right = max(area.x + area.width for area in areas)
        return cls(left, top, right - left, max(area.y + area.height for area in areas) - top)

    @property
    def corners(self) -> Box:
        """Its edges, whether they lie in the picture or not."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    def padded(self, pixels: int) -> Area:
        """The same with more on each side."""
        return Area(self.x - pixels, self.y - pixels, self.width + 2 * pixels, self.height + 2 * pixels)

    def within(self, size: Size) -> Box:
        """What of it lies in a picture of a size: at least a pixel."""
        (left, right), (top, bottom) = (
            _clipped(start, length, side)
            for start, length, side in zip((self.x, self.y), (self.width, self.height), size)
        )
        return left, top, right, bottom


def _clipped(start: int, length: int, side: int) -> tuple[int, int]:
    begin = min(max(start, 0), side - 1)
    return begin, max(begin + 1, min(start + length, side))


def _whole(value: Any) -> int:
    return round(value) if isinstance(value, (int, float)) else 0


def _listed(value: Any) -> Sequence[Any]:
    """A list of boxes, or of lists of them; they may also come as JSON, or alone."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return ()
    if isinstance(value, Mapping):
        return [value]
    return value if isinstance(value, list) else ()


def pictures_of(value: Any) -> int:
    """How many pictures there are boxes for, as far as they say."""
    boxes = _listed(value)
    return len(boxes) if any(isinstance(box, list) for box in boxes) else 1


def framed(value: Any, count: int) -> list[list[Mapping[str, Any]]]:
    """The boxes of each of ``count`` pictures.

    A single box, or a flat list of them, is for every picture; a list of lists has a list for each.
    """
    boxes = _listed(value)
    if not any(isinstance(box, list) for box in boxes):
        return [_boxes(boxes)] * count
    return [_boxes(boxes[number]) if number < len(boxes) else [] for number in range(count)]


def aligned(value: Any, count: int) -> list[Mapping[str, Any]]:
    """The box of each of ``count`` pictures, which a flat list has in their order; ``{}`` for none."""
    boxes = [box[0] if isinstance(box, list) and box else box for box in _listed(value)][:count]
    given = [box if isinstance(box, Mapping) else {} for box in boxes]
    return given + [{}] * (count - len(given))


def _boxes(value: Any) -> list[Mapping[str, Any]]:
    return [box for box in value if isinstance(box, Mapping)] if isinstance(value, Sequence) else []


def areas_of(value: Any, count: int) -> list[list[Area]]:
    """The same, as rectangles."""
    return [[Area.of(box) for box in boxes] for boxes in framed(value, count)]


def guess(digest: bytes, size: Size) -> Area:
    """Where something is that was found in a picture: a quarter to three quarters of each side."""
    width, height = (max(1, side * (64 + part // 2) // 256) for side, part in zip(size, digest))
    x, y = (size[0] - width) * digest[2] // 255, (size[1] - height) * digest[3] // 255
    return Area(x, y, width, height)


def scored(digest: bytes, size: Size, least: float) -> list[Found]:
    """Boxes around what is found in a picture with at least that score, the most certain first."""
    found = []
    for number in range(1 + digest[0] % MOST_FOUND):
        own = nth(digest, number)
        score = round(LEAST_SCORE + (1 - LEAST_SCORE) * own[4] / 256, 4)
        if score >= least:
            found.append({**guess(own, size)._asdict(), "score": score})
    return sorted(found, key=lambda thing: -thing["score"])
