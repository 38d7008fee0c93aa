"""The application that the tests of this folder look at: it calls ComfyUI through requests and httpx."""

from __future__ import annotations

from typing import Any

import httpx
import requests
from workflows import Graph, text_to_image

import comfystub

URL = "http://comfy.test:8188"


def submit(graph: Graph | None = None, **body: Any) -> str:
    """Submit a prompt; its id, or ``""`` when it was rejected."""
    answer = requests.post(f"{URL}/prompt", json={"prompt": graph or text_to_image(), **body})
    return str(answer.json().get("prompt_id", ""))


def get(path: str, **params: Any) -> httpx.Response:
    """Get a path with httpx."""
    return httpx.get(f"{URL}{path}", params=params)


def without_steps() -> Graph:
    """A graph that is rejected: its sampler lacks an input."""
    graph = text_to_image()
    del graph["3"]["inputs"]["steps"]
    return graph


REJECTED = (
    "POST /prompt was answered 400: Prompt outputs failed validation; "
    "node 3 KSampler: Required input is missing (steps)"
)


def out_of_memory(job: comfystub.Job, node: comfystub.JobNode) -> Any:
    """As ``patch(image=...)``: lets sampling fail."""
    raise RuntimeError("out of memory\nand more of it")


def message(error: BaseException) -> list[str]:
    """The lines of a failed assertion."""
    return str(error).split("\n")
