"""The assertions of a stub, each with the nearest miss in its message."""

from __future__ import annotations

import difflib
import operator
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from comfystub.engine.faults import Fault
from comfystub.engine.job import LOST, Job, Output
from comfystub.media.files import split_annotation
from comfystub.nearest import Fact, Facts, Missing, Piece, diff, meant, misses, subset
from comfystub.server.complaints import answered, is_rejection, is_submission, problems, told, what_went_wrong
from comfystub.server.faults import Delivered
from comfystub.server.http import Delivery
from comfystub.server.paths import canonical, matches
from comfystub.server.router import Router
from comfystub.server.server import Call
from comfystub.wording import call_name, calls_in_short, counted, failure, job_name, shortened, status

if TYPE_CHECKING:
    from comfystub.stub import Stub

#: Statuses of a call that brought a file, whole, in part, or that the client has it still.
FETCHED = (200, 206, 304)

#: What ``assert_prompted`` takes for nodes: id, class or title to the inputs that matter.
Nodes = Mapping[Any, Mapping[str, Any]]

T = TypeVar("T")


# --- prompts


def prompted(
    stub: Stub, nodes: Nodes | None, text: str | None, client_id: str | None, times: int | None
) -> Any:
    """The last accepted prompt that is as wanted, ``None`` when none was wanted."""
    __tracebackhide__ = True
    compared = [(job, list(_prompt(job, nodes or {}, text, client_id))) for job in stub.jobs]
    found = [job for job, facts in compared if not misses(facts)]
    if _is_enough(found, times):
        return found[-1] if found else None
    names = ", ".join(map(job_name, found))
    lines = [_how_many(found, times, "prompt", "", names) if compared else "no prompt was accepted"]
    if len(found) < (times or 1):
        rejected = [str(what_went_wrong(call, stub.router)) for call in stub.requests if is_rejection(call)]
        lines += _nearest([(job_name(job), facts) for job, facts in compared])
        lines += rejected
        if not (compared or rejected):
            lines.append(_what_was_called(stub, "/prompt"))
    raise AssertionError("\n".join(lines))


def _prompt(job: Job, nodes: Nodes, text: str | None, client_id: str | None) -> Iterator[Fact]:
    """What is wanted of a prompt, beside what it has."""
    for which, inputs in nodes.items():
        yield from min(_nodes(job, which, inputs), key=misses)
    if text is not None:
        yield Piece("text", text, tuple(job.texts()))
    if client_id is not None:
        yield Fact("client_id", client_id, job.client_id)


def _nodes(job: Job, which: Any, inputs: Mapping[str, Any]) -> list[Facts]:
    """What is wanted of a node, beside what each node of that name has."""
    found = job.nodes_called(which)
    if found:
        return [_inputs(str(which), node.inputs, inputs) for node in found]
    names = [name for node in job.nodes for name in (node.class_type, node.title)]
    return [[Fact(str(which), dict(inputs), Missing(f"there is no such node{meant(str(which), names)}"))]]


