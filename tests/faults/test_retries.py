"""Libraries that try again of their own accord: what they do is theirs, and takes virtual time only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import aiohttp
import httpx
import pytest
import requests
import requests.adapters
import tenacity
import urllib3
from calls import URL, in_thread
from server.support import picture
from urllib3.util.retry import Retry

import comfystub
from comfystub import faults

T = TypeVar("T")
PROMPT: dict[str, Any] = {"prompt": picture(), "client_id": "me"}

AIOHTTP = tuple(int(part) for part in aiohttp.__version__.split(".")[:2])
#: Whether aiohttp repeats a call whose connection is lost.
AIOHTTP_REPEATS = AIOHTTP >= (3, 10)


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, clock="virtual") as stub:
        yield stub


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    result: T = in_thread(asyncio.run, coroutine)
    return result


# --- requests with urllib3's Retry: it waits backoff_factor * 2, * 4, …, and not at all before the second try


@pytest.fixture
def session() -> Iterator[Callable[..., requests.Session]]:
    opened: list[requests.Session] = []

    def make(**options: Any) -> requests.Session:
        opened.append(requests.Session())
        adapter = requests.adapters.HTTPAdapter(max_retries=Retry(**options))
        opened[-1].mount("http://", adapter)
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_requests_outlasts_a_cold_start(stub: comfystub.Stub, session: Any) -> None:
    fault = stub.fail(faults.refused(times=3))
    answer = session(connect=3, backoff_factor=1).post(f"{URL}/prompt", json=PROMPT)
    assert answer.status_code == 200
    assert (fault.hits, stub.clock.elapsed) == (3, 0 + 2 + 4)
    assert len(stub.jobs) == 1


def test_requests_gives_up(stub: comfystub.Stub, session: Any) -> None:
    fault = stub.fail(faults.refused())
    with pytest.raises(requests.ConnectionError) as caught:
        session(connect=3, backoff_factor=1).post(f"{URL}/prompt", json=PROMPT)
    assert isinstance(caught.value.args[0], urllib3.exceptions.MaxRetryError)
    assert (fault.hits, stub.clock.elapsed) == (4, 0 + 2 + 4)


def test_requests_waits_as_long_as_it_is_told(stub: comfystub.Stub, session: Any) -> None:
    stub.fail(faults.unavailable(retry_after=30, times=2))
    retrying = session(total=3, status_forcelist=[503], allowed_methods=["POST"])
    answer = retrying.post(f"{URL}/prompt", json=PROMPT)
    assert answer.status_code == 200 and len(answer.raw.retries.history) == 2
    assert stub.clock.elapsed == 60
    assert [call.status for call in stub.requests] == [503, 503, 200]
    assert len(stub.jobs) == 1


def test_requests_does_not_repeat_a_post_unasked(stub: comfystub.Stub, session: Any) -> None:
    stub.fail(faults.unavailable(retry_after=30, times=2))
    retrying = session(total=3, status=0, status_forcelist=[503])
    assert retrying.post(f"{URL}/prompt", json=PROMPT).status_code == 503
    assert stub.clock.elapsed == 0


def test_requests_has_enough_of_a_status(stub: comfystub.Stub, session: Any) -> None:
    fault = stub.fail(faults.bad_gateway())
    with pytest.raises(requests.exceptions.RetryError):
        session(total=2, backoff_factor=1, status_forcelist=[502]).get(f"{URL}/queue")
    assert (fault.hits, stub.clock.elapsed) == (3, 0 + 2)


def test_a_lost_answer_makes_two_jobs(stub: comfystub.Stub, session: Any) -> None:
    """A client that repeats a POST whose answer was lost queues the prompt again."""
    stub.fail(faults.lost_answer(on="/prompt", times=1))
    answer = session(read=1, allowed_methods=["POST"]).post(f"{URL}/prompt", json=PROMPT)
    assert answer.status_code == 200
    assert [job.id == answer.json()["prompt_id"] for job in stub.jobs] == [False, True]


def test_requests_repeats_what_timed_out(stub: comfystub.Stub, session: Any) -> None:
    stub.fail(faults.no_answer(times=2))
    answer = session(read=2, backoff_factor=1).get(f"{URL}/queue", timeout=10)
    assert answer.status_code == 200
    assert stub.clock.elapsed == 10 + 0 + 10 + 2


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
def test_requests_is_refused_for_one_path(stub: comfystub.Stub, session: Any, kept: bool) -> None:
    """It counts as a failure to connect, also when a connection is open already."""
    retrying = session(connect=2, read=0, other=0, backoff_factor=1)
    if kept:
        assert retrying.get(f"{URL}/queue").status_code == 200
    fault = stub.fail(faults.refused(on="/prompt", times=2))
    assert retrying.get(f"{URL}/queue").status_code == 200
    answer = retrying.post(f"{URL}/prompt", json=PROMPT)
    assert answer.status_code == 200
    assert (fault.hits, stub.clock.elapsed) == (2, 0 + 2)


def test_requests_without_retries_is_refused_for_one_path(stub: comfystub.Stub) -> None:
    with requests.Session() as plain:
        stub.fail(faults.refused(on="/prompt", times=1))
        assert plain.get(f"{URL}/queue").status_code == 200
        with pytest.raises(requests.ConnectionError) as caught:
            plain.post(f"{URL}/prompt", json=PROMPT)
        reason = caught.value.args[0].reason
        assert isinstance(reason, urllib3.exceptions.NewConnectionError)
        assert plain.post(f"{URL}/prompt", json=PROMPT).status_code == 200


# --- urllib3 alone


def test_urllib3(stub: comfystub.Stub) -> None:
    with urllib3.PoolManager(retries=Retry(connect=3, backoff_factor=1)) as pools:
        fault = stub.fail(faults.refused(times=3))
        assert pools.request("POST", f"{URL}/prompt", body=b"{}").status == 400
        assert (fault.hits, stub.clock.elapsed) == (3, 0 + 2 + 4)
        fault = stub.fail(faults.refused())
        with pytest.raises(urllib3.exceptions.MaxRetryError) as caught:
            pools.request("GET", f"{URL}/queue")
        assert isinstance(caught.value.reason, urllib3.exceptions.NewConnectionError)
        assert (fault.hits, stub.clock.elapsed) == (4, 6 + 0 + 2 + 4)


def test_urllib3_waits_as_long_as_it_is_told(stub: comfystub.Stub) -> None:
    stub.fail(faults.too_many_requests(retry_after=7, times=1))
    with urllib3.PoolManager() as pools:
        assert pools.request("GET", f"{URL}/queue").status == 200
    assert stub.clock.elapsed == 7


# --- httpx: it repeats only what did not connect, after 0, 0.5, 1, … seconds


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("on", [None, "/prompt"])
def test_httpx(stub: comfystub.Stub, on: Any, kept: bool) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(retries=3), base_url=URL) as client:
        if kept:
            keep = stub.fail(faults.slow(0))
            assert client.get("/queue").status_code == 200
            keep.lift()
        fault = stub.fail(faults.refused(times=3, on=on))
        assert client.post("/prompt", json=PROMPT).status_code == 200
        assert (fault.hits, stub.clock.elapsed) == (3, 0 + 0.5 + 1)
        fault = stub.fail(faults.refused(on=on))
        with pytest.raises(httpx.ConnectError):
            client.post("/prompt", json=PROMPT)
        assert (fault.hits, stub.clock.elapsed) == (4, 1.5 + 0 + 0.5 + 1)
    assert len(stub.jobs) == 1


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("on", [None, "/prompt"])
def test_async_httpx(stub: comfystub.Stub, on: Any, kept: bool) -> None:
    async def main() -> None:
        transport = httpx.AsyncHTTPTransport(retries=2)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            if kept:
                keep = stub.fail(faults.slow(0))
                assert (await client.get("/queue")).status_code == 200
                keep.lift()
            fault = stub.fail(faults.refused(times=2, on=on))
            assert (await client.post("/prompt", json=PROMPT)).status_code == 200
            assert (fault.hits, stub.clock.elapsed) == (2, 0 + 0.5)
            stub.fail(faults.reset(times=1))
            with pytest.raises(httpx.ReadError):
                await client.get("/queue")
            assert stub.clock.elapsed == 0.5

    run(main())


def test_httpx_without_retries(stub: comfystub.Stub) -> None:
    with httpx.Client(base_url=URL) as client:
        stub.fail(faults.refused(on="/prompt", times=1))
        assert client.get("/queue").status_code == 200
        with pytest.raises(httpx.ConnectError):
            client.post("/prompt", json=PROMPT)
        assert client.post("/prompt", json=PROMPT).status_code == 200


# --- tenacity


def test_tenacity(stub: comfystub.Stub) -> None:
    stub.fail(faults.refused(times=2))
    stub.fail(faults.unavailable(times=1))

    @tenacity.retry(
        wait=tenacity.wait_exponential(multiplier=1),
        stop=tenacity.stop_after_attempt(5),
        retry=tenacity.retry_if_exception_type(httpx.HTTPError),
    )
    def submit() -> str:
        answer = httpx.post(f"{URL}/prompt", json=PROMPT).raise_for_status()
        return str(answer.json()["prompt_id"])

    assert submit() == stub.jobs[0].id
    assert stub.clock.elapsed == 1 + 2 + 4


def test_tenacity_has_a_deadline(stub: comfystub.Stub) -> None:
    stub.fail(faults.refused())
    retrying = tenacity.Retrying(
        wait=tenacity.wait_fixed(10), stop=tenacity.stop_after_delay(60), reraise=True
    )
    with pytest.raises(requests.ConnectionError):
        retrying(requests.get, f"{URL}/queue")
    assert stub.clock.elapsed == 60


def test_tenacity_in_a_loop(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_answer(times=2))

    async def ask() -> int:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            async with session.get(f"{URL}/queue") as answer:
                return answer.status

    async def main() -> int:
        async for attempt in tenacity.AsyncRetrying(wait=tenacity.wait_fixed(5)):
            with attempt:
                status = await ask()
        return status

    assert run(main()) == 200
    assert stub.clock.elapsed == 20 + 5 + 20 + 5


# --- aiohttp, which repeats a call that may be repeated when its connection is lost, once


@pytest.mark.parametrize("end", ["reset", "lost_answer"])
def test_aiohttp_repeats_a_get(stub: comfystub.Stub, end: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(URL) as session:

            async def status(method: str, path: str) -> int:
                async with session.request(method, path) as answer:
                    return answer.status

            assert await status("GET", "/queue") == 200
            fault = stub.fail(end, times=1)
            if AIOHTTP_REPEATS:
                assert await status("GET", "/queue") == 200
            else:
                with pytest.raises(aiohttp.ClientOSError):
                    await status("GET", "/queue")
            assert fault.hits == 1
            assert await status("GET", "/queue") == 200
            fault = stub.fail(end, times=1)
            with pytest.raises(aiohttp.ClientOSError):
                await status("POST", "/free")
            assert fault.hits == 1

    run(main())


def test_aiohttp_repeats_a_call_once(stub: comfystub.Stub) -> None:
    async def main() -> None:
        fault = stub.fail(faults.reset(times=4))
        async with aiohttp.ClientSession(URL) as session:
            with pytest.raises(aiohttp.ClientOSError):
                await session.get("/queue")
            assert fault.hits == (2 if AIOHTTP_REPEATS else 1)

    run(main())
