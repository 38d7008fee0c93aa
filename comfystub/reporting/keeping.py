"""The files of a run of pytest, kept where one can look at them when it is over.

Each test has a folder that is called as the test is.  They are copies: what the test sees is as ever.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from comfystub.media.files import inside
from comfystub.reporting import witnesses
from comfystub.wording import counted

if TYPE_CHECKING:
    from comfystub.engine.job import Job, Output
    from comfystub.stub import Stub

#: The attribute of a test's report that says how many files of it were kept, and where.
KEPT = "comfystub_kept"
#: What the processes of pytest-xdist are told the folder as.
FOLDER = "comfystub_kept_in"
#: What does not belong in the name of a folder.
UNFIT = re.compile(r"[^\w.,=+\[\]-]+", re.ASCII)
#: So many characters of a test's name, its last, are the name of its folder.
LONGEST = 200


def register(config: pytest.Config, folder: str | None) -> None:
    """Keep the files that jobs leave below ``folder``, or below a fresh temporary one."""
    told = getattr(config, "workerinput", {}).get(FOLDER)
    chosen = told or folder or tempfile.mkdtemp(prefix="comfystub-kept-")
    path = (config.invocation_params.dir / chosen).resolve()
    config.pluginmanager.register(Keeper(path))
    if told is None:
        config.pluginmanager.register(Summary(path))


class Keeper:
    """Copies the files of stubs, in a process in which tests run."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._root = folder
        self._folder = folder
        self._count = 0
        #: The stubs of the test, each with a folder of its own.
        self._stubs: list[Stub] = []
        #: The jobs whose files were kept.
        self._done: weakref.WeakSet[Job] = weakref.WeakSet()
        witnesses.closing.append(self._keep)

    def pytest_unconfigure(self) -> None:
        witnesses.closing.remove(self._keep)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._folder = self._root / UNFIT.sub("-", item.nodeid)[-LONGEST:]
        shutil.rmtree(self._folder, ignore_errors=True)  # of an earlier run

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            for stub in witnesses.lately():
                self._keep(stub)
            setattr(report, KEPT, [self._count, str(self._folder)])
            self._count = 0
            self._stubs.clear()
        return report

    def _keep(self, stub: Stub) -> None:
        """Copy what jobs have left since this was done before; nothing is moved by it."""
        for job in [job for job in stub.jobs if job not in self._done]:
            for output in _files(job):
                self._copy(output, self._folder_of(stub))
            if job.ended:
                self._done.add(job)

    def _folder_of(self, stub: Stub) -> pathlib.Path:
        """The test's folder, or a numbered one in it for each stub but the first."""
        if stub not in self._stubs:
            self._stubs.append(stub)
        number = self._stubs.index(stub) + 1
        return self._folder if number == 1 else self._folder / str(number)

    def _copy(self, output: Output, folder: pathlib.Path) -> None:
        target = inside(folder, os.path.join(output.subfolder, output.filename))
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(output.path, target)
            self._count += 1


class Summary:
    """Says at the end where the files of each test are."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._root = folder
        self._lines: list[str] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput[FOLDER] = str(self._root)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        count, folder = getattr(report, KEPT, (0, ""))
        if count:
            self._lines.append(f"{folder}{os.sep} ({counted(count, 'file')})")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.section("comfystub: the files of each test")
        for line in sorted(self._lines) or ["no test left a file"]:
            terminalreporter.write_line(line)

    def pytest_unconfigure(self) -> None:
        with contextlib.suppress(OSError):
            self._root.rmdir()  # if nothing is in it


def _files(job: Job) -> Iterator[Output]:
    """The files of a job that are there."""
    with contextlib.suppress(RuntimeError):  # a node of the test's own names one, and no folder was ever made
        yield from (output for output in job.files() if output.path.is_file())
