"""The links of a prompt: in which order its nodes run, and what makes two nodes the same."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

Prompt = Mapping[str, Any]

NO_INPUTS: Mapping[str, Collection[str]] = {}

#: Bytes of a signature.
SIGNATURE_SIZE = 16


def is_link(value: Any) -> bool:
    """Whether an input's value is a link, ``[node_id, slot]``."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def inputs_of(prompt: Prompt, node_id: str) -> Mapping[str, Any]:
    """A node's inputs; a node without any has none."""
    inputs = prompt[node_id].get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}


Links = Mapping[str, list[str]]


def links_of(prompt: Prompt, lazy: Mapping[str, Collection[str]] = NO_INPUTS) -> Links:
    """For each node, the nodes that it is linked to, in the order of its inputs.

    ``lazy`` names the inputs of a node that do not count.
    """
    return {
        node_id: [
            value[0]
            for name, value in inputs_of(prompt, node_id).items()
            if is_link(value) and value[0] in prompt and name not in lazy.get(node_id, ())
        ]
        for node_id in prompt
    }


class Schedule:
    """The order in which the nodes of a prompt run.

    A node is ready when all it is linked to is done.  Among the ready ones an output node comes
    first, then one that feeds an output node, then one that feeds such a node, then any other; among
    equals the one first found on a walk from the outputs inwards.  ``done`` tells the nodes whose
    results are there already: nothing behind them has to run.
    """

    def __init__(
        self,
        links: Links,
        outputs: Iterable[str],
        is_output: Callable[[str], bool],
        done: Callable[[str], bool],
    ) -> None:
        self._links = links
        self._is_output = is_output
        self._done = done
        self._waits_for: dict[str, set[str]] = {}
        self._feeds: dict[str, list[str]] = {}
        self._places: dict[str, int] = {}
        self._ready: list[tuple[int, int, str]] = []
        self._finished: set[str] = set()
        self._take_up(outputs)

    def _take_up(self, node_ids: Iterable[str]) -> None:
        """Have these nodes run, and what they need."""
        known = len(self._places)
        for node_id in node_ids:
            self._walk(node_id)
        new = [node_id for node_id in self._waits_for if node_id not in self._places]
        self._places |= {node_id: known + place for place, node_id in enumerate(new)}
        self._ranks = self._rank(self._is_output)
        for node_id in new:
            if not self._waits_for[node_id]:
                self._make_ready(node_id)

    def _walk(self, output: str) -> None:
        """Find what an output needs: the last link of a node is followed first."""
        links, done = self._links, self._is_done
        stack = [output]
        while stack:
            node_id = stack.pop()
            if node_id in self._waits_for:
                continue
            needed = [] if done(node_id) else [link for link in links[node_id] if not done(link)]
            self._waits_for[node_id] = set(needed)
            for link in self._waits_for[node_id]:
                self._feeds.setdefault(link, []).append(node_id)
            stack += needed

    def _rank(self, is_output: Callable[[str], bool]) -> dict[str, int]:
        ranks = dict.fromkeys(self._waits_for, 3)
        layer = [node_id for node_id in self._waits_for if is_output(node_id)]
        for rank in range(3):
            for node_id in layer:
                ranks[node_id] = min(rank, ranks[node_id])
            layer = [link for node_id in layer for link in self._waits_for[node_id] if ranks[link] > rank]
        return ranks

    def _make_ready(self, node_id: str) -> None:
        heapq.heappush(self._ready, (self._ranks[node_id], self._places[node_id], node_id))

    def __len__(self) -> int:
        """The nodes that are not finished."""
        return len(self._waits_for)

    def __iter__(self) -> Iterator[str]:
        """The nodes that are not finished."""
        return iter(list(self._waits_for))

    def next(self) -> str | None:
        """Take the next ready node; ``None`` when all are finished or wait for each other."""
        return heapq.heappop(self._ready)[-1] if self._ready else None

    def postpone(self, node_id: str, links: Iterable[str]) -> bool:
        """Let a node that was taken wait for more nodes; whether there is any that is not done."""
        missing = {link for link in links if not self._is_done(link)}
        if missing:
            self._waits_for[node_id] = missing
            for link in missing:
                self._feeds.setdefault(link, []).append(node_id)
            self._take_up(missing)
        return bool(missing)

    def _is_done(self, node_id: str) -> bool:
        return node_id in self._finished or self._done(node_id)

    def finish(self, node_id: str) -> None:
        """Note that a node is done, which may make others ready."""
        del self._waits_for[node_id]
        self._finished.add(node_id)
        for fed in self._feeds.get(node_id, ()):
            waits_for = self._waits_for[fed]
            waits_for.discard(node_id)
            if not waits_for:
                self._make_ready(fed)


def signatures(prompt: Prompt, links: Links, marks: Callable[[str], Any]) -> dict[str, bytes]:
    """A digest for each node, of its class, its inputs and the same of everything upstream.

    Equal digests mean equal results.  ``marks`` gives what else counts for a node: its own id, the
    content of a file.  Node ids and titles do not count.
    """
    found: dict[str, bytes] = {}
    entered: set[str] = set()
    for start in prompt:
        stack = [start]
        while stack:
            node_id = stack[-1]
            if node_id not in entered:
                entered.add(node_id)
                # What was entered and is not found yet lies above: a cycle, which is no result of anything.
                stack += [link for link in links[node_id] if link not in entered]
                continue
            if node_id not in found:
                found[node_id] = _digest(prompt, node_id, found, marks(node_id))
            stack.pop()
    return found


def _digest(prompt: Prompt, node_id: str, found: Mapping[str, bytes], mark: Any) -> bytes:
    inputs = [
        (name, (found.get(value[0]), value[1]) if is_link(value) else value)
        for name, value in sorted(inputs_of(prompt, node_id).items())
    ]
    content = repr((prompt[node_id].get("class_type"), mark, inputs))
    return blake2b(content.encode("utf-8", "surrogatepass"), digest_size=SIGNATURE_SIZE).digest()
