"""Lists on the links: a node runs once for each item, unless its class takes lists as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from comfystub.nodes.invocation import Result
from comfystub.nodes.schema import NodeClass
from comfystub.nodes.values import Several

Inputs = Mapping[str, Any]


def spread(inputs: Inputs, node_class: NodeClass) -> list[Inputs]:
    """The inputs of each run of a node; of lists of different lengths, the shorter repeat their last item."""
    if node_class.takes_lists:
        return [{n: value if isinstance(value, Several) else Several([value]) for n, value in inputs.items()}]
    lengths = [len(value) for value in inputs.values() if isinstance(value, Several)]
    if not lengths:
        return [inputs]
    runs = max(lengths) if all(lengths) else 0
    return [{name: _item(value, index) for name, value in inputs.items()} for index in range(runs)]


def _item(value: Any, index: int) -> Any:
    return value[min(index, len(value) - 1)] if isinstance(value, Several) else value


def joined(results: Sequence[Result], node_class: NodeClass) -> Result:
    """What several runs of a node leave together."""
    if len(results) == 1 and not any(node_class.output_is_list):
        return results[0]
    slots = max((len(result.outputs) for result in results), default=len(node_class.output))
    outputs = [Several(_values(results, slot, node_class)) for slot in range(slots)]
    shown = [result.ui for result in results if result.ui is not None]
    return Result([_plain(slot, node_class, value) for slot, value in enumerate(outputs)], _together(shown))


def _values(results: Iterable[Result], slot: int, node_class: NodeClass) -> Iterator[Any]:
    for result in results:
        if node_class.gives_list(slot):
            yield from result.outputs[slot]
        else:
            yield result.outputs[slot]


def _plain(slot: int, node_class: NodeClass, values: Several) -> Any:
    """One value is no list, unless the class says that it is."""
    return values[0] if len(values) == 1 and not node_class.gives_list(slot) else values


def _together(shown: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the runs show, key by key one after the other."""
    if not shown:
        return None
    together: dict[str, Any] = {}
    for ui in shown:
        for key, entries in ui.items():
            together[key] = [*together.get(key, ()), *entries]
    return together
