"""Clocks: what a server schedules by and stamps with.

The real one is the machine's.  A virtual one stands still until somebody moves it.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from comfystub.engine import forking

# While a virtual clock is in force, the functions of the module may be others.
_real_time, _real_time_ns = time.time, time.time_ns

#: The nanoseconds of a second.
SECOND = 1_000_000_000
#: Those of a microsecond: the time of day as a float is about that exact.
_MICROSECOND = 1_000


def nanoseconds(seconds: float) -> int:
    """Seconds as a whole number of nanoseconds; any positive time is at least one."""
    return max(round(seconds * SECOND), 1) if seconds > 0 else 0


def whole_second(time: int) -> int:
    """The next whole second, in nanoseconds.

    A clock that begins at one is read alike in every run: what a float leaves off depends on that.
    """
    return -(-time // SECOND) * SECOND


class Clock(Protocol):
    """What the engine asks of a clock."""

    @property
    def inside(self) -> contextlib.AbstractContextManager[object]:
        """A block in which this thread is inside the stub: virtual time does not jump meanwhile.

        It can be entered any number of times, by any number of threads.
        """

    @property
    def outside(self) -> contextlib.AbstractContextManager[object]:
        """A block within ``inside`` in which this thread only waits for another one."""

    @property
    def elapsed(self) -> float:
        """The seconds that have passed since it was made."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def call_at(self, when: float, call: Callable[[], object]) -> Callable[[], None]:
        """Have ``call`` called once, when ``time()`` has reached ``when``.

        Returns a function that cancels that; it does no harm afterwards.
        """

    def advance(self, seconds: float) -> None:
        """Move the clock at once; alarms on the way are called, in order, each at its own time.

        Raises ``RuntimeError`` when it is the real one, ``ValueError`` for a time that is negative or
        not finite, ``TypeError`` for what is no number.
        """

    def close(self) -> None:
        """No alarm any more, and no thread left.  New alarms can be set afterwards."""


class Alarm:
    """A call that waits for its time, in nanoseconds; ``owner`` is the clock it was set on."""

    _numbers = itertools.count()

    def __init__(self, when: int, call: Callable[[], object], owner: Clock) -> None:
        self.when = when
        self.owner = owner
        self.call: Callable[[], object] | None = call
        self._number = next(self._numbers)

    def __lt__(self, other: Alarm) -> bool:
        return (self.when, self._number) < (other.when, other._number)

    def cancel(self) -> None:
        """Do not call it any more."""
        self.call = None

    def go_off(self) -> None:
        """Call it, once."""
        call, self.call = self.call, None
        if call is not None:
            call()


class Alarms:
    """Alarms in the order of their times, and those of the same time in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[Alarm] = []

    def add(self, alarm: Alarm) -> None:
        heapq.heappush(self._heap, alarm)

    def first(self) -> Alarm | None:
        """The next one, ``None`` when no alarm is set."""
        while self._heap and self._heap[0].call is None:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def take(self, until: int) -> Alarm | None:
        """Take the next one out if its time comes no later than that."""
        first = self.first()
        return heapq.heappop(self._heap) if first is not None and first.when <= until else None

    def take_of(self, owner: Clock) -> list[Alarm]:
        """Take all those of one clock out."""
        taken = [alarm for alarm in self._heap if alarm.owner is owner]
        self._heap = [alarm for alarm in self._heap if alarm.owner is not owner]
        heapq.heapify(self._heap)
        return taken


# --- the real one

_nowhere = contextlib.nullcontext()


class RealClock:
    """The machine's clock.

    One daemon thread calls the alarms.  It is there only while one is set.
    """

    inside = outside = _nowhere

    def __init__(self) -> None:
        self._made = _real_time()
        self._alarms = Alarms()
        self._changed = forking.lock(threading.Condition())
        self._thread: threading.Thread | None = None
        forking.know(self)

    def time(self) -> float:
        """Seconds since the epoch."""
        return _real_time()

    @property
    def elapsed(self) -> float:
        """The seconds that have passed since it was made."""
        return _real_time() - self._made

    def advance(self, seconds: float) -> None:
        """Raises ``RuntimeError``: nobody moves this clock."""
        raise RuntimeError('the real clock cannot be moved: use patch(clock="virtual")')

    def call_at(self, when: float, call: Callable[[], object]) -> Callable[[], None]:
        """Have ``call`` called once, in the clock's thread; returns a function that cancels that."""
        alarm = Alarm(nanoseconds(when), call, self)
        with self._changed:
            self._alarms.add(alarm)
            self._changed.notify()
            if self._thread is None:
                self._start()

        def cancel() -> None:
            with self._changed:
                alarm.cancel()
                self._changed.notify()

        return cancel

    def close(self) -> None:
        """Cancel every alarm and wait for the thread to end, unless this is it."""
        with self._changed:
            self._alarms = Alarms()
            self._changed.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def go_on_alone(self) -> None:
        """Have a thread of its own in a forked copy of the process, if an alarm is set."""
        if self._thread is not None and not self._thread.is_alive():
            self._thread = None
            if self._alarms.first() is not None:
                self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="comfystub clock", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while (alarm := self._next()) is not None:
                alarm.go_off()
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    # An alarm has raised: that ends this thread, and must not end the others' chances.
                    self._thread = None
                    if self._alarms.first() is not None:
                        self._start()

    def _next(self) -> Alarm | None:
        """Wait for the next alarm's time; ``None``, and this thread counts no more, when none is set."""
        with self._changed:
            while (first := self._alarms.first()) is not None:
                now = nanoseconds(_real_time())
                if first.when <= now:
                    return self._alarms.take(now)
                self._changed.wait(min((first.when - now) / SECOND, threading.TIMEOUT_MAX))
            self._thread = None
            return None


