"""``/userdata``: the files that a user's front end keeps on the server."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from comfystub.media.files import entries, inside
from comfystub.server.http import (
    FORBIDDEN,
    NO_CONTENT,
    NOT_FOUND,
    Request,
    Response,
    json_response,
    text_response,
)
from comfystub.server.state import State
from comfystub.server.views import ACTIVE_TYPES, BINARY, file_response, guess_type

CONFLICT = text_response("File already exists", 409)


def list_files(server: State, request: Request) -> Response:
    params = request.params
    if not params.get("dir"):
        return text_response("Directory not provided", 400)
    home = _home(server)
    folder = inside(home, params["dir"])
    if folder is None:
        return text_response("Invalid directory", 403)
    if not os.path.isdir(folder):
        return text_response("Directory not found", 404)
    paths = entries(folder, home, recurse=_is_true(params.get("recurse")))
    names = [(path, path.relative_to(folder).as_posix()) for path in paths if path.is_file()]
    if _is_true(params.get("full_info")):
        return json_response([_file_info(server, path, name) for path, name in names])
    if _is_true(params.get("split")):
        return json_response([[name, *name.split("/")] for _, name in names])
    return json_response([name for _, name in names])


def list_everything(server: State, request: Request) -> Response:
    home = _home(server)
    folder = inside(home, request.params.get("path", ""))
    if folder is None:
        return text_response("Invalid path requested", 400)
    if not os.path.exists(folder):
        return text_response("Requested path not found", 404)
    if not folder.is_dir():
        return text_response("Requested path is not a directory", 400)
    return json_response([*_entries(folder, home, folders=True), *_entries(folder, home, folders=False)])


def _entries(folder: pathlib.Path, home: pathlib.Path, folders: bool) -> Iterator[dict[str, Any]]:
    paths = [path for path in entries(folder, home, recurse=True) if path.is_dir() == folders]
    for path in sorted(paths, key=lambda path: path.name.lower()):
        entry = {"name": path.name, "path": path.relative_to(home).as_posix()}
        if folders:
            yield {**entry, "type": "directory"}
        else:
            stat = path.stat()
            yield {**entry, "type": "file", "size": stat.st_size, "modified": int(stat.st_mtime * 1000)}


def get_file(server: State, request: Request, file: str) -> Response:
    path = inside(_home(server), file)
    if path is None:
        return FORBIDDEN
    if not os.path.exists(path):
        return NOT_FOUND
    if not os.path.isfile(path):
        return FORBIDDEN
    content_type = guess_type(path.name)
    if not server.release.attaches_userdata:
        return file_response(request, path, (("Content-Type", content_type),))
    headers = (
        ("Content-Type", BINARY if content_type in ACTIVE_TYPES else content_type),
        ("Content-Disposition", "attachment"),
        ("X-Content-Type-Options", "nosniff"),
    )
    return file_response(request, path, headers)


def post_file(server: State, request: Request, file: str) -> Response:
    path = inside(_home(server), file)
    if path is None:
        return FORBIDDEN
    if path.exists() and not _overwrites(request):
        return CONFLICT
    path.parent.mkdir(parents=True, exist_ok=True)
    server.folders.write(path, request.body)
    return _written(server, request, path)


def delete_file(server: State, request: Request, file: str) -> Response:
    path = inside(_home(server), file)
    if path is None:
        return FORBIDDEN
    if not os.path.exists(path):
        return NOT_FOUND
    path.unlink()
    return NO_CONTENT


def move_file(server: State, request: Request, file: str, dest: str) -> Response:
    source, target = inside(_home(server), file), inside(_home(server), dest)
    if source is None or target is None:
        return FORBIDDEN
    if not os.path.exists(source):
        return NOT_FOUND
    if target.exists() and not _overwrites(request):
        return CONFLICT
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    return _written(server, request, target)


def _written(server: State, request: Request, path: pathlib.Path) -> Response:
    """What the server says of a file that was written: its path, or all about it."""
    name = path.relative_to(_home(server)).as_posix()
    return json_response(
        _file_info(server, path, name) if _is_true(request.params.get("full_info")) else name
    )


def _home(server: State) -> pathlib.Path:
    return server.folders.folder("user")


def _file_info(server: State, path: pathlib.Path, name: str) -> dict[str, Any]:
    """A file's path, size in bytes and times."""
    stat = path.stat()
    modified, created = stat.st_mtime, server.folders.created(stat)
    if server.release.tells_milliseconds:
        modified, created = int(modified * 1000), int(created * 1000)
    return {"path": name, "size": stat.st_size, "modified": modified, "created": created}


def _is_true(value: str | None) -> bool:
    return value is not None and value.lower() == "true"


def _overwrites(request: Request) -> bool:
    return request.params.get("overwrite", "true").lower() != "false"
