"""What a running prompt sends and leaves: the cache, the three ends, interrupts, who hears what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import comfystub
from comfystub.server.sockets import Socket

URL = "http://comfy.test:8188"
Graph = dict[str, Any]


def picture(color: int = 1, prefix: str = "p", **inputs: Any) -> Graph:
    """One picture, made and saved."""
    made = {"width": 64, "height": 48, "batch_size": 1, "color": color, **inputs}
    return {
        "1": {"class_type": "EmptyImage", "inputs": made},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def sampled(steps: int = 3, seed: int = 1, **sampler: Any) -> Graph:
    """The text-to-image graph."""
    inputs = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    plain = {"seed": seed, "steps": steps, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal"}
    return {
        "3": {"class_type": "KSampler", "inputs": {**inputs, **plain, "denoise": 1.0, **sampler}},
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "any.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1], "text": "a red fox"}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1], "text": "hands"}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "s"}},
    }


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, pace="manual") as stub:
        yield stub


def submit(stub: comfystub.Stub, graph: Graph, client_id: str | None = None, **body: Any) -> comfystub.Job:
    """Submit a prompt that has to be accepted."""
    extra = {} if client_id is None else {"client_id": client_id}
    with stub.client() as client:
        client.post("/prompt", json={"prompt": graph, **extra, **body}).raise_for_status()
    return stub.jobs[-1]


def run(stub: comfystub.Stub, graph: Graph, **body: Any) -> comfystub.Job:
    job = submit(stub, graph, **body)
    stub.finish(job)
    return job


def types(job: comfystub.Job) -> list[str]:
    return [event.type for event in job.events]


def data(job: comfystub.Job, kind: str) -> list[Any]:
    return [event.data for event in job.events if event.type == kind]


def ran(job: comfystub.Job) -> list[str]:
    return [one["node"] for one in data(job, "executing") if one["node"]]


class TestCache:
    def test_the_same_graph_again_runs_nothing_and_shows_the_old_file(self, stub: comfystub.Stub) -> None:
        first, second = run(stub, picture()), run(stub, picture())
        assert data(second, "execution_cached")[0]["nodes"] == ["1", "9"]
        assert ran(second) == []
        assert [output.filename for output in second.outputs] == [output.filename for output in first.outputs]

    def test_ids_and_titles_do_not_count(self, stub: comfystub.Stub) -> None:
        run(stub, picture())
        renamed = {"20": picture()["1"], "30": {**picture()["9"], "_meta": {"title": "T"}}}
        renamed["30"]["inputs"]["images"] = ["20", 0]
        job = run(stub, renamed)
        assert ran(job) == []
        assert job.meta["30"]["node_id"] == "9"

    def test_only_what_changed_runs(self, stub: comfystub.Stub) -> None:
        run(stub, sampled(seed=1))
        assert ran(run(stub, sampled(seed=2))) == ["3", "8", "9"]

    def test_results_of_other_graphs_are_dropped(self, stub: comfystub.Stub) -> None:
        run(stub, picture(1))
        run(stub, picture(2))
        assert ran(run(stub, picture(1))) == ["1", "9"]

    def test_a_prompt_that_fails_at_its_first_node_drops_nothing(self, stub: comfystub.Stub) -> None:
        run(stub, picture(1))
        (stub.input_dir / "broken.png").write_bytes(b"this is no picture")
        bad = {"1": {"class_type": "LoadImage", "inputs": {"image": "broken.png"}}}
        bad["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
        assert run(stub, bad).status == "failed"
        assert ran(run(stub, picture(1))) == []

    def test_two_equal_nodes_run_once_and_leave_one_file(self, stub: comfystub.Stub) -> None:
        graph = picture()
        graph["10"] = graph["9"]
        job = run(stub, graph)
        assert ran(job) == ["1", "9"]
        assert {output.filename for output in job.outputs} == {"p_00001_.png"}
        assert [one["node"] for one in data(job, "executed")] == ["9", "10"]
        assert job.meta["10"]["node_id"] == "9"

    def test_a_cached_node_without_ui_shows_null(self, stub: comfystub.Stub) -> None:
        graph = picture()
        graph["9"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
        assert data(run(stub, graph), "executed") == []
        assert ran(run(stub, graph)) == ["9"], "a picture that is sent is sent again"

    def test_the_content_of_a_loaded_file_counts(self, stub: comfystub.Stub) -> None:
        graph = {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}, "9": picture()["9"]}
        example = (stub.input_dir / "example.png").read_bytes()
        (stub.input_dir / "a.png").write_bytes(example)
        run(stub, graph)
        assert ran(run(stub, graph)) == []
        (stub.input_dir / "a.png").write_bytes(run(stub, picture()).outputs[0].path.read_bytes())
        assert ran(run(stub, graph)) == ["1", "9"]

    def test_free_empties_it_between_two_prompts(self, stub: comfystub.Stub) -> None:
        run(stub, picture())
        with stub.client() as client:
            client.post("/free", json={"unload_models": True})
            assert ran(run(stub, picture())) == []
            job = submit(stub, picture(2))
            stub.run_until("executing")
            client.post("/free", json={"free_memory": True})
        assert ran(job) == ["1"]
        stub.finish()
        assert ran(run(stub, picture(2))) == ["1", "9"]

    def test_a_preview_keeps_its_random_name_while_the_node_stays(self, stub: comfystub.Stub) -> None:
        def preview(color: int) -> str:
            graph = picture(color)
            graph["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
            return run(stub, graph).outputs[0].filename

        first, second = preview(1), preview(2)
        assert first.removesuffix("00001_.png") == second.removesuffix("00002_.png")
        run(stub, picture(3))
        assert preview(4)[: len("ComfyUI_temp_xxxxx")] != first[: len("ComfyUI_temp_xxxxx")]


class TestEnds:
    def test_success(self, stub: comfystub.Stub) -> None:
        job = run(stub, picture())
        assert job.status == "completed"
        assert types(job)[-2:] == ["execution_success", "executing"]

    def test_history_has_the_prompt_only_after_execution_success(self, stub: comfystub.Stub) -> None:
        job = submit(stub, picture())
        stub.run_until("execution_success")
        with stub.client() as client:
            assert client.get(f"/history/{job.id}").json() == {}
            stub.run_until(lambda event: event.type == "executing" and event.data["node"] is None)
            assert list(client.get(f"/history/{job.id}").json()) == [job.id]

    def test_a_failing_node(self, stub: comfystub.Stub) -> None:
        job = run(stub, picture(prefix="../out"))
        assert job.status == "failed"
        assert job.error is not None
        assert (job.error["node_id"], job.error["node_type"], job.error["executed"]) == (
            "9",
            "SaveImage",
            ["1"],
        )
        assert job.error["exception_type"] == "Exception"
        assert job.error["exception_message"].endswith("\n")
        assert set(job.error["current_inputs"]) == {"images", "filename_prefix", "prompt", "extra_pnginfo"}
        assert sorted(job.error["current_outputs"]) == ["1", "9"]
        assert job.error["traceback"]
        last_state = [event for event in job.events if event.type == "progress_state"][-1]
        assert last_state.data["nodes"]["9"]["state"] == "running"

    def test_the_next_prompt_works_after_a_failure(self, stub: comfystub.Stub) -> None:
        run(stub, picture(prefix="../out"))
        assert run(stub, picture()).status == "completed"

    def test_a_plain_value_where_a_link_is_wanted_fails_when_it_runs(self, stub: comfystub.Stub) -> None:
        graph = picture()
        graph["9"]["inputs"]["images"] = "text"
        job = run(stub, graph)
        assert job.error is not None
        assert job.error["exception_type"] == "AttributeError"

    @pytest.mark.parametrize("body", [None, {}, {"prompt_id": ""}])
    def test_an_interrupt_between_steps(self, stub: comfystub.Stub, body: Any) -> None:
        job = submit(stub, sampled(steps=20))
        stub.run_until("progress")
        with stub.client() as client:
            client.post("/interrupt", json=body)
        stub.finish()
        assert job.status == "cancelled"
        assert len(data(job, "progress")) == 1
        interrupted = data(job, "execution_interrupted")[0]
        assert (interrupted["node_id"], sorted(interrupted["executed"])) == ("3", ["4", "5", "6", "7"])
        assert job.history_status()["status_str"] == "error"

    def test_an_interrupt_during_a_silent_node_stops_the_next_one(self, stub: comfystub.Stub) -> None:
        job = submit(stub, sampled(steps=2))
        stub.run_until(lambda event: event.type == "executing" and event.data["node"] == "4")
        with stub.client() as client:
            client.post("/interrupt")
        stub.finish()
        interrupted = data(job, "execution_interrupted")[0]
        assert interrupted["executed"] == ["4"]
        assert ran(job) == ["4", interrupted["node_id"]]

    def test_an_interrupt_during_the_last_silent_node_is_lost(self, stub: comfystub.Stub) -> None:
        job = submit(stub, picture())
        stub.run_until(lambda event: event.type == "executing" and event.data["node"] == "9")
        with stub.client() as client:
            client.post("/interrupt")
        stub.finish()
        assert job.status == "completed"
        assert run(stub, picture(2)).status == "completed", "the flag is gone when the next prompt starts"

    def test_an_interrupt_for_another_prompt_does_nothing(self, stub: comfystub.Stub) -> None:
        job, other = submit(stub, sampled()), submit(stub, picture())
        stub.run_until("progress")
        with stub.client() as client:
            client.post("/interrupt", json={"prompt_id": other.id})
        stub.finish()
        assert (job.status, other.status) == ("completed", "completed")

    def test_what_ran_before_an_interrupt_stays_cached(self, stub: comfystub.Stub) -> None:
        submit(stub, sampled(steps=20))
        stub.run_until("progress")
        with stub.client() as client:
            client.post("/interrupt")
        stub.finish()
        assert ran(run(stub, sampled(steps=20))) == ["3", "8", "9"]

    def test_a_base_exception_ends_the_job_and_reaches_the_driver(self) -> None:
        def stop(job: comfystub.Job, node: comfystub.JobNode) -> Any:
            raise KeyboardInterrupt

        with comfystub.patch(URL, pace="manual", image=stop) as stub:
            job = submit(stub, sampled())
            with pytest.raises(KeyboardInterrupt):
                stub.finish()
            assert job.status == "failed"
            assert run(stub, picture()).status == "completed"


class TestProgress:
    @pytest.mark.parametrize(
        ("sampler", "values", "maximum"),
        [
            ({"steps": 4}, [1, 2, 3, 4], 4),
            ({"steps": 4, "denoise": 0.5}, [1, 2, 3, 4], 4),
            ({"steps": 4, "denoise": 0.0}, [], None),
            ({"steps": 7, "sampler_name": "dpm_fast"}, [1, 2, 3], 7),
        ],
        ids=str,
    )
    def test_of_a_sampler(
        self, stub: comfystub.Stub, sampler: Graph, values: list[int], maximum: int
    ) -> None:
        job = run(stub, sampled(**sampler))
        assert [one["value"] for one in data(job, "progress")] == values
        assert {one["max"] for one in data(job, "progress")} <= {maximum}

    def test_of_an_advanced_sampler_goes_from_start_to_end(self, stub: comfystub.Stub) -> None:
        graph = sampled()
        plain = {"add_noise": "enable", "noise_seed": 1, "start_at_step": 2, "end_at_step": 100, "steps": 6}
        graph["3"]["class_type"] = "KSamplerAdvanced"
        graph["3"]["inputs"] |= {**plain, "return_with_leftover_noise": "disable"}
        assert len(data(run(stub, graph), "progress")) == 4

    def test_a_step_is_one_beat(self, stub: comfystub.Stub) -> None:
        submit(stub, sampled(steps=5))
        stub.run_until("progress")
        assert stub.step() == 1
        assert len(data(stub.jobs[0], "progress")) == 2


class TestListeners:
    def read(self, socket: Socket) -> list[str]:
        """The types of what waits for a client, binary frames as their kind."""
        import json

        unread = list(socket.session.unread)
        socket.session.unread.clear()
        return [json.loads(f)["type"] if isinstance(f, str) else f"kind {f[3]}" for f in unread]

    def test_a_prompt_without_a_client_is_told_of_in_part(self, stub: comfystub.Stub) -> None:
        socket = Socket(stub._server, "someone")
        run(stub, sampled(steps=1))
        heard = self.read(socket)
        assert {"progress_state", "progress", "kind 1", "status"} == set(heard)

    def test_an_empty_client_id_is_a_client_nobody_listens_as(self, stub: comfystub.Stub) -> None:
        socket = Socket(stub._server, "someone")
        run(stub, sampled(steps=1), client_id="")
        assert set(self.read(socket)) == {"status"}

    def test_text_goes_to_everyone(self, stub: comfystub.Stub) -> None:
        socket = Socket(stub._server, "someone")
        graph = picture()
        graph["9"] = {"class_type": "GetImageSize", "inputs": {"image": ["1", 0]}}
        graph["10"] = {"class_type": "PreviewAny", "inputs": {"source": ["9", 0]}}
        job = run(stub, graph, client_id="another")
        assert "kind 3" in self.read(socket)
        frame = data(job, "text")[0]
        assert frame == b"\0\0\0\3\0\0\0\x019width: 64, height: 48\n batch size: 1"

    def test_previews_can_be_turned_off_for_a_prompt(self, stub: comfystub.Stub) -> None:
        job = run(stub, sampled(), extra_data={"preview_method": "none"})
        assert "preview" not in types(job)

    def test_a_preview_nobody_hears_is_not_encoded(
        self, stub: comfystub.Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        encoded = []
        monkeypatch.setattr("comfystub.media.pictures.Mosaic.jpeg", lambda self: encoded.append(self) or b"")
        run(stub, sampled())
        assert encoded == []
        Socket(stub._server, "me")
        run(stub, sampled(seed=5), client_id="me")
        assert len(encoded) == 1, "once for all three steps"

    def test_a_late_listener_is_told_the_node_that_runs(self, stub: comfystub.Stub) -> None:
        submit(stub, sampled(), client_id="late")
        stub.run_until("progress")
        socket = Socket(stub._server, "late")
        assert [*socket.session.unread][1] == '{"type": "executing", "data": {"node": "3"}}'

    def test_after_a_take_over_the_older_hears_nothing(self, stub: comfystub.Stub) -> None:
        older, newer = Socket(stub._server, "me"), Socket(stub._server, "me")
        self.read(older), self.read(newer)
        run(stub, picture(), client_id="me")
        assert self.read(older) == []
        assert "execution_success" in self.read(newer)

    @pytest.mark.parametrize("said", ["no json", "[1]", "5", b"\0"])
    def test_noise_before_the_feature_flags_does_no_harm(self, stub: comfystub.Stub, said: Any) -> None:
        socket = Socket(stub._server, "me")
        socket.hear(said)
        socket.hear('{"type": "feature_flags", "data": {"supports_preview_metadata": true}}')
        assert self.read(socket) == ["status", "feature_flags"]
        run(stub, sampled(steps=1), client_id="me")
        heard = self.read(socket)
        assert heard[heard.index("kind 4") + 1] == "progress"

    def test_only_the_first_object_counts(self, stub: comfystub.Stub) -> None:
        socket = Socket(stub._server, "me")
        socket.hear("{}")
        socket.hear('{"type": "feature_flags", "data": {}}')
        assert self.read(socket) == ["status"]


class TestDriving:
    def test_user_code_inside_a_beat_is_answered_and_moves_nothing(self) -> None:
        seen: list[Any] = []

        def look(job: comfystub.Job, node: comfystub.JobNode) -> Any:
            from PIL import Image

            with comfystub.current().client() as client:
                seen.append(client.get(f"/history/{job.id}").json())
                seen.append(client.get("/queue").json()["queue_running"][0][1])
            seen.append(job.status)
            return Image.new("RGB", (32, 16))

        with comfystub.patch(URL, image=look) as stub:
            job = submit(stub, sampled())
            assert job.status == "completed"
            assert seen == [{}, job.id, "in_progress"]
            assert job.outputs[0].image.size == (32, 16)

    def test_many_threads_lose_no_job(self) -> None:
        with comfystub.patch(URL) as stub:

            def work(number: int) -> None:
                with stub.client() as client:
                    for turn in range(10):
                        body = {"prompt": picture(number * 100 + turn, f"t{number}")}
                        prompt_id = client.post("/prompt", json=body).json()["prompt_id"]
                        assert prompt_id in client.get(f"/history/{prompt_id}").json()

            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            assert [job.status for job in stub.jobs] == ["completed"] * 80
            assert len({output.path for output in stub.outputs}) == 80
