"""From a method and a path to a handler: a dict for fixed paths, a few patterns for the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote

from comfystub.server.http import Response

#: Called with the server, the request and what the path's placeholders stand for.
Handler = Callable[..., Response]


class Route(NamedTuple):
    """A method, a path template such as ``/history/{prompt_id}``, and what answers there.

    ``twin`` says whether the route answers below ``/api`` too.
    """

    method: str
    path: str
    handler: Handler
    twin: bool = True


class Match(NamedTuple):
    """The methods of a path, and what its template's placeholders stand for."""

    handlers: dict[str, Handler]
    values: dict[str, str]


NO_MATCH = Match({}, {})

#: Escapes that mean no more than their character: ASCII that can be printed, but ``/`` and ``%``.
_NEEDLESS_ESCAPE = re.compile(r"%(?!2[5Ff])(2[0-9A-Fa-f]|[3-6][0-9A-Fa-f]|7[0-9A-Ea-e])")


class Router:
    """The routes, compiled."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, Match] = {}
        self._patterns: dict[str, list[tuple[re.Pattern[str], dict[str, Handler]]]] = {}
        by_path: dict[str, dict[str, Handler]] = {}
        for route in routes:
            for path in (route.path, "/api" + route.path) if route.twin else (route.path,):
                by_path.setdefault(path, {})[route.method] = route.handler
        for path, handlers in by_path.items():
            if "{" in path:
                pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
                self._patterns.setdefault(_key(path), []).append((pattern, handlers))
        for path, handlers in by_path.items():
            if "{" not in path:
                # Methods that a fixed path lacks are those of a template that it fits.
                others, values = self._match_template(path)
                bound = {method: partial(handler, **values) for method, handler in others.items()}
                self._fixed[path] = Match(bound | handlers, {})

    @property
    def paths(self) -> list[str]:
        """The paths that are fixed."""
        return list(self._fixed)

    def match(self, path: str) -> Match:
        """What answers at a path, still percent-encoded."""
        if "%" in path:
            path = _NEEDLESS_ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), path)
        fixed = self._fixed.get(path)
        return self._match_template(path) if fixed is None else fixed

    def _match_template(self, path: str) -> Match:
        for pattern, handlers in self._patterns.get(_key(path), ()):
            found = pattern.fullmatch(path)
            if found:
                return Match(handlers, {name: unquote(value) for name, value in found.groupdict().items()})
        return NO_MATCH


def _key(path: str) -> str:
    """The part of a path that templates are sorted by: its first segment but ``api``."""
    return path.removeprefix("/api").partition("/")[2].partition("/")[0]
