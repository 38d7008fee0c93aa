"""What a node makes of pictures that a test draws."""

from __future__ import annotations

from typing import Any

from PIL import Image

import comfystub
from nodes.graphs import Graph, graph_around, node, watched

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3


def solid(color: Any = RED, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, color)


def halves(left: Any, right: Any, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Image.Image:
    """A picture whose left half has another colour than its right one."""
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def graph_of(stub: comfystub.Stub, name: str, **inputs: Any) -> Graph:
    """A graph whose node ``"x"`` is of a class; pictures among its inputs, or lists of them, are loaded.

    One in mode L is loaded as a mask.
    """
    loaders: Graph = {}
    for key, value in list(inputs.items()):
        pictures = value if isinstance(value, list) else [value]
        if not all(isinstance(picture, Image.Image) for picture in pictures):
            continue
        links = [_load(stub, loaders, f"{key}{number}", one) for number, one in enumerate(pictures)]
        inputs[key] = links[0] if len(links) == 1 else _batch(loaders, key, pictures[0].mode, links)
    return {**graph_around(name, **inputs), **loaders}


def _load(stub: comfystub.Stub, graph: Graph, node_id: str, picture: Image.Image) -> list[Any]:
    picture.save(stub.input_dir / f"{node_id}.png")
    mask = picture.mode == "L"
    own = {"channel": "red"} if mask else {}
    graph[node_id] = node("LoadImageMask" if mask else "LoadImage", image=f"{node_id}.png", **own)
    return [node_id, 0]


def _batch(graph: Graph, key: str, mode: str, links: list[list[Any]]) -> list[Any]:
    name, one = ("BatchMasksNode", "mask") if mode == "L" else ("BatchImagesNode", "image")
    graph[key] = node(name, **{f"{one}s.{one}{number}": link for number, link in enumerate(links)})
    return [key, 0]


def outputs(stub: comfystub.Stub, name: str, **inputs: Any) -> list[Any]:
    """What each output of a node gives."""
    return [values[0] for values in watched(stub, graph_of(stub, name, **inputs))]


def looks(stub: comfystub.Stub, name: str, slot: int = 0, **inputs: Any) -> list[Image.Image]:
    """What the pictures or masks look like that an output of a node gives."""
    return pixels(outputs(stub, name, **inputs)[slot])


def pixels(batch: Any) -> list[Image.Image]:
    """What pictures or masks look like; each has the size it says that it has."""
    images = [picture.pixels() for picture in batch]
    assert [image.size for image in images] == [picture.size for picture in batch]
    return images


def color(image: Image.Image, x: int = 0, y: int = 0) -> Any:
    """The colour of a pixel."""
    return image.getpixel((x, y))
