"""``GET /view``: finding a file, the whole of it or a part, and pictures made of pictures."""

from __future__ import annotations

import math
import os
import pathlib
from email.utils import formatdate
from typing import Any

import pytest

import comfystub
from server.support import Answer, Asker, opened, picture, png

CONTENT = b"0123456789"


def put(folder: pathlib.Path, name: str, content: bytes = CONTENT) -> pathlib.Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class TestFinding:
    @pytest.fixture(autouse=True)
    def files(self, stub: comfystub.Stub) -> None:
        put(stub.output_dir, "o.bin", b"output")
        put(stub.output_dir, "sub/deep/s.bin", b"deep")
        put(stub.input_dir, "i.bin", b"input")
        put(stub.temp_dir, "t.bin", b"temp")
        put(stub.output_dir, "odd [name].bin", b"odd")
        put(stub.output_dir, " lead.bin", b"lead")

    @pytest.mark.parametrize(
        ("params", "content"),
        [
            ({"filename": "o.bin"}, b"output"),
            ({"filename": "o.bin", "type": "output"}, b"output"),
            ({"filename": "i.bin", "type": "input"}, b"input"),
            ({"filename": "t.bin", "type": "temp"}, b"temp"),
            ({"filename": "o.bin", "subfolder": ""}, b"output"),
            ({"filename": "s.bin", "subfolder": "sub/deep"}, b"deep"),
            ({"filename": "s.bin", "subfolder": "sub/../sub/deep"}, b"deep"),
            ({"filename": "i.bin [input]"}, b"input"),
            ({"filename": "t.bin [temp]"}, b"temp"),
            ({"filename": "o.bin [output]"}, b"output"),
            ({"filename": "t.bin [temp]", "type": "output"}, b"temp"),
            ({"filename": "odd [name].bin"}, b"odd"),
            # only the base name counts
            ({"filename": "anything/at/all/o.bin"}, b"output"),
            ({"filename": "sub/deep/s.bin", "subfolder": "sub/deep"}, b"deep"),
            ({"filename": "x/t.bin [temp]"}, b"temp"),
        ],
    )
    def test_found(self, params: dict[str, Any], content: bytes, ask: Asker) -> None:
        answer = ask.get("/view", **params)
        assert (answer.status, answer.body) == (200, content)

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            # not there
            ("", 404),
            ("type=output", 404),
            ("filename=nope.png", 404),
            ("filename=o.bin&type=input", 404),
            ("filename=o.bin&type=temp", 404),
            ("filename=o.bin%20[input]", 404),
            ("filename=s.bin", 404),
            ("filename=sub/deep/s.bin", 404),
            ("filename=sub", 404),
            ("filename=o.bin&subfolder=none", 404),
            ("filename=O.BIN", 404),
            ("filename=o.bin%20[elsewhere]", 404),
            # a bad name
            ("filename=", 400),
            ("filename=&type=output", 400),
            ("filename=../o.bin", 400),
            ("filename=..", 400),
            ("filename=a..b", 400),
            ("filename=x/../o.bin", 400),
            ("filename=..%5Co.bin", 400),
            ("filename=..%20[temp]", 400),
            ("filename=%2Fetc%2Fpasswd", 400),
            ("filename=/o.bin", 400),
            ("filename=%20[output]", 400),
            # a bad type
            ("filename=o.bin&type=", 400),
            ("filename=o.bin&type=bogus", 400),
            ("filename=o.bin&type=user", 400),
            ("filename=o.bin&type=Output", 400),
            ("filename=o.bin&type=../output", 400),
            # a subfolder outside
            ("filename=o.bin&subfolder=..", 403),
            ("filename=o.bin&subfolder=../..", 403),
            ("filename=i.bin&subfolder=../input", 403),
            ("filename=nope&subfolder=sub/../..", 403),
            ("filename=passwd&subfolder=/etc", 403),
            ("filename=o.bin&subfolder=../output2", 403),
        ],
    )
    def test_refused(self, query: str, status: int, ask: Asker) -> None:
        answer = ask.get(f"/view?{query}")
        assert answer.status == status
        assert answer.is_bare

    @pytest.mark.parametrize("length", [200, 256, 5000])
    def test_a_name_too_long_for_any_file_is_not_there(self, length: int, ask: Asker) -> None:
        assert ask.view("x" * length).status == 404
        assert ask.view("x.png", subfolder="x" * length).status == 404

    def test_what_a_job_saved(self, stub: comfystub.Stub, ask: Asker) -> None:
        entry = ask.run(picture(prefix="a/b"))
        (image,) = entry["outputs"]["9"]["images"]
        answer = ask.get("/view", **image)
        assert answer.body == (stub.output_dir / "a" / "b_00001_.png").read_bytes()
        assert (answer.type, opened(answer.body).size) == ("image/png", (8, 8))


