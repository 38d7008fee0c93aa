"""The errors of a rejected prompt, in the words and the shape that a client reads."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

Error = dict[str, Any]

#: Error type to its message; the rest of an error depends on the case.
MESSAGES: Mapping[str, str] = {
    "no_prompt": "No prompt provided",
    "prompt_no_outputs": "Prompt has no outputs",
    "prompt_outputs_failed_validation": "Prompt outputs failed validation",
    "invalid_prompt_id": "prompt_id must be a valid UUID",
    "required_input_missing": "Required input is missing",
    "bad_linked_input": "Bad linked input, must be a length-2 list of [node_id, slot_index]",
    "return_type_mismatch": "Return type mismatch between linked nodes",
    "value_not_in_list": "Value not in list",
    "custom_validation_failed": "Custom validation failed for node",
    "exception_during_inner_validation": "Exception when validating inner node",
    "exception_during_validation": "Exception when validating node",
    "dependency_cycle": "Dependency cycle detected",
}

#: The types of an error about a class that is missing; the second is an older server's.
MISSING_CLASS = ("missing_node_type", "invalid_prompt")

#: What an older server said of a node without a class.
NO_CLASS_TYPE = "a node is missing the class_type property."

#: A list of more options than this is not echoed.
ECHOED_OPTIONS = 20


def error(kind: str, details: str = "", message: str | None = None, **extra_info: Any) -> Error:
    """One error; ``extra_info`` is what else the client is told."""
    return {
        "type": kind,
        "message": MESSAGES[kind] if message is None else message,
        "details": details,
        "extra_info": extra_info,
    }


def rejection(problem: Error, node_errors: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body of the 400 that rejects a prompt."""
    return {"error": problem, "node_errors": dict(node_errors or {})}


class NodeFailure(Exception):
    """What a node raises that the stub has no class for.

    ``kind`` is the name of its type as a client is told it, ``tip`` what the server adds to the message.
    """

    def __init__(self, message: str, kind: str = "RuntimeError", tip: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.tip = tip


def message_of(exc: BaseException) -> str:
    """An exception's message as a client is told it: the line after it is for a tip, mostly there is none."""
    return f"{exc}\n{exc.tip if isinstance(exc, NodeFailure) else ''}"


def traceback_of(exc: BaseException) -> list[str]:
    """The lines of an exception's traceback, one entry a frame."""
    return traceback.format_tb(exc.__traceback__)


def type_of(exc: BaseException) -> str:
    """An exception's type as a client is told it: with its module, unless that is builtins."""
    if isinstance(exc, NodeFailure):
        return exc.kind
    kind = type(exc)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def missing_class(node_id: str, node: Mapping[str, Any], names_node: bool = True) -> Error:
    """A node without a class, or of a class that the server lacks; older ones did not name the node."""
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    class_type = node.get("class_type")
    details = f"Node ID '#{node_id}'"
    if not names_node:
        reason = f"node {class_type} does not exist." if "class_type" in node else NO_CLASS_TYPE
        return error("invalid_prompt", details, f"Cannot execute because {reason}")
    if "class_type" not in node:
        named = title or f"ID #{node_id}"
        reason = "has no class_type. The workflow may be corrupted or a custom node is missing."
    else:
        named = title = title or class_type
        reason = "not found. The custom node may not be installed."
    return {
        "type": "missing_node_type",
        "message": f"Node '{named}' {reason}",
        "details": details,
        "extra_info": {"node_id": node_id, "class_type": class_type, "node_title": title},
    }


def required_input_missing(name: str) -> Error:
    # A dynamic input `a.b` is named in full in extra_info only.
    return error("required_input_missing", name.rpartition(".")[2], input_name=name)


def bad_linked_input(name: str, config: list[Any], value: Any) -> Error:
    return error("bad_linked_input", name, input_name=name, input_config=config, received_value=value)


def return_type_mismatch(name: str, config: list[Any], received: Any, link: Any) -> Error:
    return error(
        "return_type_mismatch",
        f"{name}, received_type({received}) mismatch input_type({config[0]})",
        input_name=name,
        input_config=config,
        received_type=received,
        linked_node=link,
    )


def invalid_input_type(name: str, config: list[Any], value: Any, exc: Exception) -> Error:
    return error(
        "invalid_input_type",
        f"{name}, {value}, {exc}",
        f"Failed to convert an input value to a {config[0]} value",
        input_name=name,
        input_config=config,
        received_value=value,
        exception_message=str(exc),
    )


def value_smaller_than_min(name: str, config: list[Any], value: Any) -> Error:
    message = f"Value {value} smaller than min of {config[1]['min']}"
    return error(
        "value_smaller_than_min", name, message, input_name=name, input_config=config, received_value=value
    )


def value_bigger_than_max(name: str, config: list[Any], value: Any) -> Error:
    message = f"Value {value} bigger than max of {config[1]['max']}"
    return error(
        "value_bigger_than_max", name, message, input_name=name, input_config=config, received_value=value
    )


def value_not_in_list(name: str, config: list[Any], value: Any, options: Sequence[Any]) -> Error:
    echo = len(options) <= ECHOED_OPTIONS
    shown = str(list(options)) if echo else f"(list of length {len(options)})"
    return error(
        "value_not_in_list",
        f"{name}: {value!r} not in {shown}",
        input_name=name,
        input_config=config if echo else None,
        received_value=value,
    )


def custom_validation_failed(name: str, reason: str | bool) -> Error:
    return error(
        "custom_validation_failed", name if reason is False else f"{name} - {reason}", input_name=name
    )


def inner_exception(name: str, config: list[Any], exc: Exception, link: Any) -> Error:
    return error(
        "exception_during_inner_validation",
        str(exc),
        input_name=name,
        input_config=config,
        exception_message=str(exc),
        exception_type=type_of(exc),
        traceback=traceback_of(exc),
        linked_node=link,
    )


def outer_exception(exc: Exception) -> Error:
    return error(
        "exception_during_validation", str(exc), exception_type=type_of(exc), traceback=traceback_of(exc)
    )


def dependency_cycle(node_id: str, path: Sequence[tuple[str, str]]) -> Error:
    """``path`` is the cycle as (node id, class type), from a node round to itself."""
    shown = " -> ".join(f"{member} ({class_type})" for member, class_type in path)
    return error("dependency_cycle", shown, node_id=node_id, cycle_nodes=[member for member, _ in path[:-1]])
