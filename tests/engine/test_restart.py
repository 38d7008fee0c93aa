"""The server's life: a restart, and a server that is as new."""

from __future__ import annotations

import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
import websocket
from calls import URL
from PIL import Image
from prompting import LONG, entry, get, hear, listen, post, queued, rest, status, types, view
from workflows import text_to_image

import comfystub
from comfystub import Timed, faults
from comfystub.engine.job import JobNode

ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def names(prompt_id: str) -> list[str]:
    return [image["filename"] for image in entry(prompt_id)["outputs"]["9"]["images"]]


# --- restart


def test_queue_and_history_are_gone(stub: comfystub.Stub) -> None:
    done = post()
    assert entry(done)["status"]["completed"]
    stub.next_job(pace="manual")
    runs, waits = post(text_to_image(seed=8)), post(text_to_image(seed=9))
    stub.step(3)
    assert queued() == ([runs], [waits])
    stub.restart()
    assert (queued(), get("/history"), get("/api/jobs")["jobs"]) == (([], []), {}, [])
    assert get("/prompt") == {"exec_info": {"queue_remaining": 0}}
    assert [status(one) for one in (done, runs, waits)] == ["Job not found"] * 3
    assert [job.status for job in stub.jobs] == ["completed", "lost", "lost"]
    assert [job.ended for job in stub.jobs] == [True] * 3
    with pytest.raises(AssertionError, match="lost"):
        stub.assert_no_errors()


def test_a_lost_job_moves_no_more(stub: comfystub.Stub) -> None:
    stub.next_job(pace="manual")
    post()
    stub.step(3)
    events = stub.jobs[0].events
    stub.restart()
    stub.finish()
    stub.finish(stub.jobs[0])
    assert (stub.step(3), stub.jobs[0].status, stub.jobs[0].error) == (0, "lost", None)
    assert (stub.jobs[0].events, stub.jobs[0].outputs) == (events, [])


def test_files_stay_and_their_numbers_go_on(stub: comfystub.Stub) -> None:
    (first,) = entry(post())["outputs"]["9"]["images"]
    requests.post(f"{URL}/upload/image", files={"image": ("mine.png", b"x")})
    stub.restart()
    assert view(first).status_code == 200
    assert view({"filename": "mine.png", "type": "input"}).content == b"x"
    assert names(post()) == ["ComfyUI_00002_.png"]


def test_numbers_of_prompts_begin_anew_and_nothing_is_cached(stub: comfystub.Stub) -> None:
    assert [entry(post())["prompt"][0] for _ in range(2)] == [0, 1]
    stub.restart()
    again = post()
    assert entry(again)["prompt"][0] == 0
    (cached,) = (
        data["nodes"] for kind, data in entry(again)["status"]["messages"] if kind == "execution_cached"
    )
    assert cached == []


