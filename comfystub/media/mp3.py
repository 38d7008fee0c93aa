"""MP3 files: MPEG audio, layer III.

A frame with nothing in its spectrum is silence, and frames with one line in it are a note.  Neither needs
what makes the format elaborate, and each is written down as it is.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from comfystub.media import notes
from comfystub.media.png import Texts
from comfystub.media.sound import Sound

_RATES = (44100, 48000, 32000)
_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_LOW_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_VERSIONS = {3: (1, _KBPS, 1152, 17, 32), 2: (2, _LOW_KBPS, 576, 9, 17), 0: (4, _LOW_KBPS, 576, 9, 17)}
"""MPEG-1, 2 and 2.5, by the numbers that headers have for them: what the sample rates are divided by, the
bit rates, the samples of a frame, and the bytes of its side information with one channel and with two.
"""

_SAMPLES = 1152  # of a frame that is written here
_DELAY = 576  # samples that come before those of the sound
_DECODER_DELAY = 529  # and those that every decoder puts before these

_GAIN = 196  # of a tenth of the greatest amplitude; four less is half of it
_FALL = 28  # from the start of a note to its end

_FIELDS = ((1, 4), (2, 4), (4, 100), (8, 4))  # which may follow the mark of the first frame: bit and bytes
_GAPLESS = frozenset((b"LAME", b"Lavf", b"Lavc"))  # encoders that say how many samples are not of the sound


class Quality(NamedTuple):
    """The mark of the first frame, a number for the way of encoding, its bit rate and that of the others."""

    mark: bytes
    method: int
    first_kbps: int
    kbps: int


_QUALITIES = {
    "V0": Quality(b"Xing", 4, 64, 32),
    "128k": Quality(b"Info", 1, 128, 128),
    "320k": Quality(b"Info", 1, 320, 320),
}


class Frame(NamedTuple):
    """What a header says of its frame: bytes, samples, sample rate, channels, bytes of side information."""

    length: int
    samples: int
    rate: int
    channels: int
    side: int


def encode(sound: Sound, quality: str, texts: Texts) -> bytes:
    """Return a sound as an MP3 file.

    Raises:
        ValueError: there is no such quality.
    """
    quality = quality or "V0"
    if quality not in _QUALITIES:
        raise ValueError(f"no MP3 has the quality {quality!r}, but one of {', '.join(_QUALITIES)}")
    chosen = _QUALITIES[quality]
    rate = sound.sample_rate if sound.sample_rate in _RATES else _RATES[0]
    samples = _DELAY + round(sound.seconds * rate)
    count = max(2, -(-(samples + _DECODER_DELAY) // _SAMPLES))  # one alone is not recognized
    audio = _audio(_header(chosen.kbps, rate, sound.channels), notes.pitch(sound.digest), count)
    header = _header(chosen.first_kbps, rate, sound.channels)
    about = _about(header, chosen, count, count * _SAMPLES - samples, len(audio))
    return _id3(notes.encoder(sound.digest), texts) + about + audio


def read(data: bytes) -> tuple[int, int, int]:
    """Return how many samples each channel of an MP3 file has, its sample rate and its channels.

    Raises:
        ValueError: it does not begin with frames of layer III.
    """
    data = data.lstrip(b"\0")  # room that an ID3 tag leaves
    first = _frame(data[:4])
    if len(data) > first.length:
        _frame(data[first.length : first.length + 4])
    return _length(data, first), first.rate, first.channels


# Frames


def _header(kbps: int, rate: int, channels: int) -> bytes:
    mode = 0 if channels > 1 else 0xC0
    return bytes((0xFF, 0xFB, _KBPS.index(kbps) << 4 | _RATES.index(rate) << 2, mode))


@lru_cache(maxsize=64)
def _frame(header: bytes) -> Frame:
    """Return what a header of 4 bytes says, or raise ValueError when it is none of layer III."""
    bits = int.from_bytes(header, "big")
    version, kbps, rate = bits >> 19 & 3, bits >> 12 & 15, bits >> 10 & 3
    if bits >> 21 != 0x7FF or bits >> 17 & 3 != 1 or version not in _VERSIONS or kbps in (0, 15) or rate == 3:
        raise ValueError("not a header of an MP3 frame")
    divisor, table, samples, *sides = _VERSIONS[version]
    channels = 1 if bits >> 6 & 3 == 3 else 2
    hertz = _RATES[rate] // divisor
    length = samples // 8 * 1000 * table[kbps] // hertz + (bits >> 9 & 1)
    return Frame(length, samples, hertz, channels, sides[channels - 1])


def _audio(header: bytes, hertz: float, count: int) -> bytes:
    """Return `count` frames: a note, when there is one, and silence."""
    frame = _frame(header)
    line = round(hertz * _SAMPLES / frame.rate)
    length = notes.span(frame.rate) // _SAMPLES
    gains = [_GAIN - _FALL * number // length for number in range(min(length, count))] if line else []
    silence = header + bytes(frame.length - 4)
    return b"".join([_note(header, line, gain) for gain in gains]) + silence * (count - len(gains))


def _note(header: bytes, line: int, gain: int) -> bytes:
    """Return a frame with one line in its spectrum, 1 high.

    Decoders make a sine of such frames, of `line / 1152` of the sample rate, when an even line stays as it
    is and an odd one changes its sign with each granule.  A frame has two granules.
    """
    frame = _frame(header)
    pairs, odd = divmod(line, 2)
    code = "1" * pairs + ("001" if odd else "01")  # pairs of zeros and the pair with the line, but its sign
    # their bits, how many pairs, the gain, no scale factors, long blocks, the table of codes for each region
    granule = f"{len(code) + 1:012b}{pairs + 1:09b}{gain:08b}" + "0" * 5 + "00001" * 3 + "0" * 10
    side = (granule * 2 * frame.channels).rjust(8 * frame.side, "0")
    spectrum = f"{code}0" * frame.channels + f"{code}{odd}" * frame.channels
    size = frame.length - 4
    return header + int((side + spectrum).ljust(8 * size, "0"), 2).to_bytes(size, "big")


# Length


def _about(header: bytes, quality: Quality, count: int, padding: int, size: int) -> bytes:
    """Return the frame before all others, which is silent and says how much of them is the sound.

    Only what calls itself LAME is trusted to have counted the samples at both ends.
    """
    frame = _frame(header)
    size += frame.length
    seek = bytes(256 * percent // 100 for percent in range(100))
    delays = (_DELAY << 12 | padding).to_bytes(3, "big")
    tag = struct.pack(">4sIII100sI", quality.mark, sum(dict(_FIELDS)), count, size, seek, 100)
    lame = struct.pack(">9sB10xB3s4xI2x", b"LAME3.100", quality.method, min(quality.kbps, 255), delays, size)
    data = b"".join((header, bytes(frame.side), tag, lame))
    return (data + _crc(data)).ljust(frame.length, b"\0")


def _length(data: bytes, first: Frame) -> int:
    """Return how many samples a file says that it has, or else has."""
    tag = data[4 + first.side : first.length]
    if tag[:4] in (b"Xing", b"Info"):
        flags = int.from_bytes(tag[4:8], "big")
        samples = (int.from_bytes(tag[8:12], "big") if flags & 1 else _count(data) - 1) * first.samples
        end = 8 + sum(size for bit, size in _FIELDS if flags & bit)
        if tag[end : end + 4] in _GAPLESS:
            delays = int.from_bytes(tag[end + 21 : end + 24], "big")
            samples -= (delays >> 12) + (delays & 0xFFF)
        return samples
    if data[36:40] == b"VBRI":
        return int.from_bytes(data[50:54], "big") * first.samples
    return _count(data) * first.samples


def _count(data: bytes) -> int:
    """Return how many whole frames a file begins with."""
    count = at = 0
    with suppress(ValueError):
        while (at := at + _frame(data[at : at + 4]).length) <= len(data):
            count += 1
    return count


def _crc(data: bytes) -> bytes:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 * (crc & 1)
    return crc.to_bytes(2, "big")


# Texts


def _id3(encoder: str, texts: Texts) -> bytes:
    """Return an ID3 tag, of version 2.4."""
    frames = [_text(b"TSSE", encoder), *(_text(b"TXXX", f"{keyword}\0{text}") for keyword, text in texts)]
    return b"ID3\4\0\0" + _synchsafe(sum(map(len, frames))) + b"".join(frames)


def _text(kind: bytes, text: str) -> bytes:
    data = b"\3" + text.encode()  # which is how UTF-8 is announced
    return kind + _synchsafe(len(data)) + b"\0\0" + data


def _synchsafe(size: int) -> bytes:
    """Return a number in bytes of 7 bits, so that none of them looks like the start of a frame."""
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
