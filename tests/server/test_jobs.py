"""``/api/jobs``: queue and history in one list, and cancelling."""

from __future__ import annotations

from typing import Any

import pytest
from workflows import Graph, text_to_image

import comfystub
from comfystub.engine.job import Job
from server.support import ID, Asker, node, picture

STATUSES = "pending, in_progress, completed, failed, cancelled"


@pytest.fixture
def each(slow: comfystub.Stub, ask_slow: Asker) -> Asker:
    """A server with one job of every status, and two that wait: the ids are in the order of submission.

    0 completed, 1 failed, 2 cancelled, 3 in progress, 4 and 5 pending, 5 in front.
    """
    ask = ask_slow
    ask.submit(picture(0), prompt_id=ID[0])
    ask.submit(picture(1, prefix="../out"), prompt_id=ID[1], extra_data=workflow("w1"))
    ask.submit(text_to_image(), prompt_id=ID[2], extra_data=workflow("w2"))
    slow.finish(slow.jobs[1])
    slow.run_until("progress")
    ask.post("/interrupt")
    slow.finish()
    ask.submit(text_to_image(), prompt_id=ID[3], extra_data=workflow("w1"))
    slow.step()
    ask.submit(picture(4), prompt_id=ID[4])
    ask.submit(picture(5), prompt_id=ID[5], front=True, extra_data=workflow("w2"))
    return ask


def workflow(workflow_id: Any) -> dict[str, Any]:
    return {"extra_pnginfo": {"workflow": {"id": workflow_id, "nodes": []}}}


def listed(ask: Asker, query: str = "") -> str:
    """The jobs of a list, each as the last digit of its id."""
    return "".join(job["id"][-1] for job in ask.get(f"/api/jobs?{query}").json()["jobs"])


def times(job: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in job.items() if key.endswith("_time")}


class TestListing:
    @pytest.mark.parametrize(
        ("query", "jobs"),
        [
            ("", "543210"),
            # by status
            ("status=pending", "54"),
            ("status=in_progress", "3"),
            ("status=completed", "0"),
            ("status=failed", "1"),
            ("status=cancelled", "2"),
            ("status=completed,failed", "10"),
            ("status=failed,completed", "10"),
            ("status=COMPLETED,Failed", "10"),
            ("status=,completed, ,failed,", "10"),
            ("status=%20completed%20", "0"),
            ("status=", "543210"),
            ("status=,", "543210"),
            # by workflow
            ("workflow_id=w1", "31"),
            ("workflow_id=w2", "52"),
            ("workflow_id=none", ""),
            ("workflow_id=w2&status=pending", "5"),
            # sorted
            ("sort_order=desc", "543210"),
            ("sort_order=asc", "012345"),
            ("sort_by=created_at", "543210"),
            ("sort_by=created_at&sort_order=asc", "012345"),
            # paged
            ("limit=2", "54"),
            ("limit=2&offset=1", "43"),
            ("offset=4", "10"),
            ("offset=6", ""),
            ("offset=99&limit=1", ""),
            ("limit=99", "543210"),
            ("offset=-3", "543210"),
            ("offset=-3&limit=1", "5"),
            ("status=completed,failed,cancelled&sort_order=asc&limit=1&offset=1", "1"),
        ],
    )
    def test_which_and_in_what_order(self, query: str, jobs: str, each: Asker) -> None:
        assert listed(each, query) == jobs

    @pytest.mark.parametrize(
        ("query", "offset", "limit", "total", "has_more"),
        [
            ("", 0, None, 6, False),
            ("limit=2", 0, 2, 6, True),
            ("limit=2&offset=3", 3, 2, 6, True),
            ("limit=2&offset=4", 4, 2, 6, False),
            ("limit=6", 0, 6, 6, False),
            ("limit=5", 0, 5, 6, True),
            ("offset=2", 2, None, 6, False),
            ("offset=-2", 0, None, 6, False),
            ("offset=9&limit=1", 9, 1, 6, False),
            ("status=pending&limit=1", 0, 1, 2, True),
            ("workflow_id=none", 0, None, 0, False),
        ],
    )
    def test_pagination(
        self, query: str, offset: int, limit: int | None, total: int, has_more: bool, each: Asker
    ) -> None:
        assert each.get(f"/api/jobs?{query}").json()["pagination"] == {
            "offset": offset,
            "limit": limit,
            "total": total,
            "has_more": has_more,
        }

    def test_empty(self, ask: Asker) -> None:
        pagination = {"offset": 0, "limit": None, "total": 0, "has_more": False}
        assert ask.get("/api/jobs").holds() == (200, {"jobs": [], "pagination": pagination})

    @pytest.mark.parametrize(
        ("query", "error"),
        [
            ("status=bogus", f"Invalid status value(s): bogus. Valid values: {STATUSES}"),
            ("status=completed,bogus", f"Invalid status value(s): bogus. Valid values: {STATUSES}"),
            ("limit=0", "limit must be a positive integer"),
            ("limit=-1", "limit must be a positive integer"),
            ("limit=x", "limit must be an integer"),
            ("limit=1.5", "limit must be an integer"),
            ("offset=x", "offset must be an integer"),
            ("offset=1.5", "offset must be an integer"),
            ("sort_by=nope", "sort_by must be 'created_at' or 'execution_duration'"),
            ("sort_by=id", "sort_by must be 'created_at' or 'execution_duration'"),
            ("sort_order=up", "sort_order must be 'asc' or 'desc'"),
        ],
    )
    def test_wrong_parameters(self, query: str, error: str, each: Asker) -> None:
        assert each.get(f"/api/jobs?{query}").holds() == (400, {"error": error})


