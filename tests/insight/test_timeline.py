"""``stub.timeline()``: the text, and how rich shows it."""

from __future__ import annotations

import copy
import io
import textwrap

import pytest
import requests
import websocket
from rich.console import Console
from workflows import text_to_image

import comfystub
from comfystub import faults

from .app import URL, get, out_of_memory, submit, without_steps


def plain(timeline: str) -> str:
    """A timeline without its indentation, be it its own or that of a test."""
    return textwrap.dedent(timeline).strip("\n")


def short(job: comfystub.Job) -> str:
    return f"{job.id[:8]}…"


def test_calls_and_jobs_are_told_in_the_order_of_time() -> None:
    with comfystub.patch(URL, clock="virtual", pace="manual") as stub:
        submit(text_to_image(prefix="fox"), client_id="me")
        stub.clock.advance(1.5)
        stub.run_until("executing")
        stub.clock.advance(8)
        stub.run_until("progress")
        get("/queue")
        stub.clock.advance(0.25)
        stub.finish()
        job = stub.jobs[0]
        get(f"/history/{job.id}")
        assert plain(stub.timeline()) == plain(
            f"""
               0.000  POST /prompt                200  -> job 1
               0.000  job 1  {short(job)}  client me
               1.500  job 1 begins
               1.500    4 CheckpointLoaderSimple  8.000 s
               9.500    5 EmptyLatentImage
               9.500    7 CLIPTextEncode
               9.500    6 CLIPTextEncode
               9.500    3 KSampler  2 steps       0.250 s
               9.500  GET /queue                  200
               9.750    8 VAEDecode
               9.750    9 SaveImage  fox_00001_.png
               9.750  job 1 completed, 1 file
               9.750  GET /history/{short(job)}      200
            """
        )


def test_a_client_that_polls_takes_one_line() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        for _ in range(57):
            get("/queue")
            stub.clock.advance(0.5)
        get("/queue", x=1)
        assert plain(stub.timeline()) == plain(
            """
               0.000  GET /queue      200  57 times, until 28.000
              28.500  GET /queue?x=1  200
            """
        )


def test_cached_nodes_are_counted_and_of_many_files_some_are_named() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        submit(text_to_image(prefix="a/fox", batch_size=5))
        get("/queue")
        stub.clock.advance(1)
        submit(text_to_image(prefix="a/fox", batch_size=5))
        get("/queue")
        lines = [line[10:] for line in stub.timeline().splitlines()]
        assert lines[8] == "  9 SaveImage  a/fox_00001_.png, a/fox_00002_.png, a/fox_00003_.png and 2 more"
        assert lines[-4:] == [
            f"job 2  {short(stub.jobs[1])}",
            "  7 nodes from the cache",
            "job 2 completed, 5 files",
            "GET /queue    200",
        ]


def test_errors_are_told() -> None:
    with comfystub.patch(URL, clock="virtual", image=out_of_memory) as stub:
        submit(without_steps())
        requests.post(f"{URL}/prompt", data=b"{")
        submit()
        get("/queue")
        lines = stub.timeline().splitlines()
    assert lines[0].split("400  ")[1] == (
        "Prompt outputs failed validation; node 3 KSampler: Required input is missing (steps)"
    )
    assert "500  JSONDecodeError: Expecting property name" in lines[1]
    assert lines[-3:-1] == [
        "   0.000    3 KSampler",
        "   0.000  job 1 failed at 3 KSampler: RuntimeError: out of memory",
    ]


def test_jobs_that_have_not_ended_say_where_they_are() -> None:
    with comfystub.patch(URL, clock="virtual", pace="manual") as stub:
        submit()
        submit()
        submit()
        requests.post(f"{URL}/queue", json={"delete": [stub.jobs[2].id]})
        stub.run_until("progress")
        first, second, third = map(short, stub.jobs)
        lines = [line[10:] for line in stub.timeline().splitlines()]
        assert [line for line in lines if line.startswith(("job", "  3"))] == [
            f"job 1  {first}  in_progress",
            "  3 KSampler  1 of 2 steps  runs",
            f"job 2  {second}  pending",
            f"job 3  {third}  cancelled",
        ]
        requests.post(f"{URL}/interrupt")
        stub.step()
        assert "job 1 was interrupted at 3 KSampler" in stub.timeline()
        assert "  3 KSampler  1 of 2 steps\n" in stub.timeline()


