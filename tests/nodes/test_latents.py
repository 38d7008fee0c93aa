"""Latents as far as a user can see them: the size, number and looks of what they decode to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

import comfystub
from comfystub.media import sound, tensors
from comfystub.nodes.values import Latent
from nodes.graphs import Graph, node, run, watched
from nodes.latent_graphs import (
    BLUE,
    GREEN,
    MODEL,
    RED,
    decoded,
    decoding,
    encoded,
    heard,
    named,
    picture,
    upload,
)

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


class TestEmptyLatents:
    @pytest.mark.parametrize(
        ("name", "inputs", "size", "count"),
        [
            ("EmptyLatentImage", {"width": 72, "height": 40, "batch_size": 2}, (72, 40), 2),
            ("EmptyLatentImage", {"width": 77, "height": 47, "batch_size": 1}, (72, 40), 1),
            ("EmptySD3LatentImage", {"width": 80, "height": 48, "batch_size": 2}, (80, 48), 2),
            ("EmptyFlux2LatentImage", {"width": 90, "height": 48, "batch_size": 1}, (80, 48), 1),
            ("EmptyHunyuanImageLatent", {"width": 100, "height": 64, "batch_size": 1}, (96, 64), 1),
            ("EmptyChromaRadianceLatentImage", {"width": 81, "height": 49, "batch_size": 1}, (81, 49), 1),
            ("EmptyHiDreamO1LatentImage", {"width": 96, "height": 64}, (96, 64), 1),
            ("EmptyQwenImageLayeredLatentImage", {"width": 64, "height": 48, "layers": 3}, (64, 48), 4),
            ("EmptyQwenImageLayeredLatentImage", {"layers": 2, "batch_size": 2}, (640, 640), 6),
            ("EmptyHunyuanLatentVideo", {"width": 64, "height": 48, "length": 25}, (64, 48), 25),
            ("EmptyHunyuanLatentVideo", {"width": 64, "height": 48, "length": 28}, (64, 48), 25),
            ("EmptyHunyuanVideo15Latent", {"width": 72, "height": 48, "length": 33}, (64, 48), 33),
            ("EmptyARVideoLatent", {"width": 64, "height": 48, "length": 9, "batch_size": 2}, (64, 48), 18),
            ("EmptyCosmosLatentVideo", {"width": 64, "height": 48, "length": 20}, (64, 48), 17),
            ("EmptyLTXVLatentVideo", {"width": 100, "height": 64, "length": 97}, (96, 64), 97),
            ("EmptyLTXVLatentVideo", {"width": 64, "height": 64, "length": 96}, (64, 64), 89),
            ("EmptyMochiLatentVideo", {"width": 64, "height": 48, "length": 37}, (64, 48), 37),
            ("EmptyMochiLatentVideo", {"width": 64, "height": 48, "length": 40}, (64, 48), 37),
            ("VOIDWarpedNoise", {"width": 64, "height": 48, "length": 49}, (64, 48), 45),
            ("EmptyMiniMaxH3LatentAV", {"width": 64, "height": 32, "length": 124}, (64, 32), 124),
            ("EmptyMiniMaxH3LatentAV", {"width": 64, "height": 32, "length": 6}, (64, 32), 22),
            ("StableCascade_StageC_VAEEncode", {"slot": 1}, (64, 48), 1),
            ("StableCascade_EmptyLatentImage", {"slot": 1, "width": 258, "height": 256}, (256, 256), 1),
        ],
        ids=str,
    )
    def test_each_has_a_unit_of_its_own(
        self, stub: comfystub.Stub, name: str, inputs: Graph, size: tuple[int, int], count: int
    ) -> None:
        images = decoded(stub, name, **inputs)
        assert ({image.size for image in images}, len(images)) == ({size}, count)

    def test_a_length_counts_for_films_alone(self, stub: comfystub.Stub) -> None:
        assert len(decoded(stub, "EmptyLatentImage", length=81)) == 1

    @pytest.mark.parametrize(
        ("name", "inputs", "seconds", "rate"),
        [
            ("EmptyLatentAudio", {"seconds": 47.6}, 512 * 4096 / 44100, 44100),
            ("EmptyAceStepLatentAudio", {"seconds": 60.0}, 646 * 4096 / 44100, 44100),
            ("EmptyAceStep1.5LatentAudio", {"seconds": 12.3}, 12.32, 48000),
            ("EmptyMiniMaxMusic3LatentAudio", {"seconds": 3.0}, 3.0, 44100),
            ("LTXVEmptyLatentAudio", {"frames_number": 97, "frame_rate": 25}, 3.88, 24000),
            ("EmptyMiniMaxH3LatentAV", {"length": 124}, 5.16, 44100),
        ],
        ids=str,
    )
    def test_sound(self, stub: comfystub.Stub, name: str, inputs: Graph, seconds: float, rate: int) -> None:
        [made] = heard(stub, name, **inputs)
        assert (made.seconds, made.sample_rate) == (pytest.approx(seconds), rate)

    def test_a_batch_of_sounds_are_different_ones(self, stub: comfystub.Stub) -> None:
        sounds = heard(stub, "EmptyLatentAudio", batch_size=3)
        assert len({made.digest for made in sounds}) == 3

    def test_the_file_of_a_sound_is_as_long_as_its_latent(self, stub: comfystub.Stub) -> None:
        graph = decoding("EmptyAceStep1.5LatentAudio", decoder="VAEDecodeAudio", seconds=2.0)
        job = run(stub, {**graph, "s": node("SaveAudio", audio=["x", 0], filename_prefix="a")})
        probed = sound.probe(job.outputs[0].path.read_bytes())
        assert probed is not None
        assert (probed.seconds, probed.sample_rate) == (2.0, 48000)


class TestEncoding:
    @pytest.mark.parametrize(
        ("vae", "count", "size"),
        [
            ("ae.safetensors", 10, (72, 48)),
            ("flux2-vae.safetensors", 10, (64, 48)),
            ("wan_2.1_vae.safetensors", 9, (72, 48)),
            ("wan2.2_vae.safetensors", 9, (64, 48)),
            ("ltx-2-video-vae.safetensors", 9, (64, 32)),
            ("minimax_h3_video_vae_fp16.safetensors", 5, (64, 32)),
            ("pixel_space", 10, (75, 51)),
        ],
    )
    def test_the_name_of_a_vae_tells_its_units(
        self, stub: comfystub.Stub, vae: str, count: int, size: tuple[int, int]
    ) -> None:
        nodes = {"i": picture(RED, 75, 51, batch_size=10), "v": node("VAELoader", vae_name=vae)}
        images = decoded(stub, "VAEEncode", nodes=nodes, pixels=["i", 0], vae=["v", 0])
        assert ({image.size for image in images}, len(images)) == ({size}, count)

    def test_of_a_picture_with_more_than_whole_units_the_middle_is_kept(self, stub: comfystub.Stub) -> None:
        image = Image.new("RGB", (70, 64), BLUE)
        image.paste(RED, (3, 0, 67, 64))
        image.save(stub.input_dir / "striped.png")
        nodes = {"i": node("LoadImage", image="striped.png")}
        [made] = decoded(stub, "VAEEncode", nodes=nodes, pixels=["i", 0])
        assert made.pixels().getcolors() == [(64 * 64, RED)]

    def test_what_is_sampled_of_a_picture_has_the_size_of_whole_units(self, stub: comfystub.Stub) -> None:
        nodes = {"i": picture(RED, 75, 51), "e": encoded("i")}
        [made] = decoded(stub, "KSampler", nodes=nodes, latent_image=["e", 0])
        assert made.size == (72, 48)

    @pytest.mark.parametrize(
        ("width", "height", "batch", "tile", "overlap", "total"),
        [
            (512, 512, 1, 512, 64, 1 + 3 + 3),
            (512, 512, 2, 512, 64, 2 * 7),
            (1024, 512, 1, 512, 64, 3 + 5 * 1 + 1 * 3),
            (64, 64, 1, 512, 64, 3),
            (128, 128, 1, 64, 64, 9 + 2 * (7 * 1)),
        ],
    )
    @pytest.mark.parametrize("name", ["VAEDecodeTiled", "VAEEncodeTiled"])
    def test_tiles(
        self,
        stub: comfystub.Stub,
        name: str,
        width: int,
        height: int,
        batch: int,
        tile: int,
        overlap: int,
        total: int,
    ) -> None:
        what = {"samples": ["l", 0]} if name == "VAEDecodeTiled" else {"pixels": ["i", 0]}
        graph = named("x", name, tile_size=tile, overlap=overlap, **what)
        graph["l"] = node("EmptyLatentImage", width=width, height=height, batch_size=batch)
        graph["i"] = picture(RED, width, height, batch)
        run(stub, {**graph, "p": node("PreviewAny", source=["x", 0])})
        progress = [event.data for event in stub.jobs[0].events if event.type == "progress"]
        assert [(data["value"], data["max"]) for data in progress] == [(i + 1, total) for i in range(total)]

    def test_films_are_decoded_in_tiles_without_a_report(self, stub: comfystub.Stub) -> None:
        graph = named("x", "VAEDecodeTiled", samples=["l", 0])
        graph |= named("l", "EmptyLTXVLatentVideo", width=1280, height=704, length=9)
        [[images]] = watched(stub, graph)
        assert len(images) == 9
        assert "progress" not in {event.type for event in stub.jobs[0].events}

    def test_sound_that_is_not_sampled_stays_as_it_was(self, stub: comfystub.Stub) -> None:
        original = sound.Sound(2.0, 44100, 2, b"note")
        (stub.input_dir / "note.wav").write_bytes(sound.encode(original, "wav"))
        nodes = {"a": node("LoadAudio", audio="note.wav")}
        [[loaded]] = watched(stub, {"x": nodes["a"]})
        assert heard(stub, "VAEEncodeAudio", nodes=nodes, audio=["a", 0]) == loaded
        assert loaded[0].seconds == 2.0


class TestFiles:
    SAVE: Graph = {"filename_prefix": "latents/one"}

    @pytest.mark.parametrize(
        ("name", "inputs", "shape"),
        [
            ("EmptyLatentImage", {"width": 72, "height": 40, "batch_size": 2}, (2, 4, 5, 9)),
            ("EmptySD3LatentImage", {"width": 64, "height": 32, "batch_size": 1}, (1, 16, 4, 8)),
            ("EmptyFlux2LatentImage", {"width": 64, "height": 32, "batch_size": 1}, (1, 128, 2, 4)),
            ("EmptyLTXVLatentVideo", {"width": 64, "height": 64, "length": 17}, (1, 128, 3, 2, 2)),
            ("EmptyHunyuanLatentVideo", {"width": 64, "height": 32, "length": 9}, (1, 16, 3, 4, 8)),
            ("EmptyMochiLatentVideo", {"width": 64, "height": 32, "length": 13}, (1, 12, 3, 4, 8)),
            ("EmptyLatentAudio", {"seconds": 47.6}, (1, 64, 1024)),
        ],
        ids=str,
    )
    def test_a_latent_that_was_saved_has_the_same_size_when_it_is_loaded(
        self, stub: comfystub.Stub, name: str, inputs: Graph, shape: tuple[int, ...]
    ) -> None:
        graph = {"x": node("SaveLatent", samples=["l", 0], **self.SAVE), **named("l", name, **inputs)}
        [[saved]] = watched(stub, graph)
        job = stub.jobs[0]
        assert job.ui["x"] == {
            "latents": [{"filename": "one_00001_.latent", "subfolder": "latents", "type": "output"}]
        }
        path = job.outputs[0].path
        header = tensors.read_header(path.read_bytes())
        assert header is not None
        assert header[0]["latent_tensor"] == ("F32", shape)
        assert json.loads(header[1]["prompt"])["l"]["class_type"] == name
        shutil.copy(path, stub.input_dir)
        [[loaded]] = watched(stub, {"x": node("LoadLatent", latent="one_00001_.latent")})
        assert isinstance(loaded, Latent)
        assert _form(loaded) == _form(saved)

    def test_a_file_that_holds_no_tensors_is_an_error(self, stub: comfystub.Stub) -> None:
        (stub.input_dir / "a.latent").write_bytes(b"nothing of the kind")
        graph = decoding("LoadLatent", latent="a.latent")
        with stub.client() as client:
            client.post("/prompt", json={"prompt": {**graph, "p": node("PreviewImage", images=["x", 0])}})
        error = stub.jobs[0].error
        assert error is not None
        assert error["exception_message"].startswith("Error while deserializing header")


def _form(latent: Latent) -> tuple[Any, ...]:
    seconds = latent.sound and latent.sound.seconds
    return latent.width, latent.height, latent.batch, latent.frames, seconds


class TestMasks:
    """The left half of a picture is black in the mask and stays, the right half is sampled."""

    def masked(self, stub: comfystub.Stub, **nodes: Graph) -> Graph:
        upload(stub, (0, 0, 0), (255, 255, 255))
        return {
            "i": picture(RED),
            "w": node("LoadImageMask", image="columns.png", channel="red"),
            "m": MODEL,
            "e": encoded("i"),
            **nodes,
        }

    def check(self, image: Any, kept_up_to: int) -> None:
        pixels = image.pixels().convert("RGB")
        assert pixels.crop((0, 0, kept_up_to, 64)).getcolors() == [(kept_up_to * 64, RED)]
        rest = pixels.crop((kept_up_to, 0, 64, 64))
        assert ImageChops.difference(rest, Image.new("RGB", rest.size, RED)).getbbox() == (0, 0, *rest.size)

    def test_sampling_keeps_what_lies_outside(self, stub: comfystub.Stub) -> None:
        nodes = self.masked(stub, s=node("SetLatentNoiseMask", samples=["e", 0], mask=["w", 0]))
        [image] = decoded(stub, "KSampler", nodes=nodes, latent_image=["s", 0])
        self.check(image, 32)

    def test_so_does_sampling_once_more(self, stub: comfystub.Stub) -> None:
        nodes = self.masked(stub, s=node("SetLatentNoiseMask", samples=["e", 0], mask=["w", 0]))
        nodes |= named("k", "KSampler", latent_image=["s", 0], seed=5)
        [image] = decoded(stub, "KSampler", nodes=nodes, latent_image=["k", 0])
        self.check(image, 32)

    @pytest.mark.parametrize(("grow", "kept_up_to"), [(0, 32), (6, 29), (16, 24)])
    def test_a_mask_for_inpainting_reaches_further(
        self, stub: comfystub.Stub, grow: int, kept_up_to: int
    ) -> None:
        nodes = self.masked(stub)
        nodes["s"] = node(
            "VAEEncodeForInpaint", pixels=["i", 0], vae=["m", 2], mask=["w", 0], grow_mask_by=grow
        )
        [image] = decoded(stub, "KSampler", nodes=nodes, latent_image=["s", 0])
        self.check(image, kept_up_to)

    def test_a_picture_of_the_test_is_taken_as_it_is(self) -> None:
        with comfystub.patch(URL, image=Image.new("RGB", (24, 16), GREEN)) as stub:
            nodes = self.masked(stub, s=node("SetLatentNoiseMask", samples=["e", 0], mask=["w", 0]))
            [image] = decoded(stub, "KSampler", nodes=nodes, latent_image=["s", 0])
            assert image.pixels().getcolors() == [(24 * 16, GREEN)]

    @pytest.mark.parametrize(("level", "kept"), [(0.0, True), (1.0, False)])
    def test_a_mask_that_is_black_all_over_keeps_sound(
        self, stub: comfystub.Stub, level: float, kept: bool
    ) -> None:
        wav = sound.encode(sound.Sound(1.0, 44100, 2, b"note"), "wav")
        (stub.input_dir / "note.wav").write_bytes(wav)
        nodes = {
            "a": node("LoadAudio", audio="note.wav"),
            "m": MODEL,
            "e": node("LTXVAudioVAEEncode", audio=["a", 0], audio_vae=["m", 2]),
            "k": node("SolidMask", value=level, width=64, height=64),
            "s": node("SetLatentNoiseMask", samples=["e", 0], mask=["k", 0]),
            "v": node("EmptyLTXVLatentVideo", width=64, height=64, length=9, batch_size=1),
            "av": node("LTXVConcatAVLatent", video_latent=["v", 0], audio_latent=["s", 0]),
        }
        [made] = heard(stub, "KSampler", nodes=nodes, latent_image=["av", 0])
        original = sound.probe(wav)
        assert original is not None
        assert (made.digest == original.digest) is kept
        assert (made.seconds, made.sample_rate) == (1.0, 24000)
