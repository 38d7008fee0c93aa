"""What the routes work on."""

from __future__ import annotations

from typing import Any

from comfystub.engine.engine import Engine
from comfystub.engine.releases import Release
from comfystub.media.files import Folders


class State:
    """A server's engine, the folders on its disk, and its user's settings."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.settings: dict[str, Any] = {}

    @property
    def release(self) -> Release:
        """Which ComfyUI this is."""
        return self.engine.known.release

    @property
    def folders(self) -> Folders:
        return self.engine.known.folders
