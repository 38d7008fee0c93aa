"""End-to-end tests: the application's own service, from the record to the files in its library."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from comfyui_client import ComfyUIClient, State
from generation import GenerationService
from workflows import upscale

QUEUED, RUNNING, COMPLETED, FAILED = State.QUEUED, State.RUNNING, State.COMPLETED, State.FAILED


@pytest.mark.comfy_stub(pace=3)
def test_a_generation_from_the_queue_to_the_library(service, saved, comfy_stub):
    generation = service.create("a red fox", seed=7)
    service.process(generation)
    assert saved == [QUEUED, RUNNING, COMPLETED]
    (file,) = generation.files
    assert file.read_bytes() == comfy_stub.jobs[-1].outputs[0].path.read_bytes()
    assert generation.error is None


def test_what_the_user_asked_for_reaches_comfyui(service, comfy_stub):
    service.process(service.create("a red fox", seed=7, checkpoint="fox.safetensors", width=640))
    job = comfy_stub.jobs[-1]
    assert job.node("6").inputs["text"] == "a red fox"
    assert job.node("KSampler").inputs["seed"] == 7
    assert job.node("CheckpointLoaderSimple").inputs["ckpt_name"] == "fox.safetensors"
    assert job.outputs[0].image.size == (640, 512)


def test_a_batch(service):
    generation = service.create("a red fox", batch_size=3)
    service.process(generation)
    assert [file.exists() for file in generation.files] == [True, True, True]


@pytest.mark.comfy_stub(models={"checkpoints": ["fox.safetensors"]})
def test_a_model_that_is_not_installed(service, saved):
    generation = service.create("a red fox", checkpoint="wolf.safetensors")
    service.process(generation)
    assert saved == [QUEUED, FAILED]
    assert "ckpt_name: 'wolf.safetensors' not in ['fox.safetensors']" in generation.error


def test_a_node_that_fails(service, client):
    generation = service.create_from(upscale(client.upload_image("notes.png", b"no picture")))
    service.process(generation)
    assert generation.status is FAILED
    assert generation.error.startswith("LoadImage: cannot identify image file")
    assert generation.files == []


@pytest.mark.comfy_stub(unmatched="error")
def test_no_server_and_then_one(service, comfy_stub, tmp_path):
    offline = GenerationService(ComfyUIClient("http://127.0.0.1:9999"), tmp_path)
    generation = offline.create("a red fox")
    offline.process(generation)
    assert generation.status is FAILED
    assert generation.error.startswith("no answer from http://127.0.0.1:9999")
    assert comfy_stub.jobs == []

    again = service.create_from(generation.workflow)
    service.process(again)
    assert again.status is COMPLETED


@pytest.mark.comfy_stub(pace="manual")
def test_cancelled_while_it_waits(service, comfy_stub):
    first, second = service.create("a red fox"), service.create("a blue fox")
    service.submit(first)
    service.submit(second)
    service.cancel(second)
    comfy_stub.finish()
    service.follow(second)
    service.follow(first)
    assert (first.status, second.status) == (COMPLETED, State.CANCELLED)
    assert second.files == []


@pytest.mark.comfy_stub(pace="manual")
def test_cancelled_while_it_runs(service, comfy_stub):
    generation = service.create("a red fox")
    service.submit(generation)
    comfy_stub.run_until("progress")
    service.cancel(generation)
    comfy_stub.finish()
    service.follow(generation)
    assert generation.status is State.CANCELLED
    assert comfy_stub.outputs == []


@pytest.mark.comfy_stub(pace="manual")
def test_a_generation_that_takes_too_long_is_taken_from_the_queue(client, comfy_stub, tmp_path):
    impatient = GenerationService(client, tmp_path, timeout=0)
    generation = impatient.create("a red fox")
    impatient.process(generation)
    assert generation.status is FAILED
    assert "still queued after 0 s" in generation.error
    assert comfy_stub.jobs[-1].status == "cancelled"


@pytest.mark.comfy_stub(pace=4)
def test_generations_at_the_same_time(service, saved):
    generations = [service.create("a red fox", seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(service.process, generations))
    assert saved.count(COMPLETED) == 8
    assert len({file.read_bytes() for generation in generations for file in generation.files}) == 8


def test_after_a_failure_the_next_generation_completes(service, client):
    broken = service.create_from(upscale(client.upload_image("notes.png", b"no picture")))
    good = service.create("a red fox")
    service.process(broken)
    service.process(good)
    assert (broken.status, good.status) == (FAILED, COMPLETED)
