"""Where a server lies: at the root of an address, or below a path of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from comfystub.engine.clock import Clock, RealClock
from comfystub.server.http import Request, Response
from comfystub.server.server import UNKNOWN_PATH, Connected
from comfystub.server.sockets import Socket


class Responder(Protocol):
    """A server without I/O, or several that take turns."""

    @property
    def clock(self) -> Clock: ...

    @property
    def troubled(self) -> bool:
        """Whether a call may meet something that only the bytes of its answer show."""

    def admits(self, call: Request | None = None) -> bool:
        """Whether somebody listens to a client that connects now, to make a call if that is known."""

    def expect(self, call: Request) -> None:
        """A client is about to make a call, over a connection that it has or makes for it."""

    def turn(self) -> Answering:
        """Who answers the next call."""


class Answering(Protocol):
    """A server whose turn it is."""

    @property
    def clock(self) -> Clock: ...

    def attach(self, connection: Connected) -> None: ...

    def respond(self, request: Request) -> Response: ...

    def open_socket(self, request: Request) -> Socket: ...


class Place(NamedTuple):
    """Where a call goes: to which server, and below which path that one lies."""

    responder: Responder
    prefix: str

    def request(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Request:
        """A request as the server sees it, which knows nothing of the path it lies below."""
        return Request(method, path.removeprefix(self.prefix) or "/", query, headers, body)


class _Nobody:
    """What lies beside a server that lies below a path."""

    clock = RealClock()
    troubled = False

    def admits(self, call: Request | None = None) -> bool:
        return True

    def expect(self, call: Request) -> None:
        """Whoever calls."""

    def turn(self) -> _Nobody:
        return self

    def attach(self, connection: Connected) -> None:
        """It never goes down."""

    def respond(self, request: Request) -> Response:
        return UNKNOWN_PATH._replace(headers=(*UNKNOWN_PATH.headers, ("Content-Length", "0")))

    def open_socket(self, request: Request) -> Socket:
        raise LookupError(f"nobody answers at {request.path}")


NOBODY = Place(_Nobody(), "")


def lies_below(path: str, prefix: str) -> bool:
    """Whether a path belongs to a server that lies below ``prefix``."""
    return not prefix or path == prefix or path.startswith(prefix + "/")
