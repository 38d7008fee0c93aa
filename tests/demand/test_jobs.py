"""What goes wrong with jobs: cached, interrupted, failed, late, lost, and those of other people."""

from __future__ import annotations

import json
import time
import urllib.error

import aiohttp
import httpx
import pytest
import requests
from workflows import text_to_image

import comfystub
from comfystub import faults
from demand.asking import (
    Message,
    download,
    get,
    heard,
    heard_until_silent,
    history,
    kinds,
    listening,
    names,
    outcome,
    queued,
    submit,
    takes_time,
    wait,
)

# --- the cache


def test_the_same_graph_again_makes_no_new_file(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    first = wait(submit(workflow))
    answer = requests.post(f"{stub.url}/prompt", json={"prompt": workflow, "client_id": "me"})
    again = wait(answer.json()["prompt_id"])
    assert names(again) == names(first) == ["ComfyUI_00001_.png"]
    assert len(get("/internal/files/output")) == 1


def test_a_server_without_a_cache(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_cache())
    assert [names(wait(submit())) for _ in range(2)] == [["ComfyUI_00001_.png"], ["ComfyUI_00002_.png"]]


def test_the_cache_was_cleared(stub: comfystub.Stub) -> None:
    wait(submit())
    requests.post(f"{stub.url}/free", json={"free_memory": True})
    assert names(wait(submit())) == ["ComfyUI_00002_.png"]


def test_the_file_of_a_cached_job_is_gone(stub: comfystub.Stub) -> None:
    stub.fail(faults.deleted_outputs(times=1))
    wait(submit())
    (file,) = wait(submit())["outputs"]["9"]["images"]
    with pytest.raises(urllib.error.HTTPError) as missing:
        download(file)
    with missing.value:
        assert missing.value.code == 404


@takes_time
def test_free_works_after_the_job_that_runs(stub: comfystub.Stub) -> None:
    running, waiting = submit(), submit()
    time.sleep(4)
    answer = requests.post(f"{stub.url}/free", json={"unload_models": True, "free_memory": True})
    assert (answer.status_code, answer.content) == (200, b"")
    assert names(wait(running)) == ["ComfyUI_00001_.png"]
    assert names(wait(waiting)) == ["ComfyUI_00002_.png"]


# --- interrupting and cancelling


@takes_time
def test_an_interrupt_hits_somebody_elses_job(stub: comfystub.Stub) -> None:
    (other,) = stub.fill_queue()
    mine = submit()
    time.sleep(10)
    requests.post(f"{stub.url}/interrupt")
    assert outcome(wait(other.id)) == "execution_interrupted"
    assert outcome(wait(mine)) == "execution_success"


@takes_time
def test_an_interrupt_does_not_reach_a_pending_job(stub: comfystub.Stub) -> None:
    (other,) = stub.fill_queue()
    mine = submit()
    time.sleep(10)
    assert requests.post(f"{stub.url}/interrupt", json={"prompt_id": mine}).status_code == 200
    assert outcome(wait(other.id)) == "execution_success"
    assert outcome(wait(mine)) == "execution_success"


@takes_time
def test_a_pending_job_is_deleted_from_the_queue(stub: comfystub.Stub) -> None:
    (other,) = stub.fill_queue()
    mine = submit()
    requests.post(f"{stub.url}/queue", json={"delete": [mine]})
    assert queued() == [other.id]
    with pytest.raises(TimeoutError):
        wait(mine)


@takes_time
@pytest.mark.parametrize("seconds", [0, 17], ids=["pending", "running"])
def test_a_job_is_cancelled(stub: comfystub.Stub, seconds: int) -> None:
    (other,) = stub.fill_queue()
    mine = submit()
    time.sleep(seconds)
    assert httpx.post(f"{stub.url}/api/jobs/{mine}/cancel").json() == {"cancelled": True}
    assert outcome(wait(other.id)) == "execution_success"
    time.sleep(60)
    assert queued() == []
    if seconds:
        assert get(f"/api/jobs/{mine}")["status"] == "cancelled"
    else:
        assert history(mine) == {}


@takes_time
def test_an_interrupted_job_looks_like_a_failed_one(stub: comfystub.Stub) -> None:
    prompt_id = submit()
    time.sleep(4)
    requests.post(f"{stub.url}/interrupt", json={"prompt_id": prompt_id})
    entry = wait(prompt_id)
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    assert outcome(entry) == "execution_interrupted"
    assert get(f"/api/jobs/{prompt_id}")["status"] == "cancelled"


# --- failing


def error_of(messages: list[Message]) -> dict[str, str]:
    (data,) = [data for kind, data in messages if kind == "execution_error"]
    return data


def test_out_of_memory_and_the_next_job_works(stub: comfystub.Stub) -> None:
    stub.fail(faults.out_of_memory(times=1))
    with listening() as socket:
        first, second = submit(), submit(text_to_image(seed=8))
        error = error_of(heard(socket))
        assert kinds(heard(socket))[-3] == "execution_success"
    assert error["exception_type"] == "torch.OutOfMemoryError"
    assert error["node_type"] == "KSampler"
    assert "you ran out of memory on your GPU" in error["exception_message"]
    assert outcome(wait(first)) == "execution_error"
    assert outcome(wait(second)) == "execution_success"


PAID = {
    "1": {"class_type": "OpenAIDalle3", "inputs": {"prompt": "a red fox"}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "fox"}},
}


