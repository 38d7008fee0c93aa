"""Output nodes that leave the files of models, which show nothing."""

from __future__ import annotations

from comfystub.media import tensors
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.writing import texts, write


def save(run: Invocation, prefix: str | None = None) -> Result:
    """Write a file with one small tensor in it, which follows from what made the model."""
    values = run.signature
    data = tensors.safetensors({"weight": ("U8", (len(values),))}, dict(texts(run)), values)
    write(run, ".safetensors", data, prefix=prefix)
    return Result()


def save_lora(run: Invocation) -> Result:
    """SaveLoRA: the name tells how many steps it was trained for."""
    prefix, steps = run.value("prefix", "loras/ComfyUI_trained_lora"), run.value("steps", 0)
    return save(run, f"{prefix}_{steps}_steps" if steps else prefix)


BEHAVIOURS = {
    **dict.fromkeys(
        ("CheckpointSave", "ImageOnlyCheckpointSave", "ModelSave", "CLIPSave", "VAESave", "LoraSave"), save
    ),
    "SaveLoRA": save_lora,
}
