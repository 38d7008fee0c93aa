"""Waiting for descriptors, as event loops do: the time-outs are virtual while a virtual clock is in force.

A loop that has nothing to do waits here until its next timer is due.  Another thread can wake it, really.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from comfystub.transports.callers import caller, is_loop
from comfystub.transports.seams import NamedSeam, Seam
from comfystub.transports.virtual import Present, virtual_time
from comfystub.transports.waiting import Released

#: The classes of selectors; no system has all of them.
SELECTORS = ("EpollSelector", "KqueueSelector", "DevpollSelector", "PollSelector", "SelectSelector")


def _select(
    present: Present, timeout: float | None, select: Callable[[Any], Any], returns_early: bool = False
) -> Any:
    """Wait until there is something, or the time-out is over: what the last ``select`` returned."""
    found: Any = None

    def really(seconds: float) -> bool:
        nonlocal found
        found = select(seconds)
        return any(found)

    try:
        # An alarm may give a loop something to do without a descriptor's help.
        present.waiters.wait(timeout, really=really, returns_early=returns_early)
    except Released as released:
        return select(released.seconds)
    return found


def _make_selector_select(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def select(self: Any, timeout: float | None = None) -> Any:
        present = virtual_time.for_caller() if timeout is None or timeout > 0 else None
        if present is None:
            return original(self, timeout)
        return _select(present, timeout, lambda seconds: original(self, seconds), is_loop(caller()))

    return select


def _make_select(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def select(rlist: Any, wlist: Any, xlist: Any, timeout: float | None = None, /) -> Any:
        present = virtual_time.for_caller() if timeout is None or timeout > 0 else None
        if present is None:
            return original(rlist, wlist, xlist, timeout)
        rlist, wlist, xlist = list(rlist), list(wlist), list(xlist)
        return _select(present, timeout, lambda seconds: original(rlist, wlist, xlist, seconds))

    return select


SEAMS = (
    *(Seam("selectors", name, "select", _make_selector_select) for name in SELECTORS),
    NamedSeam("select", "select", _make_select),
)
