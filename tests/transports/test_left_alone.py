"""What has a transport or an adapter of its own goes its own way, also to the stub's addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import requests.adapters
from calls import URL

import comfystub


@pytest.fixture(params=["pass", "error"], autouse=True)
def stub(request: pytest.FixtureRequest) -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, unmatched=request.param) as stub:
        yield stub
        assert stub.requests == []


class Own(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(299, text=f"{request.method} {request.url}")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)


class OwnAdapter(requests.adapters.BaseAdapter):
    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.url = 299, str(request.url)
        return response

    def close(self) -> None: ...


class OwnSend(requests.adapters.HTTPAdapter):
    """A subclass that answers by itself."""

    send = OwnAdapter.send  # type: ignore[assignment]


def app_of_wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("299 Mine", [])
    return [environ["PATH_INFO"].encode()]


async def app_of_asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


@pytest.mark.parametrize("url", [f"{URL}/queue", "http://elsewhere.test/queue"])
@pytest.mark.parametrize(
    "transport",
    [Own(), httpx.MockTransport(lambda request: httpx.Response(299)), httpx.WSGITransport(app_of_wsgi)],
    ids=lambda transport: type(transport).__name__,
)
def test_an_httpx_transport_of_ones_own(transport: httpx.BaseTransport, url: str) -> None:
    with httpx.Client(transport=transport) as client:
        assert client.get(url).status_code == 299
    with httpx.Client(mounts={"http://": transport}, verify=False) as client:
        assert client.get(url).status_code == 299


@pytest.mark.parametrize("url", [f"{URL}/queue", "http://elsewhere.test/queue"])
@pytest.mark.parametrize(
    "transport",
    [Own(), httpx.MockTransport(lambda request: httpx.Response(299)), httpx.ASGITransport(app_of_asgi)],
    ids=lambda transport: type(transport).__name__,
)
async def test_an_async_httpx_transport_of_ones_own(transport: httpx.AsyncBaseTransport, url: str) -> None:
    async with httpx.AsyncClient(transport=transport) as client:
        assert (await client.get(url)).status_code == 299


@pytest.mark.parametrize("url", [f"{URL}/queue", "http://elsewhere.test/queue"])
@pytest.mark.parametrize("adapter", [OwnAdapter(), OwnSend()], ids=lambda adapter: type(adapter).__name__)
def test_an_adapter_of_ones_own(adapter: requests.adapters.BaseAdapter, url: str) -> None:
    with requests.Session() as session:
        session.mount("http://", adapter)
        assert session.get(url).status_code == 299


@pytest.mark.filterwarnings("ignore")  # what a newer test client says of its own future
def test_the_test_client_of_starlette() -> None:
    pytest.importorskip("starlette")
    from starlette.testclient import TestClient

    client = TestClient(app_of_asgi, base_url=URL)
    response = client.get("/mine")
    assert (response.status_code, response.text) == (299, "/mine")


def test_a_session_with_a_special_scheme() -> None:
    with requests.Session() as session:
        session.mount("comfy+unix://", OwnAdapter())
        assert session.get("comfy+unix://%2Ftmp%2Fcomfy.sock/queue").status_code == 299
