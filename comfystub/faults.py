"""What can go wrong, ready-made: ``stub.fail(faults.out_of_memory())``.

Give faults to ``patch(faults=[...])``, ``stub.fail(...)`` or ``stub.next_job(faults=[...])``.  Each takes
the conditions of ``Fault`` by keyword: ``on=``, ``times=``, ``after=``, ``rate=`` and ``lasting=``.
"""

from __future__ import annotations

import base64
import difflib
import errno
import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from comfystub.engine.errors import NodeFailure
from comfystub.engine.events import Event
from comfystub.engine.faults import (
    Added,
    Doubled,
    Dropped,
    Fault,
    FilesGone,
    ForgetsResults,
    Held,
    HistoryLags,
    LeavesNothing,
    NodeFails,
    NodeHangs,
    OnArgument,
    SavingFails,
    ServerDies,
    SocketEnds,
    SocketStalls,
    Vanishes,
    Where,
)
from comfystub.nodes.behaviours import SAMPLING_CLASSES
from comfystub.server.faults import Answered, Changed, Delivered, Refused, cut_in_half
from comfystub.server.http import CLOSES, RESETS, TEXT, Delivery, Headers, Response
from comfystub.server.server import UNKNOWN_PATH
from comfystub.server.system import MAX_BODY

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "bad_gateway",
    "close_socket",
    "cut_body",
    "delay_events",
    "deleted_outputs",
    "disk_full",
    "double_events",
    "drop_events",
    "drop_socket",
    "error",
    "foreign_origin",
    "hang",
    "html",
    "inject_event",
    "late_history",
    "login",
    "lost_answer",
    "malformed_json",
    "missing_model",
    "no_answer",
    "no_cache",
    "no_jobs_api",
    "no_outputs",
    "out_of_memory",
    "read_only",
    "refused",
    "reset",
    "restart",
    "slow",
    "stall_socket",
    "status",
    "swap_events",
    "too_large",
    "too_many_requests",
    "unauthorized_api_node",
    "unavailable",
    "vanish",
    "wrong_length",
]

#: A message by its type, such as ``"progress"``, or a function of the ``Event``.
EventArgument = str | Callable[[Event], bool]


class Conditions(TypedDict, total=False):
    """When a fault strikes, see ``Fault``."""

    on: OnArgument | None
    times: int | None
    after: int
    rate: float | None
    lasting: float | None


# --- the connection and the answer


def refused(**when: Unpack[Conditions]) -> Fault:
    """Connections are refused: the server is down.  A cold start is ``refused(times=3)``.

    Each connection counts; idle ones are closed.  A client that keeps its connections open makes few.
    With ``on=`` it is those calls that count: httpx and requests are refused as they connect, other
    clients, which have connected by the time they say what they want, as they send it.
    """
    return Fault("refused", Refused(), **when)


def reset(**when: Unpack[Conditions]) -> Fault:
    """The connection is reset by the peer as a call arrives: the server does not see it."""
    return Fault("reset", Delivered(Delivery(silent=True, ends=RESETS), handled=False), **when)


def no_answer(**when: Unpack[Conditions]) -> Fault:
    """A call is taken and never answered: the client waits until its read time-out strikes."""
    return Fault("no_answer", Delivered(Delivery(silent=True), handled=False), **when)


def lost_answer(ends: str = RESETS, **when: Unpack[Conditions]) -> Fault:
    """The server does what it is asked, and its answer is lost: a prompt is queued, its client not told.

    ``ends`` says what the client sees: ``"resets"``, ``"closes"``, or ``""``, which leaves it waiting.
    """
    return Fault("lost_answer", Delivered(Delivery(silent=True, ends=ends), handled=True), **when)


def slow(seconds: float, **when: Unpack[Conditions]) -> Fault:
    """An answer takes so many seconds on the stub's clock."""
    return Fault("slow", Delivered(Delivery(after=seconds), handled=True), **when)


def cut_body(sent: int = 10, **when: Unpack[Conditions]) -> Fault:
    """An answer breaks off after so many bytes of its body."""
    return Fault("cut_body", Delivered(Delivery(sent=sent, ends=CLOSES), handled=True), **when)


def wrong_length(more: int = 10, **when: Unpack[Conditions]) -> Fault:
    """An answer's ``Content-Length`` says that it has so many bytes more than it has; fewer, if negative.

    The server closes the connection after it.
    """
    return Fault("wrong_length", Delivered(Delivery(more=more, ends=CLOSES), handled=True), **when)


def malformed_json(**when: Unpack[Conditions]) -> Fault:
    """An answer's body ends in the middle, and its length says so."""
    return Fault("malformed_json", Changed(cut_in_half), **when)


# --- another answer


def status(
    code: int, body: str | bytes = "", headers: Mapping[str, str] | None = None, **when: Unpack[Conditions]
) -> Fault:
    """Somebody else answers, such as a proxy: the server does not see the call."""
    return _answered(f"status {code}", code, body, headers or {}, when)


def html(code: int = 200, **when: Unpack[Conditions]) -> Fault:
    """A web page comes in the place of an answer, as from a proxy's login or a server that starts."""
    return _answered("html", code, _page("Please wait"), HTML, when)


