"""How generated pictures look: by model, by LoRA, by prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image, ImageChops

import comfystub

URL = "http://comfy.test:8188"
Graph = dict[str, Any]
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def graph(
    model: str = "anything.safetensors", lora: str | None = None, text: str = "a red fox", **sampler: Any
) -> Graph:
    plain = {
        "seed": 1,
        "steps": 1,
        "cfg": 8.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    nodes = {
        "m": node("CheckpointLoaderSimple", ckpt_name=model),
        "yes": node("CLIPTextEncode", clip=["m", 1], text=text),
        "no": node("CLIPTextEncode", clip=["m", 1], text="hands, anime"),
        "l": node("EmptyLatentImage", width=128, height=64, batch_size=1),
        "k": node("KSampler", model=["lora" if lora else "m", 0], positive=["yes", 0], negative=["no", 0],
                  latent_image=["l", 0], **{**plain, **sampler}),
        "d": node("VAEDecode", samples=["k", 0], vae=["m", 2]),
        "s": node("SaveImage", images=["d", 0], filename_prefix="p"),
    }  # fmt: skip
    if lora:
        strengths = {"strength_model": 1.0, "strength_clip": 1.0}
        nodes["lora"] = node("LoraLoader", model=["m", 0], clip=["m", 1], lora_name=lora, **strengths)
    return nodes


def picture(stub: comfystub.Stub, **changes: Any) -> Image.Image:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph(**changes)}).raise_for_status()
    return stub.jobs[-1].outputs[0].image


def colors(image: Image.Image) -> set[Any]:
    found = image.convert("RGB").getcolors(maxcolors=image.width * image.height)
    assert found is not None
    return {color for _, color in found}


class TestFitting:
    @pytest.mark.parametrize(
        ("style", "fits", "differs"),
        [
            ({"model": "*anime*"}, {"model": "Anime_v3.safetensors"}, {"model": "photo.safetensors"}),
            ({"model": "a.safetensors"}, {"model": "sdxl/a.safetensors"}, {"model": "b.safetensors"}),
            ({"model": "sdxl/*"}, {"model": "sdxl/a.safetensors"}, {"model": "a.safetensors"}),
            ({"lora": "*lcm*"}, {"lora": "lcm-lora.safetensors"}, {"lora": "other.safetensors"}),
            ({"lora": "*lcm*"}, {"lora": "lcm-lora.safetensors"}, {}),
            ({"prompt": "red fox"}, {"text": "A RED FOX, snow"}, {"text": "a blue fox"}),
            ({"prompt": "fox*snow"}, {"text": "a fox in the snow"}, {"text": "snow and a fox"}),
            ({"model": "a*", "prompt": "fox"}, {"model": "a.ckpt"}, {"model": "a.ckpt", "text": "owl"}),
        ],
        ids=str,
    )
    def test_by_what_goes_into_it(
        self, stub: comfystub.Stub, style: Graph, fits: Graph, differs: Graph
    ) -> None:
        stub.styles.add(**style, colors=["red", "#0000ff"])
        assert colors(picture(stub, **fits)) == {RED, BLUE}
        assert colors(picture(stub, **differs)).isdisjoint({RED, BLUE})

    def test_a_negative_prompt_does_not_count(self, stub: comfystub.Stub) -> None:
        stub.styles.add(prompt="hands", colors=["red"])
        assert colors(picture(stub)) != {RED}

    def test_the_last_that_fits_counts(self, stub: comfystub.Stub) -> None:
        stub.styles.add(model="*", colors=["red"])
        stub.styles.add(model="a*", colors=["blue"])
        assert colors(picture(stub, model="a.ckpt")) == {BLUE}
        assert colors(picture(stub, model="b.ckpt")) == {RED}

    def test_after_clear_and_reset_none_does(self, stub: comfystub.Stub) -> None:
        stub.styles.add(model="*", colors=["red"])
        stub.styles.clear()
        assert colors(picture(stub)) != {RED}
        stub.styles.add(model="*", colors=["red"])
        stub.reset()
        assert colors(picture(stub)) != {RED}

    def test_rows_of_loras_as_some_packs_have_them(self) -> None:
        with comfystub.patch(URL, unknown_nodes="accept") as stub, stub.client() as client:
            stub.styles.add(lora="on*", colors=["red"])
            stub.styles.add(lora="off*", colors=["blue"])
            prompt = graph()
            rows = {
                "lora_1": {"on": True, "lora": "on.safetensors"},
                "lora_2": {"on": False, "lora": "off.safetensors"},
            }
            prompt["p"] = node("Power Lora Loader (rgthree)", model=["m", 0], **rows)
            prompt["k"]["inputs"]["model"] = ["p", 0]
            client.post("/prompt", json={"prompt": prompt}).raise_for_status()
            assert colors(stub.outputs[0].image) == {RED}


class TestImages:
    def test_a_picture_is_taken_as_it_is(self, stub: comfystub.Stub) -> None:
        stub.styles.add(model="anime*", image=Image.new("RGB", (24, 12), RED))
        assert picture(stub, model="anime.ckpt").size == (24, 12)
        assert picture(stub, model="photo.ckpt").size == (128, 64)

    def test_it_wins_over_the_stubs_own(self) -> None:
        with comfystub.patch(URL, image=Image.new("RGB", (8, 8))) as stub:
            stub.styles.add(
                model="anime*", image=lambda job, node: Image.new("RGB", (node.inputs["seed"], 4))
            )
            assert picture(stub, model="anime.ckpt", seed=9).size == (9, 4)
            assert picture(stub, model="photo.ckpt").size == (8, 8)


class TestColors:
    def test_pictures_of_a_style_still_differ(self, stub: comfystub.Stub) -> None:
        stub.styles.add(model="*", colors=["red", "blue"])
        assert ImageChops.difference(picture(stub, seed=1), picture(stub, seed=2)).getbbox()

    def test_the_same_model_looks_alike(self, stub: comfystub.Stub) -> None:
        stub.styles.color_by("model")
        palette = colors(picture(stub, model="a.ckpt", seed=1)) | colors(
            picture(stub, model="a.ckpt", text="owl")
        )
        others = colors(picture(stub, model="b.ckpt"))
        assert palette.isdisjoint(others)
        assert len(palette) <= 20

    @pytest.mark.parametrize(("kind", "change"), [("lora", {"lora": "x"}), ("prompt", {"text": "an owl"})])
    def test_by_lora_or_prompt(self, stub: comfystub.Stub, kind: str, change: Graph) -> None:
        stub.styles.color_by(kind)
        one, same, other = (picture(stub, seed=1), picture(stub, seed=2), picture(stub, **change))
        assert colors(one) & colors(same)
        assert colors(one).isdisjoint(colors(other))


class TestCaptions:
    def test_a_strip_at_the_bottom_tells_what_it_was_made_with(self, stub: comfystub.Stub) -> None:
        plain = picture(stub, model="a.ckpt", seed=7)
        stub.styles.captions = True
        one, other = (picture(stub, model="a.ckpt", seed=7, cfg=cfg) for cfg in (8.0, 8.5))
        assert one.size == plain.size
        strip = (0, one.height - 14, one.width, one.height)
        assert one.crop((0, 0, one.width, one.height - 14)).tobytes() != one.crop(strip).tobytes()
        lights = one.crop(strip).convert("L").getextrema()
        assert lights[0] == 0 and lights[1] > 200
        assert one.crop(strip).tobytes() == other.crop(strip).tobytes()
        third = picture(stub, model="a.ckpt", seed=8)
        assert third.crop(strip).tobytes() != one.crop(strip).tobytes()

    def test_on_pictures_that_are_given_too(self) -> None:
        with comfystub.patch(URL, image=Image.new("RGB", (128, 64), RED)) as stub:
            stub.styles.captions = True
            assert colors(picture(stub).crop((0, 0, 128, 50))) == {RED}
            assert RED not in colors(picture(stub).crop((0, 50, 128, 64)))

    def test_previews_have_one_as_well(self, stub: comfystub.Stub) -> None:
        stub.styles.captions = True
        websocket = pytest.importorskip("websocket")
        listener = websocket.create_connection(URL.replace("http", "ws") + "/ws?clientId=c", timeout=5)
        with stub.client() as client:
            client.post("/prompt", json={"prompt": graph(), "client_id": "c"}).raise_for_status()
        while not isinstance(message := listener.recv(), bytes):
            pass
        listener.close()
        assert message[8:10] == b"\xff\xd8"


class TestWhatIsRefused:
    def test_a_style_is_an_image_or_colors(self, stub: comfystub.Stub) -> None:
        for both in ({}, {"image": Image.new("RGB", (1, 1)), "colors": ["red"]}):
            with pytest.raises(ValueError, match="either an image or colors"):
                stub.styles.add(model="*", **both)

    def test_what_is_no_color(self, stub: comfystub.Stub) -> None:
        with pytest.raises(ValueError, match="blurple"):
            stub.styles.add(colors=["blurple"])

    def test_what_colors_cannot_go_by(self, stub: comfystub.Stub) -> None:
        with pytest.raises(ValueError, match="'model' or 'lora' or 'prompt'"):
            stub.styles.color_by("weather")
