"""``/settings`` and ``/users``."""

from __future__ import annotations

from typing import Any

import pytest

from server.support import Asker


class TestSettings:
    def test_none_at_first(self, ask: Asker) -> None:
        assert ask.get("/settings").holds() == (200, {})
        assert ask.get("/settings/any.id").holds() == (200, None)

    def test_posting_merges(self, ask: Asker) -> None:
        ask.post("/settings", {"a": 1, "b": {"c": 1}})
        ask.post("/settings", {"b": {"d": 2}, "e": None})
        assert ask.get("/settings").json() == {"a": 1, "b": {"d": 2}, "e": None}

    @pytest.mark.parametrize("value", [1, 1.5, "text", "", None, True, [1, 2], {"a": [None]}, "ü"])
    def test_one_setting_is_any_json(self, value: Any, ask: Asker) -> None:
        answer = ask.post("/settings/Comfy.Some.Id", value)
        assert answer.status == 200 and answer.is_bare
        assert ask.get("/settings/Comfy.Some.Id").holds() == (200, value)
        assert ask.get("/settings").json() == {"Comfy.Some.Id": value}

    @pytest.mark.parametrize("body", [[], [1], ["ab"]])
    def test_an_array_is_trouble(self, body: Any, ask: Asker) -> None:
        ask.post("/settings", {"a": 1})
        assert ask.post("/settings", body).is_trouble
        assert ask.get("/settings").json() == {"a": 1}

    @pytest.mark.parametrize("path", ["/settings", "/settings/a"])
    @pytest.mark.parametrize("body", [b"", b"{", b"nonsense"])
    def test_malformed_is_trouble(self, path: str, body: bytes, ask: Asker) -> None:
        assert ask.post(path, body).is_trouble
        assert ask.get("/settings").json() == {}


class TestUsers:
    def test_they_are_kept_on_the_server(self, ask: Asker) -> None:
        answer = ask.get("/users").json()
        assert set(answer) == {"storage", "migrated"}
        assert answer["storage"] == "server"
        assert isinstance(answer["migrated"], bool)

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            ({"username": "default"}, "Duplicate username."),
            ({"username": ""}, "username not provided"),
            ({"username": "   "}, "username not provided"),
        ],
    )
    def test_none_can_be_added(self, body: Any, error: str, ask: Asker) -> None:
        assert ask.post("/users", body).holds() == (400, {"error": error})
