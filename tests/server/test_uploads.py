"""``/upload/image`` and ``/upload/mask``, and the forms they come in."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import httpx
import pytest
import requests
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import comfystub
from comfystub.server.multipart import NotMultipart, parse
from server.support import Answer, Asker, Form, form, node, opened, png


def saved(name: str, subfolder: str = "", type: str = "input") -> tuple[int, dict[str, str]]:
    return 200, {"name": name, "subfolder": subfolder, "type": type}


class TestImages:
    def test_it_lies_in_the_input_folder(self, stub: comfystub.Stub, ask: Asker) -> None:
        assert ask.upload("a.png", b"content").holds() == saved("a.png")
        assert (stub.input_dir / "a.png").read_bytes() == b"content"

    @pytest.mark.parametrize("kind", ["input", "temp", "output"])
    def test_the_type_says_the_folder(self, kind: str, stub: comfystub.Stub, ask: Asker) -> None:
        assert ask.upload("a.png", b"content", type=kind).holds() == saved("a.png", type=kind)
        folders = {"input": stub.input_dir, "temp": stub.temp_dir, "output": stub.output_dir}
        assert (folders[kind] / "a.png").read_bytes() == b"content"
        assert ask.view("a.png", type=kind).body == b"content"

    @pytest.mark.parametrize("kind", ["bogus", "user", "Input", "../input"])
    def test_an_unknown_type_is_trouble(self, kind: str, ask: Asker) -> None:
        assert ask.upload("a.png", type=kind).is_trouble

    @pytest.mark.parametrize("subfolder", ["deep", "deep/er", "deep/../other", "./deep", "deep/", "ü"])
    def test_a_subfolder_is_echoed_and_made(self, subfolder: str, stub: comfystub.Stub, ask: Asker) -> None:
        assert ask.upload("a.png", b"content", subfolder=subfolder).holds() == saved("a.png", subfolder)
        assert (stub.input_dir / subfolder / "a.png").resolve().read_bytes() == b"content"

    @pytest.mark.parametrize(
        ("overwrite", "name"),
        [
            (None, "a (1).png"),
            ("true", "a.png"),
            ("1", "a.png"),
            ("True", "a (1).png"),
            ("TRUE", "a (1).png"),
            ("yes", "a (1).png"),
            ("on", "a (1).png"),
            ("", "a (1).png"),
            ("false", "a (1).png"),
            ("0", "a (1).png"),
            ("2", "a (1).png"),
        ],
    )
    def test_exactly_true_or_1_overwrites(
        self, overwrite: str | None, name: str, stub: comfystub.Stub, ask: Asker
    ) -> None:
        ask.upload("a.png", b"first")
        fields = {} if overwrite is None else {"overwrite": overwrite}
        assert ask.upload("a.png", b"second", **fields).holds() == saved(name)
        assert (stub.input_dir / name).read_bytes() == b"second"

    def test_the_first_name_that_is_free_wins(self, ask: Asker) -> None:
        names = [ask.upload("a.png", content).json()["name"] for content in (b"1", b"2", b"3")]
        assert names == ["a.png", "a (1).png", "a (2).png"]

    @pytest.mark.parametrize(
        ("content", "name"), [(b"1", "a.png"), (b"2", "a (1).png"), (b"3", "a (2).png"), (b"4", "a (3).png")]
    )
    def test_or_the_first_with_the_same_content(
        self, content: bytes, name: str, stub: comfystub.Stub, ask: Asker
    ) -> None:
        for one in (b"1", b"2", b"3"):
            ask.upload("a.png", one)
        before = len(list(stub.input_dir.iterdir()))
        assert ask.upload("a.png", content).json()["name"] == name
        assert len(list(stub.input_dir.iterdir())) == before + (content == b"4")

    @pytest.mark.parametrize(
        ("name", "second"),
        [
            ("a", "a (1)"),
            ("a.tar.gz", "a.tar (1).gz"),
            (".hidden", ".hidden (1)"),
            ("a b.png", "a b (1).png"),
        ],
    )
    def test_the_number_goes_before_the_ending(self, name: str, second: str, ask: Asker) -> None:
        assert ask.upload(name, b"1").json()["name"] == name
        assert ask.upload(name, b"2").json()["name"] == second

    def test_each_folder_counts_for_itself(self, ask: Asker) -> None:
        ask.upload("a.png", b"1")
        assert ask.upload("a.png", b"2", subfolder="deep").holds() == saved("a.png", "deep")
        assert ask.upload("a.png", b"2", type="temp").holds() == saved("a.png", type="temp")

    @pytest.mark.parametrize(
        ("name", "content"),
        [("note.txt", b"hello"), ("empty.png", b""), ("broken.png", b"\x89PNG"), ("x.exe", b"\0\xff" * 100)],
    )
    def test_the_content_is_not_looked_at(
        self, name: str, content: bytes, stub: comfystub.Stub, ask: Asker
    ) -> None:
        assert ask.upload(name, content).holds() == saved(name)
        assert (stub.input_dir / name).read_bytes() == content

    @pytest.mark.parametrize(
        "name", ["../a.png", "../../a.png", "x/../../a.png", "/a.png", "/etc/a.png", ".."]
    )
    def test_a_name_that_leaves_the_folder(self, name: str, ask: Asker) -> None:
        answer = ask.upload(name)
        assert answer.status == 400 and answer.is_bare

    @pytest.mark.parametrize("subfolder", ["..", "../..", "../input2", "/etc", "/", "deep/../../.."])
    def test_a_subfolder_outside(self, subfolder: str, ask: Asker) -> None:
        answer = ask.upload("a.png", subfolder=subfolder)
        assert answer.status == 400 and answer.is_bare

    def test_a_name_with_a_path(self, stub: comfystub.Stub, ask: Asker) -> None:
        assert ask.upload("a/b/c.png").is_trouble
        assert not (stub.input_dir / "a").exists()
        ask.upload("x.png", subfolder="a/b")
        assert ask.upload("a/b/c.png", b"content").status == 200
        assert (stub.input_dir / "a/b/c.png").read_bytes() == b"content"

    @pytest.mark.parametrize(
        "sent",
        [
            form(other=("x.png", b"x")),
            form(overwrite="true"),
            Form("application/json", b'{"image": "x"}'),
            Form("application/x-www-form-urlencoded", b"image=x"),
            Form("multipart/form-data", form(image=("x.png", b"x")).body),
            Form("multipart/mixed; boundary=--comfystub", form(image=("x.png", b"x")).body),
            Form("", form(image=("x.png", b"x")).body),
            Form(form().content_type, b""),
        ],
        ids=[
            "a field of another name",
            "no file",
            "JSON",
            "a plain form",
            "no boundary",
            "another multipart",
            "no content type",
            "no body",
        ],
    )
    def test_what_holds_no_image(self, sent: Form, stub: comfystub.Stub, ask: Asker) -> None:
        answer = ask("POST", "/upload/image", sent)
        assert answer.status == 400 and answer.is_bare
        assert [path.name for path in stub.input_dir.iterdir()] == ["example.png"]

    def test_it_is_a_choice_at_once(self, ask: Asker) -> None:
        ask.upload("new.png", png())
        info = ask.get("/object_info/LoadImage").json()["LoadImage"]
        assert info["input"]["required"]["image"][0] == ["example.png", "new.png"]
        graph = {"1": node("LoadImage", image="new.png"), "9": node("PreviewImage", images=["1", 0])}
        assert ask.run(graph)["status"]["completed"]


NAMES = [
    "plain.png",
    "with space.png",
    "grün 日本 🦊.png",
    "semi;colon.png",
    "it's.png",
    "comma, dot..png",
    "100%.png",
    "a+b=c&d.png",
]


class TestForms:
    """What client libraries make of a form, and odd ones that are none of theirs."""

    @pytest.mark.parametrize("name", NAMES)
    def test_of_httpx(self, name: str, stub: comfystub.Stub) -> None:
        with stub.client() as client:
            answer = client.post(
                "/upload/image", files={"image": (name, b"\r\n--x\r\n")}, data={"overwrite": "1"}
            )
        assert (answer.status_code, answer.json()) == saved(name)
        assert (stub.input_dir / name).read_bytes() == b"\r\n--x\r\n"

    @pytest.mark.parametrize("name", NAMES)
    def test_of_requests(self, name: str, stub: comfystub.Stub, ask: Asker) -> None:
        request = requests.Request(
            "POST",
            "http://comfy.test:8188/upload/image",
            files={"image": (name, b"\r\n--x\r\n")},
            data={"type": "temp"},
        ).prepare()
        assert isinstance(request.body, bytes)
        answer = ask("POST", "/upload/image", Form(str(request.headers["content-type"]), request.body))
        assert answer.holds() == saved(name, type="temp")
        assert (stub.temp_dir / name).read_bytes() == b"\r\n--x\r\n"

    def test_quotes_in_a_name(self, ask: Asker) -> None:
        line = b'Content-Disposition: form-data; name="image"; filename="a \\"b\\".png"'
        answer = ask("POST", "/upload/image", Form("multipart/form-data; boundary=x", part(line)))
        assert answer.holds() == saved('a "b".png')

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ('multipart/form-data; boundary="x"', b"--x\r\n%b\r\n--x--\r\n"),
            ("Multipart/Form-Data; Boundary=x", b"--x\r\n%b\r\n--x--\r\n"),
            ("multipart/form-data; charset=utf-8; boundary=x", b"--x\r\n%b\r\n--x--\r\n"),
            ("multipart/form-data; boundary=x", b"preamble\r\n--x\r\n%b\r\n--x--\r\nepilogue"),
            ("multipart/form-data; boundary=x", b"\r\n--x\r\n%b\r\n--x--"),
        ],
    )
    def test_ways_to_write_one(self, content_type: str, body: bytes) -> None:
        inner = b'Content-Type: image/png\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\nX\r\nY'
        (field,) = parse(content_type, body.replace(b"%b", inner)).values()
        assert field == ("image", "a.png", b"X\r\nY")

    def test_of_two_fields_with_one_name_the_first_counts(self) -> None:
        one, two = (b'Content-Disposition: form-data; name="a"\r\n\r\n' + text for text in (b"1", b"2"))
        fields = parse(
            "multipart/form-data; boundary=x", b"--x\r\n" + one + b"\r\n--x\r\n" + two + b"\r\n--x--"
        )
        assert fields["a"].text == "1"

    @pytest.mark.parametrize(
        "content", [b"", b"\r\n", b"--", b"--x", b"\r\n\r\n", b"\r\n-", b"\0\xff", b"x" * 9999]
    )
    def test_content_comes_through_unchanged(self, content: bytes) -> None:
        sent = form(image=("a.bin", content), other="y")
        assert parse(sent.content_type, sent.body)["image"].content == content

    @pytest.mark.parametrize(
        "content_type", ["", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x"]
    )
    def test_what_is_none(self, content_type: str) -> None:
        with pytest.raises(NotMultipart):
            parse(content_type, b"--x\r\n\r\n--x--\r\n")

    @pytest.mark.parametrize(
        "other",
        [
            b"--x\r\nContent-Type: text/plain\r\n\r\n1\r\n",
            b"--x\r\nnot even a header\r\n",
            b'--x\r\nContent-Disposition: form-data; name="b"\r\n',
        ],
        ids=["without a name", "without headers", "without content"],
    )
    def test_what_is_no_field_is_passed_over(self, other: bytes) -> None:
        field = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n2\r\n'
        for body in (other + field, field + other):
            assert list(parse("multipart/form-data; boundary=x", body + b"--x--")) == ["a"]

    def test_what_comes_after_the_end_is_passed_over(self) -> None:
        field = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n2\r\n'
        body = field.replace(b"%b", b"a") + b"--x--\r\n" + field.replace(b"%b", b"b")
        assert list(parse("multipart/form-data; boundary=x", body)) == ["a"]


def part(line: bytes) -> bytes:
    return b"--x\r\n" + line + b"\r\n\r\ncontent\r\n--x--\r\n"


def with_texts(**texts: str) -> bytes:
    info = PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text)
    return png((10, 20, 30), (8, 6), pnginfo=info)


class TestMasks:
    @pytest.fixture(autouse=True)
    def original(self, stub: comfystub.Stub) -> None:
        (stub.output_dir / "o.png").write_bytes(with_texts(prompt="{}", workflow="[1]"))
        (stub.input_dir / "i.png").write_bytes(png((1, 2, 3), (8, 6)))

    def mask(self, ask: Asker, reference: Any, name: str = "mask.png", **fields: str) -> Answer:
        content = png((0, 0, 0, 77), (8, 6), "RGBA")
        return ask.upload(name, content, "/upload/mask", original_ref=json.dumps(reference), **fields)

    @pytest.mark.parametrize(
        ("reference", "colour"),
        [
            ({"filename": "o.png"}, (10, 20, 30)),
            ({"filename": "o.png", "type": "output"}, (10, 20, 30)),
            ({"filename": "o.png", "subfolder": ""}, (10, 20, 30)),
            ({"filename": "i.png", "type": "input"}, (1, 2, 3)),
        ],
    )
    def test_the_alpha_is_put_on_the_original(
        self, reference: dict[str, str], colour: tuple[int, ...], stub: comfystub.Stub, ask: Asker
    ) -> None:
        assert self.mask(ask, reference).holds() == saved("mask.png")
        image = opened((stub.input_dir / "mask.png").read_bytes())
        assert (image.format, image.mode, image.getpixel((3, 3))) == ("PNG", "RGBA", (*colour, 77))

    def test_the_texts_of_the_original_are_kept(self, stub: comfystub.Stub, ask: Asker) -> None:
        self.mask(ask, {"filename": "o.png"})
        image: Any = opened((stub.input_dir / "mask.png").read_bytes())
        assert image.text == {"prompt": "{}", "workflow": "[1]"}

    def test_an_original_in_a_subfolder(self, stub: comfystub.Stub, ask: Asker) -> None:
        (stub.output_dir / "deep").mkdir()
        (stub.output_dir / "deep" / "d.png").write_bytes(png((4, 5, 6), (8, 6)))
        self.mask(ask, {"filename": "d.png", "subfolder": "deep"})
        assert opened((stub.input_dir / "mask.png").read_bytes()).getpixel((0, 0)) == (4, 5, 6, 77)

    def test_the_other_rules_of_uploads_hold(self, stub: comfystub.Stub, ask: Asker) -> None:
        reference = {"filename": "o.png"}
        ask.upload("mask.png", b"in the way")
        assert self.mask(ask, reference).holds() == saved("mask (1).png")
        assert self.mask(ask, reference, overwrite="true").holds() == saved("mask.png")
        assert self.mask(ask, reference, type="temp", subfolder="m").holds() == saved("mask.png", "m", "temp")
        assert (stub.temp_dir / "m" / "mask.png").exists()
        assert self.mask(ask, reference, "../mask.png").status == 400
        assert self.mask(ask, reference, type="bogus").is_trouble

    @pytest.mark.parametrize(
        "reference",
        [
            {"filename": "gone.png"},
            {"filename": "o.png", "type": "input"},
            {"filename": "o.png", "type": "temp"},
            {"filename": "o.png", "subfolder": "none"},
            {"filename": "o.png", "subfolder": ".."},
            {"filename": "i.png", "subfolder": "../input"},
            {"filename": "passwd", "subfolder": "/etc"},
            {"filename": "x" * 300},
        ],
    )
    def test_an_original_that_is_not_there(
        self, reference: dict[str, str], stub: comfystub.Stub, ask: Asker
    ) -> None:
        """The answer names a file that nobody wrote."""
        assert self.mask(ask, reference).holds() == saved("mask.png")
        assert not (stub.input_dir / "mask.png").exists()

    def test_without_an_original_it_is_trouble(self, stub: comfystub.Stub, ask: Asker) -> None:
        assert ask.upload("mask.png", png(), "/upload/mask").is_trouble
        assert not (stub.input_dir / "mask.png").exists()

    @pytest.mark.parametrize("reference", ["", "{", "nonsense"])
    def test_a_reference_that_is_no_json_is_trouble(self, reference: str, ask: Asker) -> None:
        assert ask.upload("mask.png", png(), "/upload/mask", original_ref=reference).is_trouble

    def test_a_form_without_an_image(self, ask: Asker) -> None:
        sent = form(original_ref='{"filename": "o.png"}')
        answer = ask("POST", "/upload/mask", sent)
        assert answer.status == 400 and answer.is_bare


def test_a_picture_uploaded_by_httpx_comes_back(stub: comfystub.Stub) -> None:
    file = BytesIO()
    Image.new("RGB", (5, 4), (1, 2, 3)).save(file, "PNG")
    with stub.client() as client:
        name = client.post("/upload/image", files={"image": ("p.png", file.getvalue(), "image/png")}).json()[
            "name"
        ]
        response: httpx.Response = client.get("/view", params={"filename": name, "type": "input"})
    assert response.headers["content-type"] == "image/png"
    assert response.content == file.getvalue()
