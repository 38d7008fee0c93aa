"""WAV files: samples of 16 bits, as they are."""

from __future__ import annotations

import struct

from comfystub.media import notes
from comfystub.media.png import Texts
from comfystub.media.sound import Sound

_UNCOMPRESSED = frozenset((1, 3, 6, 7, 0xFFFE))  # integers, floats, A-law, µ-law, and what is told elsewhere


def encode(sound: Sound, quality: str, texts: Texts) -> bytes:
    """Return a sound as a WAV file, which has neither a quality nor texts."""
    rate, channels = sound.sample_rate, sound.channels
    count = round(sound.seconds * rate)
    note = _note(notes.pitch(sound.digest), rate, min(count, notes.span(rate)), channels)
    size = 2 * channels * count
    chunks = b"".join(
        (
            _chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16)),
            # before the samples, because some readers take an empty file for one of unknown length
            _chunk(b"LIST", b"INFO" + _chunk(b"ISFT", notes.encoder(sound.digest).encode() + b"\0")),
            struct.pack("<4sI", b"data", size),
        )
    )
    riff = struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + size, b"WAVE")
    return b"".join((riff, chunks, note)).ljust(len(riff) + len(chunks) + size, b"\0")


def read(data: bytes) -> tuple[int, int, int]:
    """Return how many samples each channel of a WAV file has, its sample rate and its channels.

    A file that breaks off has the samples that are there.

    Raises:
        ValueError: it is no WAV file, or its samples are compressed.
        struct.error: it breaks off before its samples.
    """
    if data[8:12] != b"WAVE":
        raise ValueError("not a WAV file")
    coding = channels = rate = width = 0
    at = 12
    while True:
        kind, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if kind == b"data":
            break
        if kind == b"fmt ":
            coding, channels, rate, width = struct.unpack_from("<HHI4xH", data, at)
        at += size + size % 2
    if coding not in _UNCOMPRESSED or not width:
        raise ValueError("a WAV file whose samples are compressed")
    return min(size, len(data) - at) // width, rate, channels


def _note(hertz: float, rate: int, count: int, channels: int) -> bytes:
    """Return the samples of a note, if it has a frequency: for each moment, one for every channel."""
    if not hertz:
        return b""
    samples = notes.samples(hertz, rate, count)
    return struct.pack(f"<{count * channels}h", *(sample for sample in samples for _ in range(channels)))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(body)) + body + bytes(len(body) % 2)
