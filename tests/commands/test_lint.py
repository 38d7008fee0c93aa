"""``comfystub lint``."""

from __future__ import annotations

import io
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from test_real_workflows import FOLDER, NAMES, answer, installed_inputs, models, plain
from workflows import Graph, text_to_image

from comfystub.cli import main

Captured = pytest.CaptureFixture[str]

EXPORT = (
    "is in the format of ComfyUI's editor, which a server does not take: open it in ComfyUI, choose "
    "Workflow > Export (API), and give that file"
)
EDITORS = {"last_node_id": 1, "nodes": [{"id": 1, "type": "SaveImage"}], "links": [], "version": 0.4}


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, document: Any) -> str:
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return name


def lint(capsys: Captured, *arguments: str) -> tuple[int, list[str], list[str]]:
    """The exit status, and the lines of the output and of the errors."""
    status = main(["lint", *arguments])
    said = capsys.readouterr()
    return status, said.out.splitlines(), said.err.splitlines()


def lint_as_json(capsys: Captured, *arguments: str) -> tuple[int, Any]:
    status, (line,), _ = lint(capsys, "--format", "json", *arguments)
    return status, json.loads(line)


def with_picture(image: Any = "fox.png") -> Graph:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


# --- what it says


def test_a_good_one(capsys: Captured) -> None:
    assert lint(capsys, save("fox.json", text_to_image())) == (0, ["fox.json: ok"], [])


def test_a_line_for_each_error(capsys: Captured) -> None:
    graph = text_to_image(steps=0, width=7)
    graph["3"]["_meta"] = {"title": "Paint it"}
    graph["3"]["inputs"] |= {"sampler_name": "nope", "cfg": "much", "positive": ["4", 2]}
    del graph["3"]["inputs"]["denoise"]
    status, out, err = lint(capsys, save("fox.json", graph))
    assert (status, err) == (1, [])
    at = 'fox.json: node 3 (KSampler "Paint it"): '
    assert sorted(out) == [
        f"{at}cfg: Failed to convert an input value to a FLOAT value (much, could not convert string to float: 'much')",
        f"{at}denoise: Required input is missing",
        f"{at}positive: Return type mismatch between linked nodes (received_type(VAE) mismatch input_type(CONDITIONING))",
        f"{at}sampler_name: 'nope' not in (list of length 44)",
        f"{at}steps: Value 0 smaller than min of 1",
        "fox.json: node 5 (EmptyLatentImage): width: Value 7 smaller than min of 16",
    ]


def test_what_is_wrong_with_all_of_it(capsys: Captured) -> None:
    graph = text_to_image()
    del graph["9"]
    assert lint(capsys, save("fox.json", graph))[:2] == (1, ["fox.json: Prompt has no outputs"])


def test_an_exception_of_the_servers(capsys: Captured) -> None:
    graph = text_to_image()
    graph["9"]["inputs"]["images"] = ["8", 3]
    assert lint(capsys, save("fox.json", graph))[1] == [
        "fox.json: node 9 (SaveImage): Exception when validating node: tuple index out of range"
    ]


def test_a_cycle(capsys: Captured) -> None:
    graph = with_picture()
    graph["1"] = {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}
    assert lint(capsys, save("fox.json", graph))[1] == [
        "fox.json: node 1 (ImageInvert): Dependency cycle detected: 1 (ImageInvert) -> 1 (ImageInvert)"
    ]


def test_a_dynamic_input_is_named_in_full(capsys: Captured) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {
            "class_type": "ResizeImageMaskNode",
            "inputs": {"input": ["1", 0], "resize_type": "scale width", "scale_method": "area"},
        },
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}},
    }
    assert lint(capsys, save("fox.json", graph))[1] == [
        "fox.json: node 2 (ResizeImageMaskNode): resize_type.width: Required input is missing"
    ]


def test_an_output_that_the_server_would_drop_is_an_error(capsys: Captured) -> None:
    graph = text_to_image() | {"10": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}}
    status, (one,) = lint_as_json(capsys, save("fox.json", graph))
    assert (status, one["status"], one["ok"]) == (1, 200, False)
    assert [error["text"] for error in one["errors"]] == ["filename_prefix: Required input is missing"]


def test_what_is_no_node(capsys: Captured) -> None:
    graph: Any = text_to_image() | {"version": 0.4}
    status, (one,) = lint_as_json(capsys, save("fox.json", graph))
    assert (status, one["status"]) == (1, 500)
    assert one["answer"] == "500 Internal Server Error\n\nServer got itself in trouble"
    assert lint(capsys, "fox.json")[1] == [
        "fox.json: node version: it is no node, and ComfyUI answers 500 to the whole"
    ]


