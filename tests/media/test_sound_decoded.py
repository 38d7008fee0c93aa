"""Sound files as FFmpeg decodes them, and FFmpeg's own files as they are read here; for this, PyAV is needed."""

from __future__ import annotations

import io
from array import array
from itertools import pairwise
from typing import Any

import pytest

from comfystub.media import notes
from comfystub.media.sound import Sound, encode, probe

av: Any = pytest.importorskip("av")

DIGEST = bytes(range(16))
ENDINGS = ["flac", "mp3", "opus", "wav"]
SECONDS = [0.0, 1 / 44100, 0.05, 1.0, 2.345, 120.0]
WORKFLOW = '{"nodes": "狐"}' + " " * 100_000


def decoded(data: bytes) -> tuple[int, int, int, array[Any], dict[str, str]]:
    """Samples, sample rate and channels of a file, what its first channel plays in its first second, and its texts."""
    count, start = 0, array("f")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            if count < frame.sample_rate:
                start.extend(first_channel(frame, stream.channels))
            count += frame.samples
        return count, stream.rate, stream.channels, start, {**container.metadata, **stream.metadata}


def first_channel(frame: Any, channels: int) -> list[float]:
    """The samples of a frame, from -1 to 1."""
    kind, scale = {"s16": ("h", 1 / (1 << 15)), "s32": ("i", 1 / (1 << 31)), "flt": ("f", 1.0)}[
        frame.format.name.removesuffix("p")
    ]
    step = 1 if frame.format.is_planar else channels
    samples = array(kind)
    samples.frombytes(bytes(frame.planes[0])[: frame.samples * step * samples.itemsize])
    return [sample * scale for sample in samples[::step]]


def heard(samples: array[Any], rate: int) -> float:
    """The frequency of a sine, by how often it rises through its middle."""
    middle = sum(samples) / len(samples)
    rises = sum(before < middle <= after for before, after in pairwise(samples))
    return rises * rate / len(samples)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (32000, 2), (24000, 1), (96000, 6)])
def test_it_decodes_to_its_length(ending: str, seconds: float, rate: int, channels: int) -> None:
    data = encode(Sound(seconds, rate, channels, DIGEST), ending, texts=[("workflow", WORKFLOW)])
    count, file_rate, file_channels, start, texts = decoded(data)
    if ending == "opus":
        rate = 48000
    elif ending == "mp3" and rate not in (32000, 44100, 48000):
        rate = 44100
    assert (count, file_rate) == (round(seconds * rate), rate)
    assert file_channels == (min(channels, 2) if ending == "mp3" else channels)
    assert max(map(abs, start[rate // 4 :]), default=0) < 0.0001
    assert texts.get("workflow") == (None if ending == "wav" else WORKFLOW)
    if ending == "opus":
        assert max(map(abs, start), default=0) < 0.0001
    elif seconds >= 1:
        assert 0.05 < max(map(abs, start)) < 0.15
        assert heard(start[: rate // 20], rate) == pytest.approx(notes.pitch(DIGEST), rel=0.06)


@pytest.mark.parametrize("quality", ["V0", "128k", "320k"])
@pytest.mark.parametrize("seconds", SECONDS)
def test_mp3_in_every_quality(quality: str, seconds: float) -> None:
    data = encode(Sound(seconds, 44100, 2, DIGEST), "mp3", quality)
    count, _, _, _, texts = decoded(data)
    assert count == round(seconds * 44100)
    assert texts["encoder"] == "LAME3.100"  # said only when the checksum of the first frame is right
    if seconds >= 1 and quality != "V0":
        with av.open(io.BytesIO(data)) as container:
            assert container.streams.audio[0].bit_rate == int(quality.removesuffix("k")) * 1000


@pytest.mark.parametrize("ending", ["flac", "mp3", "wav"])
def test_without_a_digest_it_is_silent(ending: str) -> None:
    assert max(map(abs, decoded(encode(Sound(1.0), ending))[3])) < 0.0001


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("wav", "pcm_s16le", {}),
        ("wav", "pcm_s24le", {}),
        ("wav", "pcm_f32le", {}),
        ("wav", "pcm_mulaw", {}),
        ("flac", "flac", {}),
        ("mp3", "libmp3lame", {"b": "128k"}),
        ("mp3", "libmp3lame", {"b": "64k", "write_xing": "0"}),
        ("mp3", "libmp3lame", {"q": "2"}),
        ("ogg", "libopus", {}),
        ("ogg", "vorbis", {"strict": "experimental"}),
    ],
)
@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_files_of_ffmpeg_are_read(
    container: str, codec: str, options: dict[str, str], rate: int, layout: str
) -> None:
    if (codec, rate) == ("libopus", 44100) or (codec, layout) == ("vorbis", "mono"):
        pytest.skip("not with this encoder")
    data = made_by_ffmpeg(container, codec, options, rate, layout)
    sound = probe(data)
    assert sound is not None
    decoded_count, decoded_rate, channels, _, _ = decoded(data)
    assert sound[1:3] == (decoded_rate, channels)
    assert round(sound.seconds * decoded_rate) == decoded_count


def made_by_ffmpeg(container: str, codec: str, options: dict[str, str], rate: int, layout: str) -> bytes:
    """A file of something like music."""
    file = io.BytesIO()
    muxing = {key: value for key, value in options.items() if key == "write_xing"}
    with av.open(file, "w", format=container, options=muxing) as output:
        encoding = {key: value for key, value in options.items() if key not in muxing}
        stream = output.add_stream(codec, rate=rate, layout=layout, options=encoding)
        frame = av.AudioFrame("s16", layout, 2 * rate + 123)
        frame.planes[0].update(bytes((7 * at * at >> 5) & 0x3F for at in range(frame.planes[0].buffer_size)))
        frame.sample_rate, frame.pts = rate, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            output.mux(packet)
    return file.getvalue()
