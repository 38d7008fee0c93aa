"""A watched world around a server's folders: who reads or writes there is seen."""

from __future__ import annotations

import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comfystub

SECRET = b"CANARY: nobody is to read this"

#: Calls that look into a file or a folder or change one, and how many of their arguments are paths.
WATCHED = {
    "open": 1,
    "os.chmod": 1,
    "os.link": 2,
    "os.listdir": 1,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.scandir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
    "shutil.rmtree": 1,
}

#: What Python itself opens: modules that are imported late, and the project.
OWN = tuple(
    os.path.realpath(path)
    for path in {
        *sysconfig.get_paths().values(),
        *(sysconfig.get_config_vars()[name] for name in ("installed_base", "base")),
        os.path.dirname(os.path.dirname(comfystub.__file__)),
    }
)

_touched: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _touched is not None and event in WATCHED:
        for path in arguments[: WATCHED[event]]:
            if isinstance(path, (str, bytes, os.PathLike)):
                _touched.append(os.fsdecode(path))


sys.addaudithook(_watch)


@contextmanager
def touched() -> Iterator[list[str]]:
    """The paths that are read, listed or changed meanwhile."""
    global _touched
    paths: list[str] = []
    _touched = paths
    try:
        yield paths
    finally:
        _touched = None


class World:
    """A folder with the server's root and, beside it, things that are none of its business.

    The server's folders hold links that lead out: to a file, to a folder and to nothing.
    """

    def __init__(self, folder: pathlib.Path, stub: comfystub.Stub) -> None:
        self.folder = folder.resolve()
        self.outside = self.folder / "outside"
        (self.outside / "deep").mkdir(parents=True)
        for name in ("secret.png", "secret.txt", "deep/secret.png"):
            (self.outside / name).write_bytes(SECRET)
        self.stub = stub
        folders = stub._engine.known.folders
        self.root = folders.root
        assert self.root.parent == self.folder
        for kind in ("output", "input", "temp", "user"):
            inside = folders.folder(kind)
            (inside / "link.png").symlink_to(self.outside / "secret.png")
            (inside / "linked").symlink_to(self.outside)
            (inside / "dangling.png").symlink_to(self.outside / "new.png")
            (inside / "taken.png").write_bytes(b"taken")
            (inside / "taken (1).png").symlink_to(self.outside / "newer.png")
        self._before = self._seen()

    def _seen(self) -> dict[str, tuple[bytes, int]]:
        return {
            os.path.relpath(path, self.folder): (
                path.read_bytes() if path.is_file() else b"",
                path.stat().st_mtime_ns if self.root not in path.parents else 0,
            )
            for path in sorted(self.folder.rglob("*"))
            if path != self.root and self.root not in path.parents
        }

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Whatever happens meanwhile stays within the server's root."""
        with touched() as paths:
            yield
        strange = [path for path in paths if not self._is_own(path)]
        assert strange == [], strange
        assert self._seen() == self._before
        for path in self.root.rglob("*"):
            if not path.is_symlink() and path.is_file():
                assert SECRET not in path.read_bytes()

    def _is_own(self, path: str) -> bool:
        if path.startswith("<") and path.endswith(">"):
            return True  # what tracebacks of Python 3.13 call code that is in no file
        real = os.path.realpath(path)
        return any(real == own or real.startswith(own + os.sep) for own in (str(self.root), *OWN))
