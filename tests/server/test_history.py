"""``/history``: what is over, in pages, and forgetting it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

import comfystub
from server.support import ID, Asker, node, picture


@pytest.fixture
def five(ask: Asker) -> Asker:
    """A server with five prompts in its history."""
    for i in range(5):
        ask.submit(picture(i), prompt_id=ID[i])
    ask.stub.finish()
    return ask


class TestEntries:
    def test_an_unknown_id(self, ask: Asker) -> None:
        assert ask.get("/history/no-such-prompt").holds() == (200, {})

    def test_a_prompt_that_waits_or_runs_is_not_there(self, slow: comfystub.Stub, ask_slow: Asker) -> None:
        ask_slow.submit(picture(), prompt_id=ID[0])
        assert ask_slow.get(f"/history/{ID[0]}").json() == {}
        slow.step(2)
        assert ask_slow.get(f"/history/{ID[0]}").json() == {}
        assert ask_slow.get("/history").json() == {}

    def test_a_success(self, ask: Asker) -> None:
        graph = picture(prefix="deep/one")
        entry = ask.run(graph, prompt_id=ID[0], extra_data={"keep": 1})
        number, prompt_id, prompt, extra_data, outputs = entry["prompt"]
        assert (number, prompt_id, prompt, outputs) == (0, ID[0], graph, ["9"])
        assert extra_data == {"keep": 1, "create_time": extra_data["create_time"]}
        file = {"filename": "one_00001_.png", "subfolder": "deep", "type": "output"}
        assert entry["outputs"] == {"9": {"images": [file]}}
        assert entry["meta"] == {
            "9": {"node_id": "9", "display_node": "9", "parent_node": None, "real_node_id": "9"}
        }
        status = entry["status"]
        assert (status["status_str"], status["completed"]) == ("success", True)
        times = [data.pop("timestamp") for _, data in status["messages"]]
        assert status["messages"] == [
            ["execution_start", {"prompt_id": ID[0]}],
            ["execution_cached", {"nodes": [], "prompt_id": ID[0]}],
            ["execution_success", {"prompt_id": ID[0]}],
        ]
        assert times == sorted(times) and all(isinstance(time, int) for time in times)
        assert set(entry) == {"prompt", "outputs", "status", "meta"}

    def test_a_failure(self, ask: Asker) -> None:
        graph = picture() | {"20": node("SaveImage", images=["1", 0], filename_prefix="../out")}
        entry = ask.run(graph)
        assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
        kind, data = entry["status"]["messages"][-1]
        assert (kind, data["node_id"], data["node_type"]) == ("execution_error", "20", "SaveImage")
        assert data["exception_type"] == "Exception"
        assert data["exception_message"].startswith(
            "**** ERROR: Saving image outside the output folder is not allowed.\n"
        )
        assert data["exception_message"].endswith("\n")

    def test_what_ran_before_a_failure_is_in_the_outputs(self, ask: Asker) -> None:
        graph = {
            "1": node("EmptyImage", width=8, height=8, batch_size=1, color=0),
            "2": node("SaveImage", images=["1", 0], filename_prefix="good"),
            "3": node("ImageInvert", image=["1", 0]),
            "4": node("SaveImage", images=["3", 0], filename_prefix="../bad"),
        }
        entry = ask.run(graph)
        assert not entry["status"]["completed"]
        assert list(entry["outputs"]) == ["2"]

    @pytest.mark.parametrize("prompt_id", ["a b", "ü", "a/b", "%41", "..", "\0"])
    def test_ids_of_any_text_can_be_asked_for(self, prompt_id: str, ask: Asker) -> None:
        assert ask.get(f"/history/{quote(prompt_id, safe='')}").holds() == (200, {})


class TestPages:
    @pytest.mark.parametrize(
        ("query", "page"),
        [
            ("", "01234"),
            # the last ones
            ("max_items=1", "4"),
            ("max_items=2", "34"),
            ("max_items=4", "1234"),
            ("max_items=5", "01234"),
            ("max_items=6", "01234"),
            ("max_items=1000000", "01234"),
            ("max_items=2&offset=-1", "34"),
            ("max_items=2&offset=-100", "34"),
            # from the offset
            ("max_items=1&offset=0", "0"),
            ("max_items=2&offset=0", "01"),
            ("max_items=5&offset=0", "01234"),
            ("max_items=9&offset=0", "01234"),
            ("max_items=1&offset=1", "1"),
            ("max_items=2&offset=1", "12"),
            ("max_items=2&offset=2", "23"),
            ("max_items=3&offset=2", "234"),
            ("max_items=2&offset=3", "34"),
            ("max_items=1&offset=4", "4"),
            ("max_items=9&offset=3", "34"),
            ("offset=0", "01234"),
            ("offset=1", "1234"),
            ("offset=2", "234"),
            ("offset=3", "34"),
            ("offset=4", "4"),
            # past the end
            ("offset=5", ""),
            ("offset=99", ""),
            ("max_items=2&offset=5", ""),
            ("max_items=2&offset=99", ""),
            # no items: with an offset, one all the same
            ("max_items=0", ""),
            ("max_items=0&offset=-1", ""),
            ("max_items=0&offset=0", "0"),
            ("max_items=0&offset=1", "1"),
            ("max_items=0&offset=4", "4"),
            ("max_items=0&offset=5", ""),
        ],
    )
    def test_page(self, query: str, page: str, five: Asker) -> None:
        answer = five.get(f"/history?{query}")
        assert answer.status == 200
        assert list(answer.json()) == [ID[int(i)] for i in page]

    @pytest.mark.parametrize("query", ["", "max_items=3", "offset=0", "max_items=0", "max_items=0&offset=0"])
    def test_of_an_empty_history(self, query: str, ask: Asker) -> None:
        assert ask.get(f"/history?{query}").holds() == (200, {})

    @pytest.mark.parametrize("other", ["", "&offset=1"])
    @pytest.mark.parametrize("value", ["", "x", "1.5", "0x1", "None", "1e3", "--1", "%20"])
    def test_max_items_that_is_no_number(self, value: str, other: str, five: Asker) -> None:
        assert five.get(f"/history?max_items={value}{other}").is_trouble

    @pytest.mark.parametrize("other", ["", "max_items=1&"])
    @pytest.mark.parametrize("value", ["", "x", "1.5", "None"])
    def test_offset_that_is_no_number(self, value: str, other: str, five: Asker) -> None:
        assert five.get(f"/history?{other}offset={value}").is_trouble


class TestForgetting:
    @pytest.mark.parametrize(
        ("body", "left"),
        [
            ({}, "01234"),
            ({"clear": False}, "01234"),
            ({"clear": True}, ""),
            ({"delete": [ID[2]]}, "0134"),
            ({"delete": [ID[4], ID[0], ID[0]]}, "123"),
            ({"delete": ["unknown", ID[9]]}, "01234"),
            ({"delete": []}, "01234"),
            ({"clear": True, "delete": [ID[1], "unknown"]}, ""),
            ({"clear": False, "delete": [ID[1]]}, "0234"),
        ],
    )
    def test_what_is_left(self, body: Any, left: str, five: Asker) -> None:
        answer = five.post("/history", body)
        assert answer.status == 200 and answer.is_bare
        assert five.history() == [ID[int(i)] for i in left]

    def test_the_files_stay(self, five: Asker) -> None:
        five.post("/history", {"clear": True})
        assert five.view("picture_00001_.png").status == 200

    def test_what_runs_and_waits_is_not_touched(self, slow: comfystub.Stub, ask_slow: Asker) -> None:
        for i in range(3):
            ask_slow.submit(picture(i), prompt_id=ID[i])
        slow.finish(slow.jobs[0])
        slow.step()
        ask_slow.post("/history", {"clear": True, "delete": [ID[1], ID[2]]})
        slow.finish()
        assert ask_slow.history() == [ID[1], ID[2]]

    @pytest.mark.parametrize("body", [{"delete": None}, {"delete": 5}])
    def test_what_cannot_be_walked_is_trouble(self, body: Any, five: Asker) -> None:
        assert five.post("/history", body).is_trouble
        assert len(five.history()) == 5
