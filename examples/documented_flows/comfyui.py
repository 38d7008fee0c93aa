"""The calls that the clients of this folder share, with urllib."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from workflows import Workflow

SERVER = "127.0.0.1:8188"


class PromptRejected(Exception):
    """ComfyUI did not accept the workflow."""


class JobFailed(Exception):
    """A node failed, or the job was interrupted."""


def submit(workflow: Workflow, client_id: str = "") -> str:
    """Queue a workflow and return its prompt id.  Raises ``PromptRejected``."""
    body = {"prompt": workflow, "client_id": client_id}
    request = urllib.request.Request(f"http://{SERVER}/prompt", data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)["prompt_id"]
    except urllib.error.HTTPError as error:
        with error:
            raise PromptRejected(what_is_wrong(json.load(error))) from None


def history(prompt_id: str) -> dict[str, Any] | None:
    """The history entry of a job; ``None`` while it waits or runs."""
    with urllib.request.urlopen(f"http://{SERVER}/history/{prompt_id}") as response:
        return json.load(response).get(prompt_id)


def download(entry: dict[str, Any]) -> list[bytes]:
    """The files of all pictures of a job that is over.  Raises ``JobFailed``."""
    check(entry)
    return [view(picture) for shown in entry["outputs"].values() for picture in shown.get("images", ())]


def view(picture: dict[str, str]) -> bytes:
    with urllib.request.urlopen(f"http://{SERVER}/view?{urllib.parse.urlencode(picture)}") as response:
        return response.read()


def check(entry: dict[str, Any]) -> None:
    """Raise ``JobFailed`` for a job that did not complete."""
    messages = dict(entry["status"]["messages"])
    if "execution_interrupted" in messages:
        raise JobFailed("interrupted")
    if "execution_error" in messages:
        error = messages["execution_error"]
        raise JobFailed(f"{error['node_type']}: {error['exception_message'].strip()}")


def what_is_wrong(body: dict[str, Any]) -> str:
    """What the answer to a rejected prompt says."""
    details = [one["details"] for node in body["node_errors"].values() for one in node["errors"]]
    return "; ".join([body["error"]["message"], *details])
