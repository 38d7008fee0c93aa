"""Graphs around latents, and what is seen and heard of them."""

from __future__ import annotations

from typing import Any

from PIL import Image

import comfystub
from comfystub.nodes.values import Images, Sounds
from nodes.graphs import Graph, graph_around, node, watched

#: What latents are encoded and decoded with, unless it is said: the node ``"m"`` of every graph.
MODEL = node("CheckpointLoaderSimple", ckpt_name="any.safetensors")


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def named(node_id: str, name: str, **inputs: Any) -> Graph:
    """A node of a class under an id, and all that it wants under ids that begin with it."""
    graph = graph_around(name, **inputs)
    ids = {old: node_id if old == "x" else f"{node_id}.{old}" for old in graph}

    def renamed(value: Any) -> Any:
        return [ids[value[0]], value[1]] if isinstance(value, list) and value[0] in ids else value

    return {
        ids[old]: node(one["class_type"], **{key: renamed(value) for key, value in one["inputs"].items()})
        for old, one in graph.items()
    }


def decoded(
    stub: comfystub.Stub, name: str, slot: int = 0, *, nodes: Graph | None = None, **inputs: Any
) -> Images:
    """The pictures that an output of a class decodes to."""
    [[images]] = watched(stub, {**(nodes or {}), **decoding(name, slot, **inputs)})
    assert isinstance(images, Images)
    return images


def heard(
    stub: comfystub.Stub, name: str, slot: int = 0, *, nodes: Graph | None = None, **inputs: Any
) -> Sounds:
    """The sounds that an output of a class decodes to."""
    [[sounds]] = watched(stub, {**(nodes or {}), **decoding(name, slot, "VAEDecodeAudio", **inputs)})
    assert isinstance(sounds, Sounds)
    return sounds


def decoding(name: str, slot: int = 0, decoder: str = "VAEDecode", **inputs: Any) -> Graph:
    """A graph whose node ``"x"`` decodes what an output of a class gives."""
    latent = named("latent", name, **inputs)
    return {**latent, "m": MODEL, "x": node(decoder, samples=["latent", slot], vae=["m", 2])}


def color(image: Any, x: int = 0, y: int = 0) -> Any:
    """Red, green and blue of a pixel."""
    return image.pixels().convert("RGB").getpixel((x, y))


def picture(color: tuple[int, int, int], width: int = 64, height: int = 64, batch_size: int = 1) -> Graph:
    value = int.from_bytes(bytes(color), "big")
    return node("EmptyImage", width=width, height=height, batch_size=batch_size, color=value)


def encoded(image: str) -> Graph:
    return node("VAEEncode", pixels=[image, 0], vae=["m", 2])


def upload(stub: comfystub.Stub, *columns: tuple[int, int, int]) -> Graph:
    """A picture in the input folder: columns of 32 pixels."""
    image = Image.new("RGB", (32 * len(columns), 64))
    for number, column in enumerate(columns):
        image.paste(column, (32 * number, 0, 32 * number + 32, 64))
    image.save(stub.input_dir / "columns.png")
    return node("LoadImage", image="columns.png")
