"""A client's connection to a server, on bytes: HTTP requests, and a WebSocket once one of them asks for it.

There is no I/O here.  Whoever has a connection gives it what the client sends, and takes from it what
the client is to read.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable, Iterator, Mapping

from comfystub.server.http import CLOSES, REFUSES, RESETS, Delivery, Request, Response
from comfystub.server.http1 import Http1, Received
from comfystub.server.place import Answering, Place, Responder
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
        # What a client that reads or writes runs into once the connection is closed.
        self._error: ConnectionError | None = None
        #: Whether it was made for the call that comes first, and let in.
        self.admitted = False
        # Whether the answer to the last call is still to come, perhaps for ever.
        self._owes_an_answer = False
        # Cancels one that is to come later.
        self._forget_answer: Callable[[], None] | None = None
        #: Called, in any thread, when ``poll`` may have something else to say.
        self.wake: Callable[[], None] = nobody_waits

    @property
    def idle(self) -> bool:
        """Whether it waits for a call."""
        return self._websocket is None and not self._owes_an_answer and not self.out

    @property
    def over(self) -> bool:
        """Whether this end is closed: what waits can still be read, and nothing comes after it."""
        return self._closed or (self._websocket or self._http).over

    def receive(self, data: bytes) -> None:
        """Take what the client sends; ``b""`` says that it will send no more.

        Raises ``BrokenPipeError``, or another ``ConnectionError``, when this end is closed.
        """
        if self.over:
            failure = self._failure
            if failure is None:
                failure = BrokenPipeError(errno.EPIPE, "the server has closed the connection")
            raise failure
        if self._websocket is None:
            self._serve(self._http.receive(data))
            if isinstance(self._error, ConnectionRefusedError):
                raise self._error
        elif data:
            self._websocket.receive(data)
        else:
            self.close()
        self.wake()

    def take(self, limit: int, keep: bool = False) -> bytes | None:
        """What waits for the client, at most ``limit`` bytes; ``b""`` at the end, ``None`` for nothing yet.

        ``keep`` leaves it where it is.  Raises ``ConnectionError`` at the end of a connection that broke.
        """
        out = self.out
        if not out and self._websocket is not None:
            self._websocket.collect()
        if not out:
            if self.over and (failure := self._failure) is not None:
                raise failure
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
            if self._forget_answer is not None:
                self._forget_answer()
            if self._websocket is not None:
                self._websocket.close()
            self.wake()

    @property
    def _failure(self) -> ConnectionError | None:
        if self._websocket is not None and self._websocket.reset:
            return _reset()
        return self._error

    def _serve(self, calls: Iterator[Received]) -> None:
        """Answer calls, one after the other."""
        # What comes while an answer is still to come waits its turn.
        while self._takes_calls() and (received := next(calls, None)) is not None:
            self._respond(received)
        if self._websocket is not None:
            self._websocket.receive(self._http.left_over)

    def _takes_calls(self) -> bool:
        return not (self._websocket is not None or self._owes_an_answer or self._closed)

    def _respond(self, received: Received) -> None:
        place = self._find(received.path)
        if place is None:
            self._closed = True
            return
        server = place.responder.turn()
        server.attach(self)
        request = place.request(*received)
        request.admitted, self.admitted = self.admitted, False
        response = server.respond(request)
        arrive = functools.partial(self._arrive, request, response, server, place.responder)
        delivery = response.delivery
        if delivery is not None and (delivery.after or delivery.silent):
            self._owes_an_answer = True
        if delivery is not None and delivery.after:
            self._forget_answer = server.clock.call_at(server.clock.time() + delivery.after, arrive)
        else:
            arrive()

    def _arrive(self, request: Request, response: Response, server: Answering, responder: Responder) -> None:
        """Send an answer, as far as it is to get, and end the connection if it is to end with it."""
        late, delivery = self._owes_an_answer, response.delivery or Delivery()
        if self.over:
            return
        if not delivery.silent:
            self._http.answer(response, delivery.sent)
            self._owes_an_answer = False
        if response.status == 101:
            self.responder = responder
            socket = server.open_socket(request)
            socket.session.wake = self._woken
            self._websocket = WebSocket(socket, self.out)
        if delivery.ends:
            self._closed, self._error = True, _ENDS[delivery.ends]()
        if late:
            self._serve(self._http.requests())
            self.wake()

    def _woken(self) -> None:
        self.wake()


def _reset() -> ConnectionError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


def _refused() -> ConnectionError:
    return ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def _closed() -> None:
    """Nothing is raised where a connection is closed."""


#: How a connection ends, to what its client runs into then.
_ENDS: Mapping[str, Callable[[], ConnectionError | None]] = {
    CLOSES: _closed,
    RESETS: _reset,
    REFUSES: _refused,
}