def test_what_only_the_server_stumbles_over(capsys: Captured) -> None:
    graph = with_picture() | {"3": {"class_type": "T2IAdapterLoader", "inputs": {}}}
    assert lint(capsys, save("fox.json", graph))[1] == [
        "fox.json: ComfyUI answers 500 to it, after KeyError: '_meta'"
    ]


def test_one_that_is_too_large(capsys: Captured) -> None:
    name = save("fox.json", text_to_image(text="x" * 105_000_000))
    expected = "fox.json: ComfyUI answers 413 to it: Maximum request body size 104857600 exceeded."
    assert lint(capsys, name)[:2] == (1, [expected])


# --- classes


def test_every_class_that_is_missing(capsys: Captured) -> None:
    graph: Any = text_to_image(steps=0) | {
        "20": {"class_type": "Ksampler", "inputs": {}},
        "21": {"class_type": "MyUpscaler", "inputs": {}, "_meta": {"title": "Make it big"}},
        "22": {"inputs": {}},
        "23": {"class_type": "T2IAdapterLoader", "inputs": {}, "_meta": {"title": "replaced"}},
    }
    status, (one,) = lint_as_json(capsys, save("fox.json", graph))
    assert status == 1
    assert one["answer"]["error"]["extra_info"]["node_id"] == "20"
    hint = "if your server has it, give --profile or --object-info, or --unknown-nodes accept"
    assert lint(capsys, "fox.json")[1] == [
        f"fox.json: node 20 (Ksampler): there is no such class (is KSampler meant?); {hint}",
        f'fox.json: node 21 (MyUpscaler "Make it big"): there is no such class; {hint}',
        "fox.json: node 22: it has no class_type",
    ]


def test_the_classes_of_an_older_server(capsys: Captured) -> None:
    name = save("fox.json", text_to_image() | {"20": {"class_type": "MyUpscaler", "inputs": {}}})
    status, (one,) = lint_as_json(capsys, name, "--version", "0.8")
    assert (status, one["answer"]["error"]["type"]) == (1, "invalid_prompt")
    assert [error["node"] for error in one["errors"]] == ["20"]


def test_unknown_classes_can_be_taken(capsys: Captured) -> None:
    graph = text_to_image(steps=0) | {"20": {"class_type": "MyUpscaler", "inputs": {"image": ["8", 0]}}}
    status, out, _ = lint(capsys, save("fox.json", graph), "--unknown-nodes", "accept")
    assert (status, out) == (1, ["fox.json: node 3 (KSampler): steps: Value 0 smaller than min of 1"])


def test_the_classes_of_your_own_server(capsys: Captured) -> None:
    entry = {"input": {"required": {"image": ["IMAGE", {}], "by": ["INT", {"max": 4}]}}, "output": []}
    info = save(
        "info.json", {"MyUpscaler": {**entry, "output_node": True}, "EmptyImage": {"output": ["IMAGE"]}}
    )
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {}},
        "2": {"class_type": "MyUpscaler", "inputs": {"image": ["1", 0], "by": 5}},
    }
    expected = ["fox.json: node 2 (MyUpscaler): by: Value 5 bigger than max of 4"]
    assert lint(capsys, save("fox.json", graph), "--object-info", info)[1] == expected
    profile = save(
        "mine.json", {"comfystub_snapshot": 1, "object_info": json.loads(pathlib.Path(info).read_text())}
    )
    assert lint(capsys, "fox.json", "--profile", profile)[1] == expected


# --- files that the server has


def test_any_model_will_do_unless_it_is_said_which_there_are(capsys: Captured) -> None:
    name = save("fox.json", text_to_image(checkpoint="mine.safetensors"))
    assert lint(capsys, name)[0] == 0
    assert lint(capsys, name, "--models", save("all.json", {"checkpoints": ["mine.safetensors"]}))[0] == 0
    status, out, _ = lint(capsys, name, "--models", save("none.json", {"loras": ["mine.safetensors"]}))
    missing = "fox.json: node 4 (CheckpointLoaderSimple): ckpt_name: 'mine.safetensors' not in []"
    assert (status, out) == (1, [missing])
    assert lint(capsys, name, "--strict-models")[:2] == (1, [missing])
    assert lint(capsys, name, "--strict-models", "--models", "all.json")[0] == 0


