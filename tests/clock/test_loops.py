"""asyncio's event loop under a virtual clock, and the threads it gives work to."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.to_thread
import pytest
from calls import URL, in_thread
from wire import LONG

import comfystub

Load = Callable[[str], Any]


def run(stub: comfystub.Stub, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop of its own; what it returns, and how much time that took."""
    before = stub.clock.elapsed
    return in_thread(asyncio.run, coroutine), stub.clock.elapsed - before


def test_sleeps_and_time_outs_move_the_clock(stub: comfystub.Stub) -> None:
    async def main() -> str:
        await asyncio.sleep(300)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 600)
        return "done"

    assert run(stub, main()) == ("done", 900)


def test_sums_are_exact(stub: comfystub.Stub) -> None:
    async def main() -> None:
        for _ in range(3):
            await asyncio.sleep(0.1)

    assert run(stub, main()) == (None, 0.3)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="came with Python 3.11")
def test_timeout(stub: comfystub.Stub) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.sleep(61)
        async with asyncio.timeout(60):
            await asyncio.sleep(59)

    assert run(stub, main()) == (None, 119)


def test_a_client_that_polls_gives_up(load: Load, stub: comfystub.Stub) -> None:
    users = load(
        """
        import asyncio
        from asyncio import sleep
        from time import monotonic

        async def poll():
            polls, end = 0, monotonic() + 300
            while monotonic() < end:
                polls += 1
                await sleep(1)
            return polls
        """
    )
    assert run(stub, users.poll()) == (300, 300)


def test_tasks_wake_in_the_order_of_their_times(stub: comfystub.Stub) -> None:
    async def main() -> list[tuple[int, float]]:
        woken: list[tuple[int, float]] = []

        async def sleep(seconds: int) -> None:
            await asyncio.sleep(seconds)
            woken.append((seconds, stub.clock.elapsed))

        await asyncio.gather(*map(sleep, (30, 10, 20)))
        return woken

    assert run(stub, main()) == ([(10, 10), (20, 20), (30, 30)], 30)


def test_a_task_that_has_something_to_do_is_not_overtaken(stub: comfystub.Stub) -> None:
    async def main() -> float:
        async def work() -> float:
            for _ in range(5000):  # its own looks at the clock, one in each turn, are not counted
                await asyncio.sleep(0)
            return stub.clock.elapsed

        return await asyncio.wait_for(work(), 1)

    assert run(stub, main()) == (0, 0)


def test_a_task_that_only_looks_at_the_loop_s_clock_comes_to_its_end(stub: comfystub.Stub) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + 30
        while loop.time() < end:
            await asyncio.sleep(0)

    _, took = run(stub, main())
    assert 30 <= took < 32


def test_an_alarm_gives_the_loop_something_to_do(stub: comfystub.Stub) -> None:
    async def main() -> float:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        stub.clock.call_at(stub.clock.time() + 5, lambda: loop.call_soon(over.set))
        await asyncio.wait_for(over.wait(), 60)
        return stub.clock.elapsed

    assert run(stub, main()) == (5, 5)


def test_a_loop_that_waits_without_end_waits_for_an_alarm(stub: comfystub.Stub) -> None:
    async def main() -> None:
        over, loop = asyncio.Event(), asyncio.get_running_loop()
        stub.clock.call_at(stub.clock.time() + 5, lambda: loop.call_soon(over.set))
        await over.wait()

    assert run(stub, main()) == (None, 5)


def test_moving_the_clock_by_hand_makes_timers_due(stub: comfystub.Stub) -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        stub.clock.advance(60)
        await task

    assert run(stub, main()) == (None, 60)


def test_sleeping_in_a_task_stops_the_loop_as_ever(stub: comfystub.Stub) -> None:
    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(asyncio.sleep(7), work()), 5)

    async def work() -> None:
        time.sleep(10)

    assert run(stub, main()) == (None, 10)


# --- other threads


async def in_executor(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


async def in_own_pool(function: Callable[..., Any], *arguments: Any) -> Any:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)


async def in_anyio_s_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(function, *arguments)


async def abandoned_in_anyio_s_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(functools.partial(function, *arguments), abandon_on_cancel=True)


each_way = pytest.mark.parametrize(
    "call",
    [asyncio.to_thread, in_executor, in_own_pool, in_anyio_s_thread, abandoned_in_anyio_s_thread],
    ids=lambda call: call.__name__,
)
Call = Callable[..., Coroutine[Any, Any, Any]]


@each_way
def test_a_call_that_computes_in_another_thread_is_not_overtaken(
    stub: comfystub.Stub, call: Call, compute: Callable[[float], None]
) -> None:
    def work() -> float:
        compute(0.05)
        return stub.clock.elapsed

    async def main() -> Any:
        return await asyncio.wait_for(call(work), 1000)

    assert run(stub, main())[0] == 0


@each_way
def test_nor_is_one_that_waits_really(stub: comfystub.Stub, call: Call) -> None:
    real = getattr(time.sleep, "__wrapped__")  # noqa: B009 - no such attribute

    def work() -> float:
        real(0.05)
        return stub.clock.elapsed

    async def main() -> Any:
        return await asyncio.wait_for(call(work), 1000)

    assert run(stub, main())[0] == 0


@pytest.mark.parametrize("call", [asyncio.to_thread, in_executor, abandoned_in_anyio_s_thread])
def test_a_call_that_sleeps_in_another_thread_times_out(stub: comfystub.Stub, call: Call) -> None:
    async def main() -> float:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(call(time.sleep, 100), 1)
        return stub.clock.elapsed

    assert run(stub, main())[0] == 1
    stub.clock.advance(100)  # one that was abandoned sleeps still


