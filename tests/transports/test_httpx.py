"""httpx against a stub: what a client does with a real server, it does here."""

from __future__ import annotations

import asyncio
import datetime
import io
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from calls import URL
from network import NetworkUsed
from workflows import text_to_image

import comfystub

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
PROMPT = b'{"prompt": {}}'


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(base_url=URL, verify=False) as client:
        yield client


@pytest.fixture
async def async_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=URL, verify=False) as client:
        yield client


@pytest.fixture
def picture(stub: comfystub.Stub) -> str:
    """The path of a picture of PICTURE's bytes, which are more than one chunk of a stream."""
    (stub.output_dir / "picture.bin").write_bytes(PICTURE)
    return "/view?filename=picture.bin"


# --- the whole job


def test_a_whole_job(stub: comfystub.Stub, client: httpx.Client) -> None:
    assert client.get("/system_stats").json()["system"]["comfyui_version"] == "0.33.0"
    answer = client.post("/prompt", json={"prompt": text_to_image(batch_size=2), "client_id": "me"})
    prompt_id = answer.json()["prompt_id"]
    entry = client.get(f"/history/{prompt_id}").json()[prompt_id]
    assert entry["status"]["status_str"] == "success"
    images = entry["outputs"]["9"]["images"]
    assert [image["filename"] for image in images] == ["ComfyUI_00001_.png", "ComfyUI_00002_.png"]
    for image, output in zip(images, stub.jobs[0].outputs):
        viewed = client.get("/view", params=image)
        assert viewed.headers["content-type"] == "image/png"
        assert viewed.content == output.path.read_bytes()
    assert [(call.method, call.path) for call in stub.requests] == [
        ("GET", "/system_stats"),
        ("POST", "/prompt"),
        ("GET", f"/history/{prompt_id}"),
        ("GET", "/view"),
        ("GET", "/view"),
    ]


async def test_a_whole_job_async(stub: comfystub.Stub, async_client: httpx.AsyncClient) -> None:
    answer = await async_client.post("/prompt", json={"prompt": text_to_image()})
    prompt_id = answer.json()["prompt_id"]
    entry = (await async_client.get(f"/history/{prompt_id}")).json()[prompt_id]
    [image] = entry["outputs"]["9"]["images"]
    viewed = await async_client.get("/view", params=image)
    assert viewed.content == stub.outputs[0].path.read_bytes()


async def test_many_async_calls_at_once(stub: comfystub.Stub, async_client: httpx.AsyncClient) -> None:
    prompts = [text_to_image(seed=seed) for seed in range(8)]
    answers = await asyncio.gather(
        *(async_client.post("/prompt", json={"prompt": prompt}) for prompt in prompts)
    )
    ids = [answer.json()["prompt_id"] for answer in answers]
    entries = await asyncio.gather(*(async_client.get(f"/history/{prompt_id}") for prompt_id in ids))
    assert all(entry.json()[prompt_id]["outputs"] for prompt_id, entry in zip(ids, entries))
    assert [job.node("3").inputs["seed"] for job in stub.jobs] == list(range(8))


async def test_other_tasks_run_while_a_call_is_answered(
    stub: comfystub.Stub, async_client: httpx.AsyncClient
) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(10):
        await async_client.get("/queue")
    task.cancel()
    assert turns >= 10


async def test_a_client_that_polls_without_a_pause_can_time_out(async_client: httpx.AsyncClient) -> None:
    async def poll(prompt_id: str) -> None:
        for _ in range(20_000):
            assert (await async_client.get(f"/history/{prompt_id}")).json() == {}

    async with comfystub.patch(URL, pace="manual"):
        answer = await async_client.post("/prompt", json={"prompt": text_to_image()})
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(poll(answer.json()["prompt_id"]), 0.05)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client_runs_on_each_backend_of_anyio(stub: comfystub.Stub, backend: str) -> None:
    pytest.importorskip(backend)
    anyio = pytest.importorskip("anyio")

    async def work() -> tuple[int, bytes]:
        async with httpx.AsyncClient(base_url=URL, verify=False) as client:
            response = await client.get("/queue")
            async with client.stream("GET", "/queue") as streamed:
                return response.status_code, b"".join([part async for part in streamed.aiter_bytes()])

    from calls import in_thread

    status, body = in_thread(lambda: anyio.run(work, backend=backend))
    assert (status, body) == (200, b'{"queue_running": [], "queue_pending": []}')


