"""The command line."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from PIL import Image

import comfystub
from comfystub.cli import main


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
