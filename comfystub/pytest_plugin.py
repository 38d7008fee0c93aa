"""The pytest plugin: the fixture ``comfy_stub``, its marker, its options, its part of failure reports."""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import comfystub

if TYPE_CHECKING:
    from comfystub.stub import Stub

MARKER = "comfy_stub"

#: The module that knows which stubs are in force.  It is not imported here: no stub is, before it was.
PATCHING = "comfystub.patching"

#: So many lines of a stub's timeline stand in the report of a test that failed.
REPORTED_LINES = 60

#: Whether a test has failed so far.
FAILED = pytest.StashKey[bool]()

#: What the options say, as arguments of ``patch()`` for every test.
DEFAULTS = pytest.StashKey[dict[str, Any]]()

#: The arguments that ``patch(stub=...)`` takes beside it; a stub has all others already.
BESIDE_A_STUB = ("unmatched", "env", "strict")


class Option(NamedTuple):
    """An option that sets the argument NAME of ``patch()`` for every test.

    It is ``comfystub_NAME`` in the ini file, where ``type`` is its type, and ``--comfystub-NAME`` on the
    command line.  ``read`` makes the argument of what pytest read.
    """

    name: str
    type: Any
    help: str
    read: Callable[[Any], Any] = str

    @property
    def ini(self) -> str:
        return f"comfystub_{self.name}"

    @property
    def flag(self) -> str:
        return f"--comfystub-{self.name.replace('_', '-')}"


def _pace(value: str) -> str | int:
    return int(value) if value.lstrip("-").isdigit() else value


def _seed(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"seed= takes a whole number, not {value!r}") from None


def _pairs(lines: list[str]) -> dict[str, str]:
    pairs = [line.partition("=") for line in lines]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError(f"each line is NAME=value, not {lines!r}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _path(paths: list[Any]) -> Any:
    return paths[0]


OPTIONS = (
    Option("base_url", "linelist", "a base URL that the stub answers at", list),
    Option("pace", "string", "how jobs move: instant, manual or a number of looks", _pace),
    Option("validate", "bool", "whether prompts are validated", bool),
    Option("unknown_nodes", "string", "reject or accept node classes that are not known"),
    Option("unmatched", "string", "pass or error: calls to other hosts"),
    Option("object_info", "paths", "a saved /object_info of your own server", _path),
    Option("profile", "paths", "a snapshot of your own server", _path),
    Option("version", "string", "which ComfyUI it is: 0.33 or 0.8"),
    Option("image", "paths", "the picture that sampling produces", _path),
    Option("env", "linelist", "NAME=value for the environment; {url} and {output_dir} are filled in", _pairs),
    Option("seed", "string", "makes prompt ids and random names repeatable", _seed),
    Option("clock", "string", "real, or virtual: time moves instead of being waited for"),
    Option("strict", "bool", "whether rejected prompts and unknown paths fail the test", bool),
)

#: How the command line takes an option, by its type.
ACTIONS: Mapping[str, Mapping[str, Any]] = {
    "bool": {"action": argparse.BooleanOptionalAction},
    "linelist": {"action": "append", "metavar": "VALUE"},
    "paths": {"metavar": "PATH", "type": lambda path: [os.path.abspath(path)]},
    "string": {"metavar": "VALUE"},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("comfystub", "ComfyUI stub (comfystub)")
    for option in OPTIONS:
        parser.addini(option.ini, option.help, type=option.type, default=None)
        group.addoption(option.flag, dest=option.ini, help=option.help, **ACTIONS[option.type])
    group.addoption(
        "--comfystub-keep",
        action="store_true",
        help="keep the files of each test, and say at the end where they are",
    )
    group.addoption("--comfystub-keep-in", metavar="DIR", help="keep them in DIR/TEST")
    group.addoption(
        "--comfystub-captions",
        action="store_true",
        help="have pictures tell in a strip what they were made of",
    )
    group.addoption(
        "--comfystub-report",
        metavar="DIR",
        help="write what happened at the stubs of this run to DIR/index.html",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "comfy_stub(**patch_arguments): run the test with a ComfyUI stub in force. The arguments are those "
        "of comfystub.patch(); of several markers that give the same one, the closest wins.",
    )
    if folder := config.getoption("comfystub_report"):
        from comfystub.reporting import pytest_part

        pytest_part.register(config, folder)
    keep_in = config.getoption("comfystub_keep_in")
    if config.getoption("comfystub_keep") or keep_in:
        from comfystub.reporting import keeping

        keeping.register(config, keep_in)
    if config.getoption("comfystub_captions"):
        from comfystub.reporting import witnesses

        witnesses.opened.append(_show_captions)
        config.add_cleanup(lambda: witnesses.opened.remove(_show_captions))


def _show_captions(stub: Stub) -> None:
    if not stub.styles.captions:  # a change makes the server forget its results
        stub.styles.captions = True


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Take the options, and say at once what is wrong with them."""
    session.config.stash[DEFAULTS] = dict(_given(session.config))


def _given(config: pytest.Config) -> Iterator[tuple[str, Any]]:
    """What the options say.  Raises ``pytest.UsageError`` for what ``patch()`` would not take."""
    for option in OPTIONS:
        typed = config.getoption(option.ini)
        source = f"{option.ini} in the ini file" if typed is None else option.flag
        try:
            said = config.getini(option.ini) if typed is None else typed
            if said is None or said == []:
                continue
            value = option.read(said)
            comfystub.patch(**{option.name: value})
        except (TypeError, ValueError, OSError, pytest.UsageError) as problem:
            raise pytest.UsageError(f"{source}: {problem}") from None
        yield option.name, value


def pytest_report_header(config: pytest.Config) -> list[str]:
    """With ``-v``, what the options say."""
    given = config.stash.get(DEFAULTS, {})
    if not given or config.get_verbosity() < 1:
        return []
    return [f"comfystub: {', '.join(f'{name}={value}' for name, value in given.items())}"]


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
    patching: Any = sys.modules.get(PATCHING)
    stubs: list[Stub] = patching.lately() if patching is not None else []
    for stub in stubs:
        title = "comfystub" if len(stubs) == 1 else f"comfystub {stub.url}"
        lines: list[object] = [stub.timeline(last=REPORTED_LINES)]
        if stub.complaints:
            lines += ["complaints:", *(f"- {complaint}" for complaint in stub.complaints)]
        if patching.registry.forks.have_called:
            lines.append("A forked copy of this process called, too: a copy of the stub answered it.")
        yield title, "\n".join(map(str, lines))


@pytest.fixture
def comfy_stub(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Stub]:
    """A ComfyUI server inside the test process: a ``comfystub.Stub``.

    While the test runs, it answers the calls to port 8188 of this machine.  Files go below ``tmp_path``.
    Set it up with ``@pytest.mark.comfy_stub(pace=3, models=...)``, which takes the arguments of
    ``comfystub.patch()``, or for all tests with ``comfystub_pace`` in the ini file and so on, or for one
    run with ``--comfystub-pace=3``.  As ``comfy_stub: comfystub.Stub``, editors know what it has.
    """
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
    """The arguments of ``patch()`` for a test: the options, then its markers, the closest last."""
    marked: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(MARKER))):
        if len(marker.args) > 1:
            raise TypeError(
                f"the marker takes one argument without a name, the base URL, not {marker.args!r}"
            )
        marked.update(zip(("base_url",), marker.args), **marker.kwargs)
    defaults = item.config.stash.get(DEFAULTS, {})
    if "stub" in marked:
        defaults = {name: value for name, value in defaults.items() if name in BESIDE_A_STUB}
    return defaults | marked
