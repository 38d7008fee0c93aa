"""patch() as a context manager and as a decorator of functions."""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import Any

import httpx
import pytest
from calls import CLIENT, URL, named, who
from network import NetworkUsed
from workflows import text_to_image

import comfystub


def is_stubbed() -> bool:
    """Whether calls are answered here; else they would leave the process."""
    try:
        return CLIENT.get(f"{URL}/queue").status_code == 200
    except NetworkUsed:
        return False


def submit(comfy_stub: comfystub.Stub) -> int:
    """How many jobs the server has after one more."""
    CLIENT.post(f"{URL}/prompt", json={"prompt": text_to_image()}).raise_for_status()
    return len(comfy_stub.jobs)


# --- with


def test_with_gives_the_stub_and_is_over_afterwards() -> None:
    assert not is_stubbed()
    with comfystub.patch(URL) as stub:
        assert isinstance(stub, comfystub.Stub)
        assert submit(stub) == 1
    assert not is_stubbed()


async def test_async_with_gives_the_stub_and_is_over_afterwards() -> None:
    async with comfystub.patch(URL) as stub:
        async with httpx.AsyncClient(verify=False) as client:
            assert (await client.get(f"{URL}/queue")).status_code == 200
        assert len(stub.requests) == 1
    assert not is_stubbed()


def test_the_default_addresses_are_those_of_a_comfyui_on_this_machine() -> None:
    with comfystub.patch() as stub:
        assert stub.url == "http://127.0.0.1:8188"
        assert len(stub.urls) == 4
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]"):
            assert CLIENT.get(f"http://{host}:8188/queue").status_code == 200
        with pytest.raises(NetworkUsed):
            CLIENT.get("http://127.0.0.1:8189/queue")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, StopIteration, GeneratorExit])
def test_an_exception_leaves_the_block_as_it_is(error: type[BaseException]) -> None:
    raised = error("mine")
    with pytest.raises(error) as caught:
        with comfystub.patch(URL):
            raise raised
    assert caught.value is raised
    assert not is_stubbed()


async def test_an_exception_leaves_the_async_block_as_it_is() -> None:
    raised = ValueError("mine")
    with pytest.raises(ValueError) as caught:
        async with comfystub.patch(URL):
            raise raised
    assert caught.value is raised
    assert not is_stubbed()


def test_each_entry_of_one_patch_gets_a_fresh_server() -> None:
    patch = comfystub.patch(URL)
    with patch as first:
        submit(first)
    with patch as second:
        assert submit(second) == 1
    assert first is not second


def test_a_patch_that_is_not_entered_changes_nothing() -> None:
    comfystub.patch(URL)
    assert not is_stubbed()


# --- decorated functions


def test_a_function_keeps_its_arguments_and_its_value() -> None:
    @comfystub.patch(URL)
    def add(a: int, *rest: int, b: int = 1, **more: int) -> tuple[Any, ...]:
        return a, rest, b, more, is_stubbed()

    assert add(1, 2, 3, b=4, c=5) == (1, (2, 3), 4, {"c": 5}, True)
    assert not is_stubbed()


def test_a_function_gets_a_fresh_stub_by_keyword_at_each_call() -> None:
    @comfystub.patch(URL)
    def job(number: int, comfy_stub: comfystub.Stub) -> tuple[int, int]:
        assert comfy_stub is comfystub.current()
        return number, submit(comfy_stub)

    assert (job(1), job(2)) == ((1, 1), (2, 1))


def test_the_stub_may_be_a_keyword_only_parameter() -> None:
    @comfystub.patch(URL)
    def job(*, comfy_stub: comfystub.Stub) -> int:
        return submit(comfy_stub)

    assert job() == 1


def test_the_parameter_is_hidden_and_the_rest_is_as_it_was() -> None:
    def job(a: int, comfy_stub: comfystub.Stub, *, b: int = 1) -> str:
        """What it does."""
        return ""

    decorated = comfystub.patch(URL)(job)
    assert str(inspect.signature(decorated)) == "(a: 'int', *, b: 'int' = 1) -> 'str'"
    assert (decorated.__name__, decorated.__doc__, decorated.__wrapped__) == ("job", "What it does.", job)


def test_without_the_parameter_the_signature_stays() -> None:
    def job(a: int, b: str = "x") -> None: ...

    assert inspect.signature(comfystub.patch(URL)(job)) == inspect.signature(job)


def test_patch_decorates_without_parentheses() -> None:
    @comfystub.patch
    def url(comfy_stub: comfystub.Stub) -> str:
        assert CLIENT.get("http://127.0.0.1:8188/queue").status_code == 200
        return comfy_stub.url

    assert url() == "http://127.0.0.1:8188"


