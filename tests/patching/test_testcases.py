"""patch() on unittest.TestCase classes."""

from __future__ import annotations

import unittest
from typing import Any

import httpx
import pytest
from calls import CLIENT, URL, in_thread, named, who
from network import NetworkUsed
from workflows import text_to_image

import comfystub


def is_stubbed() -> bool:
    try:
        return CLIENT.get(f"{URL}/queue").status_code == 200
    except NetworkUsed:
        return False


def submit() -> None:
    CLIENT.post(f"{URL}/prompt", json={"prompt": text_to_image()}).raise_for_status()


def run(cls: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(cls).run(result)
    return result


@pytest.fixture
def seen() -> list[Any]:
    return []


def test_the_stub_is_there_from_before_setup_to_after_the_cleanups(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def see(self, where: str) -> None:
            seen.append((where, self.comfy_stub is comfystub.current(), is_stubbed()))

        def setUp(self) -> None:
            self.addCleanup(self.see, "cleanup")
            self.see("setUp")

        def test(self) -> None:
            self.see("test")
            with self.subTest("part"):
                self.see("part")

        def tearDown(self) -> None:
            self.see("tearDown")

    assert run(Case).wasSuccessful()
    assert seen == [(where, True, True) for where in ("setUp", "test", "part", "tearDown", "cleanup")]
    assert not is_stubbed()


def test_each_test_has_a_server_of_its_own(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def setUp(self) -> None:
            submit()

        def test_one(self) -> None:
            seen.append(len(self.comfy_stub.jobs))

        def test_two(self) -> None:
            seen.append(len(self.comfy_stub.jobs))

    assert run(Case).wasSuccessful()
    assert seen == [1, 1]


def fail() -> None:
    raise AssertionError("mine")


def error() -> None:
    raise ValueError("mine")


def skip() -> None:
    raise unittest.SkipTest("mine")


@pytest.mark.parametrize("where", ["setUp", "test", "tearDown", "cleanup"])
@pytest.mark.parametrize(
    ("how", "counts"),
    [(fail, (1, 0, 0)), (error, (0, 1, 0)), (skip, (0, 0, 1))],
    ids=["fail", "error", "skip"],
)
def test_however_a_test_ends_the_stub_is_gone_and_the_outcome_is_told(
    where: str, how: Any, counts: tuple[int, int, int]
) -> None:
    @comfystub.patch(URL)
    class Case(unittest.TestCase):
        def reach(self, place: str) -> None:
            assert is_stubbed()
            if place == where:
                how()

        def setUp(self) -> None:
            self.addCleanup(self.reach, "cleanup")
            self.reach("setUp")

        def test(self) -> None:
            self.reach("test")

        def tearDown(self) -> None:
            self.reach("tearDown")

    case, result = Case("test"), unittest.TestResult()
    case.run(result)
    assert (len(result.failures), len(result.errors), len(result.skipped)) == counts
    assert not hasattr(case, "comfy_stub")
    assert not is_stubbed()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_whole_run_ends_the_stub_too(interrupt: type[BaseException]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.TestCase):
        def setUp(self) -> None:
            raise interrupt

        def test(self) -> None: ...

    case = Case("test")
    if interrupt is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            case.run(unittest.TestResult())
    else:
        case.run(unittest.TestResult())
    assert not hasattr(case, "comfy_stub")
    assert not is_stubbed()


def test_a_class_that_is_skipped_is_skipped() -> None:
    @comfystub.patch(URL)
    @unittest.skip("not today")
    class Case(unittest.TestCase):
        def test(self) -> None: ...

    result = run(Case)
    assert [reason for _, reason in result.skipped] == ["not today"]


def test_setupclass_and_teardownclass_are_outside(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.TestCase):
        @classmethod
        def setUpClass(cls) -> None:
            cls.addClassCleanup(lambda: seen.append(is_stubbed()))
            seen.append((cls, is_stubbed(), hasattr(cls, "comfy_stub")))

        def test(self) -> None:
            seen.append(is_stubbed())

        @classmethod
        def tearDownClass(cls) -> None:
            seen.append((cls, is_stubbed(), hasattr(cls, "comfy_stub")))

    assert run(Case).wasSuccessful()
    assert seen == [(Case, False, False), True, (Case, False, False), False]


def test_debug_runs_in_the_block_and_lets_exceptions_out(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def setUp(self) -> None:
            self.addCleanup(lambda: seen.append(self.comfy_stub is comfystub.current()))

        def test(self) -> None:
            seen.append(is_stubbed())

        def test_error(self) -> None:
            error()

    case = Case("test")
    case.debug()
    assert seen == [True, True]
    assert not hasattr(case, "comfy_stub")
    with pytest.raises(ValueError, match="mine"):
        Case("test_error").debug()
    assert not is_stubbed()


def test_the_class_stays_the_class() -> None:
    class Case(unittest.TestCase):
        """What it tests."""

        def test(self) -> None: ...

    assert comfystub.patch(URL)(Case) is Case
    assert Case.run.__name__ == "run"
    assert not hasattr(unittest.TestCase.run, "__wrapped__")


def test_patch_decorates_a_class_without_parentheses(seen: list[Any]) -> None:
    @comfystub.patch
    class Case(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def test(self) -> None:
            seen.append(self.comfy_stub.url)

    assert run(Case).wasSuccessful()
    assert seen == ["http://127.0.0.1:8188"]


# --- inheritance


def test_a_subclass_is_stubbed_too_and_its_base_once(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Base(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def setUp(self) -> None:
            submit()

        def test(self) -> None:
            seen.append((type(self).__name__, len(self.comfy_stub.jobs)))

    class Sub(Base):
        def setUp(self) -> None:
            super().setUp()
            submit()

    assert run(Base).wasSuccessful()
    assert run(Sub).wasSuccessful()
    assert seen == [("Base", 1), ("Sub", 2)]


def test_the_patch_of_a_subclass_is_inside_that_of_its_base(seen: list[Any]) -> None:
    @named("base", URL, "http://base.test:8188")
    class Base(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def test(self) -> None:
            seen.append((type(self).__name__, who(), who("http://base.test:8188"), self.comfy_stub.urls[-1]))

    @named("sub", "http://sub.test:8188", URL)
    class Sub(Base): ...

    assert Sub.run is Base.run  # which is wrapped once
    assert run(Sub).wasSuccessful()
    assert run(Base).wasSuccessful()
    assert seen == [("Sub", "sub", "base", URL), ("Base", "base", "base", "http://base.test:8188")]


def test_of_several_decorators_the_lowest_is_the_innermost(seen: list[Any]) -> None:
    @named("upper", URL, "http://upper.test:8188")
    @named("lower", URL, "http://lower.test:8188")
    class Case(unittest.TestCase):
        comfy_stub: comfystub.Stub

        def test(self) -> None:
            seen.append((who(), who("http://upper.test:8188"), self.comfy_stub is comfystub.current()))

    assert run(Case).wasSuccessful()
    assert seen == [("lower", "upper", True)]


def test_a_run_of_the_subclass_own_is_kept(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Base(unittest.TestCase):
        def test(self) -> None:
            seen.append(is_stubbed())

    @comfystub.patch(URL, pace=3)
    class Sub(Base):
        def run(self, result: unittest.TestResult | None = None) -> unittest.TestResult | None:
            seen.append("own")
            return super().run(result)

    assert run(Sub).wasSuccessful()
    assert seen == ["own", True]


def test_a_method_may_have_a_patch_of_its_own(seen: list[Any]) -> None:
    @named("class")
    class Case(unittest.TestCase):
        comfy_stub: comfystub.Stub

        @named("method")
        def test(self, comfy_stub: comfystub.Stub) -> None:
            seen.append((who(), comfy_stub is comfystub.current(), comfy_stub is self.comfy_stub))

    assert run(Case).wasSuccessful()
    assert seen == [("method", True, False)]


# --- IsolatedAsyncioTestCase


def test_an_async_test_case_is_stubbed_from_asyncsetup_to_the_async_cleanups(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.IsolatedAsyncioTestCase):
        comfy_stub: comfystub.Stub

        async def see(self, where: str) -> None:
            async with httpx.AsyncClient(verify=False) as client:
                status = (await client.get(f"{URL}/queue")).status_code
            seen.append((where, self.comfy_stub is comfystub.current(), status))

        def setUp(self) -> None:
            seen.append(("setUp", self.comfy_stub is comfystub.current(), 200))

        async def asyncSetUp(self) -> None:
            self.addAsyncCleanup(self.see, "cleanup")
            await self.see("asyncSetUp")

        async def test(self) -> None:
            await self.see("test")

        async def asyncTearDown(self) -> None:
            await self.see("asyncTearDown")

    case, result = Case("test"), unittest.TestResult()
    in_thread(case.run, result)
    assert result.wasSuccessful()
    wheres = ("setUp", "asyncSetUp", "test", "asyncTearDown", "cleanup")
    assert seen == [(where, True, 200) for where in wheres]
    assert not hasattr(case, "comfy_stub")
    assert not is_stubbed()


@pytest.mark.parametrize(
    ("how", "counts"),
    [(fail, (1, 0, 0)), (error, (0, 1, 0)), (skip, (0, 0, 1))],
    ids=["fail", "error", "skip"],
)
def test_however_an_async_test_ends_the_stub_is_gone(how: Any, counts: tuple[int, int, int]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.IsolatedAsyncioTestCase):
        async def asyncSetUp(self) -> None:
            how()

        async def test(self) -> None: ...

    case, result = Case("test"), unittest.TestResult()
    in_thread(case.run, result)
    assert (len(result.failures), len(result.errors), len(result.skipped)) == counts
    assert not hasattr(case, "comfy_stub")
    assert not is_stubbed()


def test_debug_of_an_async_test_case_runs_in_the_block(seen: list[Any]) -> None:
    @comfystub.patch(URL)
    class Case(unittest.IsolatedAsyncioTestCase):
        async def test(self) -> None:
            seen.append(is_stubbed())

    in_thread(Case("test").debug)
    assert seen == [True]
    assert not is_stubbed()


def test_an_async_method_may_have_a_patch_of_its_own(seen: list[Any]) -> None:
    class Case(unittest.IsolatedAsyncioTestCase):
        @comfystub.patch(URL)
        async def test(self, comfy_stub: comfystub.Stub) -> None:
            seen.append((is_stubbed(), len(comfy_stub.requests)))

    assert in_thread(run, Case).wasSuccessful()
    assert seen == [(True, 1)]
