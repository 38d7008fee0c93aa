"""What goes wrong with a WebSocket and with what it says."""

from __future__ import annotations

import asyncio
import io
import json
import struct
from typing import Any

import aiohttp
import pytest
import requests
import websocket
import websockets.exceptions
import websockets.sync.client
from PIL import Image
from workflows import text_to_image

import comfystub
from comfystub import faults
from demand.asking import (
    PATIENCE,
    WS_URL,
    heard,
    heard_until_silent,
    history,
    is_end,
    kinds,
    listening,
    outcome,
    read,
    submit,
    takes_time,
    wait,
)

# --- the socket ends or goes silent, the job goes on


def test_the_socket_breaks_off_in_the_middle_of_a_job(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_socket("progress"))
    with listening() as socket:
        prompt_id = submit()
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            heard(socket)
        assert outcome(wait(prompt_id)) == "execution_success"


def test_the_socket_breaks_off_at_the_second_step(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_socket("progress", after=1))
    messages = []
    with websockets.sync.client.connect(WS_URL) as socket:
        prompt_id = submit()
        with pytest.raises(websockets.exceptions.ConnectionClosedError):
            while True:
                messages.append(read(socket.recv(PATIENCE)))
    assert kinds(messages).count("progress") == 1
    assert outcome(wait(prompt_id)) == "execution_success"


def test_the_socket_is_reset(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_socket("progress", resets=True))
    with listening() as socket:
        prompt_id = submit()
        with pytest.raises(ConnectionResetError):
            heard(socket)
    assert outcome(wait(prompt_id)) == "execution_success"


async def test_the_socket_is_closed_with_a_code(stub: comfystub.Stub) -> None:
    stub.fail(faults.close_socket("progress", code=1001, reason="going away"))
    async with aiohttp.ClientSession() as session, session.ws_connect(WS_URL) as socket:
        prompt_id = submit()
        messages = [json.loads(message.data) async for message in socket if message.type.name == "TEXT"]
        assert socket.close_code == 1001
    assert "execution_success" not in [message["type"] for message in messages]
    assert outcome(wait(prompt_id)) == "execution_success"


def test_the_socket_goes_silent(stub: comfystub.Stub) -> None:
    stub.fail(faults.stall_socket("progress"))
    with listening() as socket:
        prompt_id = submit()
        with pytest.raises(websocket.WebSocketTimeoutException):
            heard(socket)
        assert outcome(wait(prompt_id)) == "execution_success"


async def test_the_socket_goes_silent_and_catches_up(stub: comfystub.Stub) -> None:
    stub.fail(faults.stall_socket("progress", seconds=60))
    async with aiohttp.ClientSession() as session, session.ws_connect(WS_URL) as socket:
        prompt_id = submit()
        with pytest.raises(asyncio.TimeoutError):
            while True:
                await socket.receive(timeout=PATIENCE)
        wait(prompt_id)
        messages = []
        while not (messages and is_end(messages[-1])):
            messages.append(read((await socket.receive(timeout=2 * PATIENCE)).data))
    assert kinds(messages).count("progress") == 2


# --- client ids


def test_a_newer_socket_takes_the_client_id(stub: comfystub.Stub) -> None:
    with listening() as older:
        newer = websocket.create_connection(WS_URL)
        submit()
        assert is_end(heard(newer)[-1])
        newer.close()
        with pytest.raises(websocket.WebSocketTimeoutException):
            older.recv()


def test_the_older_socket_takes_the_newer_one_with_it(stub: comfystub.Stub) -> None:
    older = websocket.create_connection(WS_URL)
    with listening() as newer:
        older.close()
        prompt_id = submit()
        with pytest.raises(websocket.WebSocketTimeoutException):
            newer.recv()
    assert outcome(wait(prompt_id)) == "execution_success"


# --- binary messages


