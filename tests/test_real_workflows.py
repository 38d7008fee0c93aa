"""Workflows that people published, and what a real ComfyUI 0.33 answered to them.

The files are no part of the project: COMFYSTUB_WORKFLOWS names the folder that holds them, with their
``answers``.  Without it these tests are skipped.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

import comfystub
from comfystub.media import sound, video

URL = "http://comfy.test:8188"
BESIDE = pathlib.Path(__file__).resolve().parents[2] / "shared" / "workflows"
FOLDER = pathlib.Path(os.environ.get("COMFYSTUB_WORKFLOWS", BESIDE))
NAMES = sorted(path.stem for path in FOLDER.glob("[0-9]*.json"))
CHECKPOINTS = ["v1-5-pruned-emaonly-fp16.safetensors", "v1-5-pruned-emaonly.safetensors"]

WORDING = ("tooltip", "description", "display_name", "placeholder", "output_tooltips")
SETS = ("errors", "dependent_outputs")

pytestmark = pytest.mark.skipif(not NAMES, reason="the published workflows are not here")


def read(path: pathlib.Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def workflow(name: str) -> Any:
    return read(FOLDER / f"{name}.json")


def answer(name: str, installed: str) -> Any:
    return read(FOLDER / "answers" / installed / f"{name}.json")


def models(installed: str) -> dict[str, list[str]]:
    """The files of the server that answered: two checkpoints, or all that any workflow names."""
    if installed == "bare":
        return {"checkpoints": CHECKPOINTS}
    files = read(FOLDER / "models.json")
    return {**files, "checkpoints": [*files["checkpoints"], *CHECKPOINTS]}


def put_inputs(stub: comfystub.Stub, names: Iterable[str]) -> None:
    """Put a picture into the input folder under each of these names."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (40, 90, 200)).save(file, "PNG")
    for name in names:
        path = stub.input_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())


def installed_inputs() -> list[str]:
    names: list[str] = read(FOLDER / "models.json")["input"]
    return names


def named_inputs(graph: Any) -> Iterator[str]:
    """The files of the input folder that a workflow names."""
    for node in graph.values():
        for name in ("image", "audio", "file", "video") if "Load" in node["class_type"] else ():
            value = node["inputs"].get(name)
            if isinstance(value, str) and 0 < len(value) < 200:
                yield value


def plain(answered: Any, key: str = "") -> Any:
    """An answer without its wording and its tracebacks, with sorted sets."""
    if isinstance(answered, dict):
        return {k: plain(value, k) for k, value in answered.items() if k not in WORDING}
    if key == "traceback":
        return bool(answered)
    if key == "details" and isinstance(answered, str):
        return sorted(answered.split("\n"))
    if isinstance(answered, list):
        items = [plain(item) for item in answered]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if key in SETS else items
    return answered


