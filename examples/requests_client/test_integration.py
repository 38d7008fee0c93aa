"""Integration tests: the client against a whole server, from the upload to the file."""

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from comfyui_client import JobCancelled, JobFailed, JobLost, JobTimeout, PromptRejected, State
from workflows import text_to_image, upscale


def image(content):
    return Image.open(io.BytesIO(content))


def test_a_picture_comes_over_http_and_from_the_output_folder(client):
    prompt_id = client.submit(text_to_image("a red fox", width=768, height=512))
    (picture,) = client.wait(prompt_id)
    assert picture == ("generation_00001_.png", "", "output")
    assert image(client.download(picture)).size == (768, 512)
    assert client.path(picture).read_bytes() == client.download(picture)


def test_a_prefix_with_a_folder(client):
    prompt_id = client.submit(text_to_image("a red fox", prefix="foxes/red"))
    (picture,) = client.wait(prompt_id)
    assert picture == ("red_00001_.png", "foxes", "output")
    assert client.path(picture).exists()


def test_a_batch_leaves_several_pictures(client):
    pictures = client.wait(client.submit(text_to_image("a red fox", batch_size=4)))
    assert [picture.filename for picture in pictures] == [f"generation_0000{n}_.png" for n in (1, 2, 3, 4)]
    assert len({client.download(picture) for picture in pictures}) == 4


def test_seed_and_text_decide_what_is_painted(client):
    def paint(text, seed):
        (picture,) = client.wait(client.submit(text_to_image(text, seed=seed)))
        return image(client.download(picture)).tobytes()

    fox = paint("a red fox", seed=7)
    assert paint("a red fox", seed=8) != fox
    assert paint("a blue fox", seed=7) != fox
    assert paint("a red fox", seed=7) == fox


def test_an_uploaded_picture_is_enlarged(client):
    file = io.BytesIO()
    Image.new("RGB", (120, 80), "orange").save(file, "PNG")
    name = client.upload_image("fox.png", file.getvalue())
    (picture,) = client.wait(client.submit(upscale(name, factor=2)))
    enlarged = image(client.download(picture))
    assert enlarged.size == (240, 160)
    assert enlarged.getpixel((0, 0)) == (255, 165, 0)


@pytest.mark.comfy_stub(pace=4)
def test_a_job_is_watched_until_it_is_over(client):
    prompt_id = client.submit(text_to_image("a red fox"))
    states = [status.state for status in client.watch(prompt_id)]
    assert states == [State.QUEUED, State.RUNNING, State.RUNNING, State.COMPLETED]


def test_a_node_that_fails(client, comfy_stub):
    name = client.upload_image("notes.png", b"no picture at all")
    prompt_id = client.submit(upscale(name))
    with pytest.raises(JobFailed, match="LoadImage: cannot identify image file"):
        client.wait(prompt_id)
    assert comfy_stub.jobs[-1].error["node_id"] == "1"


def test_a_picture_that_was_never_uploaded(client):
    with pytest.raises(PromptRejected, match=r"Invalid image file: fox\.png"):
        client.submit(upscale("fox.png"))


def test_after_an_error_the_next_job_runs(client):
    with pytest.raises(PromptRejected):
        client.submit(upscale("fox.png"))
    with pytest.raises(JobFailed):
        client.wait(client.submit(upscale(client.upload_image("notes.png", b"no picture"))))
    assert client.wait(client.submit(text_to_image("a red fox")))


@pytest.mark.comfy_stub(pace="manual")
def test_a_job_is_cancelled_while_it_waits(client, comfy_stub):
    first, second = (client.submit(text_to_image("a red fox", seed=seed)) for seed in (1, 2))
    client.cancel(second)
    comfy_stub.finish()
    assert client.wait(first)
    with pytest.raises(JobLost):
        client.wait(second)
    assert [job.status for job in comfy_stub.jobs] == ["completed", "cancelled"]


@pytest.mark.comfy_stub(pace="manual")
def test_a_job_is_interrupted_while_it_runs(client, comfy_stub):
    first, second = (client.submit(text_to_image("a red fox", seed=seed)) for seed in (1, 2))
    comfy_stub.run_until("progress")
    client.interrupt()
    comfy_stub.finish()
    with pytest.raises(JobCancelled):
        client.wait(first)
    assert client.wait(second)


@pytest.mark.comfy_stub(pace="manual")
def test_an_interrupt_for_another_job_changes_nothing(client, comfy_stub):
    first, second = (client.submit(text_to_image("a red fox", seed=seed)) for seed in (1, 2))
    comfy_stub.run_until("progress")
    client.interrupt(second)
    comfy_stub.finish()
    assert client.wait(first) and client.wait(second)


@pytest.mark.comfy_stub(pace="manual")
def test_a_job_that_takes_too_long(client, comfy_stub):
    prompt_id = client.submit(text_to_image("a red fox"))
    with pytest.raises(JobTimeout, match="still queued"):
        client.wait(prompt_id, timeout=0)
    comfy_stub.run_until("executing")
    with pytest.raises(JobTimeout, match="still running"):
        client.wait(prompt_id, timeout=0)


@pytest.mark.comfy_stub(pace=5)
def test_jobs_of_several_threads(client):
    def paint(seed):
        return client.wait(client.submit(text_to_image("a red fox", seed=seed)))

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(paint, range(16)))
    assert len({picture.filename for (picture,) in results}) == 16
