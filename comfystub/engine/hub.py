"""Who hears what: the clients that listen, and the delivery of events to them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sized
from typing import Any

from comfystub.engine.events import BROADCAST, Event, Mark, NodeState, Preview, event_of, frame_of

Tap = Callable[[Event], None]


class Session:
    """One client's end of a WebSocket: what was sent to it and not read yet."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        #: What the client announced in its ``feature_flags`` message.
        self.features: Mapping[str, Any] = {}
        self.unread: deque[str | bytes] = deque()
        #: Called, in the thread of whoever sends, when there is something to read.
        self.wake: Callable[[], None] = _nobody_waits

    def deliver(self, frame: str | bytes) -> None:
        """Put a frame where the client reads it."""
        self.unread.append(frame)
        self.wake()


def _nobody_waits() -> None:
    """Stands in for whoever is to be told that there is something to read."""


class Hub:
    """The listening clients by id.

    A newer session takes an id over.  When the older one closes, the id is dropped all the same and
    the newer hears nothing more: ComfyUI does so, and clients meet it.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._taps: list[Tap] = []
        #: Held while something is told, and while something happens that has to be told in its turn.
        self.lock = threading.RLock()

    def connect(self, session: Session) -> None:
        self._sessions[session.client_id] = session

    def disconnect(self, session: Session) -> None:
        self._sessions.pop(session.client_id, None)

    def reaches(self, session: Session) -> bool:
        """Whether a session is told anything: it was not taken over, and its id not dropped."""
        return self._sessions.get(session.client_id) is session

    def tap(self, tap: Tap) -> Callable[[], None]:
        """Hand every event to ``tap`` too; call what is returned to stop that."""
        self._taps.append(tap)
        return lambda: self._taps.remove(tap)

    def status(self, queue: Sized) -> None:
        """Tell everyone how many prompts run and wait."""
        if self._sessions or self._taps:
            with self.lock:
                event = status_event(len(queue))
                self._deliver(event.frame, list(self._sessions.values()))
            self._show(event)

    def send(
        self, mark: Mark, prompt_id: str, client_id: str | None, states: Mapping[str, NodeState]
    ) -> None:
        """Deliver an event of a prompt to those who are to hear it."""
        listeners = self._listeners(mark[0], client_id) if self._sessions else ()
        if mark[0] == "preview":
            listeners = [one for one in listeners if not one.features.get("supports_preview_metadata")]
        if listeners:
            self._deliver(frame_of(mark, prompt_id, states), listeners)
        if self._taps:
            self._show(event_of(mark, prompt_id, states))

    def _listeners(self, kind: str, client_id: str | None) -> Collection[Session]:
        if kind == "text" or (client_id is None and kind in BROADCAST):
            return list(self._sessions.values())
        # A client may call itself what it likes; only a text can be the name of a socket.
        session = self._sessions.get(client_id) if isinstance(client_id, str) else None
        return [session] if session else []

    def _deliver(self, frame: str | bytes, listeners: Collection[Session]) -> None:
        # Several threads may tell something at a time: all hear it in one order.
        with self.lock:
            for session in listeners:
                session.deliver(frame)

    def _show(self, event: Event) -> None:
        for tap in list(self._taps):
            tap(event)

    def send_preview_with_metadata(self, preview: Preview, prompt_id: str, client_id: str | None) -> None:
        """Deliver a picture to the clients that know frames with metadata: they get it first."""
        for session in self._listeners("preview", client_id) if self._sessions else ():
            if session.features.get("supports_preview_metadata"):
                session.deliver(preview.frame_with_metadata(prompt_id))


def status_event(remaining: int, sid: str | None = None) -> Event:
    """The ``status`` message; the one a new socket is greeted with says its ``sid``."""
    data: dict[str, Any] = {"status": {"exec_info": {"queue_remaining": remaining}}}
    return Event("status", data if sid is None else data | {"sid": sid})
