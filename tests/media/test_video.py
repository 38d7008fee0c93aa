"""Video files, their boxes and elements read by the small parsers here; test_video_decoded.py decodes them."""

from __future__ import annotations

import hashlib
import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from PIL import Image

from comfystub.media import aac, blocks, video
from comfystub.media.pictures import Mosaic, Picture, Pixels, Solid
from comfystub.media.sound import Sound

TEXTS = [("prompt", '{"3": {}}'), ("workflow", "狐 🦊"), ("note", "é")]


def mosaics(count: int, width: int = 64, height: int = 48) -> list[Picture]:
    return [Mosaic(hashlib.sha256(bytes([number])).digest(), width, height) for number in range(count)]


# MP4

NESTED = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl", b"udta", b"ilst"}


def boxes(data: bytes) -> list[tuple[bytes, Any]]:
    """The boxes of a file: kind and body, or kind and boxes."""
    found: list[tuple[bytes, Any]] = []
    while data:
        size, kind = struct.unpack(">I4s", data[:8])
        assert 8 <= size <= len(data)
        body = data[8:size]
        if kind == b"meta":
            body = body[4:]
        nested = kind in NESTED or kind == b"meta"
        found.append((kind, boxes(body) if nested else body))
        data = data[size:]
    return found


def get(tree: list[tuple[bytes, Any]], *path: bytes) -> Any:
    for kind in path:
        (tree,) = [body for found, body in tree if found == kind]
    return tree


def tracks(data: bytes) -> list[Any]:
    return [body for kind, body in get(boxes(data), b"moov") if kind == b"trak"]


def table(track: Any, kind: bytes) -> Any:
    return get(track, b"mdia", b"minf", b"stbl", kind)


def numbers(body: bytes) -> tuple[int, ...]:
    """The words behind version and flags."""
    return struct.unpack(f">{len(body) // 4 - 1}I", body[4:])


def samples(data: bytes, track: Any) -> list[bytes]:
    size, count, *sizes = numbers(table(track, b"stsz"))
    assert numbers(table(track, b"stsc")) == (1, 1, count, 1)
    _, start = numbers(table(track, b"stco"))
    found = []
    for length in sizes or [size] * count:
        found.append(data[start : start + length])
        start += length
    return found


def test_an_mp4_can_be_played_while_it_loads() -> None:
    data = video.mp4(mosaics(3), 24, Sound(0.5), TEXTS)
    assert data[4:12] == b"ftypisom"
    assert [kind for kind, _ in boxes(data)] == [b"ftyp", b"moov", b"mdat"]


def test_frames_fill_the_media_box() -> None:
    data = video.mp4(mosaics(3), 24, Sound(0.1))
    pictures, sound = tracks(data)
    assert b"".join(samples(data, pictures) + samples(data, sound)) == get(boxes(data), b"mdat")
    for sample in samples(data, pictures):
        assert int.from_bytes(sample[:4], "big") == len(sample) - 4
        assert not any(start in sample[4:] for start in (b"\0\0\0", b"\0\0\1", b"\0\0\2"))


def kinds(data: bytes) -> list[int]:
    return [sample[4] & 31 for sample in samples(data, tracks(data)[0])]


def test_a_frame_like_the_one_before_it_is_skipped() -> None:
    first, second = mosaics(2)
    again = Mosaic(first.digest, *first.size)  # type: ignore[attr-defined]
    data = video.mp4([first, first, again, second, first, first], 24)
    assert kinds(data) == [5, 1, 1, 5, 5, 1]
    assert numbers(table(tracks(data)[0], b"stss")) == (3, 1, 4, 5)
    assert all(len(sample) < 16 for sample in samples(data, tracks(data)[0]) if sample[4] & 31 == 1)


class Bits:
    """The bits of a parameter set."""

    def __init__(self, data: bytes) -> None:
        self.bits = "".join(f"{byte:08b}" for byte in data.replace(b"\0\0\3", b"\0\0"))

    def take(self, count: int) -> int:
        taken, self.bits = self.bits[:count], self.bits[count:]
        return int(taken, 2)

    def golomb(self) -> int:
        zeros = self.bits.index("1")
        return self.take(2 * zeros + 1) - 1


def slice_headers(frames: list[Picture]) -> list[tuple[int, int, int | None]]:
    """Kind, number and, where there is one, id of each frame."""
    data = video.mp4(frames, 24)
    headers = []
    for sample in samples(data, tracks(data)[0]):
        bits = Bits(sample[5:])
        assert bits.golomb() == 0
        kind, _, number = bits.golomb(), bits.golomb(), bits.take(4)
        headers.append((kind, number, bits.golomb() if sample[4] & 31 == 5 else None))
    return headers


