"""What goes wrong, and how each library sees it: connections, calls, answers and sockets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from server.support import picture
from workflows import text_to_image

from comfystub import Stub, faults
from comfystub.engine.events import Event
from contract.clients import MOMENT, Client, Closed, Listener, NothingCame
from contract.scenarios.calls import EMPTY_QUEUE
from contract.scenarios.ends import needs_to_notice, whole_job
from contract.scenarios.telling import (
    Message,
    Scenarios,
    a,
    entry_of,
    hear,
    of_type,
    scenario,
    submit,
    the_end_of,
    types,
)


@contextlib.contextmanager
def raised(kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """A block that raises one of these very types; with none of them, it raises nothing."""
    if not kinds:
        yield
        return
    with pytest.raises(kinds) as caught:
        yield
    assert caught.type in kinds, repr(caught.value)


async def post(client: Client, path: str = "/prompt") -> Any:
    """A call that no library repeats of its own accord."""
    return await client.request("POST", path, json={"prompt": picture(), "client_id": "me"})


class BrokenCalls(Scenarios):
    """Calls that do not get through, and answers that do not arrive."""

    @scenario()
    async def test_refused_and_then_up(self, client: Client, stub: Stub) -> None:
        fault = stub.fail(faults.refused(times=client.tries))
        with pytest.raises(client.unreachable):
            await client.request("GET", "/queue")
        assert (await client.request("GET", "/queue")).json() == EMPTY_QUEUE
        assert fault.hits == client.tries
        assert [call.fault for call in stub.requests] == [None]

    @scenario()
    async def test_a_websocket_is_refused_and_then_opened(self, client: Client, stub: Stub) -> None:
        stub.fail("refused", times=1)
        with pytest.raises(client.ws_unreachable):
            await client.open("me")
        await whole_job(client, stub)

    @scenario()
    async def test_a_server_that_goes_away_between_two_calls(self, client: Client, stub: Stub) -> None:
        await client.request("GET", "/queue")
        fault = stub.fail(faults.refused())
        await client.pause()
        with pytest.raises(client.unreachable):
            await client.request("GET", "/queue")
        fault.lift()
        assert (await client.request("GET", "/queue")).json() == EMPTY_QUEUE

    @scenario()
    async def test_the_connection_is_reset(self, client: Client, stub: Stub) -> None:
        fault = stub.fail(faults.reset(times=1))
        with raised(client.failures.reset):
            await post(client)
        assert stub.jobs == []
        assert [(call.status, call.fault) for call in stub.requests] == [(0, fault)]
        await whole_job(client, stub)

    @scenario()
    async def test_no_answer(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.no_answer(on="POST /prompt", times=1))
        client.patience = 0.05
        with raised(client.failures.times_out):
            await post(client)
        assert stub.jobs == []
        client.patience = 30
        await whole_job(client, stub)

    @scenario(clock="virtual")
    async def test_no_answer_in_virtual_time(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.no_answer(times=1))
        client.patience = 25
        with raised(client.failures.times_out):
            await post(client)
        assert stub.clock.elapsed == 25

    @scenario()
    async def test_the_answer_is_lost(self, client: Client, stub: Stub) -> None:
        for ends, failure in (("resets", client.failures.reset), ("closes", client.failures.hung_up)):
            stub.fail(faults.lost_answer(ends, on="/prompt", times=1))
            with raised(failure):
                await post(client)
        assert [job.state for job in stub.jobs] == ["pending", "pending"]
        assert (await client.request("GET", "/queue")).json() == EMPTY_QUEUE
        assert [job.state for job in stub.jobs] == ["completed", "completed"]

    @scenario(clock="virtual")
    async def test_the_answer_is_lost_without_a_sign(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.lost_answer("", on="/prompt"))
        client.patience = 7
        with raised(client.failures.times_out):
            await post(client)
        assert len(stub.jobs) == 1
        assert stub.clock.elapsed == 7

    @scenario(clock="virtual")
    async def test_a_slow_answer(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.slow(5, on="/prompt"))
        assert (await post(client)).status == 200
        assert stub.clock.elapsed == 5
        client.patience = 3
        with raised(client.failures.times_out):
            await post(client)
        assert stub.clock.elapsed == 8
        assert len(stub.jobs) == 2

    @scenario()
    async def test_another_answers(self, client: Client, stub: Stub) -> None:
        for fault, status, text, headers in (
            (faults.status(418, "short", {"X-Who": "me"}), 418, "short", {"x-who": "me"}),
            (
                faults.bad_gateway(),
                502,
                "<h1>502 Bad Gateway</h1>",
                {"content-type": "text/html; charset=utf-8"},
            ),
            (faults.unavailable(retry_after=7), 503, "Service Unavailable", {"retry-after": "7"}),
            (faults.too_many_requests(), 429, "Too Many Requests", {}),
            (faults.too_large(), 413, "Maximum request body size 104857600 exceeded.", {}),
            (
                faults.login("me", "secret"),
                401,
                "Unauthorized",
                {"www-authenticate": 'Basic realm="ComfyUI"'},
            ),
            (faults.foreign_origin(), 403, "", {}),
        ):
            stub.fail(fault)
            answer = await post(client)
            stub.faults.remove(fault)
            assert answer.status == status and text in answer.text, answer
            assert answer.headers.items() >= headers.items()
            assert stub.requests[-1].fault is fault
        assert stub.jobs == []
        assert (await post(client)).status == 200

    @scenario()
    async def test_a_page_in_the_place_of_json(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.html(times=1))
        answer = await client.request("GET", "/queue")
        assert (answer.status, answer.type) == (200, "text/html; charset=utf-8")
        assert answer.text.startswith("<!DOCTYPE html>")
        assert (await client.request("GET", "/queue")).json() == EMPTY_QUEUE

    @scenario()
    async def test_json_that_ends_in_the_middle(self, client: Client, stub: Stub) -> None:
        whole = await client.request("GET", "/queue")
        stub.fail(faults.malformed_json(times=1))
        answer = await client.request("GET", "/queue")
        assert answer.body == whole.body[: len(whole.body) // 2]
        assert answer.headers["content-length"] == str(len(answer.body))
        with pytest.raises(ValueError):
            answer.json()

    @scenario()
    async def test_a_body_breaks_off(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.cut_body(4, times=1))
        with raised(client.failures.cut):
            answer = await post(client)
            assert answer.body == b'{"pr'
        assert len(stub.jobs) == 1
        await whole_job_after(client, stub)

    @scenario()
    async def test_a_length_that_is_too_large(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.wrong_length(10, times=1))
        with raised(client.failures.cut):
            answer = await post(client)
            assert int(answer.headers["content-length"]) == len(answer.body) + 10
        await whole_job_after(client, stub)

    @scenario()
    async def test_a_length_that_is_too_small(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.wrong_length(-10, times=1))
        with raised(client.failures.left_over):
            answer = await post(client)
            assert len(answer.body) == int(answer.headers["content-length"])
            assert answer.body.startswith(b'{"prompt_id": ') and not answer.body.endswith(b"}")
        await whole_job_after(client, stub)

    @scenario()
    async def test_a_handshake_is_answered_by_a_proxy(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.login("me", "secret", on="/ws", times=1))
        with pytest.raises(client.not_upgraded):
            await client.open("me")
        assert stub.sockets == []
        await whole_job(client, stub)


async def whole_job_after(client: Client, stub: Stub) -> None:
    """After a broken call everything works as before."""
    stub.reset()
    await client.pause()
    await whole_job(client, stub)


async def told(client: Client, stub: Stub, **job: Any) -> tuple[Listener, list[Message]]:
    """Run a job, and listen from its submission to its end."""
    listener = await client.open("me")
    await hear(listener, a("status"))
    prompt_id = await submit(client, text_to_image(**job), "me")
    return listener, await hear(listener, the_end_of(prompt_id))


def without_frames(messages: list[Message]) -> list[str]:
    return [kind for kind in types(messages) if kind != "binary"]


async def end_of(listener: Listener) -> tuple[list[str], Closed]:
    """The types of what is heard up to the end of the connection, and that."""
    heard: list[Message] = []
    with pytest.raises(Closed) as caught:
        while True:
            heard += await hear(listener, lambda message: True)
    return types(heard), caught.value


class BrokenSockets(Scenarios):
    """WebSockets that end, stall, or bring other messages than the server sent."""

    @scenario()
    async def test_a_socket_is_dropped(self, client: Client, stub: Stub) -> None:
        needs_to_notice(client)
        for resets in (False, True):
            stub.fail(faults.drop_socket("progress", resets=resets))
            listener = await client.open("me")
            prompt_id = await submit(client, text_to_image(seed=resets), "me")
            heard, closed = await end_of(listener)
            assert "progress_state" in heard and "progress" not in heard
            assert closed.code in (None, 1006)
            assert stub.sockets[-1].close_code is None
            entry = await entry_of(client, prompt_id)
            assert entry["status"]["status_str"] == "success"
        await whole_job(client, stub)

    @scenario()
    async def test_a_socket_is_closed_with_a_code(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.close_socket("executing", 1012, "service restart"))
        listener = await client.open("me")
        prompt_id = await submit(client, text_to_image(), "me")
        heard, closed = await end_of(listener)
        assert heard[-1] != "executing" and "execution_start" in heard
        assert closed.code == (1012 if listener.tells_the_code else None)
        assert stub.sockets[0].close_code == 1012
        assert (await entry_of(client, prompt_id))["status"]["completed"]
        await whole_job(client, stub)

    @scenario(pace="manual")
    async def test_a_socket_stalls_and_goes_on(self, client: Client, stub: Stub) -> None:
        fault = stub.fail(faults.stall_socket("progress"))
        listener = await client.open("me")
        prompt_id = await submit(client, text_to_image(), "me")
        stub.finish()
        before = await hear(listener, a("progress_state"))
        with pytest.raises(NothingCame):
            while True:
                before += await hear(listener, lambda message: True, MOMENT)
        assert "progress" not in types(before)
        fault.lift()
        after = await hear(listener, the_end_of(prompt_id))
        assert [data["value"] for data in of_type("progress", after)] == [1, 2]
        assert [job.state for job in stub.jobs] == ["completed"]

    @scenario()
    async def test_messages_are_dropped(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.drop_events("progress"))
        stub.fail(faults.drop_events("executed"))
        _, heard = await told(client, stub)
        assert "progress" not in types(heard) and "executed" not in types(heard)
        assert stub.sockets[0].sent["progress"] == 0

    @scenario()
    async def test_messages_come_twice(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.double_events("progress"))
        _, heard = await told(client, stub, steps=3)
        assert [data["value"] for data in of_type("progress", heard)] == [1, 1, 2, 2, 3, 3]

    @scenario()
    async def test_messages_change_places(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.swap_events("execution_start"))
        _, heard = await told(client, stub)
        kinds = without_frames(heard)
        assert kinds[kinds.index("execution_start") - 1] == "execution_cached"

    @scenario()
    async def test_a_message_comes_late(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.delay_events("execution_start", events=3))
        _, heard = await told(client, stub)
        kinds = types(heard)
        assert kinds.index("execution_start") == kinds.index("execution_cached") + 3

    @scenario(clock="virtual", pace="manual")
    async def test_a_message_comes_seconds_later(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.delay_events("executed", seconds=60))
        listener = await client.open("me")
        prompt_id = await submit(client, picture(), "me")
        stub.finish()
        heard = await hear(listener, the_end_of(prompt_id))
        assert "executed" not in types(heard)
        stub.clock.advance(60)
        assert types(await hear(listener, a("executed"))) == ["executed"]

    @scenario()
    async def test_a_message_of_somebody_elses(self, client: Client, stub: Stub) -> None:
        stub.fail(faults.inject_event(Event("crystools.monitor", {"cpu": 7}), on="execution_start"))
        stub.fail(faults.inject_event(b"\0\0\0\x07odd", before="execution_success"))
        _, heard = await told(client, stub)
        kinds = types(heard)
        assert kinds[kinds.index("execution_start") + 1] == "crystools.monitor"
        assert of_type("crystools.monitor", heard) == [{"cpu": 7}]
        assert heard[kinds.index("execution_success") - 1] == b"\0\0\0\x07odd"

    @scenario()
    async def test_a_restart_in_the_middle_of_a_job(self, client: Client, stub: Stub) -> None:
        needs_to_notice(client)
        stub.fail(faults.restart("progress"))
        listener = await client.open("me")
        prompt_id = await submit(client, text_to_image(), "me")
        heard, _ = await end_of(listener)
        assert "execution_start" in heard and "progress" not in heard
        await client.pause()
        assert (await client.request("GET", f"/history/{prompt_id}")).json() == {}
        assert [job.state for job in stub.jobs] == ["lost"]
        await whole_job(client, stub)

    @scenario()
    async def test_a_server_that_takes_its_time_to_restart(self, client: Client, stub: Stub) -> None:
        needs_to_notice(client)
        listener = await client.open("me")
        await hear(listener, a("status"))
        stub.restart(refuses=client.tries)
        with pytest.raises(Closed):
            await listener.receive()
        await client.pause()
        with pytest.raises(client.unreachable):
            await client.request("GET", "/queue")
        await whole_job(client, stub)


class Faults(BrokenCalls, BrokenSockets):
    """All that goes wrong."""
