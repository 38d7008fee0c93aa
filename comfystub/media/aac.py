"""Silence in AAC-LC: a frame without any spectrum takes a few bytes, and they are always the same."""

from __future__ import annotations

from comfystub.media.bits import fixed, packed

FRAME = 1024  # samples per channel

_LOW_COMPLEXITY = 2
_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Samples per second.  The format has room for others, but decoders do not take them."""

_SINGLE, _PAIR, _LOW_EFFECTS, _END = 0, 1, 3, 7
_LAYOUTS = {
    1: (1, (_SINGLE,)),
    2: (2, (_PAIR,)),
    3: (3, (_SINGLE, _PAIR)),
    4: (4, (_SINGLE, _PAIR, _SINGLE)),
    5: (5, (_SINGLE, _PAIR, _PAIR)),
    6: (6, (_SINGLE, _PAIR, _PAIR, _LOW_EFFECTS)),
    8: (7, (_SINGLE, _PAIR, _PAIR, _PAIR, _LOW_EFFECTS)),
}
"""The format's number for so many channels, and the elements of a frame that hold them."""

_CHANNEL = fixed(0, 8) + fixed(0, 11) + "000"  # gain, a window of no bands, no tools


def channels(wanted: int) -> int:
    """Return how many channels there will be: as many as wanted, or two when AAC has no such layout."""
    return wanted if wanted in _LAYOUTS else 2


def sample_rate(wanted: int) -> int:
    """Return how many samples per second there will be: as many as wanted, or nearly so."""
    return min(_RATES, key=lambda rate: abs(rate - wanted))


def configuration(sample_rate: int, channels: int) -> bytes:
    """Return the AudioSpecificConfig, which a decoder has to see first."""
    rate = fixed(_RATES.index(sample_rate), 4)
    return packed(fixed(_LOW_COMPLEXITY, 5) + rate + fixed(_LAYOUTS[channels][0], 4) + "000")


def silence(channels: int) -> bytes:
    """Return a frame in which nothing is heard."""
    bits = ""
    tags = {_SINGLE: 0, _PAIR: 0, _LOW_EFFECTS: 0}
    for element in _LAYOUTS[channels][1]:
        bits += fixed(element, 3) + fixed(tags[element], 4)
        bits += "0" + _CHANNEL * 2 if element == _PAIR else _CHANNEL
        tags[element] += 1
    return packed(bits + fixed(_END, 3))
