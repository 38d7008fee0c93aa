"""Node classes that a test defines in Python."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from comfystub.media.pictures import Pixels
from comfystub.nodes.invocation import Behaviour, Invocation, Progress, Reports, Result
from comfystub.nodes.schema import NodeClass
from comfystub.nodes.values import Images, Masks, Several
from comfystub.nodes.writing import texts, write

if TYPE_CHECKING:
    from PIL.Image import Image

SECTIONS = ("required", "optional", "hidden")

#: Called with a node's inputs by name.
Run = Callable[..., Any]


def node_class(
    name: str,
    run: Run | None,
    inputs: Mapping[str, Any],
    outputs: Sequence[str] | Mapping[str, str] | str,
    output_node: bool | None,
    **entry: Any,
) -> NodeClass:
    """A class made of what a test says of it; ``entry`` is what else ``/object_info`` shows of it.

    Raises ``TypeError`` for inputs or outputs that are none.
    """
    names, types = _outputs(outputs)
    declared = {
        "input": _sections(inputs),
        "output": types,
        "output_name": names,
        "output_node": not types if output_node is None else output_node,
        "category": "custom",
        "python_module": "custom_nodes.comfystub",
    }
    return NodeClass(name, {**declared, **entry}, None if run is None else behaviour(run))


def replaced(known: NodeClass, run: Run | None) -> NodeClass:
    """A class as it is, but for what its nodes do."""
    return NodeClass(known.name, known.entry, None if run is None else behaviour(run))


def _sections(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as ``/object_info`` has them: by section, each a list of type and options."""
    if not isinstance(inputs, Mapping):
        raise TypeError(f"inputs= takes a dict of names and types, not {inputs!r}")
    sections = inputs if inputs and all(name in SECTIONS for name in inputs) else {"required": inputs}
    return {
        section: {name: _spec(section, name, spec) for name, spec in declared.items()}
        for section, declared in sections.items()
    }


def _spec(section: str, name: str, spec: Any) -> Any:
    if section == "hidden":
        return spec
    if isinstance(spec, (str, list)):
        return [spec, {}]
    if isinstance(spec, tuple) and 1 <= len(spec) <= 2 and isinstance(spec[0], (str, list)):
        return [spec[0], spec[1] if len(spec) == 2 else {}]
    raise TypeError(f"input {name!r} is a type or a list of options, alone or before a dict, not {spec!r}")


def _outputs(outputs: Sequence[str] | Mapping[str, str] | str) -> tuple[list[str], list[str]]:
    """The names and the types of the outputs."""
    if isinstance(outputs, str):
        outputs = (outputs,)
    types = list(outputs.values() if isinstance(outputs, Mapping) else outputs)
    if not all(isinstance(kind, str) for kind in types):
        raise TypeError(f"outputs= takes types such as 'IMAGE', not {outputs!r}")
    return list(outputs), types


def behaviour(run: Run) -> Behaviour:
    """What a node does that runs a Python function.

    The function is given the node's inputs by name, pictures and masks as lists of Pillow images; it
    returns as a ComfyUI node does: a tuple with a value for each output, or ``{"ui": ..., "result":
    ...}``.  One value for one output need not be in a tuple.  A generator yields its progress, as
    ``(value, max)``.
    """

    def act(invocation: Invocation) -> Result | Reports:
        answer = run(**_given(invocation))
        return (
            _reporting(invocation, answer) if isinstance(answer, Generator) else _result(invocation, answer)
        )

    return act


def _given(invocation: Invocation) -> dict[str, Any]:
    """The inputs as the function takes them, hidden ones among them."""
    hidden: dict[str, Any] = {"UNIQUE_ID": invocation.node_id, "PROMPT": invocation.prompt}
    hidden["EXTRA_PNGINFO"] = invocation.extra_data.get("extra_pnginfo")
    own = {name: hidden.get(kind) for name, kind in invocation.node_class.hidden.items()}
    declared = {wanted.name for wanted in invocation.node_class.inputs(invocation.inputs)}
    return {n: _out(value) for n, value in invocation.inputs.items() if n in declared} | own


def _reporting(invocation: Invocation, answer: Generator[Any, None, Any]) -> Reports:
    while True:
        try:
            value, maximum = next(answer)
        except StopIteration as done:
            return _result(invocation, done.value)
        yield Progress(value, maximum)


def _result(invocation: Invocation, answer: Any) -> Result:
    shown: Any = None
    if isinstance(answer, Mapping) and answer.keys() <= {"ui", "result"}:
        shown, answer = answer.get("ui"), answer.get("result", ())
    types = invocation.node_class.output
    values = answer if isinstance(answer, tuple) else () if answer is None else (answer,)
    if len(values) != len(types):
        name = invocation.node_class.name
        raise ValueError(f"{name} has {len(types)} outputs, and its function returned {len(values)} values")
    outputs = [_in(invocation, slot, kind, value) for slot, (kind, value) in enumerate(zip(types, values))]
    ui = None if shown is None else {key: _shown(invocation, entries) for key, entries in shown.items()}
    return Result(outputs, ui)


def _shown(invocation: Invocation, entries: Any) -> list[Any]:
    """What a client is shown: pictures and files are saved, and shown as such."""
    entries = entries if isinstance(entries, (list, tuple)) else [entries]
    return [_saved(invocation, entry) for entry in entries]


def _saved(invocation: Invocation, entry: Any) -> Any:
    if isinstance(entry, pathlib.Path):
        return write(invocation, entry.suffix, entry.read_bytes())
    if _is_image(entry):
        return write(invocation, ".png", Pixels(entry).png(texts(invocation)), size=entry.size)
    return entry


def _out(value: Any) -> Any:
    """A value as Python code takes it."""
    if isinstance(value, Several):
        return [_out(item) for item in value]
    if isinstance(value, Images):
        return [picture.pixels() for picture in value]
    return [picture.pixels().convert("L") for picture in value] if isinstance(value, Masks) else value


def _in(invocation: Invocation, slot: int, kind: Any, value: Any) -> Any:
    """A value as it flows along a link."""
    if invocation.node_class.gives_list(slot):
        return [_batch(kind, item) for item in value]
    return _batch(kind, value)


def _batch(kind: Any, value: Any) -> Any:
    batch = {"IMAGE": Images, "MASK": Masks}.get(kind)
    if batch is None or isinstance(value, (Images, Masks)):
        return value
    pictures: list[Image] = [value] if _is_image(value) else list(value)
    return batch(Pixels(picture) for picture in pictures)


def _is_image(value: Any) -> bool:
    return hasattr(value, "getbands")  # what every Pillow image has; Pillow itself need not be loaded
