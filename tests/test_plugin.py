"""The pytest plugin, in suites of its own."""

from __future__ import annotations

import inspect
import os
import pathlib
import textwrap
import typing
from collections.abc import Iterator

import pytest
from suites import GET, Run, runner

import comfystub
from comfystub import pytest_plugin


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    return runner(pytester)


# --- the fixture


def test_the_fixture_is_a_stub_that_is_in_force_during_the_test(run: Run) -> None:
    result = run(
        """
        @pytest.fixture
        def app(comfy_stub):
            assert get().status_code == 200
            yield CLIENT
            assert get().status_code == 200

        def test_one(app, comfy_stub):
            assert isinstance(comfy_stub, comfystub.Stub)
            assert comfystub.current() is comfy_stub
            assert len(comfy_stub.requests) == 1

        def test_another_has_a_server_of_its_own(comfy_stub):
            assert comfy_stub.requests == []

        def test_without_the_fixture():
            with pytest.raises(LookupError):
                comfystub.current()
        """
    )
    result.assert_outcomes(passed=3)


def test_the_stub_is_gone_after_a_test_that_failed(run: Run) -> None:
    result = run(
        """
        @pytest.fixture
        def broken(comfy_stub):
            raise ValueError("mine")

        def test_fails(comfy_stub):
            assert get().status_code == 201

        def test_errors(broken):
            pass

        def test_is_gone():
            with pytest.raises(LookupError):
                comfystub.current()
        """
    )
    result.assert_outcomes(passed=1, failed=1, errors=1)


def test_files_go_below_tmp_path(run: Run) -> None:
    result = run(
        """
        def test_it(comfy_stub, tmp_path):
            assert get("/system_stats").status_code == 200
            assert list(tmp_path.iterdir()) == []
            root = tmp_path.resolve() / "comfyui"
            assert comfy_stub.output_dir == root / "output"
            assert comfy_stub.input_dir == root / "input"
            assert comfy_stub.temp_dir == root / "temp"

        @pytest.mark.comfy_stub(output_dir="elsewhere")
        def test_with_an_output_folder(comfy_stub, tmp_path, request):
            assert comfy_stub.output_dir == request.config.rootpath.resolve() / "elsewhere"
            assert comfy_stub.input_dir == tmp_path.resolve() / "comfyui" / "input"
        """
    )
    result.assert_outcomes(passed=2)


def test_a_suite_may_build_on_the_fixture(run: Run) -> None:
    result = run(
        """
        @pytest.fixture
        def comfy_stub(comfy_stub):
            (comfy_stub.input_dir / "mine.png").write_bytes(b"")
            return comfy_stub

        @pytest.mark.comfy_stub(pace=3)
        def test_it(comfy_stub):
            assert (comfy_stub.input_dir / "mine.png").exists()
        """
    )
    result.assert_outcomes(passed=1)


def test_a_decorated_test_gets_the_stub_of_its_decorator(run: Run) -> None:
    result = run(
        """
        @comfystub.patch("http://comfy.test:8188")
        def test_it(comfy_stub, tmp_path):
            assert comfy_stub.url == "http://comfy.test:8188"
            assert comfystub.current() is comfy_stub
            assert not comfy_stub.output_dir.is_relative_to(tmp_path)

        @pytest.mark.parametrize("number", [1, 2])
        @comfystub.patch
        def test_parametrized(number, comfy_stub):
            assert comfystub.current() is comfy_stub
        """
    )
    result.assert_outcomes(passed=3)


# --- the marker


def test_the_marker_alone_turns_it_on(run: Run) -> None:
    result = run(
        """
        @pytest.mark.comfy_stub
        def test_without_the_fixture():
            assert get().status_code == 200
            assert len(comfystub.current().requests) == 1

        @pytest.mark.comfy_stub()
        class TestAll:
            def test_it(self):
                assert get().status_code == 200
        """
    )
    result.assert_outcomes(passed=2)


def test_with_the_marker_the_stub_is_there_for_every_fixture(run: Run) -> None:
    result = run(
        """
        @pytest.fixture(autouse=True)
        def checked():
            assert get().status_code == 200
            yield
            assert get().status_code == 200

        @pytest.mark.comfy_stub
        def test_it():
            assert len(comfystub.current().requests) == 1
        """
    )
    result.assert_outcomes(passed=1)


