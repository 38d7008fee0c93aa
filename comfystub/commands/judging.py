"""Judging the workflows in files, each by a fresh server that runs nothing."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from comfystub.commands import stubs, verdicts, workflows
from comfystub.commands.mistakes import Mistake
from comfystub.commands.verdicts import Problem

if TYPE_CHECKING:
    from comfystub.stub import Stub


class Judgement(NamedTuple):
    """What came of a file.

    ``status`` and ``answer`` are the server's.  They are ``None`` where it was not asked: ``trouble``
    says why, and ``skipped`` that it does not matter.
    """

    file: str
    status: int | None = None
    answer: Any = None
    errors: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()
    trouble: str = ""
    skipped: bool = False

    @property
    def ok(self) -> bool:
        return not (self.errors or self.trouble)


class Judge:
    """Judges files; raises ``Mistake`` for options that do not make a server."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._given = {**stubs.arguments(options), "pace": "manual"}
        if options.strict_models and options.profile is None:
            self._given.setdefault("models", {})
        self._inputs = None if options.inputs is None else _files_below(options.inputs)
        stubs.make(**self._given)  # its mistakes are not those of a workflow

    def judge(self, file: workflows.Found) -> Judgement:
        try:
            workflow = workflows.read(file.name)
        except workflows.NoWorkflow as mistake:
            meant = file.by_chance and isinstance(mistake, workflows.EditorFormat)
            warnings = [Problem(f"it {workflows.EXPORT}")] if meant else []
            return Judgement(file.name, warnings=warnings, trouble=str(mistake), skipped=file.by_chance)
        except Mistake as mistake:
            return Judgement(file.name, trouble=str(mistake))
        with contextlib.closing(stubs.make(**self._given)) as stub:
            self._put_inputs(stub)
            call = stubs.submit(stub, workflow.body)
            found = verdicts.problems(workflow.prompt, call, stub._engine.known)
        warnings = [one for one in found if one.is_input_file and self._inputs is None]
        errors = [one for one in found if one not in warnings]
        return Judgement(file.name, call.status, verdicts.answer_of(call), errors, warnings)

    def _put_inputs(self, stub: Stub) -> None:
        """Let the input folder have the files that were named, and no others, as far as their names go."""
        if self._inputs is None:
            return
        for path in stub.input_dir.iterdir():
            path.unlink()
        for name in self._inputs:
            path = stub.input_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def _files_below(folder: str) -> list[pathlib.Path]:
    if not os.path.isdir(folder):
        raise Mistake(f"--inputs takes a folder, and {folder} is none")
    return [path.relative_to(folder) for path in pathlib.Path(folder).rglob("*") if path.is_file()]
