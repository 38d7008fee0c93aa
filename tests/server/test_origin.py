"""Requests that a web page elsewhere sent are refused."""

from __future__ import annotations

import pytest

from server.support import Asker


def answered(
    ask: Asker, host: str | None, origin: str | None, method: str = "GET", path: str = "/queue"
) -> int:
    headers = {name: value for name, value in (("host", host), ("origin", origin)) if value is not None}
    return ask(method, path, headers=headers).status


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8188", "http://example.com"),
        ("localhost:8188", "https://example.com"),
        ("[::1]:8188", "http://example.com"),
        ("127.0.0.1", "http://example.com"),
        ("127.4.5.6:8188", "http://example.com"),
        ("LocalHost:8188", "http://example.com"),
        # names are compared as text, whatever they stand for
        ("127.0.0.1:8188", "http://localhost:8188"),
        ("localhost:8188", "http://127.0.0.1:8188"),
        ("localhost:8188", "http://[::1]:8188"),
        ("127.0.0.1:8188", "http://127.0.0.2:8188"),
        ("localhost:8188", "http://localhost.example.com:8188"),
        # the port counts when both have one
        ("127.0.0.1:8188", "http://127.0.0.1:3000"),
        ("localhost:8188", "https://localhost:8189"),
        # a page without a place of its own in the web
        ("127.0.0.1:8188", "chrome-extension://abcdef"),
    ],
)
def test_refused(host: str, origin: str, ask: Asker) -> None:
    answer = ask("GET", "/queue", headers={"host": host, "origin": origin})
    assert answer.status == 403
    assert answer.is_bare


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8188", None),
        ("127.0.0.1:8188", ""),
        ("127.0.0.1:8188", "null"),
        ("127.0.0.1:8188", "http://127.0.0.1:8188"),
        ("localhost:8188", "http://LOCALHOST:8188"),
        ("LOCALHOST:8188", "http://localhost:8188"),
        ("[::1]:8188", "http://[::1]:8188"),
        # the scheme is ignored
        ("127.0.0.1:8188", "https://127.0.0.1:8188"),
        ("localhost:8188", "capacitor://localhost:8188"),
        # one without a port
        ("127.0.0.1", "http://127.0.0.1:8188"),
        ("127.0.0.1:8188", "http://127.0.0.1"),
        ("localhost", "http://localhost"),
        # a host that is not loopback lets everyone in
        ("comfy.test:8188", "http://example.com"),
        ("192.168.1.7:8188", "http://example.com"),
        ("10.0.0.1", "http://localhost:3000"),
        ("[2001:db8::1]:8188", "http://example.com"),
        ("0.0.0.0:8188", "http://example.com"),
    ],
)
def test_let_in(host: str, origin: str | None, ask: Asker) -> None:
    assert answered(ask, host, origin) == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8188", "comfy.test:8188", "192.168.1.7"])
@pytest.mark.parametrize("origin", [None, "http://comfy.test:8188", "null"])
def test_a_cross_site_request_is_refused_whatever_the_host(host: str, origin: str | None, ask: Asker) -> None:
    headers = {"host": host, "sec-fetch-site": "cross-site"}
    answer = ask("GET", "/queue", headers=headers | ({"origin": origin} if origin else {}))
    assert answer.status == 403
    assert answer.is_bare


@pytest.mark.parametrize("site", ["same-origin", "same-site", "none"])
def test_other_sites_are_let_in(site: str, ask: Asker) -> None:
    headers = {"host": "127.0.0.1:8188", "origin": "http://127.0.0.1:8188", "sec-fetch-site": site}
    assert ask("GET", "/queue", headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"host": "127.0.0.1:8188", "origin": "http://example.com"}, {"sec-fetch-site": "cross-site"}],
    ids=["foreign origin", "cross-site"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("OPTIONS", "/prompt"),
        ("GET", "/ws"),
        ("GET", "/"),
        ("HEAD", "/queue"),
        ("POST", "/prompt"),
        ("GET", "/no_such_route"),
        ("DELETE", "/prompt"),
    ],
)
def test_it_comes_before_everything_else(method: str, path: str, headers: dict[str, str], ask: Asker) -> None:
    assert ask(method, path, headers=headers).status == 403


def test_a_refused_request_does_nothing(ask: Asker) -> None:
    headers = {"host": "127.0.0.1:8188", "origin": "http://example.com"}
    ask("POST", "/settings", {"changed": True}, headers=headers)
    assert ask.get("/settings").json() == {}


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [("127.0.0.1:99999", "http://127.0.0.1:8188", 200), ("127.0.0.1:x", "http://example.com", 403)],
)
def test_a_port_that_is_none_is_not_compared(host: str, origin: str, status: int, ask: Asker) -> None:
    assert answered(ask, host, origin) == status
