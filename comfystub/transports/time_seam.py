"""The functions of ``time``: for the code under test, a virtual clock that is in force answers."""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from comfystub.engine.clock import SECOND
from comfystub.transports.callers import caller, is_loop
from comfystub.transports.seams import NamedSeam
from comfystub.transports.virtual import virtual_time
from comfystub.transports.waiting import Released

#: The functions that say what time it is, in seconds; each has a twin that says it in nanoseconds.
READERS = ("time", "monotonic", "perf_counter")


def _reader(name: str, whole: bool) -> Callable[[Any], Any]:
    def make(original: Callable[[], float]) -> Callable[[], float]:
        @functools.wraps(original)
        def read() -> float:
            present = virtual_time.for_caller()
            if present is None:
                return original()
            if not _asks_for_itself(caller()):
                present.waiters.count_read()
            now = present.read(name)
            return now if whole else now / SECOND

        return read

    return make


def _asks_for_itself(frame: FrameType) -> bool:
    """Whether an event loop asks, not for somebody who asks it, as it does in each of its turns."""
    return is_loop(frame) and is_loop(frame.f_back)


def _make_sleep(original: Callable[[float], None]) -> Callable[[float], None]:
    @functools.wraps(original)
    def sleep(seconds: float, /) -> None:
        present = virtual_time.for_caller()
        given: Any = seconds
        amount = given if isinstance(given, float) else operator.index(given)
        # What is no time at all is for the original: it lets others run, or complains.
        if present is None or not 0 < amount <= sys.maxsize // SECOND:
            original(seconds)
            return
        try:
            present.waiters.wait(amount)
        except Released as released:
            original(released.seconds or 0)

    return sleep


SEAMS = (
    *(NamedSeam("time", name, _reader(name, whole=False)) for name in READERS),
    *(NamedSeam("time", f"{name}_ns", _reader(name, whole=True)) for name in READERS),
    NamedSeam("time", "sleep", _make_sleep),
)
