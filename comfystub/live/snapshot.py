"""Takes a snapshot of a live server: all that a stub needs to become it."""

from __future__ import annotations

import gzip
import json
import pathlib
import urllib.parse
from collections.abc import Callable
from typing import Any, NamedTuple

from comfystub.live.asking import LiveServer, Trouble, body_of
from comfystub.live.privacy import cleaned
from comfystub.server.profile import FORMAT, PARTS, VERSION, profile_of

#: Parts that are left out when they are large, and how many characters that is.
OPTIONAL = ("i18n", "workflow_templates", "global_subgraphs")
LARGE = 1 << 16

#: Told before each call: how many were made, how many there will be, and the path.
Told = Callable[[int, int, str], None]


class Snapshot(NamedTuple):
    """What a server said, cleaned, and for each path that is not in it why."""

    document: dict[str, Any]
    missing: dict[str, str]


def take(server: LiveServer, told: Told = lambda done, total, path: None) -> Snapshot:
    """Take a snapshot.

    Raises ``Trouble`` when the server does not answer, or not as ComfyUI does.
    """
    return _Taking(server, told).snapshot()


class _Taking:
    def __init__(self, server: LiveServer, told: Told) -> None:
        self._server = server
        self._told = told
        self._done = 0
        self._total = len(PARTS)
        self._missing: dict[str, str] = {}

    def snapshot(self) -> Snapshot:
        document: dict[str, Any] = {FORMAT: VERSION}
        for part, (kind, path) in PARTS.items():
            value = self._models() if part == "models" else self._get(path, kind)
            if value is not None and part in OPTIONAL and len(json.dumps(value)) > LARGE:
                self._missing[path] = "large"
            elif value is not None:
                document[part] = cleaned(part, value, self._server.host)
            elif part == "object_info":
                raise Trouble(
                    f"{self._server.url} does not answer GET {path} as ComfyUI does "
                    f"({self._missing[path]}): is that its address?"
                )
        try:
            profile_of(document)
        except ValueError as problem:
            raise Trouble(f"{self._server.url} does not answer as ComfyUI does: {problem}") from None
        return Snapshot(document, self._missing)

    def _models(self) -> dict[str, list[str]] | None:
        folders = self._get("/models", list)
        if folders is None:
            return None
        paths = {folder: f"/models/{urllib.parse.quote(str(folder), safe='')}" for folder in folders}
        self._total += len(paths)
        found = {folder: self._get(path, list) for folder, path in paths.items()}
        return {folder: names for folder, names in found.items() if names is not None}

    def _get(self, path: str, kind: type) -> Any:
        """What a path answers, ``None`` when that is not what ComfyUI answers there."""
        self._told(self._done, self._total, path)
        answer = self._server.ask("GET", path)
        self._done += 1
        body = body_of(answer)
        if isinstance(body, kind):
            return body
        self._missing[path] = str(answer.status_code) if answer.status_code != 200 else "another answer"
        return None


def write(document: dict[str, Any], path: pathlib.Path) -> int:
    """Write a snapshot and return its size in bytes: as plain JSON to ``*.json``, else gzipped.

    The same server gives the same bytes.
    """
    plain = path.suffix == ".json"
    text = json.dumps(document, ensure_ascii=False, indent=1 if plain else None)
    data = text.encode() if plain else gzip.compress(text.encode(), mtime=0)
    return path.write_bytes(data)
