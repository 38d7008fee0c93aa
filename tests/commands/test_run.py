"""``comfystub run``."""

from __future__ import annotations

import io
import json
import pathlib
import sys
from typing import Any

import pytest
from PIL import Image
from workflows import Graph, text_to_image

from comfystub.cli import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, document: Any) -> str:
    path = pathlib.Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return name


def paint(path: str, size: tuple[int, int] = (8, 8)) -> None:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 40, 10)).save(path)


def size(path: str) -> tuple[int, int]:
    with Image.open(path) as picture:
        picture.load()
        return picture.size


def run(capsys: Captured, *arguments: str) -> tuple[int, list[str], list[str]]:
    """The exit status, and the lines of the output and of the errors."""
    status = main(["run", *arguments])
    said = capsys.readouterr()
    return status, said.out.splitlines(), said.err.splitlines()


def result(capsys: Captured, *arguments: str) -> Any:
    """What it says as JSON."""
    _, (line,), _ = run(capsys, "--json", *arguments)
    return json.loads(line)


def parameters(path: str) -> Graph:
    """The workflow that a picture was made by."""
    with Image.open(path) as picture:
        graph: Graph = json.loads(picture.text["prompt"])  # type: ignore[attr-defined]
    return graph


def reload(*names: str) -> Graph:
    """A workflow that saves pictures of the input folder."""
    graph: Graph = {}
    for number, name in enumerate(names):
        graph[f"1{number}"] = {"class_type": "LoadImage", "inputs": {"image": name}}
        shown = {"images": [f"1{number}", 0], "filename_prefix": "copy"}
        graph[f"2{number}"] = {"class_type": "SaveImage", "inputs": shown}
    return graph


# --- what it tells


def test_a_line_for_each_node_and_where_the_files_are(capsys: Captured) -> None:
    status, out, err = run(capsys, save("fox.json", text_to_image(batch_size=2)), "--seed", "1")
    assert (status, err) == (0, [])
    nodes = ["4 CheckpointLoaderSimple", "5 EmptyLatentImage", "7 CLIPTextEncode", "6 CLIPTextEncode"]
    nodes += ["3 KSampler", "8 VAEDecode", "9 SaveImage"]
    assert [line[10:].split("  ")[0] for line in out[:7]] == nodes
    assert "3 KSampler  2 steps" in out[4]
    assert "9 SaveImage  ComfyUI_00001_.png, ComfyUI_00002_.png" in out[6]
    assert out[7].startswith("completed in ") and out[7].endswith(" s, 2 files")
    assert out[8:] == ["  fox-output/ComfyUI_00001_.png", "  fox-output/ComfyUI_00002_.png"]
    assert size("fox-output/ComfyUI_00002_.png") == (64, 64)


def test_a_second_run_writes_over_nothing(capsys: Captured) -> None:
    name = save("flows/fox.json", text_to_image())
    run(capsys, name, "--output", "pictures/new")
    assert run(capsys, name, "-o", "pictures/new")[1][-1] == "  pictures/new/ComfyUI_00002_.png"


def test_previews_are_left_too_and_texts_are_shown(capsys: Captured) -> None:
    graph = text_to_image() | {
        "9": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}},
        "10": {"class_type": "PreviewAny", "inputs": {"source": "a fox " * 20}},
    }
    status, out, _ = run(capsys, save("fox.json", graph))
    assert status == 0
    assert any(f'10 PreviewAny  "{"a fox " * 9}a fox...' in line for line in out)
    assert len(list(pathlib.Path("fox-output").iterdir())) == 1


def test_seconds_that_a_step_takes(capsys: Captured) -> None:
    status, out, _ = run(capsys, save("fox.json", text_to_image()), "--pace", "0.02s")
    assert status == 0
    line = next(line for line in out if "KSampler" in line)
    assert line.endswith("3 KSampler  2 steps  0.040 s")


