"""Notices when a module is imported that has a seam."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from types import ModuleType
from typing import Any


class ImportWatcher(importlib.abc.MetaPathFinder):
    """Calls ``imported`` with the name of each of the ``watched`` modules, once it is complete."""

    def __init__(self, watched: Collection[str], imported: Callable[[str], None]) -> None:
        self._watched = watched
        self._imported = imported

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self._watched:
            return None
        for finder in self._others():
            spec: importlib.machinery.ModuleSpec | None = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _NotifyingLoader(spec.loader, self._imported)
                return spec
        return None

    def _others(self) -> Iterator[Any]:
        return (
            finder for finder in list(sys.meta_path) if finder is not self and hasattr(finder, "find_spec")
        )


class _NotifyingLoader(importlib.abc.Loader):
    """A loader that says when the module is complete, and leaves no trace on it."""

    def __init__(self, loader: Any, imported: Callable[[str], None]) -> None:
        self._loader = loader
        self._imported = imported

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._imported(module.__name__)

    def __getattr__(self, name: str) -> Any:
        # Whoever only looks for the module asks its loader for more than a loader has to have.
        return getattr(self._loader, name)
