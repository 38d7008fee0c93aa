"""Several servers behind one address."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

from comfystub.engine import forking
from comfystub.engine.clock import Clock
from comfystub.server.http import Request, Response
from comfystub.server.server import Connected, Server
from comfystub.server.sockets import Socket

BAD_GATEWAY = Response(
    502,
    (("Content-Type", "text/html"),),
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n",
)


class Balancer:
    """A load balancer: each call goes to the next server, that of a WebSocket too.

    One that does not listen is answered for with 502.
    """

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self._turns = itertools.cycle(servers)
        self._lock = forking.lock(threading.Lock())

    @property
    def clock(self) -> Clock:
        return self._servers[0].clock

    @property
    def troubled(self) -> bool:
        return any(server.troubled for server in self._servers)

    def admits(self, call: Request | None = None) -> bool:
        """The balancer itself always listens."""
        return True

    def expect(self, call: Request) -> None:
        """Its own connections live on."""

    def turn(self) -> Turn:
        with self._lock:
            return Turn(next(self._turns))


class Turn:
    """A server whose turn it is, behind the balancer."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Connected | None = None

    @property
    def clock(self) -> Clock:
        return self._server.clock

    def attach(self, connection: Connected) -> None:
        """A client is connected to the balancer; only a WebSocket of its ends with a server."""
        self._connection = connection

    def respond(self, request: Request) -> Response:
        if not self._server.admits(request):
            length = ("Content-Length", str(len(BAD_GATEWAY.body)))
            return BAD_GATEWAY._replace(headers=(*BAD_GATEWAY.headers, length))
        request.admitted = True
        return self._server.respond(request)

    def open_socket(self, request: Request) -> Socket:
        if self._connection is not None:
            self._server.attach(self._connection)
        return self._server.open_socket(request)
