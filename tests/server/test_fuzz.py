"""Whatever is asked, it is answered as a server could answer it, and nothing happens outside its folders."""

from __future__ import annotations

import copy
import json
import pathlib
import re
import tempfile
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workflows import text_to_image

import comfystub
from comfystub.server.http import Request
from comfystub.server.routes import ROUTES
from server.outside import World
from server.support import ID, TROUBLE, Asker, Form, form, picture, png

#: Everything the routes can answer.
STATUSES = {200, 204, 206, 304, 400, 403, 404, 405, 409, 412, 413, 416, 500, 503}

NAMES = [
    "a.png",
    "taken.png",
    "link.png",
    "linked/x",
    "dangling.png",
    "../outside/secret.png",
    "..",
    "/etc/passwd",
    "sub/../../x",
    "a\0b",
    "x" * 300,
    "KSampler",
    "checkpoints",
    "example.png",
    "taken.png [temp]",
    "p_%batch_num%",
    "",
    *ID[:3],
]
names = st.sampled_from(NAMES) | st.text(max_size=20)

#: Small enough that a picture of that size is soon made.
numbers = st.integers(-3, 40) | st.floats(-3, 40) | st.sampled_from([float("inf"), float("nan"), 10**30])
scalars = st.none() | st.booleans() | numbers | names
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
links = st.tuples(st.sampled_from([*"1345678", "77"]) | scalars, st.integers(-2, 3) | scalars).map(list)


@st.composite
def graphs(draw: st.DrawFn) -> Any:
    """A good graph with some things wrong with it."""
    graph: Any = draw(st.sampled_from([picture(), text_to_image()]).map(copy.deepcopy))
    for _ in range(draw(st.integers(0, 3))):
        node_id = draw(st.sampled_from([*graph, "20"]))
        change = draw(st.sampled_from(["input", "input", "input", "class", "drop", "node", "unset"]))
        node = graph.setdefault(node_id, {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}})
        if not isinstance(node, dict) or not isinstance(node.get("inputs"), dict):
            continue
        if change == "input":
            name = draw(st.sampled_from([*node["inputs"], "other"]) if node["inputs"] else names)
            node["inputs"][name] = draw(scalars | links | json_values)
        elif change == "class":
            node["class_type"] = draw(
                st.sampled_from(["LoadImage", "SaveImage", "ResizeImageMaskNode", "PreviewAny", "ImageBatch"])
            )
        elif change == "drop":
            node.pop(draw(st.sampled_from(["inputs", "class_type"])), None)
        elif change == "unset":
            del graph[node_id]
        else:
            graph[node_id] = draw(json_values)
    return graph


prompts = st.fixed_dictionaries(
    {"prompt": graphs() | json_values},
    optional={
        "number": scalars,
        "front": scalars,
        "prompt_id": st.sampled_from(ID[:3]) | json_values,
        "client_id": json_values,
        "extra_data": json_values | st.fixed_dictionaries({}, optional={"extra_pnginfo": json_values}),
        "partial_execution_targets": json_values | st.lists(st.sampled_from(["9", "20", "1"])),
    },
)
ids = st.lists(st.sampled_from(ID[:3]) | names, max_size=3)
commands = st.fixed_dictionaries(
    {},
    optional={
        "clear": scalars,
        "delete": ids | json_values,
        "prompt_id": st.sampled_from(ID[:3]) | json_values,
        "job_ids": ids | json_values,
        "free_memory": scalars,
        "username": json_values,
    },
)
references = st.fixed_dictionaries({}, optional={"filename": names, "subfolder": names, "type": names}).map(
    json.dumps
)


def as_field(text: str) -> str:
    """A name as it can stand in a form's header."""
    return re.sub(r'[\r\n"\\]', "_", text).encode("utf-8", "replace").decode()


forms = st.builds(
    lambda filename, content, fields: form(
        image=(as_field(filename), content), **{name: as_field(value) for name, value in fields.items()}
    ),
    names,
    st.binary(max_size=20) | st.just(png()) | st.just(png((1, 2, 3, 4), mode="RGBA")),
    st.fixed_dictionaries(
        {},
        optional={
            "overwrite": st.sampled_from(["true", "1", "no"]),
            "type": st.sampled_from(["input", "output", "temp", "bogus"]),
            "subfolder": names,
            "original_ref": references | names,
        },
    ),
)
broken_forms = st.builds(
    lambda whole, stop: Form(whole.content_type, whole.body[:stop]), forms, st.integers(0, 300)
)

bodies = st.one_of(
    prompts.map(lambda value: json.dumps(value).encode()),
    commands.map(lambda value: json.dumps(value).encode()),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=30),
    forms,
    broken_forms,
)

