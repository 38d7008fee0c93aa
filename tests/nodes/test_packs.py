"""Classes of custom node packs, as a client sees them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from comfystub.media import video
from comfystub.nodes.catalogue import builtin
from comfystub.nodes.families import packs

URL = "http://comfy.test:8188"
Graph = dict[str, Any]


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, unknown_nodes="accept") as stub:
        yield stub


def node(class_type: str, **inputs: Any) -> Graph:
    return {"class_type": class_type, "inputs": inputs}


def empty(batch_size: int = 4, width: int = 64, height: int = 48) -> Graph:
    return node("EmptyImage", width=width, height=height, batch_size=batch_size, color=0x204060)


SAVE = node("SaveImage", images=["x", 0], filename_prefix="p")


def run(stub: comfystub.Stub, graph: Graph, **body: Any) -> comfystub.Job:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph, **body}).raise_for_status()
    job = stub.jobs[-1]
    assert job.status == "completed", job.error
    return job


def shown(stub: comfystub.Stub, source: Graph, slot: int = 0, **nodes: Graph) -> str:
    """An output of a node, as text."""
    graph = {"e": empty(), **nodes, "x": source, "p": node("PreviewAny", source=["x", slot])}
    return run(stub, graph).ui["p"]["text"][0]


def test_none_of_them_is_comfyuis_own() -> None:
    assert [name for name in packs.BEHAVIOURS if builtin(name)] == []
    assert packs.BEHAVIOURS.keys() >= packs.OUTPUT_CLASSES


class TestVideoCombine:
    def combine(self, stub: comfystub.Stub, **changes: Any) -> comfystub.Job:
        graph = {"e": empty(), "a": node("EmptyAudio", duration=0.5, sample_rate=44100, channels=2)}
        inputs = {
            "images": ["e", 0],
            "frame_rate": 8,
            "loop_count": 0,
            "filename_prefix": "v/clip",
            "format": "video/h264-mp4",
            "pingpong": False,
            "save_output": True,
            **changes,
        }
        return run(stub, {**graph, "c": node("VHS_VideoCombine", **inputs)})

    @pytest.mark.parametrize(
        ("kind", "ending", "start"),
        [
            ("video/h264-mp4", ".mp4", b"ftyp"),
            ("video/webm", ".webm", b"\x1aE\xdf\xa3"),
            ("image/gif", ".gif", b"GIF89a"),
            ("image/webp", ".webp", b"RIFF"),
        ],
    )
    def test_the_format_that_is_asked_for(
        self, stub: comfystub.Stub, kind: str, ending: str, start: bytes
    ) -> None:
        film = self.combine(stub, format=kind).outputs[0]
        assert (film.kind, film.filename, film.subfolder) == ("gifs", f"clip_00001{ending}", "v")
        assert start in film.path.read_bytes()[:8]

    def test_size_frames_and_rate(self, stub: comfystub.Stub) -> None:
        found = video.probe(self.combine(stub).outputs[0].path.read_bytes())
        assert found is not None
        assert (found.width, found.height, found.frames, found.fps, found.sound) == (64, 48, 4, 8, None)

    def test_there_and_back(self, stub: comfystub.Stub) -> None:
        found = video.probe(self.combine(stub, pingpong=True).outputs[0].path.read_bytes())
        assert found is not None and found.frames == 6

    def test_with_sound_it_is_called_so(self, stub: comfystub.Stub) -> None:
        film = self.combine(stub, audio=["a", 0]).outputs[0]
        assert film.filename == "clip_00001-audio.mp4"
        found = video.probe(film.path.read_bytes())
        assert found is not None and found.sound is not None

    def test_what_is_shown(self, stub: comfystub.Stub) -> None:
        job = self.combine(stub)
        (entry,) = job.ui["c"]["gifs"]
        still = stub.output_dir / "v" / entry["workflow"]
        assert entry == {
            "filename": "clip_00001.mp4",
            "subfolder": "v",
            "type": "output",
            "format": "video/h264-mp4",
            "frame_rate": 8.0,
            "workflow": "clip_00001.png",
            "fullpath": str(stub.output_dir / "v" / "clip_00001.mp4"),
        }
        with Image.open(still) as opened:
            assert (opened.size, "prompt" in opened.info) == ((64, 48), True)

    def test_files_count_on(self, stub: comfystub.Stub) -> None:
        names = [self.combine(stub, frame_rate=rate).outputs[0].filename for rate in (8, 9, 10)]
        assert names == ["clip_00001.mp4", "clip_00002.mp4", "clip_00003.mp4"]

    def test_unsaved_ones_go_to_the_temp_folder(self, stub: comfystub.Stub) -> None:
        assert self.combine(stub, save_output=False).outputs[0].type == "temp"

    def test_it_makes_a_prompt_run_though_something_is_linked_to_it(self, stub: comfystub.Stub) -> None:
        combine = node("VHS_VideoCombine", images=["e", 0], frame_rate=8, format="image/gif")
        graph = {"e": empty(), "c": combine, "f": node("SomebodysFiles", files=["c", 0])}
        assert run(stub, graph).output_ids == ["c", "f"]


class TestTexts:
    @pytest.mark.parametrize(("name", "wanted"), packs.SHOWN.items())
    def test_they_show_their_input_and_pass_it_on(self, stub: comfystub.Stub, name: str, wanted: str) -> None:
        graph = {"t": node("PrimitiveString", value="a fox"), "s": node(name, **{wanted: ["t", 0]})}
        graph["p"] = node("PreviewAny", source=["s", 0])
        ui = run(stub, graph).ui
        assert ui == {"s": {"text": ["a fox"]}, "p": {"text": ["a fox"]}}


class TestValues:
    @pytest.mark.parametrize(("name", "wanted"), packs.LITERALS.items())
    def test_what_stands_in_the_node(self, stub: comfystub.Stub, name: str, wanted: str) -> None:
        assert shown(stub, node(name, **{wanted: 24})) == "24"

    def test_so_sizes_follow_them(self, stub: comfystub.Stub) -> None:
        graph = {
            "w": node("easy int", value=48),
            "h": node("Primitive integer [Crystools]", int=32),
            "x": node("EmptyImage", width=["w", 0], height=["h", 0], batch_size=1, color=0),
            "s": SAVE,
        }
        assert run(stub, graph).outputs[0].image.size == (48, 32)

    @pytest.mark.parametrize(("flag", "value"), [(True, "1"), (False, "2")])
    def test_switches(self, stub: comfystub.Stub, flag: bool, value: str) -> None:
        assert shown(stub, node("Switch any [Crystools]", boolean=flag, on_true=1, on_false=2)) == value

    @pytest.mark.parametrize(("op", "value"), [("Add", "9"), ("Sub", "5"), ("Mul", "14"), ("Div", "3")])
    def test_sums(self, stub: comfystub.Stub, op: str, value: str) -> None:
        assert shown(stub, node("CM_IntBinaryOperation", op=op, a=7, b=2)) == value


class TestPictures:
    @pytest.mark.parametrize(
        ("source", "values"),
        [
            (node("GetImageSize+", image=["e", 0]), {0: "64", 1: "48", 2: "4"}),
            (node("GetImageSizeAndCount", image=["e", 0]), {1: "64", 2: "48", 3: "4"}),
            (node("VHS_GetImageCount", images=["e", 0]), {0: "4"}),
        ],
        ids=lambda value: value.get("class_type", ""),
    )
    def test_sizes(self, stub: comfystub.Stub, source: Graph, values: dict[int, str]) -> None:
        assert {slot: shown(stub, source, slot) for slot in values} == values

    @pytest.mark.parametrize(
        ("inputs", "size"),
        [
            ({"width": 128, "height": 128}, (128, 128)),
            ({"width": 128, "height": 0}, (128, 48)),
            ({"width": 128, "height": 128, "method": "keep proportion"}, (128, 96)),
            ({"width": 100, "height": 50, "multiple_of": 16}, (96, 48)),
        ],
        ids=str,
    )
    def test_scaling(self, stub: comfystub.Stub, inputs: Graph, size: tuple[int, int]) -> None:
        graph = {"e": empty(1), "x": node("ImageResize+", image=["e", 0], **inputs), "s": SAVE}
        assert run(stub, graph).outputs[0].image.size == size

    def test_upscaling_and_interpolating(self, stub: comfystub.Stub) -> None:
        graph = {
            "e": empty(3),
            "u": node("UltimateSDUpscale", image=["e", 0], upscale_by=2.0),
            "x": node("RIFE VFI", frames=["u", 0], multiplier=4),
            "s": SAVE,
        }
        assert [output.image.size for output in run(stub, graph).outputs] == [(128, 96)] * 9

    def test_both_sides_of_a_comparison(self, stub: comfystub.Stub) -> None:
        graph = {"e": empty(1), "f": empty(1, 32, 32)}
        graph["c"] = node("Image Comparer (rgthree)", image_a=["e", 0], image_b=["f", 0])
        job = run(stub, graph)
        assert [(output.kind, output.type, output.image.size) for output in job.outputs] == [
            ("a_images", "temp", (64, 48)),
            ("b_images", "temp", (32, 32)),
        ]

    def test_a_list_of_pictures(self, stub: comfystub.Stub) -> None:
        graph = {"e": empty(3), "x": node("easy imageBatchToImageList", image=["e", 0]), "s": SAVE}
        assert [output.filename for output in run(stub, graph).outputs] == [
            "p_00001_.png",
            "p_00002_.png",
            "p_00003_.png",
        ]

    def test_a_picture_in_the_prompt(self, stub: comfystub.Stub) -> None:
        file = io.BytesIO()
        Image.new("RGBA", (20, 10), (255, 0, 0, 128)).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        graph = {"x": node("ETN_LoadImageBase64", image=data), "s": SAVE}
        picture = run(stub, graph).outputs[0].image
        assert (picture.size, picture.getpixel((0, 0))) == ((20, 10), (255, 0, 0))

    def test_pictures_over_the_socket(self, stub: comfystub.Stub) -> None:
        websocket = pytest.importorskip("websocket")
        listener = websocket.create_connection(URL.replace("http", "ws") + "/ws?clientId=c", timeout=5)
        job = run(stub, {"e": empty(2), "s": node("ETN_SendImageWebSocket", images=["e", 0])}, client_id="c")
        frames = []
        while len(frames) < 2:
            message = listener.recv()
            if isinstance(message, bytes):
                frames.append(message)
        listener.close()
        assert all(frame[8:16] == b"\x89PNG\r\n\x1a\n" for frame in frames)
        assert [entry["source"] for entry in job.ui["s"]["images"]] == ["websocket"] * 2


class TestFilms:
    def test_a_film_that_was_uploaded(self, stub: comfystub.Stub) -> None:
        from comfystub.media.pictures import Solid

        frames = [Solid(color, 96, 64) for color in (1, 2, 3, 4, 5, 6)]
        (stub.input_dir / "in.mp4").write_bytes(video.mp4(frames, 12.0))
        source = node("VHS_LoadVideo", video="in.mp4", force_rate=0, frame_load_cap=0, skip_first_frames=2)
        assert shown(stub, source, 1) == "4"
        job = run(stub, {"x": source, "s": SAVE})
        assert [output.image.size for output in job.outputs] == [(96, 64)] * 4
        info = {
            "i": source,
            "x": node("VHS_VideoInfo", video_info=["i", 3]),
            "p": node("PreviewAny", source=["x", 0]),
        }
        assert run(stub, info).ui["p"]["text"] == ["12.0"]

    def test_wan_wrapper(self, stub: comfystub.Stub) -> None:
        graph = {
            "l": node("WanVideoEmptyEmbeds", width=96, height=64, num_frames=5),
            "k": node("WanVideoSampler", image_embeds=["l", 0], steps=3, seed=1),
            "x": node("WanVideoDecode", samples=["k", 0]),
            "s": SAVE,
        }
        job = run(stub, graph)
        assert [output.image.size for output in job.outputs] == [(96, 64)] * 5
        assert [event.data["max"] for event in job.events if event.type == "progress"] == [3] * 3

    def test_hunyuan_wrapper(self, stub: comfystub.Stub) -> None:
        graph = {
            "k": node("HyVideoSampler", width=64, height=32, num_frames=3, steps=2, seed=1),
            "x": node("HyVideoDecode", samples=["k", 0]),
            "s": SAVE,
        }
        assert [output.image.size for output in run(stub, graph).outputs] == [(64, 32)] * 3

    def test_an_efficient_sampler_decodes_by_itself(self, stub: comfystub.Stub) -> None:
        graph = {
            "l": node("EmptyLatentImage", width=64, height=32, batch_size=2),
            "k": node("KSampler (Efficient)", latent_image=["l", 0], steps=2, seed=1),
            "x": node("ImageInvert", image=["k", 5]),
            "s": SAVE,
        }
        assert [output.image.size for output in run(stub, graph).outputs] == [(64, 32)] * 2


def test_a_server_of_ones_own_that_has_them() -> None:
    with comfystub.patch(URL) as stub, stub.client() as client:
        info = client.get("/object_info").json()
    info["easy int"] = {"input": {"required": {"value": ["INT", {}]}}, "output": ["INT"]}
    with comfystub.patch(URL, object_info=info) as stub:
        graph = {"x": node("easy int", value=5), "p": node("PreviewAny", source=["x", 0])}
        assert run(stub, graph).ui["p"]["text"] == ["5"]
