"""The picture of a workflow: what its nodes and links look like, for an SVG drawing."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from comfystub.engine.graph import inputs_of, is_link
from comfystub.reporting import layers
from comfystub.reporting.layers import GAP, HEIGHT, WIDTH, Drawing, Edge

Facts = dict[str, Any]
Workflow = Mapping[str, Mapping[str, Any]]

#: So many columns of text fit into a node's first and second line.
NAME_COLUMNS, ID_COLUMNS = 22, 22
#: What is told of a node: so many of its values, each of so many characters.
MOST_VALUES, LONGEST_VALUE = 8, 60

#: The state of what a link leads to although no node is there.
MISSING = "missing"


def workflow_of(prompt: Any) -> Workflow:
    """What of a prompt, which may be anything, is a workflow."""
    nodes = prompt.items() if isinstance(prompt, Mapping) else ()
    return {node_id: node for node_id, node in nodes if isinstance(node, Mapping)}


def picture(workflow: Workflow, states: Mapping[str, str]) -> Facts:
    """A drawing of a workflow, whose nodes are in these states.

    It has ``width`` and ``height``, those of a node's ``box``, ``nodes`` with their ``number`` in the
    workflow, their left upper corner ``x`` and ``y`` and what stands in them, and ``edges`` with a ``path``.
    """
    links = _links(workflow)
    strangers = [source for source, _ in links if source not in workflow]
    ids = list(dict.fromkeys([*workflow, *strangers]))
    drawing = layers.draw(ids, links.keys())
    return {
        "width": drawing.width,
        "height": drawing.height,
        "box": (WIDTH, HEIGHT),
        "nodes": [
            {"number": number, "x": x - WIDTH // 2, "y": y - HEIGHT // 2, **_node(workflow, node_id, states)}
            for number, node_id in enumerate(ids)
            for x, y in [drawing.nodes[node_id]]
        ],
        "edges": _edges(drawing, workflow, links),
    }


def _links(workflow: Workflow) -> dict[Edge, list[str]]:
    """The inputs that links fill, by the nodes at both ends."""
    found: dict[Edge, list[str]] = {}
    for node_id in workflow:
        for name, value in inputs_of(workflow, node_id).items():
            if is_link(value):
                found.setdefault((value[0], node_id), []).append(name)
    return found


# --- nodes


def title_of(workflow: Workflow, node_id: str) -> str:
    """What a node is called: its title, or else its class."""
    node = workflow[node_id]
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    return str(title or node.get("class_type") or "no class")


def values_of(workflow: Workflow, node_id: str) -> list[tuple[str, str]]:
    """The inputs of a node that no link fills, as text."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
        for name, value in inputs_of(workflow, node_id).items()
        if not is_link(value)
    ]


def _node(workflow: Workflow, node_id: str, states: Mapping[str, str]) -> Facts:
    """What stands in a node, and what is told of it."""
    if node_id not in workflow:
        told = f"There is no node {node_id}, but a link to it."
        return {
            "name": "no such node",
            "below": fitted(f"#{node_id}", ID_COLUMNS),
            "state": MISSING,
            "told": told,
        }
    title, class_type = title_of(workflow, node_id), str(workflow[node_id].get("class_type") or "")
    named = f"#{node_id}" if title == class_type else f"#{node_id} {class_type}"
    return {
        "name": fitted(title, NAME_COLUMNS),
        "below": fitted(named, ID_COLUMNS),
        "state": states[node_id],
        "told": "\n".join([f"{title} {named}: {states[node_id]}", *_values(workflow, node_id)]),
    }


def _values(workflow: Workflow, node_id: str) -> Iterator[str]:
    """The values of a node, a line each."""
    values = values_of(workflow, node_id)
    for name, value in values[:MOST_VALUES]:
        yield f"{name}: {fitted(value, LONGEST_VALUE)}"
    if len(values) > MOST_VALUES:
        yield f"and {len(values) - MOST_VALUES} more"


def fitted(text: str, columns: int) -> str:
    """A text in one line of so many columns, of which a Chinese character takes two."""
    line = " ".join(text.split())
    taken = 0
    for place, character in enumerate(line):
        taken += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if taken > columns:
            return f"{line[: place - 1].rstrip()}…"
    return line


# --- edges


def _edges(drawing: Drawing, workflow: Workflow, links: Mapping[Edge, list[str]]) -> list[Facts]:
    leaves = _ports(drawing, links, end=0)
    enters = _ports(drawing, links, end=1)
    return [
        {
            "path": _loop(leaves[edge], enters[edge])
            if edge in drawing.back
            else _curve(leaves[edge], enters[edge], drawing.passes[edge]),
            "state": "back" if edge in drawing.back else MISSING if edge[0] not in workflow else "",
            "told": f"#{edge[0]} to #{edge[1]}: {', '.join(names)}",
        }
        for edge, names in links.items()
    ]


def _ports(drawing: Drawing, edges: Iterable[Edge], end: int) -> dict[Edge, tuple[int, int]]:
    """Where each edge leaves its source (``end`` 0) or enters its target (1); they do not cross there."""
    at: dict[str, list[Edge]] = {}
    for edge in edges:
        at.setdefault(edge[end], []).append(edge)
    ports = {}
    for node_id, own in at.items():
        own.sort(key=lambda edge: _next_height(drawing, edge, end))
        x, y = drawing.nodes[node_id]
        x += -WIDTH // 2 if end else WIDTH // 2
        for place, edge in enumerate(own, 1):
            ports[edge] = (x, y - HEIGHT // 2 + round(HEIGHT * place / (len(own) + 1)))
    return ports


def _next_height(drawing: Drawing, edge: Edge, end: int) -> int:
    """The height of what an edge comes to next, from one of its ends."""
    passes = drawing.passes.get(edge)
    return (passes[-end] if passes else drawing.nodes[edge[1 - end]])[1]


def _curve(start: tuple[int, int], end: tuple[int, int], passes: Sequence[tuple[int, int]]) -> str:
    """The path of an edge: level through the columns, curved in the gaps between them."""
    bend = GAP // 2
    x, y = start
    path = [f"M{x} {y}"]
    for middle, height in passes:
        left, right = middle - WIDTH // 2, middle + WIDTH // 2
        path.append(f"C{x + bend} {y} {left - bend} {height} {left} {height}H{right}")
        x, y = right, height
    path.append(f"C{x + bend} {y} {end[0] - bend} {end[1]} {end[0]} {end[1]}")
    return "".join(path)


def _loop(start: tuple[int, int], end: tuple[int, int]) -> str:
    """The path of an edge that leads back: over the top of both its nodes."""
    top = min(start[1], end[1]) - HEIGHT
    return f"M{start[0]} {start[1]}C{start[0] + GAP} {top} {end[0] - GAP} {top} {end[0]} {end[1]}"
