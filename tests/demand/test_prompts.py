"""Prompts that the server rejects, in whole or in part, as a real one does."""

from __future__ import annotations

from typing import Any

import aiohttp
import httpx
import pytest
import requests
from workflows import text_to_image

import comfystub
from demand.asking import names, submit, wait


async def test_a_value_that_is_not_allowed(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["3"]["inputs"]["steps"] = 0
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{stub.url}/prompt", json={"prompt": workflow}) as response:
            assert response.status == 400
            body = await response.json()
    assert body["error"]["type"] == "prompt_outputs_failed_validation"
    (error,) = body["node_errors"]["3"]["errors"]
    assert (error["type"], error["extra_info"]["input_name"]) == ("value_smaller_than_min", "steps")
    assert body["node_errors"]["3"]["dependent_outputs"] == ["9"]


def test_a_model_that_is_not_installed() -> None:
    with comfystub.patch(models={"checkpoints": ["fox.safetensors"]}) as stub:
        response = httpx.post(f"{stub.url}/prompt", json={"prompt": text_to_image(checkpoint="wolf.ckpt")})
        assert response.status_code == 400
        (error,) = response.json()["node_errors"]["4"]["errors"]
        assert error["details"] == "ckpt_name: 'wolf.ckpt' not in ['fox.safetensors']"


def test_a_bad_output_is_dropped_and_the_rest_runs(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["10"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "no picture"}}
    response = requests.post(f"{stub.url}/prompt", json={"prompt": workflow})
    assert response.status_code == 200
    (error,) = response.json()["node_errors"]["10"]["errors"]
    assert error["type"] == "required_input_missing"
    assert list(wait(response.json()["prompt_id"])["outputs"]) == ["9"]


def test_an_id_of_ones_own_that_is_no_uuid(stub: comfystub.Stub) -> None:
    response = requests.post(f"{stub.url}/prompt", json={"prompt": text_to_image(), "prompt_id": "job-1"})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_prompt_id"


def test_an_id_of_ones_own(stub: comfystub.Stub) -> None:
    own = "5eed5eed-0000-4000-8000-000000000001"
    assert submit(prompt_id=own) == own
    assert names(wait(own)) == ["ComfyUI_00001_.png"]


def test_a_node_class_that_the_server_lacks(stub: comfystub.Stub) -> None:
    workflow = text_to_image()
    workflow["10"] = {"class_type": "FilmGrain", "inputs": {"image": ["8", 0]}}
    with pytest.warns(comfystub.UnknownNodeWarning):
        response = httpx.post(f"{stub.url}/prompt", json={"prompt": workflow})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "missing_node_type"
    assert error["extra_info"]["class_type"] == "FilmGrain"


#: What the editor saves.
UI_GRAPH: dict[str, Any] = {
    "last_node_id": 1,
    "last_link_id": 0,
    "nodes": [{"id": 1, "type": "KSampler", "widgets_values": [7, "fixed", 20]}],
    "links": [],
    "version": 0.4,
}


def test_the_editors_graph_is_posted_as_the_prompt(stub: comfystub.Stub) -> None:
    response = httpx.post(f"{stub.url}/prompt", json={"prompt": UI_GRAPH})
    assert response.status_code == 500
    assert response.headers["content-type"].startswith("text/plain")


def test_the_editors_graph_is_posted_as_the_body(stub: comfystub.Stub) -> None:
    response = httpx.post(f"{stub.url}/prompt", json=UI_GRAPH)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "no_prompt"
