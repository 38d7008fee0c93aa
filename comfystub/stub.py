"""The stub that a test holds."""

from __future__ import annotations

import functools
import pathlib
import random
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from comfystub import arguments
from comfystub.arguments import ImageArgument, PathLike
from comfystub.engine.engine import Engine
from comfystub.engine.events import Event
from comfystub.engine.job import Job, Output
from comfystub.engine.pacing import PaceArgument, pace_of
from comfystub.engine.validation import Known
from comfystub.media.files import Folders
from comfystub.media.pictures import Mosaic
from comfystub.nodes.catalogue import Catalogue
from comfystub.nodes.inventory import Inventory
from comfystub.server.server import Call, Server
from comfystub.transports import httpx_seam, mounts
from comfystub.transports.origins import origin_of

if TYPE_CHECKING:
    import httpx
    import responses
    import respx


class Stub:
    """A ComfyUI server in memory, and the handle that a test has on it.

    ``comfystub.patch()`` makes one and takes the same arguments; make one yourself to keep its state
    over several ``patch(stub=...)``.  Its temporary folder goes with the last reference to it.
    """

    def __init__(
        self,
        base_url: str | Sequence[str] | None = None,
        *,
        output_dir: PathLike | None = None,
        keep: bool = False,
        models: Mapping[str, Iterable[str]] | None = None,
        object_info: Mapping[str, Any] | PathLike | None = None,
        unknown_nodes: str = "reject",
        validate: bool = True,
        pace: PaceArgument = "instant",
        image: ImageArgument | None = None,
        seed: int | None = None,
        root: PathLike | None = None,
    ) -> None:
        #: The base URLs, without a trailing slash.
        self.urls = arguments.base_urls(base_url)
        self.origins = [origin_of(url) for url in self.urls]
        accepts_unknown = arguments.one_of("unknown_nodes", ("reject", "accept"), unknown_nodes) == "accept"
        output = arguments.path("output_dir", output_dir)
        folders = Folders(output=output, root=root, keep=keep, example=_example_picture)
        inventory = Inventory(arguments.models(models), folders.input_files)
        known = Known(Catalogue(object_info), inventory, folders, accepts_unknown)
        self._engine = Engine(
            known=known,
            pace=pace_of(pace),
            judges=validate,
            source=random.Random(seed),
            sample=arguments.sampler(image),
        )
        self._server = Server(self._engine)
        weakref.finalize(self, folders.remove)

    def __repr__(self) -> str:
        return f"<Stub {self.url}, {len(self.jobs)} jobs>"

    # --- where it is

    @property
    def url(self) -> str:
        """The first base URL, without a trailing slash."""
        return self.urls[0]

    @property
    def output_dir(self) -> pathlib.Path:
        """The folder that output nodes write to."""
        return self._folder("output")

    @property
    def input_dir(self) -> pathlib.Path:
        """The folder that uploads go to and LoadImage reads."""
        return self._folder("input")

    @property
    def temp_dir(self) -> pathlib.Path:
        """The folder that previews go to."""
        return self._folder("temp")

    def _folder(self, kind: str) -> pathlib.Path:
        return self._engine.known.folders.folder(kind)

    # --- what happened

    @property
    def requests(self) -> list[Call]:
        """The requests it answered, oldest first."""
        return list(self._server.calls)

    @property
    def jobs(self) -> list[Job]:
        """The prompts it accepted, in the order of arrival."""
        return list(self._engine.jobs)

    @property
    def outputs(self) -> list[Output]:
        """The files of all jobs, which run to their end first when the pace is ``"instant"``."""
        return [output for job in self.jobs for output in job.outputs]

    # --- moving it by hand

    def step(self, n: int = 1) -> int:
        """Move by ``n`` beats, whatever the pace.

        Returns how many there were: fewer when nothing is left to run.
        """
        return sum(self._engine.step() for _ in range(n))

    def run_until(self, what: str | Callable[[Event], bool]) -> Event:
        """Move until an event is sent, and to the end of its beat.

        ``what`` is the event's type, such as ``"progress"``, or a function that is given each event
        and says whether it is the one.  Returns the event.  Raises ``RuntimeError`` when nothing is
        left to run and it was not sent.
        """
        wanted = what if callable(what) else lambda event: event.type == what
        event = self._engine.run_until(wanted)
        if event is None:
            raise RuntimeError(f"the server is idle and no event was {what!r}")
        return event

    def finish(self, job: Job | None = None) -> None:
        """Run a job to its end, and those before it in the queue; without one, all of them."""
        self._engine.finish(job)

    # --- ways in

    def client(self, **options: Any) -> httpx.Client:
        """An ``httpx.Client`` that talks to this server alone, ``patch()`` or not.

        Its ``base_url`` is the stub's; ``options`` are the client's other ones.
        """
        return httpx_seam.client(self.httpx_transport(), base_url=self.url, **options)

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        """An ``httpx.AsyncClient`` that talks to this server alone, as ``client`` does."""
        return httpx_seam.async_client(self.async_httpx_transport(), base_url=self.url, **options)

    def httpx_transport(self) -> httpx.MockTransport:
        """A transport for an ``httpx.Client``: this server answers, whatever the host."""
        return httpx_seam.transport(self._server, self.origins[0].prefix)

    def async_httpx_transport(self) -> httpx.MockTransport:
        """A transport for an ``httpx.AsyncClient``: this server answers, whatever the host."""
        return httpx_seam.async_transport(self._server, self.origins[0].prefix)

    def respx_router(self, router: respx.Router | None = None) -> respx.Router:
        """Mount this server on a respx router: one catch-all route for each base URL.

        ``router`` is yours, such as the fixture ``respx_mock``; without one it is a fresh
        ``respx.mock``, to be used with ``with`` or as a decorator.  Returns the router.  The routes
        never count as uncalled.
        """
        return mounts.mount_respx(router, self.origins, self._server)

    def responses_adapter(self, mock: responses.RequestsMock | None = None) -> responses.RequestsMock:
        """Mount this server on a ``responses`` mock: one catch-all response for its base URLs.

        ``mock`` is yours; without one it is a fresh ``RequestsMock``, to be used with ``with``.
        Returns the mock.  The response never counts as unused.
        """
        return mounts.mount_responses(mock, self.origins, self._server)

    def open(self) -> None:
        """Move again after ``close``; files go to a fresh temporary folder."""
        self._engine.resume()
        self._engine.known.folders.open()

    def close(self) -> None:
        """Stand still and take the temporary folder away; what was seen stays readable."""
        self._engine.stop()
        self._engine.known.folders.close()


@functools.cache
def _example_picture() -> bytes:
    """The one picture that lies in a fresh input folder."""
    return Mosaic(b"example.png", 512, 512).png()
