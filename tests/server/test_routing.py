"""Which paths and methods are answered at all, and how the others are refused."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

import comfystub
from comfystub.server.http import EMPTY, Request, Response
from comfystub.server.router import NO_MATCH, Route, Router
from comfystub.server.routes import ROUTES
from server.support import TEXT, Answer, Asker

UNKNOWN = (404, "application/octet-stream", b"")


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "x", path)


def show(value: Any) -> str | None:
    return f"{value.method} {value.path}" if isinstance(value, Route) else None


def refusal(answer: Answer) -> tuple[int, str | None, bytes]:
    return answer.status, answer.type, answer.body


TWINS = [route for route in ROUTES if route.twin]
SINGLE = [route for route in ROUTES if not route.twin]
GETS = [route for route in ROUTES if route.method == "GET"]
METHODS: dict[str, set[str]] = {}
for one in ROUTES:
    METHODS.setdefault(one.path, set()).add(one.method)
POST_ONLY = sorted(path for path, methods in METHODS.items() if "GET" not in methods and "cancel" not in path)


class TestWhereRoutesAnswer:
    @pytest.mark.parametrize("route", ROUTES, ids=show)
    def test_every_route_is_known(self, route: Route, ask: Asker) -> None:
        answer = ask(route.method, filled(route.path))
        assert answer.status != 405
        assert refusal(answer) != UNKNOWN

    @pytest.mark.parametrize("route", TWINS, ids=show)
    def test_a_route_answers_below_api_as_well(self, route: Route, ask: Asker) -> None:
        path = filled(route.path)
        assert ask(route.method, "/api" + path) == ask(route.method, path)

    @pytest.mark.parametrize("route", SINGLE, ids=show)
    def test_internal_and_asset_routes_have_no_twin(self, route: Route, ask: Asker) -> None:
        path = filled(route.path)
        other = "/api" + path if path.startswith("/internal") else path.removeprefix("/api")
        assert refusal(ask.get(other)) == UNKNOWN

    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/prompt",
            "/queue",
            "/history",
            "/history/no-such",
            "/object_info/KSampler",
            "/models",
            "/models/checkpoints",
            "/embeddings",
            "/features",
            "/system_stats",
            "/extensions",
            "/users",
            "/settings",
            "/settings/no.such",
            "/v2/userdata",
            "/experiment/models",
            "/experiment/models/vae",
            "/node_replacements",
            "/workflow_templates",
            "/i18n",
            "/global_subgraphs",
            "/global_subgraphs/x",
            "/api/jobs",
        ],
    )
    def test_gets_that_always_succeed(self, path: str, ask: Asker) -> None:
        assert ask.get(path).status == 200
        assert ask.get("/api" + path).status == 200

    def test_the_index_is_a_page_that_is_never_stored(self, ask: Asker) -> None:
        answer = ask.get("/")
        kept = {name: answer.headers[name] for name in ("cache-control", "pragma", "expires")}
        assert answer.status == 200
        assert answer.type is not None and answer.type.startswith("text/html")
        assert b"<html" in answer.body
        assert kept == {
            "cache-control": "no-store, must-revalidate",
            "pragma": "no-cache",
            "expires": "0",
        }

    def test_a_socket_without_handshake(self, ask: Asker) -> None:
        answer = ask.get("/ws", clientId="x")
        assert (answer.status, answer.type) == (400, TEXT)


class TestUnknownPaths:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize(
        "path",
        [
            "/no_such_route",
            "/api/no_such_route",
            "/api/api/queue",
            "/prompt/more",
            "/history/no-such-prompt/more",
            "/jobs",
            "/jobs/x",
            "/assets",
            "/tags",
            "/api/internal/logs",
            "/userdata/a/b",
            "/api%2Fqueue",
            "/.well-known/x",
        ],
    )
    def test_404_without_a_body(self, method: str, path: str, ask: Asker) -> None:
        answer = ask(method, path)
        assert refusal(answer) == UNKNOWN
        assert answer.headers["content-length"] == "0"

    @pytest.mark.parametrize("path", ["//queue", "//", "//api/queue"])
    def test_two_slashes_say_so_in_words(self, path: str, ask: Asker) -> None:
        answer = ask.get(path)
        assert (answer.status, answer.type, answer.text) == (404, TEXT, "404: Not Found")

    @pytest.mark.parametrize("path", sorted({filled(route.path) for route in ROUTES} - {"/"}))
    def test_a_trailing_slash_is_another_path(self, path: str, ask: Asker) -> None:
        assert refusal(ask.get(path + "/")) == UNKNOWN
        assert ask.post(path + "/").status == 405

    @pytest.mark.parametrize("path", POST_ONLY)
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_path_that_only_takes_posts_is_unknown_to_others(
        self, method: str, path: str, ask: Asker
    ) -> None:
        assert refusal(ask(method, filled(path))) == UNKNOWN
        assert refusal(ask(method, "/api" + filled(path))) == UNKNOWN

    def test_the_paths_that_only_take_posts(self) -> None:
        """The three that a client meets are among them."""
        assert {"/interrupt", "/free", "/upload/image", "/upload/mask"} <= set(POST_ONLY)

    def test_cancel_is_a_job_id_to_a_get(self, ask: Asker) -> None:
        assert ask.get("/api/jobs/cancel").holds() == (404, {"error": "Job not found"})
        assert ask.post("/api/jobs/cancel", {"job_ids": []}).holds() == (200, {"cancelled": False})


class TestMethods:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            (method, path)
            for path in sorted(METHODS)
            for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
            if method not in METHODS[path]
        ],
    )
    def test_a_wrong_method_is_told_the_right_ones(self, method: str, path: str, ask: Asker) -> None:
        answer = ask(method, filled(path))
        assert (answer.status, answer.type, answer.text) == (405, TEXT, "405: Method Not Allowed")
        assert set(answer.headers["allow"].split(",")) == {"GET", "HEAD"} | METHODS[path]

    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("DELETE", "/prompt", "GET,HEAD,POST"),
            ("PUT", "/queue", "GET,HEAD,POST"),
            ("PUT", "/interrupt", "GET,HEAD,POST"),
            ("POST", "/view", "GET,HEAD"),
            ("POST", "/", "GET,HEAD"),
            ("POST", "/ws", "GET,HEAD"),
            ("POST", "/api/jobs", "GET,HEAD"),
            ("PUT", "/api/jobs/cancel", "GET,HEAD,POST"),
            ("POST", "/no_such_route", "GET,HEAD"),
            ("DELETE", "/api/no_such_route", "GET,HEAD"),
            ("POST", "/prompt/", "GET,HEAD"),
        ],
    )
    def test_what_is_allowed(self, method: str, path: str, allow: str, ask: Asker) -> None:
        answer = ask(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allow)

    @pytest.mark.parametrize(
        "path", ["/", "/prompt", "/api/prompt", "/view", "/ws", "/upload/image", "/nowhere", "//queue", "*"]
    )
    def test_options_are_granted_everywhere(self, path: str, ask: Asker) -> None:
        answer = ask("OPTIONS", path)
        assert answer.status == 200
        assert answer.is_bare

    @pytest.mark.parametrize("route", GETS, ids=show)
    def test_head_is_get_without_the_body(self, route: Route, ask: Asker) -> None:
        got, head = ask("GET", filled(route.path)), ask("HEAD", filled(route.path))
        assert head == (got.status, got.headers, b"")
        assert int(got.headers["content-length"]) == len(got.body)

    def test_head_of_a_file(self, stub: comfystub.Stub, ask: Asker) -> None:
        (stub.output_dir / "a.png").write_bytes(b"12345")
        head = ask("HEAD", "/view", params={"filename": "a.png"})
        assert (head.status, head.type, head.headers["content-length"]) == (200, "image/png", "5")
        assert head.body == b""


class TestEncodedPaths:
    @pytest.mark.parametrize(
        "name", ["a b", "ü日本", "100%", "a+b", "semi;colon", "q?uestion", "ha#sh", "%2F"]
    )
    def test_a_placeholder_is_decoded_once(self, name: str, ask: Asker) -> None:
        path = f"/settings/{quote(name, safe='')}"
        ask.post(path, {"set": 1})
        assert ask.get("/settings").json() == {name: {"set": 1}}
        assert ask.get(path).json() == {"set": 1}

    def test_an_encoded_slash_stays_within_its_segment(self, stub: comfystub.Stub, ask: Asker) -> None:
        assert ask.post("/userdata/workflows%2Fdeep%2fone.json", b"{}").json() == "workflows/deep/one.json"
        assert ask.get("/userdata/workflows%2Fdeep%2Fone.json").body == b"{}"
        assert refusal(ask.get("/userdata/workflows/deep/one.json")) == UNKNOWN

    @pytest.mark.parametrize("path", ["/%71ueue", "/api/%71%75eue", "/%61pi/queue"])
    def test_a_needless_escape_changes_nothing(self, path: str, ask: Asker) -> None:
        assert ask.get(path) == ask.get("/queue")

    def test_a_needless_escape_before_a_placeholder(self, ask: Asker) -> None:
        assert ask.get("/%6Dodels/%76ae") == ask.get("/models/vae")


class TestKeeping:
    """By the ending of its path an answer says how long it may be kept."""

    @pytest.mark.parametrize(
        ("path", "keep"),
        [
            ("/scripts/app.js", "no-store"),
            ("/style.css", "no-store"),
            ("/index.json", "no-store"),
            ("/extensions/index-2.json", "no-store"),
            ("/a.png", "public, max-age=86400"),
            ("/a.jpg", "public, max-age=86400"),
            ("/a.jpeg", "public, max-age=86400"),
            ("/a.gif", "public, max-age=86400"),
            ("/a.webp", "public, max-age=86400"),
            ("/view/a.png", "public, max-age=86400"),
            ("/history/a.png", "public, max-age=86400"),
            ("/userdata/a.js", "no-store"),
            ("/userdata/a%2Ejs", "no-store"),
            ("/userdata/folder%2Findex.json", "no-store"),
            ("/userdata/a.png", "public, max-age=86400"),
            ("/a.json", None),
            ("/a.txt", None),
            ("/png", None),
            ("/a.png.txt", None),
            ("/queue", None),
        ],
    )
    def test_by_ending(self, path: str, keep: str | None, ask: Asker) -> None:
        assert ask.get(path).headers.get("cache-control") == keep

    def test_of_a_file_that_is_there(self, ask: Asker) -> None:
        ask.userdata("POST", "a.css", b"x")
        answer = ask.userdata("GET", "a.css")
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")

    @pytest.mark.parametrize("name", ["a.png", "a.gif"])
    def test_view_is_not_touched(self, name: str, stub: comfystub.Stub, ask: Asker) -> None:
        (stub.output_dir / name).write_bytes(b"x")
        answer = ask.view(name)
        assert answer.status == 200
        assert "cache-control" not in answer.headers


class TestRouter:
    """The compiled table by itself."""

    @staticmethod
    def named(text: str) -> Any:
        return lambda server, request, **values: Response(200, body=repr((text, values)).encode())

    def ask(self, router: Router, method: str, path: str) -> str:
        handlers, values = router.match(path)
        return handlers[method](None, Request(method, path), **values).body.decode()

    def test_a_fixed_path_goes_before_a_template(self) -> None:
        router = Router([Route("GET", "/a/{x}", self.named("any")), Route("GET", "/a/b", self.named("b"))])
        assert self.ask(router, "GET", "/a/b") == "('b', {})"
        assert self.ask(router, "GET", "/a/c") == "('any', {'x': 'c'})"

    def test_methods_that_a_fixed_path_lacks_are_those_of_its_template(self) -> None:
        router = Router([Route("GET", "/a/{x}", self.named("any")), Route("POST", "/a/b", self.named("b"))])
        assert self.ask(router, "GET", "/a/b") == "('any', {'x': 'b'})"
        assert self.ask(router, "POST", "/a/b") == "('b', {})"
        assert "POST" not in router.match("/a/c").handlers

    def test_several_placeholders(self) -> None:
        router = Router([Route("POST", "/a/{x}/to/{y}", self.named("move"))])
        assert self.ask(router, "POST", "/a/1%2F2/to/3") == "('move', {'x': '1/2', 'y': '3'})"
        assert self.ask(router, "POST", "/api/a/1/to/2") == "('move', {'x': '1', 'y': '2'})"

    @pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a/b/c", "/b/a", "//a/b", "/api", "/api/", "*", ""])
    def test_nothing_there(self, path: str) -> None:
        assert Router([Route("GET", "/a/{x}", self.named("any"))]).match(path) == NO_MATCH

    def test_without_a_twin(self) -> None:
        router = Router([Route("GET", "/a", lambda server, request: EMPTY, twin=False)])
        assert "GET" in router.match("/a").handlers
        assert router.match("/api/a") == NO_MATCH


def test_a_client_library_meets_the_same(stub: comfystub.Stub) -> None:
    with stub.client() as client:
        assert client.get("/").status_code == 200
        assert client.get("/api/queue").json() == {"queue_running": [], "queue_pending": []}
        assert client.head("/queue").headers["content-length"] == "42"
        refused = client.delete("/prompt")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET,HEAD,POST")
        with pytest.raises(httpx.HTTPStatusError):
            client.get("/no_such_route").raise_for_status()
