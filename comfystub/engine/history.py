"""The prompts that are over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from comfystub.engine.job import Job

#: A prompt that ends while history holds more than this many pushes the oldest out.
CAPACITY = 10_000


@dataclass
class _Late:
    """A prompt that has ended and is not shown yet."""

    job: Job
    looks: int
    until: float


class History:
    """Ended prompts by id, oldest first; the same id again takes the place of the earlier one."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._late: list[_Late] = []

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, prompt_id: str) -> Job | None:
        return self._jobs.get(prompt_id)

    def add(self, job: Job) -> None:
        if len(self._jobs) > CAPACITY:
            del self._jobs[next(iter(self._jobs))]
        self._jobs[job.id] = job

    def add_late(self, job: Job, looks: int, until: float) -> None:
        """Add a prompt that so many looks do not find, and none before ``until``."""
        self._late.append(_Late(job, looks, until))

    def looked_at(self, prompt_id: str | None, now: float) -> None:
        """Count a look, at one prompt or at all, and show what it finds."""
        for late in list(self._late):
            if prompt_id not in (None, late.job.id):
                continue
            if late.looks > 0:
                late.looks -= 1
            elif now >= late.until:
                self._late.remove(late)
                self.add(late.job)

    def delete(self, prompt_id: str) -> None:
        self._jobs.pop(prompt_id, None)

    def clear(self) -> None:
        self._jobs.clear()

    def forget(self) -> None:
        """Lose everything, as a server does that restarts."""
        self.clear()
        self._late.clear()

    def page(self, max_items: int | None, offset: int) -> list[Job]:
        """A page, as ``max_items`` and ``offset`` of ``GET /history`` cut it.

        A negative offset with ``max_items`` means the last ones.
        """
        count = len(self._jobs)
        if offset < 0:
            offset = count - max_items if max_items is not None else 0
        # The server counts an entry after it took it: with an offset, `max_items=0` still yields one.
        stop = count if max_items is None else min(count, max(0, offset) + max(1, max_items))
        start = max(0, offset)
        jobs = self._jobs.values()
        if start >= stop:
            return []
        if start <= count // 2:
            return list(islice(jobs, start, stop))
        return list(islice(reversed(jobs), count - stop, count - start))[::-1]
