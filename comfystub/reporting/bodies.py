"""How bodies are shown: indented where they are JSON, cut where they are long, and without secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from comfystub.server.http import Request
from comfystub.server.multipart import NotMultipart, Part, parse
from comfystub.server.prompts import SENSITIVE
from comfystub.wording import counted

#: So many characters of a body are shown.
LONGEST = 20_000

HIDDEN = "(hidden)"
#: Headers that may let somebody in, or that clients draw by lot, so that no two reports would be the same.
SECRETS = re.compile(r"auth|cookie|key|secret|token")
#: A link of a workflow, over several lines.
LINK = re.compile(r'\[\n\s+("(?:[^"\\]|\\.)*"),\n\s+(\d+)\n\s+\]')
BOUNDARY = re.compile(r"boundary=.*")


def cut(text: str, longest: int = LONGEST) -> str:
    """A text, or its beginning and how much more there is."""
    more = len(text) - longest
    return text if more <= 0 else f"{text[:longest]}\n… {counted(more, 'more character')}"


def indented(value: Any) -> str:
    """A piece of JSON over several lines, links in one, without keys of paid services."""
    text = json.dumps(_open(value), indent=2, ensure_ascii=False, default=str)
    return cut(LINK.sub(r"[\1, \2]", text))


def body(data: bytes, content_type: str = "") -> str:
    """A body as text: JSON indented, a form by its fields, of anything else that is no text the size."""
    if content_type.startswith("multipart/"):
        return _form(data, content_type)
    try:
        return indented(json.loads(data))
    except (ValueError, RecursionError):
        return cut(_text(data))


def headers(request: Request) -> list[tuple[str, str]]:
    """The headers of a request; values that are nobody's business are hidden."""
    return [(name, _header(name.lower(), value)) for name, value in request.headers.items()]


def _header(name: str, value: str) -> str:
    if SECRETS.search(name):
        return HIDDEN
    return BOUNDARY.sub("boundary=…", value) if name == "content-type" else value


def _form(data: bytes, content_type: str) -> str:
    try:
        parts = parse(content_type, data)
    except NotMultipart:
        return cut(_text(data))
    return cut("\n".join(f"{part.name}: {_field(part)}" for part in parts.values()))


def _field(part: Part) -> str:
    return _text(part.content) if part.filename is None else f"{part.filename}, {size(len(part.content))}"


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return size(len(data))


def size(number: int) -> str:
    """A number of bytes, in words."""
    return "1 byte" if number == 1 else f"{number:,} bytes"


def data_uri(data: bytes, content_type: str) -> str:
    """Data as an address of their own."""
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


def _open(value: Any) -> Any:
    """A value in which what belongs to the keys of paid services is hidden."""
    if isinstance(value, Mapping):
        return {key: HIDDEN if key in SENSITIVE else _open(one) for key, one in value.items()}
    return [_open(one) for one in value] if isinstance(value, list) else value
