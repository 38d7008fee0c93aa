#!/usr/bin/env python3
"""Write down in which module of ``comfystub.nodes.families`` each class's behaviour stands.

    python tools/index_families.py

So the server loads the modules of the classes that it runs, and no others.  A test says when the
index is out of date.
"""

from __future__ import annotations

import json
import pathlib
import pkgutil
import sys
from importlib import import_module

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from comfystub.nodes import families
from comfystub.nodes.behaviours import INDEX


def index() -> dict[str, str]:
    """Class to module, in the order of the names.

    Raises ``ValueError`` for a class that two modules have.
    """
    found: dict[str, str] = {}
    for module in sorted(one.name for one in pkgutil.iter_modules(families.__path__)):
        table = getattr(import_module(f"{families.__name__}.{module}"), "BEHAVIOURS", {})
        for name in table:
            if name in found:
                raise ValueError(f"{name} stands in {found[name]} and in {module}")
            found[name] = module
    return dict(sorted(found.items()))


def main() -> int:
    INDEX.write_text(json.dumps(index(), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(index())} classes in {INDEX}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
