"""What is made to go wrong: effects, the conditions under which they strike, and the plan that holds them.

A fault is an effect with conditions.  The effect is data; whoever is about to do what the effect
spoils asks the plan whether it strikes, and acts on the answer.
"""

from __future__ import annotations

import difflib
import math
import random
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypedDict, TypeVar, cast

from comfystub.engine import forking
from comfystub.engine.events import Event
from comfystub.engine.job import Job, JobNode

#: What an effect can strike, and what its ``on=`` may ask for there.
_OF_CALLS = frozenset({"path", "method", "text", "job", "client", "lacks", "larger_than"})
STAGES: Mapping[str, frozenset[str]] = {
    "connection": _OF_CALLS,
    "call": _OF_CALLS,
    "start": frozenset({"text", "job", "client"}),
    "node": frozenset({"node", "value", "keyless", "text", "job", "client"}),
    "output": frozenset({"node", "value", "keyless", "text", "job", "client"}),
    "file": frozenset({"node", "value", "text", "job", "client"}),
    "end": frozenset({"text", "job", "client"}),
    "message": frozenset({"event", "node", "text", "job", "client"}),
    "delivery": frozenset({"event", "node", "text", "job", "client"}),
}


class Where(TypedDict, total=False):
    """What a fault is limited to; all that is given has to fit.

    ``path``: a call's path, and what lies below it; ``*`` stands for anything.  ``method``: a call's
    method.  ``node``: a node's class, id or title, or several of them.  ``value``: a value among the
    node's inputs.  ``keyless``: a node of a paid service whose prompt brings no key for it.  ``text``:
    a piece of a text input of the workflow.  ``job``: the number of the prompt, from 1 on, in the order
    in which they are accepted.  ``client``: the client id.  ``event``: an event's type, or a function of
    the ``Event``.  ``lacks``: the name and the value of a header that a call does not carry.
    ``larger_than``: bytes of a call's body.
    """

    path: str
    method: str
    node: str | Collection[str]
    value: Any
    keyless: bool
    text: str
    job: int
    client: str | None
    event: str | Callable[[Event], bool]
    lacks: tuple[str, str]
    larger_than: int


#: What ``on=`` takes: ``"/prompt"``, ``"POST /prompt"``, a node's class, id or title, a job's number, or
#: a ``Where``.
OnArgument = str | int | Where


class Effect:
    """What happens; ``stage`` is what it happens to."""

    stage: ClassVar[str]
    #: Whether the bytes of an answer show it, not only what they say.
    on_the_wire: ClassVar[bool] = False


E = TypeVar("E", bound=Effect)


# --- effects on jobs


@dataclass(eq=False)
class Vanishes(Effect):
    """The prompt is gone when its turn comes."""

    stage = "start"


@dataclass(eq=False)
class ForgetsResults(Effect):
    """Nothing is cached when the prompt starts."""

    stage = "start"


@dataclass(eq=False)
class NodeFails(Effect):
    """A node raises what ``make`` makes."""

    stage = "node"
    make: Callable[[], Exception]


@dataclass(eq=False)
class NodeHangs(Effect):
    """A node does not get on for so many seconds."""

    stage = "node"
    seconds: float = math.inf


@dataclass(eq=False)
class LeavesNothing(Effect):
    """An output node ends well, without a file and without an output."""

    stage = "output"


@dataclass(eq=False)
class SavingFails(Effect):
    """Writing a file raises what ``make`` makes of its path."""

    stage = "file"
    make: Callable[[str], OSError]


@dataclass(eq=False)
class HistoryLags(Effect):
    """History does not show the ended prompt for so many looks, and so many seconds."""

    stage = "end"
    looks: int = 0
    seconds: float = 0.0


@dataclass(eq=False)
class FilesGone(Effect):
    """The prompt's files are deleted as soon as it has ended."""

    stage = "end"


# --- effects on messages, and on their delivery to each client


@dataclass(eq=False)
class ServerDies(Effect):
    """The server restarts in the place of the message."""

    stage = "message"


@dataclass(eq=False)
class Dropped(Effect):
    """The message does not come."""

    stage = "delivery"


@dataclass(eq=False)
class Held(Effect):
    """The message comes after so many others, or so many seconds later."""

    stage = "delivery"
    events: int = 0
    seconds: float = 0.0


@dataclass(eq=False)
class Doubled(Effect):
    """The message comes twice."""

    stage = "delivery"


@dataclass(eq=False)
class Added(Effect):
    """Another message comes before it, or after it."""

    stage = "delivery"
    event: Event
    before: bool


@dataclass(eq=False)
class SocketEnds(Effect):
    """In the place of the message the socket is closed with a code, or breaks off without one."""

    stage = "delivery"
    code: int | None = None
    reason: str = ""
    reset: bool = False


@dataclass(eq=False)
class SocketStalls(Effect):
    """From this message on nothing comes for so many seconds."""

    stage = "delivery"
    seconds: float = math.inf


# --- conditions


class Facts(Protocol):
    """What is about to happen, as conditions ask about it."""

    def fits(self, key: str, wanted: Any) -> bool: ...