class TestSorting:
    """By duration, with times that are set by hand."""

    @pytest.fixture
    def durations(self, each: Asker) -> Asker:
        def took(job: Job, duration: int) -> None:
            for kind, own in job.marks:
                if isinstance(own, dict) and "timestamp" in own:
                    own["timestamp"] = (
                        1000 if kind in ("execution_start", "execution_cached") else 1000 + duration
                    )

        for number, duration in enumerate([30, 10, 20]):
            took(each.stub.jobs[number], duration)
        return each

    def test_those_that_have_not_ended_count_as_nothing(self, durations: Asker) -> None:
        """Among equals the running one comes first, then those that wait as they stand in the queue."""
        assert listed(durations, "sort_by=execution_duration&sort_order=asc") == "354120"
        assert listed(durations, "sort_by=execution_duration&sort_order=desc") == "021354"

    def test_longest_first_is_the_default(self, durations: Asker) -> None:
        assert listed(durations, "sort_by=execution_duration&status=completed,failed,cancelled") == "021"

    def test_among_equal_times_the_list_keeps_its_order(self, each: Asker) -> None:
        for job in each.stub.jobs:
            job.extra_data["create_time"] = 5
        assert listed(each) == listed(each, "sort_order=asc") == "354012"


class TestOneJob:
    def test_one_that_waits(self, each: Asker) -> None:
        job = each.get(f"/api/jobs/{ID[4]}").json()
        assert job == {
            "id": ID[4],
            "status": "pending",
            "priority": 4,
            "outputs_count": 0,
            "previewable_outputs_count": 0,
            "create_time": job["create_time"],
        }

    def test_one_in_front(self, each: Asker) -> None:
        job = each.get(f"/api/jobs/{ID[5]}").json()
        assert (job["status"], job["priority"], job["workflow_id"]) == ("pending", -5, "w2")

    def test_one_that_runs(self, each: Asker) -> None:
        job = each.get(f"/api/jobs/{ID[3]}").json()
        assert (job["id"], job["status"], job["priority"]) == (ID[3], "in_progress", 3)
        assert not {"outputs", "execution_status", "workflow", "preview_output"} & set(job)

    def test_one_that_is_completed(self, each: Asker) -> None:
        job = each.get(f"/api/jobs/{ID[0]}").json()
        entry = each.get(f"/history/{ID[0]}").json()[ID[0]]
        file = {"filename": "picture_00001_.png", "subfolder": "", "type": "output"}
        assert {key: value for key, value in job.items() if key not in times(job)} == {
            "id": ID[0],
            "status": "completed",
            "priority": 0,
            "outputs_count": 1,
            "previewable_outputs_count": 1,
            "preview_output": {**file, "nodeId": "9", "mediaType": "images"},
            "outputs": entry["outputs"],
            "execution_status": entry["status"],
            "workflow": {"prompt": entry["prompt"][2], "extra_data": entry["prompt"][3]},
        }
        messages = dict(entry["status"]["messages"])
        assert times(job) == {
            "create_time": entry["prompt"][3]["create_time"],
            "execution_start_time": messages["execution_start"]["timestamp"],
            "execution_end_time": messages["execution_success"]["timestamp"],
        }

    def test_one_that_failed(self, each: Asker) -> None:
        job = each.get(f"/api/jobs/{ID[1]}").json()
        messages = dict(each.get(f"/history/{ID[1]}").json()[ID[1]]["status"]["messages"])
        assert (job["status"], job["workflow_id"], job["outputs_count"]) == ("failed", "w1", 0)
        assert job["execution_error"] == messages["execution_error"]
        assert job["execution_end_time"] == messages["execution_error"]["timestamp"]
        assert job["execution_status"]["status_str"] == "error"
        assert "preview_output" not in job

    def test_one_that_was_interrupted(self, each: Asker) -> None:
        job = each.get(f"/api/jobs/{ID[2]}").json()
        messages = dict(each.get(f"/history/{ID[2]}").json()[ID[2]]["status"]["messages"])
        assert job["status"] == "cancelled"
        assert job["execution_end_time"] == messages["execution_interrupted"]["timestamp"]
        assert job["execution_status"]["status_str"] == "error"

    def test_the_list_tells_less(self, each: Asker) -> None:
        rows = each.get("/api/jobs?sort_order=asc").json()["jobs"]
        for row in rows:
            whole = each.get(f"/api/jobs/{row['id']}").json()
            assert row == {key: whole[key] for key in row}
            assert not {"outputs", "execution_status", "workflow"} & set(row)

    @pytest.mark.parametrize("job_id", [ID[9], "no-such", "a%2Fb", "%20", "cancel"])
    def test_unknown(self, job_id: str, each: Asker) -> None:
        assert each.get(f"/api/jobs/{job_id}").holds() == (404, {"error": "Job not found"})

    def test_one_that_was_deleted_while_it_waited(self, each: Asker) -> None:
        each.post("/queue", {"delete": [ID[4]]})
        assert each.get(f"/api/jobs/{ID[4]}").status == 404
        assert listed(each) == "53210"

    def test_one_that_history_forgot(self, each: Asker) -> None:
        each.post("/history", {"delete": [ID[0]]})
        assert each.get(f"/api/jobs/{ID[0]}").status == 404

    def test_nothing_is_ever_null(self, each: Asker) -> None:
        for row in each.get("/api/jobs").json()["jobs"]:
            assert None not in row.values()


