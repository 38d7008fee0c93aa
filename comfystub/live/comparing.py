"""Where two masked answers differ."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from comfystub.live.player import ABSENT

#: What the real server leaves in the order of a set.
SETS = ("executed", "current_outputs", "dependent_outputs")


class Difference(NamedTuple):
    """What a real server was recorded to answer, and what another answers in its place."""

    where: str
    recorded: Any
    found: Any


def differences(recorded: Any, found: Any) -> list[Difference]:
    """Where two answers differ: numbers are compared by value, all else by type and value."""
    return list(_differences(in_order(recorded), in_order(found), ""))


def _differences(recorded: Any, found: Any, where: str) -> Iterator[Difference]:
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in {**recorded, **found}:
            yield from _differences(recorded.get(key, ABSENT), found.get(key, ABSENT), f"{where}/{key}")
    elif isinstance(recorded, list) and isinstance(found, list):
        for i, one, other in _pairs(recorded, found):
            yield from _differences(one, other, f"{where}/{i}")
    elif recorded != found or isinstance(recorded, bool) != isinstance(found, bool):
        yield Difference(where, recorded, found)


def _pairs(recorded: list[Any], found: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """The entries of two lists side by side, each with its place in the second.

    What one of them has more, an event perhaps, stands alone.
    """
    if len(recorded) == len(found) and not all(isinstance(one, dict) for one in recorded):
        yield from zip(range(len(found)), recorded, found)
        return
    matcher = difflib.SequenceMatcher(None, _texts(recorded), _texts(found), autojunk=False)
    for kind, start, end, at, until in matcher.get_opcodes():
        if kind != "equal":
            pairs = itertools.zip_longest(recorded[start:end], found[at:until], fillvalue=ABSENT)
            yield from ((at + i, one, other) for i, (one, other) in enumerate(pairs))


def _texts(entries: list[Any]) -> list[str]:
    return [json.dumps(one, sort_keys=True) for one in entries]


def in_order(value: Any, key: str = "") -> Any:
    """Sort what the real server leaves in the order of a set."""
    if isinstance(value, dict):
        return {k: in_order(v, k) for k, v in value.items()}
    if isinstance(value, list):
        entries = [in_order(one) for one in value]
        if key == "errors" or (key in SETS and all(isinstance(one, str) for one in entries)):
            entries.sort(key=lambda one: json.dumps(one, sort_keys=True))
        elif is_queue_item(entries):
            entries[4] = sorted(entries[4], key=str)
        return entries
    if key == "details" and isinstance(value, str):
        return "\n".join(sorted(value.split("\n")))
    return value


def is_queue_item(value: Any) -> bool:
    """Whether it is ``[number, id, graph, extra_data, outputs]``, as queue and history have it."""
    kinds: Sequence[Any] = ((int, float), str, dict, dict, list)
    return isinstance(value, list) and len(value) >= 5 and all(map(isinstance, value, kinds))
