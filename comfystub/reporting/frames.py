"""The messages of a job, as its client was sent them or would have been."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from comfystub.engine.events import Mark, event_of, node_of
from comfystub.reporting import bodies
from comfystub.reporting.graph import Facts

#: Messages that come at every step; those of a node in a row are shown as one.
STEPS = ("progress_state", "progress", "preview")


def frames(prompt_id: str, marks: Sequence[Mark], times: Sequence[float]) -> Iterator[Facts]:
    """The messages: each with its ``time``, ``types``, how ``many`` it stands for, its node and its body."""
    for _, group in itertools.groupby(enumerate(marks), _group):
        indexes, several = zip(*group)
        first = several[0]
        yield {
            "time": times[indexes[0]],
            "types": list(dict.fromkeys(kind for kind, _ in several)),
            "many": len(several),
            "node": node_of(first),
            "preview": _preview(several),
            "body": _body(first, prompt_id)
            if first[0] not in STEPS
            else bodies.cut(
                "\n".join(f"{times[index]:8.3f}  {_step(one)}" for index, one in zip(indexes, several))
            ),
        }


def _group(numbered: tuple[int, Mark]) -> Any:
    index, mark = numbered
    return node_of(mark) if mark[0] in STEPS else index


def _step(mark: Mark) -> str:
    """A message about a step, in one line: of ``progress_state``, what it says of the node that changed."""
    kind, own = mark
    if kind == "progress_state":
        return f"{kind}  {own.state}, {own.value:g} of {own.max:g}"
    if kind == "progress":
        _, value, maximum = own
        return f"{kind}        {value:g} of {maximum:g}"
    return f"{kind}         {own.content_type}"


def _body(mark: Mark, prompt_id: str) -> str:
    if mark[0] == "text":
        return bodies.cut(mark[1][1])
    return bodies.indented(event_of(mark, prompt_id, {}).data)


def _preview(marks: Sequence[Mark]) -> str | None:
    """The last picture among messages, as a data URI."""
    found = [own for kind, own in marks if kind == "preview"]
    return bodies.data_uri(found[-1].encoded(), found[-1].content_type) if found else None
