"""``comfystub snapshot``: what a live server has, in a file that a stub can be made of."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from comfystub.commands import connection
from comfystub.commands.bar import Bar
from comfystub.commands.terminal import DIM, Terminal, complain

if TYPE_CHECKING:
    from comfystub.live.snapshot import Snapshot

HELP = "save what a live server has, for patch(profile=...)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Save node classes, models, features, system stats and settings of a live server in a file that "
        "patch(profile=...) makes a stub of. Keys, host names, addresses and absolute paths are left out."
    )
    parser.epilog = "Example: comfystub snapshot http://192.168.1.20:8188 -o mine.json.gz"
    connection.add_arguments(parser, timeout=60)
    parser.add_argument(
        "-o",
        "--output",
        type=pathlib.Path,
        default=pathlib.Path("comfyui.json.gz"),
        metavar="FILE",
        help="where to write it; a name that ends in .json is not compressed (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print what was saved as JSON")


def run(options: argparse.Namespace) -> int:
    from comfystub.live import snapshot
    from comfystub.live.asking import Trouble

    try:
        with connection.server(options) as server, Bar(sys.stderr) as bar:
            taken = snapshot.take(server, bar.show)
        size = snapshot.write(taken.document, options.output)
    except Trouble as problem:
        complain(problem)
        return 1
    except OSError as problem:
        complain(f"cannot write {options.output}: {problem.strerror}")
        return 1
    summary = _summary(taken, options.output, size)
    if options.json:
        Terminal(sys.stdout).line(json.dumps(summary))
    else:
        _print(summary)
    return 0


def _summary(taken: Snapshot, path: pathlib.Path, size: int) -> dict[str, Any]:
    document = taken.document
    models = document.get("models", {})
    return {
        "file": str(path),
        "bytes": size,
        "comfyui_version": document.get("system_stats", {}).get("system", {}).get("comfyui_version"),
        "classes": len(document["object_info"]),
        "folders": len(models),
        "models": sum(map(len, models.values())),
        "settings": len(document.get("settings", {})),
        "missing": taken.missing,
    }


def _print(summary: dict[str, Any]) -> None:
    terminal = Terminal(sys.stdout)
    version = summary["comfyui_version"] or "of an unknown version"
    terminal.line(
        f"ComfyUI {version}: node classes: {summary['classes']}, models: {summary['models']}, "
        f"model folders: {summary['folders']}, settings: {summary['settings']}"
    )
    for path, why in summary["missing"].items():
        terminal.line((f"  without {path}: {why}", DIM))
    terminal.line(f"{summary['file']}: {summary['bytes']:,} bytes")
