"""Running one prompt, beat by beat.

A beat is what the server sends without a gap; ``Execution.beats`` yields after each.  An
interrupt is seen between beats: when a node starts, and before each progress report.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.engine.cache import Entry
from comfystub.engine.errors import message_of, traceback_of, type_of
from comfystub.engine.events import NodeState, Preview, event_of, node_of
from comfystub.engine.faults import (
    EventFacts,
    Fault,
    LeavesNothing,
    NodeFails,
    NodeHangs,
    SavingFails,
    effect_of,
    fault_of,
)
from comfystub.engine.graph import Schedule, inputs_of, is_link, links_of, signatures
from comfystub.engine.job import CANCELLED, COMPLETED, FAILED, RUNNING, Job
from comfystub.engine.lists import joined, spread
from comfystub.engine.pacing import LOADS, RUNS, SAMPLES, STEP, Work
from comfystub.nodes.behaviours import NEVER_CACHED, SAMPLING_CLASSES, behaviour_of, wanted_by
from comfystub.nodes.invocation import Invocation, Progress, Reports, Result
from comfystub.nodes.schema import NodeClass
from comfystub.nodes.values import Several, nth

if TYPE_CHECKING:
    from comfystub.engine.engine import Engine


class Pause(NamedTuple):
    """What lies between two beats: work, and perhaps a fault that holds it up for some seconds."""

    work: Work | None = None
    fault: Fault | None = None
    seconds: float = 0.0


#: Between beats where nothing takes time.
AT_ONCE = Pause()

Beats = Generator[Pause, None, None]

#: What a fault has an output node leave; it is not cached, and the node runs the next time.
NOTHING = Result()

#: Types that only a link can give: a node that finds a plain value there fails.
LINKED_TYPES = frozenset(
    {
        "IMAGE",
        "MASK",
        "LATENT",
        "MODEL",
        "CLIP",
        "VAE",
        "CONDITIONING",
        "CONTROL_NET",
        "SIGMAS",
        "AUDIO",
        "VIDEO",
    }
)


class Interrupted(Exception):
    """The prompt was interrupted at a node."""


class Killed(Exception):
    """The server died in the middle of the prompt."""


class Execution:
    """One run of one prompt by the engine's worker.

    One that ``vanishes`` has a single beat, in which the prompt is lost.
    """

    def __init__(self, engine: Engine, job: Job, vanishes: bool = False) -> None:
        self._engine = engine
        self._job = job
        self._vanishes = vanishes
        self._prompt = job.workflow
        self._classes = engine.known.classes(job.workflow)
        #: The inputs of a node whose links are followed when it asks for them.
        self._lazy: dict[str, Collection[str]] = {
            node_id: node_class.lazy
            for node_id, node_class in self._classes.items()
            if node_class and node_class.lazy
        }
        self._fingerprints: dict[str, str] = {}
        self._signatures: dict[str, bytes] = {}
        self._states: dict[str, NodeState] = {}
        self._results: dict[str, Entry] = {}
        self._executed: list[str] = []
        #: The node that runs, and what it was given.
        self._node_id = ""
        self._inputs: Mapping[str, Any] = {}
        self._outcome = COMPLETED

    def beats(self) -> Beats:
        """Run the prompt to its end, a beat at a time."""
        if self._vanishes:
            self._engine.vanish(self._job)
            return
        try:
            yield from self._whole()
        except Killed:
            self._engine.forget()

    def _whole(self) -> Beats:
        try:
            self._start()
            yield AT_ONCE
            yield from self._nodes()
        except Interrupted:
            self._interrupted()
        except (GeneratorExit, Killed):
            raise
        except Exception as exc:
            self._failed(exc)
        except BaseException as exc:
            # A Ctrl-C, a test's time-out: the job is over, and whoever was driving has to know.
            self._failed(exc)
            self._end()
            raise
        else:
            self._message("execution_success")
        yield AT_ONCE
        self._end()

    # --- beats

    def _start(self) -> None:
        job, cache = self._job, self._engine.cache
        job.state = RUNNING
        self._fingerprints = self._read_files()
        links = links_of(self._prompt)
        self._signatures = signatures(self._prompt, links, self._own_mark)
        self._shown_prompt = self._with_fingerprints()
        self._engine.hub.status(self._engine.queue)
        self._message("execution_start")
        self._forget_temp_names()
        cached = [node_id for node_id in self._prompt if self._signatures[node_id] in cache]
        self._message("execution_cached", nodes=cached)
        if self._lazy:
            links = links_of(self._prompt, self._lazy)
        self._schedule = Schedule(links, job.output_ids, self._is_output, self._is_cached)
        job.planned = sum(not self._is_cached(node_id) for node_id in self._schedule)

    def _nodes(self) -> Beats:
        schedule, first = self._schedule, True
        while (node_id := schedule.next()) is not None:
            self._node_id, self._inputs = node_id, {}
            entry = self._engine.cache.get(self._signatures[node_id])
            ran = yield from self._run(node_id) if entry is None else self._from_cache(node_id, entry)
            if not ran:
                continue
            schedule.finish(node_id)
            if first:
                self._engine.cache.keep_only(self._signatures.values())
                first = False
        if len(schedule):
            self._node_id = next(iter(schedule))
            raise RecursionError(f"Dependency cycle detected: {', '.join(schedule)}")
        yield from self._shown_again()

    def _run(self, node_id: str) -> Generator[Pause, None, bool]:
        """Run a node, unless it finds that it wants what its lazy inputs are linked to first."""
        self._job.begun += 1
        self._job.current_node = node_id
        self._progress(node_id, 0.0, 1.0)
        self._emit("executing", node_id)
        self._check()
        if node_id in self._lazy and self._waits_for_more(node_id):
            yield AT_ONCE
            return False
        struck = self._struck("node", node_id)
        yield self._pause(node_id, struck)
        result = yield from self._result(node_id, struck)
        self._leave(node_id, result)
        yield AT_ONCE
        return True

    def _waits_for_more(self, node_id: str) -> bool:
        """Put a node off until what it wants of its lazy inputs is there, if it is not yet."""
        links = inputs_of(self._prompt, node_id)
        names = wanted_by(self._invocation(node_id))
        more = [links[name][0] for name in names if is_link(links.get(name))]
        before = len(self._schedule)
        waits = self._schedule.postpone(node_id, more)
        # The nodes that were added are to run, and this one begins once more.
        self._job.planned += waits + len(self._schedule) - before
        return waits

    def _result(self, node_id: str, struck: Sequence[Fault]) -> Generator[Pause, None, Result]:
        """Run a node, or let it fail; what it leaves."""
        run = self._invocation(node_id)
        if (fails := effect_of(NodeFails, struck)) is not None:
            raise fails.make()
        if self._is_output(node_id) and effect_of(LeavesNothing, self._struck("output", node_id)) is not None:
            return NOTHING
        node_class = run.node_class
        act, results = behaviour_of(node_class), []
        for index, inputs in enumerate(spread(run.inputs, node_class)):
            own = nth(run.signature, index) if index else run.signature
            done = act(run._replace(inputs=inputs, signature=own))
            results.append(done if isinstance(done, Result) else (yield from self._reports(node_id, done)))
        return joined(results, node_class)

    def _reports(self, node_id: str, reports: Reports) -> Generator[Pause, None, Result]:
        """Pass a node's reports on, a beat each; what it returns at last is its result."""
        previews = self._job.extra_data.get("preview_method") != "none"
        preview: Preview | None = None
        while True:
            try:
                report = next(reports)
            except StopIteration as done:
                result: Result = done.value
                return result
            if not isinstance(report, Progress):
                self._emit("text", (node_id, report.text))
                continue
            self._check()
            self._progress(node_id, report.value, report.max)
            if report.picture is not None and (previews or report.size is None):
                if preview is None or preview.picture is not report.picture:
                    preview = Preview(node_id, report.picture, report.size)
                self._engine.hub.send_preview_with_metadata(preview, self._job)
            self._emit("progress", (node_id, report.value, report.max))
            if preview is not None:
                self._emit("preview", preview)
            more = report.value < report.max and report.size is not None
            yield Pause(self._work(STEP, node_id)) if more else AT_ONCE

    def _leave(self, node_id: str, result: Result) -> None:
        """Keep what a node left, and show it."""
        meta = {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
        entry = Entry(result.outputs, result.ui, meta)
        self._results[node_id] = entry
        if result is not NOTHING and self._prompt[node_id].get("class_type") not in NEVER_CACHED:
            self._engine.cache.put(self._signatures[node_id], entry)
        self._executed.append(node_id)
        if result.ui is not None:
            self._show(node_id, entry)
        maximum = self._states[node_id].max
        self._progress(node_id, maximum, maximum, "finished")

    def _from_cache(self, node_id: str, entry: Entry) -> Generator[Pause, None, bool]:
        self._results[node_id] = entry
        if self._engine.known.release.shows_cached_to_all or self._job.client_id is not None:
            self._show(node_id, entry)
        self._progress(node_id, 1, 1, "finished")
        yield AT_ONCE
        return True

    def _shown_again(self) -> Beats:
        """Cached nodes whose class keeps showing what it showed."""
        for node_id, node_class in self._classes.items():
            if node_class and node_class.has_intermediate_output and node_id not in self._states:
                entry = self._engine.cache.get(self._signatures[node_id])
                if entry is not None and entry.ui is not None:
                    self._show(node_id, entry)
                    yield AT_ONCE

    def _end(self) -> None:
        engine = self._engine
        engine.retire(self._job, self._outcome)
        engine.hub.status(engine.queue)
        self._emit("executing", None)
        engine.hub.flush()

    # --- what takes time, and what goes wrong

    def _pause(self, node_id: str, struck: Sequence[Fault]) -> Pause:
        """What lies between the start of a node and what comes next of it."""
        node_class = self._classes[node_id]
        kind = RUNS
        if node_class is not None and node_class.name in SAMPLING_CLASSES:
            kind = SAMPLES
        elif node_class is not None and node_class.loads_a_model:
            kind = LOADS
        work, hangs = self._work(kind, node_id), effect_of(NodeHangs, struck)
        return Pause(work) if hangs is None else Pause(work, fault_of(hangs, struck), hangs.seconds)

    def _work(self, kind: str, node_id: str) -> Work:
        return Work(kind, node_id, str(self._prompt[node_id].get("class_type")))

    def _struck(self, stage: str, node_id: str) -> Sequence[Fault]:
        node_class = self._classes[node_id]
        paid = bool(node_class and node_class.entry.get("api_node"))
        return self._engine.strike(stage, self._job, node_id, paid)

    def _before_save(self, path: str) -> None:
        """Fail as a full or a read-only disk does, where a fault says so."""
        if (fails := effect_of(SavingFails, self._struck("file", self._node_id))) is not None:
            raise fails.make(path)

    # --- the three ends of a prompt

    def _interrupted(self) -> None:
        self._outcome = CANCELLED
        self._message("execution_interrupted", **self._where(), executed=list(self._executed))

    def _failed(self, exc: BaseException) -> None:
        self._outcome = FAILED
        self._message(
            "execution_error",
            **self._where(),
            executed=list(self._executed),
            exception_message=message_of(exc),
            exception_type=type_of(exc),
            traceback=traceback_of(exc),
            current_inputs=self._shown_inputs(),
            current_outputs=list(self._prompt),
        )

    def _where(self) -> dict[str, Any]:
        node = self._prompt.get(self._node_id, {})
        return {"node_id": self._node_id, "node_type": node.get("class_type")}

    # --- what a node is given

    def _invocation(self, node_id: str) -> Invocation:
        node_class = self._classes[node_id] or NodeClass(str(self._prompt[node_id].get("class_type")), {})
        values = inputs_of(self._prompt, node_id)
        self._inputs = inputs = {
            name: self._linked(value) if is_link(value) else value for name, value in values.items()
        }
        if self._engine.judges:
            _refuse_plain_values(node_class, values)
        return Invocation(
            node_id=node_id,
            node_class=node_class,
            inputs=inputs,
            signature=self._signatures[node_id],
            prompt=self._shown_prompt,
            extra_data=self._job.extra_data,
            job=self._job,
            server=self._engine.surroundings,
            before_save=self._before_save,
        )

    def _linked(self, link: list[Any]) -> Any:
        """What came over a link; ``None`` for one that leads nowhere."""
        node_id, slot = link
        entry = self._results.get(node_id)
        if entry is None and node_id in self._signatures:
            entry = self._engine.cache.get(self._signatures[node_id])
        try:
            return entry.outputs[slot] if entry else None
        except (IndexError, TypeError):
            return None

    def _with_fingerprints(self) -> Mapping[str, Any]:
        """The prompt as saved pictures carry it: with the digests of the files it read."""
        if not self._fingerprints:
            return self._prompt
        return {
            node_id: {**node, "is_changed": [self._fingerprints[node_id]]}
            if node_id in self._fingerprints
            else node
            for node_id, node in self._prompt.items()
        }

    def _shown_inputs(self) -> dict[str, list[Any]]:
        """What the failing node was given, hidden inputs included, as far as JSON can say it."""
        shown: dict[str, list[Any]] = {
            name: [_shown(item) for item in (value if isinstance(value, Several) else [value])]
            for name, value in self._inputs.items()
        }
        node_class = self._classes.get(self._node_id)
        given = {"PROMPT": self._prompt, "EXTRA_PNGINFO": self._job.extra_data.get("extra_pnginfo")}
        given["UNIQUE_ID"] = self._node_id
        for name, kind in (node_class.hidden if node_class else {}).items():
            if isinstance(kind, str) and kind in given:
                shown[name] = [given[kind]]
        return shown

    def _forget_temp_names(self) -> None:
        """A node keeps its random file name for as long as each prompt has that id with that class."""
        names = self._engine.surroundings.temp_names
        for node_id, class_type in list(names):
            if self._prompt.get(node_id, {}).get("class_type") != class_type:
                del names[node_id, class_type]

    # --- what makes results equal

    def _read_files(self) -> dict[str, str]:
        """The digests of the files that loading nodes read, by node id."""
        found = {}
        for node_id, node_class in self._classes.items():
            takes = node_class.facts.get("validates", ()) if node_class else ()
            if takes and node_class and node_class.facts.get("detects_change"):
                name = inputs_of(self._prompt, node_id).get(takes[0])
                path = self._engine.known.folders.locate(name) if isinstance(name, str) else None
                if path is not None and path.is_file():
                    found[node_id] = sha256(path.read_bytes()).hexdigest()
        return found

    def _own_mark(self, node_id: str) -> Any:
        node_class = self._classes[node_id]
        own_id = node_id if node_class and node_class.uses_unique_id else None
        return own_id, self._fingerprints.get(node_id)

    def _is_cached(self, node_id: str) -> bool:
        return self._signatures[node_id] in self._engine.cache

    def _is_output(self, node_id: str) -> bool:
        node_class = self._classes[node_id]
        return node_class.output_node if node_class else node_id in self._job.output_ids

    # --- sending

    def _check(self) -> None:
        if self._engine.interrupted:
            raise Interrupted

    def _emit(self, kind: str, own: Any) -> None:
        mark, job, engine = (kind, own), self._job, self._engine
        if engine.faults.armed("message"):
            facts = EventFacts(
                kind, lambda: event_of(mark, job.id, self._states), job, node_of(mark), job.client_id
            )
            if struck := engine.faults.strike("message", facts):
                job.faults += struck
                raise Killed
        job.marks.append(mark)
        job.times.append(engine.now())
        engine.hub.send(mark, job, self._states)

    def _message(self, kind: str, **data: Any) -> None:
        self._emit(kind, {"prompt_id": self._job.id, **data, "timestamp": self._engine.milliseconds()})

    def _progress(self, node_id: str, value: float, maximum: float, state: str = "running") -> None:
        self._states[node_id] = node_state = NodeState(node_id, value, maximum, state)
        self._emit("progress_state", node_state)

    def _show(self, node_id: str, entry: Entry) -> None:
        if entry.ui is not None:
            self._job.ui[node_id] = entry.ui
            self._job.meta[node_id] = entry.meta
        self._emit("executed", (node_id, entry.ui))


def _shown(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else f"<{type(value).__name__}>"


def _refuse_plain_values(node_class: NodeClass, values: Mapping[str, Any]) -> None:
    """Fail as a node does that finds a plain value where it wants what only a link can give."""
    for wanted in node_class.inputs(values):
        value = values.get(wanted.name)
        if (
            isinstance(wanted.type, str)
            and wanted.type in LINKED_TYPES
            and value is not None
            and not is_link(value)
        ):
            raise AttributeError(f"'{type(value).__name__}' object has no attribute 'shape'")
