"""How a prompt is judged: each kind of error with its exact words, and what is no error."""

from __future__ import annotations

import copy
import json
import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from workflows import Graph, text_to_image

from comfystub.engine.errors import custom_validation_failed
from comfystub.engine.validation import Known, Verdict, fits, validate
from comfystub.media.files import Folders
from comfystub.nodes.catalogue import Catalogue, builtin
from comfystub.nodes.inventory import Inventory

Judge = Callable[..., Verdict]
CHECKPOINTS = ["a.safetensors", "b.safetensors"]

TRACEBACK = "<traceback>"


@pytest.fixture
def folders(tmp_path: pathlib.Path) -> Folders:
    folders = Folders(root=tmp_path / "server")
    (folders.folder("input") / "there.png").write_bytes(b"x")
    return folders


@pytest.fixture
def judge(folders: Folders) -> Judge:
    """Judge a prompt with two checkpoints installed; ``own`` are the only classes there are."""

    def judge(
        prompt: Any,
        *,
        own: dict[str, Any] | None = None,
        targets: Iterable[str] | None = None,
        accept_unknown: bool = False,
    ) -> Verdict:
        inventory = Inventory({"checkpoints": CHECKPOINTS}, folders.input_files)
        return validate(prompt, Known(Catalogue(own), inventory, folders, accept_unknown), targets)

    return judge


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def graph(**changes: dict[str, Any] | None) -> Graph:
    """The text-to-image graph with some inputs of some nodes changed, ``None`` taking one away."""
    prompt = text_to_image(checkpoint="a.safetensors")
    for node_id, inputs in changes.items():
        for name, value in (inputs or {}).items():
            prompt[node_id[1:]]["inputs"][name] = value
            if value is None:
                del prompt[node_id[1:]]["inputs"][name]
    return prompt


def without(prompt: Graph, node_id: str, key: str = "inputs") -> Graph:
    del prompt[node_id][key]
    return prompt


def errors_of(verdict: Verdict) -> dict[str, list[dict[str, Any]]]:
    """The errors by node, tracebacks masked; each of them has to fit into an answer."""
    json.dumps(verdict.node_errors)
    found = copy.deepcopy({node_id: told["errors"] for node_id, told in verdict.node_errors.items()})
    for errors in found.values():
        for error in errors:
            if "traceback" in error["extra_info"]:
                lines = error["extra_info"]["traceback"]
                assert lines and all(isinstance(line, str) for line in lines)
                error["extra_info"]["traceback"] = TRACEBACK
    return found


def kinds(verdict: Verdict) -> list[tuple[str, str, str]]:
    """The errors as node id, type and details."""
    return [
        (n, error["type"], error["details"]) for n, errors in errors_of(verdict).items() for error in errors
    ]


def dependents(verdict: Verdict) -> dict[str, list[str]]:
    return {node_id: told["dependent_outputs"] for node_id, told in verdict.node_errors.items()}


