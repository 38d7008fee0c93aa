"""The state machine behind the server: it takes prompts in, runs them and remembers them.

One worker runs one prompt at a time.  Nothing runs by itself: whoever needs something to happen
drives the engine, one driver at a time, and others wait for it.  A call that comes from inside a
beat, from user code that makes a picture, say, is answered without moving anything.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from comfystub.engine.cache import Cache
from comfystub.engine.events import Event
from comfystub.engine.execution import Beats, Execution
from comfystub.engine.history import History
from comfystub.engine.hub import Hub
from comfystub.engine.job import Job
from comfystub.engine.pacing import Pace
from comfystub.engine.queue import PromptQueue
from comfystub.engine.validation import Known, Prompt, Verdict, output_nodes, validate
from comfystub.media.pictures import Picture
from comfystub.nodes.invocation import Surroundings

#: Makes the picture that sampling produces; ``None`` lets the stub generate it.
Sampler = Callable[[Any, str], "Picture | None"]


class Engine:
    """Queue, worker, cache and history of one server.

    ``judges`` says whether prompts are validated, ``pace`` how jobs move, ``source`` is where ids
    and random names come from.
    """

    def __init__(
        self,
        *,
        known: Known,
        pace: Pace,
        judges: bool = True,
        source: random.Random | None = None,
        sample: Sampler | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.known = known
        self.pace = pace
        self.judges = judges
        self.random = source or random.Random()
        self.surroundings = Surroundings(
            known.folders, self.random, now, sample or (lambda job, node_id: None), {}
        )
        self.queue = PromptQueue()
        self.history = History()
        self.cache = Cache()
        self.hub = Hub()
        #: Every accepted prompt, in the order of arrival.
        self.jobs: list[Job] = []
        self.interrupted = False
        self._unfinished: dict[str, Job] = {}
        self._numbers = 0
        self._latest = 0
        self._free_memory = False
        self._beats: Beats | None = None
        self._driver: int | None = None
        # Who would like to move the engine as soon as nobody else does.
        self._waiting: set[Callable[[], None]] = set()
        self._stopped = False
        # Guards the queue and who drives; never held while a beat or user code runs.
        self._lock = threading.Condition()

    # --- taking prompts in

    def milliseconds(self) -> int:
        """The time, as events and jobs carry it."""
        return int(self.surroundings.now() * 1000)

    def create_time(self) -> int:
        """The time of a submission; no two have the same, so that jobs sorted by it are in order."""
        with self._lock:
            self._latest = max(self._latest + 1, self.milliseconds())
            return self._latest

    def next_number(self) -> int:
        """The number of the next prompt that comes without one."""
        with self._lock:
            number, self._numbers = self._numbers, self._numbers + 1
            return number

    def new_id(self) -> str:
        """A fresh UUID in canonical form."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def judge(self, prompt: Prompt, targets: Collection[str] | None = None) -> Verdict:
        """Validate a prompt; where the engine does not judge, only find its output nodes."""
        if self.judges:
            return validate(prompt, self.known, targets)
        outputs = output_nodes(prompt, self.known.classes(prompt))
        return Verdict([one for one in outputs if targets is None or one in targets], None, {})

    def submit(
        self,
        prompt: Prompt,
        *,
        number: float,
        prompt_id: str,
        outputs: list[str],
        extra_data: dict[str, Any],
        sensitive: Mapping[str, Any],
    ) -> Job:
        """Queue a judged prompt."""
        job = Job(
            number=number,
            prompt_id=prompt_id,
            workflow=prompt,
            extra_data=extra_data,
            output_ids=outputs,
            sensitive=sensitive,
            pace=self.pace,
            settle=self._settle,
            find=self.known.folders.where,
        )
        with self.hub.lock:  # or who works could be quicker with its events than the submission with its own
            with self._lock:
                self.queue.put(job)
                self._unfinished[prompt_id] = job
                self.jobs.append(job)
            self.hub.status(self.queue)
        job.pace.submitted(self, job)
        return job

    def retire(self, job: Job) -> None:
        """Move the running prompt to history."""
        with self._lock:
            self.queue.running = None
            self.history.add(job)
            self._forget(job)

    def _forget(self, job: Job) -> None:
        if self._unfinished.get(job.id) is job:
            del self._unfinished[job.id]

    # --- what clients ask of the queue

    def interrupt(self, prompt_id: str | None = None) -> bool:
        """Stop the running prompt at its next check, given an id only if it has that one."""
        running = self.queue.running
        if running is None or (prompt_id is not None and running.id != prompt_id):
            return False
        self.interrupted = True
        return True

    def delete(self, prompt_id: str) -> bool:
        """Drop a waiting prompt; whether there was one."""
        with self.hub.lock:
            was_only_one = len(self.queue.pending) == 1
            if not self._drop(lambda: self.queue.delete({prompt_id})):
                return False
            # The server empties its queue for the only one, which sends a status of its own.
            for _ in range(2 if was_only_one else 1):
                self.hub.status(self.queue)
            return True

    def clear(self) -> None:
        """Drop every waiting prompt."""
        with self.hub.lock:
            self._drop(self.queue.clear)
            self.hub.status(self.queue)

    def _drop(self, drop: Callable[[], Any]) -> Any:
        with self._lock:
            before = self.queue.pending
            dropped = drop()
            for job in before:
                if job.ended:
                    self._forget(job)
            return dropped

    def cancel(self, prompt_id: str) -> bool:
        """Interrupt a prompt that runs, or drop one that waits; whether there was one."""
        return self.delete(prompt_id) or self.interrupt(prompt_id)

    def free(self, memory: bool) -> None:
        """Forget cached results: at once when idle, else before the next prompt."""
        if memory and self.queue.running is None:
            self.cache.clear()
        elif memory:
            self._free_memory = True

    # --- moving

    def look(self, prompt_id: str | None = None) -> None:
        """Count a look: at one prompt, or at every unfinished one."""
        if prompt_id is None:
            for job in self.queue.upcoming if self._unfinished else ():
                job.pace.looked_at(self, job)
        elif (found := self._unfinished.get(prompt_id)) is not None:
            found.pace.looked_at(self, found)

    def finish(self, job: Job | None = None) -> None:
        """Run a job to its end, and those before it; without one, all of them."""
        self.drive(lambda: job is not None and job.ended)

    def run_into(self, job: Job, part: float) -> None:
        """Run a job up to the node that lies at this part of its way; if others are before it, wait."""
        if self.queue.head is not job:
            return

        def far_enough() -> bool:
            last = job.planned - 1
            return self.queue.running is job and job.begun > min(int(max(0.0, part) * job.planned), last)

        self.drive(far_enough)

    def can_move(self, when_free: Callable[[], None]) -> bool:
        """Whether a client that reads its socket would move something now.

        If only somebody who drives is in the way, ``when_free`` is called when that one is done.
        """
        with self._lock:
            if self._has_moves() and self._driver is not None:
                self._waiting.add(when_free)
                return False
            return self._has_moves()

    def pull(self) -> bool:
        """Move by a beat for a client that reads its socket, unless somebody drives; whether it moved."""
        with self._lock:
            if self._driver is not None or not self._has_moves():
                return False
            self._driver = threading.get_ident()
        try:
            return self._advance()
        finally:
            self._leave()

    def _has_moves(self) -> bool:
        head = self.queue.head
        return head is not None and head.pace.moves and not self._stopped

    def step(self) -> bool:
        """Move by one beat; whether there was one."""
        turns = iter((False,))
        return self.drive(lambda: next(turns, True)) > 0

    def run_until(self, wanted: Callable[[Event], bool]) -> Event | None:
        """Move until a beat sent an event that is wanted; ``None`` when nothing is left to run."""
        found: list[Event] = []
        stop = self.hub.tap(lambda event: found.append(event) if wanted(event) else None)
        try:
            self.drive(lambda: bool(found))
        finally:
            stop()
        return found[0] if found else None

    def drive(self, enough: Callable[[], bool]) -> int:
        """Move beat by beat until it is enough or nothing is left; how many beats that took.

        Another driver is waited for.  From inside a beat, and while it is stopped, nothing moves.
        """
        me = threading.get_ident()
        if self._driver == me:
            return 0
        with self._lock:
            self._lock.wait_for(lambda: self._driver is None)
            self._driver = me
        beats = 0
        try:
            while not (self._stopped or enough()) and self._advance():
                beats += 1
        finally:
            self._leave()
        return beats

    def _leave(self) -> None:
        """Let others drive."""
        with self._lock:
            self._driver = None
            self._lock.notify_all()
            waiting, self._waiting = self._waiting, set()
        for when_free in waiting:
            when_free()

    def _advance(self) -> bool:
        """One beat of the running prompt, or of the next one; ``False`` when there is none."""
        if self._beats is None and not self._begin():
            return False
        assert self._beats is not None
        over = True
        try:
            over = next(self._beats, self) is self
        finally:
            # A beat that raises is its prompt's last one.
            if over:
                self._beats = None
        return True

    def _begin(self) -> bool:
        with self._lock:
            job = self.queue.take()
        if job is None:
            return False
        if self._free_memory:
            self.cache.clear()
            self._free_memory = False
        self.interrupted = False
        self._beats = Execution(self, job).beats()
        return True

    def _settle(self, job: Job) -> None:
        if job.pace.settles and not job.ended:
            self.finish(job)

    def stop(self) -> None:
        """Stand still: nothing moves until ``resume``."""
        self._stopped = True

    def resume(self) -> None:
        """Move again."""
        self._stopped = False
