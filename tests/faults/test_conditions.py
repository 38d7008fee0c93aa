"""When a fault strikes, and how it is given, counted and taken away: as an httpx client sees it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from calls import URL
from server.support import picture
from wire import listening
from workflows import text_to_image

import comfystub
from comfystub import faults
from comfystub.engine.events import Event

#: Sizes and times are what they are; what takes an argument gets one here.
NEEDED: dict[str, tuple[Any, ...]] = {
    "slow": (1,),
    "status": (418,),
    "login": ("me", "secret"),
    "missing_model": ("a.safetensors",),
    "restart": ("progress",),
    "drop_events": ("progress",),
    "delay_events": ("progress",),
    "swap_events": ("progress",),
    "double_events": ("progress",),
    "inject_event": (b"odd",),
    "close_socket": ("progress",),
    "drop_socket": ("progress",),
    "stall_socket": ("progress",),
}


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, clock="virtual") as stub:
        yield stub


@pytest.fixture
def client(stub: comfystub.Stub) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=URL, timeout=30) as client:
        yield client


def statuses(client: httpx.Client, count: int = 1, path: str = "/queue") -> list[int]:
    return [client.get(path).status_code for _ in range(count)]


def post(client: httpx.Client, graph: Any = None, client_id: str = "me", path: str = "/prompt") -> int:
    body = {"prompt": graph or picture(), "client_id": client_id}
    return client.post(path, json=body).status_code


# --- how often, how long


def test_times(stub: comfystub.Stub, client: httpx.Client) -> None:
    fault = stub.fail(faults.unavailable(times=2))
    assert fault.in_force
    assert statuses(client, 4) == [503, 503, 200, 200]
    assert fault.hits == 2 and not fault.in_force


def test_after(stub: comfystub.Stub, client: httpx.Client) -> None:
    fault = stub.fail(faults.unavailable(after=2))
    assert statuses(client, 4) == [200, 200, 503, 503]
    assert fault.hits == 2


def test_after_counts_what_fits(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.unavailable(on="/history", after=1, times=1))
    assert statuses(client, 3) == [200, 200, 200]
    assert statuses(client, 3, "/history") == [200, 503, 200]


def test_rate_is_repeatable() -> None:
    def run(seed: int) -> list[int]:
        with comfystub.patch(URL, seed=seed, faults=[faults.unavailable(rate=0.5)]):
            with httpx.Client(base_url=URL) as client:
                return statuses(client, 40)

    first = run(1)
    assert set(first) == {200, 503}
    assert run(1) == first
    assert run(2) != first


@pytest.mark.parametrize(("rate", "status"), [(0, 200), (1, 503), (0.0, 200), (1.0, 503)])
def test_never_and_always(stub: comfystub.Stub, client: httpx.Client, rate: float, status: int) -> None:
    stub.fail(faults.unavailable(rate=rate))
    assert statuses(client, 5) == [status] * 5


def test_lasting(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.clock.advance(100)
    fault = stub.fail(faults.unavailable(lasting=10))
    assert statuses(client) == [503]
    stub.clock.advance(9.5)
    assert statuses(client) == [503]
    stub.clock.advance(1)
    assert statuses(client) == [200]
    assert fault.hits == 2


def test_a_server_that_is_down_for_a_while(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.refused(lasting=10))
    with pytest.raises(httpx.ConnectError):
        client.get("/queue")
    stub.clock.advance(11)
    assert statuses(client) == [200]


def test_a_fault_of_patch_lasts_from_when_the_block_begins() -> None:
    with comfystub.patch(URL, clock="virtual", faults=[faults.unavailable(lasting=10)]) as stub:
        with httpx.Client(base_url=URL) as client:
            stub.clock.advance(10)
            assert statuses(client) == [503]
            stub.clock.advance(1)
            assert statuses(client) == [200]


# --- taken away


def test_lift(stub: comfystub.Stub, client: httpx.Client) -> None:
    fault = stub.fail(faults.unavailable())
    assert statuses(client) == [503]
    fault.lift()
    assert statuses(client) == [200]
    assert fault.lifted and not fault.in_force
    assert list(stub.faults) == [fault] and fault.hits == 1


def test_remove(stub: comfystub.Stub, client: httpx.Client) -> None:
    first, second = stub.fail(faults.unavailable()), stub.fail(faults.too_many_requests())
    assert statuses(client) == [503]
    stub.faults.remove(first)
    assert statuses(client) == [429]
    assert list(stub.faults) == [second] and first not in stub.faults
    with pytest.raises(ValueError):
        stub.faults.remove(first)


def test_clear(stub: comfystub.Stub, client: httpx.Client) -> None:
    given = [stub.fail(faults.unavailable()), stub.fail(faults.refused())]
    assert len(stub.faults) == 2
    stub.faults.clear()
    assert len(stub.faults) == 0 and all(fault.lifted for fault in given)
    assert statuses(client) == [200]


# --- on


@pytest.mark.parametrize(
    ("on", "hit", "spared"),
    [
        (
            "/history",
            [("GET", "/history"), ("GET", "/history/x"), ("GET", "/api/history")],
            [("GET", "/queue")],
        ),
        ("GET /queue", [("GET", "/queue")], [("POST", "/queue")]),
        ("get /queue", [("GET", "/queue")], [("POST", "/queue")]),
        ({"path": "/queue", "method": "POST"}, [("POST", "/queue")], [("GET", "/queue")]),
        ({"method": "post"}, [("POST", "/free")], [("GET", "/queue")]),
        ("/api/jobs/*/cancel", [("POST", "/api/jobs/1/cancel")], [("GET", "/api/jobs")]),
        ({"larger_than": 5}, [("POST", "/free")], [("GET", "/queue")]),
        ({"lacks": ("X-Key", "1")}, [("GET", "/queue")], []),
    ],
)
def test_calls_by_path_and_method(
    stub: comfystub.Stub, client: httpx.Client, on: Any, hit: list[Any], spared: list[Any]
) -> None:
    fault = stub.fail(faults.status(418, on=on))

    def status(method: str, path: str) -> int:
        return client.request(
            method, path, json={"unload_models": 1} if method == "POST" else None
        ).status_code

    assert [status(*call) for call in hit] == [418] * len(hit)
    assert 418 not in [status(*call) for call in spared]
    assert fault.hits == len(hit)


def test_a_header_that_is_there(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.status(418, on={"lacks": ("X-Key", "1")}))
    got = [client.get("/queue", headers=sent).status_code for sent in ({}, {"x-key": "2"}, {"x-key": "1"})]
    assert got == [418, 418, 200]


def test_login(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.login("me", "secret"))
    logins = (None, ("me", "guess"), ("me", "secret"))
    assert [client.get("/queue", auth=login).status_code for login in logins] == [401, 401, 200]


def test_calls_by_text(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.status(418, on={"text": "fox"}))
    assert post(client, text_to_image("a red fox")) == 418
    assert post(client, text_to_image("a blue hat")) == 200
    assert client.post("/prompt", content=b"{fox").status_code == 500


def test_calls_by_job(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.status(418, on=2, times=1))
    assert [post(client), post(client), post(client)] == [200, 418, 200]
    stub.fail(faults.status(418, on=1))
    first, second = (job.id for job in stub.jobs)
    assert statuses(client, path=f"/history/{first}") == [418]
    assert statuses(client, path=f"/history/{second}") == [200]


def test_calls_by_client(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.status(418, on={"client": "me"}))
    assert post(client, client_id="me") == 418
    assert post(client, client_id="you") == 200
    assert statuses(client, path="/ws?clientId=me") == [418]
    assert statuses(client, path="/ws?clientId=you") == [400]


def test_all_that_is_given_has_to_fit(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.status(418, on={"path": "/prompt", "client": "me", "text": "fox"}))
    fox, hat = text_to_image("a red fox"), text_to_image("a blue hat")
    assert [post(client, fox, "you"), post(client, hat, "me"), post(client, fox, "me")] == [200, 200, 418]


def state(stub: comfystub.Stub, client: httpx.Client, graph: Any, **others: Any) -> str:
    """How a job ends, as history says."""
    answer = client.post("/prompt", json={"prompt": graph, **others})
    entry = client.get(f"/history/{answer.json()['prompt_id']}").json()
    status: str = next(iter(entry.values()))["status"]["status_str"]
    return status


@pytest.mark.parametrize(
    ("on", "strikes"),
    [
        ("KSampler", True),
        ("3", True),
        ("the sampler", True),
        (["VAEEncode", "KSampler"], True),
        ({"node": ("4", "5")}, True),
        ({"node": {"nothing", "more"}}, False),
        ({"value": "a red fox"}, True),
        ({"value": 7}, True),
        ({"value": "a red"}, False),
        ({"text": "red"}, True),
        ({"text": "blue"}, False),
        ({"node": "KSampler", "text": "blue"}, False),
        ({"job": 1}, True),
        (1, True),
        (2, False),
        ({"client": "me"}, True),
        ({"client": None}, False),
        ({"keyless": True}, False),
        ("/prompt", TypeError),
    ],
)
def test_nodes(stub: comfystub.Stub, client: httpx.Client, on: Any, strikes: Any) -> None:
    on = {"node": on} if isinstance(on, list) else on
    if strikes is TypeError:
        with pytest.raises(TypeError, match=r"on= of error\(\) takes client, .*, not 'path'"):
            faults.error(on=on)
        return
    graph = text_to_image()
    graph["3"]["_meta"] = {"title": "the sampler"}
    stub.fail(faults.error(on=on))
    assert state(stub, client, graph, client_id="me") == ("error" if strikes else "success")


def test_events(stub: comfystub.Stub, client: httpx.Client) -> None:
    def last_step(event: Event) -> bool:
        return event.type == "progress" and event.data["value"] == event.data["max"]

    dropped = stub.fail(faults.drop_events(last_step))
    doubled = stub.fail(faults.double_events("executed", on={"node": "9", "client": "me", "job": 1}))
    with listening() as sock:
        post(client, text_to_image(steps=3))
        heard = b""
        while b'"node": null' not in heard:
            heard += sock.recv(100_000)
    values = re.findall(rb'"type": "progress", "data": \{"value": (\d)', heard)
    assert values == [b"1", b"2"]
    assert heard.count(b'"type": "executed"') == 2
    assert (dropped.hits, doubled.hits) == (1, 1)


# --- what is refused

MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: faults.refused(times=0), ValueError, "times= takes a number from 1 on, not 0"),
    (lambda: faults.refused(times="3"), ValueError, "times= takes a number from 1 on, not '3'"),  # type: ignore[arg-type]
    (lambda: faults.refused(times=True), ValueError, "times= takes a number from 1 on, not True"),
    (lambda: faults.refused(after=-1), ValueError, "after= takes a number from 0 on, not -1"),
    (lambda: faults.refused(lasting=-1), ValueError, "lasting= takes a number from 0 on, not -1"),
    (lambda: faults.refused(lasting="1m"), ValueError, "lasting= takes a number from 0 on, not '1m'"),  # type: ignore[arg-type]
    (lambda: faults.refused(rate=1.5), ValueError, "rate= takes a number from 0 to 1, not 1.5"),
    (lambda: faults.refused(rate=-0.1), ValueError, "rate= takes a number from 0 to 1, not -0.1"),
    (lambda: faults.refused(rate="often"), ValueError, "rate= takes a number from 0 to 1, not 'often'"),  # type: ignore[arg-type]
    (
        lambda: faults.refused(on=True),
        TypeError,
        "on= takes a path, a node, a job's number or a dict, not True",
    ),
    (lambda: faults.refused(on=3.5), TypeError, "on= takes a path, .* not 3.5"),  # type: ignore[arg-type]
    (
        lambda: faults.refused(on={"pth": "/x"}),  # type: ignore[arg-type]
        TypeError,
        r"on= of refused\(\) takes .*, not 'pth'; is it 'path' that is meant\?",
    ),
    (
        lambda: faults.refused(on="KSampler"),
        TypeError,
        r"on= of refused\(\) takes client, job, .*, not 'node'",
    ),
    (
        lambda: faults.vanish(on="/prompt"),
        TypeError,
        r"on= of vanish\(\) takes client, job, text, not 'path'",
    ),
    (
        lambda: faults.vanish(on="KSampler"),
        TypeError,
        r"on= of vanish\(\) takes client, job, text, not 'node'",
    ),
    (lambda: faults.error(on={"event": "progress"}), TypeError, r"on= of error\(\) takes .*, not 'event'"),
    (lambda: faults.refused(tims=1), TypeError, "tims"),  # type: ignore[call-arg]
]


@pytest.mark.parametrize(("make", "kind", "message"), MISTAKES, ids=[mistake[2] for mistake in MISTAKES])
def test_mistakes(make: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_mistakes_of_fail(stub: comfystub.Stub) -> None:
    for given, options, kind, message in (
        ("refusd", {}, ValueError, "there is no fault 'refusd'; is it 'refused' that is meant?"),
        ("named", {}, ValueError, "there is no fault 'named'"),
        ("xyz", {}, ValueError, "there is no fault 'xyz'"),
        (faults.refused(), {"times": 1}, TypeError, "fail() takes options with the name of a fault"),
        (7, {}, TypeError, "a fault is one of comfystub.faults, not 7"),
        (faults.refused, {}, TypeError, "a fault is one of comfystub.faults, not <function refused"),
        ("slow", {}, TypeError, "seconds"),
    ):
        with pytest.raises(kind, match=re.escape(message)):
            stub.fail(given, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="'refused' is none"):
        comfystub.Stub(URL, faults=["refused"])  # type: ignore[list-item]
    assert len(stub.faults) == 0


# --- several at once


def test_several_on_one_call(stub: comfystub.Stub, client: httpx.Client) -> None:
    slow, down = stub.fail(faults.slow(5)), stub.fail(faults.unavailable())
    assert statuses(client) == [503]
    assert stub.clock.elapsed == 5
    assert (slow.hits, down.hits) == (1, 1)
    assert stub.requests[0].fault is slow


def test_another_answer_that_breaks_off(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.html(502))
    stub.fail(faults.malformed_json())
    answer = client.get("/queue")
    assert answer.status_code == 502 and answer.text.startswith("<!DOCTYPE") and "</html>" not in answer.text
    stub.fail(faults.cut_body(3))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/queue")


def test_of_the_same_kind_the_first_strikes(stub: comfystub.Stub, client: httpx.Client) -> None:
    first = stub.fail(faults.unavailable(times=2))
    second = stub.fail(faults.too_many_requests(times=2))
    assert statuses(client, 5) == [503, 503, 429, 429, 200]
    assert (first.hits, second.hits) == (2, 2)


def test_of_the_same_kind_the_first_that_fits(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.fail(faults.unavailable(on="/history"))
    stub.fail(faults.too_many_requests())
    assert statuses(client) == [429] and statuses(client, path="/history") == [503]


def test_refused_comes_before_all_else(stub: comfystub.Stub, client: httpx.Client) -> None:
    down = stub.fail(faults.unavailable())
    stub.fail(faults.refused(times=1))
    with pytest.raises(httpx.ConnectError):
        client.get("/queue")
    assert down.hits == 0
    assert statuses(client) == [503]


# --- how they are given

FAULTS = [faults.unavailable(times=1)]


def test_each_entry_counts_for_itself() -> None:
    patch = comfystub.patch(URL, faults=FAULTS)
    for _ in range(2):
        with patch as stub, httpx.Client(base_url=URL) as client:
            assert statuses(client, 2) == [503, 200]
            assert [fault.hits for fault in stub.faults] == [1]
    assert FAULTS[0].hits == 0


def test_each_call_of_a_decorated_function_counts_for_itself() -> None:
    @comfystub.patch(URL, faults=FAULTS)
    def run() -> list[int]:
        with httpx.Client(base_url=URL) as client:
            return statuses(client, 2)

    assert run() == run() == [503, 200]


def test_a_stub_that_is_kept_goes_on_counting() -> None:
    stub = comfystub.Stub(URL, faults=FAULTS)
    seen = []
    for _ in range(2):
        with comfystub.patch(stub=stub), httpx.Client(base_url=URL) as client:
            seen += statuses(client)
    assert seen == [503, 200]


def test_fail_by_name_and_by_exception(stub: comfystub.Stub, client: httpx.Client) -> None:
    fault = stub.fail("unavailable", retry_after=3, times=1)
    assert fault.name == "unavailable"
    answer = client.get("/queue")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    stub.fail(ZeroDivisionError("by nothing"), on="KSampler")
    prompt_id = client.post("/prompt", json={"prompt": text_to_image()}).json()["prompt_id"]
    messages = client.get(f"/history/{prompt_id}").json()[prompt_id]["status"]["messages"]
    (error,) = (data for kind, data in messages if kind == "execution_error")
    assert (error["exception_type"], error["exception_message"]) == ("ZeroDivisionError", "by nothing\n")
    assert error["node_id"] == "3"


def test_the_next_jobs_faults_strike_that_job_alone(stub: comfystub.Stub, client: httpx.Client) -> None:
    assert state(stub, client, picture(1)) == "success"
    stub.next_job(faults=[faults.error()])
    assert [state(stub, client, picture(color)) for color in (2, 3)] == ["error", "success"]
    stub.next_job(faults=[faults.lost_answer(on="/prompt")])
    with pytest.raises(httpx.ReadError):
        post(client)
    assert post(client) == 200
    assert len(stub.jobs) == 5


def test_a_job_meets_faults_of_calls_and_of_nodes(stub: comfystub.Stub, client: httpx.Client) -> None:
    stub.next_job(faults=[faults.slow(3), faults.error("no")])
    assert state(stub, client, picture(1)) == "error"
    assert stub.clock.elapsed == 6  # the POST, and the look at its history
    assert state(stub, client, picture(2)) == "success"
    assert stub.clock.elapsed == 6


# --- the module itself


def test_all_is_complete() -> None:
    made = {
        name
        for name, member in vars(faults).items()
        if inspect.isfunction(member) and not name.startswith("_") and member.__module__ == faults.__name__
    }
    assert made - {"named"} == set(faults.__all__)
    assert sorted(faults.__all__) == list(faults.__all__)


@pytest.mark.parametrize("name", faults.__all__)
def test_each_has_a_docstring_a_name_and_conditions(name: str) -> None:
    make = getattr(faults, name)
    assert inspect.getdoc(make)
    fault = make(*NEEDED.get(name, ()), times=3, after=1, rate=0.5, lasting=9)
    assert fault.name.split(" ")[0] == name
    assert (fault.times, fault.after, fault.rate, fault.lasting) == (3, 1, 0.5, 9)
    again = fault.fresh()
    assert again is not fault and repr(again) == repr(fault)
    assert (again.times, again.after, again.rate, again.lasting) == (3, 1, 0.5, 9)
    by_name = faults.named(name, **dict(zip(inspect.signature(make).parameters, NEEDED.get(name, ()))))
    assert repr(by_name) == repr(fault)


def test_reprs(stub: comfystub.Stub, client: httpx.Client) -> None:
    fault = stub.fail(faults.unavailable(on="GET /queue"))
    assert repr(fault) == "<fault unavailable path='/queue' method='GET', struck 0 times>"
    statuses(client, 2)
    assert repr(stub.faults) == "[<fault unavailable path='/queue' method='GET', struck 2 times>]"
    assert repr(faults.status(418)) == "<fault status 418, struck 0 times>"