class JobFacts:
    """Facts of a job, or of a node of it.  A message that is no job's has none but its client.

    ``paid`` says whether the node calls a paid service.
    """

    def __init__(
        self, job: Job | None, node_id: str | None = None, client: Any = None, paid: bool = False
    ) -> None:
        self._job = job
        self._node_id = node_id
        self._client = client if client is not None or job is None else job.client_id
        self._paid = paid

    def fits(self, key: str, wanted: Any) -> bool:
        job, node_id = self._job, self._node_id
        if key == "client":
            return bool(self._client == wanted)
        if job is None:
            return False
        if key == "job":
            return bool(job.ordinal == wanted)
        if key == "text":
            return any(wanted in text for text in job.texts())
        return node_id is not None and self._node_fits(job, job.node(node_id), key, wanted)

    def _node_fits(self, job: Job, node: JobNode, key: str, wanted: Any) -> bool:
        if key == "value":
            return any(wanted == value for value in node.inputs.values())
        if key == "keyless":
            return bool(wanted) == (self._paid and not any(job.sensitive.values()))
        names = {wanted} if isinstance(wanted, str) else wanted
        return not {node.id, node.class_type, node.title}.isdisjoint(names)


class EventFacts(JobFacts):
    """Facts of a message on its way to a client; ``make`` makes the event, which few conditions look at."""

    def __init__(
        self, kind: str, make: Callable[[], Event], job: Job | None, node_id: str | None, client: Any
    ) -> None:
        super().__init__(job, node_id, client)
        self._kind = kind
        self._make = make

    def fits(self, key: str, wanted: Any) -> bool:
        if key != "event":
            return super().fits(key, wanted)
        return bool(wanted(self._make())) if callable(wanted) else self._kind == wanted


# --- faults


class Fault:
    """An effect, and when it strikes.

    Args:
        name: What it is called where it is shown.
        effect: What happens.
        usual: What it is limited to where ``on`` does not say anything else.
        on: What it is limited to, see ``Where``; everything without it.
        times: How often it strikes at most; without it, always.
        after: How often it lets pass what would fit.
        rate: The part of what fits that it strikes, from 0 to 1, by chance; ``patch(seed=...)``
            makes the chance repeatable.
        lasting: Seconds on the stub's clock after which it is over, from when it is given to a stub.

    Raises:
        ValueError, TypeError: A condition that cannot be, or that says nothing of what it strikes.
    """

    def __init__(
        self,
        name: str,
        effect: Effect,
        *,
        usual: Where | None = None,
        on: OnArgument | None = None,
        times: int | None = None,
        after: int = 0,
        rate: float | None = None,
        lasting: float | None = None,
    ) -> None:
        self.name = name
        self.effect = effect
        self.where = where(on, effect.stage, name, usual)
        self.times = _at_least("times", times, 1)
        self.after = _at_least("after", after, 0) or 0
        self.rate = _part(rate)
        self.lasting = _at_least("lasting", lasting, 0)
        #: How often it struck.
        self.hits = 0
        #: When it is over, as far as that is known.
        self.until = math.inf
        self._since = -math.inf
        self._passed = 0
        self._lifted = False
        self._plans: list[Faults] = []

    def __repr__(self) -> str:
        limits = "".join(f" {key}={value!r}" for key, value in self.where.items())
        return f"<fault {self.name}{limits}, struck {self.hits} times>"

    def fresh(self) -> Fault:
        """The same fault, for a server that it has not struck yet."""
        return Fault(
            self.name,
            self.effect,
            on=self.where,
            times=self.times,
            after=self.after,
            rate=self.rate,
            lasting=self.lasting,
        )

    def limit_to_job(self, number: int) -> None:
        """Strike only the prompt of that number.  Raises ``TypeError`` when it strikes no jobs."""
        self.where = where({**self.where, "job": number}, self.effect.stage, self.name)

    @property
    def in_force(self) -> bool:
        """Whether it may strike again."""
        return not self._lifted and (self.times is None or self.hits < self.times)

    def lift(self) -> None:
        """Be over: strike no more, and let go what it holds up."""
        self._lifted = True
        for plan in self._plans:
            self.until = min(self.until, plan.now())
            plan.changed()

    @property
    def lifted(self) -> bool:
        """Whether somebody lifted it: what it holds up may go on."""
        return self._lifted

    def planned(self, plan: Faults, now: float) -> None:
        """Be given to a stub."""
        self._plans.append(plan)
        self._since = now
        if self.lasting is not None:
            self.until = now + self.lasting

    def fits(self, facts: Facts, now: float) -> bool:
        """Whether its conditions fit."""
        in_time = self._since <= now <= self.until
        return in_time and all(facts.fits(key, wanted) for key, wanted in self.where.items())

    def strikes(self, chance: random.Random) -> bool:
        """Whether it strikes what fits, which it counts."""
        if not self.in_force:
            return False
        self._passed += 1
        if self._passed <= self.after or (self.rate is not None and chance.random() >= self.rate):
            return False
        self.hits += 1
        return True


