"""Where a server lies: at the root of an address, or below a path of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from comfystub.server.http import Request, Response
from comfystub.server.server import UNKNOWN_PATH
from comfystub.server.sockets import Socket


class Responder(Protocol):
    """A server without I/O."""

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

    def respond(self, request: Request) -> Response:
        return UNKNOWN_PATH._replace(headers=(*UNKNOWN_PATH.headers, ("Content-Length", "0")))

    def open_socket(self, request: Request) -> Socket:
        raise LookupError(f"nobody answers at {request.path}")


NOBODY = Place(_Nobody(), "")


def lies_below(path: str, prefix: str) -> bool:
    """Whether a path belongs to a server that lies below ``prefix``."""
    return not prefix or path == prefix or path.startswith(prefix + "/")