def test_as_json(capsys: Captured) -> None:
    found = result(capsys, save("fox.json", text_to_image()))
    assert found.pop("seconds") >= 0
    assert found == {
        "workflow": "fox.json",
        "inputs": [],
        "problems": [],
        "status": "completed",
        "files": [
            {
                "path": "fox-output/ComfyUI_00001_.png",
                "kind": "images",
                "type": "output",
                "node": "9",
                "class_type": "SaveImage",
            }
        ],
        "outputs": {"9": {"images": [{"filename": "ComfyUI_00001_.png", "subfolder": "", "type": "output"}]}},
        "error": None,
    }


def on_a_terminal(patch: pytest.MonkeyPatch) -> None:
    for stream in (sys.stdout, sys.stderr):
        patch.setattr(stream, "isatty", lambda: True)
    patch.setenv("TERM", "xterm-256color")
    patch.setenv("COLUMNS", "80")
    patch.delenv("NO_COLOR", raising=False)


def test_on_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    main(["run", save("fox.json", text_to_image())])
    said = capsys.readouterr()
    assert "\x1b[2m" in said.out and "\x1b[32mcompleted in " in said.out
    last = "[####################] 2 of 2  3 KSampler"
    assert said.err == f"\r[##########..........] 1 of 2  3 KSampler\r{last}\r{' ' * len(last)}\r"


def test_without_colours(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    main(["run", save("fox.json", text_to_image())])
    assert "\x1b[32m" not in capsys.readouterr().out


def test_a_narrow_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "30")
    main(["run", save("fox.json", text_to_image())])
    assert max(map(len, capsys.readouterr().err.split("\r"))) == 29


# --- what it makes


def test_inputs_are_set(capsys: Captured) -> None:
    graph = text_to_image()
    graph["7"]["_meta"] = {"title": "Negative v1.0"}
    changes = {
        "3.seed": "12",
        "EmptyLatentImage.width": "96",
        "6.text": "7",
        "Negative v1.0.text": "a = b",
        "8.samples": '["3", 0]',
        "9.filename_prefix": "true",
    }
    given = [f"--set={target}={value}" for target, value in changes.items()]
    path = result(capsys, save("fox.json", graph), *given)["files"][0]["path"]
    made = parameters(path)
    assert (made["3"]["inputs"]["seed"], made["5"]["inputs"]["width"]) == (12, 96)
    assert (made["6"]["inputs"]["text"], made["7"]["inputs"]["text"]) == ("7", "a = b")
    assert path == "fox-output/true_00001_.png"


def test_inputs_that_are_declared_and_not_given_can_be_set(capsys: Captured) -> None:
    graph = text_to_image()
    for name in ("text", "seed"):
        del graph[{"text": "6", "seed": "3"}[name]]["inputs"][name]
    path = result(capsys, save("fox.json", graph), "--set", "6.text=12", "--set", "3.seed=3")["files"][0][
        "path"
    ]
    made = parameters(path)
    assert (made["6"]["inputs"]["text"], made["3"]["inputs"]["seed"]) == ("12", 3)


def test_any_input_of_an_unknown_class_can_be_set(capsys: Captured) -> None:
    graph = text_to_image() | {"20": {"class_type": "Mine"}}
    path = result(capsys, save("fox.json", graph), "--set", "Mine.a.b=1.5", "--unknown-nodes", "accept")
    assert parameters(path["files"][0]["path"])["20"]["inputs"] == {"a.b": 1.5}


