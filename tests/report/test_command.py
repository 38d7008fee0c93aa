"""``comfystub report``."""

from __future__ import annotations

import argparse
import io
import json
import pathlib
import sys

import pytest
from workflows import text_to_image

from comfystub.commands import report
from comfystub.reporting import page

from .pages import Parsed

Captured = pytest.CaptureFixture[str]


def run(capsys: Captured, *arguments: str) -> tuple[int, str, str]:
    """The exit status of the command, what it says, and what it complains of."""
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    status = report.run(parser.parse_args(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


def read(path: pathlib.Path) -> str:
    return Parsed(path.read_text(encoding="utf-8")).all("main")[0].text


@pytest.fixture(autouse=True)
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_of_the_demo(here: pathlib.Path, capsys: Captured) -> None:
    assert run(capsys) == (0, "report.html\n", "")
    whole = read(here / "report.html")
    for told in ("Job 1 completed", "20 steps, 8.000 s", "demo_00001_.png", "512 × 512, PNG, RGB"):
        assert told in whole


def test_of_a_workflow(here: pathlib.Path, capsys: Captured) -> None:
    (here / "fox.json").write_text(json.dumps(text_to_image("a red fox", steps=5)))
    status, out, _ = run(capsys, "fox.json", "-o", "fox.html")
    assert (status, out) == (0, "fox.html\n")
    whole = read(here / "fox.html")
    assert "a red fox" in whole and "5 steps, 2.000 s" in whole


def test_of_standard_input(here: pathlib.Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    data = io.BytesIO(json.dumps({"prompt": text_to_image("a blue fox")}).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
    assert run(capsys, "-")[0] == 0
    assert "a blue fox" in read(here / "report.html")


def test_of_a_workflow_that_is_rejected_there_is_a_page_all_the_same(
    here: pathlib.Path, capsys: Captured
) -> None:
    graph = text_to_image()
    graph["3"]["inputs"]["sampler_name"] = "oiler"
    (here / "fox.json").write_text(json.dumps(graph))
    status, out, err = run(capsys, "fox.json")
    assert (status, out) == (1, "report.html\n")
    assert err.startswith(
        "comfystub: the workflow was rejected: Prompt outputs failed validation; node 3 KSampler:"
    )
    assert "was answered 400" in read(here / "report.html")


def test_it_runs_all_the_same_when_nothing_is_validated(here: pathlib.Path, capsys: Captured) -> None:
    graph = text_to_image()
    graph["3"]["inputs"]["sampler_name"] = "oiler"
    (here / "fox.json").write_text(json.dumps(graph))
    assert run(capsys, "fox.json", "--no-validate")[0] == 0


def test_of_a_job_that_fails(here: pathlib.Path, capsys: Captured) -> None:
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "fox.png"}}}
    graph["2"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "fox"}}
    (here / "fox.json").write_text(json.dumps(graph))
    status, _, err = run(capsys, "fox.json", "--no-validate")
    assert status == 1
    assert err.startswith("comfystub: the workflow failed at 1 LoadImage: FileNotFoundError")
    assert "Job 1 failed" in read(here / "report.html")


def test_with_a_seed_it_is_the_same_each_time(here: pathlib.Path, capsys: Captured) -> None:
    for name in ("one.html", "other.html"):
        assert run(capsys, "--seed", "1", "-o", name)[0] == 0
    assert (here / "one.html").read_bytes() == (here / "other.html").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["none.json"], "comfystub: cannot read none.json: No such file or directory\n"),
        (["-o", "none/report.html"], "comfystub: cannot write none/report.html: No such file or directory\n"),
    ],
)
def test_what_it_cannot_do(capsys: Captured, arguments: list[str], complaint: str) -> None:
    assert run(capsys, *arguments) == (2, "", complaint)


def test_without_the_template_engine_it_says_what_to_install(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page.load.cache_clear()
    status, out, err = run(capsys)
    assert (status, out) == (2, "")
    assert err.endswith("pip install 'comfystub[report]'\n")