def test_the_arguments_of_markers_are_merged_and_the_closest_wins(run: Run) -> None:
    result = run(
        """
        pytestmark = [
            pytest.mark.comfy_stub("http://module.test:1", models={"checkpoints": ["module"]}),
            pytest.mark.comfy_stub(unmatched="error"),
        ]

        def served(url):
            return get("/models/checkpoints", url).json()

        def test_of_the_module():
            assert served("http://module.test:1") == ["module"]
            with pytest.raises(httpx.ConnectError):
                get(url="http://elsewhere.test")

        @pytest.mark.comfy_stub(models={"checkpoints": ["class"]})
        class TestClass:
            def test_of_the_class(self):
                assert served("http://module.test:1") == ["class"]

            @pytest.mark.comfy_stub("http://function.test:1")
            def test_of_the_function(self):
                assert served("http://function.test:1") == ["class"]
                with pytest.raises(httpx.ConnectError):
                    get(url="http://module.test:1")

            @pytest.mark.comfy_stub("http://upper.test:1", models={"checkpoints": ["upper"]})
            @pytest.mark.comfy_stub(base_url="http://lower.test:1")
            def test_of_two(self, comfy_stub):
                assert comfy_stub.urls == ["http://lower.test:1"]
                assert served("http://lower.test:1") == ["upper"]
        """
    )
    result.assert_outcomes(passed=4)


def test_a_marker_of_one_parameter_is_that_parameters_alone(run: Run) -> None:
    result = run(
        """
        @pytest.mark.parametrize(
            "stubbed",
            [False, pytest.param(True, marks=pytest.mark.comfy_stub), False],
        )
        def test_it(stubbed):
            if stubbed:
                assert get().status_code == 200
            else:
                with pytest.raises(LookupError):
                    comfystub.current()

        @pytest.mark.parametrize(
            "pace", [1, pytest.param(2, marks=pytest.mark.comfy_stub(models={"loras": ["a"]}))]
        )
        def test_arguments(pace, comfy_stub):
            assert (get("/models/loras").json() == ["a"]) is (pace == 2)
        """
    )
    result.assert_outcomes(passed=5)


def test_a_marker_may_be_added_by_a_conftest(run: Run) -> None:
    result = run(
        """
        def test_it():
            assert get("/models/loras").json() == ["a"]
        """,
        conftest="""
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.comfy_stub(models={"loras": ["a"]}))
        """,
    )
    result.assert_outcomes(passed=1)


def test_the_marker_works_on_unittest_classes_and_their_methods(run: Run) -> None:
    result = run(
        """
        import unittest

        class OneMethod(unittest.TestCase):
            @pytest.mark.comfy_stub(models={"loras": ["a"]})
            def test_marked(self):
                assert get("/models/loras").json() == ["a"]

            def test_unmarked(self):
                with pytest.raises(LookupError):
                    comfystub.current()

        @pytest.mark.comfy_stub
        class AllMethods(unittest.TestCase):
            def setUp(self):
                assert get().status_code == 200

            def test_it(self):
                assert len(comfystub.current().requests) == 1

            @pytest.mark.comfy_stub(models={"loras": ["b"]})
            def test_closest(self):
                assert get("/models/loras").json() == ["b"]

        @comfystub.patch(models={"loras": ["decorator"]})
        class Decorated(unittest.TestCase):
            @pytest.mark.comfy_stub(models={"loras": ["marker"]})
            def test_the_decorator_is_the_innermost(self):
                assert get("/models/loras").json() == ["decorator"]
                assert comfystub.current() is self.comfy_stub
        """
    )
    result.assert_outcomes(passed=5)


def test_a_stub_of_ones_own_can_be_put_in_force_by_the_marker(run: Run) -> None:
    result = run(
        """
        SHARED = comfystub.Stub(models={"loras": ["shared"]})

        @pytest.mark.comfy_stub(stub=SHARED, unmatched="error")
        class TestShared:
            def test_one(self, comfy_stub):
                assert comfy_stub is SHARED
                assert get("/models/loras").json() == ["shared"]

            def test_two(self):
                assert len(SHARED.requests) == 1
        """
    )
    result.assert_outcomes(passed=2)


