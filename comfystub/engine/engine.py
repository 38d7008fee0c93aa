"""The state machine behind the server: it takes prompts in, runs them and remembers them.

One worker runs one prompt at a time.  Nothing runs by itself: whoever needs something to happen
drives the engine (``Driving``).
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from comfystub.engine.cache import Cache
from comfystub.engine.clock import Clock, RealClock
from comfystub.engine.driving import Driving
from comfystub.engine.events import Event
from comfystub.engine.execution import Execution
from comfystub.engine.faults import (
    Fault,
    Faults,
    FilesGone,
    ForgetsResults,
    HistoryLags,
    JobFacts,
    Vanishes,
    effect_of,
)
from comfystub.engine.history import History
from comfystub.engine.hub import Hub
from comfystub.engine.job import LOST, Job
from comfystub.engine.pacing import Pace
from comfystub.engine.queue import PromptQueue
from comfystub.engine.stamps import Stamps
from comfystub.engine.validation import Known, Prompt, Verdict, output_nodes, replace_nodes, validate
from comfystub.media.looks import PLAIN, Look
from comfystub.nodes.invocation import Surroundings


class Engine(Driving):
    """Queue, worker, cache and history of one server.

    ``judges`` says whether prompts are validated, ``pace`` how jobs move, ``source`` is where ids
    and random names come from, ``look`` says how what a node of a job generates looks.  ``stamps``
    tell the time that clients are told, where that is not the clock's.
    """

    def __init__(
        self,
        *,
        known: Known,
        pace: Pace,
        judges: bool = True,
        source: random.Random | None = None,
        look: Callable[[Any, str], Look] = lambda job, node_id: PLAIN,
        clock: Clock | None = None,
        stamps: Stamps | None = None,
    ) -> None:
        clock = clock or RealClock()
        super().__init__(clock, PromptQueue())
        self.known = known
        self.pace = pace
        self.judges = judges
        self.random = source or random.Random()
        self.surroundings = Surroundings(known.folders, self.random, self.now, look, {})
        self.history = History()
        self.cache = Cache()
        self.faults = Faults(self.happens, self.random)
        self.faults.changed_for.append(self.wake_waiting)
        self.hub = Hub(self.faults, clock, self._noted)
        #: Every accepted prompt, in the order of arrival.
        self.jobs: list[Job] = []
        #: The pace of the next prompt that is accepted, where that has one of its own.
        self.next_pace: Pace | None = None
        #: Called when the server restarts, to cut its clients off.
        self.on_restart: Callable[[], None] = _nobody_is_connected
        self.interrupted = False
        self._stamps = stamps
        self._unfinished: dict[str, Job] = {}
        self._numbers = 0
        self._latest = 0
        self._free_memory = False

    # --- taking prompts in

    def now(self) -> float:
        """The time that clients are told: that of the beat under way, or of the moment."""
        if self._stamps is not None:
            return self._stamps.next()
        return self.happens()

    def _noted(self) -> float:
        """That time, for a test to read: asking for it does not move it."""
        return self.happens() if self._stamps is None else self._stamps.latest

    def took(self, seconds: float) -> None:
        if self._stamps is not None:
            self._stamps.move(seconds)

    def milliseconds(self) -> int:
        """That time, as events and jobs carry it."""
        return round(self.now() * 1000)

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
        replace_nodes(prompt, self.known)
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
        pace: Pace | None = None,
    ) -> Job:
        """Queue a judged prompt, which may have a pace of its own."""
        with self.hub.lock:  # or who works could be quicker with its events than the submission with its own
            with self._lock:
                job = Job(
                    ordinal=len(self.jobs) + 1,
                    submitted=self.now(),
                    number=number,
                    prompt_id=prompt_id,
                    workflow=prompt,
                    extra_data=extra_data,
                    output_ids=outputs,
                    sensitive=sensitive,
                    pace=pace or self.next_pace or self.pace,
                    settle=self._read,
                    find=self.known.folders.where,
                )
                if pace is None:
                    self.next_pace = None
                self.put(job)
                self._unfinished[prompt_id] = job
                self.jobs.append(job)
            self.hub.status(self.queue)
        job.pace.submitted(self, job)
        return job

    def retire(self, job: Job, outcome: str) -> None:
        """Move the running prompt, which has come to this end, to history."""
        struck = self.strike("end", job)
        lags = effect_of(HistoryLags, struck)
        with self._lock:
            job.state = outcome
            self.queue.running = None
            if lags is None:
                self.history.add(job)
            else:
                self.history.add_late(job, lags.looks, self.happens() + lags.seconds)
            self._forget(job)
        if effect_of(FilesGone, struck) is not None:
            for output in job.files():
                output.path.unlink(missing_ok=True)

    def _forget(self, job: Job) -> None:
        if self._unfinished.get(job.id) is job:
            del self._unfinished[job.id]

    # --- what clients ask of the queue

    def interrupt(self, prompt_id: str | None = None) -> bool:
        """Stop the running prompt at its next check, given an id only if it has that one."""
        with self._lock:  # or another prompt could be running by then
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
        self.history.looked_at(prompt_id, self.clock.time())

    def finish(self, job: Job | None = None) -> None:
        """Run a job to its end, and those before it; without one, all of them."""
        self.drive(lambda: job is not None and job.ended)

    def settle(self, job: Job) -> None:
        """Run a job to its end, unless one before it waits for the test, or for its time."""
        self.drive(lambda: job.ended or self.stands_still())

    def run_into(self, job: Job, part: float) -> None:
        """Run a job up to the node that lies at this part of its way; if others are before it, wait."""
        if self.queue.head is not job:
            return

        def far_enough() -> bool:
            last = job.planned - 1
            reached = job.begun > min(int(max(0.0, part) * job.planned), last)
            return job.ended or (self.queue.running is job and reached)

        self.drive(far_enough)

    def run_until(self, wanted: Callable[[Event], bool]) -> Event | None:
        """Move until a beat sent an event that is wanted; ``None`` when nothing is left to run."""
        found: list[Event] = []
        stop = self.hub.tap(lambda event: found.append(event) if wanted(event) else None)
        try:
            self.drive(lambda: bool(found))
        finally:
            stop()
        return found[0] if found else None

    def begin(self) -> Execution | None:
        """Take the next prompt from the queue; ``None`` when none waits."""
        with self._lock:
            job = self.queue.take()
            self.interrupted = False
        if job is None:
            return None
        struck = self.strike("start", job)
        if self._free_memory or effect_of(ForgetsResults, struck) is not None:
            self.cache.clear()
            self._free_memory = False
        return Execution(self, job, vanishes=effect_of(Vanishes, struck) is not None)

    def vanish(self, job: Job) -> None:
        """Know nothing of the running prompt any more."""
        with self._lock:
            self.queue.running = None
            self._lose(job)
        self.hub.status(self.queue)

    def _read(self, job: Job) -> None:
        if not job.ended:
            job.pace.read(self, job)

    # --- what goes wrong

    def strike(self, stage: str, job: Job, node_id: str | None = None, paid: bool = False) -> list[Fault]:
        """The faults that strike a job, or a node of it, which may call a paid service."""
        if not self.faults.armed(stage):
            return []
        struck = self.faults.strike(stage, JobFacts(job, node_id, paid=paid))
        job.faults += struck
        return struck

    # --- restarting

    def restart(self) -> None:
        """Lose the queue, the history, the counters and every client; what lies on disk stays.

        From inside a beat this happens at the end of it.
        """
        self.catch_up()
        self.when_free(self.forget)

    def reset(self) -> None:
        """Have no file, no fault and no record of anything."""
        self.faults.clear()
        self.jobs.clear()
        self.hub.records.clear()
        self.next_pace = None
        self.known.folders.empty()
        self.known.inventory.reset()
        self.known.catalogue.reset()
        self._latest = 0
        if self._stamps is not None:
            self._stamps.reset()

    def forget(self) -> None:
        """Be as a server that has just been started.  Only who drives may say so."""
        with self.hub.lock, self._lock:
            for job in self.queue.upcoming:
                self._lose(job)
            self.queue.forget()
            self.abandon()
            self.history.forget()
            self.cache.clear()
            self.surroundings.temp_names.clear()
            self._numbers = 0
            self._free_memory = False
        self.on_restart()

    def _lose(self, job: Job) -> None:
        job.state = LOST
        self._forget(job)


def _nobody_is_connected() -> None:
    """Stands in for whoever holds the connections of clients."""
