"""``comfystub verify``: transcripts played on a server that is a stub in this process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest
from workflows import text_to_image

import comfystub
from comfystub import faults
from comfystub.live import verify
from comfystub.live.asking import LiveServer, Trouble
from comfystub.live.recordings import CHECKPOINTS, transcripts
from comfystub.live.verify import Verdict, Verification

URL = "http://comfy.test:8188"
MODELS = {"checkpoints": CHECKPOINTS}

#: A server that takes some time, so that jobs are still running when others come.
PACE = comfystub.Timed(load=0.005, step=0.02, node=0.001)

CLEARING = {
    "cached_other_prefix_deleted": "clears the history; --all plays it",
    "http_bodies": "clears the queue; --all plays it",
    "queue_order_and_delete": "clears the queue; --all plays it",
}
LISTING = ("history_paging", "jobs_cancel", "jobs_listing", "ws_runtime_error")
LOADING = (
    "jobs_cancel",
    "queue_order_and_delete",
    "reject_bad_link_length",
    "reject_link_to_missing_node",
    "reject_missing_class_type",
    "reject_missing_image_on_output",
    "reject_missing_required_input",
    "reject_no_outputs",
    "reject_not_a_number",
    "reject_sampler_not_in_list",
    "reject_too_big",
    "reject_too_small",
    "reject_two_errors_one_node",
    "reject_type_mismatch",
    "reject_unknown_class",
    "ws_interrupt_running",
    "ws_txt2img",
    "ws_txt2img_preview_metadata",
)

pytestmark = pytest.mark.filterwarnings("ignore::comfystub.UnknownNodeWarning")


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, models=MODELS, pace=PACE, unmatched="error") as stub:
        yield stub


def run(*only: str, release: str = "0.33", timeout: float = 10, **options: Any) -> dict[str, Verdict]:
    """The verdicts on the transcripts of a release whose names contain one of some words, or on all."""
    chosen = [one for one in transcripts(release) if not only or any(word in one.name for word in only)]
    with LiveServer(URL, timeout=timeout) as server:
        return {verdict.name: verdict for verdict in Verification(server, **options).run(chosen)}


def skipped(verdicts: dict[str, Verdict]) -> dict[str, str]:
    """Those that were skipped, and why; all others have to hold."""
    assert {name: one.differences for name, one in verdicts.items() if one.differences} == {}
    return {name: one.why for name, one in verdicts.items() if one.result == "skipped"}


def history() -> dict[str, Any]:
    entries: dict[str, Any] = httpx.get(f"{URL}/history").json()
    return entries


def submit(count: int = 1) -> list[str]:
    """Queue somebody's own prompts."""
    return [submit_one(number) for number in range(count)]


def submit_one(seed: int) -> str:
    answer = httpx.post(f"{URL}/prompt", json={"prompt": text_to_image(seed=seed)})
    prompt_id: str = answer.json()["prompt_id"]
    return prompt_id


# --- what holds


def test_all_transcripts_hold(stub: comfystub.Stub) -> None:
    verdicts = run(clears=True)
    assert skipped(verdicts) == {}
    assert len(verdicts) == 66
    assert {one.result for one in verdicts.values()} == {"holds"}


def test_without_leave_nothing_is_cleared(stub: comfystub.Stub) -> None:
    assert skipped(run()) == CLEARING
    assert (history(), httpx.get(f"{URL}/queue").json()) == ({}, {"queue_running": [], "queue_pending": []})
    bodies = [
        call.json for call in stub.requests if call.method == "POST" and call.path in ("/queue", "/history")
    ]
    assert bodies
    assert not any("clear" in body for body in bodies if isinstance(body, dict))


def test_a_server_that_has_jobs_files_and_settings_keeps_them(stub: comfystub.Stub) -> None:
    mine = submit(3)
    stub.finish()
    httpx.post(f"{URL}/settings", json={"Comfy.Locale": "fr"})
    files = sorted(stub.output_dir.iterdir())

    in_the_way = dict.fromkeys(LISTING, "there are jobs in the history; --all clears it")
    assert skipped(run()) == CLEARING | in_the_way

    assert list(history()) == mine
    assert httpx.get(f"{URL}/settings").json() == {"Comfy.Locale": "fr"}
    own = [path for path in stub.output_dir.iterdir() if path.name.startswith("comfystub-")]
    assert sorted({*stub.output_dir.iterdir()} - set(own)) == files


def test_with_leave_the_history_is_cleared_for_those_that_need_it_empty(stub: comfystub.Stub) -> None:
    submit(3)
    stub.finish()
    assert skipped(run(*LISTING, *CLEARING, clears=True)) == {}
    assert history() == {}


def test_a_second_run_finds_nothing_of_the_first(stub: comfystub.Stub) -> None:
    for _ in range(2):
        assert skipped(run("save_", "upload", "history_paging", "jobs_listing", "userdata")) == {}