#: An input's type and options, as an error shows it.
STEPS = ["INT", {"default": 20, "min": 1, "max": 10000}]
CFG = ["FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0, "step": 0.1, "round": 0.01}]
WIDTH = ["INT", {"default": 512, "min": 16, "max": 16384, "step": 8}]


class TestGoodPrompts:
    def test_the_outputs_are_named(self, judge: Judge) -> None:
        assert judge(graph()) == Verdict(["9"], None, {})

    def test_of_several_outputs(self, judge: Judge) -> None:
        prompt = graph() | {"1": node("PreviewImage", images=["8", 0])}
        assert sorted(judge(prompt).outputs) == ["1", "9"]

    @pytest.mark.parametrize(
        "change",
        [
            {"n3": {"no_such_input": "x"}},
            {"n3": {"no_such_input": ["77", 0]}},
            {"n3": {"no_such_input": []}},
            {"n9": {"prompt": ["77", 0]}},
            {"n8": {"vae": ["4", -1]}},
            {"n3": {"model": ["4", -3]}},
            {"n6": {"clip": ["4", True]}},
            {"n3": {"model": ["4", False]}},
            {"n8": {"samples": "plain"}},
            {"n8": {"samples": 5, "vae": {"any": "thing"}}},
            {"n3": {"model": {"__value__": None}}},
        ],
        ids=[
            "an unknown input",
            "an unknown input with a link to nowhere",
            "an unknown input with a list",
            "a hidden input given",
            "a slot counted from the end",
            "the first slot counted from the end",
            "true is slot 1",
            "false is slot 0",
            "a plain value where a link belongs",
            "plain values of any kind where links belong",
            "a wrapped null where a link belongs",
        ],
    )
    def test_what_is_no_error(self, change: dict[str, Any], judge: Judge) -> None:
        assert judge(graph(**change)).error is None

    def test_an_optional_input_may_be_left_out(self, judge: Judge) -> None:
        assert judge({"1": node("Sink")}, own=sink("IMAGE", section="optional")).error is None

    def test_a_value_outside_of_everything_is_kept_where_no_output_reaches(self, judge: Judge) -> None:
        aside = {
            "20": node("KSampler", steps="x"),
            "21": node("LoadImage"),
            "22": {"class_type": "VAEDecode"},
        }
        before = copy.deepcopy(aside)
        prompt = graph() | aside
        assert judge(prompt) == Verdict(["9"], None, {})
        assert {node_id: prompt[node_id] for node_id in aside} == before

    @pytest.mark.parametrize("length", [10, 5000])
    def test_a_chain_of_any_length(self, length: int, judge: Judge) -> None:
        prompt: Graph = {"0": node("EmptyImage", width=8, height=8, batch_size=1, color=0)}
        for number in range(1, length):
            prompt[str(number)] = node("ImageInvert", image=[str(number - 1), 0])
        prompt["out"] = node("PreviewImage", images=[str(length - 1), 0])
        assert judge(prompt) == Verdict(["out"], None, {})

    def test_a_lattice_is_walked_once(self, judge: Judge) -> None:
        """Each node is linked twice to the one before: that many paths nobody could walk."""
        prompt: Graph = {"0": node("EmptyImage", width=8, height=8, batch_size=1, color=0)}
        for number in range(1, 200):
            before = [str(number - 1), 0]
            prompt[str(number)] = node("ImageBatch", image1=before, image2=before)
        prompt["out"] = node("PreviewImage", images=["199", 0])
        assert judge(prompt).outputs == ["out"]


class TestMissingClasses:
    @pytest.mark.parametrize(
        ("broken", "error"),
        [
            (
                {"inputs": {}},
                {
                    "message": "Node 'ID #5' has no class_type. The workflow may be corrupted or a custom node is missing.",
                    "extra_info": {"node_id": "5", "class_type": None, "node_title": None},
                },
            ),
            (
                {"_meta": {"title": "My latent"}},
                {
                    "message": "Node 'My latent' has no class_type. The workflow may be corrupted or a custom node is missing.",
                    "extra_info": {"node_id": "5", "class_type": None, "node_title": "My latent"},
                },
            ),
            (
                {"class_type": "NoSuch"},
                {
                    "message": "Node 'NoSuch' not found. The custom node may not be installed.",
                    "extra_info": {"node_id": "5", "class_type": "NoSuch", "node_title": "NoSuch"},
                },
            ),
            (
                {"class_type": "NoSuch", "_meta": {"title": "My latent"}},
                {
                    "message": "Node 'My latent' not found. The custom node may not be installed.",
                    "extra_info": {"node_id": "5", "class_type": "NoSuch", "node_title": "My latent"},
                },
            ),
        ],
        ids=["no class", "no class but a title", "an unknown class", "an unknown class with a title"],
    )
    def test_the_error(self, broken: dict[str, Any], error: dict[str, Any], judge: Judge) -> None:
        whole = {"type": "missing_node_type", "details": "Node ID '#5'", **error}
        assert judge({**graph(), "5": broken}) == Verdict([], whole, {})

    @pytest.mark.parametrize(
        ("prompt", "node_id"),
        [
            ({"1": node("NoSuch"), "2": {}}, "1"),
            ({"2": {}, "1": node("NoSuch")}, "2"),
            ({"1": node("EmptyImage"), "2": node("NoSuch")}, "2"),
            ({**graph(n3={"steps": "x"}), "20": node("NoSuch")}, "20"),
            ({**graph(), "20": node("NoSuch")}, "20"),
        ],
        ids=[
            "the first of two",
            "in the order of the prompt",
            "before there being no output",
            "before any other error",
            "where no output reaches",
        ],
    )
    def test_it_wins_over_everything(self, prompt: Graph, node_id: str, judge: Judge) -> None:
        verdict = judge(prompt)
        assert verdict.error is not None
        assert verdict.error["type"] == "missing_node_type"
        assert verdict.error["extra_info"]["node_id"] == node_id
        assert verdict.node_errors == {}

    @pytest.mark.parametrize("prompt", ["text", None, [], [1], 5, {"1": "x"}, {"1": None}, {"1": [1]}])
    def test_what_is_no_graph_raises(self, prompt: Any, judge: Judge) -> None:
        with pytest.raises((AttributeError, TypeError)):
            judge(prompt)


class TestOutputs:
    @pytest.mark.parametrize(
        "prompt", [{}, {"1": node("EmptyImage")}, {"1": node("VAEDecode", samples=["1", 0])}]
    )
    def test_none(self, prompt: Graph, judge: Judge) -> None:
        error = {
            "type": "prompt_no_outputs",
            "message": "Prompt has no outputs",
            "details": "",
            "extra_info": {},
        }
        assert judge(prompt) == Verdict([], error, {})

    @pytest.mark.parametrize(
        ("targets", "outputs"),
        [(None, ["9", "20"]), (["9"], ["9"]), (["20", "9", "8", "nope"], ["9", "20"]), (["8"], []), ([], [])],
    )
    def test_cut_down_to_targets(self, targets: Any, outputs: list[str], judge: Judge) -> None:
        prompt = graph() | {"20": node("PreviewImage", images=["8", 0])}
        verdict = judge(prompt, targets=targets)
        assert sorted(verdict.outputs) == sorted(outputs)
        assert (verdict.error is None) is bool(outputs)


class TestMissingInputs:
    @pytest.mark.parametrize(
        ("change", "node_id", "name"),
        [
            ({"n3": {"seed": None}}, "3", "seed"),
            ({"n3": {"model": None}}, "3", "model"),
            ({"n9": {"images": None}}, "9", "images"),
            ({"n9": {"filename_prefix": None}}, "9", "filename_prefix"),
            ({"n4": {"ckpt_name": None}}, "4", "ckpt_name"),
        ],
        ids=["with a default", "a link", "of the output", "of the output, with a default", "a choice"],
    )
    def test_required(self, change: dict[str, Any], node_id: str, name: str, judge: Judge) -> None:
        assert errors_of(judge(graph(**change))) == {
            node_id: [
                {
                    "type": "required_input_missing",
                    "message": "Required input is missing",
                    "details": name,
                    "extra_info": {"input_name": name},
                }
            ]
        }

    def test_every_one_is_told(self, judge: Judge) -> None:
        prompt = graph()
        prompt["3"]["inputs"] = {}
        found = [name for _, _, name in kinds(judge(prompt))]
        ksampler = builtin("KSampler")
        assert ksampler is not None
        assert sorted(found) == sorted(wanted.name for wanted in ksampler.inputs({}))


class TestLinks:
    @pytest.mark.parametrize("link", [[], ["3"], ["3", 0, 1], [["3", 0]], [None]])
    def test_of_another_length(self, link: list[Any], judge: Judge) -> None:
        assert errors_of(judge(graph(n8={"samples": link}))) == {
            "8": [
                {
                    "type": "bad_linked_input",
                    "message": "Bad linked input, must be a length-2 list of [node_id, slot_index]",
                    "details": "samples",
                    "extra_info": {
                        "input_name": "samples",
                        "input_config": ["LATENT", {}],
                        "received_value": link,
                    },
                }
            ]
        }

    @pytest.mark.parametrize(
        ("change", "name"),
        [
            ({"n4": {"ckpt_name": ["a.safetensors"]}}, "ckpt_name"),
            ({"n4": {"ckpt_name": []}}, "ckpt_name"),
            ({"n3": {"steps": [1]}}, "steps"),
            ({"n6": {"text": ["a", "red", "fox"]}}, "text"),
        ],
        ids=["a choice", "an empty list", "a number", "words"],
    )
    def test_a_list_is_one_even_where_a_value_is_wanted(
        self, change: dict[str, Any], name: str, judge: Judge
    ) -> None:
        ((_, kind, details),) = kinds(judge(graph(**change)))
        assert (kind, details) == ("bad_linked_input", name)

    def test_files_are_written_out_in_the_error(self, judge: Judge) -> None:
        ((error,),) = errors_of(judge(graph(n4={"ckpt_name": ["x"]}))).values()
        assert error["extra_info"]["input_config"] == [CHECKPOINTS, {}]

    def test_of_a_type_that_does_not_fit(self, judge: Judge) -> None:
        assert errors_of(judge(graph(n8={"samples": ["4", 0]}))) == {
            "8": [
                {
                    "type": "return_type_mismatch",
                    "message": "Return type mismatch between linked nodes",
                    "details": "samples, received_type(MODEL) mismatch input_type(LATENT)",
                    "extra_info": {
                        "input_name": "samples",
                        "input_config": ["LATENT", {}],
                        "received_type": "MODEL",
                        "linked_node": ["4", 0],
                    },
                }
            ]
        }

    def test_a_mismatch_is_not_followed(self, judge: Judge) -> None:
        prompt = graph(n8={"samples": ["20", 0]}) | {"20": node("CheckpointLoaderSimple")}
        assert [node_id for node_id, _, _ in kinds(judge(prompt))] == ["8"]

    def test_a_node_behind_a_faulty_one_has_no_error_of_its_own(self, judge: Judge) -> None:
        verdict = judge(graph(n5={"width": 8}))
        assert list(verdict.node_errors) == ["5"]
        assert verdict.node_errors["5"]["class_type"] == "EmptyLatentImage"
        assert verdict.outputs == []

    @pytest.mark.parametrize(
        ("slot", "received"),
        [(0, "MODEL"), (1, "CLIP"), (-2, "CLIP"), (True, "CLIP"), (False, "MODEL"), (-3, "MODEL")],
    )
    def test_which_slot_it_is(self, slot: Any, received: str, judge: Judge) -> None:
        ((error,),) = errors_of(judge(graph(n8={"vae": ["4", slot]}))).values()
        assert (error["type"], error["extra_info"]["received_type"]) == ("return_type_mismatch", received)
        assert error["extra_info"]["linked_node"] == ["4", slot]


def sources(*outputs: Any) -> dict[str, Any]:
    """Classes ``Source0``, ``Source1`` … with one output each."""
    return {
        f"Source{number}": {"input": {"required": {}}, "output": [kind], "output_node": False}
        for number, kind in enumerate(outputs)
    }


def sink(kind: Any, config: dict[str, Any] | None = None, section: str = "required") -> dict[str, Any]:
    """A class ``Sink`` that is an output and takes ``x``."""
    return {"Sink": {"input": {section: {"x": [kind, config or {}]}}, "output": [], "output_node": True}}


FITTING = [
    ("IMAGE", "IMAGE", True),
    ("IMAGE", "LATENT", False),
    ("INT", "FLOAT", False),
    # unions fit when they share a member
    ("INT", "FLOAT,INT", True),
    ("FLOAT,INT", "INT", True),
    ("FLOAT,INT", "INT,STRING", True),
    ("INT, FLOAT", "FLOAT", True),
    ("STRING", "FLOAT,INT", False),
    ("FLOAT,INT", "STRING,BOOLEAN", False),
    ("IMAGE,MASK", "LATENT", False),
    ("INT", "POINT", False),
    # wildcards
    ("*", "IMAGE", True),
    ("IMAGE", "*", True),
    ("*", "COMBO", True),
    ("*", ["a", "b"], True),
    (["a", "b"], "*", True),
    ("COMFY_MATCHTYPE_V3", "IMAGE", True),
    ("IMAGE", "COMFY_MATCHTYPE_V3", True),
    # options
    (["a", "b"], ["a", "b"], True),
    (["a", "b"], ["b", "a"], False),
    (["a"], ["a", "b"], False),
    (["a", "b"], "COMBO", True),
    (["a", "b"], "STRING", False),
    ("COMBO", "COMBO", True),
    ("COMBO", ["a", "b"], False),
    ("COMBO", "STRING", False),
    ("STRING", "COMBO", False),
    ("STRING", ["a", "b"], False),
]


class TestTypes:
    @pytest.mark.parametrize(("received", "wanted", "good"), FITTING)
    def test_what_fits(self, received: Any, wanted: Any, good: bool) -> None:
        assert fits(received, wanted) is good

    @pytest.mark.parametrize(("received", "wanted", "good"), FITTING)
    def test_in_a_prompt(self, received: Any, wanted: Any, good: bool, judge: Judge) -> None:
        prompt = {"1": node("Source0"), "2": node("Sink", x=["1", 0])}
        verdict = judge(prompt, own=sources(received) | sink(wanted))
        if good:
            assert verdict == Verdict(["2"], None, {})
        else:
            details = f"x, received_type({received}) mismatch input_type({wanted})"
            assert kinds(verdict) == [("2", "return_type_mismatch", details)]

    def test_of_the_built_in_classes(self, judge: Judge) -> None:
        prompt = {
            "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "2": node("GetImageSize", image=["1", 0]),
            "3": node("PreviewAny", source=["2", 0]),
            "4": node("EmptyImage", width=["2", 0], height=["2", 1], batch_size=["2", 2], color=0),
            "5": node("SaveImage", images=["4", 0], filename_prefix="x"),
        }
        assert sorted(judge(prompt).outputs) == ["3", "5"]

    def test_a_class_that_judges_types_itself_takes_any(self, judge: Judge) -> None:
        """TripoConversionNode wants one of three task ids; it is not held against it here."""
        tripo = {"20": node("TripoConversionNode", original_model_task_id=["8", 0], format="GLTF")}
        assert sorted(judge(graph() | tripo).outputs) == ["20", "9"]

    def test_but_nothing_else_is_forgiven_it(self, judge: Judge) -> None:
        tripo = {"20": node("TripoConversionNode", original_model_task_id=["8", 5], format="GLTF")}
        ((node_id, (error,)),) = errors_of(judge(graph() | tripo)).items()
        assert (node_id, error["extra_info"]["exception_type"]) == ("20", "IndexError")


class TestExceptions:
    """What raises in the server is told as an error of the node that was linked."""

    @pytest.mark.parametrize(
        ("change", "exception", "message"),
        [
            ({"n8": {"samples": ["77", 0]}}, "KeyError", "'77'"),
            ({"n8": {"samples": [3, 0]}}, "KeyError", "3"),
            ({"n8": {"samples": [None, 0]}}, "KeyError", "None"),
            ({"n8": {"samples": ["3", 1]}}, "IndexError", None),
            ({"n8": {"samples": ["3", -2]}}, "IndexError", None),
            ({"n8": {"samples": ["3", "0"]}}, "TypeError", None),
            ({"n8": {"samples": ["3", None]}}, "TypeError", None),
            ({"n8": {"samples": ["3", 0.0]}}, "TypeError", None),
            ({"n8": {"samples": ["3", []]}}, "TypeError", None),
        ],
        ids=[
            "a node that is not there",
            "a number for a node",
            "null for a node",
            "a slot past the end",
            "a slot before the start",
            "text for a slot",
            "null for a slot",
            "a fraction for a slot",
            "a list for a slot",
        ],
    )
    def test_in_a_node_that_is_linked(
        self, change: dict[str, Any], exception: str, message: str | None, judge: Judge
    ) -> None:
        ((node_id, (error,)),) = errors_of(judge(graph(**change))).items()
        if message is None:
            message = error["extra_info"]["exception_message"]
        assert node_id == "8"
        assert error == {
            "type": "exception_during_inner_validation",
            "message": "Exception when validating inner node",
            "details": message,
            "extra_info": {
                "input_name": "images",
                "input_config": ["IMAGE", {}],
                "exception_message": message,
                "exception_type": exception,
                "traceback": TRACEBACK,
                "linked_node": ["8", 0],
            },
        }

    @pytest.mark.parametrize(
        ("change", "exception", "message"),
        [
            ({"n9": {"images": ["77", 0]}}, "KeyError", "'77'"),
            ({"n9": {"images": ["8", 1]}}, "IndexError", None),
            ({"n9": {"images": ["8", "0"]}}, "TypeError", None),
        ],
    )
    def test_in_the_output_itself(
        self, change: dict[str, Any], exception: str, message: str | None, judge: Judge
    ) -> None:
        ((node_id, (error,)),) = errors_of(judge(graph(**change))).items()
        assert node_id == "9"
        assert error == {
            "type": "exception_during_validation",
            "message": "Exception when validating node",
            "details": error["details"] if message is None else message,
            "extra_info": {"exception_type": exception, "traceback": TRACEBACK},
        }

    def test_a_node_without_inputs(self, judge: Judge) -> None:
        ((node_id, (error,)),) = errors_of(judge(without(graph(), "8"))).items()
        assert (node_id, error["type"]) == ("8", "exception_during_inner_validation")
        assert (error["details"], error["extra_info"]["exception_type"]) == ("'inputs'", "KeyError")

    def test_an_output_without_inputs(self, judge: Judge) -> None:
        ((node_id, (error,)),) = errors_of(judge(without(graph(), "9"))).items()
        assert (node_id, error["type"], error["details"]) == ("9", "exception_during_validation", "'inputs'")

    def test_it_replaces_the_other_errors_of_that_node(self, judge: Judge) -> None:
        verdict = judge(graph(n8={"samples": ["77", 0], "vae": None}))
        assert kinds(verdict) == [("8", "exception_during_inner_validation", "'77'")]

    def test_errors_of_other_nodes_stay(self, judge: Judge) -> None:
        verdict = judge(graph(n3={"steps": 0}, n8={"vae": ["77", 0]}))
        assert sorted(kinds(verdict)) == [
            ("3", "value_smaller_than_min", "steps"),
            ("8", "exception_during_inner_validation", "'77'"),
        ]

    def test_only_the_nearest_node_tells_of_it(self, judge: Judge) -> None:
        verdict = judge(graph(n3={"model": ["77", 0]}))
        assert kinds(verdict) == [("3", "exception_during_inner_validation", "'77'")]
        assert verdict.node_errors["3"]["errors"][0]["extra_info"]["linked_node"] == ["3", 0]

    def test_of_two_faulty_links_each_is_told(self, judge: Judge) -> None:
        verdict = judge(without(without(graph(), "6"), "7"))
        assert sorted(kinds(verdict)) == [
            ("6", "exception_during_inner_validation", "'inputs'"),
            ("7", "exception_during_inner_validation", "'inputs'"),
        ]

    def test_other_outputs_behind_that_node_fail_as_well(self, judge: Judge) -> None:
        prompt = without(graph(), "8") | {"20": node("PreviewImage", images=["8", 0])}
        verdict = judge(prompt)
        assert verdict.outputs == []
        assert dependents(verdict) == {"8": ["9", "20"]}

    def test_the_rest_of_the_prompt_is_judged(self, judge: Judge) -> None:
        """An output that has nothing to do with it runs."""
        prompt = without(graph(), "8") | {
            "20": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "21": node("PreviewImage", images=["20", 0]),
        }
        verdict = judge(prompt)
        assert (verdict.outputs, verdict.error) == (["21"], None)
        assert list(verdict.node_errors) == ["8"]


class TestOwnValidation:
    def loading(self, kind: str = "LoadImage", **inputs: Any) -> Graph:
        return {"1": node(kind, **inputs), "9": node("PreviewImage", images=["1", 0])}

    def test_a_file_that_is_not_there(self, judge: Judge) -> None:
        verdict = judge(self.loading(image="gone.png"))
        assert errors_of(verdict) == {
            "1": [
                {
                    "type": "custom_validation_failed",
                    "message": "Custom validation failed for node",
                    "details": "image - Invalid image file: gone.png",
                    "extra_info": {"input_name": "image"},
                }
            ]
        }
        assert verdict.error is not None and verdict.error["details"] == ""

    @pytest.mark.parametrize("name", ["there.png", "there.png [input]"])
    def test_a_file_that_is_there(self, name: str, judge: Judge) -> None:
        assert judge(self.loading(image=name)).outputs == ["9"]

    @pytest.mark.parametrize(
        "name", ["../gone.png", "x" * 300, "there.png\0", "/etc/passwd", "there.png [temp]"]
    )
    def test_a_file_that_cannot_be_there(self, name: str, judge: Judge) -> None:
        assert kinds(judge(self.loading(image=name))) == [
            ("1", "custom_validation_failed", f"image - Invalid image file: {name}")
        ]

    @pytest.mark.parametrize(
        ("inputs", "exception"),
        [
            ({}, "TypeError"),
            ({"image": ["2", 0]}, "AttributeError"),
        ],
        ids=["no image", "a linked image"],
    )
    def test_without_a_name_it_raises(self, inputs: Any, exception: str, judge: Judge) -> None:
        prompt = self.loading(**inputs) | {
            "2": node("StringConcatenate", string_a="a", string_b="b", delimiter="")
        }
        ((node_id, (error,)),) = errors_of(judge(prompt)).items()
        assert (node_id, error["type"]) == ("1", "exception_during_inner_validation")
        assert error["extra_info"]["exception_type"] == exception
        assert error["extra_info"]["linked_node"] == ["1", 0]

    def test_it_comes_last_beside_other_errors(self, judge: Judge) -> None:
        prompt = {
            "1": node("LoadImageMask", image="gone.png", channel="purple"),
            "2": node("MaskToImage", mask=["1", 0]),
            "9": node("PreviewImage", images=["2", 0]),
        }
        assert kinds(judge(prompt)) == [
            ("1", "value_not_in_list", "channel: 'purple' not in ['alpha', 'red', 'green', 'blue']"),
            ("1", "custom_validation_failed", "image - Invalid image file: gone.png"),
        ]

    @pytest.mark.parametrize(("reason", "details"), [("Because.", "image - Because."), (False, "image")])
    def test_with_a_reason_or_without(self, reason: Any, details: str) -> None:
        assert custom_validation_failed("image", reason)["details"] == details

    def test_an_input_that_a_class_judges_itself_is_not_judged_otherwise(self, judge: Judge) -> None:
        """A picture in a subfolder is in no list of choices, and is taken."""
        graph = {
            "1": node("ModelAttentionBackend", model=["2", 0], attention="no such thing"),
            "2": node("CheckpointLoaderSimple", ckpt_name="a.safetensors"),
            "3": node("PreviewAny", source=["1", 0]),
        }
        assert judge(graph).outputs == ["3"]

    def test_nor_are_those_of_a_class_that_judges_all(self, judge: Judge) -> None:
        graph = {"1": node("CustomCombo", choice="anything"), "2": node("PreviewAny", source=["1", 0])}
        assert judge(graph).outputs == ["2"]


class TestConversion:
    @pytest.mark.parametrize(
        ("kind", "given", "kept"),
        [
            ("INT", 5, 5),
            ("INT", "5", 5),
            ("INT", " -5 ", -5),
            ("INT", 64.9, 64),
            ("INT", -64.9, -64),
            ("INT", True, 1),
            ("INT", {"__value__": 5}, 5),
            ("INT", {"__value__": "5"}, 5),
            ("INT", 10**30, 10**30),
            ("FLOAT", 5, 5.0),
            ("FLOAT", "5", 5.0),
            ("FLOAT", "1e3", 1000.0),
            ("FLOAT", "inf", math.inf),
            ("FLOAT", False, 0.0),
            ("FLOAT", {"__value__": 1}, 1.0),
            ("STRING", "x", "x"),
            ("STRING", 5, "5"),
            ("STRING", 5.0, "5.0"),
            ("STRING", None, "None"),
            ("STRING", True, "True"),
            ("STRING", {"a": 1}, "{'a': 1}"),
            ("STRING", {"__value__": ["a", 1]}, "['a', 1]"),
            ("BOOLEAN", "false", True),
            ("BOOLEAN", "", False),
            ("BOOLEAN", 0, False),
            ("BOOLEAN", 2, True),
            ("BOOLEAN", None, False),
            ("BOOLEAN", {}, False),
            ("BOOLEAN", {"__value__": 0}, False),
            # other types are left as they are
            ("CUSTOM", "5", "5"),
            ("CUSTOM", {"__value__": "5"}, "5"),
            ("*", 5, 5),
            ("IMAGE", "5", "5"),
        ],
    )
    def test_in_the_prompt_itself(self, kind: str, given: Any, kept: Any, judge: Judge) -> None:
        prompt = {"1": node("Sink", x=given)}
        assert judge(prompt, own=sink(kind)).error is None
        value = prompt["1"]["inputs"]["x"]
        assert (value, type(value)) == (kept, type(kept))

    @pytest.mark.parametrize(
        ("kind", "given", "received", "message"),
        [
            ("INT", "twenty", "twenty", "invalid literal for int() with base 10: 'twenty'"),
            ("INT", "64.5", "64.5", "invalid literal for int() with base 10: '64.5'"),
            ("INT", "", "", "invalid literal for int() with base 10: ''"),
            ("INT", {"__value__": "x"}, "x", "invalid literal for int() with base 10: 'x'"),
            ("INT", math.inf, math.inf, "cannot convert float infinity to integer"),
            ("FLOAT", "x", "x", "could not convert string to float: 'x'"),
            ("FLOAT", "", "", "could not convert string to float: ''"),
        ],
    )
    def test_a_failure(self, kind: str, given: Any, received: Any, message: str, judge: Judge) -> None:
        verdict = judge({"1": node("Sink", x=given)}, own=sink(kind, {"default": 1}))
        assert errors_of(verdict) == {
            "1": [
                {
                    "type": "invalid_input_type",
                    "message": f"Failed to convert an input value to a {kind} value",
                    "details": f"x, {received}, {message}",
                    "extra_info": {
                        "input_name": "x",
                        "input_config": [kind, {"default": 1}],
                        "received_value": received,
                        "exception_message": message,
                    },
                }
            ]
        }

    @pytest.mark.parametrize(
        ("kind", "given"), [("INT", None), ("INT", {}), ("FLOAT", None), ("FLOAT", {"a": 1})]
    )
    def test_a_value_of_a_wrong_kind(self, kind: str, given: Any, judge: Judge) -> None:
        ((_, error_type, details),) = kinds(judge({"1": node("Sink", x=given)}, own=sink(kind)))
        assert error_type == "invalid_input_type"
        assert details.startswith(f"x, {given}, ")

    def test_a_value_that_failed_is_not_held_against_its_bounds(self, judge: Judge) -> None:
        verdict = judge({"1": node("Sink", x="x")}, own=sink("INT", {"min": 1, "max": 2}))
        assert [kind for _, kind, _ in kinds(verdict)] == ["invalid_input_type"]


class TestBounds:
    @pytest.mark.parametrize(
        ("kind", "given", "value", "verdict"),
        [
            ("INT", 1, 1, None),
            ("INT", 8, 8, None),
            ("INT", 0, 0, "smaller"),
            ("INT", -5, -5, "smaller"),
            ("INT", 9, 9, "bigger"),
            ("INT", "9", 9, "bigger"),
            ("INT", 8.9, 8, None),
            ("INT", 0.9, 0, "smaller"),
            ("INT", {"__value__": 0}, 0, "smaller"),
            ("INT", False, 0, "smaller"),
            ("FLOAT", 1, 1.0, None),
            ("FLOAT", 8, 8.0, None),
            ("FLOAT", 8.000001, 8.000001, "bigger"),
            ("FLOAT", 0.999, 0.999, "smaller"),
            ("FLOAT", "99", 99.0, "bigger"),
            ("FLOAT", "inf", math.inf, "bigger"),
            ("FLOAT", "nan", math.nan, None),
        ],
    )
    def test_they_are_part_of_what_is_allowed(
        self, kind: str, given: Any, value: Any, verdict: str | None, judge: Judge
    ) -> None:
        config = {"default": 2, "min": 1, "max": 8}
        found = judge({"1": node("Sink", x=given)}, own=sink(kind, config))
        if verdict is None:
            assert found == Verdict(["1"], None, {})
            return
        bound = "min" if verdict == "smaller" else "max"
        assert errors_of(found) == {
            "1": [
                {
                    "type": f"value_{verdict}_than_{bound}",
                    "message": f"Value {value} {verdict} than {bound} of {config[bound]}",
                    "details": "x",
                    "extra_info": {
                        "input_name": "x",
                        "input_config": [kind, config],
                        "received_value": value,
                    },
                }
            ]
        }

    @pytest.mark.parametrize(
        ("change", "node_id", "message", "config"),
        [
            ({"n5": {"width": 8}}, "5", "Value 8 smaller than min of 16", WIDTH),
            ({"n3": {"steps": 0}}, "3", "Value 0 smaller than min of 1", STEPS),
            ({"n3": {"cfg": 101}}, "3", "Value 101.0 bigger than max of 100.0", CFG),
        ],
    )
    def test_of_the_built_in_classes(
        self, change: dict[str, Any], node_id: str, message: str, config: Any, judge: Judge
    ) -> None:
        ((found, (error,)),) = errors_of(judge(graph(**change))).items()
        assert (found, error["message"], error["extra_info"]["input_config"]) == (node_id, message, config)

    def test_two_errors_of_one_node(self, judge: Judge) -> None:
        verdict = judge(graph(n3={"cfg": "x", "steps": 0}))
        assert sorted(kinds(verdict)) == [
            ("3", "invalid_input_type", "cfg, x, could not convert string to float: 'x'"),
            ("3", "value_smaller_than_min", "steps"),
        ]


class TestChoices:
    @pytest.mark.parametrize("style", ["old", "new"])
    @pytest.mark.parametrize("value", ["a", "b", {"__value__": "b"}])
    def test_one_of_them(self, style: str, value: Any, judge: Judge) -> None:
        assert judge({"1": node("Sink", x=value)}, own=choosing(["a", "b"], style)).outputs == ["1"]

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("c", "'c'"),
            ("", "''"),
            ("A", "'A'"),
            (5, "5"),
            (None, "None"),
            (True, "True"),
            ({"k": 1}, "{'k': 1}"),
        ],
    )
    @pytest.mark.parametrize("style", ["old", "new"])
    def test_none_of_them(self, style: str, value: Any, shown: str, judge: Judge) -> None:
        config = [["a", "b"], {}] if style == "old" else ["COMBO", {"options": ["a", "b"]}]
        assert errors_of(judge({"1": node("Sink", x=value)}, own=choosing(["a", "b"], style))) == {
            "1": [
                {
                    "type": "value_not_in_list",
                    "message": "Value not in list",
                    "details": f"x: {shown} not in ['a', 'b']",
                    "extra_info": {"input_name": "x", "input_config": config, "received_value": value},
                }
            ]
        }

    @pytest.mark.parametrize("style", ["old", "new"])
    @pytest.mark.parametrize(
        ("count", "echoed"), [(0, True), (1, True), (20, True), (21, False), (100, False)]
    )
    def test_more_than_twenty_are_not_echoed(
        self, count: int, echoed: bool, style: str, judge: Judge
    ) -> None:
        options = [f"o{number}" for number in range(count)]
        ((error,),) = errors_of(judge({"1": node("Sink", x="c")}, own=choosing(options, style))).values()
        shown = str(options) if echoed else f"(list of length {count})"
        assert error["details"] == f"x: 'c' not in {shown}"
        assert (error["extra_info"]["input_config"] is not None) is echoed

    def test_values_are_not_converted(self, judge: Judge) -> None:
        """The number 5 is not the text 5."""
        assert judge({"1": node("Sink", x=5)}, own=choosing([5], "old")).outputs == ["1"]
        assert judge({"1": node("Sink", x="5")}, own=choosing([5], "old")).outputs == []

    def test_a_model_that_is_not_installed(self, judge: Judge) -> None:
        ((error,),) = errors_of(judge(graph(n4={"ckpt_name": "missing.safetensors"}))).values()
        assert error["details"] == f"ckpt_name: 'missing.safetensors' not in {CHECKPOINTS}"
        assert error["extra_info"] == {
            "input_name": "ckpt_name",
            "input_config": [CHECKPOINTS, {}],
            "received_value": "missing.safetensors",
        }

    def test_a_folder_without_models(self, judge: Judge) -> None:
        prompt = graph() | {
            "20": node("UpscaleModelLoader", model_name="x.pth"),
            "21": node("ImageUpscaleWithModel", upscale_model=["20", 0], image=["8", 0]),
            "22": node("PreviewImage", images=["21", 0]),
        }
        verdict = judge(prompt)
        assert verdict.outputs == ["9"]
        assert kinds(verdict) == [("20", "value_not_in_list", "model_name: 'x.pth' not in []")]

    def test_a_long_list_of_the_built_in_classes(self, judge: Judge) -> None:
        ((error,),) = errors_of(judge(graph(n3={"sampler_name": "no_such_sampler"}))).values()
        assert error["details"] == "sampler_name: 'no_such_sampler' not in (list of length 44)"
        assert error["extra_info"]["input_config"] is None


