"""Forked copies of a process in which stubs are in force.

A copy has a copy of each stub.  What is called there is answered there, and whoever looks at the stub in
the original sees nothing of it.  So the first call of a copy is told on both sides.
"""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING

from comfystub.engine import forking
from comfystub.transports import stubbed

if TYPE_CHECKING:
    import mmap

log = logging.getLogger("comfystub")

ADVICE = "Call in the process of the test, or have the new one enter comfystub.patch() and look there."


class ForkWarning(UserWarning):
    """A forked copy of the process made a call, of which the test's own stub knows nothing."""


class Forks:
    """The copies of one process, as long as stubs are in force in it.

    It is copied with the process, and then is the copy's link to the original.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        #: Whether this is a copy that has not called yet.
        self.awaits_call = False
        # One byte that all of them see: whether any copy has called.
        self._shared: mmap.mmap | None = None

    @property
    def is_copy(self) -> bool:
        """Whether the process has been copied since this was made, and is the copy."""
        return self._process != os.getpid()

    @property
    def have_called(self) -> bool:
        """In the original: whether a copy has called since that was told."""
        return self._shared is not None and self._shared[0] != 0 and not self.is_copy

    def expect(self) -> None:
        """The process is about to be copied."""
        if self._shared is None:
            import mmap

            self._shared = mmap.mmap(-1, 1)

    def begin(self) -> None:
        """The process is a copy: have its stubs work without the threads that are not there."""
        self.awaits_call = True
        forking.free_locks()
        stubbed.part()
        forking.go_on_alone()

    def called(self, host: str, port: int) -> None:
        """A copy calls for the first time: warn there, and let the original know."""
        self.awaits_call = False
        if self._shared is not None:
            self._shared[0] = 1
        message = (
            f"a forked copy of the process calls {host}:{port}: a copy of the stub answers, and the test "
            f"sees nothing of it. {ADVICE}"
        )
        try:
            warnings.warn(message, ForkWarning, stacklevel=2)
        except ForkWarning:
            # A filter that makes errors of warnings must not change what the client is answered.
            log.warning(message)

    def tell(self) -> None:
        """In the original: warn, once, if a copy has called."""
        if self._shared is not None and self.have_called:
            self._shared[0] = 0
            warnings.warn(
                "a forked copy of this process called ComfyUI: a copy of the stub answered, and stub.jobs "
                f"and stub.requests have nothing of it. {ADVICE}",
                ForkWarning,
                stacklevel=5,
            )
