"""The command line."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Sequence

import comfystub
from comfystub.commands.pipes import nobody_reads

#: The commands, each a module of that name in ``comfystub.commands``.
COMMANDS = ("demo", "run", "lint", "nodes", "serve", "snapshot", "verify", "report")

#: The exit status of a command that was stopped by hand.
INTERRUPTED = 130
#: That of a command whose output nobody reads any more, as if the signal for that had ended it.
NOBODY_READS = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    given = sys.argv[1:] if argv is None else list(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A title in a script that the terminal's encoding lacks must not end a command.
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser(given).parse_args(given)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        nobody_reads()
        return NOBODY_READS
    return status


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of what was given, with the one command that this names, or with all."""
    parser = argparse.ArgumentParser(
        prog="comfystub", description="A ComfyUI server inside your test process."
    )
    parser.add_argument("--version", action="version", version=f"comfystub {comfystub.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in given[:1] if given and given[0] in COMMANDS else COMMANDS:
        command = importlib.import_module(f"comfystub.commands.{name}")
        subparser = commands.add_parser(name, help=command.HELP)
        subparser.set_defaults(run=command.run)
        command.add_arguments(subparser)
    return parser
