"""What a node of a class does in the stub: which module says so."""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from comfystub.nodes import passing
from comfystub.nodes.catalogue import DATA
from comfystub.nodes.families.logic import CHOICES
from comfystub.nodes.invocation import Behaviour, Invocation
from comfystub.nodes.schema import NodeClass

#: Class to the module of ``families`` whose table has it, as ``tools/index_families.py`` writes it down.
#: A module is loaded when the first node of such a class runs.
INDEX = DATA / "families.json"

#: The first part of a category to the module whose ``DEFAULT`` is what its classes do, but for those
#: in its table; partner nodes have another category on older servers.
USUAL = {"partner": "partner", "api node": "partner"}

#: Where the classes are that custom node packs bring.
PACKS = "packs"

#: Classes whose result is never taken from the cache.
NEVER_CACHED = frozenset({"SaveImageWebsocket"})

#: Classes that work in steps, which they report.
SAMPLING_CLASSES = frozenset({"KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"})


def behaviour_of(node_class: NodeClass) -> Behaviour:
    """What a node of this class does in the stub."""
    category = node_class.entry.get("category", "")
    return node_class.behaviour or _known(node_class.name) or _usual(category) or passing.default(node_class)


def wanted_by(run: Invocation) -> Collection[str]:
    """The lazy inputs that a node wants, as far as it knows them without having them: all, or a choice."""
    choose = CHOICES.get(run.node_class.name)
    return run.node_class.lazy if choose is None else (choose(run),)


def shows_something(name: str) -> bool:
    """Whether a class is an output node in the custom node pack that brings it."""
    return name in _module(PACKS).OUTPUT_CLASSES


def _known(name: str) -> Behaviour | None:
    """What the stub knows of a class by its name."""
    module = _index().get(name)
    behaviour: Behaviour | None = None if module is None else _module(module).BEHAVIOURS[name]
    return behaviour


def _usual(category: str) -> Behaviour | None:
    """What the classes of a category do that are in no table."""
    module = USUAL.get(category.partition("/")[0])
    behaviour: Behaviour | None = None if module is None else _module(module).DEFAULT
    return behaviour


@functools.cache
def _index() -> Mapping[str, str]:
    index: dict[str, str] = json.loads(INDEX.read_bytes())
    return index


@functools.cache
def _module(name: str) -> Any:
    return import_module(f"comfystub.nodes.families.{name}")
