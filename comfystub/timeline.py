"""What happened at a stub, as lines in the order of time.

It reads what was recorded and moves nothing.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.engine.events import node_of
from comfystub.engine.job import LOST, Job
from comfystub.engine.sessions import SocketRecord
from comfystub.server.complaints import is_submission, problems, prompt_id, raised
from comfystub.server.server import Call
from comfystub.wording import call_name, counted, failure, file_names, job_name, node_name, shortened, status

if TYPE_CHECKING:
    from rich.text import Text

#: The widest that the left column gets.
WIDEST = 44
#: A node's line names so many of its files.
MOST_FILES = 3

#: What a line is about, as rich names the look of it.
CALL, HEAD, PLAIN, GOOD, BAD, FAULT = "", "bold", "dim", "green", "red", "yellow"


class Line(NamedTuple):
    """One line: when it was, on the stub's clock, and what stands in its two columns."""

    time: float
    left: str
    right: str = ""
    style: str = PLAIN


class Timeline(str):
    """Calls, jobs and sockets of a stub as text, a line each; rich prints it in colour."""

    lines: Sequence[tuple[str, str]]

    def __new__(cls, lines: Iterable[tuple[str, str]]) -> Timeline:
        """``lines`` are texts, each with the style that rich gives it."""
        lines = list(lines)
        made = super().__new__(cls, "\n".join(text for text, _ in lines))
        made.lines = lines
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.lines,)

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text("\n").join(Text(text, style) for text, style in self.lines)


def timeline(
    calls: Sequence[Call], jobs: Sequence[Job], sockets: Sequence[SocketRecord], last: int | None = None
) -> Timeline:
    """The timeline of these; ``last`` leaves only so many lines, and one that says how many more there were.

    Times are seconds since the first of them.
    """
    lines = sorted(_lines(calls, jobs, sockets), key=lambda line: line.time)
    if not lines:
        return Timeline([("nothing was called", PLAIN)])
    start = lines[0].time
    lines = list(_merged(line._replace(time=line.time - start) for line in lines))
    dropped = 0 if last is None else max(0, len(lines) - last)
    shown = lines[dropped:]
    width = min(WIDEST, max((len(line.left) for line in shown if line.right), default=0))
    earlier = [(f"… {counted(dropped, 'line')} before", PLAIN)] if dropped else []
    return Timeline(earlier + [(_text(line, width), line.style) for line in shown])


def _text(line: Line, width: int) -> str:
    left = line.left.ljust(width) if line.right else line.left
    return f"{line.time:8.3f}  {left}  {line.right}".rstrip().replace("\n", " ")


