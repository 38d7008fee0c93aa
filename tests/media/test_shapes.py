"""3D files, each read by a small parser of its own."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfystub.media import box, shapes
from comfystub.media.shapes import FORMATS, Shape, encode, kind_of

Point = tuple[float, ...]
SHAPE = Shape(b"a red fox")
MESHES = ("glb", "gltf", "obj", "stl", "usdz", "3mf", "fbx")
SILENT = ("obj", "splat", "ksplat")  # whose bytes do not tell what they are
HARMONIC = 0.28209479177387814


class Read:
    """What a parser finds in a file: points, three to a triangle or four to a quad, and colours of points."""

    def __init__(
        self, points: list[Point], sides: list[list[int]], colors: list[Point] | None = None
    ) -> None:
        self.points, self.sides = points, sides
        self.colors = dict(zip(points, colors or ()))


def grouped(values: Any, size: int) -> list[Any]:
    values = tuple(values)
    assert len(values) % size == 0
    return [values[start : start + size] for start in range(0, len(values), size)]


def outward(a: Point, b: Point, c: Point) -> Point:
    """The unit vector that looks at a triangle whose corners go round counterclockwise."""
    (u, v, w), (x, y, z) = ([q - p for p, q in zip(a, corner)] for corner in (b, c))
    normal = v * z - w * y, w * x - u * z, u * y - v * x
    return tuple(part / math.hypot(*normal) for part in normal)


def read_gltf(document: Any, buffer: bytes) -> Read:
    assert document["asset"] == {"version": "2.0", "generator": "comfystub"}
    assert document["buffers"][0]["byteLength"] == len(buffer)

    def accessor(index: int, kind: int, code: str) -> list[Any]:
        about = document["accessors"][index]
        view = document["bufferViews"][about["bufferView"]]
        width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[about["type"]]
        layout = struct.Struct(f"<{width}{code}")
        assert about["componentType"] == kind
        assert view["byteOffset"] % 4 == 0 and layout.size * about["count"] == view["byteLength"]
        return list(layout.iter_unpack(buffer[view["byteOffset"] :][: view["byteLength"]]))

    (primitive,) = document["meshes"][document["nodes"][document["scenes"][0]["nodes"][0]]["mesh"]][
        "primitives"
    ]
    position = primitive["attributes"]["POSITION"]
    points = accessor(position, 5126, "f")
    assert document["accessors"][position]["min"] == [min(axis) for axis in zip(*points)]
    assert document["accessors"][position]["max"] == [max(axis) for axis in zip(*points)]
    colors = [color[:3] for color in accessor(primitive["attributes"]["COLOR_0"], 5121, "B")]
    indices = [index for (index,) in accessor(primitive["indices"], 5123, "H")]
    return Read(points, [list(side) for side in grouped(indices, 3)], colors)


def read_glb(data: bytes) -> Read:
    magic, version, size, json_size, json_kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, size, json_kind) == (b"glTF", 2, len(data), b"JSON")
    bin_size, bin_kind = struct.unpack_from("<I4s", data, 20 + json_size)
    assert json_size % 4 == bin_size % 4 == 0
    assert bin_kind == b"BIN\0" and 28 + json_size + bin_size == len(data)
    return read_gltf(json.loads(data[20 : 20 + json_size]), data[28 + json_size :])


def read_gltf_json(data: bytes) -> Read:
    document = json.loads(data)
    scheme, encoded = document["buffers"][0]["uri"].split(",")
    assert scheme == "data:application/octet-stream;base64"
    return read_gltf(document, base64.b64decode(encoded, validate=True))


def read_obj(data: bytes) -> Read:
    rows = [line.split() for line in data.decode("ascii").splitlines()]
    vertices = [tuple(map(float, row[1:])) for row in rows if row[0] == "v"]
    sides = [[int(index) - 1 for index in row[1:]] for row in rows if row[0] == "f"]
    return Read(
        [vertex[:3] for vertex in vertices],
        sides,
        [tuple(255 * part for part in vertex[3:]) for vertex in vertices],
    )


def read_stl(data: bytes) -> Read:
    (count,) = struct.unpack_from("<I", data, 80)
    assert not data.startswith(b"solid") and len(data) == 84 + 50 * count
    points: list[Point] = []
    sides = []
    for facet in struct.iter_unpack("<12fH", data[84:]):
        normal, *corners = grouped(facet[:12], 3)
        assert normal == outward(*corners)
        points += (corner for corner in corners if corner not in points)
        sides.append([points.index(corner) for corner in corners])
    return Read(points, sides)


def unzipped(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def read_usdz(data: bytes) -> Read:
    (text,) = unzipped(data).values()
    name_size, extra_size = struct.unpack_from("<HH", data, 26)
    start = 30 + name_size + extra_size
    assert start % 64 == 0 and data[start:].startswith(b"#usda 1.0\n"), "USDZ is read where it lies"

    def array(declaration: str) -> list[float]:
        (found,) = re.findall(rf"{re.escape(declaration)} = \[(.*)\]", text)
        return [float(number) for number in re.findall(r"[-\d.]+", found)]

    points = grouped(array("point3f[] points"), 3)
    extent = grouped(array("float3[] extent"), 3)
    assert extent == [tuple(map(min, zip(*points))), tuple(map(max, zip(*points)))]
    assert array("int[] faceVertexCounts") == [4] * 6
    sides = [[int(index) for index in quad] for quad in grouped(array("int[] faceVertexIndices"), 4)]
    colors = grouped((255 * part for part in array("color3f[] primvars:displayColor")), 3)
    return Read(points, sides, colors)


def read_3mf(data: bytes) -> Read:
    parts = {name: ElementTree.fromstring(text) for name, text in unzipped(data).items()}
    assert list(parts)[:2] == ["[Content_Types].xml", "_rels/.rels"]
    (relation,) = parts["_rels/.rels"]
    model = parts[relation.attrib["Target"].lstrip("/")]
    core = f"{{{'http://schemas.microsoft.com/3dmanufacturing/core/2015/02'}}}"
    assert model.tag == f"{core}model"
    vertices = [item.attrib for item in model.iter(f"{core}vertex")]
    triangles = [item.attrib for item in model.iter(f"{core}triangle")]
    return Read(
        [tuple(float(vertex[axis]) for axis in "xyz") for vertex in vertices],
        [[int(triangle[corner]) for corner in ("v1", "v2", "v3")] for triangle in triangles],
    )


def fbx_record(data: bytes, at: int) -> tuple[str, list[Any], list[Any], int] | None:
    """Name, properties and records of the record at a byte of the file, and where it ends."""
    end, count, size, name_size = struct.unpack_from("<IIIB", data, at)
    if end == 0:
        assert data[at : at + 13] == bytes(13)
        return None
    at += 13 + name_size
    name, inner_start, properties = data[at - name_size : at].decode(), at + size, []
    for _ in range(count):
        kind = chr(data[at])
        if kind in "SR":
            (length,) = struct.unpack_from("<I", data, at + 1)
            properties.append(data[at + 5 : at + 5 + length])
            at += 5 + length
        elif kind in "di":
            length, packed, length_in_bytes = struct.unpack_from("<III", data, at + 1)
            layout = struct.Struct(f"<{length}{kind}")
            assert packed == 0 and layout.size == length_in_bytes
            properties.append(layout.unpack_from(data, at + 13))
            at += 13 + length_in_bytes
        else:
            layout = struct.Struct({"I": "<i", "L": "<q", "D": "<d"}[kind])
            properties += layout.unpack_from(data, at + 1)
            at += 1 + layout.size
    assert at == inner_start
    records = []
    while at < end:
        record = fbx_record(data, at)
        if record is None:
            at += 13
            break
        records.append(record)
        at = record[3]
    assert at == end
    return name, properties, records, end


def read_fbx(data: bytes) -> Read:
    assert data[:27] == b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", 7400)
    top, at = [], 27
    while (record := fbx_record(data, at)) is not None:
        top.append(record)
        at = record[3]
    end = at + 13 + 16 + 4
    assert 0 < len(data) - 140 - end <= 16 and len(data) % 16 == 12
    assert data[-140:-136] == struct.pack("<I", 7400)
    by_name = {name: records for name, _, records, _ in top}
    objects = {properties[0]: (name, records) for name, properties, records, _ in by_name["Objects"]}
    parents = {child: parent for _, (_, child, parent), _, _ in by_name["Connections"]}
    for child, (name, _) in objects.items():
        assert {"Model": "root", "Geometry": "Model"}[name] == objects.get(parents[child], ("root",))[0]
    (geometry,) = (records for name, records in objects.values() if name == "Geometry")
    found = {name: (properties, records) for name, properties, records, _ in geometry}
    layer = {name: properties[0] for name, properties, _, _ in found["LayerElementColor"][1]}
    points = grouped(found["Vertices"][0][0], 3)
    sides = grouped((index if index >= 0 else ~index for index in found["PolygonVertexIndex"][0][0]), 4)
    colors = [tuple(255 * part for part in color[:3]) for color in grouped(layer["Colors"], 4)]
    assert layer["ColorIndex"] == tuple(index for side in sides for index in side)
    return Read(points, [list(side) for side in sides], colors)


def read_ply(data: bytes) -> Read:
    header, body = data.split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"] and "element vertex 8" in lines
    names = [line.split()[2] for line in lines if line.startswith("property float ")]
    rows = [dict(zip(names, row)) for row in struct.iter_unpack(f"<{len(names)}f", body)]
    assert len(rows) == 8
    for row in rows:
        assert [row[f"rot_{index}"] for index in range(4)] == [1, 0, 0, 0]
        assert 1 / (1 + math.exp(-row["opacity"])) == pytest.approx(254 / 255)
    return Read(
        [(row["x"], row["y"], row["z"]) for row in rows],
        [],
        [tuple(255 * (0.5 + HARMONIC * row[f"f_dc_{index}"]) for index in range(3)) for row in rows],
    )


def read_splat(data: bytes) -> Read:
    rows = list(struct.iter_unpack("<6f4B4B", data))
    assert all(row[9:] == (254, 255, 128, 128, 128) for row in rows)
    return Read([row[:3] for row in rows], [], [row[6:9] for row in rows])


def read_spz(data: bytes) -> Read:
    content = gzip.decompress(data)
    magic, version, count, degree, bits, flags, reserved = struct.unpack_from("<4sIIBBBB", content)
    assert (magic, version, count, degree, flags, reserved) == (b"NGSP", 2, 8, 0, 0, 0)
    positions, alphas, colors, rest = (
        content[16 : 16 + 9 * count], content[16 + 9 * count :][:count], content[16 + 10 * count :][: 3 * count],
        content[16 + 13 * count :],
    )  # fmt: skip
    assert alphas == b"\xfe" * count and len(rest) == 6 * count
    numbers = [
        int.from_bytes(part, "little", signed=True) / 2**bits for part in map(bytes, grouped(positions, 3))
    ]
    decoded = [255 * (0.5 + HARMONIC * (byte / 255 - 0.5) / 0.15) for byte in colors]
    return Read([(x, -y, -z) for x, y, z in grouped(numbers, 3)], [], grouped(decoded, 3))


def read_ksplat(data: bytes) -> Read:
    assert struct.unpack_from("<BBxxIIIIH", data) == (0, 1, 1, 1, 8, 8, 0)
    assert struct.unpack_from("<II", data, 4096) == (8, 8)
    rows = list(struct.iter_unpack("<10f4B", data[4096 + 1024 :]))
    assert all(row[6:10] == (1, 0, 0, 0) for row in rows)
    return Read([row[:3] for row in rows], [], [row[10:13] for row in rows])


READERS: dict[str, Callable[[bytes], Read]] = {
    "glb": read_glb,
    "gltf": read_gltf_json,
    "obj": read_obj,
    "stl": read_stl,
    "usdz": read_usdz,
    "3mf": read_3mf,
    "fbx": read_fbx,
    "ply": read_ply,
    "splat": read_splat,
    "spz": read_spz,
    "ksplat": read_ksplat,
}


def test_every_format_is_tried() -> None:
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("format", FORMATS)
class TestEveryFormat:
    @pytest.mark.parametrize("digest", [b"", b"a red fox", b"another", bytes(64)])
    def test_shows_the_same_box(self, format: str, digest: bytes) -> None:
        expected = box.of(digest)
        read = READERS[format](encode(Shape(digest), format))
        assert sorted(read.points) == expected.corners
        assert all(0.25 <= half < 1.25 for half in expected.half)

    def test_shows_the_same_colours_or_none(self, format: str) -> None:
        expected = box.of(SHAPE.digest)
        colors = READERS[format](encode(SHAPE, format)).colors
        tolerance = 1.0 if format == "spz" else 0.02
        assert bool(colors) == (format not in ("stl", "3mf"))
        for corner, color in zip(expected.corners, expected.colors if colors else ()):
            assert colors[corner] == pytest.approx(tuple(color), abs=tolerance)

    def test_tells_digests_apart(self, format: str) -> None:
        files = [encode(Shape(b"%d" % number), format) for number in range(200)]
        assert len(set(files)) == 200
        assert files == [encode(Shape(b"%d" % number), format) for number in range(200)]

    def test_is_known_by_its_bytes_where_that_is_possible(self, format: str) -> None:
        assert kind_of(encode(SHAPE, format)) == (None if format in SILENT else format)

    def test_is_small(self, format: str) -> None:
        assert len(encode(SHAPE, format)) < 6000

    def test_may_be_that_of_the_shape(self, format: str) -> None:
        assert encode(Shape(SHAPE.digest, format)) == encode(SHAPE, format) == encode(SHAPE, format.upper())


@pytest.mark.parametrize("format", MESHES)
def test_a_mesh_is_closed_and_looks_outward(format: str) -> None:
    read = READERS[format](encode(SHAPE, format))
    edges = [edge for side in read.sides for edge in zip(side, side[1:] + side[:1])]
    assert len(set(edges)) == len(edges), "two sides go along an edge in the same direction"
    assert {(b, a) for a, b in edges} == set(edges), "an edge has one side only"
    assert {index for side in read.sides for index in side} == set(range(8))
    for side in read.sides:
        corners = [read.points[index] for index in side]
        assert sum(p * n for p, n in zip(corners[0], outward(*corners[:3]))) > 0


class TestLoaded:
    def test_is_taken_as_it_is(self) -> None:
        loaded = Shape(b"", "obj", b"v 0 0 0\n")
        assert encode(loaded) == encode(loaded, "obj") == encode(loaded, "OBJ") == b"v 0 0 0\n"

    def test_may_be_of_any_format(self) -> None:
        assert encode(Shape(b"", "blend", b"BLENDER")) == b"BLENDER"

    def test_becomes_the_box_of_its_digest_in_another_format(self) -> None:
        assert encode(Shape(b"x", "obj", b"v 0 0 0\n"), "glb") == encode(Shape(b"x"))


def test_refuses_a_format_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=r"'dwg'; there are glb, gltf, "):
        encode(SHAPE, "dwg")
    with pytest.raises(ValueError, match="'dwg'"):
        encode(Shape(b"", "dwg"))


OTHERS = {
    "text": b"hello",
    "nothing": b"",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "other JSON": b'{"3": {"class_type": "KSampler"}}',
    "a list": b"[]",
    "no asset": b'{"asset": "2.0"}',
    "half a glTF": b'{"asset": {"version": "2.0"}',
    "deep JSON": b'{"a":' * 100_000,
    "another gzip": gzip.compress(b"hello"),
    "a broken gzip": b"\x1f\x8bhello",
    "another ZIP": b"PK\3\4" + bytes(60),
    "an STL cut short": encode(SHAPE, "stl")[:-1],
}


class TestKind:
    @pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
    def test_is_not_known_of_other_files(self, data: bytes) -> None:
        assert kind_of(data) is None

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"solid cube\n facet normal 0 0 1\n", "stl"),
            (b"; FBX 7.4.0 project file\n", "fbx"),
            (b"ply\r\nformat ascii 1.0\r\n", "ply"),
            (b'\n {"asset": {"version": "2.0"}}', "gltf"),
        ],
    )
    def test_is_known_of_texts(self, data: bytes, kind: str) -> None:
        assert kind_of(data) == kind

    @given(st.binary(), st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b\x08", b"{", b" {", bytes(80)]))
    def test_never_fails(self, data: bytes, beginning: bytes) -> None:
        assert kind_of(beginning + data) in (None, *shapes.FORMATS)
