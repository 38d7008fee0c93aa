"""``/queue``, ``/prompt``, ``/interrupt`` and ``/free``: what waits, what runs, and stopping it."""

from __future__ import annotations

from typing import Any

import pytest
from workflows import Graph, text_to_image

import comfystub
from comfystub.engine.events import Event
from server.support import ID, Asker, picture


def statuses(events: list[Event]) -> list[int]:
    """The numbers of prompts that the ``status`` messages told."""
    return [one.data["status"]["exec_info"]["queue_remaining"] for one in events if one.type == "status"]


def types(events: list[Event]) -> list[str]:
    return [event.type for event in events]


@pytest.fixture
def ask(ask_slow: Asker) -> Asker:
    return ask_slow


class TestListing:
    def test_idle(self, ask: Asker) -> None:
        assert ask.get("/queue").json() == {"queue_running": [], "queue_pending": []}
        assert ask.get("/prompt").json() == {"exec_info": {"queue_remaining": 0}}

    def test_a_row_has_five_members(self, ask: Asker) -> None:
        graph = picture()
        ask.submit(graph, prompt_id=ID[1], client_id="c", extra_data={"keep": 1})
        (row,) = ask.get("/queue").json()["queue_pending"]
        number, prompt_id, prompt, extra_data, outputs = row
        assert (number, prompt_id, prompt, outputs) == (0, ID[1], graph, ["9"])
        assert extra_data == {"keep": 1, "client_id": "c", "create_time": extra_data["create_time"]}

    def test_running_and_waiting(self, slow: comfystub.Stub, ask: Asker) -> None:
        for i in range(3):
            ask.submit(picture(i), prompt_id=ID[i])
        slow.step()
        queue = ask.get("/queue").json()
        assert [row[1] for row in queue["queue_running"]] == [ID[0]]
        assert [row[1] for row in queue["queue_pending"]] == [ID[1], ID[2]]
        assert ask.get("/prompt").json() == {"exec_info": {"queue_remaining": 3}}
        slow.finish()
        assert ask.get("/queue").json() == {"queue_running": [], "queue_pending": []}
        assert ask.history() == [ID[0], ID[1], ID[2]]

    def test_pending_rows_stand_as_in_the_heap(self, slow: comfystub.Stub, ask: Asker) -> None:
        """Five numbers that arrive in falling order: a heap keeps them so that they are not sorted."""
        for i, number in enumerate([5, 4, 3, 2, 1]):
            ask.submit(picture(i), prompt_id=ID[i], number=number)
        listed = [row[0] for row in ask.get("/queue").json()["queue_pending"]]
        assert listed == [1.0, 2.0, 4.0, 5.0, 3.0]
        slow.finish()
        assert ask.history() == [ID[4], ID[3], ID[2], ID[1], ID[0]]

    def test_ties_run_in_the_order_of_their_ids(self, slow: comfystub.Stub, ask: Asker) -> None:
        for i in (3, 1, 2):
            ask.submit(picture(i), prompt_id=ID[i], number=7)
        slow.finish()
        assert ask.history() == [ID[1], ID[2], ID[3]]

    def test_front_goes_before_what_waits(self, slow: comfystub.Stub, ask: Asker) -> None:
        for i in range(3):
            ask.submit(picture(i), prompt_id=ID[i])
        ask.submit(picture(3), prompt_id=ID[3], front=True)
        ask.submit(picture(4), prompt_id=ID[4], front=True)
        slow.finish()
        assert ask.history() == [ID[4], ID[3], ID[0], ID[1], ID[2]]

    def test_fractions_and_infinities_are_places_too(self, slow: comfystub.Stub, ask: Asker) -> None:
        numbers: list[Any] = ["inf", 1.5, 1.25, "-inf", True]
        for i, number in enumerate(numbers):
            ask.submit(picture(i), prompt_id=ID[i], number=number)
        slow.finish()
        assert ask.history() == [ID[3], ID[4], ID[2], ID[1], ID[0]]

    def test_the_running_prompt_keeps_its_place(self, slow: comfystub.Stub, ask: Asker) -> None:
        ask.submit(picture(0), prompt_id=ID[0])
        slow.step()
        ask.submit(picture(1), prompt_id=ID[1], number=-100)
        slow.finish()
        assert ask.history() == [ID[0], ID[1]]


