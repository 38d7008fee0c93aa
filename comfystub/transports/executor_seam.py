"""Calls that an event loop has another thread make: time does not jump until it has their results.

The functions that are called so run in this module, which is no caller of its own: what they do is done
for whoever gave them to the loop.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from comfystub.transports.seams import Seam
from comfystub.transports.virtual import virtual_time
from comfystub.transports.waiting import ExecutorCall


class _Call:
    """Does what a function does, and tells which thread does it."""

    def __init__(self, call: ExecutorCall, function: Callable[..., Any]) -> None:
        self._call = call
        self._function = function

    def __call__(self, *args: Any) -> Any:
        self._call.thread = threading.get_ident()
        return self._function(*args)


def _make_run_in_executor(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def run_in_executor(self: Any, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        present = virtual_time.present
        if present is None:
            return original(self, executor, func, *args)
        waiters, call = present.waiters, present.waiters.begin_call()
        # What goes to another process has to be what the caller gave.
        counted = _Call(call, func) if _is_of_threads(executor) else func
        future = original(self, executor, counted, *args)
        future.add_done_callback(lambda _: waiters.end_call(call))
        return future

    return run_in_executor


def _is_of_threads(executor: Any) -> bool:
    threads: Any = getattr(sys.modules.get("concurrent.futures.thread"), "ThreadPoolExecutor", ())
    return executor is None or isinstance(executor, threads)


def _make_run_sync(original: Any) -> Any:
    # anyio has threads of its own.
    async def run_sync(cls: Any, func: Callable[..., Any], args: Any, *rest: Any, **options: Any) -> Any:
        present = virtual_time.present
        if present is None:
            return await original.__func__(cls, func, args, *rest, **options)
        call = present.waiters.begin_call()
        try:
            return await original.__func__(cls, _Call(call, func), args, *rest, **options)
        finally:
            present.waiters.end_call(call)

    wrapper: Any = functools.update_wrapper(run_sync, original.__func__)
    return classmethod(wrapper)


SEAMS = (
    Seam("asyncio.base_events", "BaseEventLoop", "run_in_executor", _make_run_in_executor),
    Seam("anyio._backends._asyncio", "AsyncIOBackend", "run_sync_in_worker_thread", _make_run_sync),
)