def test_strict_models_are_those_of_the_profile(capsys: Captured) -> None:
    from comfystub.nodes.catalogue import Catalogue
    from comfystub.nodes.inventory import Inventory

    catalogue, inventory = Catalogue(), Inventory({"checkpoints": ["mine.safetensors"]}, list)
    info = {name: catalogue.get(name).info(inventory.options) for name in catalogue}  # type: ignore[union-attr]
    snapshot = {"comfystub_snapshot": 1, "object_info": info, "models": {"checkpoints": ["mine.safetensors"]}}
    arguments = ("--strict-models", "--profile", save("mine.json", snapshot))
    assert lint(capsys, save("a.json", text_to_image(checkpoint="mine.safetensors")), *arguments)[0] == 0
    assert lint(capsys, save("b.json", text_to_image(checkpoint="other.safetensors")), *arguments)[0] == 1


def test_what_one_workflow_names_is_not_installed_for_the_next(capsys: Captured) -> None:
    names = [
        save(f"{name}.json", text_to_image(checkpoint=name)) for name in ("a.safetensors", "b.safetensors")
    ]
    graph = text_to_image()
    graph["4"]["inputs"]["ckpt_name"] = 7
    status, documents = lint_as_json(capsys, *names, save("c.json", graph))
    assert status == 1
    assert documents[2]["errors"][0]["text"].count(".safetensors") == 2


def test_an_input_file_that_is_not_there_is_a_warning(capsys: Captured) -> None:
    status, out, _ = lint(capsys, save("fox.json", with_picture()))
    assert (status, out) == (
        0,
        [
            "fox.json: warning: node 1 (LoadImage): image: Invalid image file: fox.png",
            "fox.json: ok",
        ],
    )
    status, (one,) = lint_as_json(capsys, "fox.json")
    assert (status, one["status"], one["ok"]) == (0, 400, True)
    assert one["answer"]["node_errors"]["1"]["errors"][0]["details"] == "image - Invalid image file: fox.png"


def test_unless_it_is_said_which_there_are(capsys: Captured) -> None:
    save("in/sub/dog.png", "")
    for picture, expected in (("fox.png", 1), ("sub/dog.png", 0), ("example.png", 1)):
        assert lint(capsys, save("fox.json", with_picture(picture)), "--inputs", "in")[0] == expected
    assert lint(capsys, save("fox.json", with_picture("example.png")))[0] == 0
    assert lint(capsys, "fox.json", "--inputs", "out") == (
        2,
        [],
        ["comfystub: --inputs takes a folder, and out is none"],
    )


def test_an_input_file_of_a_pack(capsys: Captured) -> None:
    entry = {
        "input": {"required": {"video": [["a.mp4"], {"video_upload": True}]}},
        "output": [],
        "output_node": True,
    }
    info = save("info.json", {"LoadFilm": entry})
    name = save("fox.json", {"1": {"class_type": "LoadFilm", "inputs": {"video": "b.mp4"}}})
    status, out, _ = lint(capsys, name, "--object-info", info)
    assert (status, out[0]) == (0, "fox.json: warning: node 1 (LoadFilm): video: 'b.mp4' not in ['a.mp4']")


def test_no_other_mistake_with_an_input_file_is_forgiven(capsys: Captured) -> None:
    assert lint(capsys, save("fox.json", with_picture(["2", 5])))[0] == 1


# --- which files


def test_several_files(capsys: Captured) -> None:
    names = [save("good.json", text_to_image()), save("bad.json", text_to_image(steps=0))]
    status, out, _ = lint(capsys, *names)
    assert (status, out) == (
        1,
        [
            "good.json: ok",
            "bad.json: node 3 (KSampler): steps: Value 0 smaller than min of 1",
            "1 ok, 1 with errors",
        ],
    )


def test_a_folder_with_other_files(capsys: Captured) -> None:
    save("flows/a.json", text_to_image())
    save("flows/deep/b.json", {"prompt": text_to_image(), "client_id": "me"})
    save("flows/deep/editor.json", EDITORS)
    save("flows/package.json", {"name": "fox", "scripts": {"test": "true"}})
    save("flows/list.json", [1, 2])
    save("flows/.hidden/c.json", text_to_image(steps=0))
    save("flows/node_modules/d.json", text_to_image(steps=0))
    pathlib.Path("flows/readme.txt").write_text("hello")
    status, out, err = lint(capsys, "flows")
    assert (status, err) == (0, [])
    assert out == [
        "flows/a.json: ok",
        "flows/deep/b.json: ok",
        f"flows/deep/editor.json: warning: it {EXPORT}",
        "2 ok, 3 skipped",
    ]
    assert [one["file"] for one in lint_as_json(capsys, "flows")[1]] == ["flows/a.json", "flows/deep/b.json"]