def choosing(options: list[Any], style: str) -> dict[str, Any]:
    return sink(options) if style == "old" else sink("COMBO", {"options": options})


class TestDynamicInputs:
    """Inputs that stand there only with some values of others."""

    def resizing(self, **inputs: Any) -> Graph:
        given = {
            "input": ["1", 0],
            "scale_method": "area",
            **{key.replace("__", "."): v for key, v in inputs.items()},
        }
        return {
            "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "2": node("ResizeImageMaskNode", **given),
            "9": node("PreviewImage", images=["2", 0]),
        }

    @pytest.mark.parametrize(
        "inputs",
        [
            {"resize_type": "scale by multiplier", "resize_type__multiplier": 0.5},
            {"resize_type": "scale by multiplier", "resize_type__multiplier": "0.5"},
            {
                "resize_type": "scale dimensions",
                "resize_type__width": 8,
                "resize_type__height": 8,
                "resize_type__crop": "center",
            },
            {"resize_type": "match size", "resize_type__match": ["1", 0], "resize_type__crop": "disabled"},
            {"resize_type": "no such way"},
            # what belongs to another choice is not looked at
            {"resize_type": "scale width", "resize_type__width": 8, "resize_type__multiplier": 99},
        ],
    )
    def test_good(self, inputs: dict[str, Any], judge: Judge) -> None:
        assert judge(self.resizing(**inputs)) == Verdict(["9"], None, {})

    @pytest.mark.parametrize(
        ("inputs", "kind", "details", "name"),
        [
            ({}, "required_input_missing", "resize_type", "resize_type"),
            (
                {"resize_type": "scale by multiplier"},
                "required_input_missing",
                "multiplier",
                "resize_type.multiplier",
            ),
            (
                {"resize_type": "scale by multiplier", "resize_type__multiplier": 99},
                "value_bigger_than_max",
                "resize_type.multiplier",
                "resize_type.multiplier",
            ),
            (
                {"resize_type": "scale width", "resize_type__width": "x"},
                "invalid_input_type",
                "resize_type.width, x, invalid literal for int() with base 10: 'x'",
                "resize_type.width",
            ),
            (
                {"resize_type": "match size", "resize_type__match": ["1"], "resize_type__crop": "center"},
                "bad_linked_input",
                "resize_type.match",
                "resize_type.match",
            ),
        ],
    )
    def test_bad(self, inputs: dict[str, Any], kind: str, details: str, name: str, judge: Judge) -> None:
        ((node_id, (error,)),) = errors_of(judge(self.resizing(**inputs))).items()
        assert (node_id, error["type"], error["details"]) == ("2", kind, details)
        assert error["extra_info"]["input_name"] == name

    def test_values_below_a_choice_are_converted(self, judge: Judge) -> None:
        prompt = self.resizing(resize_type="scale by multiplier", resize_type__multiplier="2")
        judge(prompt)
        assert prompt["2"]["inputs"]["resize_type.multiplier"] == 2.0

    @pytest.mark.parametrize(
        ("inputs", "found"),
        [
            ({"images.image0": ["1", 0]}, []),
            ({"images.image0": ["1", 0], "images.image7": ["1", 0]}, []),
            ({}, [("required_input_missing", "image0")]),
            ({"images.image1": ["1", 0]}, [("required_input_missing", "image0")]),
            (
                {"images.image0": ["1", 0], "images.image1": ["3", 0]},
                [("return_type_mismatch", "images.image1, received_type(LATENT) mismatch input_type(IMAGE)")],
            ),
            # past the last one it is an unknown input
            ({"images.image0": ["1", 0], "images.image50": ["77", 0]}, []),
        ],
        ids=["the first", "the first and a later one", "none", "not the first", "a wrong type", "too many"],
    )
    def test_inputs_that_grow(self, inputs: dict[str, Any], found: list[Any], judge: Judge) -> None:
        prompt = {
            "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "2": node("BatchImagesNode", **inputs),
            "3": node("EmptyLatentImage", width=64, height=64, batch_size=1),
            "9": node("PreviewImage", images=["2", 0]),
        }
        assert [(kind, details) for _, kind, details in kinds(judge(prompt))] == found


