"""Plays a transcript on a server that has jobs and clients of its own, and is as fast as it is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from comfystub.live.comparing import is_queue_item
from comfystub.live.player import Player, Send
from comfystub.live.recordings import SAMPLER

#: What ComfyUI itself sends; node packs send messages of their own, to everybody.
EVENTS = frozenset(
    {
        "status",
        "feature_flags",
        "execution_start",
        "execution_cached",
        "execution_success",
        "execution_error",
        "execution_interrupted",
        "executing",
        "executed",
        "progress",
        "progress_state",
    }
)

#: The servers that were recorded had previews on; a prompt can ask for them.
PREVIEWS = "preview_method"

#: Seconds from one look at a job to the next, at first and at most.
PAUSES = (0.02, 0.5)


class Guest(Player):
    """A player that asks for the previews it needs and counts prompts from the first of its own on.

    ``prompts`` are the ids of the prompts it queued; ``strangers`` are the kinds of messages it heard
    that ComfyUI itself does not send.
    """

    def __init__(self, url: str, send: Send, *, headers: Sequence[str], timeout: float) -> None:
        super().__init__(url, self._ask, headers=headers, timeout=timeout)
        self._client = send
        self.prompts: list[str] = []
        self.strangers: set[str] = set()
        #: Where the server's own count stood when the transcript began, once that is known.
        self._start: float | None = None
        self._submitted = 0
        self._own_numbers: set[float] = set()

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        body = options.get("json")
        if (method, path) != ("POST", "/prompt") or not isinstance(body, dict):
            return self._client(method, path, **options)
        answer = self._client(method, path, json=_with_previews(body))
        self._note(body, answer.json() if answer.status_code == 200 else {})
        return answer

    def _note(self, body: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Keep what the server's count is; it counts every body that brings no number."""
        if "prompt_id" in answer:
            self.prompts.append(answer["prompt_id"])
        if "number" in body:
            if isinstance(body["number"], (int, float)):
                self._own_numbers.add(body["number"])
            return
        if self._start is None and "number" in answer and not body.get("front"):
            self._start = answer["number"] - self._submitted
        self._submitted += 1

    def _wait(self, prompt_id: str) -> str:
        pause, most = PAUSES
        deadline = time.monotonic() + self._timeout
        while prompt_id not in self._client("GET", f"/history/{prompt_id}").json():
            if time.monotonic() > deadline:
                return "TIMEOUT"
            time.sleep(pause)
            pause = min(pause * 1.5, most)
        return "done"

    def _counts(self, event: Mapping[str, Any]) -> bool:
        kind = event.get("type")
        if "binary" in event or kind in EVENTS:
            return True
        self.strangers.add(str(kind))
        return False

    def _mask(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            value = {name: one for name, one in value.items() if name != PREVIEWS}
        elif is_queue_item(value):
            value = [self._counted(value[0]), *value[1:]]
        return super()._mask(value, key)

    def _mask_number(self, value: float, key: str) -> Any:
        if key.rpartition("/")[2] in ("number", "priority"):
            return self._counted(value)
        return super()._mask_number(value, key)

    def _counted(self, number: float) -> float:
        """A prompt's number as on a server that had counted none before."""
        if self._start is None or number in self._own_numbers:
            return number
        return number + self._start if number < 0 else number - self._start


def _with_previews(body: dict[str, Any]) -> dict[str, Any]:
    """A prompt that has its sampler show previews."""
    prompt = body.get("prompt")
    nodes = prompt.values() if isinstance(prompt, dict) else ()
    if not any(isinstance(node, dict) and node.get("class_type") == SAMPLER for node in nodes):
        return body
    return body | {"extra_data": {**body.get("extra_data", {}), PREVIEWS: "latent2rgb"}}
