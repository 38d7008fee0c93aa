"""Servers that start, die, change, and stand behind a load balancer."""

from __future__ import annotations

import time

import httpx
import pytest
import requests
import websocket
import websockets.exceptions
import websockets.sync.client
from workflows import text_to_image

import comfystub
from comfystub import faults
from demand.asking import (
    PATIENCE,
    WS_URL,
    get,
    heard,
    history,
    is_end,
    listening,
    outcome,
    queued,
    read,
    submit,
    takes_time,
    wait,
)

# --- starting


def until_up(url: str) -> int:
    """Ask each second until the server is there; how often it was not."""
    failures = 0
    while True:
        try:
            httpx.get(f"{url}/system_stats").raise_for_status()
        except httpx.HTTPError:
            failures += 1
            time.sleep(1)
        else:
            return failures


def test_the_server_is_not_up_yet(stub: comfystub.Stub) -> None:
    stub.fail(faults.refused(times=3))
    with pytest.raises(ConnectionRefusedError):
        websocket.create_connection(WS_URL)
    assert until_up(stub.url) == 2
    with listening() as socket:
        submit()
        assert is_end(heard(socket)[-1])


def test_a_proxy_answers_until_the_server_is_up(stub: comfystub.Stub) -> None:
    stub.fail(faults.bad_gateway(lasting=20))
    response = requests.get(f"{stub.url}/system_stats")
    assert response.status_code == 502
    assert response.headers["content-type"].startswith("text/html")
    assert until_up(stub.url) == 21


# --- dying


@takes_time
def test_a_restart_loses_queue_and_history(stub: comfystub.Stub) -> None:
    done = submit(text_to_image(seed=1))
    wait(done)
    running, waiting = submit(text_to_image(seed=2)), submit(text_to_image(seed=3))
    time.sleep(4)
    stub.restart()
    assert queued() == []
    time.sleep(300)
    assert [history(prompt_id) for prompt_id in (done, running, waiting)] == [{}, {}, {}]


@takes_time
def test_a_lost_job_looks_like_one_that_waits(stub: comfystub.Stub) -> None:
    prompt_id = submit()
    before = get(f"/history/{prompt_id}")
    stub.restart()
    assert get(f"/history/{prompt_id}") == before == {}
    with pytest.raises(TimeoutError):
        wait(prompt_id)


def test_a_restart_takes_its_time(stub: comfystub.Stub) -> None:
    assert requests.get(f"{stub.url}/system_stats").ok
    stub.restart(refuses=2)
    assert until_up(stub.url) == 2


def test_the_server_is_killed_in_the_middle_of_a_job(stub: comfystub.Stub) -> None:
    stub.fail(faults.restart("progress"))
    with websockets.sync.client.connect(WS_URL) as socket:
        lost = submit()
        with pytest.raises(websockets.exceptions.ConnectionClosedError):
            while True:
                socket.recv(PATIENCE)
    assert history(lost) == {}
    with listening() as again:
        assert outcome(wait(submit())) == "execution_success"
        assert is_end(heard(again)[-1])


# --- changing


def test_a_model_list_is_empty_and_then_stale() -> None:
    with comfystub.patch(models={}) as stub:
        workflow = text_to_image(checkpoint="new.safetensors")
        before = requests.get(f"{stub.url}/models/checkpoints").json()
        rejected = requests.post(f"{stub.url}/prompt", json={"prompt": workflow}).json()
        assert rejected["node_errors"]["4"]["errors"][0]["type"] == "value_not_in_list"

        stub.add_model("checkpoints", "new.safetensors")
        after = requests.get(f"{stub.url}/models/checkpoints").json()
        assert (before, after) == ([], ["new.safetensors"])
        info = requests.get(f"{stub.url}/object_info/CheckpointLoaderSimple").json()
        assert info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] == ["new.safetensors"]
        assert requests.post(f"{stub.url}/prompt", json={"prompt": workflow}).status_code == 200


# --- a load balancer


def test_the_socket_is_at_one_server_and_the_prompt_at_another() -> None:
    with comfystub.cluster(2, clock="virtual") as servers:
        socket = websocket.create_connection("ws://127.0.0.1:8188/ws?clientId=me", timeout=PATIENCE)
        assert read(socket.recv())[0] == "status"
        prompt_id = submit(url=servers.url)
        with pytest.raises(websocket.WebSocketTimeoutException):
            socket.recv()
        socket.close()
        assert [bool(history(prompt_id, servers.url)) for _ in range(4)] == [False, True, False, True]


def test_a_server_behind_the_balancer_is_down() -> None:
    with comfystub.cluster(2, clock="virtual") as servers:
        servers[1].fail(faults.refused())
        found = [httpx.get(f"{servers.url}/system_stats").status_code for _ in range(4)]
        assert found == [200, 502, 200, 502]
