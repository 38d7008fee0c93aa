"""With a seed, two runs give the same bytes: in one process, and in two."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import websocket
from calls import URL
from prompting import entry, get, listen, post, status
from workflows import Graph, text_to_image

import comfystub
from comfystub import Timed, faults
from comfystub.engine.clock import VirtualClock

TESTS = pathlib.Path(__file__).parent
ENOUGH = 100

Run = Callable[[comfystub.Stub], Any]


def with_preview(seed: int = 7) -> Graph:
    """A workflow that saves a picture and leaves another in the temp folder."""
    graph = text_to_image(seed=seed, prefix="sub/%year%-%month%-%day%_fox")
    graph["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    return graph


def answered(method: str, path: str, **options: Any) -> list[Any]:
    """All of an answer, a body that is not text by its digest."""
    response = requests.request(method, URL + path, **options)
    kind = response.headers.get("Content-Type", "")
    body = response.text if "json" in kind or "text" in kind else hashlib.sha256(response.content).hexdigest()
    return [response.status_code, dict(response.headers), body]


def heard(ws: websocket.WebSocket, jobs: int = 1) -> list[str]:
    """The messages up to the end of so many jobs, pictures by their digest."""
    found: list[str] = []
    while sum('"executing"' in one and '"node": null' in one for one in found) < jobs:
        message = ws.recv()
        found.append(message if isinstance(message, str) else hashlib.sha256(message).hexdigest())
    return found


def files(stub: comfystub.Stub) -> list[list[Any]]:
    """Every file with its time and its digest."""
    root = stub.output_dir.parent
    return [
        [
            path.relative_to(root).as_posix(),
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        ]
        for path in sorted(root.rglob("*"))
        if path.is_file()
    ]


def records(stub: comfystub.Stub) -> list[Any]:
    """What a test is told of it."""
    return [
        [(job.id, job.state, job.submitted, list(job.times), repr(job.marks[-1:])) for job in stub.jobs],
        [(record.client_id, record.opened, record.closed, dict(record.sent)) for record in stub.sockets],
        [(call.method, call.path, call.status, call.time) for call in stub.requests],
        str(stub.timeline()),
    ]


# --- what is run twice


def a_whole_session(stub: comfystub.Stub) -> list[Any]:
    """Sockets, jobs, previews, files and every look, with a restart in between."""
    found: list[Any] = []
    ws = websocket.create_connection(URL.replace("http", "ws") + "/ws", timeout=20)  # the server names it
    found.append(ws.recv())
    sid = json.loads(found[0])["data"]["sid"]
    for seed in (1, 2, 1):
        found.append(post(with_preview(seed), client_id=sid))
        found.append(heard(ws))
    found.append(answered("POST", "/upload/image", files={"image": ("mine.png", b"x")}))
    found.append(answered("POST", "/prompt", json={"prompt": {}}))
    found += [answered("GET", path) for path in ("/history", "/queue", "/api/jobs", "/prompt")]
    for output in stub.outputs:
        place = {"filename": output.filename, "subfolder": output.subfolder, "type": output.type}
        found.append(answered("GET", "/view", params=place))
    found.append(answered("GET", "/userdata?dir=."))
    stub.restart()
    ws.close()
    ws = listen()
    found.append(post(with_preview(3), client_id="me"))
    found.append(heard(ws))
    found += [answered("GET", "/history"), files(stub)]
    ws.close()
    return found


def a_session_of_failures(stub: comfystub.Stub) -> list[Any]:
    """Faults by chance, of every kind that a client can meet without waiting."""
    stub.fail(faults.unavailable(rate=0.3, on="/queue"))
    stub.fail(faults.malformed_json(rate=0.3, on="/prompt"))
    stub.fail(faults.error(rate=0.1))
    stub.fail(faults.drop_events("progress", rate=0.5))
    stub.fail(faults.double_events("executing", rate=0.5, on={"client": "me"}))
    stub.fail(faults.vanish(rate=0.1))
    ws = listen()
    found: list[Any] = []
    for seed in range(20):
        found.append(
            answered("POST", "/prompt", json={"prompt": text_to_image(seed=seed), "client_id": "me"})
        )
        found.append(answered("GET", "/queue"))
    stub.finish()
    ws.settimeout(0)
    while True:
        try:
            message = ws.recv()
        except BlockingIOError:
            break
        found.append(message if isinstance(message, str) else hashlib.sha256(message).hexdigest())
    found.append(answered("GET", "/history"))
    found.append([fault.hits for fault in stub.faults])
    ws.close()
    return found


def a_polling_client(stub: comfystub.Stub) -> list[Any]:
    """A client that polls, and that reads the answers alone."""
    prompt_id = post(with_preview())
    found = []
    for _ in range(ENOUGH):
        found.append([status(prompt_id), get("/queue"), entry(prompt_id)])
        if found[-1][-1]:
            return [*found, files(stub)]
        time.sleep(0.7 if isinstance(stub.clock, VirtualClock) else 0)
    raise AssertionError("the job did not end")


RUNS = {run.__name__: run for run in (a_whole_session, a_session_of_failures, a_polling_client)}
SETTINGS: dict[str, dict[str, Any]] = {
    "instant": {},
    "at-once": {"pace": 0},
    "looks": {"pace": 5},
    "virtual": {"clock": "virtual"},
    "virtual-timed": {"clock": "virtual", "pace": Timed()},
}
each_run = pytest.mark.parametrize("run", RUNS)
each_setting = pytest.mark.parametrize("setting", SETTINGS)


def told(run: str, setting: str, seed: int | None) -> str:
    """All that a run finds out, as text."""
    with comfystub.patch(URL, seed=seed, **SETTINGS[setting]) as stub:
        found = RUNS[run](stub)
        return json.dumps([found, records(stub)], indent=1)


@each_run
@each_setting
def test_two_runs_in_one_process_are_equal(run: str, setting: str) -> None:
    first, second = told(run, setting, 1), told(run, setting, 1)
    assert first.splitlines() == second.splitlines()


@each_run
@each_setting
def test_another_seed_gives_other_ids(run: str, setting: str) -> None:
    assert told(run, setting, 1) != told(run, setting, 2)


@each_run
@each_setting
def test_without_a_seed_two_runs_differ(run: str, setting: str) -> None:
    assert told(run, setting, None) != told(run, setting, None)


IN_A_PROCESS = """
import sys
import test_reproducible
for run in test_reproducible.RUNS:
    for setting in test_reproducible.SETTINGS:
        print(run, setting, test_reproducible.told(run, setting, 1))