def test_a_job_that_is_lost_says_so() -> None:
    with comfystub.patch(URL, pace=0, faults=[faults.vanish()]) as stub:
        submit()
        assert stub.timeline().endswith(f"job 1  {short(stub.jobs[0])}  lost")


@pytest.mark.parametrize("pace", ["instant", "manual"])
def test_it_moves_nothing(pace: str) -> None:
    with comfystub.patch(URL, pace=pace) as stub:
        submit()
        stub.timeline()
        assert stub.jobs[0].state == "pending"


def test_sockets_are_told() -> None:
    with comfystub.patch(URL, clock="virtual") as stub:
        client = websocket.create_connection(URL.replace("http", "ws") + "/ws?clientId=me")
        client.recv()
        assert stub.timeline() == "   0.000  GET /ws?clientId=me  101  -> socket 1  open, 1 message sent"
        stub.clock.advance(2)
        client.close()
        assert plain(stub.timeline()) == plain(
            """
               0.000  GET /ws?clientId=me  101  -> socket 1
               2.000  socket 1 closed with 1000, 1 message sent
            """
        )


def test_a_fault_that_struck_a_call_is_told() -> None:
    busy = faults.status(400, '{"error": "busy"}', on="/prompt", times=1)
    given = [busy, faults.html(on="/prompt"), faults.reset(on="/free"), faults.slow(0, on="/queue")]
    with comfystub.patch(URL, clock="virtual", faults=given) as stub:
        submit()
        requests.post(f"{URL}/prompt", json={})
        get("/queue")
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{URL}/free", json={})
        told = stub.timeline()
    assert plain(told) == plain(
        """
           0.000  POST /prompt  400  fault: status 400
           0.000  POST /prompt  200  fault: html
           0.000  GET /queue    200  fault: slow
           0.000  POST /free    unanswered  fault: reset
        """
    )


def test_a_job_whose_id_the_client_was_not_told_is_there_still() -> None:
    with comfystub.patch(URL, clock="virtual", faults=[faults.malformed_json(on="/prompt")]) as stub:
        with pytest.raises(requests.JSONDecodeError):
            submit()
        assert plain(stub.timeline()) == plain(
            f"""
            0.000  POST /prompt  200  fault: malformed_json
            0.000  job 1  {short(stub.jobs[0])}  pending
            """
        )


def test_without_anything_it_says_so() -> None:
    assert comfystub.Stub(URL).timeline() == "nothing was called"


def test_a_thousand_jobs_can_be_cut_down() -> None:
    with comfystub.patch(URL, pace="manual") as stub, requests.Session() as session:
        for _ in range(1000):
            session.post(f"{URL}/prompt", json={"prompt": text_to_image()})
        lines = stub.timeline(last=2).splitlines()
    assert [lines[0], len(lines)] == ["… 1998 lines before", 3]
    assert lines[1].endswith("-> job 1000")


def test_it_is_a_text_that_can_be_copied() -> None:
    with comfystub.patch(URL) as stub:
        get("/queue")
        told = stub.timeline()
    assert type(told) is comfystub.Timeline
    assert copy.deepcopy(told) == told
    assert copy.deepcopy(told).lines == told.lines


def test_rich_shows_it_in_colour() -> None:
    with comfystub.patch(URL, clock="virtual", image=out_of_memory) as stub:
        submit(client_id="[red]me")
        get("/queue")
        get("/nothing")
        told = stub.timeline()
    console = Console(
        record=True, width=120, color_system="standard", force_terminal=True, file=io.StringIO()
    )
    console.print(told)
    styles = {
        "-> job 1": "",
        "client [red]me": "\x1b[1m",
        "4 CheckpointLoaderSimple": "\x1b[2m",
        "job 1 failed": "\x1b[31m",
        "GET /queue": "",
        "GET /nothing": "\x1b[31m",
    }
    lines = console.export_text(styles=True, clear=False).splitlines()
    for piece, style in styles.items():
        (line,) = [line for line in lines if piece in line]
        assert line.startswith(f"{style}   0.000" if style else "   0.000")
    assert console.export_text().rstrip("\n") == told
