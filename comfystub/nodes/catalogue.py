"""The node classes a server knows: the built-in 887, or those of a saved ``/object_info``."""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from comfystub.nodes.binding import Snapshot, bound
from comfystub.nodes.replacements import BUILTIN, Replacements
from comfystub.nodes.schema import NodeClass

DATA = pathlib.Path(__file__).parent / "data"


@functools.cache
def _index() -> dict[str, list[int]]:
    """Class name to byte offset and length in ``nodes.jsonl``."""
    index: dict[str, list[int]] = json.loads((DATA / "index.json").read_bytes())
    return index


@functools.cache
def builtin(name: str) -> NodeClass | None:
    """A class of ComfyUI 0.33, read on first use; ``None`` when it has no such class."""
    place = _index().get(name)
    if place is None:
        return None
    with open(DATA / "nodes.jsonl", "rb") as file:
        file.seek(place[0])
        return NodeClass(name, json.loads(file.read(place[1])))


@functools.cache
def model_folders() -> Mapping[str, list[str]]:
    """The server's model folders and the file endings of each, in the server's order."""
    folders: dict[str, list[str]] = json.loads((DATA / "model_folders.json").read_bytes())
    return folders


class Catalogue:
    """The node classes of one server.

    ``object_info`` is what ``GET /object_info`` of another server answered, as a dict or the path of
    a file that holds it; its classes then stand in place of the built-in ones.  The file lists in it
    are that server's own; with a ``snapshot`` of it they follow what is in the folders of this one.
    """

    def __init__(
        self,
        object_info: Mapping[str, Any] | str | os.PathLike[str] | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._own: Mapping[str, Any] | None = None
        self._snapshot = snapshot
        self._read: dict[str, NodeClass] = {}
        self._added: dict[str, NodeClass] = {}
        #: What takes the place of classes that it no longer has.
        self.replacements: Replacements = BUILTIN if object_info is None else {}
        if snapshot is not None:
            self.replacements = snapshot.replacements
        if object_info is not None:
            if isinstance(object_info, (str, os.PathLike)):
                object_info = json.loads(pathlib.Path(object_info).read_bytes())
            if not isinstance(object_info, Mapping) or not all(
                isinstance(entry, Mapping) for entry in object_info.values()
            ):
                raise TypeError("object_info= takes the answer of GET /object_info: a dict of node classes")
            self._own = object_info

    @property
    def is_builtin(self) -> bool:
        """Whether these are the classes of the built-in catalogue."""
        return self._own is None

    def get(self, name: Any) -> NodeClass | None:
        """The class of that name, ``None`` if this server has none."""
        if not isinstance(name, str):
            return None
        if name in self._added:
            return self._added[name]
        return builtin(name) if self._own is None else self._class(name, self._own)

    def _class(self, name: str, entries: Mapping[str, Any]) -> NodeClass | None:
        """A class of another server, made of its entry on first use."""
        if name not in self._read and name in entries:
            entry = entries[name]
            if self._snapshot is not None:
                known = builtin(name)
                entry = bound(entry, known.entry if known else {}, self._snapshot.models)
            self._read[name] = NodeClass(name, _with_facts(name, entry))
        return self._read.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter({**(_index() if self._own is None else self._own), **self._added})

    def add(self, node_class: NodeClass) -> None:
        """Know one more class, in place of one of the same name."""
        self._added[node_class.name] = node_class

    def reset(self) -> None:
        """Know the classes it began with."""
        self._added.clear()


def _with_facts(name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An ``/object_info`` entry with what it does not show: how ComfyUI's own classes validate."""
    known = builtin(name)
    return {**entry, "facts": known.facts} if known else entry
