"""Several threads: who wakes when, and that nobody who works is overtaken."""

from __future__ import annotations

import concurrent.futures
import queue
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from calls import URL
from wire import LONG, listening, submit

import comfystub


@pytest.fixture
def start() -> Iterator[Callable[..., threading.Thread]]:
    """Starts threads, which have to be over at the end of the test."""
    started: list[threading.Thread] = []

    def run(function: Callable[..., Any], *arguments: Any) -> threading.Thread:
        started.append(threading.Thread(target=function, args=arguments, daemon=True))
        started[-1].start()
        return started[-1]

    yield run
    for thread in started:
        thread.join(LONG)
        assert not thread.is_alive()


Start = Callable[..., threading.Thread]
Compute = Callable[[float], None]


# --- waits that nobody ends

WAITS: dict[str, Callable[[], Any]] = {
    "Event.wait": lambda: threading.Event().wait(60),
    "Condition.wait": lambda: _of_condition("wait", 60),
    "Condition.wait_for": lambda: _of_condition("wait_for", lambda: False, 60),
    "Semaphore.acquire": lambda: threading.Semaphore(0).acquire(timeout=60),
    "Thread.join": lambda: _join(60),
    "Queue.get": lambda: _raises(queue.Empty, lambda: queue.Queue[int]().get(timeout=60)),
    "LifoQueue.get": lambda: _raises(queue.Empty, lambda: queue.LifoQueue[int]().get(timeout=60)),
    "Queue.put": lambda: _raises(queue.Full, lambda: _full().put(2, timeout=60)),
    "SimpleQueue.get": lambda: _raises(queue.Empty, lambda: queue.SimpleQueue[int]().get(timeout=60)),
    "Barrier.wait": lambda: _raises(threading.BrokenBarrierError, lambda: threading.Barrier(2).wait(60)),
    "Future.result": lambda: _raises(
        concurrent.futures.TimeoutError, lambda: concurrent.futures.Future[int]().result(60)
    ),
    "futures.wait": lambda: concurrent.futures.wait([concurrent.futures.Future[int]()], 60).done,
    "select.select": lambda: _select(60),
}


def _of_condition(method: str, *arguments: Any) -> Any:
    condition = threading.Condition()
    with condition:
        return getattr(condition, method)(*arguments)


def _join(seconds: float) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    thread.join(seconds)
    assert thread.is_alive()
    over.set()
    thread.join()


def _full() -> queue.Queue[int]:
    full: queue.Queue[int] = queue.Queue(1)
    full.put(1)
    return full


def _raises(error: type[BaseException], call: Callable[[], Any]) -> None:
    with pytest.raises(error):
        call()


def _select(seconds: float) -> bool:
    one, other = socket.socketpair()
    with one, other:
        return any(select.select([one], [], [one], seconds))


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_time_out_moves_the_clock(stub: comfystub.Stub, wait: Callable[[], Any]) -> None:
    assert not wait()
    assert stub.clock.elapsed == 60


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_time_out_moves_the_clock_beside_a_thread_that_nobody_knows(
    stub: comfystub.Stub, start: Start, wait: Callable[[], Any]
) -> None:
    lock = threading.Lock()
    lock.acquire()
    start(lock.acquire)
    assert not wait()
    assert stub.clock.elapsed == 60
    lock.release()


# --- waits that end

COMES: dict[str, Callable[[Start], Any]] = {
    "Event.wait": lambda start: _event(start),
    "Condition.wait": lambda start: _condition(start, "wait"),
    "Condition.wait_for": lambda start: _condition(start, "wait_for", lambda: True),
    "Semaphore.acquire": lambda start: _semaphore(start),
    "Queue.get": lambda start: _queue(start, queue.Queue()),
    "SimpleQueue.get": lambda start: _queue(start, queue.SimpleQueue()),
    "Queue.put": lambda start: _queue_put(start),
    "Future.result": lambda start: _future(start),
}


