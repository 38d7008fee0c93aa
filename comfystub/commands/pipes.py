"""Standard output that nobody reads any more, as behind ``| head``."""

from __future__ import annotations

import os
import sys


def nobody_reads() -> None:
    """Let what is still to be written, now or at the end of the process, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
