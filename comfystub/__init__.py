"""A ComfyUI server inside the test process: no port, no server process, no GPU.

The names load what they need when they are first used, so that importing the package, or the pytest
plugin, imports no HTTP library and no Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comfystub.engine.events import Event
    from comfystub.engine.job import Job, JobNode, Output
    from comfystub.patching import current, patch
    from comfystub.server.prompts import UnknownNodeWarning
    from comfystub.server.server import Call
    from comfystub.stub import Stub

__version__ = "0.1.0"

__all__ = ["Call", "Event", "Job", "JobNode", "Output", "Stub", "UnknownNodeWarning", "current", "patch"]

#: Public name to the module that holds it.
_HOMES = {
    "Call": "comfystub.server.server",
    "Event": "comfystub.engine.events",
    "Job": "comfystub.engine.job",
    "JobNode": "comfystub.engine.job",
    "Output": "comfystub.engine.job",
    "Stub": "comfystub.stub",
    "UnknownNodeWarning": "comfystub.server.prompts",
    "current": "comfystub.patching",
    "patch": "comfystub.patching",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