class TestDeleting:
    @pytest.fixture
    def three(self, slow: comfystub.Stub, ask: Asker) -> list[Event]:
        """One running, three waiting; what everyone is told from then on."""
        for i in range(4):
            ask.submit(picture(i), prompt_id=ID[i])
        slow.step()
        return ask.heard()

    @pytest.mark.parametrize(
        ("body", "left"),
        [
            ({}, [1, 2, 3]),
            ({"delete": []}, [1, 2, 3]),
            ({"delete": [ID[2]]}, [1, 3]),
            ({"delete": [ID[3], ID[1]]}, [2]),
            ({"delete": [ID[2], ID[2]]}, [1, 3]),
            ({"delete": ["unknown", ID[9]]}, [1, 2, 3]),
            ({"delete": ["unknown", ID[1]]}, [2, 3]),
            ({"delete": [ID[0]]}, [1, 2, 3]),
            ({"clear": False}, [1, 2, 3]),
            ({"clear": None}, [1, 2, 3]),
            ({"clear": True}, []),
            ({"clear": 1}, []),
            ({"clear": True, "delete": [ID[1]]}, []),
            ({"unknown": True}, [1, 2, 3]),
        ],
    )
    def test_what_is_left(self, body: Any, left: list[int], three: list[Event], ask: Asker) -> None:
        answer = ask.post("/queue", body)
        assert answer.status == 200 and answer.is_bare
        assert sorted(ask.waiting()) == [ID[i] for i in left]
        assert [row[1] for row in ask.get("/queue").json()["queue_running"]] == [ID[0]]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ({}, []),
            ({"delete": [ID[2]]}, [3]),
            ({"delete": [ID[2], ID[3]]}, [3, 2]),
            ({"delete": ["unknown"]}, []),
            ({"delete": [ID[0]]}, []),
            ({"delete": [ID[1], ID[1]]}, [3]),
            ({"delete": [ID[1], ID[2], ID[3]]}, [3, 2, 1, 1]),
            ({"clear": True}, [1]),
            ({"clear": True, "delete": [ID[1]]}, [1]),
        ],
    )
    def test_status_is_told_once_for_each_and_twice_for_the_only_one(
        self, body: Any, told: list[int], three: list[Event], ask: Asker
    ) -> None:
        ask.post("/queue", body)
        assert types(three) == ["status"] * len(told)
        assert statuses(three) == told

    def test_clearing_an_empty_queue_is_told_as_well(self, ask: Asker) -> None:
        events = ask.heard()
        ask.post("/queue", {"clear": True})
        ask.post("/queue", {"delete": [ID[0]]})
        assert statuses(events) == [0]

    def test_deleted_prompts_never_run(self, three: list[Event], slow: comfystub.Stub, ask: Asker) -> None:
        ask.post("/queue", {"delete": [ID[2]]})
        slow.finish()
        assert ask.history() == [ID[0], ID[1], ID[3]]
        assert ask.get(f"/history/{ID[2]}").json() == {}
        assert len(list(slow.output_dir.iterdir())) == 3

    def test_all_with_the_same_id_go(self, slow: comfystub.Stub, ask: Asker) -> None:
        """One deletion may find several."""
        for i in (1, 2):
            ask.submit(picture(i), prompt_id=ID[1])
            ask.submit(picture(i), prompt_id=ID[i + 2])
        ask.post("/queue", {"delete": [ID[1], ID[1]]})
        assert sorted(ask.waiting()) == [ID[3], ID[4]]

    @pytest.mark.parametrize("body", [{"delete": None}, {"delete": 5}, {"clear": False, "delete": True}])
    def test_what_cannot_be_walked_is_trouble(self, body: Any, ask: Asker) -> None:
        assert ask.post("/queue", body).is_trouble


def interrupted(ask: Asker, prompt_id: str) -> bool:
    messages = ask.get(f"/history/{prompt_id}").json()[prompt_id]["status"]["messages"]
    return "execution_interrupted" in [kind for kind, _ in messages]