def test_a_paid_node_without_a_key(stub: comfystub.Stub) -> None:
    stub.fail(faults.unauthorized_api_node())
    with listening() as socket:
        submit(PAID)
        error = error_of(heard(socket))
    assert error["node_id"] == "1"
    assert error["exception_message"].startswith("Unauthorized")


def test_a_paid_node_with_a_key_that_never_shows(stub: comfystub.Stub) -> None:
    stub.fail(faults.unauthorized_api_node())
    prompt_id = submit(PAID, extra_data={"api_key_comfy_org": "my-key"})
    assert outcome(wait(prompt_id)) == "execution_success"
    for path in ("/history", "/api/jobs", f"/api/jobs/{prompt_id}"):
        assert "my-key" not in json.dumps(get(path))


def test_the_model_is_gone_when_it_is_loaded(stub: comfystub.Stub) -> None:
    stub.fail(faults.missing_model("fox.safetensors"))
    with listening() as socket:
        submit(text_to_image(checkpoint="fox.safetensors"))
        error = error_of(heard(socket))
    assert (error["node_id"], error["exception_type"]) == ("4", "FileNotFoundError")


def test_a_word_in_the_prompt_decides(stub: comfystub.Stub) -> None:
    stub.fail(faults.error("no wolves here", on={"text": "wolf"}))
    assert outcome(wait(submit(text_to_image("a red fox")))) == "execution_success"
    assert outcome(wait(submit(text_to_image("a grey wolf")))) == "execution_error"


def test_the_first_try_fails_and_the_second_succeeds(stub: comfystub.Stub) -> None:
    stub.fail(faults.error("CUDA error: unspecified launch failure", on="KSampler", times=1))
    assert [outcome(wait(submit())) for _ in range(2)] == ["execution_error", "execution_success"]


def test_a_node_hangs(stub: comfystub.Stub) -> None:
    stub.fail(faults.hang(on="KSampler"))
    prompt_id = submit()
    requests.post(f"{stub.url}/interrupt")
    with pytest.raises(TimeoutError):
        wait(prompt_id)
    assert get(f"/api/jobs/{prompt_id}")["status"] == "in_progress"


def test_success_without_outputs(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_outputs())
    entry = wait(submit())
    assert (entry["status"]["status_str"], entry["outputs"]) == ("success", {})


# --- late and lost


