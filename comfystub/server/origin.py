"""Which requests the server refuses because a web page elsewhere sent them."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit


def is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of another site.

    That is what ``Sec-Fetch-Site: cross-site`` says, and an ``Origin`` other than a loopback
    ``Host``: names are compared as text, and the port only when both have one.
    """
    if headers.get("sec-fetch-site") == "cross-site":
        return True
    origin = headers.get("origin")
    if not origin or origin == "null":
        return False
    host, source = urlsplit(f"//{headers.get('host', '')}"), urlsplit(origin)
    if not _is_loopback(host.hostname or ""):
        return False
    ports = _port(host), _port(source)
    return host.hostname != source.hostname or (None not in ports and ports[0] != ports[1])


def _port(url: SplitResult) -> int | None:
    try:
        return url.port
    except ValueError:
        return None


@functools.lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
