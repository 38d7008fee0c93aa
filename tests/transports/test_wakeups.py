"""Threads: who waits for a stub is woken when there is something to read, and nobody spins or is forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import select
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from calls import URL
from PIL import Image
from wire import ADDRESS, GET_WS, LAST, LONG, listening, submit

import comfystub
from comfystub.engine.engine import Engine
from comfystub.server.connection import Connection

WS = URL.replace("http", "ws", 1) + "/ws?clientId="


class Reader(threading.Thread):
    """A thread that reads until something comes that it wants."""

    def __init__(self, sock: socket.socket, wanted: bytes) -> None:
        super().__init__(daemon=True)
        self.sock = sock
        self.wanted = wanted
        self.heard = b""
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            while self.wanted not in self.heard:
                data = self.sock.recv(1 << 16)
                self.heard += data
                if not data:
                    return
        except BaseException as error:
            self.error = error

    def done(self) -> bytes:
        join([self])
        assert self.error is None, self.error
        return self.heard


def join(threads: list[Any], timeout: float = LONG) -> None:
    """Wait for threads; where one of them stays, say where each of them is."""
    for thread in threads:
        thread.join(timeout)
    if any(thread.is_alive() for thread in threads):
        faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
        raise AssertionError("a thread waits for ever")


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Waits until a reader is about to sleep: it found nothing to read and nothing to move."""
    polled = threading.Semaphore(0)
    poll = Connection.poll

    def watched(self: Connection) -> bool:
        found = poll(self)
        if not found and threading.current_thread() is not threading.main_thread():
            polled.release()
        return found

    monkeypatch.setattr(Connection, "poll", watched)

    def wait() -> None:
        assert polled.acquire(timeout=LONG), "nobody sleeps"

    return wait


# --- who wakes a reader


def test_a_submission_wakes_a_reader(asleep: Callable[[], None]) -> None:
    with comfystub.patch(URL) as stub, listening() as sock:
        reader = Reader(sock, LAST)
        asleep()
        submit(stub, "me")
        assert b"execution_success" in reader.done()


def test_the_submission_of_another_wakes_a_reader(asleep: Callable[[], None]) -> None:
    with comfystub.patch(URL) as stub, listening() as sock:
        reader = Reader(sock, b'"queue_remaining": 0')
        asleep()
        submit(stub, "another")
        reader.done()
        assert stub._engine.jobs[0].ended


def test_a_step_wakes_a_reader(asleep: Callable[[], None]) -> None:
    with comfystub.patch(URL, pace="manual") as stub, listening() as sock:
        reader = Reader(sock, b"execution_start")
        asleep()
        submit(stub, "me")
        asleep()
        assert b"execution_start" not in reader.heard
        stub.step()
        reader.done()
        assert stub._engine.jobs[0].state == "in_progress"


def test_the_end_of_the_patch_wakes_a_reader(asleep: Callable[[], None]) -> None:
    with contextlib.ExitStack() as socks:
        with comfystub.patch(URL):
            reader = Reader(socks.enter_context(listening()), b"never")
            asleep()
        assert reader.done() == b""


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR])
def test_a_shutdown_wakes_a_reader(asleep: Callable[[], None], how: int) -> None:
    with comfystub.patch(URL), listening() as sock:
        reader = Reader(sock, b"never")
        asleep()
        sock.shutdown(how)
        assert reader.done() == b""


def test_what_the_reader_itself_is_answered_wakes_it(asleep: Callable[[], None]) -> None:
    """One thread reads, another one sends a ping."""
    with comfystub.patch(URL), listening() as sock:
        reader = Reader(sock, b"\x8a\x01?")
        asleep()
        sock.sendall(b"\x89\x81\0\0\0\0?")
        reader.done()


def test_a_look_elsewhere_wakes_a_reader(asleep: Callable[[], None]) -> None:
    with comfystub.patch(URL, pace=3) as stub, listening("deaf") as older, listening("deaf") as newer:
        readers = [Reader(older, b"never"), Reader(newer, b'"queue_remaining": 0')]
        asleep()
        with stub.client() as client:
            submit(stub, "me")
            for _ in range(3):
                client.get("/history")
        readers[1].done()
        older.shutdown(socket.SHUT_RDWR)
        assert readers[0].done() == b"", "it was taken over"


# --- while somebody else drives


class Slow:
    """A stub whose pictures take until they are let go."""

    def __init__(self) -> None:
        self.inside = threading.Event()
        self.go_on = threading.Event()
        self.driver = threading.Thread(target=self.drive, daemon=True)

    def image(self, job: Any, node: Any) -> Image.Image:
        self.inside.set()
        assert self.go_on.wait(LONG)
        return Image.new("RGB", (8, 8))

    def drive(self) -> None:
        self.stub.finish()

    def __enter__(self) -> comfystub.Stub:
        self.patch = comfystub.patch(URL, image=self.image)
        self.stub = self.patch.__enter__()
        return self.stub

    def start(self) -> None:
        """Go as far as the picture, in another thread."""
        self.driver.start()
        assert self.inside.wait(LONG)

    def __exit__(self, *raised: Any) -> None:
        self.go_on.set()
        if self.driver.ident is not None:
            join([self.driver])
        self.patch.__exit__(*raised)


