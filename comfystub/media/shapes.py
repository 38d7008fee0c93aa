"""Three-dimensional things, and the files they become.

What a node makes is a box whose proportions and colours follow from a digest.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from comfystub.media import box, fbx, meshes, splats


class Shape(NamedTuple):
    """A three-dimensional thing: a mesh, a point cloud or a splat, as `format` has it.

    `data` is the file it was loaded from, which is in that format.
    """

    digest: bytes
    format: str = "glb"
    data: bytes | None = None


_WRITERS: dict[str, Callable[[box.Box], bytes]] = {
    "glb": meshes.glb,
    "gltf": meshes.gltf,
    "obj": meshes.obj,
    "stl": meshes.stl,
    "usdz": meshes.usdz,
    "3mf": meshes.threemf,
    "fbx": fbx.fbx,
    "ply": splats.ply,
    "splat": splats.splat,
    "spz": splats.spz,
    "ksplat": splats.ksplat,
}

FORMATS = tuple(_WRITERS)
"""What `encode` can write: ComfyUI's names, which are the endings of the files."""


def encode(shape: Shape, format: str | None = None) -> bytes:
    """Return a shape as a file.  One that was loaded is taken as it is, unless another format is asked for.

    Args:
        shape: equal digests give equal files, other digests other files.
        format: one of `FORMATS`, in either case; without one, that of the shape.

    Raises:
        ValueError: there is no such format.
    """
    format = (format or shape.format).lower()
    if shape.data is not None and format == shape.format.lower():
        return shape.data
    if format not in _WRITERS:
        raise ValueError(f"no format of 3D files: {format!r}; there are {', '.join(FORMATS)}")
    return _WRITERS[format](box.of(shape.digest))


def kind_of(data: bytes) -> str | None:
    """Return the format of a 3D file, or `None`: the bytes of obj, splat and ksplat do not tell."""
    for beginning, format in _BEGINNINGS:
        if data.startswith(beginning):
            return format
    if data.startswith(b"PK\3\4"):
        return _packed(data)
    if data.startswith(b"\x1f\x8b"):
        return "spz" if _inflated(data, 4) == b"NGSP" else None
    if data.lstrip().startswith(b"{"):
        return "gltf" if _is_gltf(data) else None
    return "stl" if _is_binary_stl(data) else None


_BEGINNINGS = (
    (b"glTF", "glb"),
    (b"ply\n", "ply"),
    (b"ply\r", "ply"),
    (b"Kaydara FBX Binary", "fbx"),
    (b"; FBX", "fbx"),
    (b"solid ", "stl"),
)


def _packed(data: bytes) -> str | None:
    """Return the format of a ZIP file: a USDZ has its scene first, a 3MF its model anywhere."""
    name_size = int.from_bytes(data[26:28], "little")
    if data[30 : 30 + name_size].endswith((b".usda", b".usdc", b".usd")):
        return "usdz"
    return "3mf" if b"3D/3dmodel.model" in data else None


def _inflated(data: bytes, size: int) -> bytes:
    """Return the first bytes of what a gzip file holds, none when it is broken."""
    try:
        return zlib.decompressobj(wbits=31).decompress(data, size)
    except zlib.error:
        return b""


def _is_gltf(data: bytes) -> bool:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and isinstance(document.get("asset"), dict)


def _is_binary_stl(data: bytes) -> bool:
    return len(data) >= 84 and len(data) == 84 + 50 * struct.unpack_from("<I", data, 80)[0]
