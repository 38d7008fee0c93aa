"""Nodes that change what is seen of pictures, and those that paint, shade and measure them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

import comfystub
from nodes.graphs import Graph, graph_around, node, watched
from nodes.looking import BLACK, BLUE, GREEN, RED, WHITE, color, halves, looks, outputs, pixels, solid

URL = "http://comfy.test:8188"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub


def empty(width: int = 40, height: int = 30, batch_size: int = 2) -> Graph:
    return node("EmptyImage", width=width, height=height, batch_size=batch_size, color=0x204060)


class TestFilters:
    @pytest.mark.parametrize(
        ("name", "inputs", "before", "after"),
        [
            ("ImageInvert", {}, (10, 100, 255), (245, 155, 0)),
            ("AdjustBrightness", {"factor": 0.5}, (10, 100, 255), (5, 50, 128)),
            ("AdjustBrightness", {"factor": 2.0}, (10, 100, 255), (20, 200, 255)),
            ("AdjustContrast", {"factor": 0.0}, (10, 100, 255), (128, 128, 128)),
            ("AdjustContrast", {"factor": 2.0}, (10, 100, 255), (0, 72, 255)),
            ("NormalizeImages", {"mean": 0.0, "std": 1.0}, (10, 100, 255), (10, 100, 255)),
            ("NormalizeImages", {"mean": 0.5, "std": 0.5}, (10, 100, 255), (0, 0, 255)),
            ("ImageBlur", {"blur_radius": 5, "sigma": 3.0}, (10, 100, 255), (10, 100, 255)),
            (
                "ImageSharpen",
                {"sharpen_radius": 5, "sigma": 3.0, "alpha": 2.0},
                (10, 100, 255),
                (10, 100, 255),
            ),
            ("ImageAddNoise", {"seed": 1, "strength": 0.0}, (10, 100, 255), (10, 100, 255)),
            ("Canny", {}, (10, 100, 255), BLACK),
            ("Morphology", {"operation": "gradient"}, (10, 100, 255), BLACK),
        ],
        ids=str,
    )
    def test_of_one_colour(
        self, stub: comfystub.Stub, name: str, inputs: Graph, before: Any, after: Any
    ) -> None:
        key = "images" if "images" in graph_around(name)["x"]["inputs"] else "image"
        images = looks(stub, name, **{key: [solid(before)] * 2}, **inputs)
        assert [image.getcolors() for image in images] == [[(48, after)]] * 2

    @pytest.mark.parametrize(
        ("name", "inputs", "changed"),
        [
            ("ImageBlur", {"blur_radius": 3, "sigma": 3.0}, {15, 16}),
            ("ImageAddNoise", {"seed": 1, "strength": 1.0}, {0, 15, 16, 31}),
            ("Canny", {"low_threshold": 0.2}, {15, 16}),
        ],
        ids=str,
    )
    def test_what_they_change(
        self, stub: comfystub.Stub, name: str, inputs: Graph, changed: set[int]
    ) -> None:
        grey = halves((60,) * 3, (180,) * 3, (32, 16))
        [image] = looks(stub, name, image=grey, **inputs)
        before = BLACK if name == "Canny" else None
        assert {x for x in (0, 15, 16, 31) if color(image, x, 8) != (before or color(grey, x, 8))} == changed

    @pytest.mark.parametrize(
        ("operation", "white"),
        [
            ("dilate", range(13, 20)),
            ("erode", range(15, 18)),
            ("open", range(14, 19)),
            ("close", range(14, 19)),
            ("gradient", [13, 14, 18, 19]),
            ("top_hat", []),
            ("bottom_hat", []),
        ],
    )
    def test_morphology(self, stub: comfystub.Stub, operation: str, white: Any) -> None:
        square = solid(BLACK, (32, 32))
        square.paste(WHITE, (14, 14, 19, 19))
        [image] = looks(stub, "Morphology", image=square, operation=operation, kernel_size=3)
        assert [x for x in range(32) if color(image, x, 16) == WHITE] == list(white)

    @pytest.mark.parametrize("dither", ["none", "floyd-steinberg", "bayer-4"])
    def test_quantizing(self, stub: comfystub.Stub, dither: str) -> None:
        gradient = Image.linear_gradient("L").convert("RGB")
        [image] = looks(stub, "ImageQuantize", image=gradient, colors=5, dither=dither)
        assert len(image.getcolors()) <= 5

    def test_noise_follows_from_the_seed(self, stub: comfystub.Stub) -> None:
        def noisy(seed: int) -> bytes:
            return looks(stub, "ImageAddNoise", image=solid(), seed=seed, strength=0.5)[0].tobytes()

        assert noisy(1) == noisy(1) != noisy(2)

    @pytest.mark.parametrize(
        ("mode", "factor", "after"),
        [
            ("normal", 0.0, (100, 100, 100)),
            ("normal", 1.0, (200, 50, 0)),
            ("normal", 0.5, (150, 75, 50)),
            ("multiply", 1.0, (78, 19, 0)),
            ("screen", 1.0, (222, 130, 100)),
            ("difference", 1.0, (0, 50, 100)),
            ("overlay", 1.0, (156, 39, 0)),
        ],
    )
    def test_blending(self, stub: comfystub.Stub, mode: str, factor: float, after: Any) -> None:
        pictures = {"image1": solid((100,) * 3), "image2": solid((200, 50, 0), (20, 20))}
        [image] = looks(stub, "ImageBlend", **pictures, blend_mode=mode, blend_factor=factor)
        assert image.size == (8, 6)
        assert all(abs(a - b) <= 1 for a, b in zip(color(image), after))

    def test_soft_light_is_between_the_two(self, stub: comfystub.Stub) -> None:
        pictures = {"image1": solid((100,) * 3), "image2": solid((200,) * 3)}
        [image] = looks(stub, "ImageBlend", **pictures, blend_mode="soft_light", blend_factor=1.0)
        assert 100 < color(image)[0] < 200

    @pytest.mark.parametrize(("strength", "mean"), [(0.0, 60), (1.0, 180), (0.5, 120)])
    def test_colours_are_transferred(self, stub: comfystub.Stub, strength: float, mean: int) -> None:
        target, reference = halves((40,) * 3, (80,) * 3), halves((170,) * 3, (190,) * 3)
        images = looks(
            stub, "ColorTransfer", image_target=[target] * 2, image_ref=reference, strength=strength
        )
        assert [(color(image)[0] + color(image, 7, 0)[0]) // 2 for image in images] == [mean] * 2

    def test_yuv_and_back(self, stub: comfystub.Stub) -> None:
        channels = [pixels(batch)[0] for batch in outputs(stub, "ImageRGBToYUV", image=solid((200, 40, 90)))]
        assert [image.mode for image in channels] == ["RGB"] * 3
        assert abs(color(channels[0])[0] - 93) <= 1
        [back] = looks(stub, "ImageYUVToRGB", Y=channels[0], U=channels[1], V=channels[2])
        assert all(abs(a - b) <= 2 for a, b in zip(color(back), (200, 40, 90)))


class TestShaders:
    @pytest.mark.parametrize(
        ("inputs", "size"),
        [({}, (8, 6)), ({"size_mode": "custom", "size_mode.width": 20, "size_mode.height": 10}, (20, 10))],
        ids=str,
    )
    def test_the_size_is_the_first_pictures_or_what_is_asked_for(
        self, stub: comfystub.Stub, inputs: Graph, size: tuple[int, int]
    ) -> None:
        given = {"images.image0": [solid(RED)] * 2, "images.image1": solid(BLUE)}
        batches = [pixels(batch) for batch in outputs(stub, "GLSLShader", **given, **inputs)]
        assert [[image.size for image in batch] for batch in batches] == [[size] * 2] * 4
        assert [color(batch[0]) for batch in batches] == [RED, BLACK, BLACK, BLACK]

    def test_every_target_of_the_shader_gets_a_picture(self, stub: comfystub.Stub) -> None:
        shader = "layout(location = 0) out vec4 a;\nlayout ( location=2 ) out vec4 b;\n"
        batches = outputs(stub, "GLSLShader", **{"images.image0": solid(RED)}, fragment_shader=shader)
        assert [color(pixels(batch)[0]) for batch in batches] == [RED, BLACK, RED, BLACK]


class TestPainter:
    def painting(self, stub: comfystub.Stub) -> str:
        halves((255, 255, 0, 255), (0, 0, 0, 0), (64, 64), "RGBA").save(stub.input_dir / "painted.png")
        return "painted.png [input]"

    def test_a_canvas_with_a_painting(self, stub: comfystub.Stub) -> None:
        given = {"mask": self.painting(stub), "width": 64, "height": 64, "bg_color": "#ff0000"}
        [image], [mask] = map(pixels, outputs(stub, "Painter", **given))
        assert (image.size, color(image), color(image, 63, 0)) == ((64, 64), (255, 255, 0), RED)
        assert (color(mask), color(mask, 63, 0)) == (WHITE, BLACK)

    def test_a_picture_with_a_painting_has_its_own_size(self, stub: comfystub.Stub) -> None:
        [image], [mask] = map(pixels, outputs(stub, "Painter", image=solid(BLUE), mask=self.painting(stub)))
        assert (image.size, mask.size) == ((8, 6), (8, 6))
        assert (color(image), color(image, 7, 0)) == ((255, 255, 0), BLUE)

    def test_nothing_painted(self, stub: comfystub.Stub) -> None:
        [image], [mask] = map(pixels, outputs(stub, "Painter", mask="", bg_color="#00ff00"))
        assert (image.size, color(image), color(mask)) == ((512, 512), GREEN, BLACK)


class TestDepth:
    def outputs(self, stub: comfystub.Stub, infer: Graph, last: str, link: str, **inputs: Any) -> list[Any]:
        """What a node gives for two pictures that a model has looked at."""
        graph = graph_around(infer["class_type"], image=["source", 0], **infer["inputs"])
        graph["geometry"] = graph.pop("x")
        own = graph_around(last, **{link: ["geometry", 0]}, **inputs)["x"]
        return [values[0] for values in watched(stub, {**graph, "x": own, "source": empty()})]

    @pytest.mark.parametrize(
        ("infers", "renders", "link", "outputs"),
        [
            (
                "MoGeInference",
                "MoGeRender",
                "moge_geometry",
                ("depth", "depth_colored", "normal_opengl", "normal_directx", "mask"),
            ),
            (
                "DA3Inference",
                "DA3Render",
                "da3_geometry",
                ("depth", "depth_colored", "sky_mask", "confidence"),
            ),
        ],
    )
    def test_every_picture_is_rendered_in_its_size(
        self, stub: comfystub.Stub, infers: str, renders: str, link: str, outputs: tuple[str, ...]
    ) -> None:
        made = {
            output: pixels(self.outputs(stub, node(infers), renders, link, output=output)[0])
            for output in outputs
        }
        assert {output: [image.size for image in images] for output, images in made.items()} == {
            output: [(40, 30)] * 2 for output in outputs
        }
        assert len({images[0].tobytes() for images in made.values()}) == len(outputs)

    @pytest.mark.parametrize(
        ("inputs", "fov"),
        [
            ({"axis": "horizontal", "unit": "degrees"}, 90.0),
            ({"axis": "horizontal", "unit": "radians"}, 1.5708),
            ({"axis": "vertical", "unit": "degrees"}, 73.7398),
            ({"axis": "diagonal", "unit": "degrees"}, 102.6804),
        ],
        ids=str,
    )
    def test_the_field_of_view(self, stub: comfystub.Stub, inputs: Graph, fov: float) -> None:
        infer = node("MoGeInference", fov_x_degrees=90.0)
        angle, focal = self.outputs(stub, infer, "MoGeGeometryToFOV", "moge_geometry", **inputs)
        assert (round(angle, 4), round(focal, 4)) == (fov, 20.0)

    def test_a_camera_that_nothing_is_said_of(self, stub: comfystub.Stub) -> None:
        infer = node("MoGeInference")
        angle, _ = self.outputs(stub, infer, "MoGeGeometryToFOV", "moge_geometry", axis="horizontal")
        assert round(angle, 4) == 60.0
