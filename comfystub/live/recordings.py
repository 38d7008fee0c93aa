"""The transcripts: what real servers were recorded to answer, and what each of them needs."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from comfystub.engine.releases import LATEST

#: A folder for each release; that of an older one holds what it answers otherwise.
FOLDER = pathlib.Path(__file__).parent / "transcripts"

#: What an older release answers otherwise, but was not recorded of it.
LATEST_ONLY = ("cached_other_prefix_deleted", "cached_without_client", "jobs_cancel")

#: The checkpoints of the servers that were recorded; transcripts load the second.
CHECKPOINTS = ["v1-5-pruned-emaonly-fp16.safetensors", "v1-5-pruned-emaonly.safetensors"]
CHECKPOINT = CHECKPOINTS[1]

#: Ids that transcripts give to their prompts begin so, and names of their files and clients.
OWN_IDS = "00000000-0000-4000-8000-"
OWN_NAMES = r"\bconf(?![a-z])"

#: Paths that show every job that has ended.
LISTS = re.compile(r"/(history|api/jobs)(\?(?!status=pending)|$)")

#: The class of the nodes that report progress and show previews.
SAMPLER = "KSampler"


class Transcript(NamedTuple):
    """An exchange with a real server: what the client did, step by step, and what it was answered."""

    name: str
    about: str
    steps: Sequence[dict[str, Any]]

    @property
    def uses_a_socket(self) -> bool:
        return any("ws" in step["do"] for step in self.steps)

    @property
    def submits(self) -> bool:
        """Whether it queues prompts."""
        return any(step["do"].get("path") == "/prompt" and "json" in step["do"] for step in self.steps)

    @property
    def loads(self) -> bool:
        """Whether it names the checkpoint."""
        return CHECKPOINT in json.dumps([step["do"] for step in self.steps])

    @property
    def lists_everything(self) -> bool:
        """Whether it asks for all jobs that the server remembers, and not for those that wait."""
        return any(LISTS.match(_get(step)) for step in self.steps)

    @property
    def clears(self) -> str:
        """What it empties: ``"queue"``, ``"history"`` or nothing."""
        for do in (step["do"] for step in self.steps):
            body = do.get("raw") or json.dumps(do.get("json"))
            if '"clear": true' in body:
                return str(do["path"]).strip("/")
        return ""


def _get(step: dict[str, Any]) -> str:
    """The path that a step gets, if that is what it does."""
    do = step["do"]
    return str(do["path"]) if do.get("http") == "GET" else ""


def read(path: pathlib.Path) -> Transcript:
    """A transcript's file."""
    return Transcript(**json.loads(path.read_text(encoding="utf-8")))


def files(release: str) -> list[pathlib.Path]:
    """The transcripts that were recorded of a release."""
    return sorted((FOLDER / release).glob("*.json"))


def transcripts(release: str) -> list[Transcript]:
    """What a release was recorded to answer, or answers as the latest does."""
    paths = {path.name: path for path in files(LATEST)}
    if release != LATEST:
        paths = {name: path for name, path in paths.items() if path.stem not in LATEST_ONLY}
        paths |= {path.name: path for path in files(release)}
    return [read(path) for _, path in sorted(paths.items())]


def adapted(
    transcript: Transcript, own: str, ids: str, checkpoint: str, checkpoints: list[str], embeddings: list[str]
) -> Transcript:
    """A transcript as it would have been recorded of a server that has other files.

    Its own files and clients are called ``own…`` and its prompts ``ids…``, so that it meets nobody
    else's.
    """
    meant = {CHECKPOINT: checkpoint, str(CHECKPOINTS): str(checkpoints), OWN_IDS: ids}
    pattern = re.compile("|".join([*map(re.escape, meant), OWN_NAMES]))

    def there(value: Any) -> Any:
        if value == CHECKPOINTS:
            return checkpoints
        if isinstance(value, str):
            return pattern.sub(lambda found: meant.get(found[0], own), value)
        if isinstance(value, list):
            return [there(one) for one in value]
        if isinstance(value, dict):
            return {there(key): there(one) for key, one in value.items()}
        return value

    steps = there(list(transcript.steps))
    for step in steps:
        if _get(step) == "/embeddings":
            step["expect"]["json"] = embeddings
    return transcript._replace(steps=steps)
