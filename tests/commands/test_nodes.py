"""``comfystub nodes``."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import httpx
import pytest

import comfystub
from comfystub.cli import main

Captured = pytest.CaptureFixture[str]

INFO = {
    "Plain": {"input": {}, "output": []},
    "Mixed [x]": {
        "input": {
            "required": {
                "image": ["IMAGE"],
                "mode": [["a", "b"], {"default": "b"}],
                "none": [[], {}],
                "low": ["INT", {"min": 1}],
                "high": ["FLOAT", {"max": 2.5, "default": 1.0}],
                "text": ["STRING", {"default": "лиса"}],
            },
            "optional": {"mask": ["MASK", {}]},
        },
        "output": ["IMAGE", "INT"],
        "output_name": ["picture", "count"],
        "output_node": True,
        "display_name": "Mix them",
        "description": "It mixes\n  them all.",
        "category": "mine/mixing",
    },
}


def nodes(capsys: Captured, *arguments: str) -> tuple[int, list[str], list[str]]:
    """The exit status, and the lines of the output and of the errors."""
    status = main(["nodes", *arguments])
    said = capsys.readouterr()
    return status, said.out.splitlines(), said.err.splitlines()


@pytest.fixture
def mine(tmp_path: pathlib.Path) -> list[str]:
    """The arguments for a server of two classes."""
    path = tmp_path / "info.json"
    path.write_text(json.dumps(INFO))
    return ["--object-info", str(path)]


def names(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines]


def test_a_table_of_all(capsys: Captured) -> None:
    status, out, err = nodes(capsys)
    assert (status, len(out), err) == (0, 887, [])
    assert out[1].split("  ")[1] == "CheckpointLoaderSimple"
    assert out[1].endswith("model/loaders                             ckpt_name -> MODEL, CLIP, VAE")


def test_a_part_of_the_name(capsys: Captured) -> None:
    assert names(nodes(capsys, "ksampler")[1]) == ["KSampler", "KSamplerAdvanced", "KSamplerSelect"]


def test_a_part_of_the_name_that_the_editor_shows(capsys: Captured) -> None:
    assert "LoadImage" in names(nodes(capsys, "load image")[1])


def test_a_pattern(capsys: Captured) -> None:
    found = names(nodes(capsys, "save*audio*")[1])
    assert found == ["SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced"]


def test_a_category(capsys: Captured) -> None:
    status, out, _ = nodes(capsys, "load*", "--category", "AUDIO")
    assert (status, names(out)[:1]) == (0, ["LoadAudio"])


def test_output_nodes(capsys: Captured) -> None:
    found = names(nodes(capsys, "--outputs")[1])
    assert "SaveImage" in found and "KSampler" not in found


def test_one_class(capsys: Captured, mine: list[str]) -> None:
    assert nodes(capsys, "Mixed [x]", *mine) == (
        0,
        [
            "Mixed [x]  Mix them  mine/mixing",
            "  It mixes them all.",
            "inputs",
            "  image  IMAGE",
            '  mode   COMBO   default "b", one of a, b',
            "  none   COMBO   nothing to choose from",
            "  low    INT     from 1",
            "  high   FLOAT   default 1.0, up to 2.5",
            '  text   STRING  default "лиса"',
            "  mask   MASK    optional",
            "outputs",
            "  picture  IMAGE",
            "  count    INT",
            "an output node: it makes a workflow run",
        ],
        [],
    )


def test_one_that_takes_and_gives_nothing(capsys: Captured, mine: list[str]) -> None:
    assert nodes(capsys, "Plain", *mine)[1] == ["Plain  Plain", "no inputs", "no outputs"]


def test_the_only_one_that_fits(capsys: Captured, mine: list[str]) -> None:
    assert nodes(capsys, "mix them", *mine)[1][0] == "Mixed [x]  Mix them  mine/mixing"


def test_a_table_of_your_own(capsys: Captured, mine: list[str]) -> None:
    assert nodes(capsys, *mine)[1] == [
        "  Plain                   -> nothing",
        "  Mixed [x]  mine/mixing  image, mode, none, low, high, text, [mask] -> IMAGE, INT",
    ]


def test_others_with_the_name_in_theirs(capsys: Captured) -> None:
    assert nodes(capsys, "KSampler")[1][-1] == "others have it in their name: comfystub nodes '*KSampler*'"


def test_dynamic_inputs(capsys: Captured) -> None:
    out = [" ".join(line.split()) for line in nodes(capsys, "SaveVideo")[1]]
    assert "format COMBO one of auto, mp4, mkv, webm" in out
    assert 'format.codec COMBO with format "webm", one of auto, av1' in out
    assert (
        'format.codec.encoding COMBO optional, with format "mp4" and codec "h264", one of auto, re-encode'
        in out
    )
    assert (
        "  images.image0  IMAGE  1 to 50 of them, up to images.image49" in nodes(capsys, "BatchImagesNode")[1]
    )


@pytest.mark.parametrize("name", ["KSampler", "SaveVideo", "LoadImage"])
def test_as_json(capsys: Captured, name: str) -> None:
    _, (line,), _ = nodes(capsys, name, "--json")
    with comfystub.patch("http://comfy.test:8188"):
        assert json.loads(line) == httpx.get(f"http://comfy.test:8188/object_info/{name}").json()


def test_several_as_json(capsys: Captured) -> None:
    _, (line,), _ = nodes(capsys, "*audio*", "--outputs", "--json")
    found: Any = json.loads(line)
    assert {"SaveAudio", "PreviewAudio"} < found.keys()
    assert all(info["output_node"] for info in found.values())


def test_none(capsys: Captured) -> None:
    assert nodes(capsys, "ksampeler") == (
        1,
        [],
        ["comfystub: there is no such class; is it 'KSampler' that is meant?"],
    )
    assert nodes(capsys, "xyzzyx") == (
        1,
        [],
        ["comfystub: there is no such class: `comfystub nodes` lists them all"],
    )


def test_a_file_that_is_none(capsys: Captured) -> None:
    assert nodes(capsys, "--profile", "none.gz") == (
        2,
        [],
        ["comfystub: cannot read none.gz: No such file or directory"],
    )


def on_a_terminal(patch: pytest.MonkeyPatch, columns: int) -> None:
    patch.setattr(sys.stdout, "isatty", lambda: True)
    patch.setenv("TERM", "dumb")
    patch.setenv("COLUMNS", str(columns))


def test_a_table_on_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch, mine: list[str]) -> None:
    on_a_terminal(monkeypatch, 60)
    assert nodes(capsys, *mine)[1][1] == "  Mixed [x]  mine/mixing  image, mode, none, low, high, ..."


def test_a_class_on_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, 60)
    lines = nodes(capsys, "KSampler")[1]
    assert max(map(len, lines)) <= 60
    at = next(number for number, line in enumerate(lines) if "sampler_name" in line)
    assert lines[at].startswith("  sampler_name  COMBO         one of euler,")
    assert lines[at + 1].startswith(" " * 30 + "euler_ancestral")


def test_every_class_can_be_shown(capsys: Captured) -> None:
    from comfystub.commands.declarations import inputs
    from comfystub.nodes.catalogue import Catalogue

    catalogue = Catalogue()
    for name in catalogue:
        node_class = catalogue.get(name)
        assert node_class is not None
        assert all(declared.name and declared.type for declared in inputs(node_class.info(lambda _: [])))


def test_behind_head() -> None:
    """Nobody reads what comes later, and nothing is said about it."""
    command = f"{sys.executable} -m comfystub nodes | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")
