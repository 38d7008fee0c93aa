"""Event loops: the method through which their clients get a connection, and what comes before it.

aiohttp makes the socket by itself and gives it to the loop; others give the loop a host and a port.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Callable
from typing import Any

from comfystub.transports.seams import Seam
from comfystub.transports.socket_seam import is_caught, is_tcp
from comfystub.transports.stubbed import Stubbed


def _make_create_connection(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def create_connection(
        self: Any,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        sock: Any = None,
        **options: Any,
    ) -> Any:
        if sock is None and host and is_caught(host, port):
            sock = _connected(host, port)
        if not isinstance(sock, Stubbed):
            return await original(self, protocol_factory, host, port, sock=sock, **options)
        import asyncio

        from comfystub.transports.asyncio_transport import StubTransport

        protocol = protocol_factory()
        transport = StubTransport(self, protocol, sock, options.get("ssl"))
        try:
            await asyncio.sleep(0)  # in which the protocol learns of its connection
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    return create_connection


def _connected(host: Any, port: Any) -> socket.socket:
    """A socket that is connected to a stub, or refused by one."""
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _make_sock_connect(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def sock_connect(self: Any, sock: socket.socket, address: Any) -> None:
        if is_tcp(sock, address) and is_caught(*address[:2]):
            sock.connect(address)
        else:
            await original(self, sock, address)

    return sock_connect


def _make_getaddrinfo(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def getaddrinfo(self: Any, host: Any, port: Any, **options: Any) -> Any:
        if host and is_caught(host, port):
            return socket.getaddrinfo(host, port, **options)
        return await original(self, host, port, **options)

    return getaddrinfo


SEAMS = (
    Seam("asyncio.base_events", "BaseEventLoop", "create_connection", _make_create_connection),
    # Windows connects sockets without a call to their own method.
    Seam("asyncio.proactor_events", "BaseProactorEventLoop", "sock_connect", _make_sock_connect),
    Seam("uvloop", "Loop", "create_connection", _make_create_connection),
    Seam("uvloop", "Loop", "getaddrinfo", _make_getaddrinfo),
)
