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

from comfystub.engine.pacing import PaceArgument
from comfystub.stub import ImageArgument, PathLike, Stub
from comfystub.transports.registry import Active, registry

#: The parameter through which a decorated function gets its stub.
PARAMETER = "comfy_stub"

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
    """Puts a stub in force: what :func:`patch` returns."""

    def __init__(
        self,
        base_url: str | Sequence[str] | None = None,
        *,
        stub: Stub | None = None,
        unmatched: str = "pass",
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        if unmatched not in ("pass", "error"):
            raise ValueError(f"unmatched= takes 'pass' or 'error', not {unmatched!r}")
        if stub is not None and (base_url is not None or options):
            raise TypeError("stub= brings its own server: give its options to Stub(...)")
        self._stub = stub
        self._refuses_others = unmatched == "error"
        self._env = env or {}
        self._make = functools.partial(Stub, base_url, **options)
        # Made here so that a wrong argument is told where patch() stands, not where the first test runs.
        self._spare = [self._make()] if stub is None else []
        self._open: list[contextlib.AbstractContextManager[Stub]] = []

    @contextlib.contextmanager
    def active(self) -> Iterator[Stub]:
        """A block in which a stub, fresh unless one was given, is in force."""
        stub = self._stub or self._fresh()
        active = Active(stub, stub.origins, stub._server, self._refuses_others)
        stub.open()
        try:
            with _environment(self._env, stub):
                registry.enter(active)
                try:
                    yield stub
                finally:
                    registry.leave(active)
        finally:
            if stub is not self._stub:
                stub.close()

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
        function: Any = decorated
        result: T
        if isinstance(decorated, type):
            result = _decorate_class(decorated, self)
            return result
        for applies, wrap in WRAPPERS:
            if applies(function):
                result = _finish(function, wrap(function, self))
                return result
        raise TypeError(
            f"comfystub.patch() decorates functions and unittest.TestCase classes, not {decorated!r}; "
            "use it with `with`, or put it below @staticmethod and @classmethod"
        )


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

    Use it with ``with`` or ``async with``, which give the :class:`Stub`, or as a decorator, with or
    without parentheses.  Each entry, and each call of a decorated function, gets a fresh server.  A
    decorated function with a parameter ``comfy_stub`` is given the stub; in a decorated
    ``unittest.TestCase`` class it is ``self.comfy_stub``, a fresh one for each test, from before
    ``setUp`` to after the cleanups.  Elsewhere, :func:`current` finds it.

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
            client library's own connection error.
        env: Environment variables for the duration; ``{url}`` and ``{output_dir}`` in a value are
            filled in.
        image: What sampling produces in place of the generated picture: a path, a Pillow image or a
            function of the :class:`Job` and its :class:`JobNode`.  It is taken as it is, size included.
        seed: Makes prompt ids and random names repeatable.

    Raises:
        ValueError: An argument's value is none of those above.
        TypeError: An argument is not known, or something was decorated that cannot be.
    """
    if base_url is None or isinstance(base_url, (str, Sequence)):
        return Patch(base_url, **options)
    return Patch(**options)(base_url)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str], stub: Stub) -> Iterator[None]:
    """Environment variables that are set for a block, and are afterwards what they were before it."""
    before = {name: os.environ.get(name) for name in changes}
    try:
        for name, value in changes.items():
            os.environ[name] = _filled(value, stub)
        yield
    finally:
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


def _filled(value: str, stub: Stub) -> str:
    if "{output_dir}" in value:
        value = value.replace("{output_dir}", str(stub.output_dir))
    return value.replace("{url}", stub.url)


# --- what can be decorated


def _wrap_function(function: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with patch.active() as stub:
            return function(*args, **_given(function, kwargs, stub))

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with patch.active() as stub:
            return await function(*args, **_given(function, kwargs, stub))

    return wrapper


def _wrap_generator(function: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with patch.active() as stub:
            return (yield from function(*args, **_given(function, kwargs, stub)))

    return wrapper


def _wrap_async_generator(function: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        with patch.active() as stub:
            async with contextlib.aclosing(function(*args, **_given(function, kwargs, stub))) as inner:
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
WRAPPERS: Sequence[
    tuple[Callable[[Any], bool], Callable[[Callable[..., Any], Patch], Callable[..., Any]]]
] = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
    (inspect.isgeneratorfunction, _wrap_generator),
    (inspect.isfunction, _wrap_function),
)


def _given(function: Callable[..., Any], kwargs: dict[str, Any], stub: Stub) -> dict[str, Any]:
    """The keyword arguments of a call, with the stub where the function wants it."""
    return {**kwargs, PARAMETER: stub} if _wants_stub(function) else kwargs


@functools.cache
def _wants_stub(function: Callable[..., Any]) -> bool:
    return PARAMETER in inspect.signature(function).parameters


def _finish(function: Callable[..., Any], wrapper: Any) -> Any:
    """Hide the stub's parameter from whoever looks for fixtures by name."""
    if _wants_stub(function):
        signature = inspect.signature(function)
        kept = [parameter for name, parameter in signature.parameters.items() if name != PARAMETER]
        wrapper.__signature__ = signature.replace(parameters=kept)
    return wrapper


def _decorate_class(cls: type, patch: Patch) -> Any:
    """Give every test of a TestCase class a fresh stub, around all that its ``run`` does."""
    if not issubclass(cls, unittest.TestCase):
        raise TypeError(
            f"comfystub.patch() decorates unittest.TestCase classes; {cls.__name__} is none: decorate its "
            "methods, or use the pytest fixture comfy_stub"
        )
    for name in ("run", "debug"):
        setattr(cls, name, _with_stub(getattr(cls, name), patch))
    return cls


def _with_stub(method: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        with patch.active() as stub:
            outer = self.__dict__.get(PARAMETER)
            self.comfy_stub = stub
            try:
                return method(self, *args, **kwargs)
            finally:
                if outer is None:
                    del self.comfy_stub
                else:
                    self.comfy_stub = outer

    return wrapper
