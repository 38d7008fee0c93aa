"""The node classes and models that a server knows, and a class as a prompt meets it."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from comfystub.nodes.catalogue import DATA, Catalogue, builtin, model_folders
from comfystub.nodes.inventory import WELL_KNOWN, Inventory
from comfystub.nodes.schema import Input, NodeClass

NAMES = list(Catalogue())


def inventory(models: dict[str, list[str]] | None = None, input_files: list[str] | None = None) -> Inventory:
    return Inventory(models, lambda: input_files or [])


class TestBuiltIn:
    def test_every_class_is_there(self) -> None:
        catalogue = Catalogue()
        assert catalogue.is_builtin
        assert len(NAMES) == len(set(NAMES)) == 887

    def test_each_of_them_can_be_met_and_shown(self) -> None:
        for name in NAMES:
            node_class = Catalogue().get(name)
            assert node_class is not None and node_class.name == name
            assert json.loads(json.dumps(node_class.info(inventory().options)))["name"] == name
            assert all(isinstance(wanted, Input) and wanted.name for wanted in node_class.inputs({}))

    @pytest.mark.parametrize("name", ["NoSuch", "", "ksampler", None, 5, ["KSampler"], {"a": 1}, True])
    def test_what_is_no_class(self, name: Any) -> None:
        assert Catalogue().get(name) is None

    def test_a_class_is_read_once(self) -> None:
        assert builtin("KSampler") is builtin("KSampler")

    def test_the_index_fits_the_data(self) -> None:
        """Each class is one line, and the lines are all there is."""
        index = json.loads((DATA / "index.json").read_bytes())
        data = (DATA / "nodes.jsonl").read_bytes()
        lines, start = [], 0
        for line in data.splitlines(keepends=True):
            lines.append([start, len(line.rstrip(b"\n"))])
            start += len(line)
        assert sorted(index.values()) == lines

    def test_the_output_nodes_of_every_day(self) -> None:
        for name, output in {
            "SaveImage": True,
            "PreviewImage": True,
            "PreviewAny": True,
            "KSampler": False,
        }.items():
            node_class = builtin(name)
            assert node_class is not None and node_class.output_node is output

    def test_the_model_folders(self) -> None:
        folders = list(model_folders())
        assert folders[:4] == ["checkpoints", "configs", "loras", "vae"]
        assert set(WELL_KNOWN) <= set(folders)


class TestYourOwn:
    ENTRY: dict[str, Any] = {
        "input": {"required": {"image": [["a.png"], {"image_upload": True}]}},
        "output": ["IMAGE"],
        "output_node": False,
    }

    def test_its_classes_stand_in_place_of_the_built_in_ones(self) -> None:
        catalogue = Catalogue({"Mine": self.ENTRY})
        assert list(catalogue) == ["Mine"]
        assert not catalogue.is_builtin
        assert catalogue.get("Mine") is not None
        assert catalogue.get("KSampler") is None

    @pytest.mark.parametrize("path", [str, pathlib.Path])
    def test_from_a_file(self, path: Any, tmp_path: pathlib.Path) -> None:
        (tmp_path / "info.json").write_text(json.dumps({"Mine": self.ENTRY}))
        assert list(Catalogue(path(tmp_path / "info.json"))) == ["Mine"]

    @pytest.mark.parametrize("content", ["[]", "5", "null", '"text"'])
    def test_a_file_of_something_else(self, content: str, tmp_path: pathlib.Path) -> None:
        (tmp_path / "info.json").write_text(content)
        with pytest.raises(TypeError, match="object_info= takes the answer of GET /object_info"):
            Catalogue(tmp_path / "info.json")

    def test_a_class_of_comfyui_judges_as_it_always_does(self) -> None:
        """A saved entry does not say which inputs a class judges itself; for ComfyUI's own it is known."""
        known = Catalogue({"LoadImage": self.ENTRY, "Mine": self.ENTRY})
        load, mine = known.get("LoadImage"), known.get("Mine")
        assert load is not None and load.facts["validates"] == ["image"]
        assert mine is not None and mine.facts == {}

    def test_what_an_entry_leaves_out_is_filled_in(self) -> None:
        info = NodeClass("Mine", {"input": {"required": {"x": ["INT"]}}, "output": ["IMAGE"]}).info(list)
        assert info == {
            "input": {"required": {"x": ["INT"]}},
            "input_order": {"required": ["x"]},
            "is_input_list": False,
            "output": ["IMAGE"],
            "output_is_list": [False],
            "output_name": ["IMAGE"],
            "name": "Mine",
            "display_name": "Mine",
            "description": "",
            "python_module": "nodes",
            "category": "",
            "output_node": False,
            "has_intermediate_output": False,
            "search_aliases": [],
        }


