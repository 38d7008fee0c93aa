"""Where commands write: in colour and with a bar where rich is installed and a terminal reads."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

GOOD, BAD, DIM, BOLD = "green", "bold red", "dim", "bold"

#: Told how many of how many steps are done, and what is next.
Told = Callable[[int, int, str], None]


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

    @contextlib.contextmanager
    def progress(self) -> Iterator[Told]:
        """A block that tells how far it is: with a bar, or with a line for each kind of step."""
        if self._console is None:
            yield self._steps()
            return
        from rich.progress import Progress

        with Progress(console=self._console, transient=True) as bar:
            task = bar.add_task("")
            yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)

    def _steps(self) -> Told:
        last = ""

        def told(done: int, total: int, what: str) -> None:
            nonlocal last
            kind = what.split("/")[1]
            if kind != last:
                last = kind
                self.line(f"{done + 1:3} of {total}  {what}")

        return told


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
