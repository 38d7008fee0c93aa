"""Pictures that come from files: from the input folder, from a camera, from folders of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from nodes.graphs import Graph, graph_around, node, run, watched
from nodes.looking import BLUE, GREEN, RED, color, looks, pixels, solid

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


class TestFiles:
    def test_a_picture_comes_without_its_alpha_and_that_as_a_mask(self, stub: comfystub.Stub) -> None:
        Image.new("RGBA", (7, 5), (1, 2, 3, 100)).save(stub.input_dir / "a.png")
        [[images], [masks]] = watched(stub, graph_around("LoadImage", image="a.png"))
        [image], [mask] = pixels(images), pixels(masks)
        assert (image.mode, image.getcolors(), mask.getcolors()) == (
            "RGB",
            [(35, (1, 2, 3))],
            [(35, (155, 155, 155))],
        )

    def test_every_frame_of_a_film_is_a_picture(self, stub: comfystub.Stub) -> None:
        frames = [solid(shade) for shade in (RED, GREEN, BLUE)]
        frames[0].save(stub.input_dir / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
        assert [color(image) for image in looks(stub, "LoadImage", image="a.webp")] == [RED, GREEN, BLUE]

    def test_frames_of_another_size_are_left_out(self, stub: comfystub.Stub) -> None:
        pages = [solid(RED), solid(GREEN, (20, 20)), solid(BLUE)]
        pages[0].save(stub.input_dir / "a.tiff", save_all=True, append_images=pages[1:])
        assert [color(image) for image in looks(stub, "LoadImage", image="a.tiff")] == [RED, BLUE]

    @pytest.mark.parametrize(
        ("name", "inputs"),
        [("LoadImage", {"image": "../a.png"}), ("LoadImageDataSetFromFolder", {"folder": "gone"})],
    )
    def test_what_is_not_there_fails(self, name: str, inputs: Graph) -> None:
        with comfystub.patch(URL, validate=False) as stub, stub.client() as client:
            graph = {"x": node(name, **inputs), "end": node("PreviewImage", images=["x", 0])}
            client.post("/prompt", json={"prompt": graph})
            error = stub.jobs[-1].error
            assert error is not None and error["exception_type"] == "FileNotFoundError"

    def test_a_frames_orientation_is_honoured(self, stub: comfystub.Stub) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (20, 10)).save(stub.input_dir / "a.jpg", exif=exif)
        assert [image.size for image in looks(stub, "LoadImage", image="a.jpg")] == [(10, 20)]

    def test_a_picture_of_the_output_folder_can_be_loaded(self, stub: comfystub.Stub) -> None:
        solid(RED).save(stub.output_dir / "p_00001_.png")
        for name in ("LoadImage", "LoadImageOutput"):
            assert color(looks(stub, name, image="p_00001_.png [output]")[0]) == RED

    def test_a_camera_gives_what_was_uploaded_of_it(self, stub: comfystub.Stub) -> None:
        (stub.temp_dir / "webcam").mkdir()
        solid(GREEN, (32, 24)).save(stub.temp_dir / "webcam" / "1.png")
        [image] = looks(stub, "WebcamCapture", image="webcam/1.png [temp]")
        assert (image.size, color(image)) == ((32, 24), GREEN)

    def test_a_camera_that_took_nothing(self, stub: comfystub.Stub) -> None:
        graph = {
            **graph_around("WebcamCapture", image="gone.png"),
            "p": node("PreviewImage", images=["x", 0]),
        }
        with stub.client() as client:
            answer = client.post("/prompt", json={"prompt": graph})
        [error] = answer.json()["node_errors"]["x"]["errors"]
        assert (error["type"], error["details"]) == (
            "custom_validation_failed",
            "image - Invalid image file: gone.png",
        )


#: The folder that ComfyUI's catalogue lists as one to choose.
FOLDER = "3d"


class TestReadingFolders:
    @pytest.fixture(autouse=True)
    def folder(self, stub: comfystub.Stub) -> None:
        folder = stub.input_dir / FOLDER
        for name, shade in (("b.jpg", BLUE), ("a.png", RED), ("3_cats/c.webp", GREEN), ("other/d.png", BLUE)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            solid(shade, (16, 12)).save(folder / name, quality=100)
        (folder / "a.txt").write_text("a red one\n")
        (folder / "3_cats" / "c.txt").write_text("a cat")
        (folder / "notes.md").write_text("not a picture")

    def test_pictures(self, stub: comfystub.Stub) -> None:
        [batches] = watched(stub, graph_around("LoadImageDataSetFromFolder", folder=FOLDER))
        assert [len(batch) for batch in batches] == [1, 1]
        assert [pixels(batch)[0].size for batch in batches] == [(16, 12)] * 2
        assert color(pixels(batches[0])[0]) == RED

    def test_pictures_with_texts_as_often_as_their_folders_say(self, stub: comfystub.Stub) -> None:
        batches, told = watched(stub, graph_around("LoadImageTextDataSetFromFolder", folder=FOLDER))
        assert told == ["a red one", "", "a cat", "a cat", "a cat"]
        assert [len(batch) for batch in batches] == [1] * 5

    def test_a_folder_without_pictures(self, stub: comfystub.Stub) -> None:
        for path in (stub.input_dir / FOLDER).glob("*.*"):
            path.unlink()
        graph = graph_around("LoadImageDataSetFromFolder", folder=FOLDER)
        with stub.client() as client:
            client.post("/prompt", json={"prompt": {**graph, "p": node("PreviewImage", images=["x", 0])}})
        error = stub.jobs[-1].error
        assert error is not None and error["exception_type"] == "ValueError"


class TestWritingFolders:
    def write(self, stub: comfystub.Stub, batch_size: int = 2, texts: int = 0, **inputs: Any) -> list[str]:
        """What lies in the folder after so many pictures were written to it."""
        name = "SaveImageTextDataSetToFolder" if texts else "SaveImageDataSetToFolder"
        graph: Graph = {"e": node("EmptyImage", width=8, height=6, batch_size=batch_size, color=0xFF0000)}
        own = {"folder_name": "set/one", "filename_prefix": "image", "mode": "overwrite", **inputs}
        graph["x"] = node(name, images=["e", 0], **own)
        if texts:
            graph |= {f"t{i}": node("PrimitiveString", value=f"text {i}") for i in range(texts)}
            graph["texts"] = node("CreateList", **{f"inputs.input{i}": [f"t{i}", 0] for i in range(texts)})
            graph["x"]["inputs"]["texts"] = ["texts", 0]
        # Another node, lest the server should take the second run from its cache.
        graph["x"]["inputs"]["turn"] = len(stub.jobs)
        job = run(stub, graph)
        assert job.outputs == []
        folder = stub.output_dir / own["folder_name"]
        return sorted(path.name for path in folder.iterdir())

    def test_files_are_numbered_from_zero_and_overwritten(self, stub: comfystub.Stub) -> None:
        assert self.write(stub) == ["image_00000.png", "image_00001.png"]
        assert self.write(stub) == ["image_00000.png", "image_00001.png"]
        with Image.open(stub.output_dir / "set/one/image_00000.png") as image:
            assert (image.size, json.loads(image.info["prompt"])["e"]["class_type"]) == ((8, 6), "EmptyImage")

    def test_or_counted_on(self, stub: comfystub.Stub) -> None:
        assert len(self.write(stub, mode="increment")) == 2
        assert len(self.write(stub, 3, mode="increment")) == 5

    @pytest.mark.parametrize(("texts", "files"), [(1, ["p_00000.txt"]), (3, ["p_00000.txt", "p_00001.txt"])])
    def test_texts_lie_beside_their_pictures(
        self, stub: comfystub.Stub, texts: int, files: list[str]
    ) -> None:
        found = self.write(stub, 2, texts, filename_prefix="p")
        assert [name for name in found if name.endswith(".txt")] == files
        assert (stub.output_dir / "set/one/p_00000.txt").read_text() == "text 0"

    @pytest.mark.parametrize("own", [{"folder_name": "../out"}, {"filename_prefix": "../../../p"}], ids=str)
    def test_nothing_is_written_elsewhere(self, stub: comfystub.Stub, own: Graph) -> None:
        before = set(stub.output_dir.parent.rglob("*"))
        inputs = {"folder_name": "set", "filename_prefix": "p", "mode": "overwrite", **own}
        graph = graph_around("SaveImageDataSetToFolder", **inputs)
        with stub.client() as client:
            client.post("/prompt", json={"prompt": graph})
        error = stub.jobs[-1].error
        assert error is not None and "outside" in error["exception_message"]
        assert {path.name for path in set(stub.output_dir.parent.rglob("*")) - before} <= {"set"}
