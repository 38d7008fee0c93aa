"""The legal orders of a job's events."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from comfystub.engine.events import Event

ENDS = ("execution_success", "execution_error", "execution_interrupted")


class Life:
    """What a job has said so far; it takes the next event and raises ``AssertionError`` for an illegal one.

    ::

        execution_start execution_cached node* end executing(null)
        node   : progress_state executing (progress_state | progress | preview | text)* [executed] progress_state
               | executed progress_state      of one whose result is cached
        end    : execution_success | execution_error | execution_interrupted

    The last two ends come anywhere within a node, or before the first one.
    """

    def __init__(self, nodes: Collection[str]) -> None:
        self.nodes = nodes
        self.started = False
        self.cached: Collection[str] | None = None
        #: The node that runs, and those that have begun and that have shown something.
        self.node: str | None = None
        self.begun: list[str] = []
        self.executed: list[str] = []
        #: How far each node is, as ``progress_state`` says it, and ``progress`` of the running one.
        self.states: dict[str, dict[str, Any]] = {}
        self.progress = -1.0
        self.end: str | None = None
        self.over = False
        self.timestamp = 0

    def take(self, event: Event) -> None:
        assert not self.over, f"{event} after the end"
        kind, data = event
        assert (kind == "execution_start") == (not self.started), f"{event} is not how a job begins"
        if self.started and kind != "execution_cached":
            assert self.cached is not None, f"{event} before execution_cached"
        if self.end is not None:
            assert kind == "executing" and data["node"] is None, f"{event} after {self.end}"
        if kind.startswith("execution_"):
            assert data["timestamp"] >= self.timestamp, f"{event} before {self.timestamp}"
            self.timestamp = data["timestamp"]
        getattr(self, f"_{kind}")(data)

    def _execution_start(self, data: Any) -> None:
        self.started = True

    def _execution_cached(self, data: Any) -> None:
        assert self.cached is None and set(data["nodes"]) <= set(self.nodes)
        self.cached = data["nodes"]

    def _executing(self, data: Any) -> None:
        node_id = data["node"]
        if node_id is None:
            assert self.end is not None, "executing: null before the end"
            self.over = True
            return
        assert self.node is None, f"{node_id} begins while {self.node} runs"
        assert node_id in self.nodes and node_id not in self.begun and node_id not in (self.cached or ())
        assert self.states[node_id]["state"] == "running"
        self.begun.append(node_id)
        self.node, self.progress = node_id, -1.0

    def _progress_state(self, data: Any) -> None:
        now: dict[str, dict[str, Any]] = data["nodes"]
        changed = [node_id for node_id in now if now[node_id] != self.states.get(node_id)]
        assert len(changed) <= 1 and set(now) >= set(self.states), f"{now} after {self.states}"
        for node_id in changed:
            before, state = self.states.get(node_id), now[node_id]
            assert 0 <= state["value"] <= state["max"]
            if before is None:
                assert self.node is None, f"{node_id} begins while {self.node} runs"
            else:
                assert node_id == self.node and before["state"] == "running"
            if state["state"] == "finished":
                assert node_id in (self.node, *self.executed) and state["value"] == state["max"]
                self.node = None
        self.states = now

    def _progress(self, data: Any) -> None:
        assert data["node"] == self.node is not None
        assert self.progress < data["value"] <= data["max"], f"{data} after {self.progress}"
        self.progress = data["value"]

    def _preview(self, data: Any) -> None:
        assert self.node is not None and self.progress >= 0

    def _text(self, data: Any) -> None:
        assert self.node is not None

    def _executed(self, data: Any) -> None:
        node_id = data["node"]
        assert node_id not in self.executed
        if self.node is None:
            assert node_id in (self.cached or ())
        else:
            assert node_id == self.node
        self.executed.append(node_id)

    def _execution_success(self, data: Any) -> None:
        assert self.node is None
        assert all(state["state"] == "finished" for state in self.states.values())
        self._ends("execution_success")

    def _execution_error(self, data: Any) -> None:
        self._ends_at(data, "execution_error")

    def _execution_interrupted(self, data: Any) -> None:
        self._ends_at(data, "execution_interrupted")

    def _ends_at(self, data: Any, end: str) -> None:
        assert data["node_id"] == self.node, f"{end} at {data['node_id']} while {self.node} runs"
        assert data["executed"] == [node_id for node_id in self.begun if node_id != self.node]
        self._ends(end)

    def _ends(self, end: str) -> None:
        self.end, self.node = end, None
