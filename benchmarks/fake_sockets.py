"""The fake that people write for listeners: an aiohttp app on a port that tells one story of every prompt.

It says what the stub would, with the prompt's own id, and copies a picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import shutil
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from aiohttp import WSMsgType, web

folder = pathlib.Path(tempfile.mkdtemp(prefix="fake-comfyui-"))
source = folder / "source.png"
#: What a listener hears of a prompt: given by the benchmark, so that both servers say the same.
story: list[dict[str, Any] | bytes] = []
listeners: dict[str, web.WebSocketResponse] = {}
running: set[asyncio.Task[None]] = set()
PNG = b"\x89PNG"


async def prompt(request: web.Request) -> web.Response:
    client_id, prompt_id = (await request.json())["client_id"], str(uuid.uuid4())
    task = asyncio.get_running_loop().create_task(run(listeners[client_id], prompt_id))
    running.add(task)
    task.add_done_callback(running.discard)
    return web.json_response({"prompt_id": prompt_id, "number": 1, "node_errors": {}})


async def run(listener: web.WebSocketResponse, prompt_id: str) -> None:
    for said in story:
        if isinstance(said, bytes):
            await listener.send_bytes(said)
        else:
            if "prompt_id" in said["data"]:
                said["data"]["prompt_id"] = prompt_id
            if said["type"] == "executed":
                shutil.copyfile(source, folder / f"ComfyUI_{prompt_id}_.png")
            await listener.send_json(said)


async def listen(request: web.Request) -> web.WebSocketResponse:
    """Tell a listener of its prompts, and take from the benchmark what there is to tell."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    client_id = request.query["clientId"]
    listeners[client_id] = socket
    if client_id != "benchmark":
        await socket.send_str('{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}}')
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            story.append(message.json())
        elif message.type == WSMsgType.BINARY and message.data.startswith(PNG):
            source.write_bytes(message.data)
        elif message.type == WSMsgType.BINARY:
            story.append(message.data)
    return socket


async def system_stats(request: web.Request) -> web.Response:
    return web.json_response({"system": {"os": "linux"}, "devices": []})


async def remove_folder(app: web.Application) -> None:
    shutil.rmtree(folder)


app = web.Application()
app.on_cleanup.append(remove_folder)
app.add_routes([web.get("/system_stats", system_stats), web.post("/prompt", prompt), web.get("/ws", listen)])


@contextlib.contextmanager
def in_a_thread() -> Iterator[str]:
    """The fake within the process, as test suites have it; gives its URL."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(app, access_log=None)
    loop.run_until_complete(runner.setup())
    site = web.TCPSite(runner, "127.0.0.1", 0)
    loop.run_until_complete(site.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
