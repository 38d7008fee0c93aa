import pytest

from comfyui_client import ComfyUIClient
from generation import GenerationService


@pytest.fixture
def client(comfy_stub):
    """A client of the stub; it looks again without waiting."""
    client = ComfyUIClient(comfy_stub.url, output_dir=comfy_stub.output_dir, poll_interval=0)
    yield client
    client.close()


@pytest.fixture
def saved():
    """The states in which records were saved, in order."""
    return []


@pytest.fixture
def service(client, saved, tmp_path):
    return GenerationService(client, tmp_path / "library", save=lambda record: saved.append(record.status))
