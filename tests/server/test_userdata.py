"""``/userdata``: files that a front end keeps on the server."""

from __future__ import annotations

import os
import pathlib
from typing import Any
from urllib.parse import quote

import pytest

import comfystub
from server.support import TEXT, Answer, Asker


@pytest.fixture
def home(stub: comfystub.Stub) -> pathlib.Path:
    return stub._engine.known.folders.folder("user")


@pytest.fixture
def full(home: pathlib.Path, ask: Asker) -> Asker:
    """A server with a few files."""
    for name in ("a.json", "B.txt", "flows/one.json", "flows/two.json", "flows/deep/three.json"):
        ask.userdata("POST", name, name.encode())
    (home / "empty").mkdir()
    return ask


def said(answer: Answer) -> tuple[int, str | None, str]:
    return answer.status, answer.type, answer.text


class TestWriting:
    @pytest.mark.parametrize(
        "name", ["a.json", "flows/one.json", "ü 日本.txt", "a b", "100%", "deep/er/and/deeper/x"]
    )
    def test_the_answer_is_the_path(self, name: str, home: pathlib.Path, ask: Asker) -> None:
        assert ask.userdata("POST", name, b"content").holds() == (200, name)
        assert (home / name).read_bytes() == b"content"

    @pytest.mark.parametrize("content", [b"", b"{}", b"\0\xff", b"not json"])
    def test_the_body_is_stored_as_it_is(self, content: bytes, home: pathlib.Path, ask: Asker) -> None:
        ask("POST", "/userdata/a.json", content, headers={"content-type": "application/json"})
        assert (home / "a.json").read_bytes() == content

    def test_full_info(self, home: pathlib.Path, ask: Asker) -> None:
        info = ask.userdata("POST", "flows/a.json", b"12345", "full_info=true").json()
        before = int((home / "flows" / "a.json").stat().st_mtime * 1000) - 1
        assert set(info) == {"path", "size", "modified", "created"}
        assert (info["path"], info["size"]) == ("flows/a.json", 5)
        assert all(
            type(info[key]) is int and before < info[key] < before + 60_000 for key in ("modified", "created")
        )

    @pytest.mark.parametrize(
        ("query", "status", "content"),
        [
            ("", 200, b"new"),
            ("overwrite=true", 200, b"new"),
            ("overwrite=false", 409, b"old"),
            ("overwrite=false&full_info=true", 409, b"old"),
        ],
    )
    def test_overwriting(
        self, query: str, status: int, content: bytes, home: pathlib.Path, ask: Asker
    ) -> None:
        ask.userdata("POST", "a.json", b"old")
        answer = ask.userdata("POST", "a.json", b"new", query)
        assert answer.status == status
        assert (home / "a.json").read_bytes() == content
        if status == 409:
            assert said(answer) == (409, TEXT, "File already exists")

    def test_overwrite_false_writes_what_is_not_there(self, ask: Asker) -> None:
        assert ask.userdata("POST", "a.json", b"x", "overwrite=false").status == 200


class TestReading:
    @pytest.mark.parametrize(
        ("name", "content_type"),
        [
            ("a.json", "application/json"),
            ("a.txt", "text/plain"),
            ("a.png", "image/png"),
            ("flows/a.json", "application/json"),
            ("a", "application/octet-stream"),
            ("a.html", "application/octet-stream"),
            ("a.svg", "application/octet-stream"),
            ("a.js", "application/octet-stream"),
            ("a.css", "application/octet-stream"),
            ("a.xml", "application/octet-stream"),
        ],
    )
    def test_headers(self, name: str, content_type: str, ask: Asker) -> None:
        ask.userdata("POST", name, b"content")
        answer = ask.userdata("GET", name)
        assert (answer.status, answer.body, answer.type) == (200, b"content", content_type)
        assert answer.headers["content-disposition"] == "attachment"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["etag"].strip('"') and answer.headers["content-length"] == "7"

    def test_unchanged(self, full: Asker) -> None:
        etag = full.userdata("GET", "a.json").headers["etag"]
        assert full("GET", "/userdata/a.json", headers={"if-none-match": etag}).status == 304

    @pytest.mark.parametrize(
        ("name", "status"),
        [
            ("none.json", 404),
            ("flows/none.json", 404),
            ("x" * 300, 404),
            ("flows", 403),
            ("empty", 403),
            (".", 403),
        ],
    )
    def test_what_is_no_file(self, name: str, status: int, full: Asker) -> None:
        answer = full.userdata("GET", name)
        assert answer.status == status and answer.is_bare


