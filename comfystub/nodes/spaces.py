"""The latent spaces of model families: how pixels and frames become units of a latent, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Space(NamedTuple):
    """How latents of one kind stand for pictures and films.

    ``unit`` pixels along each side are one unit of a latent, which has ``channels`` numbers.  The first
    ``start`` frames of a film are its first unit in time, and each ``stride`` frames more another one.
    """

    unit: int = 8
    stride: int = 1
    channels: int = 4
    start: int = 1

    def side(self, pixels: int) -> int:
        """As many of these pixels as whole units have, and at least one unit's."""
        return self.units(pixels) * self.unit

    def units(self, pixels: int) -> int:
        """The whole units that pixels along one side make, at least one."""
        return max(1, pixels // self.unit)

    def length(self, frames: int) -> int:
        """The units in time that frames make, at least one."""
        return max(1, (frames - self.start) // self.stride + 1)

    def frames(self, length: int) -> int:
        """The frames that so many units in time decode to."""
        return self.start + (length - 1) * self.stride

    def whole(self, frames: int) -> int:
        """As many of these frames as whole units in time have."""
        return self.frames(self.length(frames))


SD = Space()
SD3 = Space(channels=16)
FLUX2 = Space(16, channels=128)
HUNYUAN_IMAGE = Space(32, channels=64)
PIXELS = Space(1, channels=3)
WAN = Space(8, 4, 16)
WAN_5B = Space(16, 4, 48)
HUNYUAN_VIDEO_15 = Space(16, 4, 32)
COSMOS = Space(8, 8, 16)
LTXV = Space(32, 8, 128)
MOCHI = Space(8, 6, 12)
MINIMAX = Space(32, 17, 128, start=5)
#: What the last stage of Stable Cascade works on, and the upscaler of Stable Diffusion.
QUARTER = Space(4)

#: Those that a file of a latent can be in, of two alike the one that is met more often.
WRITTEN = (SD, SD3, FLUX2, HUNYUAN_IMAGE, PIXELS, WAN, WAN_5B, HUNYUAN_VIDEO_15, LTXV, MOCHI)


def of_shape(shape: Sequence[int]) -> Space:
    """The space of a latent by its shape: batch, channels, in films the time, height and width."""
    film = len(shape) > 4
    alike = (s for s in WRITTEN if s.channels == shape[1] and (s.stride > 1) == film)
    return next(alike, WAN if film else SD)


#: What is in the names of the files of VAEs, and of checkpoints that bring one, before names that
#: are a part of it.
NAMED = (
    ("ltx", LTXV),
    ("wan2.2_vae", WAN_5B),
    ("wan2_2_vae", WAN_5B),
    ("wan_2", WAN),
    ("wan2", WAN),
    ("hunyuanvideo15", HUNYUAN_VIDEO_15),
    ("hunyuan_video_1.5", HUNYUAN_VIDEO_15),
    ("hunyuan_video", WAN),
    ("hunyuan_image", HUNYUAN_IMAGE),
    ("cosmos", COSMOS),
    ("mochi", MOCHI),
    ("minimax", MINIMAX),
    ("flux2", FLUX2),
    ("flux", SD3),
    ("qwen_image", SD3),
    ("sd3", SD3),
    ("pixel_space", PIXELS),
)


def of_name(name: str) -> Space:
    """The space of a VAE by the name of its file."""
    name = name.lower()
    return next((space for part, space in NAMED if part in name), SD)
