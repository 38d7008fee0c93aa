"""What goes wrong with jobs: what history, queue, /api/jobs, /view and the socket say of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket
from calls import URL
from prompting import (
    entry,
    get,
    hear,
    listen,
    post,
    queued,
    rest,
    schedule,
    status,
    types,
    until_silent,
    view,
)
from workflows import Graph, text_to_image

import comfystub
from comfystub import Timed, faults
from comfystub.engine.faults import Fault

#: What comes over a socket before the first node of a job.
START = ["execution_start", "execution_cached"]


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


@pytest.fixture
def ws(stub: comfystub.Stub) -> Iterator[websocket.WebSocket]:
    ws = listen()
    yield ws
    ws.close()


def error_of(prompt_id: str) -> Any:
    """The data of the error that history keeps of a failed job."""
    (found,) = (data for kind, data in entry(prompt_id)["status"]["messages"] if kind == "execution_error")
    return found


def images_of(prompt_id: str) -> list[dict[str, str]]:
    return [image for output in entry(prompt_id)["outputs"].values() for image in output.get("images", ())]


# --- nodes that fail


def test_a_node_fails(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    fault = stub.fail(faults.error("the VAE is broken", on="VAEDecode"))
    prompt_id = post(client_id="me")
    heard = hear(ws)
    assert types(heard)[-3:] == ["executing", "execution_error", "executing"]
    told = heard[-3]["data"]
    assert told == error_of(prompt_id)
    assert (told["node_id"], told["node_type"]) == ("8", "VAEDecode")
    assert (told["exception_type"], told["exception_message"]) == ("RuntimeError", "the VAE is broken\n")
    assert told["executed"] == ["4", "5", "7", "6", "3"]
    status_of = entry(prompt_id)["status"]
    assert (status_of["status_str"], status_of["completed"], entry(prompt_id)["outputs"]) == (
        "error",
        False,
        {},
    )
    row = get(f"/api/jobs/{prompt_id}")
    assert (row["status"], row["execution_error"]) == ("failed", told)
    assert queued() == ([], [])
    assert not list(stub.output_dir.iterdir())
    assert stub.jobs[0].error == told
    assert (fault.hits, stub.jobs[0].faults) == (1, [fault])


def test_without_a_node_it_is_the_first_that_runs(stub: comfystub.Stub) -> None:
    stub.fail("error")
    told = error_of(post())
    assert (told["node_id"], told["exception_message"]) == ("4", "something went wrong\n")


@pytest.mark.parametrize("which", ["8", "VAEDecode", "Decode it"])
def test_a_node_is_named_by_id_class_or_title(stub: comfystub.Stub, which: str) -> None:
    graph = text_to_image()
    graph["8"]["_meta"] = {"title": "Decode it"}
    stub.fail("error", on=which)
    assert error_of(post(graph))["node_id"] == "8"


def test_kind_and_tip(stub: comfystub.Stub) -> None:
    stub.fail("error", problem="no", kind="custom_nodes.mine.Refusal", tip="Try again.")
    told = error_of(post())
    assert (told["exception_type"], told["exception_message"]) == (
        "custom_nodes.mine.Refusal",
        "no\nTry again.",
    )


class Mine(Exception):
    pass


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ValueError("bad"), "ValueError"),
        (Mine("bad"), f"{Mine.__module__}.Mine"),
        (OSError(2, "bad"), "FileNotFoundError"),
    ],
)
def test_an_exception_of_ones_own(stub: comfystub.Stub, raised: Exception, kind: str) -> None:
    stub.fail(raised, times=2)
    for _ in range(2):
        told = error_of(post())
        assert told["exception_type"] == kind
        assert "bad" in told["exception_message"]
        assert isinstance(told["traceback"], list)
    assert entry(post())["status"]["completed"]


def test_after_a_failure_what_was_done_is_cached(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    stub.fail("error", on="VAEDecode", times=1)
    post(client_id="me")
    hear(ws)
    prompt_id = post(client_id="me")
    heard = hear(ws)
    (cached,) = (one["data"]["nodes"] for one in heard if one["type"] == "execution_cached")
    assert sorted(cached) == ["3", "4", "5", "6", "7"]
    assert len(images_of(prompt_id)) == 1


def test_a_node_whose_result_is_cached_does_not_fail(stub: comfystub.Stub) -> None:
    assert entry(post())["status"]["completed"]
    fault = stub.fail("error", on="VAEDecode")
    assert entry(post())["status"]["completed"]
    assert fault.hits == 0
    assert not entry(post(text_to_image(seed=8)))["status"]["completed"]


def test_out_of_memory_strikes_a_sampler_and_the_next_job_works(
    stub: comfystub.Stub, ws: websocket.WebSocket
) -> None:
    stub.fail(faults.out_of_memory(times=1))
    prompt_id = post(client_id="me")
    told = hear(ws)[-3]["data"]
    assert (told["node_type"], told["exception_type"]) == ("KSampler", "torch.OutOfMemoryError")
    assert told["exception_message"].startswith(
        "Allocation on device \nThis error means you ran out of memory"
    )
    assert "TIPS: If the workflow worked before" in told["exception_message"]
    assert told == error_of(prompt_id)
    assert len(images_of(post())) == 1


def test_out_of_memory_where_the_test_wants_it(stub: comfystub.Stub) -> None:
    stub.fail(faults.out_of_memory(on="VAEDecode"))
    assert error_of(post())["node_type"] == "VAEDecode"


def test_a_model_is_missing_when_it_is_wanted(stub: comfystub.Stub) -> None:
    stub.fail(faults.missing_model("gone.safetensors"))
    assert entry(post())["status"]["completed"]
    told = error_of(post(text_to_image(checkpoint="gone.safetensors")))
    assert (told["node_type"], told["exception_type"]) == ("CheckpointLoaderSimple", "FileNotFoundError")
    assert told["exception_message"] == (
        "Model in folder 'checkpoints' with filename 'gone.safetensors' not found.\n"
    )


def test_a_missing_model_of_another_folder(stub: comfystub.Stub) -> None:
    graph = text_to_image()
    inputs = {"model": ["4", 0], "clip": ["4", 1], "strength_model": 1.0, "strength_clip": 1.0}
    graph["10"] = {"class_type": "LoraLoader", "inputs": {**inputs, "lora_name": "gone.safetensors"}}
    graph["3"]["inputs"]["model"] = ["10", 0]
    stub.fail(faults.missing_model("gone.safetensors", "loras"))
    told = error_of(post(graph))
    assert (told["node_id"], told["node_type"]) == ("10", "LoraLoader")
    assert "Model in folder 'loras'" in told["exception_message"]


def paid_service() -> Graph:
    """A workflow with a node of a paid service."""
    inputs = {"prompt": "a fox", "prompt_upsampling": False, "seed": 1, "aspect_ratio": "16:9", "raw": False}
    return {
        "1": {"class_type": "FluxProUltraImageNode", "inputs": inputs},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "p"}},
    }


@pytest.mark.parametrize("key", ["auth_token_comfy_org", "api_key_comfy_org"])
def test_a_paid_service_wants_a_key(stub: comfystub.Stub, ws: websocket.WebSocket, key: str) -> None:
    fault = stub.fail(faults.unauthorized_api_node())
    prompt_id = post(paid_service(), client_id="me")
    told = hear(ws)[-3]["data"]
    assert (told["node_type"], told["exception_type"]) == ("FluxProUltraImageNode", "Exception")
    assert told["exception_message"] == "Unauthorized: Please login first to use this node.\n"
    assert status(prompt_id) == "failed"
    for given in ("", None):
        assert status(post(paid_service(), extra_data={key: given})) == "failed"
    with_key = post(paid_service(), extra_data={key: "secret"})
    assert entry(with_key)["status"]["completed"]
    assert "secret" not in requests.get(f"{URL}/history").text
    assert entry(post())["status"]["completed"]
    assert fault.hits == 3


def test_a_fault_strikes_nodes_that_nobody_knows() -> None:
    graph = text_to_image()
    graph["8"]["class_type"] = "MyDecoder"
    with comfystub.patch(URL, unknown_nodes="accept") as stub:
        fault = stub.fail("error", on="MyDecoder", times=1)
        told = error_of(post(graph))
        assert (told["node_id"], told["node_type"], fault.hits) == ("8", "MyDecoder", 1)
        assert len(images_of(post(graph))) == 1


def test_a_fault_strikes_what_was_not_judged() -> None:
    with comfystub.patch(URL, validate=False) as stub:
        stub.fail(faults.unauthorized_api_node(times=1))
        stub.fail("error", on={"value": 3, "text": "x"}, times=1)
        odd: Graph = {
            "1": {"class_type": "Nobody", "inputs": {"a": 3, "b": None, "c": ["x"], "d": "xyz"}},
            "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
        }
        assert error_of(post(odd))["node_type"] == "Nobody"
        assert [fault.hits for fault in stub.faults] == [0, 1]


@pytest.mark.parametrize("pace", ["instant", 0, 1, 3, Timed(0.1, 0.1, 0.1)])
def test_a_job_fails_at_every_pace(pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        stub.fail("out_of_memory", times=1)
        failed, well = post(), post(text_to_image(seed=8))
        for _ in range(100):
            if entry(failed) and entry(well):
                break
            time.sleep(0.1)
        assert (status(failed), status(well)) == ("failed", "completed")
        assert queued() == ([], [])


def test_a_manual_job_fails_when_the_test_comes_to_it() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        fault = stub.fail("error", on="VAEDecode")
        prompt_id = post()
        stub.run_until(lambda event: event.type == "executing" and event.data["node"] == "8")
        assert (status(prompt_id), fault.hits) == ("in_progress", 1)
        assert stub.run_until("execution_error").data["node_id"] == "8"
        stub.finish()
        assert status(prompt_id) == "failed"


# --- outputs and files


def test_no_outputs(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    fault = stub.fail(faults.no_outputs(times=1))
    prompt_id = post(client_id="me")
    heard = hear(ws)
    assert types(heard)[-2:] == ["execution_success", "executing"]
    assert "executed" not in types(heard)
    assert (entry(prompt_id)["status"]["status_str"], entry(prompt_id)["outputs"]) == ("success", {})
    row = get(f"/api/jobs/{prompt_id}")
    assert (row["status"], row["outputs_count"], row["outputs"]) == ("completed", 0, {})
    assert not list(stub.output_dir.iterdir())
    assert (stub.outputs, fault.hits) == ([], 1)


def test_after_no_outputs_the_same_prompt_has_them(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_outputs(times=1))
    assert images_of(post()) == []
    (image,) = images_of(post())
    assert view(image).status_code == 200


def test_one_output_node_of_two_leaves_nothing(stub: comfystub.Stub) -> None:
    graph = text_to_image()
    graph["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    stub.fail(faults.no_outputs(on="SaveImage"))
    prompt_id = post(graph)
    assert list(entry(prompt_id)["outputs"]) == ["10"]
    assert [output.type for output in stub.outputs] == ["temp"]


def batch(count: int = 4) -> Graph:
    return text_to_image(batch_size=count)


def test_the_disk_is_full(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    fault = stub.fail(faults.disk_full(after=2))
    prompt_id = post(batch(), client_id="me")
    told = hear(ws)[-3]["data"]
    assert (told["node_type"], told["exception_type"]) == ("SaveImage", "OSError")
    path = stub.output_dir / "ComfyUI_00003_.png"
    assert told["exception_message"] == f"[Errno 28] No space left on device: '{path}'\n"
    assert error_of(prompt_id) == told
    assert sorted(path.name for path in stub.output_dir.iterdir()) == [
        "ComfyUI_00001_.png",
        "ComfyUI_00002_.png",
    ]
    assert (entry(prompt_id)["outputs"], status(prompt_id), fault.hits) == ({}, "failed", 1)
    fault.lift()
    names = [image["filename"] for image in images_of(post(batch()))]
    assert names == [f"ComfyUI_0000{number}_.png" for number in (3, 4, 5, 6)]


def test_a_folder_is_read_only(stub: comfystub.Stub) -> None:
    stub.fail(faults.read_only())
    told = error_of(post())
    assert (told["node_type"], told["exception_type"]) == ("SaveImage", "PermissionError")
    assert told["exception_message"].startswith("[Errno 13] Permission denied: ")
    assert not list(stub.output_dir.iterdir())


def test_a_disk_is_full_for_one_node(stub: comfystub.Stub) -> None:
    graph = text_to_image()
    graph["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    stub.fail(faults.disk_full(on="PreviewImage"))
    assert error_of(post(graph))["node_id"] == "10"


def test_deleted_outputs(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    stub.fail(faults.deleted_outputs(times=1))
    prompt_id = post(batch(2), client_id="me")
    assert types(hear(ws))[-3:] == ["executed", "execution_success", "executing"]
    images = images_of(prompt_id)
    assert [view(image).status_code for image in images] == [404, 404]
    assert (len(images), status(prompt_id)) == (2, "completed")
    assert not list(stub.output_dir.iterdir())
    assert [output.path.exists() for output in stub.outputs] == [False, False]
    assert [view(image).status_code for image in images_of(post(text_to_image(seed=8)))] == [200]


def test_deleted_outputs_stay_away_for_a_job_that_has_them_from_the_cache(stub: comfystub.Stub) -> None:
    stub.fail(faults.deleted_outputs(times=1))
    first = images_of(post())
    assert images_of(post()) == first
    assert view(first[0]).status_code == 404


# --- jobs


@pytest.mark.parametrize("pace", ["instant", 0, 1, 3, Timed()])
def test_a_job_vanishes(pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        stub.fail(faults.vanish(on=1))
        gone, other = post(), post(text_to_image(seed=8))
        for _ in range(20):
            time.sleep(1)
            get("/queue")
        assert (entry(gone), status(gone), queued()) == (None, "Job not found", ([], []))
        assert (status(other), stub.jobs[0].status) == ("completed", "lost")
        assert list(get("/history")) == [other]
        assert [row["id"] for row in get("/api/jobs")["jobs"]] == [other]


def test_a_client_waits_in_vain_for_a_job_that_vanished() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        stub.fail("vanish", times=1)
        ws = listen(timeout=60)
        post(client_id="me")
        assert (types(until_silent(ws)), stub.clock.elapsed, stub.jobs[0].status) == ([], 60, "lost")
        well = post(client_id="me")
        assert types(hear(ws))[-1] == "executing"
        assert status(well) == "completed"
        ws.close()


def test_what_is_behind_a_job_that_vanishes_does_not_begin_with_it() -> None:
    with comfystub.patch(URL, pace=3) as stub:
        stub.fail("vanish", on=1)
        gone, other = post(), post(text_to_image(seed=8))
        for _ in range(5):
            entry(gone)
        assert [job.state for job in stub.jobs] == ["lost", "pending"]
        assert [status(other) for _ in range(3)] == ["pending", "in_progress", "completed"]


def test_a_manual_job_behind_one_that_vanishes_stands_still(stub: comfystub.Stub) -> None:
    stub.fail("vanish", on=1)
    gone = post()
    (other,) = stub.fill_queue(pace="manual")
    assert (status(gone), status(other.id)) == ("Job not found", "pending")
    stub.finish(other)
    assert status(other.id) == "completed"


def test_history_is_late(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    stub.fail(faults.late_history(looks=3))
    prompt_id = post(client_id="me")
    assert types(hear(ws))[-2:] == ["execution_success", "executing"]
    assert [entry(prompt_id) is not None for _ in range(5)] == [False, False, False, True, True]
    (image,) = images_of(prompt_id)
    assert view(image).status_code == 200


@pytest.mark.parametrize("path", ["/history", "/api/jobs", "/queue", "/prompt"])
def test_every_look_counts_towards_a_late_history(stub: comfystub.Stub, path: str) -> None:
    stub.fail(faults.late_history(looks=2))
    prompt_id = post()
    stub.finish()
    get(path)
    get(path)
    assert entry(prompt_id)["status"]["completed"]


def test_a_late_job_is_nowhere_meanwhile(stub: comfystub.Stub) -> None:
    stub.fail(faults.late_history(looks=4))
    prompt_id = post()
    assert (queued(), get("/history"), get("/api/jobs")["jobs"]) == (([], []), {}, [])
    assert status(prompt_id) == "Job not found"
    assert stub.jobs[0].status == "completed"
    assert status(prompt_id) == "completed"


@pytest.mark.parametrize("pace", ["instant", 0, Timed()])
def test_history_is_late_by_seconds(pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        stub.fail(faults.late_history(looks=0, seconds=5))
        ws = listen(timeout=100)
        prompt_id = post(client_id="me")
        assert types(hear(ws))[-1] == "executing"
        for _ in range(10):
            assert entry(prompt_id) is None
            time.sleep(0.5)
        assert entry(prompt_id)["status"]["completed"]
        ws.close()


def test_history_that_is_late_counts_from_the_end_of_the_job() -> None:
    with comfystub.patch(URL, clock="virtual", pace=Timed()) as stub:
        stub.fail(faults.late_history(looks=0, seconds=5))
        early, late = post(), post(text_to_image(seed=8))
        stub.clock.advance(15)  # the first is over at 9.3, the second at 10.3
        assert (entry(early) is None, entry(late) is None) == (False, True)
        stub.clock.advance(0.3)
        assert entry(late)["status"]["completed"]


def test_nothing_is_cached(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    stub.fail(faults.no_cache())
    names = []
    for _ in range(2):
        prompt_id = post(client_id="me")
        (cached,) = (one["data"]["nodes"] for one in hear(ws) if one["type"] == "execution_cached")
        assert cached == []
        names.append(images_of(prompt_id)[0]["filename"])
    assert names == ["ComfyUI_00001_.png", "ComfyUI_00002_.png"]


def test_one_job_alone_finds_nothing_cached(stub: comfystub.Stub) -> None:
    stub.fail("no_cache", on=2)
    found = [images_of(post())[0]["filename"] for _ in range(3)]
    assert found == ["ComfyUI_00001_.png", "ComfyUI_00002_.png", "ComfyUI_00002_.png"]


def test_a_job_that_is_cached_takes_no_time_unless_nothing_is() -> None:
    with comfystub.patch(URL, clock="virtual", pace=Timed()) as stub:
        stub.fail("no_cache")
        for _ in range(2):
            post()
            stub.clock.advance(100)
            assert schedule_end(stub.jobs[-1]) == 9.3


def schedule_end(job: comfystub.Job) -> float:
    assert job.status == "completed"
    return schedule(job)[-1][0]


# --- the server dies in the middle


@pytest.mark.parametrize(
    ("at", "last"),
    [
        ("execution_start", []),
        ("execution_cached", ["execution_start"]),
        ("progress", [*START, *["executing"] * 5]),
        ("executed", [*START, *["executing"] * 5, "progress", "progress", *["executing"] * 2]),
        (
            "execution_success",
            [*START, *["executing"] * 5, "progress", "progress", *["executing"] * 2, "executed"],
        ),
    ],
)
@pytest.mark.parametrize("pace", ["instant", Timed(0.1, 0.1, 0.1)])
def test_the_server_dies_in_the_place_of_a_message(at: str, last: list[str], pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        fault = stub.fail(faults.restart(at))
        ws = listen()
        prompt_id = post(client_id="me")
        assert types(rest(ws)) == last
        assert (stub.jobs[0].status, fault.hits) == ("lost", 1)
        assert (status(prompt_id), queued()) == ("Job not found", ([], []))
        assert get("/history") == {}
        ws.close()
        ws = listen()
        again = post(client_id="me")
        assert types(hear(ws))[-2:] == ["execution_success", "executing"]
        assert entry(again)["prompt"][0] == 0  # numbers begin anew
        assert not stub.sockets[0].is_open and stub.sockets[1].is_open
        ws.close()


@pytest.mark.parametrize("pace", [0, 1, "instant", 3])
def test_the_server_dies_while_a_client_only_polls(pace: Any) -> None:
    with comfystub.patch(URL, pace=pace) as stub:
        stub.fail(faults.restart("executing", on={"node": "VAEDecode"}))
        prompt_id = post()
        assert [entry(prompt_id) for _ in range(6)] == [None] * 6
        assert (stub.jobs[0].status, queued()) == ("lost", ([], []))
        again = post()
        found = [entry(again) is not None for _ in range(4)]
        assert found[-1] and stub.jobs[1].status == "completed"


def test_what_waits_is_lost_when_the_server_dies(stub: comfystub.Stub, ws: websocket.WebSocket) -> None:
    stub.fail(faults.restart("progress"))
    first, second = post(client_id="me"), post(text_to_image(seed=8), client_id="me")
    assert types(rest(ws))[-1] == "executing"
    assert [status(first), status(second)] == ["Job not found", "Job not found"]
    assert [job.status for job in stub.jobs] == ["lost", "lost"]


def test_the_server_dies_as_often_as_it_is_told(stub: comfystub.Stub) -> None:
    stub.fail(faults.restart("execution_start", times=2))
    assert [status(post()) for _ in range(3)] == ["Job not found", "Job not found", "completed"]


def test_the_server_dies_at_the_last_message(stub: comfystub.Stub) -> None:
    stub.fail(faults.restart(lambda event: event.type == "executing" and event.data["node"] is None))
    prompt_id = post()
    assert (status(prompt_id), stub.jobs[0].status, get("/history")) == ("Job not found", "completed", {})
    assert [path.name for path in stub.output_dir.iterdir()] == ["ComfyUI_00001_.png"]


@pytest.mark.parametrize("end", ["execution_error", "execution_interrupted"])
def test_the_server_dies_as_a_job_ends_badly(end: str) -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        stub.fail(faults.restart(end))
        post()
        stub.step(2)
        if end == "execution_error":
            stub.fail("error")
        else:
            requests.post(f"{URL}/interrupt")
        stub.finish()
        assert (stub.jobs[0].status, get("/history"), queued()) == ("lost", {}, ([], []))


# --- faults of one job


@pytest.mark.parametrize(
    "fault",
    [faults.error(), faults.out_of_memory(), faults.no_outputs(), faults.disk_full(), faults.read_only()],
    ids=lambda fault: fault.name,
)
def test_a_fault_of_the_next_job_strikes_that_alone(stub: comfystub.Stub, fault: Fault) -> None:
    stub.next_job(faults=[fault.fresh()])
    found = [bool(images_of(post(text_to_image(seed=seed)))) for seed in range(3)]
    assert found == [False, True, True]


def test_several_faults_strike_one_job(stub: comfystub.Stub) -> None:
    stub.next_job(faults=[faults.no_cache(), faults.late_history(looks=1), faults.deleted_outputs()])
    prompt_id = post()
    assert entry(prompt_id) is None
    assert view(images_of(prompt_id)[0]).status_code == 404
    assert [fault.hits for fault in stub.faults] == [1, 1, 1]


@pytest.mark.parametrize("name", ["error", "no_outputs", "vanish"])
def test_a_fault_that_patch_was_given_is_fresh_each_time(name: str) -> None:
    fault = faults.named(name, times=1)

    @comfystub.patch(URL, faults=[fault])
    def run() -> list[bool]:
        return [bool((found := entry(post())) and found["outputs"]) for _ in range(2)]

    assert [run(), run()] == [[False, True], [False, True]]
    assert fault.hits == 0