def test_the_functions_of_the_module(stub: comfystub.Stub) -> None:
    assert httpx.get(f"{URL}/queue", verify=False).status_code == 200
    assert httpx.post(f"{URL}/interrupt", json={}, verify=False).status_code == 200
    assert httpx.head(f"{URL}/queue", verify=False).status_code == 200
    assert httpx.options(f"{URL}/queue", verify=False).status_code == 200
    assert httpx.request("DELETE", f"{URL}/queue", verify=False).status_code == 405
    with httpx.stream("GET", f"{URL}/queue", verify=False) as response:
        assert response.read() == b'{"queue_running": [], "queue_pending": []}'
    assert [call.method for call in stub.requests] == ["GET", "POST", "HEAD", "OPTIONS", "DELETE", "GET"]


# --- what the server sees


def test_the_request_arrives_as_it_was_sent(stub: comfystub.Stub, client: httpx.Client) -> None:
    client.post("/no%20such/p%C3%A4th?a=1&b=%26&a=2#part", headers={"X-Mine": "yes"}, content=b"body")
    request = stub.requests[0].request
    assert (request.method, request.path, request.query) == ("POST", "/no%20such/p%C3%A4th", "a=1&b=%26&a=2")
    assert request.headers["x-mine"] == "yes"
    assert request.headers["host"] == "comfy.test:8188"
    assert request.headers["content-length"] == "4"
    assert request.headers["user-agent"] == f"python-httpx/{httpx.__version__}"
    assert request.body == b"body"


def text_body() -> Iterator[bytes]:
    yield PROMPT[:3]
    yield PROMPT[3:]


async def async_body() -> AsyncIterator[bytes]:
    yield PROMPT[:3]
    yield PROMPT[3:]


@pytest.mark.parametrize(
    ("body", "header"),
    [
        ({"content": PROMPT}, ("content-length", "14")),
        ({"content": PROMPT.decode()}, ("content-length", "14")),
        ({"content": text_body()}, ("transfer-encoding", "chunked")),
        ({"content": io.BytesIO(PROMPT)}, None),
    ],
    ids=["bytes", "text", "generator", "file"],
)
def test_a_body_of_any_kind_arrives_whole(
    stub: comfystub.Stub, client: httpx.Client, body: dict[str, Any], header: tuple[str, str] | None
) -> None:
    assert client.post("/prompt", **body).json()["error"]["type"] == "prompt_no_outputs"
    assert stub.requests[0].json == {"prompt": {}}
    if header:
        assert stub.requests[0].request.headers[header[0]] == header[1]


@pytest.mark.parametrize("body", [lambda: PROMPT, async_body], ids=["bytes", "async generator"])
async def test_a_body_of_any_kind_arrives_whole_async(
    stub: comfystub.Stub, async_client: httpx.AsyncClient, body: Any
) -> None:
    response = await async_client.post("/prompt", content=body())
    assert response.json()["error"]["type"] == "prompt_no_outputs"
    assert stub.requests[0].json == {"prompt": {}}


def test_a_sync_client_refuses_an_async_body_as_ever(stub: comfystub.Stub, client: httpx.Client) -> None:
    with pytest.raises(RuntimeError, match="Attempted to send an async request with a sync Client instance"):
        client.post("/prompt", content=async_body())
    assert stub.requests == []


