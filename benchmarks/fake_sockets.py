"""The fake that people write for listeners: an aiohttp app on a port that says the same for every prompt."""

from __future__ import annotations

import asyncio
import sys
import uuid

from aiohttp import WSMsgType, web

#: What a listener hears of a prompt: given by the benchmark, so that both servers say the same.
frames: list[str | bytes] = []
listeners: dict[str, web.WebSocketResponse] = {}


async def prompt(request: web.Request) -> web.Response:
    client_id = (await request.json())["client_id"]
    asyncio.get_running_loop().create_task(run(listeners[client_id]))
    return web.json_response({"prompt_id": str(uuid.uuid4()), "number": 1, "node_errors": {}})


async def run(listener: web.WebSocketResponse) -> None:
    for frame in frames:
        await (listener.send_str(frame) if isinstance(frame, str) else listener.send_bytes(frame))


async def listen(request: web.Request) -> web.WebSocketResponse:
    """Tell a listener of its prompts, and take from the benchmark what there is to tell."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    client_id = request.query["clientId"]
    listeners[client_id] = socket
    if client_id != "benchmark":
        await socket.send_str('{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}}')
    async for message in socket:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            frames.append(message.data)
    return socket


async def system_stats(request: web.Request) -> web.Response:
    return web.json_response({"system": {"os": "linux"}, "devices": []})


app = web.Application()
app.add_routes([web.get("/system_stats", system_stats), web.post("/prompt", prompt), web.get("/ws", listen)])

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
