"""The fixture and the options of its marker."""

import io
import os
from pathlib import Path

import comfystub
import httpx
import pytest
from PIL import Image

from stills import StillError, share, still

HERE = Path(__file__).parent


def opened(picture):
    return Image.open(io.BytesIO(picture))


def test_a_still(comfy_stub):
    picture = still("moonrise over a harbour", seed=7)
    job = comfy_stub.jobs[-1]
    assert job.node("text").inputs["text"] == "moonrise over a harbour"
    assert job.node("KSampler").inputs["seed"] == 7
    assert opened(picture).size == (1024, 432)


def test_files_lie_below_tmp_path(comfy_stub, tmp_path):
    still("moonrise")
    assert comfy_stub.outputs[0].path.is_relative_to(tmp_path)


@pytest.mark.comfy_stub
def test_the_marker_alone_turns_it_on():
    assert still("moonrise").startswith(b"\x89PNG")


# pace: from the ini file, unless a marker says otherwise; the closest marker wins


def polls(comfy_stub):
    still("moonrise")
    return sum(call.path.startswith("/history/") for call in comfy_stub.requests)


def test_pace_of_the_ini_file(comfy_stub):
    assert polls(comfy_stub) == 2


@pytest.mark.comfy_stub(pace=4)
class TestPace:
    def test_pace_of_the_class(self, comfy_stub):
        assert polls(comfy_stub) == 4

    @pytest.mark.comfy_stub(pace="instant")
    def test_pace_of_the_test(self, comfy_stub):
        assert polls(comfy_stub) == 1


# models: which files are installed


@pytest.mark.comfy_stub(models={"checkpoints": ["stills_xl.safetensors"]})
def test_an_installed_model():
    assert still("moonrise")


@pytest.mark.comfy_stub(models={})
def test_no_models_at_all():
    with pytest.raises(StillError, match=r"ckpt_name: 'stills_xl\.safetensors' not in \[\]"):
        still("moonrise")


# image: what sampling produces


@pytest.mark.comfy_stub(image=HERE / "moonrise.png")
def test_a_picture_of_your_own():
    with Image.open(HERE / "moonrise.png") as mine:
        assert opened(still("moonrise")).tobytes() == mine.tobytes()


def one_colour(job, node):
    return Image.new("RGB", (32, 32), job.node("text").inputs["text"])


@pytest.mark.comfy_stub(image=one_colour)
@pytest.mark.parametrize("colour", ["red", "blue"])
def test_a_picture_made_of_the_job(colour):
    assert opened(still(colour)).getpixel((0, 0)) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))


def broken(job, node):
    raise RuntimeError(f"{node.class_type} is out of paint")


@pytest.mark.comfy_stub(image=broken)
def test_a_sampler_that_fails(comfy_stub):
    with pytest.raises(StillError, match="a node failed"):
        still("moonrise")
    assert comfy_stub.jobs[-1].error["exception_message"] == "KSampler is out of paint\n"


# env and unmatched: from the ini file


def test_the_environment_says_where_the_server_is(comfy_stub):
    assert os.environ["COMFYUI_URL"] == comfy_stub.url


def test_other_hosts_are_refused(comfy_stub):
    with pytest.raises(httpx.ConnectError):
        share(still("moonrise"), "http://example.com/hook")


# patch() inside a test: several servers one after the other, or options that only the test knows


def test_a_seed_makes_ids_repeat():
    def first_id():
        with comfystub.patch(seed=1, env={"COMFYUI_URL": "{url}"}) as stub:
            still("moonrise")
            return stub.jobs[0].id

    assert first_id() == first_id()


def test_a_picture_from_a_fixture(tmp_path):
    path = tmp_path / "grey.png"
    Image.new("L", (16, 16), 128).save(path)
    with comfystub.patch(image=path, env={"COMFYUI_URL": "{url}"}):
        assert opened(still("moonrise")).size == (16, 16)