def drain(sock: socket.socket) -> bytes:
    """Read what is there."""
    data = b""
    while select.select([sock], [], [], 0)[0]:
        data += sock.recv(1 << 16)
    return data


def count(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[int]:
    """The threads that called a method, one entry for each call."""
    calls: list[int] = []
    original = getattr(owner, name)

    def counted(*args: Any) -> Any:
        calls.append(threading.get_ident())
        return original(*args)

    monkeypatch.setattr(owner, name, counted)
    return calls


def test_a_reader_neither_waits_for_a_driver_nor_spins(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    with slow as stub, listening() as sock:
        submit(stub, "me")
        slow.start()
        assert b"execution_start" in drain(sock)
        assert not select.select([sock], [], [], 0)[0]
        pulls = count(monkeypatch, Engine, "pull")
        sock.settimeout(0.05)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                sock.recv(1)
        assert 3 <= len(pulls) <= 6
        sock.settimeout(LONG)
        reader = Reader(sock, LAST)
        slow.go_on.set()
        reader.done()


def test_a_reader_goes_on_when_the_driver_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver stops in the middle of the job: nothing is sent, but the reader can move the rest."""
    slow = Slow()
    slow.drive = lambda: slow.stub.run_until("executed")  # type: ignore[method-assign,assignment,return-value]
    slow.driver = threading.Thread(target=slow.drive, daemon=True)
    with slow as stub, listening("other") as sock:
        submit(stub, "me")
        slow.start()
        drain(sock)
        pulls = count(monkeypatch, Engine, "pull")
        reader = Reader(sock, b'"queue_remaining": 0')
        slow.go_on.set()
        reader.done()
        assert stub._engine.jobs[0].ended
        assert len(pulls) < 50
        assert set(pulls) == {reader.ident}


async def test_a_loop_neither_waits_for_a_driver_nor_spins(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    with slow as stub:
        reader, writer = await asyncio.open_connection(*ADDRESS)
        writer.write(GET_WS)
        await reader.readuntil(b'"sid": "me"}}')
        writer.transport.pause_reading()  # or this loop would make the picture
        submit(stub, "me")
        await asyncio.to_thread(slow.start)
        writer.transport.resume_reading()
        while True:
            try:
                await asyncio.wait_for(reader.read(1 << 16), 0.05)
            except asyncio.TimeoutError:
                break
        moves = count(monkeypatch, Connection, "move")
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(moves) <= 3
        slow.go_on.set()
        heard = b""
        while LAST not in heard:
            heard += await asyncio.wait_for(reader.read(1 << 16), LONG)
        writer.close()


def test_a_read_within_a_beat_times_out() -> None:
    """A picture that is made by code that listens: nothing can move meanwhile, and nothing may hang."""
    seen: list[Any] = []

    def image(job: Any, node: Any) -> Image.Image:
        try:
            with listening("inner", timeout=0.05) as sock:
                while True:
                    sock.recv(1 << 16)
        except TimeoutError as error:
            seen.append(error)
        return Image.new("RGB", (8, 8))

    def main() -> None:
        with comfystub.patch(URL, image=image) as stub:
            submit(stub, "me")
            seen.append(stub.jobs[0].status)

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    join([thread])
    assert [type(one) for one in seen] == [TimeoutError, str]
    assert seen[1] == "completed"


def test_a_call_within_a_beat_that_another_reader_drives(asleep: Callable[[], None]) -> None:
    """The reader drives; what its beat asks for over a socket is answered, and the reader goes on."""
    statuses: list[bytes] = []

    def image(job: Any, node: Any) -> Image.Image:
        with socket.create_connection(ADDRESS, timeout=LONG) as sock:
            sock.sendall(b"GET /history HTTP/1.1\r\nHost: a\r\n\r\n")
            statuses.append(sock.recv(15))
        return Image.new("RGB", (8, 8))

    with comfystub.patch(URL, image=image) as stub, listening() as sock:
        reader = Reader(sock, LAST)
        asleep()
        submit(stub, "me")
        reader.done()
    assert statuses == [b"HTTP/1.1 200 OK"]


# --- who hears nothing, and who may move nothing


def test_a_reader_that_was_taken_over_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with comfystub.patch(URL) as stub, listening(timeout=0.05) as older, listening() as newer:
        submit(stub, "me")
        pulls = count(monkeypatch, Engine, "pull")
        with pytest.raises(TimeoutError):
            older.recv(1)
        assert pulls == []
        assert stub._engine.jobs[0].state == "pending"
        Reader(newer, LAST).done()
        with pytest.raises(TimeoutError):
            older.recv(1)


def test_by_hand_only_a_step_brings_something() -> None:
    with comfystub.patch(URL, pace="manual") as stub, listening() as sock:
        submit(stub, "me")
        assert b'"queue_remaining": 1' in drain(sock)
        beats = 0
        while stub.step():
            beats += 1
            assert drain(sock), "a beat without anything to hear"
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
        assert beats > 8
