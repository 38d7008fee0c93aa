"""requests against a stub: what a session does with a real server, it does here."""

from __future__ import annotations

import datetime
import io
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import requests.adapters
from calls import URL
from network import NetworkUsed
from urllib3.util.retry import Retry
from workflows import text_to_image

import comfystub

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
PROMPT = b'{"prompt": {}}'
QUEUE = {"queue_running": [], "queue_pending": []}


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def picture(stub: comfystub.Stub) -> str:
    """The URL of a picture of PICTURE's bytes."""
    (stub.output_dir / "picture.bin").write_bytes(PICTURE)
    return f"{URL}/view?filename=picture.bin"


def test_a_whole_job(stub: comfystub.Stub, session: requests.Session) -> None:
    assert session.get(f"{URL}/system_stats").json()["system"]["comfyui_version"] == "0.33.0"
    answer = session.post(f"{URL}/prompt", json={"prompt": text_to_image(batch_size=2), "client_id": "me"})
    prompt_id = answer.json()["prompt_id"]
    entry = session.get(f"{URL}/history/{prompt_id}").json()[prompt_id]
    assert entry["status"]["status_str"] == "success"
    images = entry["outputs"]["9"]["images"]
    assert [image["filename"] for image in images] == ["ComfyUI_00001_.png", "ComfyUI_00002_.png"]
    for image, output in zip(images, stub.jobs[0].outputs):
        viewed = session.get(f"{URL}/view", params=image)
        assert viewed.headers["Content-Type"] == "image/png"
        assert viewed.content == output.path.read_bytes()


def test_the_functions_of_the_module(stub: comfystub.Stub) -> None:
    assert requests.get(f"{URL}/queue").json() == QUEUE
    assert requests.post(f"{URL}/interrupt", json={}).status_code == 200
    assert requests.head(f"{URL}/queue").status_code == 200
    assert requests.options(f"{URL}/queue").status_code == 200
    assert requests.request("DELETE", f"{URL}/queue").status_code == 405
    assert [call.method for call in stub.requests] == ["GET", "POST", "HEAD", "OPTIONS", "DELETE"]


# --- what the server sees


def test_the_request_arrives_as_it_was_sent(stub: comfystub.Stub, session: requests.Session) -> None:
    session.post(
        f"{URL}/no such/päth?a=1&b=%26&a=2#part", headers={"X-Mine": "yes", "X-Bytes": b"\xe4"}, data=b"body"
    )
    request = stub.requests[0].request
    assert (request.method, request.path, request.query) == ("POST", "/no%20such/p%C3%A4th", "a=1&b=%26&a=2")
    assert request.headers["x-mine"] == "yes"
    assert request.headers["x-bytes"] == "ä"
    assert request.headers["host"] == "comfy.test:8188"
    assert request.headers["content-length"] == "4"
    assert request.headers["user-agent"] == f"python-requests/{requests.__version__}"
    assert request.body == b"body"


def test_a_host_header_of_ones_own_is_kept(stub: comfystub.Stub, session: requests.Session) -> None:
    session.get(f"{URL}/queue", headers={"Host": "mine.test"})
    assert stub.requests[0].request.headers["host"] == "mine.test"


def test_a_name_in_the_url_does_not_get_into_the_host(
    stub: comfystub.Stub, session: requests.Session
) -> None:
    session.get("http://user:secret@comfy.test:8188/queue")
    headers = stub.requests[0].request.headers
    assert headers["host"] == "comfy.test:8188"
    assert headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="


class Readable:
    """A body with a length that can only be read, as those of multipart encoders."""

    def __init__(self) -> None:
        self._file = io.BytesIO(PROMPT)

    def __len__(self) -> int:
        return len(PROMPT)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (lambda: PROMPT, ("content-length", "14")),
        (lambda: bytearray(PROMPT), ("content-length", "14")),
        (lambda: PROMPT.decode(), ("content-length", "14")),
        (lambda: io.BytesIO(PROMPT), ("content-length", "14")),
        (lambda: io.StringIO(PROMPT.decode()), ("content-length", "14")),
        (lambda: (part for part in (PROMPT[:3], PROMPT[3:])), ("transfer-encoding", "chunked")),
        (
            lambda: (part for part in (PROMPT.decode()[:3], PROMPT.decode()[3:])),
            ("transfer-encoding", "chunked"),
        ),
        (Readable, None),
    ],
    ids=["bytes", "bytearray", "text", "file", "text file", "generator", "generator of text", "readable"],
)
def test_a_body_of_any_kind_arrives_whole(
    stub: comfystub.Stub, session: requests.Session, body: Any, header: tuple[str, str] | None
) -> None:
    answer = session.post(f"{URL}/prompt", data=body())
    assert answer.json()["error"]["type"] == "prompt_no_outputs"
    assert stub.requests[0].json == {"prompt": {}}
    if header:
        assert stub.requests[0].request.headers[header[0]] == header[1]


