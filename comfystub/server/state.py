"""What the routes work on."""

from __future__ import annotations

from typing import Any

from comfystub.engine.engine import Engine
from comfystub.engine.releases import Release
from comfystub.media.files import Folders
from comfystub.server.profile import NONE, Profile


class State:
    """A server's engine, the folders on its disk, and its user's settings.

    ``profile`` is what it answers in place of what a fresh ComfyUI does.
    """

    def __init__(self, engine: Engine, profile: Profile = NONE) -> None:
        self.engine = engine
        self.profile = profile
        self.settings: dict[str, Any] = dict(profile.settings)

    @property
    def release(self) -> Release:
        """Which ComfyUI this is."""
        return self.engine.known.release

    @property
    def folders(self) -> Folders:
        return self.engine.known.folders
