"""What a scenario needs of a client library, however that one puts it.

A scenario awaits everything.  The methods of a client of a sync library are coroutines that never
really wait, so that no event loop is needed, and none is there, when they are run.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from calls import in_thread
from server.support import Answer, form

T = TypeVar("T")
Step = Callable[[], Coroutine[Any, Any, Any]]
Files = Mapping[str, tuple[str, bytes]]

#: Seconds after which something that should have come long ago is not waited for any more.
PATIENCE = 30.0
#: Seconds in which what is about to happen happens, most of the time.
MOMENT = 0.02


class NothingCame(Exception):
    """A listener's time-out struck."""


class Closed(Exception):
    """The server's end of a WebSocket is gone; ``code`` is what it was closed with, if the library tells."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(code)
        self.code = code


class Failures(NamedTuple):
    """What a library for HTTP raises, of each the exact types.

    ``reset`` and ``hung_up`` are what comes in the place of an answer, ``cut`` in the middle of its body,
    ``left_over`` when it is longer than it says: nothing, where the library does not notice.
    """

    reset: tuple[type[Exception], ...]
    hung_up: tuple[type[Exception], ...]
    cut: tuple[type[Exception], ...]
    times_out: tuple[type[Exception], ...]
    left_over: tuple[type[Exception], ...] = ()


class Listener(ABC):
    """A client's end of a WebSocket."""

    #: Whether it tells the code that it was closed with.
    tells_the_code = True

    @abstractmethod
    async def receive(self, timeout: float = PATIENCE) -> str | bytes:
        """The next message.

        Raises ``NothingCame`` when none comes in that many seconds, ``Closed`` when none comes at all.
        """

    @abstractmethod
    async def send(self, text: str) -> None: ...

    @abstractmethod
    async def close(self) -> None:
        """Say goodbye; once more does no harm."""


class Client(ABC):
    """A client library for HTTP and one for WebSockets, as an application uses them together."""

    #: What the libraries raise when a host cannot be reached: for HTTP, for WebSockets.
    unreachable: tuple[type[Exception], ...]
    ws_unreachable: tuple[type[Exception], ...]
    #: What else the library for HTTP raises, and how often it connects for a call before it raises that.
    failures: Failures
    tries = 1
    #: What the library for WebSockets raises when the server refuses to open one.
    not_upgraded: tuple[type[Exception], ...]
    #: Whether that library notices a connection that ends without a goodbye.
    notices_the_end = True

    def __init__(self, url: str) -> None:
        #: The server's address; a scenario may turn to another one.
        self.url = url
        #: How many seconds a call waits for something to read.
        self.patience = PATIENCE
        self._listeners: list[Listener] = []

    @classmethod
    @abstractmethod
    def play(cls, scenario: Step) -> None:
        """Run a scenario the way the library's users run their code."""

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.leave()
        await self.close()

    async def leave(self) -> None:
        """Close every WebSocket."""
        while self._listeners:
            await self._listeners.pop(0).close()

    @abstractmethod
    async def close(self) -> None:
        """Close the HTTP library's session, if it has such a thing."""

    @abstractmethod
    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        files: Files | None = None,
        fields: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The server's answer, whatever its status; ``files`` and ``fields`` go as a form."""

    async def open(
        self, client_id: str | None = None, *, features: bool = False, path: str = "/ws"
    ) -> Listener:
        """Open a WebSocket; ``features`` announces that frames with metadata are understood."""
        query = f"?{urlencode({'clientId': client_id})}" if client_id else ""
        listener = await self.connect("ws" + self.url.removeprefix("http") + path + query)
        self._listeners.append(listener)
        if features:
            flags = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}
            await listener.send(json.dumps(flags))
        return listener

    @abstractmethod
    async def connect(self, url: str) -> Listener:
        """A WebSocket to a URL."""

    @abstractmethod
    async def together(self, first: Step, second: Step) -> list[Any]:
        """Run both at the same time, the first one started first; what they return."""

    @abstractmethod
    async def pause(self) -> None:
        """A moment, in which others get on."""


class SyncClient(Client):
    """A client whose calls block; what is to happen at the same time needs threads."""

    @classmethod
    def play(cls, scenario: Step) -> None:
        without_loop(scenario)

    async def together(self, first: Step, second: Step) -> list[Any]:
        with ThreadPoolExecutor(2) as pool:
            return [one.result() for one in [pool.submit(without_loop, step) for step in (first, second)]]

    async def pause(self) -> None:
        time.sleep(MOMENT)

    async def close(self) -> None:
        """Nothing, where a call leaves nothing open."""


class AsyncClient(Client):
    """A client of asyncio."""

    @classmethod
    def play(cls, scenario: Step) -> None:
        in_thread(asyncio.run, asyncio.wait_for(scenario(), 3 * PATIENCE))

    async def together(self, first: Step, second: Step) -> list[Any]:
        return await asyncio.gather(first(), second())

    async def pause(self) -> None:
        await asyncio.sleep(MOMENT)


def without_loop(step: Step) -> Any:
    """Run a coroutine that never waits."""
    coroutine = step()
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise AssertionError("what is sync waited for an event loop")


async def in_time(waited_for: Awaitable[T], timeout: float) -> T:
    """Wait for something of asyncio's.  Raises ``NothingCame`` when it takes too long."""
    try:
        return await asyncio.wait_for(waited_for, timeout)
    except asyncio.TimeoutError:
        raise NothingCame from None


def answer(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Answer:
    return Answer(status, {name.lower(): value for name, value in headers}, body)


def trusting() -> ssl.SSLContext:
    """TLS with whomever: there is no certificate to be checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def encoded(
    path: str,
    json: Any,
    body: bytes | None,
    files: Files | None,
    fields: Mapping[str, str] | None,
    params: Mapping[str, str] | None,
    headers: Mapping[str, str] | None,
) -> tuple[str, bytes | None, dict[str, str]]:
    """A request's target, body and headers, for libraries that leave making them to their users."""
    sent = dict(headers or {})
    if json is not None:
        body = dumps(json)
        sent["Content-Type"] = "application/json"
    elif files is not None:
        sent["Content-Type"], body = form(**files, **(fields or {}))
    return path + (f"?{urlencode(params)}" if params else ""), body, sent


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()
