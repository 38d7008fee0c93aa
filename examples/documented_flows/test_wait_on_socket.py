"""Wait for the last message: what else comes over the socket, how a job can end, a server that is silent."""

import io
import time
from concurrent.futures import ThreadPoolExecutor, TimeoutError

import pytest
import websocket
from PIL import Image

from comfyui import JobFailed, PromptRejected, submit
from wait_on_socket import pictures
from workflows import text_to_image


def test_the_pictures_that_comfyui_saved(comfy_stub):
    first, second = pictures(text_to_image("a red fox", batch_size=2))
    assert [first, second] == [output.path.read_bytes() for output in comfy_stub.outputs]
    assert Image.open(io.BytesIO(first)).size == (768, 512)


def test_it_waits_on_the_socket_and_looks_once(comfy_stub):
    pictures(text_to_image("a red fox"))
    assert [call.path.split("/")[1] for call in comfy_stub.requests] == ["ws", "prompt", "history", "view"]


def test_the_same_workflow_again_comes_from_the_cache(comfy_stub):
    assert pictures(text_to_image("a red fox")) == pictures(text_to_image("a red fox"))
    assert len(list(comfy_stub.output_dir.glob("flow_*.png"))) == 1


def test_somebody_elses_job_is_none_of_ours(comfy_stub):
    other = submit(text_to_image("a blue fox"), "somebody-else")
    pictures(text_to_image("a red fox"))
    ours = comfy_stub.jobs[-1]
    assert [job.id for job in comfy_stub.jobs] == [other, ours.id]
    assert ours.node("text").inputs["text"] == "a red fox"


def test_a_rejected_prompt(comfy_stub):
    with pytest.raises(PromptRejected, match="Prompt outputs failed validation"):
        pictures(text_to_image("a red fox", seed=-1))


def spill(job, node):
    raise RuntimeError("the paint was spilled")


@pytest.mark.comfy_stub(image=spill)
def test_a_node_that_fails(comfy_stub):
    with pytest.raises(JobFailed, match="KSampler: the paint was spilled"):
        pictures(text_to_image("a red fox"))


@pytest.mark.comfy_stub(pace="manual")
def test_a_server_that_is_silent(comfy_stub):
    with pytest.raises(websocket.WebSocketTimeoutException):
        pictures(text_to_image("a red fox"), timeout=0.05)
    assert comfy_stub.jobs[-1].status == "pending"


# A thread waits on the socket, the test moves the job.


@pytest.fixture
def waiting(comfy_stub):
    """The pictures that a thread waits for; the job is in the queue by then."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(pictures, text_to_image("a red fox"), timeout=5)
        while not comfy_stub.jobs:
            time.sleep(0.001)
        yield result


@pytest.mark.comfy_stub(pace="manual")
def test_the_thread_hears_of_the_end(comfy_stub, waiting):
    comfy_stub.run_until("execution_success")
    with pytest.raises(TimeoutError):  # that is not yet the last message
        waiting.result(timeout=0.02)
    comfy_stub.finish()
    assert len(waiting.result()) == 1


@pytest.mark.comfy_stub(pace="manual")
def test_a_job_that_is_interrupted(comfy_stub, waiting):
    event = comfy_stub.run_until("progress")
    assert event.data["value"] == 1
    with comfy_stub.client() as somebody_else:
        somebody_else.post("/interrupt")
    comfy_stub.finish()
    with pytest.raises(JobFailed, match="interrupted"):
        waiting.result()
    assert comfy_stub.jobs[-1].status == "cancelled"
