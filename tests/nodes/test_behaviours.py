"""What a workflow makes: pictures by text, by size, by whatever its nodes are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

import comfystub

URL = "http://comfy.test:8188"
Graph = dict[str, Any]


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def run(stub: comfystub.Stub, graph: Graph, **body: Any) -> comfystub.Job:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph, **body}).raise_for_status()
    job = stub.jobs[-1]
    assert job.error is None
    return job


def empty_image(width: int = 40, height: int = 30, batch_size: int = 1, color: int = 0x204060) -> Graph:
    return node("EmptyImage", width=width, height=height, batch_size=batch_size, color=color)


def saved(stub: comfystub.Stub, prefix: str = "p", **nodes: Graph) -> list[Image.Image]:
    """The pictures that a graph saves; ``x`` is the node whose pictures are saved."""
    graph = {**nodes, "save": node("SaveImage", images=["x", 0], filename_prefix=prefix)}
    return [output.image for output in run(stub, graph).outputs]


def text_to_image(width: int = 64, height: int = 64, batch_size: int = 1, **changes: Any) -> Graph:
    model, text, sampler = (changes.pop(key, None) for key in ("model", "text", "sampler"))
    plain = {
        "seed": 1,
        "steps": 2,
        "cfg": 8.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    return {
        "model": node("CheckpointLoaderSimple", ckpt_name=model or "a.safetensors"),
        "text": node("CLIPTextEncode", clip=["model", 1], text=text or "a red fox"),
        "no": node("CLIPTextEncode", clip=["model", 1], text="hands"),
        "latent": node("EmptyLatentImage", width=width, height=height, batch_size=batch_size),
        "sampled": node(
            "KSampler",
            model=["model", 0],
            positive=["text", 0],
            negative=["no", 0],
            latent_image=["latent", 0],
            **{**plain, **(sampler or {})},
        ),
        "x": node("VAEDecode", samples=["sampled", 0], vae=["model", 2]),
        **changes,
    }


class TestTextToImage:
    @pytest.mark.parametrize(
        ("asked", "given"), [((64, 64), (64, 64)), ((512, 768), (512, 768)), ((72, 16), (72, 16))]
    )
    def test_the_size_is_the_latents(
        self, stub: comfystub.Stub, asked: tuple[int, int], given: tuple[int, int]
    ) -> None:
        assert [picture.size for picture in saved(stub, **text_to_image(*asked))] == [given]

    def test_a_batch_of_four_is_four_different_pictures(self, stub: comfystub.Stub) -> None:
        pictures = saved(stub, **text_to_image(batch_size=4))
        assert len({picture.tobytes() for picture in pictures}) == 4

    def test_the_same_prompt_gives_the_same_bytes_in_every_server(self) -> None:
        def run_it() -> bytes:
            with comfystub.patch(URL) as stub:
                saved(stub, **text_to_image())
                return stub.outputs[0].path.read_bytes()

        assert run_it() == run_it()

    @pytest.mark.parametrize(
        "change",
        [
            {"sampler": {"seed": 2}},
            {"text": "a blue fox"},
            {"model": "b.safetensors"},
            {"sampler": {"cfg": 7.0}},
        ],
        ids=str,
    )
    def test_another_seed_text_or_model_is_visible(self, stub: comfystub.Stub, change: Graph) -> None:
        one, other = saved(stub, **text_to_image())[0], saved(stub, **text_to_image(**change))[0]
        difference = ImageChops.difference(one, other).convert("L")
        assert sum(difference.histogram()[25:]) > 64 * 64 / 4

    @pytest.mark.parametrize("change", [{"prefix": "other"}, {"unused": empty_image()}], ids=str)
    def test_what_does_not_go_into_the_picture_does_not_change_it(
        self, stub: comfystub.Stub, change: Graph
    ) -> None:
        assert (
            saved(stub, **text_to_image())[0].tobytes()
            == saved(stub, **text_to_image(), **change)[0].tobytes()
        )

    def test_upscaled_latents_and_repeated_ones(self, stub: comfystub.Stub) -> None:
        twice = node("LatentUpscaleBy", samples=["sampled", 0], upscale_method="nearest-exact", scale_by=2.0)
        sized = node(
            "LatentUpscale", samples=["twice", 0], upscale_method="area", width=0, height=64, crop="disabled"
        )
        many = node("RepeatLatentBatch", samples=["sized", 0], amount=3)
        graph = text_to_image(64, 32, twice=twice, sized=sized, many=many)
        graph["x"] = node("VAEDecode", samples=["many", 0], vae=["model", 2])
        assert [picture.size for picture in saved(stub, **graph)] == [(128, 64)] * 3

    def test_image_to_image_keeps_the_size_of_the_picture(self, stub: comfystub.Stub) -> None:
        graph = text_to_image()
        graph["latent"] = node("VAEEncode", pixels=["source", 0], vae=["model", 2])
        graph["source"] = empty_image(70, 41, 2)
        assert [picture.size for picture in saved(stub, **graph)] == [(64, 40)] * 2

    def test_custom_samplers_take_their_steps_from_the_schedule(self, stub: comfystub.Stub) -> None:
        graph = text_to_image()
        graph["sampled"] = node(
            "SamplerCustom",
            model=["model", 0],
            add_noise=True,
            noise_seed=1,
            cfg=8.0,
            positive=["text", 0],
            negative=["no", 0],
            sampler=["which", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        )
        graph["which"] = node("KSamplerSelect", sampler_name="euler")
        graph["sigmas"] = node("BasicScheduler", model=["model", 0], scheduler="normal", steps=5, denoise=1.0)
        saved(stub, **graph)
        assert [e.data["value"] for e in stub.jobs[0].events if e.type == "progress"] == [1, 2, 3, 4, 5]


class TestPictures:
    def test_an_empty_image_has_its_color(self, stub: comfystub.Stub) -> None:
        picture = saved(stub, x=empty_image())[0]
        assert (picture.size, picture.getcolors()) == ((40, 30), [(1200, (0x20, 0x40, 0x60))])

    @pytest.mark.parametrize(("on", "width"), [(True, 40), (False, 20)])
    def test_a_switch_passes_on_the_branch_that_is_on(
        self, stub: comfystub.Stub, on: bool, width: int
    ) -> None:
        x = node("ComfySwitchNode", switch=on, on_true=["one", 0], on_false=["two", 0])
        assert saved(stub, x=x, one=empty_image(40), two=empty_image(20))[0].width == width

    def test_the_size_of_an_image_can_be_wired_on(self, stub: comfystub.Stub) -> None:
        x = empty_image(width=["size", 0], height=["size", 1], batch_size=["size", 2])
        pictures = saved(
            stub, x=x, size=node("GetImageSize", image=["one", 0]), one=empty_image(batch_size=3)
        )
        assert [picture.size for picture in pictures] == [(40, 30)] * 3

    def test_primitives_give_their_value(self, stub: comfystub.Stub) -> None:
        x = empty_image(width=["width", 0])
        assert saved(stub, x=x, width=node("PrimitiveInt", value=64))[0].size == (64, 30)


class TestImageOption:
    def picture(self) -> Image.Image:
        return Image.effect_noise((24, 12), 50).convert("RGB")

    def test_a_pillow_image_is_taken_as_it_is(self) -> None:
        with comfystub.patch(URL, image=self.picture()) as stub:
            assert [p.size for p in saved(stub, **text_to_image(batch_size=2))] == [(24, 12)] * 2

    @pytest.mark.parametrize("name", ["a.png", "a.jpg"])
    def test_a_path(self, tmp_path: Any, name: str) -> None:
        self.picture().save(tmp_path / name)
        with Image.open(tmp_path / name) as picture, comfystub.patch(URL, image=tmp_path / name) as stub:
            assert saved(stub, **text_to_image())[0].tobytes() == picture.convert("RGB").tobytes()

    def test_a_function_of_job_and_node(self) -> None:
        def make(job: comfystub.Job, sampler: comfystub.JobNode) -> Image.Image:
            return Image.new("RGB", (sampler.inputs["seed"], job.node("text").inputs["text"].count("o")))

        with comfystub.patch(URL, image=make) as stub:
            graph = text_to_image(text="oooo", sampler={"seed": 9})
            assert saved(stub, **graph)[0].size == (9, 4)

    def test_what_it_raises_fails_the_job(self) -> None:
        def make(job: comfystub.Job, sampler: comfystub.JobNode) -> Image.Image:
            raise ValueError("no picture today")

        with comfystub.patch(URL, image=make) as stub, stub.client() as client:
            graph = {**text_to_image(), "save": node("SaveImage", images=["x", 0], filename_prefix="p")}
            client.post("/prompt", json={"prompt": graph})
            error = stub.jobs[0].error
            assert error is not None
            assert (error["exception_type"], error["exception_message"]) == (
                "ValueError",
                "no picture today\n",
            )


class TestUnknownNodes:
    GRAPH = {
        "x": node("MyUpscaler", image=["source", 0], factor=2),
        "source": empty_image(),
        "save": node("SaveImage", images=["x", 0], filename_prefix="p"),
    }

    def test_an_accepted_unknown_class_passes_pictures_on(self) -> None:
        with comfystub.patch(URL, unknown_nodes="accept") as stub:
            assert run(stub, self.GRAPH).outputs[0].image.size == (40, 30)

    def test_an_unknown_class_at_the_end_saves_what_came(self) -> None:
        with comfystub.patch(URL, unknown_nodes="accept") as stub:
            graph = {"x": empty_image(), "end": node("MySaver", images=["x", 0], filename_prefix="mine")}
            assert run(stub, graph).outputs[0].filename == "mine_00001_.png"

    def test_an_own_object_info_brings_custom_classes(self) -> None:
        upscaler = {
            "input": {"required": {"image": ["IMAGE", {}], "factor": ["INT", {"default": 2, "max": 4}]}},
            "output": ["IMAGE"],
            "output_node": False,
        }
        with comfystub.patch(URL) as stub, stub.client() as client:
            info = {**client.get("/object_info").json(), "MyUpscaler": upscaler}
        with comfystub.patch(URL, object_info=info) as stub, stub.client() as client:
            assert run(stub, self.GRAPH).outputs[0].image.size == (40, 30)
            bad = {**self.GRAPH, "x": node("MyUpscaler", image=["source", 0], factor=9)}
            errors = client.post("/prompt", json={"prompt": bad}).json()["node_errors"]
            assert errors["x"]["errors"][0]["type"] == "value_bigger_than_max"
            assert client.get("/object_info/MyUpscaler").json()["MyUpscaler"]["output"] == ["IMAGE"]


class TestWithoutValidation:
    def run(self, graph: Graph) -> comfystub.Job:
        with comfystub.patch(URL, validate=False) as stub:
            return run(stub, graph)

    def test_an_unknown_class_is_a_black_box(self) -> None:
        assert self.run(TestUnknownNodes.GRAPH).status == "completed"

    def test_an_output_node_without_its_picture_saves_the_default_one(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            output = run(stub, {"9": node("SaveImage", filename_prefix="p", images=["gone", 0])}).outputs[0]
            assert output.image.size == (512, 512)

    def test_a_graph_without_an_output_node_runs_and_leaves_nothing(self) -> None:
        job = self.run({"1": empty_image()})
        assert (job.status, job.outputs) == ("completed", [])

    def test_values_are_taken_as_they_come(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            assert saved(stub, x=empty_image(width="50", height="tall"))[0].size == (50, 512)

    def test_a_cycle_fails_when_it_runs(self) -> None:
        graph = {"a": node("ImageInvert", image=["a", 0]), "9": node("SaveImage", images=["a", 0])}
        with comfystub.patch(URL, validate=False) as stub, stub.client() as client:
            client.post("/prompt", json={"prompt": graph})
            assert stub.jobs[0].error is not None
            assert "cycle" in stub.jobs[0].error["exception_message"]
