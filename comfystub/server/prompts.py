"""Submitting prompts, and the queue and the history they go through."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from typing import Any

from comfystub.engine import errors
from comfystub.server.http import EMPTY, Request, Response, json_response
from comfystub.server.state import State

log = logging.getLogger("comfystub")

CANONICAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: Keys of ``extra_data`` that neither queue nor history may show.
SENSITIVE = ("auth_token_comfy_org", "api_key_comfy_org")


class UnknownNodeWarning(UserWarning):
    """A prompt was rejected for a node class that the built-in catalogue lacks."""


def get_prompt(server: State, request: Request) -> Response:
    server.engine.look()
    return json_response({"exec_info": {"queue_remaining": len(server.engine.queue)}})


def post_prompt(server: State, request: Request) -> Response:
    body = request.json()
    number = _number(server, body)
    if "prompt" not in body:
        return _rejected(errors.error("no_prompt", "No prompt provided"))
    prompt_id = body.get("prompt_id")
    if not server.release.wants_uuids:
        prompt_id = str(body.get("prompt_id", server.engine.new_id()))
    elif prompt_id is None:
        prompt_id = server.engine.new_id()
    elif not isinstance(prompt_id, str) or not CANONICAL_UUID.fullmatch(prompt_id):
        details = (
            "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
            "omit it to let the server generate one"
        )
        return _rejected(errors.error("invalid_prompt_id", details))
    prompt = body["prompt"]
    verdict = server.engine.judge(prompt, body.get("partial_execution_targets"))
    extra_data, sensitive = _extra_data(server, request, body)
    if verdict.error is not None:
        _advise(server, verdict.error, prompt)
        return _rejected(verdict.error, verdict.node_errors)
    job = server.engine.submit(
        prompt,
        number=number,
        prompt_id=prompt_id,
        outputs=verdict.outputs,
        extra_data=extra_data,
        sensitive=sensitive,
    )
    return json_response({"prompt_id": job.id, "number": number, "node_errors": verdict.node_errors})


def _number(server: State, body: Any) -> float:
    """A prompt's place in the queue; the counter is left alone by a prompt that brings its own."""
    if not isinstance(body, dict):
        return 0
    if "number" in body:
        return float(body["number"])
    number = server.engine.next_number()
    return -number if body.get("front") else number


def _extra_data(
    server: State, request: Request, body: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a prompt carries besides the graph, its keys of paid services apart."""
    extra_data = body.get("extra_data", {})
    if "client_id" in body:
        extra_data["client_id"] = body["client_id"]
    sensitive = {key: extra_data.pop(key) for key in SENSITIVE if key in extra_data}
    source = request.headers.get("comfy-usage-source")
    if source is not None:
        extra_data.setdefault("comfy_usage_source", source)
    extra_data["create_time"] = server.engine.create_time()
    return extra_data, sensitive


def _rejected(problem: errors.Error, node_errors: dict[str, Any] | None = None) -> Response:
    return json_response(errors.rejection(problem, node_errors), 400)


def _advise(server: State, problem: errors.Error, prompt: dict[str, Any]) -> None:
    """Tell the test's author what to do about a class that only their own server has."""
    known = server.engine.known.catalogue
    if problem["type"] not in errors.MISSING_CLASS or not known.is_builtin:
        return
    class_types = (node.get("class_type") for node in prompt.values())
    class_type = next(filter(None, (name for name in class_types if known.get(name) is None)), None)
    if class_type is None:
        return
    advice = (
        f"comfystub rejected a prompt as ComfyUI {server.release.version} would: it has no node class "
        f"{class_type!r}. If your server has it, pass patch(object_info=...) what GET /object_info answers "
        "there, or define it with stub.add_node(...), or pass patch(unknown_nodes='accept')."
    )
    try:
        warnings.warn(advice, UnknownNodeWarning, stacklevel=2)
    except UnknownNodeWarning:
        # A filter that makes errors of warnings must not change what the client is answered.
        log.warning(advice)


def get_queue(server: State, request: Request) -> Response:
    server.engine.look()
    queue = server.engine.queue
    with queue.lock:
        running, pending = queue.running, queue.pending
    return json_response(
        {
            "queue_running": [] if running is None else [running.queue_item()],
            "queue_pending": [job.queue_item() for job in pending],
        }
    )


def post_queue(server: State, request: Request) -> Response:
    return _clear_and_delete(request, server.engine.clear, server.engine.delete)


def post_interrupt(server: State, request: Request) -> Response:
    try:
        body = request.json()
    except ValueError:
        body = {}
    server.engine.interrupt(body.get("prompt_id") or None)
    return EMPTY


def post_free(server: State, request: Request) -> Response:
    body = request.json()
    server.engine.free(memory=bool(body.get("free_memory", False)))
    return EMPTY


def get_history(server: State, request: Request) -> Response:
    server.engine.look()
    params = request.params
    max_items = int(params["max_items"]) if "max_items" in params else None
    offset = int(params["offset"]) if "offset" in params else -1
    page = server.engine.history.page(max_items, offset)
    return json_response({job.id: job.history_entry() for job in page})


def get_history_entry(server: State, request: Request, prompt_id: str) -> Response:
    server.engine.look(prompt_id)
    job = server.engine.history.get(prompt_id)
    return json_response({prompt_id: job.history_entry()} if job else {})


def post_history(server: State, request: Request) -> Response:
    history = server.engine.history
    return _clear_and_delete(request, history.clear, history.delete)


def _clear_and_delete(
    request: Request, clear: Callable[[], None], delete: Callable[[str], object]
) -> Response:
    # The server only asks whether its keys are in the body: an empty list does for one as well.
    body = request.json() or {}
    if body.get("clear"):
        clear()
    for prompt_id in body.get("delete", ()):
        delete(prompt_id)
    return EMPTY
