"""How reports name things."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from comfystub.engine.job import Job
from comfystub.server.server import Call

UUID = re.compile(r"([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def shortened(text: str) -> str:
    """A text whose UUIDs are cut down to their first eight digits."""
    return UUID.sub(r"\1…", text)


def counted(number: int, noun: str) -> str:
    """A number of things: ``"1 file"``, ``"2 files"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def job_name(job: Job) -> str:
    """A job by its number in the order of arrival, from 1 on."""
    return f"job {job.ordinal}"


def node_name(job: Job, node_id: Any) -> str:
    """A node by its id and its class."""
    return f"{node_id} {job.workflow.get(node_id, {}).get('class_type', '')}".rstrip()


def failure(error: Mapping[str, Any]) -> str:
    """What an ``execution_error`` says, without its traceback."""
    where = f"{error['node_id']} {error['node_type']}"
    message = error["exception_message"].partition("\n")[0].rstrip()  # a tip may follow
    return f"failed at {where}: {error['exception_type']}: {message}"


def file_names(ui: Mapping[str, Any]) -> list[str]:
    """The files among what an output node showed, with their subfolders."""
    return [
        posixpath.join(entry.get("subfolder", ""), entry["filename"])
        for entries in ui.values()
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and "filename" in entry
    ]


def call_name(call: Call) -> str:
    """A call by its method, path and query."""
    query = f"?{call.request.query}" if call.request.query else ""
    return f"{call.method} {call.path}{query}"


def status(call: Call) -> str:
    """What a call was answered, if it was."""
    return str(call.status) if call.status else "unanswered"


def calls_in_short(calls: Iterable[Call], limit: int = 10) -> str:
    """Calls in a row, the same ones once: ``"POST /prompt 200, GET /queue 200 (3 times)"``."""
    times = Counter(f"{call.method} {shortened(call.path)} {status(call)}" for call in calls)
    names = [name if number == 1 else f"{name} ({number} times)" for name, number in times.items()]
    more = [f"{len(names) - limit} more"] if len(names) > limit else []
    return ", ".join([*names[:limit], *more])