CYCLES = {
    "A": {"input": {"optional": {"x": ["*", {}], "y": ["*", {}]}}, "output": ["T"], "output_node": False}
} | {"Out": {"input": {"optional": {"x": ["*", {}]}}, "output": ["T"], "output_node": True}}


class TestCycles:
    @pytest.mark.parametrize(
        ("prompt", "path", "members"),
        [
            (
                {"1": node("A", x=["2", 0]), "2": node("A", x=["1", 0]), "9": node("Out", x=["1", 0])},
                "1 (A) -> 2 (A) -> 1 (A)",
                ["1", "2"],
            ),
            ({"1": node("A", x=["1", 0]), "9": node("Out", x=["1", 0])}, "1 (A) -> 1 (A)", ["1"]),
            ({"9": node("Out", x=["9", 0])}, "9 (Out) -> 9 (Out)", ["9"]),
            (
                {"9": node("Out", x=["1", 0]), "1": node("A", x=["9", 0])},
                "9 (Out) -> 1 (A) -> 9 (Out)",
                ["9", "1"],
            ),
            (
                {
                    "9": node("Out", x=["1", 0]),
                    "1": node("A", x=["2", 0]),
                    "2": node("A", x=["3", 0]),
                    "3": node("A", x=["2", 0]),
                },
                "2 (A) -> 3 (A) -> 2 (A)",
                ["2", "3"],
            ),
        ],
        ids=["of two", "of one", "the output itself", "through the output", "further up"],
    )
    def test_every_node_of_it_is_told(
        self, prompt: Graph, path: str, members: list[str], judge: Judge
    ) -> None:
        verdict = judge(prompt, own=CYCLES)
        assert errors_of(verdict) == {
            member: [
                {
                    "type": "dependency_cycle",
                    "message": "Dependency cycle detected",
                    "details": path,
                    "extra_info": {"node_id": member, "cycle_nodes": members},
                }
            ]
            for member in members
        }
        assert verdict.outputs == []

    def test_a_node_met_twice_on_different_paths_is_no_cycle(self, judge: Judge) -> None:
        prompt = {"1": node("A"), "2": node("A", x=["1", 0], y=["1", 0]), "9": node("Out", x=["2", 0])}
        assert judge(prompt, own=CYCLES).outputs == ["9"]

    def test_other_errors_stand_beside_it(self, judge: Judge) -> None:
        prompt = graph(n5={"width": 8}) | {
            "20": node("ImageBatch", image1=["8", 0], image2=["21", 0]),
            "21": node("ImageInvert", image=["20", 0]),
            "22": node("PreviewImage", images=["20", 0]),
        }
        assert sorted((node_id, kind) for node_id, kind, _ in kinds(judge(prompt))) == [
            ("20", "dependency_cycle"),
            ("21", "dependency_cycle"),
            ("5", "value_smaller_than_min"),
        ]

    def test_it_does_not_keep_other_outputs_from_running(self, judge: Judge) -> None:
        prompt = graph() | {"20": node("SaveImage", images=["20", 0], filename_prefix="x")}
        verdict = judge(prompt)
        assert (verdict.outputs, verdict.error) == (["9"], None)
        assert list(verdict.node_errors) == ["20"]

    def test_a_long_one(self, judge: Judge) -> None:
        length = 400
        prompt = {str(n): node("A", x=[str((n + 1) % length), 0]) for n in range(length)}
        verdict = judge(prompt | {"out": node("Out", x=["0", 0])}, own=CYCLES)
        assert len(verdict.node_errors) == length


