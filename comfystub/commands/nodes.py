"""``comfystub nodes``: the node classes of a server, and what each takes and gives."""

from __future__ import annotations

import argparse
import fnmatch
import json
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from comfystub.commands import stubs
from comfystub.commands.mistakes import Mistake, alike
from comfystub.commands.terminal import BOLD, DIM, Terminal, complain

HELP = "list node classes, or show one"

#: The exit status when there is such a class, when there is none, and when a file cannot be read.
FOUND, NONE, UNREADABLE = 0, 1, 2

#: The widest that a column gets, but for the last one.
WIDEST = 40

Infos = Mapping[str, Mapping[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "List the node classes of ComfyUI, or of your own server, that have a text in their name.\n"
        "A pattern may have * and ?.  The name of a class shows its inputs."
    )
    parser.epilog = (
        "example: comfystub nodes KSampler; comfystub nodes 'load*' --category image\n\n"
        "exit status: 0 there is one, 1 there is none, 2 a file cannot be read"
    )
    add = parser.add_argument
    add("pattern", nargs="?", default="*", metavar="PATTERN", help="a name, a part of one, or a pattern")
    add("--category", default="", metavar="TEXT", help="only those with this in their category")
    add("--outputs", action="store_true", help="only output nodes, which make a workflow run")
    add("--json", action="store_true", help="print what GET /object_info shows of them")
    stubs.add_knowledge(parser)


def run(options: argparse.Namespace) -> int:
    try:
        infos = _infos(options)
    except Mistake as mistake:
        complain(mistake)
        return UNREADABLE
    found = {name: info for name, info in infos.items() if _fits(info, options)}
    if not found:
        meant = alike(options.pattern, infos)
        hint = f"; is it {meant!r} that is meant?" if meant else ": `comfystub nodes` lists them all"
        complain(f"there is no such class{hint}")
        return NONE
    terminal = Terminal(sys.stdout)
    one = options.pattern if options.pattern in found else next(iter(found)) if len(found) == 1 else None
    if options.json:
        terminal.line(json.dumps(found if one is None else {one: found[one]}))
    elif one is None:
        _print_rows(terminal, [_row(info) for info in found.values()], most_lines=1)
    else:
        _print_class(terminal, found[one])
        if len(found) > 1:
            terminal.line((f"others have it in their name: comfystub nodes '*{one}*'", DIM))
    return FOUND


def _infos(options: argparse.Namespace) -> Infos:
    """The classes of a server, as it shows them.  Raises ``Mistake``."""
    known = stubs.make(**stubs.arguments(options))._engine.known
    classes = [node_class for name in known.catalogue if (node_class := known.catalogue.get(name))]
    return {one.name: {**one.info(known.inventory.options), "name": one.name} for one in classes}


def _fits(info: Mapping[str, Any], options: argparse.Namespace) -> bool:
    pattern = options.pattern.lower()
    if not any(sign in pattern for sign in "*?"):
        pattern = f"*{pattern}*"
    pattern = pattern.replace("[", "[[]")
    names = (info["name"], info.get("display_name") or "")
    return (
        any(fnmatch.fnmatchcase(name.lower(), pattern) for name in names)
        and options.category.lower() in (info.get("category") or "").lower()
        and (not options.outputs or bool(info.get("output_node")))
    )


# --- printing

Row = Sequence[str]


def _row(info: Mapping[str, Any]) -> Row:
    """A class as a line of a table: its name, its category, and what becomes of what."""
    sections = info["input"]
    names = [*(sections.get("required") or ()), *(f"[{name}]" for name in sections.get("optional") or ())]
    into = ", ".join(map(str, info.get("output") or ())) or "nothing"
    return info["name"], info.get("category") or "", f"{', '.join(names)} -> {into}".lstrip()


def _print_class(terminal: Terminal, info: Mapping[str, Any]) -> None:
    from comfystub.commands.declarations import inputs

    about = [info.get("display_name") or "", info.get("category") or ""]
    terminal.line((info["name"], BOLD), (f"  {'  '.join(about)}".rstrip(), DIM))
    if info.get("description"):
        _print_rows(terminal, [(" ".join(info["description"].split()),)])
    declared = list(inputs(info))
    terminal.line(("inputs" if declared else "no inputs", BOLD))
    _print_rows(terminal, declared)
    types = list(map(str, info.get("output") or ()))
    terminal.line(("outputs" if types else "no outputs", BOLD))
    _print_rows(terminal, list(zip(info.get("output_name") or types, types)))
    if info.get("output_node"):
        terminal.line(("an output node: it makes a workflow run", DIM))


def _print_rows(terminal: Terminal, rows: Sequence[Row], most_lines: int | None = None) -> None:
    """Print columns.  On a terminal the last one is wrapped, or cut where it may have so many lines."""
    widths = [min(WIDEST, max(map(len, column))) for column in list(zip(*rows))[:-1]]
    start = 2 + sum(width + 2 for width in widths)
    space = max(20, shutil.get_terminal_size().columns - start) if sys.stdout.isatty() else None
    for *columns, last in rows:
        text = "  " + "".join(f"{column:{width}}  " for column, width in zip(columns, widths))
        lines = (
            [last] if space is None else textwrap.wrap(last, space, max_lines=most_lines, placeholder=" ...")
        )
        terminal.line((text + (lines[0] if lines else "")).rstrip())
        for line in lines[1:]:
            terminal.line(" " * start + line)
