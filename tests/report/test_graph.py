"""Where the nodes and edges of a workflow are drawn."""

from __future__ import annotations

import itertools
import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflows import Graph, text_to_image

from comfystub.reporting import layers
from comfystub.reporting.graph import Facts, fitted, picture, title_of, values_of, workflow_of
from comfystub.reporting.layers import GAP, HEIGHT, WIDTH


def drawn(graph: Graph) -> Facts:
    return picture(graph, dict.fromkeys(graph, "ran"))


def overlapping(places: list[tuple[int, int]]) -> list[object]:
    """Pairs of nodes that lie on each other."""
    return [
        (one, other)
        for one, other in itertools.combinations(places, 2)
        if abs(one[0] - other[0]) < WIDTH and abs(one[1] - other[1]) < HEIGHT
    ]


def chain(*names: str) -> Graph:
    """Nodes each of which is linked to the one before it."""
    graph: Graph = {names[0]: {"class_type": "A", "inputs": {}}}
    for before, name in itertools.pairwise(names):
        graph[name] = {"class_type": "A", "inputs": {"x": [before, 0]}}
    return graph


# --- columns


def test_what_feeds_a_node_stands_to_its_left() -> None:
    nodes = {node["below"]: node["x"] for node in drawn(text_to_image())["nodes"]}
    columns = sorted(set(nodes.values()))
    assert [columns.index(nodes[f"#{name}"]) for name in "4675389"] == [0, 1, 1, 1, 2, 3, 4]
    assert {right - left for left, right in itertools.pairwise(columns)} == {WIDTH + GAP}


def test_edges_go_from_the_right_of_one_node_to_the_left_of_another() -> None:
    found = drawn(chain("1", "2"))
    source, target = found["nodes"]
    (edge,) = found["edges"]
    numbers = [int(number) for number in re.findall(r"-?\d+", edge["path"])]
    assert numbers[0] == source["x"] + WIDTH
    assert numbers[-2] == target["x"]
    assert source["y"] < numbers[1] < source["y"] + HEIGHT
    assert edge["told"] == "#1 to #2: x"


def test_several_links_between_two_nodes_are_one_edge() -> None:
    graph = chain("1", "2")
    graph["2"]["inputs"]["y"] = ["1", 1]
    assert [edge["told"] for edge in drawn(graph)["edges"]] == ["#1 to #2: x, y"]


def test_a_long_edge_passes_no_node() -> None:
    graph = chain("1", "2", "3", "4")
    graph["4"]["inputs"]["y"] = ["1", 0]
    drawing = layers.draw(list(graph), [("1", "2"), ("2", "3"), ("3", "4"), ("1", "4")])
    assert len(drawing.passes["1", "4"]) == 2
    for x, y in drawing.passes["1", "4"]:
        assert all(abs(y - height) > HEIGHT / 2 for left, height in drawing.nodes.values() if left == x)


def test_chains_are_drawn_without_crossings() -> None:
    """Of pairs that are given crosswise."""
    drawing = layers.draw(list("abcdef"), [("a", "f"), ("b", "e"), ("c", "d")])
    sources = sorted("abc", key=lambda name: drawing.nodes[name][1])
    targets = sorted("def", key=lambda name: drawing.nodes[name][1])
    assert [dict(zip("abc", "fed"))[name] for name in sources] == targets


# --- what is wrong


def test_a_cycle() -> None:
    graph = chain("1", "2", "3")
    graph["1"]["inputs"]["x"] = ["3", 0]
    found = drawn(graph)
    assert sorted(edge["state"] for edge in found["edges"]) == ["", "", "back"]
    assert len({node["x"] for node in found["nodes"]}) == 3


def test_a_node_that_is_linked_to_itself() -> None:
    graph = chain("1")
    graph["1"]["inputs"]["x"] = ["1", 0]
    assert [edge["state"] for edge in drawn(graph)["edges"]] == ["back"]


