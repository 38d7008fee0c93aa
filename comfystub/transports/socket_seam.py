"""The standard library's sockets, through which go all clients that have no event loop.

Every one of them looks its server up, connects, and wraps the socket where there is TLS; however it
imported ``socket``, it does so through these.
"""

from __future__ import annotations

import errno
import functools
import socket
import sys
from collections.abc import Callable
from typing import Any

from comfystub.transports.calling import present
from comfystub.transports.names import Names, is_address
from comfystub.transports.origins import DEFAULT_PORTS
from comfystub.transports.registry import Refused, registry
from comfystub.transports.seams import Seam
from comfystub.transports.stubbed import Stubbed, add_tls, attach

INTERNET = (socket.AF_INET, socket.AF_INET6)
#: Anything else is for the original to complain about.
HOST_TYPES = (str, bytes, bytearray)

names = Names()

# A plain number: the enumeration's own takes its time.
_PASSIVE = int(socket.AI_PASSIVE)


def _make_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def connect(self: socket.socket, address: Any) -> None:
        if not _connect(self, address, sys._getframe(1).f_code.co_name):
            original(self, _as_named(address))

    return connect


def _make_connect_ex(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def connect_ex(self: socket.socket, address: Any) -> int:
        try:
            if _connect(self, address):
                return 0
        except OSError as error:
            return error.errno or errno.ECONNREFUSED
        return int(original(self, _as_named(address)))

    return connect_ex


def is_tcp(sock: socket.socket, address: Any) -> bool:
    """Whether connecting a socket to an address would make a TCP connection."""
    return (
        isinstance(address, tuple)
        and len(address) >= 2
        and isinstance(address[0], HOST_TYPES)
        and sock.family in INTERNET
        and sock.type == socket.SOCK_STREAM
    )


def _connect(sock: socket.socket, address: Any, caller: str = "") -> bool:
    """Connect a socket to the stub at an address; whether there is one.

    Raises ``OSError`` where there is none and other hosts are refused, where a fault lets nobody
    listen, and for a socket that is connected.
    """
    if not is_tcp(sock, address):
        return False
    host, port = _host_of(address[0]), address[1]
    try:
        found = registry.at(host, port)
    except Refused as refused:
        # Where the system has no pairs, the standard library makes them of two sockets.
        if caller.endswith("socketpair"):
            return False
        raise ConnectionRefusedError(errno.ECONNREFUSED, str(refused)) from None
    if found is None:
        return False
    call = present()
    if not found[0].responder.admits(call):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    if isinstance(sock, Stubbed):
        raise OSError(errno.EISCONN, "Transport endpoint is already connected")
    connection = registry.connect(host, port)
    connection.admitted = call is not None
    attach(sock, host, address, connection)
    return True


def _as_named(address: Any) -> Any:
    """An address with a name in place of one that was made up for it: another port of that host, say."""
    if isinstance(address, tuple) and address and isinstance(address[0], str):
        return names.name_of(address[0]), *address[1:]
    return address


def _make_getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def getaddrinfo(
        host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        if host and not flags & _PASSIVE and is_caught(host, port):
            name = _host_of(host)
            if not is_address(name):
                host, flags = names.address_of(name, family), flags & ~socket.AI_ADDRCONFIG
        return original(host, port, family, type, proto, flags)

    return getaddrinfo


def is_caught(host: Any, port: Any) -> bool:
    """Whether a connection to a host and a port is answered or refused by a stub."""
    if not isinstance(host, HOST_TYPES):
        return False
    try:
        return registry.at(_host_of(host), _number(port)) is not None
    except Refused:
        return True


def _host_of(host: str | bytes | bytearray) -> str:
    """The host that is meant by its name or its address, as in a URL."""
    text = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else host
    return names.name_of(text.lower())


def _number(port: Any) -> int:
    """A port that may be a text, or the name of a service; 0 for one that is not known."""
    port = port.decode() if isinstance(port, bytes) else port
    if isinstance(port, str):
        return int(port) if port.isdigit() else DEFAULT_PORTS.get(port, 0)
    return port or 0


def _make_wrap_socket(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrap_socket(self: Any, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(sock, Stubbed):
            return original(self, sock, *args, **kwargs)
        add_tls(sock)
        return sock

    return wrap_socket


SEAMS = (
    Seam("socket", "socket", "connect", _make_connect),
    Seam("socket", "socket", "connect_ex", _make_connect_ex),
    Seam("socket", None, "getaddrinfo", _make_getaddrinfo),
    Seam("ssl", "SSLContext", "wrap_socket", _make_wrap_socket),
)
