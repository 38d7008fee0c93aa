"""MP3 files, frame by frame."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfystub.media import notes
from comfystub.media.sound import Sound, encode, probe

DIGEST = bytes(range(16))
RATES = {44100: 0, 48000: 1, 32000: 2}
NOTE = {44100: 7, 48000: 8, 32000: 5}  # frames
KBPS = {32: 1, 64: 5, 128: 9, 320: 14}


def length(kbps: int, rate: int) -> int:
    return 144 * kbps * 1000 // rate


def header(kbps: int, rate: int, channels: int) -> bytes:
    return bytes((0xFF, 0xFB, KBPS[kbps] << 4 | RATES[rate] << 2, 0xC0 if channels == 1 else 0))


def split(data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The frames of an ID3 tag, and what is behind the tag."""
    assert data[:6] == b"ID3\4\0\0"
    end = 10 + synchsafe(data[6:10])
    found, at = [], 10
    while at < end:
        size = synchsafe(data[at + 4 : at + 8])
        found.append((data[at : at + 4], data[at + 10 : at + 10 + size]))
        at += 10 + size
    return found, data[end:]


def synchsafe(data: bytes) -> int:
    assert max(data) < 0x80
    return int("".join(f"{byte:07b}" for byte in data), 2)


def crc16(data: bytes) -> int:
    """CRC-16 as ARC has it: the remainder of a division, all bits the other way round."""
    value = int("".join(f"{byte:08b}"[::-1] for byte in data), 2) << 16
    while value.bit_length() > 16:
        value ^= 0x18005 << value.bit_length() - 17
    return int(f"{value:016b}"[::-1], 2)


def line(frame: bytes, channels: int) -> tuple[int, int]:
    """The only line in the spectrum of a frame, and its gain."""
    side = {1: 17, 2: 32}[channels]
    bits = "".join(f"{byte:08b}" for byte in frame[4:])
    granule = bits[side * 8 - 59 * 2 * channels :]
    size, pairs, gain = int(granule[:12], 2), int(granule[12:21], 2), int(granule[21:29], 2)
    code = bits[side * 8 : side * 8 + size]
    assert code[: pairs - 1] == "1" * (pairs - 1)
    return 2 * pairs - (1 if code[pairs - 1 :].startswith("00") else 2), gain


