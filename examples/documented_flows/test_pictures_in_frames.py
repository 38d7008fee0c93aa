"""Binary messages: pictures, and previews that are none."""

import io

import pytest
from PIL import Image

from comfyui import JobFailed
from pictures_in_frames import pictures
from workflows import STEPS, text_to_socket


def opened(picture):
    return Image.open(io.BytesIO(picture))


def test_a_picture_of_the_right_size(comfy_stub):
    sent = pictures(text_to_socket("a red fox"))
    assert list(sent) == ["save"]
    (picture,) = map(opened, sent["save"])
    assert (picture.format, picture.size) == ("PNG", (768, 512))


def test_each_picture_of_a_batch(comfy_stub):
    sent = pictures(text_to_socket("a red fox", batch_size=4))
    assert len({opened(picture).tobytes() for picture in sent["save"]}) == 4


def test_no_file_is_left(comfy_stub):
    pictures(text_to_socket("a red fox"))
    assert comfy_stub.outputs == []
    assert list(comfy_stub.output_dir.iterdir()) == []


def test_previews_came_too_and_were_left_out(comfy_stub):
    pictures(text_to_socket("a red fox"))
    sent = [event.data for event in comfy_stub.jobs[-1].events if event.type == "preview"]
    formats = [opened(frame[8:]).format for frame in sent]
    assert formats == ["JPEG"] * STEPS + ["PNG"]


def test_two_nodes_that_send(comfy_stub):
    workflow = text_to_socket("a red fox")
    workflow["small"] = {
        "class_type": "ImageScaleBy",
        "inputs": {"image": ["pixels", 0], "upscale_method": "area", "scale_by": 0.5},
    }
    workflow["send small"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["small", 0]}}
    sent = pictures(workflow)
    assert {node: opened(frames[0]).size for node, frames in sent.items()} == {
        "save": (768, 512),
        "send small": (384, 256),
    }


def spill(job, node):
    raise RuntimeError("the paint was spilled")


@pytest.mark.comfy_stub(image=spill)
def test_a_node_that_fails(comfy_stub):
    with pytest.raises(JobFailed, match="the paint was spilled"):
        pictures(text_to_socket("a red fox"))
