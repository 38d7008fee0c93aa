"""Jobs that take their time, on the virtual clock and on the real one."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
import requests
import websocket
from calls import URL, in_thread
from prompting import LONG, entry, get, hear, is_last, listen, post, queued, rest, schedule, status, types
from workflows import text_to_image

import comfystub
from comfystub import Timed, faults

WS = URL.replace("http", "ws") + "/ws?clientId=me"

#: The canonical job with two steps and nothing cached, at ``Timed()``.
WHOLE = [
    (0.0, "execution_start"),
    (0.0, "executing 4"),
    (8.0, "executing 5"),
    (8.1, "executing 7"),
    (8.2, "executing 6"),
    (8.3, "executing 3"),
    (8.7, "progress 3"),
    (9.1, "progress 3"),
    (9.1, "executing 8"),
    (9.2, "executing 9"),
    (9.3, "executed 9"),
    (9.3, "execution_success"),
    (9.3, "executing None"),
]
END = 9.3


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, clock="virtual", pace=Timed()) as stub:
        yield stub


def later(times: list[tuple[float, str]], seconds: float) -> list[tuple[float, str]]:
    return [(round(time + seconds, 5), what) for time, what in times]


def begins(job: comfystub.Job) -> float:
    """When a job began, in seconds since it was submitted."""
    return schedule(job)[0][0]


# --- the same times, whoever moves it


def polled(stub: comfystub.Stub, pause: float) -> None:
    prompt_id = post(client_id="me")
    while entry(prompt_id) is None:
        time.sleep(pause)


def polled_often(stub: comfystub.Stub) -> None:
    polled(stub, 0.05)


def polled_now_and_then(stub: comfystub.Stub) -> None:
    polled(stub, 2.6)


def read_over_websocket_client(stub: comfystub.Stub) -> None:
    ws = listen()
    post(client_id="me")
    hear(ws)
    ws.close()


def read_over_aiohttp(stub: comfystub.Stub) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(WS) as ws:
            body = {"prompt": text_to_image(), "client_id": "me"}
            async with session.post(f"{URL}/prompt", json=body) as answer:
                assert answer.status == 200
            while True:
                message = await ws.receive()
                if message.type == aiohttp.WSMsgType.TEXT and is_last(json.loads(message.data)):
                    return

    in_thread(asyncio.run, main())


def advanced_in_one_go(stub: comfystub.Stub) -> None:
    post(client_id="me")
    stub.clock.advance(100)


def advanced_bit_by_bit(stub: comfystub.Stub) -> None:
    post(client_id="me")
    for _ in range(100):
        stub.clock.advance(0.125)
        get("/queue")


def looked_at_when_it_is_over(stub: comfystub.Stub) -> None:
    prompt_id = post(client_id="me")
    time.sleep(500)
    assert entry(prompt_id) is not None


def advanced_while_a_socket_is_open_that_nobody_reads(stub: comfystub.Stub) -> None:
    ws = listen()
    post(client_id="me")
    stub.clock.advance(100)
    hear(ws)
    ws.close()


WAYS = [
    polled_often,
    polled_now_and_then,
    read_over_websocket_client,
    read_over_aiohttp,
    advanced_in_one_go,
    advanced_bit_by_bit,
    looked_at_when_it_is_over,
    advanced_while_a_socket_is_open_that_nobody_reads,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_times_are_the_same_whoever_moves_it(
    stub: comfystub.Stub, way: Callable[[comfystub.Stub], None]
) -> None:
    way(stub)
    (job,) = stub.jobs
    assert job.status == "completed"
    assert schedule(job) == WHOLE
    told = entry(job.id)["status"]["messages"]
    assert [(kind, data["timestamp"] - round(job.submitted * 1000)) for kind, data in told] == [
        ("execution_start", 0),
        ("execution_cached", 0),
        ("execution_success", 9300),
    ]
    row = get(f"/api/jobs/{job.id}")
    assert row["execution_end_time"] - row["execution_start_time"] == 9300


@pytest.mark.parametrize("ago", [0.0, 0.1, 1 / 3, 12.345678])
def test_the_times_do_not_depend_on_when_it_begins(stub: comfystub.Stub, ago: float) -> None:
    stub.clock.advance(ago)
    read_over_websocket_client(stub)
    assert schedule(stub.jobs[0]) == WHOLE


def test_a_client_hears_each_message_at_its_time(stub: comfystub.Stub) -> None:
    ws = listen()
    post(client_id="me")
    start = time.time()
    heard: list[tuple[float, str]] = []
    while not heard or heard[-1][1] != "executing None":
        message = ws.recv()
        if isinstance(message, str) and (said := json.loads(message))["type"] in ("executing", "progress"):
            heard.append((round(time.time() - start, 5), f"{said['type']} {said['data']['node']}"))
    assert heard == [one for one in WHOLE if one[1].startswith(("executing", "progress"))]
    assert stub.clock.elapsed == END
    ws.close()


def test_a_look_finds_it_where_it_is(stub: comfystub.Stub) -> None:
    prompt_id = post()
    assert queued() == ([prompt_id], [])
    found = []
    for pause in (0.0, 7.9, 0.2, 0.5, 0.6, 0.1):
        time.sleep(pause)
        found.append((status(prompt_id), stub.jobs[0].current_node, entry(prompt_id) is not None))
    assert found == [
        ("in_progress", "4", False),
        ("in_progress", "4", False),
        ("in_progress", "7", False),
        ("in_progress", "3", False),
        ("in_progress", "9", False),
        ("completed", "9", True),
    ]


@pytest.mark.parametrize("what", ["status", "outputs", "events", "error"])
def test_reading_a_job_moves_it_as_far_as_its_time_has_come(stub: comfystub.Stub, what: str) -> None:
    post()
    (job,) = stub.jobs
    assert job.state == "pending"
    getattr(job, what)
    assert (job.state, job.current_node) == ("in_progress", "4")
    stub.clock.advance(8.95)
    getattr(job, what)
    assert (job.state, job.current_node) == ("in_progress", "3")
    stub.clock.advance(1)
    getattr(job, what)
    assert job.state == "completed"


def test_a_client_that_gives_up_too_early_gives_up(stub: comfystub.Stub) -> None:
    prompt_id = post()
    deadline = time.monotonic() + 8.9
    while time.monotonic() < deadline and entry(prompt_id) is None:
        time.sleep(0.5)
    assert entry(prompt_id) is None
    time.sleep(0.3)
    assert entry(prompt_id)["status"]["completed"]


def test_a_read_that_times_out_leaves_the_job_running(stub: comfystub.Stub) -> None:
    ws = listen()
    post(client_id="me")
    ws.settimeout(3)
    heard: list[str] = []
    with pytest.raises(websocket.WebSocketTimeoutException):
        while True:
            heard.append(json.loads(ws.recv())["type"])
    assert heard[-1] == "executing"
    assert stub.clock.elapsed == 3
    ws.settimeout(LONG)
    assert types(hear(ws))[-2:] == ["execution_success", "executing"]
    assert schedule(stub.jobs[0]) == WHOLE
    ws.close()


# --- durations


@pytest.mark.parametrize(
    ("pace", "wanted"),
    [
        (Timed(load=1), {"4": 1.0, "3": 0.8, "8": 0.1}),
        (Timed(step=0), {"4": 8.0, "3": 0.0, "8": 0.1}),
        (Timed(node=0.25), {"4": 8.0, "3": 0.8, "8": 0.25}),
        (Timed(0, 0, 0), {"4": 0.0, "3": 0.0, "8": 0.0}),
        (Timed(1, 2, 3), {"4": 1.0, "3": 4.0, "8": 3.0}),
        (Timed(nodes={"VAEDecode": 5}), {"4": 8.0, "3": 0.8, "8": 5.0}),
        (Timed(nodes={"8": 5}), {"4": 8.0, "3": 0.8, "8": 5.0}),
        (Timed(nodes={"8": 5, "VAEDecode": 6}), {"4": 8.0, "3": 0.8, "8": 5.0}),
        (Timed(nodes={"CheckpointLoaderSimple": 0}), {"4": 0.0, "3": 0.8, "8": 0.1}),
        (Timed(nodes={"KSampler": 2}), {"4": 8.0, "3": 2.8, "8": 0.1}),
        (Timed(nodes={"LoadImage": 2}), {"4": 8.0, "3": 0.8, "8": 0.1}),
    ],
    ids=repr,
)
def test_what_a_node_takes(pace: Timed, wanted: dict[str, float]) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        post()
        stub.clock.advance(1000)
        assert stub.jobs[0].status == "completed"
        begun = {
            what.split()[1]: time for time, what in schedule(stub.jobs[0]) if what.startswith("executing")
        }
        order = [*begun]
        took = {node: round(begun[after] - begun[node], 5) for node, after in itertools.pairwise(order)}
        assert {node: took[node] for node in wanted} == wanted


def test_what_comes_before_the_first_step_of_a_sampler() -> None:
    with comfystub.patch(URL, clock="virtual", pace=Timed(0, 0.5, 0, nodes={"KSampler": 2})) as stub:
        post(text_to_image(steps=3))
        stub.clock.advance(100)
        assert stub.jobs[0].status == "completed"
        assert [time for time, what in schedule(stub.jobs[0]) if what == "progress 3"] == [2.5, 3.0, 3.5]


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_a_sampler_takes_so_many_steps(stub: comfystub.Stub, steps: int) -> None:
    post(text_to_image(steps=steps))
    stub.clock.advance(1000)
    assert stub.jobs[0].status == "completed"
    progress = [time for time, what in schedule(stub.jobs[0]) if what == "progress 3"]
    assert progress == [round(8.3 + 0.4 * step, 5) for step in range(1, steps + 1)]


@pytest.mark.parametrize("loader", ["LoraLoader", "UpscaleModelLoader", "VAELoader"])
def test_every_node_that_loads_a_model_is_a_loader(loader: str) -> None:
    graph = text_to_image()
    if loader == "LoraLoader":
        inputs = {"lora_name": "a.safetensors", "strength_model": 1, "strength_clip": 1}
        graph["10"] = {"class_type": loader, "inputs": {**inputs, "model": ["4", 0], "clip": ["4", 1]}}
        graph["3"]["inputs"]["model"] = ["10", 0]
    elif loader == "VAELoader":
        graph["10"] = {"class_type": loader, "inputs": {"vae_name": "ae.safetensors"}}
        graph["8"]["inputs"]["vae"] = ["10", 0]
    else:
        graph["10"] = {"class_type": loader, "inputs": {"model_name": "4x-UltraSharp.pth"}}
        inputs = {"upscale_model": ["10", 0], "image": ["8", 0]}
        graph["11"] = {"class_type": "ImageUpscaleWithModel", "inputs": inputs}
        graph["9"]["inputs"]["images"] = ["11", 0]
    with comfystub.patch(URL, clock="virtual", pace=Timed(load=30, step=0, node=0)) as stub:
        post(graph)
        stub.clock.advance(1000)
        assert stub.jobs[0].status == "completed"
        assert schedule(stub.jobs[0])[-1] == (60.0, "executing None")


def test_a_picture_that_is_loaded_is_no_model() -> None:
    graph = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "p"}},
    }
    with comfystub.patch(URL, clock="virtual", pace=Timed()) as stub:
        post(graph)
        stub.clock.advance(1)
        assert stub.jobs[0].status == "completed"
        assert schedule(stub.jobs[0])[-1] == (0.2, "executing None")


def test_what_is_cached_takes_no_time(stub: comfystub.Stub) -> None:
    first = post()
    time.sleep(10)
    again = post()
    assert (status(first), status(again)) == ("completed", "completed")
    assert schedule(stub.jobs[1]) == [
        (0.0, "execution_start"),
        (0.0, "executed 9"),
        (0.0, "execution_success"),
        (0.0, "executing None"),
    ]
    other = post(text_to_image(seed=8))
    time.sleep(0.9)
    assert status(other) == "in_progress"
    time.sleep(0.1)
    assert status(other) == "completed"
    assert schedule(stub.jobs[2]) == [
        (0.0, "execution_start"),
        (0.0, "executing 3"),
        (0.4, "progress 3"),
        (0.8, "progress 3"),
        (0.8, "executing 8"),
        (0.9, "executing 9"),
        (1.0, "executed 9"),
        (1.0, "execution_success"),
        (1.0, "executing None"),
    ]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"load": -1}, ValueError, "load= takes a number of seconds from 0 on, not -1"),
        ({"step": float("nan")}, ValueError, "step= takes a number of seconds from 0 on, not nan"),
        ({"node": "1"}, TypeError, "node= takes a number of seconds, not '1'"),
        ({"load": True}, TypeError, "load= takes a number of seconds, not True"),
        (
            {"nodes": {"KSampler": -2}},
            ValueError,
            r"nodes\['KSampler'\]= takes a number of seconds from 0 on",
        ),
    ],
)
def test_anything_else_is_no_duration(options: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        Timed(**options)


# --- the queue


def test_the_second_job_begins_when_the_first_is_over(stub: comfystub.Stub) -> None:
    post(client_id="me")
    time.sleep(4)
    second = post(text_to_image(seed=8, checkpoint="other.safetensors"))
    assert queued() == ([stub.jobs[0].id], [second])
    stub.clock.advance(100)
    assert [job.status for job in stub.jobs] == ["completed", "completed"]
    assert schedule(stub.jobs[0]) == WHOLE
    # What does not depend on the other checkpoint comes from the cache.
    assert schedule(stub.jobs[1])[:3] == [
        (5.3, "execution_start"),
        (5.3, "executing 4"),
        (13.3, "executing 7"),
    ]


def test_a_job_begins_when_it_is_submitted_if_nothing_is_before_it(stub: comfystub.Stub) -> None:
    post()
    time.sleep(100)
    post(text_to_image(seed=8))
    time.sleep(100)
    assert [(job.status, begins(job)) for job in stub.jobs] == [("completed", 0.0), ("completed", 0.0)]


def test_a_job_that_the_test_queues_begins_no_earlier_than_that(stub: comfystub.Stub) -> None:
    post()
    stub.clock.advance(100)
    (other,) = stub.fill_queue()
    stub.clock.advance(100)
    assert (stub.jobs[0].status, other.status, begins(other)) == ("completed", "completed", 0.0)
    assert other.submitted - stub.jobs[0].submitted == 100


def test_a_prompt_in_front_is_the_next_but_does_not_overtake_what_runs(stub: comfystub.Stub) -> None:
    first, second = post(), post(text_to_image(seed=8))
    third = post(text_to_image(seed=9), front=True)
    stub.clock.advance(100)
    assert [job.status for job in stub.jobs] == ["completed"] * 3
    assert sorted((job.times[0], job.id) for job in stub.jobs) == [
        (job.times[0], job.id) for job in (stub.jobs[0], stub.jobs[2], stub.jobs[1])
    ]
    assert list(get("/history")) == [first, third, second]


def test_a_deleted_job_takes_no_time(stub: comfystub.Stub) -> None:
    post()
    second, third = post(text_to_image(seed=8)), post(text_to_image(seed=9))
    requests.post(f"{URL}/queue", json={"delete": [second]})
    stub.clock.advance(100)
    assert (status(third), stub.jobs[1].status) == ("completed", "cancelled")
    assert begins(stub.jobs[2]) == END


# --- interrupts


@pytest.mark.parametrize(
    ("moment", "seen"), [(0.0, 8.0), (5.0, 8.0), (8.25, 8.3), (8.3, 8.7), (8.5, 8.7), (8.7, 9.1), (8.8, 9.1)]
)
def test_an_interrupt_takes_effect_at_the_next_node_or_step(
    stub: comfystub.Stub, moment: float, seen: float
) -> None:
    prompt_id = post()
    time.sleep(moment)
    requests.post(f"{URL}/interrupt")
    assert status(prompt_id) == "in_progress"
    time.sleep(round(seen - moment - 0.001, 6))
    assert status(prompt_id) == "in_progress"
    time.sleep(0.001)
    assert status(prompt_id) == "cancelled"
    assert schedule(stub.jobs[0])[-2:] == [(seen, "execution_interrupted"), (seen, "executing None")]


def test_an_interrupt_does_not_reach_back(stub: comfystub.Stub) -> None:
    prompt_id = post()
    stub.clock.advance(100)
    requests.post(f"{URL}/interrupt")
    assert status(prompt_id) == "completed"


def test_a_client_that_interrupts_hears_of_it_in_time(stub: comfystub.Stub) -> None:
    ws = listen()
    post(client_id="me")
    while json.loads(ws.recv())["type"] != "executing":
        continue
    requests.post(f"{URL}/interrupt")
    assert types(hear(ws))[-2:] == ["execution_interrupted", "executing"]
    assert stub.clock.elapsed == 8
    ws.close()


# --- by hand


def test_a_beat_may_come_before_it_is_due(stub: comfystub.Stub) -> None:
    post()
    assert stub.step(3) == 3  # it begins, its first node, and that is over
    stub.clock.advance(1)
    assert stub.jobs[0].status == "in_progress"
    assert schedule(stub.jobs[0])[:4] == [
        (0.0, "execution_start"),
        (0.0, "executing 4"),
        (0.0, "executing 5"),
        (0.1, "executing 7"),
    ]
    stub.clock.advance(1)
    assert stub.jobs[0].status == "completed"
    assert schedule(stub.jobs[0])[4:] == later(WHOLE[4:], -8)


def test_run_until_does_not_wait_and_what_comes_then_takes_its_time(stub: comfystub.Stub) -> None:
    prompt_id = post()
    stub.clock.advance(1)
    assert stub.run_until("progress").data["value"] == 1
    assert status(prompt_id) == "in_progress"
    stub.clock.advance(100)
    assert status(prompt_id) == "completed"
    assert schedule(stub.jobs[0])[1:] == [
        (0.0, "executing 4"),
        *((1.0, f"executing {node}") for node in (5, 7, 6, 3)),
        (1.0, "progress 3"),
        *later(WHOLE[7:], 1.4 - 9.1),
    ]


def test_finish_ends_it_at_once(stub: comfystub.Stub) -> None:
    post()
    post(text_to_image(seed=8))
    stub.clock.advance(8.5)
    stub.finish(stub.jobs[0])
    assert [job.state for job in stub.jobs] == ["completed", "pending"]
    assert schedule(stub.jobs[0])[4:7] == [(8.2, "executing 6"), (8.3, "executing 3"), (8.5, "progress 3")]
    assert schedule(stub.jobs[0])[-1] == (8.5, "executing None")
    stub.finish()
    assert [job.state for job in stub.jobs] == ["completed", "completed"]
    assert schedule(stub.jobs[1])[-1] == (8.5, "executing None")
    assert stub.clock.elapsed == 8.5


# --- other paces beside it


def test_the_next_job_alone_takes_its_time() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        stub.next_job(pace=Timed(load=5))
        slow = post()
        assert status(slow) == "in_progress"
        quick = post(text_to_image(seed=8))
        assert (status(slow), status(quick)) == ("in_progress", "pending")
        time.sleep(10)
        assert (status(slow), status(quick)) == ("completed", "completed")
        assert stub.jobs[1].times[0] == pytest.approx(stub.jobs[0].submitted + 10)


@pytest.mark.parametrize("pace", ["instant", 0, 1])
def test_an_instant_job_waits_for_one_that_takes_its_time(pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        (other,) = stub.fill_queue(pace=Timed())
        mine = post()
        assert (other.status, status(mine)) == ("in_progress", "pending")
        ws = listen()
        assert stub.clock.elapsed == 0
        time.sleep(9)
        assert (other.status, status(mine)) == ("in_progress", "pending")
        time.sleep(10)
        assert (status(mine), other.status) == ("completed", "completed")
        assert other.times[-1] - other.submitted == pytest.approx(16.5)  # it has twenty steps
        ws.close()


@pytest.mark.parametrize("pace", ["instant", 0, 1, 2, Timed()])
def test_nothing_overtakes_a_job_that_stands_still(pace: Any) -> None:
    with comfystub.patch(URL, clock="virtual", pace=pace) as stub:
        (other,) = stub.fill_queue(pace="manual")
        mine = post()
        for _ in range(4):
            time.sleep(100)
            assert (other.status, status(mine)) == ("pending", "pending")
            assert queued() == ([], [other.id, mine])
        stub.finish(other)
        assert (other.status, stub.jobs[1].state) == ("completed", "pending")
        time.sleep(100)
        assert status(mine) == "completed"


def test_a_job_behind_a_manual_one_begins_when_that_is_over(stub: comfystub.Stub) -> None:
    stub.next_job(pace="manual")
    post()
    mine = post(text_to_image(seed=8, checkpoint="other.safetensors"))
    stub.clock.advance(30)
    assert status(mine) == "pending"
    stub.finish(stub.jobs[0])
    stub.clock.advance(4)
    assert status(mine) == "in_progress"
    stub.clock.advance(10)
    assert (status(mine), begins(stub.jobs[1])) == ("completed", 30.0)


def test_a_manual_job_behind_a_timed_one_waits_for_the_test(stub: comfystub.Stub) -> None:
    post()
    stub.next_job(pace="manual")
    mine = post(text_to_image(seed=8))
    stub.clock.advance(100)
    assert (stub.jobs[0].status, status(mine)) == ("completed", "pending")
    assert stub.run_until("progress").data["value"] == 1
    assert status(mine) == "in_progress"
    stub.finish()
    assert status(mine) == "completed"


def test_a_pace_for_the_next_job_is_for_one_that_is_accepted(stub: comfystub.Stub) -> None:
    stub.next_job(pace="instant")
    assert requests.post(f"{URL}/prompt", json={"prompt": {}}).status_code == 400
    assert (status(post()), status(post(text_to_image(seed=8)))) == ("completed", "in_progress")


# --- faults of the past, and of the time that passes


@pytest.mark.parametrize("way", ["polls", "one look"])
@pytest.mark.parametrize(("lasting", "end"), [(8.5, "completed"), (9.15, "failed"), (100, "failed")])
def test_a_fault_strikes_what_happens_while_it_lasts(
    stub: comfystub.Stub, way: str, lasting: float, end: str
) -> None:
    stub.fail(faults.error(on="VAEDecode", lasting=lasting))
    prompt_id = post()
    for _ in range(50 if way == "polls" else 1):
        time.sleep(0.2 if way == "polls" else 50)
        get("/queue")
    assert status(prompt_id) == end


def test_a_fault_does_not_strike_what_happened_before_it_was_there(stub: comfystub.Stub) -> None:
    prompt_id = post()
    time.sleep(100)
    fault = stub.fail(faults.error())
    assert (status(prompt_id), fault.hits) == ("completed", 0)
    assert status(post(text_to_image(seed=8))) == "in_progress"
    time.sleep(1)
    assert stub.jobs[1].status == "failed"


# --- the real clock

QUICK = Timed(load=0.01, step=0.01, node=0.01)
QUICK_TIMES = [0.0, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.06, 0.07, 0.08, 0.08, 0.08]


def clock_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "comfystub clock"]


@pytest.fixture
def real() -> Iterator[comfystub.Stub]:
    """A stub whose jobs take real hundredths of a second, which leaves no thread behind."""
    assert not clock_threads()
    with comfystub.patch(URL, pace=QUICK) as stub:
        yield stub
    assert not clock_threads()


def is_in_time(job: comfystub.Job) -> bool:
    """Whether each beat happened when it was due, however late it was moved."""
    found = [time for time, _ in schedule(job, job.times[0])]
    return found == pytest.approx(QUICK_TIMES, abs=1e-5)


def test_a_socket_that_waits_is_woken_when_it_is_time(real: comfystub.Stub) -> None:
    ws = listen()
    prompt_id = post(client_id="me")
    assert types(hear(ws))[-2:] == ["execution_success", "executing"]
    ws.close()
    assert [call.path for call in real.requests] == ["/ws", "/prompt"]
    assert is_in_time(real.jobs[0])
    assert entry(prompt_id)["status"]["completed"]


def test_a_socket_without_a_time_out_is_woken_too(real: comfystub.Stub) -> None:
    ws = listen(timeout=None)
    thread = threading.Thread(target=hear, args=(ws,))
    thread.start()
    post(client_id="me")
    thread.join(LONG)
    assert not thread.is_alive()
    assert is_in_time(real.jobs[0])
    ws.close()


def test_a_loop_that_waits_is_woken_when_it_is_time(real: comfystub.Stub) -> None:
    read_over_aiohttp(real)
    assert [call.path for call in real.requests] == ["/ws", "/prompt"]
    assert is_in_time(real.jobs[0])


def test_two_clients_wait_at_once(real: comfystub.Stub) -> None:
    heard: dict[str, list[str]] = {}
    sockets = {name: listen(name) for name in ("one", "two")}

    def wait(name: str) -> None:
        heard[name] = types(hear(sockets[name]))

    threads = [threading.Thread(target=wait, args=(name,)) for name in sockets]
    for thread in threads:
        thread.start()
    for seed, name in enumerate(sockets):
        post(text_to_image(seed=seed), client_id=name)
    for thread in threads:
        thread.join(LONG)
    assert sorted(heard) == ["one", "two"]
    for name, said in heard.items():
        assert said[-1] == "executing" and said.count("execution_success") == 1, name
    assert is_in_time(real.jobs[0])
    assert real.jobs[1].times[0] == real.jobs[0].times[-1]
    for ws in sockets.values():
        ws.close()


def test_nobody_needs_to_wait_for_it_to_be_over(real: comfystub.Stub) -> None:
    prompt_id = post()
    while entry(prompt_id) is None:
        time.sleep(0.001)
    assert is_in_time(real.jobs[0])


def test_a_block_that_ends_in_the_middle_of_a_wait_leaves_no_thread() -> None:
    with comfystub.patch(URL, pace=Timed(load=1000)) as stub:
        ws = listen(timeout=None)
        thread = threading.Thread(target=rest, args=(ws,))
        thread.start()
        post(client_id="me")
        while not clock_threads():
            time.sleep(0.001)
        stub.restart()
        thread.join(LONG)
        assert not thread.is_alive()
    assert not clock_threads()
    ws.close()
