"""Several stubs with clocks, in whatever order they come and go, and what they leave behind: nothing."""

from __future__ import annotations

import contextlib
import queue
import select
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import httpx
import pytest
from calls import URL

import comfystub
from comfystub.transports.virtual import virtual_time

OTHER = "http://other.test:8188"
Load = Callable[[str], Any]


def virtual(url: str = URL, **options: Any) -> Any:
    return comfystub.patch(url, clock="virtual", **options)


def is_virtual() -> bool:
    return hasattr(time.sleep, "__wrapped__")


def test_a_test_that_raises_leaves_nothing() -> None:
    original = time.sleep
    with pytest.raises(ZeroDivisionError):
        with virtual():
            time.sleep(1000)
            raise ZeroDivisionError
    assert time.sleep is original
    assert virtual_time.present is None


def test_names_of_every_kind_are_put_back(load: Load) -> None:
    source = "from time import sleep as nap, time\nfrom queue import SimpleQueue\nfrom select import select"
    before = load(source)
    with virtual():
        meanwhile = load(source)
        for users in (before, meanwhile):
            assert (users.nap, users.time) == (time.sleep, time.time)
            assert (users.SimpleQueue, users.select) == (queue.SimpleQueue, select.select)
    for users in (before, meanwhile):
        assert (users.nap, users.time) == (time.sleep, time.time)
        assert (users.SimpleQueue, users.select) == (queue.SimpleQueue, select.select)
    assert not is_virtual()


def test_a_queue_that_was_made_meanwhile_works_afterwards() -> None:
    with virtual():
        things: queue.SimpleQueue[int] = queue.SimpleQueue()
    things.put(1)
    assert things.get(timeout=10) == 1
    with pytest.raises(queue.Empty):
        things.get(timeout=0.001)


def test_modules_that_are_none_are_left_alone() -> None:
    class Pretends:
        __class__ = types.ModuleType  # type: ignore[assignment]
        __slots__ = ()

    class Loads(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"{name} was asked for")

    lazy = Loads("lazy")
    object.__getattribute__(lazy, "__dict__")["nap"] = time.sleep
    with mock.patch.dict(sys.modules, {"pretends": Pretends(), "lazy": lazy, "none": None}):
        with virtual():
            assert object.__getattribute__(lazy, "__dict__")["nap"] is time.sleep
        assert object.__getattribute__(lazy, "__dict__")["nap"] is time.sleep


# --- nested


def test_nested_clocks_move_together() -> None:
    with virtual() as outer:
        time.sleep(10)
        with virtual(OTHER) as inner:
            assert (outer.clock.elapsed, inner.clock.elapsed) == (10, 0)
            time.sleep(5)
            outer.clock.advance(1)
            inner.clock.advance(1)
            assert (outer.clock.elapsed, inner.clock.elapsed) == (17, 7)
        time.sleep(3)
        assert (outer.clock.elapsed, inner.clock.elapsed) == (20, 7)
        inner.clock.advance(100)
        assert (outer.clock.elapsed, inner.clock.elapsed) == (20, 107)


def test_the_time_of_day_is_that_of_the_innermost_virtual_clock() -> None:
    with virtual() as outer:
        time.sleep(1000)
        with virtual(OTHER) as inner:
            assert time.time() == inner.clock.time() != outer.clock.time()
            with comfystub.patch("http://third.test:8188"):
                assert time.time() == inner.clock.time()
        assert time.time() == outer.clock.time()


def test_clocks_that_began_anywhere_go_on_through_all_of_it() -> None:
    with virtual():
        begun = time.monotonic()
        time.sleep(10)
        with virtual(OTHER):
            assert time.monotonic() - begun == 10
            time.sleep(10)
        assert time.monotonic() - begun == 20


def test_alarms_of_both_ring() -> None:
    rung: list[str] = []
    with virtual() as outer, virtual(OTHER) as inner:
        outer.clock.call_at(outer.clock.time() + 2, lambda: rung.append("outer"))
        inner.clock.call_at(inner.clock.time() + 1, lambda: rung.append("inner"))
        time.sleep(3)
    assert rung == ["inner", "outer"]


