"""How bodies are written, and what becomes of those that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

import comfystub
from server.support import ID, JSON, TEXT, Answer, Asker, Form, form, picture

LIMIT = 104_857_600
TOO_LARGE = bytes(LIMIT + 1)


class TestAnswers:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/prompt", b'{"exec_info": {"queue_remaining": 0}}'),
            ("/queue", b'{"queue_running": [], "queue_pending": []}'),
            ("/history", b"{}"),
            ("/settings/none", b"null"),
            ("/api/jobs?limit=1", None),
        ],
    )
    def test_json_has_spaces_after_commas_and_colons(self, path: str, body: bytes | None, ask: Asker) -> None:
        answer = ask.get(path)
        assert answer.type == JSON
        assert answer.body == (json.dumps(answer.json()).encode() if body is None else body)

    def test_json_is_ascii(self, ask: Asker) -> None:
        ask.post("/settings", {"name": "Grüße 日本 🦊"})
        assert ask.get("/settings").body == (rb'{"name": "Gr\u00fc\u00dfe \u65e5\u672c \ud83e\udd8a"}')

    @pytest.mark.parametrize(
        "path",
        ["/prompt", "/queue", "/history", "/object_info/KSampler", "/features", "/system_stats", "/api/jobs"],
    )
    def test_json_comes_without_further_headers(self, path: str, ask: Asker) -> None:
        sent = {"origin": "http://elsewhere.test", "accept-encoding": "gzip, br"}
        assert set(ask("GET", path, headers=sent).headers) == {"content-type", "content-length"}

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/interrupt", b""),
            ("/interrupt", {}),
            ("/queue", {}),
            ("/queue", {"clear": True, "delete": []}),
            ("/history", {}),
            ("/history", {"clear": True}),
            ("/free", {}),
            ("/free", {"unload_models": True, "free_memory": True}),
            ("/settings", {"a": 1}),
            ("/settings/a", 1),
        ],
    )
    def test_done_is_said_with_nothing(self, path: str, body: Any, ask: Asker) -> None:
        answer = ask.post(path, body)
        assert answer.status == 200
        assert answer.is_bare

    @pytest.mark.parametrize(
        ("status", "asked"),
        [
            (404, lambda ask: ask.get("/view")),
            (400, lambda ask: ask.view("../x.png")),
            (403, lambda ask: ask.view("x.png", subfolder="..")),
            (404, lambda ask: ask.view("x.png")),
            (400, lambda ask: ask.upload("../x.png")),
            (400, lambda ask: ask.post("/upload/image", {"image": "x"})),
            (400, lambda ask: ask("POST", "/upload/mask", form(other=("x.png", b"")))),
            (404, lambda ask: ask.get("/models/no_such_folder")),
            (404, lambda ask: ask.get("/view_metadata/checkpoints?filename=x.safetensors")),
        ],
    )
    def test_a_refusal_is_bare(self, status: int, asked: Callable[[Asker], Answer], ask: Asker) -> None:
        answer = asked(ask)
        assert answer.status == status
        assert answer.is_bare

    def test_no_content_has_no_length(self, ask: Asker) -> None:
        ask.userdata("POST", "a.txt", b"x")
        answer = ask.userdata("DELETE", "a.txt")
        assert (answer.status, answer.headers, answer.body) == (204, {}, b"")


class TestUnreadableBodies:
    @pytest.mark.parametrize("body", [b"", b"nonsense", b"{", b'{"a": 1,}', b"\xff\xfe\x00", b"{'a': 1}"])
    @pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/free", "/settings", "/settings/x"])
    def test_malformed_json_is_trouble(self, path: str, body: bytes, ask: Asker) -> None:
        answer = ask.post(path, body)
        assert answer.is_trouble
        assert answer.headers["connection"] == "close"

    @pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'{"prompt_id": null}', b'{"prompt_id": ""}'])
    def test_interrupt_takes_anything(self, body: bytes, ask: Asker) -> None:
        assert ask.post("/interrupt", body).status == 200

    @pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true"])
    def test_interrupt_does_not_take_json_that_is_no_object(self, body: bytes, ask: Asker) -> None:
        assert ask.post("/interrupt", body).is_trouble

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("/queue", [], 200),
            ("/history", [], 200),
            ("/prompt", [1], 400),
            ("/prompt", [], 400),
            ("/prompt", {"prompt": "text"}, 500),
            ("/prompt", {"prompt": None}, 500),
            ("/prompt", {"prompt": []}, 500),
            ("/prompt", {"prompt": [picture()]}, 500),
            ("/prompt", {"prompt": 7}, 500),
            ("/prompt", {"prompt": {"1": "x"}}, 500),
            ("/prompt", {"prompt": {"1": None}}, 500),
            ("/prompt", {"prompt": {"1": []}}, 500),
            ("/settings", [], 500),
            ("/settings", ["a"], 500),
        ],
    )
    def test_bodies_of_the_wrong_shape(self, path: str, body: Any, status: int, ask: Asker) -> None:
        assert ask.post(path, body).status == status

    @pytest.mark.parametrize("query", ["max_items=x", "max_items=", "offset=x", "offset=", "max_items=1.5"])
    def test_a_query_that_is_no_number_is_trouble(self, query: str, ask: Asker) -> None:
        assert ask.get(f"/history?{query}").is_trouble

    @pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "x"])
    def test_json_is_read_whatever_the_content_type_says(self, content_type: str | None, ask: Asker) -> None:
        headers = {"content-type": content_type} if content_type else {}
        answer = ask("POST", "/prompt", {"prompt": picture(), "prompt_id": ID[0]}, headers=headers)
        assert answer.holds() == (200, {"prompt_id": ID[0], "number": 0, "node_errors": {}})

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
    def test_json_in_any_unicode_encoding(self, encoding: str, ask: Asker) -> None:
        ask.post("/settings", json.dumps({"a": "ü"}, ensure_ascii=False).encode(encoding))
        assert ask.get("/settings").json() == {"a": "ü"}

    @pytest.mark.parametrize("opening", [b"[", b'{"prompt":', b'{"prompt":{"1":['])
    def test_json_nested_beyond_reading_is_trouble_and_no_more(self, opening: bytes, ask: Asker) -> None:
        assert ask.post("/prompt", opening * 200_000).is_trouble
        assert ask.get("/queue").status == 200

    def test_an_input_that_is_nested_deeply_is_kept(self, ask: Asker) -> None:
        deep: Any = "bottom"
        for _ in range(200):
            deep = {"a": [deep]}
        graph = picture()
        graph["1"]["inputs"]["deep"] = deep
        entry = ask.run(graph)
        assert entry["status"]["completed"]
        assert entry["prompt"][2]["1"]["inputs"]["deep"] == deep

    def test_the_call_is_remembered_with_its_error(self, stub: comfystub.Stub, ask: Asker) -> None:
        ask.post("/prompt", b"{")
        call = stub.requests[-1]
        assert (call.method, call.path, call.status) == ("POST", "/prompt", 500)
        assert isinstance(call.error, ValueError)


class TestTooLargeBodies:
    """Over 100 MiB is refused, exactly 100 MiB is not."""

    @pytest.fixture
    def ask(self) -> Iterator[Asker]:
        """A server whose files are gone after the test: they are large."""
        stub = comfystub.Stub("http://comfy.test:8188")
        yield Asker(stub)
        stub.close()

    @pytest.mark.parametrize(
        "path",
        [
            "/prompt",
            "/api/prompt",
            "/queue",
            "/history",
            "/interrupt",
            "/free",
            "/settings",
            "/settings/x",
            "/users",
            "/upload/image",
            "/upload/mask",
            "/userdata/x.bin",
            "/api/jobs/cancel",
        ],
    )
    def test_refused(self, path: str, ask: Asker) -> None:
        answer = ask.post(path, TOO_LARGE)
        assert (answer.status, answer.type) == (413, TEXT)
        assert answer.text == "Maximum request body size 104857600 exceeded."

    def test_json_of_just_that_size(self, ask: Asker) -> None:
        answer = ask.post("/prompt", b'{"prompt": {}}'.ljust(LIMIT))
        assert (answer.status, answer.json()["error"]["type"]) == (400, "prompt_no_outputs")

    def test_a_file_of_just_that_size(self, ask: Asker) -> None:
        answer = ask.userdata("POST", "large.bin", bytes(LIMIT), "full_info=true")
        assert (answer.status, answer.json()["size"]) == (200, LIMIT)

    @pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413)])
    def test_a_form_counts_as_a_whole(self, excess: int, status: int, ask: Asker) -> None:
        frame = len(form(image=("large.png", b"")).body)
        sent = form(image=("large.png", bytes(LIMIT - frame + excess)))
        assert len(sent.body) == LIMIT + excess
        assert ask("POST", "/upload/image", sent).status == status
        there = ask.stub.input_dir / "large.png"
        assert there.exists() == (status == 200)

    def test_the_server_goes_on(self, ask: Asker) -> None:
        ask.post("/prompt", TOO_LARGE)
        assert ask.run(picture())["status"]["completed"]

    def test_chunked(self, ask: Asker) -> None:
        def chunks() -> Iterator[bytes]:
            for _ in range(100):
                yield bytes(1 << 20)
            yield b"x"

        with ask.stub.client() as client:
            response = client.post("/prompt", content=chunks())
        assert response.request.headers["transfer-encoding"] == "chunked"
        assert response.status_code == 413

    def test_a_form_of_a_client_library(self, ask: Asker) -> None:
        with ask.stub.client() as client:
            response = client.post("/upload/image", files={"image": ("x.png", bytes(LIMIT))})
        assert (response.status_code, response.headers["content-type"]) == (413, TEXT)


def test_what_is_a_form_is_no_json(ask: Asker) -> None:
    assert ask("POST", "/prompt", form(image=("x.png", b"x"))).is_trouble


def test_a_form_that_was_cut_short_is_no_harm(ask: Asker) -> None:
    whole = form(image=("x.png", b"content"))
    for length in range(0, len(whole.body), 7):
        answer = ask("POST", "/upload/image", Form(whole.content_type, whole.body[:length]))
        assert answer.status in (200, 400, 500)
    assert ask("POST", "/upload/image", whole).status == 200


def test_httpx_raises_for_trouble(stub: comfystub.Stub) -> None:
    with stub.client() as client, pytest.raises(httpx.HTTPStatusError, match="500 Internal Server Error"):
        client.post("/prompt", content=b"{").raise_for_status()
