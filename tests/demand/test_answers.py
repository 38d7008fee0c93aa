"""What goes wrong with calls and their answers."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import aiohttp
import httpx
import pytest
import requests
import urllib3
import websocket
from requests.adapters import HTTPAdapter
from workflows import text_to_image

import comfystub
from comfystub import faults
from demand.asking import LOGIN, PATIENCE, WS_URL, get, listening, outcome, queued, submit, wait

# --- refused by somebody


def test_an_upload_is_too_large(stub: comfystub.Stub) -> None:
    stub.fail(faults.too_large(limit=1000))
    response = httpx.post(f"{stub.url}/upload/image", files={"image": ("fox.png", bytes(2000))})
    assert response.status_code == 413
    assert response.text == "Maximum request body size 1000 exceeded."
    assert response.headers["content-type"].startswith("text/plain")
    assert get("/queue") == {"queue_running": [], "queue_pending": []}


def test_a_prompt_is_too_large(stub: comfystub.Stub) -> None:
    stub.fail(faults.too_large(on="POST /prompt"))
    body = json.dumps({"prompt": text_to_image()}).encode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{stub.url}/prompt", body)
    with refused.value as answer:
        assert answer.code == 413
        assert answer.read() == b"Maximum request body size 104857600 exceeded."


def test_host_and_origin_differ() -> None:
    with comfystub.patch() as stub:
        response = requests.get(f"{stub.url}/queue", headers={"Origin": "https://studio.example"})
        assert (response.status_code, response.content) == (403, b"")
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection("ws://127.0.0.1:8188/ws", origin="https://studio.example")
        assert refused.value.status_code == 403


def test_the_server_takes_us_for_another_site(stub: comfystub.Stub) -> None:
    stub.fail(faults.foreign_origin())
    response = httpx.get(f"{stub.url}/queue")
    assert (response.status_code, response.content) == (403, b"")


async def test_a_login_in_front(stub: comfystub.Stub) -> None:
    stub.fail(faults.login("me", "secret"))
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{stub.url}/queue") as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(WS_URL)
        assert refused.value.status == 401
    async with aiohttp.ClientSession(headers={"Authorization": LOGIN}) as session:
        async with session.get(f"{stub.url}/queue") as response:
            assert response.status == 200
        async with session.ws_connect(WS_URL) as socket:
            assert "sid" in await socket.receive_str()


def test_a_login_in_front_of_the_socket_alone(stub: comfystub.Stub) -> None:
    stub.fail(faults.login("me", "secret", code=403, on="/ws"))
    assert httpx.get(f"{stub.url}/queue").status_code == 200
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(WS_URL)
    assert refused.value.status_code == 403
    websocket.create_connection(WS_URL, header=[f"Authorization: {LOGIN}"]).close()


def test_too_many_requests(stub: comfystub.Stub) -> None:
    stub.fail(faults.too_many_requests(retry_after=5, times=1))
    response = httpx.post(f"{stub.url}/prompt", json={"prompt": text_to_image()})
    assert (response.status_code, response.headers["retry-after"]) == (429, "5")


def test_an_older_server_has_no_jobs_api(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_jobs_api())
    prompt_id = submit()
    with pytest.raises(urllib.error.HTTPError) as missing:
        get(f"/api/jobs/{prompt_id}")
    with missing.value:
        assert missing.value.code == 404
    assert outcome(wait(prompt_id)) == "execution_success"


# --- tried again


def test_the_answer_of_the_post_is_lost_and_the_retry_makes_a_second_job(stub: comfystub.Stub) -> None:
    stub.fail(faults.lost_answer(on="POST /prompt", times=1))
    with pytest.raises(httpx.ReadError):
        httpx.post(f"{stub.url}/prompt", json={"prompt": text_to_image(seed=1)})
    httpx.post(f"{stub.url}/prompt", json={"prompt": text_to_image(seed=1)}).raise_for_status()
    assert len(httpx.get(f"{stub.url}/history").json()) == 2


def test_a_failure_that_passes(stub: comfystub.Stub) -> None:
    stub.fail(faults.unavailable(retry_after=5, on="POST /prompt", times=2))
    retry = urllib3.util.Retry(total=3, status_forcelist=[503], allowed_methods=None)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retry))
        response = session.post(f"{stub.url}/prompt", json={"prompt": text_to_image()})
    assert response.status_code == 200
    assert stub.clock.elapsed == 10
    assert outcome(wait(response.json()["prompt_id"])) == "execution_success"


def statuses(count: int) -> list[int]:
    with comfystub.patch(seed=1, faults=[faults.unavailable(rate=0.5)]) as stub, httpx.Client() as client:
        return [client.get(f"{stub.url}/queue").status_code for _ in range(count)]


def test_calls_fail_at_random_the_same_way_each_time() -> None:
    assert set(statuses(20)) == {200, 503}
    assert statuses(20) == statuses(20)


# --- no answer, or half of one


@pytest.mark.parametrize(
    ("get", "failure"), [(httpx.get, httpx.ReadTimeout), (requests.get, requests.ReadTimeout)]
)
def test_the_server_never_answers(
    stub: comfystub.Stub, get: Callable[..., object], failure: type[Exception]
) -> None:
    stub.fail(faults.no_answer(on="/history"))
    prompt_id = submit()
    with pytest.raises(failure):
        get(f"{stub.url}/history/{prompt_id}", timeout=PATIENCE)
    assert stub.clock.elapsed == PATIENCE


def test_the_server_is_slow(stub: comfystub.Stub) -> None:
    stub.fail(faults.slow(20, on="/object_info"))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{stub.url}/object_info/KSampler", timeout=10)
    assert "KSampler" in requests.get(f"{stub.url}/object_info/KSampler", timeout=PATIENCE).json()


async def test_the_body_is_cut_short(stub: comfystub.Stub) -> None:
    (file,) = wait(submit())["outputs"]["9"]["images"]
    stub.fail(faults.cut_body(sent=100, on="/view"))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{stub.url}/view", params=file)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(f"{stub.url}/view", params=file) as response:
                await response.read()


def test_the_content_length_lies(stub: comfystub.Stub) -> None:
    stub.fail(faults.wrong_length(more=10, on="/queue"))
    with pytest.raises(http.client.IncompleteRead), urllib.request.urlopen(f"{stub.url}/queue") as response:
        response.read()


def test_the_json_is_malformed(stub: comfystub.Stub) -> None:
    stub.fail(faults.malformed_json(on="/history"))
    response = requests.get(f"{stub.url}/history/{submit()}")
    assert response.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        response.json()


async def test_a_proxy_answers_with_a_web_page(stub: comfystub.Stub) -> None:
    stub.fail(faults.html(times=1))
    async with aiohttp.ClientSession() as session, session.get(f"{stub.url}/queue") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ContentTypeError):
            await response.json()


@pytest.mark.parametrize(
    ("post", "failure"), [(httpx.post, httpx.ReadError), (requests.post, requests.ConnectionError)]
)
def test_the_connection_is_reset(
    stub: comfystub.Stub, post: Callable[..., object], failure: type[Exception]
) -> None:
    stub.fail(faults.reset(on="POST /prompt"))
    with pytest.raises(failure):
        post(f"{stub.url}/prompt", json={"prompt": text_to_image()})
    assert queued() == []


# --- asked too often, or for what is not there


def test_how_often_a_client_asked(stub: comfystub.Stub) -> None:
    stub.next_job(pace=5)
    wait(prompt_id := submit())
    stub.assert_called(f"GET /history/{prompt_id}", times=5)
    with pytest.raises(AssertionError):
        stub.assert_called("/interrupt")


def careless() -> None:
    """Call a path that is none, and take no notice of the answer."""
    requests.post("http://127.0.0.1:8188/promt", json={})


def test_an_unknown_path_is_an_error_of_the_test() -> None:
    with pytest.raises(comfystub.StrictError, match="/promt"), comfystub.patch(strict=True):
        careless()


def test_the_whole_history_is_huge(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    stub.fill_queue(300, workflow=workflow, pace=0)
    prompt_id = submit()
    whole = requests.get(f"{stub.url}/history")
    assert len(whole.json()) == 301
    last = requests.get(f"{stub.url}/history?max_items=1")
    assert list(last.json()) == [prompt_id]
    assert len(whole.content) > 200 * len(last.content)


@pytest.mark.parametrize("word", ["wolf", "bear"])
def test_a_call_with_a_word_in_it_fails(stub: comfystub.Stub, word: str) -> None:
    stub.fail(faults.status(500, "no wolves", on={"path": "/prompt", "text": "wolf"}))
    response = httpx.post(f"{stub.url}/prompt", json={"prompt": text_to_image(f"a {word}")})
    assert response.status_code == (500 if word == "wolf" else 200)


def test_nothing_is_answered_but_the_socket_works(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_answer(on={"path": "/queue", "method": "GET"}, lasting=60))
    with listening() as socket:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{stub.url}/queue", timeout=PATIENCE)
        submit()
        assert "status" in str(socket.recv())
    time.sleep(PATIENCE + 1)
    assert httpx.get(f"{stub.url}/queue").status_code == 200
