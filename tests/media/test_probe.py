"""What video files are found to hold."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfystub.media import video
from comfystub.media.pictures import Mosaic, Picture
from comfystub.media.sound import Sound
from comfystub.media.video import Info, probe

WRITERS = pytest.mark.parametrize("kind", ["mp4", "vp9", "av1"])


def mosaics(count: int, width: int = 64, height: int = 48) -> list[Picture]:
    return [Mosaic(bytes([number]), width, height) for number in range(count)]


def write(kind: str, frames: list[Picture], fps: float) -> bytes:
    return video.mp4(frames, fps) if kind == "mp4" else video.webm(frames, fps, kind)


def digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


# Files by this library


@WRITERS
@pytest.mark.parametrize("fps", [16.0, 23.976, 24000 / 1001, 30, 12.5, 60])
@pytest.mark.parametrize("frames", [1, 2, 81])
def test_what_is_written_is_found(kind: str, fps: float, frames: int) -> None:
    info = probe(write(kind, mosaics(frames), fps))
    assert info is not None
    assert info == Info(64, 48, frames, pytest.approx(fps), pytest.approx(frames / fps), None)


def test_sound_is_found() -> None:
    data = video.mp4(mosaics(2), 2, Sound(1.0, 48000, 1))
    info = probe(data)
    assert info is not None
    assert info.seconds == 1.0
    assert info.sound == Sound(47 * 1024 / 48000, 48000, 1, digest(data))


def test_a_rate_that_has_no_room_is_found() -> None:
    info = probe(video.mp4(mosaics(2), 2, Sound(1.0, 96000)))
    assert info is not None and info.sound is not None
    assert info.sound.sample_rate == 96000


# Files by others, as they may be written


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def large_box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body


def track(number: int, handler: bytes, scale: int, entry: bytes, *times: tuple[int, int]) -> bytes:
    """A track with headers of version 1, whose dates and lengths take 8 bytes."""
    flat = [word for pair in times for word in pair]
    return box(
        b"trak",
        box(b"tkhd", b"\1\0\0\0", bytes(16), struct.pack(">I", number), bytes(72)),
        box(
            b"mdia",
            box(b"mdhd", b"\1\0\0\0", bytes(16), struct.pack(">I", scale), bytes(12)),
            box(b"hdlr", bytes(8), handler, bytes(13)),
            box(
                b"minf",
                box(
                    b"stbl",
                    box(b"stsd", bytes(4), struct.pack(">I", 1), entry),
                    box(b"stts", bytes(4), struct.pack(f">I{len(flat)}I", len(times), *flat)),
                ),
            ),
        ),
    )


PICTURES = box(b"avc1", bytes(24), struct.pack(">HH", 640, 360), bytes(50))
SOUND = box(b"mp4a", bytes(8), struct.pack(">H6xHH4xI", 0, 2, 16, 44100 << 16))
QUICKTIME_SOUND = box(
    b"lpcm", bytes(8), struct.pack(">H6xHHhHI", 2, 3, 16, -2, 0, 1 << 16), struct.pack(">IdI", 72, 192000, 6)
)


def test_frames_may_last_unequally_long() -> None:
    data = box(b"moov", track(1, b"vide", 600, PICTURES, (3, 20), (1, 40)))
    assert probe(data) == Info(640, 360, 4, 24.0, pytest.approx(1 / 6), None)


def test_large_boxes_and_others_come_first() -> None:
    movie = large_box(b"moov", box(b"free"), track(1, b"vide", 24, PICTURES, (24, 1)))
    data = box(b"ftyp", b"qt  ") + box(b"wide") + large_box(b"mdat", bytes(100)) + movie
    assert probe(data) == Info(640, 360, 24, 24.0, 1.0, None)


def test_the_last_box_may_have_no_length() -> None:
    movie = box(b"moov", track(1, b"vide", 24, PICTURES, (24, 1)))
    assert probe(movie + struct.pack(">I4s", 0, b"mdat") + bytes(99)) == Info(640, 360, 24, 24.0, 1.0, None)


@pytest.mark.parametrize(
    ("entry", "scale", "sound"),
    [(SOUND, 44100, (2.0, 44100, 2)), (QUICKTIME_SOUND, 192000, (0.459375, 192000, 6))],
)
def test_sound_has_a_rate_and_channels(entry: bytes, scale: int, sound: tuple[float, int, int]) -> None:
    data = box(
        b"moov",
        track(1, b"text", 24, b""),
        track(2, b"soun", scale, entry, (88200, 1)),
        track(3, b"vide", 24, PICTURES, (24, 1)),
    )
    info = probe(data)
    assert info is not None
    assert info.sound == Sound(*sound, digest(data))


def test_sound_alone_is_no_video() -> None:
    assert probe(box(b"moov", track(1, b"soun", 44100, SOUND, (88200, 1)))) is None


def fragment(*parts: bytes) -> bytes:
    return box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", *parts)) + box(b"mdat", bytes(20))


def head(flags: int, number: int, *words: int) -> bytes:
    return box(b"tfhd", struct.pack(f">II{len(words)}I", flags, number, *words))


def run(flags: int, count: int, *words: int) -> bytes:
    return box(b"trun", struct.pack(f">II{len(words)}I", flags, count, *words))


def test_frames_in_fragments_are_counted() -> None:
    extension = box(b"mvex", box(b"trex", bytes(4), struct.pack(">IIIII", 1, 1, 40, 0, 0)))
    movie = box(b"moov", track(1, b"vide", 1000, PICTURES), track(2, b"soun", 8000, SOUND), extension)
    fragments = [
        fragment(head(0, 1), run(0, 3)),  # 3 x 40, as the movie says
        fragment(head(0xB, 1, 0, 0, 1, 50), run(0x1, 2, 7)),  # 2 x 50, as the fragment says
        fragment(head(0, 1), run(0x305, 2, 7, 7, 100, 1, 80, 1)),  # 100 and 80, as the run says
        fragment(head(8, 2, 1024), run(0, 5)),
    ]
    data = movie + b"".join(fragments)
    info = probe(data)
    assert info == Info(640, 360, 7, 17.5, 0.4, Sound(0.64, 44100, 2, digest(data)))


def element(id: int, body: bytes, length: int | None = None) -> bytes:
    """An element, of a length that takes 8 bytes, or that is not known."""
    size = (1 << 57) - 1 if length == -1 else 1 << 56 | len(body)
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + size.to_bytes(8, "big") + body


def matroska(*parts: bytes) -> bytes:
    return element(0x1A45DFA3, element(0x4282, b"matroska")) + element(0x18538067, b"".join(parts), -1)


VIDEO_TRACK = (element(0xD7, b"\1"), element(0x83, b"\1"))
VIDEO_SIZE = element(0xE0, element(0xB0, b"\2\x80") + element(0xBA, b"\1\x68"))
AUDIO_TRACK = element(
    0xAE, element(0xD7, b"\2") + element(0x83, b"\2") + element(0xE1, element(0xB5, struct.pack(">f", 48000)))
)


def recorded(*parts: bytes) -> bytes:
    """Two clusters of unknown length, with 3 and 2 frames, a frame every 40 milliseconds."""
    clusters = [
        element(0x1F43B675, element(0xE7, bytes([start])) + b"".join(blocks), -1)
        for start, blocks in (
            (0, [element(0xA3, b"\x81\0\0\x80xyz"), element(0xA3, b"\x82\0\1\x80xyz"), frame(40), frame(80)]),
            (120, [element(0xA0, element(0xA1, b"\x81\0\0\0xyz") + element(0x9B, b"\x28")), frame(40)]),
        )
    ]
    return matroska(element(0x1654AE6B, b"".join(parts)), element(0xEC, bytes(50)), *clusters)


def frame(offset: int) -> bytes:
    return element(0xA3, struct.pack(">BhB", 0x81, offset, 0) + b"xyz")


def test_a_file_written_as_it_was_recorded_is_counted() -> None:
    data = recorded(element(0xAE, b"".join((*VIDEO_TRACK, VIDEO_SIZE))), AUDIO_TRACK)
    info = probe(data)
    assert info is not None
    assert info == Info(640, 360, 5, 25.0, pytest.approx(0.2), Sound(info.seconds, 48000, 1, digest(data)))


def test_what_the_file_says_of_its_frames_counts() -> None:
    each = element(0x23E383, (33_333_333).to_bytes(4, "big"))
    info = probe(recorded(AUDIO_TRACK, element(0xAE, b"".join((*VIDEO_TRACK, each, VIDEO_SIZE)))))
    assert info is not None
    assert (info.frames, info.fps, info.seconds) == (5, 30.0, pytest.approx(5 / 30))


def test_frames_that_are_not_there_follow_from_the_times() -> None:
    each = element(0x23E383, (40_000_000).to_bytes(4, "big"))
    about = element(0x1549A966, element(0x4489, struct.pack(">d", 2000)))
    data = matroska(about, element(0x1654AE6B, element(0xAE, b"".join((*VIDEO_TRACK, each, VIDEO_SIZE)))))
    assert probe(data) == Info(640, 360, 50, 25.0, 2.0, None)


# What is no video, or a broken one


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"GIF89a" + bytes(50),
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"RIFF\x24\0\0\0WAVEfmt ",
        box(b"ftyp", b"isom"),
        box(b"moov"),
        box(b"moov", track(1, b"vide", 0, PICTURES, (24, 1))),
        box(b"moov", track(1, b"vide", 24, PICTURES, (24, 0))),
        box(b"moov", track(1, b"vide", 24, PICTURES)),
        box(b"moov", track(1, b"vide", 24, box(b"avc1", bytes(78)), (24, 1))),
        b"\x1a\x45\xdf\xa3",
        matroska(),
        recorded(AUDIO_TRACK),
        recorded(element(0xAE, b"".join(VIDEO_TRACK))),
        matroska(element(0x1654AE6B, element(0xAE, b"".join((*VIDEO_TRACK, VIDEO_SIZE))))),
        matroska(
            element(0x1549A966, element(0x4489, struct.pack(">d", float("inf")))),
            element(0x1654AE6B, element(0xAE, b"".join((*VIDEO_TRACK, VIDEO_SIZE)))),
        ),
    ],
)
def test_other_files_are_none(data: bytes) -> None:
    assert probe(data) is None


FILES = [
    video.mp4(mosaics(3), 24, Sound(0.1), [("prompt", "{}")]),
    video.webm(mosaics(3), 24, "vp9", [("prompt", "{}")]),
    video.webm(mosaics(3), 24, "av1"),
    recorded(element(0xAE, b"".join((*VIDEO_TRACK, VIDEO_SIZE))), AUDIO_TRACK),
    box(b"moov", track(1, b"vide", 1000, PICTURES)) + fragment(head(8, 1, 40), run(0x305, 1, 7, 7, 100, 1)),
]


def sensible(info: Info | None) -> bool:
    return info is None or min(info[:5]) > 0


@pytest.mark.parametrize("number", range(len(FILES)))
def test_a_file_may_end_anywhere(number: int) -> None:
    data = FILES[number]
    assert probe(data) is not None
    assert all(sensible(probe(data[:end])) for end in range(min(len(data), 2000)))


@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8))
def test_any_byte_may_be_wrong(data: bytes, wrong: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, byte in wrong:
        damaged[place % len(damaged)] = byte
    assert sensible(probe(bytes(damaged)))


@given(
    st.sampled_from((b"", b"\x1aE\xdf\xa3", b"\0\0\0\0moov", b"\0\0\0\x20ftypisom")), st.binary(max_size=300)
)
def test_anything_may_be_uploaded(start: bytes, rest: bytes) -> None:
    assert sensible(probe(start + rest))
