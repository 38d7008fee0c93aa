"""patch(): putting a stub in force, for a block, a function, a coroutine, a generator or a TestCase."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import unittest
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

from comfystub import arguments
from comfystub.arguments import ImageArgument, PathLike
from comfystub.engine.pacing import PaceArgument
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


def current() -> Stub:
    """The innermost stub that is in force.

    Raises ``LookupError`` outside every ``comfystub.patch()``.
    """
    stub: Stub | None = registry.innermost()
    if stub is None:
        raise LookupError("no stub is in force: this is outside every comfystub.patch()")
    return stub


class Patch:
    """Puts a stub in force: what ``patch`` returns."""

    def __init__(
        self,
        base_url: str | Sequence[str] | None = None,
        *,
        stub: Stub | None = None,
        unmatched: str = "pass",
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        if stub is not None and not isinstance(stub, Stub):
            raise TypeError(f"stub= takes a comfystub.Stub, not {stub!r}")
        if stub is not None and (base_url is not None or options):
            raise TypeError("stub= brings its own server: give its options to Stub(...)")
        self._stub = stub
        self._refuses_others = arguments.one_of("unmatched", ("pass", "error"), unmatched) == "error"
        self._env = arguments.environment(env)
        arguments.refuse_unknown("patch", options, Stub)
        self._make = functools.partial(Stub, base_url, **options)
        # Made here so that a wrong argument is told where patch() stands, not where the first test runs.
        self._spare = [self._make()] if stub is None else []
        self._open: list[contextlib.AbstractContextManager[Stub]] = []

    @contextlib.contextmanager
    def active(self) -> Iterator[Stub]:
        """A block in which a stub, fresh unless one was given, is in force."""
        stub = self._stub or self._fresh()
        env = self._environment(stub)
        before = {name: os.environ.get(name) for name in env}
        active = Active(stub, stub.origins, stub._server, self._refuses_others, before)
        stub.open()
        try:
            registry.enter(active)
            try:
                os.environ.update(env)
                yield stub
            finally:
                _put_back(before, registry.leave(active))
        finally:
            if stub is not self._stub:
                stub.close()

    def _environment(self, stub: Stub) -> dict[str, str]:
        """The environment variables of the duration."""
        own = {name: _filled(value, stub) for name, value in self._env.items()}
        # Without a proxy there is nothing to say, and httpx would take it for a mount of the user's.
        return {"no_proxy": _no_proxy(stub), **own} if any(map(os.environ.get, PROXIES)) else own

    def _fresh(self) -> Stub:
        try:
            return self._spare.pop()
        except IndexError:
            return self._make()

    def __enter__(self) -> Stub:
        block = self.active()
        stub = block.__enter__()
        self._open.append(block)
        return stub

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.pop().__exit__(kind, exc, trace)

    async def __aenter__(self) -> Stub:
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
    unknown_nodes: str = "reject",
    validate: bool = True,
    pace: PaceArgument = "instant",
    unmatched: str = "pass",
    env: Mapping[str, str] | None = None,
    image: ImageArgument | None = None,
    seed: int | None = None,
) -> Patch: ...


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
        unknown_nodes: ``"reject"`` as ComfyUI does, or ``"accept"``: a node class that is not known
            runs as a black box that passes on what came in.
        validate: ``False`` leaves prompts unjudged: any graph is accepted.
        pace: How jobs move.  ``"instant"``: the first look (a GET of history, queue, prompt or jobs)
            finds the job done.  ``0``: done before the POST is answered.  ``N``: done at the N-th
            look, before that pending, then running.  ``"manual"``: only ``stub.step()``,
            ``stub.run_until()`` and ``stub.finish()`` move it.
        unmatched: ``"pass"`` lets calls to other hosts through, ``"error"`` refuses them with the
            client library's own connection error, and with them every other TCP connection that
            Python code opens, such as that of a database driver.
        env: Environment variables for the duration; ``{url}`` and ``{output_dir}`` in a value are
            filled in.
        image: What sampling produces in place of the generated picture: a path, a Pillow image or a
            function of the ``Job`` and its ``JobNode``.  It is taken as it is, size included.
        seed: Makes prompt ids and random names repeatable.

    Raises:
        ValueError: An argument's value is none of those above.
        TypeError: An argument is not known, or something was decorated that cannot be.
    """
    if callable(base_url) or hasattr(base_url, "__get__"):  # a classmethod, say, cannot be called
        return Patch(**options)(base_url)
    return Patch(base_url, **options)


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


def _no_proxy(stub: Stub) -> str:
    """The hosts that no proxy is asked for: those that are so already, and the stub's own."""
    hosts = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    if hosts == "*":
        return hosts
    return ",".join(dict.fromkeys(filter(None, [hosts, *(origin.host for origin in stub.origins)])))


def _filled(value: str, stub: Stub) -> str:
    if "{output_dir}" in value:
        value = value.replace("{output_dir}", str(stub.output_dir))
    return value.replace("{url}", stub.url)


# --- what can be decorated

#: Calls a decorated function: with its stub, its arguments and its keyword arguments.
Inner = Callable[["Stub", tuple[Any, ...], dict[str, Any]], Any]


def _wrap_function(call: Inner, patch: Patch) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with patch.active() as stub:
            return call(stub, args, kwargs)

    return wrapper


def _wrap_coroutine(call: Inner, patch: Patch) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with patch.active() as stub:
            return await call(stub, args, kwargs)

    return wrapper


def _wrap_generator(call: Inner, patch: Patch) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with patch.active() as stub:
            return (yield from call(stub, args, kwargs))

    return wrapper


def _wrap_async_generator(call: Inner, patch: Patch) -> Callable[..., Any]:
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
WRAPPERS: Sequence[tuple[Callable[[Any], bool], Callable[[Inner, Patch], Callable[..., Any]]]] = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
    (inspect.isgeneratorfunction, _wrap_generator),
    (inspect.isfunction, _wrap_function),
)


def _decorate_function(function: Callable[..., Any], patch: Patch) -> Any:
    """Run a function with a fresh stub at each call, and give it the stub if it has a parameter for it."""
    signature = inspect.signature(function)
    wants_stub = PARAMETER in signature.parameters

    def call(stub: Stub, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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


def _decorate_class(cls: type, patch: Patch) -> Any:
    """Give every test of a TestCase class a fresh stub, around all that its ``run`` does."""
    if not issubclass(cls, unittest.TestCase):
        raise TypeError(
            f"comfystub.patch() decorates unittest.TestCase classes; {cls.__name__} is none: decorate its "
            "methods, or use the pytest fixture comfy_stub"
        )
    if not hasattr(cls, PATCHES):
        for name in ("run", "debug"):
            setattr(cls, name, _with_stub(getattr(cls, name)))
    setattr(cls, PATCHES, (patch, *vars(cls).get(PATCHES, ())))
    return cls


def _with_stub(method: Callable[..., Any]) -> Callable[..., Any]:
    """Put the patches of a TestCase in force around one of its methods, a base class's outside."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        with contextlib.ExitStack() as stack:
            stack.callback(vars(self).pop, PARAMETER, None)
            for cls in reversed(type(self).__mro__):
                for patch in vars(cls).get(PATCHES, ()):
                    self.comfy_stub = stack.enter_context(patch.active())
            return method(self, *args, **kwargs)

    return wrapper