class TestWorkflowIds:
    @pytest.mark.parametrize(
        ("extra_data", "workflow_id"),
        [
            ({}, None),
            (workflow("w"), "w"),
            (workflow(None), None),
            ({"extra_pnginfo": {}}, None),
            ({"extra_pnginfo": {"workflow": None}}, None),
            ({"extra_pnginfo": {"workflow": {}}}, None),
        ],
    )
    def test_where_it_comes_from(self, extra_data: Any, workflow_id: str | None, ask: Asker) -> None:
        ask.run(picture(), prompt_id=ID[0], extra_data=extra_data)
        assert ask.get(f"/api/jobs/{ID[0]}").json().get("workflow_id") == workflow_id

    def test_extra_pnginfo_of_null_is_trouble_while_the_job_is_known(
        self, slow: comfystub.Stub, ask_slow: Asker
    ) -> None:
        ask = ask_slow
        ask.submit(picture(1), prompt_id=ID[1], extra_data={"extra_pnginfo": None})
        for _ in range(3):  # it waits, it runs, it is over
            assert ask.get("/api/jobs").is_trouble
            assert ask.get("/api/jobs?status=failed&limit=1").is_trouble
            assert ask.get(f"/api/jobs/{ID[1]}").is_trouble
            assert ask.get("/queue").status == ask.get("/history").status == 200
            slow.step(4)
        assert ask.history() == [ID[1]]
        ask.post("/history", {"delete": [ID[1]]})
        assert ask.get("/api/jobs").status == 200
        assert ask.get(f"/api/jobs/{ID[1]}").status == 404


