"""aiohttp: its own way to look a server up, where aiodns is installed.  All else goes through the loop."""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from typing import Any

from comfystub.transports.seams import Seam
from comfystub.transports.socket_seam import is_caught


def _make_resolve(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def resolve(self: Any, host: str, port: int = 0, family: int = socket.AF_INET) -> Any:
        if not is_caught(host, port):
            return await original(self, host, port, family)
        return [
            {"hostname": host, "host": address[0], "port": port, "family": found, "proto": proto, "flags": 0}
            for found, _, proto, _, address in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
        ]

    return resolve


SEAMS = (Seam("aiohttp.resolver", "AsyncResolver", "resolve", _make_resolve),)
