"""What a client hears that has a WebSocket open: greetings, whole jobs, pictures, nothing."""

from __future__ import annotations

import json

import pytest
from server.support import picture
from workflows import text_to_image

from comfystub import Stub
from contract.clients import Client, NothingCame
from contract.scenarios.telling import (
    Scenarios,
    a,
    frames,
    hear,
    images_of,
    of_type,
    remaining,
    scenario,
    submit,
    the_end_of,
    types,
)

#: What is sent for a job of two nodes, of which the second leaves a picture.
WHOLE_JOB = [
    "status",
    "status",
    "execution_start",
    "execution_cached",
    "progress_state",
    "executing",
    "progress_state",
    "progress_state",
    "executing",
    "executed",
    "progress_state",
    "execution_success",
    "status",
    "executing",
]


class Listening(Scenarios):
    @scenario()
    async def test_the_greeting(self, client: Client, stub: Stub) -> None:
        (named,) = await hear(await client.open("fox"), a("status"))
        status = {"exec_info": {"queue_remaining": 0}}
        assert named == {"type": "status", "data": {"status": status, "sid": "fox"}}
        (unnamed,) = await hear(await client.open(), a("status"))
        sid = unnamed["data"]["sid"]
        assert len(sid) == 32 and int(sid, 16) >= 0

    @scenario()
    async def test_listen_to_the_end_and_download(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        prompt_id = await submit(client, text_to_image(), "me")
        heard = await hear(listener, the_end_of(prompt_id))
        (executed,) = of_type("executed", heard)
        (image,) = await images_of(client, prompt_id)
        (output,) = stub.jobs[0].outputs
        assert (executed["node"], executed["output"]["images"][0]["filename"]) == ("9", output.filename)
        assert image == output.path.read_bytes()
        assert [call.path for call in stub.requests] == ["/ws", "/prompt", f"/history/{prompt_id}", "/view"]

    @scenario()
    async def test_all_is_heard_in_order(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        (greeting,) = await hear(listener, a("status"))
        assert greeting["data"]["sid"] == "me"
        heard = await hear(listener, the_end_of(await submit(client, picture(), "me")))
        assert types(heard) == WHOLE_JOB
        assert remaining(heard) == [1, 1, 0]

    @scenario()
    async def test_every_message_is_the_servers(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        prompt_id = await submit(client, text_to_image(steps=3), "me")
        heard = await hear(listener, the_end_of(prompt_id))
        said = [event.frame for event in stub.jobs[0].events]
        assert [message for message in heard if not a("status")(message)] == [
            frame if isinstance(frame, bytes) else json.loads(frame) for frame in said
        ]
        assert len(frames(heard)) == 3

    @scenario()
    async def test_connect_after_the_submission(self, client: Client, stub: Stub) -> None:
        prompt_id = await submit(client, picture(), "me")
        listener = await client.open("me")
        heard = await hear(listener, the_end_of(prompt_id))
        # The greeting takes the place of the first status.
        assert types(heard) == WHOLE_JOB
        assert remaining(heard) == [1, 1, 0]

    @scenario()
    async def test_three_prompts_over_one_socket(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        await hear(listener, a("status"))
        for color in range(3):
            prompt_id = await submit(client, picture(color), "me")
            heard = await hear(listener, the_end_of(prompt_id))
            assert types(heard) == WHOLE_JOB
            assert of_type("execution_success", heard)[0]["prompt_id"] == prompt_id

    @scenario()
    async def test_three_prompts_that_wait(self, client: Client, stub: Stub) -> None:
        ids = [await submit(client, picture(color), "me") for color in range(3)]
        listener = await client.open("me")
        heard = await hear(listener, the_end_of(ids[-1]))
        assert [data["prompt_id"] for data in of_type("execution_success", heard)] == ids
        assert remaining(heard) == [3, 3, 2, 2, 1, 1, 0]

    @scenario()
    async def test_two_listeners(self, client: Client, stub: Stub) -> None:
        names = ("one", "two")
        listeners = [await client.open(name) for name in names]
        for listener in listeners:
            await hear(listener, a("status"))
        ids = [await submit(client, picture(color), name) for color, name in enumerate(names)]
        statuses = []
        for listener, prompt_id in zip(listeners, ids):
            heard = await hear(listener, the_end_of(prompt_id))
            while len(remaining(heard)) < 6:
                heard += await hear(listener, a("status"))
            assert {data["prompt_id"] for data in of_type("executing", heard)} == {prompt_id}
            statuses.append(remaining(heard))
        assert statuses[0] == statuses[1]
        assert statuses[0][-1] == 0

    @scenario()
    async def test_nothing_is_heard_in_time(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        await hear(listener, a("status"))
        for color in range(2):
            with pytest.raises(NothingCame):
                await listener.receive(0.05)
            prompt_id = await submit(client, picture(color), "me")
            assert types(await hear(listener, the_end_of(prompt_id))) == WHOLE_JOB

    @scenario()
    async def test_listen_while_another_submits(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        await hear(listener, a("status"))

        async def other() -> str:
            await client.pause()
            return await submit(client, picture(), "me")

        heard, prompt_id = await client.together(lambda: hear(listener, the_end_of()), other)
        assert types(heard) == WHOLE_JOB
        assert of_type("execution_start", heard)[0]["prompt_id"] == prompt_id

    @scenario(pace="manual")
    async def test_listen_while_another_moves_the_job(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        await hear(listener, a("status"))
        await submit(client, picture(), "me")

        async def other() -> None:
            await client.pause()
            while stub.step():
                await client.pause()

        heard, _ = await client.together(lambda: hear(listener, the_end_of()), other)
        assert types(heard) == WHOLE_JOB

    @scenario()
    async def test_both_listen_at_the_same_time(self, client: Client, stub: Stub) -> None:
        names = ("one", "two")
        listeners = [await client.open(name) for name in names]
        ids = [await submit(client, picture(color), name) for color, name in enumerate(names)]
        both = await client.together(
            lambda: hear(listeners[0], the_end_of(ids[0])), lambda: hear(listeners[1], the_end_of(ids[1]))
        )
        for heard, prompt_id in zip(both, ids):
            assert [data["prompt_id"] for data in of_type("execution_success", heard)] == [prompt_id]
            assert [kind for kind in types(heard) if kind != "status"] == [
                kind for kind in WHOLE_JOB if kind != "status"
            ]

    @scenario()
    async def test_the_newer_socket_takes_an_id_over(self, client: Client, stub: Stub) -> None:
        older = await client.open("me")
        await hear(older, a("status"))
        newer = await client.open("me")
        await hear(newer, a("status"))
        prompt_id = await submit(client, picture(), "me")
        assert types(await hear(newer, the_end_of(prompt_id))) == WHOLE_JOB
        with pytest.raises(NothingCame):
            await older.receive(0.05)

    @scenario()
    async def test_an_id_is_dropped_with_its_older_socket(self, client: Client, stub: Stub) -> None:
        older = await client.open("me")
        newer = await client.open("me")
        await hear(newer, a("status"))
        await older.close()
        prompt_id = await submit(client, picture(), "me")
        with pytest.raises(NothingCame):
            await newer.receive(0.05)
        assert len(await images_of(client, prompt_id)) == 1
        with pytest.raises(NothingCame):
            await newer.receive(0.05)

    @scenario()
    async def test_close_and_come_back(self, client: Client, stub: Stub) -> None:
        first = await client.open("me")
        await hear(first, a("status"))
        await first.close()
        second = await client.open("me")
        await hear(second, a("status"))
        prompt_id = await submit(client, picture(), "me")
        assert types(await hear(second, the_end_of(prompt_id))) == WHOLE_JOB

    @scenario()
    async def test_a_socket_is_opened_at_no_other_path(self, client: Client, stub: Stub) -> None:
        with pytest.raises(client.not_upgraded):
            await client.open("me", path="/nowhere")
        assert types(await hear(await client.open("me", path="/api/ws"), a("status"))) == ["status"]
