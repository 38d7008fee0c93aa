"""Tensors in files: safetensors, and the latents of SaveLatent, which are safetensors too."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence

Tensors = Mapping[str, tuple[str, Sequence[int]]]
"""Name, type and shape of each tensor; the type as safetensors calls it, such as `"F32"`."""

_SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
"""Bytes of a number of each type."""


def safetensors(tensors: Tensors, metadata: Mapping[str, str], values: bytes = b"") -> bytes:
    """Return a safetensors file.

    Args:
        tensors: what it holds, in this order.
        metadata: what the file says of itself, any keys.
        values: the bytes that the tensors begin with, all in a row; the others are zero.

    Raises:
        ValueError: a type is unknown, or there are more values than the tensors have room for.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (kind, shape) in tensors.items():
        if kind not in _SIZES:
            raise ValueError(f"no type of tensors: {kind!r}; there are {', '.join(_SIZES)}")
        start, end = end, end + _SIZES[kind] * math.prod(shape)
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
    if len(values) > end:
        raise ValueError(f"{len(values)} bytes of values for tensors of {end} bytes")
    written = json.dumps(header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    return struct.pack("<Q", len(written)) + written + values + bytes(end - len(values))


def latent(digest: bytes, shape: Sequence[int], metadata: Mapping[str, str]) -> bytes:
    """Return the file of SaveLatent: a tensor of noise, and an empty one that tells the format's version.

    Args:
        digest: what the noise follows from.
        shape: batch, channels, and height and width in latent pixels.
        metadata: what the file says of itself.
    """
    noise = hashlib.blake2b(digest).digest()
    values = struct.pack(f"<{len(noise)}f", *((byte - 127.5) / 64 for byte in noise))
    size = 4 * math.prod(shape)
    tensors = {"latent_format_version_0": ("F32", (0,)), "latent_tensor": ("F32", shape)}
    return safetensors(tensors, metadata, (values * -(-size // len(values)))[:size])


def read_header(data: bytes) -> tuple[dict[str, tuple[str, tuple[int, ...]]], dict[str, str]] | None:
    """Return tensors and metadata of a safetensors file, or `None` when it is none.

    Args:
        data: the file, or as much of it as its header takes.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 + size:
        return None
    try:
        header = json.loads(data[8 : 8 + size].decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict):
        return None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        return None
    tensors = {}
    for name, entry in header.items():
        match entry:
            case {"dtype": str(kind), "shape": [*shape]} if all(type(size) is int for size in shape):
                tensors[name] = kind, tuple(shape)
            case _:
                return None
    return tensors, metadata
