"""Plays a transcript: a recorded exchange with a real ComfyUI server, done again with another one.

What differs between two runs of one server is masked: ids, times, absolute paths, tracebacks, random
names, and wording, which changes from release to release.
"""

from __future__ import annotations

import base64
import io
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEMP_NAME = re.compile(r"ComfyUI_temp_[a-z]{5}_")
HEX_ID = re.compile(r"\b[0-9a-f]{32}\b")
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(?:[\w.\-]+/)*[\w.\-]+|\b[A-Za-z]:\\[^'\"\n]+")

WORDING = ("tooltip", "description", "display_name", "placeholder", "output_tooltips")
MILLISECONDS = ("timestamp", "create_time", "execution_start_time", "execution_end_time")
FILE_TIMES = ("modified", "created", "mtime")

#: What stands where something is not there.
ABSENT = "<absent>"

#: Looks after which a job that is waited for has to be over.
PATIENCE = 200

#: The pictures that transcripts upload: 64 × 64 and 32 × 32 in one colour, and 64 × 64 half transparent.
PICTURES = {
    "png_64": (
        "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAZElEQVR4nO3PQQ3AIADAQOCJCPxLQdZE8Lgs6Slo575n/NnS"
        "Aa8a0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0BrQGtAa0D59owFw2/pH"
        "GgAAAABJRU5ErkJggg=="
    ),
    "png_32": (
        "iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAALUlEQVR4nGM8ISLHQEvARFPTRy0YtWDUglELRi0YtWDUglEL"
        "Ri0YtWDUAioCAGbZATooUOd4AAAAAElFTkSuQmCC"
    ),
    "rgba_64": (
        "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAYAAACqaXHeAAAAlklEQVR4nO3QQRHAMADDsKzIC30w9KiFwOdv293Djg7QGqAD"
        "tAboAK0BOkBrgA7QGqADtAboAK0BOkBrgA7QGqADtAboAK0BOkBrgA7QGqADtAboAK0BOkBrgA7QGqADtAboAK0BOkBrgA7Q"
        "GqADtAboAK0BOkBrgA7QGqADtAboAK0BOkBrgA7QGqADtAboAK0BOkD7AXEQAQDNQrIkAAAAAElFTkSuQmCC"
    ),
}


class Answer(Protocol):
    """A response, as httpx gives it."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> bytes: ...


class Unplayable(Exception):
    """A step needs what an earlier one should have brought."""


#: Sends a request to a path: method, path, and what ``httpx.Client.request`` takes besides.
Send = Callable[..., Any]


class Player:
    """Plays the steps of one transcript over one HTTP client, and over websocket-client.

    ``headers`` are lines that a WebSocket is opened with; ``timeout`` is how many seconds it may have
    nothing to say.
    """

    def __init__(self, url: str, send: Send, *, headers: Sequence[str] = (), timeout: float = 10) -> None:
        self._url = url.replace("http", "ws", 1)
        self._send = send
        self._headers = list(headers)
        self._timeout = timeout
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._sockets: dict[str, Any] = {}

    def close(self) -> None:
        """Close the sockets that a transcript leaves open."""
        for socket in self._sockets.values():
            socket.close()

    def play(self, step: Mapping[str, Any]) -> Any:
        """What a step brought, masked."""
        if "http" in step:
            return self._http(step)
        if "wait" in step:
            return {"wait": self._wait(self._value(step["wait"]))}
        if step["ws"] == "connect":
            return self._connect(step)
        return self._read(step) if step["ws"] == "read" else self._hang_up(step)

    # --- HTTP

    def _http(self, step: Mapping[str, Any]) -> dict[str, Any]:
        options = {key: self._fill(step[key]) for key in ("json", "data", "params", "headers") if key in step}
        if "raw" in step:
            options["content"] = step["raw"].encode()
        if "files" in step:
            options["files"] = {
                field: (name, _content(content), kind)
                for field, (name, content, kind) in step["files"].items()
            }
        return self._shown(step, self._send(step["http"], self._fill(step["path"]), **options))

    def _shown(self, step: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
        show, headers = step.get("show", "auto"), answer.headers
        found: dict[str, Any] = {"status": answer.status_code}
        asked = {name: headers.get(name, ABSENT) for name in step.get("show_headers", ())}
        if show == "status":
            return found
        if show == "status_headers":
            return found | {
                "headers": {name: re.sub(r"/\d+$", "/<n>", value) for name, value in asked.items()}
            }
        if show == "image_size":
            return found | {"size": describe(answer.content)["size"] if answer.status_code == 200 else None}
        found["content_type"] = kind = headers.get("content-type", "")
        if "content-disposition" in headers:
            found["content_disposition"] = headers["content-disposition"]
        if asked:
            found["headers"] = self._mask(asked)
        return found | self._body(step, kind, answer.content)

    def _body(self, step: Mapping[str, Any], kind: str, content: bytes) -> dict[str, Any]:
        if "json" in kind:
            return self._json(step, json.loads(content))
        if kind.startswith("image/") and content:
            return {"image": self._mask(describe(content))}
        return {"text": self._mask(content.decode())} if len(content) < 400 else {"bytes": len(content)}

    def _json(self, step: Mapping[str, Any], body: Any) -> dict[str, Any]:
        for name, path in step.get("save", {}).items():
            value = reach(body, path.replace(".", "/"))
            if value != ABSENT:
                self._values[name] = value
                self._names[str(value)] = f"<{name}>"
        show = step.get("show", "auto")
        if show == "keys":
            return {"keys": [self._mask(key) for key in body]}
        if show == "types":
            return {"types": types_of(body)}
        if show == "only":
            return {"only": self._mask({key: reach(body, self._fill(key)) for key in step["keys"]})}
        return {"json": self._mask(body)}

    def _wait(self, prompt_id: str) -> str:
        for _ in range(PATIENCE):
            if prompt_id in json.loads(self._send("GET", f"/history/{prompt_id}").content):
                return "done"
        return "TIMEOUT"

    # --- sockets

    def _connect(self, step: Mapping[str, Any]) -> dict[str, Any]:
        import websocket

        client_id = step.get("client_id")
        if client_id is not None:
            self._names.setdefault(client_id, f"<client:{step['as']}>")
        query = "" if client_id is None else f"?clientId={urllib.parse.quote(client_id)}"
        self._sockets[step["as"]] = socket = websocket.create_connection(
            f"{self._url}/ws{query}", timeout=self._timeout, header=self._headers
        )
        for message in step.get("send", ()):
            socket.send(json.dumps(message))
        return {"ws": "connected"}

    def _hang_up(self, step: Mapping[str, Any]) -> dict[str, Any]:
        self._sockets.pop(step["as"]).close()
        return {"ws": "closed"}

    def _read(self, step: Mapping[str, Any]) -> dict[str, Any]:
        events: list[Any] = []
        kind, _, wanted = step["until"].partition(":")
        while True:
            event = self._event(self._sockets[step["as"]].recv())
            if event.get("type") == "status" and "sid" in event["data"]:
                self._names.setdefault(event["data"]["sid"], f"<sid:{step['as']}>")
            if self._counts(event):
                events.append(self._mask(event))
                if LAST[kind](event, self._values.get(wanted, wanted), len(events)):
                    return {"events": events}

    def _counts(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is one of those that are compared."""
        return True

    def _event(self, frame: str | bytes) -> dict[str, Any]:
        if isinstance(frame, str):
            message: dict[str, Any] = json.loads(frame)
            return message
        kind, second = (int.from_bytes(frame[at : at + 4], "big") for at in (0, 4))
        rest = frame[8:]
        if kind == 1:
            return {"binary": "PREVIEW_IMAGE", "image_type": second, "image": describe(rest)}
        if kind == 3:
            return {"binary": "TEXT", "node": rest[:second].decode(), "text": rest[second:].decode()}
        if kind == 4:
            metadata, image = json.loads(rest[:second]), describe(rest[second:])
            return {"binary": "PREVIEW_IMAGE_WITH_METADATA", "metadata": metadata, "image": image}
        return {"binary": kind, "bytes": len(frame)}

    # --- filling in and masking

    def _fill(self, value: Any) -> Any:
        """Put saved values in place of ``${name}``."""
        if isinstance(value, str):
            return re.sub(r"\$\{(\w+)\}", lambda found: self._value(found[1]), value)
        if isinstance(value, list):
            return [self._fill(one) for one in value]
        if isinstance(value, dict):
            return {self._fill(key): self._fill(one) for key, one in value.items()}
        return value

    def _value(self, name: str) -> str:
        if name not in self._values:
            raise Unplayable(f"an earlier answer lacked what {name} stands for")
        return self._values[name]

    def _mask(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            if key == "current_inputs":
                return dict.fromkeys(value, "<value>")
            return {self._mask(k): self._mask(v, k) for k, v in value.items() if k not in WORDING}
        if isinstance(value, list):
            if key == "traceback":
                return "<traceback>" if value else []
            return [self._mask(one) for one in value]
        if isinstance(value, str):
            return self._mask_text(value, key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._mask_number(value, key)
        return value

    def _mask_number(self, value: float, key: str) -> Any:
        return "<ms>" if key in MILLISECONDS else "<time>" if key in FILE_TIMES else value

    def _mask_text(self, text: str, key: str) -> str:
        if key == "exception_message":
            text = ABSOLUTE_PATH.sub("<path>", text)
        for value, name in self._names.items():
            text = text.replace(value, name)
        return TEMP_NAME.sub("ComfyUI_temp_<rand>_", HEX_ID.sub("<hex>", UUID.sub("<uuid>", text)))


def _is(event: Mapping[str, Any], kind: str) -> bool:
    return event.get("type") == kind


#: ``until`` of a reading step to whether an event is the last one read.
LAST: Mapping[str, Callable[[Mapping[str, Any], str, int], bool]] = {
    "idle": lambda event, wanted, count: (
        _is(event, "executing") and event["data"]["node"] is None and event["data"].get("prompt_id") == wanted
    ),
    "type": lambda event, wanted, count: _is(event, wanted),
    "count": lambda event, wanted, count: count == int(wanted),
    "remaining": lambda event, wanted, count: (
        _is(event, "status") and event["data"]["status"]["exec_info"]["queue_remaining"] == int(wanted)
    ),
}


def describe(data: bytes) -> dict[str, Any]:
    """What of a picture is compared: its format, size, mode, frames and texts."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found: dict[str, Any] = {"format": image.format, "size": list(image.size), "mode": image.mode}
        frames = getattr(image, "n_frames", 1)
        if frames != 1:
            found["frames"] = frames
        texts = getattr(image, "text", None)
        if texts:
            found["text"] = {k: json.loads(v) if v[:1] in "{[" else v for k, v in texts.items()}
        return found


def _content(name: str) -> bytes:
    """What a transcript uploads: one of its pictures, or a text."""
    return base64.b64decode(PICTURES[name]) if name in PICTURES else name.encode()


def reach(body: Any, path: str) -> Any:
    """What lies at a path of keys and indices."""
    for part in path.split("/"):
        try:
            body = body[int(part)] if isinstance(body, list) else body[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return ABSENT
    return body


def types_of(value: Any) -> Any:
    """The types of all fields; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {key: types_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [types_of(value[0])] if value else []
    return type(value).__name__
