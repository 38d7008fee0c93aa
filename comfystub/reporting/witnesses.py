"""Who is told when a stub comes into force, and when its temporary folder is about to go."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfystub.stub import Stub

#: The module that knows which stubs are in force.  It is not imported here: no stub is, before it was.
PATCHING = "comfystub.patching"

#: Called with each stub that opens.
opened: list[Callable[[Stub], None]] = []
#: Called with each stub that closes, while its files are still there.
closing: list[Callable[[Stub], None]] = []


def lately() -> list[Stub]:
    """The stubs that are in force, or were so during this test."""
    patching = sys.modules.get(PATCHING)
    stubs: list[Stub] = [] if patching is None else patching.lately()
    return stubs
