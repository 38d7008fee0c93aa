"""Ready-made clients and transports: they talk to a stub, in force or not."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from calls import URL
from workflows import text_to_image

import comfystub

ANY_HOST = ["http://elsewhere.test/queue", "https://secure.test:1/queue", f"{URL}/queue"]


def test_client_does_a_whole_job() -> None:
    stub = comfystub.Stub(URL)
    with stub.client() as client:
        answer = client.post("/prompt", json={"prompt": text_to_image()})
        entry = client.get(f"/history/{answer.json()['prompt_id']}").json()
        [image] = entry[stub.jobs[0].id]["outputs"]["9"]["images"]
        assert client.get("/view", params=image).content == stub.outputs[0].path.read_bytes()
    assert len(stub.requests) == 3


async def test_async_client_does_a_whole_job() -> None:
    stub = comfystub.Stub(URL)
    async with stub.async_client() as client:
        answer = await client.post("/prompt", json={"prompt": text_to_image()})
        entry = (await client.get(f"/history/{answer.json()['prompt_id']}")).json()
        [image] = entry[stub.jobs[0].id]["outputs"]["9"]["images"]
        viewed = await client.get("/view", params=image)
        assert viewed.content == stub.outputs[0].path.read_bytes()
    assert len(stub.requests) == 3


def test_a_client_takes_the_options_of_httpx() -> None:
    stub = comfystub.Stub(URL)
    with stub.client(headers={"X-Mine": "yes"}, timeout=3) as client:
        client.get("/queue")
        assert str(client.base_url).rstrip("/") == URL
        assert client.timeout == httpx.Timeout(3)
    assert stub.requests[0].request.headers["x-mine"] == "yes"


async def test_an_async_client_takes_the_options_of_httpx() -> None:
    stub = comfystub.Stub(URL)
    async with stub.async_client(headers={"X-Mine": "yes"}) as client:
        await client.get("/queue")
    assert stub.requests[0].request.headers["x-mine"] == "yes"


@pytest.mark.parametrize("option", ["base_url", "transport"])
@pytest.mark.parametrize("kind", ["client", "async_client"])
def test_a_client_keeps_its_address_and_its_transport(kind: str, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        getattr(comfystub.Stub(URL), kind)(**{option: "http://elsewhere.test"})


@pytest.mark.parametrize("url", ANY_HOST)
def test_a_transport_answers_whatever_the_host(url: str) -> None:
    stub = comfystub.Stub(URL)
    with httpx.Client(transport=stub.httpx_transport()) as client:
        assert client.get(url).json() == {"queue_running": [], "queue_pending": []}


@pytest.mark.parametrize("url", ANY_HOST)
async def test_an_async_transport_answers_whatever_the_host(url: str) -> None:
    stub = comfystub.Stub(URL)
    async with httpx.AsyncClient(transport=stub.async_httpx_transport()) as client:
        assert (await client.get(url)).json() == {"queue_running": [], "queue_pending": []}


def test_a_transport_can_be_mounted() -> None:
    stub = comfystub.Stub(URL)
    with httpx.Client(mounts={"all://comfy.test": stub.httpx_transport()}, verify=False) as client:
        assert client.get(f"{URL}/queue").status_code == 200


async def test_other_tasks_run_while_an_async_client_is_answered() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async with comfystub.Stub(URL).async_client() as client:
        for _ in range(10):
            await client.get("/queue")
    task.cancel()
    assert turns >= 10


@pytest.mark.parametrize("kind", ["in force", "not in force", "beside another"])
def test_a_client_talks_to_its_stub_whatever_is_in_force(kind: str) -> None:
    stub = comfystub.Stub(URL)
    other: Any = {"in force": stub, "beside another": comfystub.Stub(URL)}.get(kind)
    if other:
        with comfystub.patch(stub=other), stub.client() as client:
            client.get("/queue")
    else:
        with stub.client() as client:
            client.get("/queue")
    assert len(stub.requests) == 1


def test_the_path_of_the_base_url_is_stripped() -> None:
    stub = comfystub.Stub(f"{URL}/comfy/")
    with stub.client() as client:
        assert client.get("/queue").status_code == 200
        assert client.get("queue").status_code == 200
        assert client.get(f"{URL}/comfy").status_code == 200
        assert [call.path for call in stub.requests] == ["/queue", "/queue", "/"]
        for beside in (URL, f"{URL}/queue", f"{URL}/comfyui/queue", "http://elsewhere.test/queue"):
            response = client.get(beside)
            assert (response.status_code, response.content) == (404, b"")
    assert len(stub.requests) == 3


def test_the_bodies_of_streams_and_generators_arrive() -> None:
    stub = comfystub.Stub(URL)
    with stub.client() as client:
        client.post("/prompt", content=(part for part in (b'{"prompt"', b": {}}")))
        with client.stream("GET", "/queue") as response:
            assert b"".join(response.iter_bytes()) == b'{"queue_running": [], "queue_pending": []}'
    assert stub.requests[0].json == {"prompt": {}}