def files(*names: str, type: str = "output") -> list[dict[str, str]]:
    return [{"filename": name, "subfolder": "", "type": type} for name in names]


class TestPreviews:
    """What stands for a job in a list, from what its nodes showed."""

    @pytest.mark.parametrize(
        ("shown", "preview"),
        [
            ({"1": {"images": files("a.png", "b.png")}}, ("1", "images", "a.png")),
            (
                {"1": {"images": files("t.png", type="temp")}, "2": {"images": files("o.png")}},
                ("2", "images", "o.png"),
            ),
            (
                {"1": {"images": files("t.png", type="temp")}, "2": {"images": files("u.png", type="temp")}},
                ("1", "images", "t.png"),
            ),
            (
                {"1": {"text": ["words"]}, "2": {"images": files("t.png", type="temp")}},
                ("2", "images", "t.png"),
            ),
            ({"1": {"text": ["words"]}, "2": {"audio": files("a.flac")}}, ("2", "audio", "a.flac")),
            ({"1": {"gifs": files("a.mp4")}}, ("1", "gifs", "a.mp4")),
            ({"1": {"3d": files("a.glb")}}, ("1", "3d", "a.glb")),
            ({"1": {"images": files("a.webp"), "animated": [True]}}, ("1", "images", "a.webp")),
            ({"1": {"text": ["words"]}, "2": {"files": files("a.txt")}}, ("2", "files", "a.txt")),
            (
                {"1": {"files": files("a.txt")}, "2": {"images": files("b.png", type="temp")}},
                ("2", "images", "b.png"),
            ),
        ],
    )
    def test_a_file(self, shown: dict[str, Any], preview: tuple[str, str, str], each: Asker) -> None:
        each.stub.jobs[0].ui = shown
        found = each.get(f"/api/jobs/{ID[0]}").json()["preview_output"]
        assert (found["nodeId"], found["mediaType"], found["filename"]) == preview

    @pytest.mark.parametrize(
        ("text", "preview"),
        [
            ("words", {"content": "words"}),
            ("", {"content": ""}),
            ("x" * 1024, {"content": "x" * 1024}),
            ("x" * 1025, {"content": "x" * 1024, "truncated": True}),
            ("ü" * 5000, {"content": "ü" * 1024, "truncated": True}),
        ],
        ids=["short", "empty", "1024 characters", "1025 characters", "non-ASCII"],
    )
    def test_a_text(self, text: str, preview: dict[str, Any], ask: Asker) -> None:
        graph: Graph = {"1": node("PreviewAny", source=text)}
        ask.run(graph, prompt_id=ID[0])
        job = ask.get(f"/api/jobs/{ID[0]}").json()
        assert job["preview_output"] == {**preview, "nodeId": "1", "mediaType": "text"}
        assert job["outputs_count"] == 0

    @pytest.mark.parametrize(
        ("shown", "count"),
        [
            ({}, 0),
            ({"1": {"images": files("a.png", "b.png")}, "2": {"images": files("c.png")}}, 3),
            ({"1": {"images": files("a.png"), "animated": [True]}}, 1),
            ({"1": {"text": ["one", "two"]}}, 0),
            ({"1": {"text": ["one"]}, "2": {"audio": files("a.flac")}}, 1),
            ({"1": {"images": files("t.png", type="temp")}}, 1),
        ],
    )
    def test_files_are_counted_and_lines_of_text_are_not(
        self, shown: dict[str, Any], count: int, each: Asker
    ) -> None:
        each.stub.jobs[0].ui = shown
        assert each.get(f"/api/jobs/{ID[0]}").json()["outputs_count"] == count


