"""What a user can put right, and the reading of files, where most of that is found."""

from __future__ import annotations

import difflib
import json
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

#: The name of the file that is standard input.
STDIN = "-"


class Mistake(Exception):
    """What is wrong with what a command was given, and what to do about it: one line."""


def read_json(path: str) -> Any:
    """What a JSON file holds.  Raises ``Mistake`` when it cannot be read or is none."""
    try:
        data = sys.stdin.buffer.read() if path == STDIN else pathlib.Path(path).read_bytes()
    except OSError as problem:
        raise Mistake(f"cannot read {path}: {problem.strerror}") from None
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as problem:
        raise Mistake(f"{path} is no JSON: {problem}") from None


def alike(name: str, names: Iterable[str], least: float = 0.6) -> str | None:
    """Of some names the one that is most like another, in upper or lower case, if any is."""
    lowered = {one.lower(): one for one in names}
    close = difflib.get_close_matches(name.lower(), lowered, 1, least)
    return lowered[close[0]] if close else None
