"""What becomes of an answer that a fault spoils, for clients that are answered without any bytes.

The ready-made httpx transports and the mounts have no connection that could break.  What a library
would raise is raised by its name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from comfystub.engine.clock import Clock, VirtualClock
from comfystub.server.http import CLOSES, REFUSES, RESETS, Response

#: A read time-out, and a body that ends too early; the other failures are the ways a connection ends.
TIMES_OUT, ENDS_EARLY = "times out", "ends early"

#: What httpx and requests raise, by the name of the exception.
HTTPX: Mapping[str, str] = {
    TIMES_OUT: "ReadTimeout",
    ENDS_EARLY: "RemoteProtocolError",
    RESETS: "ReadError",
    CLOSES: "RemoteProtocolError",
    REFUSES: "ConnectError",
}
REQUESTS: Mapping[str, str] = {
    TIMES_OUT: "ReadTimeout",
    ENDS_EARLY: "ChunkedEncodingError",
    RESETS: "ConnectionError",
    CLOSES: "ConnectionError",
    REFUSES: "ConnectionError",
}
#: What it is told with.
MESSAGES: Mapping[str, str] = {
    TIMES_OUT: "timed out",
    ENDS_EARLY: "peer closed connection without sending complete message body",
    RESETS: "Connection reset by peer",
    CLOSES: "Server disconnected without sending a response.",
    REFUSES: "Connection refused",
}


class Outcome(NamedTuple):
    """How long a client waits, in seconds, and what goes wrong then, if anything does."""

    wait: float = 0.0
    failure: str | None = None


def outcome(response: Response, patience: float | None) -> Outcome:
    """What becomes of an answer; ``patience`` is the client's read time-out in seconds."""
    delivery = response.delivery
    if delivery is None:
        return Outcome()
    never = delivery.silent and not delivery.ends
    if never or (patience is not None and delivery.after > patience):
        return Outcome(patience or 0.0, TIMES_OUT)
    if delivery.silent:
        return Outcome(delivery.after, delivery.ends)
    sent = len(response.body[: delivery.sent])
    return Outcome(delivery.after, ENDS_EARLY if sent < len(response.body) + delivery.more else None)


def whole(response: Response) -> Response:
    """An answer as it is read by its length: of one that says to be shorter, the rest is not read."""
    delivery = response.delivery
    if delivery is None or delivery.more >= 0:
        return response
    return response._replace(body=response.body[: max(0, len(response.body) + delivery.more)])


def pause(clock: Clock, seconds: float) -> None:
    """Let so many seconds go by on the server's clock."""
    if isinstance(clock, VirtualClock):
        clock.advance(seconds)
    elif seconds:
        time.sleep(seconds)
