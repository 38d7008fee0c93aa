"""Video files, as FFmpeg decodes them."""

from __future__ import annotations

import io
import random
from fractions import Fraction
from typing import Any

import pytest
from PIL import Image

from comfystub.media import blocks, cells, h264, video
from comfystub.media.pictures import Mosaic, Picture, Pixels
from comfystub.media.sound import Sound

av = pytest.importorskip("av")

SIZES = [
    (1, 1),
    (2, 2),
    (16, 16),
    (33, 17),
    (64, 48),
    (100, 75),
    (257, 301),
    (512, 512),
    (832, 480),
    (1280, 720),
    (4200, 64),  # tiles next to each other, in VP9 and in AV1
    (4096, 2368),  # on top of each other, in AV1
]
TEXTS = [("prompt", '{"3": {}}'), ("workflow", "狐 🦊"), ("note", "é")]
KINDS = pytest.mark.parametrize("kind", ["mp4", "vp9", "av1"])


def opened(data: bytes) -> Any:
    return av.open(io.BytesIO(data))


def write(kind: str, frames: list[Picture], fps: float = 24, **options: Any) -> bytes:
    return video.mp4(frames, fps, **options) if kind == "mp4" else video.webm(frames, fps, kind, **options)


def noise(width: int, height: int, side: int, seed: int) -> Picture:
    """Squares of any colour: neighbours differ as much as may be."""
    columns, rows = -(-width // side), -(-height // side)
    image = Image.frombytes("RGB", (columns, rows), random.Random(seed).randbytes(3 * columns * rows))
    return Pixels(
        image.resize((columns * side, rows * side), Image.Resampling.NEAREST).crop((0, 0, width, height))
    )


@KINDS
@pytest.mark.parametrize("size", SIZES)
def test_every_sample_is_that_of_its_cell(kind: str, size: tuple[int, int]) -> None:
    width, height = (max(2, side // 2 * 2) for side in size) if kind == "mp4" else size
    side = h264.SIDE if kind == "mp4" else blocks.side(width, height)
    frames = [noise(*size, side, 1), Mosaic(b"1", *size), Mosaic(b"1", *size), Mosaic(b"2", *size)]
    decoded = list(opened(write(kind, frames)).decode(video=0))
    assert [(frame.width, frame.height) for frame in decoded] == [(width, height)] * len(frames)
    for picture, frame in zip(frames, decoded):
        grid = cells.grid(picture, side, width, height)
        for number, plane in enumerate(frame.planes):
            square = side if number == 0 else side // 2
            data, step = bytes(plane), plane.line_size
            for y in range(plane.height):
                if y % square == 0:
                    row = [bytes([cell[number]]) * square for cell in grid[y // square]]
                    line = b"".join(row)[: plane.width]
                assert data[y * step : y * step + plane.width] == line


@KINDS
@pytest.mark.parametrize("size", [(512, 512), (832, 480), (1280, 720)])
def test_a_mosaic_is_seen(kind: str, size: tuple[int, int]) -> None:
    frames: list[Picture] = [Mosaic(bytes([number]), *size) for number in range(3)]
    for picture, frame in zip(frames, opened(write(kind, frames)).decode(video=0)):
        seen, meant = frame.to_image(), picture.pixels()
        for x in range(8):
            for y in range(8):
                place = size[0] * (2 * x + 1) // 16, size[1] * (2 * y + 1) // 16
                assert all(abs(a - b) <= 4 for a, b in zip(seen.getpixel(place), meant.getpixel(place)))


@KINDS
@pytest.mark.parametrize(
    ("fps", "rate"), [(16.0, 16), (23.976, Fraction(2997, 125)), (29.97, Fraction(2997, 100))]
)
def test_frames_come_at_their_times(kind: str, fps: float, rate: Fraction) -> None:
    frames: list[Picture] = [Mosaic(bytes([number // 2]), 64, 48) for number in range(25)]
    container = opened(write(kind, frames, fps))
    assert container.streams.video[0].average_rate == rate
    times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([number / fps for number in range(25)], abs=0.0006)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("sample_rate", [16000, 44100, 96000])
def test_the_sound_is_silence(channels: int, sample_rate: int) -> None:
    data = video.mp4([Mosaic(b"", 64, 48)], 1, Sound(1.0, sample_rate, channels))
    container = opened(data)
    stream = container.streams.audio[0]
    assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", sample_rate, channels)
    samples = 0
    for frame in container.decode(audio=0):
        samples += frame.samples
        # PyAV offers a ninth plane where there are eight, and more of each than its samples.
        for plane in frame.planes[:channels]:
            assert not any(memoryview(plane)[: 4 * frame.samples])
    assert samples == -(-sample_rate // 1024) * 1024


@KINDS
def test_texts_are_metadata(kind: str) -> None:
    metadata = opened(write(kind, [Mosaic(b"", 64, 48)], texts=TEXTS)).metadata
    name = str if kind == "mp4" else str.upper
    assert {keyword: metadata[name(keyword)] for keyword, _ in TEXTS} == dict(TEXTS)


@pytest.mark.parametrize(
    ("format", "codec", "audio", "options"),
    [
        ("mp4", "mpeg4", "", {}),
        ("mp4", "libx264", "aac", {}),
        ("mp4", "libx264", "aac", {"movflags": "frag_keyframe+empty_moov"}),
        ("mov", "libx264", "pcm_s16le", {}),
        ("webm", "libvpx", "", {}),
        ("webm", "libvpx-vp9", "libopus", {}),
        ("webm", "libvpx", "libopus", {"live": "1"}),
        ("matroska", "mpeg4", "aac", {}),
    ],
)
def test_files_by_others_are_probed(format: str, codec: str, audio: str, options: dict[str, str]) -> None:
    for name in filter(None, (codec, audio)):
        if name not in av.codecs_available:
            pytest.skip(f"this FFmpeg has no {name}")
    file = io.BytesIO()
    with av.open(file, "w", format=format, options=options) as container:
        stream = container.add_stream(
            codec, rate=24, pix_fmt="yuv420p", width=176, height=144, bit_rate=200_000
        )
        voice = container.add_stream(audio, rate=48000, layout="stereo") if audio else None
        for number in range(36):
            image = Image.effect_noise((176, 144), 20 + number).convert("RGB")
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
        if voice is not None:
            silence = av.AudioFrame(format="s16", layout="stereo", samples=72000)
            silence.sample_rate = 48000
            container.mux(voice.encode(silence))
            container.mux(voice.encode())
    info = video.probe(file.getvalue())
    assert info is not None
    assert info[:4] == (176, 144, 36, 24.0)
    assert info.seconds == pytest.approx(1.5, abs=0.15)
    if audio:
        assert info.sound is not None
        assert info.sound[:3] == (pytest.approx(1.5, abs=0.15), 48000, 2)
    else:
        assert info.sound is None
