"""What output nodes leave: files, what lies in them, and what a client is shown of them."""

from __future__ import annotations

import datetime
import json
import struct
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

import comfystub
from comfystub.nodes.values import Svg
from nodes.graphs import Graph, graph_around, node, run

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def empty(width: int = 40, height: int = 30, batch_size: int = 1, color: int = 0x204060) -> Graph:
    return node("EmptyImage", width=width, height=height, batch_size=batch_size, color=color)


def saved(stub: comfystub.Stub, prefix: str = "p", **nodes: Graph) -> list[Image.Image]:
    """The pictures that a graph saves; ``x`` is the node whose pictures are saved."""
    graph = {**nodes, "save": node("SaveImage", images=["x", 0], filename_prefix=prefix)}
    return [output.image for output in run(stub, graph).outputs]


class TestSaving:
    def test_the_png_carries_the_prompt_and_the_workflow(self, stub: comfystub.Stub) -> None:
        extra = {"extra_pnginfo": {"workflow": {"nodes": ["ü", "狐"]}}}
        graph = {"x": empty(), "save": node("SaveImage", images=["x", 0], filename_prefix="p")}
        with stub.client() as client:
            client.post("/prompt", json={"prompt": graph, "extra_data": extra})
        texts = stub.outputs[0].image.text  # type: ignore[attr-defined]
        assert json.loads(texts["prompt"]) == graph
        assert json.loads(texts["workflow"]) == {"nodes": ["ü", "狐"]}

    def test_the_counter_goes_on_from_what_lies_in_the_folder(self, stub: comfystub.Stub) -> None:
        for name in ("p_00007_.webp", "p_9_x.txt", "p_x_.png", "q_00050_.png"):
            (stub.output_dir / name).touch()
        (stub.output_dir / "p_12_folder").mkdir()
        saved(stub, x=empty())
        assert stub.outputs[0].filename == "p_00013_.png"

    def test_a_file_that_was_deleted_gives_its_number_back(self, stub: comfystub.Stub) -> None:
        saved(stub, x=empty())
        stub.outputs[0].path.unlink()
        saved(stub, x=empty(color=1))
        assert stub.outputs[1].filename == "p_00001_.png"

    def test_tokens_in_the_prefix(self, stub: comfystub.Stub) -> None:
        saved(stub, prefix="%width%x%height%/%year%_%nothing%", x=empty())
        year = datetime.date.today().year
        assert (stub.outputs[0].subfolder, stub.outputs[0].filename) == (
            "40x30",
            f"{year}_%nothing%_00001_.png",
        )

    @pytest.mark.parametrize("prefix", ["b%batch_num%", "folder/", ""])
    def test_such_a_prefix_always_starts_at_one_and_overwrites(
        self, stub: comfystub.Stub, prefix: str
    ) -> None:
        saved(stub, prefix=prefix, x=empty(batch_size=2))
        saved(stub, prefix=prefix, x=empty(batch_size=2, color=1))
        first, second = (job.outputs for job in stub.jobs)
        assert [one.path for one in first] == [one.path for one in second]
        assert [one.filename[-11:] for one in first] == ["_00001_.png", "_00002_.png"]

    def test_a_preview_goes_to_the_temp_folder(self, stub: comfystub.Stub) -> None:
        run(stub, {"x": empty(), "p": node("PreviewImage", images=["x", 0])})
        output = stub.outputs[0]
        assert (output.type, output.path.parent) == ("temp", stub.temp_dir)
        assert output.filename.startswith("ComfyUI_temp_")

    @pytest.mark.parametrize(("kind", "ending"), [("SaveAnimatedWEBP", ".webp"), ("SaveAnimatedPNG", ".png")])
    def test_animations(self, stub: comfystub.Stub, kind: str, ending: str) -> None:
        graph = graph_around(kind, images=["x2", 0], filename_prefix="a")
        graph["x2"] = node("ImageAddNoise", image=["batch", 0], seed=1, strength=1.0)
        graph["batch"] = node("BatchImagesNode", **{f"images.image{i}": [f"e{i}", 0] for i in range(3)})
        graph |= {f"e{i}": empty(color=0x404040 * i) for i in range(3)}
        job = run(stub, graph)
        assert job.outputs[0].filename == f"a_00001_{ending}"
        assert job.ui["x"]["animated"] == [True]
        with Image.open(job.outputs[0].path) as image:
            assert image.n_frames == 3  # type: ignore[attr-defined]

    def test_text_output(self, stub: comfystub.Stub) -> None:
        graph = {"t": node("PrimitiveString", value="hello"), "p": node("PreviewAny", source=["t", 0])}
        assert run(stub, graph).ui == {"p": {"text": ["hello"]}}


