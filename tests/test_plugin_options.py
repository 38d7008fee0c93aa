"""The pytest plugin: what its options do, in the ini file and on the command line."""

from __future__ import annotations

import inspect
import json
import textwrap

import PIL.Image
import pytest
from suites import Run, runner

import comfystub
from comfystub import pytest_plugin

NAMES = [option.name for option in pytest_plugin.OPTIONS]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    return runner(pytester)


@pytest.mark.parametrize(
    ("name", "values", "check"),
    [
        ("base_url", ["http://comfy.test:1"], 'assert comfy_stub.urls == ["http://comfy.test:1"]'),
        (
            "base_url",
            ["http://a.test:1", "http://b.test:1/comfy/"],
            'assert comfy_stub.urls == ["http://a.test:1", "http://b.test:1/comfy"]',
        ),
        ("pace", ["manual"], 'assert status() == "pending"'),
        ("pace", ["0"], 'assert status() == "completed"'),
        ("pace", ["2"], 'assert (status(), get("/queue"), status()) == ("pending", ANY, "in_progress")'),
        ("pace", ["instant"], 'assert status() == "completed"'),
        ("validate", ["no"], 'assert post("NoSuchNode") == 200'),
        ("validate", ["true"], 'with pytest.warns(UserWarning): assert post("NoSuchNode") == 400'),
        ("unknown_nodes", ["accept"], 'assert post("NoSuchNode") == 200'),
        ("unmatched", ["error"], 'with pytest.raises(httpx.ConnectError): get(url="http://else.test")'),
        ("object_info", ["info.json"], 'assert list(get("/object_info").json()) == ["MyNode"]'),
        ("profile", ["profile.json"], 'assert get("/models/loras").json() == ["of the profile"]'),
        ("version", ["0.8"], 'assert get("/system_stats").json()["system"]["comfyui_version"] == "0.8.0"'),
        ("image", ["picture.png"], 'post("VAEDecode"); assert comfy_stub.outputs[0].image.size == (3, 5)'),
        (
            "env",
            ["COMFY_A_TEST = {url}/x=1", "COMFY_B_TEST={output_dir}"],
            'assert os.environ["COMFY_A_TEST"] == "http://127.0.0.1:8188/x=1"\n'
            'assert os.environ["COMFY_B_TEST"] == str(comfy_stub.output_dir)',
        ),
        ("seed", ["7"], "assert ids() == [first_id(seed=7)]"),
        ("clock", ["virtual"], "time.sleep(1000); assert comfy_stub.clock.elapsed == 1000"),
    ],
)
@pytest.mark.parametrize("place", ["ini", "command line"])
def test_an_option_is_an_argument_for_every_test(
    run: Run, pytester: pytest.Pytester, place: str, name: str, values: list[str], check: str
) -> None:
    pytester.makefile(".json", info='{"MyNode": {"input": {}, "output": [], "name": "MyNode"}}')
    PIL.Image.new("RGB", (3, 5)).save(pytester.path / "picture.png")
    profile = {"comfystub_snapshot": 1, "object_info": {}, "models": {"loras": ["of the profile"]}}
    pytester.makefile(".json", profile=json.dumps(profile))
    ini, arguments = "", flags(name, values)
    if place == "ini":
        ini, arguments = f"comfystub_{name} =" + "".join(f"\n    {value}" for value in values), []
    result = run(
        f"""
        import json, os, pathlib, time
        from unittest.mock import ANY
        import comfystub.demo

        GRAPH = json.loads(pathlib.Path(comfystub.demo.__path__[0], "text_to_image.json").read_text())

        def post(class_type, url="http://127.0.0.1:8188"):
            GRAPH["8"]["class_type"] = class_type
            return CLIENT.post(url + "/prompt", json={{"prompt": GRAPH}}).status_code

        def status():
            stub = comfystub.current()
            if not stub.jobs:
                assert post("VAEDecode") == 200
            return stub.jobs[0].status

        def ids():
            assert post("VAEDecode") == 200
            return [job.id for job in comfystub.current().jobs]

        def first_id(**options):
            with comfystub.patch(**options):
                return ids()[0]

        def test_it(comfy_stub):
{textwrap.indent(check, " " * 12)}
        """,
        "-p",
        "no:cacheprovider",
        *arguments,
        ini=ini,
    )
    result.assert_outcomes(passed=1)


