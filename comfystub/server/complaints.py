"""Calls that went wrong at the server, whether or not their client minded."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.server.paths import canonical
from comfystub.server.router import Router

if TYPE_CHECKING:
    from comfystub.server.server import Call

#: The kinds of complaints.
UNKNOWN_PATH, REJECTED, RAISED = "unknown path", "rejected prompt", "exception"


class Complaint(NamedTuple):
    """Something that a client should not have got away with.

    ``kind`` is ``"unknown path"``, ``"rejected prompt"`` or ``"exception"``, that of a handler that
    raised.  ``call`` is the call it came with, ``text`` all of it in words.
    """

    kind: str
    call: Call
    text: str

    def __str__(self) -> str:
        return self.text


def complaint_of(call: Call, router: Router) -> Complaint | None:
    """What is to be said of a call, ``None`` for nothing.

    What a fault of the test's own did is nothing to complain about.
    """
    return None if call.fault is not None else what_went_wrong(call, router)


def what_went_wrong(call: Call, router: Router) -> Complaint | None:
    """What went wrong with a call, whoever's fault it is; ``None`` for nothing."""
    if call.error is not None:
        return Complaint(RAISED, call, f"{answered(call)}: {raised(call.error)}")
    if is_rejection(call):
        return Complaint(REJECTED, call, told(answered(call), problems(call)))
    if call.status in (404, 405) and (said := _no_route(call, router)):
        return Complaint(UNKNOWN_PATH, call, f"{answered(call)}: {said}")
    return None


def answered(call: Call) -> str:
    """A call and its status, in words."""
    query = f"?{call.request.query}" if call.request.query else ""
    return (
        f"{call.method} {call.path}{query} was {f'answered {call.status}' if call.status else 'not answered'}"
    )


def is_submission(call: Call) -> bool:
    """Whether a call submitted a prompt, or tried to."""
    return call.method == "POST" and canonical(call.path) == "/prompt"


def prompt_id(call: Call) -> str:
    """The id of the job that a call led to, ``""`` for none."""
    if call.status != 200 or not is_submission(call):
        return ""
    try:
        return str(json.loads(call.answer)["prompt_id"])
    except (ValueError, LookupError, TypeError):
        return ""  # what a fault made of the answer


def is_rejection(call: Call) -> bool:
    """Whether a call submitted a prompt that was not accepted for what it is."""
    return call.status == 400 and is_submission(call)


def problems(call: Call) -> list[str]:
    """What the server found wrong with a prompt, accepted or not: an error in all, then node by node."""
    try:
        return list(_problems(json.loads(call.answer)))
    except (ValueError, LookupError, TypeError, AttributeError):
        return []  # a fault, or the server in trouble, has answered otherwise


def _problems(verdict: Mapping[str, Any]) -> Iterator[str]:
    nodes = verdict.get("node_errors") or {}
    if problem := verdict.get("error"):
        # The details of the whole are those of the nodes, where nodes have any.
        yield problem["message"] if nodes else _in_words(problem)
    for node_id, node in nodes.items():
        for problem in node["errors"]:
            yield f"node {node_id} {node['class_type']}: {_in_words(problem)}"


def _in_words(problem: Mapping[str, Any]) -> str:
    message, details = problem["message"], problem["details"]
    return f"{message} ({details})" if details and details != message else str(message)


def told(what: str, details: Sequence[str]) -> str:
    """Something, and behind it what is to be said of it."""
    return f"{what}: {'; '.join(details)}" if details else what


def raised(error: BaseException) -> str:
    """An exception, in words."""
    return f"{type(error).__name__}: {error}"


def _no_route(call: Call, router: Router) -> str | None:
    """Why nothing answers a call, ``None`` when something does."""
    handlers = router.match(call.path).handlers
    if ("GET" if call.method == "HEAD" else call.method) in handlers:
        return None
    if handlers:
        return f"there ComfyUI takes {' and '.join(sorted(handlers))} only"
    path = canonical(call.path)
    first = "/" + path.split("/")[1]
    meant = next(filter(None, (difflib.get_close_matches(one, router.paths, 1) for one in (path, first))), [])
    return f"ComfyUI has no such path{''.join(f'; is {one} meant?' for one in meant)}"
