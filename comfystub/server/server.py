"""A ComfyUI server without I/O: a request in, a response out."""

from __future__ import annotations

import json
import logging
import re
import threading
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from comfystub.engine import forking
from comfystub.engine.clock import Clock
from comfystub.engine.engine import Engine
from comfystub.engine.faults import Fault
from comfystub.server.complaints import Complaint, complaint_of
from comfystub.server.faults import CallFacts, ConnectionFacts, answered
from comfystub.server.http import EMPTY, FORBIDDEN, Headers, Request, Response, failure, text_response
from comfystub.server.origin import is_foreign
from comfystub.server.profile import NONE, Profile
from comfystub.server.router import Handler, Route, Router
from comfystub.server.routes import router_of, routes_of
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
    """A request that the server answered, and how.

    ``error`` is what a handler raised, ``time`` when the stub's clock said it was, ``fault`` what
    struck it, ``answer`` the body of the response: that of a POST, or of an error.
    """

    request: Request
    status: int
    error: Exception | None
    time: float
    fault: Fault | None = None
    answer: bytes = b""

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


class Connected(Protocol):
    """A client's connection, as its server knows it."""

    @property
    def idle(self) -> bool:
        """Whether it waits for a call."""

    def close(self) -> None: ...


class Server(State):
    """Answers requests, and keeps a list of what it was asked."""

    def __init__(self, engine: Engine, profile: Profile = NONE) -> None:
        super().__init__(engine, profile)
        self.calls: list[Call] = []
        #: What went wrong, as ``strict`` raises it.
        self.complaints: list[Complaint] = []
        #: The routes it answers at.
        self.router = router_of(self.release)
        self._own_routes: list[Route] = []
        self._connections: weakref.WeakSet[Connected] = weakref.WeakSet()
        # A set must not grow while it is listed.
        self._lock = forking.lock(threading.Lock())
        engine.on_restart = self._hang_up
        engine.faults.changed_for.append(self._faults_changed)

    @property
    def clock(self) -> Clock:
        """What its answers and its jobs go by."""
        return self.engine.clock

    def add_route(self, method: str, path: str, handler: Handler) -> None:
        """Answer at one more path, in place of what answered there."""
        self._own_routes.append(Route(method, path, handler))
        self.router = Router([*routes_of(self.release), *self._own_routes])

    def turn(self) -> Server:
        """Who answers the next call: this server."""
        return self

    def reset(self) -> None:
        """Have the settings it began with, no routes of its own, and no record of any call."""
        self._own_routes.clear()
        self.router = router_of(self.release)
        self.settings = dict(self.profile.settings)
        self.calls.clear()
        self.complaints.clear()

    # --- connections

    def admits(self, call: Request | None = None) -> bool:
        """Whether somebody listens to a client that connects now, to make a call if that is known."""
        faults = self.engine.faults
        if not faults.armed("connection"):
            return True
        return not faults.strike("connection", ConnectionFacts(call, self.engine))

    def attach(self, connection: Connected) -> None:
        """Know of a client's connection, to cut it off when the server goes down."""
        with self._lock:
            self._connections.add(connection)

    @property
    def troubled(self) -> bool:
        """Whether a call may meet something that only the bytes of its answer show."""
        return self.engine.faults.on_the_wire

    def _hang_up(self) -> None:
        for connection in self._attached():
            connection.close()

    def _attached(self) -> list[Connected]:
        """The connections that clients have."""
        with self._lock:
            return list(self._connections)

    def _faults_changed(self) -> None:
        """Where nobody is to listen any more, connections that wait for a call do not live on either."""
        if not all(fault.where for fault in self.engine.faults.of("connection")):
            self._hang_up_idle()

    def expect(self, call: Request) -> None:
        """A client is about to make a call: for one that may be refused, it has to connect anew."""
        faults = self.engine.faults
        if faults.armed("connection") and faults.fit("connection", ConnectionFacts(call, self.engine)):
            self._hang_up_idle()

    def _hang_up_idle(self) -> None:
        for connection in self._attached():
            if connection.idle:
                connection.close()

    # --- calls

    def respond(self, request: Request) -> Response:
        """Answer a request as ComfyUI does, or as a fault has it."""
        engine = self.engine
        with engine.clock.inside:
            engine.catch_up()
            return self._respond(request, engine.now(), self._struck(request))

    def _struck(self, request: Request) -> Sequence[Fault]:
        """The faults that strike a call."""
        faults = self.engine.faults
        struck: Sequence[Fault] = ()
        if faults.armed("connection") and not request.admitted:
            struck = faults.strike("connection", CallFacts(request, self.engine), limited=True)
        if faults.armed("call") and not struck:
            struck = faults.strike("call", CallFacts(request, self.engine))
        return struck

    def _respond(self, request: Request, time: float, struck: Sequence[Fault]) -> Response:
        error: Exception | None = None

        def answer() -> Response:
            nonlocal error
            try:
                return self._answer(request)
            except Exception as exc:
                log.info("%r was answered 500", request, exc_info=True)
                error = exc
                return failure()

        response = answered(answer, struck) if struck else answer()
        self._note(request, response, error, time, struck)
        return _finished(request, response)

    def _note(
        self,
        request: Request,
        response: Response,
        error: Exception | None,
        time: float,
        struck: Sequence[Fault],
    ) -> None:
        # A file that was looked at would be kept in memory for as long as the stub.
        answer = response.body if request.method == "POST" or response.status >= 400 else b""
        call = Call(request, response.status, error, time, struck[0] if struck else None, answer)
        self.calls.append(call)
        complaint = complaint_of(call, self.router) if response.status >= 400 else None
        if complaint is not None:
            self.complaints.append(complaint)

    def open_socket(self, request: Request) -> Socket:
        """The WebSocket that a request opened: one that was answered 101."""
        return Socket(self, request.params.get("clientId"))

    def _answer(self, request: Request) -> Response:
        if is_foreign(request.headers):
            return FORBIDDEN
        if request.method == "OPTIONS":
            return EMPTY
        handlers, values = self.router.match(request.path)
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
    delivery = response.delivery
    if response.status not in WITHOUT_BODY:
        length = len(response.body) + (0 if delivery is None else delivery.more)
        headers = (*headers, ("Content-Length", str(max(0, length))))
    path = unquote(request.path)
    for pattern, keep in KEEPING if "." in path else ():
        if pattern.search(path):
            headers = (*headers, ("Cache-Control", keep))
    return Response(response.status, headers, b"" if request.method == "HEAD" else response.body, delivery)
