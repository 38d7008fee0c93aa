"""What a real ComfyUI 0.33 answered, asked again of the stub, over each client library."""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests

import comfystub
from conformance.player import Answer, Player, in_order

TRANSCRIPTS = sorted((pathlib.Path(__file__).parent / "transcripts").glob("*.json"))
URL = "http://comfy.test:8188"
MODELS = {"checkpoints": ["v1-5-pruned-emaonly-fp16.safetensors", "v1-5-pruned-emaonly.safetensors"]}

#: So many looks that only a transcript's own wait lets a job end.
LOOKS = 50


def over_httpx() -> Callable[..., Answer]:
    client = httpx.Client(base_url=URL)
    return client.request


def over_requests() -> Callable[..., Answer]:
    session = requests.Session()

    def send(method: str, path: str, **options: Any) -> Answer:
        if "content" in options:
            options["data"] = options.pop("content")
        return session.request(method, URL + path, **options)

    return send


def differences(wanted: Any, found: Any, where: str = "") -> list[str]:
    """Where two masked answers differ: numbers are compared by value, all else by type and value."""
    numbers = (int, float)
    both_numbers = isinstance(wanted, numbers) and isinstance(found, numbers)
    if type(wanted) is not type(found) and not (both_numbers and bool not in (type(wanted), type(found))):
        return [f"{where}: {found!r} is not {wanted!r}"]
    if isinstance(wanted, dict):
        extra = [f"{where}/{key}: unexpected" for key in found if key not in wanted]
        missing = [f"{where}/{key}: missing" for key in wanted if key not in found]
        shared = [key for key in wanted if key in found]
        return extra + missing + [d for k in shared for d in differences(wanted[k], found[k], f"{where}/{k}")]
    if isinstance(wanted, list):
        if len(wanted) != len(found):
            return [f"{where}: {len(found)} entries, not {len(wanted)}: {found}"]
        return [d for i, (a, b) in enumerate(zip(wanted, found)) for d in differences(a, b, f"{where}/{i}")]
    return [] if wanted == found else [f"{where}: {found!r} is not {wanted!r}"]


def test_there_are_transcripts() -> None:
    assert len(TRANSCRIPTS) == 66


@pytest.mark.filterwarnings("ignore::comfystub.UnknownNodeWarning")
@pytest.mark.parametrize("client", [over_httpx, over_requests])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_stub_answers_as_the_server_did(
    path: pathlib.Path, client: Callable[[], Callable[..., Answer]]
) -> None:
    steps = json.loads(path.read_text())["steps"]
    with comfystub.patch(URL, models=MODELS, pace=LOOKS, unmatched="error"):
        with contextlib.closing(Player(URL, client())) as player:
            for number, step in enumerate(steps):
                found = in_order(player.play(step["do"]))
                assert differences(in_order(step["expect"]), found, f"step {number}") == []