class TestInterrupting:
    @pytest.mark.parametrize(
        ("body", "stops"),
        [
            (b"", True),
            (b"not json", True),
            ({}, True),
            ({"prompt_id": None}, True),
            ({"prompt_id": ""}, True),
            ({"prompt_id": 0}, True),
            ({"prompt_id": False}, True),
            ({"other": 1}, True),
            ({"prompt_id": ID[0]}, True),
            ({"prompt_id": ID[1]}, False),
            ({"prompt_id": "unknown"}, False),
            ({"prompt_id": 5}, False),
        ],
    )
    def test_whom_it_stops(self, body: Any, stops: bool, slow: comfystub.Stub, ask: Asker) -> None:
        ask.submit(text_to_image(), prompt_id=ID[0])
        ask.submit(picture(), prompt_id=ID[1])
        slow.run_until("progress")
        answer = ask.post("/interrupt", body)
        assert answer.status == 200 and answer.is_bare
        slow.finish()
        assert interrupted(ask, ID[0]) is stops
        assert not interrupted(ask, ID[1])

    def test_with_nothing_running_it_is_forgotten(self, slow: comfystub.Stub, ask: Asker) -> None:
        assert ask.post("/interrupt").status == 200
        ask.submit(text_to_image(), prompt_id=ID[0])
        assert ask.post("/interrupt", {"prompt_id": ID[0]}).status == 200
        slow.finish()
        assert not interrupted(ask, ID[0])

    def test_history_calls_it_an_error(self, slow: comfystub.Stub, ask: Asker) -> None:
        ask.submit(text_to_image(), prompt_id=ID[0])
        slow.run_until("progress")
        ask.post("/interrupt")
        slow.finish()
        status = ask.get(f"/history/{ID[0]}").json()[ID[0]]["status"]
        assert (status["status_str"], status["completed"]) == ("error", False)
        assert [kind for kind, _ in status["messages"]] == [
            "execution_start",
            "execution_cached",
            "execution_interrupted",
        ]
        assert status["messages"][-1][1]["node_id"] == "3"

    def test_during_the_last_node_it_is_lost(self, slow: comfystub.Stub, ask: Asker) -> None:
        ask.submit(picture(), prompt_id=ID[0])
        slow.run_until(lambda event: event.type == "executing" and event.data["node"] == "9")
        ask.post("/interrupt")
        slow.finish()
        assert not interrupted(ask, ID[0])

    def test_between_two_nodes_the_next_one_is_named(self, slow: comfystub.Stub, ask: Asker) -> None:
        ask.submit(picture(), prompt_id=ID[0])
        slow.run_until(lambda event: event.type == "executing" and event.data["node"] == "1")
        ask.post("/interrupt")
        slow.finish()
        kind, data = ask.get(f"/history/{ID[0]}").json()[ID[0]]["status"]["messages"][-1]
        assert (kind, data["node_id"], data["executed"]) == ("execution_interrupted", "9", ["1"])


def cached(ask: Asker, graph: Graph) -> list[str]:
    """Run a prompt; the nodes that were answered from the cache."""
    entry = ask.run(graph)
    found: list[str] = next(data["nodes"] for kind, data in entry["status"]["messages"] if "cached" in kind)
    return found


class TestFreeing:
    def test_without_it_results_are_kept(self, ask: Asker) -> None:
        assert cached(ask, picture()) == []
        assert cached(ask, picture()) == ["1", "9"]

    @pytest.mark.parametrize(
        ("body", "kept"),
        [
            ({"free_memory": True}, []),
            ({"free_memory": True, "unload_models": True}, []),
            ({"unload_models": True}, ["1", "9"]),
            ({"free_memory": False}, ["1", "9"]),
            ({}, ["1", "9"]),
        ],
    )
    def test_idle_it_works_at_once(self, body: Any, kept: list[str], ask: Asker) -> None:
        ask.run(picture())
        assert ask.post("/free", body).status == 200
        assert cached(ask, picture()) == kept

    def test_while_a_prompt_runs_it_works_before_the_next(self, slow: comfystub.Stub, ask: Asker) -> None:
        ask.run(picture())
        ask.submit(picture(), prompt_id=ID[1])
        slow.step()
        ask.post("/free", {"free_memory": True})
        slow.finish()
        messages = dict(ask.get(f"/history/{ID[1]}").json()[ID[1]]["status"]["messages"])
        assert messages["execution_cached"]["nodes"] == ["1", "9"]
        assert cached(ask, picture()) == []