class TestDeleting:
    def test_it_is_gone(self, home: pathlib.Path, full: Asker) -> None:
        answer = full.userdata("DELETE", "flows/one.json")
        assert (answer.status, answer.headers, answer.body) == (204, {}, b"")
        assert not (home / "flows/one.json").exists()
        assert full.userdata("DELETE", "flows/one.json").status == 404

    @pytest.mark.parametrize("name", ["none.json", "flows/none.json", "x" * 300])
    def test_missing(self, name: str, full: Asker) -> None:
        assert full.userdata("DELETE", name).status == 404


class TestMoving:
    def move(self, ask: Asker, source: str, target: str, query: str = "") -> Answer:
        return ask.post(f"/userdata/{quote(source, safe='')}/move/{quote(target, safe='')}?{query}")

    @pytest.mark.parametrize("target", ["b.json", "flows/b.json", "new/folder/b.json", "a b ü.json"])
    def test_the_answer_is_the_new_path(self, target: str, home: pathlib.Path, full: Asker) -> None:
        assert self.move(full, "a.json", target).holds() == (200, target)
        assert (home / target).read_bytes() == b"a.json"
        assert not (home / "a.json").exists()

    def test_full_info(self, full: Asker) -> None:
        info = self.move(full, "a.json", "b.json", "full_info=true").json()
        assert (set(info), info["path"]) == ({"path", "size", "modified", "created"}, "b.json")

    def test_missing(self, full: Asker) -> None:
        assert self.move(full, "none.json", "b.json").status == 404

    @pytest.mark.parametrize(
        ("query", "status"), [("", 200), ("overwrite=true", 200), ("overwrite=false", 409)]
    )
    def test_onto_another(self, query: str, status: int, home: pathlib.Path, full: Asker) -> None:
        answer = self.move(full, "a.json", "B.txt", query)
        assert answer.status == status
        moved = status == 200
        assert (home / "B.txt").read_bytes() == (b"a.json" if moved else b"B.txt")
        assert (home / "a.json").exists() is not moved
        if not moved:
            assert said(answer) == (409, TEXT, "File already exists")


class TestListing:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("dir=flows", ["one.json", "two.json"]),
            ("dir=flows/", ["one.json", "two.json"]),
            ("dir=flows/deep", ["three.json"]),
            ("dir=flows/../flows", ["one.json", "two.json"]),
            ("dir=empty", []),
            ("dir=.", ["B.txt", "a.json"]),
            ("dir=flows&recurse=false", ["one.json", "two.json"]),
            ("dir=flows&recurse=true", ["deep/three.json", "one.json", "two.json"]),
            ("dir=flows&split=true", [["one.json", "one.json"], ["two.json", "two.json"]]),
            (
                "dir=flows&split=true&recurse=true",
                [
                    ["deep/three.json", "deep", "three.json"],
                    ["one.json", "one.json"],
                    ["two.json", "two.json"],
                ],
            ),
        ],
    )
    def test_names(self, query: str, names: list[Any], full: Asker) -> None:
        status, listed = full.get(f"/userdata?{query}").holds()
        assert (status, sorted(listed)) == (200, sorted(names))

    def test_full_info(self, home: pathlib.Path, full: Asker) -> None:
        listed = full.get("/userdata?dir=flows&full_info=true").json()
        assert sorted(info["path"] for info in listed) == ["one.json", "two.json"]
        stat = (home / "flows" / "one.json").stat()
        info = next(info for info in listed if info["path"] == "one.json")
        assert (info["size"], info["modified"]) == (len("flows/one.json"), int(stat.st_mtime * 1000))

    @pytest.mark.parametrize(
        ("query", "status", "text"),
        [
            ("", 400, "Directory not provided"),
            ("dir=", 400, "Directory not provided"),
            ("dir=..", 403, "Invalid directory"),
            ("dir=../..", 403, "Invalid directory"),
            ("dir=/etc", 403, "Invalid directory"),
            ("dir=flows/../..", 403, "Invalid directory"),
            ("dir=none", 404, "Directory not found"),
            ("dir=flows/none", 404, "Directory not found"),
            (f"dir={'x' * 300}", 404, "Directory not found"),
        ],
    )
    def test_refused(self, query: str, status: int, text: str, full: Asker) -> None:
        assert said(full.get(f"/userdata?{query}")) == (status, TEXT, text)


