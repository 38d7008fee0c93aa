"""Every class of the catalogue runs to its end, and gives what it says that it gives."""

from __future__ import annotations

from typing import Any

import pytest

import comfystub
from comfystub.media.shapes import Shape
from comfystub.nodes.catalogue import Catalogue, builtin
from comfystub.nodes.passing import SHAPES
from comfystub.nodes.schema import NodeClass
from comfystub.nodes.values import Images, Latent, Masks, Sigmas, Sounds, Svg, Video
from nodes.graphs import graph_around, prepare, watched

URL = "http://comfy.test:8188"
CHUNKS = 10

KINDS: dict[str, type] = {
    "AUDIO": Sounds,
    "BOOLEAN": bool,
    "FLOAT": float,
    "IMAGE": Images,
    "INT": int,
    "LATENT": Latent,
    "MASK": Masks,
    "SIGMAS": Sigmas,
    "STRING": str,
    "SVG": Svg,
    "VIDEO": Video,
    **dict.fromkeys(SHAPES, Shape),
}

#: Classes that choose among folders or files that a fresh server has none of.
WITHOUT_A_CHOICE = {"DiffusersLoader", "GeminiInputFiles", "LoadTrainingDataset", "OpenAIInputFiles"}
#: Outputs that are something else: a list as one value, or nothing where nothing was loaded.
EXCEPTIONS = {
    ("GetVideoComponents", 1): type(None),
    ("Load3D", 5): type(None),
    ("Load3D", 6): type(None),
    ("Load3DAdvanced", 0): type(None),
    ("MergeTextLists", 0): list,
}


def problem_of(stub: comfystub.Stub, node_class: NodeClass) -> str | None:
    """What is wrong with a class."""
    try:
        outputs = watched(stub, graph_around(node_class.name))
    except (AssertionError, LookupError) as problem:
        return str(problem)
    if len(outputs) != len(node_class.output):
        return f"{len(outputs)} outputs"
    wrong = [slot for slot, values in enumerate(outputs) if not fits(node_class, slot, values)]
    return f"outputs {[outputs[slot] for slot in wrong]}" if wrong else None


def fits(node_class: NodeClass, slot: int, values: list[Any]) -> bool:
    """Whether an output gives values of its type, and one of them unless it is a list."""
    kind = str(node_class.output[slot])  # a list of options is a type as well
    expected = EXCEPTIONS.get((node_class.name, slot), KINDS.get(kind, object))
    if not node_class.gives_list(slot) and len(values) != 1:
        return False
    return all(isinstance(value, expected) for value in values)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_it_runs(chunk: int) -> None:
    names = [name for name in list(Catalogue())[chunk::CHUNKS] if name not in WITHOUT_A_CHOICE]
    with comfystub.patch(URL) as stub:
        prepare(stub)
        problems = {name: problem_of(stub, node_class) for name in names if (node_class := builtin(name))}
    assert {name: problem for name, problem in problems.items() if problem} == {}


@pytest.mark.parametrize("name", sorted(WITHOUT_A_CHOICE))
def test_it_runs_unjudged(name: str) -> None:
    node_class = builtin(name)
    assert node_class is not None
    with comfystub.patch(URL, validate=False) as stub:
        assert problem_of(stub, node_class) is None
