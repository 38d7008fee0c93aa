"""Clients that were there before the stub, and those that are still there after it."""

from __future__ import annotations

import pytest
from server.support import picture
from workflows import text_to_image

import comfystub
from contract.clients import Client, Closed
from contract.scenarios.telling import (
    Scenarios,
    a,
    hear,
    images_of,
    scenario_without_stub,
    submit,
    the_end_of,
)


async def whole_job(client: Client, stub: comfystub.Stub, client_id: str = "me") -> None:
    """Submit, listen, download: everything that an application does."""
    listener = await client.open(client_id)
    prompt_id = await submit(client, picture(), client_id)
    await hear(listener, the_end_of(prompt_id))
    (image,) = await images_of(client, prompt_id)
    assert image == stub.jobs[-1].outputs[0].path.read_bytes()
    await listener.close()


def needs_to_notice(client: Client) -> None:
    if not client.notices_the_end:
        pytest.skip("this release does not notice the end of a connection")


class Ends(Scenarios):
    @scenario_without_stub
    async def test_a_client_that_was_made_before(self, client: Client) -> None:
        with comfystub.patch(client.url, unmatched="error") as stub:
            await whole_job(client, stub)

    @scenario_without_stub
    async def test_a_client_that_outlives_its_server(self, client: Client) -> None:
        for _ in range(2):
            with comfystub.patch(client.url, unmatched="error") as stub:
                await whole_job(client, stub)
                assert len(stub.jobs) == 1
            await client.pause()  # in which a loop learns that its connections are gone

    @scenario_without_stub
    async def test_a_server_that_comes_back(self, client: Client) -> None:
        stub = comfystub.Stub(client.url)
        for round in (1, 2):
            with comfystub.patch(stub=stub, unmatched="error"):
                await whole_job(client, stub)
                assert len(stub.jobs) == round
            await client.pause()

    @scenario_without_stub
    async def test_the_end_is_heard_afterwards(self, client: Client) -> None:
        needs_to_notice(client)
        with comfystub.patch(client.url, unmatched="error"):
            listener = await client.open("me")
            await hear(listener, a("status"))
        with pytest.raises(Closed):
            await listener.receive()

    @scenario_without_stub
    async def test_what_was_said_before_the_end_is_heard(self, client: Client) -> None:
        needs_to_notice(client)
        with comfystub.patch(client.url, pace="manual", unmatched="error") as stub:
            listener = await client.open("me")
            prompt_id = await submit(client, picture(), "me")
            stub.finish()
        assert len(await hear(listener, the_end_of(prompt_id))) == 15
        with pytest.raises(Closed):
            await listener.receive()

    @scenario_without_stub
    async def test_the_end_is_heard_by_one_who_waits(self, client: Client) -> None:
        needs_to_notice(client)
        patch = comfystub.patch(client.url, unmatched="error")
        patch.__enter__()
        listener = await client.open("me")
        await hear(listener, a("status"))

        async def wait() -> bool:
            with pytest.raises(Closed):
                await listener.receive()
            return True

        async def leave() -> None:
            await client.pause()
            patch.__exit__(None, None, None)

        assert (await client.together(wait, leave))[0]

    @scenario_without_stub
    async def test_the_end_in_the_middle_of_a_job(self, client: Client) -> None:
        needs_to_notice(client)
        with comfystub.patch(client.url, unmatched="error"):
            listener = await client.open("me")
            prompt_id = await submit(client, text_to_image(steps=2000), "me")
            await hear(listener, a("progress"))
        with pytest.raises(Closed):
            await hear(listener, the_end_of(prompt_id))