class TestHeaders:
    @pytest.mark.parametrize(
        ("name", "disposition"),
        [
            ("plain.png", 'filename="plain.png"'),
            ("with space.png", 'filename="with space.png"'),
            ('quo"ted".png', r'filename="quo\"ted\".png"'),
            ("semi;colon.png", 'filename="semi;colon.png"'),
            ("it's.png", 'filename="it\'s.png"'),
            ("grün 日本 🦊.png", 'filename="grün 日本 🦊.png"'),
        ],
    )
    def test_the_name_is_told(self, name: str, disposition: str, stub: comfystub.Stub, ask: Asker) -> None:
        put(stub.output_dir, name)
        assert ask.view(name).headers["content-disposition"] == disposition

    def test_the_name_goes_over_the_wire_as_utf_8(self, stub: comfystub.Stub) -> None:
        put(stub.output_dir, "grün.png")
        with stub.client() as client:
            raw = dict(client.get("/view", params={"filename": "grün.png"}).headers.raw)
        assert raw[b"Content-Disposition"] == 'filename="grün.png"'.encode()

    @pytest.mark.parametrize(
        ("name", "content_type"),
        [
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.jpeg", "image/jpeg"),
            ("a.gif", "image/gif"),
            ("a.webp", "image/webp"),
            ("a.mp4", "video/mp4"),
            ("a.txt", "text/plain"),
            ("a.json", "application/json"),
            ("a.zip", "application/zip"),
            ("a.PNG", "image/png"),
            ("a", "application/octet-stream"),
            ("a.safetensors", "application/octet-stream"),
        ],
    )
    def test_the_type_goes_by_the_name(
        self, name: str, content_type: str, stub: comfystub.Stub, ask: Asker
    ) -> None:
        put(stub.output_dir, name)
        assert ask.view(name).type == content_type

    def test_all_of_them(self, stub: comfystub.Stub, ask: Asker) -> None:
        path = put(stub.output_dir, "a.png")
        stat = path.stat()
        answer = ask.view("a.png")
        assert answer.headers == {
            "content-type": "image/png",
            "content-disposition": 'filename="a.png"',
            "x-content-type-options": "nosniff",
            "etag": f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"',
            "last-modified": formatdate(math.ceil(stat.st_mtime), usegmt=True),
            "accept-ranges": "bytes",
            "content-length": "10",
        }

    def test_the_etag_follows_the_file(self, stub: comfystub.Stub, ask: Asker) -> None:
        path = put(stub.output_dir, "a.png")
        os.utime(path, ns=(0, 0x123456789A))
        assert ask.view("a.png").headers["etag"] == '"123456789a-a"'

    @pytest.mark.parametrize("name", ["a.html", "a.htm", "a.svg", "a.js", "a.css", "a.xml", "A.HTML"])
    def test_what_a_browser_would_run_is_a_download(
        self, name: str, stub: comfystub.Stub, ask: Asker
    ) -> None:
        put(stub.output_dir, name, b"<b>x</b>")
        answer = ask.view(name)
        assert (answer.status, answer.body) == (200, b"<b>x</b>")
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Sec-Fetch-Dest"
        assert answer.headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize(
        ("name", "dest", "content_type"),
        [
            ("a.svg", "image", "image/svg+xml"),
            ("a.svg", "document", "application/octet-stream"),
            ("a.svg", "empty", "application/octet-stream"),
            ("a.html", "image", "application/octet-stream"),
            ("a.xml", "image", "application/octet-stream"),
        ],
    )
    def test_an_svg_for_a_picture_comes_inline(
        self, name: str, dest: str, content_type: str, stub: comfystub.Stub, ask: Asker
    ) -> None:
        put(stub.output_dir, name, b"<svg/>")
        answer = ask.view(name, headers={"sec-fetch-dest": dest})
        assert answer.type == content_type
        inline = content_type == "image/svg+xml"
        assert answer.headers["content-disposition"].startswith("attachment") is not inline


