"""Routes that a test adds to the server, as a custom node pack does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import comfystub
from comfystub.server.http import Request, Response

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


@pytest.mark.parametrize(
    ("answer", "status", "content_type", "body"),
    [
        ({"a": [1]}, 200, "application/json; charset=utf-8", b'{"a": [1]}'),
        ([], 200, "application/json; charset=utf-8", b"[]"),
        ("text é", 200, "text/plain; charset=utf-8", "text é".encode()),
        (b"\0\1", 200, "application/octet-stream", b"\0\1"),
        (None, 200, None, b""),
        ((404, {"error": "none"}), 404, "application/json; charset=utf-8", b'{"error": "none"}'),
        ((204, None), 204, None, b""),
        (Response(418, (("X-Tea", "yes"),), b"!"), 418, None, b"!"),
    ],
    ids=str,
)
def test_what_a_function_returns_is_sent(
    stub: comfystub.Stub, answer: Any, status: int, content_type: str | None, body: bytes
) -> None:
    stub.route("GET", "/my_pack/thing")(lambda request: answer)
    for path in ("/my_pack/thing", "/api/my_pack/thing"):
        response = httpx.get(URL + path)
        assert (response.status_code, response.content) == (status, body)
        assert response.headers.get("content-type") == content_type


def test_the_request_and_the_paths_placeholders(stub: comfystub.Stub) -> None:
    @stub.route("post", "/my_pack/{name}/rename")
    def rename(request: Request, name: str) -> Any:
        return {"from": name, "to": request.json()["to"], "dry": request.params["dry"]}

    response = httpx.post(URL + "/my_pack/a%20b/rename?dry=1", json={"to": "c"})
    assert response.json() == {"from": "a b", "to": "c", "dry": "1"}
    assert rename.__name__ == "rename"
    assert httpx.get(URL + "/my_pack/a/rename").status_code == 404
    assert httpx.put(URL + "/my_pack/a/rename").headers["allow"] == "GET,HEAD,POST"


def test_a_route_of_comfyuis_can_be_answered_in_its_place(stub: comfystub.Stub) -> None:
    stub.route("GET", "/system_stats")(lambda request: {"system": {"comfyui_version": "9.9"}})
    assert httpx.get(URL + "/system_stats").json()["system"]["comfyui_version"] == "9.9"
    assert httpx.get(URL + "/features").status_code == 200


def test_one_that_raises_is_answered_500(stub: comfystub.Stub) -> None:
    stub.route("GET", "/boom")(lambda request: 1 // 0)
    assert httpx.get(URL + "/boom").status_code == 500
    assert isinstance(stub.requests[-1].error, ZeroDivisionError)


def test_its_404_is_not_taken_for_an_unknown_path(stub: comfystub.Stub) -> None:
    stub.route("GET", "/my_pack/jobs/{job}")(lambda request, job: (404, {"error": "no such job"}))
    httpx.get(URL + "/my_pack/jobs/7")
    stub.assert_no_errors()
    assert stub.complaints == []


def test_it_is_the_stubs_own_and_gone_after_a_reset(stub: comfystub.Stub) -> None:
    stub.route("GET", "/mine")(lambda request: 1)
    with comfystub.patch("http://other.test:8188"):
        assert httpx.get("http://other.test:8188/mine").status_code == 404
    stub.reset()
    assert httpx.get(URL + "/mine").status_code == 404
