"""Training, and the files of models: what a client is told, and what lies in the folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import comfystub
from comfystub.media import tensors
from nodes.graphs import Graph, node, run, watched
from nodes.latent_graphs import MODEL, named

URL = "http://comfy.test:8188"

#: Pictures of two sizes, each with its words.
PAIRS: Graph = {
    "small": node("EmptyImage", width=64, height=32, batch_size=1, color=1),
    "large": node("EmptyImage", width=96, height=64, batch_size=1, color=2),
    "list": node(
        "CreateList",
        **{"inputs.input0": ["small", 0], "inputs.input1": ["large", 0], "inputs.input2": ["small", 0]},
    ),
    "m": MODEL,
    "set": node("MakeTrainingDataset", images=["list", 0], vae=["m", 2], clip=["m", 1], texts="a red fox"),
}


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def training(**inputs: Any) -> Graph:
    given = {"model": ["m", 0], "latents": ["set", 0], "positive": ["set", 1]}
    return {**PAIRS, **named("train", "TrainLoraNode", **given, **inputs)}


class TestTraining:
    def test_every_step_is_reported(self, stub: comfystub.Stub) -> None:
        run(stub, {**training(steps=5), "p": node("PreviewAny", source=["train", 2])})
        progress = [event.data for event in stub.jobs[0].events if event.type == "progress"]
        assert [(data["value"], data["max"]) for data in progress] == [(i, 5) for i in range(1, 6)]

    @pytest.mark.parametrize(("before", "total"), [("[None]", "5"), ("a_16_steps_00001_.safetensors", "21")])
    def test_the_steps_of_a_lora_go_on_from_another(
        self, stub: comfystub.Stub, before: str, total: str
    ) -> None:
        graph = {**training(steps=5, existing_lora=before), "p": node("PreviewAny", source=["train", 2])}
        assert run(stub, graph).ui["p"]["text"] == [total]

    @pytest.mark.parametrize(
        ("inputs", "name"),
        [
            ({}, "loras/mine_00001_.safetensors"),
            ({"steps": ["train", 2]}, "loras/mine_5_steps_00001_.safetensors"),
        ],
        ids=["plain", "with steps"],
    )
    def test_the_name_of_a_lora_tells_its_steps(self, stub: comfystub.Stub, inputs: Graph, name: str) -> None:
        graph = {**training(steps=5), "s": node("SaveLoRA", lora=["train", 0], prefix="loras/mine", **inputs)}
        assert run(stub, graph).ui == {}
        assert (stub.output_dir / name).is_file()

    def test_a_curve_of_the_losses_is_a_preview(self, stub: comfystub.Stub) -> None:
        graph = {**training(steps=40), "g": node("LossGraphNode", loss=["train", 1], filename_prefix="loss")}
        [output] = run(stub, graph).outputs
        assert (output.type, output.image.size) == ("temp", (800, 480))
        colors = output.image.convert("RGB").getcolors(1 << 20)
        assert sum(count for count, color in colors if color == (0, 0, 255)) > 700


class TestDatasets:
    def test_each_picture_is_a_latent_and_each_text_a_conditioning(self, stub: comfystub.Stub) -> None:
        latents, conditionings = watched(stub, {**PAIRS, "x": PAIRS["set"]})
        assert [(one.width, one.height) for one in latents] == [(64, 32), (96, 64), (64, 32)]
        assert [one.carried for one in conditionings] == [("a red fox",)] * 3

    def test_texts_that_do_not_match_are_an_error(self, stub: comfystub.Stub) -> None:
        words = node("CreateList", **{"inputs.input0": "one", "inputs.input1": "two"})
        graph = {
            **PAIRS,
            "words": words,
            "set": node("MakeTrainingDataset", **{**PAIRS["set"]["inputs"], "texts": ["words", 0]}),
        }
        with stub.client() as client:
            client.post("/prompt", json={"prompt": {**graph, "p": node("PreviewAny", source=["set", 0])}})
        error = stub.jobs[0].error
        assert error is not None
        assert "texts (2) does not match number of images (3)" in error["exception_message"]

    def test_a_bucket_for_each_size(self, stub: comfystub.Stub) -> None:
        bucket = node("ResolutionBucket", latents=["set", 0], conditioning=["set", 1])
        latents, conditionings = watched(stub, {**PAIRS, "x": bucket})
        assert [(one.width, one.batch) for one in latents] == [(64, 2), (96, 1)]
        assert [len(one.carried) for one in conditionings] == [2, 1]

    def test_a_set_is_saved_in_shards(self, stub: comfystub.Stub) -> None:
        save = node(
            "SaveTrainingDataset",
            latents=["set", 0],
            conditioning=["set", 1],
            folder_name="a/b",
            shard_size=2,
        )
        assert run(stub, {**PAIRS, "s": save}).ui == {}
        folder = stub.output_dir.parent / "datasets" / "a" / "b"
        assert sorted(path.name for path in folder.iterdir()) == [
            "metadata.json",
            "shard_0000.pkl",
            "shard_0001.pkl",
        ]
        counts = json.loads((folder / "metadata.json").read_text())
        assert counts == {"num_samples": 3, "num_shards": 2, "shard_size": 2}

    @pytest.mark.parametrize("name", ["..", "../output", "", "/etc"])
    def test_a_set_lies_below_the_folder_of_all_sets(self, stub: comfystub.Stub, name: str) -> None:
        save = node(
            "SaveTrainingDataset", latents=["set", 0], conditioning=["set", 1], folder_name=name, shard_size=2
        )
        with stub.client() as client:
            client.post("/prompt", json={"prompt": {**PAIRS, "s": save}})
        error = stub.jobs[0].error
        assert error is not None
        assert error["exception_type"] == "ValueError"

    def test_as_many_pairs_are_loaded_as_were_saved(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            save = node(
                "SaveTrainingDataset",
                latents=["set", 0],
                conditioning=["set", 1],
                folder_name="a",
                shard_size=9,
            )
            run(stub, {**PAIRS, "s": save})
            latents, conditionings = watched(stub, {"x": node("LoadTrainingDataset", folder_name="a")})
            assert (len(latents), len(conditionings)) == (3, 3)


class TestModels:
    @pytest.mark.parametrize(
        ("name", "prefix"),
        [
            ("CheckpointSave", "checkpoints/mine"),
            ("ImageOnlyCheckpointSave", "checkpoints/mine"),
            ("ModelSave", "diffusion_models/mine"),
            ("CLIPSave", "clip/mine"),
            ("VAESave", "vae/mine"),
            ("LoraSave", "loras/mine"),
        ],
    )
    def test_a_file_in_the_output_folder_and_nothing_shown(
        self, stub: comfystub.Stub, name: str, prefix: str
    ) -> None:
        graph = named("x", name, filename_prefix=prefix)
        assert run(stub, graph).ui == {}
        header = tensors.read_header((stub.output_dir / f"{prefix}_00001_.safetensors").read_bytes())
        assert header is not None
        assert json.loads(header[1]["prompt"])["x"]["class_type"] == name

    def test_another_model_is_another_file(self, stub: comfystub.Stub) -> None:
        for model in ("a", "b"):
            graph = {"m": node("UNETLoader", unet_name=model, weight_dtype="default")}
            run(stub, {**graph, "s": node("ModelSave", model=["m", 0], filename_prefix=model)})
        one, other = ((stub.output_dir / f"{name}_00001_.safetensors").read_bytes() for name in "ab")
        assert one[-16:] != other[-16:]
