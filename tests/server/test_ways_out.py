"""No name leads out of the server's folders: nothing outside is read, listed or changed."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from workflows import Graph

import comfystub
from server.outside import SECRET, World
from server.support import Answer, Asker, form, node, opened, picture, png


class Name(NamedTuple):
    """A name, and where it would lead: ``out``; nowhere, with a ``nul`` or ``long``; over a ``link``; or ``in``."""

    id: str
    kind: str
    text: str


#: ``{outside}`` is the absolute path of the folder beside the server's.
NAMES = [
    Name("parent", "out", "../outside/secret.png"),
    Name("two parents", "out", "../../outside/secret.png"),
    Name("many parents", "out", "../" * 12 + "etc/passwd"),
    Name("more parents than a path can hold", "out", "../" * 2000 + "etc/passwd"),
    Name("through a folder", "out", "sub/../../../outside/secret.png"),
    Name("through a folder that is there", "out", "./sub/./../..//../outside/secret.png"),
    Name("a folder whose name begins alike", "out", "../output2/secret.png"),
    Name("absolute", "out", "{outside}/secret.png"),
    Name("absolute, of the system", "out", "/etc/passwd"),
    Name("absolute, two slashes", "out", "//etc/passwd"),
    Name("a device", "out", "/dev/zero"),
    Name("the process", "out", "/proc/self/environ"),
    Name("a share with slashes", "out", "//host/share/secret.png"),
    Name("parent with a trailing slash", "out", "../"),
    Name("parent alone", "out", ".."),
    Name("NUL", "nul", "secret.png\0"),
    Name("NUL alone", "nul", "\0"),
    Name("NUL before the ending", "nul", "a\0.png"),
    Name("a long name", "long", "x" * 300),
    Name("a very long name", "long", "x" * 70_000),
    Name("a long path", "long", "a/" * 2500 + "x"),
    Name("a link to a file", "link", "link.png"),
    Name("below a link to a folder", "link", "linked/secret.png"),
    Name("deep below a link to a folder", "link", "linked/deep/secret.png"),
    Name("a link to nothing", "link", "dangling.png"),
    # on a POSIX system these are names like any other
    Name("backslashes", "in", "..\\..\\outside\\secret.png"),
    Name("a drive", "in", "C:\\Windows\\win.ini"),
    Name("a drive, relative", "in", "C:secret.png"),
    Name("a share", "in", "\\\\host\\share\\secret.png"),
    Name("encoded once more", "in", "%2e%2e%2foutside%2fsecret.png"),
    Name("encoded twice more", "in", "%252e%252e%252foutside%252fsecret.png"),
    Name("an overlong encoding", "in", "%c0%ae%c0%ae%c0%afsecret.png"),
    Name("one dot leaders", "in", "\u2024\u2024\u2215outside\u2215secret.png"),
    Name("two dot leader", "in", "\u2025\u2044secret.png"),
    Name("full width", "in", "\uff0e\uff0e\uff0foutside\uff0fsecret.png"),
    Name("a home folder", "in", "~root"),
    Name("a variable", "in", "$HOME"),
    Name("three dots", "in", "...png"),
    Name("right to left", "in", "\u202egnp.terces"),
]


@pytest.fixture
def world(tmp_path: pathlib.Path, stub: comfystub.Stub) -> World:
    return World(tmp_path, stub)


each_name = pytest.mark.parametrize("name", NAMES, ids=[name.id for name in NAMES])


@pytest.mark.parametrize(
    "meddle",
    [
        lambda outside: (outside / "secret.txt").read_bytes(),
        lambda outside: (outside / "new.txt").write_bytes(b""),
        lambda outside: (outside / "secret.txt").unlink(),
        lambda outside: (outside / "new").mkdir(),
        lambda outside: list(outside.iterdir()),
    ],
    ids=["read", "written", "removed", "made", "listed"],
)
def test_the_watch_sees_what_is_done_outside(meddle: Callable[[pathlib.Path], Any], world: World) -> None:
    with pytest.raises(AssertionError):
        with world.watched():
            meddle(world.outside)


@pytest.fixture
def text(name: Name, world: World) -> str:
    return name.text.replace("{outside}", str(world.outside))


def still_works(ask: Asker) -> None:
    """The server goes on after all that."""
    assert ask.upload("fine.png", png(), overwrite="true").status == 200
    assert opened(ask.view("fine.png", type="input").body).size == (8, 6)
    assert ask.run(picture(prefix="fine"))["status"]["completed"]


def tells_nothing(answer: Answer) -> None:
    assert SECRET not in answer.body
    assert b"root:" not in answer.body


@each_name
class TestViewing:
    @pytest.mark.parametrize(
        ("kind", "params"),
        [
            ("output", {}),
            ("input", {}),
            ("temp", {}),
            ("output", {"preview": "webp"}),
            ("output", {"channel": "rgb"}),
        ],
        ids=["output", "input", "temp", "preview", "channel"],
    )
    def test_a_file(
        self, kind: str, params: dict[str, Any], name: Name, text: str, world: World, ask: Asker
    ) -> None:
        with world.watched():
            plain = ask.view(text, type=kind, **params)
            annotated = ask.view(f"{text} [{kind}]", **params)
        expected = 400 if ".." in text or text.startswith("/") else 404
        assert (plain.status, annotated.status) == (expected, expected)
        assert plain.is_bare and annotated.is_bare

    @pytest.mark.parametrize("file", ["secret.png", "passwd"])
    def test_a_subfolder(self, file: str, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask.view(file, subfolder=text)
            whole = ask.view(file, subfolder=text.removesuffix("/secret.png"))
        assert answer.status in {"out": (403,), "link": (403,), "nul": (403, 404)}.get(name.kind, (404,))
        assert whole.status in (403, 404)
        assert answer.is_bare and whole.is_bare


@each_name
class TestUploading:
    STATUS = {"out": (400,), "link": (400,), "nul": (400, 500), "long": (500,), "in": (200,)}

    @pytest.mark.parametrize(
        "fields", [{}, {"overwrite": "true"}, {"type": "output"}, {"type": "temp"}], ids=str
    )
    def test_a_name(self, fields: dict[str, str], name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask("POST", "/upload/image", form(image=(text.replace("\\", "\\\\"), b"new"), **fields))
        assert answer.status in self.STATUS[name.kind]
        if answer.status == 200:
            said = answer.json()
            assert said["name"] == text
            assert (world.root / said["type"] / text).read_bytes() == b"new"

    def test_a_subfolder(self, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask.upload("new.png", b"new", subfolder=text, overwrite="true")
        assert answer.status in self.STATUS[name.kind]
        if answer.status == 200:
            assert (world.root / "input" / text / "new.png").read_bytes() == b"new"

    def test_a_mask(self, name: Name, text: str, world: World, ask: Asker) -> None:
        (world.root / "output" / "original.png").write_bytes(png())
        reference = json.dumps({"filename": "original.png"})
        with world.watched():
            answer = ask(
                "POST",
                "/upload/mask",
                form(image=(text.replace("\\", "\\\\"), png()), original_ref=reference),
            )
        assert answer.status in self.STATUS[name.kind]

    @pytest.mark.parametrize("which", ["filename", "subfolder"])
    def test_the_original_of_a_mask(
        self, which: str, name: Name, text: str, world: World, ask: Asker
    ) -> None:
        """One that is not in the folder is as good as none: the answer is 200, and no file is written."""
        reference = {"filename": "secret.png", "subfolder": ""} | {which: text}
        with world.watched():
            answer = ask(
                "POST", "/upload/mask", form(image=("mask.png", png()), original_ref=json.dumps(reference))
            )
        assert answer.holds() == (200, {"name": "mask.png", "subfolder": "", "type": "input"})
        assert not (world.root / "input" / "mask.png").exists()


@each_name
class TestUserData:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
    def test_reading_and_deleting(self, method: str, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask.userdata(method, text)
        assert answer.status in {"out": (403,), "link": (403,), "nul": (403, 404)}.get(name.kind, (404,))
        assert answer.body == b""

    @pytest.mark.parametrize("query", ["", "overwrite=false", "full_info=true"])
    def test_writing(self, query: str, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask.userdata("POST", text, b"new", query)
        expected = {"out": (403,), "link": (403,), "nul": (403, 500), "long": (500,), "in": (200,)}
        assert answer.status in expected[name.kind]
        if answer.status == 200:
            assert (world.root / "user" / text).read_bytes() == b"new"

    def test_moving_away(self, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask.post(f"/userdata/{quote(text, safe='')}/move/there.png")
        assert answer.status in {"out": (403,), "link": (403,), "nul": (403, 404)}.get(name.kind, (404,))
        assert not (world.root / "user" / "there.png").exists()

    def test_moving_to(self, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask.post(f"/userdata/taken.png/move/{quote(text, safe='')}")
        expected = {"out": (403,), "link": (403,), "nul": (403, 500), "long": (500,), "in": (200,)}
        assert answer.status in expected[name.kind]
        assert (world.root / "user" / "taken.png").exists() is (answer.status != 200)

    def test_listing(self, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answers = [
                ask.get("/userdata", dir=text),
                ask.get("/userdata", dir=text, recurse="true", full_info="true"),
                ask.get("/userdata", dir=text.removesuffix("/secret.png"), recurse="true"),
            ]
        for answer in answers:
            assert answer.status in {"out": (403,), "link": (403,), "nul": (403, 404)}.get(name.kind, (404,))
            tells_nothing(answer)

    def test_listing_everything(self, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            answer = ask.get("/v2/userdata", path=text)
        assert answer.status in {"out": (400,), "link": (400,), "nul": (400, 404)}.get(name.kind, (404,))


@each_name
class TestJobs:
    def test_saving(self, name: Name, text: str, world: World, ask: Asker) -> None:
        with world.watched():
            entry = ask.run(picture(prefix=text))
        # a prefix is only the beginning of a name, which may be that of a link, or dots
        inside = name.kind == "in" or (name.kind == "link" and "/" not in text) or text in ("..", "../")
        assert entry["status"]["completed"] is inside
        if not inside:
            _, data = entry["status"]["messages"][-1]
            assert data["node_id"] == "9"
            outside = "Saving image outside the output folder is not allowed" in data["exception_message"]
            assert outside or name.kind in ("nul", "long")

    def test_saving_below_what_looks_like_a_folder(
        self, name: Name, text: str, world: World, ask: Asker
    ) -> None:
        with world.watched():
            entry = ask.run(picture(prefix=f"{text}/p"))
        assert entry["status"]["completed"] is (name.kind == "in")

    def test_loading(self, name: Name, text: str, world: World, ask: Asker) -> None:
        graph: Graph = {"1": node("LoadImage", image=text), "9": node("PreviewImage", images=["1", 0])}
        with world.watched():
            answer = ask.post("/prompt", {"prompt": graph})
        (error,) = answer.json()["node_errors"]["1"]["errors"]
        assert (answer.status, error["type"]) == (400, "custom_validation_failed")
        assert error["details"] == f"image - Invalid image file: {text}"


@each_name
def test_other_names_lead_nowhere(name: Name, text: str, world: World, ask: Asker) -> None:
    missing = ("/models/{}", "/experiment/models/{}", "/view_metadata/{}?filename=secret.png")
    empty = ("/object_info/{}", "/history/{}", "/global_subgraphs/{}", "/settings/{}")
    with world.watched():
        for path in (*missing, "/view_metadata/checkpoints?filename={}"):
            answer = ask.get(path.replace("{}", quote(text, safe="")))
            assert answer.status == 404 and answer.is_bare
        for path in empty:
            answer = ask.get(path.replace("{}", quote(text, safe="")))
            assert answer.status == 200 and answer.json() in ({}, None)


@pytest.mark.parametrize("kind", ["..", "../../outside", "/etc", "user", "linked", "\0", "x" * 300])
def test_internal_files_are_of_three_folders_only(kind: str, world: World, ask: Asker) -> None:
    with world.watched():
        answer = ask.get(f"/internal/files/{quote(kind, safe='')}")
    assert answer.status >= 400
    tells_nothing(answer)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/userdata/..%2foutside%2fsecret.txt", 403),
        ("/userdata/..%2Foutside%2Fsecret.txt", 403),
        ("/userdata/%2e%2e%2foutside%2fsecret.txt", 403),
        ("/userdata/%2E%2E%2Foutside%2Fsecret.txt", 403),
        ("/userdata/%2e%2e/outside/secret.txt", 404),
        ("/userdata/../outside/secret.txt", 404),
        ("/userdata/%2e%2e", 403),
        ("/userdata/..", 403),
        ("/userdata/%252e%252e%252foutside%252fsecret.txt", 404),
        ("/userdata/%c0%ae%c0%ae%c0%afoutside%c0%afsecret.txt", 404),
        ("/userdata/..%5coutside%5csecret.txt", 404),
        ("/userdata/x%00", 403),
        ("/userdata/%2fetc%2fpasswd", 403),
        ("/view?filename=%2e%2e%2foutside%2fsecret.txt", 400),
        ("/view?filename=..%2Foutside%2Fsecret.txt", 400),
        ("/view?filename=%252e%252e%252foutside", 404),
        ("/view?filename=secret.txt&subfolder=%2e%2e%2f%2e%2e%2foutside", 403),
        ("/view?filename=secret.txt&subfolder=..&subfolder=", 403),
        ("/view?filename=secret.txt&type=..%2f..%2foutside", 400),
        ("/view/../outside/secret.txt", 404),
        ("/view/%2e%2e/outside/secret.txt", 404),
        ("/%2e%2e/outside/secret.txt", 404),
        ("/../../outside/secret.txt", 404),
        ("/api/userdata/..%2foutside%2fsecret.txt", 403),
        ("/api/view?filename=..%2foutside%2fsecret.txt", 400),
    ],
)
def test_however_a_way_out_is_encoded(target: str, status: int, world: World, ask: Asker) -> None:
    with world.watched():
        answer = ask("GET", target)
    assert answer.status == status
    tells_nothing(answer)


class TestLinks:
    """Links that somebody put into the folders: those that lead out are as if they were not there."""

    def test_they_are_not_listed(self, world: World, ask: Asker) -> None:
        with world.watched():
            names = ask.get("/userdata?dir=.&recurse=true&full_info=true").json()
            everything = ask.get("/v2/userdata").json()
            inputs = ask.get("/object_info/LoadImage").json()["LoadImage"]["input"]["required"]["image"][0]
            files = ask.get("/internal/files/output").json()
        assert [file["path"] for file in names] == ["taken.png"]
        assert [file["path"] for file in everything] == ["taken.png"]
        assert inputs == ["example.png", "taken.png"]
        assert files == ["taken.png [output]"]

    def test_a_free_name_is_none_of_theirs(self, world: World, ask: Asker) -> None:
        """``taken (1).png`` is a link to a file outside that does not exist."""
        with world.watched():
            answer = ask.upload("taken.png", b"new")
        assert answer.json()["name"] == "taken (2).png"
        assert (world.root / "input" / "taken (2).png").read_bytes() == b"new"

    @pytest.mark.parametrize("prefix", ["p_%batch_num%", ""])
    def test_a_name_that_is_overwritten_is_none_of_theirs(
        self, prefix: str, world: World, ask: Asker
    ) -> None:
        for name in ("p_0_00001_.png", "._00001_.png"):
            (world.root / "output" / name).symlink_to(world.outside / "written.png")
        with world.watched():
            entry = ask.run(picture(prefix=prefix))
        assert entry["status"]["status_str"] == "error"

    def test_those_within_the_folder_are_followed(self, world: World, ask: Asker) -> None:
        (world.root / "output" / "real.png").write_bytes(png())
        (world.root / "output" / "same.png").symlink_to("real.png")
        with world.watched():
            assert ask.view("same.png").status == 200


@pytest.mark.parametrize("text", ["\ud800", "a\udcff.png"])
def test_half_a_character(text: str, world: World, ask: Asker) -> None:
    """JSON can say what no text may hold."""
    graph: Graph = {"1": node("LoadImage", image=text), "9": node("PreviewImage", images=["1", 0])}
    reference = json.dumps({"filename": text})
    with world.watched():
        assert ask.post("/prompt", {"prompt": graph}).status == 400
        entry = ask.run(picture(prefix=f"../{text}"))
        mask = ask("POST", "/upload/mask", form(image=("mask.png", png()), original_ref=reference))
    assert entry["status"]["status_str"] == "error"
    assert mask.status == 200
    still_works(ask)


def test_after_all_of_them_the_server_goes_on(world: World, ask: Asker) -> None:
    for name in NAMES:
        text = name.text.replace("{outside}", str(world.outside))
        ask.view(text)
        ask.view("x.png", subfolder=text)
        ask.upload(text)
        ask.upload("x.png", subfolder=text)
        ask.userdata("GET", text)
        ask.userdata("DELETE", text)
        ask.post("/prompt", {"prompt": picture(prefix=text)})
    ask.stub.finish()
    with world.watched():
        still_works(ask)
