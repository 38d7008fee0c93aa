"""When virtual time may jump: who waits for it, and who is busy.

It is a simulation of events.  Whoever waits says until when; when all that are known to be there wait,
time jumps to what comes first.  A thread that nobody knows anything about may be busy: for its sake a
quiet moment has to pass really before a jump.  Time is never slower than real time, though: after as
much of that as the jump is long, it is made whoever is busy.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator

from comfystub.engine import forking
from comfystub.engine.clock import SECOND, Timeline, nanoseconds
from comfystub.transports.quiet import QUIET, Moment

_real_ns = time.monotonic_ns

#: How long somebody sleeps at a time who is woken when it is his turn, or has nothing to wait for, and the
#: least that anybody does.
SHORT_SLEEP, SHORTEST_SLEEP = 0.01, 0.0001

#: How often the time can be asked for in a row before that alone moves it: at first by so many nanoseconds,
#: then, after as many times again, by ten times as much.
READS = 1_000
NUDGE, LARGEST_NUDGE = SECOND // 1_000, SECOND

#: Waits really, at most as long as it is told, for what is waited for; whether that came.
Wait = Callable[[float], bool]


class Released(Exception):
    """The wait goes on in real time, for so many ``seconds``: no virtual clock is in force any more.

    ``None`` is without end.
    """

    def __init__(self, seconds: float | None) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Waiter:
    """A thread that waits until a time in nanoseconds, ``math.inf`` for without end.

    ``ready`` says, in whatever thread, whether what it waits for is there; ``None`` when nobody else
    can know.  ``leads`` says whether it can move the time.
    """

    _numbers = itertools.count()

    def __init__(self, until: float, ready: Callable[[], bool] | None, leads: bool = True) -> None:
        self.until = until
        self.ready = ready
        self.leads = leads
        self.thread = threading.get_ident()
        self.since = _real_ns()
        self.number = next(self._numbers)

    def __lt__(self, other: Waiter) -> bool:
        return (self.until, self.number) < (other.until, other.number)


class ExecutorCall:
    """A call that an event loop gave to another thread; ``thread`` is that, once it has begun."""

    thread: int | None = None


class Waiters:
    """All who wait on a timeline, as long as virtual clocks that share it are in force."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._over = False
        self._waiters: list[Waiter] = []
        self._calls: weakref.WeakSet[ExecutorCall] = weakref.WeakSet()
        # Grows with whatever a decision to jump depends on.
        self._version = 0
        self._moved = _real_ns()
        # How often the time was asked for in a row, and what it was then.
        self._reads = 0
        self._read_at = timeline.elapsed
        forking.know(self)

    def release(self) -> None:
        """Have all who wait go on in real time."""
        with self.timeline.changed:
            self._over = True
            self.timeline.changed.notify_all()

    def go_on_alone(self) -> None:
        """In a forked copy of the process, no other thread waits, and no event loop for one."""
        me = threading.get_ident()
        self._waiters = [waiter for waiter in self._waiters if waiter.thread == me]
        self._calls.clear()
        self._version += 1

    # --- waiting

    def wait(
        self,
        seconds: float | None,
        *,
        ready: Callable[[], bool] | None = None,
        really: Wait | None = None,
        returns_early: bool = False,
    ) -> bool:
        """Wait for what ``ready`` or ``really`` say, or so many seconds; whether it came.

        ``really`` waits for it in real time, too; without it nothing but time and other waiters can
        bring it.  ``returns_early`` lets the wait end after an alarm, too.  Raises ``Released``.
        """
        until = math.inf if seconds is None else self.timeline.elapsed + nanoseconds(seconds)
        waiter = Waiter(until, ready if ready or really else _never)
        came = ready or (_never if really is None else lambda: really(0))
        quiet = False
        with self._among(waiter):
            while True:
                # Before what is waited for is looked for: who brings it afterwards was seen to be there.
                version, calm = self._look(waiter, quiet)
                if came():
                    return True
                if self.timeline.elapsed >= until:
                    return False
                if self._over:
                    raise Released(None if seconds is None else (until - self.timeline.elapsed) / SECOND)
                alarm_rang = self._jump(waiter, version, calm)
                if alarm_rang and returns_early:
                    return False
                quiet = False
                if alarm_rang is None:
                    came_really, quiet = self._pause(waiter, really)
                    if came_really:
                        return True

    @contextlib.contextmanager
    def waiting(self, ready: Callable[[], bool] | None) -> Iterator[None]:
        """A block in which this thread waits really, without end, for what others do."""
        with self._among(Waiter(math.inf, ready, leads=False)):
            yield

    @contextlib.contextmanager
    def _among(self, waiter: Waiter) -> Iterator[None]:
        self._add(waiter)
        try:
            yield
        finally:
            self._remove(waiter)

    def _add(self, waiter: Waiter) -> None:
        with self.timeline.changed:
            self._waiters.append(waiter)
            self._version += 1

    def _remove(self, waiter: Waiter) -> None:
        with self.timeline.changed:
            self._waiters.remove(waiter)
            self._version += 1
            self.timeline.changed.notify_all()

    def _pause(self, waiter: Waiter, really: Wait | None) -> tuple[bool, bool]:
        """Let a moment pass really: whether what is waited for came, and whether it was a quiet one."""
        leads = self._leader() is waiter
        ahead = max(self._goal(waiter) - self.timeline.elapsed, 0) / SECOND
        # Where the jump is shorter than a quiet moment, time need not be slower than real time for it.
        longest = QUIET if leads and ahead < math.inf else SHORT_SLEEP
        seconds = max(min(longest, ahead), SHORTEST_SLEEP)
        version, moment = self._version, Moment()
        came = False
        if really is not None:
            came = really(seconds)
        else:
            with self.timeline.changed:
                self.timeline.changed.wait(seconds)
        # One in which somebody began or ended to wait was not quiet.
        return came, leads and self._version == version and moment.was_quiet()

    # --- jumping

    def _leader(self) -> Waiter | None:
        """The one who waits for what comes first: nobody else moves the time."""
        return min((waiter for waiter in list(self._waiters) if waiter.leads), default=None)

    def _goal(self, waiter: Waiter) -> float:
        """When something happens next."""
        with self.timeline.changed:
            alarm = self.timeline.alarms.first()
            return waiter.until if alarm is None else min(alarm.when, waiter.until)

    def _look(self, waiter: Waiter, quiet: bool) -> tuple[int, bool]:
        """The state of things now, and whether a jump may be made if that is the same then."""
        with self.timeline.changed:
            return self._version, self._is_calm(waiter, quiet)

    def _jump(self, waiter: Waiter, version: int, calm: bool) -> bool | None:
        """Jump if it may be: whether an alarm was called then, ``None`` if it may not."""
        timeline = self.timeline
        with timeline.changed:
            others = [other for other in self._waiters if other is not waiter]
        # Asked without the lock, since they may take others.
        if any(map(self._is_awake, others)):
            return None
        goal = self._goal(waiter)
        if goal == math.inf:
            return None
        with timeline.changed:
            if self._version != version or self._leader() is not waiter:
                return None
            length = goal - timeline.elapsed
            if not (calm or self._passed(waiter) >= length):
                return None
            # Who calls an alarm does not wait.
            self._waiters.remove(waiter)
            self._version += 1
            self._moved = _real_ns()
        try:
            return timeline.move(int(goal))
        finally:
            self._add(waiter)

    def _is_awake(self, waiter: Waiter) -> bool:
        """Whether a waiter is about to go on."""
        return waiter.until <= self.timeline.elapsed or (waiter.ready is not None and waiter.ready())

    def _passed(self, waiter: Waiter) -> int:
        """The real time for which a waiter could have moved the time and did not."""
        return _real_ns() - max(self._moved, waiter.since)

    def _is_calm(self, leader: Waiter, quiet: bool) -> bool:
        """Whether nobody is busy, as far as can be known."""
        waiting = {waiter.thread for waiter in self._waiters}
        if not waiting.issuperset(list(self.timeline.inside.threads)):
            return False
        calls = {call.thread for call in self._calls}
        begun = calls - {None}
        # One that has not begun will do so at once, unless others keep the threads to themselves.
        if not waiting.issuperset(begun) or (calls and not begun):
            return False
        known = {waiter.thread for waiter in self._waiters if waiter.ready is not None} | {leader.thread}
        return quiet or (threading.active_count() <= len(known) and None not in calls)

    # --- calls in other threads

    def begin_call(self) -> ExecutorCall:
        """An event loop gives a call to another thread; until ``end_call`` the loop has no result."""
        call = ExecutorCall()
        with self.timeline.changed:
            self._calls.add(call)
        return call

    def end_call(self, call: ExecutorCall) -> None:
        """The event loop has its result, or does not want it any more."""
        with self.timeline.changed:
            self._calls.discard(call)

    # --- being asked for the time

    def count_read(self) -> None:
        """Somebody has asked for the time: who does nothing else would wait for ever for it to move."""
        if self.timeline.elapsed != self._read_at:
            self._reads = 0
        self._reads += 1
        if self._reads > READS:
            self._nudge(min(NUDGE * 10 ** (self._reads // READS - 1), LARGEST_NUDGE))
        self._read_at = self.timeline.elapsed

    def _nudge(self, length: int) -> None:
        """Move a little, but past nobody who waits."""
        with self.timeline.changed:
            first = min((waiter.until for waiter in self._waiters), default=math.inf)
        self.timeline.move_through(int(min(self.timeline.elapsed + length, first)))


def _never() -> bool:
    return False
