"""The server's folders on disk: what lies inside them, and the names new files get."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping

#: The folder types that ``/view`` and ``/upload/image`` know.
TYPES = ("output", "input", "temp")

Write = Callable[[pathlib.Path, bytes], None]


def _anything_goes(path: str) -> None:
    """No objection to a file."""


class Folders:
    """The output, input, temp and user folders of one server.

    They lie below one root, made when the first of them is asked for: ``root``, which is kept, or
    else a fresh temporary folder, which ``remove`` takes away again.  ``output`` moves the output
    folder elsewhere.  A fresh input folder holds one picture, ``example.png``, as ComfyUI's does.
    ``stamp`` tells what time a file is said to be of, when that is not the real one.
    ``names_common_path`` is whether an error about a prefix that leaves a folder says what the two
    have in common.
    """

    def __init__(
        self,
        *,
        output: str | os.PathLike[str] | None = None,
        root: str | os.PathLike[str] | None = None,
        keep: bool = False,
        example: Callable[[], bytes] | None = None,
        stamp: Callable[[], float] | None = None,
        names_common_path: bool = False,
    ) -> None:
        self._names_common_path = names_common_path
        self._given_output = output
        self._given_root = root
        self._keep = keep or root is not None
        self._example = example
        self._stamp = stamp
        self._root: pathlib.Path | None = None
        # The process that made it: a forked copy leaves it alone.
        self._maker = 0
        self._made: dict[str, pathlib.Path] = {}
        self._gone: dict[str, pathlib.Path] = {}
        self._closed = False
        self._numbers = Numbers()

    @property
    def root(self) -> pathlib.Path:
        """The folder that holds the others."""
        if self._root is None:
            if self._given_root is None:
                made = tempfile.mkdtemp(prefix="comfystub-")
                self._maker = os.getpid()
            else:
                os.makedirs(self._given_root, exist_ok=True)
                made = os.fspath(self._given_root)
            # Links are followed once here, so that a path can be held against the root later on.
            self._root = pathlib.Path(os.path.realpath(made))
        return self._root

    def folder(self, kind: str) -> pathlib.Path:
        """One of the folders by its type, ``"output"``, ``"input"``, ``"temp"`` or ``"user"``.

        Once they are closed this is where it was; ``RuntimeError`` when it was never needed.
        """
        path = self._made.get(kind)
        if path is None and self._closed:
            if kind not in self._gone:
                raise RuntimeError(f"the stub is closed, and its {kind} folder was never needed")
            return self._gone[kind]
        if path is None:
            given = self._given_output if kind == "output" else None
            path = self.root / kind if given is None else pathlib.Path(os.path.realpath(given))
            path.mkdir(parents=True, exist_ok=True)
            self._made[kind] = path
            if kind == "input" and self._example:
                self.write(path / "example.png", self._example())
        return path

    def write(self, path: pathlib.Path, data: bytes) -> None:
        """Write a file."""
        path.write_bytes(data)
        self.stamp(path)

    def stamp(self, path: pathlib.Path) -> None:
        """Say that a file was written now, whatever the machine's own clock says."""
        if self._stamp is not None:
            nanoseconds = round(self._stamp() * 1000) * 1_000_000
            os.utime(path, ns=(nanoseconds, nanoseconds))

    def where(self, kind: str, subfolder: str, name: str) -> pathlib.Path:
        """Where a file lies, or lay before its folder was removed."""
        folder = self._made.get(kind) or self._gone.get(kind) or self.folder(kind)
        return folder / subfolder / name

    def open(self) -> None:
        """Make folders again after ``close``, fresh ones where the old are gone."""
        self._closed = False

    def close(self) -> None:
        """Take the temporary folder away, and make no other."""
        self._closed = True
        self.remove()

    def created(self, stat: os.stat_result) -> float:
        """When a file is said to have been made, in seconds since the epoch."""
        return stat.st_ctime if self._stamp is None else stat.st_mtime

    def save_place(
        self,
        kind: str,
        prefix: str,
        size: tuple[int, int],
        now: float,
        before_save: Callable[[str], None] = _anything_goes,
    ) -> SavePlace:
        """Where files with a prefix go in one of the folders; ``now`` is the time for its tokens.

        ``before_save`` is called with each file's path before it is written, and may raise.
        """

        def write(path: pathlib.Path, data: bytes) -> None:
            before_save(os.fspath(path))
            self.write(path, data)

        common = self._names_common_path
        return SavePlace(self.folder(kind), prefix, size, now, self._numbers, write, common)

    def input_files(self) -> list[str]:
        """The names of the files that lie in the input folder itself, sorted."""
        return self.files("input")

    def files(self, kind: str) -> list[str]:
        """The names of the files that lie in a folder itself, sorted."""
        folder = self.folder(kind)
        return [path.name for path in entries(folder, folder) if path.is_file()]

    def locate(self, name: str, default: str = "input") -> pathlib.Path | None:
        """The path an annotated file name stands for, ``None`` when that is outside its folder.

        ``name`` may hold a subfolder and end in `` [output]``, `` [input]`` or `` [temp]``, which
        says the folder in place of ``default``.
        """
        name, kind = split_annotation(name)
        return inside(self.folder(kind or default), name)

    def empty(self) -> None:
        """Take away all files but those of an output folder that was given; they are made anew."""
        for kind in list(self._made):
            if kind != "output" or self._given_output is None:
                shutil.rmtree(self._made.pop(kind), ignore_errors=True)

    def remove(self) -> None:
        """Take the temporary folder away, unless it was given, is to be kept, or another process made it."""
        if self._root is not None and not self._keep and self._maker == os.getpid():
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
            self._gone |= self._made
            self._made = {}


