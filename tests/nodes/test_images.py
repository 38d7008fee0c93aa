"""Nodes that change pictures: their sizes, and what is seen of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from comfystub.media.pictures import Mosaic
from comfystub.nodes.catalogue import Catalogue, builtin
from nodes.graphs import Graph, graph_around, node, run, watched
from nodes.looking import BLACK, BLUE, GREEN, RED, WHITE, color, halves, looks, outputs, pixels, solid

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def empty(width: int = 40, height: int = 30, batch_size: int = 2) -> Graph:
    return node("EmptyImage", width=width, height=height, batch_size=batch_size, color=0x204060)


def sizes(
    stub: comfystub.Stub, name: str, source: Graph | None = None, **inputs: Any
) -> list[tuple[int, int]]:
    """The sizes of what a node makes of two pictures of 40 x 30."""
    key = next(
        key for key in ("image", "images", "resized_images") if key in graph_around(name)["x"]["inputs"]
    )
    graph = {**graph_around(name, **{key: ["source", 0]}, **inputs), "source": source or empty()}
    return [image.size for image in pixels(watched(stub, graph)[0][0])]


class TestSizes:
    @pytest.mark.parametrize(
        ("name", "inputs", "size"),
        [
            ("ImageScale", {"width": 10, "height": 20, "crop": "disabled"}, (10, 20)),
            ("ImageScale", {"width": 10, "height": 20, "crop": "center"}, (10, 20)),
            ("ImageScale", {"width": 0, "height": 15}, (20, 15)),
            ("ImageScale", {"width": 80, "height": 0}, (80, 60)),
            ("ImageScale", {"width": 0, "height": 0}, (40, 30)),
            ("ImageScaleBy", {"scale_by": 1.5}, (60, 45)),
            ("ImageScaleBy", {"scale_by": 0.01}, (1, 1)),
            ("ImageScaleToTotalPixels", {"megapixels": 1.0, "resolution_steps": 1}, (1182, 887)),
            ("ImageScaleToTotalPixels", {"megapixels": 0.01, "resolution_steps": 16}, (112, 96)),
            ("ImageScaleToMaxDimension", {"largest_size": 80}, (80, 60)),
            ("ResizeImagesByLongerEdge", {"longer_edge": 100}, (100, 75)),
            ("ResizeImagesByShorterEdge", {"shorter_edge": 60}, (80, 60)),
            ("FluxKontextImageScale", {}, (1184, 880)),
            ("ResizeAndPadImage", {"target_width": 100, "target_height": 30}, (100, 30)),
            ("ImageCrop", {"x": 10, "y": 5, "width": 20, "height": 8}, (20, 8)),
            ("ImageCrop", {"x": 30, "y": 20, "width": 50, "height": 50}, (10, 10)),
            ("ImageCrop", {"x": 90, "y": 90, "width": 5, "height": 5}, (1, 1)),
            ("ImageCropV2", {"crop_region": {"x": 10, "y": 5, "width": 20, "height": 8}}, (20, 8)),
            ("ImageCropV2", {"crop_region": {"x": 30, "y": 5, "width": 512, "height": 512}}, (10, 25)),
            ("CenterCropImages", {"width": 20, "height": 512}, (20, 30)),
            ("RandomCropImages", {"width": 512, "height": 7, "seed": 3}, (40, 7)),
            ("CropByBBoxes", {"bboxes": {"x": 4, "y": 4, "width": 9, "height": 9}}, (512, 512)),
            ("ImageCropToMask", {"width": 64, "height": 128}, (64, 128)),
            ("ImageFlip", {"flip_method": "x-axis: vertically"}, (40, 30)),
            ("ImageRotate", {"rotation": "none"}, (40, 30)),
            ("ImageRotate", {"rotation": "90 degrees"}, (30, 40)),
            ("ImageRotate", {"rotation": "180 degrees"}, (40, 30)),
            ("ImageRotate", {"rotation": "270 degrees"}, (30, 40)),
            ("ImagePadForOutpaint", {"left": 8, "top": 16, "right": 0, "bottom": 24}, (48, 70)),
            ("ImageUpscaleWithModel", {}, (160, 120)),
        ],
        ids=str,
    )
    def test_of_every_picture(
        self, stub: comfystub.Stub, name: str, inputs: Graph, size: tuple[int, int]
    ) -> None:
        assert sizes(stub, name, **inputs) == [size, size]

    @pytest.mark.parametrize(
        ("how", "inputs", "size"),
        [
            ("scale dimensions", {"width": 12, "height": 0, "crop": "center"}, (12, 9)),
            ("scale dimensions", {"width": 12, "height": 30, "crop": "disabled"}, (12, 30)),
            ("scale by multiplier", {"multiplier": 0.5}, (20, 15)),
            ("scale longer dimension", {"longer_size": 80}, (80, 60)),
            ("scale shorter dimension", {"shorter_size": 15}, (20, 15)),
            ("scale width", {"width": 20}, (20, 15)),
            ("scale height", {"height": 60}, (80, 60)),
            ("scale total pixels", {"megapixels": 0.25}, (591, 443)),
            ("match size", {"match": ["other", 0], "crop": "disabled"}, (11, 13)),
            ("scale to multiple", {"multiple": 16}, (32, 16)),
        ],
    )
    @pytest.mark.parametrize(("source", "kind"), [("EmptyImage", "Images"), ("SolidMask", "Masks")])
    def test_resizing_pictures_and_masks(
        self, stub: comfystub.Stub, how: str, inputs: Graph, size: tuple[int, int], source: str, kind: str
    ) -> None:
        dynamic = {f"resize_type.{name}": value for name, value in inputs.items()}
        graph = graph_around("ResizeImageMaskNode", input=["source", 0], resize_type=how, **dynamic)
        graph |= {"source": node(source, width=40, height=30, batch_size=1, color=0, value=1.0)}
        graph |= {"other": empty(11, 13)}
        [[resized]] = watched(stub, graph)
        assert (type(resized).__name__, [image.size for image in pixels(resized)]) == (kind, [size])

    @pytest.mark.parametrize(
        ("model", "factor"),
        [
            ("4x-UltraSharp.pth", 4),
            ("2x_Something.safetensors", 2),
            ("RealESRGAN_x4plus.pth", 4),
            ("RealESRGAN_x2plus.pth", 2),
            ("folder/8x_NMKD-Superscale.pth", 8),
            ("Real_HAT_GAN_SRx4.pth", 4),
            ("1x-DeJPG.pth", 1),
            ("remacri_original.pth", 4),
            ("for1024x1024.pth", 4),
        ],
    )
    def test_an_upscale_model_says_its_factor(self, stub: comfystub.Stub, model: str, factor: int) -> None:
        loader = node("UpscaleModelLoader", model_name=model)
        graph = graph_around("ImageUpscaleWithModel", image=["source", 0], upscale_model=["model", 0])
        [[images]] = watched(stub, {**graph, "model": loader, "source": empty(40, 30, 1)})
        assert images[0].size == (40 * factor, 30 * factor)

    @pytest.mark.parametrize(
        ("size", "batch", "steps"), [((512, 512), 1, 1), ((513, 100), 1, 2), ((1024, 1024), 2, 18)]
    )
    def test_upscaling_reports_every_tile(
        self, stub: comfystub.Stub, size: tuple[int, int], batch: int, steps: int
    ) -> None:
        graph = graph_around("ImageUpscaleWithModel", image=["source", 0])
        job = run(
            stub, {**graph, "source": empty(*size, batch), "save": node("PreviewImage", images=["x", 0])}
        )
        told = [event.data for event in job.events if event.type == "progress"]
        assert [one["value"] for one in told] == list(range(1, steps + 1))
        assert {one["max"] for one in told} == {steps}

    def test_a_generated_picture_stays_one_however_it_is_scaled(self, stub: comfystub.Stub) -> None:
        graph = graph_around("VAEDecode")
        graph["made"] = graph.pop("x")
        graph["twice"] = node("ImageScaleBy", image=["made", 0], upscale_method="lanczos", scale_by=2.0)
        own = {"upscale_method": "area", "width": 64, "height": 64, "crop": "center"}
        [[images]] = watched(stub, {**graph, "x": node("ImageScale", image=["twice", 0], **own)})
        assert isinstance(images[0], Mosaic) and images[0].size == (64, 64)

    def test_equal_frames_stay_one_picture(self, stub: comfystub.Stub) -> None:
        graph = {**graph_around("ImageBlur", image=["source", 0]), "source": empty(batch_size=81)}
        [[images]] = watched(stub, graph)
        assert (len(images), len({id(image) for image in images})) == (81, 1)


LEFT_TO_RIGHT = halves(RED, BLUE)


class TestTransforming:
    @pytest.mark.parametrize(
        ("name", "inputs", "corner", "opposite"),
        [
            ("ImageFlip", {"flip_method": "y-axis: horizontally"}, BLUE, RED),
            ("ImageFlip", {"flip_method": "x-axis: vertically"}, RED, BLUE),
            ("ImageRotate", {"rotation": "90 degrees"}, RED, BLUE),
            ("ImageRotate", {"rotation": "180 degrees"}, BLUE, RED),
            ("ImageRotate", {"rotation": "270 degrees"}, BLUE, RED),
            ("ImageScale", {"width": 4, "height": 6, "crop": "disabled"}, RED, BLUE),
            ("ImageCrop", {"x": 4, "y": 0, "width": 4, "height": 4}, BLUE, BLUE),
            ("CenterCropImages", {"width": 2, "height": 2}, RED, BLUE),
            ("ResizeAndPadImage", {"target_width": 16, "target_height": 6}, WHITE, WHITE),
            (
                "ResizeAndPadImage",
                {"target_width": 8, "target_height": 9, "padding_color": "black"},
                BLACK,
                BLACK,
            ),
        ],
        ids=str,
    )
    def test_what_is_in_the_corners(
        self, stub: comfystub.Stub, name: str, inputs: Graph, corner: Any, opposite: Any
    ) -> None:
        key = "images" if "images" in graph_around(name)["x"]["inputs"] else "image"
        [image] = looks(stub, name, **{key: LEFT_TO_RIGHT}, upscale_method="nearest-exact", **inputs)
        assert (color(image), color(image, -1 + image.width, -1 + image.height)) == (corner, opposite)

    def test_a_quarter_turn_is_clockwise(self, stub: comfystub.Stub) -> None:
        [image] = looks(stub, "ImageRotate", image=LEFT_TO_RIGHT, rotation="90 degrees")
        assert (color(image, 0, 0), color(image, 0, 7)) == (RED, BLUE)
        top = halves(RED, BLUE).transpose(Image.Transpose.ROTATE_270)
        assert image.tobytes() == top.tobytes()

    def test_a_random_crop_follows_from_its_seed(self, stub: comfystub.Stub) -> None:
        picture = Image.linear_gradient("L").convert("RGB")

        def crop(seed: int) -> bytes:
            [image] = looks(stub, "RandomCropImages", images=picture, width=16, height=16, seed=seed)
            return image.tobytes()

        assert crop(1) == crop(1)
        assert len({crop(seed) for seed in range(5)}) > 1

    def test_image_crop_v2_shows_the_picture_that_it_cuts(self, stub: comfystub.Stub) -> None:
        region = {"x": 0, "y": 0, "width": 2, "height": 2}
        graph = graph_around("ImageCropV2", image=["source", 0], crop_region=region)
        job = run(stub, {**graph, "source": empty(40, 30, 1), "end": node("PreviewAny", source=["x", 0])})
        [output] = job.outputs
        assert (output.node_id, output.type, output.image.size) == ("x", "temp", (40, 30))

    @pytest.mark.parametrize(
        ("boxes", "seen"),
        [
            ({"x": 0, "y": 0, "width": 4, "height": 6}, [{RED}, {RED}]),
            ([{"x": 4, "y": 0, "width": 4, "height": 6}], [{BLUE}, {BLUE}]),
            (
                [[{"x": 0, "y": 0, "width": 4, "height": 6}], [{"x": 4, "y": 0, "width": 4, "height": 6}]],
                [{RED}, {BLUE}],
            ),
            (
                [{"x": 0, "y": 0, "width": 1, "height": 1}, {"x": 7, "y": 5, "width": 1, "height": 1}],
                [{RED, BLUE}] * 2,
            ),
            ([], [{RED, BLUE}] * 2),
        ],
        ids=str,
    )
    def test_crops_of_boxes(self, stub: comfystub.Stub, boxes: Any, seen: list[set[Any]]) -> None:
        images = looks(
            stub,
            "CropByBBoxes",
            image=[LEFT_TO_RIGHT] * 2,
            bboxes={"__value__": boxes},
            output_width=64,
            output_height=64,
        )
        assert [image.size for image in images] == [(64, 64)] * 2
        assert [{color(image, 0, 0), color(image, 63, 63)} for image in images] == seen

    def test_a_crop_of_a_mask_has_its_subject_in_the_middle(self, stub: comfystub.Stub) -> None:
        mask = Image.new("L", (64, 64))
        mask.paste(255, (40, 8, 56, 24))
        picture = solid(GREEN, (64, 64))
        picture.paste(RED, (40, 8, 56, 24))
        [image] = looks(
            stub,
            "ImageCropToMask",
            images=picture,
            masks=mask,
            width=64,
            height=64,
            pad_factor=2.0,
            background="#0000ff",
        )
        assert image.size == (64, 64)
        assert [color(image, *at) for at in ((32, 32), (18, 18), (45, 45), (2, 2), (61, 61))] == [
            RED,
            RED,
            RED,
            BLUE,
            BLUE,
        ]

    def test_padding_for_outpainting(self, stub: comfystub.Stub) -> None:
        sides = {"left": 8, "top": 16, "right": 0, "bottom": 24, "feathering": 0}
        images, masks = map(
            pixels, outputs(stub, "ImagePadForOutpaint", image=[solid(RED, (40, 30))] * 2, **sides)
        )
        assert [image.size for image in images + masks] == [(48, 70)] * 3
        assert [color(image) for image in images] == [(127,) * 3] * 2
        assert (color(images[0], 8, 16), color(masks[0]), color(masks[0], 8, 16)) == (RED, WHITE, BLACK)

    def test_what_would_fade_over_more_than_half_of_it_does_not(self, stub: comfystub.Stub) -> None:
        sides = {"left": 8, "top": 0, "right": 0, "bottom": 0, "feathering": 20}
        [mask] = looks(stub, "ImagePadForOutpaint", 1, image=solid(RED, (40, 40)), **sides)
        assert [color(mask, x, 20)[0] for x in (7, 8)] == [255, 0]

    def test_the_mask_fades_into_the_picture_from_padded_sides_alone(self, stub: comfystub.Stub) -> None:
        picture = solid(RED, (40, 40))
        sides = {"left": 8, "top": 0, "right": 0, "bottom": 0, "feathering": 10}
        [mask] = looks(stub, "ImagePadForOutpaint", 1, image=picture, **sides)
        levels = [color(mask, x, 20)[0] for x in range(48)]
        assert levels[:9] == [255] * 9
        assert levels[9:18] == sorted(levels[9:18], reverse=True) and 0 < levels[13] < 255
        assert levels[18:] == [0] * 30


class TestStitching:
    @pytest.mark.parametrize(
        ("inputs", "size", "corner", "opposite"),
        [
            ({"direction": "right"}, (20, 6), RED, BLUE),
            ({"direction": "left"}, (20, 6), BLUE, RED),
            ({"direction": "down"}, (8, 10), RED, BLUE),
            ({"direction": "up"}, (8, 10), BLUE, RED),
            ({"direction": "right", "match_image_size": False}, (24, 8), WHITE, BLUE),
            (
                {"direction": "down", "match_image_size": False, "spacing_color": "black"},
                (16, 14),
                BLACK,
                BLUE,
            ),
            ({"direction": "right", "spacing_width": 3}, (24, 6), RED, BLUE),
            ({"direction": "down", "spacing_width": 4}, (8, 14), RED, BLUE),
        ],
        ids=str,
    )
    def test_two_pictures(
        self, stub: comfystub.Stub, inputs: Graph, size: tuple[int, int], corner: Any, opposite: Any
    ) -> None:
        [image] = looks(stub, "ImageStitch", image1=solid(RED, (8, 6)), image2=solid(BLUE, (16, 8)), **inputs)
        assert image.size == size
        assert (color(image), color(image, size[0] - 1, size[1] - 1)) == (corner, opposite)

    def test_the_gap_has_its_colour(self, stub: comfystub.Stub) -> None:
        pictures = {"image1": solid(RED), "image2": solid(BLUE)}
        [image] = looks(
            stub, "ImageStitch", **pictures, direction="right", spacing_width=4, spacing_color="green"
        )
        assert [color(image, x, 0) for x in (7, 8, 11, 12)] == [RED, (0, 128, 0), (0, 128, 0), BLUE]

    def test_without_a_second_picture_it_is_the_first(self, stub: comfystub.Stub) -> None:
        assert color(looks(stub, "ImageStitch", image1=solid(GREEN))[0]) == GREEN

    def test_the_last_picture_of_the_smaller_batch_stays(self, stub: comfystub.Stub) -> None:
        pictures = {"image1": [solid(RED), solid(GREEN)], "image2": solid(BLUE)}
        images = looks(stub, "ImageStitch", **pictures, direction="right")
        assert [(color(image), color(image, 15, 0)) for image in images] == [(RED, BLUE), (GREEN, BLUE)]


class TestSeedVR2:
    @pytest.mark.parametrize(("count", "padded"), [(1, 1), (2, 5), (5, 5), (6, 9)])
    def test_it_is_padded_for_the_model(self, stub: comfystub.Stub, count: int, padded: int) -> None:
        assert sizes(stub, "SeedVR2Preprocess", empty(40, 30, count)) == [(48, 32)] * padded

    @pytest.mark.parametrize("method", ["none", "lab", "adain"])
    def test_and_cut_back_in_the_colours_of_the_original(self, stub: comfystub.Stub, method: str) -> None:
        padded, original = [solid(RED, (48, 32))] * 5, [solid(BLUE, (40, 31))] * 2
        images = looks(
            stub,
            "SeedVR2PostProcessing",
            images=padded,
            original_resized_images=original,
            color_correction_method=method,
        )
        assert [image.size for image in images] == [(40, 30)] * 2
        assert color(images[0]) == (RED if method == "none" else BLUE)

    def test_what_was_transparent_is_so_again(self, stub: comfystub.Stub) -> None:
        graph = graph_around(
            "SeedVR2PostProcessing", images=["made", 0], original_resized_images=["joined", 0]
        )
        graph["joined"] = node("JoinImageWithAlpha", image=["made", 0], alpha=["mask", 0])
        graph |= {"mask": node("SolidMask", value=1.0, width=40, height=30), "made": empty()}
        assert [image.mode for image in pixels(watched(stub, graph)[0][0])] == ["RGBA"] * 2


#: Classes that cannot do without a file, or without being told what to do.
WANTING = ("LoadImage", "WebcamCapture", "ResizeImageMaskNode", "SAM3_VideoTrack")


@pytest.mark.parametrize("linked", [False, True])
def test_unjudged_nodes_do_with_what_there_is(linked: bool) -> None:
    problems = {}
    with comfystub.patch(URL, validate=False) as stub, stub.client() as client:
        for name in Catalogue():
            node_class = builtin(name)
            assert node_class is not None
            if name.startswith(WANTING) or not node_class.entry["category"].startswith("image"):
                continue
            links = {one.name: ["gone", 0] for one in node_class.inputs({})} if linked else {}
            graph = {"x": node(name, **links), "end": node("PreviewImage", images=["x", 0])}
            client.post("/prompt", json={"prompt": graph})
            if (error := stub.jobs[-1].error) is not None:
                problems[name] = error["exception_message"]
    assert problems == {}
