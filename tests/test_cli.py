"""The command line."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

import comfystub
from comfystub.cli import COMMANDS, main


def test_the_demo_tells_what_happens_and_leaves_pictures_that_open(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--output", str(tmp_path), "--prompt", "a green hill", "--seed", "3"]) == 0
    said = capsys.readouterr().out
    for line in ("POST /prompt", "node 3 KSampler", "20 steps", "execution_success", "no port was opened"):
        assert line in said
    pictures = sorted(tmp_path.iterdir())
    assert [path.name for path in pictures] == ["demo_00001_.png", "demo_00002_.png"]
    for path in pictures:
        assert str(path) in said
        with Image.open(path) as image:
            image.load()
            assert image.size == (512, 512)
            assert "a green hill" in image.text["prompt"]  # type: ignore[attr-defined]


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "comfystub", "--version"], capture_output=True, text=True)
    assert done.stdout == f"comfystub {comfystub.__version__}\n"


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main([])
    assert exited.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


# --- snapshot and verify

URL = "http://comfy.test:8188"
CHECKPOINTS = {"checkpoints": ["v1-5-pruned-emaonly.safetensors", "mine.safetensors"]}
NODES = {"Save": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True}}

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def small() -> Iterator[comfystub.Stub]:
    """A server with a single node class."""
    with comfystub.patch(URL, object_info=NODES, models=CHECKPOINTS) as stub:
        yield stub


@pytest.fixture
def server() -> Iterator[comfystub.Stub]:
    """A server that some time passes on."""
    with comfystub.patch(URL, models=CHECKPOINTS, pace=comfystub.Timed(0.0, 0.01, 0.0)) as stub:
        yield stub


def run(capsys: Captured, *arguments: str) -> tuple[int, list[str], list[str]]:
    """The exit status of a command, and the lines of its output and of its errors."""
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out.splitlines(), said.err.splitlines()


class TestSnapshot:
    def test_it_writes_a_profile(
        self, small: comfystub.Stub, tmp_path: pathlib.Path, capsys: Captured
    ) -> None:
        path = tmp_path / "mine.json.gz"
        status, out, err = run(capsys, "snapshot", URL, "-o", str(path))
        assert status == 0
        assert out == [
            "ComfyUI 0.33.0: node classes: 1, models: 2, model folders: 27, settings: 0",
            f"{path}: {path.stat().st_size:,} bytes",
        ]
        assert err == []
        with comfystub.patch("http://other.test", profile=path):
            assert httpx.get("http://other.test/models/checkpoints").json() == CHECKPOINTS["checkpoints"]

    def test_what_is_missing_is_said(self, tmp_path: pathlib.Path, capsys: Captured) -> None:
        with comfystub.patch(URL, object_info=NODES, version="0.8") as stub:
            stub.fail("status", code=500, on="/system_stats")
            status, out, _ = run(capsys, "snapshot", URL, "-o", str(tmp_path / "mine.json"))
        assert status == 0
        assert out[:3] == [
            "ComfyUI of an unknown version: node classes: 1, models: 19, model folders: 27, settings: 0",
            "  without /system_stats: 500",
            "  without /node_replacements: 404",
        ]

    def test_as_json(self, small: comfystub.Stub, tmp_path: pathlib.Path, capsys: Captured) -> None:
        path = tmp_path / "mine.json"
        status, out, _ = run(capsys, "snapshot", URL, "--output", str(path), "--json")
        assert status == 0
        assert json.loads("\n".join(out)) == {
            "file": str(path),
            "bytes": path.stat().st_size,
            "comfyui_version": "0.33.0",
            "classes": 1,
            "folders": 27,
            "models": 2,
            "settings": 0,
            "missing": {},
        }

    def test_headers_go_along(self, small: comfystub.Stub, tmp_path: pathlib.Path, capsys: Captured) -> None:
        headers = ("--header", "Authorization: Bearer x", "--header", "X-Team: one")
        run(capsys, "snapshot", URL, "-o", str(tmp_path / "mine"), *headers)
        for call in small.requests:
            assert (call.request.headers["authorization"], call.request.headers["x-team"]) == (
                "Bearer x",
                "one",
            )

    def test_nobody_there(self, small: comfystub.Stub, tmp_path: pathlib.Path, capsys: Captured) -> None:
        small.fail("refused")
        status, out, err = run(capsys, "snapshot", URL, "-o", str(tmp_path / "mine"))
        assert (status, out) == (1, [])
        assert err[0].startswith("comfystub: cannot connect to http://comfy.test:8188 (")
        assert len(err) == 1
        assert list(tmp_path.iterdir()) == []

    def test_nowhere_to_write(self, small: comfystub.Stub, tmp_path: pathlib.Path, capsys: Captured) -> None:
        path = tmp_path / "nowhere" / "mine"
        status, out, err = run(capsys, "snapshot", URL, "-o", str(path))
        assert (status, out) == (1, [])
        assert err[-1] == f"comfystub: cannot write {path}: No such file or directory"


class TestVerify:
    def test_all_hold(self, server: comfystub.Stub, capsys: Captured) -> None:
        status, out, err = run(capsys, "verify", URL, "--only", "queue_idle", "--only", "ws_image")
        assert (status, err) == (0, [])
        assert out == [
            "holds    queue_idle    an idle server",
            "holds    ws_image_run  event order of a small run",
            "2 hold, 0 differ, 0 skipped: http://comfy.test:8188, ComfyUI 0.33.0, against the recordings of 0.33",
        ]

    def test_some_differ(self, server: comfystub.Stub, capsys: Captured) -> None:
        server.route("GET", "/object_info/{node_class}")(lambda request, node_class: {})
        server.fail("status", code=503, on="/history/")
        status, out, _ = run(capsys, "verify", URL, "--only", "history_unknown", "--only", "object_info")
        assert status == 1
        assert out[0] == "differs  history_unknown  an id that was never queued"
        assert out[1].startswith("         1. GET /history/no-such-prompt: /status is 503; recorded is 200")
        one = out.index("differs  object_info_one  one node's description")
        assert out[one + 1] == (
            "         1. GET /object_info/KSampler: /only/KSampler/input/required/seed/0 is missing; "
            'recorded is "INT"'
        )
        assert out[one + 6] == "         and 6 more; --verbose shows them"
        assert out[-1].startswith("0 hold, 2 differ, 0 skipped: ")

    def test_every_difference(self, server: comfystub.Stub, capsys: Captured) -> None:
        server.route("GET", "/object_info/{node_class}")(lambda request, node_class: {"x" * 200: 1})
        _, short, _ = run(capsys, "verify", URL, "--only", "object_info")
        _, long, _ = run(capsys, "verify", URL, "--only", "object_info", "--verbose")
        assert (len(short), len(long)) == (8, 14)
        assert f"/json/{'x' * 200} is 1; nothing is recorded there" in long[-2]
        assert max(map(len, short[:-1])) < max(map(len, long[:-1]))

    def test_some_are_skipped(self, server: comfystub.Stub, capsys: Captured) -> None:
        words = ("--only", "queue", "--skip", "idle", "--skip", "jobs")
        status, out, _ = run(capsys, "verify", URL, *words)
        assert status == 2
        assert out[0] == "skipped  queue_order_and_delete  clears the queue; --all plays it"
        assert run(capsys, "verify", URL, *words, "--all")[0] == 0

    def test_another_checkpoint(self, server: comfystub.Stub, capsys: Captured) -> None:
        status, _, _ = run(capsys, "verify", URL, "--only", "txt2img", "--checkpoint", "mine.safetensors")
        assert status == 0
        assert {job.node("4").inputs["ckpt_name"] for job in server.jobs} == {"mine.safetensors"}

    def test_a_login(self, server: comfystub.Stub, capsys: Captured) -> None:
        """It is given over HTTP and WebSocket alike."""
        server.fail("login", user="mary", password="hunter2")
        assert run(capsys, "verify", URL, "--only", "ws_image")[0] == 2
        address = "http://mary:hunter2@comfy.test:8188"
        status, out, _ = run(capsys, "verify", address, "--only", "ws_image")
        assert status == 0
        assert "hunter2" not in "".join(out)

    def test_a_server_that_is_busy(self, capsys: Captured) -> None:
        with comfystub.patch(URL, pace="manual") as stub:
            stub.fill_queue()
            status, out, err = run(capsys, "verify", URL, "--only", "features")
            assert (status, out) == (2, [])
            assert err == [
                "comfystub: http://comfy.test:8188 is busy, and transcripts interrupt jobs: wait until its queue is "
                "empty, or give --force"
            ]
            assert run(capsys, "verify", URL, "--only", "features", "--force")[0] == 0

    def test_a_word_in_no_name(self, server: comfystub.Stub, capsys: Captured) -> None:
        assert run(capsys, "verify", URL, "--only", "nothing") == (
            2,
            [],
            ["comfystub: no transcript has such a name: without --only and --skip all of them are played"],
        )

    def test_an_answer_that_does_not_come(self, server: comfystub.Stub, capsys: Captured) -> None:
        server.fail("no_answer", on="/system_stats")
        status, _, err = run(capsys, "verify", URL, "--timeout", "0.05")
        assert status == 2
        assert err == [
            "comfystub: http://comfy.test:8188 did not answer GET /system_stats within 0.05 seconds; "
            "give it more with --timeout"
        ]

    def test_as_json(self, server: comfystub.Stub, capsys: Captured) -> None:
        server.route("GET", "/features")(lambda request: {"supports_preview_metadata": True})
        status, out, _ = run(capsys, "verify", URL, "--only", "features", "--only", "http_bodies", "--json")
        assert status == 1
        document = json.loads("\n".join(out))
        features, bodies = document.pop("transcripts")
        assert document == {
            "url": URL,
            "comfyui_version": "0.33.0",
            "recorded_of": "0.33",
            "holds": 0,
            "differs": 1,
            "skipped": 1,
        }
        assert features["result"] == "differs"
        assert features["differences"][0] == {
            "step": 1,
            "do": "GET /features",
            "where": "/json/supports_model_type_tags",
            "recorded": True,
            "found": "<absent>",
        }
        assert bodies == {
            "name": "http_bodies",
            "about": "bodies without a JSON content type, empty, and of the wrong shape",
            "result": "skipped",
            "why": "clears the queue; --all plays it",
            "differences": [],
            "strangers": [],
        }

    def test_messages_of_node_packs_are_named(self, server: comfystub.Stub, capsys: Captured) -> None:
        event = comfystub.Event("pack.monitor", {})
        server.fail(comfystub.faults.inject_event(event, before="executing"))
        status, out, _ = run(capsys, "verify", URL, "--only", "ws_image")
        assert status == 0
        assert out[1] == "messages that ComfyUI itself does not send were left out: pack.monitor"


def on_a_terminal(patch: pytest.MonkeyPatch) -> None:
    for stream in (sys.stdout, sys.stderr):
        patch.setattr(stream, "isatty", lambda: True)
    patch.setenv("TERM", "xterm-256color")
    patch.delenv("NO_COLOR", raising=False)


class TestTerminal:
    def test_in_colour(
        self, server: comfystub.Stub, capsys: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on_a_terminal(monkeypatch)
        status, out, _ = run(capsys, "verify", URL, "--only", "queue_idle")
        assert status == 0
        assert out[0] == "\x1b[32mholds    \x1b[0mqueue_idle  \x1b[2man idle server\x1b[0m"

    def test_with_a_bar(
        self, small: comfystub.Stub, tmp_path: pathlib.Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on_a_terminal(monkeypatch)
        status, _, err = run(capsys, "snapshot", URL, "-o", str(tmp_path / "mine"))
        assert status == 0
        assert "] 0 of 10  /object_info" in "".join(err)

    def test_without_rich(
        self, small: comfystub.Stub, tmp_path: pathlib.Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        on_a_terminal(monkeypatch)
        for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "rich", None)
        _, out, err = run(capsys, "snapshot", URL, "-o", str(tmp_path / "mine"))
        assert "\x1b" not in "".join(out + err)
        assert "] 0 of 10  /object_info" in "".join(err)


def test_each_command_says_what_it_is_for(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    for command in COMMANDS:
        assert f"    {command} " in said


def test_looking_for_help_loads_no_client_library() -> None:
    code = "import sys; from comfystub.cli import main\ntry: main(['--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "comfystub.commands.verify" in loaded
    assert {"httpx", "requests", "aiohttp", "websocket", "PIL", "rich"}.isdisjoint(loaded)


def test_stopped_by_hand(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("comfystub.commands.demo.demo", interrupted)
    assert main(["demo"]) == 130
