"""The stub that a test holds."""

from __future__ import annotations

import functools
import pathlib
import random
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from comfystub import arguments, assertions, faults, prefill, timeline
from comfystub.arguments import ClockArgument, ImageArgument, PathLike
from comfystub.assertions import Nodes
from comfystub.engine.clock import Clock, RealClock, VirtualClock
from comfystub.engine.engine import Engine
from comfystub.engine.events import Event
from comfystub.engine.faults import Fault, Faults
from comfystub.engine.job import Job, Output
from comfystub.engine.pacing import PaceArgument, pace_of
from comfystub.engine.releases import RELEASES
from comfystub.engine.sessions import SocketRecord
from comfystub.engine.stamps import Stamps
from comfystub.engine.validation import Known
from comfystub.media.files import Folders
from comfystub.media.pictures import Mosaic
from comfystub.nodes.catalogue import Catalogue
from comfystub.nodes.inventory import Inventory
from comfystub.reporting import witnesses
from comfystub.server.complaints import Complaint
from comfystub.server.own_routes import Answers, handler_of
from comfystub.server.profile import profile_of
from comfystub.server.router import Router
from comfystub.server.server import Call, Server
from comfystub.styles import Styles
from comfystub.timeline import Timeline
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
        profile: Mapping[str, Any] | PathLike | None = None,
        unknown_nodes: str = "reject",
        validate: bool = True,
        pace: PaceArgument = "instant",
        clock: ClockArgument = "real",
        faults: Iterable[Fault] = (),
        image: ImageArgument | None = None,
        seed: int | None = None,
        version: str | None = None,
        root: PathLike | None = None,
    ) -> None:
        self._seed = seed
        own_faults = [arguments.fault(fault).fresh() for fault in faults]
        #: The base URLs, without a trailing slash.
        self.urls = arguments.base_urls(base_url)
        self.origins = [origin_of(url) for url in self.urls]
        #: What the server schedules by: ``time()``, and of a virtual clock ``advance(seconds)``, ``elapsed``.
        self.clock = arguments.clock(clock, seed)
        accepts_unknown = arguments.one_of("unknown_nodes", ("reject", "accept"), unknown_nodes) == "accept"
        output = arguments.path("output_dir", output_dir)
        stamps = Stamps() if seed is not None and isinstance(self.clock, RealClock) else None
        own = profile_of(profile)
        version = own.release if version is None else version
        release = RELEASES[arguments.one_of("version", tuple(RELEASES), version)]
        folders = Folders(
            output=output,
            root=root,
            keep=keep,
            example=_example_picture,
            stamp=_stamp(self.clock, stamps),
            names_common_path=release.names_common_path,
        )
        installed = own.models if models is None else models
        inventory = Inventory(arguments.models(installed), folders.input_files, own.models)
        catalogue = (
            Catalogue(own.object_info, own.snapshot) if object_info is None else Catalogue(object_info)
        )
        known = Known(catalogue, inventory, folders, accepts_unknown, release)
        self._random = random.Random(seed)
        #: How generated pictures look.
        self.styles = Styles(arguments.sampler(image), self._forget_results)
        self._engine = Engine(
            known=known,
            pace=pace_of(pace),
            judges=validate,
            source=self._random,
            look=self.styles.look,
            clock=self.clock,
            stamps=stamps,
        )
        self._server = Server(self._engine, own)
        weakref.finalize(self, folders.remove)
        for fault in own_faults:
            self.fail(fault)

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

    @property
    def sockets(self) -> list[SocketRecord]:
        """The WebSockets that clients opened, oldest first."""
        return list(self._engine.hub.records)

    @property
    def complaints(self) -> list[Complaint]:
        """What went wrong at the server, whether or not the client minded; ``patch(strict=True)`` raises it.

        These are unknown paths, rejected prompts and routes that raised; what a fault did is none.  The
        list is the stub's own: take out of it what is meant to happen.
        """
        return self._server.complaints

    @property
    def router(self) -> Router:
        """The routes it answers at."""
        return self._server.router

    def timeline(self, *, last: int | None = None) -> Timeline:
        """Calls, jobs and sockets as text, in the order of time; rich prints it in colour.

        Times are seconds on the stub's clock since the first of them.  ``last`` leaves only so many
        lines.  Nothing is moved by it, whatever the pace.
        """
        return timeline.timeline(self.requests, self.jobs, self.sockets, last)

    def report(self, path: PathLike) -> pathlib.Path:
        """Write what happened to an HTML page that needs nothing else, and return its path.

        It shows the jobs as timelines and their workflows as graphs, calls and messages with their bodies,
        and the outputs, small, with what stands in them.  Nothing is moved by it, whatever the pace.

        Args:
            path: The file, such as ``"report.html"``; its folder has to be there.

        Raises:
            ImportError: jinja2 is not installed: ``pip install 'comfystub[report]'``.
            OSError: The file cannot be written.
        """
        from comfystub.reporting import facts, page

        return page.write(path, page.of_stub(facts.gather(self)))

    # --- what should have happened

    def assert_prompted(
        self,
        nodes: Nodes | None = None,
        /,
        *,
        text: str | None = None,
        client_id: str | None = None,
        times: int | None = None,
    ) -> Job:
        """Assert that a prompt was accepted that has all that is given, and return the last such job.

        ``nodes`` are nodes by id, class or title, with the inputs that matter, as ComfyUI converted
        them: ``{"KSampler": {"seed": 7}}``.  Of several nodes of a class any one will do.  ``text`` is
        a piece of any text input.  ``times`` is how many such prompts there have to be; left out, one
        or more.  Returns ``None`` when that is 0.
        """
        __tracebackhide__ = True
        job: Job = assertions.prompted(self, nodes, text, client_id, times)
        return job

    def assert_called(
        self,
        what: str,
        *,
        times: int | None = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
    ) -> Call:
        """Assert that a call was made that has all that is given, and return the last such call.

        ``what`` is ``"/path"`` or ``"METHOD /path"``: the path and all below it, with or without
        ``/api``; ``*`` stands for any text.  ``json`` is what the body has to hold, ``params`` the
        query; of a dict, the keys that are given matter.  ``times`` is as in ``assert_prompted``.
        """
        __tracebackhide__ = True
        call: Call = assertions.called(self, what, times, json, params)
        return call

    def assert_no_errors(self) -> None:
        """Assert that clients met no error, and that no job failed or was lost.

        A prompt that was rejected is an error, in whole or in part, and so are an unknown path and a
        status from 500 on.  What a fault did is one too, and is marked.
        """
        __tracebackhide__ = True
        assertions.no_errors(self)

    def assert_all_downloaded(self) -> None:
        """Assert that clients fetched, through ``/view``, every file that jobs left in the output folder."""
        __tracebackhide__ = True
        assertions.all_downloaded(self)

    # --- what goes wrong

    @property
    def faults(self) -> Faults:
        """The faults it was given, in force or not: iterate, ``remove`` one, ``clear`` all."""
        return self._engine.faults

    def fail(self, fault: Fault | Exception | str, **options: Any) -> Fault:
        """Let something go wrong from now on; returns the fault, which counts how often it struck.

        ``fault`` is one of ``comfystub.faults``, its name with its ``options``, or an exception that a
        node is to raise, with the conditions of ``faults.error``.

        Raises ``ValueError`` for a name that is none, ``TypeError`` for what is no fault or for an
        option that it does not take.
        """
        if isinstance(fault, str):
            fault = faults.named(fault, **options)
        elif isinstance(fault, Exception):
            fault = faults.error(fault, **options)
        elif options:
            raise TypeError("fail() takes options with the name of a fault; a fault has its own")
        self._engine.faults.add(fault)
        return fault

    def next_job(self, *, pace: PaceArgument | None = None, faults: Iterable[Fault] = ()) -> None:
        """Say how the next prompt that is accepted moves, and what goes wrong with it alone.

        Raises ``ValueError`` for a pace that is none, ``TypeError`` for a fault that strikes no job.
        """
        if pace is not None:
            self._engine.next_pace = pace_of(pace)
        for fault in faults:
            fault.limit_to_job(len(self._engine.jobs) + 1)
            self.fail(fault)

    # --- the server's life

    def restart(self, *, refuses: int = 0) -> None:
        """Restart the server: its queue, history, cache, counters and connections are gone, files stay.

        Jobs that had not ended are ``"lost"``.  ``refuses`` is how many connections are refused before
        it listens again.
        """
        self._engine.restart()
        if refuses:
            self.fail(faults.refused(times=refuses))

    def reset(self) -> None:
        """Make it as new: restarted, without faults, files, settings, and without a record of anything.

        A folder given as ``output_dir=`` is left as it is, and a virtual clock where it is.  With a
        ``seed``, ids and names are those of a new one.
        """
        self._engine.restart()
        self._engine.reset()
        self._server.reset()
        self.styles.clear()
        if self._seed is not None:
            self._random.seed(self._seed)

    def fill_queue(
        self,
        count: int = 1,
        *,
        workflow: Mapping[str, Any] | None = None,
        client_id: str | None = "somebody-else",
        pace: PaceArgument | None = None,
    ) -> list[Job]:
        """Queue prompts of somebody else's, and return their jobs.

        ``workflow`` is theirs, a text-to-image workflow of twenty steps without it; ``pace`` is how
        they move, as all others without it.  With ``client_id=None`` everybody hears of their
        progress, as ComfyUI has it.

        Raises ``ValueError`` when the server does not accept the workflow.
        """
        return [prefill.submit(self._engine, workflow, client_id, pace) for _ in range(count)]

    def add_model(self, folder: str, name: str) -> None:
        """Install a model file while the server runs: lists and prompts know it from now on."""
        self._engine.known.inventory.add(folder, name)

    def add_node(
        self,
        name: str,
        run: Callable[..., Any] | None = None,
        *,
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[str] | Mapping[str, str] | str | None = None,
        output_node: bool | None = None,
        **entry: Any,
    ) -> None:
        """Have a node class, in place of one of that name if there is one.

        Args:
            name: The class type.
            run: What its nodes do: a function that is given the inputs by name and returns as a
                ComfyUI node does, a tuple with a value for each output or ``{"ui": ..., "result":
                ...}``; of one output, the value itself.  Pictures and masks are lists of Pillow
                images.  Pillow images and paths in ``ui`` are saved to the output folder.  A
                generator yields its progress, as ``(value, max)``.  What it raises is the job's
                ``execution_error``.  Left out: a node passes on what came in, type by type, and an
                output node saves the pictures among it.
            inputs: Names and types, ``{"image": "IMAGE", "factor": ("FLOAT", {"default": 2.0, "max":
                4.0}), "mode": ["fast", "good"]}``, or what a ComfyUI class returns from
                ``INPUT_TYPES``.  Left out: those of the class it replaces, or none.
            outputs: The types of its outputs, or names and types.  Left out: likewise.
            output_node: Whether it makes a prompt run.  Left out: whether it has no outputs.
            entry: What else ``/object_info`` shows of it: ``category``, ``output_is_list``,
                ``is_input_list``, …

        Raises:
            TypeError: Inputs or outputs are not of that form.
        """
        from comfystub.nodes import custom

        known = self._engine.known.catalogue.get(name)
        if known is not None and inputs is None and outputs is None:
            made = custom.replaced(known, run)
        else:
            made = custom.node_class(name, run, inputs or {}, outputs or (), output_node, **entry)
        self._engine.known.catalogue.add(made)
        self._forget_results()

    def route(self, method: str, path: str) -> Callable[[Answers], Answers]:
        """Answer at one more path, as a node pack does: ``stub.route("GET", "/pack/{name}")(function)``.

        The function is given the request, whose ``params``, ``headers``, ``body`` and ``json()`` it may
        read, and what the path's placeholders stand for, by name.  It returns what is sent as JSON, or
        text, bytes, ``None`` for an empty answer, or a pair of a status and one of these.  The path
        answers below ``/api`` too; one of ComfyUI's own is answered in its place.  Use it as a
        decorator if you like; the function itself is what it gives back.
        """

        def add(function: Answers) -> Answers:
            self._server.add_route(method.upper(), path, handler_of(function))
            return function

        return add

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

    def _forget_results(self) -> None:
        self._engine.free(memory=True)

    def open(self) -> None:
        """Move again after ``close``; files go to a fresh temporary folder."""
        self._engine.resume()
        self._engine.known.folders.open()
        for tell in witnesses.opened:
            tell(self)

    def close(self) -> None:
        """Stand still and take the temporary folder away; what was seen stays readable."""
        self._engine.stop()
        for tell in witnesses.closing:
            tell(self)
        self._engine.known.folders.close()


def _stamp(clock: Clock, stamps: Stamps | None) -> Callable[[], float] | None:
    """What time files are said to be of; ``None`` for the real one."""
    if stamps is not None:
        return stamps.next
    return clock.time if isinstance(clock, VirtualClock) else None


@functools.cache
def _example_picture() -> bytes:
    """The one picture that lies in a fresh input folder."""
    return Mosaic(b"example.png", 512, 512).png()
