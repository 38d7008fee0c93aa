"""A client's connection to a server, on bytes: HTTP requests, and a WebSocket once one of them asks for it.

There is no I/O here.  Whoever has a connection gives it what the client sends, and takes from it what
the client is to read.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from comfystub.server.http1 import Http1, Received
from comfystub.server.place import Place, Responder
from comfystub.server.websocket import WebSocket


def nobody_waits() -> None:
    """What a connection calls that has nobody to tell that there is something to read."""


class Connection:
    """The server's end of one connection.

    ``find`` says for a path who answers there, at each request anew; ``None`` is nobody any more.
    """

    def __init__(self, find: Callable[[str], Place | None]) -> None:
        self._find = find
        #: What waits for the client.
        self.out = bytearray()
        self._http = Http1(self.out)
        self._websocket: WebSocket | None = None
        #: The server at the other end of a WebSocket.
        self.responder: Responder | None = None
        self._closed = False
        #: Called, in any thread, when ``poll`` may have something else to say.
        self.wake: Callable[[], None] = nobody_waits

    @property
    def over(self) -> bool:
        """Whether this end is closed: what waits can still be read, and nothing comes after it."""
        return self._closed or (self._websocket or self._http).over

    def receive(self, data: bytes) -> None:
        """Take what the client sends; ``b""`` says that it will send no more.

        Raises ``BrokenPipeError`` when this end is closed.
        """
        if self.over:
            raise BrokenPipeError(errno.EPIPE, "the server has closed the connection")
        if self._websocket is None:
            self._answer(data)
        elif data:
            self._websocket.receive(data)
        else:
            self.close()
        self.wake()

    def take(self, limit: int, keep: bool = False) -> bytes | None:
        """What waits for the client, at most ``limit`` bytes; ``b""`` at the end, ``None`` for nothing yet.

        ``keep`` leaves it where it is.
        """
        out = self.out
        if not out and self._websocket is not None:
            self._websocket.collect()
        if not out:
            return b"" if self.over else None
        data = bytes(out[:limit])
        if not keep:
            del out[: len(data)]  # there may be more by now
        return data

    def move(self) -> bool:
        """Let the server work for a client that waits for something to read; whether it did."""
        return self._websocket is not None and self._websocket.socket.move()

    def poll(self) -> bool:
        """Whether a client that reads gets something without waiting for anybody else.

        If not, ``wake`` is called when that may have changed.
        """
        if self.out or self.over:
            return True
        return self._websocket is not None and self._websocket.socket.poll()

    def close(self) -> None:
        """End the connection, whoever wishes it.  What the server said before can still be read."""
        if not self.over:
            self._closed = True
            if self._websocket is not None:
                self._websocket.close()
            self.wake()

    def _answer(self, data: bytes) -> None:
        for received in self._http.receive(data):
            self._respond(received)
            if self._websocket is not None:
                self._websocket.receive(self._http.left_over)
                return

    def _respond(self, received: Received) -> None:
        place = self._find(received.path)
        if place is None:
            self._closed = True
            return
        request = place.request(*received)
        response = place.responder.respond(request)
        self._http.answer(response)
        if response.status == 101:
            self.responder = place.responder
            socket = place.responder.open_socket(request)
            socket.session.wake = self._woken
            self._websocket = WebSocket(socket, self.out)

    def _woken(self) -> None:
        self.wake()
