"""What can go wrong with a connection, a call and its answer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from comfystub.engine.engine import Engine
from comfystub.engine.faults import Effect, Fault, effect_of
from comfystub.server.http import REFUSES, Delivery, Request, Response
from comfystub.server.paths import canonical, matches

#: The status of a call that was not answered.
UNANSWERED = 0
#: The answer to a call of a client that is refused when it has connected already.
REFUSED = Response(UNANSWERED, delivery=Delivery(silent=True, ends=REFUSES))


@dataclass(eq=False)
class Refused(Effect):
    """Nobody listens where the client connects to.

    Limited to some calls, it strikes as the client connects for one of them.  Where that is not known,
    or the connection is there already, it strikes as the call comes.
    """

    stage = "connection"
    on_the_wire = True


@dataclass(eq=False)
class Answered(Effect):
    """Somebody else answers: the server does not see the call."""

    stage = "call"
    response: Response


@dataclass(eq=False)
class Changed(Effect):
    """The server's answer becomes another one on its way."""

    stage = "call"
    change: Callable[[Response], Response]


@dataclass(eq=False)
class Delivered(Effect):
    """The answer, or nothing of it, gets to the client as ``delivery`` says.

    Unless it is ``handled``, the server does not see the call.
    """

    stage = "call"
    on_the_wire = True
    delivery: Delivery
    handled: bool


class ConnectionFacts:
    """Facts of a client that connects: those of the call it connects for, where that is known."""

    def __init__(self, call: Request | None, engine: Engine) -> None:
        self._call = None if call is None else CallFacts(call, engine)

    def fits(self, key: str, wanted: Any) -> bool:
        return self._call is not None and self._call.fits(key, wanted)


class CallFacts:
    """Facts of a call."""

    def __init__(self, request: Request, engine: Engine) -> None:
        self._request = request
        self._engine = engine

    def fits(self, key: str, wanted: Any) -> bool:
        fits: bool = getattr(self, f"_fits_{key}")(wanted)
        return fits

    def _fits_path(self, wanted: str) -> bool:
        return matches(wanted, self._request.method, self._request.path)

    def _fits_method(self, wanted: str) -> bool:
        return self._request.method == wanted.upper()

    def _fits_lacks(self, wanted: tuple[str, str]) -> bool:
        name, value = wanted
        return self._request.headers.get(name.lower()) != value

    def _fits_larger_than(self, wanted: int) -> bool:
        return len(self._request.body) > wanted

    def _fits_text(self, wanted: str) -> bool:
        return any(wanted in text for text in _texts(self._body))

    def _fits_client(self, wanted: str | None) -> bool:
        given = self._body.get("client_id") if isinstance(self._body, dict) else None
        return self._request.params.get("clientId", given) == wanted

    def _fits_job(self, wanted: int) -> bool:
        """Whether a call is about a prompt: it has its id in its path, or is to become it."""
        if self._request.method == "POST" and canonical(self._request.path) == "/prompt":
            return len(self._engine.jobs) + 1 == wanted
        jobs = self._engine.jobs
        return wanted <= len(jobs) and jobs[wanted - 1].id in self._request.path.split("/")

    @functools.cached_property
    def _body(self) -> Any:
        try:
            return self._request.json()
        except ValueError:
            return None


def _texts(value: Any) -> Iterator[str]:
    """The texts in a piece of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def answered(respond: Callable[[], Response], struck: Sequence[Fault]) -> Response:
    """The answer to a call that faults have struck; ``respond`` is what the server itself does."""
    if effect_of(Refused, struck) is not None:
        return REFUSED
    delivered, other = effect_of(Delivered, struck), effect_of(Answered, struck)
    if delivered is not None and not delivered.handled:
        return Response(UNANSWERED, delivery=delivered.delivery)
    response = respond() if other is None else other.response
    changed = effect_of(Changed, struck)
    if changed is not None:
        response = changed.change(response)
    return response if delivered is None else response._replace(delivery=delivered.delivery)


def cut_in_half(response: Response) -> Response:
    """An answer whose body ends in the middle, and says so."""
    return response._replace(body=response.body[: len(response.body) // 2])
