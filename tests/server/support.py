"""Asking a stub's server without a client library, and the workflows that the tests post."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from PIL import Image
from workflows import Graph

from comfystub import Stub
from comfystub.engine.events import Event
from comfystub.server.http import Request

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"

#: Ids that the server takes, in order.
ID = [f"00000000-0000-4000-8000-{number:012}" for number in range(10)]


class Answer(NamedTuple):
    """What the server answered; the names of ``headers`` are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def type(self) -> str | None:
        return self.headers.get("content-type")

    def json(self) -> Any:
        assert self.type == JSON, self
        return json.loads(self.body)

    def holds(self) -> tuple[int, Any]:
        """Status and JSON body, to be compared at once."""
        return self.status, self.json()

    @property
    def is_bare(self) -> bool:
        """Whether it has neither a body nor a content type, and says so."""
        return self.body == b"" and self.type is None and self.headers.get("content-length") == "0"

    @property
    def is_trouble(self) -> bool:
        """Whether a handler raised."""
        return (self.status, self.type, self.text) == (500, TEXT, TROUBLE)


class Form(NamedTuple):
    """A form as a browser sends it."""

    content_type: str
    body: bytes


class Asker:
    """Puts requests to a stub's server as they would arrive, odd ones too."""

    def __init__(self, stub: Stub) -> None:
        self.stub = stub

    def __call__(
        self,
        method: str,
        target: str,
        data: Any = b"",
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Answer:
        """``data`` is a body, a :class:`Form`, or what is sent as JSON."""
        path, _, query = target.partition("?")
        sent = {"host": "comfy.test:8188", **(headers or {})}
        if isinstance(data, Form):
            sent.setdefault("content-type", data.content_type)
            data = data.body
        elif not isinstance(data, bytes):
            data = json.dumps(data).encode()
        request = Request(method, path, urlencode(params) if params else query, sent, data)
        response = self.stub._server.respond(request)
        names = [name.lower() for name, _ in response.headers]
        assert len(names) == len(set(names)), f"a header stands twice: {names}"
        return Answer(response.status, dict(zip(names, (v for _, v in response.headers))), response.body)

    def get(self, target: str, **params: Any) -> Answer:
        return self("GET", target, params=params)

    def post(self, target: str, data: Any = b"") -> Answer:
        return self("POST", target, data)

    def submit(self, graph: Graph, **others: Any) -> str:
        """Post a prompt that is to be accepted; its id."""
        answer = self.post("/prompt", {"prompt": graph, **others})
        assert answer.status == 200, answer
        prompt_id: str = answer.json()["prompt_id"]
        return prompt_id

    def run(self, graph: Graph, **others: Any) -> dict[str, Any]:
        """Post a prompt and run everything; its history entry."""
        prompt_id = self.submit(graph, **others)
        self.stub.finish()
        entry: dict[str, Any] = self.get(f"/history/{prompt_id}").json()[prompt_id]
        return entry

    def view(self, filename: str, headers: Mapping[str, str] | None = None, **params: Any) -> Answer:
        return self("GET", "/view", params={"filename": filename, **params}, headers=headers)

    def upload(
        self, filename: str | None, content: bytes = b"x", to: str = "/upload/image", **fields: Any
    ) -> Answer:
        return self("POST", to, form(image=(filename, content), **fields))

    def userdata(self, method: str, file: str, data: Any = b"", query: str = "") -> Answer:
        return self(method, f"/userdata/{quote(file, safe='')}?{query}", data)

    def waiting(self) -> list[str]:
        """The ids of the prompts that wait, in the order of ``/queue``."""
        return [item[1] for item in self.get("/queue").json()["queue_pending"]]

    def history(self, **params: Any) -> list[str]:
        """The ids that ``/history`` lists."""
        return list(self.get("/history", **params).json())

    def heard(self) -> list[Event]:
        """A list that every event from now on is put in."""
        events: list[Event] = []
        self.stub._engine.hub.tap(events.append)
        return events


def form(**fields: Any) -> Form:
    """A form; a field with a file is ``(name, content)``, a name of ``None`` leaves it out."""
    line = "----comfystub"
    body = b""
    for name, value in fields.items():
        filename, content = value if isinstance(value, tuple) else (None, value.encode())
        named = "" if filename is None else f'; filename="{filename}"'
        head = f'--{line}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        body += head.encode("utf-8", "surrogateescape") + content + b"\r\n"
    return Form(f"multipart/form-data; boundary={line}", body + f"--{line}--\r\n".encode())


def png(
    color: Any = (10, 200, 30), size: tuple[int, int] = (8, 6), mode: str = "RGB", **options: Any
) -> bytes:
    file = BytesIO()
    Image.new(mode, size, color).save(file, "PNG", **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def picture(color: int = 0, prefix: str = "picture", **inputs: Any) -> Graph:
    """The smallest workflow that leaves a file."""
    made = {"width": 8, "height": 8, "batch_size": 1, "color": color, **inputs}
    return {
        "1": node("EmptyImage", **made),
        "9": node("SaveImage", images=["1", 0], filename_prefix=prefix),
    }


def errors_in(answer: Answer) -> Iterator[tuple[str, str, str]]:
    """The errors of a rejected prompt as node id, type and details."""
    for node_id, found in answer.json()["node_errors"].items():
        for error in found["errors"]:
            yield node_id, error["type"], error["details"]