class TestFormats:
    def file(self, stub: comfystub.Stub, **inputs: Any) -> comfystub.Output:
        graph = {"e": empty(), "x": node("SaveImageAdvanced", images=["e", 0], filename_prefix="a", **inputs)}
        [output] = run(stub, graph).outputs
        assert (output.kind, output.type) == ("images", "output")
        return output

    @pytest.mark.parametrize(("depth", "bits"), [("8-bit", 8), ("16-bit", 16)])
    def test_png(self, stub: comfystub.Stub, depth: str, bits: int) -> None:
        own = {"format.bit_depth": depth, "format.input_color_space": "sRGB"}
        output = self.file(stub, format="png", **own)
        data = output.path.read_bytes()
        assert (output.filename, data[24]) == ("a_00001_.png", bits)
        assert output.image.convert("RGB").getcolors() == [(1200, (0x20, 0x40, 0x60))]
        assert json.loads(output.image.info["prompt"])["x"]["class_type"] == "SaveImageAdvanced"

    @pytest.mark.parametrize(("space", "red"), [("linear", 0x20 / 255), ("sRGB", 0.01444)])
    def test_openexr(self, stub: comfystub.Stub, space: str, red: float) -> None:
        own = {"format.bit_depth": "32-bit float", "format.input_color_space": space}
        output = self.file(stub, format="exr", **own)
        data = output.path.read_bytes()
        assert (output.filename, data[:4]) == ("a_00001_.exr", bytes.fromhex("762f3101"))
        assert round(struct.unpack("<f", data[-4:])[0], 4) == round(red, 4)

    def test_every_picture_is_a_file(self, stub: comfystub.Stub) -> None:
        own = {"format": "exr", "format.bit_depth": "32-bit float", "format.input_color_space": "sRGB"}
        graph = {
            "e": empty(batch_size=3),
            "x": node("SaveImageAdvanced", images=["e", 0], filename_prefix="a", **own),
        }
        assert [one.filename for one in run(stub, graph).outputs] == [f"a_0000{i}_.exr" for i in (1, 2, 3)]


class TestDrawings:
    def saved(self, stub: comfystub.Stub, *drawings: str) -> comfystub.Job:
        stub.add_node("Draw", lambda: Svg(drawings), outputs="SVG")
        graph = {
            "draw": node("Draw"),
            "save": node("SaveSVGNode", svg=["draw", 0], filename_prefix="svg/ComfyUI"),
        }
        return run(stub, graph)

    def test_they_are_saved_with_the_prompt(self, stub: comfystub.Stub) -> None:
        drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="4" height="4"/></svg>'
        job = self.saved(stub, drawing, drawing)
        assert [(one.kind, one.subfolder, one.filename) for one in job.outputs] == [
            ("images", "svg", "ComfyUI_00001_.svg"),
            ("images", "svg", "ComfyUI_00002_.svg"),
        ]
        root = ElementTree.fromstring(job.outputs[0].path.read_text())
        metadata, rectangle = root
        assert metadata.text is not None
        assert json.loads(metadata.text)["prompt"]["save"]["class_type"] == "SaveSVGNode"
        assert (root.get("width"), rectangle.get("height")) == ("10", "4")

    def test_a_prompt_that_would_end_the_metadata_does_not(self, stub: comfystub.Stub) -> None:
        graph = graph_around("SaveSVGNode", filename_prefix="a")
        graph["text"] = node("PrimitiveString", value="]]>")
        job = run(stub, graph)
        root = ElementTree.fromstring(job.outputs[0].path.read_text())
        assert json.loads(root[0].text or "")["prompt"]["text"]["inputs"]["value"] == "]]>"

    def test_without_a_drawing_there_is_one_all_the_same(self) -> None:
        with comfystub.patch(URL, validate=False) as stub:
            [output] = run(stub, {"1": node("SaveSVGNode", filename_prefix="a")}).outputs
            assert ElementTree.fromstring(output.path.read_text()).get("width") == "512"