def test_history_has_nothing_yet_at_execution_success(stub: comfystub.Stub) -> None:
    stub.next_job(pace="manual")
    prompt_id = submit()
    with listening() as socket:
        stub.run_until("execution_success")
        assert kinds(heard_until_silent(socket))[-1] == "execution_success"
        assert history(prompt_id) == {}
        stub.finish()
        assert kinds(heard(socket)) == ["status", "executing"]
    assert outcome(history(prompt_id)) == "execution_success"


def test_history_lags_behind_the_end(stub: comfystub.Stub) -> None:
    stub.fail(faults.late_history(looks=2))
    with listening() as socket:
        prompt_id = submit()
        assert "execution_success" in kinds(heard(socket))
    assert [bool(history(prompt_id)) for _ in range(3)] == [False, False, True]


def test_history_lags_for_seconds(stub: comfystub.Stub) -> None:
    stub.fail(faults.late_history(looks=0, seconds=10))
    prompt_id = submit()
    assert history(prompt_id) == {}
    assert queued() == []
    wait(prompt_id)
    assert stub.clock.elapsed == 10


def test_done_at_the_third_poll(stub: comfystub.Stub) -> None:
    stub.next_job(pace=3)
    prompt_id = submit()
    assert [bool(history(prompt_id)) for _ in range(3)] == [False, False, True]


async def test_over_between_the_poll_of_history_and_that_of_the_queue(stub: comfystub.Stub) -> None:
    stub.next_job(pace=2)
    async with aiohttp.ClientSession(stub.url) as session:
        async with session.post("/prompt", json={"prompt": text_to_image()}) as response:
            prompt_id = (await response.json())["prompt_id"]
        async with session.get(f"/history/{prompt_id}") as response:
            assert await response.json() == {}
        async with session.get("/queue") as response:
            assert await response.json() == {"queue_running": [], "queue_pending": []}
        async with session.get(f"/history/{prompt_id}") as response:
            assert prompt_id in await response.json()


def test_a_job_vanishes(stub: comfystub.Stub) -> None:
    stub.fail(faults.vanish(times=1))
    prompt_id = submit()
    assert queued() == []
    with pytest.raises(TimeoutError):
        wait(prompt_id)
    assert outcome(wait(submit())) == "execution_success"


# --- the queue


@takes_time
async def test_my_place_among_five_tuples_in_heap_order(stub: comfystub.Stub) -> None:
    stub.fill_queue(6)
    mine = submit()
    time.sleep(20)  # in which the next one was taken from the heap
    async with aiohttp.ClientSession(stub.url) as session, session.get("/queue") as response:
        queue = await response.json()
    numbers = [number for number, _prompt_id, _prompt, _extra_data, _outputs in queue["queue_pending"]]
    assert numbers != sorted(numbers)
    assert sorted(numbers) == [2, 3, 4, 5, 6]
    assert queued().index(mine) == 5


@takes_time
def test_the_queue_is_full_of_other_peoples_jobs(stub: comfystub.Stub) -> None:
    stub.fill_queue(20)
    mine = submit()
    assert get("/prompt") == {"exec_info": {"queue_remaining": 21}}
    with pytest.raises(TimeoutError):
        wait(mine, seconds=120)
    assert outcome(wait(mine, seconds=600)) == "execution_success"


@takes_time
def test_a_prompt_goes_to_the_front(stub: comfystub.Stub) -> None:
    running, waiting = [job.id for job in stub.fill_queue(2)]
    answer = requests.post(f"{stub.url}/prompt", json={"prompt": text_to_image(), "front": True})
    assert answer.json()["number"] == -2
    assert queued() == [running, answer.json()["prompt_id"], waiting]


@takes_time
def test_a_prompt_goes_between_two_others(stub: comfystub.Stub) -> None:
    running, next_one, last = [job.id for job in stub.fill_queue(3)]
    answer = requests.post(f"{stub.url}/prompt", json={"prompt": text_to_image(), "number": 1.5})
    assert answer.json()["number"] == 1.5
    assert queued() == [running, next_one, answer.json()["prompt_id"], last]
