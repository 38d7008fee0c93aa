"""The workflows of this application, in ComfyUI's API format."""

from __future__ import annotations

from typing import Any

Workflow = dict[str, dict[str, Any]]

STEPS = 20


def text_to_image(text: str, *, seed: int = 0, batch_size: int = 1, sampler: str = "euler") -> Workflow:
    """Paint a text; the pictures become files on the server."""
    return {
        "model": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"},
        },
        "size": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": 768, "height": 512, "batch_size": batch_size},
        },
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
                "steps": STEPS,
                "cfg": 7.0,
                "sampler_name": sampler,
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "pixels": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0], "vae": ["model", 2]}},
        "save": {"class_type": "SaveImage", "inputs": {"images": ["pixels", 0], "filename_prefix": "flow"}},
    }


def text_to_socket(text: str, **options: Any) -> Workflow:
    """Paint a text; the pictures are sent over the WebSocket and leave no file."""
    workflow = text_to_image(text, **options)
    workflow["save"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["pixels", 0]}}
    return workflow