def test_json_says_that_it_is_json(stub: comfystub.Stub, session: requests.Session) -> None:
    session.post(f"{URL}/prompt", json={"prompt": text_to_image("a föx")})
    assert stub.requests[0].json["prompt"] == text_to_image("a föx")
    assert stub.requests[0].request.headers["content-type"] == "application/json"


def test_an_upload_arrives_in_the_input_folder(
    stub: comfystub.Stub, session: requests.Session, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "fox.png").write_bytes(PICTURE)
    with (tmp_path / "fox.png").open("rb") as file:
        answer = session.post(
            f"{URL}/upload/image",
            files={"image": ("fox.png", file, "image/png")},
            data={"subfolder": "mine", "overwrite": "true"},
        )
    assert answer.json() == {"name": "fox.png", "subfolder": "mine", "type": "input"}
    assert (stub.input_dir / "mine" / "fox.png").read_bytes() == PICTURE


def test_authentication_and_cookies_are_sent(stub: comfystub.Stub, session: requests.Session) -> None:
    session.auth = ("user", "secret")
    session.cookies.set("session", "1")
    session.get(f"{URL}/queue")
    headers = stub.requests[0].request.headers
    assert headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert headers["cookie"] == "session=1"


# --- what the client gets


def test_the_response_is_complete(stub: comfystub.Stub, session: requests.Session) -> None:
    response = session.get(f"{URL}/queue")
    assert (response.status_code, response.reason, response.ok, response.json()) == (200, "OK", True, QUEUE)
    assert dict(response.headers) == {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(response.content)),
    }
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert (response.url, response.encoding, response.history) == (f"{URL}/queue", "utf-8", [])
    assert response.request.url == f"{URL}/queue"
    assert response.raw.version == 11
    assert isinstance(response.connection, requests.adapters.HTTPAdapter)
    assert datetime.timedelta() < response.elapsed < datetime.timedelta(seconds=10)
    assert not response.is_redirect
    response.raise_for_status()


def test_an_error_is_an_error(stub: comfystub.Stub, session: requests.Session) -> None:
    response = session.post(f"{URL}/prompt", json={"prompt": {}})
    assert (response.status_code, response.reason, response.ok) == (400, "Bad Request", False)
    with pytest.raises(requests.HTTPError, match="400 Client Error: Bad Request for url"):
        response.raise_for_status()


def test_head_has_the_headers_and_no_body(session: requests.Session, picture: str) -> None:
    response = session.head(picture)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Length"] == str(len(PICTURE))
    assert session.head(picture, stream=True).raw.read(8) == b""


def test_options_is_answered(stub: comfystub.Stub, session: requests.Session) -> None:
    response = session.options(f"{URL}/prompt")
    assert (response.status_code, response.content) == (200, b"")


def test_no_content_has_no_length(stub: comfystub.Stub, session: requests.Session) -> None:
    session.post(f"{URL}/userdata/a.txt", data=b"a").raise_for_status()
    response = session.delete(f"{URL}/userdata/a.txt")
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Length" not in response.headers


def test_hooks_are_called(stub: comfystub.Stub, session: requests.Session) -> None:
    seen: list[int] = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    session.get(f"{URL}/queue")
    assert seen == [200]


# --- streams


@pytest.mark.parametrize("size", [1, 1000, 100_000, None])
def test_a_stream_comes_in_chunks(session: requests.Session, picture: str, size: int | None) -> None:
    with session.get(picture, stream=True) as response:
        chunks = list(response.iter_content(size))
    assert b"".join(chunks) == PICTURE
    assert size is None or {len(chunk) for chunk in chunks[:-1]} <= {size}


def test_a_stream_is_unread_until_it_is_read(session: requests.Session, picture: str) -> None:
    with session.get(picture, stream=True) as response:
        assert response.raw.tell() == 0
        assert response.raw.read(8) == PICTURE[:8]
        assert response.raw.tell() == 8
        assert response.content == PICTURE[8:]


