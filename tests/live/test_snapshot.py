"""``comfystub snapshot``: what of a server gets into the file, and what does not."""

from __future__ import annotations

import gzip
import json
import pathlib
from typing import Any

import httpx
import pytest

import comfystub
from comfystub import faults
from comfystub.live import snapshot
from comfystub.live.asking import LiveServer, Trouble
from comfystub.live.privacy import cleaned
from comfystub.live.snapshot import Snapshot

URL = "http://comfy.test:8188"

MODELS = {
    "checkpoints": ["a.safetensors", "sd/b.safetensors"],
    "vae": ["ae.safetensors"],
    "ultralytics bbox": ["face.pt"],
}


#: Node classes of a small server, whose snapshot is taken in no time.
NODES = {"Save": {"input": {"required": {"images": ["IMAGE"]}}, "output": [], "output_node": True}}


def small(base_url: str | list[str] = URL, **options: Any) -> Any:
    """A server with few classes, in force."""
    return comfystub.patch(base_url, object_info=NODES, **options)


def take(url: str = URL, **options: Any) -> Snapshot:
    with LiveServer(url, **options) as server:
        return snapshot.take(server)


def test_what_is_in_it() -> None:
    with comfystub.patch(URL, models=MODELS):
        httpx.post(f"{URL}/settings", json={"Comfy.Locale": "de"})
        httpx.get(f"{URL}/object_info")
        document, missing = take()
        assert list(document) == [
            "comfystub_snapshot",
            "object_info",
            "models",
            "features",
            "system_stats",
            "settings",
            "extensions",
            "node_replacements",
            "i18n",
            "workflow_templates",
            "global_subgraphs",
        ]
        assert missing == {}
        for part in ("features", "system_stats", "settings", "extensions", "node_replacements"):
            assert document[part] == httpx.get(f"{URL}/{part}").json()
        assert list(document["models"]) == httpx.get(f"{URL}/models").json()
        assert {folder: names for folder, names in document["models"].items() if names} == MODELS
        nodes = httpx.get(f"{URL}/object_info").json()
        assert list(document["object_info"]) == list(nodes)
        assert document["object_info"]["KSampler"] == nodes["KSampler"]


def test_the_names_of_pictures_in_the_input_folder_are_not() -> None:
    with comfystub.patch(URL) as stub:
        (stub.input_dir / "aunt-mary.png").write_bytes(b"")
        assert "aunt-mary.png" in httpx.get(f"{URL}/object_info/LoadImage").text
        assert "aunt-mary.png" not in json.dumps(take().document)


def test_a_picture_of_a_node_pack_is_not_either_but_what_is_no_file_is() -> None:
    stub = comfystub.Stub(URL, object_info=NODES)
    stub.add_node(
        "PackLoad",
        inputs={"clip": (["none", "aunt-mary.mp4"], {"video_upload": True, "default": "aunt-mary.mp4"})},
    )
    with comfystub.patch(stub=stub):
        entry = take().document["object_info"]["PackLoad"]
    assert entry["input"]["required"]["clip"] == [["none"], {"video_upload": True}]


def test_an_older_server_lacks_routes() -> None:
    with small(URL, version="0.8"):
        document, missing = take()
        assert missing == {"/node_replacements": "404"}
        assert "node_replacements" not in document
        assert document["system_stats"]["system"]["comfyui_version"] == "0.8.0"


def test_a_server_that_lacks_almost_everything() -> None:
    with small(URL) as stub:
        for path in ("/models", "/features", "/settings", "/extensions"):
            stub.fail("status", code=404, on=path)
        stub.route("GET", "/i18n")(lambda request: [])
        document, missing = take()
        assert missing == {
            "/models": "404",
            "/features": "404",
            "/settings": "404",
            "/extensions": "404",
            "/i18n": "another answer",
        }
        assert {"models", "features", "settings", "extensions", "i18n"}.isdisjoint(document)
        assert document["object_info"]


