"""Prompts as a client sends them over requests, and what the server says of them afterwards."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import requests
import websocket
from calls import URL
from workflows import Graph, text_to_image

import comfystub
from comfystub.engine.events import node_of

#: How long a socket waits at most for what must not fail to come.
LONG = 20


def post(graph: Graph | None = None, **body: Any) -> str:
    """Submit a prompt; its id."""
    answer = requests.post(f"{URL}/prompt", json={"prompt": graph or text_to_image(), **body})
    assert answer.status_code == 200, answer.text
    prompt_id: str = answer.json()["prompt_id"]
    return prompt_id


def get(path: str, **params: Any) -> Any:
    """What a GET is answered, as JSON."""
    return requests.get(URL + path, params=params).json()


def entry(prompt_id: str) -> Any:
    """A prompt's entry in history, ``None`` when there is none."""
    return get(f"/history/{prompt_id}").get(prompt_id)


def status(prompt_id: str) -> str:
    """What ``/api/jobs`` says of a prompt: its status, or its error."""
    row = get(f"/api/jobs/{prompt_id}")
    said: str = row.get("status") or row["error"]
    return said


def queued() -> tuple[list[str], list[str]]:
    """The ids of the prompts that run and of those that wait."""
    queue = get("/queue")
    running, waiting = ([item[1] for item in queue[f"queue_{kind}"]] for kind in ("running", "pending"))
    return running, waiting


def view(image: dict[str, str]) -> requests.Response:
    """A picture as ``outputs`` name it."""
    return requests.get(f"{URL}/view", params=image)


def listen(client_id: str = "me", timeout: float | None = LONG) -> websocket.WebSocket:
    """An open socket that was greeted."""
    ws = websocket.create_connection(f"{URL.replace('http', 'ws')}/ws?clientId={client_id}", timeout=timeout)
    assert json.loads(ws.recv())["data"]["sid"] == client_id
    return ws


def is_last(message: Any) -> bool:
    """Whether it is the message that says that a job is over."""
    return message["type"] == "executing" and message["data"]["node"] is None


def hear(ws: websocket.WebSocket, jobs: int = 1) -> list[Any]:
    """The messages in JSON up to the end of so many jobs."""
    heard = []
    while jobs:
        text = ws.recv()
        if isinstance(text, str):
            heard.append(json.loads(text))
            jobs -= is_last(heard[-1])
    return heard


def rest(ws: websocket.WebSocket) -> list[Any]:
    """The messages in JSON up to the end of a connection that breaks off or is closed."""
    heard = []
    try:
        while text := ws.recv():
            if isinstance(text, str):
                heard.append(json.loads(text))
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        pass
    return heard


def until_silent(ws: websocket.WebSocket) -> list[Any]:
    """The messages in JSON up to a read that times out."""
    heard = []
    with contextlib.suppress(websocket.WebSocketTimeoutException):
        while True:
            text = ws.recv()
            assert text, "the connection is over"
            if isinstance(text, str):
                heard.append(json.loads(text))
    return heard


def types(heard: list[Any]) -> list[str]:
    """The types of messages, without those that come at every turn."""
    return [one["type"] for one in heard if one["type"] not in ("status", "progress_state")]


#: What belongs in a schedule.
MILESTONES = (
    "execution_start",
    "executing",
    "progress",
    "executed",
    "execution_success",
    "execution_error",
    "execution_interrupted",
)


def schedule(job: comfystub.Job, since: float | None = None) -> list[tuple[float, str]]:
    """When each thing happened to a job, in seconds since it was submitted."""
    start = job.submitted if since is None else since
    return [
        (round(time - start, 5), kind if kind not in MILESTONES[1:4] else f"{kind} {node_of((kind, own))}")
        for (kind, own), time in zip(job.marks, job.times)
        if kind in MILESTONES
    ]
