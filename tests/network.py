"""Keeps the tests off the network, and has a server that they may reach.

An audit hook sees every connection and every look-up of a name, whoever makes it and however it was
imported, and no attribute is replaced for it.
"""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import socket
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any


class NetworkUsed(AssertionError):
    """A call left the process."""


_guarded = False
_bound: weakref.WeakSet[socket.socket] = weakref.WeakSet()


@contextlib.contextmanager
def forbidden() -> Iterator[None]:
    """A block in which only servers that this process itself opened can be reached."""
    global _guarded
    before, _guarded = _guarded, True
    try:
        yield
    finally:
        _guarded = before


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.bind":
        _bound.add(arguments[0])
    elif not _guarded:
        return
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host, port = arguments[1][:2]
        if not (_is_here(host) and port in _own_ports()):
            arguments[0].close()  # nobody expects this error, so nobody else would
            raise NetworkUsed(f"a test tried to connect to {host}:{port}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not (
        _is_here(arguments[0]) or _is_address(arguments[0])  # which nobody has to be asked for
    ):
        raise NetworkUsed(f"a test tried to look up {arguments[0]!r}")


def _is_here(host: Any) -> bool:
    name = host.decode() if isinstance(host, (bytes, bytearray)) else host
    return name in (None, "", "localhost") or (_is_address(name) and ipaddress.ip_address(name).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _own_ports() -> set[int]:
    bound = [one for one in list(_bound) if one.fileno() != -1]
    return {one.getsockname()[1] for one in bound if one.family in (socket.AF_INET, socket.AF_INET6)}


sys.addaudithook(_watch)


class _Echo(http.server.BaseHTTPRequestHandler):
    """Answers every GET and POST with its method, its path and its body."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = f"{self.command} {self.path} ".encode() + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *arguments: Any) -> None:
        """Nothing on standard error."""


@contextlib.contextmanager
def echo_server() -> Iterator[str]:
    """A real server on a free loopback port; gives its URL."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