def after_five(call: Callable[[], Any]) -> None:
    time.sleep(5)
    call()


def _event(start: Start) -> Any:
    event = threading.Event()
    start(after_five, event.set)
    return event.wait(60)


def _condition(start: Start, method: str, *arguments: Any) -> Any:
    condition = threading.Condition()

    def notify() -> None:
        with condition:
            condition.notify()

    with condition:
        start(after_five, notify)
        return getattr(condition, method)(*arguments, timeout=60) if method == "wait" else condition.wait(60)


def _semaphore(start: Start) -> Any:
    semaphore = threading.Semaphore(0)
    start(after_five, semaphore.release)
    return semaphore.acquire(timeout=60)


def _queue(start: Start, things: Any) -> Any:
    start(after_five, lambda: things.put(1))
    return things.get(timeout=60) == 1


def _queue_put(start: Start) -> Any:
    full = _full()
    start(after_five, full.get)
    full.put(2, timeout=60)
    return full.get() == 2


def _future(start: Start) -> Any:
    future: concurrent.futures.Future[int] = concurrent.futures.Future()
    start(after_five, lambda: future.set_result(1))
    return future.result(60) == 1


@pytest.mark.parametrize("wait", COMES.values(), ids=COMES)
def test_what_comes_in_time_ends_the_wait(
    stub: comfystub.Stub, start: Start, wait: Callable[[Start], Any]
) -> None:
    assert wait(start)
    assert stub.clock.elapsed == 5


def test_a_thread_is_joined_when_it_is_over(stub: comfystub.Stub, start: Start) -> None:
    start(time.sleep, 7).join(60)
    assert stub.clock.elapsed == 7


def test_a_thread_that_is_just_ending_is_not_overtaken(stub: comfystub.Stub, start: Start) -> None:
    # It is not counted any more then, and alive for another moment.
    for _ in range(200):
        thread = start(int)
        thread.join(60)
        assert not thread.is_alive()
    assert stub.clock.elapsed == 0


def test_what_is_there_is_not_waited_for(stub: comfystub.Stub) -> None:
    event, things = threading.Event(), queue.SimpleQueue[int]()
    event.set()
    things.put(0)
    assert event.wait(60)
    assert things.get(timeout=60) == 0
    assert threading.Semaphore(1).acquire(timeout=60)
    assert stub.clock.elapsed == 0


def test_errors_are_what_they_were(stub: comfystub.Stub) -> None:
    with pytest.raises(RuntimeError, match="un-acquired"):
        threading.Condition().wait(1)
    with pytest.raises(RuntimeError, match="before it is started"):
        threading.Thread().join(1)
    with pytest.raises(ValueError, match="timeout"):
        threading.Semaphore().acquire(False, 1)
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=0)
    with pytest.raises(queue.Empty):
        queue.SimpleQueue[int]().get(False)
    assert stub.clock.elapsed == 0


def test_a_timer_of_the_code_under_test_is_virtual(stub: comfystub.Stub) -> None:
    rung: list[float] = []
    timer = threading.Timer(30, lambda: rung.append(time.monotonic()))
    before = time.monotonic()
    timer.start()
    time.sleep(100)
    timer.join()
    assert rung == [before + 30]


def test_a_timer_of_a_test_runner_is_real(stub: comfystub.Stub) -> None:
    def stop_the_test() -> None:
        raise AssertionError("a thousand seconds have not passed")

    stop_the_test.__module__ = "pytest_timeout"
    timer = threading.Timer(1000, stop_the_test)
    timer.start()
    time.sleep(5000)
    assert timer.is_alive()
    timer.cancel()
    timer.join()


# --- who wakes when


