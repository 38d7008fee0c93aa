"""Generations: what a user asked for, from ComfyUI's queue to files in the application's own library."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from comfyui_client import ComfyUIClient, ComfyUIError, JobCancelled, JobLost, JobTimeout, Picture, State
from workflows import Workflow, text_to_image


@dataclass
class Generation:
    """The record of one generation."""

    workflow: Workflow
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    status: State = State.QUEUED
    prompt_id: str | None = None
    files: list[Path] = field(default_factory=list)
    error: str | None = None
    cancel_requested: bool = False


class GenerationService:
    """Runs generations on a ComfyUI server and keeps their pictures in ``library``.

    ``save`` is called with a record whenever it has changed.
    """

    def __init__(
        self,
        client: ComfyUIClient,
        library: Path,
        *,
        save: Callable[[Generation], None] = lambda generation: None,
        timeout: float = 300.0,
    ) -> None:
        self._client = client
        self._library = library
        self._save = save
        self._timeout = timeout

    def create(self, text: str, **options: Any) -> Generation:
        """The record of a picture to be painted; ``options`` are those of ``text_to_image``."""
        return self.create_from(text_to_image(text, **options))

    def create_from(self, workflow: Workflow) -> Generation:
        generation = Generation(workflow)
        self._save(generation)
        return generation

    def process(self, generation: Generation) -> None:
        """Run a generation to its end, good or bad."""
        self.submit(generation)
        if generation.prompt_id is not None:
            self.follow(generation)

    def submit(self, generation: Generation) -> None:
        """Put a generation in ComfyUI's queue."""
        try:
            generation.prompt_id = self._client.submit(generation.workflow)
        except ComfyUIError as exc:
            self._end(generation, State.FAILED, str(exc))

    def follow(self, generation: Generation) -> None:
        """Keep the record of a submitted generation up to date until it is over."""
        try:
            for status in self._client.watch(str(generation.prompt_id), self._timeout):
                if status.state is State.RUNNING and generation.status is State.QUEUED:
                    generation.status = State.RUNNING
                    self._save(generation)
            for picture in status.result():
                generation.files.append(self._keep(generation, picture))
        except JobTimeout as exc:
            self.cancel(generation)
            self._end(generation, State.FAILED, str(exc))
        except (JobCancelled, JobLost) as exc:
            # A job that was cancelled while it waited leaves no trace in ComfyUI.
            asked_for = generation.cancel_requested
            self._end(generation, State.CANCELLED if asked_for else State.FAILED, str(exc))
        except ComfyUIError as exc:
            self._end(generation, State.FAILED, str(exc))
        else:
            self._end(generation, State.COMPLETED)

    def cancel(self, generation: Generation) -> None:
        """Stop a submitted generation; :meth:`follow` then sees it end."""
        generation.cancel_requested = True
        self._client.cancel(str(generation.prompt_id))

    def _keep(self, generation: Generation, picture: Picture) -> Path:
        self._library.mkdir(parents=True, exist_ok=True)
        path = self._library / f"{generation.id}-{len(generation.files)}.png"
        path.write_bytes(self._client.download(picture))
        return path

    def _end(self, generation: Generation, status: State, error: str | None = None) -> None:
        generation.status, generation.error = status, error
        self._save(generation)
