"""WebM files: the frames of a video, all of them key frames, in Matroska's elements."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby

from comfystub.media.ebml import element, real, text, unsigned
from comfystub.media.png import Texts

_PROGRAM = "comfystub"
_TIMESTAMP_SCALE = 1_000_000  # nanoseconds, so that timestamps are milliseconds
_CLUSTER = 30_000  # milliseconds; a block has 16 bits to say how far it is from the start of its cluster
_KEY_FRAME = 0x80
_TRACK = 1
_VIDEO = 1
_PROGRESSIVE = 2


def file(
    codec: str,
    configuration: bytes,
    size: tuple[int, int],
    frames: Sequence[bytes],
    rate: Fraction,
    texts: Texts = (),
) -> bytes:
    """Return a WebM file.

    Args:
        codec: Matroska's name of it.
        configuration: what a decoder has to see first; may be empty.
        size: width and height in pixels.
        frames: one or more, all of which can be decoded without another.
        rate: frames per second.
        texts: keywords and texts, kept as tags.  Their names become upper case, as Matroska wants it.
    """
    return element(
        0x1A45DFA3,
        unsigned(0x4286, 1),
        unsigned(0x42F7, 1),
        unsigned(0x42F2, 4),
        unsigned(0x42F3, 8),
        text(0x4282, "webm"),
        unsigned(0x4287, 4),
        unsigned(0x4285, 2),
    ) + element(
        0x18538067,
        _info(len(frames) / rate),
        _tracks(codec, configuration, size, rate),
        _tags(texts),
        *_clusters(frames, rate),
    )


def _info(seconds: Fraction) -> bytes:
    return element(
        0x1549A966,
        unsigned(0x2AD7B1, _TIMESTAMP_SCALE),
        text(0x4D80, _PROGRAM),
        text(0x5741, _PROGRAM),
        real(0x4489, float(seconds * 1000)),
    )


def _tracks(codec: str, configuration: bytes, size: tuple[int, int], rate: Fraction) -> bytes:
    width, height = size
    return element(
        0x1654AE6B,
        element(
            0xAE,
            unsigned(0xD7, _TRACK),
            unsigned(0x73C5, _TRACK),
            unsigned(0x83, _VIDEO),
            unsigned(0x9C, 0),  # no lacing
            text(0x22B59C, "und"),
            unsigned(0x23E383, round(1_000_000_000 / rate)),
            text(0x86, codec),
            element(0x63A2, configuration) if configuration else b"",
            element(0xE0, unsigned(0xB0, width), unsigned(0xBA, height), unsigned(0x9A, _PROGRESSIVE)),
        ),
    )


def _tags(texts: Texts) -> bytes:
    tags = [element(0x67C8, text(0x45A3, name.upper()), text(0x4487, value)) for name, value in texts]
    return element(0x1254C367, element(0x7373, element(0x63C0), *tags)) if tags else b""


def _clusters(frames: Sequence[bytes], rate: Fraction) -> Iterator[bytes]:
    timed = [(round(number * 1000 / rate), frame) for number, frame in enumerate(frames)]
    for _, group in groupby(timed, lambda pair: pair[0] // _CLUSTER):
        members = list(group)
        start = members[0][0]
        blocks = [
            element(0xA3, struct.pack(">BhB", 0x80 | _TRACK, time - start, _KEY_FRAME), frame)
            for time, frame in members
        ]
        yield element(0x1F43B675, unsigned(0xE7, start), *blocks)