def test_what_is_no_node_cannot_be_set(capsys: Captured) -> None:
    graph: Any = text_to_image() | {"version": 1, "x": {"inputs": None}}
    (line,) = run(capsys, save("fox.json", graph), "--set", "version.a=1")[2]
    assert line.startswith("comfystub: --set version.a: no node is called so; there are 3 KSampler, ")
    assert run(capsys, "fox.json", "--set", "x.a=1")[0] == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("seed=7", "--set takes NODE.INPUT=VALUE, such as 3.seed=7, and not 'seed=7'"),
        ("3.seed", "--set takes NODE.INPUT=VALUE, such as 3.seed=7, and not '3.seed'"),
        ("3.sead=7", "--set 3.sead: KSampler has no such input; is it 'seed' that is meant?"),
        (
            "VAEDecode.xyz=7",
            "--set VAEDecode.xyz: VAEDecode has no such input; it has samples, vae",
        ),
        (
            "CLIPTextEncode.text=a",
            "--set CLIPTextEncode.text: several nodes are called 'CLIPTextEncode': use an id, one of 6, 7",
        ),
        (
            "Sampler.seed=7",
            "--set Sampler.seed: no node is called so; there are 3 KSampler, 4 CheckpointLoaderSimple, "
            "5 EmptyLatentImage, 6 CLIPTextEncode, 7 CLIPTextEncode, 8 VAEDecode, 9 SaveImage",
        ),
    ],
)
def test_what_cannot_be_set(capsys: Captured, change: str, complaint: str) -> None:
    name = save("fox.json", text_to_image())
    assert run(capsys, name, "--set", change) == (2, [], [f"comfystub: {complaint}"])
    assert not pathlib.Path("fox-output").exists()


def test_input_files_that_lie_beside_it(capsys: Captured) -> None:
    paint("flows/fox.png", (24, 16))
    paint("flows/sub/dog.png", (16, 24))
    paint("flows/example.png", (40, 8))
    paint("outside.png")
    names = ("fox.png", "sub/dog.png [input]", "example.png")
    name = save("flows/it.json", reload(*names))
    status, out, _ = run(capsys, name)
    assert status == 0
    assert out[:3] == [
        "fox.png was put into the input folder",
        "sub/dog.png was put into the input folder",
        "example.png was put into the input folder",
    ]
    assert [size(f"it-output/copy_0000{number}_.png") for number in (1, 2, 3)] == [
        (24, 16),
        (16, 24),
        (40, 8),
    ]
    assert result(capsys, name)["inputs"] == ["fox.png", "sub/dog.png", "example.png"]


def test_input_files_that_lie_elsewhere(capsys: Captured) -> None:
    paint("pictures/fox.png")
    name = save("it.json", reload("fox.png"))
    status, out, err = run(capsys, name)
    assert (status, out) == (1, [])
    assert err == [
        "comfystub: it.json is rejected",
        "  node 10 (LoadImage): image: Invalid image file: fox.png",
    ]
    assert run(capsys, name, "--inputs", "pictures")[0] == 0


def test_one_that_cannot_be_copied(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise PermissionError(13, "Permission denied", source)

    paint("fox.png")
    monkeypatch.setattr("shutil.copyfile", refuse)
    status, out, (line,) = run(capsys, save("it.json", reload("fox.png")))
    assert (status, out) == (2, [])
    assert line.startswith("comfystub: cannot copy ./fox.png to ") and line.endswith(": Permission denied")


@pytest.mark.parametrize(
    "name", ["../outside.png", "{folder}/outside.png", "out.png [output]", "x" * 5000, "a\0b"]
)
def test_nothing_else_is_put_there(capsys: Captured, folder: pathlib.Path, name: str) -> None:
    paint("outside.png")
    paint("flows/out.png")
    flow = save("flows/it.json", reload(name.replace("{folder}", str(folder))))
    status, out, _ = run(capsys, flow)
    assert (status, out) == (1, [])


def test_a_seed_repeats_it(capsys: Captured) -> None:
    name = save("fox.json", text_to_image())
    for output in ("a", "b"):
        run(capsys, name, "--seed", "4", "-o", output)
    a, b = (pathlib.Path(output, "ComfyUI_00001_.png").read_bytes() for output in ("a", "b"))
    assert a == b


def test_a_picture_of_ones_own(capsys: Captured) -> None:
    paint("mine.png", (33, 44))
    run(capsys, save("fox.json", text_to_image()), "--image", "mine.png")
    assert size("fox-output/ComfyUI_00001_.png") == (33, 44)


# --- what it takes


def test_the_body_of_a_request(capsys: Captured) -> None:
    body = {
        "prompt": text_to_image(),
        "client_id": "me",
        "extra_data": {"extra_pnginfo": {"workflow": {"a": 1}}},
    }
    path = result(capsys, save("fox.json", body))["files"][0]["path"]
    with Image.open(path) as picture:
        assert json.loads(picture.text["workflow"]) == {"a": 1}  # type: ignore[attr-defined]


def test_a_node_may_be_called_prompt(capsys: Captured) -> None:
    graph = text_to_image()
    graph["prompt"] = graph.pop("6")
    graph["3"]["inputs"]["positive"] = ["prompt", 0]
    assert result(capsys, save("fox.json", graph))["status"] == "completed"


def test_standard_input(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    paint("fox.png")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(reload("fox.png")).encode())))
    assert run(capsys, "-")[1][-1] == "  workflow-output/copy_00001_.png"


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (
            {"nodes": [], "links": []},
            "is in the format of ComfyUI's editor, which a server does not take: open it",
        ),
        ({"a": 1}, "is no workflow: nothing in it has a class_type"),
        ("fox", "is no workflow: nothing in it has a class_type"),
    ],
)
def test_what_is_no_workflow(capsys: Captured, document: Any, complaint: str) -> None:
    status, out, (line,) = run(capsys, save("fox.json", document))
    assert (status, out) == (2, [])
    assert line.startswith(f"comfystub: fox.json {complaint}")


