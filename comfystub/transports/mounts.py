"""Catch-all routes for suites that already mock with respx or with responses.

Both check at their end that every route was called; a mount is there in case, so it never counts.
And it comes last: a route of the suite's own that fits a request answers it, whichever was there first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import dropwhile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from comfystub.server.http import REFUSES
from comfystub.server.place import Place, Responder, lies_below
from comfystub.transports.httpx_seam import transport
from comfystub.transports.origins import Origin, port_of
from comfystub.transports.outcomes import MESSAGES, REQUESTS, outcome, pause, whole
from comfystub.transports.requests_seam import asked, to_urllib3

if TYPE_CHECKING:
    import httpx
    import requests
    import responses
    import respx
    from respx.types import RouteResultTypes
    from urllib3.response import HTTPResponse


class Mounted:
    """Tells the routes of this module from a suite's own."""


def mount_respx(router: respx.Router | None, origins: Sequence[Origin], responder: Responder) -> respx.Router:
    """Answer a server's addresses on a respx router, a fresh one when none is given."""
    import respx
    from respx.patterns import M

    mounted = router if router is not None else respx.mock(assert_all_called=False)

    class Mount(Mounted, respx.Route):
        @property
        def called(self) -> bool:
            return True

        def match(self, request: httpx.Request) -> RouteResultTypes:
            later = dropwhile(lambda route: route is not self, mounted.routes)
            own = (route.pattern for route in later if not isinstance(route, Mounted))
            if any(pattern and pattern.match(request) for pattern in own):
                return None
            return super().match(request)

    for host, port, prefix in origins:
        route = Mount(M(host=host, port=port, path__regex=f"^{re.escape(prefix)}(/|$)"))
        route.side_effect = transport(responder, prefix).handler
        mounted.routes.add(route)
    return mounted


def mount_responses(
    mock: responses.RequestsMock | None, origins: Sequence[Origin], responder: Responder
) -> responses.RequestsMock:
    """Answer a server's addresses on a ``responses`` mock, a fresh one when none is given."""
    import responses

    mounted = mock if mock is not None else responses.RequestsMock(assert_all_requests_are_fired=False)

    class Mount(Mounted, responses.BaseResponse):
        @property
        def call_count(self) -> int:
            return 1

        @call_count.setter
        def call_count(self, count: int) -> None:
            """Counting is left to the others."""

        def matches(self, request: requests.PreparedRequest) -> tuple[bool, str]:
            if self._place_of(request) is None:
                return False, "the request is for another host"
            own = (response for response in mounted.registered() if not isinstance(response, Mounted))
            if any(response.matches(request)[0] for response in own):
                return False, "the request has a response of its own"
            return True, ""

        def get_response(self, request: requests.PreparedRequest) -> HTTPResponse:
            place = self._place_of(request)
            assert place is not None
            call = asked(place, request)
            if not responder.admits(call):
                raise _failed(REFUSES, request)
            call.admitted = True
            response = responder.turn().respond(call)
            wait, failure = outcome(response, _patience(request))
            pause(responder.clock, wait)
            if failure is not None:
                raise _failed(failure, request)
            return to_urllib3(whole(response), str(request.method))

        def _place_of(self, request: requests.PreparedRequest) -> Place | None:
            """The place that a request is for, ``None`` when it is for another server."""
            parts: Any = urlsplit(str(request.url))
            address = (parts.hostname, port_of(parts.scheme, parts.port))
            for host, port, prefix in origins:
                if (host, port) == address and lies_below(parts.path, prefix):
                    return Place(responder, prefix)
            return None

    mounted.add(Mount("ANY", "http://comfystub/"))
    return mounted


def _failed(failure: str, request: requests.PreparedRequest) -> Exception:
    """What requests raises when an answer does not arrive."""
    import requests

    error: Exception = getattr(requests.exceptions, REQUESTS[failure])(MESSAGES[failure], request=request)
    return error


def _patience(request: Any) -> float | None:
    """The read time-out of a call, as ``responses`` hands it on."""
    timeout: Any = getattr(request, "req_kwargs", {}).get("timeout")
    read = timeout[1] if isinstance(timeout, tuple) else timeout
    return None if read is None else float(read)