def test_patch_with_options_decorates_what_it_is_given() -> None:
    def url(comfy_stub: comfystub.Stub) -> str:
        return comfy_stub.requests[0].path if comfy_stub.requests else comfy_stub.url

    assert comfystub.patch(url, pace=3)() == "http://127.0.0.1:8188"  # type: ignore[call-overload]


def test_an_exception_leaves_a_function_as_it_is() -> None:
    raised = ValueError("mine")

    @comfystub.patch(URL)
    def fails() -> None:
        raise raised

    with pytest.raises(ValueError) as caught:
        fails()
    assert caught.value is raised
    assert not is_stubbed()


def test_a_function_that_calls_itself_has_a_server_in_each_call() -> None:
    @comfystub.patch(URL)
    def down(depth: int, comfy_stub: comfystub.Stub) -> list[int]:
        return [submit(comfy_stub), *(down(depth - 1) if depth else []), submit(comfy_stub)]

    assert down(1) == [1, 1, 2, 2]


def test_stacked_decorators_are_all_in_force_and_give_the_innermost_stub() -> None:
    @named("upper", "http://a.test:8188")
    @named("lower", "http://b.test:8188")
    def names(comfy_stub: comfystub.Stub) -> tuple[str, str, str]:
        return comfy_stub.url, who("http://a.test:8188"), who("http://b.test:8188")

    assert names() == ("http://b.test:8188", "upper", "lower")


class Methods:
    @comfystub.patch(URL)
    def plain(self, comfy_stub: comfystub.Stub) -> tuple[Any, int]:
        return self, submit(comfy_stub)

    @staticmethod
    @comfystub.patch(URL)
    def static(comfy_stub: comfystub.Stub) -> int:
        return submit(comfy_stub)

    @classmethod
    @comfystub.patch(URL)
    def of_class(cls, comfy_stub: comfystub.Stub) -> tuple[Any, int]:
        return cls, submit(comfy_stub)


def test_methods_are_functions_too() -> None:
    methods = Methods()
    assert methods.plain() == (methods, 1)  # type: ignore[call-arg]
    assert Methods.static() == 1  # type: ignore[call-arg]
    assert methods.of_class() == (Methods, 1)  # type: ignore[call-arg]


# --- coroutines


async def test_a_coroutine_runs_in_the_block() -> None:
    @comfystub.patch(URL)
    async def job(number: int, comfy_stub: comfystub.Stub) -> tuple[int, int]:
        async with httpx.AsyncClient(verify=False) as client:
            response = await client.post(f"{URL}/prompt", json={"prompt": text_to_image()})
        assert response.status_code == 200
        return number, len(comfy_stub.jobs)

    assert inspect.iscoroutinefunction(job)
    assert (await job(1), await job(2)) == ((1, 1), (2, 1))
    assert not is_stubbed()


async def test_a_coroutine_begins_when_it_is_awaited() -> None:
    @comfystub.patch(URL)
    async def job() -> bool:
        return is_stubbed()

    waiting = job()
    assert not is_stubbed()
    assert await waiting


@comfystub.patch
async def test_a_decorated_async_test_runs_and_gets_its_stub(comfy_stub: comfystub.Stub) -> None:
    async with httpx.AsyncClient(verify=False) as client:
        assert (await client.get("http://127.0.0.1:8188/queue")).status_code == 200
    assert len(comfy_stub.requests) == 1


# --- generators


def test_a_generator_is_stubbed_from_its_first_item_to_its_end() -> None:
    @comfystub.patch(URL)
    def counted(comfy_stub: comfystub.Stub) -> Any:
        yield submit(comfy_stub)
        yield submit(comfy_stub)
        return "done"

    generator = counted()
    assert inspect.isgeneratorfunction(counted)
    assert not is_stubbed()
    assert [next(generator), is_stubbed(), next(generator)] == [1, True, 2]
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "done"
    assert not is_stubbed()
    assert list(counted()) == [1, 2]


def test_values_and_exceptions_reach_a_generator() -> None:
    @comfystub.patch(URL)
    def echo() -> Any:
        received: Any = None
        while received != "stop":
            try:
                received = yield received
            except KeyError as error:
                received = error.args[0]

    generator = echo()
    next(generator)
    assert generator.send("a") == "a"
    assert generator.throw(KeyError("b")) == "b"
    assert generator.send("c") == "c"
    raised = ValueError("mine")
    with pytest.raises(ValueError) as caught:
        generator.throw(raised)
    assert caught.value is raised
    assert not is_stubbed()


def test_closing_a_generator_ends_it_and_the_stub() -> None:
    ended = []

    @comfystub.patch(URL)
    def items() -> Any:
        try:
            yield 1
        finally:
            ended.append(is_stubbed())

    generator = items()
    next(generator)
    generator.close()
    assert ended == [True]
    assert not is_stubbed()


