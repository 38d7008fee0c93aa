"""How jobs move: what each look at the server finds."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import comfystub
from comfystub.engine.pacing import pace_of

URL = "http://comfy.test:8188"


def picture(color: int = 1) -> dict[str, Any]:
    made = {"width": 8, "height": 8, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": made},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "ImageInvert", "inputs": {"image": ["2", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "p"}},
    }


def submit(color: int = 1) -> str:
    prompt_id: str = httpx.post(f"{URL}/prompt", json={"prompt": picture(color)}).json()["prompt_id"]
    return prompt_id


def state(prompt_id: str) -> str:
    """Where a job is, without a look."""
    job = next(job for job in comfystub.current().jobs if job.id == prompt_id)
    return job.state


LOOKS = ["/history", "/history/{id}", "/queue", "/prompt", "/api/jobs", "/api/jobs/{id}", "/api/queue"]
NO_LOOKS = ["/", "/system_stats", "/view?filename=a.png", "/object_info/KSampler", "/features", "/settings"]


@pytest.mark.parametrize("path", LOOKS)
def test_the_first_look_finds_an_instant_job_done(path: str) -> None:
    with comfystub.patch(URL):
        prompt_id = submit()
        assert state(prompt_id) == "pending"
        httpx.get(URL + path.format(id=prompt_id))
        assert state(prompt_id) == "completed"


@pytest.mark.parametrize("path", NO_LOOKS)
def test_these_are_no_looks(path: str) -> None:
    with comfystub.patch(URL):
        prompt_id = submit()
        httpx.get(URL + path)
        httpx.post(f"{URL}/interrupt")
        assert state(prompt_id) == "pending"


def test_a_look_at_one_job_is_none_at_those_behind_it() -> None:
    with comfystub.patch(URL):
        first, second, third = submit(1), submit(2), submit(3)
        httpx.get(f"{URL}/history/{second}")
        assert [state(one) for one in (first, second, third)] == ["completed", "completed", "pending"]


@pytest.mark.parametrize("what", ["status", "outputs", "events", "error"])
def test_a_test_that_reads_an_instant_job_settles_it(what: str) -> None:
    with comfystub.patch(URL) as stub:
        submit()
        assert len(stub.jobs) == 1
        assert stub.jobs[0].state == "pending"
        getattr(stub.jobs[0], what)
        assert stub.jobs[0].state == "completed"


def test_a_job_at_pace_0_is_done_before_the_post_is_answered() -> None:
    with comfystub.patch(URL, pace=0):
        assert state(submit()) == "completed"


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        (1, ["completed"]),
        (2, ["in_progress", "completed"]),
        (3, ["pending", "in_progress", "completed"]),
        (5, ["pending", "in_progress", "in_progress", "in_progress", "completed"]),
    ],
)
def test_a_job_at_pace_n_is_done_at_the_nth_look(looks: int, found: list[str]) -> None:
    with comfystub.patch(URL, pace=looks):
        prompt_id = submit()
        for expected in found:
            row = httpx.get(f"{URL}/api/jobs/{prompt_id}").json()
            assert row["status"] == expected


def test_the_look_that_first_shows_it_running_leaves_it_in_its_first_node() -> None:
    with comfystub.patch(URL, pace=6) as stub:
        prompt_id = submit()
        nodes = []
        for _ in range(5):
            httpx.get(f"{URL}/history/{prompt_id}")
            nodes.append(stub.jobs[0].current_node)
        assert nodes[:2] == [None, "1"]
        assert nodes == sorted(nodes, key=lambda node: int(node or 0))
        assert nodes[-1] not in ("1", "9")


def test_a_cached_job_is_not_done_before_its_look() -> None:
    with comfystub.patch(URL, pace=3) as stub:
        submit()
        stub.finish()
        prompt_id = submit()
        found = [httpx.get(f"{URL}/api/jobs/{prompt_id}").json()["status"] for _ in range(3)]
        assert found == ["pending", "in_progress", "completed"]


def test_reading_a_job_at_pace_n_does_not_move_it() -> None:
    with comfystub.patch(URL, pace=2) as stub:
        submit()
        assert stub.jobs[0].status == "pending"
        assert stub.outputs == []


def test_a_job_that_waits_for_another_stays_pending() -> None:
    with comfystub.patch(URL, pace=4):
        first = submit(1)
        httpx.get(f"{URL}/queue")
        second = submit(2)
        httpx.get(f"{URL}/queue")
        httpx.get(f"{URL}/queue")
        assert (state(first), state(second)) == ("in_progress", "pending")


def test_only_the_test_moves_a_manual_job() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        prompt_id = submit()
        for _ in range(5):
            assert httpx.get(f"{URL}/history/{prompt_id}").json() == {}
        assert stub.jobs[0].status == "pending"
        assert stub.step() == 1
        assert stub.jobs[0].status == "in_progress"
        event = stub.run_until("executed")
        assert event.data["output"]["images"][0]["filename"] == "p_00001_.png"
        stub.finish()
        assert stub.jobs[0].status == "completed"
        assert stub.step(5) == 0


def test_run_until_says_so_when_nothing_is_left_to_run() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        submit()
        with pytest.raises(RuntimeError, match="the server is idle and no event was 'execution_error'"):
            stub.run_until("execution_error")


def test_finish_runs_what_is_before_the_job_in_the_queue() -> None:
    with comfystub.patch(URL, pace="manual") as stub:
        first, second, third = submit(1), submit(2), submit(3)
        stub.finish(stub.jobs[1])
        assert [state(one) for one in (first, second, third)] == ["completed", "completed", "pending"]


@pytest.mark.parametrize("pace", ["fast", -1, 1.5, True, None, ""])
def test_anything_else_is_no_pace(pace: Any) -> None:
    with pytest.raises(ValueError, match="pace= takes 'instant', 'manual', a number of looks"):
        pace_of(pace)
