"""What a client does with every server: it submits, polls, listens and downloads."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket
from calls import URL
from workflows import text_to_image

import comfystub

WS_URL = "ws://comfy.test:8188/ws?clientId=me"
#: Seconds, on the virtual clock, for which a client waits for a message or an answer.
PATIENCE = 30
#: A login, as HTTP's basic authentication says it.
LOGIN = "Basic " + base64.b64encode(b"me:secret").decode()

#: For tests that are about what happens while a job waits or runs.
takes_time = pytest.mark.parametrize("stub", [{"pace": comfystub.Timed()}], indirect=True, ids=["timed"])

#: A message: its type and its data, or ``"binary"`` and the frame.
Message = tuple[str, Any]


# --- jobs


def submit(workflow: Any = None, *, client_id: str | None = "me", url: str = URL, **fields: Any) -> str:
    """Post a prompt; its id."""
    body = {"prompt": workflow or text_to_image(), "client_id": client_id, **fields}
    response = requests.post(f"{url}/prompt", json=body)
    response.raise_for_status()
    prompt_id: str = response.json()["prompt_id"]
    return prompt_id


def get(path: str, url: str = URL) -> Any:
    """The JSON that a path answers."""
    with urllib.request.urlopen(url + path) as response:
        return json.load(response)


def history(prompt_id: str, url: str = URL) -> dict[str, Any]:
    """What history has of a prompt: nothing, as long as it is not over."""
    found: dict[str, Any] = get(f"/history/{prompt_id}", url).get(prompt_id, {})
    return found


def wait(prompt_id: str, url: str = URL, seconds: int = 120) -> dict[str, Any]:
    """Poll until history has a prompt.  Raises ``TimeoutError`` when it has not got it in time."""
    for _ in range(seconds):
        if found := history(prompt_id, url):
            return found
        time.sleep(1)
    raise TimeoutError(prompt_id)


def queued(url: str = URL) -> list[str]:
    """The ids of the prompts that run and wait, the next one first."""
    queue = get("/queue", url)
    rows = queue["queue_running"] + sorted(queue["queue_pending"])
    return [prompt_id for _, prompt_id, *_ in rows]


def outcome(entry: dict[str, Any]) -> str:
    """How a prompt ended, by the last message that history has of it."""
    last: str = entry["status"]["messages"][-1][0]
    return last


def names(entry: dict[str, Any], node_id: str = "9", kind: str = "images") -> list[str]:
    """The files that a node left."""
    return [file["filename"] for file in entry["outputs"][node_id][kind]]


def download(file: dict[str, str], url: str = URL) -> bytes:
    """A file by its entry in history.  Raises ``urllib.error.HTTPError`` when it is not there."""
    with urllib.request.urlopen(f"{url}/view?{urllib.parse.urlencode(file)}") as response:
        content: bytes = response.read()
        return content


# --- sockets


@contextlib.contextmanager
def listening(url: str = WS_URL) -> Iterator[websocket.WebSocket]:
    """A socket that has been greeted."""
    socket = websocket.create_connection(url, timeout=PATIENCE)
    try:
        assert read(socket.recv())[0] == "status"
        yield socket
    finally:
        socket.close()


def read(message: str | bytes) -> Message:
    if isinstance(message, bytes):
        return "binary", message
    said = json.loads(message)
    return said["type"], said["data"]


def is_end(message: Message) -> bool:
    """Whether this is the last message of a prompt."""
    kind, data = message
    return kind == "executing" and data["node"] is None


def heard(socket: websocket.WebSocket) -> list[Message]:
    """All that comes until a prompt is over."""
    messages: list[Message] = []
    while not (messages and is_end(messages[-1])):
        messages.append(read(socket.recv()))
    return messages


def heard_until_silent(socket: websocket.WebSocket) -> list[Message]:
    """All that comes until nothing has come for a while."""
    messages: list[Message] = []
    with contextlib.suppress(websocket.WebSocketTimeoutException):
        while True:
            messages.append(read(socket.recv()))
    return messages


def kinds(messages: list[Message]) -> list[str]:
    return [kind for kind, _ in messages]
