"""Submit first, listen later: before, in the middle of and after the job."""

import asyncio

import pytest

from comfyui import JobFailed, PromptRejected
from join_late import follow, submit
from workflows import text_to_image

# The look with which a follower begins is the first: it finds the job where it is.
pytestmark = pytest.mark.comfy_stub(pace=3)


async def followed(prompt_id):
    return [node async for node in follow("me", prompt_id)]


async def test_a_job_that_waits(comfy_stub):
    prompt_id = await submit(text_to_image("a red fox"), "me")
    nodes = await followed(prompt_id)
    assert sorted(nodes) == ["model", "nothing", "pixels", "sampler", "save", "size", "text"]
    assert nodes[-3:] == ["sampler", "pixels", "save"]
    assert comfy_stub.jobs[-1].status == "completed"


async def test_a_job_in_the_middle(comfy_stub):
    prompt_id = await submit(text_to_image("a red fox"), "me")
    comfy_stub.run_until("progress")
    assert await followed(prompt_id) == ["sampler", "pixels", "save"]


async def test_a_job_that_is_over(comfy_stub):
    prompt_id = await submit(text_to_image("a red fox"), "me")
    comfy_stub.finish()
    assert await followed(prompt_id) == []


async def test_a_rejected_prompt(comfy_stub):
    with pytest.raises(PromptRejected, match="sampler_name: 'eular' not in"):
        await submit(text_to_image("a red fox", sampler="eular"), "me")


async def test_a_job_that_is_interrupted(comfy_stub):
    prompt_id = await submit(text_to_image("a red fox"), "me")
    nodes = []
    with pytest.raises(JobFailed, match="interrupted"):
        async for node in follow("me", prompt_id):
            nodes.append(node)
            if node == "sampler":
                async with comfy_stub.async_client() as other:
                    await other.post("/interrupt")
    assert nodes[-1] == "sampler"
    assert comfy_stub.jobs[-1].status == "cancelled"


async def test_two_jobs_at_a_time(comfy_stub):
    async def paint(text):
        prompt_id = await submit(text_to_image(text), text)
        return [node async for node in follow(text, prompt_id)]

    red, blue = await asyncio.gather(paint("red"), paint("blue"))
    # The second finds the model and the size of the first in the cache.
    assert red[-1] == blue[-1] == "save"
    assert [job.status for job in comfy_stub.jobs] == ["completed"] * 2


@pytest.mark.comfy_stub(pace="manual")
async def test_nobody_moves_the_job(comfy_stub):
    prompt_id = await submit(text_to_image("a red fox"), "me")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(followed(prompt_id), timeout=0.05)
