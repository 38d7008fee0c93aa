"""Where commands write: in colour where rich is installed and a terminal reads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

GOOD, BAD, DIM, BOLD = "green", "bold red", "dim", "bold"


class Terminal:
    """Writes lines to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console = _console(stream)

    def line(self, *pieces: str | tuple[str, str]) -> None:
        """Write a line made of texts, or of texts with rich's name of a style."""
        if self._console is None:
            self._stream.write("".join(one if isinstance(one, str) else one[0] for one in pieces) + "\n")
            return
        from rich.text import Text

        self._console.print(Text.assemble(*pieces), soft_wrap=True)


def _console(stream: TextIO) -> Console | None:
    """rich's console, if it is installed and the stream is a terminal."""
    if not stream.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, highlight=False)


def complain(problem: object) -> None:
    """Say on standard error, in one line, why a command did not do what it should."""
    Terminal(sys.stderr).line(("comfystub: ", BAD), str(problem))
