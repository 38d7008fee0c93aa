"""Many listeners at once, with several libraries, and what is left when they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import inspect
import itertools
import json
import pathlib
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from calls import URL
from wire import LAST, LONG, listening, submit

import comfystub
from comfystub.transports import stubbed

WS = URL.replace("http", "ws", 1) + "/ws?clientId="


def join(threads: list[Any], timeout: float = LONG) -> None:
    """Wait for threads; where one of them stays, say where each of them is."""
    for thread in threads:
        thread.join(timeout)
    if any(thread.is_alive() for thread in threads):
        faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
        raise AssertionError("a thread waits for ever")


# --- many at once

JOBS = 4


class Listener(threading.Thread):
    """Listens with a client id of its own until it heard the end of so many jobs."""

    def __init__(self, name: str, listen: Callable[[Listener], None]) -> None:
        super().__init__(daemon=True, name=name)
        self.listen = listen
        self.ready = threading.Event()
        self.heard: list[dict[str, Any]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.listen(self)
        except BaseException as error:
            self.error = error
            self.ready.set()

    def hear(self, message: Any) -> bool:
        """Take a message; whether that is all."""
        self.ready.set()  # the greeting comes first
        if isinstance(message, str):
            self.heard.append(json.loads(message))
        return sum(said["data"].get("node", "") is None for said in self.heard) == JOBS

    def of(self, prompt_id: str) -> list[str]:
        """The types of what it heard of one prompt."""
        return [said["type"] for said in self.heard if said["data"].get("prompt_id") == prompt_id]


def with_websocket_client(listener: Listener) -> None:
    import websocket

    connection = websocket.create_connection(WS + listener.name, timeout=LONG)
    while not listener.hear(connection.recv()):
        pass
    connection.close()


def with_websocket_app(listener: Listener) -> None:
    import websocket

    def on_message(app: Any, message: Any) -> None:
        if listener.hear(message):
            app.close()

    def on_error(app: Any, error: BaseException) -> None:
        listener.error = listener.error or error

    app = websocket.WebSocketApp(WS + listener.name, on_message=on_message, on_error=on_error)
    app.run_forever()


def unlimited(connect: Any) -> dict[str, Any]:
    """Where nobody takes what is queued, websockets reads no further and waits in vain for the other's close."""
    options = {"max_queue": 1 << 16} if "max_queue" in inspect.signature(connect).parameters else {}
    return {"close_timeout": 0.5, **options}


def with_websockets(listener: Listener) -> None:
    from websockets.sync.client import connect

    with connect(WS + listener.name, **unlimited(connect)) as connection:
        while not listener.hear(connection.recv(LONG)):
            pass


def with_asyncio(listener: Listener) -> None:
    from websockets.asyncio.client import connect

    async def main() -> None:
        async with connect(WS + listener.name, **unlimited(connect)) as connection:
            while not listener.hear(await asyncio.wait_for(connection.recv(), LONG)):
                pass

    asyncio.run(main())


def with_aiohttp(listener: Listener) -> None:
    import aiohttp

    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(WS + listener.name) as connection:
            while not listener.hear((await connection.receive(LONG)).data):
                pass

    asyncio.run(main())


WAYS = (with_websocket_client, with_websocket_app, with_websockets, with_asyncio, with_aiohttp)


@pytest.mark.parametrize(
    "ways", [*((way,) for way in WAYS), WAYS], ids=lambda ways: "+".join(w.__name__ for w in ways)
)
def test_many_listeners_hear_all_of_their_own(ways: tuple[Any, ...]) -> None:
    for module in ("aiohttp", "websocket", "websockets.asyncio.client"):
        pytest.importorskip(module)
    before = set(stubbed._channels)
    names = [f"client{number}" for number in range(12 if len(ways) > 1 else 4)]
    with comfystub.patch(URL, seed=1) as stub:
        listeners = [Listener(name, way) for name, way in zip(names, itertools.cycle(ways))]
        for listener in listeners:
            listener.start()
        assert all(listener.ready.wait(LONG) for listener in listeners)
        wanted = [(name, seed) for seed, name in enumerate(names * JOBS)]
        random.Random(1).shuffle(wanted)
        ids: dict[str, list[str]] = {name: [] for name in names}

        def work(mine: list[tuple[str, int]]) -> None:
            for name, seed in mine:
                ids[name].append(submit(stub, name, seed))

        workers = [threading.Thread(target=work, args=(wanted[at::3],), daemon=True) for at in range(3)]
        for worker in workers:
            worker.start()
        join([*workers, *listeners])
        assert [listener.error for listener in listeners] == [None] * len(names)
        expected = {job.id: [e.type for e in job.events if isinstance(e.data, dict)] for job in stub.jobs}
        with stub.client() as client:
            order = list(client.get("/history").json())  # numbers are given out before prompts are queued
    for listener in listeners:
        mine = ids[listener.name]
        heard = [said["data"]["prompt_id"] for said in listener.heard if "prompt_id" in said["data"]]
        assert sorted(set(heard)) == sorted(mine)
        assert [one for one, _ in itertools.groupby(heard)] == sorted(mine, key=order.index)
        for prompt_id in mine:
            told = listener.of(prompt_id)
            assert (told[0], told[-1]) == ("execution_start", "executing")
            assert told[:-1] == expected[prompt_id] or told == expected[prompt_id]
    assert set(stubbed._channels) <= before


# --- what is left

FDS = pathlib.Path("/proc/self/fd")


@pytest.mark.skipif(not FDS.exists(), reason="file descriptors cannot be counted here")
def test_two_hundred_cycles_leave_nothing() -> None:
    websocket = pytest.importorskip("websocket")

    def cycle(stub: comfystub.Stub, seed: int) -> None:
        connection = websocket.create_connection(WS + "me", timeout=LONG)
        submit(stub, "me", seed)
        while LAST not in (connection.recv_data()[1]):
            pass
        connection.close()

    def census() -> tuple[int, int, int]:
        gc.collect()
        return threading.active_count(), len(list(FDS.iterdir())), len(stubbed._channels)

    gc.collect()
    open_before = set(stubbed._channels)
    with comfystub.patch(URL) as stub:
        cycle(stub, 0)  # what is made once is made now
        before = census()
        for seed in range(1, 200):
            cycle(stub, seed)
        assert census() == before
        assert not stub._engine.hub._sessions
        assert not stub._engine._waiting
    assert set(stubbed._channels) <= open_before


def test_cycles_of_patches_leave_nothing() -> None:
    before = set(stubbed._channels), threading.active_count()
    fds = len(list(FDS.iterdir())) if FDS.exists() else 0
    with contextlib.ExitStack() as socks:
        for _ in range(50):
            with comfystub.patch(URL):
                sock = socks.enter_context(listening())
            assert sock.recv(1) == b""
            sock.close()
            del sock
    assert (set(stubbed._channels), threading.active_count()) == before
    assert (len(list(FDS.iterdir())) if FDS.exists() else 0) == fds
