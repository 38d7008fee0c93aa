"""A connection to a stub as asyncio's protocols know one."""

from __future__ import annotations

import asyncio
from typing import Any

from comfystub.transports.stubbed import Stubbed, add_tls, channel_of

#: The most that a protocol is given at a time, in bytes, as by asyncio's own transport.
LARGEST_READ = 256 * 1024


class StubTransport(asyncio.Transport):
    """The client's end of a connection to a stub, in an event loop.

    What the server sends is passed on in turns of the loop, and so is its work: a beat each, so that
    other tasks run in between, and a protocol that stops reading stops the server.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.BaseProtocol, sock: Stubbed, ssl: Any = None
    ) -> None:
        extra = {"socket": sock, "peername": sock.getpeername(), "sockname": sock.getsockname()}
        if ssl:
            add_tls(sock)
            extra |= {"sslcontext": ssl, "ssl_object": sock}
        super().__init__(extra)
        self._loop = loop
        self._protocol = protocol
        self._socket = sock
        self._connection = channel_of(sock).connection
        self._connection.wake = self._wake
        self._scheduled = False
        self._paused = False
        self._ended = False
        self._closing = False
        loop.call_soon(protocol.connection_made, self)
        self._wake()

    # --- reading

    def _wake(self) -> None:
        """Have a turn, as soon as the loop gets to it."""
        if self._scheduled or self._closing:
            return
        self._scheduled = True
        try:
            if _is_running(self._loop):
                self._loop.call_soon(self._turn)
                self._show()
            else:
                self._loop.call_soon_threadsafe(self._turn)
        except RuntimeError:  # the loop is closed: nobody reads any more
            self._closing = True
            self._socket.close()

    def _show(self) -> None:
        """While the protocol does not read, who asks the socket itself finds out what there is to read.

        httpx does so before it uses a connection again.
        """
        if self._paused or self._ended:
            channel_of(self._socket).wake()

    def _turn(self) -> None:
        self._scheduled = False
        if self._closing:
            return
        if self._paused or self._ended:
            self._show()
            return
        try:
            self._read()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fail(exc)

    def _read(self) -> None:
        data = self._take()
        if data is None and not self._closing and self._connection.move():
            data = self._take()
        if data:
            channel_of(self._socket).was_read()
            self._pass_on(data)
        elif data is not None:
            self._end()
        if not self._closing and self._connection.poll():
            self._wake()

    def _take(self) -> bytes | None:
        """What waits to be read; a connection that broke is lost, and nobody is to blame."""
        try:
            return self._connection.take(LARGEST_READ)
        except ConnectionError as exc:
            self._close(exc)
            return None

    def _pass_on(self, data: bytes) -> None:
        protocol = self._protocol
        if isinstance(protocol, asyncio.Protocol):
            protocol.data_received(data)
            return
        assert isinstance(protocol, asyncio.BufferedProtocol)
        while data:
            buffer = memoryview(protocol.get_buffer(len(data)))
            part = data[: len(buffer)]
            buffer[: len(part)] = part
            protocol.buffer_updated(len(part))
            data = data[len(part) :]

    def _end(self) -> None:
        """The server has closed its end."""
        self._ended = True
        protocol: Any = self._protocol
        if protocol.eof_received():
            self._show()
        else:
            self.close()

    def _fail(self, exc: BaseException) -> None:
        """The protocol, or user code in a beat, has raised: it loses its connection, as ever."""
        self._loop.call_exception_handler(
            {
                "message": "Fatal error: a protocol raised while it read from a stub",
                "exception": exc,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._close(exc)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._wake()

    # --- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._closing and not self._connection.over:
            try:
                self._connection.receive(bytes(data))
            except ConnectionError as exc:
                self._close(exc)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._closing and not self._connection.over:
            self._connection.receive(b"")

    # Nothing that is written ever waits.

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    # --- closing

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._close(None)

    def _close(self, exc: BaseException | None) -> None:
        if not self._closing:
            self._closing = True
            self._socket.close()
            # Who keeps the transport, as libraries do for a while, does not keep the server.
            del self._connection
            lost: Any = self._protocol.connection_lost
            self._loop.call_soon(lost, exc)

    def abort(self) -> None:
        self.close()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol


def _is_running(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is the loop of this thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
