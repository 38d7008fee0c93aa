"""What every test of the clocks gets: an end, whatever happens, and a look at what was left behind."""

from __future__ import annotations

import faulthandler
import importlib.util
import inspect
import pathlib
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from calls import URL

import comfystub
from comfystub.transports.table import TIME_MODULES

#: After so many real seconds a test hangs, and the process is ended: most of them would take minutes if
#: time did not jump.  The timer is C's, and no clock of Python's moves it.
FAR_TOO_LONG = 60


@pytest.fixture(autouse=True)
def no_test_hangs(pytestconfig: pytest.Config) -> Iterator[None]:
    stderr = pytestconfig.stash[fault_handler_stderr_fd_key]
    faulthandler.dump_traceback_later(FAR_TOO_LONG, exit=True, file=stderr)
    yield
    faulthandler.cancel_dump_traceback_later()


def places() -> dict[tuple[str, str | None, str], Any]:
    """Everything that a virtual clock may replace, and what is there now."""
    found = {}
    for seam in (seam for module in TIME_MODULES for seam in module.SEAMS):
        owner: Any = sys.modules.get(seam.module)
        owner = owner if seam.owner is None else getattr(owner, seam.owner, None)
        if owner is not None:
            attribute = inspect.getattr_static(owner, seam.attribute)
            found[seam.module, seam.owner, seam.attribute] = (attribute, seam.attribute in vars(owner))
    return found


@pytest.fixture(autouse=True)
def everything_is_put_back() -> Iterator[None]:
    before = places()
    assert len(before) > 20
    yield
    after = places()
    assert {place: after[place] for place in before} == before


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    """A stub with a virtual clock, in force."""
    with comfystub.patch(URL, clock="virtual") as stub:
        yield stub


@pytest.fixture
def load(tmp_path: pathlib.Path) -> Iterator[Callable[[str], Any]]:
    """Imports a module of the user's, given its source."""
    names: list[str] = []

    def import_module(source: str) -> Any:
        names.append(f"users_module_{len(names)}")
        path = tmp_path / f"{names[-1]}.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(names[-1], path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[names[-1]] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield import_module
    for name in names:
        del sys.modules[name]


@pytest.fixture
def compute() -> Callable[[float], None]:
    """Keeps the processor busy for so many seconds, by its own account."""

    def run(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            sum(range(100))

    return run
