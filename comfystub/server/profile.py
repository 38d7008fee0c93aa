"""A snapshot of somebody's server: the file that ``comfystub snapshot`` writes, read again."""

from __future__ import annotations

import functools
import gzip
import json
import os
import re
import zlib
from collections.abc import Mapping
from typing import Any

from comfystub.engine.releases import LATEST, RELEASES
from comfystub.nodes.binding import Snapshot

#: The key that holds the format's number, and the number.
FORMAT = "comfystub_snapshot"
VERSION = 1

#: The parts of a snapshot, what each is, and the route whose answer it is.
PARTS: Mapping[str, tuple[type, str]] = {
    "object_info": (dict, "/object_info"),
    "models": (dict, "/models"),
    "features": (dict, "/features"),
    "system_stats": (dict, "/system_stats"),
    "settings": (dict, "/settings"),
    "extensions": (list, "/extensions"),
    "node_replacements": (dict, "/node_replacements"),
    "i18n": (dict, "/i18n"),
    "workflow_templates": (dict, "/workflow_templates"),
    "global_subgraphs": (dict, "/global_subgraphs"),
}

GZIP = b"\x1f\x8b"


class Profile:
    """What a snapshot says of a server, part by part; a stub without one has that of no parts."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        #: What the server answers in place of what a fresh ComfyUI does.
        self.parts = parts
        #: Its user's settings when it starts.
        self.settings: Mapping[str, Any] = parts.get("settings", {})
        self.object_info: Mapping[str, Any] | None = parts.get("object_info")
        #: Folder to the names of the files in it, in the server's order.
        self.models: Mapping[str, list[str]] | None = parts.get("models")

    @property
    def snapshot(self) -> Snapshot | None:
        """What its node classes are read with."""
        if self.object_info is None:
            return None
        return Snapshot(self.models, self.parts.get("node_replacements", {}))

    @property
    def release(self) -> str:
        """The release that answers like it, as ``version=`` takes it."""
        system = self.parts.get("system_stats", {}).get("system")
        version = system.get("comfyui_version") if isinstance(system, Mapping) else None
        return LATEST if version is None else release_of(str(version))


#: What a stub without a profile has: nothing of its own.
NONE = Profile({})


def release_of(version: str) -> str:
    """Of the releases that the stub knows, the latest that is no newer than this version, or the oldest."""
    oldest, *newer = sorted(RELEASES, key=_numbers)
    return [oldest, *(release for release in newer if _numbers(release) <= _numbers(version))][-1]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def profile_of(given: Mapping[str, Any] | str | os.PathLike[str] | None) -> Profile:
    """The profile that ``profile=`` means: a snapshot's file, or what stands in it.

    Raises ``ValueError`` for anything but a snapshot, ``TypeError`` for what is neither path nor
    dict, and ``OSError`` for a file that cannot be read.
    """
    if given is None:
        return NONE
    if isinstance(given, (str, os.PathLike)):
        stat = os.stat(given)
        return _read(os.fspath(given), stat.st_mtime_ns, stat.st_size)
    if not isinstance(given, Mapping):
        raise TypeError(f"profile= takes a snapshot's file or what stands in it, not {given!r}")
    return _checked(given, "this dict")


@functools.lru_cache(maxsize=8)
def _read(path: str, changed: int, size: int) -> Profile:
    """The profile in a file, read once for as long as the file stays the same."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        document = json.loads(gzip.decompress(data) if data.startswith(GZIP) else data)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile):
        raise ValueError(_no_snapshot(path, "it is no JSON")) from None
    return _checked(document, path)


def _checked(document: Any, name: str) -> Profile:
    if not isinstance(document, Mapping):
        raise ValueError(_no_snapshot(name, "it holds no object"))
    if document and all(isinstance(one, Mapping) and "input" in one for one in document.values()):
        raise ValueError(f"{name} is no snapshot but the answer of GET /object_info: give it as object_info=")
    if FORMAT not in document:
        raise ValueError(_no_snapshot(name, f"it has no {FORMAT!r}"))
    if document[FORMAT] != VERSION:
        raise ValueError(
            f"{name} is a snapshot of format {document[FORMAT]!r}, and this comfystub reads {VERSION}: "
            "take it anew, or use the comfystub that took it"
        )
    parts = {part: document[part] for part in PARTS if part in document}
    for part in ("object_info", *parts):
        value = parts.get(part)
        if not isinstance(value, PARTS[part][0]) or not _is_whole(part, value):
            raise ValueError(f"{name} is a broken snapshot: its part {part!r} is not what ComfyUI answers")
    return Profile(parts)


def _is_whole(part: str, value: Any) -> bool:
    """Whether what stands in a part is what the stub relies on."""
    entry = {"object_info": Mapping, "models": list, "node_replacements": list}.get(part)
    return entry is None or all(isinstance(one, entry) for one in value.values())


def _no_snapshot(name: str, why: str) -> str:
    return f"profile= takes a file that `comfystub snapshot` wrote, and {name} is none: {why}"
