"""Plays a recorded exchange with a real ComfyUI server against the stub.

A transcript is ``{"name", "about", "steps": [{"do", "expect"}]}``.  What differs between two runs of
the real server is masked (ids, times, absolute paths, tracebacks, random names, wording); what it
leaves in the order of a set is sorted; everything else has to be equal.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import websocket
from PIL import Image

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TEMP_NAME = re.compile(r"ComfyUI_temp_[a-z]{5}_")
HEX_ID = re.compile(r"\b[0-9a-f]{32}\b")
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(?:[\w.\-]+/)*[\w.\-]+")

WORDING = ("tooltip", "description", "display_name", "placeholder", "output_tooltips")
MILLISECONDS = ("timestamp", "create_time", "execution_start_time", "execution_end_time")
FILE_TIMES = ("modified", "created", "mtime")
SETS = ("executed", "current_outputs", "dependent_outputs")

#: Looks after which a job that is waited for has to be over.
PATIENCE = 200

#: Seconds after which a socket has nothing more to say.
TIMEOUT = 10


class Answer(Protocol):
    """A response, as httpx gives it."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


#: Sends a request to a path: method, path, and what ``httpx.Client.request`` takes besides.
Send = Callable[..., Answer]


class Player:
    """Plays the steps of one transcript over one HTTP client, and over websocket-client."""

    def __init__(self, url: str, send: Send) -> None:
        self._url = url.replace("http", "ws", 1)
        self._send = send
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._sockets: dict[str, websocket.WebSocket] = {}

    def close(self) -> None:
        """Close the sockets that a transcript leaves open."""
        for socket in self._sockets.values():
            socket.close()

    def play(self, step: dict[str, Any]) -> Any:
        """What a step brought, masked."""
        if "http" in step:
            return self._http(step)
        if "wait" in step:
            return {"wait": self._wait(self._values[step["wait"]])}
        return getattr(self, f"_socket_{step['ws']}")(step)

    # --- HTTP

    def _http(self, step: dict[str, Any]) -> dict[str, Any]:
        options = {key: self._fill(step[key]) for key in ("json", "data", "params", "headers") if key in step}
        if "raw" in step:
            options["content"] = step["raw"].encode()
        if "files" in step:
            options["files"] = {
                field: (name, PICTURES.get(content, content.encode()), kind)
                for field, (name, content, kind) in step["files"].items()
            }
        answer = self._send(step["http"], self._fill(step["path"]), **options)
        return self._shown(step, answer)

    def _shown(self, step: dict[str, Any], answer: Answer) -> dict[str, Any]:
        show, headers, found = step.get("show", "auto"), answer.headers, {"status": answer.status_code}
        asked = {name: headers.get(name, "<absent>") for name in step.get("show_headers", ())}
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

    def _body(self, step: dict[str, Any], kind: str, content: bytes) -> dict[str, Any]:
        if "json" in kind:
            return self._json(step, json.loads(content))
        if kind.startswith("image/") and content:
            return {"image": self._mask(describe(content))}
        return {"text": self._mask(content.decode())} if len(content) < 400 else {"bytes": len(content)}

    def _json(self, step: dict[str, Any], body: Any) -> dict[str, Any]:
        for name, path in step.get("save", {}).items():
            self._values[name] = value = reach(body, path.replace(".", "/"))
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

    def _socket_connect(self, step: dict[str, Any]) -> dict[str, Any]:
        client_id = step.get("client_id")
        if client_id is not None:
            self._names.setdefault(client_id, f"<client:{step['as']}>")
        query = "" if client_id is None else f"?clientId={client_id}"
        self._sockets[step["as"]] = socket = websocket.create_connection(
            f"{self._url}/ws{query}", timeout=TIMEOUT
        )
        for message in step.get("send", ()):
            socket.send(json.dumps(message))
        return {"ws": "connected"}

    def _socket_close(self, step: dict[str, Any]) -> dict[str, Any]:
        self._sockets.pop(step["as"]).close()
        return {"ws": "closed"}

    def _socket_read(self, step: dict[str, Any]) -> dict[str, Any]:
        socket, events = self._sockets[step["as"]], []
        kind, _, wanted = step["until"].partition(":")
        while True:
            frame = socket.recv()
            event = self._binary(frame) if isinstance(frame, bytes) else json.loads(frame)
            if event.get("type") == "status" and "sid" in event["data"]:
                self._names.setdefault(event["data"]["sid"], f"<sid:{step['as']}>")
            events.append(self._mask(event))
            if LAST[kind](event, self._values.get(wanted, wanted), len(events)):
                return {"events": events}

    def _binary(self, frame: bytes) -> dict[str, Any]:
        kind, second = (int.from_bytes(frame[at : at + 4], "big") for at in (0, 4))
        if kind == 1:
            return {"binary": "PREVIEW_IMAGE", "image_type": second, "image": describe(frame[8:])}
        assert kind == 4
        metadata, image = json.loads(frame[8 : 8 + second]), describe(frame[8 + second :])
        return {"binary": "PREVIEW_IMAGE_WITH_METADATA", "metadata": self._mask(metadata), "image": image}

    # --- filling in and masking

    def _fill(self, value: Any) -> Any:
        """Put saved values in place of ``${name}``."""
        if isinstance(value, str):
            return re.sub(r"\$\{(\w+)\}", lambda found: self._values[found[1]], value)
        if isinstance(value, list):
            return [self._fill(one) for one in value]
        if isinstance(value, dict):
            return {self._fill(key): self._fill(one) for key, one in value.items()}
        return value

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
            return "<ms>" if key in MILLISECONDS else "<time>" if key in FILE_TIMES else value
        return value

    def _mask_text(self, text: str, key: str) -> str:
        if key == "exception_message":
            text = ABSOLUTE_PATH.sub("<path>", text)
        for value, name in self._names.items():
            text = text.replace(value, name)
        return TEMP_NAME.sub("ComfyUI_temp_<rand>_", HEX_ID.sub("<hex>", UUID.sub("<uuid>", text)))