PARAMETERS = [
    "filename",
    "type",
    "subfolder",
    "preview",
    "channel",
    "max_items",
    "offset",
    "limit",
    "status",
    "sort_by",
    "sort_order",
    "workflow_id",
    "dir",
    "path",
    "recurse",
    "full_info",
    "split",
    "overwrite",
    "clientId",
]
VALUES = [
    "webp",
    "jpeg;70",
    "jpeg;999",
    "rgb",
    "a",
    "true",
    "false",
    "output",
    "temp",
    "asc",
    "failed",
    "0",
    "-1",
    "5",
    "x",
]
queries = (
    st.lists(st.tuples(st.sampled_from(PARAMETERS), st.sampled_from(VALUES) | names), max_size=4).map(
        lambda pairs: urlencode(pairs, errors="replace")
    )
) | st.text("abc%&=+;01 ", max_size=12)

headers = st.fixed_dictionaries(
    {},
    optional={
        "host": st.sampled_from(["127.0.0.1:8188", "localhost", "[::1]", "[", "", "a:b:c", "comfy.test"]),
        "origin": st.sampled_from(["http://127.0.0.1:8188", "null", "http://[", "x", "", "http://evil.test"]),
        "sec-fetch-site": st.sampled_from(["cross-site", "same-origin"]),
        "sec-fetch-dest": st.sampled_from(["image", "document"]),
        "range": st.sampled_from(
            ["bytes=0-3", "bytes=-1", "bytes=9-2", "bytes=0-1,2-3", "x", "bytes=" + "9" * 5000 + "-"]
        ),
        "if-match": st.sampled_from(["*", '"x"', ""]),
        "if-none-match": st.sampled_from(["*", '"x"', ""]),
        "if-modified-since": st.sampled_from(
            ["Fri, 01 Jan 2100 00:00:00 GMT", "x", "Fri, 99 Jan 2100 00:00:00 GMT", ""]
        ),
        "if-unmodified-since": st.sampled_from(["Sat, 01 Jan 2000 00:00:00 GMT", "x"]),
        "if-range": st.sampled_from(['"x"', "Sat, 01 Jan 2000 00:00:00 GMT", "x"]),
        "content-type": st.sampled_from(
            ["application/json", "multipart/form-data; boundary=\u00fc", "x", ""]
        ),
        "comfy-usage-source": st.text(max_size=5),
    },
)

segments = names.map(lambda name: quote(name, safe="", errors="replace"))


@st.composite
def paths(draw: st.DrawFn) -> str:
    """The path of a route, or of none."""
    if draw(st.integers(0, 9)):
        route = draw(st.sampled_from(ROUTES))
        return draw(st.sampled_from(["", "/api"])) + re.sub(r"\{\w+\}", lambda _: draw(segments), route.path)
    return "/" + "/".join(draw(st.lists(segments, max_size=4)))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    body, sent = draw(bodies), draw(headers)
    if isinstance(body, Form):
        sent.setdefault("content-type", body.content_type)
        body = body.body
    method = draw(st.sampled_from(["GET", "GET", "POST", "POST", "DELETE", "HEAD", "PUT", "OPTIONS"]))
    return Request(method, draw(paths()), draw(queries), sent, body)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(asked=st.lists(requests(), min_size=1, max_size=6), move=st.booleans())
def test_any_requests(asked: list[Request], move: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        stub = comfystub.Stub(
            "http://comfy.test:8188", root=place.resolve() / "server", pace="manual", unknown_nodes="accept"
        )
        world = World(place, stub)
        for request in asked:
            with world.watched():
                response = stub._server.respond(request)
                if move:
                    stub.finish()
            assert response.status in STATUSES
            assert response.status != 500 or response.body in (TROUBLE.encode(), b"")
            assert stub.requests[-1].status == response.status
            told = dict(response.headers)
            assert all(isinstance(name, str) and isinstance(value, str) for name, value in told.items())
            assert ("Content-Length" in told) is (response.status not in (204, 304))
            if request.method != "HEAD" and "Content-Length" in told:
                assert int(told["Content-Length"]) == len(response.body)
        ask = Asker(stub)
        ask.post("/queue", {"clear": True})
        ask.post("/history", {"clear": True})
        assert ask.get("/prompt").status == 200
        assert ask.run(picture(prefix="at the end"))["status"]["completed"]


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(body=prompts)
def test_any_prompt(body: Any) -> None:
    """What is accepted runs to an end, good or bad, and can be listed."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        stub = comfystub.Stub(
            "http://comfy.test:8188", root=place.resolve() / "server", unknown_nodes="accept"
        )
        world, ask = World(place, stub), Asker(stub)
        with world.watched():
            answer = ask.post("/prompt", body)
            stub.finish()
        assert answer.status in (200, 400, 500)
        if answer.status == 400:
            assert set(answer.json()) == {"error", "node_errors"}
            assert set(answer.json()["error"]) == {"type", "message", "details", "extra_info"}
        if answer.status == 200:
            prompt_id = answer.json()["prompt_id"]
            entry = ask.get(f"/history/{prompt_id}").json()[prompt_id]
            assert entry["status"]["status_str"] in ("success", "error")
            assert stub.jobs[-1].status in ("completed", "failed")
        else:
            assert stub.jobs == []
        assert ask.get("/queue").json() == {"queue_running": [], "queue_pending": []}
