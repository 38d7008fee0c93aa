"""What the nodes of a job did, in order, and where that lies on a line from its submission to its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from comfystub.engine.events import Mark, node_of
from comfystub.engine.job import Job
from comfystub.reporting import graph
from comfystub.reporting.graph import Facts, Workflow
from comfystub.wording import file_names

#: How far a node is.  One that waits for a job that is over was not reached.
RAN, CACHED, RUNNING, FAILED, INTERRUPTED = "ran", "cached", "running", "failed", "interrupted"
WAITING, NOT_REACHED = "waiting", "not reached"
#: A node for which the server did not accept the prompt.
REJECTED = "rejected"

#: How long the line is, in its own units.
LENGTH = 1000
#: The least that can be seen of a node that took no time.
LEAST = 4
#: How many parts the axis has.
PARTS = 4
#: A node's row names so many of its files.
MOST_FILES = 3

#: What there is on the line of a node that was not reached.
NO_BAR: Facts = {"bar": None, "steps": [], "said": []}

STOPS = {"execution_error": FAILED, "execution_interrupted": INTERRUPTED}


class Scale:
    """Where the marks of a job lie: by their times, or, where all happened at once, by their order.

    ``times`` are those of the marks, in seconds since the submission; ``ended`` is whether the job is
    over.  In the second case each step takes one unit, and so does a node without steps.
    """

    def __init__(self, marks: Sequence[Mark], times: Sequence[float], by_time: bool, ended: bool) -> None:
        self._ended = ended
        # Whether places are seconds.
        self._by_time = by_time and bool(times) and times[-1] > 0
        self._places = times if self._by_time else list(itertools.accumulate(map(_units, marks)))
        self._end = self._places[-1] if self._places else 0

    def place(self, index: int) -> int:
        """Where a mark lies on the line."""
        return round(LENGTH * self._places[index] / self._end) if self._end else 0

    def span(self, begun: int | None, ended: int | None) -> Facts:
        """The part of the line from one mark, or the submission, to another, or to where it ends so far."""
        return _bar(0 if begun is None else self.place(begun), LENGTH if ended is None else self.place(ended))

    def took(self, begun: int | None, ended: int | None) -> list[str]:
        """How long that was, in words, where places are seconds and there were any."""
        if not self._by_time or ended is None:
            return []
        seconds = f"{self._places[ended] - (0 if begun is None else self._places[begun]):.3f}"
        return [] if seconds == "0.000" else [f"{seconds} s"]

    def axis(self) -> list[str]:
        """What stands above the line, from left to right."""
        if not self._by_time:
            return ["submitted", "end" if self._ended else "so far"]
        return _quarters(self._end)


def _units(mark: Mark) -> int:
    kind, own = mark
    finished = kind == "progress_state" and own.state == "finished"
    return int(finished or kind in ("execution_start", "progress", *STOPS))


class Run:
    """What one node did: the indexes of its first mark, its last and its steps, and its files."""

    def __init__(self, begun: int) -> None:
        self.state = CACHED
        self.begun = begun
        self.ended: int | None = None
        self.steps: list[int] = []
        self.value: float = 0
        self.max: float = 0
        self.files: list[str] = []

    def take(self, index: int, mark: Mark) -> None:
        """Take in a mark that is about this node."""
        kind, own = mark
        if kind == "executing":
            self.state = RUNNING
        elif kind == "progress":
            _, self.value, self.max = own
            self.steps.append(index)
        elif kind == "executed":
            self.files += file_names(own[1] or {})
        elif kind in STOPS:
            self.state, self.ended = STOPS[kind], index
        elif kind == "progress_state" and own.state == "finished":
            self.ended = index
            if self.state == RUNNING:
                self.state = RAN


def runs_of(workflow: Workflow, marks: Sequence[Mark]) -> dict[str, Run]:
    """What each node that was reached did, in the order in which they began."""
    runs: dict[str, Run] = {}
    for index, mark in enumerate(marks):
        node_id = node_of(mark)
        if node_id is not None and node_id in workflow:
            runs.setdefault(node_id, Run(index)).take(index, mark)
    return runs


def states_of(job: Job, marks: Sequence[Mark], runs: Mapping[str, Run]) -> dict[str, str]:
    """How far each node of a job's workflow is."""
    cached = next((own["nodes"] for kind, own in marks if kind == "execution_cached"), ())
    states = dict.fromkeys(job.workflow, NOT_REACHED if job.ended else WAITING)
    states |= dict.fromkeys(cached, CACHED)
    states |= {node_id: run.state for node_id, run in runs.items()}
    return {
        node_id: INTERRUPTED if state == RUNNING and job.ended else state for node_id, state in states.items()
    }


