"""Clients that need a socket: a listener's whole cycle with websocket-client, and single calls.

The cycle is: connect, submit with urllib, read to the end, close.  What the two libraries need for that
when the answers are there already is the floor.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import http.client
import io
import json
import urllib.request
from collections.abc import Callable, Iterator

import aiohttp
import websocket

from comfystub.prefill import WORKFLOW
from comfystub.server.frames import BINARY, TEXT, close_frame, frame

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
STEPS = 20

opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def cycle(url: str) -> Callable[[], list[str | bytes]]:
    """Run the text-to-image graph with previews and read what is sent of it; returns that."""
    prompts = _prompts()
    address = url.replace("http", "ws", 1) + "/ws?clientId=me"

    def run() -> list[str | bytes]:
        socket = websocket.create_connection(address, timeout=20)
        socket.recv()
        opener.open(f"{url}/prompt", data=next(prompts)).read()
        heard: list[str | bytes] = []
        while not _is_last(frame := socket.recv()):
            heard.append(frame)
        socket.close()
        return [*heard, frame]

    return run


def _prompts() -> Iterator[bytes]:
    workflow = json.loads(WORKFLOW.read_text())
    workflow["5"]["inputs"]["batch_size"] = 1
    workflow["3"]["inputs"]["steps"] = STEPS
    for seed in range(1 << 30):
        # As for a server that is fresh, nothing is cached: all nodes depend on these two.
        for node_id in ("4", "5"):
            workflow[node_id]["inputs"]["unknown"] = seed
        yield json.dumps({"prompt": workflow, "client_id": "me"}).encode()


def _is_last(frame: str | bytes) -> bool:
    return isinstance(frame, str) and frame.startswith('{"type": "executing", "data": {"node": null')


class Memory:
    """A socket whose other end is a text: what the library costs by itself."""

    def __init__(self, frames: bytes) -> None:
        self._frames = frames
        self._data = b""
        self._at = 0

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._frames)

    def sendall(self, data: bytes) -> None: ...

    def send(self, data: bytes) -> int:
        head = data.decode("latin-1")
        if head.startswith("GET "):
            key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
            accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            answer = f"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            self._data = b"HTTP/1.1 101 Switching Protocols\r\n" + answer.encode() + self._frames
        return len(data)

    def recv(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        return data

    def gettimeout(self) -> float:
        return 20.0

    def settimeout(self, timeout: float) -> None: ...

    def setsockopt(self, *option: object) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...


class MemoryHandler(urllib.request.HTTPHandler):
    """Lets urllib read an answer that is there already."""

    def http_open(self, request: urllib.request.Request) -> object:
        return self.do_open(_answered, request)


def _answered(host: str, **options: object) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(host)
    body = b'{"prompt_id": "01234567-0123-0123-0123-0123456789ab", "number": 1, "node_errors": {}}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sock = Memory(head.encode() + body)
    return connection


def from_memory(heard: list[str | bytes]) -> Callable[[], None]:
    """What the two libraries need to read the same bytes when they are there already."""
    prompts, memory = _prompts(), urllib.request.build_opener(MemoryHandler)
    greeting = '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"}}'
    data = b"".join(
        frame(TEXT, one.encode()) if isinstance(one, str) else frame(BINARY, one)
        for one in [greeting, *heard]
    ) + close_frame(1000)

    def run() -> None:
        socket = websocket.create_connection("ws://comfy.test/ws?clientId=me", socket=Memory(data))
        socket.recv()
        memory.open("http://comfy.test/prompt", data=next(prompts)).read()
        while not _is_last(socket.recv()):
            pass
        socket.close()

    return run


def listeners(url: str, fakes: dict[str, str], picture: bytes) -> dict[str, Callable[[], object]]:
    """The cycle on the stub, on fakes on a port that say the same, and from memory."""
    on_stub = cycle(url)
    heard = on_stub()
    for fake_url in fakes.values():
        teacher = websocket.create_connection(fake_url.replace("http", "ws", 1) + "/ws?clientId=benchmark")
        for said in [*heard, picture]:
            teacher.send(said) if isinstance(said, str) else teacher.send_binary(said)
        teacher.close()
    return {
        "listener on comfystub": on_stub,
        "the same bytes from memory": from_memory(heard),
        **{f"listener on {name}": cycle(fake_url) for name, fake_url in fakes.items()},
    }


@contextlib.contextmanager
def gets(url: str, fakes: dict[str, str]) -> Iterator[dict[str, Callable[[], object]]]:
    """One call with each library, on the stub and on the fakes."""
    loop = asyncio.new_event_loop()
    session = loop.run_until_complete(_session())

    async def get(url: str) -> bytes:
        async with session.get(f"{url}/system_stats") as response:
            return await response.read()

    calls: dict[str, Callable[[], object]] = {}
    for where, at in (("comfystub", url), *fakes.items()):
        calls[f"urllib GET on {where}"] = lambda at=at: opener.open(f"{at}/system_stats").read()
        calls[f"aiohttp GET on {where}"] = lambda at=at: loop.run_until_complete(get(at))
    yield calls
    loop.run_until_complete(session.close())
    loop.close()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()
