"""Files of a box as a mesh: triangles or quads between its corners, in their colours where there is room."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Iterable
from io import BytesIO

from comfystub.media.box import QUADS, TRIANGLES, Box, Point

_FLOAT, _BYTE, _SHORT = 5126, 5121, 5123  # what OpenGL calls the types of numbers, and glTF after it
_VERTICES, _INDICES = 34962, 34963  # and the two uses of a buffer

_USDZ_ALIGNMENT = 64


def glb(box: Box) -> bytes:
    """Return a box as glTF 2.0 in one binary file."""
    document = json.dumps(_document(box, {})).encode()
    document += b" " * (-len(document) % 4)
    chunks = b"".join(
        struct.pack("<I4s", len(data), kind) + data
        for kind, data in ((b"JSON", document), (b"BIN\0", _buffer(box)))
    )
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def gltf(box: Box) -> bytes:
    """Return a box as glTF 2.0 in JSON, its buffer in a data URI."""
    data = base64.b64encode(_buffer(box)).decode()
    return json.dumps(_document(box, {"uri": f"data:application/octet-stream;base64,{data}"})).encode()


def obj(box: Box) -> bytes:
    """Return a box as Wavefront OBJ, the colours after the coordinates, as many programs write them."""
    lines = ["# comfystub", f"o {box.name}"]
    for corner, color in zip(box.corners, box.colors):
        lines.append(f"v {_text(corner)} " + " ".join(f"{part / 255:.4f}" for part in color))
    lines += ["f " + _text(corner + 1 for corner in quad) for quad in QUADS]
    return "".join(f"{line}\n" for line in lines).encode()


def stl(box: Box) -> bytes:
    """Return a box as a binary STL; the format knows no colours."""
    corners = box.corners
    facets = []
    for triangle in TRIANGLES:
        a, b, c = (corners[corner] for corner in triangle)
        facets.append(struct.pack("<12fH", *_normal(a, b, c), *a, *b, *c, 0))
    return struct.pack("<80sI", f"comfystub {box.name}".encode(), len(facets)) + b"".join(facets)


def usdz(box: Box) -> bytes:
    """Return a box as a USDZ package that holds it as text."""
    x, y, z = box.half
    colors = ", ".join(_tuple(round(part / 255, 4) for part in color) for color in box.colors)
    text = f"""#usda 1.0
(
    defaultPrim = "Box"
    doc = "comfystub {box.name}"
    metersPerUnit = 1
    upAxis = "Y"
)

def Mesh "Box"
{{
    float3[] extent = [{_tuple((-x, -y, -z))}, {_tuple(box.half)}]
    int[] faceVertexCounts = [4, 4, 4, 4, 4, 4]
    int[] faceVertexIndices = [{", ".join(str(corner) for quad in QUADS for corner in quad)}]
    point3f[] points = [{", ".join(map(_tuple, box.corners))}]
    color3f[] primvars:displayColor = [{colors}] (
        interpolation = "vertex"
    )
    uniform token subdivisionScheme = "none"
}}
"""
    return _archive({"box.usda": text})


def threemf(box: Box) -> bytes:
    """Return a box as a 3MF package."""
    vertices = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in box.corners)
    triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in TRIANGLES)
    model = (
        '<model unit="meter" xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"><resources>'
        f'<object id="1" type="model" name="comfystub {box.name}"><mesh>'
        f"<vertices>{vertices}</vertices><triangles>{triangles}</triangles></mesh></object></resources>"
        '<build><item objectid="1"/></build></model>'
    )
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>'
        "</Types>"
    )
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Target="/3D/3dmodel.model" '
        'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
    )
    parts = {"[Content_Types].xml": types, "_rels/.rels": relations, "3D/3dmodel.model": model}
    return _archive({name: f'<?xml version="1.0" encoding="UTF-8"?>{xml}' for name, xml in parts.items()})


def _document(box: Box, place: dict[str, str]) -> dict[str, object]:
    """Return the JSON of a glTF file; `place` says where its buffer is."""
    x, y, z = box.half
    extent = {"min": (-x, -y, -z), "max": (x, y, z)}
    primitive = {"attributes": {"POSITION": 0, "COLOR_0": 1}, "indices": 2, "material": 0}
    return {
        "asset": {"version": "2.0", "generator": "comfystub"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": box.name}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": {"metallicFactor": 0}}],
        "accessors": [
            {"bufferView": 0, "componentType": _FLOAT, "count": 8, "type": "VEC3", **extent},
            {"bufferView": 1, "componentType": _BYTE, "count": 8, "type": "VEC4", "normalized": True},
            {"bufferView": 2, "componentType": _SHORT, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 96, "target": _VERTICES},
            {"buffer": 0, "byteOffset": 96, "byteLength": 32, "target": _VERTICES},
            {"buffer": 0, "byteOffset": 128, "byteLength": 72, "target": _INDICES},
        ],
        "buffers": [{"byteLength": 200, **place}],
    }  # fmt: skip


def _buffer(box: Box) -> bytes:
    """Return what the accessors of a glTF file describe: corners, their colours, triangles."""
    corners = b"".join(struct.pack("<3f", *corner) for corner in box.corners)
    colors = b"".join(color + b"\xff" for color in box.colors)
    return corners + colors + b"".join(struct.pack("<3H", *triangle) for triangle in TRIANGLES)


def _normal(a: Point, b: Point, c: Point) -> list[float]:
    """Return where a side of the box looks: along the one axis on which its corners are the same."""
    return [math.copysign(1, p) if p == q == r else 0 for p, q, r in zip(a, b, c)]


def _text(numbers: Iterable[float]) -> str:
    return " ".join(map(str, numbers))


def _tuple(numbers: Iterable[float]) -> str:
    return f"({', '.join(map(str, numbers))})"


def _archive(texts: dict[str, str]) -> bytes:
    """Return a ZIP file of texts, stored as they are and where a USDZ file wants them."""
    from zipfile import ZipFile, ZipInfo

    file = BytesIO()
    with ZipFile(file, "w") as archive:
        for name, text in texts.items():
            info = ZipInfo(name)
            before = file.tell() + 30 + len(name) + 4  # its header, and that of the padding
            padding = -before % _USDZ_ALIGNMENT
            info.extra = struct.pack("<HH", 0x1986, padding) + bytes(padding)
            archive.writestr(info, text)
    return file.getvalue()