class TestRanges:
    @pytest.fixture
    def part(self, stub: comfystub.Stub, ask: Asker) -> Any:
        put(stub.output_dir, "a.bin")
        return lambda asked: ask.view("a.bin", headers={"range": asked})

    @pytest.mark.parametrize(
        ("asked", "content", "content_range"),
        [
            ("bytes=0-7", b"01234567", "bytes 0-7/10"),
            ("bytes=0-0", b"0", "bytes 0-0/10"),
            ("bytes=3-5", b"345", "bytes 3-5/10"),
            ("bytes=9-9", b"9", "bytes 9-9/10"),
            ("bytes=5-", b"56789", "bytes 5-9/10"),
            ("bytes=0-", CONTENT, "bytes 0-9/10"),
            ("bytes=0-9", CONTENT, "bytes 0-9/10"),
            ("bytes=0-999999", CONTENT, "bytes 0-9/10"),
            ("bytes=8-999999", b"89", "bytes 8-9/10"),
            ("bytes=-3", b"789", "bytes 7-9/10"),
            ("bytes=-10", CONTENT, "bytes 0-9/10"),
            ("bytes=-99", CONTENT, "bytes 0-9/10"),
        ],
    )
    def test_a_part(self, asked: str, content: bytes, content_range: str, part: Any) -> None:
        answer = part(asked)
        assert (answer.status, answer.body) == (206, content)
        assert answer.headers["content-range"] == content_range
        assert answer.headers["content-length"] == str(len(content))
        assert answer.headers["accept-ranges"] == "bytes"

    @pytest.mark.parametrize(
        "asked",
        [
            "bytes=10-",
            "bytes=999999-",
            "bytes=10-20",
            "bytes=5-4",
            "bytes=-",
            "bytes=",
            "bytes",
            "bytes=a-b",
            "bytes=0-x",
            "bytes=0-1,3-4",
            "bytes=0-1, 3-4",
            "items=0-1",
            "0-1",
            "nonsense",
            "bytes=" + "9" * 5000 + "-",
            "bytes=٠-٣",
        ],
    )
    def test_bad_unsatisfiable_and_multiple_ones(self, asked: str, part: Any) -> None:
        answer = part(asked)
        assert answer.status == 416
        assert answer.headers["content-range"] == "bytes */10"

    def test_of_an_empty_file(self, stub: comfystub.Stub, ask: Asker) -> None:
        put(stub.output_dir, "empty.bin", b"")
        assert (ask.view("empty.bin").status, ask.view("empty.bin").body) == (200, b"")
        assert (ask.view("empty.bin").status, ask.view("empty.bin").body) == (200, b"")
        assert ask.view("empty.bin", headers={"range": "bytes=0-"}).status == 416

    def test_head(self, stub: comfystub.Stub, ask: Asker) -> None:
        put(stub.output_dir, "a.bin")
        answer = ask("HEAD", "/view", params={"filename": "a.bin"}, headers={"range": "bytes=2-4"})
        assert (answer.status, answer.body, answer.headers["content-length"]) == (206, b"", "3")


PAST, FUTURE = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"


