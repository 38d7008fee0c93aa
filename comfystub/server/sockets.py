"""The server's end of a WebSocket, above the frames: what a client is told, and what it may say."""

from __future__ import annotations

import json
from collections.abc import Iterator

from comfystub.engine.events import Event
from comfystub.engine.hub import status_event
from comfystub.engine.sessions import Ending
from comfystub.server.state import State
from comfystub.server.system import features


class Socket:
    """One client's connection.

    ``client_id`` is what the client calls itself; without one the server makes a name.
    """

    def __init__(self, server: State, client_id: str | None = None) -> None:
        self._server = server
        self._engine = server.engine
        self._heard_object = False
        with self._engine.hub.lock:  # nothing is told before the greeting
            self.session = self._engine.hub.connect(client_id or self._engine.new_id().replace("-", ""))
            self._greet()

    def _greet(self) -> None:
        self._deliver(status_event(len(self._engine.queue), self.session.client_id))
        running = self._engine.queue.running
        if running is not None and running.client_id == self.session.client_id and running.current_node:
            self._deliver(Event("executing", {"node": running.current_node}))

    def _deliver(self, event: Event) -> None:
        self._engine.hub.greet(self.session, event)

    def hear(self, message: str | bytes) -> None:
        """Take a message of the client's.

        The first one that is a JSON object counts, when it announces the client's features.
        """
        if isinstance(message, bytes):
            return
        self.session.record.received.append(message)
        if self._heard_object:
            return
        try:
            said = json.loads(message)
        except ValueError:
            return
        if isinstance(said, dict):
            self._heard_object = True
            if said.get("type") == "feature_flags":
                theirs = said.get("data")
                self.session.features = theirs if isinstance(theirs, dict) else {}
                self._deliver(Event("feature_flags", features(self._server)))

    def unread(self) -> Iterator[str | bytes | Ending]:
        """What was said and not read yet; it is read now."""
        waiting = self.session.unread
        while waiting:
            yield waiting.popleft()

    def poll(self) -> bool:
        """Whether something is there to be read, or would be if the client read.

        If not, the session is woken when that may have changed.
        """
        return bool(self.session.unread) or (self._is_told and self._engine.can_move(self.session.wake))

    def move(self) -> bool:
        """Let the server move by a beat for a client that waits for something to read; whether it did."""
        return self._is_told and self._engine.pull()

    @property
    def _is_told(self) -> bool:
        # One that is not would read and read, and move everything in vain.
        return self._engine.hub.reaches(self.session)

    def close(self) -> None:
        """Take the client off the list of those who listen."""
        self._engine.hub.disconnect(self.session)
