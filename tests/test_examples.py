"""Runs the examples, each in a copy of its folder and in a process of its own, as a reader would."""

import ast
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TESTS = ("test_", "conftest")
#: Warnings as errors, and without a plugin that takes long to load.
OPTIONS = ("-W", "error", "-p", "no:hypothesispytest")


@pytest.fixture
def copied(pytester):
    """Copies an example's files to the folder in which commands are run."""

    def copy(name):
        without = shutil.ignore_patterns("__pycache__", ".pytest_cache")
        shutil.copytree(EXAMPLES / name, pytester.path, ignore=without, dirs_exist_ok=True)

    return copy


@pytest.mark.parametrize(
    ("name", "file", "passed"),
    [
        ("requests_client", "test_unit.py", 14),
        ("requests_client", "test_integration.py", 14),
        ("requests_client", "test_end_to_end.py", 11),
        ("async_service", "test_painter.py", 11),
        ("pytest_suite", "test_stills.py", 16),
        ("pytest_suite", "test_custom_nodes.py", 6),
        ("documented_flows", "test_poll_history.py", 4),
        ("documented_flows", "test_wait_on_socket.py", 9),
        ("documented_flows", "test_pictures_in_frames.py", 6),
        ("documented_flows", "test_join_late.py", 7),
        ("documented_flows", "test_show_progress.py", 8),
    ],
)
def test_a_pytest_suite(copied, pytester, name, file, passed):
    copied(name)
    # pytest-asyncio warns where it is not set up, as in suites that have no coroutines.
    plugins = () if name in ("async_service", "documented_flows") else ("-p", "no:asyncio")
    result = pytester.runpytest_subprocess(*OPTIONS, *plugins, file)
    result.assert_outcomes(passed=passed)


def test_the_unittest_suite(copied, pytester):
    copied("unittest_suite")
    result = pytester.run(sys.executable, "-W", "error", "-m", "unittest", "-v")
    result.stderr.fnmatch_lines(["Ran 11 tests in *", "OK"])
    assert result.ret == 0


def test_the_unittest_suite_under_pytest(copied, pytester):
    copied("unittest_suite")
    result = pytester.runpytest_subprocess(*OPTIONS, "-p", "no:asyncio")
    result.assert_outcomes(passed=11)


def test_every_example_is_run():
    suites = {path.parent.name for path in EXAMPLES.glob("*/test_*.py")}
    assert suites == {
        "requests_client",
        "async_service",
        "unittest_suite",
        "pytest_suite",
        "documented_flows",
    }
    assert len(list(EXAMPLES.glob("*/test_*.py"))) == 12


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(EXAMPLES.rglob("*.py")) if not path.name.startswith(TESTS)],
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_applications_know_nothing_of_comfystub(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert not any(name.partition(".")[0] == "comfystub" for name in imported)
