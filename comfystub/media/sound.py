"""Sound, and the files it becomes.

A sound is silence of some length, behind a short quiet note whose pitch follows the digest: in WAV, FLAC
and MP3, the formats in which one can be written down without an encoder.  The bytes of the file follow
the digest in every format, for it is a part of the encoder's name.
"""

from __future__ import annotations

import hashlib
import struct
from importlib import import_module
from typing import Any, NamedTuple

from comfystub.media.png import Texts

_ENCODERS = {"flac": "flac", "mp3": "mp3", "opus": "ogg", "wav": "wav"}
_READERS = {b"fLaC": "flac", b"OggS": "ogg", b"RIFF": "wav"}  # by how files begin; any other may be an MP3


class Sound(NamedTuple):
    """A sound of a length, ComfyUI's ``AUDIO``: what it sounds like follows from the digest.

    ``seconds`` is its length, ``sample_rate`` in samples per second.  Without a digest it is silence.
    """

    seconds: float
    sample_rate: int = 44100
    channels: int = 2
    digest: bytes = b""


def encode(sound: Sound, ending: str, quality: str = "", texts: Texts = ()) -> bytes:
    """Return the file that a sound becomes.

    Length, sample rate and channels are the sound's own, as far as the format has them: FLAC and Opus
    know at most eight channels, MP3 two.  Opus always has 48000 samples per second, and the MP3 files
    written here have 32000, 44100 or 48000: 44100 when the sound has any other number.

    Args:
        sound: what is in the file.
        ending: `flac`, `mp3`, `opus` or `wav`, as at the end of the file's name.
        quality: of an MP3, `V0`, `128k` or `320k`; without one, `V0`.  The other formats do not tell it.
        texts: keywords and texts: comments in FLAC and Opus, TXXX frames in MP3, left out of WAV.

    Raises:
        ValueError: `ending` or an MP3's `quality` is none of these.
    """
    if ending not in _ENCODERS:
        raise ValueError(f"no file of sound ends in {ending!r}, but in one of {', '.join(_ENCODERS)}")
    encoded: bytes = _format(_ENCODERS[ending]).encode(sound, quality, texts)
    return encoded


def probe(data: bytes) -> Sound | None:
    """Return the sound of a file, with its length, its sample rate, its channels and a digest of its bytes.

    Args:
        data: a WAV, FLAC, MP3, Ogg Opus or Ogg Vorbis file, by whatever program.

    Returns:
        `None` when the file is none of these, or is too broken to tell.
    """
    start = _after_id3(data)
    reader = _format(_READERS.get(data[start : start + 4], "mp3"))
    try:
        samples, rate, channels = reader.read(data[start:])
    except (ValueError, struct.error):
        return None
    if samples < 0 or rate < 1 or channels < 1:
        return None
    return Sound(samples / rate, rate, channels, hashlib.blake2b(data, digest_size=16).digest())


def _format(name: str) -> Any:
    """Return the module of a format, which not every job needs."""
    return import_module(f"comfystub.media.{name}")


def _after_id3(data: bytes) -> int:
    """Return where a file begins behind the ID3 tags that may stand in front of it."""
    at = 0
    while data.startswith(b"ID3", at):
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size
    return at
