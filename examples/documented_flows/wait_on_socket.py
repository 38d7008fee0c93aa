"""Queue a workflow and wait for the message that says that it is over, with websocket-client."""

from __future__ import annotations

import json
import uuid

import websocket

import comfyui
from workflows import Workflow


def pictures(workflow: Workflow, timeout: float = 60.0) -> list[bytes]:
    """Run a workflow and return its pictures, as PNG files.

    ``timeout`` is how many seconds the server may be silent.
    """
    client_id = uuid.uuid4().hex
    # Open before the submission, so that no message is missed.
    socket = websocket.create_connection(f"ws://{comfyui.SERVER}/ws?clientId={client_id}", timeout=timeout)
    try:
        prompt_id = comfyui.submit(workflow, client_id)
        while not is_over(socket.recv(), prompt_id):
            pass
    finally:
        socket.close()
    entry = comfyui.history(prompt_id)
    if entry is None:
        raise comfyui.JobFailed("the server lost the job")
    return comfyui.download(entry)


def is_over(message: str | bytes, prompt_id: str) -> bool:
    """Whether a message says that no node of the job runs any more, however it ended."""
    if isinstance(message, bytes):
        return False  # a preview
    event = json.loads(message)
    return event["type"] == "executing" and event["data"] == {"node": None, "prompt_id": prompt_id}
