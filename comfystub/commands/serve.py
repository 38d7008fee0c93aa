"""``comfystub serve``: the server behind a port, for what cannot be in the process."""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import json
import pathlib
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from comfystub.commands import stubs
from comfystub.commands.mistakes import Mistake
from comfystub.commands.pipes import nobody_reads
from comfystub.commands.terminal import BAD, DIM, GOOD, Terminal, complain

if TYPE_CHECKING:
    from comfystub.server.server import Call
    from comfystub.stub import Stub

HELP = "serve it behind a port, for a browser, a subprocess or another language"

#: The exit status when it was stopped, and when it could not begin.
STOPPED, COULD_NOT = 0, 1

NOT_HERE = "that is no address of this machine: give another --host"

#: Why it cannot listen somewhere, and what to do about it.
REASONS = {
    errno.EADDRINUSE: "something listens there already: stop it, or give another --port (0 is any free one)",
    errno.EACCES: "that is not allowed: give a --port from 1024 on",
    errno.EADDRNOTAVAIL: NOT_HERE,
    None: NOT_HERE,  # asyncio's own error, when no address of a name is
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Serve a stub behind a port, for what cannot be in the process: a browser, a subprocess, another\n"
        "language.  It answers over HTTP and WebSocket until Ctrl-C, and tells of each call in a line."
    )
    parser.epilog = "example: comfystub serve --port 8189 --pace 0.5s --models models.json"
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    add("--port", type=_port, default=8188, help="0 is any free one (default: %(default)s)")
    add(
        "--enable-cors-header",
        nargs="?",
        const="*",
        metavar="ORIGIN",
        help="let web pages of another origin call it, or of any, as with this option of ComfyUI",
    )
    stubs.add_pace(parser, "0.1s", looks=True)
    add("--output-dir", metavar="DIR", help="where files go (default: a temporary folder)")
    add("-q", "--quiet", action="store_true", help="tell of no calls")
    add("--json", action="store_true", help="tell in lines of JSON")
    stubs.add_knowledge(parser)
    stubs.add_making(parser)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"it is a number from 0 to 65535, and not {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    import asyncio

    from comfystub.server.prompts import UnknownNodeWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnknownNodeWarning)
            asyncio.run(_serve(stubs.make(**stubs.arguments(options)), options))
    except Mistake as mistake:
        complain(mistake)
        return COULD_NOT
    except KeyboardInterrupt:  # of a loop that takes no signals
        return STOPPED
    return STOPPED


async def _serve(stub: Stub, options: argparse.Namespace) -> None:
    """Serve until a signal comes."""
    import asyncio

    from comfystub.commands.cross_origin import CrossOrigin
    from comfystub.commands.serving import serving

    log = _Log(stub, options.json, options.quiet)
    origin, server = options.enable_cors_header, stub._server
    responder = server if origin is None else CrossOrigin(server, origin)
    stop = asyncio.Event()
    _stop_by_signal(stop.set)
    with contextlib.closing(stub):
        folder = _folder(stub)
        try:
            async with serving(responder, options.host, options.port, log.calls) as addresses:
                log.start(addresses, folder)
                await stop.wait()
        except OSError as problem:
            why = REASONS.get(problem.errno, problem.strerror)
            raise Mistake(f"cannot listen at {options.host}:{options.port}: {why}") from None


def _folder(stub: Stub) -> pathlib.Path:
    """Where files go.  Raises ``Mistake`` where none can."""
    try:
        return stub.output_dir
    except OSError as problem:
        raise Mistake(f"cannot write {problem.filename}: {problem.strerror}") from None


def _stop_by_signal(stop: Callable[[], None]) -> None:
    """Have it called for Ctrl-C, also where a shell has turned that off, and for ``kill``."""
    import asyncio

    # Windows has no such handlers, nor has any thread but the main one.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)


class _Log:
    """Tells where it is served and what it is asked, on standard output."""

    def __init__(self, stub: Stub, as_json: bool, quiet: bool) -> None:
        self._stub = stub
        self._as_json = as_json
        self._quiet = quiet
        self._terminal = Terminal(sys.stdout)

    def start(self, addresses: Sequence[tuple[str, int]], folder: pathlib.Path) -> None:
        urls = [f"http://{f'[{host}]' if ':' in host else host}:{port}" for host, port in addresses]
        if not all(ipaddress.ip_address(host).is_loopback for host, _ in addresses):
            complain("it listens beyond this machine: whoever reaches it can use it, and read its files")
        if self._as_json:
            self._say(json.dumps({"urls": urls, "output_dir": str(folder)}))
        else:
            self._say("ComfyUI answers at ", (" ".join(urls), GOOD))
            self._say((f"files go to {folder}; Ctrl-C ends it", DIM))

    def calls(self) -> None:
        """Tell of the calls that came since the last time, and forget them: they would add up."""
        server = self._stub._server
        calls, server.calls = server.calls, []
        server.complaints.clear()
        for call in () if self._quiet else calls:
            if self._as_json:
                self._say(json.dumps(_document(call)))
            else:
                self._say(*_line(call))

    def _say(self, *pieces: str | tuple[str, str]) -> None:
        try:
            self._terminal.line(*pieces)
            sys.stdout.flush()  # whoever reads it over a pipe waits for it
        except BrokenPipeError:
            nobody_reads()


def _problems(call: Call) -> list[str]:
    """What was wrong with a call."""
    from comfystub.server.complaints import is_submission, problems, raised

    if call.error is not None:
        return [raised(call.error)]
    return problems(call) if is_submission(call) else []


def _line(call: Call) -> Iterator[str | tuple[str, str]]:
    from comfystub.wording import call_name

    yield f"{call_name(call)}  "
    yield str(call.status), BAD if call.status >= 400 else GOOD
    for problem in _problems(call):
        yield f"  {problem}"


def _document(call: Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "path": call.path,
        "query": call.request.query,
        "status": call.status,
        "problems": _problems(call),
    }
