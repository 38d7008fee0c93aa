"""The table of every seam."""

from __future__ import annotations

from comfystub.transports import (
    aiohttp_seam,
    anyio_seam,
    asyncio_seam,
    executor_seam,
    httpx_seam,
    requests_seam,
    select_seam,
    socket_seam,
    time_seam,
    waiting_seam,
)
from comfystub.transports.registry import registry

#: The modules that have seams: two of the standard library that carry everything, and those of libraries
#: that go past them, or are quicker without.
MODULES = (socket_seam, asyncio_seam, httpx_seam, requests_seam, aiohttp_seam, anyio_seam)

#: The modules whose seams are open only while a virtual clock is in force.
TIME_MODULES = (time_seam, waiting_seam, select_seam, executor_seam)

for _module in MODULES:
    for _seam in _module.SEAMS:
        registry.add_seam(_seam)
for _module in TIME_MODULES:
    for _seam in _module.SEAMS:
        registry.add_time_seam(_seam)
