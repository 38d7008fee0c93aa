"""What the video files hold that clients upload: MP4, QuickTime, WebM and Matroska, by any program.

Nothing is decoded.  Sizes and times stand in the files' own tables, and frames are counted.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from comfystub.media.sound import Sound


class Info(NamedTuple):
    """What a video file holds.  `fps` is the mean of its frames per second."""

    width: int
    height: int
    frames: int
    fps: float
    seconds: float
    sound: Sound | None


def probe(data: bytes) -> Info | None:
    """Return what a video file holds; the digest of its sound is that of the whole file.

    Args:
        data: an MP4, QuickTime, WebM or Matroska file.

    Returns:
        `None` when the file is none of these, has no video, or is too broken to tell.
    """
    try:
        info = _matroska(data) if data.startswith(_EBML) else _mp4(data)
    except (ValueError, LookupError, ArithmeticError, struct.error):  # cut off, or made up
        return None
    if not math.isfinite(info.fps + info.seconds) or min(info[:5]) <= 0:
        return None
    return info


def _sound(data: bytes, seconds: float, sample_rate: float, channels: int) -> Sound | None:
    if not seconds > 0 or sample_rate < 1 or channels < 1:
        return None
    return Sound(seconds, int(sample_rate), channels, hashlib.blake2b(data, digest_size=16).digest())


# MP4 and QuickTime

Span = tuple[int, int]
"""Where something begins and ends in a file."""


class _Track(NamedTuple):
    """A track of an MP4: its frames, or pieces of sound, and how many ticks they last altogether."""

    entry: int
    """Where the description of its frames begins."""
    scale: int
    """Ticks a second."""
    frames: int
    ticks: int

    @property
    def seconds(self) -> float:
        return self.ticks / self.scale


def _mp4(data: bytes) -> Info:
    movie = _box(data, (0, len(data)), b"moov")
    video = _tracks(data, movie, b"vide")[0]
    width, height = struct.unpack_from(">HH", data, video.entry + 24)
    sounds = _tracks(data, movie, b"soun")
    sound = _sound_of_track(data, sounds[0]) if sounds else None
    return Info(width, height, video.frames, video.frames / video.seconds, video.seconds, sound)


def _sound_of_track(data: bytes, track: _Track) -> Sound | None:
    version, channels, rate = struct.unpack_from(">8xH6xH6xH", data, track.entry)
    if version == 2:  # QuickTime's, with room for any rate
        rate, channels = struct.unpack_from(">dI", data, track.entry + 32)
    return _sound(data, track.seconds, rate or track.scale, channels)


def _tracks(data: bytes, movie: Span, handler: bytes) -> list[_Track]:
    tracks = []
    for track in _boxes(data, movie, b"trak"):
        media = _box(data, track, b"mdia")
        start, _ = _box(data, media, b"hdlr")
        if data[start + 8 : start + 12] == handler:
            table = _box(data, _box(data, media, b"minf"), b"stbl")
            entry, _ = _box(data, table, b"stsd")
            times = list(_times(data, _box(data, table, b"stts")))
            times += _times_of_fragments(data, movie, _number(data, _box(data, track, b"tkhd")))
            frames = sum(count for count, _ in times)
            ticks = sum(count * each for count, each in times)
            tracks.append(_Track(entry + 16, _number(data, _box(data, media, b"mdhd")), frames, ticks))
    return tracks


def _number(data: bytes, box: Span) -> int:
    """Return what stands behind the dates in a header: the number of a track, or the scale of its times."""
    start, _ = box
    return _word(data, start + (20 if data[start] else 12))


def _word(data: bytes, place: int) -> int:
    word: int = struct.unpack_from(">I", data, place)[0]
    return word


def _boxes(data: bytes, outer: Span, kind: bytes) -> Iterator[Span]:
    """Yield where the bodies of the boxes of a kind are, of those directly inside another one."""
    start, end = outer
    while start + 8 <= end:
        size, found = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:  # the last one
            size = end - start
        if size < body - start:
            return
        if found == kind:
            yield body, min(start + size, end)
        start += size


def _box(data: bytes, outer: Span, kind: bytes) -> Span:
    """Return where the body of the first box of a kind is, or raise LookupError."""
    for box in _boxes(data, outer, kind):
        return box
    raise LookupError(kind)


def _times(data: bytes, box: Span) -> Iterator[tuple[int, int]]:
    """Yield how many frames last how many ticks."""
    start, end = box
    count = min(_word(data, start + 4), (end - start) // 8 - 1)
    yield from struct.iter_unpack(">II", data[start + 8 : start + 8 + 8 * count])


# Which words stand in the boxes of a fragment, their flags tell: a flag, and how many words it stands for.
_DEFAULT_TICKS, _BEFORE_IT = 0x8, ((0x1, 2), (0x2, 1))
_BEFORE_FRAMES = ((0x1, 1), (0x4, 1))
_TICKS, _OF_A_FRAME = 0x100, ((0x100, 1), (0x200, 1), (0x400, 1), (0x800, 1))


def _times_of_fragments(data: bytes, movie: Span, number: int) -> Iterator[tuple[int, int]]:
    """Yield the same from the fragments of a file that was written as it was recorded."""
    usual = 0
    for extension in _boxes(data, movie, b"mvex"):
        for start, _ in _boxes(data, extension, b"trex"):
            if _word(data, start + 4) == number:
                usual = _word(data, start + 12)
    for fragment in _boxes(data, (0, len(data)), b"moof"):
        for part in _boxes(data, fragment, b"traf"):
            start, _ = _box(data, part, b"tfhd")
            if _word(data, start + 4) == number:
                flags = _word(data, start)
                place = start + 8 + 4 * _words(flags, _BEFORE_IT)
                ticks = _word(data, place) if flags & _DEFAULT_TICKS else usual
                for run in _boxes(data, part, b"trun"):
                    yield from _times_of_run(data, run, ticks)


def _times_of_run(data: bytes, run: Span, ticks: int) -> Iterator[tuple[int, int]]:
    start, end = run
    flags, count = struct.unpack_from(">II", data, start)
    if not flags & _TICKS:
        yield count, ticks
        return
    place = start + 8 + 4 * _words(flags, _BEFORE_FRAMES)
    step = 4 * _words(flags, _OF_A_FRAME)
    for at in range(place, min(place + count * step, end - step + 1), step):
        yield 1, _word(data, at)


def _words(flags: int, of: tuple[tuple[int, int], ...]) -> int:
    return sum(words for flag, words in of if flags & flag)


# WebM and Matroska

_EBML = b"\x1aE\xdf\xa3"
_OPENED = frozenset((0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1, 0x1F43B675, 0xA0))
"""Segment, Info, Tracks, TrackEntry, Video, Audio, Cluster, BlockGroup: what is read of these lies inside."""
_TRACK, _CLUSTER_TIME, _BLOCKS = 0xAE, 0xE7, (0xA3, 0xA1)
_SCALE, _DURATION = 0x2AD7B1, 0x4489
_NUMBER, _TYPE, _EACH, _WIDTH, _HEIGHT, _RATE, _CHANNELS = 0xD7, 0x83, 0x23E383, 0xB0, 0xBA, 0xB5, 0x9F
_VIDEO, _AUDIO = b"\1", b"\2"
_OF_A_FILE = {_SCALE: (1_000_000).to_bytes(3, "big"), _DURATION: b""}
_OF_A_TRACK = {
    _NUMBER: b"",
    _TYPE: b"",
    _EACH: b"",
    _WIDTH: b"",
    _HEIGHT: b"",
    _RATE: struct.pack(">f", 8000),
    _CHANNELS: b"\1",
}
"""What an element is when it is left out."""
_NANOSECONDS = 1_000_000_000


def _matroska(data: bytes) -> Info:
    contents = _Contents(data)
    video = contents.tracks[_VIDEO]
    scale = _unsigned(contents.about[_SCALE]) / _NANOSECONDS
    frames, each, seconds = _timing(
        [time * scale for time in contents.times.get(_unsigned(video[_NUMBER]), ())],
        _unsigned(video[_EACH]) / _NANOSECONDS,
        _real(contents.about[_DURATION]) * scale,
    )
    audio = contents.tracks.get(_AUDIO)
    sound = _sound(data, seconds, _real(audio[_RATE]), _unsigned(audio[_CHANNELS])) if audio else None
    fps = float(Fraction(1 / each).limit_denominator(1001))  # which nanoseconds only come close to
    return Info(_unsigned(video[_WIDTH]), _unsigned(video[_HEIGHT]), frames, fps, seconds, sound)


class _Contents:
    """What lies in a Matroska file, as it is written there.

    `about` is the file, `tracks` has the first of each kind, `times` those of the blocks by their track.
    """

    def __init__(self, data: bytes) -> None:
        self.about = dict(_OF_A_FILE)
        self.times: dict[int, list[int]] = {}
        tracks: list[dict[int, bytes]] = []
        time = 0
        for id, start, end in _elements(data):
            if id in _BLOCKS:
                number, place = _variable(data, start)
                (offset,) = struct.unpack_from(">h", data, place)
                self.times.setdefault(number, []).append(time + offset)
            elif id == _CLUSTER_TIME:
                time = _unsigned(data[start:end])
            elif id == _TRACK:
                tracks.append(dict(_OF_A_TRACK))
            elif id in _OF_A_TRACK and tracks:
                tracks[-1][id] = data[start:end]
            elif id in _OF_A_FILE:
                self.about[id] = data[start:end]
        self.tracks = {track[_TYPE]: track for track in reversed(tracks)}


def _timing(times: list[float], each: float, seconds: float) -> tuple[int, float, float]:
    """Return how many frames there are, how long each is shown, and how long all are.

    Args:
        times: when each is shown, in seconds.
        each: how long a frame is shown, in seconds; 0 when the file does not tell.
        seconds: how long the file is; 0 when it does not tell.
    """
    if not each and len(times) > 1:
        each = (max(times) - min(times)) / (len(times) - 1)
    frames = len(times) or round(seconds / each)
    each = each or seconds / frames
    return frames, each, seconds or frames * each


def _elements(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the id of each element, and where its body begins and ends, those inside others among them.

    How long the opened ones are does not matter, which a file that was written as it was recorded leaves out.
    """
    place = 0
    while place + 2 <= len(data) and data[place]:
        id_end = place + _length(data[place])
        size, body = _variable(data, id_end)
        id = int.from_bytes(data[place:id_end], "big")
        place = body if id in _OPENED else body + size
        if place > len(data):
            return
        yield id, body, place


def _length(first: int) -> int:
    """Return how many bytes there are in an id or a number that begins with this one."""
    return 9 - first.bit_length()


def _variable(data: bytes, place: int) -> tuple[int, int]:
    """Return a number, and where it ends."""
    length = _length(data[place])
    end = place + length
    return int.from_bytes(data[place:end], "big") & (1 << 7 * length) - 1, end


def _unsigned(body: bytes) -> int:
    return int.from_bytes(body, "big")


def _real(body: bytes) -> float:
    real: float = struct.unpack(">d" if len(body) == 8 else ">f", body or bytes(4))[0]
    return real