def flags(name: str, values: list[str]) -> list[str]:
    """How the command line says it."""
    flag = name.replace("_", "-")
    if values in (["true"], ["no"]):
        return [f"--comfystub-{flag}" if values == ["true"] else f"--no-comfystub-{flag}"]
    return [f"--comfystub-{flag}={value}" for value in values]


def test_the_command_line_goes_before_the_ini_file_and_a_marker_before_both(run: Run) -> None:
    result = run(
        """
        def test_options(comfy_stub):
            assert comfy_stub.urls == ["http://flag.test:1"]
            with pytest.raises(httpx.ConnectError):
                get(url="http://elsewhere.test")
            get("/nothing", comfy_stub.url)

        @pytest.mark.comfy_stub("http://marker.test:1")
        def test_marker(comfy_stub):
            assert comfy_stub.urls == ["http://marker.test:1"]
            get("/nothing", comfy_stub.url)
        """,
        "--comfystub-base-url=http://flag.test:1",
        "--no-comfystub-strict",
        ini="comfystub_base_url = http://ini.test:1\ncomfystub_unmatched = error\ncomfystub_strict = true",
    )
    result.assert_outcomes(passed=2)


def test_a_path_on_the_command_line_is_relative_to_where_one_is(
    run: Run, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pytester.mkdir("deeper")
    (folder / "info.json").write_text('{"MyNode": {"input": {}, "output": [], "name": "MyNode"}}')
    monkeypatch.chdir(folder)
    result = run(
        """
        def test_it(comfy_stub, monkeypatch, tmp_path):
            assert list(get("/object_info").json()) == ["MyNode"]
        """,
        "--comfystub-object-info=info.json",
        "..",
    )
    result.assert_outcomes(passed=1)


def test_of_a_stub_of_ones_own_the_options_leave_the_server_as_it_is(run: Run) -> None:
    result = run(
        """
        SHARED = comfystub.Stub("http://shared.test:1", models={"loras": ["shared"]})

        @pytest.mark.comfy_stub(stub=SHARED)
        def test_it(comfy_stub):
            assert get("/models/loras", "http://shared.test:1").json() == ["shared"]
            with pytest.raises(httpx.ConnectError):
                get(url="http://elsewhere.test")
        """,
        "--comfystub-pace=3",
        "--comfystub-base-url=http://other.test:1",
        "--comfystub-unmatched=error",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "header"),
    [
        (("-v", "--comfystub-pace=3", "--comfystub-strict"), "comfystub: pace=3, seed=7, strict=True"),
        (("-v",), "comfystub: seed=7"),
        (("--comfystub-pace=3",), None),
    ],
)
def test_the_header_of_a_verbose_run_says_the_options(
    run: Run, arguments: tuple[str, ...], header: str | None
) -> None:
    said = run("def test_it(): pass", *arguments, ini="comfystub_seed = 7").outlines
    assert [line for line in said if line.startswith("comfystub:")] == ([] if header is None else [header])


