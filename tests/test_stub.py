"""The handle that a test has on the server."""

from __future__ import annotations

import gc
import pathlib
import subprocess
import sys
from typing import Any

import httpx
import pytest
from prompting import entry, get, hear, listen, post, queued, status
from workflows import text_to_image

import comfystub
from comfystub import faults
from comfystub.engine.faults import Fault

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


# --- the next job


def test_the_next_job_has_a_pace_and_faults_of_its_own() -> None:
    with comfystub.patch(URL) as stub:
        stub.next_job(pace=2, faults=[faults.error(on="KSampler")])
        first, second = post(), post(text_to_image(seed=8))
        assert [status(first), status(first)] == ["in_progress", "failed"]
        assert status(second) == "completed"
        assert [fault.name for fault in stub.faults] == ["error"]


def test_what_is_said_of_the_next_job_waits_for_one_that_is_accepted() -> None:
    with comfystub.patch(URL) as stub, stub.client() as client:
        stub.next_job(pace="manual", faults=[faults.error()])
        assert client.post("/prompt", json={"prompt": {}}).status_code == 400
        submit(stub)
        assert stub.jobs[0].status == "pending"
        stub.finish()
        assert stub.jobs[0].status == "failed"
        assert submit(stub).status == "completed"


def test_the_last_pace_for_the_next_job_counts() -> None:
    with comfystub.patch(URL) as stub:
        stub.next_job(pace="manual")
        stub.next_job(pace=0)
        submit(stub)
        assert stub.jobs[0].state == "completed"


@pytest.mark.parametrize("fault", [faults.no_cache(), faults.vanish(), faults.refused(on="/prompt", times=1)])
def test_faults_of_the_next_job_may_be_of_jobs_and_of_calls(fault: Fault) -> None:
    with comfystub.patch(URL) as stub:
        stub.next_job(faults=[fault])
        assert fault.where["job"] == 1


def test_what_is_no_pace_is_told_at_once() -> None:
    with comfystub.patch(URL) as stub:
        with pytest.raises(ValueError, match="pace= takes"):
            stub.next_job(pace="slowly")
        with pytest.raises(ValueError, match="pace= takes"):
            stub.fill_queue(pace=-1)
        assert stub.jobs == []


# --- other people's jobs


def test_a_queue_is_filled_with_jobs_of_somebody_else() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        others = stub.fill_queue(3)
        mine = post(client_id="me")
        assert queued() == ([], [*(job.id for job in others), mine])
        assert get("/prompt") == {"exec_info": {"queue_remaining": 4}}
        assert [job.client_id for job in stub.jobs] == ["somebody-else"] * 3 + ["me"]
        assert [job.number for job in stub.jobs] == [0, 1, 2, 3]
        assert {job.node("KSampler").inputs["steps"] for job in others} == {20}
        stub.finish()
        assert [job.status for job in stub.jobs] == ["completed"] * 4
        assert {len(job.outputs) for job in others} == {len(others[0].outputs)} != {0}


def test_nothing_of_other_peoples_jobs_comes_from_the_cache() -> None:
    with comfystub.patch(URL) as stub:
        first, second = stub.fill_queue(2)
        stub.finish()
        assert first.outputs[0].path.read_bytes() != second.outputs[0].path.read_bytes()


def test_a_client_hears_of_the_queue_and_not_of_other_peoples_progress() -> None:
    with comfystub.patch(URL) as stub:
        ws = listen("me")
        stub.fill_queue()
        mine = post(client_id="me")
        heard = hear(ws)
        named = [one["data"]["prompt_id"] for one in heard if one["type"] in ("executing", "progress_state")]
        remaining = [
            one["data"]["status"]["exec_info"]["queue_remaining"] for one in heard if one["type"] == "status"
        ]
        assert (set(named), max(remaining)) == ({mine}, 2)
        ws.close()


def test_everybody_hears_of_the_progress_of_a_job_without_a_client_id() -> None:
    with comfystub.patch(URL) as stub:
        ws = listen("me")
        (other,) = stub.fill_queue(client_id=None)
        post(client_id="me")
        progress = [one["data"]["prompt_id"] for one in hear(ws) if one["type"] == "progress"]
        assert (other.client_id, progress.count(other.id)) == (None, 20)
        ws.close()


def test_a_workflow_and_a_pace_for_other_peoples_jobs() -> None:
    with comfystub.patch(URL) as stub:
        mine = graph(5)
        (other,) = stub.fill_queue(workflow=mine, client_id="you", pace="manual")
        mine["1"]["inputs"]["color"] = 6
        assert (other.node("1").inputs["color"], other.client_id) == (5, "you")
        assert other.status == "pending"
        stub.finish()
        assert entry(other.id)["status"]["completed"]
        with pytest.raises(ValueError, match="the server does not accept the workflow: "):
            stub.fill_queue(workflow={"1": {"class_type": "KSampler", "inputs": {}}})


# --- models


def test_a_model_is_installed_while_the_server_runs() -> None:
    with comfystub.patch(URL, models={"checkpoints": ["a.safetensors"]}) as stub:
        wanted = {"prompt": text_to_image(checkpoint="new.safetensors")}
        assert httpx.post(f"{URL}/prompt", json=wanted).status_code == 400
        stub.add_model("checkpoints", "new.safetensors")
        stub.add_model("checkpoints", "new.safetensors")
        stub.add_model("mine", "b.bin")
        assert get("/models/checkpoints") == ["a.safetensors", "new.safetensors"]
        assert get("/models/mine") == ["b.bin"]
        spec = get("/object_info/CheckpointLoaderSimple")["CheckpointLoaderSimple"]["input"]["required"]
        assert "new.safetensors" in spec["ckpt_name"][0]
        assert httpx.post(f"{URL}/prompt", json=wanted).status_code == 200


# --- sockets


def test_sockets_are_kept_with_what_they_were_sent_and_said() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        first = listen("me")
        stub.clock.advance(5)
        second = listen("you")
        first.send('{"type": "feature_flags", "data": {}}')
        first.send("not json")
        post(client_id="you")
        hear(second)
        stub.clock.advance(5)
        first.close()
        mine, yours = stub.sockets
        assert [(one.client_id, one.is_open, one.opened - mine.opened) for one in stub.sockets] == [
            ("me", False, 0),
            ("you", True, 5),
        ]
        assert (mine.close_code, mine.closed, yours.closed) == (1000, mine.opened + 10, None)
        assert mine.received == ['{"type": "feature_flags", "data": {}}', "not json"]
        assert (mine.sent["feature_flags"], mine.sent["executing"], yours.sent["executing"]) == (1, 0, 8)
        assert repr(yours) == f"<SocketRecord you open, {yours.sent.total()} messages>"
        second.close()
        assert not yours.is_open


def test_a_stub_that_was_reset_can_be_put_in_force_again() -> None:
    stub = comfystub.Stub(URL)
    for _ in range(2):
        with comfystub.patch(stub=stub):
            assert [job.number for job in [submit(stub)]] == [0]
            assert stub.outputs[0].filename == "p_00001_.png"
            assert len(stub.requests) == 1
            stub.reset()
            assert (stub.jobs, stub.requests, stub.outputs) == ([], [], [])
