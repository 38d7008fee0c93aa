#!/usr/bin/env python3
"""Write the package's node catalogue from a folder of catalogue facts.

    python tools/build_catalogue.py FOLDER

FOLDER holds ``nodes.jsonl`` (one ``{"Class": {...object_info entry, "facts": {...}}}`` a line) and
``model_folders.json`` (model folder -> file endings).  What follows from the rest of an entry is left
out, and ``comfystub.nodes.catalogue.NodeClass.info`` puts it back; each class is one line of
``nodes.jsonl``, found through the byte offsets of ``index.json``, so that a prompt reads its own
classes and no others.
"""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

DATA = pathlib.Path(__file__).resolve().parent.parent / "comfystub" / "nodes" / "data"

#: Values that an entry takes when the line does not say otherwise.
DEFAULTS: dict[str, Any] = {
    "is_input_list": False,
    "output_node": False,
    "has_intermediate_output": False,
    "output_matchtypes": None,
    "price_badge": None,
}
#: Flags that new-style entries always carry and old-style ones only when set somewhere.
FLAGS = ("deprecated", "experimental", "dev_only", "api_node")


def compact(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Leave out what ``NodeClass.info`` can derive."""
    entry = dict(entry)
    facts = entry.pop("facts", {})
    new_style = bool(facts.pop("v3", False))
    order = {section: list(inputs) for section, inputs in entry["input"].items()}
    derived = DEFAULTS | {
        "name": name,
        "input_order": order,
        "output_is_list": [False] * len(entry["output"]),
        "output_name": entry["output"],
    }
    if new_style:
        derived |= dict.fromkeys(FLAGS, False)
    out = {key: value for key, value in entry.items() if key not in derived or derived[key] != value}
    # input_order is derived from the order of the inputs, so a line must never need its own.
    assert "input_order" not in out, name
    if new_style:
        out["v3"] = True
    if facts:
        out["facts"] = facts
    return out


def main(folder: str) -> int:
    source = pathlib.Path(folder)
    DATA.mkdir(parents=True, exist_ok=True)
    index: dict[str, list[int]] = {}
    lines: list[bytes] = []
    offset = 0
    for line in (source / "nodes.jsonl").read_text().splitlines():
        for name, entry in json.loads(line).items():
            data = json.dumps(compact(name, entry), separators=(",", ":")).encode()
            index[name] = [offset, len(data)]
            lines.append(data + b"\n")
            offset += len(data) + 1
    (DATA / "nodes.jsonl").write_bytes(b"".join(lines))
    (DATA / "index.json").write_text(json.dumps(index, separators=(",", ":")))
    folders = json.loads((source / "model_folders.json").read_text())
    (DATA / "model_folders.json").write_text(json.dumps(folders, separators=(",", ":")))
    print(f"{len(index)} classes, {offset} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