def test_a_decorated_generator_can_be_a_fixture_or_a_context_manager() -> None:
    @contextlib.contextmanager
    @comfystub.patch(URL)
    def served(comfy_stub: comfystub.Stub) -> Any:
        yield comfy_stub

    with served() as stub:  # type: ignore[call-arg]
        assert submit(stub) == 1
    assert not is_stubbed()


def test_two_generators_may_end_in_any_order() -> None:
    @comfystub.patch(URL)
    def items(comfy_stub: comfystub.Stub) -> Any:
        yield comfy_stub
        yield comfy_stub

    first, second = items(), items()
    one, two = next(first), next(second)
    assert (submit(two), len(one.jobs)) == (1, 0)
    first.close()
    assert submit(two) == 2
    second.close()
    assert not is_stubbed()


# --- async generators


async def test_an_async_generator_is_stubbed_from_its_first_item_to_its_end() -> None:
    @comfystub.patch(URL)
    async def counted(comfy_stub: comfystub.Stub) -> Any:
        yield submit(comfy_stub)
        yield submit(comfy_stub)

    assert inspect.isasyncgenfunction(counted)
    generator = counted()
    assert not is_stubbed()
    assert [await anext(generator), is_stubbed(), await anext(generator)] == [1, True, 2]
    with pytest.raises(StopAsyncIteration):
        await anext(generator)
    assert not is_stubbed()
    assert [item async for item in counted()] == [1, 2]


async def test_values_and_exceptions_reach_an_async_generator() -> None:
    @comfystub.patch(URL)
    async def echo() -> Any:
        received: Any = None
        while received != "stop":
            try:
                received = yield received
            except KeyError as error:
                received = error.args[0]

    generator = echo()
    await anext(generator)
    assert await generator.asend("a") == "a"
    assert await generator.athrow(KeyError("b")) == "b"
    assert await generator.asend("c") == "c"
    raised = ValueError("mine")
    with pytest.raises(ValueError) as caught:
        await generator.athrow(raised)
    assert caught.value is raised
    assert not is_stubbed()


async def test_an_async_generator_that_is_told_to_end_ends() -> None:
    @comfystub.patch(URL)
    async def until_stopped() -> Any:
        while (yield 1) != "stop":
            pass

    generator = until_stopped()
    await anext(generator)
    with pytest.raises(StopAsyncIteration):
        await generator.asend("stop")
    assert not is_stubbed()


async def test_closing_an_async_generator_ends_it_and_the_stub() -> None:
    ended = []

    @comfystub.patch(URL)
    async def items() -> Any:
        try:
            yield 1
        finally:
            ended.append(is_stubbed())

    generator = items()
    await anext(generator)
    await generator.aclose()
    assert ended == [True]
    assert not is_stubbed()


async def test_an_async_generator_that_refuses_to_close_is_told_so() -> None:
    @comfystub.patch(URL)
    async def stubborn() -> Any:
        try:
            yield 1
        except GeneratorExit:
            yield 2

    generator = stubborn()
    await anext(generator)
    with pytest.raises(RuntimeError, match="async generator ignored GeneratorExit"):
        await generator.aclose()
    assert not is_stubbed()


# --- what cannot be decorated


class Callable_:
    def __call__(self) -> None: ...


UNDECORATED = {
    "a static method": staticmethod(is_stubbed),
    "a class method": classmethod(is_stubbed),
    "a property": property(is_stubbed),
    "a partial": functools.partial(is_stubbed),
    "a partial of a coroutine function": functools.partial(test_a_coroutine_begins_when_it_is_awaited),
    "an instance": Callable_(),
    "a built-in function": len,
    "a bound method": Methods().plain,
}


@pytest.mark.parametrize("what", UNDECORATED)
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "with parentheses"])
def test_what_cannot_be_decorated_is_a_type_error_that_says_what_to_do(what: str, bare: bool) -> None:
    decorated = UNDECORATED[what]
    with pytest.raises(TypeError) as error:
        comfystub.patch(decorated) if bare else comfystub.patch()(decorated)
    assert str(error.value) == (
        f"comfystub.patch() decorates functions and unittest.TestCase classes, not {decorated!r}: put it on "
        "the function itself, below @staticmethod and the like, or use it with `with`"
    )


@pytest.mark.parametrize("bare", [True, False], ids=["bare", "with parentheses"])
def test_a_class_that_is_no_test_case_is_a_type_error_that_says_what_to_do(bare: bool) -> None:
    with pytest.raises(TypeError) as error:
        comfystub.patch(Methods) if bare else comfystub.patch()(Methods)
    assert str(error.value) == (
        "comfystub.patch() decorates unittest.TestCase classes; Methods is none: decorate its methods, or "
        "use the pytest fixture comfy_stub"
    )
