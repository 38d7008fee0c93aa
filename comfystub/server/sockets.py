"""The server's end of a WebSocket, above the frames: what a client is told, and what it may say."""

from __future__ import annotations

import json

from comfystub.engine.events import Event
from comfystub.engine.hub import Session, status_event
from comfystub.server.server import Server
from comfystub.server.system import FEATURES


class Socket:
    """One client's connection.

    ``client_id`` is what the client calls itself; without one the server makes a name.
    """

    def __init__(self, server: Server, client_id: str | None = None) -> None:
        self._server = server
        self._engine = server.engine
        self._heard_object = False
        self.session = Session(client_id or self._engine.new_id().replace("-", ""))
        self._engine.hub.connect(self.session)
        self._greet()

    def _greet(self) -> None:
        self._deliver(status_event(len(self._engine.queue), self.session.client_id))
        running = self._engine.queue.running
        if running is not None and running.client_id == self.session.client_id and running.current_node:
            self._deliver(Event("executing", {"node": running.current_node}))

    def _deliver(self, event: Event) -> None:
        self.session.deliver(event.frame)

    def hear(self, message: str | bytes) -> None:
        """Take a message of the client's.

        The first one that is a JSON object counts, when it announces the client's features.
        """
        if self._heard_object or isinstance(message, bytes):
            return
        try:
            said = json.loads(message)
        except ValueError:
            return
        if isinstance(said, dict):
            self._heard_object = True
            if said.get("type") == "feature_flags":
                features = said.get("data")
                self.session.features = features if isinstance(features, dict) else {}
                self._deliver(Event("feature_flags", FEATURES))

    def read(self) -> str | bytes | None:
        """The next frame for the client; ``None`` when nothing is left that could send one."""
        while not self.session.unread:
            if not self._engine.pull():
                return None
        return self.session.unread.popleft()

    def close(self) -> None:
        """Take the client off the list of those who listen."""
        self._engine.hub.disconnect(self.session)
