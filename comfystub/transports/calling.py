"""The call that a client library is about to connect for, where a seam above the sockets knows it.

So a fault that refuses the connections of some calls refuses them where the library connects, and the
library's own retries of that see it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from comfystub.server.http import Request

_present: ContextVar[Request | None] = ContextVar("comfystub_call", default=None)


def present() -> Request | None:
    """The call that this thread or task is making, ``None`` when it is not known."""
    return _present.get()


@contextlib.contextmanager
def calling(request: Request) -> Iterator[None]:
    """A block in which a connection is made for a call."""
    token = _present.set(request)
    try:
        yield
    finally:
        _present.reset(token)
