"""The clocks by themselves."""

from __future__ import annotations

import functools
import threading
import time
from typing import Any

import pytest

import comfystub
from comfystub.engine.clock import Clock, RealClock, Timeline, VirtualClock

START = 1_700_000_000.0


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def rung() -> list[Any]:
    """What alarms have to say."""
    return []


# --- the virtual one


def test_it_stands_still_until_it_is_moved(clock: VirtualClock) -> None:
    assert (clock.time(), clock.elapsed) == (START, 0)
    clock.advance(2.5)
    assert (clock.time(), clock.elapsed) == (START + 2.5, 2.5)


def test_sums_are_exact(clock: VirtualClock) -> None:
    for _ in range(3):
        clock.advance(0.1)
    assert clock.elapsed == 0.3


def test_it_begins_at_the_real_time_of_its_first_use_in_whole_seconds() -> None:
    clock = VirtualClock()
    before = time.time()
    assert before <= clock.time() < time.time() + 1
    assert clock.time() % 1 == 0


def test_alarms_ring_in_the_order_of_their_times(clock: VirtualClock, rung: list[Any]) -> None:
    def ring(seconds: float) -> None:
        rung.append((seconds, clock.elapsed))

    for seconds in (3, 1, 2):
        clock.call_at(START + seconds, functools.partial(ring, seconds))
    clock.advance(2)
    assert rung == [(1, 1), (2, 2)]
    clock.advance(2)
    assert rung == [(1, 1), (2, 2), (3, 3)]
    assert clock.elapsed == 4


def test_alarms_of_the_same_time_ring_in_the_order_they_were_set(
    clock: VirtualClock, rung: list[Any]
) -> None:
    for name in "cab":
        clock.call_at(START + 1, functools.partial(rung.append, name))
    clock.advance(1)
    assert rung == ["c", "a", "b"]


def test_an_alarm_rings_once(clock: VirtualClock, rung: list[Any]) -> None:
    clock.call_at(START + 1, lambda: rung.append(1))
    clock.advance(1)
    clock.advance(1)
    assert rung == [1]


def test_an_alarm_whose_time_has_passed_rings_with_the_next_move(
    clock: VirtualClock, rung: list[Any]
) -> None:
    clock.advance(5)
    clock.call_at(START + 1, lambda: rung.append(clock.elapsed))
    assert rung == []
    clock.advance(0)
    assert rung == [5]


def test_an_alarm_may_set_another_one_on_the_way(clock: VirtualClock, rung: list[Any]) -> None:
    def tick() -> None:
        rung.append(clock.elapsed)
        clock.call_at(clock.time() + 0.1, tick)

    clock.call_at(START + 0.1, tick)
    clock.advance(0.5)
    assert rung == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_a_pause_added_to_a_time_of_day_is_what_it_was_meant_to_be(rung: list[Any]) -> None:
    # A float of that size leaves off what is below a fourth of a microsecond.
    clock = VirtualClock(1_700_000_000.123456)
    for number in range(1, 1000):
        clock.call_at(clock.time() + 0.001, lambda: rung.append(clock.elapsed))
        clock.advance(0.001)
        assert rung[-1] == number / 1000


def test_a_cancelled_alarm_does_not_ring(clock: VirtualClock, rung: list[Any]) -> None:
    cancel = clock.call_at(START + 1, lambda: rung.append("cancelled"))
    clock.call_at(START + 1, lambda: rung.append("kept"))
    cancel()
    clock.advance(1)
    assert rung == ["kept"]
    cancel()


def test_cancelling_what_has_rung_does_no_harm(clock: VirtualClock, rung: list[Any]) -> None:
    cancel = clock.call_at(START + 1, lambda: rung.append(1))
    clock.advance(1)
    cancel()
    assert rung == [1]


def test_an_alarm_may_cancel_another_one_of_the_same_time(clock: VirtualClock, rung: list[Any]) -> None:
    clock.call_at(START + 1, lambda: cancel())
    cancel = clock.call_at(START + 1, lambda: rung.append(1))
    clock.advance(1)
    assert rung == []


