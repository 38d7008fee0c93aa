"""One report for a whole run of pytest: what happened at the stubs of each test.

Where tests run, a test's part is put into the report of its tear-down, which pytest-xdist sends to the
process that it was started in; there, or in the only process, all parts become one page.
"""

from __future__ import annotations

import json
import pathlib
import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from comfystub.reporting import witnesses
from comfystub.wording import counted

if TYPE_CHECKING:
    from comfystub.reporting.facts import Seen
    from comfystub.reporting.graph import Facts
    from comfystub.stub import Stub

#: The attribute of a test's report that carries its part, as JSON.
PART = "comfystub_part"

PAGE = "index.html"

#: Outcomes, in the order in which they are shown.
OUTCOMES = ("failed", "error", "xpassed", "xfailed", "passed", "skipped")


def register(config: pytest.Config, folder: str) -> None:
    """Report this run to a page in ``folder``.  Raises ``pytest.UsageError`` where none can be made."""
    from comfystub.reporting import page

    try:
        page.load()
    except ImportError as missing:
        raise pytest.UsageError(f"--comfystub-report: {missing}") from None
    config.pluginmanager.register(Witness())
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Run(config.invocation_params.dir / folder / PAGE))


class Witness:
    """Gathers what happened at stubs, in a process in which tests run."""

    def __init__(self) -> None:
        #: The stubs that came into force during a test, kept from being forgotten with it.
        self._opened: list[Stub] = []
        self._told: list[Facts] = []
        self._seen: weakref.WeakKeyDictionary[Stub, Seen] = weakref.WeakKeyDictionary()
        witnesses.opened.append(self._opened.append)
        witnesses.closing.append(self._tell)

    def pytest_unconfigure(self) -> None:
        witnesses.opened.remove(self._opened.append)
        witnesses.closing.remove(self._tell)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            setattr(report, PART, json.dumps(self._part()))
        return report

    def _part(self) -> list[Facts]:
        """What happened since the test before at stubs that closed, and at those that are still there."""
        for stub in dict.fromkeys([*self._opened, *witnesses.lately()]):
            self._tell(stub)
        told, self._told = self._told, []
        self._opened.clear()
        return told

    def _tell(self, stub: Stub) -> None:
        """Note what is new at a stub; of one that is shared by tests, only what this one did."""
        from comfystub.reporting import facts

        before, now = self._seen.get(stub), facts.seen_of(stub)
        if before != now:
            self._told.append(facts.gather(stub, facts.NOTHING if before is None else before))
            self._seen[stub] = now


class Run:
    """Makes the page, of what all processes gathered."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}
        self._failures: dict[str, list[str]] = {}
        self._stubs: dict[str, list[Facts]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid
        if (outcome := _outcome(report)) is not None:
            self._outcomes[name] = min(outcome, self._outcomes.get(name, outcome), key=OUTCOMES.index)
        if report.failed:
            self._failures.setdefault(name, []).append(report.longreprtext)
        # Taken off it: pytest keeps the reports of a run to its end.
        part = vars(report).pop(PART, None)
        if part is not None and (told := json.loads(part)):
            self._stubs.setdefault(name, []).extend(told)

    def pytest_sessionfinish(self) -> None:
        from comfystub.reporting import page

        tests = [
            {
                "name": name,
                "outcome": self._outcomes.get(name, "passed"),  # a plugin may have names of its own for it
                "failure": "\n\n".join(self._failures.get(name, ())),
                "stubs": stubs,
            }
            for name, stubs in self._stubs.items()
        ]
        # By name: in what order parallel processes come to their ends is chance.
        tests.sort(key=lambda test: (OUTCOMES.index(str(test["outcome"])), test["name"]))
        others = len(self._outcomes) - len(tests)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        page.write(
            self._path, page.of_tests(tests, f"{counted(others, 'test')} without one." if others else "")
        )

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_line(f"comfystub report: {self._path}")


def _outcome(report: pytest.TestReport) -> str | None:
    """How a test ended, as far as this part of it says."""
    if report.failed:
        return "failed" if report.when == "call" else "error"
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.skipped else "xpassed"
    tells = (report.when == "call" or report.skipped) and report.outcome in OUTCOMES
    return report.outcome if tells else None
