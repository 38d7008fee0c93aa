"""One client's end of a WebSocket, and the record that a test reads of it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Ending(NamedTuple):
    """In the place of a message: the end of the connection.

    With a ``code`` it is closed as WebSockets are; without one it breaks off, ``reset`` or not.
    """

    code: int | None = None
    reason: str = ""
    reset: bool = False


class SocketRecord:
    """A WebSocket that a client opened, as the test sees it.

    ``sent`` counts the messages that the client was sent, by event type; ``received`` are the texts
    that it sent.  Times are seconds on the stub's clock, ``closed`` is ``None`` while it is open.
    ``close_code`` is what it was closed with, ``None`` without a proper close.
    """

    def __init__(self, client_id: str, opened: float) -> None:
        self.client_id = client_id
        self.opened = opened
        self.closed: float | None = None
        self.sent: Counter[str] = Counter()
        self.received: list[str] = []
        self.close_code: int | None = None

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<SocketRecord {self.client_id} {state}, {self.sent.total()} messages>"

    @property
    def is_open(self) -> bool:
        return self.closed is None


class Session:
    """What was sent to one client and not read yet."""

    def __init__(self, client_id: str, opened: float) -> None:
        self.client_id = client_id
        self.record = SocketRecord(client_id, opened)
        #: What the client announced in its ``feature_flags`` message.
        self.features: Mapping[str, Any] = {}
        self.unread: deque[str | bytes | Ending] = deque()
        #: Called, in the thread of whoever sends, when there is something to read.
        self.wake: Callable[[], None] = _nobody_waits

    def deliver(self, kind: str, frame: str | bytes) -> None:
        """Put a message where the client reads it."""
        self.record.sent[kind] += 1
        self.unread.append(frame)
        self.wake()

    def end(self, ending: Ending) -> None:
        """Let the connection end, once the client has read what was sent before."""
        self.unread.append(ending)
        self.wake()


def _nobody_waits() -> None:
    """Stands in for whoever is to be told that there is something to read."""