def test_previews_are_binary(stub: comfystub.Stub) -> None:
    requests.post(f"{stub.url}/prompt", json={"prompt": text_to_image(steps=2), "client_id": "me"})
    with listening() as socket:
        frames = [frame for kind, frame in heard(socket) if kind == "binary"]
    assert len(frames) == 2
    for frame in frames:
        assert struct.unpack(">II", frame[:8]) == (1, 1)
        assert Image.open(io.BytesIO(frame[8:])).format == "JPEG"


def test_previews_with_metadata_have_a_longer_header(stub: comfystub.Stub) -> None:
    with listening() as socket:
        socket.send(json.dumps({"type": "feature_flags", "data": {"supports_preview_metadata": True}}))
        assert read(socket.recv())[0] == "feature_flags"
        prompt_id = submit()
        frame = next(frame for kind, frame in heard(socket) if kind == "binary")
    kind, length = struct.unpack(">II", frame[:8])
    metadata = json.loads(frame[8 : 8 + length])
    assert kind == 4
    assert (metadata["node_id"], metadata["prompt_id"]) == ("3", prompt_id)
    assert Image.open(io.BytesIO(frame[8 + length :])).format == "JPEG"


def test_a_binary_message_of_a_kind_that_no_client_knows(stub: comfystub.Stub) -> None:
    stub.fail(faults.inject_event(b"\0\0\0\x63 what is this", before="progress"))
    with websockets.sync.client.connect(WS_URL) as socket:
        submit()
        messages = [read(socket.recv(PATIENCE))]
        while not is_end(messages[-1]):
            messages.append(read(socket.recv(PATIENCE)))
    assert [frame[3] for kind, frame in messages if kind == "binary"] == [99, 1, 99, 1]


@pytest.mark.parametrize("step", [1, 2])
def test_a_frame_over_the_client_librarys_limit(stub: comfystub.Stub, step: int) -> None:
    stub.fail(faults.inject_event(bytes(2**20 + 1), before="executed"))
    with websockets.sync.client.connect(WS_URL) as socket:
        prompt_id = submit(text_to_image(steps=step))
        with pytest.raises(websockets.exceptions.ConnectionClosedError) as closed:
            while True:
                socket.recv(PATIENCE)
    assert closed.value.sent is not None
    assert closed.value.sent.code == 1009
    assert outcome(wait(prompt_id)) == "execution_success"


# --- when is it done?


