"""Progress and previews as they come; interrupts in the middle."""

import io

import aiohttp
import pytest
from PIL import Image

from comfyui import JobFailed, PromptRejected
from show_progress import Client, Picture, Preview, Progress
from workflows import STEPS, text_to_image


@pytest.fixture
async def client(comfy_stub):
    async with aiohttp.ClientSession() as session:
        yield Client(session)


async def shown(client, workflow, kind):
    return [one async for one in client.run(workflow) if isinstance(one, kind)]


def opened(picture):
    return Image.open(io.BytesIO(picture))


async def test_progress_from_the_first_step_to_the_last(client):
    progress = await shown(client, text_to_image("a red fox"), Progress)
    assert progress == [Progress("sampler", value, STEPS) for value in range(1, STEPS + 1)]


async def test_a_preview_of_each_step(client):
    previews = await shown(client, text_to_image("a red fox"), Preview)
    assert [preview.node for preview in previews] == ["sampler"] * STEPS
    # Small, in the proportions of the picture.
    assert {(opened(one.picture).format, opened(one.picture).size) for one in previews} == {
        ("JPEG", (512, 341))
    }


async def test_a_preview_comes_before_its_step(client):
    kinds = [type(one) async for one in client.run(text_to_image("a red fox"))]
    assert kinds == [Preview, Progress] * STEPS + [Picture]


async def test_the_picture_that_comfyui_saved(client, comfy_stub):
    (picture,) = await shown(client, text_to_image("a red fox"), Picture)
    assert picture.picture == comfy_stub.outputs[0].path.read_bytes()
    assert opened(picture.picture).size == (768, 512)


async def test_one_workflow_after_the_other(client, comfy_stub):
    for seed in 1, 2, 3:
        assert await shown(client, text_to_image("a red fox", seed=seed), Picture)
    assert len(comfy_stub.outputs) == 3


async def test_an_interrupt_after_three_steps(client, comfy_stub):
    steps = []
    with pytest.raises(JobFailed, match="interrupted"):
        async for one in client.run(text_to_image("a red fox")):
            if isinstance(one, Progress):
                steps.append(one.value)
                if one.value == 3:
                    await client.interrupt()
    assert steps[:3] == [1, 2, 3] and steps[-1] < STEPS
    assert comfy_stub.jobs[-1].status == "cancelled"
    assert comfy_stub.jobs[-1].outputs == []


async def test_a_rejected_prompt(client, comfy_stub):
    with pytest.raises(PromptRejected, match="sampler_name: 'eular' not in"):
        await shown(client, text_to_image("a red fox", sampler="eular"), Progress)
    assert comfy_stub.jobs == []


def spill(job, node):
    raise RuntimeError("the paint was spilled")


@pytest.mark.comfy_stub(image=spill)
async def test_a_node_that_fails(client):
    with pytest.raises(JobFailed, match="KSampler: the paint was spilled"):
        await shown(client, text_to_image("a red fox"), Progress)