def _merged(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines, with a call that came several times in a row in one of them: a client that polls."""
    for (left, right, style), group in itertools.groupby(lines, key=lambda line: line[1:]):
        first, *others = group
        if others and style == CALL:
            right = f"{right}  {1 + len(others)} times, until {others[-1].time:.3f}"
            yield Line(first.time, left, right, style)
        else:
            yield from (first, *others)


# --- lines


def _lines(calls: Sequence[Call], jobs: Sequence[Job], sockets: Sequence[SocketRecord]) -> Iterator[Line]:
    """All lines.  What was at the same time is in the order in which it is read best."""
    by_id: dict[str, deque[Job]] = defaultdict(deque)
    for job in jobs:
        by_id[job.id].append(job)
    opened = iter(enumerate(sockets, 1))
    for call in calls:
        if accepted := by_id.get(prompt_id(call)):
            job = accepted.popleft()
            yield _call(call, f"-> {job_name(job)}")
            yield from _job(job)
        elif call.status == 101 and (socket := next(opened, None)):
            yield from _socket(call, *socket)
        else:
            yield _call(call)
    for left in by_id.values():
        for job in left:
            yield from _job(job)


# --- calls and sockets


def _call(call: Call, *led_to: str) -> Line:
    """A call, its status, what it led to and what was wrong with it."""
    wrong = [raised(call.error)] if call.error else problems(call) if is_submission(call) else []
    fault = [] if call.fault is None else [f"fault: {call.fault.name}"]
    style = FAULT if fault else BAD if call.status >= 400 else CALL
    right = "  ".join([status(call), *led_to, *filter(None, ["; ".join(wrong)]), *fault])
    return Line(call.time, shortened(call_name(call)), right, style)


def _socket(call: Call, number: int, socket: SocketRecord) -> Iterator[Line]:
    sent = f"{counted(socket.sent.total(), 'message')} sent"
    if socket.closed is None:
        yield _call(call, f"-> socket {number}", f"open, {sent}")
    else:
        yield _call(call, f"-> socket {number}")
        code = "" if socket.close_code is None else f" with {socket.close_code}"
        yield Line(socket.closed, f"socket {number} closed{code}, {sent}", style=HEAD)


# --- jobs


@dataclass
class _Run:
    """A node that ran: when, how far it is, and what it left."""

    name: str
    begun: float
    ended: float | None = None
    value: float = 0
    max: float = 0
    files: list[str] = field(default_factory=list)

    def line(self, over: bool) -> Line:
        """Its line; ``over`` says whether the job has ended."""
        parts = [self.name]
        if self.max:
            done = "" if self.ended is not None else f"{self.value:g} of "
            parts.append(f"{done}{self.max:g} step{'' if self.max == 1 else 's'}")
        if self.files:
            more = len(self.files) - MOST_FILES
            parts.append(", ".join(self.files[:MOST_FILES]) + (f" and {more} more" if more > 0 else ""))
        return Line(self.begun, "  " + "  ".join(parts), self._duration(over))

    def _duration(self, over: bool) -> str:
        if self.ended is None:
            return "" if over else "runs"
        seconds = f"{self.ended - self.begun:.3f}"
        return "" if seconds == "0.000" else f"{seconds} s"


def _job(job: Job) -> Iterator[Line]:
    """A job: its submission, what its nodes did, its end."""
    end = _end(job)
    client = "" if job.client_id is None else f"  client {job.client_id}"
    state = f"  {job.state}" if end is None or job.state == LOST else ""
    yield Line(job.submitted, f"{job_name(job)}  {shortened(job.id)}{client}{state}", style=HEAD)
    yield from _nodes(job, over=job.ended or end is not None)
    if end is not None:
        yield end


def _nodes(job: Job, over: bool) -> Iterator[Line]:
    runs: dict[str, _Run] = {}
    for (kind, own), time in zip(job.marks, job.times):
        if kind == "execution_start" and time - job.submitted >= 0.001:
            yield Line(time, f"{job_name(job)} begins", style=HEAD)
        elif kind == "execution_cached" and own["nodes"]:
            yield Line(time, f"  {counted(len(own['nodes']), 'node')} from the cache")
        elif kind == "executing" and own is not None:
            runs[own] = _Run(node_name(job, own), time)
        elif (run := runs.get(node_of((kind, own)) or "")) is not None:
            _go_on(run, kind, own, time)
    for run in runs.values():
        yield run.line(over)


def _go_on(run: _Run, kind: str, own: Any, time: float) -> None:
    """Take in a message about a node that runs."""
    if kind == "progress":
        _, run.value, run.max = own
    elif kind == "executed":
        run.files += file_names(own[1] or {})
    elif kind == "progress_state" and own.state == "finished":
        run.ended = time


def _end(job: Job) -> Line | None:
    """How a job ended, if it got as far as to say so."""
    for (kind, own), time in reversed(list(zip(job.marks, job.times))):
        if kind == "execution_success":
            files = [name for ui in job.ui.values() for name in file_names(ui)]
            return Line(time, f"{job_name(job)} completed, {counted(len(files), 'file')}", style=GOOD)
        if kind == "execution_error":
            return Line(time, f"{job_name(job)} {failure(own)}", style=BAD)
        if kind == "execution_interrupted":
            where = f"{own['node_id']} {own['node_type']}"
            return Line(time, f"{job_name(job)} was interrupted at {where}", style=BAD)
    return None
