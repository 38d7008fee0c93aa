"""Queue and poll: jobs that take a while, rejected prompts, nodes that fail."""

import io

import pytest
from PIL import Image

import poll_history
from comfyui import JobFailed, PromptRejected
from workflows import text_to_image


@pytest.fixture(autouse=True)
def poll_at_once(monkeypatch):
    monkeypatch.setattr(poll_history, "POLL_INTERVAL", 0)


@pytest.mark.comfy_stub(pace=4)
def test_it_polls_until_the_picture_is_there(comfy_stub):
    (picture,) = poll_history.pictures(text_to_image("a red fox", seed=7))
    assert Image.open(io.BytesIO(picture)).size == (768, 512)
    assert picture == comfy_stub.outputs[0].path.read_bytes()
    assert comfy_stub.jobs[-1].node("sampler").inputs["seed"] == 7
    assert [call.path.split("/")[1] for call in comfy_stub.requests] == ["prompt", *["history"] * 4, "view"]


def test_a_batch(comfy_stub):
    assert len(set(poll_history.pictures(text_to_image("a red fox", batch_size=3)))) == 3


def test_a_rejected_prompt_says_why(comfy_stub):
    with pytest.raises(PromptRejected, match="sampler_name: 'eular' not in"):
        poll_history.pictures(text_to_image("a red fox", sampler="eular"))
    assert comfy_stub.jobs == []


def spill(job, node):
    raise RuntimeError("the paint was spilled")


@pytest.mark.comfy_stub(image=spill)
def test_a_node_that_fails(comfy_stub):
    with pytest.raises(JobFailed, match="KSampler: the paint was spilled"):
        poll_history.pictures(text_to_image("a red fox"))
