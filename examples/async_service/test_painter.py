import asyncio

import comfystub
import httpx
import pytest

from painter import Painter, PaintingFailed

TEXTS = ["a red fox", "a blue fox", "a green fox", "a white fox", "a black fox"]


@pytest.fixture
async def painter(comfy_stub):
    async with Painter(comfy_stub.url, limit=2, poll_interval=0) as painter:
        yield painter


async def test_a_picture(painter, comfy_stub):
    picture = await painter.paint("a red fox", seed=7)
    job = comfy_stub.jobs[-1]
    assert job.node("text").inputs["text"] == "a red fox"
    assert job.node("sampler").inputs["seed"] == 7
    assert picture == job.outputs[0].path.read_bytes()


async def test_several_pictures_come_in_the_order_of_their_texts(painter, comfy_stub):
    pictures = await painter.paint_all(TEXTS)
    painted = {job.node("text").inputs["text"]: job.outputs[0].path.read_bytes() for job in comfy_stub.jobs}
    assert pictures == [painted[text] for text in TEXTS]
    assert len(set(pictures)) == len(TEXTS)


async def test_only_so_many_prompts_at_a_time(painter, comfy_stub):
    await painter.paint_all(TEXTS)
    under_way, most = 0, 0
    for call in comfy_stub.requests:
        if call.path == "/prompt":
            under_way += 1
        elif call.path == "/view":
            under_way -= 1
        most = max(most, under_way)
    assert most == 2


async def test_it_polls_until_the_job_is_done(painter, comfy_stub):
    await painter.paint("a red fox")
    job = comfy_stub.jobs[-1]
    assert [call.path for call in comfy_stub.requests].count(f"/api/jobs/{job.id}") == 3


@pytest.mark.comfy_stub(models={"checkpoints": []})
async def test_a_rejected_prompt(painter, comfy_stub):
    with pytest.raises(PaintingFailed, match="Prompt outputs failed validation"):
        await painter.paint("a red fox")
    assert comfy_stub.jobs == []


def spill(job, node):
    raise RuntimeError("the paint was spilled")


@pytest.mark.comfy_stub(image=spill)
async def test_a_node_that_fails(painter, comfy_stub):
    with pytest.raises(PaintingFailed, match="the paint was spilled"):
        await painter.paint("a red fox")
    assert comfy_stub.jobs[-1].error["node_type"] == "KSampler"


async def test_one_failure_among_several(painter):
    jobs = painter.paint("a red fox"), painter.paint("a blue fox", seed=-1)
    picture, failure = await asyncio.gather(*jobs, return_exceptions=True)
    assert picture.startswith(b"\x89PNG")
    assert isinstance(failure, PaintingFailed)


@pytest.mark.comfy_stub(pace="manual")
async def test_giving_up_cancels_the_job(painter, comfy_stub):
    task = asyncio.create_task(painter.paint("a red fox"))
    while not comfy_stub.jobs:
        await asyncio.sleep(0)
    comfy_stub.run_until("progress")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    comfy_stub.finish()
    assert comfy_stub.jobs[-1].status == "cancelled"


@pytest.mark.comfy_stub(pace="manual")
async def test_a_time_limit_around_it(painter, comfy_stub):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(painter.paint("a red fox"), timeout=0.05)
    assert [job.status for job in comfy_stub.jobs] == ["cancelled"]


async def test_two_servers():
    first_url, second_url = "http://gpu-1.example:8188", "http://gpu-2.example:8188"
    with comfystub.patch(first_url) as one, comfystub.patch(second_url) as two:
        async with Painter(first_url) as first, Painter(second_url) as second:
            pictures = await asyncio.gather(first.paint("a red fox"), second.paint("a blue fox"))
    assert [job.node("text").inputs["text"] for job in one.jobs + two.jobs] == ["a red fox", "a blue fox"]
    assert pictures[0] != pictures[1]


@pytest.mark.comfy_stub(unmatched="error")
async def test_no_server():
    async with Painter("http://gpu-3.example:8188") as painter:
        with pytest.raises(httpx.ConnectError):
            await painter.paint("a red fox")
