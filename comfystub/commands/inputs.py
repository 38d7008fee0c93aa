"""The input files that a workflow names."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from comfystub.commands.mistakes import Mistake

if TYPE_CHECKING:
    from comfystub.commands.workflows import Workflow
    from comfystub.stub import Stub


def put(stub: Stub, workflow: Workflow, folder: pathlib.Path) -> list[str]:
    """Copy those files of a folder that a workflow names into the input folder; their names."""
    from comfystub.media.files import split_annotation

    found: dict[str, None] = {}
    for text in _texts(workflow.prompt):
        name, kind = split_annotation(text)
        source = os.path.join(folder, name)
        if kind not in (None, "input") or not os.path.isfile(source):
            continue
        target = stub._engine.known.folders.locate(name)
        if target is not None:
            copy(source, target)
            found[name] = None
    return list(found)


def copy(source: str | pathlib.Path, target: pathlib.Path) -> None:
    """Copy a file, and make the folder for it.  Raises ``Mistake`` when that cannot be."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as problem:
        raise Mistake(f"cannot copy {source} to {target}: {problem.strerror}") from None


def _texts(prompt: dict[str, Any]) -> Iterator[str]:
    """The texts among the inputs of a prompt."""
    for node in prompt.values():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        for value in inputs.values() if isinstance(inputs, dict) else ():
            if isinstance(value, str):
                yield value