def test_without_options_the_header_says_nothing_and_nothing_is_loaded(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            assert "comfystub.pytest_plugin" in sys.modules
            assert not {"comfystub.stub", "comfystub.patching", "PIL"} & {*sys.modules}
        """
    )
    result = pytester.runpytest_subprocess("-v", "-p", "no:asyncio", "-p", "no:hypothesispytest")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("comfystub:*")


def test_a_marker_goes_before_an_ini_option(run: Run) -> None:
    result = run(
        """
        @pytest.mark.comfy_stub("http://marker.test:1")
        def test_marker(comfy_stub):
            assert comfy_stub.urls == ["http://marker.test:1"]
            with pytest.raises(httpx.ConnectError):
                get(url="http://elsewhere.test")

        def test_ini(comfy_stub):
            assert comfy_stub.urls == ["http://ini.test:1"]
        """,
        ini="comfystub_base_url = http://ini.test:1\ncomfystub_unmatched = error",
    )
    result.assert_outcomes(passed=2)


def test_a_path_in_the_ini_file_is_relative_to_it(run: Run, pytester: pytest.Pytester) -> None:
    folder = pytester.mkdir("deeper")
    (folder / "test_deeper.py").write_text(
        "def test_it(comfy_stub, monkeypatch):\n"
        "    with comfy_stub.client() as client:\n"
        "        assert list(client.get('/object_info').json()) == ['MyNode']\n"
    )
    pytester.makefile(".json", info='{"MyNode": {"input": {}, "output": [], "name": "MyNode"}}')
    result = run("", "--rootdir", str(pytester.path), str(folder), ini="comfystub_object_info = info.json")
    result.assert_outcomes(passed=1)


# --- what is wrong is told

PACE = "pace= takes 'instant', 'manual', a number of looks from 0 on or a comfystub.Timed, not"


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ("pace = -1", f"{PACE} -1"),
        ("pace =", f"{PACE} ''"),
        ("seed = x", "seed= takes a whole number, not 'x'"),
        ("env = A", "each line is NAME=value, not [[]'A'[]]"),
        ("unmatched = no", "unmatched= takes 'pass' or 'error', not 'no'"),
        ("unknown_nodes = no", "unknown_nodes= takes 'reject' or 'accept', not 'no'"),
        ("clock = no", "clock= takes 'real' or 'virtual', not 'no'"),
        ("version = 7", "version= takes '0.33' or '0.8', not '7'"),
        ("base_url = x", "a base URL looks like http://127.0.0.1:8188, not 'x'"),
        ("image = nowhere.png", "[[]Errno 2[]] No such file or directory: '*nowhere.png'"),
        ("object_info = nowhere.json", "[[]Errno 2[]] No such file or directory: '*nowhere.json'"),
        ("profile = nowhere.json", "[[]Errno 2[]] No such file or directory: '*nowhere.json'"),
    ],
)
@pytest.mark.parametrize("place", ["ini", "command line"])
def test_a_wrong_option_is_told_at_once_in_one_line(run: Run, place: str, ini: str, said: str) -> None:
    name, value = (part.strip() for part in ini.split("="))
    if place == "ini":
        where, result = (
            f"comfystub_{name} in the ini file",
            run("def test_it(): pass", ini=f"comfystub_{ini}"),
        )
    else:
        where = f"--comfystub-{name.replace('_', '-')}"
        result = run("def test_it(): pass", f"{where}={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {where}: {said}"])
    assert "test_it" not in result.stdout.str()


def test_what_is_neither_true_nor_false_is_told_at_once(run: Run) -> None:
    result = run("def test_it(): pass", ini="comfystub_validate = perhaps")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: comfystub_validate in the ini file: *'perhaps'*"])


# --- what is said of them


def test_the_options_are_listed(run: Run) -> None:
    said = run("", "--help").stdout.str()
    for name in NAMES:
        assert f"comfystub_{name} (" in said
        assert f"--comfystub-{name.replace('_', '-')}" in said
    for flag in (
        "--comfystub-keep",
        "--comfystub-keep-in=DIR",
        "--comfystub-captions",
        "--comfystub-report=DIR",
    ):
        assert f"  {flag}" in said


def test_the_options_are_all_arguments_that_a_text_can_say() -> None:
    taken = {*inspect.signature(comfystub.Stub).parameters, *pytest_plugin.BESIDE_A_STUB}
    assert taken - {*NAMES} == {"output_dir", "root", "keep", "models", "faults"}