def split_annotation(name: str) -> tuple[str, str | None]:
    """``"a.png [temp]"`` -> ``("a.png", "temp")``; without an annotation the type is ``None``."""
    for kind in TYPES:
        if name.endswith(f" [{kind}]"):
            return name[: -len(kind) - 3], kind
    return name, None


def inside(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """``folder / name`` when that lies in ``folder``, links followed; else ``None``."""
    try:
        path = os.path.realpath(os.path.join(folder, name))
    except ValueError:  # a NUL in the name: such a file cannot be anywhere
        return None
    root = os.fspath(folder)
    if path != root and not path.startswith(root + os.sep):
        return None
    return pathlib.Path(path)


def entries(folder: pathlib.Path, root: pathlib.Path, recurse: bool = False) -> list[pathlib.Path]:
    """What lies in a folder below ``root``, sorted; links that lead out of ``root`` are passed over."""
    found = folder.rglob("*") if recurse else folder.glob("*")
    return sorted(path for path in found if not path.is_symlink() or inside(root, os.fspath(path)))


class SavePlace:
    """Where an output node's files go: a folder, and names that count on from what lies there.

    Raised by the constructor: ``Exception`` with ComfyUI's words when ``prefix`` leaves ``folder``.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        prefix: str,
        size: tuple[int, int],
        now: float,
        numbers: Numbers,
        write: Write,
        names_common_path: bool = False,
    ) -> None:
        prefix = fill_tokens(prefix, size, now)
        self.subfolder, self.stem = os.path.split(os.path.normpath(prefix))
        place = inside(folder, self.subfolder) if self.subfolder else folder
        if place is None:
            raise _outside(folder, os.path.join(folder, self.subfolder), names_common_path)
        if self.subfolder:
            place.mkdir(parents=True, exist_ok=True)
        self._folder = place
        self._numbers = numbers
        self._write = write
        self._names_common_path = names_common_path
        # The server looks for the prefix as it was written, so one that ends in a slash finds nothing.
        self._searched = os.path.basename(prefix)
        self._number = numbers.highest(place, self._searched)

    def save(self, ending: str, data: bytes, batch_number: int = 0) -> str:
        """Write a file and return its name, ``stem_00001_.png``.

        ``%batch_num%`` in the prefix becomes ``batch_number``.
        """
        stem = self.stem.replace("%batch_num%", str(batch_number))
        counts = stem == self._searched
        name = self._next_name(stem, ending)
        if counts and (self._folder / name).exists():
            # It came within one tick of the clock that tells a changed folder.
            self._number = highest_number(self._folder, stem)
            name = self._next_name(stem, ending)
        self.put(name, data)
        if counts:
            self._numbers.note(self._folder, stem, self._number, name)
        return name

    def put(self, name: str, data: bytes) -> pathlib.Path:
        """Write a file of this name, for those who number their files in another way."""
        path = inside(self._folder, name)
        if path is None:  # a link of that name leads out of the folder
            place = os.path.realpath(self._folder / name)
            raise _outside(self._folder, place, self._names_common_path)
        self._write(path, data)
        return path

    def names(self) -> list[str]:
        """The names of what lies in the folder."""
        return os.listdir(self._folder)

    def _next_name(self, stem: str, ending: str) -> str:
        self._number += 1
        return f"{stem}_{self._number:05}_{ending}"


def _outside(folder: pathlib.Path, place: str, names_common_path: bool) -> Exception:
    """What a client is shown of a prefix that leaves the folder: ComfyUI's words, and its type."""
    place = os.path.abspath(place)
    common = f"\n         commonpath: {os.path.commonpath((folder, place))}" if names_common_path else ""
    return Exception(
        "**** ERROR: Saving image outside the output folder is not allowed.\n"
        f" full_output_folder: {place}\n"
        f"         output_dir: {folder}{common}"
    )


class Numbers:
    """The highest number of each folder and stem, remembered as long as the folder stays as it was."""

    def __init__(self) -> None:
        self._found: dict[tuple[pathlib.Path, str], tuple[int, int, str]] = {}

    def highest(self, folder: pathlib.Path, stem: str) -> int:
        """The highest NUMBER among the entries ``stem_NUMBER_…`` of a folder, 0 without one."""
        changed, number, name = self._found.get((folder, stem), (0, 0, ""))
        # The clock of a folder's changes is coarse: that the file is still there has to be seen.
        if name and _changed(folder) == changed and (folder / name).exists():
            return number
        return highest_number(folder, stem)

    def note(self, folder: pathlib.Path, stem: str, number: int, name: str) -> None:
        """Remember the file with the highest number, just written."""
        self._found[folder, stem] = (_changed(folder), number, name)


def _changed(folder: pathlib.Path) -> int:
    return os.stat(folder).st_mtime_ns


def highest_number(folder: pathlib.Path, stem: str) -> int:
    """The highest NUMBER among the entries ``stem_NUMBER_…`` of a folder, 0 without one."""
    start = os.path.normcase(stem + "_")
    highest = 0
    if stem:
        for name in os.listdir(folder):
            if os.path.normcase(name).startswith(start):
                number = name[len(start) :].split("_", 1)[0]
                if number.isdecimal():
                    highest = max(highest, int(number))
    return highest


def fill_tokens(prefix: str, size: tuple[int, int], now: float) -> str:
    """A file name prefix with ``%width%``, ``%height%`` and the parts of the local time filled in."""
    if "%" not in prefix:
        return prefix
    local = time.localtime(now)
    tokens: Mapping[str, str] = {
        "%width%": str(size[0]),
        "%height%": str(size[1]),
        "%year%": str(local.tm_year),
        "%month%": f"{local.tm_mon:02}",
        "%day%": f"{local.tm_mday:02}",
        "%hour%": f"{local.tm_hour:02}",
        "%minute%": f"{local.tm_min:02}",
        "%second%": f"{local.tm_sec:02}",
    }
    for token, value in tokens.items():
        prefix = prefix.replace(token, value)
    return prefix