def bad_gateway(**when: Unpack[Conditions]) -> Fault:
    """502 with a web page: the proxy in front does not reach the server."""
    return _answered("bad_gateway", 502, _page("502 Bad Gateway"), HTML, when)


def unavailable(retry_after: int | None = None, **when: Unpack[Conditions]) -> Fault:
    """503, with ``Retry-After`` in seconds if you like."""
    return _answered("unavailable", 503, "Service Unavailable", _retry_after(retry_after), when)


def too_many_requests(retry_after: int | None = None, **when: Unpack[Conditions]) -> Fault:
    """429, with ``Retry-After`` in seconds if you like."""
    return _answered("too_many_requests", 429, "Too Many Requests", _retry_after(retry_after), when)


def too_large(limit: int = 0, **when: Unpack[Conditions]) -> Fault:
    """413 in ComfyUI's words for a body of more than ``limit`` bytes, which ComfyUI has at 100 MiB."""
    text = f"Maximum request body size {limit or MAX_BODY} exceeded."
    return _answered("too_large", 413, text, {}, when, {"larger_than": limit})


def login(user: str, password: str, code: int = 401, **when: Unpack[Conditions]) -> Fault:
    """A proxy in front wants a login, for calls and for the WebSocket's handshake alike.

    A call without it (HTTP's basic authentication) is answered 401, or ``code``.
    """
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    challenge = {"WWW-Authenticate": 'Basic realm="ComfyUI"'} if code == 401 else {}
    lacks: Where = {"lacks": ("Authorization", f"Basic {token}")}
    return _answered("login", code, "Unauthorized", challenge, when, lacks)


def foreign_origin(**when: Unpack[Conditions]) -> Fault:
    """403 without a body, as ComfyUI answers a page of another site."""
    return _answered("foreign_origin", 403, "", {}, when)


def no_jobs_api(**when: Unpack[Conditions]) -> Fault:
    """``/api/jobs`` is not there, as on an older server."""
    return Fault("no_jobs_api", Answered(UNKNOWN_PATH), usual={"path": "/api/jobs"}, **when)


HTML = {"Content-Type": "text/html; charset=utf-8"}


def _page(text: str) -> str:
    return f"<!DOCTYPE html>\n<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>\n"


def _retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _answered(
    name: str,
    code: int,
    body: str | bytes,
    headers: Mapping[str, str],
    when: Conditions,
    usual: Where | None = None,
) -> Fault:
    """Another answer than the server's, of plain text unless its headers say something else."""
    fields: Headers = tuple(headers.items())
    if body and "content-type" not in {field.lower() for field in headers}:
        fields = (("Content-Type", TEXT), *fields)
    content = body.encode() if isinstance(body, str) else body
    return Fault(name, Answered(Response(code, fields, content)), usual=usual, **when)


# --- nodes


def error(
    problem: str | Exception = "something went wrong",
    kind: str = "RuntimeError",
    tip: str = "",
    **when: Unpack[Conditions],
) -> Fault:
    """A node fails: ``execution_error``.  Without ``on=`` it is the first that runs.

    ``problem`` is its message, or an exception of your own.  ``kind`` is the exception type that the
    client is told, ``tip`` what the server adds to the message.
    """
    if isinstance(problem, Exception):
        return Fault("error", NodeFails(lambda: problem.with_traceback(None)), **when)
    return Fault("error", NodeFails(lambda: NodeFailure(problem, kind, tip)), **when)


OUT_OF_MEMORY_TIP = (
    "This error means you ran out of memory on your GPU.\n\nTIPS: If the workflow worked before you might "
    "have accidentally set the batch_size to a large number."
)


def out_of_memory(**when: Unpack[Conditions]) -> Fault:
    """A sampler, or what ``on=`` says, runs out of memory, with ComfyUI's tip."""
    failure = _failing("Allocation on device ", "torch.OutOfMemoryError", OUT_OF_MEMORY_TIP)
    return Fault("out_of_memory", failure, usual={"node": SAMPLING_CLASSES}, **when)


def missing_model(name: str, folder: str = "checkpoints", **when: Unpack[Conditions]) -> Fault:
    """A model file is gone by the time a node wants to load it: any node that has it among its inputs."""
    message = f"Model in folder '{folder}' with filename '{name}' not found."
    return Fault("missing_model", _failing(message, "FileNotFoundError"), usual={"value": name}, **when)


def unauthorized_api_node(**when: Unpack[Conditions]) -> Fault:
    """A node of a paid service fails when its prompt brings no key for it."""
    message = "Unauthorized: Please login first to use this node."
    return Fault("unauthorized_api_node", _failing(message, "Exception"), usual={"keyless": True}, **when)


def _failing(message: str, kind: str, tip: str = "") -> NodeFails:
    return NodeFails(lambda: NodeFailure(message, kind, tip))


def hang(seconds: float = math.inf, **when: Unpack[Conditions]) -> Fault:
    """A node does not get on, for so many seconds on the stub's clock or until the fault is lifted.

    An interrupt does not reach it, as it does not reach a real one: only ``stub.restart()`` does.
    """
    return Fault("hang", NodeHangs(seconds), **when)


