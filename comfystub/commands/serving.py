"""A server behind a real port: the one place of comfystub that opens one, and only commands come here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncIterator, Callable

from comfystub.server.connection import Connection
from comfystub.server.place import Place, Responder

#: The most that is passed on to a client in one turn of the loop, in bytes.
LARGEST_WRITE = 256 * 1024


@contextlib.asynccontextmanager
async def serving(
    responder: Responder, host: str, port: int, answered: Callable[[], None]
) -> AsyncIterator[list[tuple[str, int]]]:
    """A block in which a server listens; gives the addresses, of which a name may have several.

    ``answered`` is called when calls may have been answered.  Raises ``OSError`` when it cannot listen
    there.  All connections are cut off at the end.
    """
    loop, peers = asyncio.get_running_loop(), set[_Peer]()
    place = Place(responder, "")
    make = functools.partial(_Peer, lambda path: place, peers, answered)
    listener = await loop.create_server(make, host, port)
    try:
        yield [sock.getsockname()[:2] for sock in listener.sockets]
    finally:
        listener.close()
        closed = asyncio.ensure_future(listener.wait_closed())
        while not closed.done():  # a client may just be coming in
            for peer in list(peers):
                peer.cut_off()
            await asyncio.sleep(0)


class _Peer(asyncio.Protocol):
    """A client: what it sends goes to the server, and what the server says goes to it.

    What the server does for a client that listens is done in turns of the loop, a beat each.  A client
    that does not read what it was sent is neither heard nor worked for.
    """

    _transport: asyncio.Transport

    def __init__(
        self, find: Callable[[str], Place | None], peers: set[_Peer], answered: Callable[[], None]
    ) -> None:
        self._connection = Connection(find)
        self._peers = peers
        self._answered = answered
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._scheduled = False
        self._paused = False

    # --- what the client does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connection.wake = self._wake
        self._peers.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._connection.receive(data)
        except ConnectionError:  # it is closing; what the client says now is said to nobody
            return
        self._answered()

    def eof_received(self) -> bool:
        if not self._connection.over:
            self.data_received(b"")
        return True  # it may still read

    def pause_writing(self) -> None:
        self._paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._transport.resume_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._peers.discard(self)
        self._connection.close()

    def cut_off(self) -> None:
        """Have nothing to do with it any more."""
        self._transport.abort()

    # --- what the server does

    def _wake(self) -> None:
        """Have a turn soon; called in any thread."""
        if threading.get_ident() != self._thread:
            self._loop.call_soon_threadsafe(self._wake)
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._paused or self._transport.is_closing():
            return
        connection = self._connection
        try:
            data = connection.take(LARGEST_WRITE)
            if data is None and connection.move():
                data = connection.take(LARGEST_WRITE)
        except ConnectionError:
            self._transport.abort()
            return
        if data:
            self._transport.write(data)
        elif data is not None:
            self._transport.close()
            return
        if connection.poll():
            self._wake()
