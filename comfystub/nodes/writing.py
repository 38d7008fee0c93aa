"""What output nodes have in common: the files they write, and how they show them."""

from __future__ import annotations

import json
import string

from comfystub.nodes.invocation import Invocation

Texts = list[tuple[str, str]]
Entry = dict[str, str]


def texts(run: Invocation) -> Texts:
    """What a saved file says of where it comes from: the prompt, and each key of ``extra_pnginfo``."""
    info = run.extra_data.get("extra_pnginfo")
    pairs = [("prompt", json.dumps(run.prompt))]
    return pairs + [(key, json.dumps(value)) for key, value in (info or {}).items()]


def write(
    run: Invocation,
    ending: str,
    data: bytes,
    *,
    kind: str = "output",
    prefix: str | None = None,
    size: tuple[int, int] = (0, 0),
) -> Entry:
    """Write one file where the node's ``filename_prefix`` says, and return how a client is shown it."""
    if prefix is None:
        prefix = run.value("filename_prefix", "ComfyUI")
    place = run.save_place(kind, prefix, size)
    return entry(place.save(ending, data), place.subfolder, kind)


def entry(name: str, subfolder: str, kind: str) -> Entry:
    """A file as a client is shown it; ``kind`` is the folder it lies in."""
    return {"filename": name, "subfolder": subfolder, "type": kind}


def temp_prefix(run: Invocation) -> str:
    """ComfyUI's prefix of preview files, with the five random letters that belong to this node."""
    names, key = run.server.temp_names, (run.node_id, run.node_class.name)
    if key not in names:
        names[key] = "".join(run.server.random.choices(string.ascii_lowercase, k=5))
    return f"ComfyUI_temp_{names[key]}"
