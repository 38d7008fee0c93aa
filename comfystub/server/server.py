"""A ComfyUI server without I/O: a request in, a response out."""

from __future__ import annotations

import json
import logging
import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from comfystub.engine.engine import Engine
from comfystub.server.http import EMPTY, FORBIDDEN, Headers, Request, Response, failure, text_response
from comfystub.server.origin import is_foreign
from comfystub.server.router import Router
from comfystub.server.routes import ROUTER
from comfystub.server.sockets import Socket
from comfystub.server.state import State
from comfystub.server.system import MAX_BODY

log = logging.getLogger("comfystub")

#: Path endings that say how long an answer may be kept, whatever it is.
KEEPING = (
    (re.compile(r"(\.js|\.css|/index[^/]*\.json)$"), "no-store"),
    (re.compile(r"\.(png|jpe?g|gif|webp|svg|ico|bmp|avif)$"), "public, max-age=86400"),
)

UNKNOWN_PATH = Response(404, (("Content-Type", "application/octet-stream"),))
#: Answers that carry no content length.
WITHOUT_BODY = (101, 204, 304)


class Call(NamedTuple):
    """A request that the server answered, and how; ``error`` is what a handler raised."""

    request: Request
    status: int
    error: Exception | None

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def json(self) -> Any:
        """The request's body as JSON.  Raises ``ValueError`` when it is none."""
        return json.loads(self.request.body)


class Server(State):
    """Answers requests, and keeps a list of what it was asked."""

    def __init__(self, engine: Engine, router: Router = ROUTER) -> None:
        super().__init__(engine)
        self.calls: list[Call] = []
        self._router = router

    def respond(self, request: Request) -> Response:
        """Answer a request as ComfyUI 0.33 does."""
        error: Exception | None = None
        try:
            response = self._answer(request)
        except Exception as exc:
            log.info("%r was answered 500", request, exc_info=True)
            response, error = failure(), exc
        self.calls.append(Call(request, response.status, error))
        return _finished(request, response)

    def open_socket(self, request: Request) -> Socket:
        """The WebSocket that a request opened: one that was answered 101."""
        return Socket(self, request.params.get("clientId"))

    def _answer(self, request: Request) -> Response:
        if is_foreign(request.headers):
            return FORBIDDEN
        if request.method == "OPTIONS":
            return EMPTY
        handlers, values = self._router.match(request.path)
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is not None:
            if len(request.body) > MAX_BODY:
                return text_response(f"Maximum request body size {MAX_BODY} exceeded.", 413)
            return handler(self, request, **values)
        if request.method in ("GET", "HEAD"):
            return text_response("404: Not Found", 404) if request.path.startswith("//") else UNKNOWN_PATH
        allowed = ",".join(sorted({"GET", "HEAD", *handlers}))
        return text_response("405: Method Not Allowed", 405, (("Allow", allowed),))


def _finished(request: Request, response: Response) -> Response:
    """The response with the headers that every answer gets, and without a body where none is wanted."""
    headers: Headers = response.headers
    if response.status not in WITHOUT_BODY:
        headers = (*headers, ("Content-Length", str(len(response.body))))
    path = unquote(request.path)
    for pattern, keep in KEEPING if "." in path else ():
        if pattern.search(path):
            headers = (*headers, ("Cache-Control", keep))
    return Response(response.status, headers, b"" if request.method == "HEAD" else response.body)