def test_sleepers_wake_in_the_order_of_their_times(stub: comfystub.Stub, start: Start) -> None:
    woken: list[tuple[int, float]] = []

    def sleep(seconds: int) -> None:
        time.sleep(seconds)
        woken.append((seconds, stub.clock.elapsed))

    with stub.clock.inside:  # until all of them sleep
        for seconds in (40, 10, 30, 20):
            start(sleep, seconds)
    time.sleep(50)
    assert woken == [(10, 10), (20, 20), (30, 30), (40, 40)]
    assert stub.clock.elapsed == 50


def test_two_that_poll_go_on_side_by_side(stub: comfystub.Stub, start: Start) -> None:
    seen: list[tuple[str, float]] = []

    def poll(name: str, every: float, times: int) -> None:
        for _ in range(times):
            time.sleep(every)
            seen.append((name, stub.clock.elapsed))

    thread = start(poll, "slow", 3, 4)
    poll("fast", 1, 12)
    thread.join()
    assert [one for one in seen if one[0] == "fast"] == [("fast", second) for second in range(1, 13)]
    assert [one for one in seen if one[0] == "slow"] == [("slow", second) for second in (3, 6, 9, 12)]
    assert [elapsed for _, elapsed in seen] == sorted(elapsed for _, elapsed in seen)


def test_alarms_on_the_way_ring_at_their_own_times(stub: comfystub.Stub) -> None:
    rung: list[float] = []
    for seconds in (20, 10, 30):
        stub.clock.call_at(stub.clock.time() + seconds, lambda: rung.append(stub.clock.elapsed))
    time.sleep(25)
    assert (rung, stub.clock.elapsed) == ([10, 20], 25)


def test_an_alarm_may_end_a_wait(stub: comfystub.Stub) -> None:
    event = threading.Event()
    stub.clock.call_at(stub.clock.time() + 10, event.set)
    assert event.wait(60)
    assert stub.clock.elapsed == 10


def test_moving_the_clock_by_hand_wakes_sleepers(stub: comfystub.Stub, start: Start) -> None:
    over = threading.Event()

    def sleep() -> None:
        time.sleep(100)
        over.set()

    with stub.clock.inside:  # nobody else moves it
        start(sleep)
        stub.clock.advance(1000)
        assert over.wait(LONG)


# --- nobody who works is overtaken


def test_a_thread_that_computes_is_not_overtaken(
    stub: comfystub.Stub, start: Start, compute: Compute
) -> None:
    over = threading.Event()

    def work() -> None:
        compute(0.03)
        over.set()

    start(work)
    polls = 0
    while not over.wait(0.5):
        polls += 1
        assert polls < 600


def test_nor_is_one_that_computes_while_others_sleep(
    stub: comfystub.Stub, start: Start, compute: Compute
) -> None:
    elapsed: list[float] = []

    def work() -> None:
        compute(0.03)
        elapsed.append(stub.clock.elapsed)

    thread = start(work)
    time.sleep(1000)
    thread.join()
    assert elapsed == [0]


def test_time_does_not_jump_while_a_thread_is_inside(stub: comfystub.Stub, start: Start) -> None:
    entered, leave, elapsed = threading.Event(), threading.Lock(), []

    def work() -> None:
        with stub.clock.inside:
            entered.set()
            leave.acquire()
            elapsed.append(stub.clock.elapsed)

    leave.acquire()
    thread = start(work)
    entered.wait()
    real = getattr(time.sleep, "__wrapped__")  # noqa: B009

    def end() -> None:
        real(0.05)
        leave.release()

    start(end)
    time.sleep(1000)
    thread.join()
    assert elapsed == [0]


def test_a_thread_inside_that_sleeps_itself_holds_nobody_up(stub: comfystub.Stub) -> None:
    with stub.clock.inside:
        time.sleep(1000)
        assert threading.Event().wait(1000) is False
    assert stub.clock.elapsed == 2000


def test_a_thread_inside_that_waits_for_another_one_holds_nobody_up(
    stub: comfystub.Stub, start: Start
) -> None:
    lock = threading.Lock()
    lock.acquire()

    def wait() -> None:
        with stub.clock.inside, stub.clock.outside:
            lock.acquire()

    thread = start(wait)
    time.sleep(1000)
    assert thread.is_alive()
    lock.release()