# --- the virtual one


class Inside:
    """The threads that are inside a stub; as a context manager, it makes this thread one of them."""

    def __init__(self) -> None:
        #: How often each of them has entered.
        self.threads: dict[int, int] = {}
        forking.know(self)

    def __enter__(self) -> None:
        me = threading.get_ident()
        self.threads[me] = self.threads.get(me, 0) + 1

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        me = threading.get_ident()
        self.threads[me] -= 1
        if not self.threads[me]:
            del self.threads[me]

    def go_on_alone(self) -> None:
        """In a forked copy of the process, no other thread is inside."""
        for thread in self.threads.keys() - {threading.get_ident()}:
            del self.threads[thread]


class Outside:
    """A block in which this thread, however often it has entered, is not inside."""

    def __init__(self, inside: Inside) -> None:
        self._threads = inside.threads
        self._depth = 0

    def __enter__(self) -> None:
        self._depth = self._threads.pop(threading.get_ident(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._depth:
            self._threads[threading.get_ident()] = self._depth


class Timeline:
    """Time that moves only when it is moved, in whole nanoseconds, so that sums are exact.

    Several clocks may be on one timeline, each with a time of its own.
    """

    def __init__(self) -> None:
        self.elapsed = 0
        self.alarms = Alarms()
        self.inside = Inside()
        #: Guards the alarms, is notified of every move; never held while an alarm is called.
        self.changed = forking.lock(threading.Condition())

    def move(self, until: int) -> bool:
        """Move to the next alarm that is due by then and call it, or to then; whether there was one."""
        with self.changed:
            alarm = self.alarms.take(until)
            self.elapsed = max(self.elapsed, until if alarm is None else alarm.when)
            self.changed.notify_all()
        if alarm is None:
            return False
        with self.inside:
            alarm.go_off()
        return True

    def move_through(self, until: int) -> None:
        """Move to a time, by all the alarms on the way."""
        while self.move(until):
            continue


class VirtualClock:
    """A clock that stands still until it is moved.

    It begins at ``start``, in seconds since the epoch; ``None`` is the real time at its first use, up to
    the next whole second.
    """

    def __init__(self, start: float | None = None) -> None:
        #: The timeline it is on.
        self.timeline = Timeline()
        # What the timeline's elapsed time lacks of this clock's own.
        self._ahead = 0
        self._start = None if start is None else nanoseconds(start)

    @property
    def start(self) -> int:
        """Where it began, in nanoseconds since the epoch."""
        if self._start is None:
            self._start = whole_second(_real_time_ns())
        return self._start

    @property
    def elapsed(self) -> float:
        """The seconds it has moved since it was made."""
        return (self.timeline.elapsed + self._ahead) / SECOND

    @property
    def inside(self) -> Inside:
        """A block in which this thread is inside the stub."""
        return self.timeline.inside

    @property
    def outside(self) -> Outside:
        """A block within ``inside`` in which this thread only waits for another one."""
        return Outside(self.timeline.inside)

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.time_ns() / SECOND

    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self.start + self._ahead + self.timeline.elapsed

    def advance(self, seconds: float) -> None:
        """Move the clock at once; alarms on the way are called, in order, each at its own time.

        Raises ``ValueError`` for a time that is negative or not finite, ``TypeError`` for what is no
        number.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            raise TypeError(f"advance() takes a number of seconds, not {seconds!r}")
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"advance() takes a number of seconds from 0 on, not {seconds!r}")
        self.timeline.move_through(self.timeline.elapsed + nanoseconds(seconds))

    def call_at(self, when: float, call: Callable[[], object]) -> Callable[[], None]:
        """Have ``call`` called once, by whoever moves the clock; returns a function that cancels that."""
        # A time of day is a float that is exact to a fraction of a microsecond; so the sum of a time and a
        # pause is, to the microsecond, what it was meant to be.
        since_start = round((when * SECOND - self.start) / _MICROSECOND) * _MICROSECOND
        timeline = self.timeline
        with timeline.changed:
            alarm = Alarm(since_start - self._ahead, call, self)
            timeline.alarms.add(alarm)
        return alarm.cancel

    def close(self) -> None:
        """Cancel every alarm."""
        with self.timeline.changed:
            self.timeline.alarms.take_of(self)

    def join(self, timeline: Timeline) -> None:
        """Go on, from where it is, on another timeline, and its alarms with it."""
        before = self.timeline
        with before.changed:
            alarms = before.alarms.take_of(self)
        with timeline.changed:
            shift = timeline.elapsed - before.elapsed
            self._ahead -= shift
            for alarm in alarms:
                alarm.when += shift
                timeline.alarms.add(alarm)
            self.timeline = timeline
            timeline.changed.notify_all()

    def part(self) -> None:
        """Go on, from where it is, on a timeline of its own."""
        self.join(Timeline())
