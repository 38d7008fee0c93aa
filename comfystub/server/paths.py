"""How a test names calls: ``"/history"``, ``"POST /prompt"``, ``"/api/jobs/*/cancel"``."""

from __future__ import annotations

import functools
import re
from urllib.parse import unquote

#: A method, if it matters, and a path.
PATTERN = re.compile(r"(?:([A-Za-z]+) +)?(/[^?#]*)")


def matches(pattern: str, method: str, path: str) -> bool:
    """Whether a call is one of those that a pattern names.

    A pattern is ``"/path"``, or ``"METHOD /path"`` for that method alone.  It names the path and all
    that lies below it; ``"/"`` names only itself.  ``*`` stands for any text, also for one with
    slashes in it, so that ``"/*"`` names every path.  A path and its twin below ``/api`` are the
    same, and so are the two ways to write a character: itself and percent-encoded.

    Raises ``ValueError`` for a pattern that is none.
    """
    wanted_method, wanted_path = _compiled(pattern)
    return wanted_method in (None, method) and wanted_path.fullmatch(canonical(path)) is not None


def canonical(path: str) -> str:
    """A path without ``/api`` before it, without a slash behind it, and with nothing percent-encoded."""
    path = unquote(path)
    if path.startswith("/api/") or path == "/api":
        path = path.removeprefix("/api")
    return path.rstrip("/") or "/"


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> tuple[str | None, re.Pattern[str]]:
    found = PATTERN.fullmatch(pattern.strip())
    if found is None:
        raise ValueError(f"calls are named as '/path' or 'METHOD /path', without a query; not {pattern!r}")
    method, path = found[1], canonical(found[2])
    text = ".*".join(map(re.escape, path.split("*")))
    below = "" if path == "/" else "(?:/.*)?"
    return method and method.upper(), re.compile(text + below, re.DOTALL)
