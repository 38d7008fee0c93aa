"""Files of a box as a Gaussian splat: one round, opaque Gaussian in the colour of each corner."""

from __future__ import annotations

import math
import struct

from comfystub.media.box import Box

_LOG_SCALE = -1.5  # of a Gaussian's radius; what spz, which has steps of 1/16, holds exactly
_SCALE = (math.exp(_LOG_SCALE),) * 3
_ALPHA = b"\xfe"  # out of 255, which would be infinite in a PLY
_OPACITY = math.log(254)
_HARMONIC = 0.28209479177387814  # the spherical harmonic of degree 0, which colours are divided by

_PLY_PROPERTIES = (
    "x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity",
    "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3",
)  # fmt: skip


def ply(box: Box) -> bytes:
    """Return the splat as the PLY that training writes, which any program takes for a point cloud, too."""
    header = "\n".join(
        (
            "ply",
            "format binary_little_endian 1.0",
            f"comment comfystub {box.name}",
            "element vertex 8",
            *(f"property float {name}" for name in _PLY_PROPERTIES),
            "end_header\n",
        )
    )
    return header.encode() + b"".join(
        struct.pack("<17f", *corner, 0, 0, 0, *_harmonics(color), _OPACITY, *(_LOG_SCALE,) * 3, 1, 0, 0, 0)
        for corner, color in zip(box.corners, box.colors)
    )


def splat(box: Box) -> bytes:
    """Return it in the format of antimatter15's viewer: 32 bytes for each Gaussian and nothing else."""
    unturned = b"\xff\x80\x80\x80"
    return b"".join(
        struct.pack("<6f", *corner, *_SCALE) + color + _ALPHA + unturned
        for corner, color in zip(box.corners, box.colors)
    )


def spz(box: Box) -> bytes:
    """Return it in Niantic's compressed format, version 2."""
    import gzip

    fraction_bits = 12
    positions = b"".join(
        int(part * 2**fraction_bits).to_bytes(3, "little", signed=True)
        for x, y, z in box.corners
        for part in (x, -y, -z)  # here y points up and z back; in the other formats down and to the front
    )
    colors = bytes(round((0.5 + 0.15 * part) * 255) for color in box.colors for part in _harmonics(color))
    scales = bytes((round((_LOG_SCALE + 10) * 16),)) * 24
    unturned = b"\x80\x80\x80" * 8
    header = struct.pack("<4sIIBBBB", b"NGSP", 2, 8, 0, fraction_bits, 0, 0)
    return gzip.compress(header + positions + _ALPHA * 8 + colors + scales + unturned, mtime=0)


def ksplat(box: Box) -> bytes:
    """Return it in the format of mkkellogg's viewer, uncompressed, in one section."""
    header = struct.pack("<BBxxIIIIHxx5f", 0, 1, 1, 1, 8, 8, 0, 0, 0, 0, -1.5, 1.5)
    section = struct.pack("<II", 8, 8)
    return header.ljust(4096, b"\0") + section.ljust(1024, b"\0") + b"".join(
        struct.pack("<10f", *corner, *_SCALE, 1, 0, 0, 0) + color + _ALPHA
        for corner, color in zip(box.corners, box.colors)
    )  # fmt: skip


def _harmonics(color: bytes) -> list[float]:
    return [(part / 255 - 0.5) / _HARMONIC for part in color]
