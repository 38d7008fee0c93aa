"""What an older ComfyUI answers otherwise."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

import comfystub

URL = "http://comfy.test:8188"
GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "p"}},
}


def submit(**body: Any) -> Any:
    return httpx.post(f"{URL}/prompt", json={"prompt": GRAPH, **body}).json()["prompt_id"]


def outputs(prompt_id: str) -> Any:
    return httpx.get(f"{URL}/history/{prompt_id}").json()[prompt_id]["outputs"]


def test_it_says_which_it_is() -> None:
    for version, release in {"0.33": "0.33.0", "0.8": "0.8.0"}.items():
        with comfystub.patch(URL, version=version):
            assert httpx.get(f"{URL}/system_stats").json()["system"]["comfyui_version"] == release


def test_there_is_no_other() -> None:
    with pytest.raises(ValueError, match=r"version= takes '0\.33' or '0\.8'"):
        comfystub.Stub(URL, version="0.9")


@pytest.mark.parametrize(("version", "shown"), [("0.33", ["9"]), ("0.8", [])])
def test_a_prompt_cached_whole_shows_its_outputs_to_a_client_id_only(version: str, shown: list[str]) -> None:
    with comfystub.patch(URL, version=version):
        assert list(outputs(submit())) == ["9"]
        assert list(outputs(submit())) == shown
        assert list(outputs(submit(client_id="c"))) == ["9"]


def test_any_id_will_do() -> None:
    with comfystub.patch(URL, version="0.8"):
        assert submit(prompt_id=17) == "17"
        assert uuid.UUID(submit())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/jobs/cancel"),
        ("POST", "/api/jobs/7/cancel"),
        ("GET", "/node_replacements"),
    ],
)
def test_routes_that_it_does_not_have(method: str, path: str) -> None:
    with comfystub.patch(URL, version="0.8"):
        assert httpx.request(method, URL + path, json={"job_ids": []}).status_code in (404, 405)
    with comfystub.patch(URL):
        assert httpx.request(method, URL + path, json={"job_ids": []}).status_code == 200


class TestReplacements:
    def prompt(self, **node: Any) -> Any:
        loader = {"class_type": "T2IAdapterLoader", "inputs": {"t2i_adapter_name": "a.pth", "more": 1}}
        graph = {"c": {**loader, **node}, "p": {"class_type": "PreviewAny", "inputs": {"source": ["c", 0]}}}
        return httpx.post(f"{URL}/prompt", json={"prompt": graph})

    def test_a_class_that_is_gone_is_replaced(self) -> None:
        with comfystub.patch(URL) as stub:
            assert self.prompt(_meta={"title": "Adapter"}).status_code == 200
            assert stub.jobs[0].workflow["c"] == {
                "inputs": {"control_net_name": "a.pth"},
                "class_type": "ControlNetLoader",
                "_meta": {"title": "Adapter"},
            }

    def test_without_a_title_the_server_gets_itself_in_trouble(self) -> None:
        with comfystub.patch(URL):
            assert self.prompt().status_code == 500

    def test_an_older_server_misses_the_class(self) -> None:
        with comfystub.patch(URL, version="0.8"), pytest.warns(comfystub.UnknownNodeWarning):
            assert self.prompt(_meta={"title": "Adapter"}).json()["error"]["type"] == "invalid_prompt"

    def test_a_class_that_the_server_has_stays(self) -> None:
        with comfystub.patch(URL) as stub:
            stub.add_node("T2IAdapterLoader", inputs={"t2i_adapter_name": "STRING"}, outputs=["CONTROL_NET"])
            self.prompt(_meta={"title": "Adapter"})
            assert stub.jobs[0].workflow["c"]["class_type"] == "T2IAdapterLoader"

    def test_values_that_are_set(self) -> None:
        info = {"ResizeImageMaskNode": {}, "PreviewAny": {}}
        with comfystub.patch(URL) as stub, stub.client() as client:
            whole = client.get("/object_info").json()
            assert "T2IAdapterLoader" in client.get("/node_replacements").json()
        info = {name: entry for name, entry in whole.items() if name != "ImageScaleBy"}
        with comfystub.patch(URL, object_info=info) as stub, stub.client() as client:
            assert client.get("/node_replacements").json() == {}
