"""Samplers and noise schedules: the rounds that a client is told of, and the previews it is shown."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image
from prompting import listen

import comfystub
from nodes.graphs import Graph, graph_around, node, run, watched

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def sampled(name: str = "KSampler", **inputs: Any) -> Graph:
    """A graph that samples with a class, and decodes and saves what it made."""
    graph = graph_around(name, **inputs)
    graph |= {"k": graph.pop("x"), "m": node("CheckpointLoaderSimple", ckpt_name="any.safetensors")}
    graph["x"] = node("VAEDecode", samples=["k", 0], vae=["m", 2])
    return {**graph, "save": node("SaveImage", images=["x", 0], filename_prefix="p")}


def rounds(stub: comfystub.Stub, graph: Graph) -> list[tuple[int, int]]:
    """Value and maximum of the progress that a graph makes."""
    job = run(stub, graph)
    return [(event.data["value"], event.data["max"]) for event in job.events if event.type == "progress"]


def counted(count: int, maximum: int | None = None) -> list[tuple[int, int]]:
    return [(value, maximum or count) for value in range(1, count + 1)]


class TestRounds:
    @pytest.mark.parametrize(
        ("inputs", "expected"),
        [
            ({"steps": 7}, counted(7)),
            ({"steps": 7, "denoise": 0.3}, counted(7)),
            ({"steps": 7, "denoise": 0.0}, []),
            ({"steps": 7, "sampler_name": "heun", "scheduler": "karras"}, counted(7)),
            ({"steps": 7, "sampler_name": "dpm_fast"}, counted(3, 7)),
            ({"steps": 7, "sampler_name": "dpm_adaptive"}, counted(7)),
        ],
        ids=str,
    )
    def test_of_the_plain_sampler(self, stub: comfystub.Stub, inputs: Graph, expected: Any) -> None:
        assert rounds(stub, sampled(**inputs)) == expected

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [(0, 10000, 8), (0, 3, 3), (3, 10000, 5), (3, 6, 3), (6, 3, 0), (9, 10000, 0)],
    )
    def test_of_the_advanced_sampler(self, stub: comfystub.Stub, start: int, end: int, expected: int) -> None:
        graph = sampled("KSamplerAdvanced", steps=8, start_at_step=start, end_at_step=end)
        assert rounds(stub, graph) == counted(expected)

    @pytest.mark.parametrize("name", ["SamplerCustom", "SamplerCustomAdvanced"])
    @pytest.mark.parametrize(("sampler", "expected"), [("euler", counted(6)), ("dpm_fast", counted(3, 6))])
    def test_of_custom_samplers(self, stub: comfystub.Stub, name: str, sampler: str, expected: Any) -> None:
        graph = sampled(name, sampler=["which", 0], sigmas=["sigmas", 0])
        graph["which"] = node("KSamplerSelect", sampler_name=sampler)
        graph["sigmas"] = node("KarrasScheduler", steps=6, sigma_max=14.0, sigma_min=0.1, rho=7.0)
        assert rounds(stub, graph) == expected

    @pytest.mark.parametrize("slot", [0, 1])
    def test_both_outputs_of_a_custom_sampler_are_sampled(self, stub: comfystub.Stub, slot: int) -> None:
        graph = sampled("SamplerCustom", latent_image=["l", 0])
        graph["l"] = node("EmptyLatentImage", width=64, height=32, batch_size=2)
        graph["x"]["inputs"]["samples"] = ["k", slot]
        assert [output.image.size for output in run(stub, graph).outputs] == [(64, 32)] * 2


class TestWhatItMakes:
    @pytest.mark.parametrize(
        ("name", "inputs"),
        [
            ("KSampler", {"denoise": 0.0}),
            ("KSamplerAdvanced", {"steps": 4, "start_at_step": 4}),
            ("SamplerCustomAdvanced", {"sigmas": ["none", 0]}),
        ],
        ids=str,
    )
    def test_without_a_step_a_picture_stays_as_it_was(
        self, stub: comfystub.Stub, name: str, inputs: Graph
    ) -> None:
        graph = sampled(name, latent_image=["e", 0], **inputs)
        graph["i"] = node("EmptyImage", width=64, height=64, batch_size=1, color=0x204060)
        graph["e"] = node("VAEEncode", pixels=["i", 0], vae=["m", 2])
        graph["none"] = node("BasicScheduler", model=["m", 0], scheduler="normal", steps=4, denoise=0.0)
        assert run(stub, graph).outputs[0].image.getcolors() == [(64 * 64, (0x20, 0x40, 0x60))]

    def test_the_seed_of_the_noise_makes_another_picture(self, stub: comfystub.Stub) -> None:
        pictures = set()
        for seed in (1, 2):
            graph = sampled("SamplerCustomAdvanced", noise=["n", 0], latent_image=["l", 0])
            graph["n"] = node("RandomNoise", noise_seed=seed)
            graph["l"] = node("EmptyLatentImage", width=64, height=64, batch_size=1)
            pictures.add(run(stub, graph).outputs[0].image.tobytes())
        assert len(pictures) == 2


class TestPreviews:
    def previews(self, stub: comfystub.Stub, graph: Graph) -> list[Image.Image]:
        """The pictures that a listening client is sent."""
        socket = listen()
        with stub.client() as client:
            client.post("/prompt", json={"prompt": graph, "client_id": "me"}).raise_for_status()
        pictures = []
        while (message := socket.recv()) and '"execution_success"' not in str(message):
            if isinstance(message, bytes):
                assert struct.unpack(">II", message[:8]) == (1, 1)
                pictures.append(Image.open(io.BytesIO(message[8:])))
        socket.close()
        return pictures

    def test_of_a_film_it_is_the_first_frame(self, stub: comfystub.Stub) -> None:
        graph = sampled(steps=2, latent_image=["f", 0])
        graph["f"] = node("EmptyHunyuanLatentVideo", width=128, height=64, length=5, batch_size=1)
        previews = self.previews(stub, graph)
        assert [preview.size for preview in previews] == [(512, 256)] * 2
        frames = [output.image for output in stub.jobs[0].outputs]
        assert len(frames) == 5
        assert [_alike(previews[0], frame) for frame in frames] == [True, *[False] * 4]

    @pytest.mark.parametrize("name", ["EmptyLatentAudio", "EmptyLatentHunyuan3Dv2"])
    def test_of_what_is_no_picture_there_is_none(self, stub: comfystub.Stub, name: str) -> None:
        graph = sampled(steps=3, latent_image=["a", 0])
        graph["a"] = graph_around(name)["x"]
        assert self.previews(stub, graph) == []
        progress = [event.data["value"] for event in stub.jobs[0].events if event.type == "progress"]
        assert progress == [1, 2, 3]


def _alike(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures show the same tiles."""
    centers = [
        [
            image.convert("RGB").resize((16, 16), Image.Resampling.BOX).getpixel((x, y))
            for x in (1, 5, 9)
            for y in (3, 7, 11)
        ]
        for image in (one, other)
    ]
    return all(abs(a - b) < 16 for pair in zip(*centers) for a, b in zip(*pair))


