"""Several stubs at once: which of them answers what."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from typing import Any

import httpx
import pytest
from calls import CLIENT, CONNECTION_ERRORS, GETS, URL, Get, each_client, named, who
from network import NetworkUsed
from workflows import text_to_image

import comfystub

OTHER = "http://other.test:8188"


def is_real(url: str = URL, get: Get = GETS[0]) -> bool:
    """Whether calls to a URL leave the process."""
    try:
        get(url)
    except NetworkUsed:
        return True
    return False


@each_client
def test_of_two_stubs_at_one_origin_the_innermost_answers_and_then_the_outer_again(get: Get) -> None:
    with named("outer"):
        assert who(get=get) == "outer"
        with named("inner"):
            assert who(get=get) == "inner"
        assert who(get=get) == "outer"
    assert is_real(get=get)


@each_client
def test_stubs_at_different_origins_answer_each_its_own(get: Get) -> None:
    with named("a"), named("b", OTHER):
        assert (who(get=get), who(OTHER, get)) == ("a", "b")
    assert is_real(OTHER, get)


def test_stubs_share_nothing() -> None:
    with named("a") as a, named("b", OTHER) as b:
        CLIENT.post(f"{OTHER}/prompt", json={"prompt": text_to_image(checkpoint="b")}).raise_for_status()
        assert (len(a.jobs), len(b.jobs)) == (0, 1)
        assert (len(a.requests), len(b.requests)) == (0, 1)
        assert a.output_dir != b.output_dir


@each_client
def test_one_stub_answers_at_all_its_base_urls(get: Get) -> None:
    with named("one", URL, f"{OTHER}/comfy", "https://secure.test") as stub:
        for number, url in enumerate(stub.urls, 1):
            assert who(url, get) == "one"
            assert len(stub.requests) == number
        assert (stub.url, stub.urls) == (URL, [URL, f"{OTHER}/comfy", "https://secure.test"])


@pytest.mark.parametrize(
    ("base_url", "answered", "real"),
    [
        ("http://comfy.test", ["http://comfy.test", "http://comfy.test:80"], ["http://comfy.test:8188"]),
        ("http://comfy.test:80", ["http://comfy.test", "http://comfy.test:80"], []),
        ("https://comfy.test", ["https://comfy.test", "https://comfy.test:443"], ["http://comfy.test"]),
        ("wss://comfy.test", ["https://comfy.test"], ["http://comfy.test"]),
        ("ws://comfy.test:8188", [URL], []),
        ("http://[2001:db8::1]:8188", ["http://[2001:db8::1]:8188"], []),
        ("http://Comfy.TEST:8188", [URL, "http://COMFY.test:8188"], []),
        ("http://user:secret@comfy.test:8188", [URL, "http://user:secret@comfy.test:8188"], []),
        (f"{URL}/", [URL], []),
    ],
)
@each_client
def test_what_an_origin_is(get: Get, base_url: str, answered: list[str], real: list[str]) -> None:
    with named("it", base_url):
        for url in answered:
            assert who(url, get) == "it", url
        for url in real:
            assert is_real(url, get), url


@pytest.mark.parametrize("base_url", [f"{URL}/comfy", f"{URL}/comfy/"])
@each_client
def test_a_prefix_is_stripped_and_beside_it_is_nothing(get: Get, base_url: str) -> None:
    with named("it", base_url) as stub:
        assert stub.url == f"{URL}/comfy"
        assert who(stub.url, get) == "it"
        assert get(f"{URL}/comfy").status == 200
        assert get(f"{URL}/comfy?a=1").status == 200
        assert get(f"{URL}/comfy/").status == 200
        assert [call.path for call in stub.requests] == ["/models/checkpoints", "/", "/", "/"]
        for beside in ("", "/", "/queue", "/comfyui/queue", "/comfy2", "/api/queue"):
            assert get(URL + beside) == (404, "")
        assert len(stub.requests) == 4


def test_what_is_beside_a_prefix_is_answered_as_an_unknown_path_of_the_server() -> None:
    with comfystub.patch(f"{URL}/comfy"):
        beside, unknown = CLIENT.get(f"{URL}/nothing"), CLIENT.get(f"{URL}/comfy/nothing")
        assert beside.headers == unknown.headers
        assert (beside.status_code, beside.content) == (unknown.status_code, unknown.content)


def test_of_prefixes_below_each_other_the_deeper_one_answers() -> None:
    with comfystub.patch([URL, f"{URL}/comfy/a", f"{URL}/comfy"]) as stub:
        for path in ("/queue", "/comfy/queue", "/comfy/a/queue"):
            assert CLIENT.get(URL + path).status_code == 200
        assert [call.path for call in stub.requests] == ["/queue"] * 3


def test_servers_below_different_prefixes_of_one_origin() -> None:
    with named("a", f"{URL}/a"), named("b", f"{URL}/b"), named("c", f"{URL}/b/c"):
        assert [who(URL + path) for path in ("/a", "/b", "/b/c", "/d")] == ["a", "b", "c", "404"]


def test_an_inner_stub_without_a_prefix_covers_the_whole_origin() -> None:
    with named("outer", f"{URL}/comfy"):
        with named("inner"):
            assert [who(URL), who(f"{URL}/comfy")] == ["inner", "404"]
        assert who(f"{URL}/comfy") == "outer"


# --- entered again


def test_a_stub_that_is_entered_again_goes_on() -> None:
    stub = comfystub.Stub(URL)
    for jobs in (1, 2):
        with comfystub.patch(stub=stub) as entered:
            assert entered is stub
            assert comfystub.current() is stub
            CLIENT.post(f"{URL}/prompt", json={"prompt": text_to_image()}).raise_for_status()
            assert len(CLIENT.get(f"{URL}/history").json()) == jobs
        assert is_real()


def test_a_stub_that_is_in_force_already_is_so_until_its_last_exit() -> None:
    with named("it") as stub:
        with comfystub.patch(stub=stub):
            assert who() == "it"
        assert who() == "it"
        assert stub.output_dir.is_dir()
    assert is_real()


def test_an_outer_stub_can_be_put_in_front_again() -> None:
    with named("outer") as outer, named("inner"):
        with comfystub.patch(stub=outer):
            assert who() == "outer"
        assert who() == "inner"


def test_one_patch_may_be_entered_twice() -> None:
    patch = comfystub.patch(URL)
    with patch as outer:
        with patch as inner:
            assert inner is not outer
            assert comfystub.current() is inner
        assert comfystub.current() is outer
        CLIENT.get(f"{URL}/queue")
        assert (len(outer.requests), len(inner.requests)) == (1, 0)
    assert is_real()


# --- in any order


@pytest.mark.parametrize("leaving", list(itertools.permutations("abc")), ids="".join)
def test_stubs_may_leave_in_any_order(leaving: tuple[str, ...]) -> None:
    stacks = {name: contextlib.ExitStack() for name in "abc"}
    stubs = {name: stack.enter_context(named(name)) for name, stack in stacks.items()}
    left = list("abc")
    for name in leaving:
        assert who() == left[-1]
        assert comfystub.current() is stubs[left[-1]]
        folder = stubs[name].output_dir
        left.remove(name)
        stacks[name].close()
        assert not folder.exists()
    assert is_real()


def test_stubs_at_different_origins_may_overlap() -> None:
    a, b = named("a"), named("b", OTHER)
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert is_real(URL)
    assert who(OTHER) == "b"
    b.__exit__(None, None, None)
    assert is_real(OTHER)


def test_an_exception_in_an_inner_block_leaves_the_outer_one_in_force() -> None:
    with named("outer"):
        with pytest.raises(ValueError):
            with named("inner"), named("other", OTHER):
                raise ValueError
        assert who() == "outer"
        assert is_real(OTHER)
    assert is_real()


async def test_tasks_may_have_a_stub_each() -> None:
    async def work(number: int) -> list[str]:
        url, seen = f"http://task{number}.test:8188", []
        async with named(str(number), url), httpx.AsyncClient(verify=False) as client:
            for _ in range(3):
                seen += (await client.get(f"{url}/models/checkpoints")).json()
                await asyncio.sleep(0.001 * ((number * 7) % 3))
        return seen

    seen = await asyncio.gather(*map(work, range(5)))
    assert seen == [[str(number)] * 3 for number in range(5)]
    assert is_real()


def test_threads_may_have_a_stub_each() -> None:
    barrier, seen = threading.Barrier(4), {}

    def work(number: int) -> None:
        url = f"http://thread{number}.test:8188"
        for turn in range(20):
            barrier.wait()
            with named(str(number), url):
                with httpx.Client(verify=False) as client:
                    seen[number, turn] = client.get(f"{url}/models/checkpoints").json()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {(number, turn): [str(number)] for number in range(4) for turn in range(20)}
    assert is_real()


# --- other hosts


@each_client
def test_other_hosts_are_let_through(get: Get, echo_url: str) -> None:
    with comfystub.patch(URL) as stub:
        assert get(f"{echo_url}/queue?a=1") == (200, "GET /queue?a=1 ")
        assert stub.requests == []


@pytest.mark.parametrize(("get", "error"), list(zip(GETS, CONNECTION_ERRORS)))
def test_other_hosts_can_be_refused(get: Get, error: Any, echo_url: str) -> None:
    with comfystub.patch(URL, unmatched="error"):
        port = echo_url.rpartition(":")[2]
        with pytest.raises(error) as refused:
            get(f"{echo_url}/queue")
        assert str(refused.value) == (
            f"no stub answers for 127.0.0.1:{port}, and patch(unmatched='error') refuses other hosts"
        )
        assert refused.value.request.url == f"{echo_url}/queue"
        assert get(f"{URL}/queue").status == 200
    assert get(f"{echo_url}/queue").status == 200


def test_other_hosts_are_refused_while_any_stub_refuses_them(echo_url: str) -> None:
    with comfystub.patch(URL, unmatched="error"):
        with comfystub.patch(OTHER):
            with pytest.raises(httpx.ConnectError):
                CLIENT.get(echo_url)
            assert (CLIENT.get(f"{URL}/queue").status_code, CLIENT.get(f"{OTHER}/queue").status_code) == (
                200,
                200,
            )
    with comfystub.patch(URL):
        with comfystub.patch(OTHER, unmatched="error"):
            with pytest.raises(httpx.ConnectError):
                CLIENT.get(echo_url)
        assert CLIENT.get(echo_url).status_code == 200


def test_another_port_of_the_host_is_another_server(echo_url: str) -> None:
    with comfystub.patch(["http://127.0.0.1:8188", "http://localhost:8188"], unmatched="error"):
        with pytest.raises(httpx.ConnectError):
            CLIENT.get(echo_url)
