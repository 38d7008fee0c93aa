"""The note that a sound begins with."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfystub.media import notes

RATES = [8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000]


def heard(samples: list[int], rate: int) -> float:
    """The frequency of a sine, by how long it takes from its first rise through its middle to its last."""
    middle = sum(samples) / len(samples)
    rises = [
        at + (middle - before) / (after - before)
        for at, (before, after) in enumerate(pairwise(samples))
        if before < middle <= after
    ]
    return rate * (len(rises) - 1) / (rises[-1] - rises[0])


def test_digests_have_two_octaves_of_notes() -> None:
    pitches = {notes.pitch(number.to_bytes(2, "big")) for number in range(1000)}
    assert len(pitches) == 24
    assert min(pitches) == 880
    assert max(pitches) == pytest.approx(880 * 4 / 2 ** (1 / 12))


def test_no_digest_has_no_note() -> None:
    assert notes.pitch(b"") == 0
    assert notes.encoder(b"") == "comfystub"


def test_the_encoder_is_named_after_the_digest() -> None:
    assert notes.encoder(b"\0\xab") == "comfystub 00ab"


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hertz", [880.0, 1318.5, 3322.4])
def test_a_note_has_its_pitch(hertz: float, rate: int) -> None:
    loud = list(notes.samples(hertz, rate, notes.span(rate) // 4))
    assert 12 * abs(math.log2(heard(loud, rate) / hertz)) < 1  # semitones


@pytest.mark.parametrize("rate", RATES)
def test_a_note_dies_away(rate: int) -> None:
    span = notes.span(rate)
    assert span == rate // 5
    samples = list(notes.samples(1760, rate, span))
    assert samples[0] == 0
    assert 2700 < max(map(abs, samples[: span // 10])) < 3300
    assert max(map(abs, samples[-span // 10 :])) < 700


@settings(deadline=None)
@given(rate=st.integers(1, 1 << 20), hertz=st.floats(880, 3323))
def test_at_any_sample_rate_it_fits_into_a_block_of_flac(rate: int, hertz: float) -> None:
    second, last, last_but_one = notes.recurrence(hertz, rate)
    assert 16 <= notes.span(rate) <= 65535
    assert all(-(1 << 14) <= factor < 1 << 14 for factor in (last, last_but_one))
    assert all(-(1 << 15) <= sample < 1 << 15 for sample in (second, *notes.samples(hertz, rate, 2000)))
