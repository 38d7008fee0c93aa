"""Pictures as the keyframes of a film that is made segment by segment, to a sound."""

from __future__ import annotations

from comfystub.media.pictures import Solid
from comfystub.nodes.families.audio import sounds
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Images, Masks, Several, Sounds

#: Frames per second of WanDancer's films.
FPS = 30


def segment(run: Invocation) -> Result:
    """WanDancerPadKeyframes: one segment's keyframes, where they are, and its part of the sound."""
    return Result(_segment(run, max(0, run.value("segment_index", 0))))


def segments(run: Invocation) -> Result:
    """WanDancerPadKeyframesList: the same for each of so many segments."""
    made = [_segment(run, number) for number in range(max(1, run.value("num_segments", 1)))]
    return Result([Several(values) for values in zip(*made)])


def _segment(run: Invocation, number: int) -> tuple[Images, Masks, Sounds]:
    images, sound = run.images("images"), sounds(run)[0]
    length = max(1, run.value("segment_length", 149))
    start, size = number * length, images[0].size
    keys = {place - start: image for place, image in zip(_places(len(images), sound.seconds), images)}
    blank, here = Solid(0x000000, *size), Solid(0xFFFFFF, *size)
    begin = start / FPS
    heard = sound._replace(seconds=max(0.0, min(length / FPS, sound.seconds - begin)))
    return (
        Images(keys.get(place, blank) for place in range(length)),
        Masks(here if place in keys else blank for place in range(length)),
        Sounds([heard]),
    )


def _places(count: int, seconds: float) -> list[int]:
    """The frames of the whole film that keyframes are at, from the first one to the last one."""
    last = max(0, round(seconds * FPS) - 1)
    return [round(number * last / max(1, count - 1)) for number in range(count)]


BEHAVIOURS: dict[str, Behaviour] = {
    "WanDancerPadKeyframes": segment,
    "WanDancerPadKeyframesList": segments,
}
