"""Film stills: a text that ComfyUI paints, with grain from a custom node if you like."""

from __future__ import annotations

import os
import time
from typing import Any

import httpx

POLL_INTERVAL = 0.2


class StillError(Exception):
    """ComfyUI did not make the still."""


def still(text: str, *, checkpoint: str = "stills_xl.safetensors", seed: int = 0, grain: float = 0) -> bytes:
    """Paint a still and return its PNG file.  Raises ``StillError``."""
    with httpx.Client(base_url=os.environ["COMFYUI_URL"]) as client:
        response = client.post("/prompt", json={"prompt": workflow(text, checkpoint, seed, grain)})
        if response.status_code == 400:
            raise StillError(_what_is_wrong(response.json()))
        prompt_id = response.raise_for_status().json()["prompt_id"]
        while not (history := client.get(f"/history/{prompt_id}").json()):
            time.sleep(POLL_INTERVAL)
        if history[prompt_id]["status"]["status_str"] == "error":
            raise StillError("a node failed")
        (picture,) = history[prompt_id]["outputs"]["save"]["images"]
        return client.get("/view", params=picture).raise_for_status().content


def share(picture: bytes, webhook: str) -> None:
    """Send a still to a web hook."""
    httpx.post(webhook, content=picture, headers={"Content-Type": "image/png"}).raise_for_status()


def workflow(text: str, checkpoint: str, seed: int, grain: float) -> dict[str, Any]:
    """A workflow in API format."""
    nodes: dict[str, Any] = {
        "model": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "size": {"class_type": "EmptyLatentImage", "inputs": {"width": 1024, "height": 432, "batch_size": 1}},
        "text": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["model", 1], "text": text}},
        "nothing": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["model", 1], "text": ""}},
        "sampler": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["model", 0],
                "positive": ["text", 0],
                "negative": ["nothing", 0],
                "latent_image": ["size", 0],
                "seed": seed,
                "steps": 24,
                "cfg": 5.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "pixels": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0], "vae": ["model", 2]}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["pixels", 0], "filename_prefix": "still"}},
    }
    if grain:
        nodes["grain"] = {
            "class_type": "FilmGrain",
            "inputs": {"image": ["pixels", 0], "strength": grain, "film": "35mm"},
        }
        nodes["save"]["inputs"]["images"] = ["grain", 0]
    return nodes


def _what_is_wrong(body: dict[str, Any]) -> str:
    details = [one["details"] for node in body["node_errors"].values() for one in node["errors"]]
    return "; ".join([body["error"]["message"], *details])
