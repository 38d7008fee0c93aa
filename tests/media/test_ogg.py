"""Ogg files, page by page."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfystub.media.sound import Sound, encode, probe

SKIP = 312
CONTINUED, FIRST, LAST = 1, 2, 4


class Page(NamedTuple):
    kind: int
    position: int
    packets: list[bytes]
    ends: bool


def crc32(data: bytes) -> int:
    """The remainder of a division, bit by bit."""
    value = int.from_bytes(data, "big") << 32
    for shift in range(value.bit_length() - 33, -1, -1):
        if value >> shift + 32 & 1:
            value ^= 0x104C11DB7 << shift
    return value


def pages(data: bytes, checked: int = 6) -> list[Page]:
    """All pages of a file, in order; the checksums of so many of them are right."""
    found: list[Page] = []
    while data:
        magic, version, kind, position, _, number, crc, count = struct.unpack_from("<4sBBqIIIB", data)
        assert (magic, version, number) == (b"OggS", 0, len(found))
        lengths = data[27 : 27 + count]
        at, packets, ends = 27 + count, [b""], False
        for length in lengths:
            if ends:
                packets.append(b"")
            packets[-1] += data[at : at + length]
            at += length
            ends = length < 255
        if number < checked:
            assert crc32(data[:22] + bytes(4) + data[26:at]) == crc
        found.append(Page(kind, position, packets, ends))
        data = data[at:]
    return found


@settings(max_examples=40, deadline=None)
@given(seconds=st.floats(0, 5), rate=st.integers(1, 192000), digest=st.binary(max_size=16))
def test_its_pages(seconds: float, rate: int, digest: bytes) -> None:
    head, tags, *audio = pages(encode(Sound(seconds, rate, 2, digest), "opus"))
    assert head == (FIRST, 0, [struct.pack("<8sBBHIhB", b"OpusHead", 1, 2, SKIP, rate, 0, 0)], True)
    assert tags[:2] == (0, 0)
    end = SKIP + round(seconds * 48000)
    decoded = 0
    for page in audio[:-1]:
        decoded += 960 * len(page.packets)
        assert (page.kind, page.position, len(page.packets)) == (0, decoded, 50)
    last = audio[-1]
    assert (last.kind, last.position) == (LAST, end)
    assert 0 <= decoded + 960 * len(last.packets) - end < 960
    assert {packet for page in audio for packet in page.packets} == {b"\xf8\xff\xfe"}


@pytest.mark.parametrize("size", [10, 65025 - 56, 65025 - 55, 65025 - 54, 140_000])
def test_its_texts_go_on_over_pages(size: int) -> None:
    texts = [("prompt", "狐"), ("workflow", "x" * size)]
    _, *found = pages(encode(Sound(1.0, digest=b"\xab"), "opus", texts=texts))
    tags = found[: 1 + next(number for number, page in enumerate(found) if page.ends)]
    assert [page.kind for page in tags] == [0] + [CONTINUED] * (len(tags) - 1)
    assert [page.position for page in tags] == [-1] * (len(tags) - 1) + [0]
    assert len(tags) == 1 + (size + 55) // 65025
    fields = [b"prompt=" + "狐".encode(), b"workflow=" + b"x" * size]
    expected = b"OpusTags" + b"".join(
        (
            struct.pack("<I", 12) + b"comfystub ab" + struct.pack("<I", 2),
            *(struct.pack("<I", len(field)) + field for field in fields),
        )
    )
    assert b"".join(page.packets[0] for page in tags) == expected


def test_more_than_two_channels_are_streams_of_their_own() -> None:
    head, _, audio, *_ = pages(encode(Sound(1.0, 44100, 3), "opus"))
    assert head.packets[0][18:] == bytes((1, 3, 0, 0, 1, 2))
    assert audio.packets[0] == b"\xf8\2\xff\xfe" * 2 + b"\xf8\xff\xfe"
    sound = probe(encode(Sound(1.0, channels=9), "opus"))
    assert sound is not None
    assert sound.channels == 8


# Those of others


def page(position: int, packet: bytes) -> bytes:
    assert len(packet) < 255
    return struct.pack("<4sxBq12xBB", b"OggS", 0, position, 1, len(packet)) + packet


VORBIS = page(0, struct.pack("<7sIBI14x", b"\1vorbis", 0, 2, 22050))


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (VORBIS + page(44100, b"audio"), 44100),
        (VORBIS + page(100, b"audio") + page(-1, b"more") + page(300, b"audio"), 300),
        (VORBIS + page(100, b"audio") + page(-1, b"more"), 100),
        (VORBIS + page(100, b"audio") + page(300, b"audio")[:-1], 100),
        (VORBIS + page(100, b"audio") + page(300, b"audio")[:25], 100),
    ],
    ids=["Vorbis", "an unfinished page", "an unfinished page at the end", "cut off", "cut off in a header"],
)
def test_those_of_others_are_read(data: bytes, count: int) -> None:
    sound = probe(data)
    assert sound is not None
    assert sound[:3] == (count / 22050, 22050, 2)


@pytest.mark.parametrize(
    "data",
    [
        page(0, b"\x80theora"),
        page(0, b"\1vorbis"),
        page(0, b"OpusHead\1\2\x38\1"),
        encode(Sound(1.0), "opus").split(b"OggS\0\0")[0] + page(100, b"audio"),
    ],
    ids=["a film", "a short Vorbis header", "no Opus audio", "less than is to be skipped"],
)
def test_what_cannot_be_read(data: bytes) -> None:
    assert probe(data) is None
