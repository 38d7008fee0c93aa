"""One prompt from its submission to its end, as the engine keeps it and as a test looks at it."""

from __future__ import annotations

import pathlib
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.engine.events import MESSAGES, Event, Mark, replay

if TYPE_CHECKING:
    from PIL import Image

    from comfystub.engine.faults import Fault
    from comfystub.engine.pacing import Pace

#: Where a job can be.
PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = "pending", "in_progress", "completed", "failed", "cancelled"
#: A job that nobody knows any more: the server restarted, or a fault made it vanish.
LOST = "lost"


class Output(NamedTuple):
    """A file that an output node left.

    ``kind`` is the key under which ComfyUI lists it (``"images"``, ``"audio"``, …), ``type`` the
    folder it lies in (``"output"`` or ``"temp"``).
    """

    path: pathlib.Path
    filename: str
    subfolder: str
    type: str
    node_id: str
    kind: str

    @property
    def image(self) -> Image.Image:
        """The file as a Pillow image.  Raises what Pillow raises when it is none."""
        from PIL import Image

        image: Image.Image = Image.open(self.path)
        with image:
            image.load()
            return image


class JobNode(NamedTuple):
    """A node of a job's workflow: ``inputs`` as the client sent them, numbers converted."""

    id: str
    class_type: str
    title: str
    inputs: Mapping[str, Any]


class Job:
    """A prompt that the server accepted.

    Reading ``status``, ``outputs``, ``events`` or ``error`` first lets the prompt
    run to its end, when the pace is ``"instant"``; under ``Timed``, as far as its time has come.
    """

    def __init__(
        self,
        *,
        ordinal: int,
        submitted: float,
        number: float,
        prompt_id: str,
        workflow: dict[str, Any],
        extra_data: dict[str, Any],
        output_ids: list[str],
        sensitive: Mapping[str, Any],
        pace: Pace,
        settle: Callable[[Job], None],
        find: Callable[[str, str, str], pathlib.Path],
    ) -> None:
        #: Its number in the order in which prompts were accepted, from 1 on.
        self.ordinal = ordinal
        #: When it was accepted, in seconds on the stub's clock.
        self.submitted = submitted
        self.number = number
        self.id = prompt_id
        self.workflow = workflow
        self.extra_data = extra_data
        self.output_ids = output_ids
        #: Keys of paid services: kept from queue, history and jobs.
        self.sensitive = sensitive
        self.pace = pace
        self.looks = 0
        #: Nodes that are to run and that have begun, as far as is known.
        self.planned = 0
        self.begun = 0
        #: The node that began last.
        self.current_node: str | None = None
        self.state = PENDING
        #: What each output node showed, as history's ``outputs`` has it: files, texts and the rest.
        self.ui: dict[str, dict[str, Any]] = {}
        self.meta: dict[str, dict[str, Any]] = {}
        #: What was made to go wrong with it.
        self.faults: list[Fault] = []
        self.marks: list[Mark] = []
        #: When each of the marks was made, in seconds on the stub's clock.
        self.times = array("d")
        self._settle = settle
        self._find = find

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}, {len(self.workflow)} nodes>"

    @property
    def client_id(self) -> str | None:
        """The client id the prompt came with, ``None`` without one."""
        client_id: str | None = self.extra_data.get("client_id")
        return client_id

    @property
    def status(self) -> str:
        """``"pending"``, ``"in_progress"``, ``"completed"``, ``"failed"`` or ``"cancelled"``.

        ``"lost"`` is one that the server knows nothing of any more: it restarted, or a fault made the
        job vanish.
        """
        self._settle(self)
        return self.state

    @property
    def outputs(self) -> list[Output]:
        """The files its output nodes left, in the order in which the nodes ran."""
        self._settle(self)
        return self.files()

    def files(self) -> list[Output]:
        """The files that its output nodes have left so far."""
        return [
            Output(self._find(folder, subfolder, name), name, subfolder, folder, node_id, kind)
            for node_id, ui in self.ui.items()
            for kind, entries in ui.items()
            for folder, subfolder, name in _places(entries)
        ]

    @property
    def events(self) -> list[Event]:
        """The messages its client was sent, or would have been."""
        self._settle(self)
        return list(replay(self.marks, self.id))

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The data of its ``execution_error``, ``None`` when no node failed."""
        self._settle(self)
        return next((own for kind, own in self.marks if kind == "execution_error"), None)

    def node(self, which: str | int) -> JobNode:
        """The node with this id, class type or title.

        Raises ``LookupError`` when there is none, or more than one of that class or title.
        """
        found = self.nodes_called(which)
        if len(found) == 1:
            return found[0]
        there = ", ".join(f"{node.id}: {node.class_type}" for node in found or self.nodes)
        how_many = "several nodes are" if found else "no node is"
        raise LookupError(f"{how_many} called {which!r}; there are {there}")

    @property
    def nodes(self) -> list[JobNode]:
        """Every node of its workflow."""
        return [_node(node_id, node) for node_id, node in self.workflow.items()]

    def nodes_called(self, which: str | int) -> list[JobNode]:
        """The node with this id, or else all those of this class type or title."""
        nodes = self.nodes
        by_id = [node for node in nodes if node.id == str(which)]
        return by_id or [node for node in nodes if which in (node.class_type, node.title)]

    def texts(self) -> Iterator[str]:
        """The text inputs of its workflow."""
        for node in self.workflow.values():
            inputs = node.get("inputs")
            for value in inputs.values() if isinstance(inputs, Mapping) else ():
                if isinstance(value, str):
                    yield value

    @property
    def ended(self) -> bool:
        """Whether it is over, in whatever way."""
        return self.state not in (PENDING, RUNNING)

    def queue_item(self) -> list[Any]:
        """The row that ``/queue`` shows of it."""
        return [self.number, self.id, self.workflow, self.extra_data, self.output_ids]

    def messages(self) -> list[list[Any]]:
        """The messages that history keeps."""
        return [[kind, own] for kind, own in self.marks if kind in MESSAGES]

    def history_status(self) -> dict[str, Any]:
        """How it ended, as history says it: an interrupted prompt is an error there."""
        good = self.state == COMPLETED
        return {"status_str": "success" if good else "error", "completed": good, "messages": self.messages()}

    def history_entry(self) -> dict[str, Any]:
        """What ``/history`` shows of it."""
        return {
            "prompt": self.queue_item(),
            "outputs": self.ui,
            "status": self.history_status(),
            "meta": self.meta,
        }


def _places(entries: Any) -> list[tuple[str, str, str]]:
    """The files among a UI output's entries, as folder type, subfolder and file name."""
    if not isinstance(entries, list):
        return []
    return [
        (entry.get("type", "output"), entry.get("subfolder", ""), entry["filename"])
        for entry in entries
        if isinstance(entry, dict) and "filename" in entry
    ]


def _node(node_id: str, node: Mapping[str, Any]) -> JobNode:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    class_type = node.get("class_type", "")
    return JobNode(node_id, class_type, title or class_type, node.get("inputs", {}))
