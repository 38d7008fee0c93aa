"""Whose time is virtual: the code under test's, and not that of what runs and watches the tests."""

from __future__ import annotations

import functools
import sys
import threading
from types import FrameType
from typing import Any

#: Packages whose own calls see real time, whoever they work for.
EXEMPT = frozenset(
    {
        "comfystub",
        # what runs tests, measures them and stops those that hang
        "_pytest",
        "coverage",
        "execnet",
        "faulthandler",
        "hypothesis",
        "pluggy",
        "py",
        "pytest",
        "tox",
        "trace",
        "unittest",
        "xdist",
        # what debugs and profiles them
        "_pydevd_bundle",
        "bdb",
        "cProfile",
        "debugpy",
        "pdb",
        "profile",
        "pydevd",
        "timeit",
        # what waits for other processes, which know nothing of it, or says when something happened
        "logging",
        "multiprocessing",
        "socketserver",
        "subprocess",
        # event loops that wait where no hook reaches
        "eventlet",
        "gevent",
        "trio",
        # the machinery of imports and of the clock itself
        "_thread",
        "importlib",
        "threading",
    }
)
#: Plugins of a test runner.
EXEMPT_PREFIXES = ("pytest_",)
#: Modules that wait for whoever calls them.
BETWEEN = frozenset(
    {"concurrent.futures", "queue", "selectors", "threading", "comfystub.transports.executor_seam"}
)


def is_exempt(module: str) -> bool:
    """Whether the calls of a module see real time."""
    package = module.partition(".")[0]
    return package in EXEMPT or package.startswith(EXEMPT_PREFIXES)


@functools.cache
def _verdict(module: str) -> bool | None:
    """Whether a module sees virtual time; ``None`` when it depends on who calls it."""
    if any(module == between or module.startswith(f"{between}.") for between in BETWEEN):
        return None
    return not is_exempt(module)


def sees_virtual_time(frame: FrameType | None) -> bool:
    """Whether a call that is made in this frame sees virtual time."""
    while frame is not None:
        verdict = _verdict(frame.f_globals.get("__name__") or "")
        if verdict is not None:
            return verdict
        frame = frame.f_back
    return _is_ours(threading.current_thread())


def _is_ours(thread: threading.Thread) -> bool:
    """Whether a thread that is in nobody's code works for the code under test."""
    function: Any = getattr(thread, "function", None)  # of a Timer, which may be a test runner's
    return not is_exempt(getattr(function, "__module__", None) or "")


def is_loop(frame: FrameType | None) -> bool:
    """Whether this frame is an event loop's."""
    return frame is not None and str(frame.f_globals.get("__name__")).startswith("asyncio.")


def caller(depth: int = 0) -> FrameType:
    """The frame that called the function that asks, or the one so many calls further up."""
    return sys._getframe(depth + 2)
