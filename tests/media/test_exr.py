"""OpenEXR files, read by a small parser of the format's own description."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from comfystub.media import exr
from comfystub.media.pictures import Mosaic

Samples = dict[str, list[tuple[float, ...]]]


def attributes(data: bytes) -> tuple[dict[bytes, tuple[bytes, bytes]], int]:
    """Kind and value of each attribute, and where the header ends."""
    found, at = {}, 8
    while data[at]:
        name, kind, rest = data[at:].split(b"\0", 2)
        (size,) = struct.unpack_from("<I", rest)
        found[name] = kind, rest[4 : 4 + size]
        at += len(name) + len(kind) + 6 + size
    return found, at + 1


def read(data: bytes) -> tuple[tuple[int, int], Samples]:
    """Size and samples, line by line and channel by channel."""
    assert struct.unpack_from("<II", data) == (20000630, 2)
    header, at = attributes(data)
    assert header[b"compression"] == (b"compression", b"\0")
    assert header[b"dataWindow"] == header[b"displayWindow"]
    left, top, right, bottom = struct.unpack("<4i", header[b"dataWindow"][1])
    assert (left, top) == (0, 0)
    width, height = right + 1, bottom + 1
    kind, channels = header[b"channels"]
    assert kind == b"chlist" and channels[-1:] == b"\0" and len(channels) % 18 == 1
    names = []
    for start in range(0, len(channels) - 1, 18):
        name, sample_kind, _, *sampling = struct.unpack_from("<2sIIii", channels, start)
        assert (sample_kind, sampling) == (2, [1, 1])
        names.append(name.rstrip(b"\0").decode())
    assert names == sorted(names), "channels are in alphabetical order"
    samples: Samples = {name: [] for name in names}
    for y, offset in enumerate(struct.unpack_from(f"<{height}Q", data, at)):
        assert struct.unpack_from("<iI", data, offset) == (y, 4 * width * len(names))
        for index, name in enumerate(names):
            samples[name].append(struct.unpack_from(f"<{width}f", data, offset + 8 + 4 * width * index))
    assert len(data) == offset + 8 + 4 * width * len(names)
    return (width, height), samples


def test_has_every_attribute_that_a_reader_needs() -> None:
    header, _ = attributes(exr.encode(Image.new("RGB", (3, 2))))
    assert {name: kind for name, (kind, _) in header.items()} == {
        b"channels": b"chlist",
        b"compression": b"compression",
        b"dataWindow": b"box2i",
        b"displayWindow": b"box2i",
        b"lineOrder": b"lineOrder",
        b"pixelAspectRatio": b"float",
        b"screenWindowCenter": b"v2f",
        b"screenWindowWidth": b"float",
    }


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 3), (64, 48), (33, 70)], ids=str)
def test_has_every_pixel_where_it_belongs(size: tuple[int, int]) -> None:
    image = Mosaic(b"a red fox", *size).pixels()
    found, samples = read(exr.encode(image, linear=True))
    assert found == size and list(samples) == ["B", "G", "R"]
    for name, band in zip("RGB", image.split()):
        lines = [tuple(round(255 * sample) for sample in line) for line in samples[name]]
        assert bytes(sample for line in lines for sample in line) == band.tobytes()


def test_holds_floats() -> None:
    _, samples = read(exr.encode(Image.new("RGB", (1, 1), (255, 128, 1)), linear=True))
    assert [samples[name][0][0] for name in "RGB"] == pytest.approx([1, 128 / 255, 1 / 255])


def test_holds_amounts_of_light() -> None:
    _, samples = read(exr.encode(Image.new("RGB", (1, 1), (255, 128, 5))))
    # the sRGB values of a white, a middle grey and a black, in linear light
    assert [samples[name][0][0] for name in "RGB"] == pytest.approx([1, 0.2158605, 0.00151763], rel=1e-5)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "LA"])
def test_is_rgb_whatever_the_image_is(mode: str) -> None:
    image = Image.new("RGB", (4, 4), "white").convert(mode)
    assert exr.encode(image) == exr.encode(Image.new("RGB", (4, 4), "white"))