class TestConditions:
    @pytest.fixture
    def etag(self, stub: comfystub.Stub, ask: Asker) -> str:
        put(stub.output_dir, "a.bin")
        return ask.view("a.bin").headers["etag"]

    def ask_if(self, ask: Asker, etag: str, conditions: dict[str, str]) -> Answer:
        """``ETAG`` and ``MODIFIED`` in the conditions stand for the file's own."""
        modified = ask.view("a.bin").headers["last-modified"]
        headers = {
            name: value.replace("ETAG", etag).replace("MODIFIED", modified)
            for name, value in conditions.items()
        }
        return ask.view("a.bin", headers=headers)

    @pytest.mark.parametrize(
        ("conditions", "status"),
        [
            ({"if-none-match": "ETAG"}, 304),
            ({"if-none-match": "*"}, 304),
            ({"if-none-match": '"other", ETAG'}, 304),
            ({"if-none-match": "W/ETAG"}, 304),
            ({"if-none-match": '"other"'}, 200),
            ({"if-none-match": '"other", "another"'}, 200),
            ({"if-modified-since": FUTURE}, 304),
            ({"if-modified-since": "MODIFIED"}, 304),
            ({"if-modified-since": PAST}, 200),
            ({"if-modified-since": "no date"}, 200),
            ({"if-match": "ETAG"}, 200),
            ({"if-match": "*"}, 200),
            ({"if-match": '"other", ETAG'}, 200),
            ({"if-match": '"other"'}, 412),
            ({"if-match": "W/ETAG"}, 412),
            ({"if-match": ""}, 200),
            ({"if-none-match": ""}, 200),
            ({"if-unmodified-since": FUTURE}, 200),
            ({"if-unmodified-since": "MODIFIED"}, 200),
            ({"if-unmodified-since": PAST}, 412),
            ({"if-unmodified-since": "no date"}, 200),
            ({"if-match": "ETAG", "if-unmodified-since": PAST}, 200),
            # a tag goes before a date
            ({"if-none-match": '"other"', "if-modified-since": FUTURE}, 200),
            ({"if-none-match": "ETAG", "if-modified-since": PAST}, 304),
            ({"if-match": '"other"', "if-none-match": "ETAG"}, 412),
            ({"if-match": "ETAG", "if-none-match": "ETAG"}, 304),
            # and a condition before a range
            ({"if-none-match": "ETAG", "range": "bytes=0-1"}, 304),
            ({"if-match": '"other"', "range": "bytes=0-1"}, 412),
            ({"if-none-match": '"other"', "range": "bytes=0-1"}, 206),
            ({"if-match": "ETAG", "range": "bytes=0-1"}, 206),
            # a range for an unchanged file alone
            ({"if-range": FUTURE, "range": "bytes=0-1"}, 206),
            ({"if-range": "MODIFIED", "range": "bytes=0-1"}, 206),
            ({"if-range": PAST, "range": "bytes=0-1"}, 200),
            ({"if-range": "ETAG", "range": "bytes=0-1"}, 206),
            ({"if-range": PAST}, 200),
        ],
    )
    def test_status(self, conditions: dict[str, str], status: int, etag: str, ask: Asker) -> None:
        answer = self.ask_if(ask, etag, conditions)
        assert answer.status == status
        assert answer.body == {200: CONTENT, 206: CONTENT[:2]}.get(status, b"")

    def test_not_modified_has_no_length(self, etag: str, ask: Asker) -> None:
        answer = self.ask_if(ask, etag, {"if-none-match": "ETAG"})
        assert "content-length" not in answer.headers and "content-type" not in answer.headers

    def test_a_changed_file_is_sent_again(self, etag: str, stub: comfystub.Stub, ask: Asker) -> None:
        path = put(stub.output_dir, "a.bin", b"changed")
        os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
        answer = ask.view("a.bin", headers={"if-none-match": etag})
        assert (answer.status, answer.body) == (200, b"changed")