def steps(stub: comfystub.Stub, name: str, slot: int = 0, **inputs: Any) -> int:
    """The steps of a schedule, as a sampler tells them."""
    graph = sampled("SamplerCustom", sigmas=["s", slot], latent_image=["l", 0])
    graph |= {
        "s": graph_around(name, **inputs)["x"],
        "l": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    }
    if "model" in graph["s"]["inputs"]:
        graph["s"]["inputs"]["model"] = ["m", 0]
    graph["given"] = node("ManualSigmas", sigmas=inputs.pop("given", "14, 13, 12, 5, 1, 0"))
    progress = rounds(stub, graph)
    assert progress == counted(len(progress))
    return len(progress)


class TestSchedules:
    @pytest.mark.parametrize(
        ("name", "inputs", "expected"),
        [
            ("BasicScheduler", {"steps": 6, "denoise": 1.0}, 6),
            ("BasicScheduler", {"steps": 6, "denoise": 0.4}, 6),
            ("BasicScheduler", {"steps": 6, "denoise": 0.0}, 0),
            ("BetaSamplingScheduler", {"steps": 6}, 6),
            ("KarrasScheduler", {"steps": 6}, 6),
            ("KarrasScheduler", {"steps": 1}, 1),
            ("ExponentialScheduler", {"steps": 6}, 6),
            ("PolyexponentialScheduler", {"steps": 6}, 6),
            ("LaplaceScheduler", {"steps": 6}, 5),
            ("VPScheduler", {"steps": 6}, 6),
            ("VPScheduler", {"steps": 6, "beta_d": 5000.0, "beta_min": 5000.0}, 6),
            ("KarrasScheduler", {"steps": 6, "sigma_max": 5000.0, "rho": 0.0}, 6),
            ("SDTurboScheduler", {"steps": 1, "denoise": 1.0}, 1),
            ("SDTurboScheduler", {"steps": 8, "denoise": 0.5}, 5),
            ("SDTurboScheduler", {"steps": 8, "denoise": 0.0}, 0),
            ("AlignYourStepsScheduler", {"steps": 10, "denoise": 1.0}, 10),
            ("AlignYourStepsScheduler", {"steps": 10, "denoise": 0.33}, 3),
            ("AlignYourStepsScheduler", {"steps": 10, "denoise": 0.0}, 0),
            ("GITSScheduler", {"steps": 10, "denoise": 0.5}, 5),
            ("OptimalStepsScheduler", {"steps": 20, "denoise": 0.5}, 10),
            ("LTXVScheduler", {"steps": 6}, 6),
            ("Flux2Scheduler", {"steps": 6}, 6),
            ("Ideogram4Scheduler", {"steps": 6}, 6),
            ("ManualSigmas", {"sigmas": "1., 0.85, -.5,0.0"}, 3),
            ("ManualSigmas", {"sigmas": "1"}, 0),
            ("ManualSigmas", {"sigmas": "none"}, 0),
            ("FlipSigmas", {"sigmas": ["given", 0]}, 5),
            ("SetFirstSigma", {"sigmas": ["given", 0]}, 5),
            ("ExtendIntermediateSigmas", {"sigmas": ["given", 0], "steps": 2}, 8),
            ("ExtendIntermediateSigmas", {"sigmas": ["given", 0], "steps": 4, "start_at_sigma": 12.5}, 8),
            ("ExtendIntermediateSigmas", {"sigmas": ["given", 0], "steps": 3, "end_at_sigma": 1.0}, 15),
            ("ExtendIntermediateSigmas", {"sigmas": ["given", 0], "steps": 1}, 5),
        ],
        ids=str,
    )
    def test_steps(self, stub: comfystub.Stub, name: str, inputs: Graph, expected: int) -> None:
        assert steps(stub, name, **inputs) == expected

    @pytest.mark.parametrize(
        ("name", "inputs", "high", "low"),
        [
            ("SplitSigmas", {"step": 2}, 2, 3),
            ("SplitSigmas", {"step": 0}, 0, 5),
            ("SplitSigmas", {"step": 99}, 5, 0),
            ("SplitSigmasDenoise", {"denoise": 0.4}, 3, 2),
            ("SplitSigmasDenoise", {"denoise": 1.0}, 0, 5),
            ("SplitSigmasDenoise", {"denoise": 0.0}, 0, 0),
        ],
        ids=str,
    )
    def test_splits(self, stub: comfystub.Stub, name: str, inputs: Graph, high: int, low: int) -> None:
        split = (steps(stub, name, slot, sigmas=["given", 0], **inputs) for slot in (0, 1))
        assert tuple(split) == (high, low)

    def test_levels_by_formula(self, stub: comfystub.Stub) -> None:
        graph = {"x": node("KarrasScheduler", steps=3, sigma_max=10.0, sigma_min=0.1, rho=1.0)}
        [[sigmas]] = watched(stub, graph)
        assert sigmas.levels == pytest.approx((10.0, 5.05, 0.1, 0.0))
        graph["f"] = graph["x"]
        graph["x"] = node("FlipSigmas", sigmas=["f", 0])
        [[flipped]] = watched(stub, graph)
        assert flipped.levels == pytest.approx((0.0001, 0.1, 5.05, 10.0))

    @pytest.mark.parametrize(
        ("percent", "actual", "shown"),
        [(0.0, False, "999999999.9"), (0.0, True, "1.0"), (0.25, False, "0.75"), (1.0, False, "0.0")],
    )
    def test_a_level_by_percent(self, stub: comfystub.Stub, percent: float, actual: bool, shown: str) -> None:
        graph = graph_around("SamplingPercentToSigma", sampling_percent=percent, return_actual_sigma=actual)
        job = run(stub, {**graph, "p": node("PreviewAny", source=["x", 0])})
        assert job.ui["p"]["text"] == [shown]
