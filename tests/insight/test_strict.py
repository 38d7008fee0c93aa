"""``stub.complaints``, and ``patch(strict=True)``, which raises them."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import AsyncIterator, Iterator

import pytest
import requests
from calls import in_thread

import comfystub
from comfystub import faults

from .app import REJECTED, URL, get, message, submit, without_steps

UNKNOWN = "GET /nothing was answered 404: ComfyUI has no such path"


def test_complaints_are_kinds_of_calls_that_went_wrong() -> None:
    with comfystub.patch(URL) as stub:
        submit()
        get("/view", filename="not-there.png")
        assert stub.complaints == []
        get("/nothing")
        submit(without_steps())
        requests.post(f"{URL}/prompt", data=b"{")
        assert [complaint.kind for complaint in stub.complaints] == [
            "unknown path",
            "rejected prompt",
            "exception",
        ]
        assert [complaint.call for complaint in stub.complaints] == stub.requests[2:]
        assert list(map(str, stub.complaints))[:2] == [UNKNOWN, REJECTED]


def test_they_are_raised_at_the_exit_when_everything_is_put_back() -> None:
    send = requests.adapters.HTTPAdapter.send
    with pytest.raises(comfystub.StrictError) as raised:
        with comfystub.patch(URL, strict=True) as stub:
            get("/nothing")
            submit(without_steps())
    assert isinstance(raised.value, AssertionError)
    assert raised.value.complaints == stub.complaints
    assert message(raised.value) == [
        "2 calls went wrong, and patch() is strict:",
        f"- {UNKNOWN}",
        f"- {REJECTED}",
        "Forgive what is meant to happen: stub.complaints.remove(...) or stub.complaints.clear()",
    ]
    assert requests.adapters.HTTPAdapter.send is send
    with pytest.raises(LookupError):
        comfystub.current()


def test_a_block_without_complaints_raises_nothing() -> None:
    with comfystub.patch(URL, strict=True) as stub:
        submit()
        stub.assert_prompted()


def test_what_is_forgiven_is_not_raised() -> None:
    with comfystub.patch(URL, strict=True) as stub:
        get("/nothing")
        get("/nothing/else")
        stub.complaints.remove(stub.complaints[0])
        stub.complaints.clear()
    with pytest.raises(comfystub.StrictError) as raised:
        with comfystub.patch(URL, strict=True) as stub:
            get("/nothing/else")
            get("/nothing")
            del stub.complaints[0]
    assert message(raised.value)[1:-1] == [f"- {UNKNOWN}"]


def test_what_a_fault_answers_is_no_complaint() -> None:
    given = [
        faults.status(404, on="/queue"),
        faults.status(400, on="/prompt"),
        faults.bad_gateway(on="/free"),
    ]
    with comfystub.patch(URL, strict=True, faults=given) as stub:
        get("/queue")
        requests.post(f"{URL}/prompt", json={})
        requests.post(f"{URL}/free", json={})
    assert [call.status for call in stub.requests] == [404, 400, 502]


def test_without_strict_nothing_is_raised() -> None:
    with comfystub.patch(URL) as stub:
        get("/nothing")
    assert len(stub.complaints) == 1


def test_a_block_that_raises_keeps_its_own_exception() -> None:
    with pytest.raises(ZeroDivisionError):
        with comfystub.patch(URL, strict=True):
            get("/nothing")
            raise ZeroDivisionError


def test_a_stub_of_ones_own_complains_of_each_block_alone() -> None:
    stub = comfystub.Stub(URL)
    with pytest.raises(comfystub.StrictError):
        with comfystub.patch(stub=stub, strict=True):
            get("/nothing")
    with comfystub.patch(stub=stub, strict=True):
        assert len(stub.complaints) == 1
    with pytest.raises(comfystub.StrictError, match="1 call went wrong"):
        with comfystub.patch(stub=stub, strict=True):
            get("/nothing")


# --- the ways to turn it on


@comfystub.patch(URL, strict=True)
def function(path: str) -> str:
    get(path)
    return path


@comfystub.patch(URL, strict=True)
async def coroutine(path: str) -> str:
    get(path)
    return path


@comfystub.patch(URL, strict=True)
def generator(path: str) -> Iterator[str]:
    get(path)
    yield path


@comfystub.patch(URL, strict=True)
async def async_generator(path: str) -> AsyncIterator[str]:
    get(path)
    yield path


async def async_with(path: str) -> str:
    async with comfystub.patch(URL, strict=True):
        get(path)
    return path


async def collected(path: str) -> str:
    return "".join([each async for each in async_generator(path)])


WAYS = {
    "function": function,
    "coroutine": lambda path: in_thread(asyncio.run, coroutine(path)),
    "generator": lambda path: "".join(generator(path)),
    "async generator": lambda path: in_thread(asyncio.run, collected(path)),
    "async with": lambda path: in_thread(asyncio.run, async_with(path)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_form_is_strict(way: type[str]) -> None:
    assert way("/queue") == "/queue"
    with pytest.raises(comfystub.StrictError):
        way("/nothing")


def case(name: str) -> unittest.TestCase:
    """One test of a class that is strict."""

    @comfystub.patch(URL, strict=True)
    class Case(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def test_good(self) -> None:
            get("/queue")

        def test_complaint(self) -> None:
            get("/nothing")

        def test_complaint_of_a_cleanup(self) -> None:
            self.addCleanup(get, "/nothing")

        def test_forgiven(self) -> None:
            get("/nothing")
            self.addCleanup(self.comfy_stub.complaints.clear)

        def test_failing(self) -> None:
            get("/nothing")
            self.fail("of its own")

        def test_failing_cleanup(self) -> None:
            get("/nothing")
            self.addCleanup(self.fail, "of its own")

        def test_skipped(self) -> None:
            get("/nothing")
            self.skipTest("of its own")

    return Case(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("test_good", []),
        ("test_complaint", ["StrictError: 1 call went wrong, and patch() is strict:"]),
        ("test_complaint_of_a_cleanup", ["StrictError: 1 call went wrong, and patch() is strict:"]),
        ("test_forgiven", []),
        ("test_failing", ["AssertionError: of its own"]),
        ("test_failing_cleanup", ["AssertionError: of its own"]),
        ("test_skipped", []),
    ],
)
def test_a_test_case_fails_by_its_complaints_or_of_its_own(name: str, said: list[str]) -> None:
    one = case(name)
    for _ in range(2):  # the second time it is as the first
        result = unittest.TestResult()
        one.run(result)
        assert not result.errors
        assert len(result.failures) == len(said)
        assert all(error in trace for error, (_, trace) in zip(said, result.failures))


def test_a_test_case_that_is_debugged_raises() -> None:
    case("test_good").debug()
    with pytest.raises(comfystub.StrictError):
        case("test_complaint").debug()
    with pytest.raises(AssertionError, match="of its own"):
        case("test_failing").debug()
