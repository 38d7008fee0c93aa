"""The handle that a test has on the server."""

from __future__ import annotations

import gc
import pathlib
import subprocess
import sys
from typing import Any

import httpx
import pytest

import comfystub

URL = "http://comfy.test:8188"


def graph(color: int = 1) -> dict[str, Any]:
    made = {"width": 8, "height": 8, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": made, "_meta": {"title": "Canvas"}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "sub/p"}},
    }


def submit(stub: comfystub.Stub, **body: Any) -> comfystub.Job:
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph(), **body}).raise_for_status()
    return stub.jobs[-1]


def test_a_job_tells_what_was_asked_and_what_came_of_it() -> None:
    with comfystub.patch(URL) as stub:
        job = submit(stub, client_id="me")
        assert (job.number, job.client_id, job.workflow) == (0, "me", graph())
        assert (job.status, job.error) == ("completed", None)
        output = job.outputs[0]
        assert output.path == stub.output_dir / "sub" / "p_00001_.png"
        assert output[1:] == ("p_00001_.png", "sub", "output", "9", "images")
        assert [event.type for event in job.events][:2] == ["execution_start", "execution_cached"]
        assert repr(job) == f"<Job {job.id} completed, 4 nodes>"
        assert stub.outputs == job.outputs


@pytest.mark.parametrize("which", ["1", 1, "EmptyImage", "Canvas"])
def test_a_node_is_found_by_id_class_or_title(which: str | int) -> None:
    with comfystub.patch(URL) as stub:
        node = submit(stub).node(which)
        assert (node.id, node.class_type, node.title, node.inputs["width"]) == (
            "1",
            "EmptyImage",
            "Canvas",
            8,
        )


@pytest.mark.parametrize(
    ("which", "said"),
    [
        ("KSampler", "no node is called 'KSampler'; there are 1: EmptyImage, 2: ImageInvert"),
        ("ImageInvert", "several nodes are called 'ImageInvert'; there are 2: ImageInvert, 3: ImageInvert"),
    ],
)
def test_a_node_that_is_not_found_is_told_with_those_that_are_there(which: str, said: str) -> None:
    with comfystub.patch(URL) as stub:
        with pytest.raises(LookupError, match=said):
            submit(stub).node(which)


def test_requests_are_kept_with_their_answers() -> None:
    with comfystub.patch(URL) as stub, stub.client() as client:
        client.get("/queue?x=1")
        client.post("/prompt", content=b"{not json")
        first, second = stub.requests
        assert (first.method, first.path, first.request.query, first.status) == ("GET", "/queue", "x=1", 200)
        assert (second.status, type(second.error).__name__) == (500, "JSONDecodeError")
        submit(stub)
        assert stub.requests[-1].json["prompt"] == graph()


def test_ids_and_names_are_repeatable_with_a_seed() -> None:
    def ids(seed: int | None) -> list[str]:
        preview = graph() | {"9": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}}
        with comfystub.patch(URL, seed=seed) as stub:
            job = submit(stub, prompt=preview)
            return [job.id, job.outputs[0].filename]

    assert ids(7) == ids(7)
    assert ids(7) != ids(8)
    assert ids(None) != ids(None)


def test_the_models_that_are_given_are_the_ones_installed() -> None:
    with comfystub.patch(URL, models={"checkpoints": ["a.safetensors"], "mine": ["b.bin"]}) as stub:
        with stub.client() as client:
            assert client.get("/models/checkpoints").json() == ["a.safetensors"]
            assert client.get("/models/loras").json() == []
            assert client.get("/models/mine").json() == ["b.bin"]
            assert client.get("/models").json()[-1] == "mine"


def test_without_models_a_name_is_known_once_it_was_used() -> None:
    loader = {"class_type": "UpscaleModelLoader", "inputs": {"model_name": "mine.pth"}}
    upscaled = {
        "class_type": "ImageUpscaleWithModel",
        "inputs": {"upscale_model": ["5", 0], "image": ["1", 0]},
    }
    with comfystub.patch(URL) as stub, stub.client() as client:
        assert "mine.pth" not in client.get("/models/upscale_models").json()
        submit(stub, prompt={**graph(), "5": loader, "2": upscaled})
        assert "mine.pth" in client.get("/models/upscale_models").json()
        spec = client.get("/object_info/UpscaleModelLoader").json()["UpscaleModelLoader"]["input"]
        assert "mine.pth" in spec["required"]["model_name"][1]["options"]


def test_a_fresh_server_has_one_input_picture() -> None:
    with comfystub.patch(URL) as stub:
        assert [path.name for path in stub.input_dir.iterdir()] == ["example.png"]


def test_a_stub_of_ones_own_keeps_its_state_and_its_files() -> None:
    stub = comfystub.Stub(URL)
    with comfystub.patch(stub=stub):
        path = submit(stub).outputs[0].path
    assert path.exists()
    with comfystub.patch(stub=stub):
        assert list(httpx.get(f"{URL}/history").json()) == [stub.jobs[0].id]
    folder = stub.output_dir.parent
    del stub
    gc.collect()
    assert not folder.exists()


def test_a_closed_stub_makes_no_folder() -> None:
    with comfystub.patch(URL) as stub:
        output_dir = stub.output_dir
    assert stub.output_dir == output_dir
    assert not output_dir.exists()
    with pytest.raises(RuntimeError, match="the stub is closed, and its temp folder was never needed"):
        stub.temp_dir  # noqa: B018


def test_after_the_exit_what_was_seen_is_still_there_and_nothing_moves(tmp_path: pathlib.Path) -> None:
    with comfystub.patch(URL) as stub:
        done = submit(stub)
        assert done.status == "completed"
        waiting = submit(stub)
    assert (done.outputs[0].filename, waiting.status) == ("p_00001_.png", "pending")
    assert not done.outputs[0].path.exists()


def test_a_stub_that_was_closed_can_be_put_in_force_again() -> None:
    with comfystub.patch(URL) as stub:
        submit(stub)
    with comfystub.patch(stub=stub):
        assert stub.jobs[0].status == "completed"
        folder = stub.output_dir.parent
    del stub
    gc.collect()
    assert not folder.exists()


def test_importing_the_package_imports_no_client_and_no_pillow() -> None:
    code = (
        "import sys, comfystub, comfystub.pytest_plugin\n"
        "heavy = {'httpx', 'requests', 'respx', 'responses', 'PIL', 'urllib3', 'aiohttp'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "with comfystub.patch(): pass\n"
        "heavy = {'httpx', 'requests', 'respx', 'responses', 'PIL', 'urllib3', 'aiohttp'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_public_names_are_all_there() -> None:
    for name in comfystub.__all__:
        assert getattr(comfystub, name) is not None
    assert set(comfystub.__all__) <= set(dir(comfystub))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        comfystub.nothing  # type: ignore[attr-defined]  # noqa: B018
