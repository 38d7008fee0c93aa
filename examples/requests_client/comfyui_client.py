"""A small client of ComfyUI's HTTP API, on requests."""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import requests

Workflow = Mapping[str, Any]


class State(enum.Enum):
    """Where a job can be."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class ComfyUIError(Exception):
    """Whatever goes wrong between this client and ComfyUI."""


class ServerUnavailable(ComfyUIError):
    """ComfyUI cannot be reached, or answers with an error that is not about the prompt."""


class PromptRejected(ComfyUIError):
    """ComfyUI did not accept the prompt; ``node_errors`` is what it says of each node."""

    def __init__(self, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        self.error = error
        self.node_errors = node_errors
        details = [
            f"{node['class_type']} ({node_id}): {one['message']}: {one['details']}"
            for node_id, node in node_errors.items()
            for one in node["errors"]
        ]
        super().__init__("; ".join([error["message"], *details]))


class JobFailed(ComfyUIError):
    """A node raised an error while the job ran."""


class JobCancelled(ComfyUIError):
    """The job was interrupted."""


class JobLost(ComfyUIError):
    """ComfyUI knows nothing of the job: it was taken from the queue, or the server was restarted."""


class JobTimeout(ComfyUIError):
    """The job did not end in time."""


class Picture(NamedTuple):
    """A picture that a job left, by ComfyUI's name of it; its fields are the parameters of ``/view``."""

    filename: str
    subfolder: str
    type: str


class JobStatus(NamedTuple):
    """Where a job is, the pictures it left so far and what went wrong."""

    state: State
    pictures: tuple[Picture, ...] = ()
    error: str = ""

    @property
    def is_over(self) -> bool:
        return self.state not in (State.QUEUED, State.RUNNING)

    def result(self) -> list[Picture]:
        """The pictures of a job that completed.  Raises the error that says how else it ended."""
        if self.state in BAD_ENDS:
            raise BAD_ENDS[self.state](self.error)
        return list(self.pictures)


BAD_ENDS = {State.FAILED: JobFailed, State.CANCELLED: JobCancelled, State.LOST: JobLost}


class ComfyUIClient:
    """Talks to one ComfyUI server.

    ``output_dir`` is the server's output folder, where this machine can read it.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8188",
        *,
        output_dir: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        poll_interval: float = 1.0,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.output_dir = Path(output_dir) if output_dir is not None else None
        self.timeout = timeout
        self.poll_interval = poll_interval
        self._session = requests.Session()

    @classmethod
    def from_env(cls, **options: Any) -> ComfyUIClient:
        """A client of the server that ``COMFYUI_URL`` and ``COMFYUI_OUTPUT_DIR`` name."""
        return cls(os.environ["COMFYUI_URL"], output_dir=os.environ.get("COMFYUI_OUTPUT_DIR"), **options)

    def close(self) -> None:
        self._session.close()

    # --- the server

    def is_healthy(self) -> bool:
        """Whether the server answers."""
        try:
            self._get("/system_stats")
        except ServerUnavailable:
            return False
        return True

    def models(self, folder: str = "checkpoints") -> list[str]:
        """The names of the installed models of a kind."""
        return self._get(f"/models/{folder}").json()

    # --- jobs

    def submit(self, workflow: Workflow) -> str:
        """Queue a workflow in API format and return its prompt id.  Raises ``PromptRejected``."""
        response = self._call("POST", "/prompt", json={"prompt": workflow})
        if response.status_code == 400:
            body = response.json()
            raise PromptRejected(body["error"], body["node_errors"])
        return _checked(response).json()["prompt_id"]

    def status(self, prompt_id: str) -> JobStatus:
        """Where a job is now."""
        # The queue first: a job that ends between the two calls is then found in the history.
        queue = self._get("/queue").json()
        if any(row[1] == prompt_id for row in queue["queue_running"]):
            return JobStatus(State.RUNNING)
        if any(row[1] == prompt_id for row in queue["queue_pending"]):
            return JobStatus(State.QUEUED)
        history = self._get(f"/history/{prompt_id}").json()
        if prompt_id not in history:
            return JobStatus(State.LOST, error=f"job {prompt_id} is neither in the queue nor in the history")
        return _ended(history[prompt_id])

    def watch(self, prompt_id: str, timeout: float = 300.0) -> Iterator[JobStatus]:
        """Poll a job until it is over; yields each status.  Raises ``JobTimeout``."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.status(prompt_id)
            yield status
            if status.is_over:
                return
            if time.monotonic() >= deadline:
                raise JobTimeout(f"job {prompt_id} is still {status.state.value} after {timeout:g} s")
            time.sleep(self.poll_interval)

    def wait(self, prompt_id: str, timeout: float = 300.0) -> list[Picture]:
        """Wait for a job and return its pictures.  Raises the error that says how else it ended."""
        *_, last = self.watch(prompt_id, timeout)
        return last.result()

    def cancel(self, prompt_id: str) -> None:
        """Drop a job that waits, or interrupt it when it runs."""
        _checked(self._call("POST", "/queue", json={"delete": [prompt_id]}))
        self.interrupt(prompt_id)

    def interrupt(self, prompt_id: str | None = None) -> None:
        """Interrupt the running job; with an id, only if it is that one."""
        _checked(self._call("POST", "/interrupt", json={"prompt_id": prompt_id} if prompt_id else {}))

    # --- pictures

    def download(self, picture: Picture) -> bytes:
        """A picture's file, over HTTP."""
        return self._get("/view", params=picture._asdict()).content

    def path(self, picture: Picture) -> Path:
        """A picture's file in the server's output folder."""
        if self.output_dir is None or picture.type != "output":
            raise ComfyUIError(f"{picture.filename} lies in no folder that this machine can read")
        return self.output_dir / picture.subfolder / picture.filename

    def upload_image(self, name: str, content: bytes) -> str:
        """Put a picture in the server's input folder and return the name that LoadImage finds it by."""
        response = _checked(self._call("POST", "/upload/image", files={"image": (name, content)}))
        return response.json()["name"]

    # --- calls

    def _get(self, path: str, **options: Any) -> requests.Response:
        return _checked(self._call("GET", path, **options))

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(method, self.base_url + path, timeout=self.timeout, **options)
        except requests.RequestException as exc:
            raise ServerUnavailable(f"no answer from {self.base_url}: {exc}") from exc


def _checked(response: requests.Response) -> requests.Response:
    try:
        response.raise_for_status()
    except requests.HTTPError as exc:
        raise ServerUnavailable(str(exc)) from exc
    return response


def _ended(entry: Mapping[str, Any]) -> JobStatus:
    """What a history entry says of a job that is over."""
    pictures = tuple(
        Picture(image["filename"], image["subfolder"], image["type"])
        for shown in entry["outputs"].values()
        for image in shown.get("images", ())
    )
    messages = dict(entry["status"]["messages"])
    if "execution_interrupted" in messages:
        return JobStatus(State.CANCELLED, pictures, "the job was interrupted")
    if "execution_error" in messages:
        error = messages["execution_error"]
        what = f"{error['node_type']}: {error['exception_message'].strip()}"
        return JobStatus(State.FAILED, pictures, what)
    return JobStatus(State.COMPLETED, pictures)
