"""What is left of a client and a server that were there again and again."""

from __future__ import annotations

import asyncio
import gc
import os
import pathlib
import threading
from typing import NamedTuple

import pytest

import comfystub
from comfystub.transports import stubbed
from contract.clients import Client
from contract.scenarios.ends import whole_job
from contract.scenarios.telling import Scenarios, scenario_without_stub

#: How often a whole job is done; what grows with each of them shows with a few, and more surely with many.
CYCLES = int(os.environ.get("COMFYSTUB_CYCLES", "10"))
SERVERS = ("comfystub.stub", "comfystub.server", "comfystub.engine", "comfystub.media")
FDS = pathlib.Path("/proc/self/fd")


class Left(NamedTuple):
    """What there is at a moment."""

    threads: int
    descriptors: int
    sockets: int
    tasks: int
    #: Objects that belong to servers.
    objects: int


class Leaks(Scenarios):
    @pytest.mark.skipif(not FDS.exists(), reason="file descriptors cannot be counted here")
    @scenario_without_stub
    async def test_cycles_leave_nothing(self, client: Client) -> None:
        for _ in range(3):  # what is made once is made now
            await cycle(client)
        before = await left(client)
        for _ in range(CYCLES):
            await cycle(client)
        assert await left(client) == before


async def cycle(client: Client) -> None:
    with comfystub.patch(client.url, unmatched="error") as stub:
        await whole_job(client, stub)
        await client.leave()
    await client.pause()


async def left(client: Client) -> Left:
    await client.pause()
    gc.collect()
    objects = sum(str(type(one).__module__).startswith(SERVERS) for one in gc.get_objects())
    descriptors = len(list(FDS.iterdir()))
    # asyncio takes on threads for looking names up as it thinks fit.
    threads = [one for one in threading.enumerate() if not one.name.startswith("asyncio_")]
    return Left(len(threads), descriptors, len(stubbed._channels), tasks(), objects)


def tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0
