"""Who hears what: the clients that listen, and the delivery of events to them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sized
from typing import Any

from comfystub.engine import forking
from comfystub.engine.clock import Clock
from comfystub.engine.events import (
    BROADCAST,
    Event,
    Mark,
    NodeState,
    Preview,
    event_of,
    frame_of,
    node_of,
)
from comfystub.engine.faults import EventFacts, Faults
from comfystub.engine.job import Job
from comfystub.engine.sessions import Session, SocketRecord
from comfystub.engine.tampering import Tampering

Tap = Callable[[Event], None]
#: Makes what faults ask about a message on its way to a client.
MakeFacts = Callable[[Session], EventFacts]


class Hub:
    """The listening clients by id.

    A newer session takes an id over.  When the older one closes, the id is dropped all the same and
    the newer hears nothing more: ComfyUI does so, and clients meet it.  ``noted`` is the time that
    records of sockets have.
    """

    def __init__(self, faults: Faults, clock: Clock, noted: Callable[[], float]) -> None:
        self._sessions: dict[str, Session] = {}
        self._taps: list[Tap] = []
        self._noted = noted
        #: Every socket that was opened, in that order.
        self.records: list[SocketRecord] = []
        #: Held while something is told, and while something happens that has to be told in its turn.
        self.lock = forking.lock(threading.RLock())
        self._tampering = Tampering(faults, clock, self.disconnect, self.lock)

    def connect(self, client_id: str) -> Session:
        """A session of that name."""
        session = self._sessions[client_id] = Session(client_id, self._noted())
        self.records.append(session.record)
        return session

    def disconnect(self, session: Session) -> None:
        if session.record.is_open:
            session.record.closed = self._noted()
            self._sessions.pop(session.client_id, None)

    def reaches(self, session: Session) -> bool:
        """Whether a session is told anything: it was not taken over, its id not dropped, nothing stalls."""
        return self._sessions.get(session.client_id) is session and not self._tampering.is_stalled(session)

    def tap(self, tap: Tap) -> Callable[[], None]:
        """Hand every event to ``tap`` too; call what is returned to stop that."""
        self._taps.append(tap)
        return lambda: self._taps.remove(tap)

    def greet(self, session: Session, event: Event) -> None:
        """Tell one client something that no job is the cause of."""
        self._deliver(event.type, event.frame, [session], _facts_of(event))

    def status(self, queue: Sized) -> None:
        """Tell everyone how many prompts run and wait."""
        if self._sessions or self._taps:
            with self.lock:
                event = status_event(len(queue))
                self._deliver("status", event.frame, list(self._sessions.values()), _facts_of(event))
            self._show(event)

    def send(self, mark: Mark, job: Job, states: Mapping[str, NodeState]) -> None:
        """Deliver an event of a prompt to those who are to hear it."""
        listeners = self._listeners(mark[0], job.client_id) if self._sessions else ()
        if mark[0] == "preview":
            listeners = [one for one in listeners if not one.features.get("supports_preview_metadata")]
        if listeners:
            self._deliver(
                mark[0], frame_of(mark, job.id, states), listeners, _facts_of_mark(mark, job, states)
            )
        if self._taps:
            self._show(event_of(mark, job.id, states))

    def send_preview_with_metadata(self, preview: Preview, job: Job) -> None:
        """Deliver a picture to the clients that know frames with metadata: they get it first."""
        for session in self._listeners("preview", job.client_id) if self._sessions else ():
            if session.features.get("supports_preview_metadata"):
                frame = preview.frame_with_metadata(job.id)
                self._deliver("preview", frame, [session], _facts_of_mark(("preview", preview), job, {}))

    def flush(self) -> None:
        """Deliver what waits for other messages, when none are to come."""
        with self.lock:
            self._tampering.flush()

    def _listeners(self, kind: str, client_id: str | None) -> Collection[Session]:
        if kind == "text" or (client_id is None and kind in BROADCAST):
            return list(self._sessions.values())
        # A client may call itself what it likes; only a text can be the name of a socket.
        session = self._sessions.get(client_id) if isinstance(client_id, str) else None
        return [session] if session else []

    def _deliver(
        self, kind: str, frame: str | bytes, listeners: Collection[Session], facts: MakeFacts
    ) -> None:
        # Several threads may tell something at a time: all hear it in one order.
        with self.lock:
            if self._tampering.active:
                for session in listeners:
                    self._tampering.deliver(session, (kind, frame), facts(session))
            else:
                for session in listeners:
                    session.deliver(kind, frame)

    def _show(self, event: Event) -> None:
        for tap in list(self._taps):
            tap(event)


def _facts_of(event: Event) -> MakeFacts:
    return lambda session: EventFacts(event.type, lambda: event, None, None, session.client_id)


def _facts_of_mark(mark: Mark, job: Job, states: Mapping[str, NodeState]) -> MakeFacts:
    def facts(session: Session) -> EventFacts:
        make = lambda: event_of(mark, job.id, states)  # noqa: E731 - called only by conditions that look
        return EventFacts(mark[0], make, job, node_of(mark), session.client_id)

    return facts


def status_event(remaining: int, sid: str | None = None) -> Event:
    """The ``status`` message; the one a new socket is greeted with says its ``sid``."""
    data: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": remaining}}}
    return Event("status", data if sid is None else data | {"sid": sid})