# --- what is wrong is told


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        (
            "paec=3",
            "comfy_stub: patch() got an unexpected keyword argument 'paec'; is it 'pace' that is meant?",
        ),
        ("pace='fast'", "comfy_stub: pace= takes 'instant', 'manual', a number of looks from 0 on or a comfystub.Timed, not 'fast'"),
        ("'comfy.test'", "comfy_stub: a base URL looks like http://127.0.0.1:8188, not 'comfy.test'"),
        (
            "'http://a.test', 'http://b.test'",
            "comfy_stub: the marker takes one argument without a name, the base URL, not ('http://a.test', 'http://b.test')",
        ),
        ("object_info='nowhere.json'", "comfy_stub: [[]Errno 2[]] No such file or directory: 'nowhere.json'"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_an_error_of_the_test_in_one_line(run: Run, marker: str, said: str) -> None:
    result = run(
        f"""
        @pytest.mark.comfy_stub({marker})
        def test_it():
            pass

        def test_another():
            pass
        """
    )
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_it*", said, "*short test summary*"])
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")


# --- what the plugin says of itself


def test_the_fixture_is_listed_with_what_it_does(run: Run) -> None:
    result = run("", "--fixtures", "-v")
    result.stdout.fnmatch_lines(
        [
            "*fixtures defined from comfystub.pytest_plugin*",
            "comfy_stub -- *pytest_plugin.py:*",
            "    A ComfyUI server inside the test process: a ``comfystub.Stub``.",
            "    ",
            "    While the test runs, it answers the calls to port 8188 of this machine.  Files go below ``tmp_path``.",
            "    Set it up with ``@pytest.mark.comfy_stub(pace=3, models=...)``, which takes the arguments of",
            "    ``comfystub.patch()``, or for all tests with ``comfystub_pace`` in the ini file and so on, or for one",
            "    run with ``--comfystub-pace=3``.  As ``comfy_stub: comfystub.Stub``, editors know what it has.",
        ],
        consecutive=True,
    )


def test_the_first_line_of_it_is_shown_without_asking_for_more(run: Run) -> None:
    result = run("", "--fixtures")
    result.stdout.fnmatch_lines(
        [
            "comfy_stub -- *pytest_plugin.py:*",
            "    A ComfyUI server inside the test process: a ``comfystub.Stub``.",
            "",
        ],
        consecutive=True,
    )


def test_the_fixture_says_its_type() -> None:
    names = {"Iterator": Iterator, "Stub": comfystub.Stub, "pytest": pytest, "pathlib": pathlib}
    hints = typing.get_type_hints(inspect.unwrap(pytest_plugin.comfy_stub), names)
    assert hints["return"] == Iterator[comfystub.Stub]


def test_the_marker_is_listed_with_what_it_does(run: Run) -> None:
    result = run("", "--markers")
    result.stdout.fnmatch_lines(
        "@pytest.mark.comfy_stub([*][*]patch_arguments): run the test with a ComfyUI stub in force. The "
        "arguments are those of comfystub.patch(); of several markers that give the same one, the closest wins."
    )


# --- beside other plugins


def test_tests_on_several_workers_have_a_stub_each(run: Run) -> None:
    result = run(
        """
        @pytest.mark.parametrize("number", range(8))
        def test_it(number, comfy_stub, tmp_path):
            assert get().status_code == 200
            assert len(comfy_stub.requests) == 1
            assert comfy_stub.output_dir.is_relative_to(tmp_path.resolve())

        @pytest.mark.comfy_stub(pace="manual")
        def test_marker():
            assert get().status_code == 200
        """,
        "-n",
        "2",
    )
    result.assert_outcomes(passed=9)


# --- forked copies

FORKS = """
    import os

    def call_in_a_copy():
        child = os.fork()
        if not child:
            try:
                get()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
"""
#: Python 3.12 and later warn of something else.
WARN = ("-W", "default", "-W", "ignore:This process")

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")


@forks
def test_a_call_in_a_copy_is_a_warning_of_the_test(run: Run) -> None:
    result = run(FORKS + "    def test_it(comfy_stub): call_in_a_copy()", *WARN)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*warnings summary*", "test_it.py::test_it", "*ForkWarning: a forked copy of this*"]
    )


