"""Show how far a job is, and what it looks like so far, with aiohttp."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp

from comfyui import SERVER, JobFailed, PromptRejected, what_is_wrong
from workflows import Workflow

PREVIEW, PREVIEW_WITH_METADATA = 1, 4


class Progress(NamedTuple):
    """A node is at step ``value`` of ``maximum``."""

    node: str
    value: int
    maximum: int


class Preview(NamedTuple):
    """What a node's picture looks like so far: a small JPEG file."""

    node: str
    picture: bytes


class Picture(NamedTuple):
    """A finished picture: a PNG file."""

    node: str
    picture: bytes


class Client:
    """Runs workflows, one at a time: a client id has one socket."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._id = uuid.uuid4().hex

    async def run(self, workflow: Workflow) -> AsyncIterator[Progress | Preview | Picture]:
        """Run a workflow; yields what there is to show.  Raises ``PromptRejected`` and ``JobFailed``."""
        async with self._session.ws_connect(
            f"http://{SERVER}/ws?clientId={self._id}", max_msg_size=0
        ) as socket:
            # Previews then say which node they are of.
            features = {"supports_preview_metadata": True}
            await socket.send_json({"type": "feature_flags", "data": features})
            prompt_id = await self._submit(workflow)
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    if (shown := preview(message.data)) is not None:
                        yield shown
                    continue
                event = message.json()
                kind, data = event["type"], event["data"]
                if data.get("prompt_id") != prompt_id:
                    continue
                if kind == "progress":
                    yield Progress(data["node"], data["value"], data["max"])
                elif kind == "executed":
                    # A cached node may have nothing to show.
                    for image in (data["output"] or {}).get("images", ()):
                        yield Picture(data["node"], await self._view(image))
                elif kind == "execution_error":
                    raise JobFailed(f"{data['node_type']}: {data['exception_message'].strip()}")
                elif kind == "execution_interrupted":
                    raise JobFailed("interrupted")
                elif kind == "execution_success":
                    return
            raise JobFailed("the server has gone")

    async def interrupt(self) -> None:
        """Stop the job that runs."""
        async with self._session.post(f"http://{SERVER}/interrupt"):
            pass

    async def _submit(self, workflow: Workflow) -> str:
        body = {"prompt": workflow, "client_id": self._id}
        async with self._session.post(f"http://{SERVER}/prompt", json=body) as response:
            answer = await response.json()
            if response.status == 400:
                raise PromptRejected(what_is_wrong(answer))
            return answer["prompt_id"]

    async def _view(self, image: dict[str, Any]) -> bytes:
        async with self._session.get(f"http://{SERVER}/view", params=image) as response:
            return await response.read()


def preview(message: bytes) -> Preview | None:
    """The preview in a binary message; ``None`` for a message of another kind."""
    kind, number = struct.unpack(">II", message[:8])
    if kind == PREVIEW:  # the number is that of the picture's format
        return Preview("", message[8:])
    if kind == PREVIEW_WITH_METADATA:
        metadata = json.loads(message[8 : 8 + number])
        return Preview(metadata["node_id"], message[8 + number :])
    return None
