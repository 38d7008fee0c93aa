"""patch(): putting a stub in force, for a block, a function, a coroutine, a generator or a TestCase."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import unittest
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

from comfystub import arguments
from comfystub.arguments import ClockArgument, ImageArgument, PathLike
from comfystub.clusters import Cluster
from comfystub.engine.faults import Fault
from comfystub.engine.pacing import PaceArgument
from comfystub.server.complaints import Complaint
from comfystub.strict import complain
from comfystub.stub import Stub
from comfystub.transports import table  # noqa: F401 - fills the registry
from comfystub.transports.registry import Active, registry

#: The parameter through which a decorated function gets its stub.
PARAMETER = "comfy_stub"

#: The environment variables that send calls through a proxy.
PROXIES = tuple(
    name
    for scheme in ("http", "https", "ws", "wss", "all")
    for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
)

T = TypeVar("T")

#: The stubs that came into force lately, the latest last.
_lately: deque[weakref.ref[Stub]] = deque(maxlen=16)


def current() -> Stub:
    """The innermost stub that is in force; of a cluster, the first.

    Raises ``LookupError`` outside every ``comfystub.patch()``.
    """
    held: Stub | Cluster | None = registry.innermost()
    if held is None:
        raise LookupError("no stub is in force: this is outside every comfystub.patch()")
    return _stubs_of(held)[0]


def lately() -> list[Stub]:
    """The stubs that are in force, and those that were since ``forget`` and are still there."""
    in_force = [stub for held in registry.holders() for stub in _stubs_of(held)]
    found = [*in_force, *filter(None, (one() for one in _lately))]
    return list({id(stub): stub for stub in found}.values())


def forget() -> None:
    """Let ``lately`` begin anew."""
    _lately.clear()


#: What a block is given: a stub, or a cluster of them.
Held = TypeVar("Held", bound="Stub | Cluster")


class Patch(Generic[Held]):
    """Puts a stub in force: what ``patch`` returns; or several, as ``cluster`` does.

    ``held`` is what is put in force; without one, what ``make`` makes, anew at each entry.  ``strict``
    says whether a block that ends well raises what the stub has to complain of.
    """

    def __init__(
        self,
        make: Callable[[], Held],
        held: Held | None = None,
        *,
        unmatched: str = "pass",
        env: Mapping[str, str] | None = None,
        strict: bool = False,
    ) -> None:
        self._held = held
        self._make = make
        self._refuses_others = arguments.one_of("unmatched", ("pass", "error"), unmatched) == "error"
        self._env = arguments.environment(env)
        self.strict = strict
        # Made here so that a wrong argument is told where patch() stands, not where the first test runs.
        self._spare = [make()] if held is None else []
        self._open: list[contextlib.AbstractContextManager[Held]] = []

    @contextlib.contextmanager
    def active(self, judges: bool = True) -> Iterator[Held]:
        """A block in which a stub, fresh unless one was given, is in force.

        ``judges=False`` leaves it to the caller to be strict.
        """
        held = self._held or self._fresh()
        env = self._environment(held)
        before = {name: os.environ.get(name) for name in env}
        forgiven = _complaints_of(held)
        active = Active(held, held.origins, held._server, self._refuses_others, before, held.clock)
        held.open()
        try:
            registry.enter(active)
            _lately.extend(map(weakref.ref, _stubs_of(held)))
            try:
                os.environ.update(env)
                yield held
            finally:
                _put_back(before, registry.leave(active))
        finally:
            if held is not self._held:
                held.close()
        # Only a block that raised nothing gets here.
        if judges:
            registry.forks.tell()
        if self.strict and judges:
            complain(_complaints_of(held), forgiven)

    def _environment(self, stub: Held) -> dict[str, str]:
        """The environment variables of the duration."""
        own = {name: _filled(value, stub) for name, value in self._env.items()}
        # Without a proxy there is nothing to say, and httpx would take it for a mount of the user's.
        return {"no_proxy": _no_proxy(stub), **own} if any(map(os.environ.get, PROXIES)) else own

    def _fresh(self) -> Held:
        try:
            return self._spare.pop()
        except IndexError:
            return self._make()

    def __enter__(self) -> Held:
        block = self.active()
        held = block.__enter__()
        self._open.append(block)
        return held

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.pop().__exit__(kind, exc, trace)

    async def __aenter__(self) -> Held:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, exc, trace)

    def __call__(self, decorated: T) -> T:
        """Decorate a function, coroutine function, generator function or ``unittest.TestCase`` class.

        Raises ``TypeError`` for anything else.
        """
        result: T
        if isinstance(decorated, type):
            result = _decorate_class(decorated, self)
        elif inspect.isfunction(decorated):
            result = _decorate_function(decorated, self)
        else:
            raise TypeError(
                f"comfystub.patch() decorates functions and unittest.TestCase classes, not {decorated!r}: "
                "put it on the function itself, below @staticmethod and the like, or use it with `with`"
            )
        return result


@overload
def patch(
    base_url: str | Sequence[str] | None = None,
    *,
    stub: Stub | None = None,
    output_dir: PathLike | None = None,
    keep: bool = False,
    models: Mapping[str, Any] | None = None,
    object_info: Mapping[str, Any] | PathLike | None = None,
    profile: Mapping[str, Any] | PathLike | None = None,
    unknown_nodes: str = "reject",
    validate: bool = True,
    pace: PaceArgument = "instant",
    clock: ClockArgument = "real",
    faults: Iterable[Fault] = (),
    unmatched: str = "pass",
    env: Mapping[str, str] | None = None,
    image: ImageArgument | None = None,
    seed: int | None = None,
    version: str | None = None,
    strict: bool = False,
) -> Patch[Stub]: ...


@overload
def patch(base_url: T) -> T: ...


def patch(base_url: Any = None, **options: Any) -> Any:
    """Put a ComfyUI stub in force: calls to its addresses are answered in this process.

    Use it with ``with`` or ``async with``, which give the ``Stub``, or as a decorator, with or
    without parentheses.  Each entry, and each call of a decorated function, gets a fresh server.  A
    decorated function with a parameter ``comfy_stub`` is given the stub; in a decorated
    ``unittest.TestCase`` class it is ``self.comfy_stub``, a fresh one for each test, from before
    ``setUp`` to after the cleanups.  Elsewhere, ``current`` finds it.

    Args:
        base_url: The server's address, or a list of addresses it answers at; ``http`` or ``https``,
            with a path prefix if you like.  Left out: port 8188 of ``127.0.0.1``, ``localhost``,
            ``0.0.0.0`` and ``[::1]``.
        stub: An existing stub to put in force again, with all it has seen.
        output_dir: The folder that output nodes write to.  Left out: a temporary folder, made when
            it is first needed and removed at the exit.
        keep: Keep the temporary folder.
        models: ``{"checkpoints": ["a.safetensors"], ...}``: exactly these are installed.  Left out:
            any model name counts as installed.
        object_info: What ``GET /object_info`` of your own server answers, as a dict or the path of a
            file: its node classes take the place of the built-in ones.
        profile: A file that ``comfystub snapshot`` wrote, or what stands in it: the stub becomes that
            server, node classes, models, features, settings and all.  ``models`` and ``object_info``
            win over it.
        unknown_nodes: ``"reject"`` as ComfyUI does, or ``"accept"``: a node class that is not known
            runs as a black box that passes on what came in.
        validate: ``False`` leaves prompts unjudged: any graph is accepted.
        pace: How jobs move.  ``"instant"``: the first look (a GET of history, queue, prompt or jobs)
            finds the job done.  ``0``: done before the POST is answered.  ``N``: done at the N-th
            look, before that pending, then running.  ``"manual"``: only ``stub.step()``,
            ``stub.run_until()`` and ``stub.finish()`` move it.  A ``Timed``: it takes its time.
        clock: ``"virtual"``: the time-outs and sleeps of the code under test move the clock instead of
            waiting, and so does ``stub.clock.advance(seconds)``.  ``"real"`` is the machine's.
        unmatched: ``"pass"`` lets calls to other hosts through, ``"error"`` refuses them with the
            client library's own connection error, and with them every other TCP connection that
            Python code opens, such as that of a database driver.
        env: Environment variables for the duration; ``{url}`` and ``{output_dir}`` in a value are
            filled in.
        image: What sampling produces in place of the generated picture: a path, a Pillow image or a
            function of the ``Job`` and its ``JobNode``.  It is taken as it is, size included.
        faults: What goes wrong, from ``comfystub.faults``; each fresh server gets its own.
        version: Which ComfyUI it is: ``"0.33"``, or ``"0.8"``, whose answers differ here and there.
            Left out: the one closest to the profile, else the later one.
        seed: Makes ids, names, sids and times repeatable: two runs give the same bytes.
        strict: ``True`` raises ``StrictError`` at the exit when a prompt was rejected, a path was
            unknown or a route raised, unless the block raises something itself.

    Raises:
        ValueError: An argument's value is none of those above.
        TypeError: An argument is not known, or something was decorated that cannot be.
    """
    if callable(base_url) or hasattr(base_url, "__get__"):  # a classmethod, say, cannot be called
        return _patch(None, **options)(base_url)
    return _patch(base_url, **options)


def _patch(
    base_url: Any,
    *,
    stub: Stub | None = None,
    unmatched: str = "pass",
    env: Mapping[str, str] | None = None,
    strict: bool = False,
    **options: Any,
) -> Patch[Stub]:
    if stub is not None and not isinstance(stub, Stub):
        raise TypeError(f"stub= takes a comfystub.Stub, not {stub!r}")
    if stub is not None and (base_url is not None or options):
        raise TypeError("stub= brings its own server: give its options to Stub(...)")
    arguments.refuse_unknown("patch", options, Stub)
    make = functools.partial(Stub, base_url, **options)
    return Patch(make, stub, unmatched=unmatched, env=env, strict=strict)


def cluster(
    count: int,
    base_url: str | Sequence[str] | None = None,
    *,
    unmatched: str = "pass",
    env: Mapping[str, str] | None = None,
    strict: bool = False,
    **options: Any,
) -> Patch[Cluster]:
    """Put several ComfyUI stubs behind one load balancer in force: each call goes to the next of them.

    So a WebSocket may be opened at one server and the prompt be sent to another.  It is used as
    ``patch`` is, and gives a ``Cluster``: a sequence of its stubs.

    Args:
        count: How many servers there are.
        base_url: The balancer's address, or a list of them, as with ``patch``.
        unmatched: As with ``patch``.
        env: As with ``patch``; ``{output_dir}`` is the first server's.
        strict: As with ``patch``.
        options: Arguments of ``patch`` that every server gets: ``pace``, ``clock``, ``models``, …

    Raises:
        ValueError: Less than one server, or an argument's value that cannot be.
        TypeError: An argument that is not known.
    """
    arguments.refuse_unknown("cluster", options, Stub)
    make = functools.partial(Cluster, count, base_url, **options)
    return Patch(make, unmatched=unmatched, env=env, strict=strict)


def _complaints_of(held: Stub | Cluster) -> list[Complaint]:
    return [complaint for stub in _stubs_of(held) for complaint in stub.complaints]


def _stubs_of(held: Stub | Cluster) -> Sequence[Stub]:
    return held.stubs if isinstance(held, Cluster) else [held]


def _put_back(before: dict[str, str | None], inside: Sequence[Active]) -> None:
    """Make environment variables what they were before a stub set them.

    A stub that was entered after it and set the same variable keeps it, and puts back what this one
    would have.
    """
    for name, old in before.items():
        holder = next((active.before for active in inside if name in active.before), None)
        if holder is not None:
            holder[name] = old
        elif old is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = old


def _no_proxy(stub: Stub | Cluster) -> str:
    """The hosts that no proxy is asked for: those that are so already, and the stub's own."""
    hosts = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    if hosts == "*":
        return hosts
    return ",".join(dict.fromkeys(filter(None, [hosts, *(origin.host for origin in stub.origins)])))


