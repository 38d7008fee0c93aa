#!/usr/bin/env python3
"""Write the tables of the documentation that follow from the code, the transcripts and the benchmark.

    python tools/build_tables.py

A table stands in its page between ``<!-- table: NAME -->`` and ``<!-- end of NAME -->``.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from comfystub.engine.releases import LATEST, RELEASES
from comfystub.live import recordings
from comfystub.server.routes import ROUTES, routes_of

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"

#: What each route does, in groups: the only thing about it that the code does not know.
ABOUT: Mapping[str, Mapping[str, str]] = {
    "Prompts": {
        "POST /prompt": "submits a workflow: `prompt`, `client_id`, `prompt_id`, `number`, `front`, "
        "`extra_data`, `partial_execution_targets`; 400 with `node_errors` for one that is rejected",
        "GET /prompt": "how many prompts run and wait",
        "GET /queue": "the prompt that runs and those that wait, in rows of five",
        "POST /queue": "`clear` drops all that wait, `delete` those with these ids",
        "POST /interrupt": "stops the prompt that runs; with `prompt_id`, only that one",
        "POST /free": "with `free_memory`, empties the cache of results",
        "GET /history": "the prompts that have ended, oldest first: `max_items=`, `offset=`",
        "GET /history/{prompt_id}": "one of them; `{}` as long as it has not ended",
        "POST /history": "`clear` forgets all, `delete` those with these ids",
    },
    "Jobs": {
        "GET /api/jobs": "queue and history in one list: `status=`, `workflow_id=`, `sort_by=`, "
        "`sort_order=`, `limit=`, `offset=`",
        "GET /api/jobs/{job_id}": "one job, with its outputs once it has ended",
        "POST /api/jobs/{job_id}/cancel": "drops a job that waits, interrupts one that runs",
        "POST /api/jobs/cancel": "the same for all `job_ids`",
    },
    "WebSocket": {
        "GET /ws": "the handshake; `clientId=` says whose messages are wanted",
    },
    "Files": {
        "GET /view": "a file: `filename=`, `subfolder=`, `type=`; converted: `preview=`, `channel=`; "
        "in parts, with `Range`",
        "POST /upload/image": "keeps a file: `image`, `subfolder`, `type`, `overwrite`",
        "POST /upload/mask": "keeps the picture that `original_ref` names, with the upload's alpha",
    },
    "Nodes and models": {
        "GET /object_info": "all node classes",
        "GET /object_info/{node_class}": "one of them, `{}` for one that is not there",
        "GET /node_replacements": "classes that others have taken the place of",
        "GET /models": "the names of the model folders",
        "GET /models/{folder}": "the files of one, 404 for one that is not there",
        "GET /embeddings": "embeddings, without their endings",
        "GET /view_metadata/{folder}": "404: model files are names",
        "GET /experiment/models": "the model folders, with paths and endings",
        "GET /experiment/models/{folder}": "the files of one; times and sizes are 0",
    },
    "The server": {
        "GET /": "a page, for those who ask whether it is up",
        "GET /system_stats": "release, memory and devices",
        "GET /features": "what it can do, as in the WebSocket's `feature_flags`",
        "GET /extensions": "an empty list, or the profile's",
        "GET /workflow_templates": "nothing, or the profile's",
        "GET /i18n": "nothing, or the profile's",
        "GET /global_subgraphs": "nothing, or the profile's",
        "GET /global_subgraphs/{subgraph}": "`null`",
        "GET /internal/logs": "an empty text",
        "GET /internal/logs/raw": "no entries",
        "GET /internal/folder_paths": "the model folders and made-up paths",
        "GET /internal/files/{kind}": "the names of the files in `output`, `input` or `temp`",
        "GET /api/assets": "503: assets are disabled",
        "POST /api/assets": "503",
        "GET /api/assets/{asset}": "503",
        "GET /api/tags": "503",
    },
    "The user": {
        "GET /users": "that there is one user",
        "POST /users": "400: there is one",
        "GET /settings": "all settings",
        "POST /settings": "sets some",
        "GET /settings/{setting}": "one, `null` where it was never set",
        "POST /settings/{setting}": "sets one",
        "GET /userdata": "the files in `dir=`; `recurse=`, `full_info=`, `split=`",
        "GET /v2/userdata": "folders and files below `path=`",
        "GET /userdata/{file}": "a file; `/` in its path is `%2F`",
        "POST /userdata/{file}": "writes it; `overwrite=`, `full_info=`",
        "DELETE /userdata/{file}": "deletes it",
        "POST /userdata/{file}/move/{dest}": "moves it; `overwrite=`, `full_info=`",
    },
}

Row = Sequence[str]


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def routes() -> str:
    """Every route, in the groups of ``ABOUT``.  Raises ``ValueError`` where the code has others."""
    known = {f"{route.method} {route.path}": route for route in ROUTES}
    described = {name for group in ABOUT.values() for name in group}
    if known.keys() != described:
        raise ValueError(f"ABOUT and the routes differ: {sorted(known.keys() ^ described)}")
    in_older = {release: routes_of(RELEASES[release]) for release in RELEASES if release != LATEST}

    def row(name: str, about: str) -> Row:
        route = known[name]
        has = [route.twin, *(route in older for older in in_older.values())]
        return [f"`{name}`", about, *("yes" if one else "no" for one in has)]

    head = ["route", "what it does", "below `/api`", *(f"in {release}" for release in in_older)]
    return "\n\n".join(
        f"## {title}\n\n{table(head, [row(name, about) for name, about in group.items()])}"
        for title, group in ABOUT.items()
    )


def counts() -> str:
    """How much was recorded of each release."""

    def row(release: str) -> Row:
        found = [recordings.read(path) for path in recordings.files(release)]
        steps = [step["do"] for transcript in found for step in transcript.steps]
        kinds = Counter(next(kind for kind in ("http", "ws", "wait") if kind in do) for do in steps)
        messages = sum(len(s["expect"].get("events", ())) for t in found for s in t.steps)
        return [
            f"ComfyUI {release}",
            *map(str, (len(found), len(steps), kinds["http"], kinds["ws"], messages)),
        ]

    head = ["recorded of", "transcripts", "steps", "HTTP calls", "steps with a WebSocket", "messages heard"]
    return table(head, map(row, RELEASES))


def transcripts() -> str:
    """Every transcript and what it shows."""
    older = {path.name for release in RELEASES if release != LATEST for path in recordings.files(release)}

    def row(path: pathlib.Path) -> Row:
        found = recordings.read(path)
        return [f"`{found.name}`", found.about, "yes" if path.name in older else ""]

    head = ["transcript", "what it shows", "other in 0.8"]
    return table(head, map(row, recordings.files(LATEST)))


def ratios() -> str:
    """What the benchmark has measured."""
    results = json.loads((DOCS / "speed.json").read_text(encoding="utf-8"))
    rows = [
        [one["measured"], one["against"], f"{one['ratio']:.2f}", f"{one['limit']:g}"]
        for one in results["ratios"]
    ]
    return table(["measured", "against", "times as long", "at most"], rows)


TABLES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "routes": ("routes.md", routes),
    "counts": ("stays-true.md", counts),
    "transcripts": ("stays-true.md", transcripts),
    "ratios": ("speed.md", ratios),
}


def written(name: str, page: str) -> str:
    """A page with one of the tables as it has to be.  Raises ``ValueError`` where it has no place."""
    start, end = f"<!-- table: {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{start}\n.*{end}", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no place for the table {name!r}")
    made = TABLES[name][1]()
    return pattern.sub(lambda _: f"{start}\n\n{made}\n\n{end}", page)


def main() -> None:
    for name, (page, _) in TABLES.items():
        path = DOCS / page
        path.write_text(written(name, path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
