"""What the arguments of patch() do to the surroundings, and what is told when they are wrong."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from typing import Any

import pytest
from calls import CLIENT, URL
from workflows import text_to_image

import comfystub


def submit(**options: Any) -> None:
    CLIENT.post(f"{URL}/prompt", json={"prompt": text_to_image(**options)}).raise_for_status()


# --- current()


def test_current_is_the_innermost_stub() -> None:
    with comfystub.patch(URL) as outer:
        assert comfystub.current() is outer
        with comfystub.patch("http://other.test:1") as inner:
            assert comfystub.current() is inner
        assert comfystub.current() is outer


def test_outside_every_patch_there_is_no_current_stub() -> None:
    with pytest.raises(LookupError) as error:
        comfystub.current()
    assert str(error.value) == "no stub is in force: this is outside every comfystub.patch()"


# --- env=


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a variable that is not set."""
    monkeypatch.delenv("COMFY_TEST", raising=False)
    return "COMFY_TEST"


def test_env_is_set_for_the_duration_and_removed_if_it_was_not_there(variable: str) -> None:
    with comfystub.patch(URL, env={variable: "value"}):
        assert os.environ[variable] == "value"
    assert variable not in os.environ


@pytest.mark.parametrize("before", ["before", ""])
def test_env_is_restored_to_what_it_was(variable: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, before)
    with pytest.raises(ValueError), comfystub.patch(URL, env={variable: "value"}):
        assert os.environ[variable] == "value"
        raise ValueError
    assert os.environ[variable] == before


def test_env_is_restored_though_the_test_changed_it(variable: str) -> None:
    with comfystub.patch(URL, env={variable: "value"}):
        os.environ[variable] = "changed"
    assert variable not in os.environ
    with comfystub.patch(URL, env={variable: "value"}):
        del os.environ[variable]
    assert variable not in os.environ


@pytest.mark.parametrize(
    ("value", "filled"),
    [
        ("{url}", URL),
        ("{url}/api?{url}", f"{URL}/api?{URL}"),
        ("{output_dir}/x", "OUTPUT/x"),
        ("{url}={output_dir}", f"{URL}=OUTPUT"),
        ("{other} {} {{url}}", f"{{other}} {{}} {{{URL}}}"),
        ("", ""),
    ],
)
def test_places_in_env_are_filled_in(variable: str, value: str, filled: str) -> None:
    with comfystub.patch([f"{URL}/", "http://other.test:1"], env={variable: value}) as stub:
        assert os.environ[variable] == filled.replace("OUTPUT", str(stub.output_dir))
        assert stub.output_dir.is_dir()


