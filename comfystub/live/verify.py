"""Plays the transcripts on a live server and tells where it answers otherwise."""

from __future__ import annotations

import importlib.util
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from comfystub.live import recordings
from comfystub.live.asking import LiveServer, Trouble, body_of
from comfystub.live.comparing import Difference, differences
from comfystub.live.guest import Guest
from comfystub.live.recordings import Transcript
from comfystub.server.profile import release_of

#: With more options than this, ComfyUI does not repeat them to whoever chose another.
LISTED = 20

#: What a sampler sends at each step: how many of them come before an interrupt is a matter of speed.
ROUNDS = ("progress", "progress_state")

#: The transcript whose rejection repeats the checkpoints.
LISTS_CHECKPOINTS = "reject_value_not_in_list"

HOLDS, DIFFERS, SKIPPED = "holds", "differs", "skipped"


class Facts(NamedTuple):
    """What a server is: its release, and what it can load."""

    version: str
    checkpoints: list[str]
    embeddings: list[str]


class StepDifference(NamedTuple):
    """Where the answer to one step, counted from 1 on, is not the recorded one."""

    step: int
    do: str
    where: str
    recorded: Any
    found: Any


class Verdict(NamedTuple):
    """What came of one transcript; ``why`` is why it was skipped."""

    name: str
    about: str
    result: str
    why: str = ""
    differences: Sequence[StepDifference] = ()
    strangers: Sequence[str] = ()


class Verification:
    """Plays transcripts on a server.

    Args:
        server: Where they are played.
        checkpoint: The checkpoint to load in place of the recorded one.
        clears: Whether queue and history may be cleared.
        busy: Whether it may have jobs of others.

    Raises:
        Trouble: It does not answer, is busy, or lacks the checkpoint.
    """

    def __init__(
        self, server: LiveServer, *, checkpoint: str | None = None, clears: bool = False, busy: bool = False
    ) -> None:
        self._server = server
        self._clears = clears
        self._busy = busy
        self.facts = _facts(server)
        self.release = release_of(self.facts.version)
        if checkpoint is not None and checkpoint not in self.facts.checkpoints:
            raise Trouble(f"{server.url} has no checkpoint {checkpoint!r}: {_some(self.facts.checkpoints)}")
        self._checkpoint = checkpoint or recordings.CHECKPOINT
        self._refuse_a_busy_one()

    def run(self, transcripts: Iterable[Transcript]) -> Iterator[Verdict]:
        """Play these one after the other.  Raises ``Trouble`` when the server can no longer be asked."""
        for transcript in transcripts:
            why = self._obstacle(transcript)
            if why:
                yield Verdict(transcript.name, transcript.about, SKIPPED, why)
            else:
                yield from self._played(transcript)

    # --- whether one can be played

    def _obstacle(self, transcript: Transcript) -> str:
        """Why a transcript cannot be played now, if so."""
        if transcript.uses_a_socket and importlib.util.find_spec("websocket") is None:
            return "websocket-client is not installed"
        if transcript.loads and self._checkpoint not in self.facts.checkpoints:
            return f"no checkpoint {self._checkpoint}; --checkpoint names another"
        if transcript.name == LISTS_CHECKPOINTS and len(self.facts.checkpoints) > LISTED:
            return f"more than {LISTED} checkpoints, which ComfyUI does not list then"
        if transcript.clears and not self._clears:
            return f"clears the {transcript.clears}; --all plays it"
        if transcript.lists_everything and not self._clears and self._remembers():
            return "there are jobs in the history; --all clears it"
        return ""

    def _remembers(self) -> bool:
        return bool(self._server.json("/history?max_items=1"))

    def _refuse_a_busy_one(self) -> None:
        if not self._busy and self._queued():
            raise Trouble(
                f"{self._server.url} is busy, and transcripts interrupt jobs: wait until its queue is empty, "
                "or give --force"
            )

    def _queued(self) -> list[Any]:
        """The ids of the prompts that run or wait."""
        queue = self._server.json("/queue")
        try:
            return [item[1] for items in queue.values() for item in items]
        except (AttributeError, IndexError, TypeError):
            raise Trouble(_otherwise(self._server, "/queue")) from None

    # --- playing one

    def _played(self, transcript: Transcript) -> Iterator[Verdict]:
        self._refuse_a_busy_one()
        if transcript.lists_everything and self._clears:
            self._server.ask("POST", "/history", json={"clear": True})
        if transcript.submits:
            # It begins with nothing cached.
            self._server.ask("POST", "/free", json={"free_memory": True, "unload_models": False})
        server = self._server
        guest = Guest(server.url, server.send, headers=server.header_lines, timeout=server.timeout)
        try:
            found = list(self._differences(guest, self._adapted(transcript)))
            result = DIFFERS if found else HOLDS
            yield Verdict(transcript.name, transcript.about, result, "", found, sorted(guest.strangers))
        finally:
            guest.close()
            self._take_back(guest.prompts)

    def _adapted(self, transcript: Transcript) -> Transcript:
        own = f"comfystub-{os.urandom(3).hex()}"
        ids = str(uuid.uuid4())[: len(recordings.OWN_IDS)]
        checkpoints, embeddings = self.facts.checkpoints, self.facts.embeddings
        return recordings.adapted(transcript, own, ids, self._checkpoint, checkpoints, embeddings)

    def _differences(self, guest: Guest, transcript: Transcript) -> Iterator[StepDifference]:
        interrupted = False
        for number, step in enumerate(transcript.steps, 1):
            do, recorded = step["do"], step["expect"]
            try:
                found = guest.play(do)
            except Exception as problem:  # whatever an answer is, it can be of a kind that nobody expects
                what = f"{type(problem).__name__}: {problem}".rstrip(": ")
                yield StepDifference(number, _name(do), "", recorded, what)
                return
            if interrupted:
                recorded, found = _without_rounds(recorded), _without_rounds(found)
            for one in filter(_matters, differences(recorded, found)):
                yield StepDifference(number, _name(do), *one)
            interrupted = interrupted or do.get("path", "").endswith(("/interrupt", "/cancel"))

    def _take_back(self, prompts: Sequence[str]) -> None:
        """Stop what is left of these prompts, and take them out of the history."""
        deadline = time.monotonic() + self._server.timeout
        while left := [prompt_id for prompt_id in self._queued() if prompt_id in prompts]:
            if time.monotonic() > deadline:
                raise Trouble(f"{self._server.url} does not end the prompts {', '.join(left)}")
            self._server.ask("POST", "/queue", json={"delete": left})
            for prompt_id in left:
                self._server.ask("POST", "/interrupt", json={"prompt_id": prompt_id})
            time.sleep(0.02)
        if prompts:
            self._server.ask("POST", "/history", json={"delete": list(prompts)})


