"""``GET /view``: files as they are, in parts, or as previews."""

from __future__ import annotations

import math
import mimetypes
import os
import pathlib
import re
from email.utils import formatdate, parsedate_to_datetime

from comfystub.media import convert
from comfystub.media.files import TYPES, inside, split_annotation
from comfystub.server.http import BAD_REQUEST, FORBIDDEN, NOT_FOUND, Headers, Request, Response
from comfystub.server.state import State

# An own table: the one that `mimetypes` shares holds what the machine's files add to it.
_TYPES = mimetypes.MimeTypes()
_TYPES.add_type("image/webp", ".webp")
_TYPES.add_type("video/mp4", ".mp4")
_TYPES.add_type("model/gltf-binary", ".glb")

#: Types that a browser would run, so that the server sends them as a download.
ACTIVE_TYPES = frozenset(
    {"text/html", "image/svg+xml", "text/javascript", "application/javascript", "text/css", "text/xml"}
    | {"application/xml", "application/xhtml+xml", "text/html-sandboxed", "application/x-javascript"}
)
BINARY = "application/octet-stream"

#: First and last byte; no file is so large that a number of more digits would lie in it.
RANGE = re.compile(r"bytes=(\d{,18})-(\d{,18})", re.ASCII)


def guess_type(name: str) -> str:
    """The content type of a file name."""
    return _TYPES.guess_type(name)[0] or BINARY


def view(server: State, request: Request) -> Response:
    params = request.params
    if "filename" not in params:
        return NOT_FOUND
    name, annotated = split_annotation(params["filename"])
    if not name or name.startswith("/") or ".." in name:
        return BAD_REQUEST
    kind = annotated or params.get("type", "output")
    if kind not in TYPES:
        return BAD_REQUEST
    folder: pathlib.Path | None = server.folders.folder(kind)
    if params.get("subfolder"):
        folder = inside(server.folders.folder(kind), params["subfolder"])
    if folder is None:
        return FORBIDDEN
    name = os.path.basename(name)
    path = inside(folder, name)
    if path is None or not os.path.isfile(path):
        return NOT_FOUND
    if "preview" in params:
        return _converted(name, *convert.preview(path.read_bytes(), params["preview"], params.get("channel")))
    if params.get("channel") in ("rgb", "a"):
        return _converted(name, *convert.channel(path.read_bytes(), params["channel"]))
    return file_response(request, path, _headers(request, name))


def _converted(name: str, body: bytes, content_type: str) -> Response:
    return Response(200, (("Content-Type", content_type), ("Content-Disposition", _disposition(name))), body)


def _disposition(name: str, attachment: bool = False) -> str:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'{"attachment; " if attachment else ""}filename="{quoted}"'


def _headers(request: Request, name: str) -> Headers:
    content_type = guess_type(name)
    nosniff = ("X-Content-Type-Options", "nosniff")
    if content_type not in ACTIVE_TYPES:
        return (("Content-Type", content_type), ("Content-Disposition", _disposition(name)), nosniff)
    vary = ("Vary", "Sec-Fetch-Dest")
    if content_type == "image/svg+xml" and request.headers.get("sec-fetch-dest") == "image":
        return (("Content-Type", content_type), ("Content-Disposition", _disposition(name)), nosniff, vary)
    return (
        ("Content-Type", BINARY),
        ("Content-Disposition", _disposition(name, attachment=True)),
        nosniff,
        ("Cache-Control", "no-store"),
        vary,
    )


def file_response(request: Request, path: pathlib.Path, headers: Headers) -> Response:
    """A file, whole or the part that was asked for, or only that it has not changed."""
    stat = path.stat()
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    tags: Headers = (("ETag", etag), ("Last-Modified", formatdate(math.ceil(stat.st_mtime), usegmt=True)))
    condition = _condition(request, etag, stat.st_mtime)
    if condition == 412:
        return Response(412)
    if condition == 304:
        return Response(304, tags)
    headers = (*headers, *tags, ("Accept-Ranges", "bytes"))
    asked = request.headers.get("range")
    # Of the tags that If-Range may hold as well as a date, the server takes no notice.
    if asked is None or _since(request.headers.get("if-range"), stat.st_mtime) is False:
        return Response(200, headers, path.read_bytes())
    part = _part(asked, stat.st_size)
    if part is None:
        return Response(416, (("Content-Range", f"bytes */{stat.st_size}"),))
    start, stop = part
    content_range = ("Content-Range", f"bytes {start}-{stop - 1}/{stat.st_size}")
    with path.open("rb") as file:
        file.seek(start)
        return Response(206, (*headers, content_range), file.read(stop - start))


def _condition(request: Request, etag: str, modified: float) -> int | None:
    """The status that ends a conditional request, if one does."""
    headers = request.headers
    if tags := headers.get("if-match"):
        if not _names(tags, etag):
            return 412
    elif _since(headers.get("if-unmodified-since"), modified) is False:
        return 412
    if tags := headers.get("if-none-match"):
        return 304 if _names(tags.replace("W/", ""), etag) else None
    return 304 if _since(headers.get("if-modified-since"), modified) else None


def _names(tags: str, etag: str) -> bool:
    return tags.strip() == "*" or etag in [tag.strip() for tag in tags.split(",")]


def _since(date: str | None, modified: float) -> bool | None:
    """Whether a file is unchanged since a date; ``None`` for what is no date."""
    if date is None:
        return None
    try:
        return modified <= parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """First byte and the one past the last; ``None`` for a range that cannot be had."""
    found = RANGE.fullmatch(asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
    return (start, stop) if start < stop else None
