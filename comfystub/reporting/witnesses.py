"""Who is told when a stub comes into force, and when its temporary folder is about to go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfystub.stub import Stub

#: Called with each stub that opens.
opened: list[Callable[[Stub], None]] = []
#: Called with each stub that closes, while its files are still there.
closing: list[Callable[[Stub], None]] = []
