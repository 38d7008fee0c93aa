"""The inputs that a node class declares, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from comfystub.nodes.schema import AUTOGROW, DYNAMIC_COMBO


class Declared(NamedTuple):
    """An input as a prompt names it; ``details`` is what else there is to say of it."""

    name: str
    type: str
    details: str


def inputs(info: Mapping[str, Any]) -> Iterator[Declared]:
    """The inputs of a class, as ``/object_info`` shows it; what a dynamic one brings comes behind it."""
    return _declared(info["input"], "", "")


def _declared(sections: Mapping[str, Any], prefix: str, condition: str) -> Iterator[Declared]:
    """The inputs of ``{"required": {...}, "optional": {...}}``, which are there on a condition."""
    for section in ("required", "optional"):
        for short, spec in (sections.get(section) or {}).items():
            kind, config = spec[0], spec[1] if len(spec) > 1 else {}
            said = [one for one in (section if section == "optional" else "", condition) if one]
            if kind == AUTOGROW:
                yield _grown(prefix + short, config["template"], said)
                continue
            options = _options(kind, config)
            details = ", ".join([*said, *_details(config, options)])
            yield Declared(prefix + short, kind if options is None else "COMBO", details)
            for option in config["options"] if kind == DYNAMIC_COMBO else ():
                chosen = f"{short} {json.dumps(option['key'])}"
                below = f"{condition} and {chosen}" if condition else f"with {chosen}"
                yield from _declared(option.get("inputs") or {}, f"{prefix}{short}.", below)


def _grown(name: str, template: Mapping[str, Any], said: list[str]) -> Declared:
    """An input that there may be several of."""
    names = template.get("names") or [f"{template['prefix']}{i}" for i in range(template["max"])]
    kind = next(spec[0] for inputs in template["input"].values() for spec in inputs.values())
    many = f"{template.get('min', 0)} to {len(names)} of them, up to {name}.{names[-1]}"
    return Declared(f"{name}.{names[0]}", kind, ", ".join([*said, many]))


def _options(kind: Any, config: Mapping[str, Any]) -> list[Any] | None:
    """What there is to choose from, ``None`` where that is not declared."""
    if kind == DYNAMIC_COMBO:
        return [option["key"] for option in config["options"]]
    if isinstance(kind, list):
        return kind
    return config.get("options") if kind == "COMBO" else None


def _details(config: Mapping[str, Any], options: list[Any] | None) -> Iterator[str]:
    if "default" in config:
        yield f"default {json.dumps(config['default'], ensure_ascii=False)}"
    least, most = config.get("min"), config.get("max")
    if least is not None and most is not None:
        yield f"{least} to {most}"
    elif least is not None or most is not None:
        yield f"from {least}" if most is None else f"up to {most}"
    if options is not None:
        yield f"one of {', '.join(map(str, options))}" if options else "nothing to choose from"
