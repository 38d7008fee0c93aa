"""Three-dimensional things: the files they come from and become, and the pictures that show them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from comfystub.media.pictures import Mosaic, Picture, Pixels, Solid
from comfystub.media.shapes import Shape, encode, kind_of
from comfystub.nodes.families.video import film, frames
from comfystub.nodes.invocation import Behaviour, Invocation, Reports, Result, Text
from comfystub.nodes.reading import digest_of, read
from comfystub.nodes.values import Images, Masks, Video, first, nth
from comfystub.nodes.writing import temp_prefix, write

DEFAULT_PREFIX = "3d/ComfyUI"
#: What a shape is that the stub makes, a box: its corners, the triangles of its sides, and as a splat
#: the Gaussians in its corners.
VERTICES, FACES, GAUSSIANS = 8, 12, 8
#: Where a file of a splat or a point cloud says how much there is in it.
COUNT = re.compile(rb"element vertex (\d+)")

SIDE = 1024
TEXTURE_SIDE = 2048

BLACK, WHITE, FLAT_NORMAL = 0x000000, 0xFFFFFF, 0x8080FF


def shape(run: Invocation, name: str = "model_3d") -> Shape:
    """The shape of an input, or any that came in, or one the stub makes up."""
    named = run.inputs.get(name)
    return first(Shape, [named, *run.inputs.values()]) or Shape(run.signature)


# --- shapes that are loaded, and the views of a client's page


State = Mapping[str, Any]


def load_3d(run: Invocation) -> Result:
    """Load3D: a file, and what a page has drawn of it, or else pictures of the size that is asked for."""
    state = _state(run, "image")
    image, mask, normal = (_drawn(run, state, name) for name in ("image", "mask", "normal"))
    recording = state.get("recording")
    return Result(
        (
            Images([image]),
            Masks([mask]),
            run.value("model_file", ""),
            Images([normal]),
            state.get("camera_info"),
            film(read(run, recording)) if isinstance(recording, str) and recording else None,
            _loaded(run),
            state.get("model_3d_info", []),
        )
    )
