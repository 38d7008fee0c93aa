"""What a forked copy of the process has to put in order before it goes on.

Of all threads only the one that forked is in it.  The others are gone, with what they were about, and
their locks would stay held for ever.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol, TypeVar


class Copied(Protocol):
    """Something that other threads may have been about."""

    def go_on_alone(self) -> None:
        """Called in a forked copy of the process, by its only thread."""


L = TypeVar("L")

_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_copied: weakref.WeakSet[Copied] = weakref.WeakSet()


def lock(made: L) -> L:
    """A lock, free in a copy where another thread held it."""
    _locks.add(made)
    return made


def know(copied: Copied) -> None:
    """Have ``go_on_alone`` called in a copy."""
    _copied.add(copied)


def free_locks() -> None:
    """In a copy: free the locks of threads that are not there."""
    for one in list(_locks):
        if one.acquire(blocking=False):
            one.release()
        else:
            one._at_fork_reinit()  # which is what the standard library does with its own


def go_on_alone() -> None:
    """In a copy: let go of what other threads were about."""
    for one in list(_copied):
        one.go_on_alone()
