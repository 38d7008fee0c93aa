"""Eight threads at one server: each has an HTTP library, a listening socket and prompts of its own."""

from __future__ import annotations

import contextlib
import gc
import http.client
import json
import logging
import os
import pathlib
import random
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
from calls import URL
from wire import LONG
from workflows import Graph, text_to_image

pytest.importorskip("websocket")
pytest.importorskip("websockets")

import websocket
import websockets.exceptions
import websockets.sync.client

import comfystub
from comfystub import Stub, Timed
from comfystub.engine.events import Event
from comfystub.engine.history import CAPACITY
from comfystub.transports import stubbed
from properties.grammar import Life

#: How many seconds each test goes on.
SECONDS = float(os.environ.get("COMFYSTUB_SOAK", "3"))
THREADS = 8
FDS = pathlib.Path("/proc/self/fd")
#: websockets logs what its thread still reads after a ``close()``; the record would keep the socket alive.
SILENT = logging.Logger("silent", logging.CRITICAL)
WS_URL = URL.replace("http", "ws") + "/ws"

# --- the libraries

Ask = Callable[[str, str, Any], tuple[int, bytes]]


class Gone(Exception):
    """The server cut the connection."""


class NothingCame(Exception):
    """Nothing was to be read for a while."""


@contextlib.contextmanager
def over_requests() -> Iterator[Ask]:
    with requests.Session() as session:

        def ask(method: str, path: str, body: Any) -> tuple[int, bytes]:
            answer = session.request(method, URL + path, json=body)
            return answer.status_code, answer.content

        yield ask


@contextlib.contextmanager
def over_httpx() -> Iterator[Ask]:
    with httpx.Client() as client:

        def ask(method: str, path: str, body: Any) -> tuple[int, bytes]:
            answer = client.request(method, URL + path, json=body)
            return answer.status_code, answer.content

        yield ask


@contextlib.contextmanager
def over_urllib() -> Iterator[Ask]:
    def ask(method: str, path: str, body: Any) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(URL + path, data, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    yield ask


@contextlib.contextmanager
def over_http_client() -> Iterator[Ask]:
    """One connection for all calls, and a new one where the server has closed it."""
    connection = http.client.HTTPConnection("comfy.test", 8188)

    def ask(method: str, path: str, body: Any) -> tuple[int, bytes]:
        try:
            connection.request(method, path, None if body is None else json.dumps(body).encode())
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise

    with contextlib.closing(connection):
        yield ask


#: What they raise when the connection breaks off in the middle of a call.
BROKEN = (
    requests.ConnectionError,
    httpx.TransportError,
    urllib.error.URLError,
    http.client.HTTPException,
    OSError,
)


class WebSocketClient:
    def __init__(self, client_id: str) -> None:
        self._socket = websocket.create_connection(f"{WS_URL}?clientId={client_id}")

    def receive(self, seconds: float) -> str | bytes:
        self._socket.settimeout(seconds)
        try:
            frame: str | bytes = self._socket.recv()
        except websocket.WebSocketTimeoutException:
            raise NothingCame from None
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            raise Gone from None
        return frame

    def close(self) -> None:
        self._socket.close()


class Websockets:
    def __init__(self, client_id: str) -> None:
        self._open = contextlib.ExitStack()
        url = f"{WS_URL}?clientId={client_id}"
        connection = websockets.sync.client.connect(url, close_timeout=0.5, logger=SILENT)
        self._socket = self._open.enter_context(connection)

    def receive(self, seconds: float) -> str | bytes:
        try:
            frame: str | bytes = self._socket.recv(seconds)
        except TimeoutError:
            raise NothingCame from None
        except websockets.exceptions.ConnectionClosed:
            raise Gone from None
        return frame

    def close(self) -> None:
        self._open.close()


HTTP = (over_requests, over_httpx, over_urllib, over_http_client)
SOCKETS: tuple[Any, ...] = (WebSocketClient, Websockets)

# --- one thread's part


def graph_of(seed: int) -> Graph:
    """Most are pictures that are soon made; every third is the one before it, whose results may be cached."""
    seed -= seed % 3 == 2
    if seed % 4 == 0:
        return text_to_image(seed=seed, width=16, height=16)
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": seed},
        },
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": f"p{seed % 5}"}},
    }