def test_what_cannot_be_read(capsys: Captured) -> None:
    assert run(capsys, "none.json")[2] == ["comfystub: cannot read none.json: No such file or directory"]
    name = save("fox.json", text_to_image())
    assert run(capsys, name, "--image", "none.png")[2] == [
        "comfystub: cannot read none.png: No such file or directory"
    ]
    assert run(capsys, name, "--image", name)[2] == [
        "comfystub: --image takes a picture, and fox.json is none that Pillow can read"
    ]
    assert run(capsys, name, "-o", name)[2] == [
        "comfystub: fox.json is no folder: give another one with --output"
    ]


@pytest.mark.parametrize("pace", ["0.5", "3", "fast", "-1s", "s"])
def test_a_pace_that_is_none(capsys: Captured, pace: str) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["run", "fox.json", f"--pace={pace}"])
    assert exited.value.code == 2
    assert "--pace: it is 'instant'" in capsys.readouterr().err


# --- how it can end


def test_rejected(capsys: Captured) -> None:
    graph = text_to_image(steps=0) | {"20": {"class_type": "Mine", "inputs": {}}}
    name = save("fox.json", graph)
    hint = "if your server has it, give --profile or --object-info, or --unknown-nodes accept"
    assert run(capsys, name) == (
        1,
        [],
        ["comfystub: fox.json is rejected", f"  node 20 (Mine): there is no such class; {hint}"],
    )
    found = result(capsys, name)
    assert (found["status"], found["answer"]["error"]["type"]) == ("rejected", "missing_node_type")
    assert not pathlib.Path("fox-output").exists()


def test_rejected_in_part(capsys: Captured) -> None:
    graph = text_to_image() | {"10": {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}}
    name = save("fox.json", graph)
    problem = "node 10 (SaveImage): filename_prefix: Required input is missing"
    status, out, err = run(capsys, name)
    assert (status, out[0], err) == (0, f"left out: {problem}", [])
    assert result(capsys, name)["problems"] == [problem]


def test_failed(capsys: Captured) -> None:
    graph = text_to_image()
    graph["9"]["inputs"]["images"] = "a text"
    name = save("fox.json", graph)
    assert run(capsys, name) == (
        1,
        [],
        ["comfystub: fox.json failed at 9 SaveImage: AttributeError: 'str' object has no attribute 'shape'"],
    )
    found = result(capsys, name)
    assert (found["status"], found["error"]["node_id"], found["files"]) == ("failed", "9", [])


def test_nothing_else_is_left_behind(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    graph = text_to_image() | {"10": {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}}
    run(capsys, save("fox.json", graph))
    assert sorted(path.name for path in folder.iterdir()) == ["fox-output", "fox.json"]
