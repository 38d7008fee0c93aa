"""Latents that are changed, and put in number: what becomes of the pictures that they decode to."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from nodes.graphs import Graph, node, watched
from nodes.latent_graphs import (
    BLUE,
    GREEN,
    MODEL,
    RED,
    color,
    decoded,
    encoded,
    heard,
    named,
    picture,
    upload,
)

URL = "http://comfy.test:8188"

#: A batch of four that is sampled.
SAMPLED = {
    **named("k", "KSampler", latent_image=["l", 0]),
    "l": node("EmptyLatentImage", width=64, height=64, batch_size=4),
}


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


class TestShapes:
    COLUMNS = {"m": MODEL, "e": encoded("i")}

    def changed(self, stub: comfystub.Stub, name: str, **inputs: Any) -> Any:
        """A picture with a red, a green and a blue column, through a change of its latent."""
        nodes = {**self.COLUMNS, "i": upload(stub, RED, GREEN, BLUE)}
        [image] = decoded(stub, name, nodes=nodes, samples=["e", 0], **inputs)
        return image

    @pytest.mark.parametrize(
        ("rotation", "size", "corner", "opposite"),
        [
            ("none", (96, 64), RED, BLUE),
            ("90 degrees", (64, 96), RED, BLUE),
            ("180 degrees", (96, 64), BLUE, RED),
            ("270 degrees", (64, 96), BLUE, RED),
        ],
    )
    def test_rotating_goes_clockwise(
        self, stub: comfystub.Stub, rotation: str, size: tuple[int, int], corner: Any, opposite: Any
    ) -> None:
        image = self.changed(stub, "LatentRotate", rotation=rotation)
        assert image.size == size
        assert (color(image), color(image, size[0] - 1, size[1] - 1)) == (corner, opposite)

    @pytest.mark.parametrize(
        ("method", "corner"), [("x-axis: vertically", RED), ("y-axis: horizontally", BLUE)]
    )
    def test_flipping(self, stub: comfystub.Stub, method: str, corner: Any) -> None:
        assert color(self.changed(stub, "LatentFlip", flip_method=method)) == corner

    def test_cropping(self, stub: comfystub.Stub) -> None:
        image = self.changed(stub, "LatentCrop", width=64, height=64, x=35, y=0)
        assert (image.size, color(image), color(image, 63)) == ((64, 64), GREEN, BLUE)

    @pytest.mark.parametrize(
        ("dim", "index", "amount", "size", "corner"),
        [
            ("x", 4, 4, (32, 64), GREEN),
            ("x", -2, 9, (16, 64), BLUE),
            ("y", 1, 2, (96, 16), RED),
            ("x", 99, 1, (8, 64), BLUE),
        ],
    )
    def test_cutting(
        self, stub: comfystub.Stub, dim: str, index: int, amount: int, size: tuple[int, int], corner: Any
    ) -> None:
        image = self.changed(stub, "LatentCut", dim=dim, index=index, amount=amount)
        assert (image.size, color(image)) == (size, corner)

    def test_slices_as_a_batch(self, stub: comfystub.Stub) -> None:
        nodes = {**self.COLUMNS, "i": upload(stub, RED, GREEN, BLUE)}
        images = decoded(stub, "LatentCutToBatch", nodes=nodes, samples=["e", 0], dim="x", slice_size=4)
        assert [(image.size, color(image)) for image in images] == [((32, 64), c) for c in (RED, GREEN, BLUE)]

    @pytest.mark.parametrize(
        ("name", "inputs", "size"),
        [
            ("LatentUpscale", {"width": 192, "height": 0}, (192, 128)),
            ("LatentUpscale", {"width": 0, "height": 128}, (192, 128)),
            ("LatentUpscale", {"width": 0, "height": 0}, (96, 64)),
            ("LatentUpscale", {"width": 70, "height": 40}, (64, 64)),
            ("LatentUpscale", {"width": 64, "height": 64, "crop": "center"}, (64, 64)),
            ("LatentUpscaleBy", {"scale_by": 1.5}, (144, 96)),
        ],
        ids=str,
    )
    def test_upscaling(self, stub: comfystub.Stub, name: str, inputs: Graph, size: tuple[int, int]) -> None:
        image = self.changed(stub, name, **inputs)
        assert image.size == size
        cropped = inputs.get("crop") == "center"
        assert color(image, 4, 4) == RED
        assert (color(image, size[0] // 4, 4) == GREEN) is cropped

    @pytest.mark.parametrize(
        ("model", "size", "frames"),
        [
            ("ltx-2.3-spatial-upscaler-x2-1.1.safetensors", (128, 64), 9),
            ("ltx-2.3-spatial-upscaler-x1.5-1.0.safetensors", (96, 64), 9),
            ("ltx-2-temporal-upscaler-x2-1.0.safetensors", (64, 32), 17),
        ],
    )
    def test_the_name_of_an_upscaler_tells_what_it_does(
        self, stub: comfystub.Stub, model: str, size: tuple[int, int], frames: int
    ) -> None:
        nodes = {
            "u": node("LatentUpscaleModelLoader", model_name=model),
            **named("f", "EmptyLTXVLatentVideo", width=64, height=64, length=9),
            "h": node("LatentCut", samples=["f", 0], dim="y", index=0, amount=1),
        }
        images = decoded(stub, "LTXVLatentUpsampler", nodes=nodes, samples=["h", 0], upscale_model=["u", 0])
        assert (images[0].size, len(images)) == (size, frames)

    def test_hunyuan_upscales_to_its_own_units(self, stub: comfystub.Stub) -> None:
        nodes = named("f", "EmptyHunyuanVideo15Latent", width=64, height=32, length=5)
        images = decoded(
            stub, "HunyuanVideo15LatentUpscaleWithModel", nodes=nodes, samples=["f", 0], width=200, height=0
        )
        assert (images[0].size, len(images)) == ((192, 96), 5)

    def test_a_sampled_picture_is_the_same_one_when_it_is_larger(self, stub: comfystub.Stub) -> None:
        small = decoded(stub, "LatentRotate", nodes=SAMPLED, samples=["k", 0], rotation="none")[1]
        large = decoded(stub, "LatentUpscaleBy", nodes=SAMPLED, samples=["k", 0], scale_by=2.0)[1]
        assert large.pixels().resize((64, 64), Image.Resampling.BOX).tobytes() == small.pixels().tobytes()

    def mixed(self, stub: comfystub.Stub, name: str, **inputs: Any) -> Any:
        nodes = {
            "m": MODEL,
            "i": picture(RED),
            "e": encoded("i"),
            "j": picture(BLUE, 32, 32),
            "f": encoded("j"),
        }
        one, two = ("samples1", "samples2") if name != "LatentComposite" else ("samples_to", "samples_from")
        [image] = decoded(stub, name, nodes=nodes, **{one: ["e", 0], two: ["f", 0]}, **inputs)
        return image

    @pytest.mark.parametrize(
        ("name", "inputs", "mixed"),
        [
            ("LatentAdd", {}, (255, 0, 255)),
            ("LatentSubtract", {}, RED),
            ("LatentBlend", {"blend_factor": 1.0}, RED),
            ("LatentBlend", {"blend_factor": 0.0}, BLUE),
            ("LatentInterpolate", {"ratio": 0.2}, (51, 0, 204)),
        ],
        ids=str,
    )
    def test_mixing(self, stub: comfystub.Stub, name: str, inputs: Graph, mixed: Any) -> None:
        image = self.mixed(stub, name, **inputs)
        assert image.size == (64, 64)
        assert image.pixels().getcolors() == [(64 * 64, pytest.approx(mixed, abs=1))]

    def test_multiplying(self, stub: comfystub.Stub) -> None:
        assert color(self.changed(stub, "LatentMultiply", multiplier=0.5)) == (128, 0, 0)

    @pytest.mark.parametrize(
        ("dim", "size", "first"),
        [("x", (96, 64), RED), ("-x", (96, 32), BLUE), ("y", (64, 96), RED), ("-y", (32, 96), BLUE)],
    )
    def test_side_by_side(self, stub: comfystub.Stub, dim: str, size: tuple[int, int], first: Any) -> None:
        image = self.mixed(stub, "LatentConcat", dim=dim)
        last = BLUE if first == RED else RED
        assert image.size == size
        assert (color(image), color(image, size[0] - 1, size[1] - 1)) == (first, last)

    def test_one_on_the_other(self, stub: comfystub.Stub) -> None:
        image = self.mixed(stub, "LatentComposite", x=16, y=8, feather=0)
        assert image.pixels().crop((16, 8, 48, 40)).getcolors() == [(32 * 32, BLUE)]
        assert {color(image, 15, 8), color(image, 48, 40), color(image, 16, 7)} == {RED}

    def test_with_a_feather_the_edge_fades(self, stub: comfystub.Stub) -> None:
        image = self.mixed(stub, "LatentComposite", x=16, y=0, feather=8)
        reds = [color(image, x, 4)[0] for x in range(15, 25)]
        assert reds == sorted(reds, reverse=True)
        assert len(set(reds)) > 5
        assert color(image, 30, 0) == BLUE

    @pytest.mark.parametrize(("resize", "size"), [(False, 32), (True, 64)])
    def test_one_on_the_other_through_a_mask(self, stub: comfystub.Stub, resize: bool, size: int) -> None:
        upload(stub, (0, 0, 0), (255, 255, 255))
        nodes = {
            "m": MODEL,
            "i": picture(RED),
            "e": encoded("i"),
            "j": picture(BLUE, 32, 32),
            "f": encoded("j"),
            "w": node("LoadImageMask", image="columns.png", channel="red"),
        }
        inputs = {"destination": ["e", 0], "source": ["f", 0], "mask": ["w", 0], "resize_source": resize}
        [image] = decoded(stub, "LatentCompositeMasked", nodes=nodes, **inputs)
        assert (color(image, 2, 2), color(image, size - 2, 2)) == (RED, BLUE)
        assert (color(image, 63, 63) == BLUE) is resize


class TestBatches:
    def batch(self, stub: comfystub.Stub) -> list[bytes]:
        return digests(decoded(stub, "LatentRotate", nodes=SAMPLED, samples=["k", 0], rotation="none"))

    @pytest.mark.parametrize(
        ("index", "length", "places"),
        [(0, 1, [0]), (1, 2, [1, 2]), (3, 5, [3]), (-1, 1, [3]), (9, 1, [3]), (-9, 2, [0, 1])],
    )
    def test_some_of_a_batch(self, stub: comfystub.Stub, index: int, length: int, places: list[int]) -> None:
        whole = self.batch(stub)
        some = decoded(
            stub, "LatentFromBatch", nodes=SAMPLED, samples=["k", 0], batch_index=index, length=length
        )
        assert digests(some) == [whole[place] for place in places]

    def test_a_batch_repeated(self, stub: comfystub.Stub) -> None:
        whole = self.batch(stub)
        repeated = decoded(stub, "RepeatLatentBatch", nodes=SAMPLED, samples=["k", 0], amount=2)
        assert digests(repeated) == whole * 2

    def test_what_is_repeated_is_sampled_anew(self, stub: comfystub.Stub) -> None:
        nodes = {**SAMPLED, "r": node("RepeatLatentBatch", samples=["k", 0], amount=2)}
        assert len(set(digests(decoded(stub, "KSampler", nodes=nodes, latent_image=["r", 0])))) == 8

    @pytest.mark.parametrize(("behavior", "distinct"), [("fixed", 1), ("random", 4)])
    def test_a_batch_with_the_same_noise(self, stub: comfystub.Stub, behavior: str, distinct: int) -> None:
        nodes = {
            "b": node("LatentBatchSeedBehavior", samples=["n", 0], seed_behavior=behavior),
            "n": node("EmptyLatentImage", width=64, height=64, batch_size=4),
        }
        images = decoded(stub, "KSampler", nodes=nodes, latent_image=["b", 0])
        assert (len(images), len(set(digests(images)))) == (4, distinct)

    @pytest.mark.parametrize("name", ["LatentBatch", "BatchLatentsNode"])
    def test_batches_as_one_in_the_size_of_the_first(self, stub: comfystub.Stub, name: str) -> None:
        nodes = {
            "m": MODEL,
            "i": picture(RED, batch_size=2),
            "e": encoded("i"),
            "j": picture(BLUE, 32, 16),
            "f": encoded("j"),
        }
        names = ("samples1", "samples2") if name == "LatentBatch" else ("latents.latent0", "latents.latent1")
        images = decoded(stub, name, nodes=nodes, **dict(zip(names, (["e", 0], ["f", 0]))))
        assert [(image.size, color(image)) for image in images] == [
            ((64, 64), RED),
            ((64, 64), RED),
            ((64, 64), BLUE),
        ]

    @pytest.mark.parametrize(("size", "batches"), [(1, [1] * 4), (3, [3, 1]), (9, [4])])
    def test_rebatching(self, stub: comfystub.Stub, size: int, batches: list[int]) -> None:
        nodes = {**SAMPLED, "x": node("RebatchLatents", latents=["k", 0], batch_size=size)}
        [latents] = watched(stub, nodes)
        assert [latent.batch for latent in latents] == batches
        assert [d for latent in latents for d in digests(latent.decoded())] == self.batch(stub)


def digests(images: Any) -> list[bytes]:
    return [image.digest for image in images]


class TestTime:
    """Films of 13 frames, four units in time: their frames are told apart by their digests."""

    NODES = {
        **named("f", "EmptyHunyuanLatentVideo", width=64, height=32, length=13),
        **named("g", "EmptyHunyuanLatentVideo", width=64, height=32, length=5),
    }

    def frames(self, stub: comfystub.Stub, name: str, **inputs: Any) -> list[int]:
        """Which frames of the film are in another one; those of the shorter film are counted from 100."""
        first = digests(decoded(stub, "LatentRotate", nodes=self.NODES, samples=["f", 0], rotation="none"))
        second = digests(decoded(stub, "LatentRotate", nodes=self.NODES, samples=["g", 0], rotation="none"))
        known = {**{d: i for i, d in enumerate(first)}, **{d: 100 + i for i, d in enumerate(second)}}
        return [known[digest] for digest in digests(decoded(stub, name, nodes=self.NODES, **inputs))]

    @pytest.mark.parametrize(
        ("amount", "frames"), [(0, range(13)), (1, [1, *range(5, 13)]), (3, [9]), (99, [9])]
    )
    def test_trimming(self, stub: comfystub.Stub, amount: int, frames: Any) -> None:
        assert self.frames(stub, "TrimVideoLatent", samples=["f", 0], trim_amount=amount) == list(frames)

    @pytest.mark.parametrize(
        ("index", "amount", "frames"),
        [(0, 2, range(5)), (1, 2, [1, 5, 6, 7, 8]), (-1, 1, [9]), (2, 9, [5, 9, 10, 11, 12])],
    )
    def test_cutting(self, stub: comfystub.Stub, index: int, amount: int, frames: Any) -> None:
        made = self.frames(stub, "LatentCut", samples=["f", 0], dim="t", index=index, amount=amount)
        assert made == list(frames)

    @pytest.mark.parametrize(
        ("dim", "frames"),
        [
            ("t", [*range(13), *[100] * 4, 101, 102, 103, 104]),
            ("-t", [100, 101, 102, 103, 104, *[0] * 4, *range(1, 13)]),
        ],
    )
    def test_after_each_other(self, stub: comfystub.Stub, dim: str, frames: list[int]) -> None:
        made = self.frames(stub, "LatentConcat", samples1=["f", 0], samples2=["g", 0], dim=dim)
        assert made == frames

    @pytest.mark.parametrize(
        ("index", "frames"),
        [
            (0, [*range(100, 105), *range(5, 13)]),
            (-2, [*range(5), *[100] * 4, 101, 102, 103, 104]),
            (3, range(13)),
            (-5, range(13)),
        ],
    )
    def test_replacing(self, stub: comfystub.Stub, index: int, frames: Any) -> None:
        made = self.frames(
            stub, "ReplaceVideoLatentFrames", destination=["f", 0], source=["g", 0], index=index
        )
        assert made == list(frames)

    def test_replacing_by_nothing(self, stub: comfystub.Stub) -> None:
        assert self.frames(stub, "ReplaceVideoLatentFrames", destination=["f", 0], index=0) == list(range(13))

    @pytest.mark.parametrize(
        ("frames", "overlap", "lengths", "effective"),
        [(5, 0, [5, 5], 0), (9, 1, [9, 5], 1), (5, 1, [5, 5, 5], 1), (13, 2, [13], 0), (1, 5, [1] * 4, 0)],
    )
    def test_chunks_and_what_they_make_together(
        self, stub: comfystub.Stub, frames: int, overlap: int, lengths: list[int], effective: int
    ) -> None:
        chunk = {"chunking_mode": "manual", "chunking_mode.frames_per_chunk": frames}
        graph = {
            **self.NODES,
            "x": node("SeedVR2TemporalChunk", latent=["f", 0], temporal_overlap=overlap, **chunk),
        }
        latents, overlaps = watched(stub, graph)
        assert ([latent.frames for latent in latents], overlaps) == (lengths, [effective])
        graph["c"] = graph["x"]
        graph["x"] = node("SeedVR2TemporalMerge", latents=["c", 0], temporal_overlap=["c", 1])
        [[merged]] = watched(stub, graph)
        assert merged.frames == 13

    def test_a_film_and_its_sound(self, stub: comfystub.Stub) -> None:
        nodes = {
            **self.NODES,
            **named("a", "LTXVEmptyLatentAudio", frames_number=25, frame_rate=25),
            "av": node("LTXVConcatAVLatent", video_latent=["f", 0], audio_latent=["a", 0]),
        }
        film, silence = watched(stub, {**nodes, "x": node("LTXVSeparateAVLatent", av_latent=["av", 0])})
        assert [(one.frames, one.sound) for one in film] == [(13, None)]
        assert [(one.frames, one.sound.seconds) for one in silence] == [(0, 1.0)]
        assert len(decoded(stub, "LTXVSeparateAVLatent", nodes=nodes, av_latent=["av", 0])) == 13
        assert heard(stub, "LTXVSeparateAVLatent", 1, nodes=nodes, av_latent=["av", 0])[0].seconds == 1.0


def test_what_is_known_is_not_made_before_somebody_looks(stub: comfystub.Stub) -> None:
    made = decoded(
        stub,
        "LatentFlip",
        nodes={"m": MODEL, "i": picture(RED), "e": encoded("i")},
        samples=["e", 0],
        flip_method="x-axis: vertically",
    )
    assert "Edited" in repr(made[0])
    assert Image.open(io.BytesIO(made[0].png())).getcolors() == [(64 * 64, RED)]
