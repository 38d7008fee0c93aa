"""The pytest plugin: the fixture ``comfy_stub``, its marker, its ini options, its part of failure reports."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from comfystub.stub import Stub

MARKER = "comfy_stub"

#: The module that knows which stubs are in force.  It is not imported here: no stub is, before it was.
PATCHING = "comfystub.patching"

#: So many lines of a stub's timeline stand in the report of a test that failed.
REPORTED_LINES = 60

#: Whether a test has failed so far.
FAILED = pytest.StashKey[bool]()


class Option(NamedTuple):
    """An ini option ``comfystub_NAME`` that sets the argument NAME of ``patch()`` for every test."""

    name: str
    type: Any
    help: str
    read: Callable[[Any], Any]


def _pace(value: str) -> str | int:
    return int(value) if value.lstrip("-").isdigit() else value


def _pairs(lines: list[str]) -> dict[str, str]:
    pairs = [line.partition("=") for line in lines]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError(f"each line is NAME=value, not {lines!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}


OPTIONS = (
    Option("base_url", "linelist", "base URLs that the stub answers at", list),
    Option("pace", "string", "how jobs move: instant, manual or a number of looks", _pace),
    Option("validate", "bool", "whether prompts are validated", bool),
    Option("unknown_nodes", "string", "reject or accept node classes that are not known", str),
    Option("unmatched", "string", "pass or error: calls to other hosts", str),
    Option("object_info", "paths", "a saved /object_info of your own server", lambda paths: paths[0]),
    Option("image", "paths", "the picture that sampling produces", lambda paths: paths[0]),
    Option(
        "env", "linelist", "environment variables, NAME=value; {url} and {output_dir} are filled in", _pairs
    ),
    Option("seed", "string", "makes prompt ids and random names repeatable", int),
    Option("clock", "string", "real, or virtual: time moves instead of being waited for", str),
    Option("strict", "bool", "whether rejected prompts and unknown paths fail the test", bool),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    for option in OPTIONS:
        parser.addini(f"comfystub_{option.name}", option.help, type=option.type, default=None)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "comfy_stub(**patch_arguments): run the test with a ComfyUI stub in force. The arguments are those "
        "of comfystub.patch(); of several markers that give the same one, the closest wins.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test with the marker gets the fixture, whether it asks for it or not."""
    if (patching := sys.modules.get(PATCHING)) is not None:
        patching.forget()
    names = getattr(item, "fixturenames", None)
    if names is not None and MARKER not in names and item.get_closest_marker(MARKER):
        # In a list of its own: the tests that one function is parametrized to share theirs.
        item.fixturenames = [MARKER, *names]  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed tells what happened at each stub that was in force during it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
        for title, text in _sections():
            # Not among the captured output, which --show-capture may hide.
            shown: Any = report.longrepr
            if hasattr(shown, "addsection"):
                shown.addsection(title, text)
            else:
                report.sections.append((title, text))
    return report


def _sections() -> Iterator[tuple[str, str]]:
    """Title and text of what is to be said of each stub."""
    patching = sys.modules.get(PATCHING)
    stubs: list[Stub] = patching.lately() if patching is not None else []
    for stub in stubs:
        title = "comfystub" if len(stubs) == 1 else f"comfystub {stub.url}"
        lines: list[object] = [stub.timeline(last=REPORTED_LINES)]
        if stub.complaints:
            lines += ["complaints:", *(f"- {complaint}" for complaint in stub.complaints)]
        yield title, "\n".join(map(str, lines))


@pytest.fixture
def comfy_stub(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Stub]:
    """A ComfyUI server inside the test process, in force during the test: a ``comfystub.Stub``.

    Calls to port 8188 of this machine are answered by it.  Files go below ``tmp_path``.  Set it up
    with ``@pytest.mark.comfy_stub(pace=3, models=...)``, or for all tests with the ini options
    ``comfystub_pace`` and so on; both take the arguments of ``comfystub.patch()``.
    """
    import comfystub

    try:
        given = arguments(request.node)
        if "stub" not in given:  # that one has its folders
            given["root"] = tmp_path / "comfyui"
        patch = comfystub.patch(**given)
    except (TypeError, ValueError, OSError) as problem:
        pytest.fail(f"comfy_stub: {problem}", pytrace=False)
    with patch as stub:
        yield stub
        # A test that failed has a failure of its own.
        patch.strict = patch.strict and not request.node.stash.get(FAILED, False)


def arguments(item: pytest.Item) -> dict[str, Any]:
    """The arguments of ``patch()`` for a test: the ini options, then its markers, the closest last."""
    found: dict[str, Any] = {}
    for option in OPTIONS:
        name = f"comfystub_{option.name}"
        try:
            value = item.config.getini(name)
            if value is not None and value != []:
                found[option.name] = option.read(value)
        except (ValueError, pytest.UsageError) as problem:
            raise ValueError(f"{name} in the ini file: {problem}") from problem
    for marker in reversed(list(item.iter_markers(MARKER))):
        if len(marker.args) > 1:
            raise TypeError(
                f"the marker takes one argument without a name, the base URL, not {marker.args!r}"
            )
        found.update(zip(("base_url",), marker.args), **marker.kwargs)
    return found