def test_names_of_previews_are_drawn_anew(stub: comfystub.Stub) -> None:
    graph = text_to_image()
    graph["9"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    first = names(post(graph))
    graph["3"]["inputs"]["seed"] = 8
    second = names(post(graph))
    assert first[0].rsplit("_", 2)[0] == second[0].rsplit("_", 2)[0]
    stub.restart()
    assert names(post(graph))[0].rsplit("_", 2)[0] != first[0].rsplit("_", 2)[0]


def test_an_id_can_be_given_again(stub: comfystub.Stub) -> None:
    stub.next_job(pace="manual")
    post(prompt_id=ID)
    stub.restart()
    post(prompt_id=ID)
    assert entry(ID)["status"]["completed"]
    assert [job.status for job in stub.jobs] == ["lost", "completed"]


def test_sockets_end_and_the_client_comes_back_with_its_id(stub: comfystub.Stub) -> None:
    ws, other = listen("me"), listen("you")
    stub.restart()
    assert rest(ws) == rest(other) == []
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
        ws.send("anybody there?")
    ws.close()
    other.close()
    assert [(record.client_id, record.is_open, record.close_code) for record in stub.sockets] == [
        ("me", False, None),
        ("you", False, None),
    ]
    again = listen("me")
    prompt_id = post(client_id="me")
    assert types(hear(again))[-2:] == ["execution_success", "executing"]
    assert entry(prompt_id)["status"]["completed"]
    again.close()


def test_what_was_sent_before_can_still_be_read(stub: comfystub.Stub) -> None:
    ws = listen()
    stub.next_job(pace="manual")
    post(client_id="me")
    stub.run_until("executing")
    stub.restart()
    assert types(rest(ws)) == ["execution_start", "execution_cached", "executing"]
    ws.close()


def test_connections_that_are_kept_open_are_cut_and_made_anew(stub: comfystub.Stub) -> None:
    with requests.Session() as session, httpx.Client() as client:
        for _ in range(3):
            assert session.get(f"{URL}/queue").status_code == client.get(f"{URL}/queue").status_code == 200
            stub.restart()


@pytest.mark.parametrize("refuses", [1, 2, 3])
def test_nobody_listens_for_a_while(stub: comfystub.Stub, refuses: int) -> None:
    with requests.Session() as session:
        session.get(f"{URL}/queue")
        stub.restart(refuses=refuses)
        for _ in range(refuses):
            with pytest.raises(requests.ConnectionError, match="refused"):
                session.get(f"{URL}/queue")
        assert session.get(f"{URL}/queue").json() == {"queue_running": [], "queue_pending": []}
    assert [call.status for call in stub.requests] == [200, 200]


def test_sockets_are_refused_for_a_while_too(stub: comfystub.Stub) -> None:
    listen().close()
    stub.restart(refuses=2)
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            listen()
    listen().close()
    with pytest.raises(ValueError, match="times= takes a number from 1 on, not -1"):
        stub.restart(refuses=-1)


def test_faults_and_settings_live_on(stub: comfystub.Stub) -> None:
    stub.fail("error", times=1)
    requests.post(f"{URL}/settings", json={"a": 1})
    stub.add_model("checkpoints", "new.safetensors")
    stub.restart()
    assert status(post()) == "failed"
    assert get("/settings") == {"a": 1}
    assert "new.safetensors" in get("/models/checkpoints")


def test_what_is_over_by_its_time_is_not_lost() -> None:
    with comfystub.patch(URL, clock="virtual", pace=Timed()) as stub:
        post()
        time.sleep(9)
        post(text_to_image(seed=8))
        time.sleep(1)
        stub.restart()
        assert [job.status for job in stub.jobs] == ["completed", "lost"]
        again = post()
        time.sleep(9.2)
        assert status(again) == "in_progress"
        time.sleep(0.1)
        assert status(again) == "completed"


@pytest.mark.parametrize("pace", ["instant", 0, 1, 3, "manual", Timed(0, 0, 0)])
def test_a_server_that_restarted_works_at_every_pace(pace: Any) -> None:
    with comfystub.patch(URL, pace=pace) as stub:
        for seed in range(3):
            prompt_id = post(text_to_image(seed=seed))
            stub.restart()
            assert entry(prompt_id) is None
        last = post()
        stub.finish()
        assert status(last) == "completed"
        assert [job.status for job in stub.jobs][-1] == "completed"


def test_an_interrupt_of_before_does_not_reach_what_comes_after(stub: comfystub.Stub) -> None:
    stub.next_job(pace="manual")
    post()
    stub.step(2)
    requests.post(f"{URL}/interrupt")
    stub.restart()
    assert status(post()) == "completed"


def test_history_that_is_late_never_comes(stub: comfystub.Stub) -> None:
    stub.fail(faults.late_history(looks=2))
    prompt_id = post()
    stub.finish()
    stub.restart()
    assert [entry(prompt_id) for _ in range(5)] == [None] * 5


# --- restarts from elsewhere

Restarts = Callable[[comfystub.Stub], None]


def restarting_image(job: comfystub.Job, node: JobNode) -> Image.Image:
    """What samples a picture, and has the server restart meanwhile, the first time."""
    if len(comfystub.current().jobs) == 1:
        comfystub.current().restart()
    return Image.new("RGB", (8, 8))


@pytest.mark.parametrize("pace", ["instant", 0, 1, "manual", Timed(0, 0, 0)])
def test_a_restart_from_inside_a_beat_comes_at_its_end(pace: Any) -> None:
    with comfystub.patch(URL, pace=pace, image=restarting_image) as stub:
        prompt_id = post()
        stub.finish()
        assert (stub.jobs[0].status, status(prompt_id), queued()) == ("lost", "Job not found", ([], []))
        again = post()
        stub.finish()
        assert status(again) == "completed"


def test_a_client_that_reads_meets_a_restart_from_inside_a_beat() -> None:
    with comfystub.patch(URL, image=restarting_image) as stub:
        ws = listen()
        post(client_id="me")
        assert types(rest(ws))[-1] != "execution_success"
        assert stub.jobs[0].status == "lost"
        ws.close()
        assert status(post()) == "completed"


def test_a_restart_by_another_thread_waits_for_the_beat() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def image(job: comfystub.Job, node: JobNode) -> Image.Image:
        inside.set()
        assert go_on.wait(LONG)
        return Image.new("RGB", (8, 8))

    with comfystub.patch(URL, image=image) as stub:
        ws = listen()
        post(client_id="me")
        heard: list[Any] = []
        reader = threading.Thread(target=lambda: heard.extend(rest(ws)))
        reader.start()
        assert inside.wait(LONG)
        restarter = threading.Thread(target=stub.restart)
        restarter.start()
        assert stub.jobs[0].state == "in_progress"
        go_on.set()
        for thread in (reader, restarter):
            thread.join(LONG)
            assert not thread.is_alive()
        # Who gets the wheel first at the end of the beat is anybody's guess.
        assert stub.jobs[0].status in ("lost", "completed")
        assert (queued(), get("/history")) == (([], []), {})
        ws.close()
        again = post(client_id="me")
        assert status(again) == "completed"


def test_many_threads_restart_it_at_once(stub: comfystub.Stub) -> None:
    threads = [threading.Thread(target=stub.restart) for _ in range(8)]
    prompt_ids = []
    for seed, thread in enumerate(threads):
        prompt_ids.append(post(text_to_image(seed=seed)))
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    stub.restart()
    assert [entry(one) for one in prompt_ids] == [None] * 8
    assert status(post()) == "completed"


# --- reset


def test_a_server_that_was_reset_is_as_new() -> None:
    with comfystub.patch(
        URL, models={"checkpoints": ["a.safetensors"]}, faults=[faults.no_jobs_api()]
    ) as stub:
        fresh = {path: get(path) for path in ("/models/checkpoints", "/settings", "/history")}
        stub.add_model("checkpoints", "b.safetensors")
        requests.post(f"{URL}/settings", json={"a": 1})
        requests.post(f"{URL}/userdata/mine.txt", data=b"x")
        requests.post(f"{URL}/upload/image", files={"image": ("mine.png", b"x")})
        requests.get(f"{URL}/nothing")
        ws = listen()
        assert names(post(text_to_image(checkpoint="b.safetensors"))) == ["ComfyUI_00001_.png"]
        stub.next_job(pace="manual", faults=[faults.error()])
        assert stub.complaints
        stub.reset()
        assert (stub.jobs, stub.requests, stub.sockets, stub.outputs, stub.complaints) == ([], [], [], [], [])
        assert list(stub.faults) == []
        assert stub.timeline() == "nothing was called"
        rest(ws)
        ws.close()
        assert {path: get(path) for path in fresh} == fresh
        assert requests.get(f"{URL}/userdata/mine.txt").status_code == 404
        assert [path.name for path in stub.input_dir.iterdir()] == ["example.png"]
        assert not list(stub.output_dir.iterdir())
        prompt_id = post(text_to_image(checkpoint="a.safetensors"))
        assert names(prompt_id) == ["ComfyUI_00001_.png"]
        assert (entry(prompt_id)["prompt"][0], stub.jobs[0].ordinal) == (0, 1)


def test_a_reset_forgets_model_names_that_prompts_used(stub: comfystub.Stub) -> None:
    post(text_to_image(checkpoint="mine.safetensors"))
    assert "mine.safetensors" in get("/models/checkpoints")
    stub.reset()
    assert "mine.safetensors" not in get("/models/checkpoints")


def test_a_folder_of_the_users_is_left_alone_by_a_reset(tmp_path: pathlib.Path) -> None:
    with comfystub.patch(URL, output_dir=tmp_path) as stub:
        assert names(post()) == ["ComfyUI_00001_.png"]
        stub.reset()
        assert names(post()) == ["ComfyUI_00002_.png"]


def test_what_hangs_and_what_is_stalled_is_let_go_by_a_reset(stub: comfystub.Stub) -> None:
    stub.fail("hang")
    stub.fail("stall_socket", at="execution_start")
    ws = listen()
    post(client_id="me")
    get("/queue")
    stub.reset()
    rest(ws)
    ws.close()
    assert status(post()) == "completed"


def test_with_a_seed_a_reset_gives_the_same_ids_again() -> None:
    with comfystub.patch(URL, seed=3) as stub:

        def run() -> list[Any]:
            prompt_id = post()
            made = entry(prompt_id)
            return [prompt_id, made, view(made["outputs"]["9"]["images"][0]).headers["Last-Modified"]]

        first = run()
        assert run() != first
        stub.reset()
        assert run() == first


def test_without_a_seed_they_are_others(stub: comfystub.Stub) -> None:
    first = post()
    stub.reset()
    assert post() != first
