"""What goes wrong with files: where they are, what they are called, and whether they are there at all."""

from __future__ import annotations

import urllib.error
from typing import Any

import httpx
import pytest
import requests
from workflows import text_to_image

import comfystub
from comfystub import faults
from demand.asking import download, names, outcome, submit, wait

# --- outputs


def test_an_animation_lies_under_images(stub: comfystub.Stub) -> None:
    options = {"fps": 6.0, "lossless": False, "quality": 80, "method": "default"}
    inputs = {"images": ["8", 0], "filename_prefix": "fox", **options}
    animation = {"class_type": "SaveAnimatedWEBP", "inputs": inputs}
    workflow = text_to_image(batch_size=2)
    workflow["9"] = animation
    output = wait(submit(workflow))["outputs"]["9"]
    assert output["animated"] == [True]
    (file,) = output["images"]
    assert download(file)[8:12] == b"WEBP"


def test_an_output_is_a_text(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["9"] = {"class_type": "PreviewAny", "inputs": {"source": "a red fox"}}
    requests.post(f"{stub.url}/prompt", json={"prompt": workflow})
    (entry,) = requests.get(f"{stub.url}/history").json().values()
    assert entry["outputs"] == {"9": {"text": ["a red fox"]}}


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


EMPTY = node("EmptyImage", width=32, height=32, batch_size=4, color=255)

#: A kind of output to a workflow that leaves one, and how its file begins.
KINDS: dict[str, tuple[dict[str, Any], bytes]] = {
    "gifs": (
        {"1": EMPTY, "9": node("VHS_VideoCombine", images=["1", 0], format="video/h264-mp4")},
        b"\0\0\0",
    ),
    "audio": (
        {
            "1": node("EmptyAudio", duration=1.0, sample_rate=44100, channels=2),
            "9": node("SaveAudio", audio=["1", 0], filename_prefix="fox"),
        },
        b"fLaC",
    ),
    "3d": (
        {
            "1": node("EmptyLatentHunyuan3Dv2", resolution=512, batch_size=1),
            "2": node("VAELoader", vae_name="any.safetensors"),
            "3": node(
                "VAEDecodeHunyuan3D", samples=["1", 0], vae=["2", 0], num_chunks=8000, octree_resolution=256
            ),
            "4": node("VoxelToMeshBasic", voxel=["3", 0], threshold=0.6),
            "9": node("SaveGLB", mesh=["4", 0], filename_prefix="fox"),
        },
        b"glTF",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_lies_under_another_name(stub: comfystub.Stub, kind: str) -> None:
    stub.add_node("VHS_VideoCombine", inputs={"images": "IMAGE", "format": "STRING"})
    workflow, begins = KINDS[kind]
    (file,) = wait(submit(workflow))["outputs"]["9"][kind]
    assert download(file).startswith(begins)


def test_a_film_lies_under_images(stub: comfystub.Stub) -> None:
    create = node("CreateVideo", images=["1", 0], fps=8.0)
    save = node("SaveVideo", video=["2", 0], filename_prefix="fox", format="auto", **{"format.codec": "auto"})
    shown = wait(submit({"1": EMPTY, "2": create, "9": save}))["outputs"]["9"]
    assert shown["animated"] == [True]
    assert download(shown["images"][0])[4:8] == b"ftyp"


def test_several_pictures(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["5"]["inputs"]["batch_size"] = 3
    assert names(wait(submit(workflow))) == [f"ComfyUI_0000{number}_.png" for number in (1, 2, 3)]


def test_several_output_nodes_and_previews_beside_them(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    workflow["11"] = {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "copy"}}
    outputs = wait(submit(workflow))["outputs"]
    types = {node_id: [file["type"] for file in output["images"]] for node_id, output in outputs.items()}
    assert types == {"9": ["output"], "10": ["temp"], "11": ["output"]}
    for output in outputs.values():
        assert download(output["images"][0]).startswith(b"\x89PNG")


# --- downloads and uploads


def test_view_needs_subfolder_and_type(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["9"]["inputs"]["filename_prefix"] = "foxes/red"
    (file,) = wait(submit(workflow))["outputs"]["9"]["images"]
    assert file == {"filename": "red_00001_.png", "subfolder": "foxes", "type": "output"}

    def status(**params: str) -> int:
        return httpx.get(f"{stub.url}/view", params=params).status_code

    assert status(filename="red_00001_.png") == 404
    assert status(filename="foxes/red_00001_.png") == 404
    assert status(filename="red_00001_.png", subfolder="foxes", type="temp") == 404
    assert status(filename="other/red_00001_.png", subfolder="foxes") == 200
    assert status(**file) == 200


def test_a_file_is_gone_before_it_is_fetched(stub: comfystub.Stub) -> None:
    stub.fail(faults.deleted_outputs())
    (file,) = wait(submit())["outputs"]["9"]["images"]
    with pytest.raises(urllib.error.HTTPError, match="404") as missing:
        download(file)
    missing.value.close()


def test_an_upload_gets_another_name(stub: comfystub.Stub) -> None:
    picture = (stub.input_dir / "example.png").read_bytes()
    (stub.input_dir / "fox.png").write_bytes(b"somebody else's")
    response = requests.post(f"{stub.url}/upload/image", files={"image": ("fox.png", picture)})
    uploaded = response.json()["name"]
    assert uploaded == "fox (1).png"
    for name, ending in ((uploaded, "execution_success"), ("fox.png", "execution_error")):
        workflow = {
            "1": {"class_type": "LoadImage", "inputs": {"image": name}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "fox"}},
        }
        assert outcome(wait(submit(workflow))) == ending


# --- saving


def last_words(entry: dict[str, Any]) -> str:
    words: str = entry["status"]["messages"][-1][1]["exception_message"]
    return words


def test_the_disk_is_full(stub: comfystub.Stub) -> None:
    stub.fail(faults.disk_full(after=2))
    entry = wait(submit(text_to_image(batch_size=3)))
    assert outcome(entry) == "execution_error"
    assert "No space left on device" in last_words(entry)


def test_the_folder_is_read_only(stub: comfystub.Stub) -> None:
    stub.fail(faults.read_only())
    entry = wait(submit())
    assert outcome(entry) == "execution_error"
    assert "Permission denied" in last_words(entry)