class TestConversions:
    @pytest.fixture(autouse=True)
    def files(self, stub: comfystub.Stub) -> None:
        put(stub.output_dir, "rgb.png", png((10, 200, 30), (40, 30)))
        put(stub.output_dir, "rgba.png", png((10, 200, 30, 77), (40, 30), "RGBA"))
        put(stub.output_dir, "text.png", b"not a picture")
        put(stub.output_dir, "page.html", png())

    @pytest.mark.parametrize(
        ("name", "params", "content_type", "mode"),
        [
            ("rgb.png", {"preview": "webp"}, "image/webp", "RGB"),
            ("rgb.png", {"preview": "webp;80"}, "image/webp", "RGB"),
            ("rgb.png", {"preview": "jpeg"}, "image/jpeg", "RGB"),
            ("rgb.png", {"preview": "jpeg;70"}, "image/jpeg", "RGB"),
            ("rgb.png", {"preview": "jpeg;high"}, "image/jpeg", "RGB"),
            ("rgb.png", {"preview": "bogus"}, "image/webp", "RGB"),
            ("rgb.png", {"preview": ""}, "image/webp", "RGB"),
            ("rgba.png", {"preview": "webp"}, "image/webp", "RGBA"),
            ("rgba.png", {"preview": "jpeg"}, "image/jpeg", "RGB"),
            ("rgba.png", {"preview": "jpeg", "channel": "rgb"}, "image/jpeg", "RGB"),
            ("rgba.png", {"preview": "jpeg", "channel": "rgba"}, "image/webp", "RGBA"),
            ("rgba.png", {"preview": "jpeg", "channel": "a"}, "image/webp", "RGBA"),
            ("rgba.png", {"preview": "webp", "channel": "rgb"}, "image/webp", "RGB"),
            ("rgb.png", {"channel": "rgb"}, "image/png", "RGB"),
            ("rgba.png", {"channel": "rgb"}, "image/png", "RGB"),
            ("rgb.png", {"channel": "a"}, "image/png", "RGBA"),
            ("rgba.png", {"channel": "a"}, "image/png", "RGBA"),
        ],
    )
    def test_format(
        self, name: str, params: dict[str, Any], content_type: str, mode: str, ask: Asker
    ) -> None:
        answer = ask.view(name, **params)
        image = opened(answer.body)
        assert (answer.status, f"image/{image.format}".lower()) == (200, content_type)
        assert (image.mode, image.size) == (mode, (40, 30))
        assert answer.headers == {
            "content-type": content_type,
            "content-disposition": f'filename="{name}"',
            "content-length": str(len(answer.body)),
        }

    @pytest.mark.parametrize(("name", "pixel"), [("rgba.png", (0, 0, 0, 77)), ("rgb.png", (0, 0, 0, 255))])
    def test_the_alpha_comes_on_black(self, name: str, pixel: tuple[int, ...], ask: Asker) -> None:
        assert opened(ask.view(name, channel="a").body).getpixel((5, 5)) == pixel

    @pytest.mark.parametrize("channel", ["rgba", "", "r", "alpha", "RGB"])
    def test_any_other_channel_is_the_file_itself(
        self, channel: str, stub: comfystub.Stub, ask: Asker
    ) -> None:
        answer = ask.view("rgba.png", channel=channel)
        assert answer.body == (stub.output_dir / "rgba.png").read_bytes()
        assert "etag" in answer.headers

    @pytest.mark.parametrize(
        "params", [{"preview": "webp"}, {"preview": "jpeg"}, {"channel": "rgb"}, {"channel": "a"}]
    )
    def test_what_is_no_picture_is_trouble(self, params: dict[str, Any], ask: Asker) -> None:
        assert ask.view("text.png", **params).is_trouble

    def test_conditions_and_ranges_do_not_count(self, ask: Asker) -> None:
        headers = {"if-none-match": "*", "if-match": '"x"', "range": "bytes=0-1"}
        assert ask.view("rgb.png", headers=headers, preview="webp").status == 200

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("filename=nope.png", 404),
            ("filename=../rgb.png", 400),
            ("filename=rgb.png&type=bogus", 400),
            ("filename=rgb.png&subfolder=..", 403),
            ("", 404),
        ],
    )
    def test_what_is_not_found_is_refused_alike(self, query: str, status: int, ask: Asker) -> None:
        answer = ask.get(f"/view?{query}&preview=webp")
        assert answer.status == status and answer.is_bare
