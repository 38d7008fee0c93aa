"""Where the server lies: more than one, below a path, on the machine itself; and who else is called."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import network
import pytest
from server.support import picture

import comfystub
from contract.clients import Client
from contract.scenarios.telling import (
    Scenarios,
    a,
    hear,
    images_of,
    of_type,
    scenario,
    scenario_without_stub,
    submit,
    the_end_of,
)


def named(name: str, url: str) -> Any:
    """A server that can be told from others by the models it has."""
    return comfystub.patch(url, models={"checkpoints": [name]}, unmatched="error")


async def who(client: Client) -> list[str]:
    """The models of the server that answers."""
    models: list[str] = (await client.request("GET", "/models/checkpoints")).json()
    return models


class Places(Scenarios):
    @scenario_without_stub
    async def test_two_servers(self, client: Client) -> None:
        here, there = client.url, client.url.replace("8188", "8189")
        with named("here", here) as one, named("there", there) as two:
            listeners = {}
            for url, name in ((here, "here"), (there, "there"), (here, "here")):
                client.url = url
                assert await who(client) == [name]
                listeners[url] = await client.open("me")
                await hear(listeners[url], a("status"))
            client.url = there
            prompt_id = await submit(client, picture(), "me")
            heard = await hear(listeners[there], the_end_of())
            assert of_type("execution_success", heard)[0]["prompt_id"] == prompt_id
            assert (len(one.jobs), len(two.jobs)) == (0, 1)
            client.url = here
            prompt_id = await submit(client, picture(), "me")
            heard = await hear(listeners[here], the_end_of())
            assert of_type("execution_success", heard)[0]["prompt_id"] == prompt_id
            await client.leave()

    @scenario_without_stub
    async def test_two_hosts(self, client: Client) -> None:
        here, there = client.url, client.url.replace("comfy.test", "other.test")
        with named("here", here), named("there", there):
            for url, name in ((here, "here"), (there, "there")):
                client.url = url
                assert await who(client) == [name]

    @scenario_without_stub
    async def test_the_innermost_of_two_at_one_address(self, client: Client) -> None:
        with named("outer", client.url):
            assert await who(client) == ["outer"]
            outer = await client.open("me")
            await hear(outer, a("status"))
            with named("inner", client.url):
                assert await who(client) == ["inner"]
                inner = await client.open("me")
                await hear(inner, the_end_of(await submit(client, picture(), "me")))
                await inner.close()
            assert await who(client) == ["outer"]
            # It stayed where it was.
            await hear(outer, the_end_of(await submit(client, picture(), "me")))
            await client.leave()

    @scenario_without_stub
    async def test_below_a_path(self, client: Client) -> None:
        root = client.url
        client.url = f"{root}/comfy"
        with comfystub.patch(client.url, unmatched="error") as stub:
            listener = await client.open("me")
            prompt_id = await submit(client, picture(), "me")
            await hear(listener, the_end_of(prompt_id))
            (image,) = await images_of(client, prompt_id)
            assert image == stub.jobs[0].outputs[0].path.read_bytes()
            client.url = root
            assert (await client.request("GET", "/queue")).status == 404
            with pytest.raises(client.not_upgraded):
                await client.open("me")
            await client.leave()

    async def _is_here(self, client: Client, host: str) -> None:
        client.url = f"{urlsplit(client.url).scheme}://{host}:8188"
        with comfystub.patch(unmatched="error") as stub:
            assert (await client.request("GET", "/system_stats")).status == 200
            listener = await client.open("me")
            await hear(listener, the_end_of(await submit(client, picture(), "me")))
            assert len(stub.outputs) == 1
            await client.leave()

    @scenario_without_stub
    async def test_an_address(self, client: Client) -> None:
        await self._is_here(client, "127.0.0.1")

    @scenario_without_stub
    async def test_an_address_of_ipv6(self, client: Client) -> None:
        await self._is_here(client, "[::1]")

    @scenario_without_stub
    async def test_localhost(self, client: Client) -> None:
        await self._is_here(client, "localhost")

    @scenario()
    async def test_nobody_else_is_reached(self, client: Client, stub: comfystub.Stub) -> None:
        here, client.url = client.url, f"{urlsplit(client.url).scheme}://elsewhere.test:9"
        with pytest.raises(client.unreachable):
            await client.request("GET", "/queue")
        with pytest.raises(client.ws_unreachable):
            await client.open("me")
        client.url = here
        assert (await client.request("GET", "/queue")).status == 200
        assert [call.path for call in stub.requests] == ["/queue"]

    @scenario_without_stub
    async def test_others_are_reached_where_that_is_allowed(self, client: Client) -> None:
        with network.echo_server() as echo, comfystub.patch(client.url) as stub:
            here, client.url = client.url, echo
            answer = await client.request("POST", "/there", body=b"hello")
            assert (answer.status, answer.body) == (200, b"POST /there hello")
            client.url = here
            assert (await client.request("GET", "/queue")).status == 200
            assert len(stub.requests) == 1
