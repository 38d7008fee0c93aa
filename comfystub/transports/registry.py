"""Who answers for which address, and the seams that are open as long as anybody does."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.abc
import importlib.machinery
import itertools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from comfystub.server.http import Request, Response
from comfystub.server.server import UNKNOWN_PATH

#: The addresses of a ComfyUI that was started without options.
DEFAULT_URLS = tuple(f"http://{host}:8188" for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]"))
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

#: On a hook of ours: its ``Mark``.
MARK = "__comfystub_hook__"


class Responder(Protocol):
    """A server without I/O."""

    def respond(self, request: Request) -> Response: ...


class Origin(NamedTuple):
    """An address that a server answers at: its host, its port, and the path it lies below."""

    host: str
    port: int
    prefix: str


def origin_of(url: str) -> Origin:
    """The origin a base URL means.  Raises ``ValueError`` when it is no http(s) or ws(s) URL."""
    with contextlib.suppress(ValueError):  # a port that is none, brackets that do not close
        parts = urlsplit(url)
        if parts.scheme in DEFAULT_PORTS and parts.hostname:
            return Origin(parts.hostname, port_of(parts.scheme, parts.port), parts.path.rstrip("/"))
    raise ValueError(f"a base URL looks like http://127.0.0.1:8188, not {url!r}")


@dataclasses.dataclass(eq=False)
class Active:
    """A stub that is in force.

    ``holder`` is whoever opened it, ``before`` are the environment variables it set, as they were,
    ``number`` grows from one that is entered to the next.
    """

    holder: Any
    origins: Sequence[Origin]
    responder: Responder
    refuses_others: bool
    before: dict[str, str | None]
    number: int = 0


class Refused(Exception):
    """A call to a host that no stub answers for, while other hosts are refused."""


class Place(NamedTuple):
    """Where a call goes: to which server, and below which path that one lies."""

    responder: Responder
    prefix: str


class _Nobody:
    """What lies beside a server that lies below a path."""

    def respond(self, request: Request) -> Response:
        return UNKNOWN_PATH._replace(headers=(*UNKNOWN_PATH.headers, ("Content-Length", "0")))


NOBODY = Place(_Nobody(), "")


def port_of(scheme: str, port: int | None) -> int:
    """The port of a URL that may leave it out."""
    return port if port is not None else DEFAULT_PORTS.get(scheme, 0)


def lies_below(path: str, prefix: str) -> bool:
    """Whether a path belongs to a server that lies below ``prefix``."""
    return not prefix or path == prefix or path.startswith(prefix + "/")


class Mark(NamedTuple):
    """What is written on a hook: the hook itself, what it stands in place of, and whom it was made for.

    Somebody's wrapper around the hook may show the hook's mark too, and is none.
    """

    hook: Any
    original: Any
    number: int

    @classmethod
    def of(cls, function: Any) -> Mark | None:
        """The mark of a hook, ``None`` for any other function."""
        mark: Mark | None = getattr(function, MARK, None)
        return mark if mark is not None and mark.hook is function else None


class Seam:
    """An attribute of a library's class, with a hook in its place while a stub is active.

    ``make`` builds the hook from the attribute it is to stand in for.  Somebody else may patch the
    attribute too, earlier or later, and may put things back in any order: a hook that is found in a
    place where it should not be any more is recognised and replaced by what it stands for.
    """

    def __init__(self, module: str, owner: str, attribute: str, make: Callable[[Any], Any]) -> None:
        self.module = module
        self._owner = owner
        self._attribute = attribute
        self._make = make
        # A module that is imported anew brings a class of its own.
        self._owners: weakref.WeakSet[type] = weakref.WeakSet()

    def open(self, number: int) -> None:
        """Put a hook in place for the stub of that number, if the library was imported and has none."""
        owner = getattr(sys.modules.get(self.module), self._owner, None)
        # Where a test put a mock in the library's place, there is no such class.
        current = vars(owner).get(self._attribute) if isinstance(owner, type) else None
        if owner is not None and current is not None and Mark.of(current) is None:
            hook = self._make(current)
            setattr(hook, MARK, Mark(hook, current, number))
            setattr(owner, self._attribute, hook)
            self._owners.add(owner)

    def close(self, newest: int) -> None:
        """Take away a hook that was made later than for the newest stub that is left.

        What somebody else put over it is left alone.
        """
        for owner in list(self._owners):
            mark = Mark.of(vars(owner)[self._attribute])
            if mark is not None and mark.number > newest:
                setattr(owner, self._attribute, mark.original)


class Registry:
    """The stubs in force, innermost last."""

    def __init__(self) -> None:
        self._active: list[Active] = []
        self._by_address: dict[tuple[str, int], list[Place]] = {}
        self._refuses_others = False
        self._seams: list[Seam] = []
        self._watcher = _ImportWatcher(self._imported)
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    def add_seam(self, seam: Seam) -> None:
        """Make a seam known; it is opened with the first stub."""
        self._seams.append(seam)

    def enter(self, active: Active) -> None:
        """Put a stub in force."""
        with self._lock:
            active.number = next(self._numbers)
            self._active.append(active)
            self._rebuild()
            if self._watcher not in sys.meta_path:
                sys.meta_path.insert(0, self._watcher)
            for seam in self._seams:
                seam.open(active.number)

    def leave(self, active: Active) -> list[Active]:
        """Take a stub out of force, and the hooks that were made for it; with the last one, all of them.

        Returns those that were entered after it and are in force still, outermost first.
        """
        with self._lock:
            position = self._active.index(active)
            inside = self._active[position + 1 :]
            self._active = self._active[:position] + inside
            self._rebuild()
            self._tidy()
            return inside

    def innermost(self) -> Any:
        """The holder of the innermost stub, ``None`` without one."""
        return self._active[-1].holder if self._active else None

    def find(self, host: str, port: int, path: str) -> Place | None:
        """Who answers a call; ``None`` when it goes its own way.

        Raises ``Refused`` when it may not.
        """
        places = self._by_address.get((host, port))
        if places is not None:
            return next((place for place in places if lies_below(path, place.prefix)), NOBODY)
        if self._refuses_others:
            raise Refused(
                f"no stub answers for {host}:{port}, and patch(unmatched='error') refuses other hosts"
            )
        if not self._active:
            # A hook that somebody put back after the last stub had gone.
            self._tidy()
        return None

    def _rebuild(self) -> None:
        by_address: dict[tuple[str, int], list[Place]] = {}
        for active in reversed(self._active):
            # Of one server's addresses that lie below each other, the deeper one answers.
            for host, port, prefix in sorted(active.origins, key=lambda o: len(o.prefix), reverse=True):
                by_address.setdefault((host, port), []).append(Place(active.responder, prefix))
        self._by_address = by_address
        self._refuses_others = any(active.refuses_others for active in self._active)

    def _imported(self, module: str) -> None:
        with self._lock:
            for seam in self._seams if self._active else ():
                if seam.module == module:
                    seam.open(self._active[0].number)

    def _tidy(self) -> None:
        """Take away what serves nobody any more."""
        with self._lock:
            if not self._active and self._watcher in sys.meta_path:
                sys.meta_path.remove(self._watcher)
            newest = self._active[-1].number if self._active else 0
            for seam in self._seams:
                seam.close(newest)

    @property
    def watched(self) -> frozenset[str]:
        """The modules whose import opens a seam."""
        return frozenset(seam.module for seam in self._seams)


class _ImportWatcher(importlib.abc.MetaPathFinder):
    """Notices when a library that has a seam is imported while a stub is active."""

    def __init__(self, imported: Callable[[str], None]) -> None:
        self._imported = imported

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in registry.watched:
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


#: The process has one set of seams, so it has one registry.
registry = Registry()
