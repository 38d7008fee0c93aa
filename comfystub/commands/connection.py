"""The arguments of commands that call a live server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfystub.live.asking import LiveServer


def add_arguments(parser: argparse.ArgumentParser, timeout: float) -> None:
    parser.add_argument("url", metavar="URL", help="the server's address, such as http://127.0.0.1:8188")
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="send this with every call, a login for instance; may be repeated",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=timeout,
        metavar="SECONDS",
        help="how long to wait for an answer (default: %(default)g)",
    )


def server(options: argparse.Namespace) -> LiveServer:
    """The server that the arguments name.  Raises ``Trouble`` when they name none."""
    from comfystub.live.asking import LiveServer

    return LiveServer(options.url, options.header, options.timeout)