def test_a_folder_with_a_broken_file(capsys: Captured) -> None:
    save("flows/a.json", text_to_image())
    pathlib.Path("flows/b.json").write_text("<<<<<<< HEAD\n{}")
    status, out, err = lint(capsys, "flows")
    assert (status, out) == (2, ["flows/a.json: ok", "1 ok, 1 unreadable"])
    assert err == ["comfystub: flows/b.json is no JSON: Expecting value: line 1 column 1 (char 0)"]


def test_patterns(capsys: Captured) -> None:
    save("flows/a.json", text_to_image())
    save("flows/deep/b.json", text_to_image())
    assert lint(capsys, "flows/*.json")[1] == ["flows/a.json: ok"]
    assert lint(capsys, "flows/**/*.json")[1][:2] == ["flows/a.json: ok", "flows/deep/b.json: ok"]
    assert lint(capsys, "flows/*.json", "flows/a.json")[1] == ["flows/a.json: ok"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nothing.json", "cannot read nothing.json: No such file or directory"),
        ("*.png", "no file is called like *.png"),
        ("empty", "empty holds no .json file"),
        ("editor.json", f"editor.json {EXPORT}"),
        ("list.json", "list.json is no workflow: nothing in it has a class_type"),
        ("none.json", "none.json is no workflow: nothing in it has a class_type"),
    ],
)
def test_files_that_are_none(capsys: Captured, name: str, complaint: str) -> None:
    pathlib.Path("empty").mkdir()
    save("editor.json", EDITORS)
    save("list.json", [1])
    save("none.json", {})
    assert lint(capsys, name) == (2, [], [f"comfystub: {complaint}"])


def test_standard_input(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(text_to_image(steps=0)).encode()))
    )
    assert lint(capsys, "-")[1] == ["-: node 3 (KSampler): steps: Value 0 smaller than min of 1"]


def test_encodings(capsys: Captured) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        pathlib.Path("fox.json").write_bytes(
            json.dumps(text_to_image(text="лиса"), ensure_ascii=False).encode(encoding)
        )
        assert lint(capsys, "fox.json")[0] == 0


def test_a_file_without_a_bottom(capsys: Captured) -> None:
    pathlib.Path("deep.json").write_text("[" * 200_000)
    status, _, (line,) = lint(capsys, "deep.json")
    assert (status, line.startswith("comfystub: deep.json is no JSON: ")) == (2, True)


@pytest.mark.parametrize(
    ("option", "document", "complaint"),
    [
        ("--models", ["a"], 'x.json holds no models: it should be like {"checkpoints": ["a.safetensors"]}'),
        (
            "--models",
            {"a": "b"},
            'x.json holds no models: it should be like {"checkpoints": ["a.safetensors"]}',
        ),
        ("--object-info", [], "--object-info takes the answer of GET /object_info: a dict of node classes"),
        ("--object-info", {"comfystub_snapshot": 1}, "x.json is a snapshot: give it as --profile"),
        (
            "--profile",
            {"A": {"input": {}}},
            "x.json is no snapshot but the answer of GET /object_info: give it as --object-info",
        ),
    ],
)
def test_options_that_make_no_server(capsys: Captured, option: str, document: Any, complaint: str) -> None:
    name = save("fox.json", text_to_image())
    assert lint(capsys, name, option, save("x.json", document)) == (2, [], [f"comfystub: {complaint}"])
    assert lint(capsys, name, option, "y.json") == (
        2,
        [],
        ["comfystub: cannot read y.json: No such file or directory"],
    )


# --- how it is said


def test_quiet(capsys: Captured) -> None:
    names = [
        save("a.json", text_to_image(steps=0)),
        save("b.json", with_picture()),
        save("c.json", text_to_image()),
    ]
    assert lint(capsys, "-q", *names)[1] == [
        "a.json: node 3 (KSampler): steps: Value 0 smaller than min of 1"
    ]


