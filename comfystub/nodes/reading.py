"""What loading nodes have in common: the files they read."""

from __future__ import annotations

from hashlib import blake2b

from comfystub.nodes.invocation import Invocation


def read(run: Invocation, name: str) -> bytes:
    """The file that a name stands for, of the input folder unless the name says another."""
    path = run.server.folders.locate(name)
    if path is None or not path.is_file():
        raise FileNotFoundError(f"[Errno 2] No such file or directory: {name!r}")
    return path.read_bytes()


def digest_of(data: bytes) -> bytes:
    """What tells a file's content apart from any other."""
    return blake2b(data, digest_size=16).digest()
