"""Quiet moments: whether threads that nobody knows anything about seem to wait, too."""

from __future__ import annotations

import os
import threading
import time

from comfystub.engine.clock import SECOND

_real_ns = time.monotonic_ns
_real_cpu_ns = time.process_time_ns

#: How long a moment has to be, in seconds.
QUIET = 0.002
#: Where Linux tells of the threads of this process; other systems have no such place.
THREADS = "/proc/self/task"
#: A thread that runs or would if it had a processor, and one that waits for a disk.
BUSY = ("R", "D")


class Moment:
    """A moment that begins now; a thread that computes all through it is noticed."""

    def __init__(self) -> None:
        self._began, self._cpu = _real_ns(), _real_cpu_ns()

    def was_quiet(self) -> bool:
        """Whether it was long enough, this process did little, and none of its other threads does now."""
        took = _real_ns() - self._began
        did = _real_cpu_ns() - self._cpu
        return took * 2 > QUIET * SECOND and did * 2 < took and not _others_run()


def _others_run() -> bool:
    """Whether another thread of the process is busy, as far as the system says so.

    On a machine that has much to do, one may have to wait for a processor for longer than a moment.
    """
    try:
        threads = os.listdir(THREADS)
    except OSError:
        return False
    me = str(threading.get_native_id())
    return any(_state(thread) in BUSY for thread in threads if thread != me)


def _state(thread: str) -> str:
    try:
        with open(f"{THREADS}/{thread}/stat", encoding="utf-8", errors="replace") as file:
            # Behind the name, which is in brackets and may have some of its own.
            return file.read().rpartition(")")[2].split()[0]
    except OSError:  # it has just ended
        return ""
