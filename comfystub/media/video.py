"""Pictures, and sound, as a video file, and what a video file holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from comfystub.media import aac, av1, blocks, h264, vp9
from comfystub.media import mp4 as boxes
from comfystub.media import webm as elements
from comfystub.media.cells import Grid, grid
from comfystub.media.pictures import Picture
from comfystub.media.png import Texts
from comfystub.media.probe import Info, probe
from comfystub.media.sound import Sound

__all__ = ["Info", "mp4", "probe", "webm"]


def mp4(frames: Sequence[Picture], fps: float, sound: Sound | None = None, texts: Texts = ()) -> bytes:
    """Return an MP4 file with H.264 video, which shows of each picture the colours of blocks of 16 pixels.

    Args:
        frames: one or more pictures of the same size.  H.264 has no odd sides here: the last column or
            row of pixels is left out.
        fps: frames per second, above 0, kept exactly unless it takes a denominator above 10000.
        sound: how long an AAC track of silence is, its sample rate, or the nearest that AAC has, and how
            many channels it has; two, when AAC has no layout of so many.
        texts: keywords and texts, kept as metadata.

    Raises:
        ValueError: there is no frame, the sizes differ, or `fps` is not above 0.
    """
    rate = _rate(fps)
    width, height = size = _even(_common_size(frames))
    encoder = h264.Encoder(width, height, rate)
    units, keys = [], []
    for number, cells in enumerate(_grids(frames, h264.SIDE, size), 1):
        if cells is None:
            units.append(encoder.same())
        else:
            units.append(encoder.frame(cells))
            keys.append(number)
    entry = boxes.h264_entry(encoder.configuration, size)
    tracks = [boxes.Track(b"vide", units, rate.numerator, rate.denominator, entry, keys, size)]
    if sound is not None:
        tracks.append(_silence(sound))
    return boxes.file(tracks, texts)


def webm(frames: Sequence[Picture], fps: float, codec: str, texts: Texts = ()) -> bytes:
    """Return a WebM file, which shows of each picture the colours of blocks of 8, 16 or 32 pixels.

    Args:
        frames: one or more pictures of the same size.
        fps: frames per second, above 0; times are kept in whole milliseconds.
        codec: `vp9` or `av1`.
        texts: keywords and texts, kept as tags with names in upper case.

    Raises:
        ValueError: there is no frame, the sizes differ, `fps` is not above 0, or `codec` is another one.
    """
    rate = _rate(fps)
    width, height = size = _common_size(frames)
    encoder: vp9.Encoder | av1.Encoder
    if codec == "vp9":
        encoder = vp9.Encoder(width, height)
    elif codec == "av1":
        encoder = av1.Encoder(width, height, rate)
    else:
        raise ValueError(f"a WebM holds vp9 or av1 here, not {codec!r}")
    side = blocks.side(width, height)
    coded: list[bytes] = []
    for cells in _grids(frames, side, size):
        coded.append(coded[-1] if cells is None else encoder.frame(cells, side))
    return elements.file(f"V_{codec.upper()}", encoder.configuration, size, coded, rate, texts)


def _rate(fps: float) -> Fraction:
    rate = Fraction(fps).limit_denominator(10_000)
    if rate <= 0:
        raise ValueError(f"a video has more than {fps} frames per second")
    return rate


def _common_size(frames: Sequence[Picture]) -> tuple[int, int]:
    sizes = {frame.size for frame in frames}
    if len(sizes) != 1:
        raise ValueError("a video is one or more pictures of the same size")
    return sizes.pop()


def _even(size: tuple[int, int]) -> tuple[int, int]:
    width, height = (max(2, side - side % 2) for side in size)
    return width, height


def _grids(frames: Sequence[Picture], side: int, size: tuple[int, int]) -> Iterator[Grid | None]:
    """Yield the cells of each frame, None for one that looks like the frame before it."""
    before: Picture | None = None
    shown: Grid | None = None
    for frame in frames:
        if frame is before:
            yield None
            continue
        cells = grid(frame, side, *size)
        yield cells if cells != shown else None
        before, shown = frame, cells


def _silence(sound: Sound) -> boxes.Track:
    rate, channels = aac.sample_rate(sound.sample_rate), aac.channels(sound.channels)
    count = max(1, math.ceil(sound.seconds * rate / aac.FRAME))
    entry = boxes.aac_entry(aac.configuration(rate, channels), rate, channels)
    return boxes.Track(b"soun", [aac.silence(channels)] * count, rate, aac.FRAME, entry)
