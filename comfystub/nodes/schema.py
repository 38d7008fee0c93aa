"""A node class as a prompt meets it: its inputs, its outputs and the entry ``/object_info`` shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from comfystub.nodes.invocation import Behaviour

DYNAMIC_COMBO = "COMFY_DYNAMICCOMBO_V3"
AUTOGROW = "COMFY_AUTOGROW_V3"

#: Flags that new-style entries always carry.
FLAGS = ("deprecated", "experimental", "dev_only", "api_node")


class Input(NamedTuple):
    """One input of a node class.

    ``type`` is a type name such as ``"INT"`` or, in old-style combos, what stands for the list of
    options: the list itself, or ``{"$files": [...]}``.
    """

    name: str
    type: Any
    config: Mapping[str, Any]
    required: bool

    @property
    def choices(self) -> Any:
        """The options of a combo, as they stand in the catalogue; ``None`` for any other input."""
        if isinstance(self.type, str):
            return self.config.get("options") if self.type == "COMBO" else None
        return self.type


class NodeClass:
    """A node class, made of its catalogue line or of an entry of somebody's ``/object_info``.

    ``behaviour`` is what its nodes do, where the stub does not know that by itself.
    """

    __slots__ = (
        "_inputs",
        "behaviour",
        "dynamic",
        "entry",
        "facts",
        "lazy",
        "name",
        "output",
        "output_is_list",
        "output_node",
        "takes_lists",
    )

    def __init__(self, name: str, entry: Mapping[str, Any], behaviour: Behaviour | None = None) -> None:
        self.name = name
        self.entry = entry
        self.behaviour = behaviour
        self.facts: Mapping[str, Any] = entry.get("facts", {})
        # A tuple, as in the server: what a wrong slot raises is shown to the client.
        self.output: tuple[Any, ...] = tuple(entry.get("output") or ())
        self.output_node: bool = bool(entry.get("output_node"))
        #: Whether it is given the values of a list all at once, and which outputs give lists.
        self.takes_lists: bool = bool(entry.get("is_input_list"))
        self.output_is_list: Sequence[Any] = entry.get("output_is_list") or ()
        self._inputs = list(_section_inputs(entry.get("input", {})))
        #: The inputs whose links are followed only when the node has said that it wants them.
        self.lazy = frozenset(i.name for i in self._inputs if i.config.get("lazy"))
        self.dynamic = any(
            i.type in (DYNAMIC_COMBO, AUTOGROW) for i in self._inputs if isinstance(i.type, str)
        )

    @property
    def hidden(self) -> Mapping[str, Any]:
        """The hidden inputs: name to type, or to a list that begins with it."""
        hidden: Mapping[str, Any] = self.entry.get("input", {}).get("hidden") or {}
        return hidden

    @property
    def uses_unique_id(self) -> bool:
        """Whether the node is told its own id, so that its result counts for that id alone."""
        return any(kind == "UNIQUE_ID" or kind == ["UNIQUE_ID"] for kind in self.hidden.values())

    @property
    def judges_link_types(self) -> bool:
        """Whether it judges itself what it is linked to, whatever the types of its inputs say."""
        return "input_types" in self.facts.get("validates", ())

    @property
    def loads_a_model(self) -> bool:
        """Whether it chooses among the files of a model folder, as far as its entry, or its name, says so."""
        lists = [choices for one in self._inputs if isinstance(choices := one.choices, Mapping)]
        return any(choices.get("$files") not in (None, ["input"]) for choices in lists) or (
            "Loader" in self.name
        )

    @property
    def has_intermediate_output(self) -> bool:
        """Whether a cached node of this class shows its old output once more."""
        return bool(self.entry.get("has_intermediate_output"))

    def gives_list(self, slot: int) -> bool:
        """Whether an output is a list."""
        return slot < len(self.output_is_list) and bool(self.output_is_list[slot])

    def inputs(self, values: Mapping[str, Any]) -> list[Input]:
        """The inputs a node of this class has with these values: dynamic ones are unfolded by them."""
        if not self.dynamic:
            return self._inputs
        return [unfolded for declared in self._inputs for unfolded in unfold(declared, values)]

    def info(self, options: Callable[[Any], list[str]]) -> dict[str, Any]:
        """The entry as ``GET /object_info`` shows it.

        ``options`` turns ``{"$files": [...]}`` into the names that are there now.
        """
        entry = self.entry
        sections = _fill_files(entry.get("input", {}), options)
        if entry.get("whole"):
            return {k: sections if k == "input" else entry[k] for k in entry if k not in ("facts", "whole")}
        outputs = list(entry.get("output") or ())
        info: dict[str, Any] = {
            "input": sections,
            "input_order": entry.get("input_order") or {s: list(inputs) for s, inputs in sections.items()},
            "is_input_list": entry.get("is_input_list", False),
            "output": outputs,
            "output_is_list": entry.get("output_is_list", [False] * len(outputs)),
            "output_name": entry.get("output_name", outputs),
            "name": self.name,
            "display_name": entry.get("display_name", self.name),
            "description": entry.get("description", ""),
            "python_module": entry.get("python_module", "nodes"),
            "category": entry.get("category", ""),
            "output_node": self.output_node,
            "has_intermediate_output": self.has_intermediate_output,
            "search_aliases": entry.get("search_aliases", []),
        }
        if entry.get("v3"):
            info |= {flag: entry.get(flag, False) for flag in FLAGS}
            info |= {
                "output_tooltips": entry.get("output_tooltips", [None] * len(outputs)),
                "output_matchtypes": entry.get("output_matchtypes"),
                "price_badge": entry.get("price_badge"),
                "essentials_category": entry.get("essentials_category"),
            }
        return info | {key: entry[key] for key in entry if key not in info and key not in ("facts", "v3")}


def _section_inputs(sections: Mapping[str, Any], prefix: str = "") -> Iterator[Input]:
    """The declared inputs of ``{"required": {...}, "optional": {...}}``, hidden ones left out."""
    for section in ("required", "optional"):
        for name, spec in (sections.get(section) or {}).items():
            yield Input(prefix + name, spec[0], spec[1] if len(spec) > 1 else {}, section == "required")


def unfold(declared: Input, values: Mapping[str, Any]) -> Iterator[Input]:
    """An input and, where it is dynamic, the inputs that stand under it with these values."""
    if declared.type == AUTOGROW:
        yield from _grown(declared)
        return
    yield declared
    if declared.type != DYNAMIC_COMBO:
        return
    chosen = values.get(declared.name)
    for option in declared.config.get("options", ()):
        if option["key"] == chosen:
            for inner in _section_inputs(option.get("inputs", {}), declared.name + "."):
                # The server does not miss a dynamic combo that stands inside another one.
                optional = inner.type == DYNAMIC_COMBO
                yield from unfold(inner._replace(required=False) if optional else inner, values)


def _grown(declared: Input) -> Iterator[Input]:
    """The inputs of an autogrow: the first ``min`` of them are wanted, the others may be left out."""
    template = declared.config["template"]
    names = template.get("names") or [f"{template['prefix']}{i}" for i in range(template["max"])]
    wanted = template.get("min", 0) if declared.required else 0
    for model in _section_inputs(template["input"]):
        for i, name in enumerate(names):
            yield model._replace(name=f"{declared.name}.{name}", required=model.required and i < wanted)


def _fill_files(value: Any, options: Callable[[Any], list[str]]) -> Any:
    """A copy of a piece of an entry with its lists of files written out."""
    if isinstance(value, Mapping):
        if "$files" in value:
            return options(value)
        return {key: _fill_files(inner, options) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill_files(inner, options) for inner in value]
    return value
