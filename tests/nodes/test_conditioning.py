"""Classes that make a latent or numbers along with a conditioning: size, length, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import comfystub
from comfystub.media.pictures import Picture
from comfystub.nodes.values import Latent
from nodes.graphs import Graph, node, run, watched
from nodes.latent_graphs import decoded, named

URL = "http://comfy.test:8188"

RED, BLUE = (255, 0, 0), (0, 0, 255)


def pictures(color: int, count: int = 1, width: int = 96, height: int = 64) -> Graph:
    return node("EmptyImage", width=width, height=height, batch_size=count, color=color)


#: A red picture, nine of them, and a blue one.
IMAGES = {"i": pictures(0xFF0000), "nine": pictures(0xFF0000, 9), "blue": pictures(0x0000FF)}
SIZE = {"width": 64, "height": 32}


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def made(stub: comfystub.Stub, name: str, nodes: Graph | None = None, **inputs: Any) -> list[Any]:
    """The latents, numbers and texts that a class makes; what it passes on is left out."""
    outputs = watched(stub, {**IMAGES, **(nodes or {}), **named("x", name, **inputs)})
    return [value for [value] in outputs if isinstance(value, (Latent, int, float, str))]


def sampled(stub: comfystub.Stub, name: str, slot: int, nodes: Graph | None = None, **inputs: Any) -> Any:
    """What sampling makes of a latent that a class makes."""
    given = {**IMAGES, **(nodes or {}), **named("g", name, **inputs)}
    return decoded(stub, "KSampler", nodes=given, latent_image=["g", slot])


def colors(images: list[Picture]) -> list[Any]:
    """The colour of each picture in its middle, ``None`` where it is not a plain one."""
    plain = [image.pixels().getcolors() for image in images]
    return [found[0][1] if found and len(found) == 1 else None for found in plain]


class TestSizes:
    @pytest.mark.parametrize(
        ("name", "length", "size", "frames"),
        [
            ("ARVideoI2V", 13, (64, 32), 13),
            ("BerniniConditioning", 13, (64, 32), 13),
            ("CosmosImageToVideoLatent", 17, (64, 32), 17),
            ("CosmosPredict2ImageToVideoLatent", 13, (64, 32), 13),
            ("HunyuanImageToVideo", 13, (64, 32), 13),
            ("HunyuanVideo15ImageToVideo", 13, (64, 32), 13),
            ("Kandinsky5ImageToVideo", 13, (64, 32), 13),
            ("LTXVImgToVideo", 17, (64, 64), 17),
            ("MiniMaxH3ImageToVideo", 22, (64, 32), 22),
            ("MiniMaxH3ReferenceToVideo", 30, (64, 32), 39),
            ("VOIDInpaintConditioning", 49, (64, 32), 45),
            ("Wan22FunControlToVideo", 13, (64, 32), 13),
            ("Wan22ImageToVideoLatent", 13, (64, 32), 13),
            ("WanCameraImageToVideo", 13, (64, 32), 13),
            ("WanDancerVideo", 13, (64, 32), 13),
            ("WanFirstLastFrameToVideo", 13, (64, 32), 13),
            ("WanFunControlToVideo", 13, (64, 32), 13),
            ("WanFunInpaintToVideo", 13, (64, 32), 13),
            ("WanHuMoImageToVideo", 13, (64, 32), 13),
            ("WanImageToVideo", 13, (64, 32), 13),
            ("WanImageToVideo", 16, (64, 32), 13),
            ("WanInfiniteTalkToVideo", 13, (64, 32), 13),
            ("WanMoveTrackToVideo", 13, (64, 32), 13),
            ("WanPhantomSubjectToVideo", 13, (64, 32), 13),
            ("WanSCAILToVideo", 13, (64, 32), 13),
            ("WanSoundImageToVideo", 13, (64, 32), 13),
            ("WanTrackToVideo", 13, (64, 32), 13),
            ("WanVaceToVideo", 13, (64, 32), 13),
        ],
    )
    def test_of_films(
        self, stub: comfystub.Stub, name: str, length: int, size: tuple[int, int], frames: int
    ) -> None:
        latent = made(stub, name, width=size[0], height=size[1], length=length)[0]
        assert ((latent.width, latent.height), latent.batch, latent.frames) == (size, 1, frames)

    def test_a_batch_of_films(self, stub: comfystub.Stub) -> None:
        images = sampled(stub, "WanImageToVideo", 2, **SIZE, length=5, batch_size=2)
        assert (len(images), images[0].size) == (10, (64, 32))

    @pytest.mark.parametrize(
        ("name", "inputs", "size", "count"),
        [
            ("SVD_img2vid_Conditioning", {**SIZE, "video_frames": 14}, (64, 32), 14),
            ("SV3D_Conditioning", {**SIZE, "video_frames": 21}, (64, 32), 21),
            ("StableZero123_Conditioning", {**SIZE, "batch_size": 2}, (64, 32), 2),
            ("StableZero123_Conditioning_Batched", {**SIZE, "batch_size": 3}, (64, 32), 3),
            ("InstructPixToPixConditioning", {"pixels": ["nine", 0]}, (96, 64), 9),
            ("InpaintModelConditioning", {"pixels": ["nine", 0]}, (96, 64), 9),
            ("SD_4XUpscale_Conditioning", {"images": ["i", 0], "scale_ratio": 4.0}, (384, 256), 1),
            ("SD_4XUpscale_Conditioning", {"images": ["i", 0], "scale_ratio": 1.5}, (144, 96), 1),
            ("TextEncodeMageFlowEdit", {**SIZE, "batch_size": 2}, (64, 32), 2),
            ("TextEncodeMageFlowEdit", {"width": 0, "height": 48, "images.image_1": ["i", 0]}, (96, 48), 1),
            ("TextEncodeMageFlowEdit", {"width": 0, "height": 0}, (1024, 1024), 1),
        ],
        ids=str,
    )
    def test_of_pictures(
        self, stub: comfystub.Stub, name: str, inputs: Graph, size: tuple[int, int], count: int
    ) -> None:
        [latent] = made(stub, name, **inputs)
        assert ((latent.width, latent.height), latent.batch, latent.frames) == (size, count, 1)

    def test_super_resolution_comes_to_twice_the_size(self, stub: comfystub.Stub) -> None:
        name, nodes = "StableCascade_SuperResolutionControlnet", {**IMAGES}
        assert decoded(stub, name, 2, nodes=nodes, image=["i", 0])[0].size == (192, 128)

    @pytest.mark.parametrize(
        "name",
        ["TripoSplatConditioning", "Trellis2ShapeStage", "Trellis2TextureStage", "Trellis2UpsampleStage"],
    )
    def test_of_what_is_no_picture_there_is_none(self, stub: comfystub.Stub, name: str) -> None:
        [latent] = made(stub, name)
        assert (latent.frames, latent.preview()) == (0, None)

    def test_a_picture_that_becomes_square(self, stub: comfystub.Stub) -> None:
        graph = {**IMAGES, **named("x", "TripoSplatPreprocessImage", image=["i", 0], size=256)}
        [[images]] = watched(stub, graph)
        assert images[0].size == (256, 256)


class TestBeginnings:
    @pytest.mark.parametrize(
        ("name", "slot", "inputs", "kept"),
        [
            ("LTXVImgToVideo", 2, {"image": ["i", 0]}, 1),
            ("LTXVImgToVideo", 2, {"image": ["nine", 0]}, 9),
            ("Wan22ImageToVideoLatent", 0, {"start_image": ["i", 0]}, 1),
            ("Wan22ImageToVideoLatent", 0, {}, 0),
            ("CosmosImageToVideoLatent", 0, {"start_image": ["nine", 0]}, 9),
            ("CosmosPredict2ImageToVideoLatent", 0, {"start_image": ["nine", 0]}, 9),
            ("WanSCAILToVideo", 2, {"previous_frames": ["nine", 0], "previous_frame_count": 5}, 5),
            ("WanImageToVideo", 2, {"start_image": ["i", 0]}, 0),
        ],
        ids=str,
    )
    def test_sampling_keeps_the_pictures_that_a_film_begins_with(
        self, stub: comfystub.Stub, name: str, slot: int, inputs: Graph, kept: int
    ) -> None:
        images = sampled(stub, name, slot, width=64, height=64, length=17, **inputs)
        assert {image.size for image in images} == {(64, 64)}
        assert colors(images) == [RED] * kept + [None] * (17 - kept)

    def test_a_film_that_ends_with_a_picture(self, stub: comfystub.Stub) -> None:
        inputs = {"start_image": ["i", 0], "end_image": ["blue", 0]}
        images = sampled(stub, "CosmosImageToVideoLatent", 0, **SIZE, length=9, **inputs)
        assert colors(images) == [RED, *[None] * 7, BLUE]

    def test_with_less_strength_not_all_of_it_is_kept(self, stub: comfystub.Stub) -> None:
        inputs = {"image": ["i", 0], "length": 9, "width": 64, "height": 64, "strength": 0.6}
        [mixed, *_] = sampled(stub, "LTXVImgToVideo", 2, **inputs)
        (red, _), *others = mixed.pixels().getextrema()
        assert red >= round(0.6 * 255)
        assert 0 < max(highest for _, highest in others) <= round(0.4 * 255)

    @pytest.mark.parametrize(("bypass", "kept"), [(False, [RED]), (True, [None])])
    def test_a_film_that_is_there_already(self, stub: comfystub.Stub, bypass: bool, kept: list[Any]) -> None:
        nodes = named("f", "EmptyLTXVLatentVideo", width=64, height=64, length=9)
        inputs = {"latent": ["f", 0], "image": ["i", 0], "bypass": bypass}
        images = sampled(stub, "LTXVImgToVideoInplace", 0, nodes, **inputs)
        assert colors(images) == [*kept, *[None] * 8]

    def test_the_beginning_alone(self, stub: comfystub.Stub) -> None:
        inputs = {**SIZE, "length": 13}
        film, beginning = made(stub, "Kandinsky5ImageToVideo", **inputs, start_image=["nine", 0])
        assert (film.frames, film.pictures, beginning.frames) == (13, None, 9)
        assert colors(beginning.decoded()) == [RED] * 9
        assert [one.frames for one in made(stub, "Kandinsky5ImageToVideo", **inputs)] == [13, 13]

    @pytest.mark.parametrize(("noise_mask", "kept"), [(True, RED), (False, None)])
    def test_inpainting_with_a_mask(self, stub: comfystub.Stub, noise_mask: bool, kept: Any) -> None:
        nodes = {"w": node("SolidMask", value=0.0, width=96, height=64)}
        inputs = {"pixels": ["i", 0], "mask": ["w", 0], "noise_mask": noise_mask}
        assert colors(sampled(stub, "InpaintModelConditioning", 2, nodes, **inputs)) == [kept]


class TestGuides:
    NODES = {
        **IMAGES,
        **named("f", "EmptyLTXVLatentVideo", width=64, height=64, length=17),
        **named("one", "LTXVAddGuide", latent=["f", 0], image=["i", 0], frame_idx=0),
        **named(
            "two",
            "LTXVAddGuide",
            positive=["one", 0],
            negative=["one", 1],
            latent=["one", 2],
            image=["nine", 0],
            frame_idx=-1,
        ),
        "rate": node("LTXVConditioning", positive=["two", 0], negative=["two", 1], frame_rate=25.0),
    }

    def test_they_stand_behind_the_film(self, stub: comfystub.Stub) -> None:
        images = decoded(stub, "KSampler", nodes=self.NODES, latent_image=["two", 2])
        assert colors(images) == [None] * 17 + [RED] * 8 * (1 + 2)

    def test_and_are_cut_off_again(self, stub: comfystub.Stub) -> None:
        crop = {"positive": ["rate", 0], "negative": ["rate", 1], "latent": ["two", 2]}
        nodes = {**self.NODES, **named("c", "LTXVCropGuides", **crop)}
        assert colors(decoded(stub, "KSampler", nodes=nodes, latent_image=["c", 2])) == [None] * 17
        again = {"positive": ["c", 0], "negative": ["c", 1], "latent": ["c", 2]}
        assert len(decoded(stub, "LTXVCropGuides", 2, nodes=nodes, **again)) == 17

    def test_a_film_without_any_stays_as_it_is(self, stub: comfystub.Stub) -> None:
        assert len(decoded(stub, "LTXVCropGuides", 2, nodes=self.NODES, latent=["f", 0])) == 17


class TestNumbers:
    @pytest.mark.parametrize(
        ("name", "inputs", "frames", "numbers"),
        [
            ("WanVaceToVideo", {}, 13, [0]),
            ("WanVaceToVideo", {"reference_image": ["i", 0]}, 17, [1]),
            ("WanAnimateToVideo", {"video_frame_offset": 0}, 17, [1, 0, 13]),
            ("WanAnimateToVideo", {"video_frame_offset": 13, "continue_motion": ["nine", 0]}, 17, [1, 5, 21]),
            ("WanAnimateToVideo", {"video_frame_offset": 3, "continue_motion": ["nine", 0]}, 17, [1, 5, 13]),
            (
                "WanAnimate2ToVideo",
                {"video_frame_offset": 13, "continue_motion": ["nine", 0]},
                17,
                [1, 1, 25],
            ),
            ("WanSCAILToVideo", {"video_frame_offset": 0}, 13, [13]),
            ("WanSCAILToVideo", {"video_frame_offset": 13, "previous_frames": ["nine", 0]}, 13, [21]),
            ("WanInfiniteTalkToVideo", {}, 13, [0]),
            ("WanInfiniteTalkToVideo", {"previous_frames": ["nine", 0], "motion_frame_count": 9}, 13, [9]),
        ],
        ids=str,
    )
    def test_what_is_to_be_trimmed_and_where_the_next_part_begins(
        self, stub: comfystub.Stub, name: str, inputs: Graph, frames: int, numbers: list[int]
    ) -> None:
        latent, *given = made(stub, name, **SIZE, length=13, **inputs)
        assert (latent.frames, given) == (frames, numbers)

    def test_what_stood_before_the_film_is_trimmed_off(self, stub: comfystub.Stub) -> None:
        nodes = {**IMAGES, **named("v", "WanVaceToVideo", **SIZE, length=13, reference_image=["i", 0])}
        trimmed = decoded(stub, "TrimVideoLatent", nodes=nodes, samples=["v", 2], trim_amount=["v", 3])
        assert len(trimmed) == 13

    @pytest.mark.parametrize(
        ("name", "inputs", "numbers"),
        [
            ("WanCameraEmbedding", {**SIZE, "length": 13}, [64, 32, 13]),
            ("GenerateTracks", {"num_frames": 7}, [7]),
            ("WanMoveTracksFromCoords", {"track_coords": "[]"}, [0]),
            ("WanMoveTracksFromCoords", {"track_coords": '[{"x": 1, "y": 2}, {"x": 3, "y": 4}]'}, [2]),
            ("WanMoveTracksFromCoords", {"track_coords": '[[{"x": 1, "y": 2}], [{"x": 3, "y": 4}]]'}, [1]),
            ("MiniMaxMusic3TextEncode", {"max_duration": 30.0}, [30.0]),
            ("WanDancerEncodeAudio", {"audio": ["a", 0], "video_frames": 149}, ["29.80 fps"]),
        ],
        ids=str,
    )
    def test_numbers(self, stub: comfystub.Stub, name: str, inputs: Graph, numbers: list[Any]) -> None:
        nodes = {"a": node("EmptyAudio", duration=5.0, sample_rate=44100, channels=2)}
        assert made(stub, name, nodes, **inputs) == numbers

    def test_coordinates_that_are_no_json_are_an_error(self, stub: comfystub.Stub) -> None:
        graph = named("x", "WanMoveTracksFromCoords", track_coords="nonsense")
        with stub.client() as client:
            client.post("/prompt", json={"prompt": {**graph, "p": node("PreviewAny", source=["x", 1])}})
        error = stub.jobs[0].error
        assert error is not None
        assert error["exception_type"] == "json.decoder.JSONDecodeError"

    def test_a_predicted_length_follows_from_the_prompt(self, stub: comfystub.Stub) -> None:
        found = set()
        for text in ("a red fox", "a blue fox", "two foxes"):
            nodes = {**named("t", "CLIPTextEncode", text=text)}
            frames, seconds = made(
                stub, "LTXVDurationPredictor", nodes, positive=["t", 0], frame_rate=25.0, max_seconds=20.0
            )
            assert frames % 8 == 1
            assert abs(frames / 25 - seconds) < 0.25
            found.add(frames)
        assert len(found) > 1
        frames, seconds = made(stub, "LTXVDurationPredictor", frame_rate=24.0, max_seconds=1.0)
        assert (frames, seconds > 1) == (25, True)

    def test_a_film_that_goes_on_has_the_size_of_the_one_before(self, stub: comfystub.Stub) -> None:
        nodes = named("f", "EmptyHunyuanLatentVideo", width=64, height=32, length=13)
        [latent] = made(stub, "WanSoundImageToVideoExtend", nodes, video_latent=["f", 0], length=9)
        assert (latent.width, latent.height, latent.frames) == (64, 32, 9)
        graph = {
            **nodes,
            **named("e", "WanSoundImageToVideoExtend", video_latent=["f", 0], length=9),
            "c": node("LatentConcat", samples1=["f", 0], samples2=["e", 2], dim="t"),
        }
        assert len(decoded(stub, "NormalizeVideoLatentStart", nodes=graph, latent=["c", 0])) == 13 + 12


def test_all_others_pass_on(stub: comfystub.Stub) -> None:
    """A chain of conditionings, models and guides ends in a picture of the latent's size."""
    graph = {
        "m": node("CheckpointLoaderSimple", ckpt_name="any.safetensors"),
        "lora": node(
            "LoraLoader", model=["m", 0], clip=["m", 1], lora_name="a", strength_model=1.0, strength_clip=1.0
        ),
        **named("t", "CLIPTextEncodeFlux", clip=["lora", 1]),
        **named("c", "ControlNetApplyAdvanced", positive=["t", 0], negative=["t", 0]),
        **named("mask", "ConditioningSetMask", conditioning=["c", 0]),
        **named("free", "FreeU_V2", model=["lora", 0]),
        **named("guide", "CFGGuider", model=["free", 0], positive=["mask", 0], negative=["c", 1]),
        "l": node("EmptyLatentImage", width=64, height=48, batch_size=1),
        **named("k", "SamplerCustomAdvanced", guider=["guide", 0], latent_image=["l", 0]),
        "d": node("VAEDecode", samples=["k", 0], vae=["m", 2]),
        "save": node("SaveImage", images=["d", 0], filename_prefix="p"),
    }
    assert [output.image.size for output in run(stub, graph).outputs] == [(64, 48)]
