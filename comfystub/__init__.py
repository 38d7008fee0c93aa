"""A ComfyUI server inside the test process: no port, no server process, no GPU.

The names load what they need when they are first used, so that importing the package, or the pytest
plugin, imports no HTTP library and no Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comfystub import faults
    from comfystub.clusters import Cluster
    from comfystub.engine.events import Event
    from comfystub.engine.faults import Fault, Where
    from comfystub.engine.job import Job, JobNode, Output
    from comfystub.engine.pacing import Timed
    from comfystub.engine.sessions import SocketRecord
    from comfystub.media.sound import Sound
    from comfystub.nodes.values import Video
    from comfystub.patching import cluster, current, patch
    from comfystub.server.prompts import UnknownNodeWarning
    from comfystub.server.server import Call
    from comfystub.strict import StrictError
    from comfystub.stub import Stub
    from comfystub.styles import Styles
    from comfystub.timeline import Timeline
    from comfystub.transports.forks import ForkWarning

__version__ = "0.1.0"

__all__ = [
    "Call",
    "Cluster",
    "Event",
    "Fault",
    "ForkWarning",
    "Job",
    "JobNode",
    "Output",
    "SocketRecord",
    "Sound",
    "StrictError",
    "Stub",
    "Styles",
    "Timed",
    "Timeline",
    "UnknownNodeWarning",
    "Video",
    "Where",
    "cluster",
    "current",
    "faults",
    "patch",
]

#: Public name to the module that holds it.
_HOMES = {
    "Call": "comfystub.server.server",
    "Cluster": "comfystub.clusters",
    "Event": "comfystub.engine.events",
    "Fault": "comfystub.engine.faults",
    "ForkWarning": "comfystub.transports.forks",
    "Job": "comfystub.engine.job",
    "JobNode": "comfystub.engine.job",
    "Output": "comfystub.engine.job",
    "SocketRecord": "comfystub.engine.sessions",
    "Sound": "comfystub.media.sound",
    "StrictError": "comfystub.strict",
    "Stub": "comfystub.stub",
    "Styles": "comfystub.styles",
    "Timed": "comfystub.engine.pacing",
    "Timeline": "comfystub.timeline",
    "UnknownNodeWarning": "comfystub.server.prompts",
    "Video": "comfystub.nodes.values",
    "Where": "comfystub.engine.faults",
    "cluster": "comfystub.patching",
    "current": "comfystub.patching",
    "patch": "comfystub.patching",
}


def __getattr__(name: str) -> Any:
    if name == "faults":
        return importlib.import_module("comfystub.faults")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "faults"})