class Member:
    """A thread's client: it submits, looks and listens, and holds what it hears against what it may hear."""

    def __init__(self, number: int, ask: Ask) -> None:
        self.number = number
        self.name = f"client-{number}"
        self.random = random.Random(number)
        self.listens = SOCKETS[number % 2]
        self.socket = self.listens(self.name)
        self._ask = ask
        #: The prompts that it sent, and those of them that were answered.
        self.sent: list[str] = []
        self.answered: list[str] = []
        #: Those that it gave up, as the answer did not come; and whose frame came last.
        self.given_up: set[str] = set()
        self._speaks = ""
        self.outcomes: Counter[str] = Counter()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, content = self._ask(method, path, body)
        if status == 404:
            return None
        assert status == 200, (method, path, status, content)
        return json.loads(content) if content else None

    def submit(self) -> str:
        prompt_id = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        self.prompt = graph_of(len(self.sent) + 1000 * self.number)
        body = {"prompt": self.prompt, "client_id": self.name, "prompt_id": prompt_id}
        self.sent.append(prompt_id)
        answer = self.ask("POST", "/prompt", body)
        assert answer["prompt_id"] == prompt_id
        self.answered.append(prompt_id)
        return prompt_id

    def hear(self, life: Life, prompt_id: str, seconds: float) -> None:
        """Take a frame: of this prompt and in its turn, of one that was given up before, or a status."""
        frame = self.socket.receive(seconds)
        if isinstance(frame, bytes):
            if self._speaks == prompt_id:
                life.take(Event("preview", frame))
            return
        assert frame, "an empty message"
        message = json.loads(frame)
        kind, data = message["type"], message["data"]
        if kind == "status":
            assert data["status"]["exec_info"]["queue_remaining"] >= 0
        elif "prompt_id" in data:  # all but what greets a socket that comes while a job runs
            self._speaks = data["prompt_id"]
            if self._speaks == prompt_id:
                life.take(Event(kind, data))
            else:
                assert self._speaks in self.given_up

    def look(self, prompt_id: str) -> None:
        """Look for the prompt: what is in the queue no more is in the history."""
        way = len(self.sent) % 4
        if way == 0:
            queue = self.ask("GET", "/queue")
            found = [item[1] for item in queue["queue_running"] + queue["queue_pending"]]
            if prompt_id not in found:
                assert self.ask("GET", f"/history/{prompt_id}")
            assert len(found) == len(set(found))
        elif way == 1:
            assert self.ask("GET", f"/api/jobs/{prompt_id}")["id"] == prompt_id
        elif way == 2:
            jobs = [row["id"] for row in self.ask("GET", "/api/jobs?limit=50")["jobs"]]
            assert prompt_id in jobs and len(jobs) == len(set(jobs))

    def run(self, until: Callable[[], bool]) -> None:
        """Submit, look, and hear the whole life of each job."""
        while not until():
            prompt_id = self.submit()
            self.look(prompt_id)
            life = Life(self.prompt)
            while not life.over:
                self.hear(life, prompt_id, LONG)
            assert life.end == "execution_success"
            entry = self.ask("GET", f"/history/{prompt_id}")[prompt_id]
            assert entry["status"]["status_str"] == "success" and entry["outputs"]["9"]["images"]
            self.outcomes["success"] += 1

    def run_among_trouble(self, until: Callable[[], bool]) -> None:
        """The same where jobs are stopped and dropped and the server restarts; every job has to have an end."""
        while not until():
            try:
                prompt_id = self.submit()
                outcome = self.outcome(prompt_id)
            except BROKEN:
                outcome = "call broke off"
            self.given_up.add(self.sent[-1])
            self.outcomes[outcome] += 1

    def outcome(self, prompt_id: str) -> str:
        life, patience = Life(self.prompt), time.monotonic() + LONG
        heard_all = True
        while time.monotonic() < patience:
            try:
                if heard_all:
                    self.hear(life, prompt_id, 0.1)
                    if life.over:
                        return str(life.end)
                    continue
            except Gone:
                self.reconnect()
                heard_all = False
            except NothingCame:
                pass
            row = self.ask("GET", f"/api/jobs/{prompt_id}")
            if row is None:
                # Dropped, lost, or taken out of the history: what was heard of it is to come no more.
                self.reconnect()
                return "gone"
            if not heard_all and row["status"] not in ("pending", "in_progress"):
                self.reconnect()
                return str(row["status"])
        raise AssertionError(f"{prompt_id} has no end: {row}")

    def reconnect(self) -> None:
        self.socket.close()
        while True:
            try:
                self.socket = self.listens(self.name)
                return
            except (*BROKEN, websocket.WebSocketException, websockets.exceptions.WebSocketException):
                continue


# --- all of them


