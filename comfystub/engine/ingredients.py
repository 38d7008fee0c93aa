"""What goes into a picture, read off the graph: models, LoRAs, words and seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from comfystub.engine.graph import inputs_of, is_link

#: Inputs that name the model a picture is made with.
MODEL_INPUTS = frozenset({"ckpt_name", "unet_name", "model_name", "model"})
#: Inputs that hold words of the prompt.
TEXT_INPUTS = frozenset(
    {
        *("text", "prompt", "positive", "positive_prompt", "text_g", "text_l", "clip_l", "t5xxl"),
        *("value", "string", "tags", "lyrics"),
    }
)
SEED_INPUTS = frozenset({"seed", "noise_seed"})


class Ingredients(NamedTuple):
    """The names and words found behind a node, those next to it first; negative prompts do not count."""

    models: tuple[str, ...]
    loras: tuple[str, ...]
    texts: tuple[str, ...]
    seed: int | None


def ingredients_of(workflow: Mapping[str, Any], node_id: str) -> Ingredients:
    """What a node of a workflow, and all that it is linked to, names."""
    inputs = list(_plain_inputs(workflow, node_id))
    seeds = (value for name, value in inputs if name in SEED_INPUTS and isinstance(value, int))
    return Ingredients(
        _named(inputs, MODEL_INPUTS),
        tuple(dict.fromkeys(lora for name, value in inputs for lora in _loras(name, value))),
        _named(inputs, TEXT_INPUTS),
        next(seeds, None),
    )


def _plain_inputs(workflow: Mapping[str, Any], node_id: str) -> Iterator[tuple[str, Any]]:
    """The inputs of a node and of all behind it that are no links, the nearest first."""
    waiting, seen = deque([node_id]), {node_id}
    while waiting:
        for name, value in inputs_of(workflow, waiting.popleft()).items():
            if not is_link(value):
                yield name, value
            elif value[0] in workflow and value[0] not in seen and not name.startswith("negative"):
                seen.add(value[0])
                waiting.append(value[0])


def _named(inputs: Iterable[tuple[str, Any]], names: frozenset[str]) -> tuple[str, ...]:
    found = (value for name, value in inputs if name in names and isinstance(value, str) and value)
    return tuple(dict.fromkeys(found))


def _loras(name: str, value: Any) -> Iterator[str]:
    """The LoRA that an input names; some packs have rows of them, each of which can be switched off."""
    if isinstance(value, Mapping) and value.get("on", True):
        value = value.get("lora")
    if "lora" in name.lower() and isinstance(value, str) and value not in ("", "None"):
        yield value
