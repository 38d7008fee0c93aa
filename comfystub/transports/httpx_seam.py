"""httpx: the class methods through which every client's calls leave, and ready-made transports."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comfystub.engine.clock import VirtualClock
from comfystub.server.faults import REFUSED
from comfystub.server.http import REFUSES, Request, Response
from comfystub.server.place import NOBODY, Place, Responder, lies_below
from comfystub.transports.calling import calling
from comfystub.transports.origins import port_of
from comfystub.transports.outcomes import HTTPX, MESSAGES, outcome, pause, whole
from comfystub.transports.registry import Refused, registry
from comfystub.transports.seams import Seam

if TYPE_CHECKING:
    import httpx


def _find(request: httpx.Request) -> Place | None:
    url = request.url
    try:
        return registry.find(url.host, port_of(url.scheme, url.port), _path(url))
    except Refused as refused:
        import httpx

        raise httpx.ConnectError(str(refused), request=request) from None


def _upgrades(request: httpx.Request) -> bool:
    """Whether a request may turn its connection into a WebSocket: then there has to be a connection."""
    return "upgrade" in request.headers


def _asked(place: Place, request: httpx.Request, body: bytes) -> Request:
    """A request, whose body was read, as the server at a place sees it."""
    query = request.url.query.decode("ascii")
    return place.request(request.method, _path(request.url), query, _headers(request), body)


def _path(url: httpx.URL) -> str:
    return url.raw_path.partition(b"?")[0].decode("ascii")


def _headers(request: httpx.Request) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in request.headers.raw}


def to_httpx(response: Response) -> httpx.Response:
    """A response as a transport gives it: its body is still to be read."""
    import httpx

    headers = [(name.encode("latin-1"), value.encode("utf-8")) for name, value in response.headers]
    stream = httpx.ByteStream(response.body)
    return httpx.Response(
        response.status, headers=headers, stream=stream, extensions={"http_version": b"HTTP/1.1"}
    )


def _make_sync(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def handle_request(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        place = None if _upgrades(request) else _find(request)
        if place is None:
            response: httpx.Response = original(self, request)
            return response
        asked = _asked(place, request, request.read())
        if place.responder.troubled:  # what only bytes show, httpcore is to see
            place.responder.expect(asked)
            with calling(asked):
                response = original(self, request)
            return response
        return to_httpx(place.responder.turn().respond(asked))

    return handle_request


def _make_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def handle_async_request(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        place = None if _upgrades(request) else _find(request)
        if place is None:
            response: httpx.Response = await original(self, request)
            return response
        asked = _asked(place, request, await request.aread())
        if place.responder.troubled:
            place.responder.expect(asked)
            with calling(asked):
                response = await original(self, request)
            return response
        await _turn()
        return to_httpx(place.responder.turn().respond(asked))

    return handle_async_request


async def _turn() -> None:
    """Let other tasks run and time-outs strike, as every call does that waits for a socket."""
    from anyio.lowlevel import checkpoint

    await checkpoint()


SEAMS = (
    Seam("httpx", "HTTPTransport", "handle_request", _make_sync),
    Seam("httpx", "AsyncHTTPTransport", "handle_async_request", _make_async),
)


def transport(responder: Responder, prefix: str) -> httpx.MockTransport:
    """A transport for sync clients that answers every call from one server, whatever the host.

    ``prefix`` is the path the server lies below.
    """
    import httpx

    def handler(request: httpx.Request) -> httpx.Response:
        response, wait, failure = _answer(responder, prefix, request)
        pause(responder.clock, wait)
        return _arrived(request, response, failure)

    return httpx.MockTransport(handler)


def async_transport(responder: Responder, prefix: str) -> httpx.MockTransport:
    """A transport for async clients, as ``transport`` is one for sync ones."""
    import anyio
    import httpx

    async def handler(request: httpx.Request) -> httpx.Response:
        await _turn()
        response, wait, failure = _answer(responder, prefix, request)
        if isinstance(responder.clock, VirtualClock):
            responder.clock.advance(wait)
        elif wait:
            await anyio.sleep(wait)
        return _arrived(request, response, failure)

    return httpx.MockTransport(handler)


def _answer(responder: Responder, prefix: str, request: httpx.Request) -> tuple[Response, float, str | None]:
    """The server's answer, how many seconds it takes, and what goes wrong with it."""
    place = _place(responder, prefix, request)
    asked = _asked(place, request, request.content)
    if not responder.admits(asked):
        return REFUSED, 0.0, REFUSES
    asked.admitted = True
    response = place.responder.turn().respond(asked)
    return response, *outcome(response, request.extensions.get("timeout", {}).get("read"))


def _arrived(request: httpx.Request, response: Response, failure: str | None) -> httpx.Response:
    """The answer as the client gets it.  Raises what httpx does when it does not arrive."""
    if failure is None:
        return to_httpx(whole(response))
    import httpx

    raise getattr(httpx, HTTPX[failure])(MESSAGES[failure], request=request)


def _place(responder: Responder, prefix: str, request: httpx.Request) -> Place:
    return Place(responder, prefix) if lies_below(_path(request.url), prefix) else NOBODY


def client(transport: httpx.MockTransport, **options: Any) -> httpx.Client:
    """A client of a transport."""
    import httpx

    return httpx.Client(transport=transport, **options)


def async_client(transport: httpx.MockTransport, **options: Any) -> httpx.AsyncClient:
    """An async client of a transport."""
    import httpx

    return httpx.AsyncClient(transport=transport, **options)
