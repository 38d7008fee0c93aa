"""Primitives, switches, choices and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Several

#: Pixels of a megapixel.
MEGAPIXEL = 1024 * 1024


def grown(run: Invocation, name: str) -> dict[str, Any]:
    """The values of an input that grows: ``values.a`` is the ``a`` of ``values``."""
    return {key[len(name) + 1 :]: value for key, value in run.inputs.items() if key.startswith(f"{name}.")}


def _primitive(name: str, nothing: Any) -> Behaviour:
    """A class that gives the value of an input."""
    return lambda run: Result((run.value(name, nothing),))


def _over_values(decide: Callable[..., bool]) -> Behaviour:
    """A class that decides over all of its growing inputs."""
    return lambda run: Result((decide(grown(run, "values").values()),))


def switch(run: Invocation) -> Result:
    """ComfySwitchNode: the branch that is switched on."""
    return Result((run.inputs.get(_chosen(run)),))


def _chosen(run: Invocation) -> str:
    return "on_true" if run.inputs.get("switch") else "on_false"


def combo(run: Invocation) -> Result:
    return Result((run.value("choice", ""), run.value("index", 0)))


def create_list(run: Invocation) -> Result:
    """CreateList: the items of all its inputs, one after the other."""
    return Result((Several(item for given in grown(run, "inputs").values() for item in given),))


def number(run: Invocation) -> Result:
    """ComfyNumberConvert: a value as a float and an integer."""
    value = run.inputs.get("value")
    if value is None:
        value = 0
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    if not math.isfinite(value):
        raise ValueError(f"Cannot convert {value} to a number: it is not finite")
    return Result((float(value), int(value)))


def resolution(run: Invocation) -> Result:
    """ResolutionSelector: the size of a shape that has so many pixels, in whole multiples."""
    across, down = run.value("aspect_ratio", "1:1").split(" ")[0].split(":")
    shape = float(across) / float(down)
    pixels = run.value("megapixels", 1.0) * MEGAPIXEL
    multiple = max(1, run.value("multiple", 8))
    sides = math.sqrt(pixels * shape), math.sqrt(pixels / shape)
    return Result([max(multiple, round(side / multiple) * multiple) for side in sides])


def color(run: Invocation) -> Result:
    """ColorToRGBInt: ``#RRGGBB`` or ``#RRGGBBAA`` as a number, without its alpha, and the alpha alone."""
    value = run.value("color", "#ffffff")
    if not re.fullmatch("#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})", value):
        raise ValueError(f"Invalid color {value!r}: it is #RRGGBB or #RRGGBBAA")
    return Result((int(value[1:7], 16), value[:7], int(value[7:] or "ff", 16) / 255))


BEHAVIOURS: Mapping[str, Behaviour] = {
    "ColorToRGBInt": color,
    "ComfyAndNode": _over_values(all),
    "ComfyNotNode": lambda run: Result((not run.inputs.get("value"),)),
    "ComfyNumberConvert": number,
    "ComfyOrNode": _over_values(any),
    "ComfySwitchNode": switch,
    "CreateList": create_list,
    "CustomCombo": combo,
    "PrimitiveBoolean": _primitive("value", False),
    "PrimitiveFloat": _primitive("value", 0.0),
    "PrimitiveInt": _primitive("value", 0),
    "PrimitiveString": _primitive("value", ""),
    "PrimitiveStringMultiline": _primitive("value", ""),
    "ResolutionSelector": resolution,
    "SeedNode": _primitive("seed", 0),
}

#: Classes that choose among their lazy inputs: the name of the one they want.
CHOICES = {"ComfySwitchNode": _chosen}
