"""The command line."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

import comfystub

#: The commands, each a module of that name in ``comfystub.commands``.
COMMANDS = ("demo", "snapshot", "verify")

#: The exit status of a command that was stopped by hand.
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="comfystub", description="A ComfyUI server inside your test process."
    )
    parser.add_argument("--version", action="version", version=f"comfystub {comfystub.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        command = importlib.import_module(f"comfystub.commands.{name}")
        subparser = commands.add_parser(name, help=command.HELP)
        subparser.set_defaults(run=command.run)
        command.add_arguments(subparser)
    options = parser.parse_args(argv)
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
