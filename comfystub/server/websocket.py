"""The server's end of a WebSocket on bytes: what the server says becomes frames, frames become messages."""

from __future__ import annotations

import threading

from comfystub.engine import forking
from comfystub.engine.sessions import Ending
from comfystub.server import frames
from comfystub.server.sockets import Socket


class WebSocket:
    """One connection after its handshake; what is to be sent to the client is added to ``out``."""

    def __init__(self, socket: Socket, out: bytearray) -> None:
        self.socket = socket
        #: Whether the server closes the connection now.
        self.over = False
        #: Whether it closes it as if it had crashed.
        self.reset = False
        self._out = out
        self._frames = frames.Reader()
        # Whether it has sent a close frame and waits for the client's.
        self._closing = False
        # A client may send in one thread and read in another: what it reads stays in order.
        self._lock = forking.lock(threading.Lock())

    def receive(self, data: bytes) -> None:
        """Take what the client sends."""
        try:
            for message in self._frames.read(data):
                self._take_in(message)
                if self.over:
                    return
        except frames.Violation as violation:
            self._say_goodbye(violation.code)

    def collect(self) -> None:
        """Put what the server has said in front of the client."""
        with self._lock:
            for said in self.socket.unread():
                if isinstance(said, Ending):
                    self._end(said)
                elif isinstance(said, str):
                    self._out += frames.frame(frames.TEXT, said.encode())
                else:
                    self._out += frames.frame(frames.BINARY, said)

    def _end(self, ending: Ending) -> None:
        """Close the connection, once the client has answered, or let it break off."""
        if ending.code is not None:
            self._send_close(ending.code, ending.reason)
            self._closing = True
            return
        self.reset = ending.reset
        self.close()

    def close(self) -> None:
        """The connection is gone."""
        self.over = True
        self.socket.close()

    def _take_in(self, message: frames.Message) -> None:
        opcode, payload = message
        if self._closing:
            if opcode == frames.CLOSE:
                self.close()
        elif opcode == frames.TEXT:
            self.socket.hear(frames.text(payload))
        elif opcode == frames.BINARY:
            self.socket.hear(payload)
        elif opcode == frames.PING:
            self.collect()
            self._out += frames.frame(frames.PONG, payload)
        elif opcode == frames.CLOSE:
            frames.close_code(payload)
            self._say_goodbye(frames.NORMAL)

    def _say_goodbye(self, code: int) -> None:
        """Send a close frame after all that was said before: the server waits for no answer to it."""
        self.close()
        self.collect()
        self._send_close(code)

    def _send_close(self, code: int, reason: str = "") -> None:
        self.socket.session.record.close_code = code
        self._out += frames.close_frame(code, reason)
