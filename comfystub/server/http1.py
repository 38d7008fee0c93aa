"""The server's end of HTTP/1.1 on bytes: what a client sends becomes requests, responses become bytes."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import NamedTuple

import h11

from comfystub.server.http import Response, text_response


class Received(NamedTuple):
    """A whole request, as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Http1:
    """One connection; what is to be sent to the client is added to ``out``."""

    def __init__(self, out: bytearray) -> None:
        self._out = out
        self._protocol = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body: list[bytes] = []

    @property
    def over(self) -> bool:
        """Whether the server closes the connection now."""
        return self._protocol.our_state in (h11.MUST_CLOSE, h11.CLOSED, h11.ERROR)

    @property
    def left_over(self) -> bytes:
        """What came after the request that ended HTTP on this connection."""
        return bytes(self._protocol.trailing_data[0])

    def receive(self, data: bytes) -> Iterator[Received]:
        """The requests that some more bytes complete; ``b""`` says that no more will come.

        Each has to be answered before the next one is asked for.
        """
        try:
            self._protocol.receive_data(data)
            while True:
                event = self._protocol.next_event()
                if isinstance(event, h11.Request):
                    self._begin(event)
                elif isinstance(event, h11.Data):
                    self._body.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    yield self._received()
                else:  # more data is needed, or no more may come
                    return
        except h11.RemoteProtocolError as error:
            if self._protocol.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                text = str(error)
                self.answer(
                    text_response(text, error.error_status_hint, (("Content-Length", str(len(text))),))
                )

    def answer(self, response: Response) -> None:
        """Send the response to the request that came last."""
        status, headers, body = response
        event = h11.InformationalResponse if status == 101 else h11.Response
        self._send(
            event(
                status_code=status,
                headers=[(name.encode(), value.encode()) for name, value in headers],
                reason=http.client.responses.get(status, ""),
            )
        )
        if status != 101:
            if body:
                self._send(h11.Data(data=body))
            self._send(h11.EndOfMessage())
            if self._protocol.our_state is self._protocol.their_state is h11.DONE:
                self._protocol.start_next_cycle()

    def _begin(self, head: h11.Request) -> None:
        self._head = head
        if self._protocol.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[], reason="Continue"))

    def _received(self) -> Received:
        assert self._head is not None
        headers: dict[str, str] = {}
        for name, value in self._head.headers:
            headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
        path, _, query = self._head.target.decode("latin-1").partition("?")
        body, self._body = b"".join(self._body), []
        return Received(self._head.method.decode("ascii"), path, query, headers, body)

    def _send(self, event: h11.Event) -> None:
        self._out += self._protocol.send(event) or b""