class TestInputs:
    def names(self, entry: dict[str, Any], **values: Any) -> list[tuple[str, bool]]:
        node_class = NodeClass("X", {"input": entry, "output": []})
        return [(wanted.name, wanted.required) for wanted in node_class.inputs(values)]

    def test_required_then_optional_and_hidden_ones_never(self) -> None:
        entry = {"optional": {"b": ["INT"]}, "hidden": {"h": "PROMPT"}, "required": {"a": ["INT", {}]}}
        assert self.names(entry) == [("a", True), ("b", False)]

    @pytest.mark.parametrize("entry", [{}, {"required": None}, {"required": {}, "optional": None}])
    def test_none(self, entry: dict[str, Any]) -> None:
        assert self.names(entry) == []

    CHOICE = {
        "required": {
            "mode": [
                "COMFY_DYNAMICCOMBO_V3",
                {
                    "options": [
                        {"key": "plain", "inputs": {}},
                        {"key": "sized", "inputs": {"required": {"w": ["INT"]}, "optional": {"h": ["INT"]}}},
                    ]
                },
            ],
            "last": ["INT"],
        }
    }

    @pytest.mark.parametrize(
        ("values", "names"),
        [
            ({}, [("mode", True), ("last", True)]),
            ({"mode": "plain"}, [("mode", True), ("last", True)]),
            ({"mode": "sized"}, [("mode", True), ("mode.w", True), ("mode.h", False), ("last", True)]),
            ({"mode": "unknown"}, [("mode", True), ("last", True)]),
            ({"mode": ["1", 0]}, [("mode", True), ("last", True)]),
        ],
    )
    def test_a_choice_that_brings_inputs(self, values: dict[str, Any], names: list[Any]) -> None:
        assert self.names(self.CHOICE, **values) == names

    def test_a_choice_within_a_choice_is_not_missed(self) -> None:
        inner = {"required": {"how": ["COMFY_DYNAMICCOMBO_V3", {"options": []}], "w": ["INT"]}}
        outer = ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "k", "inputs": inner}]}]
        names = self.names({"required": {"mode": outer}}, mode="k")
        assert names == [("mode", True), ("mode.how", False), ("mode.w", True)]

    @pytest.mark.parametrize(
        ("template", "names"),
        [
            ({"prefix": "i", "min": 1, "max": 3}, [("x.i0", True), ("x.i1", False), ("x.i2", False)]),
            ({"prefix": "i", "min": 0, "max": 2}, [("x.i0", False), ("x.i1", False)]),
            ({"prefix": "i", "max": 2}, [("x.i0", False), ("x.i1", False)]),
            ({"names": ["a", "b", "c"], "min": 2}, [("x.a", True), ("x.b", True), ("x.c", False)]),
        ],
    )
    def test_inputs_that_grow(self, template: dict[str, Any], names: list[Any]) -> None:
        grown = {"template": {"input": {"required": {"one": ["IMAGE", {}]}}, **template}}
        assert self.names({"required": {"x": ["COMFY_AUTOGROW_V3", grown]}}) == names
        assert self.names({"optional": {"x": ["COMFY_AUTOGROW_V3", grown]}}) == [(n, False) for n, _ in names]

    @pytest.mark.parametrize(
        ("kind", "choices"),
        [
            (["INT", {"options": [1]}], None),
            (["COMBO", {"options": ["a"]}], ["a"]),
            (["COMBO", {"remote": {}}], None),
            (["COMBO"], None),
            ([["a", "b"]], ["a", "b"]),
            ([[], {}], []),
        ],
    )
    def test_choices(self, kind: list[Any], choices: Any) -> None:
        (wanted,) = NodeClass("X", {"input": {"required": {"x": kind}}}).inputs({})
        assert wanted.choices == choices


class TestInventory:
    def test_exactly_the_named_models(self) -> None:
        installed = inventory({"vae": ["b", "a", "b"], "mine": []})
        assert installed.names("vae") == ["b", "a"]
        assert installed.names("checkpoints") == []
        assert installed.folders()[-1] == "mine"

    def test_any_model(self) -> None:
        assert inventory().names("vae") == list(WELL_KNOWN["vae"])

    @pytest.mark.parametrize(
        ("choices", "options"),
        [
            ({"$files": ["vae"]}, ["v"]),
            ({"$files": ["vae"], "also": ["extra", "v"]}, ["v", "extra"]),
            ({"$files": ["vae", "loras"]}, ["v", "l1", "l2"]),
            ({"$files": ["input"]}, ["i.png"]),
            ({"$files": ["none"]}, []),
            (["a", "b"], ["a", "b"]),
            ([], []),
            (None, []),
        ],
    )
    def test_options(self, choices: Any, options: list[str]) -> None:
        installed = inventory({"vae": ["v"], "loras": ["l1", "l2"]}, ["i.png"])
        assert installed.options(choices) == options

    @pytest.mark.parametrize(
        ("choices", "value", "lenient", "strict"),
        [
            ({"$files": ["vae"]}, "v", True, True),
            ({"$files": ["vae"]}, "other", True, False),
            ({"$files": ["vae"]}, "", True, False),
            ({"$files": ["vae"]}, 5, False, False),
            ({"$files": ["vae"]}, None, False, False),
            ({"$files": ["vae"], "also": ["extra"]}, "extra", True, True),
            ({"$files": ["input"]}, "i.png", True, True),
            ({"$files": ["input"]}, "other", False, False),
            (["a"], "a", True, True),
            (["a"], "other", False, False),
        ],
    )
    def test_only_model_names_are_taken_on_trust(
        self, choices: Any, value: Any, lenient: bool, strict: bool
    ) -> None:
        assert inventory(None, ["i.png"]).accepts(choices, value) is lenient
        assert inventory({"vae": ["v"]}, ["i.png"]).accepts(choices, value) is strict

    def test_a_name_that_was_used_is_shown(self) -> None:
        installed = inventory()
        for _ in range(2):
            installed.remember({"$files": ["vae"]}, "mine")
            installed.remember({"$files": ["mine", "vae"]}, "other")
            installed.remember(["a"], "b")
        assert installed.names("vae") == [*WELL_KNOWN["vae"], "mine"]
        assert installed.names("mine") == ["other"]
        assert inventory().names("vae") == list(WELL_KNOWN["vae"])

    def test_with_models_named_none_is_added(self) -> None:
        installed = inventory({"vae": ["v"]})
        installed.remember({"$files": ["vae"]}, "mine")
        assert installed.names("vae") == ["v"]

    def test_input_files_are_listed_anew(self) -> None:
        files: list[str] = []
        installed = Inventory(None, lambda: list(files))
        assert installed.names("input") == []
        files.append("new.png")
        assert installed.options({"$files": ["input"]}) == ["new.png"]
