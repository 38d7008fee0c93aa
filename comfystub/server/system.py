"""What the server says of itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from comfystub.engine.releases import Release
from comfystub.media.files import TYPES
from comfystub.server.http import Request, Response, json_response
from comfystub.server.state import State

MAX_BODY = 104_857_600
GIBIBYTE = 1 << 30

FEATURES: dict[str, Any] = {
    "supports_preview_metadata": True,
    "supports_model_type_tags": True,
    "max_upload_size": MAX_BODY,
    "extension": {"manager": {"supports_v4": True}},
    "node_replacements": True,
    "assets": False,
}

SYSTEM: dict[str, Any] = {
    "os": "linux",
    "ram_total": 32 * GIBIBYTE,
    "ram_free": 24 * GIBIBYTE,
    "comfyui_version": "",
    "required_frontend_version": "1.45.0",
    "installed_templates_version": "0.9.0",
    "required_templates_version": "0.9.0",
    "comfy_package_versions": [
        {"name": "comfyui-frontend-package", "installed": "1.45.0", "required": "1.45.0"}
    ],
    "python_version": "3.12.0 (comfystub)",
    "pytorch_version": "2.9.0+cpu",
    "embedded_python": False,
    "deploy_environment": "local",
    "argv": ["main.py"],
}

DEVICES: list[dict[str, Any]] = [
    {
        "name": "cpu",
        "type": "cpu",
        "index": None,
        "vram_total": 32 * GIBIBYTE,
        "vram_free": 24 * GIBIBYTE,
        "torch_vram_total": 32 * GIBIBYTE,
        "torch_vram_free": 24 * GIBIBYTE,
    }
]

INDEX = "<!DOCTYPE html>\n<html><head><title>ComfyUI</title></head><body>comfystub</body></html>\n"
NOT_STORED = (
    ("Cache-Control", "no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Expires", "0"),
)


def get_index(server: State, request: Request) -> Response:
    return Response(200, (("Content-Type", "text/html"), *NOT_STORED), INDEX.encode())


def features(server: State) -> dict[str, Any]:
    """What a server tells a front end that it can do."""
    own: dict[str, Any] | None = server.profile.parts.get("features")
    return _features(server.release) if own is None else own


@functools.cache
def _features(release: Release) -> dict[str, Any]:
    return {name: value for name, value in FEATURES.items() if name not in release.lacks_features}


def get_features(server: State, request: Request) -> Response:
    return _own(server, "features", _features_answer)


def get_system_stats(server: State, request: Request) -> Response:
    return _own(server, "system_stats", _stats_answer)


def _own(server: State, part: str, usual: Callable[[Release], Response]) -> Response:
    """What a profile has a server answer, or what its release does."""
    own = server.profile.parts.get(part)
    return usual(server.release) if own is None else json_response(own)


# What never changes is written once.


@functools.cache
def _features_answer(release: Release) -> Response:
    return json_response(_features(release))


@functools.cache
def _stats_answer(release: Release) -> Response:
    """What a release tells of its machine."""
    system = {name: value for name, value in SYSTEM.items() if name not in release.lacks_stats}
    return json_response({"system": system | {"comfyui_version": release.version}, "devices": DEVICES})


def get_extensions(server: State, request: Request) -> Response:
    return json_response(server.profile.parts.get("extensions", []))


def get_logs(server: State, request: Request) -> Response:
    return json_response("")


def get_raw_logs(server: State, request: Request) -> Response:
    return json_response({"entries": [], "size": {"cols": 80, "rows": 24}})


def get_folder_paths(server: State, request: Request) -> Response:
    folders = server.engine.known.inventory.folders()
    return json_response({folder: [f"/ComfyUI/models/{folder}"] for folder in folders})


def get_internal_files(server: State, request: Request, kind: str) -> Response:
    if kind not in TYPES:
        return json_response({"error": "Invalid directory type"}, 400)
    return json_response([f"{name} [{kind}]" for name in server.folders.files(kind)])


def no_assets(server: State, request: Request, **_: str) -> Response:
    message = "Assets are disabled on this server."
    return json_response({"error": {"code": "SERVICE_DISABLED", "message": message, "details": {}}}, 503)
