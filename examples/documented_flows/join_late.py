"""Submit first, listen later, with httpx and websockets.

One part of an application follows a job that another part has submitted.  The job may be over before the
socket is open, and then the socket says nothing of it.  So, with the socket open, the history is looked at
once.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import websockets

from comfyui import SERVER, PromptRejected, check, what_is_wrong
from workflows import Workflow


async def submit(workflow: Workflow, client_id: str) -> str:
    """Queue a workflow and return its prompt id.  Raises ``PromptRejected``."""
    async with httpx.AsyncClient(base_url=f"http://{SERVER}") as client:
        response = await client.post("/prompt", json={"prompt": workflow, "client_id": client_id})
        if response.status_code == 400:
            raise PromptRejected(what_is_wrong(response.json()))
        return response.raise_for_status().json()["prompt_id"]


async def follow(client_id: str, prompt_id: str) -> AsyncIterator[str]:
    """The nodes that a job enters from now on, the one that runs first.

    Ends with the job.  Raises ``JobFailed``.
    """
    url = f"ws://{SERVER}/ws?clientId={client_id}"
    # A picture may be larger than the megabyte that websockets allows a message.
    async with (
        httpx.AsyncClient(base_url=f"http://{SERVER}") as client,
        websockets.connect(url, max_size=None) as socket,
    ):
        entry = await history(client, prompt_id)
        while entry is None:
            message = await socket.recv()
            event = {} if isinstance(message, bytes) else json.loads(message)
            if event.get("type") == "executing":
                if event["data"]["node"] is not None:
                    yield event["data"]["node"]
                elif event["data"]["prompt_id"] == prompt_id:
                    entry = await history(client, prompt_id)
        check(entry)


async def history(client: httpx.AsyncClient, prompt_id: str) -> dict[str, Any] | None:
    """The history entry of a job; ``None`` while it waits or runs."""
    return (await client.get(f"/history/{prompt_id}")).json().get(prompt_id)
