"""Classes that ComfyUI no longer has, and what it puts in their place.

These are the replacements that ComfyUI's documentation and release notes name; the server has one more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Replacement = Mapping[str, Any]
#: The classes that are gone, and what may take their place, as ``GET /node_replacements`` shows it.
Replacements = Mapping[str, Sequence[Replacement]]


def _replacement(
    old: str,
    new: str,
    inputs: Sequence[Mapping[str, Any]] | None = None,
    widgets: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    return [
        {
            "new_node_id": new,
            "old_node_id": old,
            "old_widget_ids": widgets,
            "input_mapping": inputs,
            "output_mapping": None,
        }
    ]


BUILTIN: Replacements = {
    "ImageBatch": _replacement(
        "ImageBatch",
        "BatchImagesNode",
        [
            {"new_id": "images.image0", "old_id": "image1"},
            {"new_id": "images.image1", "old_id": "image2"},
        ],
    ),
    "ImageScaleBy": _replacement(
        "ImageScaleBy",
        "ResizeImageMaskNode",
        [
            {"new_id": "input", "old_id": "image"},
            {"new_id": "resize_type", "set_value": "scale by multiplier"},
            {"new_id": "resize_type.multiplier", "old_id": "scale_by"},
            {"new_id": "scale_method", "old_id": "upscale_method"},
        ],
        ["upscale_method", "scale_by"],
    ),
    "T2IAdapterLoader": _replacement(
        "T2IAdapterLoader",
        "ControlNetLoader",
        [{"new_id": "control_net_name", "old_id": "t2i_adapter_name"}],
    ),
    "Load3DAnimation": _replacement("Load3DAnimation", "Load3D"),
    "Preview3DAnimation": _replacement("Preview3DAnimation", "Preview3D"),
    "SDV_img2vid_Conditioning": _replacement("SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning"),
    "ConditioningAverage ": _replacement("ConditioningAverage ", "ConditioningAverage"),
}


def replaced(node: Mapping[str, Any], replacement: Replacement) -> dict[str, Any]:
    """A node of a prompt, of the class that takes the place of its own.

    Inputs that the replacement does not name are dropped.  Raises ``KeyError`` for a node without
    ``_meta``, as the server does.
    """
    old = node.get("inputs") or {}
    inputs = {}
    for mapping in replacement["input_mapping"] or ():
        if "set_value" in mapping:
            inputs[mapping["new_id"]] = mapping["set_value"]
        elif mapping["old_id"] in old:
            inputs[mapping["new_id"]] = old[mapping["old_id"]]
    return {"inputs": inputs, "class_type": replacement["new_node_id"], "_meta": node["_meta"]}
