"""How far something is, for whoever watches."""

from __future__ import annotations

import os
import shutil
from types import TracebackType
from typing import TextIO

#: So many characters are the bar itself.
WIDTH = 20


class Bar:
    """A line of a terminal that is written over; nothing where no terminal reads.

    Use it with ``with``.  Before anything else is written to the terminal, ``clear`` it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._watched = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = 0

    def show(self, done: float, total: float, what: str) -> None:
        """Show that so much of the total is done, and of what."""
        if not self._watched:
            return
        filled = round(WIDTH * done / total) if total else 0
        line = f"[{'#' * filled:.<{WIDTH}}] {done:g} of {total:g}  {what}"
        line = line[: shutil.get_terminal_size().columns - 1]
        self._write(line.ljust(self._shown))
        self._shown = len(line)

    def clear(self) -> None:
        """Leave the line empty."""
        if self._shown:
            self._write(" " * self._shown)
            self._write("")
            self._shown = 0

    def _write(self, line: str) -> None:
        self._stream.write(f"\r{line}")
        self._stream.flush()

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
