"""A stub at which much happened: jobs that completed, failed and came from the cache, and wrong calls."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import websocket
from calls import URL
from workflows import Graph, text_to_image

import comfystub


def picture(text: str, **options: Any) -> Graph:
    """A text-to-image workflow one of whose nodes has a title."""
    graph = text_to_image(text, steps=20, **options)
    graph["6"]["_meta"] = {"title": "What to paint"}
    return graph


def other_files() -> Graph:
    """A workflow that leaves sound, films and a latent."""
    return {
        "1": {
            "class_type": "EmptyAudio",
            "inputs": {"duration": 2.0, "sample_rate": 44100, "channels": 2},
        },
        "2": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": "sound/rain"}},
        "3": {
            "class_type": "EmptyImage",
            "inputs": {"width": 96, "height": 64, "batch_size": 8, "color": 3368601},
        },
        "4": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": 8.0}},
        "5": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["4", 0], "filename_prefix": "film", "format": "mp4", "codec": "h264"},
        },
        "6": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "7": {"class_type": "SaveLatent", "inputs": {"samples": ["6", 0], "filename_prefix": "noise"}},
    }


@contextlib.contextmanager
def eventful() -> Iterator[comfystub.Stub]:
    """Such a stub.  It is in force no more, and its files are still there."""
    stub = comfystub.Stub(URL, seed=1, clock="virtual", pace=comfystub.Timed())
    with comfystub.patch(stub=stub):
        _happen(stub)
    try:
        yield stub
    finally:
        stub.close()


def _happen(stub: comfystub.Stub) -> None:
    listener = websocket.create_connection(f"{URL.replace('http', 'ws')}/ws?clientId=me")
    with httpx.Client(base_url=URL, headers={"Authorization": "Bearer mine"}) as client:

        def submit(graph: Graph) -> str:
            answer = client.post("/prompt", json={"prompt": graph, "client_id": "me"}).json()
            return str(answer.get("prompt_id"))

        first = submit(picture("a red fox in the snow", width=512, height=768, batch_size=2))
        submit(picture("a red fox in the snow", seed=8, width=768, height=512))
        while not client.get(f"/history/{first}").json():
            time.sleep(1)
        stub.fail("out_of_memory", on="KSampler", times=1)
        submit(picture("a blue fox", seed=9))
        time.sleep(30)
        wrong = picture("a green fox")
        wrong["3"]["inputs"]["sampler_name"] = "oiler"
        submit(wrong)
        client.get("/promt")
        client.post("/upload/image", files={"image": ("fox.png", b"\x89PNG\r\n", "image/png")})
        submit(other_files())
        time.sleep(30)
        client.get("/queue")
    listener.close()
    stub.jobs[1].outputs[0].path.unlink()
