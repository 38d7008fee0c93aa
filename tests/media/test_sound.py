"""Sound files of every format: which one is made, what tells it from others, and what is read from it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comfystub.media import png
from comfystub.media.sound import Sound, encode, probe

MAGIC = {"flac": b"fLaC", "mp3": b"ID3\4", "opus": b"OggS", "wav": b"RIFF"}
LEAST = {"flac": 1}  # samples; a FLAC file of none is one of unknown length
ENDING = st.sampled_from(sorted(MAGIC))
every_ending = pytest.mark.parametrize("ending", sorted(MAGIC))
TEXTS = [("prompt", '{"3": "狐"}'), ("workflow", "{}")]


def expected(sound: Sound, ending: str) -> tuple[int, int, int]:
    """The samples, sample rate and channels that a file of a sound has."""
    rate, channels = sound.sample_rate, min(sound.channels, {"mp3": 2, "wav": 99}.get(ending, 8))
    if ending == "opus" or (ending == "mp3" and rate not in (32000, 44100, 48000)):
        rate = {"opus": 48000, "mp3": 44100}[ending]
    return round(sound.seconds * rate), rate, channels


@every_ending
def test_it_begins_as_its_format_does(ending: str) -> None:
    assert encode(Sound(1.0), ending).startswith(MAGIC[ending])


@pytest.mark.parametrize("ending", ["ogg", "FLAC", ".wav", ""])
def test_no_such_ending(ending: str) -> None:
    with pytest.raises(ValueError, match="but in one of flac, mp3, opus, wav"):
        encode(Sound(1.0), ending)


@settings(max_examples=50, deadline=None)
@given(
    ending=ENDING,
    seconds=st.floats(0, 3),
    rate=st.integers(1, 96000) | st.sampled_from((32000, 44100, 48000)),
    channels=st.integers(1, 10),
)
def test_it_says_how_long_it_is(ending: str, seconds: float, rate: int, channels: int) -> None:
    sound = Sound(seconds, rate, channels, b"digest")
    data = encode(sound, ending)
    count, file_rate, file_channels = expected(sound, ending)
    if count < LEAST.get(ending, 0):
        assert probe(data) is None
    else:
        digest = hashlib.blake2b(data, digest_size=16).digest()
        assert probe(data) == Sound(count / file_rate, file_rate, file_channels, digest)


@settings(deadline=None)
@given(
    ending=ENDING, seconds=st.floats(0, 0.5), digests=st.lists(st.binary(max_size=20), min_size=2, max_size=2)
)
def test_bytes_follow_the_digest(ending: str, seconds: float, digests: list[bytes]) -> None:
    first, second = (encode(Sound(seconds, digest=digest), ending, texts=TEXTS) for digest in digests)
    assert (first == second) == (digests[0] == digests[1])


@every_ending
def test_texts_are_in_it_but_for_wav(ending: str) -> None:
    without, data = (encode(Sound(1.0), ending, texts=texts) for texts in ((), iter(TEXTS)))
    found = [keyword.encode() in data and text.encode() in data for keyword, text in TEXTS]
    assert found == [ending != "wav"] * 2
    assert (data == without) == (ending == "wav")


@pytest.mark.parametrize(("ending", "limit"), [("flac", 30_000), ("opus", 70_000), ("mp3", 1_300_000)])
def test_five_minutes_are_small(ending: str, limit: int) -> None:
    assert len(encode(Sound(300.0, digest=b"digest"), ending)) < limit


def test_only_the_format_that_is_asked_for_is_loaded() -> None:
    code = (
        "import json, sys; from comfystub.media.sound import Sound, encode; encode(Sound(1.0), 'mp3');"
        "print(json.dumps([name for name in sys.modules if name.startswith('comfystub.media.')]))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "comfystub.media.mp3" in loaded
    assert not {"comfystub.media.flac", "comfystub.media.ogg", "comfystub.media.wav"} & set(loaded)


# What is read


@every_ending
def test_an_id3_tag_may_stand_before_any_of_them(ending: str) -> None:
    data = encode(Sound(1.5), ending)
    sound = probe(b"ID3\3\0\0\0\0\2\1" + bytes(257) + data)
    assert sound is not None
    assert sound[:3] == (1.5, *expected(Sound(1.5), ending)[1:])


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"{}", bytes(500), png.mosaic([[b"red"]], 8, 8)],
)
def test_what_is_no_sound(data: bytes) -> None:
    assert probe(data) is None


@settings(deadline=None)
@given(
    start=st.sampled_from((b"", *MAGIC.values(), b"\xff\xfb\x90\x64", b"\0", b"RIFF\0\0\0\0WAVE")),
    data=st.data(),
)
def test_any_bytes_can_be_probed(start: bytes, data: st.DataObject) -> None:
    probe(start + data.draw(st.binary(max_size=200)))


@settings(max_examples=300, deadline=None)
@given(ending=ENDING, data=st.data())
def test_a_broken_file_can_be_probed(ending: str, data: st.DataObject) -> None:
    whole = bytearray(encode(Sound(0.3, 8000, 1, b"digest"), ending))
    early = st.integers(0, min(len(whole), 400) - 1)
    for at in data.draw(st.lists(early, max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    sound = probe(bytes(whole[: data.draw(early | st.just(len(whole)))]))
    assert sound is None or (sound.seconds >= 0 and sound.sample_rate > 0 and sound.channels > 0)