def test_a_picture_that_takes_long_is_not_overtaken(start: Start, compute: Compute) -> None:
    drawn: list[float] = []

    def draw(job: Any, node: Any) -> Any:
        from PIL import Image

        compute(0.03)
        drawn.append(stub.clock.elapsed)
        return Image.new("RGB", (8, 8))

    with comfystub.patch(URL, clock="virtual", image=draw, pace=0) as stub:
        thread = start(submit, stub)
        time.sleep(1000)
        thread.join()
    assert drawn == [0]


def test_time_is_never_slower_than_real_time(stub: comfystub.Stub, start: Start, compute: Compute) -> None:
    # A thread that is busy for ever, as far as anybody knows, holds nobody up for ever.
    over = threading.Event()

    def work() -> None:
        with stub.clock.inside:
            while not over.is_set():
                compute(0.001)

    start(work)
    time.sleep(0.05)
    over.set()
    assert stub.clock.elapsed == 0.05


# --- reads of sockets


def test_a_read_times_out(stub: comfystub.Stub) -> None:
    with listening(timeout=300) as sock:
        with pytest.raises(TimeoutError, match=r"^timed out$"):
            sock.recv(1)
        assert stub.clock.elapsed == 300


def test_a_read_that_may_not_wait_does_not(stub: comfystub.Stub) -> None:
    with listening() as sock:
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)
        if hasattr(socket, "MSG_DONTWAIT"):
            sock.setblocking(True)
            with pytest.raises(BlockingIOError):
                sock.recv(1, socket.MSG_DONTWAIT)
        assert stub.clock.elapsed == 0


def test_what_is_said_meanwhile_is_read_in_its_time(stub: comfystub.Stub, start: Start) -> None:
    with listening(timeout=300) as sock:
        start(after_five, lambda: submit(stub))
        assert b"status" in sock.recv(1000)
        assert stub.clock.elapsed == 5


def test_a_read_without_end_waits_for_an_alarm(stub: comfystub.Stub) -> None:
    with listening() as sock:
        sock.settimeout(None)
        stub.clock.call_at(stub.clock.time() + 5, lambda: submit(stub))
        assert b"status" in sock.recv(1000)
        assert stub.clock.elapsed == 5


def test_a_socket_that_is_closed_by_another_thread_ends_the_read(stub: comfystub.Stub, start: Start) -> None:
    with listening(timeout=300) as sock:
        start(after_five, lambda: sock.shutdown(socket.SHUT_RDWR))
        assert sock.recv(1000) == b""
        assert stub.clock.elapsed == 5


def test_select_of_a_stub_s_socket(stub: comfystub.Stub) -> None:
    with listening() as sock:
        assert select.select([sock], [], [], 300) == ([], [], [])
        stub.clock.call_at(stub.clock.time() + 5, lambda: submit(stub))
        assert select.select([sock], [], [], 300) == ([sock], [], [])
        assert stub.clock.elapsed == 305


# --- the end


def waits_on() -> dict[str, Callable[[threading.Event], Any]]:
    return {
        "time.sleep": lambda over: time.sleep(0.02),
        "Event.wait": lambda over: over.wait(10_000),
        "Event.wait without end": lambda over: over.wait(),
    }


@pytest.mark.parametrize("wait", waits_on().values(), ids=waits_on())
def test_who_waits_when_it_ends_goes_on_in_real_time(
    start: Start, wait: Callable[[threading.Event], Any]
) -> None:
    over, begun = threading.Event(), threading.Lock()
    begun.acquire()
    stub = comfystub.Stub(URL, clock="virtual")
    with comfystub.patch(stub=stub), stub.clock.inside:

        def work() -> None:
            begun.release()
            wait(over)

        start(work)
        begun.acquire()
    over.set()