@forks
def test_where_warnings_are_errors_it_is_one(run: Run) -> None:
    result = run(FORKS + "    def test_it(comfy_stub): call_in_a_copy()", "-W", "ignore:This process")
    result.assert_outcomes(passed=1, errors=1)


@forks
def test_the_reports_of_tests_that_failed_say_so(run: Run) -> None:
    result = run(
        FORKS
        + """
    def test_fixture(comfy_stub):
        call_in_a_copy()
        assert comfy_stub.requests

    def test_block():
        with comfystub.patch() as stub:
            call_in_a_copy()
            assert stub.requests

    def test_of_something_else(comfy_stub):
        assert comfy_stub.requests
    """,
        *WARN,
    )
    result.assert_outcomes(failed=3, warnings=1)
    said = "A forked copy of this process called, too: a copy of the stub answered it."
    assert result.outlines.count(said) == 2


# --- strict


def test_strict_fails_a_test_that_went_well(run: Run) -> None:
    result = run(
        """
        @pytest.mark.comfy_stub(strict=True)
        class TestStrict:
            def test_good(self):
                get()

            def test_complaint(self):
                get("/nothing")

            def test_forgiven(self, comfy_stub):
                get("/nothing")
                comfy_stub.complaints.clear()

            def test_failing(self):
                get("/nothing")
                assert False, "of its own"

        @pytest.mark.comfy_stub
        def test_not_strict():
            get("/nothing")
        """
    )
    # What is found after the test is an error, and a test that failed has none beside its failure.
    result.assert_outcomes(passed=4, failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of TestStrict.test_complaint*",
            "E *StrictError: 1 call went wrong, and patch() is strict:",
            "E * - GET /nothing was answered 404: ComfyUI has no such path",
        ]
    )


@pytest.mark.parametrize(("ini", "errors"), [("comfystub_strict = true", 1), ("comfystub_strict = false", 0)])
def test_the_ini_file_makes_it_strict(run: Run, ini: str, errors: int) -> None:
    result = run('def test_it(comfy_stub): get("/nothing")', ini=ini)
    result.assert_outcomes(passed=1, errors=errors)


def test_a_strict_test_case_fails_once(run: Run) -> None:
    result = run(
        """
        import unittest

        @comfystub.patch(strict=True)
        class Case(unittest.TestCase):
            def test_complaint(self):
                get("/nothing")

            def test_failing(self):
                get("/nothing")
                self.fail("of its own")
        """
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["FAILED *test_complaint - *StrictError*", "FAILED *test_failing - *of its own*"]
    )


def test_the_ini_file_sets_the_clock(run: Run) -> None:
    result = run(
        """
        import time

        def test_it(comfy_stub):
            time.sleep(1000)
            assert comfy_stub.clock.elapsed == 1000
        """,
        ini="comfystub_clock = virtual",
    )
    result.assert_outcomes(passed=1)


# --- the report of a failure

FAILING = """
    @pytest.mark.comfy_stub(clock="virtual")
    def test_it():
        get("/queue")
        get("/nothing")
        print("my own words")
        assert False, "of its own"
"""

SECTION = [
    "-* comfystub -*",
    "   0.000  GET /queue    200",
    "   0.000  GET /nothing  404",
    "complaints:",
    "- GET /nothing was answered 404: ComfyUI has no such path",
]


@pytest.mark.parametrize(
    "arguments", [(), ("--show-capture=no",), ("--tb=short",), ("-n", "1")], ids=" ".join
)
def test_a_failure_comes_with_what_happened_at_the_stub(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(FAILING, *arguments)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(SECTION, consecutive=True)


def test_a_test_that_goes_well_comes_without(run: Run) -> None:
    result = run("def test_it(comfy_stub): get()", "-rA")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("-* comfystub -*")


@pytest.mark.parametrize("indent", [8, 4], ids=["inside", "after"])
def test_a_stub_of_the_tests_own_is_told(run: Run, indent: int) -> None:
    code = [
        "def test_it():",
        "    with comfystub.patch() as stub:",
        "        get()",
        " " * indent + "assert False",
    ]
    result = run("\n".join(code))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["-* comfystub -*", "   0.000  GET /queue  200"], consecutive=True)