def _facts(server: LiveServer) -> Facts:
    stats = server.json("/system_stats")
    system = stats.get("system") if isinstance(stats, dict) else None
    if not isinstance(system, dict):
        raise Trouble(_otherwise(server, "/system_stats"))
    checkpoints, embeddings = (_names(server, folder) for folder in ("checkpoints", "embeddings"))
    return Facts(
        str(system.get("comfyui_version", "unknown")),
        checkpoints,
        [os.path.splitext(name)[0] for name in embeddings],
    )


def _names(server: LiveServer, folder: str) -> list[str]:
    names = body_of(server.ask("GET", f"/models/{folder}"))
    return [str(name) for name in names] if isinstance(names, list) else []


def _otherwise(server: LiveServer, path: str) -> str:
    return f"{server.url} does not answer GET {path} as ComfyUI does: is that its address?"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"it has {shown}{', …' if len(names) > 5 else ''}" if names else "it has none"


def _name(do: Mapping[str, Any]) -> str:
    """What a step does, in short."""
    if "http" in do:
        return f"{do['http']} {do['path']}"
    if "wait" in do:
        return f"wait for {do['wait']}"
    return f"socket {do['as']} {do['ws']}" + (f" until {do['until']}" if "until" in do else "")


def _without_rounds(answer: Any) -> Any:
    """What was read from a socket without what a sampler sends at each step."""
    if not isinstance(answer, dict) or "events" not in answer:
        return answer
    events = answer["events"]
    return {"events": [one for one in events if "binary" not in one and one["type"] not in ROUNDS]}


def _matters(difference: Difference) -> bool:
    """Whether a difference is none of the machine: a device without an index may have one elsewhere."""
    return bool(difference.recorded != "NoneType")
