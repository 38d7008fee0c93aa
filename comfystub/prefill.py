"""Prompts of other people, to fill a server's queue with."""

from __future__ import annotations

import copy
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from comfystub.engine.engine import Engine
from comfystub.engine.job import Job
from comfystub.engine.pacing import PaceArgument, pace_of

WORKFLOW = pathlib.Path(__file__).parent / "demo" / "text_to_image.json"


def submit(
    engine: Engine, workflow: Mapping[str, Any] | None, client_id: str | None, pace: PaceArgument | None
) -> Job:
    """Queue a prompt past the server's routes.

    Raises ``ValueError`` when it is not accepted.
    """
    engine.catch_up()
    prompt = _of_its_own(engine) if workflow is None else copy.deepcopy(dict(workflow))
    verdict = engine.judge(prompt)
    if verdict.error is not None:
        raise ValueError(f"the server does not accept the workflow: {verdict.error['message']}")
    extra_data: dict[str, Any] = {} if client_id is None else {"client_id": client_id}
    extra_data["create_time"] = engine.create_time()
    return engine.submit(
        prompt,
        number=engine.next_number(),
        prompt_id=engine.new_id(),
        outputs=verdict.outputs,
        extra_data=extra_data,
        sensitive={},
        pace=None if pace is None else pace_of(pace),
    )


def _of_its_own(engine: Engine) -> dict[str, Any]:
    """A workflow whose results are in no cache."""
    workflow: dict[str, Any] = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    workflow["3"]["inputs"]["seed"] = len(engine.jobs) + 1
    return workflow
