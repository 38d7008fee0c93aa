"""How a job can end that does not go well, and pictures on the way."""

from __future__ import annotations

import json

from server.support import node, opened, picture
from workflows import text_to_image

from comfystub import Stub
from contract.clients import Client
from contract.scenarios.telling import (
    Scenarios,
    a,
    entry_of,
    frames,
    hear,
    images_of,
    numbers,
    of_type,
    scenario,
    submit,
    the_end_of,
    types,
)

#: So many steps that no client reads ahead to the end of them.
MANY = 2000


class Runs(Scenarios):
    @scenario()
    async def test_a_node_fails(self, client: Client, stub: Stub) -> None:
        await client.request("POST", "/upload/image", files={"image": ("broken.png", b"no picture")})
        listener = await client.open("me")
        graph = {"1": node("LoadImage", image="broken.png"), "9": picture()["9"]}
        prompt_id = await submit(client, graph, "me")
        heard = await hear(listener, the_end_of(prompt_id))
        assert types(heard)[-3:] == ["execution_error", "status", "executing"]
        (error,) = of_type("execution_error", heard)
        assert (error["prompt_id"], error["node_id"], error["node_type"]) == (prompt_id, "1", "LoadImage")
        assert error["exception_message"] and error["exception_type"] and error["traceback"]
        status = (await entry_of(client, prompt_id))["status"]
        assert (status["status_str"], status["completed"]) == ("error", False)
        assert ["execution_error", error] in status["messages"]

    @scenario()
    async def test_a_running_job_is_interrupted(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        prompt_id = await submit(client, text_to_image(steps=MANY), "me")
        await hear(listener, a("progress"))
        assert (await client.request("POST", "/interrupt")).status == 200
        heard = await hear(listener, the_end_of(prompt_id))
        assert types(heard)[-3:] == ["execution_interrupted", "status", "executing"]
        (interrupted,) = of_type("execution_interrupted", heard)
        assert (interrupted["node_id"], interrupted["node_type"]) == ("3", "KSampler")
        assert not of_type("executed", heard)
        status = (await entry_of(client, prompt_id))["status"]
        assert (status["status_str"], status["messages"][-1][0]) == ("error", "execution_interrupted")
        assert stub.jobs[0].status == "cancelled"

    @scenario(pace="manual")
    async def test_only_the_job_that_is_meant_is_interrupted(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        one, two = [await submit(client, text_to_image(seed=seed), "me") for seed in range(2)]
        stub.run_until("progress")
        await hear(listener, a("progress"))
        for other in (two, "00000000-0000-4000-8000-000000000000"):
            answer = await client.request("POST", "/interrupt", json={"prompt_id": other})
            assert answer.status == 200
        stub.run_until(lambda event: event.type == "executing" and event.data["node"] is None)
        assert of_type("execution_success", await hear(listener, the_end_of(one)))
        stub.run_until("progress")
        await client.request("POST", "/interrupt", json={"prompt_id": two})
        stub.finish()
        assert of_type("execution_interrupted", await hear(listener, the_end_of(two)))

    @scenario()
    async def test_previews(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me")
        heard = await hear(listener, the_end_of(await submit(client, text_to_image(steps=2), "me")))
        previews = frames(heard)
        assert [numbers(frame) for frame in previews] == [(1, 1)] * 2
        for frame in previews:
            image = opened(frame[8:])
            assert (image.format, image.size) == ("JPEG", (512, 512))
        first = next(place for place, message in enumerate(heard) if isinstance(message, bytes))
        assert types(heard[first - 2 : first + 1]) == ["progress_state", "progress", "binary"]

    @scenario()
    async def test_previews_with_metadata(self, client: Client, stub: Stub) -> None:
        listener = await client.open("me", features=True)
        flags = (await hear(listener, a("feature_flags")))[-1]
        assert flags["data"] == (await client.request("GET", "/features")).json()
        prompt_id = await submit(client, text_to_image(steps=2), "me")
        heard = await hear(listener, the_end_of(prompt_id))
        assert len(frames(heard)) == 2
        for frame in frames(heard):
            kind, size = numbers(frame)
            assert kind == 4
            metadata = json.loads(frame[8 : 8 + size])
            assert (metadata["node_id"], metadata["prompt_id"]) == ("3", prompt_id)
            assert metadata["image_type"] == "image/jpeg"
            assert opened(frame[8 + size :]).size == (512, 512)

    @scenario()
    async def test_pictures_come_over_the_socket(self, client: Client, stub: Stub) -> None:
        saved = await images_of(client, await submit(client, text_to_image(batch_size=2)))
        graph = text_to_image(batch_size=2)
        graph["9"] = node("SaveImageWebsocket", images=["8", 0])
        listener = await client.open("me")
        prompt_id = await submit(client, graph, "me")
        heard = await hear(listener, the_end_of(prompt_id))
        pictures = [opened(frame[8:]) for frame in frames(heard) if numbers(frame) == (1, 2)]
        assert [image.format for image in pictures] == ["PNG", "PNG"]
        assert [image.tobytes() for image in pictures] == [opened(content).tobytes() for content in saved]
        assert pictures[0].tobytes() != pictures[1].tobytes()