def test_frames_are_numbered_from_the_last_one_that_needs_no_other() -> None:
    one, other = mosaics(2)
    intra, *skipped = slice_headers([one] * 40)
    assert intra == (7, 0, 1)
    assert skipped == [(5, number % 16, None) for number in range(1, 40)]
    assert slice_headers([one, one, other])[2][:2] == (7, 0)


def test_neighbours_that_need_no_other_frame_have_different_ids() -> None:
    ids = [id for _, _, id in slice_headers(mosaics(4))]
    assert all(one != other for one, other in pairwise(ids))


def test_where_every_frame_is_another_none_is_named() -> None:
    track = tracks(video.mp4(mosaics(3), 24))[0]
    assert b"stss" not in dict(get(track, b"mdia", b"minf", b"stbl"))


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (16.0, (16, 1)),
        (24, (24, 1)),
        (23.976, (2997, 125)),
        (24000 / 1001, (24000, 1001)),
        (29.97, (2997, 100)),
        (30000 / 1001, (30000, 1001)),
        (0.5, (1, 2)),
        (12.5, (25, 2)),
    ],
)
def test_the_rate_is_exact(fps: float, rate: tuple[int, int]) -> None:
    track = tracks(video.mp4(mosaics(5), fps))[0]
    scale, duration = struct.unpack(">II", get(track, b"mdia", b"mdhd")[12:20])
    assert numbers(table(track, b"stts")) == (1, 5, rate[1])
    assert (scale, duration) == (rate[0], 5 * rate[1])


