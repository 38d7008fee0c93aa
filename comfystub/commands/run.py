"""``comfystub run``: a workflow from a file, on a stub in this process."""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from comfystub.commands import inputs, stubs, verdicts, workflows
from comfystub.commands.bar import Bar
from comfystub.commands.mistakes import Mistake
from comfystub.commands.terminal import BAD, DIM, GOOD, Terminal, complain

if TYPE_CHECKING:
    from comfystub.commands.workflows import Workflow
    from comfystub.engine.job import Job, Output
    from comfystub.stub import Stub

HELP = "run a workflow and show what happens"

#: The exit status of a job that completed, of one that did not, and of a file or an option that is none.
COMPLETED, FAILED, UNREADABLE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Run a workflow in API format on a stub in this process, show what happens, and leave its files.\n"
        "Input files that the workflow names, and that lie beside it, are put into the input folder."
    )
    parser.epilog = (
        "example: comfystub run fox.json -o pictures --set 3.seed=7 --set 'CLIPTextEncode.text=a fox'\n\n"
        "exit status: 0 it completed, 1 it was rejected or failed, 2 the file cannot be read"
    )
    add = parser.add_argument
    add("workflow", metavar="WORKFLOW.json", help="the file; - for stdin")
    add("-o", "--output", type=pathlib.Path, metavar="DIR", help="where files go (default: NAME-output)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="set an input of a node, which is an id, a class or a title; may be repeated",
    )
    add("--inputs", type=pathlib.Path, metavar="DIR", help="where its input files lie (default: beside it)")
    stubs.add_pace(parser, "instant", looks=False)
    add("--json", action="store_true", help="print the result as JSON")
    stubs.add_knowledge(parser)
    stubs.add_making(parser)


def run(options: argparse.Namespace) -> int:
    try:
        workflow = workflows.read(options.workflow)
        output = options.output or pathlib.Path(f"{workflow.stem}-output")
        if output.exists() and not output.is_dir():
            raise Mistake(f"{output} is no folder: give another one with --output")
        with contextlib.closing(stubs.make(**stubs.arguments(options), output_dir=output)) as stub:
            for change in options.set:
                workflows.change(workflow, change, stub._engine.known.catalogue)
            result = _result(stub, workflow, output, options)
    except Mistake as mistake:
        complain(mistake)
        return UNREADABLE
    if options.json:
        Terminal(sys.stdout).line(json.dumps(result))
    else:
        _print(result)
    return COMPLETED if result["status"] == "completed" else FAILED


def _result(
    stub: Stub, workflow: Workflow, output: pathlib.Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Run a workflow, and tell what happens unless JSON is wanted; what came of it, for other programs."""
    put = inputs.put(stub, workflow, options.inputs or workflow.folder)
    call = stubs.submit(stub, workflow.body)
    problems = verdicts.problems(workflow.prompt, call, stub._engine.known)
    result = {"workflow": workflow.name, "inputs": put, "problems": list(map(str, problems))}
    if call.status != 200:
        return {**result, "status": "rejected", "answer": verdicts.answer_of(call)}
    job = stub.jobs[0]
    if options.json:
        _finish(stub, job)
    else:
        _watch(stub, job, result)
    return {
        **result,
        "status": job.state,
        "seconds": round(job.times[-1] - job.submitted, 3),
        "files": [_left(one, job, output) for one in job.files()],
        "outputs": job.ui,
        "error": job.error,
    }


# --- meanwhile


def _watch(stub: Stub, job: Job, result: dict[str, Any]) -> None:
    """Run a job to its end, and tell what happens."""
    from comfystub.commands.telling import Teller

    terminal = Terminal(sys.stdout)
    for name in result["inputs"]:
        terminal.line((f"{name} was put into the input folder", DIM))
    for problem in result["problems"]:
        terminal.line((f"left out: {problem}", BAD))
    with Bar(sys.stderr) as bar:
        _finish(stub, job, Teller(job, terminal, bar).tell)


def _finish(stub: Stub, job: Job, tell: Callable[[], None] = lambda: None) -> None:
    """Move a job to its end, each beat when it is due, as a client does that reads its socket."""
    engine, due = stub._engine, threading.Event()
    while not job.ended:
        due.clear()
        if engine.pull():
            tell()
        elif not engine.can_move(due.set):
            due.wait()


# --- afterwards


def _left(left: Output, job: Job, output: pathlib.Path) -> dict[str, Any]:
    """A file that an output node left; one for temporary files is copied to the others."""
    path = output / left.subfolder / left.filename
    if left.type != "output":
        inputs.copy(left.path, path)
    return {
        "path": str(path),
        "kind": left.kind,
        "type": left.type,
        "node": left.node_id,
        "class_type": job.node(left.node_id).class_type,
    }


def _print(result: dict[str, Any]) -> None:
    terminal = Terminal(sys.stdout)
    if result["status"] == "rejected":
        complain(f"{result['workflow']} is rejected")
        for problem in result["problems"]:
            Terminal(sys.stderr).line(f"  {problem}")
        return
    from comfystub.wording import counted, failure

    if result["error"] is not None:
        complain(f"{result['workflow']} {failure(result['error'])}")
        return
    files = result["files"]
    terminal.line((f"completed in {result['seconds']:.3f} s, {counted(len(files), 'file')}", GOOD))
    for file in files:
        terminal.line(f"  {file['path']}")
