"""Several servers behind one address."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from comfystub.engine.job import Job, Output
from comfystub.server.balancer import Balancer
from comfystub.server.complaints import Complaint
from comfystub.server.server import Call
from comfystub.stub import Stub


class Cluster(Sequence[Stub]):
    """Servers behind a load balancer, as a sequence of stubs: ``comfystub.cluster(2)`` puts it in force.

    They have queues, histories and folders of their own, and one clock.  ``options`` are those of each
    ``Stub``; with a ``seed``, each has the next one.

    Raises ``ValueError`` for less than one server.
    """

    def __init__(
        self,
        count: int,
        base_url: str | Sequence[str] | None = None,
        *,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        if count < 1:
            raise ValueError(f"cluster() takes a number of servers from 1 on, not {count!r}")
        self.stubs: list[Stub] = []
        for number in range(count):
            own_seed = None if seed is None else seed + number
            self.stubs.append(Stub(base_url, seed=own_seed, **options))
            options["clock"] = self.stubs[0].clock
        self._server = Balancer([stub._server for stub in self.stubs])

    def __getitem__(self, index: Any) -> Any:
        return self.stubs[index]

    def __len__(self) -> int:
        return len(self.stubs)

    def __iter__(self) -> Iterator[Stub]:
        return iter(self.stubs)

    def __repr__(self) -> str:
        return f"<Cluster of {len(self)} at {self.url}>"

    @property
    def url(self) -> str:
        """The balancer's first base URL, without a trailing slash."""
        return self.stubs[0].url

    @property
    def urls(self) -> list[str]:
        """The balancer's base URLs."""
        return self.stubs[0].urls

    @property
    def origins(self) -> Any:
        return self.stubs[0].origins

    @property
    def clock(self) -> Any:
        """The clock of all servers."""
        return self.stubs[0].clock

    @property
    def output_dir(self) -> pathlib.Path:
        """The first server's folder; the others have their own."""
        return self.stubs[0].output_dir

    @property
    def requests(self) -> list[Call]:
        """The requests that they answered, server by server."""
        return [call for stub in self for call in stub.requests]

    @property
    def jobs(self) -> list[Job]:
        """The prompts that they accepted, server by server."""
        return [job for stub in self for job in stub.jobs]

    @property
    def outputs(self) -> list[Output]:
        """The files of all jobs, server by server."""
        return [output for stub in self for output in stub.outputs]

    @property
    def complaints(self) -> list[Complaint]:
        """What went wrong at any of them.  To forgive something, take it out of its stub's own list."""
        return [complaint for stub in self for complaint in stub.complaints]

    def open(self) -> None:
        """Move again after ``close``."""
        for stub in self:
            stub.open()

    def close(self) -> None:
        """Stand still, and take the temporary folders away."""
        for stub in self:
            stub.close()
