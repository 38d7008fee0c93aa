"""What a node of a class does in the stub: which module says so."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

from comfystub.nodes import passing
from comfystub.nodes.catalogue import builtin
from comfystub.nodes.families.logic import CHOICES
from comfystub.nodes.invocation import Behaviour, Invocation
from comfystub.nodes.schema import NodeClass

#: The beginning of a category to the modules of ``families`` that hold what its classes do.  A
#: module is loaded when the first node of such a class runs.
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "3d": ("shapes",),
    "api node": ("partner",),  # what the partner nodes of older servers are called
    "audio": ("audio",),
    "conditioning": ("conditioning",),
    "dataset": ("video",),
    "experimental": ("latent_shapes", "conditioning", "models"),
    "image": ("imaging", "saving", "layers", "datasets"),
    "image/adjustments": ("filters",),
    "image/background removal": ("detecting",),
    "image/batch": ("batches",),
    "image/color": ("filters",),
    "image/compositing": ("compositing",),
    "image/detection": ("detecting", "faces", "poses"),
    "image/filters": ("filters",),
    "image/geometry estimation": ("depth",),
    "image/mask": ("masks", "saving"),
    "image/post-processors": ("transforms",),
    "image/pre-processors": ("transforms",),
    "image/transform": ("scaling", "cropping", "transforms"),
    "image/upscaling": ("scaling",),
    "image/video": ("keyframes",),
    "model/conditioning": ("conditioning", "scaling"),
    "model/latent": ("latents", "latent_shapes", "latent_batches"),
    "model/merging": ("models",),
    "model/sampling": ("sampling", "schedules"),
    "model/training": ("training",),
    "partner": ("partner",),
    "text": ("text",),
    "utilities": ("logic", "formulas", "drawing", "saving"),
    "video": ("video",),
}

#: Where the classes are that custom node packs bring.
PACKS = "packs"

#: Classes whose result is never taken from the cache.
NEVER_CACHED = frozenset({"SaveImageWebsocket"})

#: Classes that work in steps, which they report.
SAMPLING_CLASSES = frozenset({"KSampler", "KSamplerAdvanced", "SamplerCustom", "SamplerCustomAdvanced"})


def behaviour_of(node_class: NodeClass) -> Behaviour:
    """What a node of this class does in the stub."""
    return (
        node_class.behaviour
        or _known(node_class.name)
        or _usual(node_class.entry.get("category", ""))
        or passing.default(node_class)
    )


def wanted_by(run: Invocation) -> Collection[str]:
    """The lazy inputs that a node wants, as far as it knows them without having them: all, or a choice."""
    choose = CHOICES.get(run.node_class.name)
    return run.node_class.lazy if choose is None else (choose(run),)


def shows_something(name: str) -> bool:
    """Whether a class is an output node in the custom node pack that brings it."""
    return name in _module(PACKS).OUTPUT_CLASSES


@functools.cache
def _known(name: str) -> Behaviour | None:
    """What the stub knows of a class by its name."""
    entry = builtin(name)
    modules = (PACKS,) if entry is None else modules_of(entry.entry.get("category", ""))
    tables = (_module(module).BEHAVIOURS for module in modules)
    return next((table[name] for table in tables if name in table), None)


@functools.cache
def _usual(category: str) -> Behaviour | None:
    """What the classes of a category do that are in no table: a module may have a ``DEFAULT``."""
    return next((_module(m).DEFAULT for m in modules_of(category) if hasattr(_module(m), "DEFAULT")), None)


def _module(name: str) -> Any:
    return import_module(f"comfystub.nodes.families.{name}")


def modules_of(category: str) -> tuple[str, ...]:
    """The modules for a category: those of the longest beginning of it that has any."""
    while category and category not in FAMILIES:
        category = category.rpartition("/")[0]
    return FAMILIES.get(category, ())
