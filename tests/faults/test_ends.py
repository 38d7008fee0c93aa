"""A stub that ends while something is still to come leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import websocket
from calls import URL, in_thread
from wire import ADDRESS, GET, LONG, listening, submit

import comfystub
from comfystub import faults
from comfystub.engine.faults import Fault
from comfystub.transports import stubbed

#: Much longer than any test takes, on the real clock.
LATE = 3600
#: Threads that are taken on for looking names up: asyncio's, and one of pycares, by aiohttp.
OTHERS = ("asyncio_", "_run_safe_shutdown_loop")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    threads, channels = set(threading.enumerate()), len(stubbed._channels)
    yield
    gc.collect()
    for one in threading.enumerate():
        if one.name == "comfystub clock":  # it may be on its way out
            one.join(1)
    left = {one for one in threading.enumerate() if not any(name in one.name for name in OTHERS)}
    assert left <= threads
    assert len(stubbed._channels) <= channels


def clock_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "comfystub clock"]


def makers() -> list[Any]:
    return [
        pytest.param(lambda: faults.no_answer(), id="no answer"),
        pytest.param(lambda: faults.lost_answer(""), id="lost answer"),
        pytest.param(lambda: faults.slow(LATE), id="slow answer"),
    ]


each_owed = pytest.mark.parametrize("make", makers())


@each_owed
def test_a_socket_that_waits_for_its_answer(make: Callable[[], Fault]) -> None:
    with contextlib.ExitStack() as stack:
        with comfystub.patch(URL, faults=[make()]) as stub:
            sock = stack.enter_context(socket.create_connection(ADDRESS, timeout=LONG))
            sock.sendall(GET)
            assert len(stub.requests) == 1
        assert clock_threads() == []
        assert sock.recv(100) == b""


@each_owed
@pytest.mark.parametrize("call", [httpx.get, requests.get], ids=["httpx", "requests"])
def test_a_thread_that_waits_for_its_answer(make: Callable[[], Fault], call: Any) -> None:
    failed: list[Exception] = []

    def ask() -> None:
        try:
            call(f"{URL}/queue", timeout=LONG)
        except Exception as error:
            failed.append(error)

    with comfystub.patch(URL, faults=[make()]) as stub:
        thread = threading.Thread(target=ask)
        thread.start()
        while not stub.requests:
            thread.join(0.001)
    thread.join(LONG)
    assert not thread.is_alive()
    (error,) = failed
    assert type(error) in (httpx.RemoteProtocolError, requests.ConnectionError), repr(error)
    assert clock_threads() == []


@each_owed
def test_a_task_that_waits_for_its_answer(make: Callable[[], Fault]) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            with comfystub.patch(URL, faults=[make()]) as stub:

                async def ask() -> None:
                    async with session.post(f"{URL}/free", json={}):
                        raise AssertionError("it was answered")

                task = asyncio.create_task(ask())
                while not stub.requests:
                    await asyncio.sleep(0)
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await asyncio.wait_for(task, LONG)

    in_thread(asyncio.run, main())


@pytest.mark.parametrize("seconds", [LATE, float("inf")])
def test_a_socket_that_is_stalled(seconds: float) -> None:
    with comfystub.patch(URL, faults=[faults.stall_socket("execution_start", seconds)]) as stub:
        ws = websocket.create_connection("ws://comfy.test:8188/ws?clientId=me", timeout=LONG)
        submit(stub)
        stub.finish()
        assert bool(clock_threads()) == (seconds == LATE)
    assert clock_threads() == []
    with pytest.raises(websocket.WebSocketConnectionClosedException):
        while True:
            assert '"execution_start"' not in str(ws.recv())
    ws.close()


def test_a_client_that_gave_up_a_stalled_socket() -> None:
    with comfystub.patch(URL) as stub:
        fault = stub.fail(faults.stall_socket("execution_start", LATE))
        with listening():
            submit(stub)
            stub.finish()
        fault.lift()
        assert [record.is_open for record in stub.sockets] == [False]


def test_a_message_that_is_late() -> None:
    with comfystub.patch(URL, faults=[faults.delay_events("executed", seconds=LATE)]) as stub:
        with listening():
            submit(stub)
            stub.finish()
            assert clock_threads() == ["comfystub clock"]
    assert clock_threads() == []


def test_a_server_that_comes_back_owes_nothing_any_more() -> None:
    stub = comfystub.Stub(URL)
    fault = stub.fail(faults.slow(LATE))
    with comfystub.patch(stub=stub), socket.create_connection(ADDRESS, timeout=LONG) as first:
        first.sendall(GET)
    fault.lift()
    with comfystub.patch(stub=stub), httpx.Client() as client:
        assert client.get(f"{URL}/queue").status_code == 200
    assert [call.fault for call in stub.requests] == [fault, None]


def test_an_answer_that_is_late_comes_by_itself() -> None:
    """On the real clock it is the clock's thread that sends it."""
    with comfystub.patch(URL, faults=[faults.slow(0.02)]):
        with httpx.Client(timeout=LONG) as client:
            assert client.get(f"{URL}/queue").status_code == 200
        assert requests.get(f"{URL}/queue", timeout=LONG).status_code == 200


def test_a_clients_own_time_out_leaves_nothing() -> None:
    with comfystub.patch(URL, clock="virtual", faults=[faults.no_answer(), faults.slow(LATE)]) as stub:
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{URL}/queue", timeout=5)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{URL}/queue", timeout=5)
        assert stub.clock.elapsed == 10
