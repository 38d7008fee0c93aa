"""A job while it runs, as lines in the order of time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from comfystub.commands.bar import Bar
from comfystub.commands.terminal import DIM, Terminal
from comfystub.engine.job import Job
from comfystub.wording import counted, file_names, node_name

#: So many characters of a text that a node shows are told.
LONGEST_TEXT = 60


class _Node(NamedTuple):
    """A node that runs: its line so far, and when it began, in seconds since the submission."""

    begun: float
    parts: list[str]


class Teller:
    """Tells of a job: a line for each node as soon as it is done, and a bar while it takes its steps."""

    def __init__(self, job: Job, terminal: Terminal, bar: Bar) -> None:
        self._job = job
        self._terminal = terminal
        self._bar = bar
        self._told = 0
        self._nodes: dict[str, _Node] = {}

    def tell(self) -> None:
        """Tell what has happened since the last time."""
        for number in range(self._told, len(self._job.marks)):
            kind, own = self._job.marks[number]
            self._take_in(kind, own, self._job.times[number] - self._job.submitted)
        self._told = len(self._job.marks)

    def _take_in(self, kind: str, own: Any, time: float) -> None:
        if kind == "execution_cached" and own["nodes"]:
            self._line(time, f"{counted(len(own['nodes']), 'node')} from the cache")
        elif kind == "executing" and own is not None:
            self._nodes[own] = _Node(time, [node_name(self._job, own)])
        elif kind == "progress":
            node_id, done, total = own
            self._bar.show(done, total, node_name(self._job, node_id))
            if done == total:
                self._nodes[node_id].parts.append(counted(total, "step"))
        elif kind == "executed" and own[0] in self._nodes:
            self._nodes[own[0]].parts.extend(_shown(own[1] or {}))
        elif kind == "progress_state" and own.state == "finished" and own.node_id in self._nodes:
            node = self._nodes.pop(own.node_id)
            seconds = f"{time - node.begun:.3f} s"
            self._line(node.begun, "  ".join(node.parts), "" if seconds == "0.000 s" else seconds)

    def _line(self, time: float, text: str, seconds: str = "") -> None:
        self._bar.clear()
        self._terminal.line((f"{time:8.3f}  ", DIM), text, (f"  {seconds}" if seconds else "", DIM))


def _shown(ui: Mapping[str, Any]) -> Iterator[str]:
    """What an output node showed: files by name, texts in short."""
    if names := file_names(ui):
        yield ", ".join(names)
    for text in ui.get("text") or ():
        shown = json.dumps(str(text), ensure_ascii=False)
        yield shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}..."
