"""Threads that wait for each other: their time-outs are virtual while a virtual clock is in force.

What they wait for comes really, from other threads.  So they wait a little really, and time jumps in
between.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Any

from comfystub.transports.seams import NamedSeam, Seam
from comfystub.transports.virtual import Present, virtual_time
from comfystub.transports.waiting import Released

Method = Callable[..., Any]
#: Does what the original does, with a time-out of its own: what that returned.
Attempt = Callable[["float | None"], Any]


def _wait(
    present: Present, timeout: float | None, attempt: Attempt, ready: Callable[[], bool] | None = None
) -> Any:
    """Attempt it until it comes to something, or the time-out is over: what the last attempt returned.

    ``ready`` says, where anybody can know, that it would come to something; then that is returned.
    """
    result: Any = None

    def really(seconds: float) -> bool:
        nonlocal result
        result = attempt(seconds)
        return bool(result)

    if timeout is None:
        with present.waiters.waiting(ready):
            return attempt(None)
    try:
        came = present.waiters.wait(timeout, ready=ready, really=really)
    except Released as released:
        return attempt(released.seconds)
    return came if ready is not None else result


def _may_wait(timeout: float | None) -> bool:
    return timeout is None or timeout > 0


def _make_wait(original: Method) -> Method:
    """``wait`` of a ``Condition`` or an ``Event``.

    Between two attempts a condition's lock is held, so nobody can notify it then.
    """

    @functools.wraps(original)
    def wait(self: Any, timeout: float | None = None) -> Any:
        present = virtual_time.for_caller() if _may_wait(timeout) else None
        if present is None:
            return original(self, timeout)
        ready = getattr(self, "is_set", None)
        return _wait(present, timeout, lambda seconds: original(self, seconds), ready)

    return wait


def _make_wait_for(original: Method) -> Method:
    @functools.wraps(original)
    def wait_for(self: Any, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        present = virtual_time.for_caller() if _may_wait(timeout) else None
        if present is None:
            return original(self, predicate, timeout)
        return _wait(present, timeout, lambda seconds: original(self, predicate, seconds))

    return wait_for


def _make_acquire(original: Method) -> Method:
    @functools.wraps(original)
    def acquire(self: Any, blocking: bool = True, timeout: float | None = None) -> Any:
        present = virtual_time.for_caller() if blocking and _may_wait(timeout) else None
        if present is None:
            return original(self, blocking, timeout)
        return _wait(present, timeout, lambda seconds: original(self, True, seconds))

    return acquire


def _make_start(original: Method) -> Method:
    @functools.wraps(original)
    def start(self: Any) -> None:
        present = virtual_time.present
        # A thread that nobody has seen yet cannot be waited for: time stands still until it has begun.
        with present.clock.inside if present is not None else contextlib.nullcontext():
            original(self)

    return start


def _make_join(original: Method) -> Method:
    @functools.wraps(original)
    def join(self: Any, timeout: float | None = None) -> None:
        present = virtual_time.for_caller() if _may_wait(timeout) else None
        if present is None:
            original(self, timeout)
            return
        original(self, 0)  # which complains where it cannot be joined
        if _wait(present, timeout, lambda seconds: original(self, seconds), lambda: _is_ending(self)):
            original(self)

    return join


def _is_ending(thread: threading.Thread) -> bool:
    """Whether a thread has nothing to do any more.

    It is counted no longer then, and yet alive for a moment: time must not jump to the end of a join.
    """
    return all(one is not thread for one in threading.enumerate())


def _make_get(original: Method) -> Method:
    import queue

    @functools.wraps(original)
    def get(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        present = virtual_time.for_caller() if block and _may_wait(timeout) else None
        if present is None:
            return original(self, block, timeout)

        def attempt(seconds: float | None) -> list[Any]:
            try:
                return [original(self, True, seconds)]
            except queue.Empty:
                return []

        for item in _wait(present, timeout, attempt):
            return item
        raise queue.Empty

    return get


def _make_put(original: Method) -> Method:
    import queue

    @functools.wraps(original)
    def put(self: Any, item: Any, block: bool = True, timeout: float | None = None) -> None:
        present = virtual_time.for_caller() if block and _may_wait(timeout) else None
        if present is None:
            original(self, item, block, timeout)
            return

        def attempt(seconds: float | None) -> bool:
            try:
                original(self, item, True, seconds)
            except queue.Full:
                return False
            return True

        if not _wait(present, timeout, attempt):
            raise queue.Full

    return put


def _make_simple_queue(original: Any) -> Any:
    # It is written in C: only a class of one's own can have another method.
    body = {"__doc__": original.__doc__, "__module__": original.__module__, "get": _make_get(original.get)}
    return type(original.__name__, (original,), body)


SEAMS = (
    Seam("threading", "Condition", "wait", _make_wait),
    Seam("threading", "Condition", "wait_for", _make_wait_for),
    Seam("threading", "Event", "wait", _make_wait),
    Seam("threading", "Semaphore", "acquire", _make_acquire),
    Seam("threading", "Thread", "start", _make_start),
    Seam("threading", "Thread", "join", _make_join),
    Seam("queue", "Queue", "get", _make_get),
    Seam("queue", "Queue", "put", _make_put),
    NamedSeam("queue", "SimpleQueue", _make_simple_queue),
)
