"""``POST /upload/image`` and ``/upload/mask``."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
from collections.abc import Callable

from comfystub.media.convert import put_mask
from comfystub.media.files import TYPES, Write, inside
from comfystub.server.http import BAD_REQUEST, Request, Response, json_response
from comfystub.server.multipart import NotMultipart, Part, parse
from comfystub.server.state import State

Form = dict[str, Part]


def upload_image(server: State, request: Request) -> Response:
    return _upload(server, request, lambda form: server.folders.write)


def upload_mask(server: State, request: Request) -> Response:
    """Put the upload's alpha on the original and save that under the upload's name."""

    def saver(form: Form) -> Write:
        original = _original(server, json.loads(form["original_ref"].text))

        def save(path: pathlib.Path, content: bytes) -> None:
            if original is not None:
                server.folders.write(path, put_mask(original.read_bytes(), content))

        return save

    return _upload(server, request, saver)


def _original(server: State, reference: dict[str, str]) -> pathlib.Path | None:
    """The picture a mask belongs to; ``None`` when it is not there."""
    folder = server.folders.folder(_known_type(reference.get("type", "output")))
    path = inside(
        folder, os.path.join(reference.get("subfolder", ""), os.path.basename(reference["filename"]))
    )
    return path if path is not None and os.path.isfile(path) else None


def _upload(server: State, request: Request, saver: Callable[[Form], Write]) -> Response:
    try:
        form = parse(request.headers.get("content-type", ""), request.body)
    except NotMultipart:
        return BAD_REQUEST
    image = form.get("image")
    if image is None or not image.filename:
        return BAD_REQUEST
    kind, subfolder = _text(form, "type", "input"), _text(form, "subfolder", "")
    folder = inside(server.folders.folder(_known_type(kind)), os.path.normpath(subfolder))
    path = inside(folder, image.filename) if folder else None
    if folder is None or path is None or path == folder:
        return BAD_REQUEST
    save = saver(form)
    folder.mkdir(parents=True, exist_ok=True)
    name = image.filename
    if _text(form, "overwrite", "") not in ("true", "1"):
        name, path = _free_name(folder, name, image.content)
    save(path, image.content)
    return json_response({"name": name, "subfolder": subfolder, "type": kind})


def _free_name(folder: pathlib.Path, name: str, content: bytes) -> tuple[str, pathlib.Path]:
    """The first of ``name``, ``name (1)``, ``name (2)`` … that is free or has the same content."""
    stem, ending = os.path.splitext(name)
    for candidate in itertools.chain([name], (f"{stem} ({number}){ending}" for number in itertools.count(1))):
        path = inside(folder, candidate)
        if path and (not path.exists() or (path.is_file() and path.read_bytes() == content)):
            return candidate, path
    raise AssertionError("the candidates have no end")


def _text(form: Form, name: str, default: str) -> str:
    return form[name].text if name in form else default


def _known_type(kind: str) -> str:
    """The folder type, or the error that the server answers 500 to."""
    if kind not in TYPES:
        raise TypeError(f"unknown folder type {kind!r}")
    return kind