def test_what_is_large_and_says_little_is_left_out() -> None:
    with small(URL) as stub:
        stub.route("GET", "/i18n")(lambda request: {"en": "x" * 70_000})
        stub.route("GET", "/workflow_templates")(lambda request: {"pack": ["a"]})
        document, missing = take()
        assert missing == {"/i18n": "large"}
        assert document["workflow_templates"] == {"pack": ["a"]}


def test_each_call_is_told() -> None:
    told: list[tuple[int, int, str]] = []
    with small(URL, models=MODELS) as stub, LiveServer(URL) as server:
        snapshot.take(server, lambda *one: told.append(one))
        assert [path for _, _, path in told] == [call.path for call in stub.requests]
    assert [done for done, _, _ in told] == list(range(len(told)))
    assert told[0] == (0, 10, "/object_info")
    assert told[-1] == (len(told) - 1, len(told), "/global_subgraphs")
    assert told[-2][1] == len(told)


# --- the file


def test_the_same_server_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
    files = [tmp_path / "one.json.gz", tmp_path / "two.json.gz"]
    with small(URL, models=MODELS):
        sizes = [snapshot.write(take().document, path) for path in files]
    one, two = (path.read_bytes() for path in files)
    assert one == two
    assert sizes == [len(one)] * 2
    assert next(iter(json.loads(gzip.decompress(one)))) == "comfystub_snapshot"


def test_a_name_that_ends_in_json_is_not_compressed(tmp_path: pathlib.Path) -> None:
    document = {"comfystub_snapshot": 1, "object_info": {"Ü": {}}}
    snapshot.write(document, tmp_path / "mine.json")
    assert json.loads((tmp_path / "mine.json").read_text(encoding="utf-8")) == document


# --- what is nobody else's business

SETTINGS = {
    "Comfy.Locale": "en",
    "Comfy.Keybinding.NewBindings": [{"combo": {"key": "r", "ctrl": True}, "commandId": "Comfy.Run"}],
    "Comfy.OpenAI.ApiKey": "sk-proj-abcdefghijklmnopqrstuvwx",
    "pack.hf_token": "hf_abcdefghijklmnopqrstuvwx",
    "pack.password": "hunter2",
    "pack.auth": {"anything": "hunter2"},
    "pack.UserName": "mary",
    "pack.nested": {"clientSecret": "hunter2", "size": 3},
    "pack.unnamed": "use ghp_abcdefghijklmnopqrstuvwxyz0123456789 for it",
    "pack.jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "pack.random": "0123456789abcdef0123456789abcdef",
    "pack.server": "http://mary:hunter2@render.mary.example:9000/api",
    "pack.local": "http://127.0.0.1:11434",
    "pack.ip": "the one at 192.168.1.20, or fe80::1ff:fe23:4567:890a",
    "pack.contact": "write to mary@mary.example",
    "pack.folder": "/home/mary/Comfy UI/output",
    "pack.windows": r"C:\Users\mary smith\ComfyUI",
    "pack.share": r"\\nas\mary\out",
    "pack.tilde": "~/mary/out",
    "pack.file": "file:///home/mary/a",
    "pack.kept": "sketch_to_image_with_controlnet 3",
    "pack.list": ["/home/mary/a", 7, None, True],
    "pack.host": "gpu-box says hello",
}

LEFT = "<left out>"


def test_settings() -> None:
    assert cleaned("settings", SETTINGS, "gpu-box.mary.example") == {
        "Comfy.Locale": "en",
        "Comfy.Keybinding.NewBindings": [{"combo": {"ctrl": True}, "commandId": "Comfy.Run"}],
        "pack.nested": {"size": 3},
        "pack.unnamed": f"use {LEFT} for it",
        "pack.jwt": LEFT,
        "pack.random": LEFT,
        "pack.server": f"http://{LEFT}/api",
        "pack.local": "http://127.0.0.1:11434",
        "pack.ip": f"the one at {LEFT}, or {LEFT}",
        "pack.contact": f"write to {LEFT}",
        "pack.folder": LEFT,
        "pack.windows": LEFT,
        "pack.share": LEFT,
        "pack.tilde": LEFT,
        "pack.file": LEFT,
        "pack.kept": "sketch_to_image_with_controlnet 3",
        "pack.list": [LEFT, 7, None, True],
        "pack.host": f"{LEFT} says hello",
    }


