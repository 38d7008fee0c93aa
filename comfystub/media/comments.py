"""Vorbis comments: the keywords and texts in FLAC and Ogg files."""

from __future__ import annotations

import struct

from comfystub.media.png import Texts


def block(encoder: str, texts: Texts) -> bytes:
    """Return all comments of a file, behind the name of what wrote it.

    Args:
        encoder: the name, which players do not count among the comments.
        texts: keywords, in ASCII without `=`, and texts.
    """
    fields = [_field(f"{keyword}={text}") for keyword, text in texts]
    return b"".join((_field(encoder), struct.pack("<I", len(fields)), *fields))


def _field(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data
