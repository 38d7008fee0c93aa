"""What tells one sound from another: a short quiet note, and a name in the file.

The note is a sine that dies away.  Each sample of such a sine is the sum of the two before it, each
taken so and so many times, and that is also how FLAC predicts samples.  It is reckoned in whole numbers,
as FLAC does it, and so the note is the same in WAV and in FLAC, sample by sample.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

SHIFT = 13
"""Binary places of the factors, so many that the factors have the 15 bits that FLAC has for them."""

_LOWEST = 880.0  # Hz; from here on, a semitone is at least a line in the spectrum of an MP3
_STEPS = 24  # semitones above it
_LOUDNESS = 3000  # of 32767
_REST = 0.01  # what is left of the loudness at the end


def encoder(digest: bytes) -> str:
    """Return the name of the encoder that a file gives, of which the digest is a part."""
    return f"comfystub {digest.hex()}".rstrip()


def pitch(digest: bytes) -> float:
    """Return the frequency of the note in Hz; 0, for no note, without a digest."""
    if not digest:
        return 0.0
    step = hashlib.blake2b(digest, digest_size=1).digest()[0] % _STEPS
    return _LOWEST * math.pow(2, step / 12)


def span(rate: int) -> int:
    """Return how many samples a note takes: a fifth of a second, as far as that can be a block of FLAC."""
    return min(max(rate // 5, 16), 65535)


def recurrence(hertz: float, rate: int) -> tuple[int, int, int]:
    """Return the second sample of a note, the factor of the last sample and that of the last but one.

    The first sample is 0.  After the second, each is the sum of the two products, shifted right by `SHIFT`.
    """
    angle = math.tau * hertz / rate
    decay = _REST ** (1 / span(rate))
    one = 1 << SHIFT
    last_but_one = -round(one * decay * decay)
    last = round(2 * math.cos(angle) * math.sqrt(one * -last_but_one))
    return round(_LOUDNESS * math.sin(angle)), min(last, 2 * one - 1), last_but_one


def samples(hertz: float, rate: int, count: int) -> Iterator[int]:
    """Yield the first `count` samples of a note, of 16 bits each."""
    sample, (following, last, last_but_one) = 0, recurrence(hertz, rate)
    for _ in range(count):
        yield sample
        sample, following = following, last * following + last_but_one * sample >> SHIFT
