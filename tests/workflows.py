"""Graphs that tests submit, in the format of the API."""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]


def text_to_image(
    text: str = "a red fox",
    *,
    seed: int = 7,
    width: int = 64,
    height: int = 64,
    batch_size: int = 1,
    steps: int = 2,
    checkpoint: str = "v1-5-pruned-emaonly.safetensors",
    prefix: str = "ComfyUI",
) -> Graph:
    """The canonical graph of seven nodes, with small pictures; a fresh one at each call."""
    return {
        "3": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["4", 0],
                "positive": ["6", 0],
                "negative": ["7", 0],
                "latent_image": ["5", 0],
                "seed": seed,
                "steps": steps,
                "cfg": 8.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "5": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": width, "height": height, "batch_size": batch_size},
        },
        "6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1], "text": text}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1], "text": "text, watermark"}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": prefix}},
    }
