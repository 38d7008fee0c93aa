"""How jobs move: what a submission and a look at the server let happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from comfystub.engine.job import Job

#: What ``pace=`` takes.
PaceArgument = str | int


class Mover(Protocol):
    """What a pace asks of the engine."""

    def finish(self, job: Job) -> None: ...

    def run_into(self, job: Job, part: float) -> None: ...


class Pace(Protocol):
    """Moves a job when something happens to it.

    ``settles`` says whether a test's look at the job lets it run to its end, ``moves`` whether a
    client that reads its socket moves it.
    """

    settles: bool
    moves: bool

    def submitted(self, engine: Mover, job: Job) -> None: ...

    def looked_at(self, engine: Mover, job: Job) -> None: ...


class Instant:
    """The first look finds the job done."""

    settles = True
    moves = True

    def submitted(self, engine: Mover, job: Job) -> None:
        """Nothing yet: the client may want to open its socket first."""

    def looked_at(self, engine: Mover, job: Job) -> None:
        engine.finish(job)


class AtOnce:
    """The job is done before its submission is answered."""

    settles = True
    moves = True

    def submitted(self, engine: Mover, job: Job) -> None:
        engine.finish(job)

    def looked_at(self, engine: Mover, job: Job) -> None:
        engine.finish(job)


class AfterLooks:
    """The job is done at the N-th look: before that it waits, then runs, further on at each look."""

    settles = False
    moves = True

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def submitted(self, engine: Mover, job: Job) -> None:
        """Only looks count."""

    def looked_at(self, engine: Mover, job: Job) -> None:
        job.looks += 1
        if job.looks >= self._looks:
            engine.finish(job)
        elif job.looks > 1 or self._looks == 2:
            engine.run_into(job, (job.looks - 2) / self._looks)


class ByHand:
    """Only the test moves the job."""

    settles = False
    moves = False

    def submitted(self, engine: Mover, job: Job) -> None:
        """Nothing: the test moves it."""

    def looked_at(self, engine: Mover, job: Job) -> None:
        """Nothing: the test moves it."""


def pace_of(pace: PaceArgument) -> Pace:
    """The pace an argument means: ``"instant"``, ``"manual"`` or a number of looks.

    Raises ``ValueError`` for anything else.
    """
    if pace == "instant":
        return Instant()
    if pace == "manual":
        return ByHand()
    if isinstance(pace, int) and not isinstance(pace, bool) and pace >= 0:
        return AfterLooks(pace) if pace else AtOnce()
    raise ValueError(f"pace= takes 'instant', 'manual' or a number of looks from 0 on, not {pace!r}")