def test_every_output_node_says_that_it_was_executed(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    with listening() as socket:
        submit(workflow)
        messages = heard(socket)
    assert {data["node"] for kind, data in messages if kind == "executed"} == {"9", "10"}
    assert kinds(messages[-3:]) == ["execution_success", "status", "executing"]


def test_the_null_executing_does_not_come(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_events(lambda event: event.type == "executing" and event.data["node"] is None))
    with listening() as socket:
        submit()
        messages = heard_until_silent(socket)
    assert messages[-1] == ("status", {"status": {"exec_info": {"queue_remaining": 0}}})
    assert kinds(messages)[-2] == "execution_success"


def test_only_status_tells_that_it_is_done(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_events(lambda event: event.type != "status"))
    with listening() as socket:
        submit()
        messages = heard_until_silent(socket)
    remaining = [data["status"]["exec_info"]["queue_remaining"] for _, data in messages]
    assert kinds(messages) == ["status"] * 3
    assert remaining == [1, 1, 0]


def test_a_cached_node_is_executed_with_no_output(stub: comfystub.Stub) -> None:
    workflow = {
        "1": {"class_type": "VAELoader", "inputs": {"vae_name": "fox.safetensors"}},
        "2": {"class_type": "VAESave", "inputs": {"vae": ["1", 0], "filename_prefix": "vae/fox"}},
    }
    wait(submit(workflow))
    with listening() as socket:
        requests.post(f"{stub.url}/prompt", json={"prompt": workflow, "client_id": "me"})
        executed = [data for kind, data in heard(socket) if kind == "executed"]
    assert [(data["node"], data["output"]) for data in executed] == [("2", None)]


# --- messages and the answer of the POST


async def test_messages_come_before_the_answer_of_the_post(stub: comfystub.Stub) -> None:
    stub.fail(faults.slow(5, on="POST /prompt"))
    async with aiohttp.ClientSession() as session, session.ws_connect(WS_URL) as socket:
        body = {"prompt": text_to_image(), "client_id": "me"}
        posting = asyncio.create_task(session.post(f"{stub.url}/prompt", json=body))
        messages: list[Any] = []
        while not (messages and is_end(messages[-1])):
            messages.append(read((await socket.receive()).data))
        assert not posting.done()
        async with await posting as response:
            assert (await response.json())["prompt_id"] == messages[-1][1]["prompt_id"]


def test_the_socket_is_opened_after_all_is_over(stub: comfystub.Stub) -> None:
    stub.next_job(pace=0)
    prompt_id = submit()
    with listening() as socket:
        assert heard_until_silent(socket) == []
    assert outcome(history(prompt_id)) == "execution_success"


@takes_time
def test_the_socket_is_opened_in_the_middle_of_the_job(stub: comfystub.Stub) -> None:
    submit()
    stub.clock.advance(4)
    with listening() as socket:
        messages = heard(socket)
    assert messages[0] == ("executing", {"node": "4"})
    assert "execution_start" not in kinds(messages)


# --- other jobs on the same socket


def test_progress_of_other_peoples_jobs(stub: comfystub.Stub) -> None:
    stub.fill_queue(client_id=None)
    with listening() as socket:
        messages = heard_until_silent(socket)
    assert set(kinds(messages)) == {"status", "progress_state", "progress", "binary"}
    assert kinds(messages).count("progress") == 20


def test_progress_state_beside_progress(stub: comfystub.Stub) -> None:
    requests.post(f"{stub.url}/prompt", json={"prompt": text_to_image(steps=5), "client_id": "me"})
    with listening() as socket:
        messages = heard(socket)
    steps = [data["value"] for kind, data in messages if kind == "progress"]
    states = [data["nodes"].get("3", {}) for kind, data in messages if kind == "progress_state"]
    assert steps == [1, 2, 3, 4, 5]
    assert [state["value"] for state in states if state.get("state") == "running"][:6] == [0, *steps]


def test_earlier_jobs_of_the_same_client_come_first(stub: comfystub.Stub) -> None:
    earlier = [job.id for job in stub.fill_queue(2, client_id="me")]
    with listening() as socket:
        mine = submit()
        ends = [heard(socket)[-1][1]["prompt_id"] for _ in range(3)]
    assert ends == [*earlier, mine]


def test_many_prompts_over_one_socket(stub: comfystub.Stub) -> None:
    with listening() as socket:
        jobs = [submit(text_to_image(seed=seed)) for seed in range(5)]
        ends = [heard(socket)[-1][1]["prompt_id"] for _ in jobs]
    assert ends == jobs


# --- messages that are late, twice, in another order, or made up


def test_messages_come_in_another_order(stub: comfystub.Stub) -> None:
    stub.fail(faults.swap_events("execution_success"))
    with listening() as socket:
        submit()
        assert kinds(heard(socket)[-3:]) == ["status", "execution_success", "executing"]


def test_messages_come_twice(stub: comfystub.Stub) -> None:
    stub.fail(faults.double_events("executed"))
    with listening() as socket:
        submit()
        assert kinds(heard(socket)).count("executed") == 2


def test_messages_come_late(stub: comfystub.Stub) -> None:
    stub.fail(faults.delay_events("execution_success", seconds=20))
    with listening() as socket:
        submit()
        assert "execution_success" not in kinds(heard(socket))
        assert read(socket.recv())[0] == "execution_success"
        assert stub.clock.elapsed == 20


def test_a_message_that_no_client_knows(stub: comfystub.Stub) -> None:
    stub.fail(faults.inject_event(comfystub.Event("crystools.monitor", {"cpu": 7}), before="progress"))
    with listening() as socket:
        submit()
        assert kinds(heard(socket)).count("crystools.monitor") == 2
