"""MP4 files: boxes around the frames of a video and of its sound, ready to be played while they load."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from comfystub.media.png import Texts

_MOVIE_SCALE = 1000  # ticks a second, for the lengths of whole tracks
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # neither turned nor scaled
_UNDETERMINED = 0x55C4  # the language "und"
_ENABLED_AND_PLAYED = 3
_IN_THIS_FILE = 1
_UTF_8 = 1  # the type of a text
_PIXELS_PER_INCH = 72 << 16


class Track(NamedTuple):
    """The frames of a video, or of a sound, which all last equally long."""

    handler: bytes
    """`vide` or `soun`."""
    frames: Sequence[bytes]
    scale: int
    """Ticks a second."""
    ticks: int
    """How many of them a frame lasts."""
    entry: bytes
    """The box that describes the frames to a decoder."""
    keys: Sequence[int] = ()
    """Of a video: the numbers, from 1, of the frames that need no other one."""
    size: tuple[int, int] = (0, 0)
    """Of a video: width and height in pixels."""

    @property
    def duration(self) -> int:
        """In ticks."""
        return len(self.frames) * self.ticks


def file(tracks: Sequence[Track], texts: Texts = ()) -> bytes:
    """Return an MP4 file.

    Args:
        tracks: one or more.
        texts: keywords and texts, kept as metadata under these keywords.
    """
    kind = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    metadata = _metadata(list(texts))
    # How long the boxes before the frames are does not depend on where the frames begin.
    start = len(kind) + len(_movie(tracks, metadata, 0)) + 8
    frames = [frame for track in tracks for frame in track.frames]
    return b"".join((kind, _movie(tracks, metadata, start), _box(b"mdat", *frames)))


def h264_entry(configuration: bytes, size: tuple[int, int]) -> bytes:
    """Return the description of H.264 frames.

    Args:
        configuration: parameter sets, as an avcC box has them.
        size: width and height in pixels.
    """
    return _box(
        b"avc1",
        struct.pack(">6xH16xHH", 1, *size),
        struct.pack(">IIIH32xHH", _PIXELS_PER_INCH, _PIXELS_PER_INCH, 0, 1, 24, 0xFFFF),
        _box(b"avcC", configuration),
    )


def aac_entry(configuration: bytes, sample_rate: int, channels: int) -> bytes:
    """Return the description of AAC frames.

    Args:
        configuration: the AudioSpecificConfig.
        sample_rate: samples per second.
        channels: how many there are.
    """
    decoder = struct.pack(">BB11x", 0x40, 0x15) + _descriptor(5, configuration)
    stream = struct.pack(">HB", 0, 0) + _descriptor(4, decoder) + _descriptor(6, b"\2")
    shown_rate = sample_rate if sample_rate < 1 << 16 else 0  # what has no room here is told by the decoder
    return _box(
        b"mp4a",
        struct.pack(">6xH8xHHII", 1, channels, 16, 0, shown_rate << 16),
        _box(b"esds", bytes(4), _descriptor(3, stream)),
    )


# Boxes


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full_box(kind: bytes, flags: int, *parts: bytes) -> bytes:
    return _box(kind, flags.to_bytes(4, "big"), *parts)


def _descriptor(kind: int, body: bytes) -> bytes:
    return bytes((kind, len(body))) + body


def _movie(tracks: Sequence[Track], metadata: bytes, start: int) -> bytes:
    """Return the box of all that is known about tracks whose frames lie one after the other."""
    boxes = []
    for number, track in enumerate(tracks, 1):
        boxes.append(_track(number, track, start))
        start += sum(map(len, track.frames))
    longest = max(map(_shown_duration, tracks))
    header = struct.pack(">8xIIIH10x", _MOVIE_SCALE, longest, 0x10000, 0x100)
    header += _MATRIX + struct.pack(">24xI", len(tracks) + 1)
    return _box(b"moov", _full_box(b"mvhd", 0, header), *boxes, metadata)


def _shown_duration(track: Track) -> int:
    return -(-track.duration * _MOVIE_SCALE // track.scale)


def _track(number: int, track: Track, start: int) -> bytes:
    sounds = track.handler == b"soun"
    width, height = track.size
    header = struct.pack(">8xI4xI12xH2x", number, _shown_duration(track), 0x100 if sounds else 0)
    header += _MATRIX + struct.pack(">II", width << 16, height << 16)
    media = struct.pack(">8xIIHH", track.scale, track.duration, _UNDETERMINED, 0)
    about = _full_box(b"smhd", 0, bytes(4)) if sounds else _full_box(b"vmhd", 1, bytes(8))
    place = _full_box(b"dref", 0, struct.pack(">I", 1), _full_box(b"url ", _IN_THIS_FILE))
    return _box(
        b"trak",
        _full_box(b"tkhd", _ENABLED_AND_PLAYED, header),
        _box(
            b"mdia",
            _full_box(b"mdhd", 0, media),
            _handler(track.handler),
            _box(b"minf", about, _box(b"dinf", place), _samples(track, start)),
        ),
    )


def _handler(kind: bytes) -> bytes:
    return _full_box(b"hdlr", 0, bytes(4), kind, bytes(13))


def _samples(track: Track, start: int) -> bytes:
    """Return the box that says what the frames are, when they are shown, and where they lie."""
    count = len(track.frames)
    sizes = list(map(len, track.frames))
    if len(set(sizes)) == 1:
        size_table = struct.pack(">II", sizes[0], count)
    else:
        size_table = struct.pack(f">II{count}I", 0, count, *sizes)
    keys = b""
    if 0 < len(track.keys) < count:
        keys = _full_box(b"stss", 0, struct.pack(f">I{len(track.keys)}I", len(track.keys), *track.keys))
    return _box(
        b"stbl",
        _full_box(b"stsd", 0, struct.pack(">I", 1), track.entry),
        _full_box(b"stts", 0, struct.pack(">III", 1, count, track.ticks)),
        keys,
        _full_box(b"stsc", 0, struct.pack(">IIII", 1, 1, count, 1)),
        _full_box(b"stsz", 0, size_table),
        _full_box(b"stco", 0, struct.pack(">II", 1, start)),
    )


def _metadata(texts: Sequence[tuple[str, str]]) -> bytes:
    """Return texts under keywords of any kind, as FFmpeg writes them; nothing when there are none."""
    if not texts:
        return b""
    keys = [_box(b"mdta", keyword.encode()) for keyword, _ in texts]
    values = [
        _box(number.to_bytes(4, "big"), _box(b"data", struct.pack(">II", _UTF_8, 0), text.encode()))
        for number, (_, text) in enumerate(texts, 1)
    ]
    return _box(
        b"udta",
        _full_box(
            b"meta",
            0,
            _handler(b"mdta"),
            _full_box(b"keys", 0, struct.pack(">I", len(keys)), *keys),
            _box(b"ilst", *values),
        ),
    )
