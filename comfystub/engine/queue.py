"""The prompts that wait and the one that runs."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Collection

from comfystub.engine import forking
from comfystub.engine.job import CANCELLED, Job


class PromptQueue:
    """A heap ordered by number, ties by prompt id, and the prompt that the worker took from it.

    Whoever asks several things that have to fit together, or changes ``running``, holds ``lock``.
    """

    def __init__(self) -> None:
        self.lock = forking.lock(threading.RLock())
        # The third member keeps jobs themselves from being compared.
        self._heap: list[tuple[float, str, int, Job]] = []
        self._arrivals = itertools.count()
        self.running: Job | None = None

    def __len__(self) -> int:
        """Running and waiting."""
        with self.lock:
            return len(self._heap) + (self.running is not None)

    @property
    def pending(self) -> list[Job]:
        """The waiting prompts in the heap's own order, as ``/queue`` lists them."""
        with self.lock:
            return [entry[-1] for entry in self._heap]

    @property
    def upcoming(self) -> list[Job]:
        """The running prompt and the waiting ones in the order in which they will run."""
        with self.lock:
            running = [self.running] if self.running else []
            return running + [entry[-1] for entry in sorted(self._heap)]

    @property
    def head(self) -> Job | None:
        """The prompt that runs, or the one that is taken next."""
        with self.lock:
            return self.running or (self._heap[0][-1] if self._heap else None)

    def put(self, job: Job) -> None:
        with self.lock:
            heapq.heappush(self._heap, (job.number, job.id, next(self._arrivals), job))

    def take(self) -> Job | None:
        """Take the next prompt to run."""
        with self.lock:
            if self._heap:
                self.running = heapq.heappop(self._heap)[-1]
            return self.running

    def forget(self) -> None:
        """Have no prompt any more."""
        with self.lock:
            self._heap = []
            self.running = None

    def clear(self) -> None:
        """Drop every waiting prompt; the running one is not touched."""
        self._drop(lambda job: True)

    def delete(self, prompt_ids: Collection[str]) -> int:
        """Drop the waiting prompts with these ids and say how many that were."""
        return self._drop(lambda job: job.id in prompt_ids)

    def _drop(self, unwanted: Callable[[Job], bool]) -> int:
        with self.lock:
            kept = [entry for entry in self._heap if not unwanted(entry[-1])]
            for entry in self._heap:
                if unwanted(entry[-1]):
                    entry[-1].state = CANCELLED
            dropped = len(self._heap) - len(kept)
            heapq.heapify(kept)
            self._heap = kept
            return dropped
