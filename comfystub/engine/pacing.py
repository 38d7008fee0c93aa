"""How jobs move: what a submission and a look at the server let happen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Union

if TYPE_CHECKING:
    from comfystub.engine.job import Job

#: What ``pace=`` takes.
PaceArgument = Union[str, int, "Timed"]


#: Kinds of work: a node that loads a model, one that reports steps, any other, and a step.
LOADS, SAMPLES, RUNS, STEP = "loads", "samples", "runs", "step"


class Work(NamedTuple):
    """What the worker does between a beat and the next one."""

    kind: str
    node_id: str
    class_type: str


class Mover(Protocol):
    """What a pace asks of the engine."""

    def settle(self, job: Job) -> None: ...

    def run_into(self, job: Job, part: float) -> None: ...

    def catch_up(self) -> None: ...


class Pace:
    """Moves a job when something happens to it: a submission, a look, a test that reads the job.

    This one leaves all of it to the test.
    """

    #: Whether a client that reads its socket moves the job.
    moves = False
    #: Whether a beat comes when its time has come, with nobody's doing.
    timed = False

    def submitted(self, engine: Mover, job: Job) -> None:
        """The job was accepted."""

    def looked_at(self, engine: Mover, job: Job) -> None:
        """A client looked at the job."""

    def read(self, engine: Mover, job: Job) -> None:
        """The test reads what became of the job."""

    def seconds(self, work: Work) -> float:
        """How long the worker takes, on the stub's clock."""
        return 0.0


class ByHand(Pace):
    """Only the test moves the job."""


class Instant(Pace):
    """The first look finds the job done.  Until then, the client may open its socket."""

    moves = True

    def looked_at(self, engine: Mover, job: Job) -> None:
        engine.settle(job)

    def read(self, engine: Mover, job: Job) -> None:
        engine.settle(job)


class AtOnce(Instant):
    """The job is done before its submission is answered."""

    def submitted(self, engine: Mover, job: Job) -> None:
        engine.settle(job)


class AfterLooks(Pace):
    """The job is done at the N-th look: before that it waits, then runs, further on at each look."""

    moves = True

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def looked_at(self, engine: Mover, job: Job) -> None:
        job.looks += 1
        if job.looks >= self._looks:
            engine.settle(job)
        elif job.looks > 1 or self._looks == 2:
            engine.run_into(job, (job.looks - 2) / self._looks)


class Timed(Pace):
    """Jobs take their time, on the stub's clock: ``patch(pace=comfystub.Timed(load=8.0, step=0.4))``.

    A job begins when it is submitted, or when the one before it is over.  A node whose result is cached
    takes no time.

    Args:
        load: Seconds of a node that loads a model.
        step: Seconds of each step of a sampler.
        node: Seconds of every other node.
        nodes: Seconds of single nodes, by class or by id, in place of the above; of a sampler, what
            it takes before its first step.

    Raises:
        ValueError: A number of seconds below 0.
        TypeError: What is no number.
    """

    moves = True
    timed = True

    def __init__(
        self,
        load: float = 8.0,
        step: float = 0.4,
        node: float = 0.1,
        *,
        nodes: Mapping[str, float] | None = None,
    ) -> None:
        self._load = _seconds("load", load)
        self._step = _seconds("step", step)
        self._node = _seconds("node", node)
        self._nodes = {name: _seconds(f"nodes[{name!r}]", value) for name, value in (nodes or {}).items()}

    def __repr__(self) -> str:
        given = f", nodes={self._nodes}" if self._nodes else ""
        return f"Timed(load={self._load}, step={self._step}, node={self._node}{given})"

    def looked_at(self, engine: Mover, job: Job) -> None:
        engine.catch_up()

    def read(self, engine: Mover, job: Job) -> None:
        engine.catch_up()

    def seconds(self, work: Work) -> float:
        if work.kind == STEP:
            return self._step
        usual = {LOADS: self._load, SAMPLES: 0.0, RUNS: self._node}[work.kind]
        own = self._nodes.get(work.node_id, self._nodes.get(work.class_type, usual))
        return own + self._step if work.kind == SAMPLES else own


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}= takes a number of seconds, not {value!r}")
    if not value >= 0:
        raise ValueError(f"{name}= takes a number of seconds from 0 on, not {value!r}")
    return float(value)


def pace_of(pace: PaceArgument) -> Pace:
    """The pace an argument means: ``"instant"``, ``"manual"``, a number of looks or a ``Timed``.

    Raises ``ValueError`` for anything else.
    """
    if isinstance(pace, Timed):
        return pace
    if pace == "instant":
        return Instant()
    if pace == "manual":
        return ByHand()
    if isinstance(pace, int) and not isinstance(pace, bool) and pace >= 0:
        return AfterLooks(pace) if pace else AtOnce()
    raise ValueError(
        f"pace= takes 'instant', 'manual', a number of looks from 0 on or a comfystub.Timed, not {pace!r}"
    )