class TestListingEverything:
    def names(self, answer: Answer) -> list[tuple[str, str]]:
        return [(entry["path"], entry["type"]) for entry in answer.json()]

    def test_folders_come_first_then_files_by_lower_case_name(self, full: Asker) -> None:
        assert self.names(full.get("/v2/userdata")) == [
            ("flows/deep", "directory"),
            ("empty", "directory"),
            ("flows", "directory"),
            ("a.json", "file"),
            ("B.txt", "file"),
            ("flows/one.json", "file"),
            ("flows/deep/three.json", "file"),
            ("flows/two.json", "file"),
        ]

    def test_below_a_folder(self, full: Asker) -> None:
        assert self.names(full.get("/v2/userdata", path="flows")) == [
            ("flows/deep", "directory"),
            ("flows/one.json", "file"),
            ("flows/deep/three.json", "file"),
            ("flows/two.json", "file"),
        ]

    def test_what_an_entry_tells(self, home: pathlib.Path, full: Asker) -> None:
        os.utime(home / "flows/deep/three.json", (5, 5))
        entries = {entry["path"]: entry for entry in full.get("/v2/userdata").json()}
        assert entries["flows"] == {"name": "flows", "path": "flows", "type": "directory"}
        file = entries["flows/deep/three.json"]
        assert set(file) == {"name", "path", "type", "size", "modified"}
        assert (file["name"], file["size"]) == ("three.json", len("flows/deep/three.json"))
        assert file["modified"] == 5000

    def test_empty(self, ask: Asker) -> None:
        assert ask.get("/v2/userdata").holds() == (200, [])

    @pytest.mark.parametrize(
        ("path", "status", "text"),
        [
            ("none", 404, "Requested path not found"),
            ("flows/none", 404, "Requested path not found"),
            ("x" * 300, 404, "Requested path not found"),
            ("..", 400, "Invalid path requested"),
            ("../..", 400, "Invalid path requested"),
            ("/etc", 400, "Invalid path requested"),
            ("a.json", 400, "Requested path is not a directory"),
            ("flows/one.json", 400, "Requested path is not a directory"),
        ],
    )
    def test_refused(self, path: str, status: int, text: str, full: Asker) -> None:
        assert said(full.get("/v2/userdata", path=path)) == (status, TEXT, text)


@pytest.mark.parametrize(
    "name", ["../a.json", "../../a.json", "flows/../../a.json", "/etc/passwd", "..", "/"]
)
class TestEscaping:
    """What would lie outside is forbidden to every verb."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
    def test_one_file(self, method: str, name: str, full: Asker) -> None:
        answer = full.userdata(method, name, b"x" if method == "POST" else b"")
        assert answer.status == 403 and answer.is_bare

    @pytest.mark.parametrize("target", [True, False], ids=["as target", "as source"])
    def test_moving(self, target: bool, name: str, full: Asker) -> None:
        escape, other = quote(name, safe=""), "a.json"
        path = f"/userdata/{other}/move/{escape}" if target else f"/userdata/{escape}/move/{other}"
        answer = full.post(path)
        assert answer.status == 403 and answer.is_bare