def test_an_upload_arrives_in_the_input_folder(stub: comfystub.Stub, client: httpx.Client) -> None:
    answer = client.post(
        "/upload/image",
        files={"image": ("füchse.png", io.BytesIO(PICTURE), "image/png")},
        data={"subfolder": "mine", "type": "input", "overwrite": "true"},
    )
    assert answer.json() == {"name": "füchse.png", "subfolder": "mine", "type": "input"}
    assert (stub.input_dir / "mine" / "füchse.png").read_bytes() == PICTURE


async def test_an_async_upload_arrives_in_the_input_folder(
    stub: comfystub.Stub, async_client: httpx.AsyncClient
) -> None:
    answer = await async_client.post("/upload/image", files={"image": ("a.png", PICTURE, "image/png")})
    assert answer.json() == {"name": "a.png", "subfolder": "", "type": "input"}
    assert (stub.input_dir / "a.png").read_bytes() == PICTURE


def test_basic_authentication_and_cookies_are_sent(stub: comfystub.Stub) -> None:
    with httpx.Client(
        base_url=URL, verify=False, auth=("user", "secret"), cookies={"session": "1"}
    ) as client:
        client.get("/queue")
    headers = stub.requests[0].request.headers
    assert headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert headers["cookie"] == "session=1"


def test_an_authentication_flow_sees_the_answer(stub: comfystub.Stub) -> None:
    class Token(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request: httpx.Request) -> Any:
            answer = yield httpx.Request("GET", f"{URL}/features")
            request.headers["X-Token"] = str(answer.json()["max_upload_size"])
            yield request

    with httpx.Client(base_url=URL, verify=False, auth=Token()) as client:
        client.get("/queue")
    assert [call.path for call in stub.requests] == ["/features", "/queue"]
    assert stub.requests[1].request.headers["x-token"] == "104857600"


def test_event_hooks_are_called(stub: comfystub.Stub) -> None:
    seen: list[Any] = []
    hooks: dict[str, list[Any]] = {
        "request": [lambda request: seen.append(str(request.url))],
        "response": [lambda response: seen.append((response.status_code, response.is_stream_consumed))],
    }
    with httpx.Client(base_url=URL, verify=False, event_hooks=hooks) as client:
        client.get("/queue")
    assert seen == [f"{URL}/queue", (200, False)]


# --- what the client gets


def test_the_response_is_complete(stub: comfystub.Stub, client: httpx.Client) -> None:
    response = client.get("/queue")
    assert (response.status_code, response.reason_phrase, response.http_version) == (200, "OK", "HTTP/1.1")
    assert dict(response.headers) == {
        "content-type": "application/json; charset=utf-8",
        "content-length": str(len(response.content)),
    }
    assert (response.encoding, response.is_closed, response.is_stream_consumed) == ("utf-8", True, True)
    assert response.num_bytes_downloaded == len(response.content)
    assert response.request.url == f"{URL}/queue"
    assert datetime.timedelta() < response.elapsed < datetime.timedelta(seconds=10)
    assert response.raise_for_status() is response
    assert response.history == []


def test_an_error_is_an_error(stub: comfystub.Stub, client: httpx.Client) -> None:
    response = client.post("/prompt", json={"prompt": {}})
    assert (response.status_code, response.reason_phrase) == (400, "Bad Request")
    with pytest.raises(httpx.HTTPStatusError, match="400 Bad Request"):
        response.raise_for_status()


def test_head_has_the_headers_and_no_body(stub: comfystub.Stub, client: httpx.Client, picture: str) -> None:
    response = client.head(picture)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(PICTURE))


def test_options_is_answered(stub: comfystub.Stub, client: httpx.Client) -> None:
    response = client.options("/prompt")
    assert (response.status_code, response.content) == (200, b"")


def test_no_content_has_no_length(stub: comfystub.Stub, client: httpx.Client) -> None:
    client.post("/userdata/a.txt", content=b"a").raise_for_status()
    response = client.delete("/userdata/a.txt")
    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers


@pytest.mark.parametrize("follow", [False, True])
def test_redirects_are_left_to_the_client(stub: comfystub.Stub, follow: bool) -> None:
    with httpx.Client(base_url=URL, verify=False, follow_redirects=follow) as client:
        response = client.get("/queue")
    assert (response.status_code, response.history, response.has_redirect_location) == (200, [], False)


