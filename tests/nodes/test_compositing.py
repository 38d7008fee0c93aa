"""Pictures on other pictures: what is seen of each, and of what is seen through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from nodes.graphs import Graph, graph_around, node, run, watched
from nodes.looking import BLACK, BLUE, GREEN, RED, color, graph_of, halves, looks, outputs, pixels, solid

URL = "http://comfy.test:8188"
#: White in the left half.
LEFT = halves(255, 0, mode="L")


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def levels(image: Image.Image) -> list[int]:
    """How white the first line of a mask is, from left to right."""
    return [color(image, x)[0] for x in range(image.width)]


class TestCompositing:
    @pytest.mark.parametrize(
        ("inputs", "line"),
        [
            ({"x": 0, "y": 0}, [BLUE] * 4 + [RED] * 4),
            ({"x": 6, "y": 0}, [RED] * 6 + [BLUE] * 2),
            ({"x": 0, "y": 3}, [RED] * 8),
            ({"x": 100, "y": 100}, [RED] * 8),
            ({"x": 0, "y": 0, "resize_source": True}, [BLUE] * 8),
            ({"x": 0, "y": 0, "mask": halves(255, 0, (4, 3), "L")}, [BLUE] * 2 + [RED] * 6),
            ({"x": 0, "y": 0, "resize_source": True, "mask": LEFT}, [BLUE] * 4 + [RED] * 4),
        ],
    )
    def test_a_picture_on_every_picture(self, stub: comfystub.Stub, inputs: Graph, line: list[Any]) -> None:
        pictures = {"destination": [solid(RED)] * 2, "source": solid(BLUE, (4, 3))}
        images = looks(stub, "ImageCompositeMasked", **pictures, **inputs)
        assert [[color(image, x) for x in range(8)] for image in images] == [line] * 2

    def test_alpha_is_joined_saved_and_split_again(self, stub: comfystub.Stub) -> None:
        graph = graph_around("SplitImageWithAlpha", image=["joined", 0])
        LEFT.save(stub.input_dir / "m.png")
        graph["mask"] = node("LoadImageMask", image="m.png", channel="red")
        graph["source"] = node("EmptyImage", width=8, height=6, batch_size=2, color=0x00FF00)
        graph["joined"] = node("JoinImageWithAlpha", image=["source", 0], alpha=["mask", 0])
        graph["save"] = node("SaveImage", images=["joined", 0], filename_prefix="p")
        [images], [masks] = watched(stub, graph)
        saved = [output.image for output in stub.jobs[-1].outputs]
        assert [(image.mode, color(image), color(image, 7)) for image in saved] == [
            ("RGBA", (*GREEN, 0), (*GREEN, 255))
        ] * 2
        assert [(image.mode, color(image)) for image in pixels(images)] == [("RGB", GREEN)] * 2
        assert [levels(mask) for mask in pixels(masks)] == [[255] * 4 + [0] * 4] * 2

    def test_an_opaque_picture_has_an_empty_mask(self, stub: comfystub.Stub) -> None:
        assert levels(looks(stub, "SplitImageWithAlpha", 1, image=solid())[0]) == [0] * 8

    @pytest.mark.parametrize(
        ("mode", "colors", "alphas"),
        [
            ("CLEAR", [None] * 4, [0, 0, 0, 0]),
            ("SRC", [RED, None, RED, None], [255, 0, 255, 0]),
            ("DST", [BLUE, BLUE, None, None], [255, 255, 0, 0]),
            ("SRC_OVER", [RED, BLUE, RED, None], [255, 255, 255, 0]),
            ("DST_OVER", [BLUE, BLUE, RED, None], [255, 255, 255, 0]),
            ("SRC_IN", [RED, None, None, None], [255, 0, 0, 0]),
            ("DST_IN", [BLUE, None, None, None], [255, 0, 0, 0]),
            ("SRC_OUT", [None, None, RED, None], [0, 0, 255, 0]),
            ("DST_OUT", [None, BLUE, None, None], [0, 255, 0, 0]),
            ("SRC_ATOP", [RED, BLUE, None, None], [255, 255, 0, 0]),
            ("DST_ATOP", [BLUE, None, RED, None], [255, 0, 255, 0]),
            ("XOR", [None, BLUE, RED, None], [0, 255, 255, 0]),
            ("ADD", [(255, 0, 255), BLUE, RED, None], [255, 255, 255, 0]),
            ("MULTIPLY", [(0, 0, 0), None, None, None], [255, 0, 0, 0]),
            ("SCREEN", [(255, 0, 255), BLUE, RED, None], [255, 255, 255, 0]),
            ("DARKEN", [(0, 0, 0), BLUE, RED, None], [255, 255, 255, 0]),
            ("LIGHTEN", [(255, 0, 255), BLUE, RED, None], [255, 255, 255, 0]),
            ("OVERLAY", [BLUE, None, None, None], [255, 255, 255, 0]),
        ],
    )
    def test_porter_duff(self, stub: comfystub.Stub, mode: str, colors: list[Any], alphas: list[int]) -> None:
        """At four places: where both are, the destination alone, the source alone, and neither."""
        source_alpha, destination_alpha = Image.new("L", (4, 1)), Image.new("L", (4, 1))
        for x in (0, 2):
            source_alpha.putpixel((x, 0), 255)
        for x in (0, 1):
            destination_alpha.putpixel((x, 0), 255)
        [image], [mask] = map(
            pixels,
            outputs(
                stub,
                "PorterDuffImageComposite",
                source=solid(RED, (4, 1)),
                source_alpha=source_alpha,
                destination=solid(BLUE, (4, 1)),
                destination_alpha=destination_alpha,
                mode=mode,
            ),
        )
        assert levels(mask) == alphas
        seen = [color(image, x) if wanted else None for x, wanted in enumerate(colors)]
        assert seen == colors

    def test_half_of_one_over_the_other(self, stub: comfystub.Stub) -> None:
        pictures = {"source": solid((200, 0, 0)), "destination": solid((0, 200, 0), (30, 30))}
        alphas = {"source_alpha": solid(128, mode="L"), "destination_alpha": solid(255, mode="L")}
        [image] = looks(stub, "PorterDuffImageComposite", **pictures, **alphas, mode="SRC_OVER")
        assert image.size == (8, 6)
        assert all(abs(a - b) <= 2 for a, b in zip(color(image), (100, 100, 0)))


def layered(stub: comfystub.Stub, *layers: Graph, **compositor: Any) -> tuple[Image.Image, Image.Image]:
    """The picture of layers, whose colours are saved as pictures of 8 x 6, and its mask."""
    graph: Graph = {"x": node("ImageCompositor", layers=["layer0", 0], compositor=compositor)}
    for number, layer in enumerate(layers):
        picture = layer.get("image", solid(RED))
        picture.save(stub.input_dir / f"l{number}.png")
        graph[f"image{number}"] = node("LoadImage", image=f"l{number}.png")
        own = {**layer, "image": [f"image{number}", 0]}
        if number:
            own["layers"] = [f"layer{number - 1}", 0]
        if isinstance(layer.get("mask"), Image.Image):
            layer["mask"].save(stub.input_dir / f"m{number}.png")
            graph[f"mask{number}"] = node("LoadImageMask", image=f"m{number}.png", channel="red")
            own["mask"] = [f"mask{number}", 0]
        graph[f"layer{number}"] = node("AddLayer", **own)
        graph["x"]["inputs"]["layers"] = [f"layer{number}", 0]
    [[images], [masks]] = watched(stub, graph)
    [image], [mask] = pixels(images), pixels(masks)
    return image, mask


class TestLayers:
    def test_they_lie_on_top_of_each_other(self, stub: comfystub.Stub) -> None:
        image, mask = layered(stub, {"image": solid(RED)}, {"image": solid(BLUE, (4, 3)), "x": 2, "y": 1})
        assert (image.mode, image.size, mask.getcolors()) == ("RGB", (8, 6), [(48, BLACK)])
        assert [color(image, *at) for at in ((0, 0), (2, 1), (5, 3), (6, 4))] == [RED, BLUE, BLUE, RED]

    @pytest.mark.parametrize(
        ("layer", "size"),
        [
            ({"x": 10, "y": 4}, (18, 10)),
            ({"width": 30, "height": 20}, (30, 20)),
            ({"width": 30}, (30, 6)),
            ({"x": -20, "y": -20}, (1, 1)),
        ],
        ids=str,
    )
    def test_the_picture_reaches_as_far_as_they_do(
        self, stub: comfystub.Stub, layer: Graph, size: tuple[int, int]
    ) -> None:
        image, mask = layered(stub, layer)
        assert (image.size, mask.size) == (size, size)

    def test_where_nothing_lies_it_is_transparent(self, stub: comfystub.Stub) -> None:
        image, mask = layered(stub, {"image": solid(RED), "x": 8})
        assert (image.mode, color(image), color(image, 8)) == ("RGBA", (0, 0, 0, 0), (*RED, 255))
        assert levels(mask) == [255] * 8 + [0] * 8

    def test_a_mask_is_seen_through(self, stub: comfystub.Stub) -> None:
        image, mask = layered(stub, {"image": solid(RED)}, {"image": solid(BLUE), "mask": LEFT})
        assert ([color(image, x) for x in (0, 7)], levels(mask)) == ([RED, BLUE], [0] * 8)

    @pytest.mark.parametrize(
        ("upper", "corner", "opposite"),
        [
            ({}, GREEN, BLUE),
            ({"z_index": -1}, RED, RED),
            ({"opacity": 0.0}, RED, RED),
            ({"flip_h": True}, BLUE, GREEN),
            ({"flip_v": True}, GREEN, BLUE),
            ({"rotation": 180.0}, BLUE, GREEN),
            ({"blend_mode": "multiply"}, BLACK, BLACK),
            ({"blend_mode": "screen"}, (255, 255, 0), (255, 0, 255)),
        ],
        ids=str,
    )
    def test_what_a_layer_says(self, stub: comfystub.Stub, upper: Graph, corner: Any, opposite: Any) -> None:
        image, _ = layered(stub, {"image": solid(RED)}, {"image": halves(GREEN, BLUE), **upper})
        assert (color(image, 0, 3), color(image, 7, 3)) == (corner, opposite)

    def test_half_opaque(self, stub: comfystub.Stub) -> None:
        image, _ = layered(stub, {"image": solid(RED)}, {"image": solid(BLUE), "opacity": 0.5})
        assert all(abs(a - b) <= 2 for a, b in zip(color(image), (127, 0, 128)))

    def test_a_blending_layer_with_nothing_below_is_not_seen(self, stub: comfystub.Stub) -> None:
        _, mask = layered(stub, {"image": solid(RED), "blend_mode": "multiply"})
        assert levels(mask) == [255] * 8

    def test_a_batch_is_as_many_layers(self, stub: comfystub.Stub) -> None:
        graph = {
            "x": node("ImageCompositor", layers=["layer", 0], compositor={}),
            "layer": node("AddLayer", image=["batch", 0]),
            "batch": node("EmptyImage", width=8, height=6, batch_size=51, color=0),
        }
        with stub.client() as client:
            client.post("/prompt", json={"prompt": graph})
        error = stub.jobs[-1].error
        assert error is not None and "51 layers" in error["exception_message"]

    def test_the_result_is_shown(self, stub: comfystub.Stub) -> None:
        layered(stub, {"image": solid(RED)})
        [output] = stub.jobs[-1].outputs
        assert (output.type, output.kind, output.image.size) == ("temp", "images", (8, 6))


class TestLayersFromBoxes:
    @pytest.mark.parametrize(
        ("boxes", "inputs", "size", "seen"),
        [
            ([{"x": 0, "y": 0}, {"x": 8, "y": 0}], {}, (16, 6), {(0, 0): RED, (15, 5): BLUE}),
            ([{"x": 0, "y": 0}], {}, (8, 6), {(0, 0): BLUE}),
            (
                [{"x": 0, "y": 0, "width": 16, "height": 12}, {"x": 4, "y": 4, "width": 2, "height": 2}],
                {},
                (16, 12),
                {(0, 0): RED, (4, 4): BLUE, (6, 6): RED},
            ),
            (
                '[{"x": 8, "y": 6}, {"x": 0, "y": 0}]',
                {},
                (16, 12),
                {(0, 0): (*BLUE, 255), (15, 11): (*RED, 255)},
            ),
            (
                [{"x": 0, "y": 0}],
                {"canvas_width": 100, "canvas_height": 50},
                (100, 50),
                {(0, 0): (*BLUE, 255)},
            ),
            (
                [{"bbox": [500, 500, 1000, 1000]}, {"bbox": [0, 0, 100, 100]}],
                {"canvas_width": 100, "canvas_height": 50},
                (100, 50),
                {(99, 49): (*RED, 255), (9, 4): (*BLUE, 255), (20, 20): (0, 0, 0, 0)},
            ),
            (
                [
                    {
                        "x": 2,
                        "y": 0,
                        "metadata": {"content_rect": {"x": 2, "y": 2, "width": 4, "height": 2}, "z_index": 5},
                    }
                ],
                {},
                (8, 6),
                {(0, 0): BLUE, (4, 2): RED, (7, 3): RED, (4, 4): BLUE},
            ),
        ],
    )
    def test_pictures_lie_where_their_boxes_say(
        self, stub: comfystub.Stub, boxes: Any, inputs: Graph, size: tuple[int, int], seen: dict[Any, Any]
    ) -> None:
        given = boxes if isinstance(boxes, str) else {"__value__": boxes}
        graph = graph_of(
            stub, "LayersFromBoundingBoxes", image=[solid(RED), solid(BLUE)], bboxes=given, **inputs
        )
        graph["layers"] = graph.pop("x")
        [[images], _] = watched(
            stub, {**graph, "x": node("ImageCompositor", layers=["layers", 0], compositor={})}
        )
        [image] = pixels(images)
        assert image.size == size
        assert {at: color(image, *at) for at in seen} == seen

    def test_masks_are_cut_as_their_pictures_are(self, stub: comfystub.Stub) -> None:
        content = {"x": 4, "y": 0, "width": 4, "height": 6}
        box = {"__value__": [{"x": 0, "y": 0, "metadata": {"content_rect": content}}]}
        graph = graph_of(stub, "LayersFromBoundingBoxes", image=solid(BLUE), bboxes=box, mask=LEFT)
        graph["layers"] = graph.pop("x")
        compositor = node("ImageCompositor", layers=["layers", 0], compositor={})
        _, [masks] = watched(stub, {**graph, "x": compositor})
        assert levels(pixels(masks)[0]) == [255] * 4 + [0] * 4

    def test_they_lie_above_a_stack(self, stub: comfystub.Stub) -> None:
        graph = graph_of(
            stub, "LayersFromBoundingBoxes", image=solid(BLUE), bboxes={"__value__": [{"x": 0, "y": 0}]}
        )
        graph["boxes"] = graph.pop("x")
        graph["boxes"]["inputs"]["layers"] = ["below", 0]
        graph["below"] = node("AddLayer", image=["empty", 0], z_index=7)
        graph["empty"] = node("EmptyImage", width=9, height=9, batch_size=1, color=0xFF0000)
        [[images], _] = watched(
            stub, {**graph, "x": node("ImageCompositor", layers=["boxes", 0], compositor={})}
        )
        [image] = pixels(images)
        assert (color(image), color(image, 8, 8)) == (BLUE, RED)


class TestComparing:
    def test_each_side_has_its_own_list(self, stub: comfystub.Stub) -> None:
        one, two = (node("EmptyImage", width=side, height=8, batch_size=2, color=0) for side in (16, 24))
        graph = {
            "1": one,
            "2": two,
            "x": node("ImageCompare", image_a=["1", 0], image_b=["2", 0], compare_view={}),
        }
        job = run(stub, graph)
        assert [(output.kind, output.type, output.image.size) for output in job.outputs] == [
            ("a_images", "temp", (16, 8)),
            ("a_images", "temp", (16, 8)),
            ("b_images", "temp", (24, 8)),
            ("b_images", "temp", (24, 8)),
        ]
        assert len({output.filename for output in job.outputs}) == 4

    def test_a_side_without_a_picture_is_empty(self, stub: comfystub.Stub) -> None:
        one = node("EmptyImage", width=8, height=8, batch_size=1, color=0)
        job = run(stub, {"1": one, "x": node("ImageCompare", image_b=["1", 0], compare_view={})})
        assert {key: len(entries) for key, entries in job.ui["x"].items()} == {"a_images": 0, "b_images": 1}
