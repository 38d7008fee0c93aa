"""Masks: where they are white, and which size they have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PIL import Image

import comfystub
from comfystub.media.pictures import Solid
from nodes.graphs import Graph, graph_around, node, run, watched
from nodes.looking import color, halves, looks, outputs, pixels, solid

URL = "http://comfy.test:8188"
#: White in the left half.
LEFT = halves(255, 0, mode="L")


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def levels(image: Image.Image, y: int = 0) -> list[int]:
    """How white a line of a mask is, from left to right."""
    return [color(image, x, y)[0] for x in range(image.width)]


def dot(size: int = 15) -> Image.Image:
    """A mask with one white pixel in its middle."""
    mask = Image.new("L", (size, size))
    mask.putpixel((size // 2, size // 2), 255)
    return mask


class TestMaking:
    @pytest.mark.parametrize(("value", "level"), [(1.0, 255), (0.0, 0), (0.5, 127), (0.25, 63)])
    def test_solid_masks(self, stub: comfystub.Stub, value: float, level: int) -> None:
        [mask] = outputs(stub, "SolidMask", value=value, width=30, height=20)[0]
        assert isinstance(mask, Solid)  # which needs no pixels
        assert mask.pixels().getcolors() == [(600, (level,) * 3)]

    @pytest.mark.parametrize(
        ("channel", "level"), [("red", 200), ("green", 100), ("blue", 50), ("alpha", 255)]
    )
    def test_of_a_channel_of_pictures(self, stub: comfystub.Stub, channel: str, level: int) -> None:
        masks = looks(stub, "ImageToMask", image=[solid((200, 100, 50))] * 2, channel=channel)
        assert [levels(mask) for mask in masks] == [[level] * 8] * 2

    def test_of_the_alpha_of_a_picture(self, stub: comfystub.Stub) -> None:
        graph = graph_around("ImageToMask", image=["joined", 0], channel="alpha")
        graph["joined"] = graph_around("JoinImageWithAlpha", image=["source", 0], alpha=["mask", 0])["x"]
        graph["source"] = node("EmptyImage", width=8, height=6, batch_size=1, color=0)
        graph["mask"] = node("SolidMask", value=0.25, width=8, height=6)
        assert levels(pixels(watched(stub, graph)[0][0])[0]) == [192] * 8

    def test_of_a_colour(self, stub: comfystub.Stub) -> None:
        picture = halves((0x20, 0x40, 0x60), (0x20, 0x40, 0x61))
        [mask] = looks(stub, "ImageColorToMask", image=picture, color=0x204060)
        assert levels(mask) == [255] * 4 + [0] * 4

    def test_as_pictures(self, stub: comfystub.Stub) -> None:
        images = looks(stub, "MaskToImage", mask=[LEFT, dot(15)])
        assert [(image.mode, image.size) for image in images] == [("RGB", (8, 6))] * 2
        assert levels(images[0]) == [255] * 4 + [0] * 4


class TestLoading:
    @pytest.mark.parametrize(
        ("channel", "level"), [("red", 200), ("green", 100), ("blue", 50), ("alpha", 255 - 64)]
    )
    def test_a_channel_of_a_file(self, stub: comfystub.Stub, channel: str, level: int) -> None:
        Image.new("RGBA", (9, 7), (200, 100, 50, 64)).save(stub.input_dir / "a.png")
        [mask] = looks(stub, "LoadImageMask", image="a.png", channel=channel)
        assert (mask.size, levels(mask)) == ((9, 7), [level] * 9)

    def test_the_alpha_of_a_file_without_is_empty(self, stub: comfystub.Stub) -> None:
        solid().save(stub.input_dir / "a.png")
        [mask] = looks(stub, "LoadImageMask", image="a.png", channel="alpha")
        assert (mask.size, mask.getcolors()) == ((64, 64), [(64 * 64, (0, 0, 0))])

    def test_a_file_that_is_not_there_is_refused(self, stub: comfystub.Stub) -> None:
        graph = {**graph_around("LoadImageMask", image="gone.png"), "p": node("MaskPreview", mask=["x", 0])}
        with stub.client() as client:
            answer = client.post("/prompt", json={"prompt": graph})
        assert (
            answer.json()["node_errors"]["x"]["errors"][0]["details"]
            == "image - Invalid image file: gone.png"
        )


class TestChanging:
    @pytest.mark.parametrize(
        ("name", "inputs", "line"),
        [
            ("InvertMask", {}, [0] * 4 + [255] * 4),
            ("ThresholdMask", {"value": 0.5}, [255] * 4 + [0] * 4),
            ("ThresholdMask", {"value": 1.0}, [0] * 8),
            ("GrowMask", {"expand": 2}, [255] * 6 + [0] * 2),
            ("GrowMask", {"expand": -1}, [255] * 3 + [0] * 5),
            ("GrowMask", {"expand": 16384}, [255] * 8),
            ("GrowMask", {"expand": 0}, [255] * 4 + [0] * 4),
            ("FeatherMask", {"left": 4}, [63, 127, 191, 255] + [0] * 4),
            ("FeatherMask", {"right": 8}, [255, 223, 191, 159] + [0] * 4),
            ("FeatherMask", {"top": 2}, [127] * 4 + [0] * 4),
            ("CropMask", {"x": 3, "y": 0, "width": 2, "height": 6}, [255, 0]),
            ("CropMask", {"x": 6, "y": 0, "width": 512, "height": 512}, [0, 0]),
            ("VOIDQuadmaskPreprocess", {}, [0] * 4 + [255] * 4),
            ("VOIDQuadmaskPreprocess", {"dilate_width": 2}, [0] * 2 + [255] * 6),
        ],
        ids=str,
    )
    def test_every_mask_of_a_batch(
        self, stub: comfystub.Stub, name: str, inputs: Graph, line: list[int]
    ) -> None:
        masks = looks(stub, name, mask=[LEFT, LEFT], **inputs)
        assert [levels(mask) for mask in masks] == [line] * 2

    @pytest.mark.parametrize(("tapered", "corner"), [(True, 0), (False, 255)])
    def test_corners_are_tapered(self, stub: comfystub.Stub, tapered: bool, corner: int) -> None:
        [mask] = looks(stub, "GrowMask", mask=dot(), expand=3, tapered_corners=tapered)
        assert [levels(mask, 7)[x] for x in (3, 4, 10, 11)] == [0, 255, 255, 0]
        assert levels(mask, 4)[4] == corner

    def test_a_quadmask_has_four_levels(self, stub: comfystub.Stub) -> None:
        ramp = Image.linear_gradient("L").rotate(90)
        [mask] = looks(stub, "VOIDQuadmaskPreprocess", mask=ramp)
        assert sorted(level[0] for _, level in mask.getcolors()) == [0, 128, 192, 255]

    def test_a_mask_that_nobody_looks_at_is_not_drawn(self, stub: comfystub.Stub) -> None:
        [mask] = outputs(stub, "GrowMask", mask=LEFT, expand=3)[0]
        assert callable(mask._state)
        assert mask.pixels() is not None and not callable(mask._state)


class TestTogether:
    @pytest.mark.parametrize(
        ("operation", "line"),
        [
            ("multiply", [0, 0, 255, 255, 0, 0, 0, 0]),
            ("add", [255] * 6 + [0] * 2),
            ("subtract", [255, 255, 0, 0, 0, 0, 0, 0]),
            ("and", [0, 0, 255, 255, 0, 0, 0, 0]),
            ("or", [255] * 6 + [0] * 2),
            ("xor", [255, 255, 0, 0, 255, 255, 0, 0]),
        ],
    )
    def test_operations(self, stub: comfystub.Stub, operation: str, line: list[int]) -> None:
        source = Image.new("L", (8, 6))
        source.paste(255, (2, 0, 6, 6))
        masks = looks(stub, "MaskComposite", destination=[LEFT, LEFT], source=source, operation=operation)
        assert [levels(mask) for mask in masks] == [line] * 2

    @pytest.mark.parametrize(
        ("place", "line"),
        [
            ((6, 0), [255] * 4 + [0] * 2 + [255] * 2),
            ((8, 0), [255] * 4 + [0] * 4),
            ((0, 1), [255] * 4 + [0] * 4),
        ],
    )
    def test_the_source_lies_somewhere(
        self, stub: comfystub.Stub, place: tuple[int, int], line: list[int]
    ) -> None:
        source = solid(255, mode="L")
        own = {"x": place[0], "y": place[1], "operation": "add"}
        assert levels(looks(stub, "MaskComposite", destination=LEFT, source=source, **own)[0]) == line

    def test_a_batch_has_the_size_of_its_first_mask(self, stub: comfystub.Stub) -> None:
        masks = looks(
            stub, "BatchMasksNode", **{"masks.mask0": LEFT, "masks.mask1": solid(255, (40, 40), "L")}
        )
        assert [mask.size for mask in masks] == [(8, 6)] * 2
        assert levels(masks[1]) == [255] * 8


class TestPreview:
    def test_a_preview_goes_to_the_temp_folder_in_colour(self, stub: comfystub.Stub) -> None:
        LEFT.save(stub.input_dir / "m.png")
        graph = {
            "m": node("LoadImageMask", image="m.png", channel="red"),
            "p": node("MaskPreview", mask=["m", 0]),
        }
        job = run(stub, graph)
        [output] = job.outputs
        assert (output.type, output.kind, output.path.parent) == ("temp", "images", stub.temp_dir)
        assert output.filename.startswith("ComfyUI_temp_")
        assert (output.image.mode, levels(output.image)) == ("RGB", [255] * 4 + [0] * 4)
        assert "prompt" in output.image.info

    def test_it_passes_the_mask_on(self, stub: comfystub.Stub) -> None:
        assert levels(looks(stub, "MaskPreview", mask=LEFT)[0]) == [255] * 4 + [0] * 4