def test_a_link_to_a_node_that_is_not_there() -> None:
    graph = chain("1")
    graph["1"]["inputs"]["x"] = ["99", 0]
    found = drawn(graph)
    node, stranger = found["nodes"]
    assert (stranger["below"], stranger["state"], node["state"]) == ("#99", "missing", "ran")
    assert stranger["x"] < node["x"]
    assert [edge["state"] for edge in found["edges"]] == ["missing"]


@pytest.mark.parametrize("prompt", [None, [], "x", {"1": "no node", "2": {"class_type": "A"}}, {}])
def test_what_is_hardly_a_workflow(prompt: object) -> None:
    workflow = workflow_of(prompt)
    found = picture(workflow, dict.fromkeys(workflow, "not reached"))
    assert [node["name"] for node in found["nodes"]] == ["A"] * len(workflow)


# --- any graph


@given(st.integers(0, 25), st.randoms(use_true_random=False))
def test_nodes_never_lie_on_each_other(count: int, chance: random.Random) -> None:
    names = [str(number) for number in range(count)]
    edges = {(chance.choice(names), chance.choice(names)) for _ in range(2 * count)}
    drawing = layers.draw(names, sorted(edges))
    assert overlapping(list(drawing.nodes.values())) == []
    for x, y in drawing.nodes.values():
        assert WIDTH // 2 <= x <= drawing.width - WIDTH // 2
        assert HEIGHT // 2 <= y <= drawing.height - HEIGHT // 2
    assert all(
        (drawing.nodes[source][0] < drawing.nodes[target][0]) != ((source, target) in drawing.back)
        for source, target in edges
    )


def test_a_hundred_nodes() -> None:
    graph = chain("0")
    for number in range(1, 120):
        inputs = {"x": [str(number // 2), 0], "y": [str(max(0, number - 7)), 0]}
        graph[str(number)] = {"class_type": "A", "inputs": inputs}
    graph["1"]["inputs"]["x"] = ["119", 0]
    found = drawn(graph)
    assert overlapping([(node["x"], node["y"]) for node in found["nodes"]]) == []
    assert json.dumps(found) == json.dumps(drawn(graph))


# --- what stands in a node


def test_a_title_takes_the_place_of_the_class() -> None:
    graph: Graph = {"7": {"class_type": "KSampler", "inputs": {"seed": 1}, "_meta": {"title": "Paint"}}}
    (node,) = drawn(graph)["nodes"]
    assert (node["name"], node["below"]) == ("Paint", "#7 KSampler")
    assert node["told"] == "Paint #7 KSampler: ran\nseed: 1"
    assert title_of(graph, "7") == "Paint"


def test_many_and_long_values_are_cut() -> None:
    inputs = {"text": "a fox\n" * 50, **{f"x{number}": number for number in range(9)}}
    (node,) = drawn({"1": {"class_type": "A", "inputs": inputs}})["nodes"]
    lines = node["told"].splitlines()
    assert lines[1].startswith("text: a fox a fox") and lines[1].endswith("…") and len(lines[1]) <= 66
    assert lines[-1] == "and 2 more"


def test_values_are_those_that_no_link_fills() -> None:
    graph: Graph = {"1": {"class_type": "A", "inputs": {"a": ["2", 0], "b": [1, 2], "c": "text", "d": None}}}
    assert values_of(graph, "1") == [("b", "[1, 2]"), ("c", "text"), ("d", "null")]


@pytest.mark.parametrize(
    ("text", "columns", "line"),
    [
        ("fox", 3, "fox"),
        ("a fox", 4, "a f…"),
        ("a\n fox", 9, "a fox"),
        ("狐狸狐狸", 8, "狐狸狐狸"),
        ("狐狸狐狸", 7, "狐狸…"),
        ("", 5, ""),
    ],
)
def test_a_text_in_a_line(text: str, columns: int, line: str) -> None:
    assert fitted(text, columns) == line