@pytest.mark.parametrize(
    "size", [(16, 16), (64, 48), (832, 480), (1280, 720), (1920, 1080), (100, 75), (33, 17), (1, 1), (9, 2)]
)
def test_the_size_is_the_pictures_with_even_sides(size: tuple[int, int]) -> None:
    width, height = (max(2, side // 2 * 2) for side in size)
    track = tracks(video.mp4(mosaics(1, *size), 24))[0]
    assert struct.unpack(">II", get(track, b"tkhd")[-8:]) == (width << 16, height << 16)
    entry = table(track, b"stsd")[8:]
    assert entry[4:8] == b"avc1"
    assert struct.unpack(">HH", entry[32:36]) == (width, height)

    configuration = entry[entry.index(b"avcC") + 4 :]
    length = int.from_bytes(configuration[6:8], "big")
    assert configuration[:4] == b"\1" + configuration[9:12]
    bits = Bits(configuration[9 : 8 + length])
    assert (bits.take(8), bits.take(2)) == (66, 3)  # constrained baseline
    bits.take(14)
    for _ in range(4):  # id, numbers of frames, order, reference frames
        bits.golomb()
    bits.take(1)
    columns, rows = bits.golomb() + 1, bits.golomb() + 1
    assert (bits.take(2), bits.take(1)) == (3, 1)
    left, right, top, bottom = (bits.golomb() for _ in range(4))
    assert (left, top) == (0, 0)
    assert (columns * 16 - 2 * right, rows * 16 - 2 * bottom) == (width, height)
    assert 0 <= right < 8 and 0 <= bottom < 8


@pytest.mark.parametrize(
    ("size", "fps", "level"),
    [
        ((64, 48), 24, 10),
        ((832, 480), 16, 30),
        ((1280, 720), 30, 31),
        ((1920, 1080), 60, 42),
        ((2048, 16), 24, 31),
    ],
)
def test_the_level_is_the_lowest_that_will_do(size: tuple[int, int], fps: float, level: int) -> None:
    entry = table(tracks(video.mp4(mosaics(1, *size), fps))[0], b"stsd")
    assert entry[entry.index(b"avcC") + 7] == level


@pytest.mark.parametrize(
    ("sound", "count", "channels", "configuration"),
    [
        (Sound(1.0), 44, 2, "1210"),
        (Sound(1.0, 48000, 1), 47, 1, "1188"),
        (Sound(2.5, 16000, 6), 40, 6, "1430"),
        (Sound(1.0, 96000, 8), 94, 8, "1038"),
        (Sound(1.0, 44100, 7), 44, 2, "1210"),
        (Sound(1.0, 12345, 2), 12, 2, "1490"),
        (Sound(0.0), 1, 2, "1210"),
    ],
)
def test_sound_is_silence_of_whole_frames(
    sound: Sound, count: int, channels: int, configuration: str
) -> None:
    data = video.mp4(mosaics(1), 24, sound)
    track = tracks(data)[1]
    assert get(track, b"mdia", b"hdlr")[8:12] == b"soun"
    assert samples(data, track) == [aac.silence(channels)] * count
    assert numbers(table(track, b"stts")) == (1, count, 1024)
    rate = {12345: 12000}.get(sound.sample_rate, sound.sample_rate)
    assert struct.unpack(">I", get(track, b"mdia", b"mdhd")[12:16]) == (rate,)
    entry = table(track, b"stsd")[8:]
    assert entry[4:8] == b"mp4a"
    assert struct.unpack(">H", entry[24:26]) == (channels,)
    assert bytes.fromhex(configuration) in entry


def test_texts_are_metadata() -> None:
    meta = get(boxes(video.mp4(mosaics(1), 24, texts=TEXTS)), b"moov", b"udta", b"meta")
    assert get(meta, b"hdlr")[8:12] == b"mdta"
    keys = get(meta, b"keys")
    assert struct.unpack(">I", keys[4:8]) == (len(TEXTS),)
    assert [(b"mdta", keyword.encode()) for keyword, _ in TEXTS] == boxes(keys[8:])
    for number, ((kind, value), (_, text)) in enumerate(zip(get(meta, b"ilst"), TEXTS, strict=True), 1):
        assert int.from_bytes(kind, "big") == number
        assert boxes(value) == [(b"data", struct.pack(">II", 1, 0) + text.encode())]


def test_without_texts_there_is_no_box_for_them() -> None:
    assert b"udta" not in dict(get(boxes(video.mp4(mosaics(1), 24)), b"moov"))


# WebM

MASTERS = {0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0x1F43B675, 0x1254C367, 0x7373, 0x67C8}


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every element of a file, those that hold others before what they hold."""
    while data:
        length = 9 - data[0].bit_length()
        id, data = int.from_bytes(data[:length], "big"), data[length:]
        length = 9 - data[0].bit_length()
        size = int.from_bytes(data[:length], "big") - (1 << 7 * length)
        body, data = data[length : length + size], data[length + size :]
        assert len(body) == size < (1 << 7 * length) - 1
        yield id, body
        if id in MASTERS:
            yield from elements(body)


def all_of(data: bytes, id: int) -> list[bytes]:
    return [body for found, body in elements(data) if found == id]


def one_of(data: bytes, id: int) -> bytes:
    (body,) = all_of(data, id)
    return body


@pytest.mark.parametrize("codec", ["vp9", "av1"])
@pytest.mark.parametrize("size", [(64, 48), (101, 75), (1, 1), (832, 480)])
def test_a_webm_tells_what_is_in_it(codec: str, size: tuple[int, int]) -> None:
    data = video.webm(mosaics(5, *size), 16, codec)
    assert data.startswith(b"\x1aE\xdf\xa3")
    assert one_of(data, 0x4282) == b"webm"
    assert one_of(data, 0x86) == f"V_{codec.upper()}".encode()
    width, height = (int.from_bytes(one_of(data, id), "big") for id in (0xB0, 0xBA))
    assert (width, height) == size
    assert int.from_bytes(one_of(data, 0x23E383), "big") == 62_500_000
    assert struct.unpack(">d", one_of(data, 0x4489)) == (312.5,)


def block_times(data: bytes) -> list[int]:
    """When each block is shown, in milliseconds."""
    times = []
    start = 0
    for id, body in elements(data):
        if id == 0xE7:
            start = int.from_bytes(body, "big")
        elif id == 0xA3:
            track, offset, flags = struct.unpack(">BhB", body[:4])
            assert (track, flags) == (0x81, 0x80)
            times.append(start + offset)
    return times


def test_blocks_know_when_they_are_shown() -> None:
    data = video.webm(mosaics(4), 24, "vp9")
    assert block_times(data) == [0, 42, 83, 125]


def test_a_long_webm_has_many_clusters() -> None:
    picture = Solid(0x336699, 16, 16)
    data = video.webm([picture] * 250, 2, "av1")
    assert block_times(data) == [500 * number for number in range(250)]
    assert len(all_of(data, 0x1F43B675)) == 5


def test_tags_have_names_in_upper_case() -> None:
    data = video.webm(mosaics(1), 24, "vp9", TEXTS)
    names = [name.decode() for name in all_of(data, 0x45A3)]
    values = [value.decode() for value in all_of(data, 0x4487)]
    assert list(zip(names, values)) == [(keyword.upper(), text) for keyword, text in TEXTS]


def test_without_texts_there_are_no_tags() -> None:
    assert not all_of(video.webm(mosaics(1), 24, "vp9"), 0x1254C367)


def test_equal_frames_are_equal_blocks() -> None:
    one, other = mosaics(2)
    for codec in ("vp9", "av1"):
        frames = [body[4:] for body in all_of(video.webm([one, one, other, one], 24, codec), 0xA3)]
        assert frames[0] == frames[1] == frames[3] != frames[2]


def test_vp9_begins_with_its_marks() -> None:
    frame = one_of(video.webm(mosaics(1, 64, 48), 24, "vp9"), 0xA3)[4:]
    assert frame[0] == 0b1000_0011  # a key frame, shown
    assert frame[1:4] == b"\x49\x83\x42"
    bits = int.from_bytes(frame[4:9], "big") >> 4
    assert (bits >> 16 & 0xFFFF, bits & 0xFFFF) == (63, 47)


def test_av1_brings_its_configuration() -> None:
    data = video.webm(mosaics(2, 64, 48), 24, "av1")
    private = one_of(data, 0x63A2)
    assert private[0] == 0x81
    sequence = private[4:]
    assert (sequence[0], sequence[1]) == (0x0A, len(sequence) - 2)
    for body in all_of(data, 0xA3):
        assert body[4:].startswith(sequence)
        assert body[4 + len(sequence)] == 0x32


@pytest.mark.parametrize(
    ("size", "fps", "level"),
    [
        ((64, 48), 24, 0),
        ((832, 480), 16, 4),
        ((1280, 720), 30, 5),
        ((1920, 1080), 30, 8),
        ((1920, 1080), 60, 9),
    ],
)
def test_av1_has_the_lowest_level_that_will_do(size: tuple[int, int], fps: float, level: int) -> None:
    assert one_of(video.webm(mosaics(1, *size), fps, "av1"), 0x63A2)[1] == level


@pytest.mark.parametrize(
    ("size", "side"),
    [((1920, 1080), 32), ((256, 512), 32), ((512, 255), 16), ((128, 128), 16), ((1000, 127), 8)],
)
def test_squares_are_no_larger_than_an_eighth(size: tuple[int, int], side: int) -> None:
    assert blocks.side(*size) == side


# Any of them


def write(kind: str, frames: list[Picture], fps: float = 24) -> bytes:
    return video.mp4(frames, fps) if kind == "mp4" else video.webm(frames, fps, kind)


KINDS = pytest.mark.parametrize("kind", ["mp4", "vp9", "av1"])


@KINDS
def test_the_same_frames_are_the_same_bytes(kind: str) -> None:
    assert write(kind, mosaics(3)) == write(kind, mosaics(3))
    assert write(kind, mosaics(3)) != write(kind, mosaics(4)[1:])


@KINDS
def test_pixels_and_tiles_of_one_colour_are_the_same(kind: str) -> None:
    image = Image.new("RGBA", (70, 50), (51, 102, 153, 255))
    assert write(kind, [Pixels(image)]) == write(kind, [Solid(0x336699, 70, 50)])


@KINDS
@pytest.mark.parametrize("frames", [[], [Solid(0, 16, 16), Solid(0, 16, 18)]])
def test_frames_have_one_size(kind: str, frames: list[Picture]) -> None:
    with pytest.raises(ValueError, match="one or more pictures of the same size"):
        write(kind, frames)


@KINDS
@pytest.mark.parametrize("fps", [0, -1, 0.00001])
def test_a_video_has_frames_per_second(kind: str, fps: float) -> None:
    with pytest.raises(ValueError, match="frames per second"):
        write(kind, mosaics(1), fps)


def test_other_codecs_are_refused() -> None:
    with pytest.raises(ValueError, match="not 'vp8'"):
        video.webm(mosaics(1), 24, "vp8")


def test_mosaics_need_no_pillow() -> None:
    code = (
        "import json, sys\n"
        "from comfystub.media import video\n"
        "from comfystub.media.pictures import Mosaic\n"
        "frames = [Mosaic(bytes([number]), 64, 48) for number in range(3)]\n"
        "files = [video.mp4(frames, 24), video.webm(frames, 24, 'vp9'), video.webm(frames, 24, 'av1')]\n"
        "print(json.dumps([all(map(video.probe, files)), 'PIL' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert json.loads(done.stdout) == [True, False]
