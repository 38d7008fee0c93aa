"""Reading ``multipart/form-data`` bodies."""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser
from typing import NamedTuple

_HEADERS = HeaderParser()


class Part(NamedTuple):
    """One field of a form; ``filename`` is ``None`` for a plain field."""

    name: str
    filename: str | None
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


class NotMultipart(ValueError):
    """The body is no form."""


def parse(content_type: str, body: bytes) -> dict[str, Part]:
    """The fields of a form by name; of a name that stands twice, the first.

    The body is cut at the boundary lines, which may not occur in it, so that the bytes of a file are
    never looked at; the few header lines of each part go through the standard library's parser.
    Raises ``NotMultipart``.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise NotMultipart(content_type)
    fields: dict[str, Part] = {}
    # The first boundary has no line end before it; with one put there all are alike.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        head, gap, content = piece.partition(b"\r\n\r\n")
        if gap:
            part = _part(head, content)
            if part is not None:
                fields.setdefault(part.name, part)
    return fields


def _part(head: bytes, content: bytes) -> Part | None:
    headers = _HEADERS.parsestr(head.lstrip(b"\r\n").decode("utf-8", "surrogateescape"))
    name = headers.get_param("name", header="content-disposition")
    return Part(name, headers.get_filename(), content) if isinstance(name, str) else None