def test_the_output_folder_is_made_for_env_only_if_it_is_named(
    variable: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with comfystub.patch(URL, env={variable: "{url}"}):
        assert list(tmp_path.iterdir()) == []


def test_env_of_nested_patches_is_put_back_in_any_order(variable: str) -> None:
    other = "COMFY_OTHER_TEST"
    a = comfystub.patch("http://a.test:1", env={variable: "a", other: "a"})
    b = comfystub.patch("http://b.test:1", env={variable: "b"})
    c = comfystub.patch("http://c.test:1", env={variable: "c"})
    for first_out, then in (
        (a, [(b, "c"), (c, None)]),
        (b, [(c, "a"), (a, None)]),
        (c, [(a, "b"), (b, None)]),
    ):
        for patch in (a, b, c):
            patch.__enter__()
        assert os.environ[variable] == "c"
        first_out.__exit__(None, None, None)
        assert os.environ[variable] == ("b" if first_out is c else "c")
        assert (other in os.environ) is (first_out is not a)
        for patch, left in then:
            patch.__exit__(None, None, None)
            assert os.environ.get(variable) == left
        assert other not in os.environ


def test_env_of_a_decorated_function_is_set_at_each_call(variable: str) -> None:
    @comfystub.patch(URL, env={variable: "{output_dir}"})
    def read() -> str:
        return os.environ[variable]

    assert read() != read()
    assert variable not in os.environ


def test_a_stub_that_cannot_be_put_in_force_leaves_nothing_behind(
    variable: str, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "file").touch()
    patch = comfystub.patch(URL, output_dir=tmp_path / "file" / "sub", env={variable: "{output_dir}"})
    with pytest.raises(OSError):
        patch.__enter__()
    assert variable not in os.environ
    with pytest.raises(LookupError):
        comfystub.current()


# --- folders


@pytest.fixture
def temporary(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_the_folder_is_made_at_first_use_and_removed_at_the_exit(temporary: pathlib.Path) -> None:
    with comfystub.patch(URL) as stub:
        CLIENT.get(f"{URL}/system_stats")
        CLIENT.get(f"{URL}/queue")
        assert list(temporary.iterdir()) == []
        submit()
        path = stub.outputs[0].path
        [folder] = temporary.iterdir()
        assert folder.name.startswith("comfystub-")
        assert path == folder.resolve() / "output" / "ComfyUI_00001_.png"
        assert path.is_file()
    assert list(temporary.iterdir()) == []


def test_each_call_of_a_decorated_function_has_a_folder_of_its_own(temporary: pathlib.Path) -> None:
    @comfystub.patch(URL)
    def folder(comfy_stub: comfystub.Stub) -> pathlib.Path:
        submit()
        assert comfy_stub.outputs[0].filename == "ComfyUI_00001_.png"
        return comfy_stub.output_dir

    assert folder() != folder()  # type: ignore[call-arg]
    assert list(temporary.iterdir()) == []


def test_the_folder_goes_though_the_block_failed(temporary: pathlib.Path) -> None:
    with pytest.raises(ValueError), comfystub.patch(URL) as stub:
        assert stub.output_dir.is_dir()
        raise ValueError
    assert list(temporary.iterdir()) == []


def test_keep_keeps_the_folder(temporary: pathlib.Path) -> None:
    with comfystub.patch(URL, keep=True) as stub:
        submit()
        path = stub.outputs[0].path
    assert path.is_file()
    [folder] = temporary.iterdir()
    shutil.rmtree(folder)


def test_files_go_to_output_dir_which_stays(temporary: pathlib.Path, tmp_path: pathlib.Path) -> None:
    given = tmp_path / "not there yet" / "output"
    with comfystub.patch(URL, output_dir=str(given)) as stub:
        submit(prefix="sub/fox")
        assert stub.output_dir == given
        assert stub.outputs[0].path == given / "sub" / "fox_00001_.png"
        assert stub.input_dir.is_relative_to(temporary)
    assert [path.name for path in (given / "sub").iterdir()] == ["fox_00001_.png"]
    assert list(temporary.iterdir()) == []


def test_a_given_stub_keeps_its_folder_from_entry_to_entry(temporary: pathlib.Path) -> None:
    stub = comfystub.Stub(URL)
    for number in (1, 2):
        with comfystub.patch(stub=stub):
            submit(seed=number)
            assert stub.outputs[-1].filename == f"ComfyUI_{number:05}_.png"
    assert all(output.path.is_file() for output in stub.outputs)
    stub.close()
    assert list(temporary.iterdir()) == []


# --- wrong arguments


WRONG: list[Any] = [
    ({"base_url": "comfy.test:8188"}, ValueError, "a base URL looks like http://127.0.0.1:8188, not 'comfy.test:8188'"),
    ({"base_url": ""}, ValueError, "a base URL looks like http://127.0.0.1:8188, not ''"),
    ({"base_url": "ftp://comfy.test"}, ValueError, "a base URL looks like http://127.0.0.1:8188, not 'ftp://comfy.test'"),
    ({"base_url": "http://:8188"}, ValueError, "a base URL looks like http://127.0.0.1:8188, not 'http://:8188'"),
    ({"base_url": []}, ValueError, "base_url= takes a URL or a list of URLs, not an empty list"),
    ({"base_url": [URL, "there"]}, ValueError, "a base URL looks like http://127.0.0.1:8188, not 'there'"),
    ({"base_url": "http://comfy.test:99999"}, ValueError, "a base URL looks like http://127.0.0.1:8188, not 'http://comfy.test:99999'"),
    ({"base_url": "http://comfy.test:port"}, ValueError, "a base URL looks like http://127.0.0.1:8188, not 'http://comfy.test:port'"),
    ({"base_url": "http://[::1:8188"}, ValueError, "a base URL looks like http://127.0.0.1:8188, not 'http://[::1:8188'"),
    ({"base_url": 8188}, TypeError, "base_url= takes a URL or a list of URLs, not 8188"),
    ({"base_url": b"http://comfy.test"}, TypeError, "base_url= takes a URL or a list of URLs, not b'http://comfy.test'"),
    ({"base_url": [URL, 8188]}, TypeError, "base_url= takes"),
    ({"stub": URL}, TypeError, f"stub= takes a comfystub.Stub, not '{URL}'"),
    ({"output_dir": 3}, TypeError, "output_dir= takes a path, not 3"),
    ({"models": ["a.safetensors"]}, TypeError, "models= takes"),
    ({"models": {"checkpoints": "a.safetensors"}}, TypeError, "models= takes"),
    ({"object_info": []}, TypeError, "object_info= takes the answer of GET /object_info: a dict of node classes"),
    ({"object_info": {"KSampler": "x"}}, TypeError, "object_info= takes"),
    ({"object_info": "/nowhere.json"}, FileNotFoundError, "/nowhere.json"),
    ({"unknown_nodes": "ignore"}, ValueError, "unknown_nodes= takes 'reject' or 'accept', not 'ignore'"),
    ({"pace": "fast"}, ValueError, "pace= takes 'instant', 'manual', a number of looks from 0 on or a comfystub.Timed, not 'fast'"),
    ({"pace": -1}, ValueError, "not -1"),
    ({"pace": True}, ValueError, "not True"),
    ({"pace": 1.5}, ValueError, "not 1.5"),
    ({"pace": None}, ValueError, "not None"),
    ({"unmatched": "raise"}, ValueError, "unmatched= takes 'pass' or 'error', not 'raise'"),
    ({"unmatched": None}, ValueError, "unmatched= takes 'pass' or 'error', not None"),
    ({"env": "A=1"}, TypeError, "env= takes a dict of names and values, both strings, not 'A=1'"),
    ({"env": {"A": 1}}, TypeError, "env= takes a dict of names and values, both strings, not {'A': 1}"),
    ({"env": {1: "A"}}, TypeError, "env= takes a dict of names and values, both strings, not {1: 'A'}"),
    ({"env": {"A=B": "1"}}, ValueError, "env= takes names of environment variables, not 'A=B'"),
    ({"env": {"": "1"}}, ValueError, "env= takes names of environment variables, not ''"),
    ({"image": 3}, TypeError, "image= takes a path, a Pillow image or a function of job and node, not int"),
    ({"image": "/nowhere.png"}, FileNotFoundError, "/nowhere.png"),
    ({"image": __file__}, ValueError, "image="),
    ({"seed": []}, TypeError, ""),
    ({"paec": 3}, TypeError, "got an unexpected keyword argument 'paec'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    WRONG,
    ids=lambda value: repr(value)[:50] if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_told_where_patch_stands(
    arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as raised:
        comfystub.patch(**arguments)
    assert said in str(raised.value)


@pytest.mark.parametrize("options", [{"base_url": URL}, {"pace": 3}, {"models": {}}, {"seed": 1}])
def test_a_given_stub_brings_its_own_options(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as error:
        comfystub.patch(stub=comfystub.Stub(URL), **options)
    assert str(error.value) == "stub= brings its own server: give its options to Stub(...)"


def test_a_wrong_argument_of_a_bare_decorator_is_told_too() -> None:
    with pytest.raises(ValueError, match="unmatched= takes"):
        comfystub.patch(submit, unmatched="raise")  # type: ignore[call-overload]


def test_only_the_address_goes_without_a_name() -> None:
    with pytest.raises(TypeError):
        comfystub.patch(URL, comfystub.Stub(URL))  # type: ignore[call-overload]
