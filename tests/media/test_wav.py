"""WAV files, as the standard library reads them, and as others write them."""

from __future__ import annotations

import io
import struct
import wave
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfystub.media import notes
from comfystub.media.sound import Sound, encode, probe

DIGEST = bytes(range(16))


def chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack("<4sI", kind, len(body) if size is None else size) + body + bytes(len(body) % 2)


def wav(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def format_of(coding: int, channels: int, rate: int, bits: int, more: bytes = b"") -> bytes:
    width = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", coding, channels, rate, rate * width, width, bits) + more)


@settings(deadline=None)
@given(
    seconds=st.floats(0, 2),
    rate=st.sampled_from((8000, 22050, 44100, 48000)),
    channels=st.integers(1, 9),
    digest=st.binary(max_size=16),
)
def test_it_holds_the_note_and_then_silence(seconds: float, rate: int, channels: int, digest: bytes) -> None:
    with wave.open(io.BytesIO(encode(Sound(seconds, rate, channels, digest), "wav"))) as file:
        count = round(seconds * rate)
        assert file.getparams()[:4] == (channels, 2, rate, count)
        samples = array("h", file.readframes(count + 1))
    assert len(samples) == count * channels
    note = list(notes.samples(notes.pitch(digest), rate, min(count, rate // 5))) if digest else []
    for channel in range(channels):
        assert list(samples[channel::channels]) == note + [0] * (count - len(note))


def test_its_size_is_in_its_header_and_its_encoder_before_the_samples() -> None:
    data = encode(Sound(1.0, digest=b"\xab\xcd"), "wav")
    assert data[:16] == struct.pack("<4sI8s", b"RIFF", len(data) - 8, b"WAVEfmt ")
    assert chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"comfystub abcd\0")) + b"data" in data


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((format_of(1, 1, 8000, 8), chunk(b"data", bytes(4001))), (4001, 8000, 1)),
        ((format_of(1, 2, 44100, 24), chunk(b"data", bytes(600))), (100, 44100, 2)),
        ((format_of(3, 2, 48000, 32, b"\0\0"), chunk(b"data", bytes(800))), (100, 48000, 2)),
        ((format_of(0xFFFE, 6, 48000, 16, bytes(24)), chunk(b"data", bytes(120))), (10, 48000, 6)),
        ((chunk(b"junk", b"odd"), format_of(7, 1, 8000, 8), chunk(b"data", bytes(7))), (7, 8000, 1)),
        ((format_of(1, 2, 44100, 16), chunk(b"data", bytes(40)), chunk(b"id3 ", bytes(9))), (10, 44100, 2)),
        ((format_of(1, 2, 44100, 16), chunk(b"data", bytes(40), size=0xFFFFFFFF)), (10, 44100, 2)),
        ((format_of(1, 2, 44100, 16), chunk(b"data", bytes(40), size=400)), (10, 44100, 2)),
    ],
    ids=["8 bits", "24 bits", "floats", "surround", "µ-law", "a tag behind", "from a pipe", "cut off"],
)
def test_those_of_others_are_read(chunks: tuple[bytes, ...], expected: tuple[int, int, int]) -> None:
    count, rate, channels = expected
    sound = probe(wav(*chunks))
    assert sound is not None
    assert sound[:3] == (count / rate, rate, channels)


@pytest.mark.parametrize(
    "data",
    [
        wav(chunk(b"data", bytes(40))),
        wav(format_of(1, 2, 44100, 16)),
        wav(format_of(0x55, 2, 44100, 16), chunk(b"data", bytes(40))),
        wav(format_of(1, 2, 0, 16), chunk(b"data", bytes(40))),
        wav(format_of(1, 0, 44100, 16), chunk(b"data", bytes(40))),
        wav(format_of(1, 2, 44100, 16), chunk(b"data", bytes(40))).replace(b"WAVE", b"AVI "),
    ],
    ids=["no format", "no samples", "compressed", "no sample rate", "no channels", "no WAV"],
)
def test_what_cannot_be_read(data: bytes) -> None:
    assert probe(data) is None
