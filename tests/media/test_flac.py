"""FLAC files, as a decoder reads them that knows just what they need."""

from __future__ import annotations

import io
import struct
import wave
from array import array
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfystub.media.sound import Sound, encode, probe


class Bits:
    """Bits, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, width: int) -> int:
        self.at += width
        return int(self.text[self.at - width : self.at] or "0", 2)

    def signed(self, width: int) -> int:
        value = self.take(width)
        return value - (value >> width - 1 << width)


def crc(data: bytes, polynomial: int) -> int:
    """The remainder of a division, bit by bit."""
    width = polynomial.bit_length() - 1
    value = int.from_bytes(data, "big") << width
    while value.bit_length() > width:
        value ^= polynomial << value.bit_length() - width - 1
    return value


def metadata(data: bytes) -> tuple[dict[int, bytes], bytes]:
    """The blocks of metadata by their kinds, and the frames behind them."""
    assert data[:4] == b"fLaC"
    blocks, at, last = {}, 4, False
    while not last:
        last, kind = bool(data[at] & 0x80), data[at] & 0x7F
        end = at + 4 + int.from_bytes(data[at + 1 : at + 4], "big")
        blocks[kind] = data[at + 4 : end]
        at = end
    return blocks, data[at:]


def frames(data: bytes, channels: int) -> Iterator[tuple[int, list[list[int]]]]:
    """The number of each frame, and the samples of each channel in it."""
    while data:
        assert data[:3] == b"\xff\xf8\x70"  # blocks of one size, which follows
        assert data[3] == channels - 1 << 4 | 0b1000
        number = data[4:8].decode("utf-8", "ignore")[0]
        at = 4 + len(number.encode())
        size = int.from_bytes(data[at : at + 2], "big") + 1
        assert crc(data[: at + 3], 0x107) == 0
        bits = Bits(data[at + 3 : at + 3 + 200])
        yield ord(number), [subframe(bits, size) for _ in range(channels)]
        end = at + 3 + -(-bits.at // 8) + 2
        assert crc(data[:end], 0x18005) == 0
        data = data[end:]


def subframe(bits: Bits, size: int) -> list[int]:
    kind = bits.take(8)
    if kind == 0:
        return [bits.signed(16)] * size
    assert kind >> 1 == 0b100001  # a linear predictor of order 2
    samples = [bits.signed(16), bits.signed(16)]
    precision, shift = bits.take(4) + 1, bits.take(5)
    factors = bits.signed(precision), bits.signed(precision)
    assert (bits.take(2), bits.take(4), bits.take(4), bits.take(5)) == (0, 0, 0b1111, 0)  # and no residual
    while len(samples) < size:
        samples.append(samples[-1] * factors[0] + samples[-2] * factors[1] >> shift)
    return samples


@settings(max_examples=50, deadline=None)
@given(
    seconds=st.floats(0.001, 3),
    rate=st.sampled_from((8000, 11025, 24000, 44100, 96000)),
    channels=st.integers(1, 8),
    digest=st.binary(max_size=16),
)
def test_it_holds_the_samples_of_a_wav(seconds: float, rate: int, channels: int, digest: bytes) -> None:
    sound = Sound(seconds, rate, channels, digest)
    blocks, rest = metadata(encode(sound, "flac"))
    smallest, largest, packed = struct.unpack(">HH6xQ16x", blocks[0])
    count = packed & (1 << 36) - 1
    assert count == round(seconds * rate)
    assert (packed >> 44, packed >> 41 & 7, packed >> 36 & 31) == (rate, channels - 1, 15)
    decoded = [array("h") for _ in range(channels)]
    for expected, (number, parts) in enumerate(frames(rest, channels)):
        assert number == expected
        assert smallest == largest == (len(parts[0]) if len(decoded[0]) + len(parts[0]) < count else largest)
        for channel, part in zip(decoded, parts):
            channel.extend(part)
    with wave.open(io.BytesIO(encode(sound, "wav"))) as file:
        samples = array("h", file.readframes(count))
    assert decoded == [samples[channel::channels] for channel in range(channels)]


def test_a_long_one_numbers_its_frames() -> None:
    _, rest = metadata(encode(Sound(500.0, 8000, 1), "flac"))
    assert [number for number, _ in frames(rest, 1)] == list(range(2500))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_a_few_samples(count: int) -> None:
    _, rest = metadata(encode(Sound(count / 8000, 8000, 1, b"digest"), "flac"))
    decoded = [sample for _, (part,) in frames(rest, 1) for sample in part]
    assert len(decoded) == count
    assert any(decoded) == (count == 3)


def test_a_ninth_channel_is_left_out() -> None:
    sound = probe(encode(Sound(1.0, channels=9), "flac"))
    assert sound is not None
    assert sound.channels == 8


def test_one_that_does_not_say_how_long_it_is() -> None:
    data = encode(Sound(1.0), "flac")
    assert probe(data) is not None
    unknown = data[:21] + bytes((data[21] & 0xF0,)) + bytes(4) + data[26:]
    assert probe(unknown) is None
