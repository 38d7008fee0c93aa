"""Unit tests: one method at a time, what it sends and what it makes of the answer."""

import pytest

from comfyui_client import ComfyUIClient, ComfyUIError, Picture, PromptRejected, ServerUnavailable, State
from workflows import text_to_image


def test_a_server_that_answers_is_healthy(client, comfy_stub):
    assert client.is_healthy()
    assert [(call.method, call.path) for call in comfy_stub.requests] == [("GET", "/system_stats")]


@pytest.mark.comfy_stub(base_url="http://gpu-1.example:8188", unmatched="error")
def test_a_server_that_does_not_answer_is_not_healthy():
    assert not ComfyUIClient("http://gpu-2.example:8188").is_healthy()


@pytest.mark.comfy_stub(models={"checkpoints": ["fox.safetensors"], "loras": ["snow.safetensors"]})
def test_models_are_listed_by_kind(client):
    assert client.models() == ["fox.safetensors"]
    assert client.models("loras") == ["snow.safetensors"]
    assert client.models("vae") == []


def test_an_unknown_kind_of_model_is_an_error(client):
    with pytest.raises(ServerUnavailable, match="404"):
        client.models("foxes")


@pytest.mark.comfy_stub(env={"COMFYUI_URL": "{url}", "COMFYUI_OUTPUT_DIR": "{output_dir}"})
def test_the_environment_says_where_the_server_is(comfy_stub):
    client = ComfyUIClient.from_env()
    assert client.base_url == comfy_stub.url
    assert client.output_dir == comfy_stub.output_dir


def test_submit_sends_the_workflow_and_returns_the_prompt_id(client, comfy_stub):
    workflow = text_to_image("a red fox", seed=7)
    prompt_id = client.submit(workflow)
    assert comfy_stub.requests[-1].json == {"prompt": workflow}
    assert comfy_stub.jobs[-1].id == prompt_id


def test_a_rejected_prompt_says_what_is_wrong_with_which_node(client, comfy_stub):
    with pytest.raises(PromptRejected, match=r"KSampler \(3\): Value not in list: sampler_name") as info:
        client.submit(text_to_image("a red fox", sampler="eular"))
    assert info.value.error["type"] == "prompt_outputs_failed_validation"
    assert info.value.node_errors["3"]["dependent_outputs"] == ["9"]
    assert comfy_stub.jobs == []


def test_a_prompt_without_an_output_node_is_rejected(client):
    workflow = text_to_image("a red fox")
    del workflow["9"]
    with pytest.raises(PromptRejected, match="Prompt has no outputs"):
        client.submit(workflow)


@pytest.mark.filterwarnings("ignore::comfystub.UnknownNodeWarning")
def test_a_node_class_that_is_not_installed_is_rejected(client):
    with pytest.raises(PromptRejected, match="Node 'FilmGrain' not found"):
        client.submit({"1": {"class_type": "FilmGrain", "inputs": {}}})


def test_the_status_of_a_job_that_nobody_knows(client):
    status = client.status("00000000-0000-4000-8000-000000000000")
    assert status.state is State.LOST
    assert status.is_over


@pytest.mark.comfy_stub(pace=3)
def test_the_status_of_a_job_that_waits_runs_and_ends(client):
    prompt_id = client.submit(text_to_image("a red fox"))
    assert client.status(prompt_id).state is State.QUEUED
    assert client.status(prompt_id).state is State.RUNNING
    assert client.status(prompt_id).state is State.COMPLETED


def test_an_upload_may_get_another_name(client):
    assert client.upload_image("fox.png", b"one") == "fox.png"
    assert client.upload_image("fox.png", b"two") == "fox (1).png"


def test_interrupting_an_idle_server_does_nothing(client):
    for _ in range(3):
        client.interrupt()


def test_only_output_files_can_be_read_from_the_folder(client):
    with pytest.raises(ComfyUIError, match="no folder that this machine can read"):
        client.path(Picture("preview.png", "", "temp"))
