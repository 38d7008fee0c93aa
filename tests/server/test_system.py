"""What the server says of itself."""

from __future__ import annotations

from typing import Any

import pytest

import comfystub
from server.support import Asker, png


def kinds(value: Any) -> Any:
    """The types in a JSON value."""
    if isinstance(value, dict):
        return {key: kinds(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [kinds(value[0])] if value else []
    return type(value)


def test_features(ask: Asker) -> None:
    assert ask.get("/features").json() == {
        "supports_preview_metadata": True,
        "supports_model_type_tags": True,
        "max_upload_size": 104857600,
        "extension": {"manager": {"supports_v4": True}},
        "node_replacements": True,
        "assets": False,
    }


def test_system_stats(ask: Asker) -> None:
    package = {"name": str, "installed": str, "required": str}
    assert kinds(ask.get("/system_stats").json()) == {
        "system": {
            "os": str,
            "ram_total": int,
            "ram_free": int,
            "comfyui_version": str,
            "required_frontend_version": str,
            "installed_templates_version": str,
            "required_templates_version": str,
            "comfy_package_versions": [package],
            "python_version": str,
            "pytorch_version": str,
            "embedded_python": bool,
            "deploy_environment": str,
            "argv": [str],
        },
        "devices": [
            {
                "name": str,
                "type": str,
                "index": type(None),
                "vram_total": int,
                "vram_free": int,
                "torch_vram_total": int,
                "torch_vram_free": int,
            }
        ],
    }
    assert ask.get("/system_stats").json()["system"]["comfyui_version"] == "0.33.0"


@pytest.mark.parametrize("path", ["/workflow_templates", "/i18n"])
def test_what_a_server_without_custom_nodes_has_nothing_of(path: str, ask: Asker) -> None:
    assert ask.get(path).holds() == (200, {})


def test_extensions_are_paths(ask: Asker) -> None:
    assert all(isinstance(path, str) for path in ask.get("/extensions").json())


def test_an_unknown_subgraph(ask: Asker) -> None:
    assert isinstance(ask.get("/global_subgraphs").json(), dict)
    assert ask.get("/global_subgraphs/no-such").holds() == (200, None)


class TestInternal:
    def test_logs(self, ask: Asker) -> None:
        logs = ask.get("/internal/logs/raw").json()
        assert set(logs) == {"entries", "size"}
        assert all(set(entry) == {"t", "m"} for entry in logs["entries"])
        assert ask.get("/internal/logs").status == 200

    def test_folder_paths(self, ask: Asker) -> None:
        paths = ask.get("/internal/folder_paths").json()
        assert set(ask.get("/models").json()) <= set(paths)
        assert all(isinstance(path, str) for found in paths.values() for path in found)

    @pytest.mark.parametrize("kind", ["output", "input", "temp"])
    def test_files(self, kind: str, stub: comfystub.Stub, ask: Asker) -> None:
        ask.upload("a b.png", png(), type=kind)
        ask.upload("deep.png", png(), type=kind, subfolder="sub")
        listed = ask.get(f"/internal/files/{kind}").json()
        assert f"a b.png [{kind}]" in listed
        assert set(listed) <= {f"a b.png [{kind}]", f"example.png [{kind}]"}


@pytest.mark.parametrize("path", ["/api/assets", "/api/assets/some-id", "/api/tags"])
def test_assets_are_switched_off(path: str, ask: Asker) -> None:
    answer = ask.get(path)
    assert answer.status == 503
    assert "SERVICE_DISABLED" in answer.text
