"""Queue a workflow and look at the history until the job is over."""

from __future__ import annotations

import time

import comfyui
from workflows import Workflow

POLL_INTERVAL = 0.5


def pictures(workflow: Workflow) -> list[bytes]:
    """Run a workflow and return its pictures, as PNG files."""
    prompt_id = comfyui.submit(workflow)
    while (entry := comfyui.history(prompt_id)) is None:
        time.sleep(POLL_INTERVAL)
    return comfyui.download(entry)