def test_a_failure_around_a_test_is_told_too(run: Run) -> None:
    result = run(
        """
        @pytest.fixture
        def broken(comfy_stub):
            get("/queue")
            assert False

        @pytest.fixture
        def breaks(comfy_stub):
            yield
            get("/features")
            assert False

        def test_setup(broken):
            pass

        def test_teardown(breaks):
            pass
        """
    )
    result.assert_outcomes(passed=1, errors=2)
    setup = ["*ERROR at setup*", "-* comfystub -*", "   0.000  GET /queue  200"]
    teardown = ["*ERROR at teardown*", "-* comfystub -*", "   0.000  GET /features  200"]
    result.stdout.fnmatch_lines(setup + teardown)


def test_several_stubs_are_told_apart(run: Run) -> None:
    result = run(
        """
        @comfystub.patch("http://one.test")
        @comfystub.patch("http://two.test")
        def test_it():
            get(url="http://one.test")
            assert False
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["-* comfystub http://one.test -*", "   0.000  GET /queue  200", "-* comfystub http://two.test -*"],
        consecutive=True,
    )


def test_only_the_stubs_of_the_test_are_told(run: Run) -> None:
    result = run(
        """
        kept = []

        @pytest.fixture(scope="module")
        def shared():
            with comfystub.patch("http://shared.test") as stub:
                yield stub

        def test_good(shared):
            with comfystub.patch("http://other.test") as stub:
                kept.append(stub)

        def test_failing(shared):
            assert False
        """
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["-* comfystub -*", "nothing was called"], consecutive=True)


def test_of_a_long_story_the_end_is_told(run: Run) -> None:
    result = run(
        """
        def test_it(comfy_stub):
            for number in range(100):
                get(f"/models/{number}")
            assert False
        """
    )
    result.stdout.fnmatch_lines(
        ["-* comfystub -*", "… 40 lines before", "*GET /models/40 *404"], consecutive=True
    )


def test_a_failure_without_a_stub_comes_without(run: Run) -> None:
    result = run("def test_it(): assert False")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("-* comfystub *-")


def test_a_test_that_should_have_failed_tells_it_among_its_sections(run: Run) -> None:
    result = run(
        """
        @pytest.mark.xfail(strict=True)
        def test_it(comfy_stub):
            get()
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*", "-* comfystub -*", "*GET /queue  200"])


def test_a_plugin_that_is_not_there_can_be_switched_off(run: Run) -> None:
    run("def test_it(comfy_stub): assert get().status_code == 200", "-p", "no:randomly").assert_outcomes(
        passed=1
    )


def test_the_plugin_can_be_switched_off(run: Run) -> None:
    result = run("def test_it(comfy_stub): pass", "-p", "no:comfystub")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*fixture 'comfy_stub' not found*")


ASYNC = """
    async def get_async(path="/queue"):
        async with httpx.AsyncClient(verify=False) as client:
            return await client.get("http://127.0.0.1:8188" + path)

    async def test_fixture(comfy_stub):
        assert (await get_async()).status_code == 200
        assert len(comfy_stub.requests) == 1

    @pytest.mark.comfy_stub(models={"loras": ["a"]})
    async def test_marker():
        assert (await get_async("/models/loras")).json() == ["a"]

    @pytest.mark.comfy_stub(models={"loras": ["a"]})
    class TestClass:
        async def test_marker(self):
            assert (await get_async("/models/loras")).json() == ["a"]

    @comfystub.patch(models={"loras": ["a"]})
    async def test_decorator(comfy_stub):
        assert (await get_async("/models/loras")).json() == ["a"]
        assert comfystub.current() is comfy_stub
"""


def test_coroutines_on_pytest_asyncio(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(textwrap.dedent(GET) + textwrap.dedent(ASYNC))
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=4)


def test_loading_the_plugin_loads_no_client_and_no_pillow(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    heavy = "{'httpx', 'requests', 'urllib3', 'respx', 'responses', 'PIL', 'aiohttp', 'comfystub.stub'}"
    pytester.makepyfile(
        f"import sys\n\ndef test_it():\n    loaded = {heavy} & set(sys.modules)\n    assert not loaded\n"
        "\ndef test_in_force(comfy_stub):\n    loaded = set(sys.modules) & ("
        f"{heavy} - {{'comfystub.stub'}})\n    assert not loaded\n"
    )
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.runpytest_subprocess("-p", "comfystub.pytest_plugin").assert_outcomes(passed=2)