class TestSummary:
    """What is told of several outputs, and of the nodes at fault behind them."""

    def saving(self, *sources: str) -> Graph:
        """Outputs ``o0``, ``o1`` … of nodes, of which ``good`` and ``bad`` and ``worse`` are there."""
        prompt = {
            "good": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "bad": node("EmptyImage", width=0, height=8, batch_size=1, color=0),
            "worse": node("EmptyImage", width=8, height=0, batch_size=1, color=0),
        }
        for number, source in enumerate(sources):
            prompt[f"o{number}"] = node("SaveImage", images=[source, 0], filename_prefix="x")
        return prompt

    @pytest.mark.parametrize(
        ("sources", "found"),
        [
            (["bad"], {"bad": ["o0"]}),
            (["bad", "bad"], {"bad": ["o0", "o1"]}),
            (["good", "bad"], {"bad": ["o1"]}),
            (["bad", "good", "bad"], {"bad": ["o0", "o2"]}),
            # every failing output handled from the first on, linked or not
            (["bad", "worse"], {"bad": ["o0", "o1"], "worse": ["o1"]}),
            (["worse", "bad", "good", "bad"], {"worse": ["o0", "o1", "o3"], "bad": ["o1", "o3"]}),
        ],
    )
    def test_dependent_outputs(self, sources: list[str], found: dict[str, list[str]], judge: Judge) -> None:
        assert dependents(judge(self.saving(*sources))) == found

    @pytest.mark.parametrize(
        ("sources", "outputs"),
        [(["good"], ["o0"]), (["good", "bad"], ["o0"]), (["bad", "good", "worse", "good"], ["o1", "o3"])],
    )
    def test_one_good_output_is_enough(self, sources: list[str], outputs: list[str], judge: Judge) -> None:
        verdict = judge(self.saving(*sources))
        assert verdict.error is None
        assert sorted(verdict.outputs) == outputs

    def test_a_node_is_told_of_once(self, judge: Judge) -> None:
        verdict = judge(self.saving("bad", "bad", "bad"))
        assert [(node_id, len(told["errors"])) for node_id, told in verdict.node_errors.items()] == [
            ("bad", 1)
        ]

    def test_what_a_node_error_holds(self, judge: Judge) -> None:
        told = judge(self.saving("bad")).node_errors["bad"]
        assert set(told) == {"errors", "dependent_outputs", "class_type"}
        assert told["class_type"] == "EmptyImage"

    @pytest.mark.parametrize(
        ("outputs", "lines"),
        [
            ({"8": {}}, ["Required input is missing: filename_prefix", "Required input is missing: images"]),
            ({"8": {"images": ["good", 0]}}, ["Required input is missing: filename_prefix"]),
            (
                {"7": {"filename_prefix": "x"}, "8": {"filename_prefix": "x", "images": ["77", 0]}},
                ["Exception when validating node: '77'", "Required input is missing: images"],
            ),
            (
                {"8": {"filename_prefix": "x", "images": ["good"]}},
                ["Bad linked input, must be a length-2 list of [node_id, slot_index]: images"],
            ),
            ({"8": {"filename_prefix": "x", "images": ["bad", 0]}}, []),
        ],
        ids=["two of one", "one", "of two outputs", "a bad link", "of a node behind the output"],
    )
    def test_the_details_are_the_outputs_own_errors(
        self, outputs: dict[str, Any], lines: list[str], judge: Judge
    ) -> None:
        prompt = self.saving() | {node_id: node("SaveImage", **inputs) for node_id, inputs in outputs.items()}
        error = judge(prompt).error
        assert error is not None
        assert sorted(error["details"].split("\n")) == (lines or [""])
        assert {**error, "details": ""} == {
            "type": "prompt_outputs_failed_validation",
            "message": "Prompt outputs failed validation",
            "details": "",
            "extra_info": {},
        }


class TestUnknownClassesAccepted:
    """With ``unknown_nodes="accept"`` a class that nothing is known of is a black box."""

    def test_it_takes_and_gives_anything(self, judge: Judge) -> None:
        prompt = graph() | {
            "20": node("MyNode", image=["8", 0], number="x"),
            "21": node("SaveImage", images=["20", 7], filename_prefix="x"),
        }
        assert sorted(judge(prompt, accept_unknown=True).outputs) == ["21", "9"]

    def test_at_the_end_it_is_an_output(self, judge: Judge) -> None:
        assert judge({"1": node("MyNode"), "2": node("Other", x=["1", 0])}, accept_unknown=True).outputs == [
            "2"
        ]

    def test_what_it_is_linked_to_is_judged(self, judge: Judge) -> None:
        verdict = judge(graph(n5={"width": 8}) | {"20": node("MyNode", x=["8", 0])}, accept_unknown=True)
        assert (verdict.outputs, list(verdict.node_errors)) == ([], ["5"])

    def test_a_node_without_a_class_is_rejected_all_the_same(self, judge: Judge) -> None:
        error = judge({"1": {"inputs": {}}}, accept_unknown=True).error
        assert error is not None and error["type"] == "missing_node_type"