@pytest.mark.parametrize(
    ("quality", "mark", "first", "kbps"),
    [
        ("", b"Xing", 64, 32),
        ("V0", b"Xing", 64, 32),
        ("128k", b"Info", 128, 128),
        ("320k", b"Info", 320, 320),
    ],
)
@pytest.mark.parametrize("rate", [32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("seconds", [0.0, 0.01, 2.5])
def test_its_frames(
    quality: str, mark: bytes, first: int, kbps: int, rate: int, channels: int, seconds: float
) -> None:
    _, data = split(encode(Sound(seconds, rate, channels, DIGEST), "mp3", quality))
    about, audio = data[: length(first, rate)], data[length(first, rate) :]
    side = {1: 17, 2: 32}[channels]
    assert about[: 4 + side] == header(first, rate, channels) + bytes(side)
    at = 4 + side
    assert struct.unpack_from(">4sI", about, at) == (mark, 15)
    count, size = struct.unpack_from(">II", about, at + 8)
    assert size == len(data)
    assert len(audio) == count * length(kbps, rate)
    seek = about[at + 16 : at + 116]
    assert (seek[0], seek[25], seek[50], seek[99]) == (0, 64, 128, 253)
    assert about[at + 120 :].startswith(b"LAME3.100")
    delays = int.from_bytes(about[at + 141 : at + 144], "big")
    assert count * 1152 - (delays >> 12) - (delays & 0xFFF) == round(seconds * rate)
    assert delays & 0xFFF >= 529
    assert int.from_bytes(about[at + 154 : at + 156], "big") == crc16(about[: at + 154])

    frames = [audio[start : start + length(kbps, rate)] for start in range(0, len(audio), length(kbps, rate))]
    pitch = round(notes.pitch(DIGEST) * 1152 / rate)
    for number, frame in enumerate(frames):
        assert frame[:4] == header(kbps, rate, channels)
        if number < NOTE[rate]:
            assert line(frame, channels) == (pitch, 196 - 28 * number // NOTE[rate])
        else:
            assert not any(frame[4:])


def test_without_a_digest_it_is_silent() -> None:
    _, data = split(encode(Sound(1.0), "mp3", "128k"))
    assert not any(data[418 + 4 : 418 + 413])


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 96000])
def test_other_sample_rates_become_the_usual_one(rate: int) -> None:
    sound = probe(encode(Sound(1.5, rate, 6), "mp3"))
    assert sound is not None
    assert sound[:3] == (1.5, 44100, 2)


def test_its_texts() -> None:
    texts = [("prompt", '{"3": "狐"}'), ("workflow", "x" * 70_000)]
    found, _ = split(encode(Sound(1.0, digest=b"\xab\xcd"), "mp3", texts=texts))
    assert found == [
        (b"TSSE", b"\3comfystub abcd"),
        (b"TXXX", b"\3prompt\0" + '{"3": "狐"}'.encode()),
        (b"TXXX", b"\3workflow\0" + b"x" * 70_000),
    ]


def test_no_such_quality() -> None:
    with pytest.raises(ValueError, match=r"^no MP3 has the quality '64k', but one of V0, 128k, 320k$"):
        encode(Sound(1.0), "mp3", "64k")


# Those of others


def frame(text: str, size: int) -> bytes:
    return bytes.fromhex(text).ljust(size, b"\0")


CBR = frame("FFFB9064", 417)
PADDED = frame("FFFB9264", 418)
MPEG2 = frame("FFF384C4", 192)  # 64 kbit/s, 24000, mono
MPEG25 = frame("FFE34800", 288)  # 32 kbit/s, 8000, stereo


def xing(fields: Sequence[bytes], flags: int, rest: bytes = b"") -> bytes:
    tag = b"Xing" + flags.to_bytes(4, "big") + b"".join(fields) + rest
    return (CBR[:36] + tag).ljust(417, b"\0")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (CBR * 10, (11520, 44100, 2)),
        (CBR, (1152, 44100, 2)),
        ((CBR + PADDED) * 5, (11520, 44100, 2)),
        (CBR * 10 + CBR[:200], (11520, 44100, 2)),
        (CBR * 10 + b"TAG".ljust(128, b"\0"), (11520, 44100, 2)),
        (b"ID3\4\0\0\0\0\1\0" + bytes(128) + CBR * 10, (11520, 44100, 2)),
        (b"ID3\4\0\0\0\0\0\0" + bytes(50) + CBR * 10, (11520, 44100, 2)),
        (MPEG2 * 10, (5760, 24000, 1)),
        (MPEG25 * 10, (5760, 8000, 2)),
        (xing([bytes((0, 0, 1, 0))], 1) + CBR * 3, (256 * 1152, 44100, 2)),
        (xing([bytes(4)], 2) + CBR * 3, (3 * 1152, 44100, 2)),
        (xing([bytes((0, 0, 0, 3))], 1, b"Lavf".ljust(21, b"\0") + b"\x24\0\x64") + CBR * 3, (2780, 44100, 2)),
        (CBR[:36] + b"VBRI".ljust(14, b"\0") + bytes((0, 0, 0, 9)) + bytes(363) + CBR, (9 * 1152, 44100, 2)),
    ],
    ids=[
        "constant", "one frame", "padded", "cut off", "ID3v1", "ID3v2", "room", "MPEG-2", "MPEG-2.5",
        "Xing", "Xing without a number", "gapless", "VBRI",
    ],
)  # fmt: skip
def test_those_of_others_are_read(data: bytes, expected: tuple[int, int, int]) -> None:
    count, rate, channels = expected
    sound = probe(data)
    assert sound is not None
    assert sound[:3] == (count / rate, rate, channels)


@pytest.mark.parametrize(
    "data",
    [
        CBR + b"RIFF" + CBR,
        frame("FFFD9064", 417) * 3,
        frame("FFF15080", 417) * 3,
        frame("FFFB0064", 417) * 3,
        frame("FFFBF064", 417) * 3,
        frame("FFFB9C64", 417) * 3,
        frame("FFEB9064", 417) * 3,
        xing([bytes(4)], 1, b"LAME".ljust(21, b"\0") + b"\x24\0\x64") + CBR,
        b"ID3\4\0\0\0\0\1\0" + CBR[:100],
    ],
    ids=[
        "something else follows", "layer II", "AAC", "free bit rate", "no bit rate", "no sample rate",
        "no version", "shorter than its delays", "nothing but a tag",
    ],
)  # fmt: skip
def test_what_cannot_be_read(data: bytes) -> None:
    assert probe(data) is None


@settings(deadline=None)
@given(st.floats(0, 300), st.sampled_from((32000, 44100, 48000)))
def test_any_length_comes_back(seconds: float, rate: int) -> None:
    sound = probe(encode(Sound(seconds, rate), "mp3", "V0"))
    assert sound is not None
    assert round(sound.seconds * rate) == round(seconds * rate)