@pytest.mark.parametrize("installed", ["bare", "models"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::comfystub.UnknownNodeWarning")
def test_it_is_judged_as_the_real_server_did(name: str, installed: str) -> None:
    with comfystub.patch(URL, models=models(installed)) as stub:
        if installed == "models":
            put_inputs(stub, installed_inputs())
        response = httpx.post(f"{URL}/prompt", json={"prompt": workflow(name)})
        body = response.json()
        body.pop("number", None)
        if "prompt_id" in body:
            body["prompt_id"] = "<id>"
        assert plain({"status": response.status_code, "json": body}) == plain(answer(name, installed))


#: The class of an output node to the kind of its files, and how their names end.
KINDS: dict[str, tuple[str, str]] = {
    "SaveImage": ("images", ".png"),
    "PreviewImage": ("images", ".png"),
    "SaveAnimatedWEBP": ("images", ".webp"),
    "SaveVideo": ("images", ".mp4"),
    "SaveWEBM": ("images", ".webm"),
    "SaveAudio": ("audio", ".flac"),
    "SaveAudioMP3": ("audio", ".mp3"),
    "PreviewAudio": ("audio", ".flac"),
    "SaveGLB": ("3d", ".glb"),
    "VHS_VideoCombine": ("gifs", ""),
}
ACCEPTED = [name for name in NAMES if answer(name, "models")["status"] == 200]


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_runs_and_leaves_what_its_output_nodes_promise(name: str) -> None:
    with comfystub.patch(URL, models=models("models")) as stub:
        put_inputs(stub, installed_inputs())
        httpx.post(f"{URL}/prompt", json={"prompt": workflow(name)}).raise_for_status()
        job = stub.jobs[0]
        assert job.status == "completed", job.error
        left = {node_id for node_id in job.output_ids if job.node(node_id).class_type in KINDS}
        assert left == {output.node_id for output in job.outputs}
        for output in job.outputs:
            kind, ending = KINDS[job.node(output.node_id).class_type]
            assert (output.kind, output.filename.endswith(ending)) == (kind, True), output
            assert is_what_it_says(output.path), output


#: What a workflow asks for, by the number in its name: sizes, lengths and rates of its files, and the steps
#: of its samplers.  Pictures are width and height, films also frames and frames per second, sounds seconds.
#: Inputs are pictures of 64 x 64 pixels, where a workflow begins with one.
ASKED: dict[str, tuple[list[tuple[float, ...]], list[int]]] = {
    "004": ([(768, 768)], [30]),
    "008": ([(1024, 1024)], [1]),
    "010": ([(1440, 1440)], [4]),  # two megapixels, in whole units of 16 pixels
    "017": ([(960, 544, 124, 24)], [30]),
    "019": ([(512, 768)], [28]),
    "020": ([(720, 720, 81, 16)], [3, 3]),  # two models share six steps
    "025": ([(1024, 1024)], [20]),
    "026": ([(640, 352)] * 237, [15]),  # 22 units of 16 pixels, 60 units of four frames but for the first
    "031": ([(120,)], [8]),
    "035": ([(1024, 1024)], [25]),
    "038": ([(1280, 704, 17)], [20]),  # three units of eight frames but for the first
    "040": ([(320, 64)], [28]),  # 256 pixels more to the right
    "041": ([(848, 480, 13)], [30]),
    "043": ([(64, 64)], [4]),
    "047": ([(1280, 704, 241, 25)], [20, 3]),
    "052": ([(1024, 1024)], [5]),
    "086": ([(512, 512)] * 2, [20, 20]),
    "088": ([(512, 512)], [10]),
    "089": ([(1024, 1024)] * 30, list(range(1, 31))),
    "092": ([(1024, 1024)], [20]),
    "106": ([(640, 640, 81, 16)], [2, 2]),
    "109": ([(1024, 1024)], [25]),
    "115": ([(1344, 768)], [24]),
}


@pytest.mark.parametrize("name", [name for name in ACCEPTED if name[:3] in ASKED])
def test_sizes_lengths_and_steps_are_those_that_it_asks_for(name: str) -> None:
    with comfystub.patch(URL, models=models("models")) as stub:
        put_inputs(stub, installed_inputs())
        httpx.post(f"{URL}/prompt", json={"prompt": workflow(name)}).raise_for_status()
        job = stub.jobs[0]
        found = [measures(output.path) for output in job.outputs]
        reports = [event.data for event in job.events if event.type == "progress"]
    assert (found, [report["max"] for report in reports if report["value"] == report["max"]]) == ASKED[
        name[:3]
    ]


def measures(path: pathlib.Path) -> tuple[float, ...]:
    """Width and height, frames and their rate, or the length of a sound."""
    if path.suffix == ".mp4":
        film = video.probe(path.read_bytes())
        assert film is not None
        return film.width, film.height, film.frames, film.fps
    if path.suffix == ".mp3":
        heard = sound.probe(path.read_bytes())
        assert heard is not None
        return (round(heard.seconds, 3),)
    with Image.open(path) as opened:
        frames = getattr(opened, "n_frames", 1)
        return (*opened.size, frames) if frames > 1 else opened.size


def is_what_it_says(path: pathlib.Path) -> bool:
    """Whether a file is of the kind that its name says."""
    data = path.read_bytes()
    if path.suffix in (".mp4", ".webm"):
        found = video.probe(data)
        return found is not None and found.frames > 0 and found.width > 0
    if path.suffix in (".flac", ".mp3", ".opus", ".wav"):
        heard = sound.probe(data)
        return heard is not None and heard.seconds > 0
    if path.suffix == ".glb":
        return data[:4] == b"glTF"
    with Image.open(path) as opened:
        opened.verify()
        return opened.format == {".png": "PNG", ".webp": "WEBP", ".gif": "GIF"}[path.suffix]


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_where_any_class_is_taken(name: str) -> None:
    """With the custom nodes of other people: known packs do what they do, the rest pass on."""
    with comfystub.patch(URL, unknown_nodes="accept", validate=False) as stub:
        put_inputs(stub, named_inputs(workflow(name)))
        httpx.post(f"{URL}/prompt", json={"prompt": workflow(name)}).raise_for_status()
        job = stub.jobs[0]
        assert job.status == "completed", job.error
        assert all(is_what_it_says(output.path) for output in job.outputs)