def _is(event: dict[str, Any], kind: str) -> bool:
    return event.get("type") == kind


#: ``until`` of a reading step to whether an event is the last one read.
LAST: Mapping[str, Callable[[dict[str, Any], str, int], bool]] = {
    "idle": lambda event, wanted, count: (
        _is(event, "executing") and event["data"]["node"] is None and event["data"]["prompt_id"] == wanted
    ),
    "type": lambda event, wanted, count: _is(event, wanted),
    "count": lambda event, wanted, count: count == int(wanted),
    "remaining": lambda event, wanted, count: (
        _is(event, "status") and event["data"]["status"]["exec_info"]["queue_remaining"] == int(wanted)
    ),
}


def describe(data: bytes) -> dict[str, Any]:
    """What of a picture is compared: its format, size, mode, frames and texts."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        found: dict[str, Any] = {"format": image.format, "size": list(image.size), "mode": image.mode}
        if getattr(image, "n_frames", 1) != 1:
            found["frames"] = image.n_frames
        texts = getattr(image, "text", None)
        if texts:
            found["text"] = {k: json.loads(v) if v[:1] in "{[" else v for k, v in texts.items()}
        return found


def _picture(mode: str, side: int, color: tuple[int, ...]) -> bytes:
    data = io.BytesIO()
    Image.new(mode, (side, side), color).save(data, "PNG")
    return data.getvalue()


#: The pictures that transcripts upload.
PICTURES = {
    "png_64": _picture("RGB", 64, (10, 200, 30)),
    "png_32": _picture("RGB", 32, (200, 20, 30)),
    "rgba_64": _picture("RGBA", 64, (0, 0, 0, 128)),
}


def reach(body: Any, path: str) -> Any:
    """What lies at a path of keys and indices."""
    for part in path.split("/"):
        try:
            body = body[int(part)] if isinstance(body, list) else body[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return "<absent>"
    return body


def types_of(value: Any) -> Any:
    """The types of all fields; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {key: types_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [types_of(value[0])] if value else []
    return type(value).__name__


def in_order(value: Any, key: str = "") -> Any:
    """Sort what the real server leaves in the order of a set."""
    if isinstance(value, dict):
        return {k: in_order(v, k) for k, v in value.items()}
    if isinstance(value, list):
        entries = [in_order(one) for one in value]
        if key == "errors" or (key in SETS and all(isinstance(one, str) for one in entries)):
            entries.sort(key=lambda one: json.dumps(one, sort_keys=True))
        return entries
    if key == "details" and isinstance(value, str):
        return "\n".join(sorted(value.split("\n")))
    return value