def test_the_command_line() -> None:
    argv = [
        "/home/mary/ComfyUI/main.py",
        "--listen",
        "gpu-box",
        "--port",
        "8188",
        "--preview-method",
        "auto",
        "--output-directory=/mnt/mary",
        "--cache-lru=10",
        "--lowvram",
        "mary",
    ]
    stats = {
        "system": {"argv": argv, "os": "linux", "comfyui_version": "0.33.0.1"},
        "devices": [{"index": 0}],
    }
    assert cleaned("system_stats", stats, "gpu-box") == {
        "system": {
            "argv": [
                "main.py",
                "--listen",
                LEFT,
                "--port",
                "8188",
                "--preview-method",
                "auto",
                f"--output-directory={LEFT}",
                "--cache-lru=10",
                "--lowvram",
                LEFT,
            ],
            "os": "linux",
            "comfyui_version": "0.33.0.1",
        },
        "devices": [{"index": 0}],
    }
    assert cleaned("system_stats", {"system": {"argv": []}}, "x") == {"system": {"argv": []}}
    windows = {"system": {"argv": ["C:\\Users\\mary\\main.py"]}}
    assert cleaned("system_stats", windows, "x") == {"system": {"argv": ["main.py"]}}


def test_node_classes() -> None:
    entry = {
        "input": {
            "required": {
                "api_key": ["STRING", {"default": "hunter2"}],
                "key": [["C major", "A minor"], {"default": "C major"}],
                "url": ["STRING", {"default": "http://10.0.0.7:11434"}],
                "font": [["/home/mary/fonts/a.ttf", "built in"], {}],
                "device": [
                    ["cpu", "gpu"],
                    {"tooltip": "see https://docs.comfy.org/gpu or http://gpu-box/docs"},
                ],
                "remote": ["COMBO", {"remote": {"route": "/internal/files/output"}}],
            },
            "hidden": {"prompt": "PROMPT"},
        },
        "description": "on box.mary.example",
        "price_badge": {"expr": "$match($t, /a/b/)"},
    }
    assert cleaned("object_info", {"Node": entry}, "box.mary.example")["Node"] == {
        "input": {
            "required": {
                "api_key": ["STRING", {"default": ""}],
                "key": [["C major", "A minor"], {"default": "C major"}],
                "url": ["STRING", {"default": f"http://{LEFT}"}],
                "font": [[LEFT, "built in"], {}],
                "device": [
                    ["cpu", "gpu"],
                    {"tooltip": f"see https://docs.comfy.org/gpu or http://{LEFT}/docs"},
                ],
                "remote": ["COMBO", {"remote": {"route": "/internal/files/output"}}],
            },
            "hidden": {"prompt": "PROMPT"},
        },
        "description": f"on {LEFT}",
        "price_badge": {"expr": "$match($t, /a/b/)"},
    }


def test_the_own_name_of_a_server_is_no_word_of_its_node_classes() -> None:
    entry = {"input": {"required": {"device": [["cpu", "gpu"], {}]}}}
    assert cleaned("object_info", {"Node": entry}, "gpu") == {"Node": entry}


def test_comfyui_has_nothing_to_hide() -> None:
    """The scrubber takes nothing out of ComfyUI's own classes."""
    with comfystub.patch(URL):
        nodes = httpx.get(f"{URL}/object_info").json()
        assert LEFT not in json.dumps(cleaned("object_info", nodes, "comfy.test"))


def test_paths_of_extensions_and_names_of_models_stay() -> None:
    extensions = ["/extensions/ComfyUI-Manager/js/x.js"]
    assert cleaned("extensions", extensions, "gpu-box") == extensions
    models = {"checkpoints": ["gpu-box/a.safetensors"]}
    assert cleaned("models", models, "gpu-box") == models