def test_a_checkpoint_of_ones_own() -> None:
    models = {
        "checkpoints": ["a.safetensors", "sd/it's mine.safetensors"],
        "embeddings": ["easy.pt", "bad.pt"],
    }
    with comfystub.patch(URL, models=models, pace=PACE):
        assert skipped(run(checkpoint="sd/it's mine.safetensors", clears=True)) == {}


def test_without_the_checkpoint() -> None:
    with comfystub.patch(URL, models={"checkpoints": ["other.safetensors"]}, pace=PACE):
        why = "no checkpoint v1-5-pruned-emaonly.safetensors; --checkpoint names another"
        assert skipped(run(clears=True)) == dict.fromkeys(LOADING, why)


def test_with_more_checkpoints_than_an_error_lists() -> None:
    models = {"checkpoints": [*CHECKPOINTS, *(f"{number}.safetensors" for number in range(19))]}
    with comfystub.patch(URL, models=models, pace=PACE):
        why = "more than 20 checkpoints, which ComfyUI does not list then"
        assert skipped(run("reject_", "models")) == {"reject_value_not_in_list": why}


def test_without_websocket_client(stub: comfystub.Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websocket", None)
    verdicts = run(clears=True)
    sockets = [one.name for one in transcripts("0.33") if any("ws" in step["do"] for step in one.steps)]
    assert len(sockets) == 15
    assert skipped(verdicts) == dict.fromkeys(sockets, "websocket-client is not installed")


def test_an_older_server_is_compared_with_what_it_was_recorded_to_answer() -> None:
    with comfystub.patch(URL, models=MODELS, pace=PACE, version="0.8"):
        with LiveServer(URL) as server:
            assert Verification(server).release == "0.8"
        verdicts = run(release="0.8", clears=True)
        assert skipped(verdicts) == {}
        assert {"cached_other_prefix_deleted", "cached_without_client", "jobs_cancel"}.isdisjoint(verdicts)
        assert len(verdicts) == 63


def test_how_fast_a_server_is_makes_no_difference() -> None:
    with comfystub.patch(URL, models=MODELS, pace=comfystub.Timed(load=0, step=0.005, node=0)):
        assert skipped(run("ws_interrupt_running")) == {}


def test_messages_of_node_packs_are_left_out(stub: comfystub.Stub) -> None:
    monitor = comfystub.Event("crystools.monitor", {"cpu": 3})
    stub.fail(faults.inject_event(monitor, before="executing"))
    verdicts = run("ws_image_run")
    assert skipped(verdicts) == {}
    assert verdicts["ws_image_run"].strangers == ["crystools.monitor"]


# --- what differs


def told(verdict: Verdict) -> list[tuple[Any, ...]]:
    assert verdict.result == "differs"
    return [tuple(one) for one in verdict.differences]


def test_another_answer(stub: comfystub.Stub) -> None:
    stub.route("GET", "/features")(lambda request: {"assets": True, "supports_preview_metadata": True})
    stub.route("GET", "/embeddings")(lambda request: [])
    verdicts = run("features", "models")
    assert verdicts["models"].result == "holds"
    features = [difference for difference in told(verdicts["features"]) if difference[2] == "/json/assets"]
    assert features == [(1, "GET /features", "/json/assets", False, True)]


def test_another_status(stub: comfystub.Stub) -> None:
    stub.fail("status", code=503, on="/embeddings")
    (status, *others) = told(run("models")["models"])
    assert status == (3, "GET /embeddings", "/status", 200, 503)
    assert {difference[0] for difference in others} == {3}


def test_an_event_that_is_missing_and_one_too_many(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_events("execution_cached"))
    stub.fail(faults.double_events("executed"))
    missing, extra = told(run("ws_image_run")["ws_image_run"])
    assert missing[:3] == (3, "socket A read until idle:p1", "/events/4")
    assert (missing[3]["type"], missing[4]) == ("execution_cached", "<absent>")
    assert (extra[3], extra[4]["type"]) == ("<absent>", "executed")


def test_a_server_without_the_jobs_routes(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_jobs_api())
    verdicts = run("jobs_listing", "queue_idle")
    assert verdicts["queue_idle"].result == "holds"
    assert (7, "GET /api/jobs", "/status", 200, 404) in told(verdicts["jobs_listing"])


def test_a_server_without_a_class(stub: comfystub.Stub) -> None:
    classes = httpx.get(f"{URL}/object_info").json()
    del classes["EmptyImage"]
    with comfystub.patch(URL, models=MODELS, pace=PACE, object_info=classes):
        verdicts = run("save_counter", "unknown_route")
    assert verdicts["unknown_route"].result == "holds"
    differences = told(verdicts["save_counter"])
    assert differences[0][:2] == (1, "POST /prompt")
    # what the first answer should have brought is not there, so that the others are not played
    assert differences[-1] == (
        2,
        "wait for p1",
        "",
        {"wait": "done"},
        "Unplayable: an earlier answer lacked what p1 stands for",
    )


@pytest.mark.parametrize(
    ("name", "difference"),
    [
        ("save_metadata", (2, "wait for p1", "/wait", "TIMEOUT")),
        (
            "ws_batch",
            (3, "socket A read until idle:p1", "", "WebSocketTimeoutException: Connection timed out"),
        ),
    ],
)
def test_a_job_that_hangs_is_told_and_ends_it_all(
    name: str, difference: tuple[Any, ...], stub: comfystub.Stub
) -> None:
    stub.fail(faults.hang(on="EmptyImage"))
    with LiveServer(URL, timeout=0.1) as server:
        running = Verification(server).run(one for one in transcripts("0.33") if one.name == name)
        verdict = next(running)
        assert difference in [(step, do, where, found) for step, do, where, _, found in told(verdict)]
        with pytest.raises(Trouble, match=f"does not end the prompts {stub.jobs[0].id}"):
            next(running)


def test_what_is_left_of_a_transcript_is_stopped_and_forgotten(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_socket(at="progress"))
    verdicts = run("ws_interrupt_running", "ws_hello")
    assert told(verdicts["ws_interrupt_running"])[-1][:3] == (3, "socket A read until type:progress", "")
    assert verdicts["ws_hello"].result == "holds"
    assert [job.status for job in stub.jobs] == ["cancelled"]
    assert history() == {}


def test_an_answer_that_cannot_be_read(stub: comfystub.Stub) -> None:
    stub.fail(faults.malformed_json(on="/features"))
    stub.fail(faults.reset(on="/object_info"))
    verdicts = run("features", "object_info_one")
    assert told(verdicts["features"])[0][4].startswith("JSONDecodeError: ")
    assert told(verdicts["object_info_one"])[0][4].startswith("ReadError")


# --- what cannot be done


def refused(*only: str, **options: Any) -> str:
    with pytest.raises(Trouble) as raised:
        run(*only, **options)
    return str(raised.value)


def test_a_busy_server_is_refused() -> None:
    with comfystub.patch(URL, models=MODELS, pace="manual") as stub:
        submit()
        assert refused("queue_idle") == (
            "http://comfy.test:8188 is busy, and transcripts interrupt jobs: wait until its queue is empty, "
            "or give --force"
        )
        assert [call.method for call in stub.requests[1:]] == ["GET"] * 4
        verdicts = run("queue_idle", "history_unknown", busy=True)
        assert [one.result for one in verdicts.values()] == ["holds", "differs"]
        assert len(stub.jobs) == 1 and stub.jobs[0].status == "pending"


def test_a_server_that_gets_busy_meanwhile(stub: comfystub.Stub) -> None:
    with LiveServer(URL) as server:
        running = Verification(server).run(
            one for one in transcripts("0.33") if one.name in ("features", "free")
        )
        assert next(running).result == "holds"
        submit()
        with pytest.raises(Trouble, match="is busy"):
            next(running)


def test_a_server_that_goes_away_meanwhile(stub: comfystub.Stub) -> None:
    stub.fail(faults.reset(on="/queue", after=3))
    assert refused().startswith("http://comfy.test:8188 broke off GET /queue: ")


def test_a_checkpoint_that_is_not_there(stub: comfystub.Stub) -> None:
    assert refused(checkpoint="mine.safetensors") == (
        "http://comfy.test:8188 has no checkpoint 'mine.safetensors': it has v1-5-pruned-emaonly-fp16.safetensors, "
        "v1-5-pruned-emaonly.safetensors"
    )
    with comfystub.patch(URL, models={"checkpoints": [f"{number}.ckpt" for number in range(7)]}):
        assert refused(checkpoint="mine.safetensors").endswith(
            "it has 0.ckpt, 1.ckpt, 2.ckpt, 3.ckpt, 4.ckpt, …"
        )
    with comfystub.patch(URL, models={}):
        assert refused(checkpoint="mine.safetensors").endswith("it has none")


@pytest.mark.parametrize("answer", [{}, [], {"system": "linux"}])
def test_what_is_no_comfyui(stub: comfystub.Stub, answer: Any) -> None:
    stub.route("GET", "/system_stats")(lambda request: answer)
    assert (
        refused()
        == "http://comfy.test:8188 does not answer GET /system_stats as ComfyUI does: is that its address?"
    )


@pytest.mark.parametrize("answer", [[], {"queue_running": 1}, {"queue_running": [[]]}])
def test_a_queue_that_is_none(stub: comfystub.Stub, answer: Any) -> None:
    stub.route("GET", "/queue")(lambda request: answer)
    assert (
        refused() == "http://comfy.test:8188 does not answer GET /queue as ComfyUI does: is that its address?"
    )


def test_every_transcript_has_a_name_of_its_own_and_says_what_it_is_about() -> None:
    for release in ("0.33", "0.8"):
        found = transcripts(release)
        names: Iterable[str] = [one.name for one in found]
        assert len(set(names)) == len(found)
        assert all(one.about and one.steps for one in found)
        assert verify.LISTS_CHECKPOINTS in names
        json.dumps([one.steps for one in found])
