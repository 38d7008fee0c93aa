"""Who answers for which address, and the seams that are open as long as anybody does."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from comfystub.engine import forking
from comfystub.engine.clock import Clock, VirtualClock
from comfystub.server.connection import Connection
from comfystub.server.place import NOBODY, Place, Responder, lies_below
from comfystub.transports.callers import is_exempt
from comfystub.transports.forks import Forks
from comfystub.transports.origins import Origin
from comfystub.transports.seams import NamedSeam, Names, Seam, Seams
from comfystub.transports.virtual import virtual_time
from comfystub.transports.watcher import ImportWatcher


@dataclasses.dataclass(eq=False)
class Active:
    """A stub that is in force.

    ``holder`` is whoever opened it, ``before`` are the environment variables it set, as they were,
    ``clock`` is the server's, ``number`` grows from one that is entered to the next.
    """

    holder: Any
    origins: Sequence[Origin]
    responder: Responder
    refuses_others: bool
    before: dict[str, str | None]
    clock: Clock
    number: int = 0


class Refused(Exception):
    """A call to a host that no stub answers for, while other hosts are refused."""


class Registry:
    """The stubs in force, innermost last."""

    def __init__(self) -> None:
        self._active: list[Active] = []
        self._by_address: dict[tuple[str, int], list[Place]] = {}
        self._refuses_others = False
        self._seams = Seams()
        self._time_seams = Seams()
        self._names = Names(spared=is_exempt)
        self._modules: set[str] = set()
        self._watcher = ImportWatcher(self._modules, self._imported)
        # Clients' connections that are open, and what they were opened to.
        self._connections: weakref.WeakKeyDictionary[Connection, tuple[str, int]] = (
            weakref.WeakKeyDictionary()
        )
        self._numbers = itertools.count(1)
        self._lock = forking.lock(threading.RLock())
        #: The forked copies of this process.
        self.forks = Forks()

    def add_seam(self, seam: Seam) -> None:
        """Make a seam known; it is opened with the first stub."""
        self._seams.add(seam)
        self._modules.add(seam.module)

    def add_time_seam(self, seam: Seam) -> None:
        """Make a seam known that is opened with the first stub whose clock is virtual."""
        self._time_seams.add(seam)
        self._modules.add(seam.module)

    def enter(self, active: Active) -> None:
        """Put a stub in force."""
        with self._lock:
            if not self._active or self.forks.is_copy:
                self.forks = Forks()
            active.number = next(self._numbers)
            self._active.append(active)
            self._rebuild()
            if self._watcher not in sys.meta_path:
                sys.meta_path.insert(0, self._watcher)
            self._seams.open(active.number)
            if isinstance(active.clock, VirtualClock):
                self._enter_virtual_time(active.clock, active.number)

    def _enter_virtual_time(self, clock: VirtualClock, number: int) -> None:
        is_first = virtual_time.present is None
        virtual_time.enter(clock)
        self._time_seams.open(number)
        if is_first:
            self._names.hook(seam for seam in self._time_seams if isinstance(seam, NamedSeam))

    def leave(self, active: Active) -> list[Active]:
        """Take a stub out of force, and the hooks that were made for it; with the last one, all of them.

        Returns those that were entered after it and are in force still, outermost first.
        """
        with self._lock:
            position = self._active.index(active)
            inside = self._active[position + 1 :]
            self._active = self._active[:position] + inside
            self._rebuild()
            if isinstance(active.clock, VirtualClock):
                virtual_time.leave(active.clock)
            self._tidy()
            for connection, address in list(self._connections.items()):
                if not self._is_served(connection, address):
                    connection.close()
            return inside

    def _is_served(self, connection: Connection, address: tuple[str, int]) -> bool:
        if connection.responder is None:
            return address in self._by_address
        return any(active.responder is connection.responder for active in self._active)

    def innermost(self) -> Any:
        """The holder of the innermost stub, ``None`` without one."""
        return self._active[-1].holder if self._active else None

    def holders(self) -> list[Any]:
        """The holders of the stubs in force, innermost last."""
        return [active.holder for active in self._active]

    def find(self, host: str, port: int, path: str) -> Place | None:
        """Who answers a call; ``None`` when it goes its own way.

        Raises ``Refused`` when it may not.
        """
        places = self.at(host, port)
        if places is None:
            return None
        return next((place for place in places if lies_below(path, place.prefix)), NOBODY)

    def at(self, host: str, port: int) -> Sequence[Place] | None:
        """Who answers at an address, innermost first; ``None`` when it is not a stub's.

        Raises ``Refused`` when it may not be called.
        """
        places = self._by_address.get((host, port))
        if places is None:
            if self._refuses_others:
                raise Refused(
                    f"no stub answers for {host}:{port}, and patch(unmatched='error') refuses other hosts"
                )
            if not self._active:
                # A hook that somebody put back after the last stub had gone.
                self._tidy()
        elif self.forks.awaits_call:
            self.forks.called(host, port)
        return places

    def connect(self, host: str, port: int) -> Connection:
        """A connection to whoever answers at an address; it ends when nobody does any more."""
        connection = Connection(functools.partial(self.find, host, port))
        with self._lock:
            self._connections[connection] = host, port
        return connection

    def before_fork(self) -> None:
        """This process is about to be copied."""
        if self._active:
            self.forks.expect()

    def after_fork(self) -> None:
        """This process is a copy."""
        if self._active:
            self.forks.begin()

    def _rebuild(self) -> None:
        by_address: dict[tuple[str, int], list[Place]] = {}
        for active in reversed(self._active):
            # Of one server's addresses that lie below each other, the deeper one answers.
            for host, port, prefix in sorted(active.origins, key=lambda o: len(o.prefix), reverse=True):
                by_address.setdefault((host, port), []).append(Place(active.responder, prefix))
        self._by_address = by_address
        self._refuses_others = any(active.refuses_others for active in self._active)

    def _imported(self, module: str) -> None:
        with self._lock:
            for seams, actives in self._wanted():
                if actives:
                    seams.open(actives[0].number, module)

    def _wanted(self) -> tuple[tuple[Seams, list[Active]], ...]:
        """The seams, and for which of the stubs in force they are open."""
        virtual = [active for active in self._active if isinstance(active.clock, VirtualClock)]
        return (self._seams, self._active), (self._time_seams, virtual)

    def _tidy(self) -> None:
        """Take away what serves nobody any more."""
        with self._lock:
            if not self._active and self._watcher in sys.meta_path:
                sys.meta_path.remove(self._watcher)
            for seams, actives in self._wanted():
                seams.close(actives[-1].number if actives else 0)
            if virtual_time.present is None:
                self._names.put_back()


#: The process has one set of seams, so it has one registry.
registry = Registry()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=registry.before_fork, after_in_child=registry.after_fork)
