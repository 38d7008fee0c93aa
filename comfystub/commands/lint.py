"""``comfystub lint``: the real server's validation, without a server."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from comfystub.commands import stubs
from comfystub.commands.bar import Bar
from comfystub.commands.mistakes import Mistake
from comfystub.commands.terminal import BAD, DIM, GOOD, Terminal, complain

if TYPE_CHECKING:
    from comfystub.commands.judging import Judgement
    from comfystub.commands.verdicts import Problem

HELP = "judge workflows as ComfyUI would, without a server"

#: The exit status when all are good, when some have errors, and when a file cannot be read.
ALL_GOOD, ERRORS, UNREADABLE = 0, 1, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Judge workflows in API format as POST /prompt of ComfyUI does, and run nothing.\n"
        "Any model name counts as installed unless --models or --profile says what is.\n"
        "An input file that is not there is a warning, unless --inputs says what is there."
    )
    parser.epilog = (
        "example: comfystub lint workflows/ --models models.json --format github\n\n"
        "exit status: 0 all are good, 1 some have errors, 2 a file cannot be read"
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="a file, a folder, a pattern such as '**/*.json', or -")
    add("--inputs", metavar="DIR", help="the input folder: a file that is not in it is an error")
    add("--strict-models", action="store_true", help="no model is there but those of --models or --profile")
    add("--format", choices=("text", "json", "github"), default="text", help="(default: %(default)s)")
    add("-q", "--quiet", action="store_true", help="tell errors only")
    stubs.add_knowledge(parser)


def run(options: argparse.Namespace) -> int:
    from comfystub.commands import judging, workflows

    try:
        judge, files = judging.Judge(options), workflows.find(options.files)
    except Mistake as mistake:
        complain(mistake)
        return UNREADABLE
    judgements: list[Judgement] = []
    with Bar(sys.stderr) as bar:
        for number, file in enumerate(files):
            if number:
                bar.show(number, len(files), file.name)
            judgements.append(judge.judge(file))
            bar.clear()
            _tell(judgements[-1], options.format, options.quiet)
    _sum_up(judgements, options.format, options.quiet)
    if any(one.trouble and not one.skipped for one in judgements):
        return UNREADABLE
    return ERRORS if any(one.errors for one in judgements) else ALL_GOOD


def _tell(judgement: Judgement, form: str, quiet: bool) -> None:
    """Tell of a file at once, where the form allows it."""
    terminal = Terminal(sys.stdout)
    if judgement.trouble and not judgement.skipped:
        complain(judgement.trouble)
    if form == "text":
        for pieces in _lines(judgement, quiet):
            terminal.line(*pieces)
    elif form == "github":
        for line in _commands(judgement, quiet):
            terminal.line(line)


def _sum_up(judgements: Sequence[Judgement], form: str, quiet: bool) -> None:
    """Tell what can be told of all of them only."""
    terminal = Terminal(sys.stdout)
    if form == "json":
        terminal.line(json.dumps([_document(one) for one in judgements if not one.skipped]))
    elif form == "text" and len(judgements) > 1 and not quiet:
        counts = Counter(_outcome(one) for one in judgements)
        terminal.line((", ".join(f"{counts[one]} {one}" for one in OUTCOMES if counts[one]), DIM))


OK, BROKEN, SKIPPED, TROUBLE = OUTCOMES = ("ok", "with errors", "skipped", "unreadable")


def _outcome(judgement: Judgement) -> str:
    if judgement.trouble:
        return SKIPPED if judgement.skipped else TROUBLE
    return BROKEN if judgement.errors else OK


# --- forms


def _lines(judgement: Judgement, quiet: bool) -> Iterator[Sequence[str | tuple[str, str]]]:
    """A line for each thing that is wrong, or for a file that is good."""
    start = f"{judgement.file}: "
    for problem in judgement.errors:
        yield start, (f"{problem.node}: " if problem.node else "", BAD), problem.text
    for problem in () if quiet else judgement.warnings:
        yield ((f"{start}warning: {problem}", DIM),)
    if judgement.ok and not quiet:
        yield start, ("ok", GOOD)


def _commands(judgement: Judgement, quiet: bool) -> Iterator[str]:
    """Commands that GitHub shows as annotations of the file."""
    if judgement.trouble and not judgement.skipped:
        yield _command("error", judgement.file, judgement.trouble)
    for problem in judgement.errors:
        yield _command("error", judgement.file, problem)
    for problem in () if quiet else judgement.warnings:
        yield _command("warning", judgement.file, problem)


def _command(kind: str, file: str, what: object) -> str:
    where = _escaped(file).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} file={where}::{_escaped(str(what))}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _document(judgement: Judgement) -> dict[str, Any]:
    """A file for other programs; ``answer`` is what the server says, as it says it."""
    return {
        "file": judgement.file,
        "ok": judgement.ok,
        "status": judgement.status,
        "answer": judgement.answer,
        "errors": [_facts(one) for one in judgement.errors]
        or ([{"text": judgement.trouble}] if judgement.trouble else []),
        "warnings": [_facts(one) for one in judgement.warnings],
    }


def _facts(problem: Problem) -> dict[str, Any]:
    return {
        "node": problem.node_id,
        "class_type": problem.class_type,
        "title": problem.title,
        "text": problem.text,
    }
