"""The results of nodes that ran, by signature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """What a node left: its outputs, what it showed, and what history says of who showed it."""

    outputs: Sequence[Any]
    ui: dict[str, Any] | None
    meta: dict[str, Any]


class Cache:
    """Results by signature; only those of the latest prompt's nodes are kept."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}

    def __contains__(self, signature: bytes) -> bool:
        return signature in self._entries

    def get(self, signature: bytes) -> Entry | None:
        return self._entries.get(signature)

    def put(self, signature: bytes, entry: Entry) -> None:
        self._entries[signature] = entry

    def keep_only(self, signatures: Iterable[bytes]) -> None:
        """Drop every result but these."""
        self._entries = {
            signature: self._entries[signature] for signature in signatures if signature in self._entries
        }

    def clear(self) -> None:
        self._entries.clear()
