"""Nodes that hang: who waits for them, and what lets them go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from calls import URL
from prompting import (
    LONG,
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
)
from workflows import text_to_image

import comfystub
from comfystub import Timed, faults


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def test_a_node_hangs_for_ever(stub: comfystub.Stub) -> None:
    fault = stub.fail(faults.hang(on="VAEDecode"))
    prompt_id, behind = post(), post(text_to_image(seed=8))
    for _ in range(3):
        assert (status(prompt_id), entry(prompt_id), queued()) == (
            "in_progress",
            None,
            ([prompt_id], [behind]),
        )
    assert (stub.jobs[0].current_node, stub.jobs[0].status) == ("8", "in_progress")
    stub.finish()
    stub.finish(stub.jobs[1])
    assert (stub.step(5), fault.hits) == (0, 1)
    assert [job.state for job in stub.jobs] == ["in_progress", "pending"]
    with pytest.raises(RuntimeError, match="no event was 'execution_success'"):
        stub.run_until("execution_success")


def test_an_interrupt_reaches_a_node_that_hangs_when_that_is_over(stub: comfystub.Stub) -> None:
    fault = stub.fail(faults.hang(on="KSampler"))
    prompt_id = post()
    assert status(prompt_id) == "in_progress"
    requests.post(f"{URL}/interrupt")
    requests.post(f"{URL}/api/jobs/{prompt_id}/cancel")
    assert (status(prompt_id), entry(prompt_id)) == ("in_progress", None)
    fault.lift()
    assert status(prompt_id) == "cancelled"


def test_what_waits_behind_a_node_that_hangs_can_be_deleted(stub: comfystub.Stub) -> None:
    stub.fail("hang")
    first, second = post(), post(text_to_image(seed=8))
    assert queued() == ([first], [second])
    requests.post(f"{URL}/queue", json={"delete": [second]})
    assert queued() == ([first], [])
    assert status(second) == "Job not found"


def test_a_restart_helps_against_a_node_that_hangs(stub: comfystub.Stub) -> None:
    stub.fail(faults.hang(on="VAEDecode", times=1))
    prompt_id = post()
    assert status(prompt_id) == "in_progress"
    stub.restart()
    assert (status(prompt_id), queued(), stub.jobs[0].status) == ("Job not found", ([], []), "lost")
    assert entry(post())["status"]["completed"]


def test_a_fault_that_is_removed_lets_go(stub: comfystub.Stub) -> None:
    stub.fail("hang")
    prompt_id = post()
    assert status(prompt_id) == "in_progress"
    stub.faults.clear()
    assert status(prompt_id) == "completed"


@pytest.mark.parametrize("pace", ["instant", 0, 1, "manual"])
def test_a_job_hangs_at_every_pace(pace: Any) -> None:
    with comfystub.patch(URL, pace=pace) as stub:
        fault = stub.fail("hang", on="VAEDecode")
        prompt_id = post()
        stub.finish()
        assert status(prompt_id) == "in_progress"
        assert (stub.step(), stub.jobs[0].current_node) == (0, "8")
        fault.lift()
        stub.finish()
        assert status(prompt_id) == "completed"


def test_a_socket_is_silent_while_a_node_hangs() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        fault = stub.fail("hang", on="VAEDecode")
        ws = listen(timeout=300)
        post(client_id="me")
        heard = until_silent(ws)
        assert stub.clock.elapsed == 300
        assert (heard[-1]["type"], heard[-1]["data"]["node"]) == ("executing", "8")
        fault.lift()
        assert types(hear(ws))[-2:] == ["execution_success", "executing"]
        ws.close()


@pytest.mark.parametrize("pace", ["instant", Timed(0, 0, 0)])
def test_a_node_hangs_for_a_while_and_the_socket_wakes_up(pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        stub.fail("hang", seconds=45, on="VAEDecode")
        ws = listen(timeout=300)
        post(client_id="me")
        assert types(hear(ws))[-2:] == ["execution_success", "executing"]
        assert stub.clock.elapsed == 45
        ws.close()


@pytest.mark.parametrize("pace", ["instant", 0, 1])
def test_a_node_hangs_for_a_while_and_a_look_finds_it_done(pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        stub.fail("hang", seconds=45, on="VAEDecode")
        prompt_id = post()
        assert status(prompt_id) == "in_progress"
        time.sleep(44)
        assert status(prompt_id) == "in_progress"
        time.sleep(1)
        assert status(prompt_id) == "completed"


@pytest.mark.parametrize("looks_meanwhile", [True, False])
@pytest.mark.parametrize(
    ("seconds", "lasting", "lifted", "wanted"),
    [
        (30, None, None, 9.1 + 30),
        (30, None, 20, 20),
        (30, None, 90, 9.1 + 30),
        (0.05, None, None, 9.2),
        (float("inf"), None, 90, 90),
        (float("inf"), 50, None, 50),
        (30, 20, None, 20),
    ],
)
def test_the_times_of_a_node_that_hangs(
    seconds: float, lasting: float | None, lifted: float | None, wanted: float, looks_meanwhile: bool
) -> None:
    with comfystub.patch(URL, clock="virtual", pace=Timed()) as stub:
        fault = stub.fail("hang", seconds=seconds, on="VAEDecode", lasting=lasting)
        prompt_id = post()
        for second in range(100):
            if second == lifted:
                if not looks_meanwhile:
                    get("/queue")
                fault.lift()
            if looks_meanwhile:
                get("/queue")
            time.sleep(1)
        assert status(prompt_id) == "completed"
        saved = next(moment for moment, what in schedule(stub.jobs[0]) if what == "executing 9")
        assert saved == pytest.approx(max(wanted, 9.2))


def test_a_thread_that_reads_is_woken_when_the_fault_is_lifted(stub: comfystub.Stub) -> None:
    fault = stub.fail("hang", on="VAEDecode")
    ws = listen(timeout=None)
    heard: list[Any] = []
    thread = threading.Thread(target=lambda: heard.extend(hear(ws)))
    thread.start()
    prompt_id = post(client_id="me")
    while status(prompt_id) != "in_progress" or stub.jobs[0].current_node != "8":
        time.sleep(0.001)
    fault.lift()
    thread.join(LONG)
    assert not thread.is_alive()
    assert types(heard)[-2:] == ["execution_success", "executing"]
    ws.close()


def test_a_thread_that_reads_is_woken_when_the_server_restarts(stub: comfystub.Stub) -> None:
    stub.fail("hang", on="VAEDecode")
    ws = listen(timeout=None)
    thread = threading.Thread(target=rest, args=(ws,))
    thread.start()
    post(client_id="me")
    get("/queue")
    stub.restart()
    thread.join(LONG)
    assert not thread.is_alive()
    assert stub.jobs[0].status == "lost"
    ws.close()


def test_a_node_that_hangs_on_the_real_clock_goes_on_by_itself() -> None:
    with comfystub.patch(URL) as stub:
        stub.fail("hang", seconds=0.02, on="VAEDecode")
        ws = listen()
        post(client_id="me")
        assert types(hear(ws))[-2:] == ["execution_success", "executing"]
        assert [call.path for call in stub.requests] == ["/ws", "/prompt"]
        ws.close()
    assert "comfystub clock" not in [thread.name for thread in threading.enumerate()]


def test_the_end_of_a_block_leaves_a_node_that_hangs_alone() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        fault = stub.fail("hang", seconds=10)
        post()
        assert stub.jobs[0].status == "in_progress"
    fault.lift()
    stub.clock.advance(100)
    assert stub.jobs[0].status == "in_progress"


def test_each_of_two_nodes_hangs_for_its_own_time() -> None:
    with comfystub.patch(URL, clock="virtual", pace=Timed(0, 0, 0)) as stub:
        stub.fail("hang", seconds=10, on="KSampler")
        stub.fail("hang", seconds=5, on="SaveImage")
        prompt_id = post()
        stub.clock.advance(100)
        assert status(prompt_id) == "completed"
        moments = {what: moment for moment, what in schedule(stub.jobs[0])}
        assert (moments["executing 3"], moments["executing 8"], moments["executing 9"]) == (0.0, 10.0, 10.0)
        assert moments["executing None"] == 15.0


def test_a_fault_that_hangs_some_jobs_hangs_each_of_them() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        fault = stub.fail("hang", seconds=10, on="KSampler", times=2)
        found = []
        for seed in range(3):
            prompt_id = post(text_to_image(seed=seed))
            found.append(status(prompt_id))
            time.sleep(10)
            assert status(prompt_id) == "completed"
        assert (found, fault.hits) == (["in_progress", "in_progress", "completed"], 2)
