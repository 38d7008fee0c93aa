"""What partner nodes are given in tests, and what they give."""

from __future__ import annotations

from typing import Any

import comfystub
from nodes.graphs import graph_around, node, watched

Size = tuple[int, int]

#: Nodes that go into every graph, for what is to be linked to.
SOURCES = {
    "picture": node("EmptyImage", width=640, height=480, batch_size=1, color=0x204060),
    "small": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
    "frames": node("EmptyImage", width=640, height=480, batch_size=60, color=0x204060),
    "mask": node("SolidMask", value=1.0, width=640, height=480),
    "sound": node("EmptyAudio", duration=3.0, sample_rate=16000, channels=1),
    "film": node("CreateVideo", images=["frames", 0], fps=30.0, audio=["sound", 0]),
}
#: Links to those.
P, M, S, F = (["picture", 0], ["mask", 0], ["sound", 0], ["film", 0])


def outputs(stub: comfystub.Stub, name: str, **inputs: Any) -> list[Any]:
    """What the outputs of a node give, with these inputs."""
    return [given[0] for given in watched(stub, {**graph_around(name, **inputs), **SOURCES})]


def sizes(pictures: Any) -> list[Size]:
    return [picture.size for picture in pictures]
