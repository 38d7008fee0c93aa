"""Lists of files in somebody's ``/object_info``, told from other options.

Such an answer has the files of one moment written out.  What ComfyUI's own classes list is known, and
an input that takes uploads lists the input folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from comfystub.nodes.replacements import Replacements

Models = Mapping[str, Sequence[str]]

INPUT_FOLDER = {"$files": ["input"]}


class Snapshot(NamedTuple):
    """What a server had besides its node classes when it was asked for them."""

    #: Folder to the names of the model files in it; ``None`` where the server did not say.
    models: Models | None
    replacements: Replacements


def bound(entry: Mapping[str, Any], known: Mapping[str, Any], models: Models | None) -> dict[str, Any]:
    """An entry of ``/object_info`` with its lists of files as ``{"$files": [folders], "also": [...]}``.

    ``known`` is the built-in entry of that class, if there is one, and ``models`` what was in the
    server's model folders.  A list that is not made of their names stays as it is.  The entry is
    marked as one that lacks nothing.
    """
    whole = {**entry, "whole": True}
    sections = entry.get("input")
    if isinstance(sections, Mapping):
        declared = known.get("input", {})
        whole["input"] = {
            section: _section(inputs, declared.get(section, {}), models)
            for section, inputs in sections.items()
        }
    return whole


def _section(inputs: Any, known: Mapping[str, Any], models: Models | None) -> Any:
    if not isinstance(inputs, Mapping):
        return inputs
    return {name: _input(spec, known.get(name), models) for name, spec in inputs.items()}


def _input(spec: Any, known: Any, models: Models | None) -> Any:
    """The declaration of one input."""
    if not isinstance(spec, list) or not spec:
        return spec
    config = spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    choices = _choices(spec)
    if not isinstance(choices, list):
        return spec
    if is_upload(config) and (known is None or _choices(known) == INPUT_FOLDER):
        files: Any = {**INPUT_FOLDER, "also": choices}
    else:
        files = _files(choices, _choices(known), models)
    if files is None:
        return spec
    return [files, *spec[1:]] if isinstance(spec[0], list) else [spec[0], {**config, "options": files}]


def _choices(spec: Any) -> Any:
    """What stands for the options of a combo, old style or new; ``None`` for any other input."""
    if not isinstance(spec, list) or not spec:
        return None
    if spec[0] == "COMBO":
        return spec[1].get("options") if len(spec) > 1 else None
    return spec[0]


def _files(choices: list[Any], known: Any, models: Models | None) -> dict[str, Any] | None:
    """The files that a list shows, where the class is known to show files and these are they."""
    if models is None or not isinstance(known, Mapping) or "$files" not in known:
        return None
    folders = known["$files"]
    names = [name for folder in folders for name in models.get(folder, ())]
    also = choices[len(names) :]
    if choices[: len(names)] != names or set(also) & set(names):
        return None
    return {"$files": folders, "also": also} if also else {"$files": folders}


def is_upload(config: Mapping[str, Any]) -> bool:
    """Whether an input's options say that it takes uploads, and so lists the input folder."""
    return any(key.endswith("_upload") and value is True for key, value in config.items())
