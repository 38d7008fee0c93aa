"""FLAC files.

A block of silence is one sample and that it is repeated.  A block with a note is two samples and how the
others are predicted from them, with nothing left to correct.  So a second takes about a hundred bytes.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from comfystub.media import comments, notes
from comfystub.media.png import Texts
from comfystub.media.sound import Sound

_CHANNELS = 8  # at most
_SILENCE = b"\0\0\0"  # a subframe of one sample, a zero, that is repeated
_STREAM_INFO, _VORBIS_COMMENT, _LAST = 0, 4, 0x80
_HEADER_END = 42  # a FLAC file starts with its magic and a block of 38 bytes about the stream

_CRC8, _CRC16 = 0x107, 0x18005  # the polynomials of both checksums


def encode(sound: Sound, quality: str, texts: Texts) -> bytes:
    """Return a sound as a FLAC file, in which no quality is told."""
    rate, channels = sound.sample_rate, min(sound.channels, _CHANNELS)
    count = round(sound.seconds * rate)
    span = notes.span(rate)
    hertz = notes.pitch(sound.digest)
    first = _note(hertz, rate, channels) if hertz and count > 2 else _SILENCE * channels
    metadata = (
        b"fLaC",
        _metadata(_STREAM_INFO, _stream_info(span, rate, channels, count)),
        _metadata(_VORBIS_COMMENT | _LAST, comments.block(notes.encoder(sound.digest), texts)),
    )
    frames = [
        _frame(number, min(span, count - start), channels, _SILENCE * channels if number else first)
        for number, start in enumerate(range(0, count, span))
    ]
    return b"".join((*metadata, *frames))


def read(data: bytes) -> tuple[int, int, int]:
    """Return how many samples each channel of a FLAC file has, its sample rate and its channels.

    Raises:
        ValueError: it is no FLAC file, or does not say how long it is.
    """
    if len(data) < _HEADER_END or data[:4] != b"fLaC" or data[4] & 0x7F != _STREAM_INFO:
        raise ValueError("not a FLAC file")
    packed = int.from_bytes(data[18:26], "big")
    count = packed & (1 << 36) - 1
    if not count:
        raise ValueError("a FLAC file that was written without knowing how long it gets")
    return count, packed >> 44, (packed >> 41 & 7) + 1


def _metadata(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + len(body).to_bytes(3, "big") + body


def _stream_info(span: int, rate: int, channels: int, count: int) -> bytes:
    packed = rate << 44 | (channels - 1) << 41 | 15 << 36 | count
    # zeros for what need not be known: how large frames are, and the MD5 of all samples
    return struct.pack(">HH6xQ16x", span, span, packed)


def _frame(number: int, samples: int, channels: int, subframes: bytes) -> bytes:
    """Return the frame of a block, with both of its checksums."""
    header = b"".join(
        (
            # the number of samples follows, the sample rate is that of the stream, samples have 16 bits
            struct.pack(">HBB", 0xFFF8, 0x70, (channels - 1) << 4 | 8),
            chr(number).encode("utf-8", "surrogatepass"),
            struct.pack(">H", samples - 1),
        )
    )
    frame = header + _crc(header, _CRC8) + subframes
    return frame + _crc(frame, _CRC16)


def _note(hertz: float, rate: int, channels: int) -> bytes:
    """Return the subframes of a block in which every channel has a note."""
    second, last, last_but_one = notes.recurrence(hertz, rate)
    bits = "".join(
        (
            "01000010",  # linear prediction from two samples
            _bits(0, 16) + _bits(second, 16),
            _bits(15 - 1, 4) + _bits(notes.SHIFT, 5) + _bits(last, 15) + _bits(last_but_one, 15),
            "00" + "0000" + "1111" + "00000",  # corrections: in one part, each of them of no bits
        )
    )
    bits *= channels
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _bits(value: int, width: int) -> str:
    return f"{value & (1 << width) - 1:0{width}b}"


def _crc(data: bytes, polynomial: int) -> bytes:
    width = polynomial.bit_length() - 1
    table, mask = _crcs(polynomial), (1 << width) - 1
    crc = 0
    for byte in data:
        crc = crc << 8 & mask ^ table[crc >> width - 8 ^ byte]
    return crc.to_bytes(width // 8, "big")


@lru_cache(maxsize=2)
def _crcs(polynomial: int) -> tuple[int, ...]:
    """Return the checksum of each single byte."""
    width = polynomial.bit_length() - 1
    table = []
    for crc in range(0, 256 << width - 8, 1 << width - 8):
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> width - 1 else 0)
        table.append(crc)
    return tuple(table)
