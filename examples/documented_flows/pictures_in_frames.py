"""Take the pictures of ``SaveImageWebsocket`` out of binary messages, with websocket-client."""

from __future__ import annotations

import json
import struct
import uuid
from collections import defaultdict

import websocket

import comfyui
from workflows import Workflow

PREVIEW = 1  # what kind of binary message it is
JPEG, PNG = 1, 2  # which picture is in it


def pictures(workflow: Workflow) -> dict[str, list[bytes]]:
    """Run a workflow and return the PNG files that its nodes sent, by node."""
    client_id = uuid.uuid4().hex
    sent: dict[str, list[bytes]] = defaultdict(list)
    socket = websocket.WebSocket()
    socket.connect(f"ws://{comfyui.SERVER}/ws?clientId={client_id}")
    try:
        prompt_id = comfyui.submit(workflow, client_id)
        node = None
        while True:
            message = socket.recv()
            if isinstance(message, bytes):
                kind, picture_format = struct.unpack(">II", message[:8])
                # The sampler's previews come the same way, as JPEG.
                if (kind, picture_format) == (PREVIEW, PNG):
                    sent[node].append(message[8:])
                continue
            event = json.loads(message)
            if event["type"] == "executing":
                node = event["data"]["node"]
                if node is None and event["data"]["prompt_id"] == prompt_id:
                    return dict(sent)
            elif event["type"] == "execution_error":
                raise comfyui.JobFailed(event["data"]["exception_message"].strip())
            elif event["type"] == "execution_interrupted":
                raise comfyui.JobFailed("interrupted")
    finally:
        socket.close()
