"""What happened at a stub, as plain data that could be written down as JSON."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.engine.clock import RealClock
from comfystub.engine.faults import Fault
from comfystub.engine.job import Job
from comfystub.engine.sessions import SocketRecord
from comfystub.reporting import bodies, graph, runs
from comfystub.reporting.frames import frames
from comfystub.reporting.graph import Facts
from comfystub.reporting.sheet import sheet
from comfystub.server.complaints import is_rejection, is_submission, problems, prompt_id, raised
from comfystub.server.server import Call
from comfystub.wording import call_name, failure, status

if TYPE_CHECKING:
    from comfystub.stub import Stub


class Seen(NamedTuple):
    """How much of a stub was reported before: so many of its calls, jobs and sockets."""

    calls: int = 0
    jobs: int = 0
    sockets: int = 0


NOTHING = Seen()


def gather(stub: Stub, seen: Seen = NOTHING) -> Facts:
    """All there is to say of a stub, or what came since it was ``seen``.  Nothing is moved or changed.

    Times are seconds on the stub's clock since the first of what is told.
    """
    if any(before > now for before, now in zip(seen, seen_of(stub))):
        seen = NOTHING  # it was reset
    calls, jobs, sockets = stub.requests[seen.calls :], stub.jobs[seen.jobs :], stub.sockets[seen.sockets :]
    start = _start(calls, jobs, sockets)
    complaints = {id(one.call): one.text for one in stub.complaints}
    virtual = not isinstance(stub.clock, RealClock)
    return {
        "url": stub.url,
        "complaints": [complaints[id(call)] for call in calls if id(call) in complaints],
        "faults": [_fault(fault) for fault in stub.faults],
        "overview": runs.overview([job for job in jobs if virtual or job.pace.timed], start),
        "jobs": [_job(job, start, virtual or job.pace.timed) for job in jobs],
        "outputs": list(sheet(stub, jobs)),
        "calls": list(_calls(calls, jobs, start)),
        "sockets": [_socket(socket, start) for socket in sockets],
    }


def seen_of(stub: Stub) -> Seen:
    """How much there is of a stub so far."""
    return Seen(len(stub.requests), len(stub.jobs), len(stub.sockets))


def _start(calls: Sequence[Call], jobs: Sequence[Job], sockets: Sequence[SocketRecord]) -> float:
    """When the first of them was."""
    times = [call.time for call in calls] + [job.submitted for job in jobs]
    return min(times + [socket.opened for socket in sockets], default=0.0)


def _fault(fault: Fault) -> Facts:
    where = [f"{name} {_in_words(value)}" for name, value in fault.where.items()]
    return {"name": fault.name, "where": ", ".join(where), "hits": fault.hits}


def _in_words(condition: Any) -> str:
    if callable(condition):
        return "as a function says"
    several = isinstance(condition, (set, frozenset))  # in an order that is the same each time
    return ", ".join(sorted(map(str, condition))) if several else str(condition)


# --- jobs


def _job(job: Job, start: float, by_time: bool) -> Facts:
    """A job: its end in words, a row for each node, its graph, its messages."""
    times = list(job.times)  # first: a mark is there before its time is
    marks = job.marks[: len(times)]
    scale = runs.Scale(marks, [time - job.submitted for time in times], by_time, job.ended)
    ran = runs.runs_of(job.workflow, marks)
    states = runs.states_of(job, marks, ran)
    error = next((own for kind, own in marks if kind == "execution_error"), None)
    return {
        "number": job.ordinal,
        "id": job.id,
        "client": job.client_id,
        "state": job.state,
        "submitted": job.submitted - start,
        "rows": [runs.queued(marks, scale), *runs.rows(job.workflow, scale, ran, states)],
        "axis": scale.axis(),
        "graph": graph.picture(job.workflow, states),
        "error": None if error is None else failure(error),
        "traceback": "" if error is None else bodies.cut("".join(error["traceback"])),
        "faults": list(dict.fromkeys(fault.name for fault in job.faults)),
        "frames": list(frames(job.id, marks, [time - start for time in times])),
    }


# --- calls and sockets


def _calls(calls: Sequence[Call], jobs: Sequence[Job], start: float) -> Iterator[Facts]:
    """A row for each call; one that came several times in a row, as from a client that polls, has one."""
    by_id: dict[str, deque[Job]] = defaultdict(deque)
    for job in jobs:
        by_id[job.id].append(job)
    for _, group in itertools.groupby(calls, key=_alike):
        call, *others = group
        led_to = by_id.get(prompt_id(call))
        yield {
            "time": call.time - start,
            "until": others[-1].time - start if others else None,
            "many": 1 + len(others),
            "name": call_name(call),
            "status": status(call),
            "bad": call.status >= 400 or not call.status,
            "job": led_to.popleft().ordinal if led_to else None,
            "wrong": [raised(call.error)] if call.error else problems(call) if is_submission(call) else [],
            "fault": call.fault and call.fault.name,
            "headers": bodies.headers(call.request),
            "body": bodies.body(call.request.body, call.request.headers.get("content-type", "")),
            "answer": bodies.body(call.answer),
            "graph": _rejected(call) if is_rejection(call) else None,
        }


def _alike(call: Call) -> Any:
    """What is the same of calls that are shown as one."""
    if call.request.body or call.answer or call.status == 101:
        return id(call)
    return call.method, call.path, call.request.query, call.status, call.fault and call.fault.name


def _rejected(call: Call) -> Facts | None:
    """The graph of a prompt that was rejected, in which the nodes that are wrong have failed."""
    try:
        workflow = graph.workflow_of(call.json["prompt"])
        wrong = json.loads(call.answer)["node_errors"]
    except (ValueError, LookupError, TypeError):
        return None
    states = {node_id: runs.REJECTED if node_id in wrong else runs.NOT_REACHED for node_id in workflow}
    return graph.picture(workflow, states) if workflow else None


def _socket(socket: SocketRecord, start: float) -> Facts:
    return {
        "client": socket.client_id,
        "opened": socket.opened - start,
        "closed": None if socket.closed is None else socket.closed - start,
        "code": socket.close_code,
        "sent": dict(socket.sent),
        "received": [bodies.cut(text) for text in socket.received],
    }
