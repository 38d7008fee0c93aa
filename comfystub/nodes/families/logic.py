"""Primitives, switches and sums."""

from __future__ import annotations

from comfystub.nodes.invocation import Invocation, Result


def switch(run: Invocation) -> Result:
    """ComfySwitchNode: the branch that is switched on."""
    return Result((run.inputs.get(_chosen(run)),))


def _chosen(run: Invocation) -> str:
    return "on_true" if run.inputs.get("switch") else "on_false"


BEHAVIOURS = {"ComfySwitchNode": switch}

#: Classes that choose among their lazy inputs: the name of the one they want.
CHOICES = {"ComfySwitchNode": _chosen}
