"""The order in which nodes run, and what makes two of them the same."""

from __future__ import annotations

from typing import Any

import pytest

from comfystub.engine.graph import Schedule, links_of
from comfystub.engine.graph import signatures as signatures_of

Graph = dict[str, Any]


def signatures(prompt: Graph, mark: Any = None) -> dict[str, bytes]:
    return signatures_of(prompt, links_of(prompt), lambda node_id: mark)


def graph(**nodes: tuple[str, list[str]]) -> Graph:
    """Nodes by id: a class, and the ids of the nodes it is linked to, in the order of its inputs."""
    return {
        node_id: {"class_type": kind, "inputs": {f"in{i}": [link, 0] for i, link in enumerate(links)}}
        for node_id, (kind, links) in nodes.items()
    }


def order(prompt: Graph, *outputs: str, done: set[str] | None = None) -> list[str]:
    links = links_of(prompt)
    schedule = Schedule(links, outputs, lambda node_id: node_id in outputs, lambda node: node in (done or ()))
    found = []
    while (node_id := schedule.next()) is not None:
        found.append(node_id)
        schedule.finish(node_id)
    return found


#: The text-to-image graph; the sampler's links stand in the given order.
def text_to_image(*sampler_links: str) -> Graph:
    return graph(
        n3=("KSampler", list(sampler_links)),
        n4=("Checkpoint", []),
        n5=("Latent", []),
        n6=("Text", ["n4"]),
        n7=("Text", ["n4"]),
        n8=("Decode", ["n3", "n4"]),
        n9=("Save", ["n8"]),
    )


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        # recorded from the server: the inputs in alphabetical order, and in the order of the class
        (("n5", "n4", "n7", "n6"), "4 6 7 5 3 8 9"),
        (("n4", "n6", "n7", "n5"), "4 5 7 6 3 8 9"),
    ],
)
def test_text_to_image_runs_as_in_the_server(links: tuple[str, ...], expected: str) -> None:
    assert order(text_to_image(*links), "n9") == [f"n{number}" for number in expected.split()]


def test_an_output_that_is_ready_runs_before_anything_else() -> None:
    prompt = graph(a=("A", []), save=("Save", ["a"]), b=("B", []), deep=("C", ["b"]), last=("Save", ["deep"]))
    assert order(prompt, "last", "save") == ["a", "save", "b", "deep", "last"]


def test_what_is_there_already_is_not_walked_behind() -> None:
    prompt = graph(a=("A", []), b=("B", ["a"]), c=("C", ["b"]), save=("Save", ["c"]))
    assert order(prompt, "save", done={"b"}) == ["c", "save"]


def test_what_no_output_reaches_does_not_run() -> None:
    prompt = graph(a=("A", []), save=("Save", ["a"]), lonely=("B", ["a"]))
    assert order(prompt, "save") == ["a", "save"]


def test_a_cycle_leaves_its_nodes_unfinished() -> None:
    prompt = graph(a=("A", ["b"]), b=("B", ["a"]), save=("Save", ["b"]))
    schedule = Schedule(links_of(prompt), ["save"], lambda node: node == "save", lambda node: False)
    assert schedule.next() is None
    assert set(schedule) == {"a", "b", "save"}


def test_a_deep_graph_needs_no_deep_stack() -> None:
    nodes = {f"n{i}": ("A", [f"n{i - 1}"] if i else []) for i in range(5000)}
    prompt = graph(**nodes)
    assert order(prompt, "n4999") == list(nodes)
    assert len(set(signatures(prompt).values())) == 5000


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def digest(prompt: Graph, node_id: str = "x", mark: Any = None) -> bytes:
    return signatures(prompt, mark)[node_id]


BASE = {"a": node("A", seed=1), "x": node("X", source=["a", 0], size=5)}


@pytest.mark.parametrize(
    "same",
    [
        {"other": node("A", seed=1), "x": node("X", source=["other", 0], size=5)},
        {"a": node("A", seed=1), "x": node("X", size=5, source=["a", 0])},
        {"a": node("A", seed=1), "x": {**node("X", source=["a", 0], size=5), "_meta": {"title": "T"}}},
    ],
    ids=["another id upstream", "another order of inputs", "a title"],
)
def test_these_do_not_count(same: Graph) -> None:
    assert digest(same) == digest(BASE)


@pytest.mark.parametrize(
    "other",
    [
        {"a": node("A", seed=2), "x": node("X", source=["a", 0], size=5)},
        {"a": node("B", seed=1), "x": node("X", source=["a", 0], size=5)},
        {"a": node("A", seed=1), "x": node("X", source=["a", 1], size=5)},
        {"a": node("A", seed=1), "x": node("X", source=["a", 0], size=6)},
        {"a": node("A", seed=1), "x": node("X", source=["a", 0], size=5, unknown=1)},
        {"a": node("A", seed=1), "x": node("X", source=["gone", 0], size=5)},
    ],
    ids=["seed upstream", "class upstream", "slot", "own value", "unknown input", "link to nowhere"],
)
def test_these_count(other: Graph) -> None:
    assert digest(other) != digest(BASE)


def test_what_lies_behind_two_links_counts_for_both() -> None:
    def diamond(seed: int) -> Graph:
        return {
            "a": node("A", seed=seed),
            "b": node("B", source=["a", 0]),
            "x": node("X", first=["a", 0], second=["b", 0]),
        }

    assert digest(diamond(1), "b") != digest(diamond(2), "b")
    assert digest(diamond(1), "b") == digest({key: diamond(1)[key] for key in "bxa"}, "b")


def test_what_the_engine_adds_counts() -> None:
    assert digest(BASE, mark="the content of a file") != digest(BASE)


def test_nodes_of_a_cycle_have_signatures_too() -> None:
    prompt = graph(a=("A", ["b"]), b=("B", ["a"]), c=("C", ["c"]))
    assert set(signatures(prompt)) == {"a", "b", "c"}
