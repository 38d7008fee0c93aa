"""Times that are the same in every run."""

from __future__ import annotations

#: Where they begin, in milliseconds since the epoch: the start of 2026, UTC.
EPOCH = 1_767_225_600_000


class Stamps:
    """Times that go on by a millisecond whenever one is asked for, and by what is said to take long.

    What is stamped with them is the same in every run, however fast the machine is.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._milliseconds = EPOCH

    @property
    def latest(self) -> float:
        """The last one, or where they begin, in seconds since the epoch."""
        return self._milliseconds / 1000

    def next(self) -> float:
        """The next one, in seconds since the epoch."""
        self._milliseconds += 1
        return self._milliseconds / 1000

    def move(self, seconds: float) -> None:
        """Something took that long."""
        self._milliseconds += round(seconds * 1000)
