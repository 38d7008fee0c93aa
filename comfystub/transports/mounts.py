"""Catch-all routes for suites that already mock with respx or with responses.

Both check at their end that every route was called; a mount is there in case, so it never counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from comfystub.transports.httpx_seam import transport
from comfystub.transports.registry import Origin, Responder, port_of
from comfystub.transports.requests_seam import ask, to_urllib3

if TYPE_CHECKING:
    import requests
    import responses
    import respx
    from urllib3.response import HTTPResponse


def mount_respx(router: respx.Router | None, origins: Sequence[Origin], responder: Responder) -> respx.Router:
    """Answer a server's addresses on a respx router, a fresh one when none is given."""
    import respx
    from respx.patterns import M

    class Mount(respx.Route):
        @property
        def called(self) -> bool:
            return True

    if router is None:
        router = respx.mock(assert_all_called=False)
    for host, port, prefix in origins:
        route = Mount(M(host=host, port=port, path__startswith=prefix or "/"))
        route.side_effect = transport(responder, prefix).handler
        router.routes.add(route)
    return router


def mount_responses(
    mock: responses.RequestsMock | None, origins: Sequence[Origin], responder: Responder
) -> responses.RequestsMock:
    """Answer a server's addresses on a ``responses`` mock, a fresh one when none is given."""
    import responses

    class Mount(responses.BaseResponse):
        call_count = 1

        def matches(self, request: requests.PreparedRequest) -> tuple[bool, str]:
            matched = _place_of(request, origins) is not None
            return matched, "" if matched else "the request is for another host"

        def get_response(self, request: requests.PreparedRequest) -> HTTPResponse:
            place = _place_of(request, origins)
            assert place is not None
            return to_urllib3(ask(responder, request, place.prefix), str(request.method))

    if mock is None:
        mock = responses.RequestsMock(assert_all_requests_are_fired=False)
    mock.add(Mount("ANY", "http://comfystub/"))
    return mock


def _place_of(request: requests.PreparedRequest, origins: Sequence[Origin]) -> Origin | None:
    """The origin that a request is for, ``None`` when it is for another host."""
    parts: Any = urlsplit(str(request.url))
    address = (parts.hostname, port_of(parts.scheme, parts.port))
    return next(
        (origin for origin in origins if address == origin[:2] and parts.path.startswith(origin.prefix)), None
    )
