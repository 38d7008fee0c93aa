"""Who moves the engine, and when: one driver at a time, beat by beat.

Nothing runs by itself: whoever needs something to happen drives, and others wait for it.  A call that
comes from inside a beat, from user code that makes a picture, say, is answered without moving
anything.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from comfystub.engine import forking
from comfystub.engine.clock import Clock
from comfystub.engine.faults import Fault
from comfystub.engine.job import Job
from comfystub.engine.queue import PromptQueue

if TYPE_CHECKING:
    from comfystub.engine.execution import Beats, Execution, Pause


class Driving(ABC):
    """The worker of one server: its beats, whose turn it is to move it, and when the next one is due."""

    def __init__(self, clock: Clock, queue: PromptQueue) -> None:
        self.clock = clock
        self.queue = queue
        #: When the beat under way happens, on the clock; ``None`` between beats.
        self.moment: float | None = None
        self._beats: Beats | None = None
        # When the next beat is due, and the fault that holds it up, until when at the latest.
        self._due = 0.0
        self._held: tuple[Fault, float] | None = None
        self._driver: int | None = None
        # Who would like to move the engine as soon as nobody else does, or as something is due.
        self._waiting: set[Callable[[], None]] = set()
        # When they are told so, and what cancels that.
        self._alarm: tuple[float, Callable[[], None]] | None = None
        self._stopped = False
        self._afterwards: list[Callable[[], None]] = []
        # Guards the queue and who drives; never held while a beat or user code runs.
        self._lock = forking.lock(threading.Condition(queue.lock))
        forking.know(self)

    def happens(self) -> float:
        """The time of what this thread does: that of the beat it is in, or of the moment."""
        moment = self.moment
        if moment is None or self._driver != threading.get_ident():
            return self.clock.time()
        return moment

    @abstractmethod
    def begin(self) -> Execution | None:
        """Take the next prompt from the queue; ``None`` when none waits."""

    @abstractmethod
    def took(self, seconds: float) -> None:
        """Something takes that long."""

    @abstractmethod
    def forget(self) -> None:
        """Be as a server that has just been started.  Only who drives may say so."""

    def put(self, job: Job) -> None:
        """Queue a job.  One that finds nothing before it can begin at once."""
        if not len(self.queue):
            self._due = self.clock.time()
        self.queue.put(job)

    # --- whether it can move

    def can_move(self, when_it_can: Callable[[], None]) -> bool:
        """Whether a client that reads its socket would move something now.

        If only somebody who drives is in the way, or the time, ``when_it_can`` is called later.
        """
        with self._lock:
            due = self._moves_at()
            if due is None:
                return False
            if self._driver is not None or due > self.clock.time():
                self._waiting.add(when_it_can)
                self._set_alarm(due)
                return False
            return True

    def _moves_at(self) -> float | None:
        """When a client that reads its socket moves something; ``None`` when it moves nothing."""
        head = self.queue.head
        return None if head is None or not head.pace.moves or self._stopped else self._next_due(head)

    def _next_due(self, head: Job) -> float:
        """When the next beat may come: when it is due, and no fault holds it up any more."""
        due = self._due if head.pace.timed else 0.0
        return max(due, self._held_until)

    @property
    def _held_until(self) -> float:
        """When a fault lets go of the next beat; 0.0 where none holds it up."""
        if self._held is None:
            return 0.0
        fault, until = self._held
        return min(until, fault.until)

    def _set_alarm(self, due: float) -> None:
        if self._driver is None and due < math.inf and (self._alarm is None or self._alarm[0] != due):
            self._cancel_alarm()
            self._alarm = due, self.clock.call_at(due, self._alarmed)

    def _alarmed(self) -> None:
        self._alarm = None
        self.wake_waiting()

    def _cancel_alarm(self) -> None:
        if self._alarm is not None:
            _, cancel = self._alarm
            cancel()
            self._alarm = None

    def wake_waiting(self) -> None:
        """Tell those who would like to move the engine to ask once more."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
        for when_it_can in waiting:
            when_it_can()

    def stands_still(self) -> bool:
        """Whether what comes next waits for the test, or for its time."""
        head = self.queue.head
        if head is None:
            return False
        return not head.pace.moves or self._next_due(head) > self.clock.time()

    # --- moving

    def pull(self) -> bool:
        """Move by a beat for a client that reads its socket, unless somebody drives; whether it moved."""
        with self._lock:
            due = self._moves_at()
            if self._driver is not None or due is None or due > self.clock.time():
                return False
            self._driver = threading.get_ident()
        with self.clock.inside:
            try:
                return self._advance()
            finally:
                self._leave()

    def step(self) -> bool:
        """Move by one beat, whether it is due or not; whether there was one."""
        turns = iter((False,))
        return self.drive(lambda: next(turns, True)) > 0

    def catch_up(self) -> None:
        """Let everything happen that is due by now."""
        if self._is_due():
            self.drive(lambda: not self._is_due())

    def _is_due(self) -> bool:
        head = self.queue.head
        return head is not None and head.pace.timed and self._next_due(head) <= self.clock.time()

    def drive(self, enough: Callable[[], bool]) -> int:
        """Move beat by beat until it is enough or nothing is left; how many beats that took.

        Another driver is waited for.  From inside a beat, and while it is stopped, nothing moves.
        """
        if not self._take_the_wheel():
            return 0
        beats = 0
        with self.clock.inside:
            try:
                while not (self._stopped or enough()) and self._advance():
                    beats += 1
            finally:
                self._leave()
        return beats

    def when_free(self, call: Callable[[], None]) -> None:
        """Call something between two beats: now, or at the end of the beat that this thread is in."""
        if not self._take_the_wheel():
            self._afterwards.append(call)
            return
        try:
            call()
        finally:
            self._leave()

    def _take_the_wheel(self) -> bool:
        """Become the driver, after whoever is; ``False`` for who drives already."""
        me = threading.get_ident()
        if self._driver == me:
            return False
        with self._lock:
            if self._driver is not None:
                with self.clock.outside:
                    self._lock.wait_for(lambda: self._driver is None)
            self._driver = me
        return True

    def _leave(self) -> None:
        """Let others drive."""
        with self._lock:
            self._driver = None
            self._lock.notify_all()
        self.wake_waiting()

    def _advance(self) -> bool:
        """One beat of the running prompt, or of the next; ``False`` when there is none or it is held up."""
        if self._held_until > self.clock.time():
            return False
        if self._beats is None:
            execution = self.begin()
            if execution is None:
                return False
            self._beats = execution.beats()
        head, now = self.queue.head, self.clock.time()
        assert head is not None
        self.moment = min(self._next_due(head), now) if head.pace.timed else now
        self._held = None
        pause = None
        try:
            pause = next(self._beats, None)
        finally:
            self._pass(head, pause)
        return True

    def _pass(self, job: Job, pause: Pause | None) -> None:
        """Be between two beats; ``None`` is behind the last one of a job, which may have raised."""
        moment = self.moment if self.moment is not None else self.clock.time()
        self.moment = None
        self._due = moment
        if pause is None:
            self._beats = None
        elif pause.work is not None:
            seconds = job.pace.seconds(pause.work)
            # To the microsecond, which is as exact as a time of day is as a float.
            self._due = round(moment + seconds, 6)
            self.took(seconds)
        if pause is not None and pause.fault is not None:
            self._held = (pause.fault, round(moment + pause.seconds, 6))
        while self._afterwards:
            self._afterwards.pop(0)()

    def abandon(self) -> None:
        """Let go of the running prompt's beats."""
        beats, self._beats, self._held = self._beats, None, None
        if beats is not None and self.moment is None:
            beats.close()

    def go_on_alone(self) -> None:
        """In a forked copy of the process, take the wheel from a thread that is not there.

        A beat that it was in has no end: the server goes on as one that has crashed and was restarted.
        """
        if self._driver in (None, threading.get_ident()):
            return
        if self.moment is not None:
            self._afterwards.clear()
            self.forget()
            self.moment = None
        self._leave()

    # --- standing still

    def stop(self) -> None:
        """Stand still: nothing moves until ``resume``."""
        self._stopped = True
        with self._lock:
            self._cancel_alarm()
        self.clock.close()

    def resume(self) -> None:
        """Move again."""
        self._stopped = False