def test_for_github(capsys: Captured) -> None:
    graph = text_to_image(steps=0)
    graph["3"]["_meta"] = {"title": "100%\nsharp"}
    names = [save("a,b.json", graph), save("b.json", with_picture()), save("c.json", text_to_image())]
    status, out, _ = lint(capsys, "--format", "github", *names, "d.json")
    assert (status, out) == (
        2,
        [
            '::error file=a%2Cb.json::node 3 (KSampler "100%25 sharp"): steps: Value 0 smaller than min of 1',
            "::warning file=b.json::node 1 (LoadImage): image: Invalid image file: fox.png",
            "::error file=d.json::cannot read d.json: No such file or directory",
        ],
    )
    assert len(lint(capsys, "--format", "github", "-q", *names)[1]) == 1


def test_as_json(capsys: Captured) -> None:
    graph = text_to_image(steps=0)
    graph["3"]["_meta"] = {"title": "Paint"}
    status, documents = lint_as_json(capsys, save("a.json", graph), "b.json")
    assert status == 2
    error = {
        "node": "3",
        "class_type": "KSampler",
        "title": "Paint",
        "text": "steps: Value 0 smaller than min of 1",
    }
    body = documents[0].pop("answer")
    assert (body["error"]["type"], list(body["node_errors"])) == ("prompt_outputs_failed_validation", ["3"])
    assert documents == [
        {"file": "a.json", "ok": False, "status": 400, "errors": [error], "warnings": []},
        {
            "file": "b.json",
            "ok": False,
            "status": None,
            "answer": None,
            "errors": [{"text": "cannot read b.json: No such file or directory"}],
            "warnings": [],
        },
    ]


def test_on_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [save("a.json", text_to_image(steps=0)), save("b.json", text_to_image())]
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["lint", *names])
    said = capsys.readouterr()
    assert "a.json: \x1b[1;31mnode 3 (KSampler): \x1b[0msteps: Value 0" in said.out
    assert "b.json: \x1b[32mok\x1b[0m" in said.out
    shown = "[##########..........] 1 of 2  b.json"
    assert said.err == f"\r{shown}\r{' ' * len(shown)}\r"

    monkeypatch.setenv("TERM", "dumb")
    main(["lint", *names])
    assert "\x1b" not in (said := capsys.readouterr()).out
    assert said.err == ""


def test_a_title_that_the_encoding_lacks() -> None:
    graph = text_to_image(steps=0)
    graph["3"]["_meta"] = {"title": "Лиса"}
    command = [sys.executable, "-m", "comfystub", "lint", save("fox.json", graph)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (1, "")
    assert 'KSampler "\\u041b\\u0438\\u0441\\u0430"' in done.stdout


def test_it_loads_no_client_library_and_no_other_command() -> None:
    code = (
        f"import sys; from comfystub.cli import main; main(['lint', {save('fox.json', text_to_image())!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "comfystub.commands.lint" in loaded
    assert {"comfystub.commands.run", "httpx", "requests", "asyncio", "PIL", "rich"}.isdisjoint(loaded)


def test_nothing_is_left_behind(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    name = save("fox.json", with_picture())
    lint(capsys, name)
    lint(capsys, name, "--inputs", save("in/fox.png", "")[:2])
    assert sorted(path.name for path in folder.iterdir()) == ["fox.json", "in"]


# --- what the real server said


@pytest.mark.skipif(not NAMES, reason="the published workflows are not here")
@pytest.mark.parametrize("installed", ["bare", "models"])
def test_it_says_what_the_real_server_did(capsys: Captured, installed: str) -> None:
    options = ["--models", save("models.json", models(installed))]
    if installed == "models":
        for name in installed_inputs():
            save(f"in/{name}", "")
        options += ["--inputs", "in"]
    files = [str(FOLDER / f"{name}.json") for name in NAMES]
    status, documents = lint_as_json(capsys, *options, *files)
    assert status == 1
    for name, one in zip(NAMES, documents, strict=True):
        body = {key: value for key, value in one["answer"].items() if key != "number"}
        if "prompt_id" in body:
            body["prompt_id"] = "<id>"
        assert plain({"status": one["status"], "json": body}) == plain(answer(name, installed))
        if installed == "models":
            assert one["ok"] is (one["status"] == 200 and not body["node_errors"])


@pytest.mark.skipif(not NAMES, reason="the published workflows are not here")
def test_every_missing_class_of_published_workflows(capsys: Captured) -> None:
    rows = (FOLDER / "index.tsv").read_text(encoding="utf-8").splitlines()[1:]
    for file, _, _, _, _, missing in (row.split("\t") for row in rows):
        _, (one,) = lint_as_json(capsys, str(FOLDER / file))
        named = {
            error["class_type"] for error in one["errors"] if error["text"].startswith("there is no such")
        }
        assert "|".join(sorted(named)) == missing
