"""The fake that people write today: a FastAPI app on a port that answers at once and copies a file."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
import uuid

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse

app = FastAPI()
folder = pathlib.Path(tempfile.mkdtemp(prefix="fake-comfyui-"))
source = folder / "source.png"
history: dict[str, dict[str, object]] = {}


@app.get("/system_stats")
async def system_stats() -> dict[str, object]:
    return {"system": {"os": "linux"}, "devices": []}


@app.post("/prompt")
async def prompt(request: Request) -> dict[str, object]:
    body = await request.json()
    prompt_id = str(uuid.uuid4())
    name = f"ComfyUI_{len(history) + 1:05}_.png"
    shutil.copyfile(source, folder / name)
    history[prompt_id] = {
        "prompt": [0, prompt_id, body["prompt"], {}, ["9"]],
        "outputs": {"9": {"images": [{"filename": name, "subfolder": "", "type": "output"}]}},
        "status": {"status_str": "success", "completed": True, "messages": []},
    }
    return {"prompt_id": prompt_id, "number": len(history), "node_errors": {}}


@app.get("/history/{prompt_id}")
async def get_history(prompt_id: str) -> dict[str, object]:
    return {prompt_id: history[prompt_id]} if prompt_id in history else {}


@app.get("/view")
async def view(filename: str) -> FileResponse:
    return FileResponse(folder / filename)


@app.put("/source")
async def put_source(request: Request) -> None:
    """The picture that every prompt gets a copy of."""
    source.write_bytes(await request.body())


@app.on_event("shutdown")
def remove_folder() -> None:
    shutil.rmtree(folder)
