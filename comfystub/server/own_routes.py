"""Routes that a test adds to the server: a function of a request, and an answer made of what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfystub.server.http import TEXT, Request, Response, json_response
from comfystub.server.router import Handler
from comfystub.server.state import State

#: Called with the request, and with what the path's placeholders stand for by name.
Answers = Callable[..., Any]


def handler_of(function: Answers) -> Handler:
    """A function as the router calls it."""

    def handle(server: State, request: Request, **values: str) -> Response:
        return response_of(function(request, **values))

    return handle


def response_of(answer: Any) -> Response:
    """The response for what a function returns.

    ``None`` is an empty answer, bytes and text are sent as they are, a pair is a status and any of
    these, anything else is sent as JSON.  Raises ``TypeError`` for what is none of it.
    """
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, tuple):
        status, body = answer
        return response_of(body)._replace(status=status)
    if answer is None:
        return Response(200)
    if isinstance(answer, bytes):
        return Response(200, (("Content-Type", "application/octet-stream"),), answer)
    if isinstance(answer, str):
        return Response(200, (("Content-Type", TEXT),), answer.encode())
    return json_response(answer)
