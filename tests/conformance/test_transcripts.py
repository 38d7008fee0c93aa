"""What real ComfyUI servers answered, asked again of the stub, over each client library."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests

import comfystub
from comfystub.engine.releases import RELEASES
from comfystub.live.comparing import differences
from comfystub.live.player import Answer, Player
from comfystub.live.recordings import files, read

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


def test_there_are_transcripts() -> None:
    assert {release: len(files(release)) for release in RELEASES} == {"0.33": 66, "0.8": 14}


@pytest.mark.filterwarnings("ignore::comfystub.UnknownNodeWarning")
@pytest.mark.parametrize("client", [over_httpx, over_requests])
@pytest.mark.parametrize(
    ("release", "path"),
    [
        pytest.param(release, path, id=f"{release}-{path.stem}")
        for release in RELEASES
        for path in files(release)
    ],
)
def test_the_stub_answers_as_the_server_did(
    release: str, path: pathlib.Path, client: Callable[[], Callable[..., Answer]]
) -> None:
    with comfystub.patch(URL, models=MODELS, pace=LOOKS, unmatched="error", version=release):
        with contextlib.closing(Player(URL, client())) as player:
            for number, step in enumerate(read(path).steps):
                assert (number, differences(step["expect"], player.play(step["do"]))) == (number, [])
