"""Calls over HTTP: what a client without a WebSocket does."""

from __future__ import annotations

from server.support import node, opened, picture, png
from workflows import text_to_image

from comfystub import Stub
from contract.clients import Client
from contract.scenarios.telling import Scenarios, entry_of, images_of, scenario, submit

EMPTY_QUEUE = {"queue_running": [], "queue_pending": []}


class Calls(Scenarios):
    @scenario()
    async def test_the_server_is_there(self, client: Client, stub: Stub) -> None:
        page = await client.request("GET", "/")
        assert (page.status, page.headers["cache-control"]) == (200, "no-store, must-revalidate")
        assert b"<html" in page.body
        stats = await client.request("GET", "/system_stats")
        assert stats.json()["system"]["comfyui_version"] == "0.33.0"
        assert [call.path for call in stub.requests] == ["/", "/system_stats"]

    @scenario(pace=3)
    async def test_queue_and_poll(self, client: Client, stub: Stub) -> None:
        prompt_id = await submit(client, text_to_image())
        path = f"/history/{prompt_id}"
        histories = [(await client.request("GET", path)).json() for _ in range(3)]
        assert [list(history) for history in histories] == [[], [], [prompt_id]]
        assert histories[2][prompt_id]["outputs"]["9"]["images"] == [
            {"filename": "ComfyUI_00001_.png", "subfolder": "", "type": "output"}
        ]
        (image,) = await images_of(client, prompt_id)
        assert image == stub.jobs[0].outputs[0].path.read_bytes()
        assert opened(image).size == (64, 64)

    @scenario()
    async def test_a_batch_is_downloaded(self, client: Client, stub: Stub) -> None:
        prompt_id = await submit(client, text_to_image(batch_size=3))
        images = await images_of(client, prompt_id)
        assert images == [output.path.read_bytes() for output in stub.jobs[0].outputs]
        assert len(set(images)) == 3

    @scenario()
    async def test_a_prompt_is_rejected(self, client: Client, stub: Stub) -> None:
        graph = text_to_image()
        del graph["3"]["inputs"]["seed"]
        graph["3"]["inputs"]["sampler_name"] = "eülër"
        answer = await client.request("POST", "/prompt", json={"prompt": graph})
        status, body = answer.holds()
        assert (status, body["error"]["type"]) == (400, "prompt_outputs_failed_validation")
        errors = {error["type"]: error for error in body["node_errors"]["3"]["errors"]}
        assert set(errors) == {"required_input_missing", "value_not_in_list"}
        assert errors["value_not_in_list"]["extra_info"]["received_value"] == "eülër"
        assert stub.jobs == []

    @scenario()
    async def test_a_path_is_unknown(self, client: Client, stub: Stub) -> None:
        answer = await client.request("GET", "/nowhere")
        assert (answer.status, answer.type, answer.body) == (404, "application/octet-stream", b"")
        answer = await client.request("POST", "/nowhere", json={})
        assert (answer.status, answer.text) == (405, "405: Method Not Allowed")
        answer = await client.request("POST", "/prompt", body=b"{")
        assert answer.is_trouble and answer.headers["connection"] == "close"
        # That one closed the connection; the client gets another.
        assert (await client.request("GET", "/queue")).json() == EMPTY_QUEUE

    @scenario()
    async def test_a_picture_is_uploaded_and_used(self, client: Client, stub: Stub) -> None:
        red, blue = png((200, 0, 0)), png((0, 0, 200))
        names = []
        for content in (red, blue, red):
            files = {"image": ("fox.png", content)}
            answer = await client.request("POST", "/upload/image", files=files)
            assert answer.status == 200, answer
            assert (answer.json()["subfolder"], answer.json()["type"]) == ("", "input")
            names.append(answer.json()["name"])
        assert names == ["fox.png", "fox (1).png", "fox.png"]
        assert (stub.input_dir / "fox (1).png").read_bytes() == blue
        graph = {"1": node("LoadImage", image="fox (1).png"), "9": picture()["9"]}
        (image,) = await images_of(client, await submit(client, graph))
        assert opened(image).convert("RGB").tobytes() == opened(blue).tobytes()

    @scenario()
    async def test_the_fields_of_a_form_arrive(self, client: Client, stub: Stub) -> None:
        for content in (b"old", b"new"):
            answer = await client.request(
                "POST",
                "/upload/image",
                files={"image": ("fox.png", content)},
                fields={"subfolder": "mine", "overwrite": "true"},
            )
            assert answer.json() == {"name": "fox.png", "subfolder": "mine", "type": "input"}
        assert (stub.input_dir / "mine" / "fox.png").read_bytes() == b"new"

    @scenario()
    async def test_some_megabytes_up_and_down(self, client: Client, stub: Stub) -> None:
        body = bytes(range(251)) * 12_000
        answer = await client.request("POST", "/userdata/large.bin", body=body)
        assert answer.holds() == (200, "large.bin")
        answer = await client.request("GET", "/userdata/large.bin")
        assert answer.headers["content-length"] == str(len(body))
        assert answer.body == body

    @scenario()
    async def test_a_part_of_a_file(self, client: Client, stub: Stub) -> None:
        await client.request("POST", "/upload/image", files={"image": ("a b.bin", b"0123456789")})
        answer = await client.request(
            "GET", "/view", params={"filename": "a b.bin", "type": "input"}, headers={"Range": "bytes=2-4"}
        )
        assert (answer.status, answer.body, answer.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
        assert answer.headers["content-disposition"] == 'filename="a b.bin"'

    @scenario()
    async def test_many_calls_over_one_session(self, client: Client, stub: Stub) -> None:
        for _ in range(40):
            assert (await client.request("GET", "/queue")).json() == EMPTY_QUEUE
            assert (await client.request("POST", "/interrupt")).body == b""
        assert len(stub.requests) == 80

    @scenario()
    async def test_calls_at_the_same_time(self, client: Client, stub: Stub) -> None:
        async def work() -> list[bytes]:
            return [await one_picture(client, seed) for seed in range(5)]

        assert await work() == (await client.together(work, work))[1]

    @scenario()
    async def test_a_handshake_that_is_none(self, client: Client, stub: Stub) -> None:
        answer = await client.request("GET", "/ws")
        text = 'No WebSocket UPGRADE hdr: None\n Can "Upgrade" only to "WebSocket".'
        assert (answer.status, answer.text) == (400, text)

    @scenario()
    async def test_a_handshake_of_another_version(self, client: Client, stub: Stub) -> None:
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "12",
            "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        }
        answer = await client.request("GET", "/ws", headers=headers)
        assert answer.status == 400
        # urllib allows its users no such header of connections.
        assert answer.text in ("Unsupported version: 12", "No CONNECTION upgrade hdr: close")
        assert (await client.request("GET", "/queue")).json() == EMPTY_QUEUE


async def one_picture(client: Client, seed: int) -> bytes:
    prompt_id = await submit(client, picture(seed))
    entry = await entry_of(client, prompt_id)
    (image,) = entry["outputs"]["9"]["images"]
    answer = await client.request("GET", "/view", params=image)
    return answer.body
