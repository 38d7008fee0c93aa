"""What one release of ComfyUI answers otherwise than another, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Release(NamedTuple):
    """A release of ComfyUI, as far as its clients can tell it from others."""

    version: str
    #: Whether a prompt's id has to be a UUID; else any value will do.
    wants_uuids: bool = True
    #: Whether a prompt with a class that is missing is told which node has it.
    names_missing_nodes: bool = True
    #: Whether jobs can be cancelled, and interrupted ones are known as such.
    cancels_jobs: bool = True
    #: Whether classes that are gone are replaced by others.
    replaces_nodes: bool = True
    #: Whether history shows the old outputs of cached nodes to those who submit without a client id.
    shows_cached_to_all: bool = True
    #: Whether an error about a folder names what the paths have in common.
    names_common_path: bool = False
    #: Whether the times of files are whole milliseconds; else seconds, with their fraction.
    tells_milliseconds: bool = True
    #: Whether files of a user are sent as attachments.
    attaches_userdata: bool = True
    #: What ``/features`` and ``/system_stats`` do not tell yet.
    lacks_features: tuple[str, ...] = ()
    lacks_stats: tuple[str, ...] = ()


RELEASES: Mapping[str, Release] = {
    "0.33": Release("0.33.0"),
    "0.8": Release(
        "0.8.0",
        wants_uuids=False,
        names_missing_nodes=False,
        cancels_jobs=False,
        replaces_nodes=False,
        shows_cached_to_all=False,
        names_common_path=True,
        tells_milliseconds=False,
        attaches_userdata=False,
        lacks_features=("supports_model_type_tags", "node_replacements", "assets"),
        lacks_stats=("comfy_package_versions", "deploy_environment"),
    ),
}

LATEST = "0.33"