"""


def in_a_process(hash_seed: int) -> str:
    """What every run tells in a fresh interpreter."""
    env = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_runs_in_two_interpreters_are_equal() -> None:
    first = in_a_process(1)
    assert len(first) > 10_000
    assert first.splitlines() == in_a_process(2).splitlines()


# --- single things


def test_timed_jobs_on_the_real_clock_have_the_same_times_for_their_clients() -> None:
    """How long the machine takes for them does not show."""

    def run() -> list[str]:
        with comfystub.patch(URL, seed=1, pace=Timed(0.01, 0.01, 0.01)):
            ws = listen()
            post(client_id="me")
            found = heard(ws)
            ws.close()
            return found

    assert run() == run()


def test_files_of_the_user_have_the_same_times() -> None:
    def run() -> list[Any]:
        with comfystub.patch(URL, seed=1):
            requests.post(f"{URL}/userdata/mine.txt", data=b"x")
            return [answered("GET", "/userdata?dir=.&full_info=true"), answered("GET", "/userdata/mine.txt")]

    assert run() == run()


def test_the_times_of_a_seeded_run_begin_with_2026() -> None:
    with comfystub.patch(URL, seed=1) as stub:
        post()
        (job,) = stub.jobs
        assert job.status == "completed"
        assert [time.gmtime(moment)[:3] for moment in (job.submitted, job.times[-1])] == [(2026, 1, 1)] * 2


def test_the_records_of_sockets_are_in_order_with_the_calls() -> None:
    with comfystub.patch(URL, seed=1) as stub:
        ws = listen()
        post(client_id="me")
        heard(ws)
        ws.close()
        (record,) = stub.sockets
        opening, submission = stub.requests
        assert record.closed is not None
        assert opening.time <= record.opened <= submission.time <= stub.jobs[0].times[-1] <= record.closed


def test_what_a_test_reads_moves_no_time() -> None:
    """Looking at records does not change what comes after it."""

    def run(looks: bool) -> Any:
        with comfystub.patch(URL, seed=1) as stub:
            first = post()
            entry(first)
            if looks:
                assert stub.sockets == [] and stub.jobs[0].outputs and stub.timeline()
            return entry(post(text_to_image(seed=8)))

    assert run(True) == run(False)
