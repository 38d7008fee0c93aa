"""Where the nodes of a graph go when it is drawn from left to right, and the points that its edges pass.

The steps are the usual ones: break cycles, put every node in the column behind what feeds it, let long
edges pass through each column on their way, sort the columns so that few edges cross, and move all up
and down to be level with their neighbours.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

#: Sizes in pixels: of a node, and of what an edge takes up where it passes a column.
WIDTH, HEIGHT, LANE = 176, 46, 12
#: Between columns, between what is above each other, and around all of it.
GAP, SPACE, MARGIN = 40, 18, 10

#: How often the columns are sorted, to and fro and last from left to right, and how often all are levelled.
SORTINGS, LEVELLINGS = 7, 8

#: A node, or where an edge passes a column: the edge and the number of the column.
Vertex = tuple[str, str, int]
Edge = tuple[str, str]


class Drawing(NamedTuple):
    """Where everything is, in pixels: the middles of nodes, and the way of each edge over the columns.

    ``passes`` has the points of an edge between its two nodes; ``back`` are the edges that close a cycle.
    """

    width: int
    height: int
    nodes: Mapping[str, tuple[int, int]]
    passes: Mapping[Edge, Sequence[tuple[int, int]]]
    back: Collection[Edge]


def draw(nodes: Sequence[str], edges: Collection[Edge]) -> Drawing:
    """Lay out a graph whose ``edges`` are pairs of its nodes."""
    back = _closing_cycles(nodes, edges)
    onward = [edge for edge in edges if edge not in back]
    columns_of = _columns(nodes, onward)
    columns, neighbours = _with_passes(nodes, onward, columns_of)
    _sort(columns, neighbours)
    heights = _level(columns, neighbours)
    top = min(heights.values(), default=0.0) - HEIGHT / 2 - MARGIN

    def point(vertex: Vertex, column: int) -> tuple[int, int]:
        return MARGIN + column * (WIDTH + GAP) + WIDTH // 2, round(heights[vertex] - top)

    return Drawing(
        width=2 * MARGIN + len(columns) * (WIDTH + GAP) - GAP,
        height=round(max(heights.values(), default=0.0) + HEIGHT / 2 + MARGIN - top),
        nodes={one: point(_node(one), columns_of[one]) for one in nodes},
        passes={
            (source, target): [
                point((source, target, column), column)
                for column in range(columns_of[source] + 1, columns_of[target])
            ]
            for source, target in onward
        },
        back=back,
    )


def _node(name: str) -> Vertex:
    return name, "", 0


# --- columns


def _closing_cycles(nodes: Iterable[str], edges: Iterable[Edge]) -> set[Edge]:
    """The edges that a walk along the edges finds to lead back to where it came from."""
    targets = _targets(edges)
    found: set[Edge] = set()
    over: set[str] = set()
    for start in nodes:
        way = {start: iter(targets[start])} if start not in over else {}
        while way:
            node = next(reversed(way))
            target = next(way[node], None)
            if target is None:
                over.add(node)
                del way[node]
            elif target in way:
                found.add((node, target))
            elif target not in over:
                way[target] = iter(targets[target])
    return found


def _targets(edges: Iterable[Edge]) -> dict[str, list[str]]:
    targets: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        targets[source].append(target)
    return targets


def _columns(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """The column of each node: behind all that feeds it, or, fed by nothing, right before what it feeds."""
    targets = _targets(edges)
    missing = dict.fromkeys(nodes, 0)
    for _, target in edges:
        missing[target] += 1
    first = [node for node in nodes if not missing[node]]
    columns = dict.fromkeys(nodes, 0)
    ready = list(first)
    for node in ready:  # which grows on the way
        for target in targets[node]:
            columns[target] = max(columns[target], columns[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                ready.append(target)
    for node in first:
        if targets[node]:
            columns[node] = min(columns[target] for target in targets[node]) - 1
    return columns


Neighbours = Mapping[Vertex, tuple[list[Vertex], list[Vertex]]]


def _with_passes(
    nodes: Sequence[str], edges: Sequence[Edge], columns_of: Mapping[str, int]
) -> tuple[list[list[Vertex]], Neighbours]:
    """What stands in each column, passes too, and what each is linked to before and behind it."""
    columns: list[list[Vertex]] = [[] for _ in range(max(columns_of.values(), default=-1) + 1)]
    neighbours: dict[Vertex, tuple[list[Vertex], list[Vertex]]] = defaultdict(lambda: ([], []))
    for name in nodes:
        columns[columns_of[name]].append(_node(name))
    for source, target in edges:
        passes = [(source, target, column) for column in range(columns_of[source] + 1, columns_of[target])]
        for one in passes:
            columns[one[2]].append(one)
        way = [_node(source), *passes, _node(target)]
        for before, behind in itertools.pairwise(way):
            neighbours[before][1].append(behind)
            neighbours[behind][0].append(before)
    return columns, neighbours


# --- up and down


def _sort(columns: Sequence[list[Vertex]], neighbours: Neighbours) -> None:
    """Sort each column by the mean place of its neighbours in the one before, then in the one behind."""
    for turn in range(SORTINGS):
        side = turn % 2
        for column in columns if side == 0 else reversed(columns):
            places = {one: place for other in columns for place, one in enumerate(other)}
            column.sort(
                key=lambda one: _mean([places[other] for other in neighbours[one][side]], places[one])
            )


def _level(columns: Sequence[Sequence[Vertex]], neighbours: Neighbours) -> dict[Vertex, float]:
    """The height of each, as near as can be to the mean of its neighbours, in the order of its column."""
    heights: dict[Vertex, float] = {}
    for column in columns:
        heights |= _stacked(column, [0.0] * len(column))
    for turn in range(LEVELLINGS):
        for column in columns if turn % 2 == 0 else reversed(columns):
            wishes = [
                _mean([heights[other] for side in neighbours[one] for other in side], heights[one])
                for one in column
            ]
            heights |= _stacked(column, wishes)
    return heights


def _stacked(column: Sequence[Vertex], wishes: Sequence[float]) -> dict[Vertex, float]:
    """Heights that keep the order and the space between, and are as near to the wishes as they can be.

    Of neighbours that would be too near, a block is made, which goes where its members wish on average.
    """
    offsets = [0.0]
    for above, below in itertools.pairwise(column):
        offsets.append(offsets[-1] + (_size(above) + _size(below)) / 2 + SPACE)
    blocks: list[tuple[float, int]] = []
    for wish, offset in zip(wishes, offsets):
        total, count = wish - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            above_total, above_count = blocks.pop()
            total, count = total + above_total, count + above_count
        blocks.append((total, count))
    places = [total / count for total, count in blocks for _ in range(count)]
    return {one: place + offset for one, place, offset in zip(column, places, offsets)}


def _size(vertex: Vertex) -> int:
    return LANE if vertex[2] else HEIGHT


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise
