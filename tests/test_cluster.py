"""Several servers behind one address."""

from __future__ import annotations

import json
import os
import time
import unittest
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import websocket
from calls import URL
from prompting import entry, get, hear, listen, post, queued, rest, status, types, until_silent
from workflows import text_to_image

import comfystub
from comfystub import Timed, faults
from comfystub.clusters import Cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with comfystub.cluster(2, URL) as cluster:
        yield cluster


def calls(cluster: Cluster) -> list[list[str]]:
    """The paths that each server was asked for."""
    return [[call.path for call in stub.requests] for stub in cluster]


# --- round robin


def test_calls_take_turns(cluster: Cluster) -> None:
    for path in ("/queue", "/prompt", "/history", "/features", "/settings"):
        assert requests.get(URL + path).status_code == 200
    assert calls(cluster) == [["/queue", "/history", "/settings"], ["/prompt", "/features"]]


def test_calls_on_one_connection_take_turns_too(cluster: Cluster) -> None:
    with requests.Session() as session, httpx.Client() as client:
        for _ in range(2):
            session.get(f"{URL}/queue")
            session.get(f"{URL}/prompt")
        client.get(f"{URL}/queue")
        client.get(f"{URL}/prompt")
    assert calls(cluster) == [["/queue"] * 3, ["/prompt"] * 3]


async def test_calls_of_an_async_client_take_turns(cluster: Cluster) -> None:
    async with httpx.AsyncClient() as client:
        for path in ("/queue", "/prompt", "/queue"):
            await client.get(URL + path)
    assert calls(cluster) == [["/queue", "/queue"], ["/prompt"]]


def test_prompts_are_spread_over_the_servers() -> None:
    with comfystub.cluster(3, URL) as cluster:
        ids = [post() for _ in range(7)]
        assert [[job.id for job in stub.jobs] for stub in cluster] == [ids[0::3], ids[1::3], ids[2::3]]
        assert [job.id for job in cluster.jobs] == [*ids[0::3], *ids[1::3], *ids[2::3]]
        assert [job.number for job in cluster.jobs] == [0, 1, 2, 0, 1, 0, 1]


def test_a_job_is_not_found_on_the_other_server(cluster: Cluster) -> None:
    prompt_id = post()
    assert [entry(prompt_id) is not None for _ in range(4)] == [False, True, False, True]
    assert [status(prompt_id) for _ in range(3)] == ["Job not found", "completed", "Job not found"]
    assert [len(rows["jobs"]) for rows in (get("/api/jobs"), get("/api/jobs"))] == [1, 0]


def test_a_file_is_not_found_on_the_other_server(cluster: Cluster) -> None:
    post()
    (output,) = cluster.outputs
    image = {"filename": output.filename, "type": output.type}
    assert [requests.get(f"{URL}/view", params=image).status_code for _ in range(3)] == [404, 200, 404]
    assert cluster[0].output_dir != cluster[1].output_dir
    assert cluster.output_dir == cluster[0].output_dir


def test_a_socket_is_at_one_server_and_the_prompt_at_another() -> None:
    with comfystub.cluster(2, URL, clock="virtual") as cluster:
        ws = listen(timeout=300)
        prompt_id = post(client_id="me")
        assert (types(until_silent(ws)), cluster.clock.elapsed) == ([], 300)
        assert [len(stub.sockets) for stub in cluster] == [1, 0]
        assert [len(stub.jobs) for stub in cluster] == [0, 1]
        entry(prompt_id)
        assert entry(prompt_id)["status"]["completed"]
        ws.close()


def test_a_client_that_is_lucky_hears_its_job(cluster: Cluster) -> None:
    ws = listen()
    get("/queue")
    post(client_id="me")
    assert types(hear(ws))[-2:] == ["execution_success", "executing"]
    ws.close()


def test_a_client_with_a_socket_at_each_server_hears_both_jobs(cluster: Cluster) -> None:
    sockets = [listen(), listen()]
    for seed in range(2):
        post(text_to_image(seed=seed), client_id="me")
    for ws in sockets:
        assert types(hear(ws))[-2:] == ["execution_success", "executing"]
        ws.close()


# --- one of them is in trouble


def test_the_balancer_answers_for_a_server_that_is_down(cluster: Cluster) -> None:
    fault = cluster[1].fail(faults.refused())
    answers = [requests.get(f"{URL}/queue") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 502, 200, 502]
    assert answers[1].headers["Content-Type"] == "text/html"
    assert "<title>502 Bad Gateway</title>" in answers[1].text
    assert (calls(cluster), fault.hits) == ([["/queue", "/queue"], []], 2)
    fault.lift()
    assert [requests.get(f"{URL}/queue").status_code for _ in range(2)] == [200, 200]


def test_all_are_down(cluster: Cluster) -> None:
    for stub in cluster:
        stub.fail("refused", times=1)
    found = [httpx.get(f"{URL}/queue").status_code for _ in range(4)]
    assert found == [502, 502, 200, 200]


def test_a_server_refuses_some_calls_alone(cluster: Cluster) -> None:
    cluster[0].fail(faults.refused(on="POST /prompt"))
    assert [requests.get(f"{URL}/queue").status_code for _ in range(2)] == [200, 200]
    found = [requests.post(f"{URL}/prompt", json={"prompt": text_to_image()}).status_code for _ in range(2)]
    assert found == [502, 200]


def test_a_socket_cannot_be_opened_at_a_server_that_is_down(cluster: Cluster) -> None:
    cluster[0].fail("refused")
    with pytest.raises(websocket.WebSocketBadStatusException, match="502"):
        listen()
    listen().close()


def test_faults_of_one_server_leave_the_other_alone(cluster: Cluster) -> None:
    cluster[0].fail("unavailable")
    cluster[1].fail("out_of_memory")
    assert requests.post(f"{URL}/prompt", json={"prompt": text_to_image()}).status_code == 503
    prompt_id = post()
    requests.get(f"{URL}/queue")
    assert status(prompt_id) == "failed"


def test_faults_that_the_cluster_is_given_are_fresh_for_each() -> None:
    with comfystub.cluster(2, URL, faults=[faults.unavailable(times=1)]) as cluster:
        assert [requests.get(f"{URL}/queue").status_code for _ in range(4)] == [503, 503, 200, 200]
        assert [[fault.hits for fault in stub.faults] for stub in cluster] == [[1], [1]]


def test_a_restart_of_one_closes_its_sockets_alone(cluster: Cluster) -> None:
    first, second = listen("first"), listen("second")
    cluster[1].restart()
    assert rest(second) == []
    second.close()
    post(client_id="first")
    assert types(hear(first))[-2:] == ["execution_success", "executing"]
    first.close()
    assert [[record.close_code for record in stub.sockets] for stub in cluster] == [[1000], [None]]


def test_a_restart_of_one_leaves_the_others_jobs_alone(cluster: Cluster) -> None:
    for stub in cluster:
        stub.next_job(pace="manual")
        post()
    cluster[0].restart(refuses=1)
    assert [job.status for job in cluster.jobs] == ["lost", "pending"]
    assert [requests.get(f"{URL}/prompt").status_code for _ in range(3)] == [502, 200, 200]


def test_a_connection_that_is_kept_open_survives_the_restart_of_one(cluster: Cluster) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{URL}/queue").status_code == 200
            cluster[0].restart()
            cluster[1].restart()


def test_a_server_that_hangs_does_not_hang_the_other(cluster: Cluster) -> None:
    cluster[0].fail("hang")
    slow, quick = post(), post()
    assert (status(slow), status(quick)) == ("in_progress", "completed")


# --- the clock


def test_the_servers_have_one_clock() -> None:
    with comfystub.cluster(2, URL, clock="virtual", pace=Timed()) as cluster:
        assert cluster[0].clock is cluster[1].clock is cluster.clock
        first, second = post(), post()
        time.sleep(9.2)
        assert (status(first), status(second)) == ("in_progress", "in_progress")
        cluster.clock.advance(0.1)
        assert (status(first), status(second)) == ("completed", "completed")
        assert cluster.clock.elapsed == 9.3
        assert [job.times[-1] - job.submitted for job in cluster.jobs] == pytest.approx([9.3, 9.3])


def test_two_servers_work_at_the_same_time() -> None:
    with comfystub.cluster(2, URL, clock="virtual", pace=Timed()) as cluster:
        sockets = [listen("me", timeout=100), listen("me", timeout=100)]
        for seed in range(2):
            post(text_to_image(seed=seed), client_id="me")
        for ws in sockets:
            hear(ws)
            ws.close()
        assert cluster.clock.elapsed == 9.3


# --- seeds


def test_with_a_seed_each_server_has_ids_of_its_own_and_the_same_in_every_run() -> None:
    def run(seed: int | None) -> list[str]:
        with comfystub.cluster(2, URL, seed=seed):
            return [post() for _ in range(4)]

    assert run(5) == run(5)
    assert len(set(run(5))) == 4
    assert run(5) != run(6)
    assert run(None) != run(None)


def test_the_first_server_is_what_one_alone_would_be() -> None:
    with comfystub.cluster(2, URL, seed=5):
        in_cluster = post()
    with comfystub.patch(URL, seed=5):
        assert post() == in_cluster


# --- what it is


def test_it_is_a_sequence_of_stubs(cluster: Cluster) -> None:
    first, second = cluster
    assert (len(cluster), cluster[0], cluster[-1], cluster[:1]) == (2, first, second, [first])
    assert second in cluster and list(reversed(cluster)) == [second, first]
    assert isinstance(first, comfystub.Stub)
    assert repr(cluster) == f"<Cluster of 2 at {URL}>"
    assert (cluster.url, cluster.urls) == (URL, [URL])


def test_current_is_the_first(cluster: Cluster) -> None:
    assert comfystub.current() is cluster[0]


def test_a_server_can_be_asked_alone(cluster: Cluster) -> None:
    with cluster[1].client() as client:
        for _ in range(3):
            client.get("/queue")
    assert calls(cluster) == [[], ["/queue"] * 3]
    assert len(cluster.requests) == 3


@pytest.mark.parametrize("count", [0, -1])
def test_less_than_one_server_is_none(count: int) -> None:
    with pytest.raises(ValueError, match="takes a number of servers from 1 on"):
        comfystub.cluster(count)


def test_an_unknown_option_is_told() -> None:
    with pytest.raises(
        TypeError, match=r"cluster\(\) got an unexpected keyword argument 'sed'; is it 'seed'"
    ):
        comfystub.cluster(2, sed=1)


def test_a_cluster_of_one_is_a_server(cluster: Cluster) -> None:
    with comfystub.cluster(1, "http://one.test") as one:
        assert httpx.get("http://one.test/queue").status_code == 200
        assert len(one[0].requests) == 1
        assert cluster.requests == []


def test_options_are_those_of_each_server() -> None:
    with comfystub.cluster(2, URL, models={"checkpoints": ["a"]}, pace="manual") as cluster:
        assert [get("/models/checkpoints") for _ in range(2)] == [["a"], ["a"]]
        post(text_to_image(checkpoint="a"))
        assert [queued()[1], queued()[1]] == [[], [cluster.jobs[0].id]]


# --- the forms in which it is used


@comfystub.cluster(2, URL)
def test_as_a_decorator(comfy_stub: Cluster) -> None:
    post()
    post()
    assert [len(stub.jobs) for stub in comfy_stub] == [1, 1]