class Crew:
    """Threads that go on until their time is over or one of them raises."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._threads: list[threading.Thread] = []
        self.raised: list[str] = []

    def over(self) -> bool:
        return bool(self.raised) or time.monotonic() > self._end

    def start(self, part: Callable[[], None]) -> None:
        thread = threading.Thread(target=self._run, args=(part,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException:
            self.raised.append(traceback.format_exc())

    def wait(self) -> None:
        """Wait for all of them, and fail where one has raised or does not come to an end."""
        for thread in self._threads:
            thread.join(max(0, self._end - time.monotonic()) + 2 * LONG)
        alive = {thread.ident for thread in self._threads if thread.is_alive()}
        if alive:
            frames = sys._current_frames().items()
            stacks = ["".join(traceback.format_stack(frame)) for _, frame in frames]
            pytest.fail("some threads do not end; all of them:\n" + "\n\n".join([*stacks, *self.raised]))
        assert not self.raised, "\n".join(self.raised)


@pytest.fixture(autouse=True)
def threads_change_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    gc.collect()
    before = left()
    yield
    gc.collect()
    assert left() == before


def left() -> dict[str, Any]:
    """The threads and the descriptors that there are."""
    names = []
    for descriptor in FDS.iterdir() if FDS.exists() else ():
        with contextlib.suppress(FileNotFoundError):  # the one that lists the folder
            names.append(f"{descriptor.name} {os.readlink(descriptor)}")
    return {
        "threads": threading.enumerate(),
        "channels": len(stubbed._channels),
        "descriptors": sorted(names),
    }


@contextlib.contextmanager
def members() -> Iterator[list[Member]]:
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(over_httpx())
        asks = [stack.enter_context(HTTP[number // 2]()) for number in range(THREADS)]
        asks[2] = asks[3] = shared
        crew = [Member(number, ask) for number, ask in enumerate(asks)]
        yield crew
        for member in crew:
            member.socket.close()


def tell(stub: Stub, crew: list[Member]) -> None:
    outcomes = sum((member.outcomes for member in crew), Counter[str]())
    print(f"{SECONDS} s, {len(stub.jobs)} jobs, {len(stub.requests)} calls, {dict(outcomes)}")


def of_all(crew: list[Member], attribute: str) -> list[str]:
    return [prompt_id for member in crew for prompt_id in getattr(member, attribute)]


PACES: list[Any] = ["instant", 0, 3, Timed(load=0.004, step=0.002, node=0.001)]
each_pace = pytest.mark.parametrize("pace", PACES, ids=["instant", "0", "3", "timed"])


@each_pace
def test_every_job_is_done_and_heard_of(pace: Any) -> None:
    with comfystub.patch(URL, pace=pace, strict=True) as stub, members() as all_of_them:
        crew = Crew(SECONDS)
        for member in all_of_them:
            crew.start(lambda member=member: member.run(crew.over))  # type: ignore[misc]
        crew.wait()
        tell(stub, all_of_them)

        jobs = stub.jobs
        assert sorted(job.id for job in jobs) == sorted(of_all(all_of_them, "answered"))
        assert {job.state for job in jobs} == {"completed"}
        history = all_of_them[0].ask("GET", "/history")
        assert set(history) <= {job.id for job in jobs}
        assert len(history) == min(len(jobs), CAPACITY + 1)
        assert {entry["status"]["status_str"] for entry in history.values()} == {"success"}
        files = [file.path for job in jobs for file in job.files()]
        assert len(files) == len(jobs)
        assert {path for path in stub.output_dir.rglob("*") if path.is_file()} == set(files)
        stub.assert_no_errors()


@each_pace
def test_every_job_has_an_end_whatever_happens(pace: Any) -> None:
    with comfystub.patch(URL, pace=pace) as stub, members() as all_of_them:
        crew = Crew(SECONDS)
        for member in all_of_them:
            crew.start(lambda member=member: member.run_among_trouble(crew.over))  # type: ignore[misc]
        crew.start(lambda: make_trouble(stub, crew.over))
        crew.wait()
        tell(stub, all_of_them)

        stub.finish()
        jobs = stub.jobs
        ids = [job.id for job in jobs]
        assert len(ids) == len(set(ids))
        assert set(of_all(all_of_them, "answered")) <= set(ids) <= set(of_all(all_of_them, "sent"))
        assert {job.state for job in jobs} <= {"completed", "cancelled", "lost"}
        assert all(
            job.state == "completed" for job in jobs if job.marks and job.marks[-2][0] == "execution_success"
        )
        queue = all_of_them[0].ask("GET", "/queue")
        assert queue == {"queue_running": [], "queue_pending": []}
        ended = {job.id for job in jobs if job.state != "lost"}
        assert set(all_of_them[0].ask("GET", "/history")) <= ended
        for job in jobs:
            life = Life(job.workflow)
            for event in job.events:
                life.take(event)
            assert life.over or job.state == "lost" or not life.started
        assert all(file.path.is_file() for job in jobs for file in job.files())
        assert not stub.complaints


def make_trouble(stub: Stub, over: Callable[[], bool]) -> None:
    chance = random.Random(1)
    with stub.client() as client:
        while not over():
            time.sleep(0.005)
            what = chance.choice(["restart", "interrupt", "interrupt", "clear", "cancel", "history"])
            job = chance.choice(stub.jobs[-THREADS:]) if stub.jobs else None
            if what == "restart":
                stub.restart()
            elif what == "interrupt":
                client.post("/interrupt", json={})
            elif what == "clear":
                client.post("/queue", json={"clear": True})
            elif what == "history":
                client.post("/history", json={"clear": True})
            elif job is not None:
                assert client.post(f"/api/jobs/{job.id}/cancel", json={}).status_code == 200