# --- streams


def test_a_stream_is_unread_until_it_is_read(client: httpx.Client, picture: str) -> None:
    with client.stream("GET", picture) as response:
        assert not response.is_stream_consumed
        with pytest.raises(httpx.ResponseNotRead):
            response.content  # noqa: B018
        with pytest.raises(RuntimeError, match="elapsed"):
            response.elapsed  # noqa: B018
        assert response.read() == PICTURE
        assert response.content == PICTURE
    assert response.is_closed


@pytest.mark.parametrize("how", ["iter_bytes", "iter_raw"])
@pytest.mark.parametrize("size", [None, 1000, 100_000])
def test_a_stream_comes_in_chunks(client: httpx.Client, picture: str, how: str, size: int | None) -> None:
    with client.stream("GET", picture) as response:
        chunks = list(getattr(response, how)(size))
    assert b"".join(chunks) == PICTURE
    assert size is None or {len(chunk) for chunk in chunks[:-1]} <= {size}


@pytest.mark.parametrize("how", ["aiter_bytes", "aiter_raw"])
@pytest.mark.parametrize("size", [None, 1000, 100_000])
async def test_an_async_stream_comes_in_chunks(
    async_client: httpx.AsyncClient, picture: str, how: str, size: int | None
) -> None:
    async with async_client.stream("GET", picture) as response:
        assert not response.is_stream_consumed
        chunks = [chunk async for chunk in getattr(response, how)(size)]
    assert b"".join(chunks) == PICTURE
    assert size is None or {len(chunk) for chunk in chunks[:-1]} <= {size}


def test_text_comes_in_lines(stub: comfystub.Stub, client: httpx.Client) -> None:
    (stub.output_dir / "log.txt").write_text("one\ntwö\nthree")
    with client.stream("GET", "/view?filename=log.txt") as response:
        assert list(response.iter_lines()) == ["one", "twö", "three"]


async def test_text_comes_in_lines_async(stub: comfystub.Stub, async_client: httpx.AsyncClient) -> None:
    (stub.output_dir / "log.txt").write_text("one\ntwö\nthree")
    async with async_client.stream("GET", "/view?filename=log.txt") as response:
        assert [line async for line in response.aiter_lines()] == ["one", "twö", "three"]


def test_a_stream_is_read_once(client: httpx.Client, picture: str) -> None:
    with client.stream("GET", picture) as response:
        list(response.iter_raw())
        with pytest.raises(httpx.StreamConsumed):
            list(response.iter_raw())


def test_a_stream_that_was_closed_cannot_be_read(client: httpx.Client, picture: str) -> None:
    with client.stream("GET", picture) as response:
        pass
    with pytest.raises(httpx.StreamClosed):
        response.read()


async def test_an_async_stream_that_was_closed_cannot_be_read(
    async_client: httpx.AsyncClient, picture: str
) -> None:
    async with async_client.stream("GET", picture) as response:
        pass
    with pytest.raises(httpx.StreamClosed):
        await response.aread()


def test_a_closed_client_answers_nothing(stub: comfystub.Stub) -> None:
    client = httpx.Client(base_url=URL, verify=False)
    client.close()
    with pytest.raises(RuntimeError, match="client has been closed"):
        client.get("/queue")
    assert stub.requests == []


# --- however the client is set up

CLIENTS: dict[str, dict[str, Any]] = {
    "http2": {"http2": True},
    "a transport with retries": {"transport": "HTTPTransport(retries=3)"},
    "mounts": {"mounts": {"http://": "HTTPTransport()"}},
    "a proxy": {"mounts": {"http://": "HTTPTransport(proxy)"}},
    "limits and time-outs": {
        "limits": httpx.Limits(max_connections=1, max_keepalive_connections=0),
        "timeout": httpx.Timeout(0.001, connect=0.001),
    },
    "no redirects and no environment": {"follow_redirects": False, "trust_env": False},
    "default encoding": {"default_encoding": "latin-1"},
}


