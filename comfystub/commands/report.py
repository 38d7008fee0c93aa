"""``comfystub report``: what a workflow does, as an HTML page."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from comfystub.commands import inputs, stubs, workflows
from comfystub.commands.mistakes import Mistake
from comfystub.commands.terminal import Terminal, complain

if TYPE_CHECKING:
    from comfystub.commands.workflows import Workflow
    from comfystub.server.server import Call
    from comfystub.stub import Stub

HELP = "run a workflow and write a report of it, an HTML page"

#: The exit status of a job that completed, of one that did not, and of a page that could not be made.
COMPLETED, FAILED, UNREADABLE = 0, 1, 2

#: So many seconds at a time, of a clock that nobody waits for, pass while a job runs.
TURN = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a workflow in API format on a stub in this process, and write an HTML page of what happened: "
        "its graph, its timeline, its messages and its outputs. A model takes 8 s to load there and a step "
        "0.4 s, on a clock that nobody waits for."
    )
    parser.epilog = (
        "Example: comfystub report fox.json -o fox.html. Input files that the workflow names, and that lie "
        "beside it, are put into the input folder. Exit status: 0 it completed, 1 it was rejected or failed, "
        "2 there is no page."
    )
    add = parser.add_argument
    add(
        "workflow",
        nargs="?",
        metavar="WORKFLOW.json",
        help="the file; - for stdin (default: that of the demo)",
    )
    add(
        "-o",
        "--output",
        default="report.html",
        metavar="FILE",
        help="where to write the page (default: %(default)s)",
    )
    add("--no-validate", dest="validate", action="store_false", help="run it even if it would be rejected")
    stubs.add_knowledge(parser)
    stubs.add_making(parser)


def run(options: argparse.Namespace) -> int:
    try:
        workflow = _demo() if options.workflow is None else workflows.read(options.workflow)
        given = {**stubs.arguments(options), "validate": options.validate}
        wrong, path = _report(workflow, given, options.output)
    except (Mistake, ImportError) as problem:
        complain(problem)
        return UNREADABLE
    except OSError as problem:
        complain(f"cannot write {options.output}: {problem.strerror}")
        return UNREADABLE
    if wrong:
        complain(wrong)
    Terminal(sys.stdout).line(str(path))
    return FAILED if wrong else COMPLETED


def _report(workflow: Workflow, given: dict[str, Any], output: str) -> tuple[str, pathlib.Path]:
    """Run a workflow and write the page; what went wrong, ``""`` for nothing, and where the page is."""
    from comfystub.engine.clock import VirtualClock
    from comfystub.engine.pacing import Timed
    from comfystub.engine.stamps import EPOCH

    clock = VirtualClock(EPOCH / 1000)
    with contextlib.closing(stubs.make(**given, clock=clock, pace=Timed())) as stub:
        inputs.put(stub, workflow, workflow.folder)
        call = stubs.submit(stub, workflow.body)
        for job in stub.jobs:
            while not job.ended:
                clock.advance(TURN)
                stub._engine.catch_up()
        return _wrong(stub, call), stub.report(output)


def _wrong(stub: Stub, call: Call) -> str:
    from comfystub.server.complaints import problems, told
    from comfystub.wording import failure

    if call.status != 200:
        return told("the workflow was rejected", problems(call))
    error = stub.jobs[0].error
    return "" if error is None else f"the workflow {failure(error)}"


def _demo() -> Workflow:
    from comfystub.prefill import WORKFLOW

    return workflows.read(str(WORKFLOW))
