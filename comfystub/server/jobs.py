"""``/api/jobs``: queue and history in one list, and cancelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from comfystub.engine.events import MESSAGES
from comfystub.engine.job import CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, Job
from comfystub.server.http import Request, Response, json_response
from comfystub.server.prompts import CANONICAL_UUID
from comfystub.server.state import State

STATUSES = (PENDING, RUNNING, COMPLETED, FAILED)
SORT_KEYS = ("created_at", "execution_duration")
SORT_ORDERS = ("asc", "desc")

#: UI output kinds that can be shown as a preview, and file endings that can when the kind is another.
PREVIEWABLE_KINDS = frozenset({"images", "video", "audio", "3d", "text", "gifs"})
TEXT_ENDINGS = (".txt", ".md", ".json", ".csv")
#: The messages that do not end a prompt.
BEFORE_THE_END = ("execution_start", "execution_cached")
#: Characters of a text preview.
TEXT_LIMIT = 1024


class BadParameter(ValueError):
    """A query parameter that the route does not take; the message is the answer's."""


class Query(NamedTuple):
    """The parameters of ``GET /api/jobs``."""

    statuses: frozenset[str]
    workflow_id: str | None
    sort_by: str
    descending: bool
    limit: int | None
    offset: int


def list_jobs(server: State, request: Request) -> Response:
    try:
        query = _query(request.params, _statuses(server))
    except BadParameter as problem:
        return json_response({"error": str(problem)}, 400)
    server.engine.look()
    rows = [row for job in _known_jobs(server) if _wanted(row := _summary(server, job), query)]
    rows.sort(key=lambda row: _sort_value(row, query.sort_by), reverse=query.descending)
    stop = None if query.limit is None else query.offset + query.limit
    pagination = {
        "offset": query.offset,
        "limit": query.limit,
        "total": len(rows),
        "has_more": stop is not None and stop < len(rows),
    }
    return json_response({"jobs": rows[query.offset : stop], "pagination": pagination})


def get_job(server: State, request: Request, job_id: str) -> Response:
    server.engine.look(job_id)
    job = next((job for job in _known_jobs(server) if job.id == job_id), None)
    if job is None:
        return json_response({"error": "Job not found"}, 404)
    row = _summary(server, job)
    if job.ended:
        row["outputs"] = job.ui
        row["execution_status"] = job.history_status()
        row["workflow"] = {"prompt": job.workflow, "extra_data": job.extra_data}
    return json_response(row)


def cancel_job(server: State, request: Request, job_id: str) -> Response:
    return json_response({"cancelled": server.engine.cancel(job_id)})


def cancel_jobs(server: State, request: Request) -> Response:
    try:
        body = request.json()
    except ValueError:
        return json_response({"error": "Request body must be valid JSON"}, 400)
    job_ids = body.get("job_ids") if isinstance(body, dict) else None
    if not isinstance(job_ids, list):
        return json_response({"error": "job_ids must be a list"}, 400)
    invalid = [one for one in job_ids if not isinstance(one, str) or not CANONICAL_UUID.fullmatch(one)]
    if invalid:
        return json_response({"error": "job_ids contains invalid id(s)", "invalid_ids": invalid}, 400)
    cancelled = [server.engine.cancel(job_id) for job_id in job_ids]
    return json_response({"cancelled": any(cancelled)})


def _known_jobs(server: State) -> list[Job]:
    """Running, waiting in heap order, history oldest first."""
    queue = server.engine.queue
    with queue.lock:  # a prompt that moves on meanwhile would be there twice, or not at all
        running = [] if queue.running is None else [queue.running]
        return [*running, *queue.pending, *server.engine.history]


def _statuses(server: State) -> tuple[str, ...]:
    """The statuses that jobs can have."""
    return (*STATUSES, CANCELLED) if server.release.cancels_jobs else STATUSES