def queued(marks: Sequence[Mark], scale: Scale) -> Facts:
    """The row of the time that a job waits for its turn."""
    begun = next((index for index, (kind, _) in enumerate(marks) if kind == "execution_start"), None)
    where = {"bar": scale.span(None, begun), "steps": [], "said": scale.took(None, begun)}
    return {"name": "queued", "state": "queued", **where}


def rows(
    workflow: Workflow, scale: Scale, runs: Mapping[str, Run], states: Mapping[str, str]
) -> Iterator[Facts]:
    """A row for each node: those that ran, in order, then the others."""
    numbers = {node_id: number for number, node_id in enumerate(workflow)}
    for node_id in dict.fromkeys([*runs, *workflow]):
        row: Facts = {
            "number": numbers[node_id],
            "id": node_id,
            "name": graph.title_of(workflow, node_id),
            "class": workflow[node_id].get("class_type") or "none",
            "state": states[node_id],
            "inputs": graph.values_of(workflow, node_id),
        }
        yield row | (_ran(runs[node_id], scale) if node_id in runs else NO_BAR)


def _ran(run: Run, scale: Scale) -> Facts:
    """Where a node lies on the line, and what is said of it in words."""
    said = [_steps(run)] if run.max else []
    said += run.files[:MOST_FILES]
    if len(run.files) > MOST_FILES:
        said.append(f"{len(run.files) - MOST_FILES} more")
    return {
        "bar": scale.span(run.begun, run.ended),
        "steps": [scale.place(index) for index in run.steps],
        "said": said + scale.took(run.begun, run.ended),
    }


def _steps(run: Run) -> str:
    done = "" if run.value == run.max else f"{run.value:g} of "
    return f"{done}{run.max:g} step{'' if run.max == 1 else 's'}"


def overview(jobs: Sequence[Job], start: float) -> Facts | None:
    """A row for each job on one line of time from ``start`` on; ``None`` where that says nothing more."""
    ends = [job.times[-1] if job.times else job.submitted for job in jobs]
    length = max(ends, default=start) - start
    if len(jobs) < 2 or length <= 0:
        return None

    def place(time: float) -> int:
        return round(LENGTH * (time - start) / length)

    rows = []
    for job, end in zip(jobs, ends):
        row: Facts = {"job": job.ordinal, "state": job.state}
        if job.times:
            begun = job.times[0]
            row["waited"] = _bar(place(job.submitted), place(begun))
            row["bar"] = _bar(place(begun), place(end))
            row["said"] = [f"{begun - job.submitted:.3f} s queued", f"{end - begun:.3f} s running"]
        else:
            row |= {"waited": _bar(place(job.submitted), LENGTH), "bar": None, "said": [job.state]}
        rows.append(row)
    return {"rows": rows, "axis": _quarters(length)}


def _bar(begun: int, ended: int) -> Facts:
    """A part of the line, which is long enough to be seen."""
    wide = max(LEAST, ended - begun)
    return {"at": min(begun, LENGTH - wide), "wide": wide}


def _quarters(seconds: float) -> list[str]:
    return [f"{seconds * part / PARTS:.3g} s" for part in range(PARTS + 1)]
