"""The pytest plugin: what it does for those who want to look at pictures."""

from __future__ import annotations

import os
import pathlib
import tempfile

import pytest
from suites import Run, runner


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    return runner(pytester)


GENERATES = """
    import json, pathlib
    import comfystub.demo

    GRAPH = json.loads(pathlib.Path(comfystub.demo.__path__[0], "text_to_image.json").read_text())

    def generate(prefix, url="http://127.0.0.1:8188"):
        GRAPH["5"]["inputs"]["batch_size"] = 1
        GRAPH["9"]["inputs"]["filename_prefix"] = prefix
        prompt_id = CLIENT.post(url + "/prompt", json={"prompt": GRAPH}).json()["prompt_id"]
        return get("/history/" + prompt_id, url).json()[prompt_id]

    def test_fixture(comfy_stub):
        generate("mine")
        generate("sub/mine")

    @pytest.mark.parametrize("name", ["a b/../c"])
    def test_parameter(name, comfy_stub):
        generate("it")
        assert False

    def test_two_blocks():
        for name in ("first", "second"):
            with comfystub.patch():
                generate(name)

    @pytest.fixture(scope="module")
    def shared():
        stub = comfystub.Stub()
        yield stub
        stub.close()

    @pytest.mark.parametrize("number", [1, 2])
    def test_shared(shared, number):
        with comfystub.patch(stub=shared):
            generate("shared")

    def test_nothing(comfy_stub):
        CLIENT.post(comfy_stub.url + "/prompt", json={"prompt": GRAPH})
"""
FILES = {
    "test_it.py-test_fixture": ["mine_00001_.png", "sub/mine_00001_.png"],
    "test_it.py-test_parameter[a-b-..-c]": ["it_00001_.png"],
    "test_it.py-test_two_blocks": ["2/second_00001_.png", "first_00001_.png"],
    "test_it.py-test_shared[1]": ["shared_00001_.png"],
    "test_it.py-test_shared[2]": ["shared_00001_.png"],  # which the server had in its cache
}


def kept_in(folder: pathlib.Path) -> dict[str, list[str]]:
    """The files of each test."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.png")):
        test, *rest = path.relative_to(folder).parts
        found.setdefault(test, []).append("/".join(rest))
    return found


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_files_are_kept_where_one_likes(
    run: Run, pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    stale = pytester.path / "looks" / "test_it.py-test_fixture" / "stale.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    result = run(GENERATES, "--comfystub-keep-in=looks", *workers)
    result.assert_outcomes(passed=5, failed=1)
    folder = pytester.path.resolve() / "looks"
    assert kept_in(folder) == FILES
    counts = {"test_it.py-test_fixture": "2 files", "test_it.py-test_two_blocks": "2 files"}
    lines = [f"{folder / test}{os.sep} ({counts.get(test, '1 file')})" for test in sorted(FILES)]
    begin = next(number for number, line in enumerate(result.outlines) if "comfystub: the files" in line)
    assert result.outlines[begin + 1 : begin + 1 + len(lines)] == lines


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_files_are_kept_in_a_folder_that_is_said(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(pytester.mkdir("temporary")))
    result = run(GENERATES, "--comfystub-keep", *workers)
    said = [
        line.partition(" (")[0] for line in result.outlines if "/test_it.py-test_" in line and line[-1] == ")"
    ]
    assert sorted(pathlib.Path(folder).name for folder in said) == sorted(FILES)
    (root,) = {pathlib.Path(folder).parent for folder in said}
    assert root.parent.name == "temporary"
    assert kept_in(root) == FILES


def test_where_nothing_is_kept_no_folder_is_left(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(pytester.mkdir("temporary")))
    result = run("def test_it(comfy_stub): get()", "--comfystub-keep")
    result.stdout.fnmatch_lines(["*comfystub: the files of each test*", "no test left a file"])
    assert list((pytester.path / "temporary").glob("comfystub-kept-*")) == []


def test_the_folder_of_the_stub_itself_stays_as_it_was(run: Run) -> None:
    result = run(
        """
        def test_it(comfy_stub, tmp_path):
            assert comfy_stub.output_dir == tmp_path.resolve() / "comfyui" / "output"

        def test_gone():
            with comfystub.patch() as stub:
                folder = stub.output_dir
            assert not folder.exists()
        """,
        "--comfystub-keep-in=looks",
    )
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("flag", [True, False])
def test_pictures_have_captions(run: Run, flag: bool) -> None:
    result = run(
        GENERATES
        + f"""
    def test_captions_of_the_fixture(comfy_stub):
        check(comfy_stub)

    def test_captions_of_a_block():
        with comfystub.patch() as stub:
            check(stub)

    def check(stub):
        generate("it")
        assert stub.styles.captions is {flag}
        with comfystub.patch() as plain:
            plain.styles.captions = False
            generate("it")
            assert (stub.outputs[0].image == plain.outputs[0].image) is not {flag}
    """,
        *(("--comfystub-captions",) if flag else ()),
        "-k",
        "captions",
    )
    result.assert_outcomes(passed=2, deselected=6)
