"""Where it stands what each class does."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from typing import Any

from comfystub.nodes.behaviours import INDEX
from comfystub.nodes.catalogue import Catalogue, builtin

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "index_families.py"


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("index_families", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_index_is_what_the_modules_have() -> None:
    """If not: python tools/index_families.py"""
    assert json.loads(INDEX.read_bytes()) == tool().index()


def test_all_but_those_of_packs_are_comfyuis_own() -> None:
    index = json.loads(INDEX.read_bytes())
    assert [
        name for name, module in index.items() if (module == "packs") is (builtin(name) is not None)
    ] == []


def test_no_output_node_is_left_to_the_default() -> None:
    index = json.loads(INDEX.read_bytes())
    output_nodes = [found for name in Catalogue() if (found := builtin(name)) and found.output_node]
    left = [found for found in output_nodes if found.name not in index]
    assert [found.name for found in left if not found.entry["category"].startswith("partner/")] == []
