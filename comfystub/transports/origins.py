"""The addresses that servers answer at."""

from __future__ import annotations

import contextlib
from typing import NamedTuple
from urllib.parse import urlsplit

#: The addresses of a ComfyUI that was started without options.
DEFAULT_URLS = tuple(f"http://{host}:8188" for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]"))
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Origin(NamedTuple):
    """An address that a server answers at: its host, its port, and the path it lies below."""

    host: str
    port: int
    prefix: str


def origin_of(url: str) -> Origin:
    """The origin a base URL means.  Raises ``ValueError`` when it is no http(s) or ws(s) URL."""
    with contextlib.suppress(ValueError):  # a port that is none, brackets that do not close
        parts = urlsplit(url)
        if parts.scheme in DEFAULT_PORTS and parts.hostname:
            return Origin(parts.hostname, port_of(parts.scheme, parts.port), parts.path.rstrip("/"))
    raise ValueError(f"a base URL looks like http://127.0.0.1:8188, not {url!r}")


def port_of(scheme: str, port: int | None) -> int:
    """The port of a URL that may leave it out."""
    return port if port is not None else DEFAULT_PORTS.get(scheme, 0)
