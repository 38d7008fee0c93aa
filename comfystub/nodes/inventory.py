"""The files a server can choose from: installed models and pictures of the input folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from comfystub.nodes.catalogue import model_folders

#: What ``/models`` and ``/object_info`` show while any model name counts as installed.
WELL_KNOWN: Mapping[str, tuple[str, ...]] = {
    "checkpoints": ("v1-5-pruned-emaonly.safetensors", "sd_xl_base_1.0.safetensors"),
    "loras": ("lcm-lora-sdv1-5.safetensors",),
    "vae": ("ae.safetensors", "vae-ft-mse-840000-ema-pruned.safetensors"),
    "text_encoders": ("clip_l.safetensors", "t5xxl_fp8_e4m3fn.safetensors"),
    "diffusion_models": ("flux1-dev.safetensors", "flux1-schnell.safetensors"),
    "clip_vision": ("clip_vision_h.safetensors",),
    "style_models": ("flux1-redux-dev.safetensors",),
    "embeddings": ("EasyNegative.safetensors",),
    "vae_approx": ("taesd_decoder.pth",),
    "controlnet": ("control_v11p_sd15_canny.pth", "control_v11f1p_sd15_depth.pth"),
    "gligen": ("gligen_sd14_textbox_pruned.safetensors",),
    "upscale_models": ("RealESRGAN_x4plus.pth", "4x-UltraSharp.pth"),
    "photomaker": ("photomaker-v1.bin",),
}


class Inventory:
    """What is installed.

    ``models`` is ``None`` (any name counts as installed) or a dict of folder to file names: exactly
    those, every other folder empty.  ``input_files`` lists the input folder, anew at each call.
    ``folders`` are the model folders there are; left out, those of ComfyUI.
    """

    def __init__(
        self,
        models: Mapping[str, Iterable[str]] | None,
        input_files: Callable[[], list[str]],
        folders: Iterable[str] | None = None,
    ) -> None:
        self.lenient = models is None
        self._input_files = input_files
        self._folders = folders
        shown: Mapping[str, Iterable[str]] = WELL_KNOWN if models is None else models
        self._first = {folder: list(dict.fromkeys(names)) for folder, names in shown.items()}
        self.reset()

    def reset(self) -> None:
        """Have what was installed at first."""
        self._models = {folder: list(names) for folder, names in self._first.items()}

    def add(self, folder: str, name: str) -> None:
        """Install a model file."""
        names = self._models.setdefault(folder, [])
        if name not in names:
            names.append(name)

    def folders(self) -> list[str]:
        """The names of the model folders, in the server's order."""
        folders = model_folders() if self._folders is None else self._folders
        return list(dict.fromkeys([*folders, *self._models]))

    def names(self, folder: str) -> list[str]:
        """The files of a model folder, or of the input folder."""
        return self._input_files() if folder == "input" else self._models.get(folder, [])

    def options(self, choices: Any) -> list[Any]:
        """The options of a combo, with lists of files written out."""
        if isinstance(choices, Mapping) and "$files" in choices:
            names = [name for folder in choices["$files"] for name in self.names(folder)]
            return names + [fixed for fixed in choices.get("also", ()) if fixed not in names]
        return list(choices or ())

    def accepts(self, choices: Any, value: Any) -> bool:
        """Whether a combo takes this value."""
        if self.lenient and _model_folder(choices) and isinstance(value, str):
            return True
        return value in self.options(choices)

    def remember(self, choices: Any, value: Any) -> None:
        """Show a name that an accepted prompt used from now on."""
        folder = _model_folder(choices)
        if self.lenient and folder and value not in self.options(choices):
            self.add(folder, value)


def _model_folder(choices: Any) -> str | None:
    """The model folder a combo lists, ``None`` for input pictures and fixed options."""
    if isinstance(choices, Mapping) and choices.get("$files") not in (None, ["input"]):
        folder: str = choices["$files"][0]
        return folder
    return None
