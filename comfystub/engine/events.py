"""The messages that a running prompt sends, and how each is made of what the engine keeps.

The engine keeps of an event only what is its own (``Mark``), since most events are heard by
nobody; the message itself is made when a client or a test looks at it.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from comfystub.media.pictures import Picture

#: Events that carry a time, and that history keeps as ``status.messages``.
MESSAGES = frozenset(
    {
        "execution_start",
        "execution_cached",
        "execution_success",
        "execution_error",
        "execution_interrupted",
    }
)

#: Events that reach every client when the prompt came without a client id; others reach none.
BROADCAST = frozenset({"progress_state", "progress", "preview", "execution_interrupted"})

#: Kinds of binary frames.
PREVIEW, TEXT, PREVIEW_WITH_METADATA = 1, 3, 4
#: Formats of the picture in a preview frame.
FORMATS = {"image/jpeg": 1, "image/png": 2}

#: An event as the engine keeps it: its type and what is its own.
Mark = tuple[str, Any]


class Event(NamedTuple):
    """One message of the server.

    ``type`` is ComfyUI's name of it: ``"executing"``, ``"progress"``, …, or, for binary frames,
    ``"preview"`` and ``"text"``.  ``data`` is the JSON message's ``data``, or the binary frame.
    """

    type: str
    data: Any

    @property
    def frame(self) -> str | bytes:
        """The message as it goes over a WebSocket."""
        if isinstance(self.data, bytes):
            return self.data
        return json.dumps({"type": self.type, "data": self.data})


class NodeState(NamedTuple):
    """How far a node is: an entry of ``progress_state``."""

    node_id: str
    value: float
    max: float
    state: str

    def entry(self, prompt_id: str) -> dict[str, Any]:
        return {
            "value": self.value,
            "max": self.max,
            "state": self.state,
            **_identity(self.node_id, prompt_id),
        }


class Preview:
    """A picture on its way to listening clients; encoded once, and only when one of them hears it."""

    __slots__ = ("_encoded", "node_id", "picture", "size")

    def __init__(self, node_id: str, picture: Picture, size: tuple[int, int] | None) -> None:
        self.node_id = node_id
        self.picture = picture
        self.size = size
        self._encoded: bytes | None = None

    @property
    def content_type(self) -> str:
        return "image/png" if self.size is None else "image/jpeg"

    def encoded(self) -> bytes:
        """The picture's bytes."""
        if self._encoded is None:
            self._encoded = (
                self.picture.png() if self.size is None else self.picture.resized(self.size).jpeg()
            )
        return self._encoded

    def frame(self) -> bytes:
        """The binary frame of kind 1."""
        return struct.pack(">II", PREVIEW, FORMATS[self.content_type]) + self.encoded()

    def frame_with_metadata(self, prompt_id: str) -> bytes:
        """The binary frame of kind 4, for clients that announced that they know it."""
        metadata = json.dumps(
            {**_identity(self.node_id, prompt_id), "image_type": self.content_type}
        ).encode()
        return struct.pack(">II", PREVIEW_WITH_METADATA, len(metadata)) + metadata + self.encoded()


def text_frame(node_id: str, text: str) -> bytes:
    """The binary frame of kind 3."""
    node = node_id.encode()
    return struct.pack(">II", TEXT, len(node)) + node + text.encode()


def node_of(mark: Mark) -> str | None:
    """The node that a message is about."""
    kind, own = mark
    node_id: str | None
    if kind in ("progress", "executed", "text"):
        node_id = own[0]
    elif kind in ("progress_state", "preview"):
        node_id = own.node_id
    elif kind == "executing":
        node_id = own
    else:
        node_id = own.get("node_id")
    return node_id


def event_of(mark: Mark, prompt_id: str, states: Mapping[str, NodeState]) -> Event:
    """The message of a mark; ``states`` is how far every node touched so far is."""
    kind, own = mark
    if kind == "progress_state":
        nodes = {node_id: state.entry(prompt_id) for node_id, state in states.items()}
        return Event(kind, {"prompt_id": prompt_id, "nodes": nodes})
    if kind == "progress":
        node_id, value, maximum = own
        return Event(kind, {"value": value, "max": maximum, "prompt_id": prompt_id, "node": node_id})
    if kind == "executing":
        if own is None:
            return Event(kind, {"node": None, "prompt_id": prompt_id})
        return Event(kind, {"node": own, "display_node": own, "prompt_id": prompt_id})
    if kind == "executed":
        node_id, output = own
        return Event(
            kind, {"node": node_id, "display_node": node_id, "output": output, "prompt_id": prompt_id}
        )
    if kind == "preview":
        return Event(kind, own.frame())
    if kind == "text":
        return Event(kind, text_frame(*own))
    return Event(kind, own)


def frame_of(mark: Mark, prompt_id: str, states: Mapping[str, NodeState]) -> str | bytes:
    """The message of a mark as it goes over a WebSocket."""
    put_together = _FRAMES.get(mark[0])
    if put_together is not None:
        return put_together(mark[1], _quoted(prompt_id), states)
    return event_of(mark, prompt_id, states).frame


# The two messages that are sent at every step of every sampler, put together from their parts.


def _progress_state_frame(own: object, prompt_id: str, states: Mapping[str, NodeState]) -> str:
    nodes = ", ".join([_entry_text(_quoted(state.node_id), prompt_id, state) for state in states.values()])
    return f'{{"type": "progress_state", "data": {{"prompt_id": {prompt_id}, "nodes": {{{nodes}}}}}}}'


def _entry_text(node_id: str, prompt_id: str, state: NodeState) -> str:
    return (
        f'{node_id}: {{"value": {state.value!r}, "max": {state.max!r}, "state": "{state.state}", '
        f'"node_id": {node_id}, "prompt_id": {prompt_id}, "display_node_id": {node_id}, '
        f'"parent_node_id": null, "real_node_id": {node_id}}}'
    )


def _progress_frame(own: tuple[str, float, float], prompt_id: str, states: object) -> str:
    node_id, value, maximum = own
    data = f'"value": {value!r}, "max": {maximum!r}, "prompt_id": {prompt_id}, "node": {_quoted(node_id)}'
    return f'{{"type": "progress", "data": {{{data}}}}}'


_FRAMES: Mapping[str, Callable[[Any, str, Mapping[str, NodeState]], str]] = {
    "progress_state": _progress_state_frame,
    "progress": _progress_frame,
}

#: A text as JSON has it.
_quoted = functools.lru_cache(maxsize=256)(json.dumps)


def _identity(node_id: str, prompt_id: str) -> dict[str, Any]:
    """How messages name a node."""
    return {
        "node_id": node_id,
        "prompt_id": prompt_id,
        "display_node_id": node_id,
        "parent_node_id": None,
        "real_node_id": node_id,
    }


def replay(marks: Iterable[Mark], prompt_id: str) -> Iterator[Event]:
    """The messages of a prompt's marks, in order."""
    states: dict[str, NodeState] = {}
    for mark in marks:
        if mark[0] == "progress_state":
            state: NodeState = mark[1]
            states[state.node_id] = state
        yield event_of(mark, prompt_id, states)
