"""How a scenario becomes a test, and what scenarios have in common."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest
from workflows import Graph

import comfystub
from contract.clients import PATIENCE, Client, Listener

#: A text message's JSON, or a binary frame.
Message = dict[str, Any] | bytes
Tell = Callable[..., Coroutine[Any, Any, None]]
Test = Callable[["Scenarios", str], None]


class Scenarios:
    """Tests that are played with one client library, each over ``http`` and over ``https``."""

    client: type[Client]

    @pytest.fixture(params=["http", "https"])
    def url(self, request: pytest.FixtureRequest) -> str:
        return f"{request.param}://comfy.test:8188"


def scenario(**options: Any) -> Callable[[Tell], Test]:
    """A scenario that is given a client and the stub it talks to, made with the options of ``patch()``."""

    def decorate(tell: Tell) -> Test:
        async def with_stub(self: Scenarios, client: Client) -> None:
            with comfystub.patch(client.url, unmatched="error", **options) as stub:
                await tell(self, client, stub)
                # While the server is there to be told goodbye.
                await client.leave()

        return _test(with_stub, tell)

    return decorate


def scenario_without_stub(tell: Tell) -> Test:
    """A scenario that is given a client alone, which was made before there was any stub."""
    return _test(tell, tell)


def _test(play: Tell, tell: Tell) -> Test:
    def test(self: Scenarios, url: str) -> None:
        async def whole() -> None:
            async with self.client(url) as client:
                await play(self, client)

        self.client.play(whole)

    test.__name__, test.__qualname__, test.__doc__ = tell.__name__, tell.__qualname__, tell.__doc__
    return test


# --- listening


async def hear(
    listener: Listener, is_last: Callable[[Message], bool], timeout: float = PATIENCE
) -> list[Message]:
    """All messages up to one, with that one; ``timeout`` is that of each."""
    heard: list[Message] = []
    while not heard or not is_last(heard[-1]):
        received = await listener.receive(timeout)
        heard.append(json.loads(received) if isinstance(received, str) else received)
    return heard


def a(kind: str) -> Callable[[Message], bool]:
    """Whether a message is of a type."""
    return lambda message: isinstance(message, dict) and message["type"] == kind


def the_end_of(prompt_id: str | None = None) -> Callable[[Message], bool]:
    """Whether a message says that nothing runs any more of a prompt, or of any."""

    def is_end(message: Message) -> bool:
        if not isinstance(message, dict) or message["type"] != "executing" or message["data"]["node"]:
            return False
        return prompt_id in (None, message["data"]["prompt_id"])

    return is_end


def types(messages: Iterable[Message]) -> list[str]:
    return [message["type"] if isinstance(message, dict) else "binary" for message in messages]


def of_type(kind: str, messages: Iterable[Message]) -> list[Any]:
    """The data of the messages of a type."""
    return [message["data"] for message in messages if isinstance(message, dict) and message["type"] == kind]


def remaining(messages: Iterable[Message]) -> list[int]:
    """How long the queue is, as the ``status`` messages say."""
    return [data["status"]["exec_info"]["queue_remaining"] for data in of_type("status", messages)]


def frames(messages: Iterable[Message]) -> list[bytes]:
    return [message for message in messages if isinstance(message, bytes)]


def numbers(frame: bytes) -> tuple[int, int]:
    """The two numbers at the head of a binary frame."""
    return int.from_bytes(frame[:4], "big"), int.from_bytes(frame[4:8], "big")


# --- calling


async def submit(client: Client, graph: Graph, client_id: str | None = None) -> str:
    """Post a prompt that is accepted; its id."""
    body = {"prompt": graph} | ({"client_id": client_id} if client_id else {})
    answer = await client.request("POST", "/prompt", json=body)
    assert answer.status == 200, answer
    prompt_id: str = answer.json()["prompt_id"]
    return prompt_id


async def entry_of(client: Client, prompt_id: str) -> dict[str, Any]:
    """What history says of a prompt that is over."""
    answer = await client.request("GET", f"/history/{prompt_id}")
    assert answer.status == 200, answer
    entry: dict[str, Any] = answer.json()[prompt_id]
    return entry


async def images_of(client: Client, prompt_id: str, node_id: str = "9") -> list[bytes]:
    """The pictures that a prompt left, downloaded one after the other."""
    entry = await entry_of(client, prompt_id)
    assert entry["status"]["status_str"] == "success", entry["status"]
    return [await view(client, image) for image in entry["outputs"][node_id]["images"]]


async def view(client: Client, image: dict[str, str]) -> bytes:
    answer = await client.request("GET", "/view", params=image)
    assert answer.status == 200 and answer.type == "image/png", answer
    return answer.body
