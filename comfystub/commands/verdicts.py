"""What a server finds wrong with a workflow, as one line for each thing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.commands.mistakes import alike
from comfystub.commands.workflows import title_of

if TYPE_CHECKING:
    from comfystub.engine.validation import Known
    from comfystub.server.server import Call

#: How alike two names of classes are when one is taken for the other; packs have names like ComfyUI's.
VERY_ALIKE = 0.85

#: Errors whose message says no more than their details.
TOLD_BY_DETAILS = ("value_not_in_list", "custom_validation_failed")

OWN_CLASSES = "if your server has it, give --profile or --object-info, or --unknown-nodes accept"


class Problem(NamedTuple):
    """Something that is wrong with a workflow, or with a node of it.

    ``is_input_file`` says that it is only a file that the input folder lacks.
    """

    text: str
    node_id: str | None = None
    class_type: str | None = None
    title: str | None = None
    is_input_file: bool = False

    @property
    def node(self) -> str:
        """The node in words, ``""`` for none."""
        if self.node_id is None:
            return ""
        title = f'"{" ".join(self.title.split())}"' if self.title else None
        called = " ".join(filter(None, [self.class_type, title]))
        return f"node {self.node_id} ({called})" if called else f"node {self.node_id}"

    def __str__(self) -> str:
        return f"{self.node}: {self.text}" if self.node else self.text


def answer_of(call: Call) -> Any:
    """What a submission was answered: JSON, or the text of a server in trouble."""
    return json.loads(call.answer) if call.status in (200, 400) else call.answer.decode()


def problems(prompt: Mapping[str, Any], call: Call, known: Known) -> list[Problem]:
    """What is wrong with a prompt that was submitted.

    ComfyUI names the first node alone whose class it lacks; here are all of them.
    """
    return list(_problems(prompt, call, known))


def _problems(prompt: Mapping[str, Any], call: Call, known: Known) -> Iterator[Problem]:
    from comfystub.engine.errors import MISSING_CLASS

    if call.error is not None:
        yield from _what_is_no_graph(prompt, call.error)
        return
    answer = answer_of(call)
    if isinstance(answer, str):
        yield Problem(f"ComfyUI answers {call.status} to it: {answer}")
        return
    error, nodes = answer.get("error"), answer["node_errors"]
    if error is not None and error["type"] in MISSING_CLASS:
        yield from _missing_classes(prompt, known)
    elif error is not None and not nodes:
        yield Problem(_in_words(error))
    for node_id, found in nodes.items():
        about = (node_id, found["class_type"], title_of(prompt.get(node_id)))
        for one in found["errors"]:
            yield Problem(_in_words(one), *about, _is_input_file(one, found["class_type"], known))


def _what_is_no_graph(prompt: Mapping[str, Any], error: Exception) -> Iterator[Problem]:
    """What ComfyUI answers 500 to."""
    strangers = [name for name, node in prompt.items() if not isinstance(node, dict)]
    for name in strangers:
        yield Problem("it is no node, and ComfyUI answers 500 to the whole", name)
    if not strangers:
        yield Problem(f"ComfyUI answers 500 to it, after {type(error).__name__}: {error}")


def _missing_classes(prompt: Mapping[str, Any], known: Known) -> Iterator[Problem]:
    from comfystub.engine.validation import replace_nodes

    nodes = dict(prompt)
    replace_nodes(nodes, known)
    for node_id, node in nodes.items():
        title = title_of(node)
        if "class_type" not in node:
            yield Problem("it has no class_type", node_id, None, title)
        elif not known.accept_unknown and known.catalogue.get(node["class_type"]) is None:
            class_type = str(node["class_type"])
            meant = alike(class_type, known.catalogue, VERY_ALIKE)
            hint = f" (is {meant} meant?)" if meant else ""
            yield Problem(f"there is no such class{hint}; {OWN_CLASSES}", node_id, class_type, title)


def _in_words(error: Mapping[str, Any]) -> str:
    """An error, with the input first that it is about."""
    message, details = error["message"], " ".join(str(error["details"]).split())
    name = error["extra_info"].get("input_name")
    if name is None:
        return f"{message}: {details}" if details and details != message else message
    # Details begin with the input's name; that of a dynamic one, `a.b`, is `b` there.
    own = details.removeprefix(name).removeprefix(name.rpartition(".")[2])
    own = re.sub(r"^(: | - |, )", "", own)
    if not own:
        return f"{name}: {message}"
    return f"{name}: {own}" if error["type"] in TOLD_BY_DETAILS else f"{name}: {message} ({own})"


def _is_input_file(error: Mapping[str, Any], class_type: str, known: Known) -> bool:
    """Whether an error says that the input folder lacks a file."""
    from comfystub.nodes.binding import is_upload
    from comfystub.nodes.own_validation import OWN_VALIDATION

    name = error["extra_info"].get("input_name")
    if error["type"] == "custom_validation_failed":
        own = OWN_VALIDATION.get(class_type)
        return own is not None and name in own.takes
    if error["type"] != "value_not_in_list":
        return False
    node_class = known.catalogue.get(class_type)
    declared = node_class.inputs({}) if node_class else ()
    return any(is_upload(one.config) for one in declared if one.name == name)
