#!/usr/bin/env python3
"""Measure comfystub against what it stands beside and what it replaces, in one run.

    python benchmarks/run.py [--rounds N] [--json FILE]

The things compared take turns, so that a machine that is faster one second and slower the next does
the same to all of them; what is printed are medians and their ratios.  Needs `pip install .[dev]`.
The plots of the documentation are drawn from FILE by benchmarks/plot.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import fake_sockets
import httpx
import sockets

import comfystub
from comfystub.prefill import WORKFLOW

URL = "http://127.0.0.1:8188"
HERE = pathlib.Path(__file__).parent

#: What is measured, what it is measured against, and how many times as long it may take.
LIMITS = (
    ("GET /system_stats", "bare MockTransport call", 1.3),
    ("cycle on comfystub", "cycle on FastAPI fake", 1.0),
    ("patch() enter and exit", "bare call", 5.0),
    ("listener on comfystub", "the same bytes from memory", 1.3),
    ("listener on comfystub", "listener on aiohttp fake", 1.0),
    ("urllib GET on comfystub", "urllib GET on aiohttp fake", 1.0),
    ("aiohttp GET on comfystub", "aiohttp GET on aiohttp fake", 1.0),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure comfystub against its floor and a fake on a port.")
    parser.add_argument("--rounds", type=int, default=200, help="turns of each (default: %(default)s)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the results to a file, too")
    parser.add_argument(
        "--machine",
        default=f"{os.cpu_count()} cores",
        metavar="WORDS",
        help="what the file says it was measured on (default: %(default)s)",
    )
    options = parser.parse_args()
    rounds = options.rounds
    with fake_server(
        "uvicorn", "fake_server:app", "--log-level", "error", "--no-access-log", "--port"
    ) as fake_url:
        with comfystub.patch() as stub:
            picture = _any_picture(stub)
            httpx.put(f"{fake_url}/source", content=picture).raise_for_status()
            bare, stubbed = _bare_call(stub), _stubbed_call()
            patching = _enter_and_leave
            measured = {
                **alternate({"bare MockTransport call": bare, "GET /system_stats": stubbed}, rounds * 5),
                **alternate(
                    {"cycle on comfystub": cycle(URL), "cycle on FastAPI fake": cycle(fake_url)}, rounds
                ),
            }
    with (
        fake_sockets.in_a_thread() as fake_url,
        fake_server("fake_sockets") as process_url,
        comfystub.patch(),
    ):
        fakes = {"aiohttp fake": fake_url, "the same in a process": process_url}
        measured |= alternate(sockets.listeners(URL, fakes, picture), rounds)
        with sockets.gets(URL, fakes) as calls:
            measured |= alternate(calls, rounds * 2)
    # Once warm, and with no other stub in force.
    measured |= alternate({"patch() enter and exit": patching, "bare call": bare}, rounds * 5)
    for name, seconds in measured.items():
        print(f"{name:<30}{seconds * 1e6:>10.1f} µs")
    print()
    ratios = [(name, other, measured[name] / measured[other], limit) for name, other, limit in LIMITS]
    for name, other, ratio, limit in ratios:
        print(f"{name} / {other}: {ratio:.2f}, at most {limit}{'' if ratio <= limit else ': TOO SLOW'}")
    if options.json is not None:
        _write(options.json, options.machine, rounds, measured, ratios)
    return 0 if all(ratio <= limit for _, _, ratio, limit in ratios) else 1


def _write(
    path: pathlib.Path,
    machine: str,
    rounds: int,
    measured: dict[str, float],
    ratios: list[tuple[str, str, float, float]],
) -> None:
    results = {
        "machine": machine,
        "python": platform.python_version(),
        "rounds": rounds,
        "microseconds": {name: round(seconds * 1e6, 1) for name, seconds in measured.items()},
        "ratios": [
            {"measured": name, "against": other, "ratio": round(ratio, 2), "limit": limit}
            for name, other, ratio, limit in ratios
        ],
    }
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def alternate(things: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of each thing in seconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in things}
    for turn in range(rounds + rounds // 10):
        for name, thing in things.items():
            start = time.perf_counter()
            thing()
            elapsed = time.perf_counter() - start
            if turn >= rounds // 10:  # the first ones warm up
                times[name].append(elapsed)
    return {name: statistics.median(elapsed) for name, elapsed in times.items()}


def _any_picture(stub: comfystub.Stub) -> bytes:
    cycle(stub.url)()
    return stub.outputs[0].path.read_bytes()


def _bare_call(stub: comfystub.Stub) -> Callable[[], object]:
    """What a call costs at least: httpx itself, and a transport with a fixed answer."""
    answer = httpx.get(f"{URL}/system_stats")
    content, headers = answer.content, list(answer.headers.raw)

    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, content=content)

    client = httpx.Client(transport=httpx.MockTransport(handler))
    return lambda: client.get(f"{URL}/system_stats")


def _stubbed_call() -> Callable[[], object]:
    client = httpx.Client()
    return lambda: client.get(f"{URL}/system_stats")


def _enter_and_leave() -> None:
    with comfystub.patch():
        pass


def cycle(url: str) -> Callable[[], None]:
    """A client's whole job: submit the 7-node text-to-image graph, poll, fetch the picture."""
    client = httpx.Client()
    workflow = json.loads(WORKFLOW.read_text())
    workflow["5"]["inputs"]["batch_size"] = 1
    seeds = iter(range(1 << 30))

    def run() -> None:
        workflow["3"]["inputs"]["seed"] = next(seeds)
        prompt_id = client.post(f"{url}/prompt", json={"prompt": workflow}).json()["prompt_id"]
        history: dict[str, dict[str, dict[str, dict[str, list[dict[str, str]]]]]] = {}
        while prompt_id not in history:
            history = client.get(f"{url}/history/{prompt_id}").json()
        image = history[prompt_id]["outputs"]["9"]["images"][0]
        assert client.get(f"{url}/view", params=image).content.startswith(b"\x89PNG")

    return run


@contextlib.contextmanager
def fake_server(*module: str) -> Iterator[str]:
    """A fake in a process of its own, on a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", *module, str(port)], cwd=HERE)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/system_stats")
            return
        time.sleep(0.05)
    raise RuntimeError(f"the fake server at {url} did not come up in {patience} s")


if __name__ == "__main__":
    sys.exit(main())
