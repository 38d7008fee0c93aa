"""Partner nodes: how large, how many and how long what they give is, and what else they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from PIL import Image

import comfystub
from comfystub.faults import disk_full
from comfystub.media.shapes import kind_of
from comfystub.nodes.catalogue import Catalogue, builtin
from comfystub.nodes.families.partner import FAITHFUL, SOUNDING
from comfystub.nodes.families.partner_sizes import (
    BY_SHORTER_SIDE,
    FACTOR_OF,
    FPS_OF,
    OF_EACH,
    PUBLISHED,
    SECONDS_OF,
    SIDE_OF,
)
from comfystub.nodes.schema import NodeClass
from nodes.graphs import Graph, graph_around, node, run, watched
from nodes.partners import SOURCES, M, P, S, Size, outputs, sizes

URL = "http://comfy.test:8188"


@pytest.fixture(scope="module")
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


class TestPictures:
    @pytest.mark.parametrize(
        ("name", "inputs", "size"),
        [
            # a size in so many words
            ("OpenAIDalle2", {}, (1024, 1024)),
            ("OpenAIDalle2", {"size": "256x256"}, (256, 256)),
            ("OpenAIDalle3", {"size": "1024x1792"}, (1024, 1792)),
            ("OpenAIGPTImage1", {"size": "1536x1024"}, (1536, 1024)),
            (
                "OpenAIGPTImage1",
                {"size": "Custom", "custom_width": 1280, "custom_height": 1040},
                (1280, 1040),
            ),
            ("OpenAIGPTImage1", {"custom_width": 1280}, (1024, 1024)),
            ("OpenAIGPTImageNodeV2", {"model.size": "2160x3840"}, (2160, 3840)),
            ("ByteDanceImageNode", {"size_preset": "1512x648 (21:9)"}, (1512, 648)),
            ("ByteDanceImageNode", {"size_preset": "Custom", "width": 640, "height": 768}, (640, 768)),
            ("ByteDanceSeedreamNode", {"size_preset": "2560x1440 (16:9)", "width": 1024}, (2560, 1440)),
            ("ByteDanceSeedreamNodeV2", {"model.size_preset": "(1K) 736x1312 (9:16)"}, (736, 1312)),
            ("RecraftTextToImageNode", {"size": "1820x1024"}, (1820, 1024)),
            ("RecraftV4TextToImageNode", {"model": "recraftv4_pro", "model.size": "3072x1536"}, (3072, 1536)),
            ("RunwayTextToImageNode", {"ratio": "2112:912"}, (2112, 912)),
            ("IdeogramV4", {"resolution": "1664x2496 (2:3)"}, (1664, 2496)),
            ("IdeogramV4", {}, (2048, 2048)),
            ("Flux2ProImageNode", {"width": 512, "height": 1024}, (512, 1024)),
            ("Flux2ImageNode", {"model.width": 256, "model.height": 2048}, (256, 2048)),
            ("WanTextToImageApi", {"width": 768, "height": 1280}, (768, 1280)),
            ("QwenImageTextToImageApi", {"model.width": 528, "model.height": 2560}, (528, 2560)),
            # a ratio, and perhaps a resolution
            ("FluxProUltraImageNode", {}, (2752, 1536)),
            ("FluxProUltraImageNode", {"aspect_ratio": "9:21"}, (1344, 3136)),
            ("FluxProUltraImageNode", {"aspect_ratio": "1:1"}, (2048, 2048)),
            ("FluxKontextProImageNode", {"aspect_ratio": "16:9"}, (1392, 752)),
            ("FluxKontextMaxImageNode", {"aspect_ratio": "3:4", "input_image": P}, (880, 1184)),
            ("GeminiImageNode", {"aspect_ratio": "16:9"}, (1344, 768)),
            ("GeminiImageNode", {}, (1024, 1024)),
            ("GeminiImage2Node", {"aspect_ratio": "21:9", "resolution": "1K"}, (1584, 672)),
            ("GeminiImage2Node", {"aspect_ratio": "9:16", "resolution": "2K"}, (1536, 2752)),
            ("GeminiNanoBanana2", {"aspect_ratio": "4:5", "resolution": "4K"}, (3712, 4608)),
            ("GeminiNanoBanana2V2", {"model.aspect_ratio": "1:8"}, (384, 3072)),
            ("IdeogramV3", {"aspect_ratio": "16:9"}, (1312, 736)),
            ("IdeogramV3", {"aspect_ratio": "16:9", "resolution": "512x1536"}, (512, 1536)),
            ("IdeogramPImage", {"aspect_ratio": "1:3", "resolution": "2K"}, (1024, 3072)),
            ("KlingImageGenerationNode", {"aspect_ratio": "16:9"}, (1360, 768)),
            ("KlingOmniProImageNode", {"aspect_ratio": "1:1", "resolution": "2K"}, (2048, 2048)),
            ("LumaImageNode", {"aspect_ratio": "16:9"}, (2048, 1152)),
            ("GrokImageNode", {"aspect_ratio": "2:1", "resolution": "2K"}, (2896, 1456)),
            ("Krea2ImageNode", {"model.aspect_ratio": "2.35:1"}, (1568, 672)),
            ("ReveImageCreateNode", {"model.aspect_ratio": "1:1"}, (1024, 1024)),
            # the size of what came in, or its shape
            ("GeminiImageNode", {"images": P}, (1184, 864)),
            ("OpenAIGPTImage1", {"image": P}, (1536, 1024)),
            ("OpenAIDalle2", {"image": P, "mask": M, "size": "512x512"}, (512, 512)),
            ("IdeogramV3", {"image": P, "mask": M}, (640, 480)),
            ("IdeogramV3", {"character_image": P}, (1024, 1024)),
            ("FluxProFillNode", {"image": P, "mask": M}, (640, 480)),
            ("FluxProExpandNode", {"image": P, "left": 100, "right": 28, "top": 20}, (768, 500)),
            ("FluxVTONode", {"garment": ["small", 0], "person": P}, (640, 480)),
            ("RecraftImageToImageNode", {"image": P}, (640, 480)),
            ("LumaImageModifyNode", {"image": P}, (640, 480)),
            ("QwenImageEditApi", {"model.images.image_1": P}, (640, 480)),
            (
                "QwenImageEditApi",
                {"model.images.image_1": P, "size": "custom", "size.width": 256, "size.height": 512},
                (256, 512),
            ),
            ("GrokImageEditNode", {"image": P, "resolution": "2K"}, (2368, 1776)),
            ("ReveImageEditNode", {"image": P}, (640, 480)),
            ("BriaExpandImage", {"image": P, "expand_mode": "16:9"}, (1360, 768)),
            (
                "BriaExpandImage",
                {"image": P, "expand_mode": "custom_ratio", "expand_mode.ratio_width": 2}
                | {"expand_mode.ratio_height": 1},
                (1456, 720),
            ),
            (
                "BriaExpandImage",
                {"image": P, "expand_mode": "manual", "expand_mode.canvas_width": 900},
                (900, 1000),
            ),
            # larger than what came in
            ("BriaIncreaseResolution", {"image": P, "desired_increase": "4"}, (2560, 1920)),
            ("MagnificImageUpscalerCreativeNode", {"image": P, "scale_factor": "8x"}, (5120, 3840)),
            ("HitPawGeneralImageEnhance", {"image": P, "upscale_factor": 2}, (1280, 960)),
            (
                "ReveImageEditNode",
                {"image": P, "upscale": "enabled", "upscale.upscale_factor": 3},
                (1920, 1440),
            ),
            ("RecraftCrispUpscaleNode", {"image": P}, (2560, 1920)),
            ("TopazImageEnhance", {"image": P}, (640, 480)),
            ("TopazImageEnhance", {"image": P, "output_width": 1000}, (1000, 750)),
            ("TopazImageEnhanceV2", {"image": P, "output_height": 960}, (1280, 960)),
            ("WavespeedImageUpscaleNode", {"image": P, "target_resolution": "4K"}, (4736, 3552)),
        ],
    )
    def test_the_size(self, stub: comfystub.Stub, name: str, inputs: Graph, size: Size) -> None:
        assert sizes(outputs(stub, name, **inputs)[0]) == [size]

    @pytest.mark.parametrize(
        ("name", "inputs", "number"),
        [
            ("OpenAIDalle2", {"n": 3}, 3),
            ("OpenAIGPTImageNodeV2", {"n": 8}, 8),
            ("IdeogramV3", {"num_images": 2}, 2),
            ("GrokImageNode", {"number_of_images": 4}, 4),
            ("KlingOmniProImageNode", {"series_amount": "5"}, 5),
            ("KlingOmniProImageNode", {"series_amount": "disabled"}, 1),
            ("ByteDanceSeedreamNode", {"max_images": 4}, 1),
            ("ByteDanceSeedreamNode", {"max_images": 4, "sequential_image_generation": "auto"}, 4),
            ("ByteDanceSeedreamNodeV2", {"model": "seedream 5.0 lite", "model.max_images": 3}, 3),
            ("RecraftImageToImageNode", {"image": ["frames", 0], "n": 2}, 120),
            ("RecraftRemoveBackgroundNode", {"image": ["frames", 0]}, 60),
            ("LumaImageModifyNode", {"image": ["frames", 0]}, 1),
        ],
    )
    def test_the_number(self, stub: comfystub.Stub, name: str, inputs: Graph, number: int) -> None:
        assert len(outputs(stub, name, **inputs)[0]) == number

    def test_each_follows_all_that_went_into_it(self, stub: comfystub.Stub) -> None:
        prompts = [{"prompt": "a fox", "n": 2}, {"prompt": "a fox", "n": 2}, {"prompt": "a cat", "n": 2}]
        files = [[p.png() for p in outputs(stub, "OpenAIDalle2", **inputs)[0]] for inputs in prompts]
        assert files[0] == files[1]
        assert len({*files[0], *files[2]}) == 4

    def test_a_picture_that_is_given_is_what_the_partner_makes(self) -> None:
        with comfystub.patch(URL, image=Image.new("RGB", (30, 20), "teal")) as stub:
            [pictures] = outputs(stub, "OpenAIDalle3")
            assert pictures[0].pixels().getcolors() == [(600, (0, 128, 128))]

    def test_captions_tell_the_prompt(self) -> None:
        with comfystub.patch(URL) as stub:
            plain = outputs(stub, "OpenAIDalle3", prompt="a red fox")[0][0].png()
            stub.styles.captions = True
            graph = {**graph_around("OpenAIDalle3", prompt="a red fox", seed=7), **SOURCES}
            [[pictures]] = watched(stub, graph)
            assert pictures[0].png() != plain
            assert "a red fox" in pictures[0].caption

    @pytest.mark.parametrize("name", ["RecraftCrispUpscaleNode", "BriaRemoveImageBackground"])
    def test_what_enhances_a_picture_keeps_it(self, stub: comfystub.Stub, name: str) -> None:
        [picture] = outputs(stub, name, image=P)[0]
        assert picture.pixels().getcolors(1) == [(picture.width * picture.height, (0x20, 0x40, 0x60))]

    @pytest.mark.parametrize("name", ["RecraftRemoveBackgroundNode", "BeebleSwitchXImageEdit"])
    def test_masks_have_the_size_of_the_pictures(self, stub: comfystub.Stub, name: str) -> None:
        pictures, masks = outputs(stub, name, image=P)
        assert sizes(masks) == sizes(pictures) == [(640, 480)]
        assert {color for _, color in masks[0].pixels().getcolors()} == {(0, 0, 0), (255, 255, 255)}

    @pytest.mark.parametrize(("crop", "size"), [(False, (640, 480)), (True, (320, 240))])
    def test_a_picture_in_layers(self, stub: comfystub.Stub, crop: bool, size: Size) -> None:
        name = "ByteDanceSeedreamLayerSeparationNode"
        base, base_mask, layers, masks, boxes, _ = outputs(stub, name, image=P, crop_layers=crop)
        assert sizes(base) == sizes(base_mask) == [(640, 480)]
        assert sizes(layers) == sizes(masks) == [size] * len(boxes)
        assert boxes == [
            {"x": 0, "y": 0, "width": 320, "height": 240},
            {"x": 320, "y": 240, "width": 320, "height": 240},
        ]

    def test_drawings(self, stub: comfystub.Stub) -> None:
        [drawings] = outputs(stub, "RecraftTextToVectorNode", size="1820x1024", n=3)
        assert len(set(drawings)) == 3
        assert all('width="1820" height="1024"' in drawing for drawing in drawings)
        [[traced]] = outputs(stub, "RecraftVectorizeImageNode", image=P)
        assert 'viewBox="0 0 640 480"' in traced


class TestTexts:
    @pytest.mark.parametrize(
        "name", ["ClaudeNode", "GeminiNode", "GeminiNodeV2", "OpenAIChatNode", "OpenRouterLLMNode"]
    )
    def test_an_answer_quotes_the_prompt(self, stub: comfystub.Stub, name: str) -> None:
        prompt = "Tell me of the red fox that jumps over the dog"
        [text] = outputs(stub, name, prompt=prompt)
        assert '"Tell me of the red fox that jumps"' in text
        assert text != outputs(stub, name, prompt=prompt, seed=7)[0] or name == "OpenAIChatNode"

    @pytest.mark.parametrize(("modalities", "says"), [("IMAGE", False), ("IMAGE+TEXT", True)])
    def test_a_picture_with_a_text_or_without(
        self, stub: comfystub.Stub, modalities: str, says: bool
    ) -> None:
        text = outputs(stub, "GeminiImage2Node", prompt="a fox", response_modalities=modalities)[1]
        assert bool(text) is says

    def test_the_words_of_a_sound(self, stub: comfystub.Stub) -> None:
        text, language, words = outputs(stub, "ElevenLabsSpeechToText", audio=S, language_code="de")
        said = json.loads(words)
        assert (language, " ".join(word["text"] for word in said)) == ("de", text)
        assert (said[0]["start"], said[-1]["end"]) == (0, 3)
        text, language, segments = outputs(stub, "FishAudioSpeechToText", audio=S)
        assert (language, json.loads(segments)) == ("en", [{"text": text, "start": 0, "end": 3}])

    def test_ids_and_lengths(self, stub: comfystub.Stub) -> None:
        _, video_id, duration = outputs(stub, "KlingImage2VideoNode", start_frame=P, duration="10")
        assert (len(video_id), duration) == (36, "10")
        asset, group = outputs(stub, "ByteDanceCreateImageAsset", image=P)
        assert asset != group
        assert outputs(stub, "ByteDanceCreateImageAsset", image=P, group_id="mine")[1] == "mine"

    def test_prompts_that_were_improved(self, stub: comfystub.Stub) -> None:
        assert "a fox" in outputs(stub, "IdeogramPImage", prompt="a fox")[1]
        assert outputs(stub, "BriaExpandImage", image=P, prompt="a fox")[1] == "a fox"
        structured = outputs(stub, "BriaImageEditNode", image=P, prompt="a fox")[1]
        assert "a fox" in json.loads(structured)["short_description"]


class TestModels:
    @pytest.mark.parametrize(
        ("name", "partner"),
        [
            ("MeshyTextToModelNode", "meshy"),
            ("TripoTextToModelNode", "tripo"),
            ("TripoP1TextToModelNode", "tripo"),
            ("TencentTextToModelNode", "tencent"),
            ("Rodin3D_Regular", "rodin"),
        ],
    )
    def test_the_file_in_the_output_folder(self, stub: comfystub.Stub, name: str, partner: str) -> None:
        file, *rest = outputs(stub, name, prompt="a fox")
        data = (stub.output_dir / file).read_bytes()
        assert file.startswith(f"{partner}_model_")
        assert kind_of(data) == "glb"
        ids = [value for value in rest if isinstance(value, str)]
        assert file == f"{partner}_model_{ids[0]}.glb" if ids else True
        assert stub.jobs[-1].ui == {}

    def test_it_is_written_when_nothing_is_linked_to_it(self, stub: comfystub.Stub) -> None:
        before = set(stub.output_dir.iterdir())
        run(stub, graph_around("TripoTextToModelNode", prompt="a lonely fox"))
        [file] = set(stub.output_dir.iterdir()) - before
        assert file.name.startswith("tripo_model_")

    def test_a_full_disk_is_the_nodes_error(self) -> None:
        graph = graph_around("TripoTextToModelNode", prompt="a fox")
        with comfystub.patch(URL, faults=[disk_full()]) as stub, stub.client() as client:
            client.post("/prompt", json={"prompt": graph})
            error = stub.jobs[0].error
        assert error is not None
        assert (error["node_id"], error["exception_type"]) == ("x", "OSError")

    def test_the_formats(self, stub: comfystub.Stub) -> None:
        _, glb, obj, texture = outputs(stub, "TencentTextToModelNode", prompt="a fox")
        assert (glb.format, obj.format, texture[0].size) == ("glb", "obj", (1024, 1024))
        assert glb.digest == obj.digest
        [model] = outputs(stub, "Rodin3D_Gen25_Text", geometry_file_format="stl")
        assert model.format == "stl"

    def test_tasks_go_on_from_tasks(self, stub: comfystub.Stub) -> None:
        graph = graph_around("TripoConversionNode", format="FBX")
        job = run(stub, graph)
        assert job.status == "completed"
        assert job.ui == {}


def test_every_exception_is_one_of_something() -> None:
    tables = (FAITHFUL, SOUNDING, BY_SHORTER_SIDE, FACTOR_OF, FPS_OF, OF_EACH, PUBLISHED, SECONDS_OF, SIDE_OF)
    classes = [node_class for name in Catalogue() if (node_class := builtin(name))]
    partners = [one for one in classes if one.entry["category"].startswith("partner/")]
    names = {one.name for one in partners} | {model for one in partners for model in models(one)}
    for start in chain.from_iterable(tables):
        assert any(name.startswith(start) for name in names), start


def models(node_class: NodeClass) -> list[str]:
    """The names of the models of a class."""
    chosen = (one for one in node_class.inputs({}) if one.name in ("model", "model_name"))
    options = [option for one in chosen for option in one.config.get("options", ())]
    return [option["key"] if isinstance(option, dict) else option for option in options]


class TestOtherServers:
    @pytest.mark.parametrize("category", ["partner/video/New", "api node/video/Old"])
    def test_classes_that_only_another_release_has(self, category: str) -> None:
        inputs = {"duration": ["INT", {"default": 4}], "resolution": ["COMBO", {"options": ["720p"]}]}
        entry = {"input": {"required": inputs}, "output": ["VIDEO"], "category": category, "api_node": True}
        with comfystub.patch(URL) as stub, stub.client() as client:
            info = {**client.get("/object_info").json(), "NewFilm": entry}
        film: list[Any] = []
        with comfystub.patch(URL, object_info=info) as stub:
            stub.add_node("Look", lambda video: film.append(video), inputs={"video": "VIDEO"})
            run(
                stub, {"x": node("NewFilm", duration=4, resolution="720p"), "l": node("Look", video=["x", 0])}
            )
        assert (film[0].images[0].size, film[0].seconds) == ((1280, 720), 4)

    def test_a_broken_graph_is_filled_up(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            graph = {"x": node("KlingImage2VideoNode", start_frame=["gone", 0], duration="ten"), **SOURCES}
            film, _, duration = (given[0] for given in watched(stub, graph))
        assert (film.images[0].size, film.seconds, duration) == ((1920, 1080), 5, "5")