def test_a_stub_with_the_real_clock_inside_has_real_time() -> None:
    with virtual():
        time.sleep(10_000)
        with comfystub.patch(OTHER) as inner:
            time.sleep(10_000)
            assert inner.clock.time() < time.time() - 15_000


def test_and_outside_too() -> None:
    with comfystub.patch() as outer:
        assert not is_virtual()
        with virtual(OTHER):
            time.sleep(10_000)
            assert outer.clock.time() < time.time() - 5_000
        assert not is_virtual()


@pytest.mark.parametrize("order", ["aabb", "abba", "abab"])
def test_they_may_end_in_any_order(order: str) -> None:
    original, entered = time.sleep, dict[str, Any]()
    stubs: dict[str, Any] = {}
    for name in order:
        if name in entered:
            entered.pop(name).__exit__(None, None, None)
        else:
            entered[name] = virtual(f"http://{name}.test:8188")
            stubs[name] = entered[name].__enter__()
        before = {name: stub.clock.elapsed for name, stub in stubs.items()}
        assert is_virtual() == bool(entered)
        if entered:
            time.sleep(10)
        moved = {name: stub.clock.elapsed - before[name] for name, stub in stubs.items()}
        assert moved == {name: 10 if name in entered else 0 for name in stubs}
    assert time.sleep is original


def test_one_stub_twice_at_a_time() -> None:
    stub = comfystub.Stub(URL, clock="virtual")
    with comfystub.patch(stub=stub):
        time.sleep(1)
        with comfystub.patch(stub=stub):
            time.sleep(1)
        time.sleep(1)
        assert (stub.clock.elapsed, time.time()) == (3, stub.clock.time())
    assert not is_virtual()


def test_one_stub_again_goes_on_from_where_it_was() -> None:
    stub = comfystub.Stub(URL, clock="virtual")
    for number in (1, 2, 3):
        before = time.monotonic()
        with comfystub.patch(stub=stub):
            assert before <= time.monotonic() < before + 10
            time.sleep(1000)
            assert stub.clock.elapsed == 1000 * number


def test_a_clock_that_is_not_in_force_is_moved_by_hand() -> None:
    stub = comfystub.Stub(clock="virtual")
    stub.clock.advance(5)
    assert stub.clock.elapsed == 5
    stub.close()


# --- beside others who put something in its place


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    with mock.patch("time.time", return_value=42.0):
        yield


def test_who_came_before_is_found_again() -> None:
    with frozen():
        before = time.time
        with virtual() as stub:
            assert time.time() == stub.clock.time() != 42
        assert time.time is before
        assert time.time() == 42


def test_who_comes_later_wins() -> None:
    original = time.time
    with virtual() as stub:
        with frozen():
            assert time.time() == 42
        assert time.time() == stub.clock.time()
    assert time.time is original


def test_who_leaves_too_late_leaves_a_hook_that_does_nothing_and_goes_next_time() -> None:
    original, others = time.time, frozen()
    with virtual():
        others.__enter__()
    assert time.time() == 42
    others.__exit__(None, None, None)
    assert original() <= time.time() <= original()
    with virtual():
        time.sleep(10)
    assert time.time is original


# --- what is not to be held up


def test_entering_and_leaving_beside_a_thread_that_sleeps() -> None:
    over = threading.Event()

    def poll() -> None:
        while not over.is_set():
            time.sleep(0.001)

    thread = threading.Thread(target=poll)
    thread.start()
    for _ in range(20):
        with virtual() as stub:
            time.sleep(0.05)
            assert stub.clock.elapsed >= 0.05
    over.set()
    thread.join(20)
    assert not thread.is_alive()


def test_the_network_is_what_it_was(echo_url: str) -> None:
    # The server is a thread with a real socket: it answers really, and in real time.
    with virtual():
        assert httpx.get(f"{echo_url}/x").text == "GET /x "