def _filled(value: str, stub: Stub | Cluster) -> str:
    if "{output_dir}" in value:
        value = value.replace("{output_dir}", str(stub.output_dir))
    return value.replace("{url}", stub.url)


# --- what can be decorated

#: Calls a decorated function: with its stub, its arguments and its keyword arguments.
Inner = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def _wrap_function(call: Inner, patch: Patch[Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with patch.active() as stub:
            return call(stub, args, kwargs)

    return wrapper


def _wrap_coroutine(call: Inner, patch: Patch[Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with patch.active() as stub:
            return await call(stub, args, kwargs)

    return wrapper


def _wrap_generator(call: Inner, patch: Patch[Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with patch.active() as stub:
            return (yield from call(stub, args, kwargs))

    return wrapper


def _wrap_async_generator(call: Inner, patch: Patch[Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with patch.active() as stub:
            async with contextlib.aclosing(call(stub, args, kwargs)) as inner:
                sent, failure = None, None
                while True:
                    try:
                        item = await (inner.asend(sent) if failure is None else inner.athrow(failure))
                    except StopAsyncIteration:
                        return
                    sent, failure = None, None
                    try:
                        sent = yield item
                    except GeneratorExit:
                        raise
                    except BaseException as exc:
                        failure = exc

    return wrapper


#: What kind of function it is, and how that is wrapped; the first that applies.
WRAPPERS: Sequence[tuple[Callable[[Any], bool], Callable[[Inner, Patch[Any]], Callable[..., Any]]]] = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
    (inspect.isgeneratorfunction, _wrap_generator),
    (inspect.isfunction, _wrap_function),
)


def _decorate_function(function: Callable[..., Any], patch: Patch[Any]) -> Any:
    """Run a function with a fresh stub at each call, and give it the stub if it has a parameter for it."""
    signature = inspect.signature(function)
    wants_stub = PARAMETER in signature.parameters

    def call(stub: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(*args, **(kwargs | {PARAMETER: stub} if wants_stub else kwargs))

    wrap = next(wrap for applies, wrap in WRAPPERS if applies(function))
    wrapper: Any = functools.update_wrapper(wrap(call, patch), function)
    if wants_stub:
        # Hidden from whoever looks for fixtures by name.
        kept = [parameter for name, parameter in signature.parameters.items() if name != PARAMETER]
        wrapper.__signature__ = signature.replace(parameters=kept)
    return wrapper


#: On a decorated TestCase class: the patches it was decorated with, outermost first.
PATCHES = "__comfystub_patches__"

#: On such a TestCase: for each strict patch, its stub's complaints, and those that are forgiven.
COMPLAINTS = "__comfystub_complaints__"


def _decorate_class(cls: type, patch: Patch[Any]) -> Any:
    """Give every test of a TestCase class a fresh stub, around all that its ``run`` does."""
    if not issubclass(cls, unittest.TestCase):
        raise TypeError(
            f"comfystub.patch() decorates unittest.TestCase classes; {cls.__name__} is none: decorate its "
            "methods, or use the pytest fixture comfy_stub"
        )
    if not hasattr(cls, PATCHES):
        for name, wrap in METHODS.items():
            setattr(cls, name, wrap(getattr(cls, name)))
    setattr(cls, PATCHES, (patch, *vars(cls).get(PATCHES, ())))
    return cls


def _with_stub(method: Callable[..., Any], judges: bool) -> Callable[..., Any]:
    """Put the patches of a TestCase in force around one of its methods, a base class's outside.

    ``judges`` says whether the method may raise what a strict patch has to complain of.
    """

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            stack.callback(vars(self).pop, PARAMETER, None)
            vars(self)[COMPLAINTS] = strict = []
            for cls in reversed(type(self).__mro__):
                for patch in vars(cls).get(PATCHES, ()):
                    self.comfy_stub = held = stack.enter_context(patch.active(judges))
                    for stub in _stubs_of(held) if patch.strict else ():
                        strict.append((stub.complaints, list(stub.complaints)))
            return method(self, *args, **kwargs)

    return wrapper


def _strict_at_last(do_cleanups: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let a TestCase's last cleanup complain of what went wrong at its stubs, unless the test has failed.

    What ``run`` itself raises would end the whole suite.
    """

    @functools.wraps(do_cleanups)
    def wrapper(self: Any) -> Any:
        well = do_cleanups(self)
        # The outcome is where unittest keeps whether the test went well up to now.
        if self._outcome is None or self._outcome.success:
            for complaints, forgiven in vars(self).pop(COMPLAINTS, ()):
                self.addCleanup(complain, complaints, forgiven)
            well = do_cleanups(self)
        return well

    return wrapper


#: The methods of a TestCase that are wrapped, and how.
METHODS: Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "run": functools.partial(_with_stub, judges=False),
    "debug": functools.partial(_with_stub, judges=True),
    "doCleanups": _strict_at_last,
}
