"""The ways in that carry no bytes: what each library raises there is what it raises over a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import httpx
import pytest
import requests
import responses
import respx
from calls import URL, in_thread
from server.support import picture

import comfystub
from comfystub import faults
from comfystub.engine.faults import Fault

PROMPT: dict[str, Any] = {"prompt": picture(), "client_id": "me"}
#: Posts a prompt, with a read time-out in seconds; the answer's status and body.
Post = Callable[[comfystub.Stub, Any], tuple[int, bytes]]


def over_client(stub: comfystub.Stub, timeout: Any) -> tuple[int, bytes]:
    with stub.client(timeout=timeout) as client:
        answer = client.post("/prompt", json=PROMPT)
        return answer.status_code, answer.content


def over_async_client(stub: comfystub.Stub, timeout: Any) -> tuple[int, bytes]:
    async def main() -> tuple[int, bytes]:
        async with stub.async_client(timeout=timeout) as client:
            answer = await client.post("/prompt", json=PROMPT)
            return answer.status_code, answer.content

    return in_thread(asyncio.run, main())


def over_transport(stub: comfystub.Stub, timeout: Any) -> tuple[int, bytes]:
    with httpx.Client(transport=stub.httpx_transport(), timeout=timeout) as client:
        answer = client.post("http://anybody.test/prompt", json=PROMPT)
        return answer.status_code, answer.content


def over_respx(stub: comfystub.Stub, timeout: Any) -> tuple[int, bytes]:
    router: Any = stub.respx_router(respx.mock(assert_all_called=False))
    with router:
        answer = httpx.post(f"{URL}/prompt", json=PROMPT, timeout=timeout)
        return answer.status_code, answer.content


def over_responses(stub: comfystub.Stub, timeout: Any) -> tuple[int, bytes]:
    with stub.responses_adapter(responses.RequestsMock(assert_all_requests_are_fired=False)):
        answer = requests.post(f"{URL}/prompt", json=PROMPT, timeout=timeout)
        return answer.status_code, answer.content


def patched_httpx(stub: comfystub.Stub, timeout: Any) -> tuple[int, bytes]:
    with comfystub.patch(stub=stub):
        answer = httpx.post(f"{URL}/prompt", json=PROMPT, timeout=timeout)
        return answer.status_code, answer.content


def patched_requests(stub: comfystub.Stub, timeout: Any) -> tuple[int, bytes]:
    with comfystub.patch(stub=stub):
        answer = requests.post(f"{URL}/prompt", json=PROMPT, timeout=timeout)
        return answer.status_code, answer.content


OF_HTTPX = (over_client, over_async_client, over_transport, over_respx, patched_httpx)
OF_REQUESTS = (over_responses, patched_requests)

each_way = pytest.mark.parametrize("post", [*OF_HTTPX, *OF_REQUESTS], ids=lambda post: post.__name__)

#: A fault, what httpx and requests raise, the jobs there are then, and the seconds that have passed of 8.
FAILURES: dict[str, tuple[Callable[[], Fault], type[Exception], type[Exception], int, float]] = {
    "refused": (faults.refused, httpx.ConnectError, requests.ConnectionError, 0, 0),
    "refused here": (
        lambda: faults.refused(on="/prompt"),
        httpx.ConnectError,
        requests.ConnectionError,
        0,
        0,
    ),
    "reset": (faults.reset, httpx.ReadError, requests.ConnectionError, 0, 0),
    "no answer": (faults.no_answer, httpx.ReadTimeout, requests.ReadTimeout, 0, 8),
    "lost": (faults.lost_answer, httpx.ReadError, requests.ConnectionError, 1, 0),
    "lost, closed": (
        lambda: faults.lost_answer("closes"),
        httpx.RemoteProtocolError,
        requests.ConnectionError,
        1,
        0,
    ),
    "lost, silent": (lambda: faults.lost_answer(""), httpx.ReadTimeout, requests.ReadTimeout, 1, 8),
    "too slow": (lambda: faults.slow(9), httpx.ReadTimeout, requests.ReadTimeout, 1, 8),
    "cut": (faults.cut_body, httpx.RemoteProtocolError, requests.exceptions.ChunkedEncodingError, 1, 0),
    "too long": (
        faults.wrong_length,
        httpx.RemoteProtocolError,
        requests.exceptions.ChunkedEncodingError,
        1,
        0,
    ),
}


def counts(post: Post) -> bool:
    """Whether a short body is minded: requests leaves that to urllib3, which began to with 2.0."""
    return post is not patched_requests or not version("urllib3").startswith("1.")


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    stub = comfystub.Stub(URL, clock="virtual")
    yield stub
    stub.close()


@each_way
@pytest.mark.parametrize("case", FAILURES)
def test_it_fails_and_then_works(stub: comfystub.Stub, post: Post, case: str) -> None:
    make, of_httpx, of_requests, jobs, seconds = FAILURES[case]
    if case in ("cut", "too long") and not counts(post):
        pytest.skip("this urllib3 does not mind")
    fault = stub.fail(make())
    with pytest.raises((httpx.HTTPError, requests.RequestException)) as caught:
        post(stub, 8)
    assert caught.type is (of_httpx if post in OF_HTTPX else of_requests), repr(caught.value)
    # requests itself knows no longer whose body it reads.
    assert (
        getattr(caught.value, "request", None) is not None
        or caught.type is requests.exceptions.ChunkedEncodingError
    )
    assert len(stub.jobs) == jobs
    assert stub.clock.elapsed == seconds
    assert fault.hits == 1
    fault.lift()
    status, body = post(stub, 8)
    assert status == 200 and stub.jobs[-1].id.encode() in body


@each_way
def test_a_slow_answer(stub: comfystub.Stub, post: Post) -> None:
    stub.fail(faults.slow(5))
    assert post(stub, 8)[0] == 200
    assert stub.clock.elapsed == 5


@each_way
def test_another_answer(stub: comfystub.Stub, post: Post) -> None:
    stub.fail(faults.status(418, "short and stout"))
    assert post(stub, None) == (418, b"short and stout")
    assert stub.jobs == []


@each_way
def test_a_body_ends_in_the_middle(stub: comfystub.Stub, post: Post) -> None:
    stub.fail(faults.malformed_json())
    status, body = post(stub, None)
    assert status == 200 and body.startswith(b"{") and not body.endswith(b"}")


@each_way
def test_a_length_that_is_too_small(stub: comfystub.Stub, post: Post) -> None:
    whole = post(stub, None)[1]
    stub.fail(faults.wrong_length(-10))
    assert len(post(stub, None)[1]) == len(whole) - 10


def test_what_a_handler_raised_is_lost(stub: comfystub.Stub) -> None:
    with stub.client() as client:
        stub.fail(faults.lost_answer(times=1))
        with pytest.raises(httpx.ReadError):
            client.post("/prompt", content=b"{")
        stub.fail(faults.slow(3, times=1))
        assert client.post("/prompt", content=b"{").status_code == 500
    assert stub.clock.elapsed == 3
    assert [type(call.error).__name__ for call in stub.requests] == ["JSONDecodeError"] * 2


@pytest.mark.parametrize("timeout", [(1, 8), 8])
def test_the_read_time_out_of_requests(stub: comfystub.Stub, timeout: Any) -> None:
    stub.fail(faults.no_answer())
    with pytest.raises(requests.ReadTimeout):
        over_responses(stub, timeout)
    assert stub.clock.elapsed == 8


def test_the_read_time_out_of_httpx(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_answer())
    with pytest.raises(httpx.ReadTimeout):
        over_client(stub, httpx.Timeout(1, read=8))
    assert stub.clock.elapsed == 8
