"""Whatever two clients do, in whatever order: no job is lost or seen twice, and all that is told fits together."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import struct
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from calls import CLIENT, URL
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from workflows import Graph, text_to_image

pytest.importorskip("websocket")

import websocket

import comfystub
from comfystub import Stub, Timed, faults
from comfystub.engine.events import BROADCAST, Event, replay
from comfystub.engine.faults import Fault
from comfystub.engine.job import Job
from comfystub.transports import stubbed
from properties.grammar import Life

#: How many sequences of steps are tried.
EXAMPLES = int(os.environ.get("COMFYSTUB_EXAMPLES", "50"))
STEPS = 40
PACES: list[Any] = ["instant", 0, 3, "manual", Timed(load=2, step=0.5, node=0.25), Timed(0, 0, 0)]
LOOKS = ["/queue", "/history", "/prompt", "/api/jobs", "/history/{id}", "/api/jobs/{id}"]

# --- what is submitted


def _picture(seed: int, **more: Any) -> Graph:
    made = {"width": 8, "height": 8, "batch_size": 1, "color": seed}
    return {
        "1": {"class_type": "EmptyImage", "inputs": made},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "picture"}},
        **more,
    }


def _two(seed: int) -> Graph:
    return _picture(seed, **{"8": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})


def _sampled(seed: int) -> Graph:
    return text_to_image(seed=seed, width=16, height=16, batch_size=2, steps=2, prefix="deep/sampled")


def _no_picture(seed: int) -> Graph:
    graph = _picture(seed)
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "broken.png"}}
    return graph


GRAPHS: dict[str, Callable[[int], Graph]] = {
    "picture": _picture,
    "two": _two,
    "sampled": _sampled,
    "no picture": _no_picture,
}
#: The files of a job that succeeds: how many in which folder, and their size.
FILES = {
    "picture": ({"output": 1}, (8, 8)),
    "two": ({"output": 1, "temp": 1}, (8, 8)),
    "sampled": ({"output": 2}, (16, 16)),
}
FAULTS: dict[str, Callable[[], Fault]] = {
    "error": lambda: faults.error("no", after=1),
    "disk_full": lambda: faults.disk_full(),
    "no_cache": lambda: faults.no_cache(),
    "hang": lambda: faults.hang(3, times=1),
    "vanish": lambda: faults.vanish(),
    "restart": lambda: faults.restart(at="executing"),
    "restart at its end": lambda: faults.restart(at="execution_success"),
}
#: Faults that let the server lose a job.
LOSING = ("vanish", "restart", "restart at its end")

# --- who submits

Answer = tuple[int, bytes]
#: What urllib raises when the server dies before it answers; httpx, which has no connection, is answered.
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError)


def _over_httpx(method: str, path: str, body: Any) -> Answer:
    answer = CLIENT.request(method, URL + path, json=body)
    return answer.status_code, answer.content


def _over_urllib(method: str, path: str, body: Any) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(URL + path, data, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


#: The clients by name, and the HTTP library of each.
CLIENTS = {"ann": _over_httpx, "bob": _over_urllib}


class Said(NamedTuple):
    """An event, and whose job it is of."""

    event: Event
    client_id: str | None

    def reaches(self, name: str) -> bool:
        return self.client_id == name or (self.client_id is None and self.event.type in BROADCAST)

    @property
    def message(self) -> Any:
        kind, data = self.event
        return data if isinstance(data, bytes) else {"type": kind, "data": data}


class Listener:
    """A socket, and what was heard over it."""

    def __init__(self, name: str, said: int, running: Job | None) -> None:
        self.name = name
        url = URL.replace("http", "ws") + f"/ws?clientId={name}"
        self.socket = websocket.create_connection(url, timeout=0)
        self.closed = False
        #: The ``queue_remaining`` that it heard last, and what it heard of jobs.
        self.remaining = -1
        self.heard: list[Any] = []
        #: What was said before it was there, and when the server cut it off.
        self.since = said
        self.until: int | None = None
        is_own = running is not None and running.client_id == name and running.current_node
        self._nodes = [running.current_node] if running is not None and is_own else []
        self._greeted = False

    def read(self, seconds: float = 0) -> bool:
        """Read a frame; whether there was one."""
        self.socket.settimeout(seconds)
        try:
            frame = self.socket.recv()
        except (BlockingIOError, websocket.WebSocketTimeoutException):
            return False
        except websocket.WebSocketConnectionClosedException:
            self.closed = True
            return False
        self._hear(frame if isinstance(frame, bytes) else json.loads(frame))
        return True

    def _hear(self, message: Any) -> None:
        if not self._greeted:
            assert message["type"] == "status" and message["data"]["sid"] == self.name
            self._greeted = True
        elif self._nodes:
            assert message == {"type": "executing", "data": {"node": self._nodes.pop()}}
            return
        if isinstance(message, dict) and message["type"] == "status":
            self.remaining = message["data"]["status"]["exec_info"]["queue_remaining"]
            assert self.remaining >= 0
        else:
            self.heard.append(message)

    def check(self, log: list[Said]) -> None:
        """Hold what was heard against what was said meanwhile."""
        assert self.until is not None or not self.closed, "nobody has closed it"
        said = [one for one in log[self.since : self.until] if one.reaches(self.name)]
        assert self.heard == [one.message for one in said[: len(self.heard)]]
        self.whole = len(self.heard) == len(said)

    whole = True


class Accepted:
    """What is known of an accepted prompt."""

    def __init__(self, job: Job, kind: str, fault: Fault | None) -> None:
        self.job = job
        self.kind = kind
        self.fault = fault
        self.life = Life(job.workflow)
        #: How many of its events were seen.
        self.seen = 0
        #: Why it is in no place any more.
        self.gone: str | None = None
        #: How many of its nodes had begun when somebody stopped it first.
        self.stopped_at: int | None = None

    def __repr__(self) -> str:
        return f"<{self.job.ordinal} {self.kind} {self.job.state} gone={self.gone} fault={self.fault}>"

    @property
    def key(self) -> int:
        """What it is known by: no two have the same, even where they have the same id."""
        created: int = self.job.extra_data["create_time"]
        return created

    def stop(self) -> None:
        if self.stopped_at is None:
            self.stopped_at = len(self.life.begun)

    def struck(self, name: str) -> bool:
        return self.fault is not None and self.fault.name == name and self.fault.hits > 0


@contextlib.contextmanager
def standing_still(stub: Stub) -> Iterator[None]:
    """A block in which the server answers and nothing moves: a look counts for nothing."""
    looks = [(job, job.looks) for job in stub.jobs]
    before, stub._engine._stopped = stub._engine._stopped, True
    try:
        yield
    finally:
        stub._engine._stopped = before
        for job, count in looks:
            job.looks = count
        for channel in list(stubbed._channels.values()):
            channel.update()


clients = st.sampled_from(sorted(CLIENTS))
places = st.sampled_from([{}, {}, {"front": True}, {"number": -1}, {"number": 0.5}, {"number": 2}])


class Servers(RuleBasedStateMachine):
    """Two clients at one server, and the model that they are held against."""

    prompts: Bundle[str] = Bundle("prompts")

    @initialize(pace=st.sampled_from(PACES), is_virtual=st.booleans(), seed=st.integers(0, 9))
    def start(self, pace: Any, is_virtual: bool, seed: int) -> None:
        self.is_virtual = is_virtual or isinstance(pace, Timed)
        # With a seed, as prompts with the same number run in the order of their ids.
        clock = "virtual" if self.is_virtual else "real"
        self.patch = comfystub.patch(URL, pace=pace, clock=clock, seed=seed)
        self.stub = self.patch.__enter__()
        self.pace = pace
        (self.stub.input_dir / "broken.png").write_bytes(b"no picture")
        self.accepted: list[Accepted] = []
        self.log: list[Said] = []
        self.listeners: dict[str, Listener] = {}
        self.restarts = 0
        self.files: dict[pathlib.Path, tuple[int, int]] = {}
        self.running: list[int] = []
        self.pending: list[int] = []
        self.history: list[int] = []
        for client in CLIENTS:
            self.open_socket(client)

    def teardown(self) -> None:
        if not hasattr(self, "stub"):
            return
        try:
            self.come_to_rest()
        finally:
            for listener in self.listeners.values():
                listener.socket.close()
            self.patch.__exit__(None, None, None)
        assert not stubbed._channels

    # --- asking

    def ask(self, client: str, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer, ``None`` where there is none.  The server may die meanwhile where a fault says so."""
        before = self.hits()
        try:
            status, content = CLIENTS[client](method, path, body)
        except BROKEN:
            assert self.hits() > before
            return None
        assert status == 200, (path, status, content)
        return json.loads(content) if content else None

    def hits(self) -> int:
        """How often the server has died by a fault."""
        return sum(one.fault.hits for one in self.accepted if one.fault and one.fault.name == "restart")

    def settle(self, client: str) -> None:
        """Let happen what happens before a call is answered, and know of it."""
        self.ask(client, "GET", "/system_stats")
        self.check()

    def called(self, prompt_id: str, among: list[int]) -> list[Accepted]:
        return [one for one in self.accepted if one.job.id == prompt_id and one.key in among]

    # --- what clients do

    @rule(
        target=prompts,
        client=clients,
        kinds=st.lists(st.sampled_from(sorted(GRAPHS)), min_size=1, max_size=3),
        seed=st.integers(1, 2),
        place=places,
        own_id=st.none() | st.just("new") | prompts,
        fault=st.sampled_from([None] * len(FAULTS) + sorted(FAULTS)),
    )
    def submit(
        self,
        client: str,
        kinds: list[str],
        seed: int,
        place: dict[str, Any],
        own_id: str | None,
        fault: str | None,
    ) -> Any:
        """Submit some prompts, with ids that the server makes, new ones or known ones; a fault strikes the last."""
        body: dict[str, Any] = {**place, "client_id": client}
        ids = []
        for number, kind in enumerate(kinds):
            body["prompt"] = GRAPHS[kind](seed)
            if own_id is not None:
                fresh = str(uuid.UUID(int=len(self.accepted), version=4))
                body["prompt_id"] = fresh if own_id == "new" or number else own_id
            ids.append(self.submits(client, kind, body, fault if number == len(kinds) - 1 else None))
        return multiple(*ids)

    @rule(target=prompts, client=clients, kind=st.sampled_from(sorted(GRAPHS)), seed=st.integers(1, 2))
    def submit_without_a_name(self, client: str, kind: str, seed: int) -> Any:
        return self.submits(client, kind, {"prompt": GRAPHS[kind](seed)}, None)

    def submits(self, client: str, kind: str, body: dict[str, Any], fault_name: str | None) -> str:
        self.settle(client)
        fault = FAULTS[fault_name]() if fault_name and (self.is_virtual or fault_name != "hang") else None
        if fault is not None:
            self.stub.next_job(faults=[fault])
        before = len(self.stub.jobs)
        try:
            status, content = CLIENTS[client]("POST", "/prompt", body)
        except BROKEN:
            assert fault is not None and fault.name == "restart" and fault.hits
        else:
            assert status == 200, content
        assert len(self.stub.jobs) == before + 1
        job = self.stub.jobs[before]
        assert body.get("prompt_id", job.id) == job.id
        self.accepted.append(Accepted(job, kind, fault))
        return job.id

    @rule(client=clients)
    def submit_nonsense(self, client: str) -> None:
        self.settle(client)
        graph = _picture(1)
        graph["9"]["inputs"]["images"] = ["77", 0]
        status, _ = CLIENTS[client]("POST", "/prompt", {"prompt": graph, "client_id": client})
        assert status == 400
        assert len(self.stub.jobs) == len(self.accepted)

    @rule(client=clients, prompt_id=st.none() | prompts)
    def interrupt(self, client: str, prompt_id: str | None) -> None:
        self.settle(client)
        self.ask(client, "POST", "/interrupt", {} if prompt_id is None else {"prompt_id": prompt_id})
        for one in self.accepted:
            if one.key in self.running and prompt_id in (None, one.job.id):
                one.stop()

    @rule(client=clients, prompt_id=prompts)
    def cancel(self, client: str, prompt_id: str) -> None:
        self.settle(client)
        waiting, running = self.called(prompt_id, self.pending), self.called(prompt_id, self.running)
        answer = self.ask(client, "POST", f"/api/jobs/{prompt_id}/cancel", {})
        assert answer == {"cancelled": bool(waiting or running)}
        if waiting:
            self.drop(waiting)
        else:
            for one in running:
                one.stop()

    @rule(client=clients, prompt_ids=st.lists(prompts, max_size=2))
    def delete(self, client: str, prompt_ids: list[str]) -> None:
        self.settle(client)
        self.ask(client, "POST", "/queue", {"delete": prompt_ids})
        self.drop([one for one in self.accepted if one.job.id in prompt_ids and one.key in self.pending])

    def drop(self, dropped: list[Accepted]) -> None:
        for one in dropped:
            one.gone = "dropped"
            assert one.job.state == "cancelled"
        if dropped:
            with standing_still(self.stub):
                for client in list(self.listeners):
                    self.reads_all(client)

    @rule(client=clients, prompt_ids=st.lists(prompts, max_size=2))
    def delete_history(self, client: str, prompt_ids: list[str]) -> None:
        self.settle(client)
        self.ask(client, "POST", "/history", {"delete": prompt_ids})
        for one in self.accepted:
            if one.job.id in prompt_ids and one.key in self.history:
                one.gone = "deleted"

    @rule(client=clients, what=st.sampled_from(["queue", "history", "cache"]))
    def clear(self, client: str, what: str) -> None:
        self.settle(client)
        if what == "cache":
            self.ask(client, "POST", "/free", {"free_memory": True})
            return
        self.ask(client, "POST", f"/{what}", {"clear": True})
        if what == "queue":
            self.drop([one for one in self.accepted if one.key in self.pending])
        for one in self.accepted:
            if what == "history" and one.key in self.history:
                one.gone = "cleared"

    @rule(client=clients, path=st.sampled_from(LOOKS[:4]))
    def look(self, client: str, path: str) -> None:
        self.ask(client, "GET", path)

    @rule(client=clients, path=st.sampled_from(LOOKS[4:]), prompt_id=prompts)
    def look_at_one(self, client: str, path: str, prompt_id: str) -> None:
        before = self.hits()
        try:
            status, content = CLIENTS[client]("GET", path.format(id=prompt_id), None)
        except BROKEN:
            assert self.hits() > before
            return
        self.check()
        known = self.called(prompt_id, self.history if "history" in path else self.known)
        if path.startswith("/history"):
            assert status == 200 and bool(json.loads(content)) == bool(known)
        else:
            assert status == (200 if known else 404)

    # --- sockets

    @rule(client=clients, is_opened=st.sampled_from([True, True, False]))
    def reconnect(self, client: str, is_opened: bool) -> None:
        listener = self.listeners.pop(client, None)
        if listener is not None:
            listener.socket.close()
        if is_opened:
            self.settle(client)
            self.open_socket(client)

    def open_socket(self, client: str) -> None:
        running = next((one.job for one in self.accepted if one.key in self.running), None)
        self.listeners[client] = Listener(client, len(self.log), running)

    @rule(client=clients, count=st.none() | st.integers(1, 12))
    def read(self, client: str, count: int | None) -> None:
        if count is None:
            self.reads_all(client)
            return
        listener = self.listeners.get(client)
        while listener is not None and not listener.closed and count and listener.read():
            count -= 1

    def reads_all(self, client: str) -> None:
        listener = self.listeners.get(client)
        if listener is None or listener.closed:
            return
        while listener.read():
            pass
        self.check()
        assert listener.whole
        if not listener.closed:
            assert listener.until is None and listener.remaining == len(self.running + self.pending)

    @precondition(lambda self: self.is_virtual)
    @rule(client=clients, seconds=st.sampled_from([0.25, 1, 10]))
    def wait(self, client: str, seconds: float) -> None:
        listener = self.listeners.get(client)
        if listener is None or listener.closed:
            return
        before = self.stub.clock.elapsed
        if not listener.read(seconds) and not self.listeners[client].closed:
            assert self.stub.clock.elapsed == before + seconds

    # --- what the test does

    @rule(count=st.integers(1, 8))
    def step(self, count: int) -> None:
        assert self.stub.step(count) <= count

    @rule(prompt_id=st.none() | prompts)
    def finish(self, prompt_id: str | None) -> None:
        if prompt_id is None:
            self.stub.finish()
        else:
            for one in self.called(prompt_id, self.known):
                self.stub.finish(one.job)

    @precondition(lambda self: self.is_virtual)
    @rule(seconds=st.sampled_from([0, 0.25, 0.5, 2, 10]))
    def advance(self, seconds: float) -> None:
        self.stub.clock.advance(seconds)

    @precondition(lambda self: len(self.known) > 2)
    @rule(twice=st.booleans())
    def restart(self, twice: bool) -> None:
        self.stub.restart()
        if twice:
            self.stub.restart()
        self.listen_to_jobs()  # what was due by then has happened before
        self.lose_all()

    def lose_all(self) -> None:
        for one in self.accepted:
            one.gone = one.gone or "lost"
            assert one.job.state in ("lost", "completed", "failed", "cancelled")
        for listener in self.listeners.values():
            if listener.until is None:
                listener.until = len(self.log)

    # --- what has to hold

    @property
    def known(self) -> list[int]:
        return self.running + self.pending + self.history

    @invariant()
    def check(self) -> None:
        self.listen_to_jobs()
        if self.hits() > self.restarts:
            self.restarts = self.hits()
            self.lose_all()
        with standing_still(self.stub):
            entries = self.look_around()
        for one in self.accepted:
            if one.struck("vanish"):
                one.gone = one.gone or "vanished"
            self.check_place(one)
            if one.key in self.history:
                self.check_entry(one, entries[one.job.id])
        for listener in self.listeners.values():
            listener.check(self.log)
        self.check_files()

    def look_around(self) -> Any:
        """Where the routes say that the prompts are; they agree on it."""
        queue, history = self.ask("ann", "GET", "/queue"), self.ask("bob", "GET", "/history")
        self.running = [item[3]["create_time"] for item in queue["queue_running"]]
        self.pending = [item[3]["create_time"] for item in queue["queue_pending"]]
        self.history = [entry["prompt"][3]["create_time"] for entry in history.values()]
        assert len(self.running) <= 1
        assert all(entry["prompt"][1] == prompt_id for prompt_id, entry in history.items())
        remaining = self.ask("bob", "GET", "/prompt")["exec_info"]["queue_remaining"]
        assert remaining == len(self.running) + len(self.pending)
        jobs = self.ask("ann", "GET", "/api/jobs?sort_order=asc")
        rows = {row["create_time"]: row for row in jobs["jobs"]}
        assert jobs["pagination"]["total"] == len(jobs["jobs"]) == len(rows)
        assert list(rows) == sorted(self.known)
        assert [key for key, row in rows.items() if row["status"] == "in_progress"] == self.running
        assert [key for key, row in rows.items() if row["status"] == "pending"] == sorted(self.pending)
        unfinished = self.ask("bob", "GET", "/api/jobs?status=pending,in_progress&limit=1")
        assert unfinished["pagination"]["total"] == remaining
        for one in self.accepted:
            if one.key in self.history:
                row = rows[one.key]
                assert row["status"] == STATES[str(one.life.end)]
                assert row["outputs_count"] == len(one.job.files())
        return history

    def check_place(self, one: Accepted) -> None:
        """A prompt is in one place, in the one where it has to be, or its end is known."""
        if one.gone is None and one.key not in self.known:
            others = [other for other in self.called(one.job.id, self.history) if other is not one]
            assert one.life.over and others, one
            one.gone = "replaced"
        where = [place for place in ("running", "pending", "history") if one.key in getattr(self, place)]
        assert len(where) == (one.gone is None), (one, where)
        if one.gone is None:
            assert where == [PLACES[one.job.state]], one
        elif one.gone in ("dropped", "vanished"):
            assert not one.life.started and one.job.state == LEFT[one.gone]
        if one.life.end == "execution_interrupted":
            assert one.stopped_at is not None, one
        elif one.life.end == "execution_success" and one.stopped_at is not None:
            assert len(one.life.begun) == one.stopped_at, one  # no node has begun since
        if one.life.end is not None and one.job.state != "lost" and one.life.over:
            assert one.job.state == STATES[one.life.end]

    def check_entry(self, one: Accepted, entry: Any) -> None:
        """What history says of a job is what was said while it ran, and what it left."""
        assert one.life.over
        good = one.life.end == "execution_success"
        said = [
            list(event) for event in replay(one.job.marks, one.job.id) if event.type.startswith("execution_")
        ]
        assert entry["status"] == {
            "status_str": "success" if good else "error",
            "completed": good,
            "messages": said,
        }
        listed = [
            (image["type"], image["subfolder"], image["filename"])
            for shown in entry["outputs"].values()
            for image in shown["images"]
        ]
        assert listed == [(file.type, file.subfolder, file.filename) for file in one.job.files()]
        if good:
            counts, _ = FILES[one.kind]
            assert {kind: [file[0] for file in listed].count(kind) for kind in counts} == counts
            assert len(set(listed)) == sum(counts.values())

    def check_files(self) -> None:
        """What jobs say they left is there, as it was written, and nothing else is."""
        claimed: set[pathlib.Path] = set()
        for one in self.accepted:
            for file in one.job.files():
                claimed.add(file.path)
                if file.path not in self.files:
                    head = file.path.read_bytes()[:24]
                    assert struct.unpack(">II", head[16:]) == FILES[one.kind][1]
                    self.files[file.path] = stamp(file.path)
        there = {
            path
            for folder in (self.stub.output_dir, self.stub.temp_dir)
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert there == claimed
        assert {path: stamp(path) for path in there} == self.files

    def listen_to_jobs(self) -> None:
        """Take what the jobs have said since, one after the other, and in a legal order."""
        talking = [one for one in self.accepted if len(one.job.marks) > one.seen]
        talking.sort(key=lambda one: (not one.seen, one.job.times[0], one.job.number, one.job.id, one.key))
        for one in talking:
            for event in list(replay(one.job.marks, one.job.id))[one.seen :]:
                one.life.take(event)
                self.log.append(Said(event, one.job.client_id))
            one.seen = len(one.job.marks)

    def come_to_rest(self) -> None:
        """In the end every prompt has an end, and everybody has heard of it."""
        for _ in range(len(self.accepted) + 1):  # each may hang once
            self.stub.finish()
            if self.is_virtual:
                self.stub.clock.advance(100)
        self.check()
        assert not self.running and not self.pending
        for client in list(self.listeners):
            self.reads_all(client)
        for path in self.files:
            kind = path.relative_to(self.stub.output_dir.parent).parts[0]
            folder = self.stub.output_dir if kind == "output" else self.stub.temp_dir
            subfolder = path.relative_to(folder).parent.as_posix()
            view = f"/view?filename={path.name}&subfolder={subfolder}&type={kind}"
            assert _over_httpx("GET", view, None) == (200, path.read_bytes())


def stamp(path: pathlib.Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


#: The state of a job by its last message, its place by its state, and the state of one that has gone.
STATES = {
    "execution_success": "completed",
    "execution_error": "failed",
    "execution_interrupted": "cancelled",
}
PLACES = {
    "pending": "pending",
    "in_progress": "running",
    "completed": "history",
    "failed": "history",
    "cancelled": "history",
}
LEFT = {"dropped": "cancelled", "vanished": "lost"}

TestServers = pytest.mark.filterwarnings("error")(Servers.TestCase)
TestServers.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
