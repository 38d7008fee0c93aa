"""The virtual clocks that are in force, and what the code under test sees of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from comfystub.engine.clock import VirtualClock, whole_second
from comfystub.transports.callers import caller, sees_virtual_time
from comfystub.transports.waiting import Waiters

#: The clocks of the machine that begin anywhere, in nanoseconds.
_REAL = {"monotonic": time.monotonic_ns, "perf_counter": time.perf_counter_ns}


class Present(NamedTuple):
    """Virtual time, while it is in force.

    ``clock`` is the innermost one, ``bases`` what the machine's clocks showed when nothing had elapsed.
    """

    clock: VirtualClock
    waiters: Waiters
    bases: Mapping[str, int]

    def read(self, name: str) -> int:
        """What the clock of that name shows, in nanoseconds."""
        base = self.bases.get(name)
        return self.clock.time_ns() if base is None else base + self.waiters.timeline.elapsed


class VirtualTime:
    """The virtual clocks in force, innermost last: they share a timeline."""

    def __init__(self) -> None:
        self._clocks: list[VirtualClock] = []
        self.present: Present | None = None

    def enter(self, clock: VirtualClock) -> None:
        """Put a clock in force; where one is so already, both go on together."""
        if self.present is None:
            bases = {name: whole_second(real()) - clock.timeline.elapsed for name, real in _REAL.items()}
            self.present = Present(clock, Waiters(clock.timeline), bases)
        elif clock not in self._clocks:
            clock.join(self.present.waiters.timeline)
        self._clocks.append(clock)
        self.present = self.present._replace(clock=clock)

    def leave(self, clock: VirtualClock) -> None:
        """Take a clock out of force; with the last one, all who wait go on in real time."""
        assert self.present is not None
        position = len(self._clocks) - 1 - self._clocks[::-1].index(clock)
        del self._clocks[position]
        if not self._clocks:
            self.present.waiters.release()
            self.present = None
            return
        if clock not in self._clocks:
            clock.part()
        self.present = self.present._replace(clock=self._clocks[-1])

    def for_caller(self) -> Present | None:
        """Virtual time as the caller of the function that asks sees it; ``None``: it sees real time."""
        present = self.present
        return present if present is not None and sees_virtual_time(caller(1)) else None


#: The process has one set of time functions.
virtual_time = VirtualTime()