def test_a_stream_can_be_copied_from_raw(session: requests.Session, picture: str) -> None:
    import shutil

    copied = io.BytesIO()
    with session.get(picture, stream=True) as response:
        shutil.copyfileobj(response.raw, copied)
    assert copied.getvalue() == PICTURE


def test_text_comes_in_lines(stub: comfystub.Stub, session: requests.Session) -> None:
    (stub.output_dir / "log.txt").write_text("one\ntwo\nthree")
    with session.get(f"{URL}/view?filename=log.txt", stream=True) as response:
        assert list(response.iter_lines(decode_unicode=True)) == ["one", "two", "three"]


def test_a_stream_is_read_once(session: requests.Session, picture: str) -> None:
    with session.get(picture, stream=True) as response:
        assert len(list(response.iter_content(1000))) == 11
        with pytest.raises(requests.exceptions.StreamConsumedError):
            response.iter_content(1000)
        with pytest.raises(RuntimeError, match="already consumed"):
            response.content  # noqa: B018


def test_a_stream_that_was_closed_has_nothing_more(session: requests.Session, picture: str) -> None:
    response = session.get(picture, stream=True)
    response.close()
    assert response.raw.closed
    assert response.content == b""


def test_without_a_stream_the_body_is_there_when_the_call_returns(
    session: requests.Session, picture: str
) -> None:
    response = session.get(picture)
    assert response.raw.tell() == len(PICTURE)
    assert response.content == PICTURE


# --- however the session is set up


class Counting(requests.adapters.HTTPAdapter):
    calls = 0

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        self.calls += 1
        return super().send(*arguments, **options)


ADAPTERS: dict[str, Any] = {
    "a number of retries": lambda: requests.adapters.HTTPAdapter(max_retries=3),
    "a Retry": lambda: requests.adapters.HTTPAdapter(
        max_retries=Retry(total=3, backoff_factor=60, status_forcelist=[400, 503], allowed_methods=None)
    ),
    "pools": lambda: requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1, pool_block=True),
    "a subclass that calls super": Counting,
}


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("when", ["before", "inside"])
def test_a_session_is_caught_whatever_its_adapter(session: requests.Session, name: str, when: str) -> None:
    adapter = ADAPTERS[name]()
    if when == "before":
        session.mount("http://", adapter)
    with comfystub.patch(URL) as stub:
        session.mount("http://", adapter)
        answer = session.post(f"{URL}/prompt", json={"prompt": text_to_image()})
        assert answer.status_code == 200
        assert answer.connection is adapter
        assert len(stub.jobs) == 1
    assert getattr(adapter, "calls", 1) == 1


def test_a_session_with_all_its_options_is_caught(stub: comfystub.Stub, session: requests.Session) -> None:
    session.proxies = {"http": "http://proxy.test:3128"}
    session.verify = False
    session.trust_env = False
    answer = session.get(f"{URL}/queue", timeout=(0.001, 0.001), allow_redirects=False, cert=("a", "b"))
    assert answer.json() == QUEUE


def test_a_proxy_in_the_environment_is_not_asked(session: requests.Session) -> None:
    proxies = {"HTTP_PROXY": "http://proxy.test:3128", "http_proxy": "http://proxy.test:3128"}
    with comfystub.patch(URL, env=proxies):
        assert session.get(f"{URL}/queue").json() == QUEUE
        with pytest.raises(NetworkUsed, match=r"'proxy\.test'"):
            session.get("http://elsewhere.test/")


def test_an_adapter_by_itself_is_caught(stub: comfystub.Stub) -> None:
    request = requests.Request("GET", f"{URL}/queue").prepare()
    adapter = requests.adapters.HTTPAdapter()
    assert adapter.send(request).json() == QUEUE
    assert adapter.send(request, True, 1.0, True, None, None).json() == QUEUE


def test_sessions_of_several_threads(stub: comfystub.Stub) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def work(seed: int) -> bool:
        with requests.Session() as session:
            answer = session.post(f"{URL}/prompt", json={"prompt": text_to_image(seed=seed)})
            prompt_id = answer.json()["prompt_id"]
            return bool(session.get(f"{URL}/history/{prompt_id}").json()[prompt_id]["outputs"])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))
    assert sorted(job.node("3").inputs["seed"] for job in stub.jobs) == list(range(12))
