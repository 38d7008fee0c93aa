"""``comfystub demo``: a text-to-image workflow, and what happens meanwhile."""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import comfystub

if TYPE_CHECKING:
    import httpx

HELP = "run a text-to-image workflow and show what happens"

#: How often the demo's client looks before its prompt is done.
LOOKS = 6

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Example: comfystub demo --prompt 'an owl at night' --output pictures"
    parser.description = "Submit a text-to-image workflow through a plain httpx client and show what happens."
    parser.add_argument("--prompt", default="a red fox in the snow", help="what to paint")
    parser.add_argument("--seed", type=int, default=7, help="the sampler's seed (default: %(default)s)")
    parser.add_argument(
        "--output", type=pathlib.Path, help="the folder for the pictures (default: a fresh temporary one)"
    )


def run(options: argparse.Namespace) -> int:
    demo(options.prompt, options.seed, options.output)
    return 0


def demo(prompt: str, seed: int, output: pathlib.Path | None, say: Say = print) -> list[pathlib.Path]:
    """Run the text-to-image workflow against a stub, telling what happens, and return the pictures."""
    folder = output or pathlib.Path(tempfile.mkdtemp(prefix="comfystub-demo-"))
    from comfystub.prefill import WORKFLOW

    workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    workflow["3"]["inputs"]["seed"] = seed
    workflow["6"]["inputs"]["text"] = prompt
    with comfystub.patch(pace=LOOKS, output_dir=folder, seed=seed) as stub:
        say(f"A ComfyUI answers at {stub.url}, inside this process.\n")
        teller = _Teller(stub, say)
        started = time.perf_counter()
        _client(workflow, stub.url, teller.tell)
        elapsed = (time.perf_counter() - started) * 1000
        pictures = [output.path for output in stub.outputs]
        say(f"\n{len(stub.requests)} calls in {elapsed:.0f} ms, and no port was opened. The pictures:")
        for path in pictures:
            say(f"  {path}")
    return pictures


def _client(workflow: dict[str, Any], url: str, answered: Callable[[httpx.Response], None]) -> None:
    """A plain ComfyUI client, which knows nothing of the stub: check, submit, poll, download."""
    import httpx

    with httpx.Client(base_url=url, event_hooks={"response": [answered]}) as client:
        client.get("/system_stats").raise_for_status()
        client.get("/models/checkpoints").raise_for_status()
        prompt_id = client.post("/prompt", json={"prompt": workflow}).raise_for_status().json()["prompt_id"]
        history: dict[str, Any] = {}
        while prompt_id not in history:
            history = client.get(f"/history/{prompt_id}").json()
        for shown in history[prompt_id]["outputs"].values():
            for image in shown["images"]:
                client.get("/view", params=image).raise_for_status()


class _Teller:
    """Says a line for each call, and for each node that began or left something meanwhile."""

    def __init__(self, stub: comfystub.Stub, say: Say) -> None:
        self._stub = stub
        self._say = say
        self._told = 0

    def tell(self, response: httpx.Response) -> None:
        """Tell of a call, after what it moved."""
        for job in self._stub.jobs:
            events = job.events
            for event in events[self._told :]:
                line = _line(job, event)
                if line:
                    self._say(f"        {line}")
            self._told = len(events)
        request = response.request
        self._say(f"{request.method:>5} {request.url.raw_path.decode():<66} {response.status_code}")


def _line(job: comfystub.Job, event: comfystub.Event) -> str | None:
    """What is worth saying of an event."""
    if event.type == "executing" and event.data["node"] is not None:
        node = job.node(event.data["node"])
        return f"node {node.id} {node.class_type}"
    if event.type == "progress" and event.data["value"] == event.data["max"]:
        return f"       {event.data['max']} steps"
    if event.type == "executed":
        return "       " + ", ".join(image["filename"] for image in event.data["output"]["images"])
    if event.type.startswith("execution_") and event.type != "execution_cached":
        return event.type
    return None
