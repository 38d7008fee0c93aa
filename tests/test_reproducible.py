"""``seed=``: two runs give the same bytes, headers and events."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest
import websocket
from calls import URL
from workflows import text_to_image

import comfystub
from comfystub import faults

WS = URL.replace("http", "ws") + "/ws"

OPTIONS: dict[str, dict[str, Any]] = {
    "instant": {},
    "looks": {"pace": 3},
    "manual": {"pace": "manual"},
    "virtual": {"clock": "virtual"},
    "timed": {"clock": "virtual", "pace": comfystub.Timed()},
}


def run(seed: int | None, **options: Any) -> list[Any]:
    """What a client sees of a server: answers, headers, messages, files."""
    chance = faults.unavailable(rate=0.5, on="/features")
    with comfystub.patch(URL, seed=seed, faults=[chance], **options) as stub, httpx.Client() as client:
        seen: list[Any] = []

        def ask(method: str, path: str, **given: Any) -> httpx.Response:
            response = client.request(method, URL + path, **given)
            seen.append((response.status_code, sorted(response.headers.items()), response.text))
            return response

        socket = websocket.create_connection(WS, timeout=5)
        seen.append(socket.recv())
        socket.close()
        ask("POST", "/upload/image", files={"image": ("a.png", b"not a picture")})
        graph = {**text_to_image(), "10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
        ask("POST", "/prompt", json={"prompt": graph})
        stub.finish()
        for _ in range(8):
            ask("GET", "/features")
        ask("GET", "/api/jobs")
        for output in stub.outputs:
            ask("GET", f"/view?filename={output.filename}&type={output.type}")
        ask("GET", "/view?filename=a.png&type=input")
        ask("POST", "/userdata/a.json?full_info=true", content=b"{}")
        stub.restart()
        ask("POST", "/prompt", json={"prompt": text_to_image(seed=8)})
        stub.finish()
        ask("GET", "/history")
        seen += [repr(event) for job in stub.jobs for event in job.events]
        seen.append([list(job.times) for job in stub.jobs])
        seen.append([hashlib.sha256(output.path.read_bytes()).hexdigest() for output in stub.outputs])
        return seen


@pytest.mark.parametrize("name", OPTIONS)
def test_two_runs_are_the_same(name: str) -> None:
    assert run(1, **OPTIONS[name]) == run(1, **OPTIONS[name])


def test_another_seed_is_another_run() -> None:
    assert run(1) != run(2)


def test_without_a_seed_no_run_is_like_another() -> None:
    assert run(None) != run(None)


def test_runs_in_other_processes_are_the_same() -> None:
    command = [sys.executable, "-c", "import test_reproducible; test_reproducible.main()"]
    paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    runs = {
        subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert runs == {f"{digest()}\n".encode()}


def digest() -> str:
    """All that is seen in all runs, in short."""
    seen = [run(1, **options) for options in OPTIONS.values()]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def main() -> None:
    """Say what this process sees."""
    print(digest())
