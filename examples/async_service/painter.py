"""An async service that paints texts with ComfyUI, a few at a time, on httpx."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx


class PaintingFailed(Exception):
    """ComfyUI did not accept the prompt, or a node failed."""


class Painter:
    """Paints texts; at most ``limit`` of them are in ComfyUI's hands at the same time."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8188",
        *,
        checkpoint: str = "v1-5-pruned-emaonly.safetensors",
        limit: int = 2,
        poll_interval: float = 0.5,
    ) -> None:
        self._client = httpx.AsyncClient(base_url=base_url)
        self._checkpoint = checkpoint
        self._turns = asyncio.Semaphore(limit)
        self._poll_interval = poll_interval

    async def __aenter__(self) -> Painter:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._client.aclose()

    async def paint_all(self, texts: Iterable[str], *, seed: int = 0) -> list[bytes]:
        """A picture of each text, in the order of the texts."""
        return await asyncio.gather(*(self.paint(text, seed=seed) for text in texts))

    async def paint(self, text: str, *, seed: int = 0) -> bytes:
        """A picture of a text, as the bytes of a PNG file.  Raises ``PaintingFailed``."""
        async with self._turns:
            prompt_id = await self._submit(text_to_image(text, seed, self._checkpoint))
            try:
                outputs = await self._outputs(prompt_id)
            except asyncio.CancelledError:
                await self._client.post(f"/api/jobs/{prompt_id}/cancel")
                raise
            picture = next(image for shown in outputs.values() for image in shown.get("images", ()))
            return (await self._get("/view", params=picture)).content

    async def _submit(self, workflow: dict[str, Any]) -> str:
        response = await self._client.post("/prompt", json={"prompt": workflow})
        if response.status_code == 400:
            raise PaintingFailed(response.json()["error"]["message"])
        return response.raise_for_status().json()["prompt_id"]

    async def _outputs(self, prompt_id: str) -> dict[str, Any]:
        """What a job's output nodes show, once it is over."""
        while True:
            job = (await self._get(f"/api/jobs/{prompt_id}")).json()
            if job["status"] == "completed":
                return job["outputs"]
            if job["status"] in ("failed", "cancelled"):
                error = job.get("execution_error", {})
                raise PaintingFailed(error.get("exception_message", job["status"]).strip())
            await asyncio.sleep(self._poll_interval)

    async def _get(self, path: str, **options: Any) -> httpx.Response:
        return (await self._client.get(path, **options)).raise_for_status()


def text_to_image(text: str, seed: int, checkpoint: str) -> dict[str, Any]:
    """A workflow in API format."""
    return {
        "model": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "size": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 512, "batch_size": 1}},
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
                "steps": 8,
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "pixels": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0], "vae": ["model", 2]}},
        "file": {
            "class_type": "SaveImage",
            "inputs": {"images": ["pixels", 0], "filename_prefix": "painter"},
        },
    }
