"""Hooks in the place of attributes of other modules, and how they are put there and taken away."""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

#: On a hook of ours: its ``Mark``.
MARK = "__comfystub_hook__"


class Mark(NamedTuple):
    """What is written on a hook: the hook itself, what it stands in place of, and whom it was made for.

    Somebody's wrapper around the hook may show the hook's mark too, and is none.  ``inherited`` says
    that what it stands in place of is an attribute of a base class.
    """

    hook: Any
    original: Any
    number: int
    inherited: bool

    @classmethod
    def of(cls, function: Any) -> Mark | None:
        """The mark of a hook, ``None`` for any other function."""
        mark: Mark | None = getattr(function, MARK, None)
        return mark if mark is not None and mark.hook is function else None


class Seam:
    """An attribute of a class or a module, with a hook in its place while a stub is active.

    ``owner`` names the class within its module, ``None`` is the module itself.  ``make`` builds the
    hook from the attribute it is to stand in for.  Somebody else may patch the attribute too, earlier
    or later, and may put things back in any order: a hook that is found in a place where it should not
    be any more is recognised and replaced by what it stands for.
    """

    def __init__(self, module: str, owner: str | None, attribute: str, make: Callable[[Any], Any]) -> None:
        self.module = module
        self.owner = owner
        self.attribute = attribute
        self._make = make
        # A module that is imported anew brings a class of its own.
        self._owners: weakref.WeakSet[type | ModuleType] = weakref.WeakSet()

    def open(self, number: int) -> None:
        """Put a hook in place for the stub of that number, if the module was imported and has none."""
        owner = self._find_owner()
        current = inspect.getattr_static(owner, self.attribute, None)
        if owner is not None and current is not None and Mark.of(current) is None:
            hook = self._make(current)
            setattr(hook, MARK, Mark(hook, current, number, self.attribute not in vars(owner)))
            setattr(owner, self.attribute, hook)
            self._owners.add(owner)

    def hook(self) -> Mark | None:
        """The mark of the hook that is in place now, if one is."""
        owner = self._find_owner()
        return Mark.of(vars(owner).get(self.attribute)) if owner is not None else None

    def _find_owner(self) -> type | ModuleType | None:
        module = sys.modules.get(self.module)
        if self.owner is None:
            return module
        owner = getattr(module, self.owner, None)
        # Where a test put a mock in the library's place, there is no such class.
        return owner if isinstance(owner, type) else None

    def close(self, newest: int) -> None:
        """Take away a hook that was made later than for the newest stub that is left.

        What somebody else put over it is left alone.
        """
        for owner in list(self._owners) if self._owners else ():  # which most of them never had
            mark = Mark.of(vars(owner).get(self.attribute))
            if mark is None or mark.number <= newest:
                continue
            if mark.inherited:
                delattr(owner, self.attribute)
            else:
                setattr(owner, self.attribute, mark.original)


class Seams:
    """Seams that are opened together and closed together."""

    def __init__(self) -> None:
        self._seams: list[Seam] = []

    def __iter__(self) -> Iterator[Seam]:
        return iter(self._seams)

    def add(self, seam: Seam) -> None:
        self._seams.append(seam)

    def open(self, number: int, module: str | None = None) -> None:
        """Open them, or those of one module, for the stub of that number."""
        for seam in self._seams:
            if module in (None, seam.module):
                seam.open(number)

    def close(self, newest: int) -> None:
        """Close what was opened later than for the newest stub that is left."""
        for seam in self._seams:
            seam.close(newest)


class NamedSeam(Seam):
    """An attribute of a module that others took a name of their own for, as ``from time import sleep`` does.

    The names are in the modules' globals.
    """

    def __init__(self, module: str, attribute: str, make: Callable[[Any], Any]) -> None:
        super().__init__(module, None, attribute, make)


class Names:
    """The names that modules have for what has a hook now, or had one."""

    def __init__(self, spared: Callable[[str], bool]) -> None:
        self._spared = spared
        # The hooks in the place of originals.
        self._marks: list[Mark] = []

    def hook(self, seams: Iterable[NamedSeam]) -> None:
        """Have the modules, but those that are spared, find the hooks of these seams under their names."""
        self._marks = [mark for seam in seams if (mark := seam.hook()) is not None]
        self._rename({id(mark.original): mark.hook for mark in self._marks}, self._spared)

    def put_back(self) -> None:
        """Have all modules find the originals, those too that were imported meanwhile."""
        if not self._marks:
            return
        self._rename({id(mark.hook): mark.original for mark in self._marks}, lambda module: False)
        self._marks = []

    def _rename(self, values: Mapping[int, Any], spared: Callable[[str], bool]) -> None:
        modules: list[Any] = list(sys.modules.values())
        # There are other things among them, which may pretend, and nothing is asked of a module itself: some
        # are loaded only when they are.
        for module in [one for one in modules if issubclass(type(one), ModuleType)]:
            names: dict[str, Any] = object.__getattribute__(module, "__dict__")
            found = [name for name, value in list(names.items()) if id(value) in values]
            if found and not spared(str(names.get("__name__"))):
                names.update({name: values[id(names[name])] for name in found})
