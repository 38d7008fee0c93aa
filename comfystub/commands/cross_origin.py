"""A server that web pages of other sites may use."""

from __future__ import annotations

from comfystub.engine.clock import Clock
from comfystub.server.http import Request, Response
from comfystub.server.server import Connected, Server
from comfystub.server.sockets import Socket

#: The headers by which a server sees that a page of another site calls.
TELLTALE = ("origin", "sec-fetch-site")


class CrossOrigin:
    """A server as ComfyUI is when it was started with ``--enable-cors-header``.

    ``origin`` is the site whose pages may call it, ``*`` for any.
    """

    def __init__(self, server: Server, origin: str) -> None:
        self._server = server
        self._headers = (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, OPTIONS"),
            ("Access-Control-Allow-Headers", "Content-Type, Authorization"),
            ("Access-Control-Allow-Credentials", "true"),
        )

    def respond(self, request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in TELLTALE}
        asked = Request(request.method, request.path, request.query, headers, request.body)
        response = self._server.respond(asked)
        return response._replace(headers=(*response.headers, *self._headers))

    @property
    def clock(self) -> Clock:
        return self._server.clock

    @property
    def troubled(self) -> bool:
        return self._server.troubled

    def admits(self, call: Request | None = None) -> bool:
        return self._server.admits(call)

    def expect(self, call: Request) -> None:
        self._server.expect(call)

    def turn(self) -> CrossOrigin:
        return self

    def attach(self, connection: Connected) -> None:
        self._server.attach(connection)

    def open_socket(self, request: Request) -> Socket:
        return self._server.open_socket(request)