def transport(what: Any, kind: type[Any]) -> Any:
    """An HTTPTransport of the client's kind, as CLIENTS names it."""
    if isinstance(what, dict):
        return {key: transport(value, kind) for key, value in what.items()}
    options = {"(retries=3)": {"retries": 3}, "(proxy)": {"proxy": httpx.Proxy("http://proxy.test:3128")}}
    if isinstance(what, str) and what.startswith("HTTPTransport"):
        return kind(verify=False, **options.get(what.removeprefix("HTTPTransport"), {}))
    return what


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("when", ["before", "inside"])
def test_a_client_is_caught_however_it_is_set_up(name: str, when: str) -> None:
    def make() -> httpx.Client:
        return httpx.Client(base_url=URL, verify=False, **transport(CLIENTS[name], httpx.HTTPTransport))

    made = make()
    with comfystub.patch(URL) as stub, made if when == "before" else make() as client:
        response = client.post("/prompt", json={"prompt": text_to_image()})
        assert (response.status_code, response.http_version) == (200, "HTTP/1.1")
        assert len(stub.jobs) == 1
    made.close()


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("when", ["before", "inside"])
async def test_an_async_client_is_caught_however_it_is_set_up(name: str, when: str) -> None:
    def make() -> httpx.AsyncClient:
        options = transport(CLIENTS[name], httpx.AsyncHTTPTransport)
        return httpx.AsyncClient(base_url=URL, verify=False, **options)

    made = make()
    async with comfystub.patch(URL) as stub, made if when == "before" else make() as client:
        response = await client.post("/prompt", json={"prompt": text_to_image()})
        assert (response.status_code, response.http_version) == (200, "HTTP/1.1")
        assert len(stub.jobs) == 1
    await made.aclose()


def test_a_proxy_in_the_environment_is_not_asked() -> None:
    proxies = {"HTTP_PROXY": "http://proxy.test:3128", "ALL_PROXY": "http://proxy.test:3128"}
    with comfystub.patch(URL, env=proxies):
        with httpx.Client(verify=False) as client:
            assert client.get(f"{URL}/queue").status_code == 200
            with pytest.raises(NetworkUsed, match=r"'proxy\.test'"):
                client.get("http://elsewhere.test/")


def test_a_transport_by_itself_is_caught(stub: comfystub.Stub) -> None:
    with httpx.HTTPTransport(verify=False) as by_itself:
        response = by_itself.handle_request(httpx.Request("GET", f"{URL}/queue"))
    assert response.status_code == 200
    assert not response.is_stream_consumed
    assert response.read() == b'{"queue_running": [], "queue_pending": []}'


def test_a_subclassed_transport_that_calls_super_is_caught(stub: comfystub.Stub) -> None:
    class Counting(httpx.HTTPTransport):
        calls = 0

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            self.calls += 1
            return super().handle_request(request)

    counting = Counting(verify=False)
    with httpx.Client(transport=counting) as client:
        assert client.get(f"{URL}/queue").status_code == 200
    assert (counting.calls, len(stub.requests)) == (1, 1)


def test_a_transport_around_another_is_caught(stub: comfystub.Stub) -> None:
    class Around(httpx.BaseTransport):
        def __init__(self) -> None:
            self.inner = httpx.HTTPTransport(verify=False)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = self.inner.handle_request(request)
            response.headers["X-Around"] = "yes"
            return response

    with httpx.Client(transport=Around()) as client:
        assert client.get(f"{URL}/queue").headers["x-around"] == "yes"
    assert len(stub.requests) == 1


def test_a_subclassed_client_is_caught(stub: comfystub.Stub) -> None:
    class Client(httpx.Client):
        def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            request.headers["X-Mine"] = "yes"
            return super().send(request, **options)

    with Client(verify=False) as client:
        client.get(f"{URL}/queue")
    assert stub.requests[0].request.headers["x-mine"] == "yes"