def test_nothing_of_it_gets_into_a_snapshot() -> None:
    with small(URL) as stub:
        httpx.post(f"{URL}/settings", json=SETTINGS)
        stub.route("GET", "/i18n")(lambda request: {"en": {"about": "runs in /home/mary/ComfyUI"}})
        stub.add_node("Pack", inputs={"password": ("STRING", {"default": "hunter2"})})
        text = json.dumps(take().document)
    for secret in ("mary", "hunter2", "sk-proj", "hf_abc", "ghp_", "eyJ", "192.168", "fe80"):
        assert secret not in text


# --- what goes wrong


def trouble(url: str = URL, **options: Any) -> str:
    with pytest.raises(Trouble) as raised:
        take(url, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_nobody_there() -> None:
    with small(URL, faults=[faults.refused()]):
        said = trouble()
    assert said.startswith("cannot connect to http://comfy.test:8188 (")
    assert said.endswith("): is ComfyUI running, and is that its address?")


def test_a_login() -> None:
    with small(URL, faults=[faults.login("mary", "hunter2")]):
        assert trouble() == (
            "http://comfy.test:8188 answers 401, it wants a login: give one with --header 'Authorization: …'"
        )
        assert take("http://mary:hunter%32@comfy.test:8188").document["object_info"]
        header = "Authorization: Basic bWFyeTpodW50ZXIy"
        assert take(headers=[header]).document["object_info"]


def test_no_answer() -> None:
    with small(URL, faults=[faults.no_answer(on="/object_info")]):
        assert trouble(timeout=0.05) == (
            "http://comfy.test:8188 did not answer GET /object_info within 0.05 seconds; give it more with --timeout"
        )


def test_an_answer_that_breaks_off() -> None:
    with small(URL, faults=[faults.cut_body(100, on="/object_info")]):
        assert trouble().startswith("http://comfy.test:8188 broke off GET /object_info: ")


@pytest.mark.parametrize(
    ("answer", "why"),
    [((404, "none"), "404"), ((500, "none"), "500"), ("hello", "another answer"), ([], "another answer")],
)
def test_no_comfyui(answer: Any, why: str) -> None:
    with small(URL) as stub:
        stub.route("GET", "/object_info")(lambda request: answer)
        assert trouble() == (
            f"http://comfy.test:8188 does not answer GET /object_info as ComfyUI does ({why}): is that its address?"
        )


def test_classes_that_are_none() -> None:
    with small() as stub:
        stub.route("GET", "/object_info")(lambda request: {"KSampler": 1})
        assert trouble().startswith("http://comfy.test:8188 does not answer as ComfyUI does: ")


def test_folders_that_are_none() -> None:
    with small() as stub:
        stub.route("GET", "/models")(lambda request: [7, "vae"])
        assert take().document["models"] == {
            "vae": ["ae.safetensors", "vae-ft-mse-840000-ema-pruned.safetensors"]
        }


def test_sent_elsewhere() -> None:
    moved = faults.status(301, headers={"Location": "https://comfy.test/"})
    with small(URL, faults=[moved]):
        assert trouble() == "http://comfy.test:8188 sends on to https://comfy.test/: give that address"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "ftp://comfy.test",
            "ftp://comfy.test is no address of a server: give one like http://127.0.0.1:8188",
        ),
        ("http://", "http:// is no address of a server: give one like http://127.0.0.1:8188"),
        ("http://comfy.test:port", "http://comfy.test:port is no address: Invalid port: 'port'"),
    ],
)
def test_no_address(url: str, said: str) -> None:
    assert trouble(url) == said


@pytest.mark.parametrize("line", ["Authorization", ": Bearer x", "X-Name: Zoë"])
def test_no_header(line: str) -> None:
    assert trouble(headers=[line]) == f"--header takes 'Name: value' in ASCII, not {line!r}"


def test_ways_to_write_an_address() -> None:
    with small(["http://comfy.test:8188", "https://proxy.test/comfy"]):
        for url in ("comfy.test:8188", "http://comfy.test:8188/", "https://proxy.test/comfy/?x=1#y"):
            assert take(url).document["object_info"]