class Faults(Collection[Fault]):
    """The faults of one stub, in the order in which they were given.

    Of several that fit and have the same kind of effect, the first strikes.  ``now`` is the time of what
    happens, on the stub's clock.
    """

    def __init__(self, now: Callable[[], float], chance: random.Random) -> None:
        self.now = now
        self._chance = chance
        self._all: list[Fault] = []
        self._armed: dict[str, list[Fault]] = {}
        self._on_the_wire = False
        self._lock = forking.lock(threading.RLock())
        #: Called when something that a fault held up may go on, or a new one is there.
        self.changed_for: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, fault: object) -> bool:
        return fault in self._all

    def __repr__(self) -> str:
        return repr(self._all)

    def add(self, fault: Fault) -> None:
        """Let a fault strike from now on.  Raises ``TypeError`` for what is none."""
        if not isinstance(fault, Fault):
            raise TypeError(f"a fault is one of comfystub.faults, not {fault!r}")
        with self._lock:
            fault.planned(self, self.now())
            self._all.append(fault)
        self.changed()

    def remove(self, fault: Fault) -> None:
        """Lift a fault and forget it.  Raises ``ValueError`` when it is not there."""
        with self._lock:
            self._all.remove(fault)
        fault.lift()

    def clear(self) -> None:
        """Lift and forget all of them."""
        for fault in self:
            self.remove(fault)

    def changed(self) -> None:
        """Sort what is in force by what it strikes."""
        with self._lock:
            armed: dict[str, list[Fault]] = {}
            for fault in self._all:
                if fault.in_force:
                    armed.setdefault(fault.effect.stage, []).append(fault)
            self._armed = armed
            self._on_the_wire = any(fault.effect.on_the_wire for fault in self._all if fault.in_force)
        for call in self.changed_for:
            call()

    @property
    def on_the_wire(self) -> bool:
        """Whether a call may meet something that only the bytes of its answer show."""
        return self._on_the_wire

    def armed(self, stage: str) -> bool:
        """Whether anything may strike there."""
        return stage in self._armed

    def of(self, stage: str) -> Sequence[Fault]:
        """What may strike there."""
        return self._armed.get(stage, ())

    def fit(self, stage: str, facts: Facts) -> bool:
        """Whether any of those with an ``on=`` may strike, which is not counted."""
        now = self.now()
        return any(fault.where and fault.fits(facts, now) for fault in self.of(stage))

    def strike(self, stage: str, facts: Facts, limited: bool = False) -> list[Fault]:
        """The faults that strike now, one of each kind of effect; ``limited`` are those with an ``on=``."""
        struck: list[Fault] = []
        now = self.now()
        for fault in self.of(stage):
            if limited and not fault.where:
                continue
            if type(fault.effect) in [type(one.effect) for one in struck] or not fault.fits(facts, now):
                continue
            with self._lock:  # not held while conditions, which may be a test's own functions, are asked
                if fault.strikes(self._chance):
                    struck.append(fault)
        if not all(fault.in_force for fault in struck):
            self.changed()
        return struck


# --- what on= takes


def where(on: OnArgument | None, stage: str, name: str, usual: Where | None = None) -> Where:
    """What a fault is limited to; ``usual`` holds where ``on`` says nothing else.

    Raises ``TypeError`` where that says nothing of what the fault strikes.
    """
    limits: Any = {**(usual or {}), **_limits(on, stage)}
    for key in limits:
        if key not in STAGES[stage]:
            known = STAGES[stage]
            meant = difflib.get_close_matches(key, known, 1)
            hint = f"; is it {meant[0]!r} that is meant?" if meant else ""
            takes = ", ".join(sorted(known)) if known else "nothing"
            raise TypeError(f"on= of {name}() takes {takes}, not {key!r}{hint}")
    return cast(Where, limits)


def _limits(on: OnArgument | None, stage: str) -> Where:
    if on is None:
        return {}
    if isinstance(on, bool) or not isinstance(on, (str, int, Mapping)):
        raise TypeError(f"on= takes a path, a node, a job's number or a dict, not {on!r}")
    if isinstance(on, int):
        return {"job": on}
    if isinstance(on, Mapping):
        return cast(Where, dict(on))
    method, _, path = on.rpartition(" ")
    if path.startswith("/"):
        return {"path": path, "method": method} if method else {"path": path}
    return {"event": on} if "event" in STAGES[stage] else {"node": on}


def _at_least(name: str, value: Any, least: int) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
        raise ValueError(f"{name}= takes a number from {least} on, not {value!r}")
    return value


def _part(rate: Any) -> float | None:
    if rate is None:
        return None
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"rate= takes a number from 0 to 1, not {rate!r}")
    return float(rate)


def fault_of(effect: Effect, struck: Iterable[Fault]) -> Fault:
    """The fault whose effect that is, among those that struck."""
    return next(fault for fault in struck if fault.effect is effect)


def effect_of(kind: type[E], struck: Iterable[Fault]) -> E | None:
    """The effect of a kind among the faults that struck."""
    return next((fault.effect for fault in struck if isinstance(fault.effect, kind)), None)
