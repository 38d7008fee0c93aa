"""``/object_info``, ``/models`` and their kin: what the server has."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

import comfystub
from comfystub.nodes.catalogue import Catalogue
from server.support import Asker, errors_in, node, png

CLASSES = list(Catalogue())

OLD_STYLE = {
    "input",
    "input_order",
    "is_input_list",
    "output",
    "output_is_list",
    "output_name",
    "name",
    "display_name",
    "description",
    "python_module",
    "category",
    "output_node",
    "has_intermediate_output",
    "search_aliases",
}
SOMETIMES = {
    "output_tooltips",
    "deprecated",
    "experimental",
    "dev_only",
    "api_node",
    "essentials_category",
}
NEW_STYLE = OLD_STYLE | SOMETIMES | {"output_matchtypes", "price_badge"}

Info = dict[str, Any]


@pytest.fixture(scope="module")
def object_info() -> Iterator[dict[str, Info]]:
    """The whole answer, asked for once."""
    stub = comfystub.Stub("http://comfy.test:8188")
    info: dict[str, Info] = Asker(stub).get("/object_info").json()
    yield info
    stub.close()


def inputs(info: Info) -> Iterator[tuple[str, str, list[Any]]]:
    for section in ("required", "optional"):
        for name, spec in info["input"].get(section, {}).items():
            yield section, name, spec


class TestObjectInfo:
    def test_it_holds_every_class(self, object_info: dict[str, Info]) -> None:
        assert len(object_info) == 887
        assert list(object_info) == CLASSES

    def test_of_two_styles(self, object_info: dict[str, Info]) -> None:
        new = [name for name, info in object_info.items() if "price_badge" in info]
        assert (len(new), len(object_info) - len(new)) == (747, 140)

    @pytest.mark.parametrize("name", CLASSES)
    def test_an_entry(self, name: str, object_info: dict[str, Info]) -> None:
        info = object_info[name]
        if "price_badge" in info:
            assert set(info) == NEW_STYLE
        else:
            assert OLD_STYLE <= set(info) <= OLD_STYLE | SOMETIMES
        assert info["name"] == name
        assert info["input_order"] == {section: list(found) for section, found in info["input"].items()}
        assert len(info["output"]) == len(info["output_name"]) == len(info["output_is_list"])
        for flag in ("is_input_list", "output_node", "has_intermediate_output"):
            assert isinstance(info[flag], bool)
        for text in ("description", "python_module", "category"):
            assert isinstance(info[text], str)
        for _, _, spec in inputs(info):
            assert isinstance(spec[0], (str, list))
        # how the catalogue writes down lists of files and what it knows besides
        assert "$files" not in json.dumps(info)
        assert not {"facts", "v3"} & set(info)

    @pytest.mark.parametrize(
        "name", ["KSampler", "LoadImage", "SaveImage", "CheckpointLoaderSimple", "ResizeImageMaskNode"]
    )
    def test_one_class_is_shown_as_among_all(
        self, name: str, object_info: dict[str, Info], ask: Asker
    ) -> None:
        assert ask.get(f"/object_info/{name}").holds() == (200, {name: object_info[name]})

    @pytest.mark.parametrize(
        ("name", "flags"),
        [
            ("ResizeImageMaskNode", set()),
            ("CustomCombo", {"experimental"}),
            ("FluxProUltraImageNode", {"api_node"}),
        ],
    )
    def test_flags(self, name: str, flags: set[str], object_info: dict[str, Info]) -> None:
        shown = {
            key: object_info[name][key] for key in ("deprecated", "experimental", "dev_only", "api_node")
        }
        assert shown == {key: key in flags for key in shown}

    @pytest.mark.parametrize("name", ["NoSuchClass", "ksampler", "%20", "a%2Fb"])
    def test_an_unknown_class(self, name: str, ask: Asker) -> None:
        assert ask.get(f"/object_info/{name}").holds() == (200, {})

    def test_files_are_listed(self, stub: comfystub.Stub, ask: Asker) -> None:
        ask.upload("b.png", png())
        ask.upload("deep.png", png(), subfolder="sub")
        info = ask.get("/object_info/LoadImage").json()["LoadImage"]
        assert info["input"]["required"]["image"][0] == ["b.png", "example.png"]


class TestInstalledModels:
    @pytest.fixture
    def ask(self) -> Iterator[Asker]:
        models = {
            "checkpoints": ["a.safetensors", "sub/b.ckpt"],
            "vae": ["v.pt"],
            "embeddings": ["easy.pt", "deep/negative.safetensors"],
            "my_folder": ["x.bin"],
        }
        stub = comfystub.Stub("http://comfy.test:8188", models=models)
        yield Asker(stub)
        stub.close()

    @pytest.mark.parametrize(
        ("folder", "names"),
        [
            ("checkpoints", ["a.safetensors", "sub/b.ckpt"]),
            ("vae", ["v.pt"]),
            ("loras", []),
            ("my_folder", ["x.bin"]),
        ],
    )
    def test_exactly_those(self, folder: str, names: list[str], ask: Asker) -> None:
        assert ask.get(f"/models/{folder}").holds() == (200, names)

    @pytest.mark.parametrize("folder", ["no_such_folder", "Checkpoints", "input", "output"])
    def test_an_unknown_folder(self, folder: str, ask: Asker) -> None:
        for path in (f"/models/{folder}", f"/experiment/models/{folder}"):
            assert ask.get(path).status == 404

    def test_the_folders(self, ask: Asker) -> None:
        folders = ask.get("/models").json()
        assert folders[:4] == ["checkpoints", "configs", "loras", "vae"]
        assert "my_folder" in folders
        assert len(folders) == len(set(folders))

    def test_embeddings_come_without_their_endings(self, ask: Asker) -> None:
        assert ask.get("/embeddings").holds() == (200, ["easy", "deep/negative"])

    def test_they_are_the_choices_of_nodes(self, ask: Asker) -> None:
        def choices(name: str, field: str) -> Any:
            spec = ask.get(f"/object_info/{name}").json()[name]["input"]["required"][field]
            return spec[1]["options"] if spec[0] == "COMBO" else spec[0]

        assert choices("CheckpointLoaderSimple", "ckpt_name") == ["a.safetensors", "sub/b.ckpt"]
        assert choices("VAELoader", "vae_name") == ["v.pt", "pixel_space"]
        assert choices("LoraLoader", "lora_name") == []
        assert choices("UpscaleModelLoader", "model_name") == []

    def test_folders_with_their_places(self, ask: Asker) -> None:
        listed = ask.get("/experiment/models").json()
        assert all(set(one) == {"name", "folders", "extensions"} for one in listed)
        by_name = {one["name"]: one for one in listed}
        assert ".safetensors" in by_name["checkpoints"]["extensions"]
        assert isinstance(by_name["vae"]["folders"], list)

    def test_files_with_their_facts(self, ask: Asker) -> None:
        listed = ask.get("/experiment/models/checkpoints").json()
        assert [one["name"] for one in listed] == ["a.safetensors", "sub/b.ckpt"]
        assert all(set(one) == {"name", "pathIndex", "modified", "created", "size"} for one in listed)
        assert ask.get("/experiment/models/loras").json() == []

    @pytest.mark.parametrize(
        "path",
        [
            "/view_metadata/checkpoints",
            "/view_metadata/checkpoints?filename=none.safetensors",
            "/view_metadata/checkpoints?filename=a.txt",
            "/view_metadata/no_such_folder?filename=a.safetensors",
            "/view_metadata/checkpoints?filename=../../etc/passwd",
        ],
    )
    def test_metadata_that_is_not_there(self, path: str, ask: Asker) -> None:
        answer = ask.get(path)
        assert answer.status == 404 and answer.is_bare


class TestAnyModel:
    """Without ``models=`` a few well-known names are shown."""

    @pytest.mark.parametrize("folder", ["checkpoints", "loras", "vae", "controlnet", "upscale_models"])
    def test_one_or_two_of_a_folder(self, folder: str, ask: Asker) -> None:
        names = ask.get(f"/models/{folder}").json()
        assert 1 <= len(names) <= 2

    def test_every_folder_can_be_listed(self, ask: Asker) -> None:
        for folder in ask.get("/models").json():
            assert isinstance(ask.get(f"/models/{folder}").json(), list)


class TestYourOwnServer:
    """``object_info=`` takes what GET /object_info of another server answered."""

    OWN: Info = {
        "input": {
            "required": {"text": ["STRING", {}], "mode": [["x", "y"], {}]},
            "optional": {"image": ["IMAGE"]},
        },
        "input_order": {"required": ["text", "mode"], "optional": ["image"]},
        "is_input_list": False,
        "output": ["IMAGE"],
        "output_is_list": [False],
        "output_name": ["picture"],
        "name": "MyNode",
        "display_name": "My node",
        "description": "",
        "python_module": "custom_nodes.mine",
        "category": "mine",
        "output_node": True,
        "has_intermediate_output": False,
        "search_aliases": [],
        "something_new": {"kept": True},
    }

    @pytest.fixture(params=["dict", "path"])
    def ask(self, request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Asker]:
        saved: Any = {"MyNode": self.OWN}
        if request.param == "path":
            saved = tmp_path / "object_info.json"
            saved.write_text(json.dumps({"MyNode": self.OWN}))
        stub = comfystub.Stub("http://comfy.test:8188", object_info=saved)
        yield Asker(stub)
        stub.close()

    def test_it_is_shown_as_it_was_saved(self, ask: Asker) -> None:
        assert ask.get("/object_info").holds() == (200, {"MyNode": self.OWN})
        assert ask.get("/object_info/MyNode").holds() == (200, {"MyNode": self.OWN})
        assert ask.get("/object_info/KSampler").json() == {}

    def test_prompts_are_judged_by_it(self, ask: Asker) -> None:
        good = {"1": node("MyNode", text="a", mode="x")}
        bad = {"1": node("MyNode", text="a", mode="z")}
        assert ask.post("/prompt", {"prompt": good}).status == 200
        assert list(errors_in(ask.post("/prompt", {"prompt": bad}))) == [
            ("1", "value_not_in_list", "mode: 'z' not in ['x', 'y']")
        ]

    def test_other_classes_are_unknown_and_no_advice_is_given(self, ask: Asker) -> None:
        answer = ask.post("/prompt", {"prompt": {"1": node("KSampler")}})
        assert answer.json()["error"]["type"] == "missing_node_type"

    def test_the_whole_built_in_catalogue_comes_back_unchanged(self, object_info: dict[str, Info]) -> None:
        stub = comfystub.Stub("http://comfy.test:8188", object_info=object_info)
        assert Asker(stub).get("/object_info").json() == object_info
        stub.close()
