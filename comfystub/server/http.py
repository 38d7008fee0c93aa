"""Requests and responses, as plain values."""

from __future__ import annotations

import functools
import http
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

Headers = tuple[tuple[str, str], ...]

#: What a status is called.
REASONS = {status.value: status.phrase for status in http.HTTPStatus}


class Request:
    """One HTTP request.

    ``path`` is still percent-encoded and without the query, ``headers`` are in lower case.
    ``admitted`` says that the connection was made for this request, and was let in.
    """

    __slots__ = ("__dict__", "admitted", "body", "headers", "method", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers: Mapping[str, str] = headers or {}
        self.body = body
        self.admitted = False

    def __repr__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"<Request {self.method} {self.path}{query}>"

    @functools.cached_property
    def params(self) -> dict[str, str]:
        """The query's parameters; of a name that stands twice, the first."""
        params: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            params.setdefault(name, value)
        return params

    def json(self) -> Any:
        """The body as JSON, whatever its content type says.  Raises ``ValueError`` when it is none."""
        return json.loads(self.body)


#: How a connection ends with an answer: not at all, closed, reset, or as if nobody had been there.
STAYS, CLOSES, RESETS, REFUSES = "", "closes", "resets", "refuses"


class Delivery(NamedTuple):
    """How an answer gets to its client, when not whole and at once.

    ``after`` is in seconds on the server's clock.  ``sent`` is how many bytes of the body are sent,
    ``None`` for all of them; ``silent`` sends nothing at all.  ``more`` is how many bytes more than
    there are its length says.  ``ends`` is what the connection does then.
    """

    after: float = 0.0
    sent: int | None = None
    silent: bool = False
    more: int = 0
    ends: str = STAYS


class Response(NamedTuple):
    """One HTTP response; its ``Content-Length`` is the server's affair.

    Without a ``delivery`` it is there at once and whole.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    delivery: Delivery | None = None


def json_response(data: Any, status: int = 200) -> Response:
    return Response(status, (("Content-Type", JSON),), json.dumps(data).encode())


def text_response(text: str, status: int = 200, headers: Headers = ()) -> Response:
    return Response(status, (("Content-Type", TEXT), *headers), text.encode())


CLOSE = ("Connection", "close")

EMPTY = Response(200)
BAD_REQUEST = Response(400)
FORBIDDEN = Response(403)
NOT_FOUND = Response(404)
NO_CONTENT = Response(204)


def failure() -> Response:
    """The answer when a handler raises."""
    body = "500 Internal Server Error\n\nServer got itself in trouble"
    return text_response(body, 500, (CLOSE,))