def _inputs(name: str, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Facts:
    # A node without inputs that matter is still wanted, and the report is to show that it is there.
    return list(subset(name, wanted, there)) or [Fact(name, {}, {})]


# --- calls


def called(stub: Stub, what: str, times: int | None, json: Any, params: Mapping[str, Any] | None) -> Any:
    """The last call that is as wanted, ``None`` when none was wanted."""
    __tracebackhide__ = True
    there = [call for call in stub.requests if matches(what, call.method, call.path)]
    compared = [(call, list(_call(call, json, params or {}))) for call in there]
    found = [call for call, facts in compared if not misses(facts)]
    if _is_enough(found, times):
        return found[-1] if found else None
    lines = [_how_many(found, times, "call", f" of {what}", calls_in_short(found))]
    if len(found) < (times or 1):
        lines += _nearest(
            [(f"{shortened(call_name(call))} {status(call)}", facts) for call, facts in compared]
        )
        if not compared:
            lines.append(_what_was_called(stub, what))
    raise AssertionError("\n".join(lines))


def _call(call: Call, json: Any, params: Mapping[str, Any]) -> Iterator[Fact]:
    """What is wanted of a call, beside what it had."""
    if json is not None:
        yield from subset("json", json, _body(call))
    as_sent = {name: str(value) if type(value) in (int, float) else value for name, value in params.items()}
    yield from subset("params", as_sent, call.request.params)


def _body(call: Call) -> Any:
    try:
        return call.json
    except ValueError:
        return Missing("the body is none")


# --- errors


def no_errors(stub: Stub) -> None:
    """Raise for every error that clients met, and for every job that went wrong."""
    __tracebackhide__ = True
    of_calls = [error for call in stub.requests if (error := _error_of_call(call, stub.router))]
    found = [*of_calls, *filter(None, map(_error_of_job, stub.jobs))]
    if found:
        raise AssertionError("\n".join([f"{counted(len(found), 'error')}:", *(f"- {one}" for one in found)]))


def _error_of_call(call: Call, router: Router) -> str | None:
    complaint = what_went_wrong(call, router)
    if complaint is not None:
        text = complaint.text
    elif call.status >= 500:
        text = answered(call)
    elif call.status == 200 and is_submission(call) and (found := problems(call)):
        text = told(f"{answered(call)}, but not all of the prompt runs", found)
    elif call.fault is not None and not _is_merely_late(call.fault):
        text = answered(call)
    else:
        return None
    return _with_faults(text, [] if call.fault is None else [call.fault])


def _with_faults(text: str, faults: Sequence[Fault]) -> str:
    """What went wrong, and what made it."""
    names = ", ".join(fault.name for fault in faults)
    return f"{text} (a fault of the test's own: {names})" if names else text


def _is_merely_late(fault: Fault) -> bool:
    """Whether all that a fault does to an answer is to keep it waiting."""
    effect = fault.effect
    return isinstance(effect, Delivered) and effect.delivery == Delivery(after=effect.delivery.after)


def _error_of_job(job: Job) -> str | None:
    if job.error is not None:
        text = f"{job_name(job)} {failure(job.error)}"
    elif job.state == LOST:
        text = f"{job_name(job)} was lost"
    else:
        return None
    return _with_faults(text, job.faults)


# --- downloads


class View(NamedTuple):
    """The file that a call of ``/view`` asked for."""

    type: str
    subfolder: str
    filename: str


def all_downloaded(stub: Stub) -> None:
    """Raise for every file in the output folder that no client fetched."""
    __tracebackhide__ = True
    views = [(_view(call), call) for call in stub.requests if matches("GET /view", call.method, call.path)]
    fetched = {view for view, call in views if call.status in FETCHED}
    files = [(job, file) for job in stub.jobs for file in job.outputs if file.type == "output"]
    missed = [(job, file) for job, file in files if _wanted(file) not in fetched]
    if missed:
        lines = [f"not downloaded: {len(missed)} of {counted(len(files), 'file')}"]
        lines += [f"- {_path(file)} of {job_name(job)}: {_nearest_view(file, views)}" for job, file in missed]
        raise AssertionError("\n".join(lines))


def _view(call: Call) -> View:
    params = call.request.params
    name, annotated = split_annotation(params.get("filename", ""))
    return View(
        annotated or params.get("type", "output"),
        _folder(params.get("subfolder", "")),
        posixpath.basename(name),
    )


def _wanted(file: Output) -> View:
    return View(file.type, _folder(file.subfolder), file.filename)


def _folder(subfolder: str) -> str:
    """A subfolder in one spelling; a client may send the separators of its own system."""
    return posixpath.normpath(subfolder).strip("/") if subfolder else ""


def _path(file: Output) -> str:
    return posixpath.join(file.subfolder, file.filename)


def _nearest_view(file: Output, views: list[tuple[View, Call]]) -> str:
    """How the calls of ``/view`` missed a file."""
    wanted = _wanted(file)
    alike = [(view, call) for view, call in views if view.filename == wanted.filename]
    if not alike:
        return "nobody asked for it"
    view, call = max(alike, key=lambda one: sum(map(operator.eq, one[0], wanted)))
    wrong = [
        f"{name} {found!r} in place of {value!r}"
        for name, value, found in zip(View._fields, wanted, view)
        if value != found
    ]
    return told(answered(call), [", ".join(wrong)] if wrong else [])


# --- how a miss is told


def _is_enough(found: list[T], times: int | None) -> bool:
    return bool(found) if times is None else len(found) == times


def _how_many(found: list[T], times: int | None, noun: str, of: str, names: str) -> str:
    """The first line: how many are as wanted, and their names."""
    if not found:
        wanted = f", and {times} should be" if times is not None and times > 1 else ""
        return f"no {noun}{of} is as wanted{wanted}"
    are = "is" if len(found) == 1 else "are"
    return f"{counted(len(found), noun)}{of} {are} as wanted, not {times}: {names}"


def _nearest(compared: list[tuple[str, Facts]]) -> Iterator[str]:
    """The nearest of those that miss, with its diff."""
    missed = [(name, facts) for name, facts in compared if misses(facts)]
    if missed:
        name, facts = min(reversed(missed), key=lambda one: misses(one[1]))
        yield f"the nearest of {len(missed)} is {name} (- wanted, + sent):"
        yield from (f"  {line}" for line in diff(facts))


def _what_was_called(stub: Stub, what: str = "") -> str:
    """The calls there were: those that are like one that is wanted, or else all of them."""
    calls = stub.requests
    if not calls:
        return f"nothing was called; the stub answers at {', '.join(stub.urls)}"
    wanted = canonical(what.rpartition(" ")[2])
    close = difflib.get_close_matches(wanted, {canonical(call.path) for call in calls})
    alike = [call for call in calls if canonical(call.path) in close]
    return f"the {'most similar ' if alike else ''}calls were: {calls_in_short(alike or calls)}"
