"""requests: the adapter method through which every session's calls leave."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from comfystub.server.http import REASONS, Request, Response
from comfystub.server.place import Place
from comfystub.transports.calling import calling
from comfystub.transports.origins import port_of
from comfystub.transports.registry import Refused, registry
from comfystub.transports.seams import Seam

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.response import HTTPResponse


def _make(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def send(
        self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        place = _find(request)
        if place is None:
            response: requests.Response = original(self, request, *args, **kwargs)
            return response
        call = asked(place, request)
        if place.responder.troubled or _retries(self):
            # What only bytes show, and when to try again, is urllib3's affair; it gets there over a socket.
            if request.body is not None:
                request.body = call.body  # it may have been a file, which is read now
            place.responder.expect(call)
            with calling(call):
                response = original(self, request, *args, **kwargs)
            return response
        answer = place.responder.turn().respond(call)
        return self.build_response(request, to_urllib3(answer, str(request.method)))

    return send


def _find(request: requests.PreparedRequest) -> Place | None:
    parts = urlsplit(str(request.url))
    try:
        return registry.find(parts.hostname or "", port_of(parts.scheme, parts.port), parts.path or "/")
    except Refused as refused:
        import requests

        raise requests.ConnectionError(str(refused), request=request) from None


def _retries(adapter: HTTPAdapter) -> bool:
    """Whether an adapter was told to try again when something fails."""
    retries = adapter.max_retries
    return retries.total != 0 or bool(retries.status_forcelist)


def asked(place: Place, request: requests.PreparedRequest) -> Request:
    """A prepared request as the server at a place sees it."""
    parts = urlsplit(str(request.url))
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    headers.setdefault("host", parts.netloc.rpartition("@")[-1])
    return place.request(str(request.method), parts.path, parts.query, headers, body_of(request))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def body_of(request: requests.PreparedRequest) -> bytes:
    """The whole body of a prepared request: a file or a generator is read to its end."""
    body: Any = request.body
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body)
    parts: Iterable[bytes | str] = body
    return b"".join(part.encode() if isinstance(part, str) else part for part in parts)


class _Body(BytesIO):
    """A body that, like a response that comes from a socket, is closed once it was read to its end."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._size = len(content)

    def isclosed(self) -> bool:
        """What urllib3 asks, to know when a stream is over."""
        return self.closed or self.tell() >= self._size


def to_urllib3(response: Response, method: str) -> HTTPResponse:
    """A response as urllib3 gives it: its body is still to be read."""
    from urllib3._collections import HTTPHeaderDict
    from urllib3.response import HTTPResponse

    return HTTPResponse(
        body=_Body(response.body),
        headers=HTTPHeaderDict(response.headers),
        status=response.status,
        version=11,
        reason=REASONS.get(response.status, ""),
        preload_content=False,
        decode_content=False,
        request_method=method,
    )


SEAMS = (Seam("requests.adapters", "HTTPAdapter", "send", _make),)
