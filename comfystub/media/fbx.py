"""A box as an FBX file, binary, of version 7.4.

Such a file is a tree of records.  Each has a name, properties and records of its own, and says at which
byte of the file it ends.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from comfystub.media.box import QUADS, Box

_VERSION = 7400
_END = bytes(13)  # of the records within a record, and of all: one without a name

# FBX signs a file with a number that follows from its time.  These three belong together.
_TIME = "1970-01-01 10:00:00:000"
_FILE_ID = bytes.fromhex("28b32aebb624ccc2bfc8b02aa92bfcf1")
_FOOTER_ID = bytes.fromhex("fabcab09d0c8d466b176fb831cf7267e")
_FOOTER_END = bytes.fromhex("f85a8c6adef5d97eece90ce3758f290b")


class _Id(int):
    """The number of an object, 64 bits long."""


_Property = str | bytes | _Id | int | float | tuple[int, ...] | tuple[float, ...]
_Record = tuple[str, tuple[_Property, ...], Sequence["_Record"]]

_ROOT, _DOCUMENT, _MODEL, _GEOMETRY = map(_Id, range(4))


def fbx(box: Box) -> bytes:
    """Return a box as an FBX file, with quads and the colours of its corners."""
    data = b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", _VERSION)
    for record in _records(box):
        data += _written(record, len(data))
    data += _END + _FOOTER_ID + bytes(4)
    data += bytes(16 - len(data) % 16)
    return data + struct.pack("<I", _VERSION) + bytes(120) + _FOOTER_END


def _record(name: str, *properties: _Property, within: Sequence[_Record] = ()) -> _Record:
    return name, properties, within


def _records(box: Box) -> list[_Record]:
    header = [
        _record("FBXHeaderVersion", 1003),
        _record("FBXVersion", _VERSION),
        _record("Creator", "comfystub"),
    ]
    settings = [
        _record("Version", 1000),
        _record("Properties70", within=[
            *(
                _record("P", name, "int", "Integer", "", value)
                for name, value in (
                    ("UpAxis", 1), ("UpAxisSign", 1),
                    ("FrontAxis", 2), ("FrontAxisSign", 1),
                    ("CoordAxis", 0), ("CoordAxisSign", 1),
                )
            ),
            _record("P", "UnitScaleFactor", "double", "Number", "", 100.0),  # a metre in centimetres
        ]),
    ]  # fmt: skip
    document = _record("Document", _DOCUMENT, "", "Scene", within=[_record("RootNode", _ROOT)])
    kinds = [
        _record("ObjectType", kind, within=[_record("Count", 1)])
        for kind in ("GlobalSettings", "Model", "Geometry")
    ]
    return [
        _record("FBXHeaderExtension", within=header),
        _record("FileId", _FILE_ID),
        _record("CreationTime", _TIME),
        _record("Creator", "comfystub"),
        _record("GlobalSettings", within=settings),
        _record("Documents", within=[_record("Count", 1), document]),
        _record("References"),
        _record("Definitions", within=[_record("Version", 100), _record("Count", 3), *kinds]),
        _record("Objects", within=[_geometry(box), _model(box)]),
        _record("Connections", within=[
            _record("C", "OO", _MODEL, _ROOT),
            _record("C", "OO", _GEOMETRY, _MODEL),
        ]),
    ]  # fmt: skip


def _geometry(box: Box) -> _Record:
    corners = tuple(part for corner in box.corners for part in corner)
    # the last corner of a side is told by its complement
    indices = tuple(corner for a, b, c, d in QUADS for corner in (a, b, c, ~d))
    colors = tuple(part / 255 for color in box.colors for part in (*color, 255))
    layer_color = [
        _record("Version", 101),
        _record("Name", "Colors"),
        _record("MappingInformationType", "ByPolygonVertex"),
        _record("ReferenceInformationType", "IndexToDirect"),
        _record("Colors", colors),
        _record("ColorIndex", tuple(corner for quad in QUADS for corner in quad)),
    ]
    layer_element = [_record("Type", "LayerElementColor"), _record("TypedIndex", 0)]
    return _record("Geometry", _GEOMETRY, f"{box.name}\0\1Geometry", "Mesh", within=[
        _record("GeometryVersion", 124),
        _record("Vertices", corners),
        _record("PolygonVertexIndex", indices),
        _record("LayerElementColor", 0, within=layer_color),
        _record("Layer", 0, within=[_record("Version", 100), _record("LayerElement", within=layer_element)]),
    ])  # fmt: skip


def _model(box: Box) -> _Record:
    return _record("Model", _MODEL, f"{box.name}\0\1Model", "Mesh", within=[_record("Version", 232)])


def _written(record: _Record, start: int) -> bytes:
    """Return the bytes of a record that starts at a byte of the file."""
    name, properties, within = record
    parts = b"".join(map(_property, properties))
    size = 13 + len(name)
    data = parts
    for inner in within:
        data += _written(inner, start + size + len(data))
    if within or not properties:
        data += _END
    end = start + size + len(data)
    return struct.pack("<IIIB", end, len(properties), len(parts), len(name)) + name.encode() + data


def _property(value: _Property) -> bytes:
    if isinstance(value, str):
        return struct.pack("<cI", b"S", len(value.encode())) + value.encode()
    if isinstance(value, bytes):
        return struct.pack("<cI", b"R", len(value)) + value
    if isinstance(value, tuple):
        kind = "d" if isinstance(value[0], float) else "i"
        data = struct.pack(f"<{len(value)}{kind}", *value)
        return struct.pack("<cIII", kind.encode(), len(value), 0, len(data)) + data
    if isinstance(value, _Id):
        return struct.pack("<cq", b"L", value)
    if isinstance(value, int):
        return struct.pack("<ci", b"I", value)
    return struct.pack("<cd", b"D", value)
