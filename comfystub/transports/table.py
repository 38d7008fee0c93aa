"""The table of every seam."""

from __future__ import annotations

from comfystub.transports import (
    aiohttp_seam,
    anyio_seam,
    asyncio_seam,
    httpx_seam,
    requests_seam,
    socket_seam,
)
from comfystub.transports.registry import registry

#: The modules that have seams: two of the standard library that carry everything, and those of libraries
#: that go past them, or are quicker without.
MODULES = (socket_seam, asyncio_seam, httpx_seam, requests_seam, aiohttp_seam, anyio_seam)

for _module in MODULES:
    for _seam in _module.SEAMS:
        registry.add_seam(_seam)
