"""``POST /prompt``: what a submission says besides its graph, and what it is answered."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from workflows import text_to_image

import comfystub
from comfystub.server.prompts import UnknownNodeWarning
from comfystub.server.sockets import Socket
from server.support import ID, JSON, Answer, Asker, errors_in, form, node, picture, png

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def post(ask: Asker, **body: Any) -> Answer:
    return ask.post("/prompt", {"prompt": picture(), **body})


def error_type(answer: Answer) -> str:
    assert answer.status == 400, answer
    kind: str = answer.json()["error"]["type"]
    return kind


class TestAcceptance:
    def test_the_answer(self, ask: Asker) -> None:
        assert post(ask, prompt_id=ID[0]).holds() == (
            200,
            {"prompt_id": ID[0], "number": 0, "node_errors": {}},
        )

    def test_it_says_which_nodes_are_at_fault_while_other_outputs_run(self, ask: Asker) -> None:
        graph = picture() | {
            "20": node("SaveImage", images=["21", 0], filename_prefix="bad"),
            "21": node("EmptyImage", width=0, height=8, batch_size=1, color=0),
        }
        answer = ask.post("/prompt", {"prompt": graph, "prompt_id": ID[0]})
        assert answer.status == 200
        assert list(errors_in(answer)) == [("21", "value_smaller_than_min", "width")]
        ask.stub.finish()
        entry = ask.get(f"/history/{ID[0]}").json()[ID[0]]
        assert entry["status"]["completed"]
        assert entry["prompt"][4] == ["9"]
        assert list(entry["outputs"]) == ["9"]

    def test_a_fresh_id_is_a_uuid4(self, ask: Asker) -> None:
        ids = [post(ask).json()["prompt_id"] for _ in range(20)]
        assert all(UUID4.fullmatch(prompt_id) for prompt_id in ids)
        assert len(set(ids)) == 20


class TestRejection:
    def test_the_shape(self, ask: Asker) -> None:
        answer = ask.post("/prompt", {})
        error = {
            "type": "no_prompt",
            "message": "No prompt provided",
            "details": "No prompt provided",
            "extra_info": {},
        }
        assert answer.holds() == (400, {"error": error, "node_errors": {}})
        assert answer.type == JSON

    def test_it_leaves_no_job(self, stub: comfystub.Stub, ask: Asker) -> None:
        ask.post("/prompt", {"prompt": {}})
        assert ask.get("/queue").json() == {"queue_running": [], "queue_pending": []}
        assert stub.jobs == []

    @pytest.mark.parametrize("graph", [{}, {"1": node("EmptyImage", width=8)}])
    def test_no_outputs(self, graph: Any, ask: Asker) -> None:
        error = {
            "type": "prompt_no_outputs",
            "message": "Prompt has no outputs",
            "details": "",
            "extra_info": {},
        }
        assert ask.post("/prompt", {"prompt": graph}).holds() == (400, {"error": error, "node_errors": {}})

    def test_an_unknown_class_is_explained_to_the_author_of_the_test(self, ask: Asker) -> None:
        graph = picture() | {"5": node("NoSuchLoader")}
        with pytest.warns(UnknownNodeWarning, match=r"'NoSuchLoader'.*object_info="):
            answer = ask.post("/prompt", {"prompt": graph})
        assert answer.json()["error"] == {
            "type": "missing_node_type",
            "message": "Node 'NoSuchLoader' not found. The custom node may not be installed.",
            "details": "Node ID '#5'",
            "extra_info": {"node_id": "5", "class_type": "NoSuchLoader", "node_title": "NoSuchLoader"},
        }

    def test_a_node_without_a_class_needs_no_advice(
        self, ask: Asker, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
    ) -> None:
        for broken in ({"inputs": {}}, {"class_type": None}, {"class_type": ""}):
            assert error_type(ask.post("/prompt", {"prompt": {"5": broken}})) == "missing_node_type"
        assert list(recwarn) == []
        assert caplog.text == ""

    @pytest.mark.filterwarnings("error")
    def test_a_warning_made_an_error_does_not_reach_the_client(
        self, ask: Asker, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = ask.post("/prompt", {"prompt": {"5": node("NoSuchLoader")}})
        assert error_type(answer) == "missing_node_type"
        assert "NoSuchLoader" in caplog.text


class TestNumbers:
    @pytest.mark.parametrize(
        ("number", "shown"),
        [
            (5, "5.0"),
            (-50, "-50.0"),
            (0, "0.0"),
            (1.5, "1.5"),
            (1e300, "1e+300"),
            ("5", "5.0"),
            (" 5 ", "5.0"),
            ("1e3", "1000.0"),
            (True, "1.0"),
            (False, "0.0"),
            ("inf", "Infinity"),
            ("-inf", "-Infinity"),
            ("nan", "NaN"),
        ],
    )
    def test_a_given_number_is_a_float(self, number: Any, shown: str, ask: Asker) -> None:
        answer = post(ask, number=number, prompt_id=ID[0])
        assert answer.text == f'{{"prompt_id": "{ID[0]}", "number": {shown}, "node_errors": {{}}}}'

    @pytest.mark.parametrize("number", [None, "x", "", [], [1], {}, {"a": 1}])
    def test_what_is_no_number_is_trouble(self, number: Any, ask: Asker) -> None:
        assert post(ask, number=number).is_trouble

    def test_bare_words_in_the_body_are_numbers_too(self, ask: Asker) -> None:
        graph = json.dumps(picture())
        answer = ask.post("/prompt", f'{{"prompt": {graph}, "number": NaN}}'.encode())
        assert math.isnan(answer.json()["number"])

    @pytest.mark.parametrize("front", [True, False])
    def test_a_given_number_makes_front_count_for_nothing(self, front: bool, ask: Asker) -> None:
        assert post(ask, number=5, front=front).json()["number"] == 5.0

    def test_the_counter_gives_ints(self, ask: Asker) -> None:
        assert [post(ask).text.split('"number": ')[1][0:2] for _ in range(3)] == ["0,", "1,", "2,"]

    def test_front_negates_the_counter(self, ask: Asker) -> None:
        assert [post(ask, front=True).json()["number"] for _ in range(3)] == [0, -1, -2]

    def test_front_that_is_not_true_does_not(self, ask: Asker) -> None:
        post(ask)
        assert [post(ask, front=front).json()["number"] for front in (False, None)] == [1, 2]

    @pytest.mark.parametrize(
        ("body", "counts"),
        [
            ({"prompt": picture()}, True),
            ({}, True),
            ({"prompt": {}}, True),
            ({"prompt": "text"}, True),
            ({"prompt": None}, True),
            ({"prompt": picture(), "prompt_id": "bad"}, True),
            ({"prompt": picture(), "extra_data": None}, True),
            ({"prompt": picture(), "front": True}, True),
            ({"prompt": picture(width=0)}, True),
            ({"prompt": picture(), "number": 7}, False),
            ({"prompt": picture(), "number": "x"}, False),
            ({"number": None}, False),
            ([1], False),
            ([], False),
            ("text", False),
            (7, False),
            (None, False),
            (b"{", False),
            (b"", False),
        ],
        ids=lambda value: json.dumps(value)[:60] if not isinstance(value, bytes) else repr(value),
    )
    def test_what_moves_the_counter(self, body: Any, counts: bool, ask: Asker) -> None:
        ask.post("/prompt", body)
        assert post(ask).json()["number"] == (1 if counts else 0)


class TestPromptIds:
    DETAILS = (
        "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
        "omit it to let the server generate one"
    )

    @pytest.mark.parametrize("prompt_id", [ID[5], "ffffffff-ffff-ffff-ffff-ffffffffffff"])
    def test_a_canonical_uuid_is_taken(self, prompt_id: str, ask: Asker) -> None:
        assert post(ask, prompt_id=prompt_id).json()["prompt_id"] == prompt_id

    def test_null_is_as_none_at_all(self, ask: Asker) -> None:
        assert UUID4.fullmatch(post(ask, prompt_id=None).json()["prompt_id"])

    @pytest.mark.parametrize(
        "prompt_id",
        [
            "my-own-id-1",
            "",
            "A0000000-0000-4000-8000-000000000005",
            "00000000000040008000000000000005",
            "{00000000-0000-4000-8000-000000000005}",
            "urn:uuid:00000000-0000-4000-8000-000000000005",
            " 00000000-0000-4000-8000-000000000005",
            "00000000-0000-4000-8000-000000000005\n",
            "g0000000-0000-4000-8000-000000000005",
            "٠0000000-0000-4000-8000-000000000005",
            17,
            0,
            False,
            True,
            [],
            {},
            ["00000000-0000-4000-8000-000000000005"],
        ],
    )
    def test_anything_else_is_rejected(self, prompt_id: Any, ask: Asker) -> None:
        error = {
            "type": "invalid_prompt_id",
            "message": "prompt_id must be a valid UUID",
            "details": self.DETAILS,
            "extra_info": {},
        }
        assert post(ask, prompt_id=prompt_id).holds() == (400, {"error": error, "node_errors": {}})

    def test_a_missing_prompt_is_told_of_first(self, ask: Asker) -> None:
        assert error_type(ask.post("/prompt", {"prompt_id": "bad"})) == "no_prompt"

    def test_the_same_id_twice(self, ask: Asker) -> None:
        """The later one stands in history in the place of the earlier one."""
        ask.run(picture(1), prompt_id=ID[1])
        ask.run(picture(2), prompt_id=ID[2])
        entry = ask.run(picture(3), prompt_id=ID[1])
        assert entry["prompt"][2]["1"]["inputs"]["color"] == 3
        assert ask.history() == [ID[1], ID[2]]


class TestExtraData:
    def shown(self, ask: Asker, **body: Any) -> dict[str, Any]:
        """What history shows of it, without the time."""
        extra_data: dict[str, Any] = ask.run(picture(), **body)["prompt"][3]
        del extra_data["create_time"]
        return extra_data

    def test_the_time_is_noted(self, ask: Asker) -> None:
        noted = ask.run(picture(), extra_data={"create_time": 1})["prompt"][3]["create_time"]
        assert isinstance(noted, int)
        assert noted == round(ask.stub.jobs[0].submitted * 1000) - 1  # the stub of these tests has a seed

    def test_what_else_it_holds_is_kept(self, ask: Asker) -> None:
        extra = {"keep": [1, {"a": None}], "extra_pnginfo": {"workflow": {"id": "w"}}}
        assert self.shown(ask, extra_data=extra) == extra

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            ({}, {}),
            ({"client_id": "c"}, {"client_id": "c"}),
            ({"client_id": "c", "extra_data": {"client_id": "other"}}, {"client_id": "c"}),
            ({"client_id": None, "extra_data": {"client_id": "other"}}, {"client_id": None}),
            ({"extra_data": {"client_id": "other"}}, {"client_id": "other"}),
            ({"client_id": None}, {"client_id": None}),
            ({"client_id": ""}, {"client_id": ""}),
        ],
    )
    def test_the_client_id(self, body: Any, shown: Any, ask: Asker) -> None:
        assert self.shown(ask, **body) == shown

    @pytest.mark.parametrize(
        ("body", "client_id"),
        [
            ({}, None),
            ({"client_id": None}, None),
            ({"client_id": ""}, ""),
            ({"client_id": "c"}, "c"),
            ({"extra_data": {"client_id": "c"}}, "c"),
        ],
    )
    def test_the_client_id_of_the_job(
        self, body: Any, client_id: str | None, stub: comfystub.Stub, ask: Asker
    ) -> None:
        ask.submit(picture(), **body)
        assert stub.jobs[-1].client_id == client_id

    @pytest.mark.parametrize("client_id", [5, 1.5, True, ["c"], {"a": 1}])
    def test_a_client_id_that_is_no_text_is_nobodys(
        self, client_id: Any, stub: comfystub.Stub, ask: Asker
    ) -> None:
        listener = Socket(stub._server, "c")
        ask.submit(picture(), client_id=client_id)
        stub.finish()
        assert stub.jobs[-1].status == "completed"
        assert not [frame for frame in listener.session.unread if '"executing"' in str(frame)]

    @pytest.mark.parametrize("client_id", [{"client_id": "c"}, {}], ids=["with client id", "without"])
    @pytest.mark.parametrize("extra_data", [None, [], ["x"], "text", "", 7, True])
    def test_it_has_to_be_an_object(self, extra_data: Any, client_id: Any, ask: Asker) -> None:
        assert post(ask, extra_data=extra_data, **client_id).is_trouble
        assert ask.get("/queue").json() == {"queue_running": [], "queue_pending": []}

    @pytest.mark.parametrize(
        ("extra_data", "shown"),
        [
            ({}, {"comfy_usage_source": "my-app"}),
            ({"comfy_usage_source": "other"}, {"comfy_usage_source": "other"}),
            ({"keep": 1}, {"keep": 1, "comfy_usage_source": "my-app"}),
        ],
    )
    def test_the_usage_source_of_the_headers(self, extra_data: Any, shown: Any, ask: Asker) -> None:
        body = {"prompt": picture(), "prompt_id": ID[0], "extra_data": extra_data}
        ask("POST", "/prompt", body, headers={"comfy-usage-source": "my-app"})
        extra = ask.get(f"/history/{ID[0]}").json()[ID[0]]["prompt"][3]
        del extra["create_time"]
        assert extra == shown

    def test_keys_of_paid_services_are_shown_nowhere(self, slow: comfystub.Stub, ask_slow: Asker) -> None:
        ask = ask_slow
        secrets = {"auth_token_comfy_org": "SECRET-TOKEN", "api_key_comfy_org": "SECRET-KEY"}
        events = ask.heard()
        extra_data = {**secrets, "keep": 1, "extra_pnginfo": {"workflow": {"id": "w"}}}
        graph = text_to_image() | {"10": node("SaveImage", images=["8", 0], filename_prefix="../out")}
        ask.submit(graph, prompt_id=ID[0], extra_data=extra_data, client_id="c")
        ask.submit(picture(), prompt_id=ID[1], extra_data=dict(extra_data))
        seen = []
        for _ in range(4):
            for path in ("/queue", "/history", "/api/jobs", f"/api/jobs/{ID[0]}", f"/history/{ID[0]}"):
                seen.append(ask.get(path).body)
            slow.step(3)
        slow.finish()
        seen += [ask.get(path).body for path in ("/history", "/api/jobs", f"/api/jobs/{ID[0]}")]
        seen += [path.read_bytes() for path in slow.output_dir.rglob("*.png")]
        seen += [repr(event).encode() for event in events]
        assert len(seen) > 40
        assert [one for one in seen if b"SECRET" in one] == []
        assert [job.sensitive for job in slow.jobs] == [secrets, secrets]
        assert [job.state for job in slow.jobs] == ["failed", "completed"]


class TestTargets:
    TWO = picture() | {"20": node("SaveImage", images=["1", 0], filename_prefix="other")}

    @pytest.mark.parametrize(
        ("targets", "outputs"),
        [
            (["9"], ["9"]),
            (["20"], ["20"]),
            (["9", "20"], ["9", "20"]),
            (["20", "nope"], ["20"]),
            (["9", "1"], ["9"]),
            (None, ["9", "20"]),
        ],
    )
    def test_they_cut_the_outputs_down(self, targets: Any, outputs: list[str], ask: Asker) -> None:
        entry = ask.run(self.TWO, partial_execution_targets=targets)
        assert sorted(entry["prompt"][4]) == sorted(outputs)
        assert sorted(entry["outputs"]) == sorted(outputs)

    @pytest.mark.parametrize("targets", [["nope"], ["1"], []])
    def test_none_of_them_an_output(self, targets: list[str], ask: Asker) -> None:
        answer = ask.post("/prompt", {"prompt": self.TWO, "partial_execution_targets": targets})
        assert error_type(answer) == "prompt_no_outputs"

    def test_other_outputs_are_not_judged(self, ask: Asker) -> None:
        graph = self.TWO | {"30": node("SaveImage")}
        entry = ask.run(graph, partial_execution_targets=["9"])
        assert entry["status"]["completed"]
        assert error_type(ask.post("/prompt", {"prompt": graph, "partial_execution_targets": ["30"]})) == (
            "prompt_outputs_failed_validation"
        )


class TestConversion:
    """Plain values are converted in the prompt itself, as history then shows it."""

    def converted(self, ask: Asker, **inputs: Any) -> Any:
        entry = ask.run(picture(**inputs))
        return entry["prompt"][2]["1"]["inputs"]

    @pytest.mark.parametrize(
        ("given", "kept"),
        [(64.9, 64), ("64", 64), (" 64 ", 64), (True, 1), ({"__value__": 64}, 64), ({"__value__": "64"}, 64)],
    )
    def test_ints(self, given: Any, kept: int, ask: Asker) -> None:
        value = self.converted(ask, width=given)["width"]
        assert (value, type(value)) == (kept, int)

    @pytest.mark.parametrize(
        ("given", "kept"),
        [(8, 8.0), ("7.5", 7.5), (True, 1.0), ("1e1", 10.0), ({"__value__": "3"}, 3.0)],
    )
    def test_floats(self, given: Any, kept: float, ask: Asker) -> None:
        graph = text_to_image()
        graph["3"]["inputs"]["cfg"] = given
        value = ask.run(graph)["prompt"][2]["3"]["inputs"]["cfg"]
        assert (value, type(value)) == (kept, float)

    @pytest.mark.parametrize(
        ("given", "kept"),
        [(5, "5"), (1.5, "1.5"), (True, "True"), (None, "None"), ({"a": 1}, "{'a': 1}"), ("", "")],
    )
    def test_strings(self, given: Any, kept: str, ask: Asker) -> None:
        graph = text_to_image()
        graph["6"]["inputs"]["text"] = given
        assert ask.run(graph)["prompt"][2]["6"]["inputs"]["text"] == kept

    @pytest.mark.parametrize(
        ("given", "kept"), [("false", True), ("", False), (0, False), (2, True), (None, False), ({}, False)]
    )
    def test_booleans(self, given: Any, kept: bool, ask: Asker) -> None:
        graph = picture() | {
            "2": node(
                "SaveAnimatedWEBP",
                images=["1", 0],
                filename_prefix="w",
                fps=6.0,
                quality=80,
                method="default",
            )
        }
        graph["2"]["inputs"]["lossless"] = given
        assert ask.run(graph)["prompt"][2]["2"]["inputs"]["lossless"] is kept

    def test_unknown_inputs_are_kept_as_they_are(self, ask: Asker) -> None:
        kept = self.converted(ask, unknown="5", other={"__value__": 1}, third=["1"])
        assert (kept["unknown"], kept["other"], kept["third"]) == ("5", {"__value__": 1}, ["1"])

    def test_nodes_that_no_output_reaches_are_neither_judged_nor_converted(self, ask: Asker) -> None:
        aside = node("EmptyImage", width="64.5", height="64", batch_size=None)
        graph = picture() | {"5": aside, "6": node("KSampler"), "7": {"class_type": "LoadImage"}}
        entry = ask.run(graph)
        assert entry["status"]["completed"]
        assert {key: entry["prompt"][2][key] for key in "567"} == {key: graph[key] for key in "567"}

    def test_but_their_classes_are_looked_up(self, ask: Asker) -> None:
        with pytest.warns(UnknownNodeWarning):
            answer = ask.post("/prompt", {"prompt": picture() | {"5": node("NoSuchClass")}})
        assert error_type(answer) == "missing_node_type"


class TestModelsAndFiles:
    def test_any_model_name_counts_as_installed_and_is_listed_from_then_on(self, ask: Asker) -> None:
        graph = text_to_image()
        graph["4"]["inputs"]["ckpt_name"] = "my/own.safetensors"
        assert "my/own.safetensors" not in ask.get("/models/checkpoints").json()
        ask.submit(graph)
        assert "my/own.safetensors" in ask.get("/models/checkpoints").json()
        info = ask.get("/object_info/CheckpointLoaderSimple").json()["CheckpointLoaderSimple"]
        assert "my/own.safetensors" in info["input"]["required"]["ckpt_name"][0]

    def test_a_rejected_prompt_leaves_no_model_behind(self, ask: Asker) -> None:
        graph = text_to_image()
        graph["4"]["inputs"]["ckpt_name"] = "other.safetensors"
        graph["3"]["inputs"]["steps"] = 0
        assert error_type(ask.post("/prompt", {"prompt": graph})) == "prompt_outputs_failed_validation"
        assert "other.safetensors" not in ask.get("/models/checkpoints").json()

    def test_only_the_models_that_were_named_are_installed(self) -> None:
        stub = comfystub.Stub("http://comfy.test:8188", models={"checkpoints": ["a.safetensors"]})
        answer = Asker(stub).post("/prompt", {"prompt": text_to_image()})
        assert list(errors_in(answer)) == [
            (
                "4",
                "value_not_in_list",
                "ckpt_name: 'v1-5-pruned-emaonly.safetensors' not in ['a.safetensors']",
            )
        ]
        stub.close()

    @pytest.mark.parametrize(
        ("name", "there"),
        [
            ("example.png", True),
            ("up.png", True),
            ("up.png [input]", True),
            ("sub/deep.png", True),
            ("saved.png [output]", True),
            ("up.png [output]", False),
            ("saved.png", False),
            ("gone.png", False),
        ],
    )
    def test_load_image_takes_what_is_there(
        self, name: str, there: bool, stub: comfystub.Stub, ask: Asker
    ) -> None:
        ask.upload("up.png", png())
        ask.upload("deep.png", png(), subfolder="sub")
        (stub.output_dir / "saved.png").write_bytes(png())
        graph = {
            "1": node("LoadImage", image=name),
            "9": node("SaveImage", images=["1", 0], filename_prefix="x"),
        }
        answer = ask.post("/prompt", {"prompt": graph})
        if there:
            assert answer.status == 200
        else:
            assert list(errors_in(answer)) == [
                ("1", "custom_validation_failed", f"image - Invalid image file: {name}")
            ]

    def test_a_form_is_not_taken_for_a_prompt(self, ask: Asker) -> None:
        assert ask("POST", "/prompt", form(prompt=json.dumps(picture()))).is_trouble