def test_an_alarm_may_move_the_clock(clock: VirtualClock, rung: list[Any]) -> None:
    clock.call_at(START + 1, lambda: clock.advance(10))
    clock.call_at(START + 2, lambda: rung.append(clock.elapsed))
    clock.advance(3)
    assert rung == [2]
    assert clock.elapsed == 11


def test_after_an_alarm_that_raises_the_others_ring_with_the_next_move(
    clock: VirtualClock, rung: list[Any]
) -> None:
    clock.call_at(START + 1, lambda: 1 / 0)
    clock.call_at(START + 2, lambda: rung.append(2))
    with pytest.raises(ZeroDivisionError):
        clock.advance(5)
    assert clock.elapsed == 1
    clock.advance(1)
    assert rung == [2]


def test_who_calls_an_alarm_is_inside(clock: VirtualClock, rung: list[Any]) -> None:
    clock.call_at(START + 1, lambda: rung.extend(clock.inside.threads))
    clock.advance(1)
    assert rung == [threading.get_ident()]
    assert clock.inside.threads == {}


def test_a_closed_clock_has_no_alarms_and_takes_new_ones(clock: VirtualClock, rung: list[Any]) -> None:
    clock.call_at(START + 1, lambda: rung.append("before"))
    clock.close()
    clock.call_at(START + 1, lambda: rung.append("after"))
    clock.advance(1)
    assert rung == ["after"]


@pytest.mark.parametrize("seconds", [-1, -0.001, float("nan"), float("inf")])
def test_it_moves_by_no_such_time(clock: VirtualClock, seconds: float) -> None:
    with pytest.raises(ValueError, match="from 0 on, not"):
        clock.advance(seconds)
    assert clock.elapsed == 0


@pytest.mark.parametrize("seconds", ["1", None, True, [1]])
def test_it_moves_by_numbers_only(clock: VirtualClock, seconds: Any) -> None:
    with pytest.raises(TypeError, match="a number of seconds, not"):
        clock.advance(seconds)
    assert clock.elapsed == 0


# --- inside and outside


def test_inside_can_be_entered_again(clock: VirtualClock) -> None:
    me = threading.get_ident()
    with clock.inside:
        with clock.inside:
            assert clock.inside.threads == {me: 2}
        assert clock.inside.threads == {me: 1}
    assert clock.inside.threads == {}


def test_outside_is_a_break_of_it(clock: VirtualClock) -> None:
    with clock.inside, clock.inside:
        with clock.outside:
            assert clock.inside.threads == {}
        assert list(clock.inside.threads.values()) == [2]
    with clock.outside:
        assert clock.inside.threads == {}
    assert clock.inside.threads == {}


# --- clocks that share a timeline


def test_a_clock_that_joins_another_timeline_goes_on_from_where_it_is(rung: list[Any]) -> None:
    outer, inner = VirtualClock(START), VirtualClock(0)
    outer.advance(100)
    inner.advance(7)
    inner.call_at(10, lambda: rung.append((inner.time(), outer.time())))

    inner.join(outer.timeline)
    assert (inner.time(), inner.elapsed, outer.elapsed) == (7, 7, 100)
    inner.advance(2)
    assert (inner.time(), outer.time(), rung) == (9, START + 102, [])
    outer.advance(2)
    assert (inner.time(), outer.time(), rung) == (11, START + 104, [(10, START + 103)])


def test_a_clock_that_parts_takes_its_alarms_along(rung: list[Any]) -> None:
    outer, inner = VirtualClock(START), VirtualClock(0)
    inner.join(outer.timeline)
    outer.advance(5)
    inner.call_at(6, lambda: rung.append("inner"))
    outer.call_at(START + 7, lambda: rung.append("outer"))

    inner.part()
    outer.advance(10)
    assert (rung, inner.time(), outer.elapsed) == (["outer"], 5, 15)
    inner.advance(1)
    assert (rung, inner.time(), outer.elapsed) == (["outer", "inner"], 6, 15)


def test_an_alarm_can_be_cancelled_wherever_its_clock_went(rung: list[Any]) -> None:
    clock = VirtualClock(0)
    cancel = clock.call_at(1, lambda: rung.append(1))
    clock.join(Timeline())
    cancel()
    clock.advance(1)
    assert rung == []