@pytest.mark.parametrize("call", [asyncio.to_thread, in_executor, abandoned_in_anyio_s_thread])
def test_so_does_one_that_waits_without_end(stub: comfystub.Stub, call: Call) -> None:
    over = threading.Event()

    async def main() -> float:
        try:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(call(over.wait), 1000)
            return stub.clock.elapsed
        finally:
            over.set()

    assert run(stub, main())[0] == 1000


@each_way
def test_what_a_call_raises_is_raised(stub: comfystub.Stub, call: Call) -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await call(lambda: 1 / 0)
        await asyncio.sleep(10)  # and nothing is thought to be under way

    assert run(stub, main())[0] is None
    assert stub.clock.elapsed == 10


def test_threads_that_end_with_their_loop_are_not_overtaken(stub: comfystub.Stub) -> None:
    # From Python 3.12 on, the end of a loop waits for them for at most 300 seconds, and then warns.
    for _ in range(50):
        assert in_thread(asyncio.run, asyncio.to_thread(int)) == 0
    assert stub.clock.elapsed == 0


def test_more_sleepers_than_threads(stub: comfystub.Stub) -> None:
    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, time.sleep, 10) for _ in range(6)))

    assert run(stub, main()) == (None, 30)


def test_a_call_to_another_process_is_what_it_was(stub: comfystub.Stub) -> None:
    with concurrent.futures.ProcessPoolExecutor(1) as pool:

        async def main() -> int:
            return await asyncio.get_running_loop().run_in_executor(pool, abs, -1)

        assert run(stub, main())[0] == 1


def test_a_loop_is_woken_by_another_thread(stub: comfystub.Stub) -> None:
    async def main() -> float:
        loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def work() -> None:
            time.sleep(5)
            loop.call_soon_threadsafe(future.set_result, stub.clock.elapsed)

        thread = threading.Thread(target=work)
        thread.start()
        result = await asyncio.wait_for(future, 60)
        thread.join()
        return float(result)

    assert run(stub, main()) == (5, 5)


def test_two_loops_in_two_threads(stub: comfystub.Stub) -> None:
    async def poll(every: float, times: int) -> list[float]:
        seen = []
        for _ in range(times):
            await asyncio.sleep(every)
            seen.append(stub.clock.elapsed)
        return seen

    with stub.clock.inside:
        future = concurrent.futures.Future[Any]()
        thread = threading.Thread(target=lambda: future.set_result(asyncio.run(poll(3, 4))))
        thread.start()
    assert in_thread(asyncio.run, poll(1, 12)) == list(range(1, 13))
    assert future.result(60) == [3, 6, 9, 12]
    thread.join(LONG)


# --- beside the loops of asyncio


@pytest.mark.parametrize("cls", [selectors.DefaultSelector, selectors.SelectSelector])
def test_a_selector_of_one_s_own(stub: comfystub.Stub, cls: Callable[[], selectors.BaseSelector]) -> None:
    one, other = socket.socketpair()
    with one, other, cls() as selector:
        selector.register(one, selectors.EVENT_READ)
        assert selector.select(60) == []
        assert stub.clock.elapsed == 60
        stub.clock.call_at(stub.clock.time() + 5, lambda: other.send(b"."))
        assert [key.fileobj for key, _ in selector.select(60)] == [one]
        assert stub.clock.elapsed == 65
        assert [key.fileobj for key, _ in selector.select(0)] == [one]


def test_an_alarm_does_not_end_the_wait_of_a_selector(stub: comfystub.Stub) -> None:
    one, other = socket.socketpair()
    with one, other, selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        stub.clock.call_at(stub.clock.time() + 5, lambda: None)
        assert selector.select(60) == []
        assert stub.clock.elapsed == 60


def test_trio_has_real_time(stub: comfystub.Stub) -> None:
    trio = pytest.importorskip("trio")
    trio.run(trio.sleep, 0.01)
    assert stub.clock.elapsed == 0


def test_anyio_on_asyncio(stub: comfystub.Stub) -> None:
    async def main() -> bool:
        with anyio.move_on_after(60) as scope:
            await anyio.sleep(100)
        return scope.cancelled_caught

    assert anyio.run(main) is True
    assert stub.clock.elapsed == 60


# --- the forms of patch()


async def test_async_with() -> None:
    async with comfystub.patch(URL, clock="virtual") as stub:
        await asyncio.sleep(300)
        assert stub.clock.elapsed == 300
    await asyncio.sleep(0.001)


@comfystub.patch(URL, clock="virtual")
async def test_a_decorated_coroutine(comfy_stub: comfystub.Stub) -> None:
    await asyncio.sleep(300)
    assert comfy_stub.clock.elapsed == 300


@comfystub.patch(URL, clock="virtual")
def test_a_decorated_function(comfy_stub: comfystub.Stub) -> None:
    time.sleep(300)
    assert comfy_stub.clock.elapsed == 300


@pytest.mark.comfy_stub(URL, clock="virtual")
async def test_the_fixture(comfy_stub: comfystub.Stub) -> None:
    await asyncio.sleep(300)
    assert comfy_stub.clock.elapsed == 300


def test_a_loop_that_is_asleep_when_it_ends_goes_on_in_real_time() -> None:
    asleep, futures = threading.Event(), list[asyncio.Future[str]]()

    async def main() -> str:
        loop = asyncio.get_running_loop()
        futures.append(loop.create_future())
        loop.call_soon(asleep.set)
        return await asyncio.wait_for(futures[0], 10_000)

    def end() -> None:
        stub = comfystub.Stub(URL, clock="virtual")
        with comfystub.patch(stub=stub), stub.clock.inside:
            future = pool.submit(in_thread, asyncio.run, main())
            asleep.wait()
        futures[0].get_loop().call_soon_threadsafe(futures[0].set_result, "woken")
        assert future.result(LONG) == "woken"

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        end()
