"""``/settings`` and ``/users``."""

from __future__ import annotations

from comfystub.server.http import EMPTY, Request, Response, json_response
from comfystub.server.state import State


def get_settings(server: State, request: Request) -> Response:
    return json_response(server.settings)


def post_settings(server: State, request: Request) -> Response:
    server.settings |= dict(request.json().items())
    return EMPTY


def get_setting(server: State, request: Request, setting: str) -> Response:
    return json_response(server.settings.get(setting))


def post_setting(server: State, request: Request, setting: str) -> Response:
    server.settings[setting] = request.json()
    return EMPTY


def get_users(server: State, request: Request) -> Response:
    return json_response({"storage": "server", "migrated": True})


def post_users(server: State, request: Request) -> Response:
    username = str(request.json().get("username") or "").strip()
    if not username:
        return json_response({"error": "username not provided"}, 400)
    # The server keeps one user, called default, unless it was started for several.
    return json_response({"error": "Duplicate username."}, 400)
