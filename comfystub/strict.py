"""``patch(strict=True)``: what went wrong at the server fails the test, whether or not the client minded."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from comfystub.server.complaints import Complaint
from comfystub.wording import counted


class StrictError(AssertionError):
    """A ``patch(strict=True)`` ended with complaints, which are its ``complaints``."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = list(complaints)
        lines = [
            f"{counted(len(self.complaints), 'call')} went wrong, and patch() is strict:",
            *(f"- {complaint}" for complaint in self.complaints),
            "Forgive what is meant to happen: stub.complaints.remove(...) or stub.complaints.clear()",
        ]
        super().__init__("\n".join(lines))


def complain(complaints: Collection[Complaint], forgiven: Collection[Complaint] = ()) -> None:
    """Raise ``StrictError`` if there are complaints other than those of before."""
    __tracebackhide__ = True
    before = set(map(id, forgiven))
    found = [complaint for complaint in complaints if id(complaint) not in before]
    if found:
        raise StrictError(found)