class TestCancelling:
    def cancel(self, ask: Asker, job_id: str) -> bool:
        status, body = ask.post(f"/api/jobs/{job_id}/cancel").holds()
        assert status == 200 and set(body) == {"cancelled"}
        done: bool = body["cancelled"]
        return done

    def test_one_that_waits_is_gone(self, each: Asker) -> None:
        assert self.cancel(each, ID[4])
        assert not self.cancel(each, ID[4])
        assert each.waiting() == [ID[5]]
        assert each.get(f"/api/jobs/{ID[4]}").status == 404
        each.stub.finish()
        assert ID[4] not in each.history()

    def test_one_that_runs_is_interrupted(self, each: Asker) -> None:
        assert self.cancel(each, ID[3])
        each.stub.finish()
        assert each.get(f"/api/jobs/{ID[3]}").json()["status"] == "cancelled"
        assert listed(each, "status=cancelled") == "32"

    @pytest.mark.parametrize("job_id", [ID[0], ID[1], ID[2], ID[9], "not-a-uuid", "a%2Fb", "%20"])
    def test_any_other_is_not(self, job_id: str, each: Asker) -> None:
        before = each.get("/api/jobs").json()
        assert not self.cancel(each, job_id)
        assert each.get("/api/jobs").json() == before

    @pytest.mark.parametrize(
        ("ids", "cancelled", "left"),
        [
            ([], False, [ID[5], ID[4]]),
            ([ID[4]], True, [ID[5]]),
            ([ID[4], ID[9]], True, [ID[5]]),
            ([ID[4], ID[5]], True, []),
            ([ID[9], ID[0]], False, [ID[5], ID[4]]),
        ],
    )
    def test_several(self, ids: list[str], cancelled: bool, left: list[str], each: Asker) -> None:
        assert each.post("/api/jobs/cancel", {"job_ids": ids}).holds() == (200, {"cancelled": cancelled})
        assert each.waiting() == left

    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            (b"nope", {"error": "Request body must be valid JSON"}),
            (b"", {"error": "Request body must be valid JSON"}),
            (b"{", {"error": "Request body must be valid JSON"}),
            ({}, {"error": "job_ids must be a list"}),
            ({"job_ids": "x"}, {"error": "job_ids must be a list"}),
            ({"job_ids": None}, {"error": "job_ids must be a list"}),
            ({"job_ids": {ID[4]: 1}}, {"error": "job_ids must be a list"}),
            ({"job_ids": ["x"]}, {"error": "job_ids contains invalid id(s)", "invalid_ids": ["x"]}),
            (
                {"job_ids": [ID[4], "x", 5, "AAAAAAAA-0000-4000-8000-000000000001"]},
                {
                    "error": "job_ids contains invalid id(s)",
                    "invalid_ids": ["x", 5, "AAAAAAAA-0000-4000-8000-000000000001"],
                },
            ),
        ],
    )
    def test_a_bad_request_cancels_nothing(self, body: Any, answer: dict[str, Any], each: Asker) -> None:
        assert each.post("/api/jobs/cancel", body).holds() == (400, answer)
        assert each.waiting() == [ID[5], ID[4]]

    @pytest.mark.parametrize("body", [[], ["job_ids"], "job_ids", None, 5])
    def test_a_body_that_is_no_object_is_bad_too(self, body: Any, each: Asker) -> None:
        assert each.post("/api/jobs/cancel", body).status == 400

    def test_status_is_told_as_by_a_deletion(self, each: Asker) -> None:
        events = each.heard()
        each.post("/api/jobs/cancel", {"job_ids": [ID[4], ID[5]]})
        told = [event.data["status"]["exec_info"]["queue_remaining"] for event in events]
        assert told == [2, 1, 1]
