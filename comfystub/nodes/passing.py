"""Nodes without a behaviour of their own: they pass on what came in, type by type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comfystub.media.pictures import Mosaic, Solid
from comfystub.nodes.catalogue import builtin
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.sampling import empty_latent, schedule
from comfystub.nodes.saving import save_what_came
from comfystub.nodes.values import Images, Latent, Masks, Opaque, Sigmas, first


def pass_on(run: Invocation) -> Result:
    """Give each output what came in under its type, or else something of that type."""
    outputs = [output_of_type(run, kind) for kind in run.node_class.output]
    # ComfyUI's own output nodes leave files of their own kinds: none at all is less wrong than pictures.
    saves = run.node_class.output_node and builtin(run.node_class.name) is None
    return Result(outputs, save_what_came(run).ui if saves else None)


def switch(run: Invocation) -> Result:
    """ComfySwitchNode: the branch that is switched on."""
    return Result((run.inputs.get("on_true" if run.inputs.get("switch") else "on_false"),))


def black_box(run: Invocation) -> Result:
    """A class that nothing is known of: whatever is linked to it finds what came in behind it."""
    return Result(_AnySlot(Opaque("*", run.signature, tuple(run.inputs.values()))), save_what_came(run).ui)


class _AnySlot(list[Any]):
    """Outputs of a node whose number of outputs is not known: each slot holds the same."""

    def __init__(self, value: Any) -> None:
        super().__init__([value])

    def __getitem__(self, slot: Any) -> Any:
        return super().__getitem__(0)


def output_of_type(run: Invocation, kind: Any) -> Any:
    """A value of a type for an output slot."""
    make = MAKERS.get(kind) if isinstance(kind, str) else None
    return make(run) if make else Opaque(str(kind), run.signature, tuple(run.inputs.values()))


def _images(run: Invocation) -> Images:
    came = first(Images, run.inputs.values())
    if came is not None:
        return came
    latent = first(Latent, run.inputs.values()) or _latent(run)
    return latent.decoded()


def _masks(run: Invocation) -> Masks:
    came = first(Masks, run.inputs.values())
    if came is not None:
        return came
    images = first(Images, run.inputs.values()) or [Mosaic(run.signature, 64, 64)]
    return Masks(Solid(0xFFFFFF, *picture.size) for picture in images)


def _latent(run: Invocation) -> Latent:
    came = first(Latent, run.inputs.values())
    if came is not None:
        return came._replace(digest=run.signature) if came.pictures is None else came
    latent: Latent = empty_latent(run).outputs[0]
    return latent


def _sigmas(run: Invocation) -> Sigmas:
    made: Sigmas = schedule(run).outputs[0]
    return first(Sigmas, run.inputs.values()) or made


def _plain(kind: type, names: tuple[str, ...]) -> Callable[[Invocation], Any]:
    """The input that gives a primitive its value, else the first one of the kind."""

    def make(run: Invocation) -> Any:
        values = [run.inputs[name] for name in names if name in run.inputs] or list(run.inputs.values())
        return next((value for value in values if type(value) is kind), kind())

    return make


#: Output type to what makes a value of it; any other type is opaque.
MAKERS: dict[str, Callable[[Invocation], Any]] = {
    "IMAGE": _images,
    "MASK": _masks,
    "LATENT": _latent,
    "SIGMAS": _sigmas,
    "INT": _plain(int, ("value", "seed")),
    "FLOAT": _plain(float, ("value",)),
    "STRING": _plain(str, ("value", "string", "text")),
    "BOOLEAN": _plain(bool, ("value",)),
}
