"""Judging a prompt before it is queued, output by output, the way ComfyUI does.

Plain values are converted in the prompt itself, as the server's history then shows them.  Where the
server walks a set, the prompt's own order is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple

from comfystub.engine import errors
from comfystub.engine.errors import Error
from comfystub.engine.releases import LATEST, RELEASES, Release
from comfystub.media.files import Folders
from comfystub.nodes.behaviours import shows_something
from comfystub.nodes.catalogue import Catalogue
from comfystub.nodes.inventory import Inventory
from comfystub.nodes.own_validation import judge
from comfystub.nodes.replacements import replaced
from comfystub.nodes.schema import Input, NodeClass

Prompt = dict[str, Any]

#: Types whose plain values are converted, and how.
CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}

#: Types that fit any other.
WILDCARDS = ("*", "COMFY_MATCHTYPE_V3")


class Verdict(NamedTuple):
    """What validation found: ``error`` is ``None`` when at least one output is valid."""

    outputs: list[str]
    error: Error | None
    node_errors: dict[str, Any]


class Known(NamedTuple):
    """What a server knows when it judges a prompt."""

    catalogue: Catalogue
    inventory: Inventory
    folders: Folders
    accept_unknown: bool = False
    release: Release = RELEASES[LATEST]

    def classes(self, prompt: Prompt) -> dict[str, NodeClass | None]:
        """The class of each node, ``None`` for one that nothing is known of."""
        return {node_id: self.catalogue.get(node.get("class_type")) for node_id, node in prompt.items()}


def replace_nodes(prompt: Prompt, known: Known) -> None:
    """Put what takes their place where a prompt has nodes of classes that the server no longer has."""
    catalogue = known.catalogue
    if not known.release.replaces_nodes:
        return
    for node_id, node in prompt.items():
        name = node.get("class_type")
        if isinstance(name, str) and name in catalogue.replacements and catalogue.get(name) is None:
            prompt[node_id] = replaced(node, catalogue.replacements[name][0])


def validate(prompt: Prompt, known: Known, targets: Iterable[str] | None = None) -> Verdict:
    """Judge a prompt.

    ``targets`` cuts the output nodes down, as ``partial_execution_targets`` does.  Raises whatever
    a prompt that is no graph at all makes the server raise; it answers 500 to that.
    """
    classes: dict[str, NodeClass | None] = {}
    for node_id, node in prompt.items():
        node_class = known.catalogue.get(node.get("class_type"))
        if "class_type" not in node or (node_class is None and not known.accept_unknown):
            return Verdict([], errors.missing_class(node_id, node, known.release.names_missing_nodes), {})
        classes[node_id] = node_class
    outputs = output_nodes(prompt, classes)
    if targets is not None:
        wanted = set(targets)
        outputs = [node_id for node_id in outputs if node_id in wanted]
    if not outputs:
        return Verdict([], errors.error("prompt_no_outputs"), {})
    return _Judge(prompt, classes, known).outputs(outputs)


def output_nodes(prompt: Prompt, classes: Mapping[str, NodeClass | None]) -> list[str]:
    """The output nodes of a prompt.

    A node of a class that the catalogue lacks counts as one when no other node is linked to it, or when
    it is an output node in the pack that is known to bring it.
    """
    found = [node_id for node_id, node_class in classes.items() if node_class and node_class.output_node]
    unknown = [node_id for node_id, node_class in classes.items() if node_class is None]
    if unknown:
        linked = {
            value[0]
            for node in prompt.values()
            for value in (node.get("inputs") or {}).values()
            if isinstance(value, list) and value and isinstance(value[0], str)
        }
        found += [
            node_id
            for node_id in unknown
            if node_id not in linked or shows_something(str(prompt[node_id].get("class_type")))
        ]
    return found


#: Yields the id of a node that has to be judged first and is sent whether that one is valid.
_Steps = Generator[str, bool, bool]


class _Judge:
    """The judgement of one prompt: every node is looked at once, whichever output it serves."""

    def __init__(self, prompt: Prompt, classes: Mapping[str, NodeClass | None], known: Known) -> None:
        self._prompt = prompt
        self._classes = classes
        self._known = known
        self._valid: dict[str, bool] = {}
        self._errors: dict[str, list[Error]] = {}
        self._dependents: dict[str, list[str]] = {}
        #: The nodes that are being judged, from the output inwards; a dict finds them at once.
        self._path: dict[str, None] = {}
        #: The names that were chosen from lists of files.
        self._chosen: list[tuple[Any, Any]] = []

    def outputs(self, node_ids: list[str]) -> Verdict:
        """Judge these outputs and sum up."""
        good: list[str] = []
        lines: list[str] = []
        for node_id in node_ids:
            if self._judge(node_id):
                good.append(node_id)
                continue
            lines += [f"{e['message']}: {e['details']}" for e in self._errors.get(node_id, ())]
            # The output is told of at every node known to be at fault by now, linked or not.
            for at_fault in self._errors:
                self._dependents.setdefault(at_fault, []).append(node_id)
        node_errors = {
            node_id: {
                "errors": found,
                "dependent_outputs": self._dependents[node_id],
                "class_type": self._prompt[node_id]["class_type"],
            }
            for node_id, found in self._errors.items()
        }
        if good:
            for choices, value in self._chosen:
                self._known.inventory.remember(choices, value)
            return Verdict(good, None, node_errors)
        return Verdict([], errors.error("prompt_outputs_failed_validation", "\n".join(lines)), node_errors)

    def _judge(self, node_id: str) -> bool:
        """Whether an output node and all it needs is valid."""
        try:
            return self._run(node_id)
        except Exception as exc:
            self._path.clear()
            self._fault(node_id, [errors.outer_exception(exc)])
            return False

    def _run(self, node_id: str) -> bool:
        """Drive the steps of a node and of those it asks for; a deep graph needs no deep stack."""
        waiting = [self._node(node_id)]
        answer: bool | None = None
        failure: Exception | None = None
        while waiting:
            try:
                if failure is not None:
                    wanted = waiting[-1].throw(failure)
                else:
                    wanted = next(waiting[-1]) if answer is None else waiting[-1].send(answer)
            except StopIteration as done:
                waiting.pop()
                answer, failure = bool(done.value), None
            except Exception as exc:
                waiting.pop()
                answer, failure = None, exc
            else:
                waiting.append(self._node(wanted))
                answer, failure = None, None
        if failure is not None:
            raise failure
        return bool(answer)

    def _node(self, node_id: str) -> _Steps:
        if node_id in self._valid:
            return self._valid[node_id]
        if node_id in self._path:
            self._report_cycle(node_id)
            return False
        node = self._prompt[node_id]
        node_class, values = self._classes[node_id], node["inputs"]
        self._path[node_id] = None
        found: list[Error] = []
        upstream_valid = True
        for wanted in node_class.inputs(values) if node_class else _any_links(values):
            if wanted.name not in values:
                if wanted.required:
                    found.append(errors.required_input_missing(wanted.name))
                continue
            value = values[wanted.name]
            if isinstance(value, list):
                problem = self._link(node_class, wanted, value)
                if problem is not None:
                    found.append(problem)
                    continue
                try:
                    upstream_valid &= yield value[0]
                except Exception as exc:
                    while next(reversed(self._path)) != node_id:
                        self._path.popitem()
                    inner = errors.inner_exception(wanted.name, self._config(wanted), exc, value)
                    self._fault(value[0], [inner])
                    upstream_valid = False
            elif node_class:
                problem = self._plain(node_class, wanted, values)
                if problem is not None:
                    found.append(problem)
        if node_class:
            found += self._own(node_class, values)
        self._path.popitem()
        if found:
            # An error that was noted meanwhile, that of a cycle, stands beside the node's own.
            self._errors[node_id] = found + self._errors.get(node_id, [])
        return self._valid.setdefault(node_id, upstream_valid and node_id not in self._errors)

    def _fault(self, node_id: str, found: list[Error]) -> None:
        """Mark a node as invalid for these errors alone."""
        self._errors[node_id] = found
        self._valid[node_id] = False

    def _report_cycle(self, node_id: str) -> None:
        path_so_far = list(self._path)
        members = path_so_far[path_so_far.index(node_id) :]
        path = [(member, str(self._prompt[member]["class_type"])) for member in [*members, node_id]]
        for member in members:
            self._errors.setdefault(member, []).append(errors.dependency_cycle(member, path))

    def _link(self, node_class: NodeClass | None, wanted: Input, link: list[Any]) -> Error | None:
        """What is wrong with a link, before the node behind it is looked at."""
        if len(link) != 2:
            return errors.bad_linked_input(wanted.name, self._config(wanted), link)
        node_id, slot = link
        self._prompt[node_id]  # a node that is not there raises, as it does in the server
        linked_class = self._classes[node_id]
        if linked_class is None:
            return None
        received = linked_class.output[slot]
        kind = wanted.type if isinstance(wanted.type, str) else self._config(wanted)[0]
        if fits(received, kind) or (node_class is not None and node_class.judges_link_types):
            return None
        return errors.return_type_mismatch(wanted.name, self._config(wanted), received, link)

    def _plain(self, node_class: NodeClass, wanted: Input, values: dict[str, Any]) -> Error | None:
        """Convert a plain value in place; what is wrong with it."""
        name, value = wanted.name, values[wanted.name]
        if isinstance(value, dict) and "__value__" in value:
            value = values[name] = value["__value__"]
        convert = CONVERSIONS.get(wanted.type) if isinstance(wanted.type, str) else None
        if convert is not None:
            try:
                value = values[name] = convert(value)
            except Exception as exc:
                return errors.invalid_input_type(name, self._config(wanted), value, exc)
        if name in node_class.facts.get("validates", ()) or node_class.facts.get("validates_all"):
            return None
        return self._in_bounds(wanted, value)

    def _in_bounds(self, wanted: Input, value: Any) -> Error | None:
        config = wanted.config
        if "min" in config and isinstance(value, (int, float)) and value < config["min"]:
            return errors.value_smaller_than_min(wanted.name, self._config(wanted), value)
        if "max" in config and isinstance(value, (int, float)) and value > config["max"]:
            return errors.value_bigger_than_max(wanted.name, self._config(wanted), value)
        choices = wanted.choices
        if choices is None:
            return None
        inventory = self._known.inventory
        chosen = value if isinstance(value, list) and config.get("multiselect") else [value]
        if all(inventory.accepts(choices, one) for one in chosen):
            if isinstance(choices, Mapping):
                self._chosen += [(choices, one) for one in chosen]
            return None
        options = inventory.options(choices)
        return errors.value_not_in_list(wanted.name, self._config(wanted), value, options)

    def _own(self, node_class: NodeClass, values: Mapping[str, Any]) -> list[Error]:
        """The class's own judgement of its inputs."""
        if not node_class.facts.get("validates"):
            return []
        # What comes over a link is not known yet: the class is asked about nothing.
        plain = {name: None if isinstance(value, list) else value for name, value in values.items()}
        takes, judgement = judge(node_class.name, plain, self._known.folders)
        if judgement is True:
            return []
        return [errors.custom_validation_failed(name, judgement) for name in takes]

    def _config(self, wanted: Input) -> list[Any]:
        """An input as an error shows it: its type and its options, lists of files written out."""
        options = self._known.inventory.options
        if wanted.choices is None:
            return [wanted.type, wanted.config]
        if wanted.type == "COMBO":
            return ["COMBO", {**wanted.config, "options": options(wanted.choices)}]
        return [options(wanted.choices), wanted.config]


def _any_links(values: Mapping[str, Any]) -> list[Input]:
    """The inputs of a class that nothing is known of: its links, of any type."""
    return [Input(name, "*", {}, False) for name, value in values.items() if isinstance(value, list)]


def fits(received: Any, wanted: Any) -> bool:
    """Whether an output type fits an input type.

    Unions are comma separated and fit when they share a member; an old-style combo's type is its
    list of options.
    """
    if received in WILDCARDS or wanted in WILDCARDS:
        return True
    if not isinstance(received, str):
        return bool(wanted == "COMBO" or received == wanted)
    if not isinstance(wanted, str):
        return False
    if received == wanted:
        return True
    return not {kind.strip() for kind in received.split(",")}.isdisjoint(
        kind.strip() for kind in wanted.split(",")
    )
