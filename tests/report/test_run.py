"""``pytest --comfystub-report``: one page for a run, in one process or several."""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest

from . import chromium
from .pages import Parsed

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples"

SUITE = """
    import comfystub
    import httpx
    import pytest

    URL = "http://127.0.0.1:8188"

    def test_with_the_fixture(comfy_stub):
        comfy_stub.fill_queue()
        comfy_stub.finish()

    def test_that_fails(comfy_stub):
        httpx.get(URL + "/promt")
        assert "this" == "that"

    def test_without():
        pass

    def test_with_a_block():
        with comfystub.patch() as stub:
            stub.fill_queue()
            stub.finish()

    def test_with_a_stub_of_its_own():
        with comfystub.patch(stub=comfystub.Stub()):
            httpx.get(URL + "/queue")

    @pytest.fixture
    def broken(comfy_stub):
        yield
        raise ValueError("broken")

    def test_that_ends_badly(broken):
        httpx.get(URL + "/queue")

    @pytest.mark.xfail
    def test_that_is_meant_to_fail(comfy_stub):
        assert httpx.get(URL + "/queue").status_code == 201

    @pytest.mark.skip
    def test_that_is_skipped(comfy_stub):
        pass
"""

WITHOUT = ("-p", "no:hypothesispytest", "-p", "no:asyncio", "-W", "error")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]")
    pytester.makepyfile(test_it=SUITE)
    return pytester


def run(pytester: pytest.Pytester, *arguments: str) -> tuple[pytest.RunResult, Parsed]:
    """Run a suite in a process of its own; what it says, and its report."""
    result = pytester.runpytest_subprocess(*WITHOUT, "--comfystub-report=report", *arguments)
    path = pytester.path / "report" / "index.html"
    result.stdout.fnmatch_lines([f"comfystub report: {path}"])
    return result, Parsed(path.read_text(encoding="utf-8"))


def index_of(parsed: Parsed) -> list[tuple[str, str]]:
    """The tests of the index, with their outcomes."""
    (index,) = parsed.all("ol", cls="index")
    return re.findall(r"(\w+) test_\w+\.py::(\w+)", index.text)


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["one", "two"])
def test_one_page_for_all(suite: pytest.Pytester, processes: tuple[str, ...]) -> None:
    result, parsed = run(suite, *processes)
    result.assert_outcomes(passed=5, failed=1, errors=1, xfailed=1, skipped=1)
    assert index_of(parsed) == [
        ("failed", "test_that_fails"),
        ("error", "test_that_ends_badly"),
        ("xfailed", "test_that_is_meant_to_fail"),
        ("passed", "test_with_a_block"),
        ("passed", "test_with_a_stub_of_its_own"),
        ("passed", "test_with_the_fixture"),
    ]
    whole = parsed.all("main")[0].text
    assert whole.startswith("6 tests with a stub 2 tests without one.")
    assert "GET /promt was answered 404" in whole
    assert "AssertionError: assert 'this' == 'that'" in whole
    assert "ValueError: broken" in whole
    # Of the block, the folder is gone by now; the pictures were seen before.
    assert len(parsed.all("img")) >= 4
    assert "gone" not in whole
    opened = [one.text for one in parsed.all("details", cls="test") if "open" in one.attributes]
    assert [text.split("::")[1].split()[0] for text in opened] == ["test_that_fails", "test_that_ends_badly"]


def test_of_a_stub_that_tests_share_each_has_its_own(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_it="""
        import comfystub
        import httpx
        import pytest

        @pytest.fixture(scope="module", autouse=True)
        def shared():
            with comfystub.patch() as stub:
                yield stub

        def test_one(shared):
            httpx.get(shared.url + "/queue")

        def test_other(shared):
            httpx.get(shared.url + "/history")
            httpx.get(shared.url + "/prompt")

        def test_none(shared):
            pass
        """
    )
    _, parsed = run(suite)
    assert index_of(parsed) == [("passed", "test_one"), ("passed", "test_other")]
    one, other = parsed.all("details", cls="test")
    assert "GET /queue" in one.text and "GET /history" not in one.text
    assert "GET /queue" not in other.text and "GET /prompt" in other.text


def test_of_a_cluster_each_server_has_a_part(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_it="""
        import comfystub
        import httpx

        def test_it():
            with comfystub.cluster(2):
                for _ in range(2):
                    httpx.get("http://127.0.0.1:8188/queue")
        """
    )
    _, parsed = run(suite)
    assert len(parsed.all("section", cls="stub")) == 2


def test_a_suite_without_stubs(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it="def test_it():\n    pass")
    _, parsed = run(suite)
    assert parsed.all("main")[0].text == "0 tests with a stub 1 test without one."


def test_without_the_option_there_is_no_page(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess(*WITHOUT)
    result.stdout.no_fnmatch_line("comfystub report*")
    assert list(suite.path.rglob("*.html")) == []


def test_without_the_template_engine_it_says_what_to_install(suite: pytest.Pytester) -> None:
    suite.makepyfile(jinja2="raise ImportError('not there')")
    result = suite.runpytest_subprocess(*WITHOUT, "-p", "no:cacheprovider", "--comfystub-report=report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --comfystub-report: *pip install 'comfystub*report*'"])


# --- the examples


@pytest.mark.parametrize("name", ["pytest_suite", "documented_flows"])
def test_an_example_in_chromium(pytester: pytest.Pytester, tmp_path: pathlib.Path, name: str) -> None:
    without = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    shutil.copytree(EXAMPLES / name, pytester.path, ignore=without, dirs_exist_ok=True)
    options = ("-p", "no:hypothesispytest", "-W", "error", "--comfystub-report=report")
    plugins = () if name == "documented_flows" else ("-p", "no:asyncio")
    result = pytester.runpytest_subprocess(*options, *plugins)
    assert result.ret == 0
    path = pytester.path / "report" / "index.html"
    parsed = Parsed(path.read_text(encoding="utf-8"))
    assert len(parsed.all("details", cls="test")) > 20
    assert {outcome for outcome, _ in index_of(parsed)} == {"passed"}
    browser = chromium.found()
    if browser is None:
        pytest.skip("there is no Chromium")
    with chromium.running(browser, tmp_path) as running:
        seen = running.open(path)
        seen.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        widths = seen.evaluate(
            "Promise.all([...document.images].map((one) => one.decode().then(() => one.naturalWidth)))"
        )
        assert len(widths) > 10 and 0 not in widths
        assert seen.problems() == []
