"""Listeners of websocket-client: in the three ways in which ComfyUI's clients use it."""

from __future__ import annotations

import queue
import ssl
import threading
from typing import Any

import websocket

from contract.clients import PATIENCE, Closed, Listener, NothingCame, SyncClient

TRUSTING = {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}

#: What means that the connection is gone.
LOST = (websocket.WebSocketConnectionClosedException, ConnectionError)


class CreateConnection(Listener):
    """``create_connection()``, read with ``recv``: an empty text says that it is over, and that is all."""

    tells_the_code = False

    def __init__(self, url: str) -> None:
        self._socket = self._connected(url)

    def _connected(self, url: str) -> websocket.WebSocket:
        return websocket.create_connection(url, timeout=PATIENCE, sslopt=TRUSTING)

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        self._socket.settimeout(timeout)
        try:
            message = self._read()
        except websocket.WebSocketTimeoutException:
            raise NothingCame from None
        except LOST:
            raise Closed from None
        if isinstance(message, Closed):
            raise message
        return message

    def _read(self) -> str | bytes | Closed:
        return self._socket.recv() or Closed()

    async def send(self, text: str) -> None:
        self._socket.send(text)

    async def close(self) -> None:
        self._socket.close()
        self._socket.shutdown()  # of one that the server has closed, close() leaves the connection open


class RecvData(CreateConnection):
    """``WebSocket().connect()``, read with ``recv_data``."""

    tells_the_code = True

    def _connected(self, url: str) -> websocket.WebSocket:
        socket = websocket.WebSocket(sslopt=TRUSTING)
        socket.connect(url)
        return socket

    def _read(self) -> str | bytes | Closed:
        opcode, data = self._socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return Closed(int.from_bytes(data[:2], "big") or None)
        return data.decode() if opcode == websocket.ABNF.OPCODE_TEXT else data


class App(Listener):
    """A ``WebSocketApp`` that runs in a thread of its own."""

    def __init__(self, url: str) -> None:
        # One that is full holds the reading up, as a callback does that takes its time.
        self._heard: queue.Queue[Any] = queue.Queue(64)
        self._opened = threading.Event()
        self._error: Exception | None = None
        self._code: int | None = None
        self._socket: websocket.WebSocket | None = None
        self._app = websocket.WebSocketApp(
            url,
            on_open=self._note_socket,
            on_message=lambda app, message: self._heard.put(message),
            on_error=self._fail,
            on_close=self._note_code,
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._opened.wait(PATIENCE)
        if self._error is not None:
            self._thread.join(PATIENCE)
            raise self._error

    def _run(self) -> None:
        # Of a close in another thread it learns when it looks up, of which this is the interval.
        self._app.run_forever(sslopt=TRUSTING, ping_timeout=0.5)
        self._heard.put(None)

    def _note_socket(self, app: websocket.WebSocketApp) -> None:
        self._socket = app.sock
        self._opened.set()

    def _note_code(self, app: websocket.WebSocketApp, code: int | None, reason: str | None) -> None:
        self._code = code

    def _fail(self, app: websocket.WebSocketApp, error: Exception) -> None:
        if not self._opened.is_set():
            self._error = error
            self._opened.set()

    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        try:
            message = self._heard.get(timeout=timeout)
        except queue.Empty:
            raise NothingCame from None
        if message is None:
            raise Closed(self._code)
        return message

    async def send(self, text: str) -> None:
        self._app.send(text)

    async def close(self) -> None:
        self._app.close()
        while self._thread.is_alive():
            while not self._heard.empty():
                self._heard.get()
            self._thread.join(0.01)
        if self._socket is not None:
            self._socket.shutdown()  # as above


class OverWebSocketClient(SyncClient):
    """A client whose WebSockets are websocket-client's."""

    ws_unreachable = (ConnectionRefusedError,)
    not_upgraded = (websocket.WebSocketBadStatusException,)
    listener: type[CreateConnection] | type[App] = CreateConnection

    async def connect(self, url: str) -> Listener:
        return self.listener(url)
