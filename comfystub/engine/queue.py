"""The prompts that wait and the one that runs."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Collection

from comfystub.engine.job import CANCELLED, Job


class PromptQueue:
    """A heap ordered by number, ties by prompt id, and the prompt that the worker took from it."""

    def __init__(self) -> None:
        # The third member keeps jobs themselves from being compared.
        self._heap: list[tuple[float, str, int, Job]] = []
        self._arrivals = itertools.count()
        self.running: Job | None = None

    def __len__(self) -> int:
        """Running and waiting."""
        return len(self._heap) + (self.running is not None)

    @property
    def pending(self) -> list[Job]:
        """The waiting prompts in the heap's own order, as ``/queue`` lists them."""
        return [entry[-1] for entry in self._heap]

    @property
    def upcoming(self) -> list[Job]:
        """The running prompt and the waiting ones in the order in which they will run."""
        running = [self.running] if self.running else []
        return running + [entry[-1] for entry in sorted(self._heap)]

    @property
    def head(self) -> Job | None:
        """The prompt that runs, or the one that is taken next."""
        return self.running or (self._heap[0][-1] if self._heap else None)

    def put(self, job: Job) -> None:
        heapq.heappush(self._heap, (job.number, job.id, next(self._arrivals), job))

    def take(self) -> Job | None:
        """Take the next prompt to run."""
        if self._heap:
            self.running = heapq.heappop(self._heap)[-1]
        return self.running

    def clear(self) -> None:
        """Drop every waiting prompt; the running one is not touched."""
        self._drop(lambda job: True)

    def delete(self, prompt_ids: Collection[str]) -> int:
        """Drop the waiting prompts with these ids and say how many that were."""
        return self._drop(lambda job: job.id in prompt_ids)

    def _drop(self, unwanted: Callable[[Job], bool]) -> int:
        kept = [entry for entry in self._heap if not unwanted(entry[-1])]
        for entry in self._heap:
            if unwanted(entry[-1]):
                entry[-1].state = CANCELLED
        dropped = len(self._heap) - len(kept)
        heapq.heapify(kept)
        self._heap = kept
        return dropped
