"""What tests of sockets and of event loops send to a stub, and what they wait for."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from workflows import text_to_image

import comfystub

ADDRESS = ("comfy.test", 8188)
GET = b"GET /queue HTTP/1.1\r\nHost: comfy.test:8188\r\n\r\n"
NOTHING_QUEUED = b'{"queue_running": [], "queue_pending": []}'
LAST = b'"executing", "data": {"node": null'
#: How long a test waits at most for what must not fail to come.
LONG = 20


def handshake(client_id: str = "me") -> bytes:
    """The request that opens a WebSocket."""
    return (
        f"GET /ws?clientId={client_id} HTTP/1.1\r\nHost: comfy.test:8188\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


GET_WS = handshake()


def listen(sock: socket.socket, client_id: str = "me") -> None:
    """Make a connection a WebSocket that has nothing to read."""
    sock.sendall(handshake(client_id))
    heard = b""
    while b'"sid"' not in heard:
        heard += sock.recv(1000)


@contextlib.contextmanager
def listening(client_id: str = "me", timeout: float = LONG) -> Iterator[socket.socket]:
    """A socket that has nothing to read."""
    with socket.create_connection(ADDRESS, timeout=timeout) as sock:
        listen(sock, client_id)
        yield sock


def submit(stub: comfystub.Stub, client_id: str = "me", seed: int = 1) -> str:
    """Post a prompt for a client; its id."""
    with stub.client() as client:
        sent = {"prompt": text_to_image(seed=seed), "client_id": client_id}
        prompt_id: str = client.post("/prompt", json=sent).raise_for_status().json()["prompt_id"]
        return prompt_id
