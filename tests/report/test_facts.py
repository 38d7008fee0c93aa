"""What a report tells of jobs, calls and sockets."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from calls import URL
from prompting import get, listen, post
from workflows import Graph, text_to_image

import comfystub
from comfystub.reporting.facts import Seen, gather, seen_of
from comfystub.reporting.graph import Facts

TIMED = comfystub.Timed(load=8.0, step=0.5, node=0.1)


def job_of(stub: comfystub.Stub) -> Facts:
    """What is told of the last job."""
    job: Facts = gather(stub)["jobs"][-1]
    return job


def rows(job: Facts) -> list[tuple[Any, str, list[str]]]:
    """The rows of a timeline: the node, its state and what is said of it."""
    return [(row.get("id"), row["state"], row["said"]) for row in job["rows"]]


def bars(job: Facts) -> dict[str, tuple[int, int]]:
    """Where bars begin and end, in thousandths of the line."""
    return {
        row.get("id", "queued"): (row["bar"]["at"], row["bar"]["at"] + row["bar"]["wide"])
        for row in job["rows"]
        if row["bar"]
    }


def done(seconds: float = 60) -> None:
    """Let time pass, and the server notice."""
    time.sleep(seconds)
    get("/queue")


# --- timelines


def test_with_time_bars_are_as_long_as_nodes_took() -> None:
    with comfystub.patch(URL, clock="virtual", pace=TIMED) as stub:
        post()
        done()
        job = job_of(stub)
    assert job["axis"] == ["0 s", "2.38 s", "4.75 s", "7.12 s", "9.5 s"]
    assert rows(job) == [
        (None, "queued", []),
        ("4", "ran", ["8.000 s"]),
        ("5", "ran", ["0.100 s"]),
        ("7", "ran", ["0.100 s"]),
        ("6", "ran", ["0.100 s"]),
        ("3", "ran", ["2 steps", "1.000 s"]),
        ("8", "ran", ["0.100 s"]),
        ("9", "ran", ["ComfyUI_00001_.png", "0.100 s"]),
    ]
    assert bars(job)["4"] == (0, 842)
    assert bars(job)["3"] == (874, 979)
    assert bars(job)["9"][1] == 1000
    assert [row["steps"] for row in job["rows"] if row.get("id") == "3"] == [[926, 979]]


def test_at_once_bars_are_in_the_order_of_events() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        post(text_to_image(steps=4))
        get("/queue")
        job = job_of(stub)
    assert job["axis"] == ["submitted", "end"]
    # One for the queue, one for each node, and one more for each of the sampler's steps.
    unit = 1000 / (1 + 7 + 4)
    ends = [round(unit * place) for place in (1, 2, 3, 4, 5, 10, 11, 12)]
    assert [end for _, end in bars(job).values()] == ends
    assert [begin for begin, _ in bars(job).values()] == [0, *ends[:-1]]
    assert rows(job)[5] == ("3", "ran", ["4 steps"])


def test_a_job_that_waits() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        post()
        job = job_of(stub)
    assert job["state"] == "pending"
    assert bars(job) == {"queued": (0, 1000)}
    assert {state for _, state, _ in rows(job)[1:]} == {"waiting"}
    assert job["axis"] == ["submitted", "so far"]


def test_a_job_that_runs() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        post()
        stub.run_until("progress")
        job = job_of(stub)
    assert rows(job)[5] == ("3", "running", ["1 of 2 steps"])
    assert bars(job)["3"][1] == 1000
    assert [state for _, state, _ in rows(job)[6:]] == ["waiting", "waiting"]


def test_a_node_that_failed_and_those_that_were_not_reached() -> None:
    with comfystub.patch(URL) as stub:
        stub.fail(ValueError("no paint"), on="KSampler")
        post()
        get("/queue")
        job = job_of(stub)
    assert job["state"] == "failed"
    assert [(node, state) for node, state, _ in rows(job)[5:]] == [
        ("3", "failed"),
        ("8", "not reached"),
        ("9", "not reached"),
    ]
    assert job["error"] == "failed at 3 KSampler: ValueError: no paint"
    assert "no paint" not in job["traceback"] and "Traceback" not in job["traceback"]
    assert job["traceback"].startswith('  File "')
    assert job["faults"] == ["error"]
    assert {node["below"]: node["state"] for node in job["graph"]["nodes"]}["#3"] == "failed"


def test_a_node_that_was_interrupted() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        post()
        stub.run_until("progress")
        httpx.post(f"{URL}/interrupt")
        stub.finish()
        job = job_of(stub)
    assert rows(job)[5] == ("3", "interrupted", ["1 of 2 steps"])


def test_a_job_that_was_lost_while_it_ran() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        post()
        stub.run_until("progress")
        stub.restart()
        job = job_of(stub)
    assert job["state"] == "lost"
    assert rows(job)[5][1] == "interrupted"


def test_nodes_from_the_cache() -> None:
    with comfystub.patch(URL) as stub:
        post()
        post(text_to_image(seed=8))
        get("/queue")
        job = job_of(stub)
    states = {node: state for node, state, _ in rows(job)}
    assert states == {
        None: "queued",
        **dict.fromkeys("4567", "cached"),
        **dict.fromkeys("389", "ran"),
    }


def test_an_output_from_the_cache_names_its_files() -> None:
    with comfystub.patch(URL) as stub:
        post(client_id="me")
        post(client_id="me")
        get("/queue")
        job = job_of(stub)
    assert rows(job)[1] == ("9", "cached", ["ComfyUI_00001_.png"])


def test_jobs_on_one_line_of_time() -> None:
    with comfystub.patch(URL, clock="virtual", pace=TIMED) as stub:
        post()
        post(text_to_image(seed=8))
        done()
        told = gather(stub)["overview"]
    assert [(row["job"], row["said"]) for row in told["rows"]] == [
        (1, ["0.000 s queued", "9.500 s running"]),
        (2, ["9.500 s queued", "1.200 s running"]),
    ]
    assert told["rows"][1]["waited"] == {"at": 0, "wide": 888}
    assert told["rows"][1]["bar"] == {"at": 888, "wide": 112}


def test_a_job_that_waits_is_on_that_line() -> None:
    with comfystub.patch(URL, clock="virtual", pace=TIMED) as stub:
        post()
        post(text_to_image(seed=8))
        done(9)
        row = gather(stub)["overview"]["rows"][1]
    assert row == {
        "job": 2,
        "state": "pending",
        "waited": {"at": 0, "wide": 1000},
        "bar": None,
        "said": ["pending"],
    }


def test_jobs_without_time_have_no_such_line() -> None:
    with comfystub.patch(URL) as stub:
        stub.fill_queue(2)
        stub.finish()
        assert gather(stub)["overview"] is None


# --- nothing is moved


@pytest.mark.parametrize("pace", ["instant", "manual", 3, TIMED])
def test_nothing_is_moved(pace: Any) -> None:
    with comfystub.patch(URL, pace=pace) as stub:
        post()
        gather(stub)
        assert stub.jobs[0].marks == []
        assert len(stub.requests) == 1


def test_no_folder_is_made() -> None:
    stub = comfystub.Stub(URL)
    stub.fill_queue()
    gather(stub)
    stub.close()
    with pytest.raises(RuntimeError, match="its output folder was never needed"):
        assert stub.output_dir


# --- messages


def test_messages() -> None:
    with comfystub.patch(URL, seed=1) as stub:
        post()
        get("/queue")
        frames = job_of(stub)["frames"]
    told = [("+".join(one["types"]), one["many"], one["node"]) for one in frames]
    assert told[:5] == [
        ("execution_start", 1, None),
        ("execution_cached", 1, None),
        ("progress_state", 1, "4"),
        ("executing", 1, "4"),
        ("progress_state", 1, "4"),
    ]
    assert ("progress_state+progress+preview", 7, "3") in told
    assert told[-2:] == [("execution_success", 1, None), ("executing", 1, None)]
    steps = next(one for one in frames if one["many"] == 7)
    assert [line.split()[1:] for line in steps["body"].splitlines()] == [
        ["progress_state", "running,", "1", "of", "2"],
        ["progress", "1", "of", "2"],
        ["preview", "image/jpeg"],
        ["progress_state", "running,", "2", "of", "2"],
        ["progress", "2", "of", "2"],
        ["preview", "image/jpeg"],
        ["progress_state", "finished,", "2", "of", "2"],
    ]
    assert steps["preview"].startswith("data:image/jpeg;base64,")
    executing = next(one for one in frames if one["types"] == ["executing"])
    assert json.loads(executing["body"])["node"] == "4"


# --- calls


def calls_of(stub: comfystub.Stub) -> list[Facts]:
    calls: list[Facts] = gather(stub)["calls"]
    return calls


def test_a_client_that_polls_takes_one_row() -> None:
    with comfystub.patch(URL, clock="virtual", pace="manual") as stub:
        for _ in range(3):
            get("/queue")
            time.sleep(2)
        get("/prompt")
        first, second = calls_of(stub)
    assert (first["name"], first["many"], first["time"], first["until"]) == ("GET /queue", 3, 0.0, 4.0)
    assert (second["name"], second["many"], second["until"]) == ("GET /prompt", 1, None)


def test_a_submission_has_its_bodies_and_leads_to_its_job() -> None:
    with comfystub.patch(URL) as stub:
        prompt_id = post(client_id="me")
        (call,) = calls_of(stub)
    assert call["job"] == 1
    assert json.loads(call["body"])["client_id"] == "me"
    assert json.loads(call["answer"])["prompt_id"] == prompt_id
    assert '"model": ["4", 0],' in call["body"]


def test_a_rejected_prompt_shows_its_graph() -> None:
    graph = text_to_image()
    graph["3"]["inputs"]["sampler_name"] = "oiler"
    with comfystub.patch(URL) as stub:
        httpx.post(f"{URL}/prompt", json={"prompt": graph})
        facts = gather(stub)
    (call,) = facts["calls"]
    assert call["bad"]
    assert call["wrong"][1].startswith("node 3 KSampler: Value not in list (sampler_name: 'oiler' not in")
    states = {node["below"]: node["state"] for node in call["graph"]["nodes"]}
    assert [name for name, state in states.items() if state == "rejected"] == ["#3"]
    assert facts["jobs"] == []
    assert facts["complaints"] == [stub.complaints[0].text]


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"prompt": 7}', b'{"prompt": {"1": 2}}', b"\xff"])
def test_what_is_no_prompt(body: bytes) -> None:
    with comfystub.patch(URL) as stub:
        httpx.post(f"{URL}/prompt", content=body)
        (call,) = calls_of(stub)
    assert call["bad"]
    assert call["graph"] is None


def test_faults_are_named() -> None:
    with comfystub.patch(URL) as stub:
        stub.fail("status", code=503, on="/queue", times=1)
        stub.fail("out_of_memory", on={"node": {"VAEDecode", "KSampler"}})
        httpx.get(f"{URL}/queue")
        facts = gather(stub)
    assert [(call["status"], call["fault"]) for call in facts["calls"]] == [("503", "status 503")]
    assert facts["faults"] == [
        {"name": "status 503", "where": "path /queue", "hits": 1},
        {"name": "out_of_memory", "where": "node KSampler, VAEDecode", "hits": 0},
    ]
    assert facts["complaints"] == []


def test_secrets_are_hidden() -> None:
    with comfystub.patch(URL) as stub:
        headers = {"Authorization": "Bearer secret-1", "Cookie": "id=secret-2", "X-Plain": "shown"}
        keys = {"api_key_comfy_org": "secret-3", "auth_token_comfy_org": "secret-4"}
        body = {"prompt": text_to_image(), "extra_data": keys}
        httpx.post(f"{URL}/prompt", json=body, headers=headers)
        told = json.dumps(gather(stub))
    assert "secret-" not in told
    assert "shown" in told


def test_a_form_is_told_by_its_fields() -> None:
    with comfystub.patch(URL) as stub:
        file = ("fox.png", b"\x89PNG\r\n", "image/png")
        httpx.post(f"{URL}/upload/image", files={"image": file}, data={"overwrite": "true"})
        (call,) = calls_of(stub)
    assert call["body"] == "overwrite: true\nimage: fox.png, 6 bytes"
    assert dict(call["headers"])["content-type"] == "multipart/form-data; boundary=…"


def test_long_bodies_are_cut() -> None:
    with comfystub.patch(URL) as stub:
        httpx.post(f"{URL}/free", json={"unload_models": "x" * 30_000})
        (call,) = calls_of(stub)
    assert len(call["body"]) < 20_100
    assert call["body"].endswith("more characters")


# --- sockets


def test_sockets() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        socket = listen("me")
        socket.send('{"type": "feature_flags", "data": {}}')
        time.sleep(3)
        socket.close()
        other = listen("other")
        first, second = gather(stub)["sockets"]
        other.close()
    assert first == {
        "client": "me",
        "opened": 0.0,
        "closed": 3.0,
        "code": 1000,
        "sent": {"status": 1, "feature_flags": 1},
        "received": ['{"type": "feature_flags", "data": {}}'],
    }
    assert (second["client"], second["closed"]) == ("other", None)


# --- what was seen before


def test_what_came_since() -> None:
    with comfystub.patch(URL) as stub:
        post()
        seen = seen_of(stub)
        assert gather(stub, seen)["calls"] == []
        post(text_to_image("later"))
        facts = gather(stub, seen)
        assert [job["number"] for job in facts["jobs"]] == [2]
        assert len(facts["calls"]) == 1


def test_of_a_stub_that_was_reset_all_is_new() -> None:
    with comfystub.patch(URL) as stub:
        post()
        get("/queue")
        seen = seen_of(stub)
        stub.reset()
        post()
        assert seen == Seen(2, 1, 0)
        assert len(gather(stub, seen)["calls"]) == 1


def test_a_workflow_that_is_not_judged() -> None:
    graph: Graph = {
        "1": {"class_type": "Mine", "inputs": {"x": ["2", 0]}},
        "2": {"class_type": "Mine", "inputs": {"x": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["99", 0]}},
    }
    with comfystub.patch(URL, validate=False) as stub:
        post(graph)
        get("/queue")
        job = job_of(stub)
    assert sorted(edge["state"] for edge in job["graph"]["edges"]) == ["", "back", "missing"]
    assert job["state"] == "completed"