def no_outputs(**when: Unpack[Conditions]) -> Fault:
    """The job succeeds, and its output nodes leave nothing."""
    return Fault("no_outputs", LeavesNothing(), **when)


# --- files


def disk_full(**when: Unpack[Conditions]) -> Fault:
    """Saving a file fails, as there is no room: ``after=2`` lets two files pass."""
    return Fault("disk_full", _not_saving(errno.ENOSPC), **when)


def read_only(**when: Unpack[Conditions]) -> Fault:
    """Saving a file fails, as the folder cannot be written to."""
    return Fault("read_only", _not_saving(errno.EACCES), **when)


def _not_saving(code: int) -> SavingFails:
    return SavingFails(lambda path: OSError(code, os.strerror(code), path))


def deleted_outputs(**when: Unpack[Conditions]) -> Fault:
    """A job's files are gone as soon as it has ended: ``/view`` answers 404."""
    return Fault("deleted_outputs", FilesGone(), **when)


# --- jobs


def vanish(**when: Unpack[Conditions]) -> Fault:
    """A job is gone when its turn comes: it is in no queue and in no history."""
    return Fault("vanish", Vanishes(), **when)


def late_history(looks: int = 1, seconds: float = 0.0, **when: Unpack[Conditions]) -> Fault:
    """History shows a job later than ``execution_success`` and ``executing: null`` say.

    So many looks after its end do not find it, and none in so many seconds on the stub's clock.
    """
    return Fault("late_history", HistoryLags(looks, seconds), **when)


def no_cache(**when: Unpack[Conditions]) -> Fault:
    """No node's result is taken from the cache, as with a server that was started without one."""
    return Fault("no_cache", ForgetsResults(), **when)


def restart(at: EventArgument, **when: Unpack[Conditions]) -> Fault:
    """The server dies in the place of a message and starts again: ``stub.restart()``, in the middle of a job.

    It does so once, unless ``times=`` says something else.
    """
    return Fault("restart", ServerDies(), usual={"event": at}, **_once(when))


# --- messages


def drop_events(event: EventArgument, **when: Unpack[Conditions]) -> Fault:
    """Messages do not come."""
    return Fault("drop_events", Dropped(), usual={"event": event}, **when)


def delay_events(
    event: EventArgument, *, events: int = 0, seconds: float = 0.0, **when: Unpack[Conditions]
) -> Fault:
    """Messages come after so many others to the same client, or so many seconds later on the stub's clock."""
    return Fault("delay_events", Held(events, seconds), usual={"event": event}, **when)


def swap_events(event: EventArgument, **when: Unpack[Conditions]) -> Fault:
    """Messages change places with the ones that follow."""
    return Fault("swap_events", Held(events=1), usual={"event": event}, **when)


def double_events(event: EventArgument, **when: Unpack[Conditions]) -> Fault:
    """Messages come twice."""
    return Fault("double_events", Doubled(), usual={"event": event}, **when)


def inject_event(
    extra: Event | bytes, *, before: EventArgument | None = None, **when: Unpack[Conditions]
) -> Fault:
    """Another message comes, after those that ``on=`` names or before those that ``before`` names.

    ``extra`` is an ``Event``, or the bytes of a binary message.
    """
    event = extra if isinstance(extra, Event) else Event("binary", extra)
    usual: Where = {} if before is None else {"event": before}
    return Fault("inject_event", Added(event, before is not None), usual=usual, **when)


def close_socket(at: EventArgument, code: int = 1011, reason: str = "", **when: Unpack[Conditions]) -> Fault:
    """The server closes the WebSocket with a code, in the place of a message; the job goes on."""
    return Fault("close_socket", SocketEnds(code, reason), usual={"event": at}, **_once(when))


def drop_socket(at: EventArgument, *, resets: bool = False, **when: Unpack[Conditions]) -> Fault:
    """The WebSocket's connection breaks off, or is reset, in the place of a message; the job goes on."""
    return Fault("drop_socket", SocketEnds(reset=resets), usual={"event": at}, **_once(when))


def stall_socket(at: EventArgument, seconds: float = math.inf, **when: Unpack[Conditions]) -> Fault:
    """The WebSocket goes silent from a message on; the job goes on.

    What it holds back comes after so many seconds on the stub's clock, or when the fault is lifted.
    """
    return Fault("stall_socket", SocketStalls(seconds), usual={"event": at}, **_once(when))


def _once(when: Conditions) -> Conditions:
    return when if "times" in when else {**when, "times": 1}


def named(name: str, /, **options: Any) -> Fault:
    """A fault by its name in this module, as ``stub.fail("refused", times=3)`` has it.

    Raises ``ValueError`` where there is none.
    """
    if name not in __all__:
        meant = difflib.get_close_matches(name, __all__, 1)
        hint = f"; is it {meant[0]!r} that is meant?" if meant else ""
        raise ValueError(f"there is no fault {name!r}{hint}")
    fault: Fault = globals()[name](**options)
    return fault