def test_closing_one_of_two_leaves_the_alarms_of_the_other(rung: list[Any]) -> None:
    outer, inner = VirtualClock(0), VirtualClock(0)
    inner.join(outer.timeline)
    for name, clock in (("outer", outer), ("inner", inner)):
        clock.call_at(1, functools.partial(rung.append, name))
    inner.close()
    outer.advance(1)
    assert rung == ["outer"]


# --- the real one


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "comfystub" in thread.name]


def test_the_real_clock_rings_in_a_thread_that_is_there_only_as_long_as_an_alarm_is_set() -> None:
    clock, over, in_thread = RealClock(), threading.Event(), []
    assert threads() == []

    def ring() -> None:
        in_thread.append(threading.current_thread())
        over.set()

    clock.call_at(clock.time(), ring)
    assert over.wait(20)
    assert in_thread != [threading.current_thread()]
    in_thread[0].join(20)
    assert threads() == []
    over.clear()
    clock.call_at(clock.time() + 0.01, ring)
    assert over.wait(20)
    assert len(in_thread) == 2


def test_the_real_clock_rings_in_the_order_of_the_times(rung: list[Any]) -> None:
    clock, over, now = RealClock(), threading.Event(), time.time()
    clock.call_at(now + 0.05, over.set)
    clock.call_at(now + 0.02, lambda: rung.append((2, clock.time() >= now + 0.02)))
    clock.call_at(now + 0.01, lambda: rung.append((1, clock.time() >= now + 0.01)))
    assert over.wait(20)
    assert rung == [(1, True), (2, True)]


def test_a_cancelled_alarm_lets_the_thread_end(rung: list[Any]) -> None:
    clock = RealClock()
    cancel = clock.call_at(clock.time() + 1000, lambda: rung.append(1))
    thread = next(thread for thread in threading.enumerate() if thread.name in threads())
    assert thread.daemon
    cancel()
    thread.join(20)
    assert not thread.is_alive()
    assert rung == []


def test_closing_the_real_clock_leaves_no_thread(rung: list[Any]) -> None:
    clock = RealClock()
    for _ in range(3):
        clock.call_at(clock.time() + 1000, lambda: rung.append(1))
    assert len(threads()) == 1
    clock.close()
    assert threads() == []
    clock.close()
    assert rung == []


def test_an_alarm_may_close_the_real_clock() -> None:
    clock, over = RealClock(), threading.Event()

    def ring() -> None:
        clock.close()
        over.set()

    clock.call_at(clock.time(), ring)
    clock.call_at(clock.time() + 1000, over.set)
    assert over.wait(20)
    clock.close()
    assert threads() == []


def test_an_alarm_that_raises_does_not_silence_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))
    clock, over = RealClock(), threading.Event()
    clock.call_at(clock.time(), lambda: 1 / 0)
    clock.call_at(clock.time() + 0.01, over.set)
    assert over.wait(20)
    clock.close()
    assert raised == [ZeroDivisionError]


def test_the_real_clock_is_not_moved() -> None:
    with pytest.raises(RuntimeError, match=r'use patch\(clock="virtual"\)'):
        RealClock().advance(1)


def test_on_the_real_clock_real_time_passes() -> None:
    made, clock, asked = time.time(), RealClock(), time.time()
    elapsed = clock.elapsed
    assert 0 <= elapsed <= time.time() - made
    assert asked <= clock.time()


def test_inside_the_real_clock_nothing_happens() -> None:
    clock: Clock = RealClock()
    with clock.inside, clock.inside, clock.outside:
        assert threads() == []


# --- the stub's


def test_a_stub_has_the_clock_it_was_made_with() -> None:
    assert isinstance(comfystub.Stub().clock, RealClock)
    assert isinstance(comfystub.Stub(clock="virtual").clock, VirtualClock)
    with pytest.raises(ValueError, match="clock= takes"):
        comfystub.patch(clock="fast")


def test_a_stub_stamps_with_its_clock() -> None:
    stub = comfystub.Stub(clock="virtual")
    stub.clock.advance(1000)
    with stub.client() as client:
        client.post("/prompt", json={"prompt": {"1": {"class_type": "PreviewAny", "inputs": {"source": 1}}}})
        job = client.get("/api/jobs").json()["jobs"][0]
    assert job["create_time"] == round(stub.clock.time() * 1000)
    stub.close()
