"""What faults do to the messages on their way to one client."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from comfystub.engine.clock import Clock
from comfystub.engine.faults import (
    Added,
    Doubled,
    Dropped,
    EventFacts,
    Fault,
    Faults,
    Held,
    SocketEnds,
    SocketStalls,
    effect_of,
    fault_of,
)
from comfystub.engine.sessions import Ending, Session

Frame = tuple[str, "str | bytes"]


@dataclass
class _Held:
    """A message that comes after so many others."""

    frame: Frame
    events: int


@dataclass
class _Lane:
    """The way to one client: the messages that wait on it, and the fault that has stalled it."""

    held: list[_Held] = field(default_factory=list)
    stalled: list[Frame] = field(default_factory=list)
    stalled_by: Fault | None = None


class Tampering:
    """Delivers messages as the faults in force let it; ``disconnect`` takes a client off the list.

    ``lock`` is held by whoever delivers.
    """

    def __init__(
        self,
        faults: Faults,
        clock: Clock,
        disconnect: Callable[[Session], None],
        lock: AbstractContextManager[object],
    ) -> None:
        self._faults = faults
        self._clock = clock
        self._disconnect = disconnect
        self._lock = lock
        self._lanes: weakref.WeakKeyDictionary[Session, _Lane] = weakref.WeakKeyDictionary()
        faults.changed_for.append(self._let_go)

    @property
    def active(self) -> bool:
        """Whether messages have to come this way."""
        return bool(self._lanes) or self._faults.armed("delivery")

    def is_stalled(self, session: Session) -> bool:
        """Whether nothing comes to a client, whatever is sent."""
        lane = self._lanes.get(session)
        return lane is not None and lane.stalled_by is not None

    def deliver(self, session: Session, frame: Frame, facts: EventFacts) -> None:
        """Deliver a message, or what becomes of it."""
        lane = self._lanes.get(session)
        if lane is not None and lane.stalled_by is not None:
            lane.stalled.append(frame)
            return
        struck = self._faults.strike("delivery", facts)
        if (ends := effect_of(SocketEnds, struck)) is not None:
            self._disconnect(session)
            session.end(Ending(ends.code, ends.reason, ends.reset))
        elif (stalls := effect_of(SocketStalls, struck)) is not None:
            self._stall(session, fault_of(stalls, struck), stalls.seconds, frame)
        elif effect_of(Dropped, struck) is None:
            self._pass_on(session, frame, struck)

    def _pass_on(self, session: Session, frame: Frame, struck: list[Fault]) -> None:
        frames = [frame] * (1 if effect_of(Doubled, struck) is None else 2)
        if (added := effect_of(Added, struck)) is not None:
            extra = (added.event.type, added.event.frame)
            frames = [extra, *frames] if added.before else [*frames, extra]
        held = effect_of(Held, struck)
        for one in frames:
            if held is None or one is not frame:
                self._send(session, one)
            elif held.events:
                self._lane(session).held.append(_Held(one, held.events))
            else:
                self._clock.call_at(self._faults.now() + held.seconds, self._later(session, one))

    def _send(self, session: Session, frame: Frame) -> None:
        """Send a message, and those that have waited for it."""
        session.deliver(*frame)
        lane = self._lanes.get(session)
        if lane is None:
            return
        waiting, lane.held = lane.held, []
        for held in waiting:
            held.events -= 1
        lane.held = [held for held in waiting if held.events > 0] + lane.held
        for held in waiting:
            if held.events <= 0:
                self._send(session, held.frame)

    def flush(self) -> None:
        """Send what waits for other messages: no more are to come."""
        for session, lane in list(self._lanes.items()):
            waiting, lane.held = lane.held, []
            for held in waiting:
                self._arrive(session, held.frame)

    def _later(self, session: Session, frame: Frame) -> Callable[[], None]:
        def arrive() -> None:
            with self._lock:
                self._arrive(session, frame)

        return arrive

    def _arrive(self, session: Session, frame: Frame) -> None:
        """Deliver a message that has waited, if there is still somebody whom it can reach by now."""
        if self.is_stalled(session):
            self._lane(session).stalled.append(frame)
        elif session.record.is_open:
            session.deliver(*frame)

    def _stall(self, session: Session, fault: Fault, seconds: float, frame: Frame) -> None:
        lane = self._lane(session)
        lane.stalled_by = fault
        lane.stalled.append(frame)
        until = min(self._faults.now() + seconds, fault.until)
        if until < math.inf:
            self._clock.call_at(until, lambda: self._go_on(session, lane, fault))

    def _let_go(self) -> None:
        """Let go what faults that were lifted held up."""
        for session, lane in list(self._lanes.items()):
            if lane.stalled_by is not None and lane.stalled_by.lifted:
                self._go_on(session, lane, lane.stalled_by)

    def _go_on(self, session: Session, lane: _Lane, fault: Fault) -> None:
        """Send what a fault has held back, unless another one holds it back by now."""
        with self._lock:
            if lane.stalled_by is not fault:
                return
            lane.stalled_by = None
            waiting, lane.stalled = lane.stalled, []
            for frame in waiting:
                self._arrive(session, frame)
        session.wake()

    def _lane(self, session: Session) -> _Lane:
        return self._lanes.setdefault(session, _Lane())
