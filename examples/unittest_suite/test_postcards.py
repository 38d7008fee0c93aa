import io
import unittest
from unittest import mock

import comfystub
import httpx
import requests
from PIL import Image

import postcards


class Case(unittest.TestCase):
    """Tests that poll without waiting."""

    def setUp(self):
        polling = mock.patch.object(postcards, "POLL_INTERVAL", 0)
        polling.start()
        self.addCleanup(polling.stop)


@comfystub.patch
class PaintTest(Case):
    """A fresh server for each test, from before setUp to after the cleanups."""

    def test_the_picture_that_comfyui_saved(self):
        picture = postcards.paint("a lighthouse")
        (output,) = self.comfy_stub.outputs
        self.assertEqual(picture, output.path.read_bytes())

    def test_in_landscape(self):
        self.assertEqual(Image.open(io.BytesIO(postcards.paint("a lighthouse"))).size, (960, 640))

    def test_in_portrait(self):
        postcards.paint("a lighthouse", portrait=True)
        self.assertEqual(self.comfy_stub.outputs[0].image.size, (640, 960))

    def test_no_job_is_left_from_another_test(self):
        self.assertEqual(self.comfy_stub.jobs, [])


@comfystub.patch(models={"checkpoints": ["sd_xl_base_1.0.safetensors"]})
class MissingModelTest(Case):
    def test_the_prompt_is_rejected(self):
        with self.assertRaises(requests.HTTPError) as caught:
            postcards.paint("a lighthouse")
        (error,) = caught.exception.response.json()["node_errors"]["1"]["errors"]
        self.assertEqual(error["type"], "value_not_in_list")


@comfystub.patch("http://comfyui.example/gpu-2", env={"COMFYUI_URL": "{url}"}, pace=3)
class AnotherServerTest(Case):
    """Another host, a path on it, the address in the environment, and jobs that take three polls."""

    def test_the_url_comes_from_the_environment(self):
        postcards.paint("a lighthouse")
        self.assertEqual(postcards.server(), "http://comfyui.example/gpu-2")
        polls = [call for call in self.comfy_stub.requests if call.path.startswith("/history/")]
        self.assertEqual(len(polls), 3)


@comfystub.patch(pace=2)
class AsyncPaintTest(Case, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        # The server is there already.
        async with httpx.AsyncClient(base_url=postcards.server()) as client:
            self.stats = (await client.get("/system_stats")).json()

    async def test_the_picture_that_comfyui_saved(self):
        picture = await postcards.paint_async("a lighthouse")
        self.assertEqual(picture, self.comfy_stub.outputs[0].path.read_bytes())

    async def test_the_server_says_its_version(self):
        self.assertRegex(self.stats["system"]["comfyui_version"], r"^0\.33\.")


class MethodsTest(Case):
    """Single methods can be decorated too; a parameter comfy_stub is filled in."""

    @comfystub.patch
    def test_what_was_asked_for(self, comfy_stub):
        postcards.paint("a lighthouse")
        self.assertEqual(comfy_stub.jobs[-1].node("3").inputs["text"], "a lighthouse")

    @comfystub.patch(unmatched="error")
    def test_nothing_reaches_the_network(self):
        with self.assertRaises(requests.ConnectionError):
            requests.get("http://example.com/")

    def test_elsewhere_there_is_no_stub(self):
        with self.assertRaises(LookupError):
            comfystub.current()


if __name__ == "__main__":
    unittest.main()
