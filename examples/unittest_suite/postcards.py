"""Postcards: a picture that ComfyUI paints, with requests, or without blocking, with httpx."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import httpx
import requests

POLL_INTERVAL = 0.2


def server() -> str:
    return os.environ.get("COMFYUI_URL", "http://127.0.0.1:8188")


def postcard(text: str, *, portrait: bool = False) -> dict[str, Any]:
    """A workflow in API format."""
    width, height = (640, 960) if portrait else (960, 640)
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "postcards.safetensors"}},
        "2": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": width, "height": height, "batch_size": 1},
        },
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": text}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "people"}},
        "5": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["3", 0],
                "negative": ["4", 0],
                "latent_image": ["2", 0],
                "seed": 1,
                "steps": 12,
                "cfg": 6.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "6": {"class_type": "VAEDecode", "inputs": {"samples": ["5", 0], "vae": ["1", 2]}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["6", 0], "filename_prefix": "postcard"}},
    }


def paint(text: str, *, portrait: bool = False) -> bytes:
    """Paint a postcard and return its PNG file."""
    submitted = requests.post(f"{server()}/prompt", json={"prompt": postcard(text, portrait=portrait)})
    submitted.raise_for_status()
    prompt_id = submitted.json()["prompt_id"]
    while not (history := requests.get(f"{server()}/history/{prompt_id}").json()):
        time.sleep(POLL_INTERVAL)
    return requests.get(f"{server()}/view", params=_picture(history[prompt_id])).content


async def paint_async(text: str, *, portrait: bool = False) -> bytes:
    """The same, without blocking."""
    async with httpx.AsyncClient(base_url=server()) as client:
        submitted = await client.post("/prompt", json={"prompt": postcard(text, portrait=portrait)})
        prompt_id = submitted.raise_for_status().json()["prompt_id"]
        while not (history := (await client.get(f"/history/{prompt_id}")).json()):
            await asyncio.sleep(POLL_INTERVAL)
        return (await client.get("/view", params=_picture(history[prompt_id]))).content


def _picture(entry: dict[str, Any]) -> dict[str, str]:
    (picture,) = entry["outputs"]["7"]["images"]
    return picture
