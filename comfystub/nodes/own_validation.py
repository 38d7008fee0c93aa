"""Node classes that judge some of their inputs themselves.

Each function takes the inputs it judges and answers ``True``, ``False`` or what is wrong.  One that
gets no value, because the input is missing or linked, raises what ComfyUI's raises: the exception
is part of the answer a client sees.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from comfystub.media.files import Folders

Judgement = bool | str


class OwnValidation(NamedTuple):
    """The inputs a class judges, and how."""

    takes: tuple[str, ...]
    judge: Callable[..., Judgement]


def _file(input_name: str, kind: str, default: str = "input") -> OwnValidation:
    def judge(folders: Folders, name: str) -> Judgement:
        name.endswith("]")  # a name that is no text has no such method
        path = folders.locate(name, default)
        return True if path is not None and os.path.isfile(path) else f"Invalid {kind} file: {name}"

    return OwnValidation((input_name,), judge)


OWN_VALIDATION: Mapping[str, OwnValidation] = {
    "LoadImage": _file("image", "image"),
    "LoadImageMask": _file("image", "image"),
    "LoadImageOutput": _file("image", "image", "output"),
    "WebcamCapture": _file("image", "image"),
    "LoadLatent": _file("latent", "latent"),
    "LoadAudio": _file("audio", "audio"),
    "LoadVideo": _file("file", "video"),
}


def judge(class_name: str, values: Mapping[str, Any], folders: Folders) -> tuple[tuple[str, ...], Judgement]:
    """The inputs a class judged of a node's plain values, and its judgement."""
    own = OWN_VALIDATION.get(class_name)
    if own is None:
        return (), True
    return own.takes, own.judge(folders, *(values[name] for name in own.takes if name in values))