def _query(params: Mapping[str, str], known: Sequence[str]) -> Query:
    statuses = [one.strip().lower() for one in params.get("status", "").split(",") if one.strip()]
    invalid = ", ".join(one for one in statuses if one not in known)
    if invalid:
        raise BadParameter(f"Invalid status value(s): {invalid}. Valid values: {', '.join(known)}")
    sort_by = params.get("sort_by", "created_at").lower()
    if sort_by not in SORT_KEYS:
        raise BadParameter("sort_by must be 'created_at' or 'execution_duration'")
    order = params.get("sort_order", "desc").lower()
    if order not in SORT_ORDERS:
        raise BadParameter("sort_order must be 'asc' or 'desc'")
    limit = _integer(params, "limit")
    if limit is not None and limit <= 0:
        raise BadParameter("limit must be a positive integer")
    offset = max(0, _integer(params, "offset") or 0)
    return Query(frozenset(statuses), params.get("workflow_id"), sort_by, order == "desc", limit, offset)


def _integer(params: Mapping[str, str], name: str) -> int | None:
    try:
        return int(params[name]) if name in params else None
    except ValueError:
        raise BadParameter(f"{name} must be an integer") from None


def _wanted(row: Mapping[str, Any], query: Query) -> bool:
    if query.statuses and row["status"] not in query.statuses:
        return False
    return query.workflow_id is None or row.get("workflow_id") == query.workflow_id


def _sort_value(row: Mapping[str, Any], sort_by: str) -> float:
    if sort_by == "created_at":
        return float(row.get("create_time") or 0)
    start, end = row.get("execution_start_time"), row.get("execution_end_time")
    return float(end - start) if start is not None and end is not None else 0.0


def _summary(server: State, job: Job) -> dict[str, Any]:
    """A job as the list shows it; what is not known is left out."""
    messages = {kind: own for kind, own in job.marks if kind in MESSAGES} if job.ended else {}
    ends = [own["timestamp"] for kind, own in messages.items() if kind not in BEFORE_THE_END]
    shown = _shown(job) if job.ended else []
    previewable = [one for one in shown if _previewable(*one)]
    row = {
        "id": job.id,
        "status": job.state if job.state in _statuses(server) else FAILED,
        "priority": job.number,
        "create_time": job.extra_data.get("create_time"),
        "execution_start_time": messages.get("execution_start", {}).get("timestamp"),
        "execution_end_time": ends[-1] if ends else None,
        "execution_error": messages.get("execution_error"),
        "outputs_count": sum(isinstance(entry, dict) for _, _, entry in shown),
        "previewable_outputs_count": len(previewable) if server.release.cancels_jobs else None,
        "preview_output": _preview(previewable),
        "workflow_id": _workflow_id(job.extra_data),
    }
    return {key: value for key, value in row.items() if value is not None}


def _shown(job: Job) -> list[tuple[str, str, Any]]:
    """What the output nodes showed, entry by entry: its kind, its node and the entry itself."""
    return [
        (kind, node_id, entry)
        for node_id, ui in job.ui.items()
        for kind, entries in ui.items()
        if isinstance(entries, list)
        for entry in entries
    ]


def _workflow_id(extra_data: Mapping[str, Any]) -> Any:
    # `extra_pnginfo: null` raises here, and the server answers 500.
    workflow = extra_data.get("extra_pnginfo", {}).get("workflow")
    return workflow.get("id") if isinstance(workflow, dict) else None


def _previewable(kind: str, node_id: str, entry: Any) -> bool:
    if isinstance(entry, str):
        return kind == "text"
    if not isinstance(entry, dict) or "filename" not in entry:
        return False
    return kind in PREVIEWABLE_KINDS or str(entry["filename"]).lower().endswith(TEXT_ENDINGS)


def _preview(previewable: list[tuple[str, str, Any]]) -> dict[str, Any] | None:
    """The entry a list shows: a saved file before a temporary one before a saved text before a text."""

    def rank(one: tuple[str, str, Any]) -> int:
        kind, _, entry = one
        if isinstance(entry, str):
            return 3
        if kind not in PREVIEWABLE_KINDS:
            return 2
        return 0 if entry.get("type") == "output" else 1

    if not previewable:
        return None
    kind, node_id, entry = min(previewable, key=rank)
    where = {"nodeId": node_id, "mediaType": kind}
    if not isinstance(entry, str):
        return {**entry, **where}
    if len(entry) > TEXT_LIMIT:
        return {"content": entry[:TEXT_LIMIT], **where, "truncated": True}
    return {"content": entry, **where}
