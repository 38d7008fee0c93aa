"""Workflows in files: reading them, finding them, changing them."""

from __future__ import annotations

import glob
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.commands.mistakes import STDIN, Mistake, read_json

if TYPE_CHECKING:
    from comfystub.nodes.catalogue import Catalogue

EXPORT = (
    "is in the format of ComfyUI's editor, which a server does not take: open it in ComfyUI, choose "
    "Workflow > Export (API), and give that file"
)

#: Folders that hold no workflows of one's own.
PASSED_OVER = ("node_modules", "__pycache__")


class NoWorkflow(Mistake):
    """A file is JSON, but nothing that could be submitted."""


class EditorFormat(NoWorkflow):
    """A file is a workflow as ComfyUI's editor saves it."""


class Workflow(NamedTuple):
    """A workflow in API format.

    ``name`` is what the user called its file, ``folder`` where that lies, ``body`` what is to be
    posted to ``/prompt``.
    """

    name: str
    folder: pathlib.Path
    body: dict[str, Any]

    @property
    def prompt(self) -> dict[str, Any]:
        """Its nodes by id."""
        prompt: dict[str, Any] = self.body["prompt"]
        return prompt

    @property
    def stem(self) -> str:
        """Its name without folder and ending."""
        return "workflow" if self.name == STDIN else pathlib.Path(self.name).stem


def read(name: str) -> Workflow:
    """The workflow in a file, alone or as the ``prompt`` of a request's body; ``-`` is standard input.

    Raises ``Mistake`` when there is none.
    """
    document = read_json(name)
    if isinstance(document, dict) and isinstance(document.get("nodes"), list):
        raise EditorFormat(f"{name} {EXPORT}")
    prompt = document.get("prompt") if isinstance(document, dict) else None
    is_body = isinstance(prompt, dict) and "class_type" not in prompt
    body = document if is_body else {"prompt": document}
    if not _is_prompt(body["prompt"]):
        raise NoWorkflow(f"{name} is no workflow: nothing in it has a class_type")
    return Workflow(name, pathlib.Path("." if name == STDIN else name).parent, body)


def _is_prompt(found: Any) -> bool:
    nodes = found.values() if isinstance(found, dict) else ()
    return any(isinstance(node, dict) and "class_type" in node for node in nodes)


# --- finding them


class Found(NamedTuple):
    """A file that may hold a workflow; ``by_chance`` says that only a folder of it was named."""

    name: str
    by_chance: bool = False


def find(names: Sequence[str]) -> list[Found]:
    """The files that arguments mean: files, folders with all below them, patterns with ``*``.

    Raises ``Mistake`` for a folder or a pattern without any.
    """
    return list(dict.fromkeys(found for name in names for found in _meant(name)))


def _meant(name: str) -> Iterator[Found]:
    if os.path.isdir(name):
        below = [Found(path, by_chance=True) for path in sorted(_json_files(name))]
        if not below:
            raise Mistake(f"{name} holds no .json file")
        yield from below
    elif glob.has_magic(name) and not os.path.exists(name):
        matching = sorted(filter(os.path.isfile, glob.glob(name, recursive=True)))
        if not matching:
            raise Mistake(f"no file is called like {name}")
        yield from map(Found, matching)
    else:
        yield Found(name)


def _json_files(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".") and one not in PASSED_OVER]
        yield from (os.path.join(place, one) for one in files if one.endswith(".json"))


# --- changing them


def change(workflow: Workflow, change: str, catalogue: Catalogue) -> None:
    """Set an input, as ``NODE.INPUT=VALUE`` says; the node is an id, a class or a title.

    Raises ``Mistake`` when there is no such node or input, or several nodes are called so.
    """
    target, equals, text = change.partition("=")
    if not equals or "." not in target:
        raise Mistake(f"--set takes NODE.INPUT=VALUE, such as 3.seed=7, and not {change!r}")
    node_id, name = _place(workflow.prompt, target)
    node = workflow.prompt[node_id]
    node_class = catalogue.get(_class_of(node))
    inputs = node["inputs"] = dict(node.get("inputs") or {})
    declared = {one.name: one.type for one in node_class.inputs(inputs)} if node_class else {}
    if node_class is not None and name not in {**declared, **inputs}:
        from comfystub.nearest import meant

        hint = meant(name, declared) or f"; it has {', '.join(declared)}"
        raise Mistake(f"--set {target}: {node_class.name} has no such input{hint}")
    is_text = declared.get(name) == "STRING" or isinstance(inputs.get(name), str)
    inputs[name] = text if is_text else _value(text)


def _place(prompt: Mapping[str, Any], target: str) -> tuple[str, str]:
    """The id of a node, and the name of its input, of ``NODE.INPUT``; both may have dots."""
    parts = target.split(".")
    for count in range(1, len(parts)):
        called, name = ".".join(parts[:count]), ".".join(parts[count:])
        node_ids = [called] if isinstance(prompt.get(called), dict) else _called(prompt, called)
        if len(node_ids) > 1:
            ids = ", ".join(node_ids)
            raise Mistake(f"--set {target}: several nodes are called {called!r}: use an id, one of {ids}")
        if node_ids:
            return node_ids[0], name
    there = ", ".join(f"{node_id} {_class_of(node)}" for node_id, node in prompt.items())
    raise Mistake(f"--set {target}: no node is called so; there are {there}")


def _called(prompt: Mapping[str, Any], called: str) -> list[str]:
    return [node_id for node_id, node in prompt.items() if called in (_class_of(node), title_of(node))]


def _class_of(node: Any) -> Any:
    return node.get("class_type") if isinstance(node, dict) else None


def title_of(node: Any) -> str | None:
    """What a node's author called it, ``None`` where that is no more than its class."""
    meta = node.get("_meta") if isinstance(node, dict) else None
    title = meta.get("title") if isinstance(meta, dict) else None
    return title if isinstance(title, str) and title != _class_of(node) else None


def _value(text: str) -> Any:
    """JSON, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