@comfystub.cluster(3, URL)
async def test_as_a_decorator_of_a_coroutine(comfy_stub: Cluster) -> None:
    async with httpx.AsyncClient() as client:
        await client.get(f"{URL}/queue")
    assert len(comfy_stub) == 3


async def test_in_an_async_block() -> None:
    async with comfystub.cluster(2, URL) as cluster:
        assert comfystub.current() is cluster[0]


@pytest.fixture
@comfystub.cluster(2, URL, env={"COMFY_URL": "{url}", "COMFY_OUTPUT": "{output_dir}"})
def servers(comfy_stub: Cluster) -> Iterator[Cluster]:
    yield comfy_stub  # noqa: PT022 - the servers are in force for as long as the generator lives


def test_as_a_fixture_with_an_environment(servers: Cluster) -> None:
    assert os.environ["COMFY_URL"] == URL
    assert os.environ["COMFY_OUTPUT"] == str(servers[0].output_dir)
    assert requests.get(os.environ["COMFY_URL"] + "/queue").status_code == 200


@comfystub.cluster(2, URL)
class TestClass(unittest.TestCase):
    comfy_stub: Cluster

    def test_in_a_test_case(self) -> None:
        post()
        assert [len(stub.jobs) for stub in self.comfy_stub] == [1, 0]

    def test_it_is_fresh(self) -> None:
        assert self.comfy_stub.requests == []


def test_each_entry_has_fresh_servers_and_begins_with_the_first() -> None:
    patch = comfystub.cluster(2, URL)
    for _ in range(2):
        with patch as cluster:
            post()
            assert [len(stub.jobs) for stub in cluster] == [1, 0]


def test_afterwards_nothing_moves_and_no_folder_is_left() -> None:
    with comfystub.cluster(2, URL) as cluster:
        post()
        post()
        paths = [output.path for output in cluster.outputs]
        assert len(paths) == 2 and all(path.exists() for path in paths)
        post(text_to_image(seed=8))
    assert not any(path.exists() for path in paths)
    assert [job.status for job in cluster.jobs] == ["completed", "pending", "completed"]
    with pytest.raises(LookupError):
        comfystub.current()


def test_below_a_path() -> None:
    with comfystub.cluster(2, "http://gate.test/comfy") as cluster:
        assert [httpx.get("http://gate.test/comfy/queue").status_code for _ in range(2)] == [200, 200]
        assert httpx.get("http://gate.test/queue").status_code == 404
        assert calls(cluster) == [["/queue"], ["/queue"]]


# --- strict


def test_strict_complains_of_every_server() -> None:
    with pytest.raises(comfystub.StrictError) as raised:
        with comfystub.cluster(2, URL, strict=True) as cluster:
            requests.get(f"{URL}/nothing")
            requests.get(f"{URL}/nothing-either")
            assert [len(stub.complaints) for stub in cluster] == [1, 1]
    assert [complaint.call.path for complaint in raised.value.complaints] == ["/nothing", "/nothing-either"]


def test_what_one_server_forgives_is_forgiven() -> None:
    with comfystub.cluster(2, URL, strict=True) as cluster:
        requests.get(f"{URL}/nothing")
        cluster[0].complaints.clear()


def test_assertions_are_those_of_each_server(cluster: Cluster) -> None:
    post(text_to_image(text="a fox"))
    cluster[0].assert_prompted(text="a fox")
    with pytest.raises(AssertionError):
        cluster[1].assert_prompted(text="a fox")


def test_what_a_server_says_is_what_it_says_alone(cluster: Cluster) -> None:
    """The balancer changes nothing of an answer."""

    def answer(client: Any, url: str) -> tuple[int, dict[str, str], bytes]:
        response = client.get(url)
        return response.status_code, dict(response.headers), response.content

    with cluster[0].client() as client:
        alone = answer(client, "/object_info/KSampler")
    assert answer(httpx, f"{URL}/object_info/KSampler") == alone
    assert json.loads(alone[2])["KSampler"]["output_node"] is False
