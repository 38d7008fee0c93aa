"""The server's folders: what lies inside them, and the names that new files get."""

from __future__ import annotations

import os
import pathlib
import time

import pytest

from comfystub.media.files import (
    TYPES,
    Folders,
    SavePlace,
    entries,
    fill_tokens,
    highest_number,
    inside,
    split_annotation,
)

NOON = time.mktime((2026, 3, 9, 8, 5, 7, 0, 0, -1))


@pytest.fixture
def folders(tmp_path: pathlib.Path) -> Folders:
    return Folders(root=tmp_path / "root")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder beside which there is another."""
    made = tmp_path.resolve() / "folder"
    made.mkdir()
    (made.parent / "beside").mkdir()
    (made.parent / "beside" / "secret").write_text("secret")
    return made


def place(folders: Folders, prefix: str, kind: str = "output") -> SavePlace:
    return folders.save_place(kind, prefix, (640, 480), NOON)


def save(folders: Folders, prefix: str, ending: str = ".png", count: int = 1) -> list[str]:
    """Save a batch; the paths below the output folder."""
    there = place(folders, prefix)
    names = [there.save(ending, b"new", number) for number in range(count)]
    return [os.path.join(there.subfolder, name) for name in names]


class TestFolders:
    @pytest.mark.parametrize("kind", [*TYPES, "user"])
    def test_they_lie_below_the_root(self, kind: str, folders: Folders) -> None:
        assert folders.folder(kind) == folders.root / kind
        assert folders.folder(kind).is_dir()

    def test_none_is_made_before_it_is_asked_for(self, tmp_path: pathlib.Path) -> None:
        folders = Folders(root=tmp_path / "root")
        assert not (tmp_path / "root").exists()
        folders.folder("temp")
        assert [path.name for path in (tmp_path / "root").iterdir()] == ["temp"]

    def test_the_output_folder_can_be_elsewhere(self, tmp_path: pathlib.Path) -> None:
        folders = Folders(root=tmp_path / "root", output=tmp_path / "mine" / "deep")
        assert folders.folder("output") == (tmp_path / "mine" / "deep").resolve()
        assert folders.folder("output").is_dir()
        assert folders.folder("temp") == (tmp_path / "root" / "temp").resolve()

    def test_links_to_them_are_followed(self, tmp_path: pathlib.Path) -> None:
        """Else nothing that lies in a linked folder would lie in it."""
        (tmp_path / "real").mkdir()
        (tmp_path / "linked").symlink_to(tmp_path / "real")
        folders = Folders(root=tmp_path / "linked", output=tmp_path / "linked")
        assert folders.folder("output") == (tmp_path / "real").resolve()
        assert inside(folders.folder("input"), "a.png") is not None
        assert save(folders, "a") == ["a_00001_.png"]

    def test_one_picture_lies_in_a_fresh_input_folder(self, tmp_path: pathlib.Path) -> None:
        folders = Folders(root=tmp_path, example=lambda: b"picture")
        assert folders.input_files() == ["example.png"]
        assert (folders.folder("input") / "example.png").read_bytes() == b"picture"

    def test_a_temporary_root_goes(self) -> None:
        folders = Folders()
        root = folders.root
        save(folders, "deep/a")
        assert root.is_dir()
        folders.remove()
        assert not root.exists()

    def test_a_temporary_root_that_is_kept(self, tmp_path: pathlib.Path) -> None:
        folders = Folders(keep=True)
        save(folders, "a")
        folders.remove()
        assert folders.folder("output").is_dir()
        folders.root.rename(tmp_path / "tidy")

    def test_a_given_root_and_a_given_output_stay(self, tmp_path: pathlib.Path) -> None:
        for folders in (Folders(root=tmp_path / "a"), Folders(output=tmp_path / "b")):
            save(folders, "x")
            folders.remove()
        assert (tmp_path / "a" / "output" / "x_00001_.png").exists()
        assert (tmp_path / "b" / "x_00001_.png").exists()

    def test_removing_does_not_follow_links(self, tmp_path: pathlib.Path) -> None:
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("x")
        folders = Folders()
        (folders.folder("output") / "link").symlink_to(tmp_path / "precious")
        folders.remove()
        assert (tmp_path / "precious" / "file").read_text() == "x"

    def test_input_files_are_those_of_the_folder_itself(self, folders: Folders) -> None:
        for name in ("b.png", "a.txt", ".hidden", "sub/deep.png"):
            (folders.folder("input") / name).parent.mkdir(exist_ok=True)
            (folders.folder("input") / name).write_bytes(b"")
        assert folders.input_files() == [".hidden", "a.txt", "b.png"]


class TestLocating:
    @pytest.mark.parametrize(
        ("name", "split"),
        [
            ("a.png", ("a.png", None)),
            ("a.png [output]", ("a.png", "output")),
            ("a.png [input]", ("a.png", "input")),
            ("a.png [temp]", ("a.png", "temp")),
            ("sub/a.png [temp]", ("sub/a.png", "temp")),
            ("a.png [user]", ("a.png [user]", None)),
            ("a.png[temp]", ("a.png[temp]", None)),
            ("a.png [temp] ", ("a.png [temp] ", None)),
            ("a.png [TEMP]", ("a.png [TEMP]", None)),
            ("a.png [temp] [input]", ("a.png [temp]", "input")),
            (" [temp]", ("", "temp")),
            ("", ("", None)),
        ],
    )
    def test_annotations(self, name: str, split: tuple[str, str | None]) -> None:
        assert split_annotation(name) == split

    @pytest.mark.parametrize(
        ("name", "default", "kind", "path"),
        [
            ("a.png", "input", "input", "a.png"),
            ("a.png", "output", "output", "a.png"),
            ("a.png [temp]", "input", "temp", "a.png"),
            ("sub/a.png [output]", "input", "output", "sub/a.png"),
        ],
    )
    def test_an_annotated_name(self, name: str, default: str, kind: str, path: str, folders: Folders) -> None:
        assert folders.locate(name, default) == folders.root / kind / path

    @pytest.mark.parametrize(
        "name", ["../a.png", "/etc/passwd", "../output/a.png", "../input [output]", "a\0"]
    )
    def test_a_name_that_leaves_its_folder(self, name: str, folders: Folders) -> None:
        assert folders.locate(name) is None


class TestInside:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("a", "a"),
            ("a/b/c", "a/b/c"),
            ("", ""),
            (".", ""),
            ("./a", "a"),
            ("a/..", ""),
            ("a/../b", "b"),
            ("a//b", "a/b"),
            ("a/", "a"),
            ("..a", "..a"),
            ("a..b", "a..b"),
            ("...", "..."),
            ("%2e%2e", "%2e%2e"),
            ("C:\\windows", "C:\\windows"),
            ("..\\a", "..\\a"),
            ("\u2025/a", "\u2025/a"),
            ("\uff0e\uff0e/a", "\uff0e\uff0e/a"),
            ("~/a", "~/a"),
            ("x" * 300, "x" * 300),
        ],
    )
    def test_it_is(self, name: str, path: str, folder: pathlib.Path) -> None:
        assert inside(folder, name) == folder / path

    @pytest.mark.parametrize(
        "name",
        [
            "..",
            "../",
            "../beside",
            "../beside/secret",
            "../folder2",
            "../folde",
            "a/../../beside",
            "a/b/../../..",
            "/",
            "/etc/passwd",
            "//etc/passwd",
            "a\0b",
            "\0",
            "\ud800",
        ],
    )
    def test_it_is_not(self, name: str, folder: pathlib.Path) -> None:
        assert inside(folder, name) is None

    def test_an_absolute_path_back_into_it_is_inside(self, folder: pathlib.Path) -> None:
        assert inside(folder, f"{folder}/a") == folder / "a"
        assert inside(folder, "../folder/a") == folder / "a"

    @pytest.mark.parametrize(
        ("link", "target", "name", "good"),
        [
            ("link", "../beside", "link", False),
            ("link", "../beside", "link/secret", False),
            ("link", "../beside/secret", "link", False),
            ("link", "../nowhere", "link", False),
            ("link", "/", "link/etc/passwd", False),
            ("link", "real", "link", True),
            ("link", "real", "link/deep", True),
            ("link", "real/none", "link", True),
            ("link", "../folder/real", "link/deep", True),
            ("link", "link", "link", True),
        ],
    )
    def test_links_are_followed(
        self, link: str, target: str, name: str, good: bool, folder: pathlib.Path
    ) -> None:
        (folder / "real").mkdir()
        (folder / link).symlink_to(target)
        assert (inside(folder, name) is not None) is good


class TestEntries:
    @pytest.fixture
    def full(self, folder: pathlib.Path) -> pathlib.Path:
        for name in ("b", "a/deep", "a/deeper/one", ".c"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"")
        (folder / "in").symlink_to("a")
        (folder / "out").symlink_to("../beside")
        (folder / "secret").symlink_to("../beside/secret")
        (folder / "a" / "up").symlink_to("../b")
        return folder

    @pytest.mark.parametrize(
        ("recurse", "names"),
        [
            (False, [".c", "a", "b", "in"]),
            (True, [".c", "a", "a/deep", "a/deeper", "a/deeper/one", "a/up", "b", "in"]),
        ],
    )
    def test_links_that_lead_out_are_passed_over(
        self, recurse: bool, names: list[str], full: pathlib.Path
    ) -> None:
        found = [path.relative_to(full).as_posix() for path in entries(full, full, recurse)]
        assert sorted(found) == names

    def test_of_a_folder_below_the_root(self, full: pathlib.Path) -> None:
        assert [path.name for path in entries(full / "a", full)] == ["deep", "deeper", "up"]


class TestCounting:
    @pytest.mark.parametrize(
        ("there", "number"),
        [
            ([], 0),
            (["p_00001_.png"], 1),
            (["p_00001_.png", "p_00007_.png", "p_00003_.png"], 7),
            (["p_00002_.txt"], 2),
            (["p_5_"], 5),
            (["p_00004_anything at all"], 4),
            (["p_123456_.png"], 123456),
            (["p_00002_/"], 2),
            (["p_٧_.png"], 7),
            # other prefixes
            (["q_00009_.png"], 0),
            (["P_00009_.png"], 0),
            (["pp_00009_.png"], 0),
            (["p00009_.png"], 0),
            (["p_c_00009_.png"], 0),
            (["p_"], 0),
            (["p.png"], 0),
            (["p_x_.png"], 0),
        ],
    )
    def test_the_highest_number(self, there: list[str], number: int, folder: pathlib.Path) -> None:
        for name in there:
            (folder / name).mkdir() if name.endswith("/") else (folder / name).write_bytes(b"")
        assert highest_number(folder, "p") == number

    def test_it_goes_on_over_batches(self, folders: Folders) -> None:
        assert save(folders, "p") == ["p_00001_.png"]
        assert save(folders, "p", count=2) == ["p_00002_.png", "p_00003_.png"]
        assert save(folders, "p", ".webp") == ["p_00004_.webp"]

    def test_each_prefix_and_each_folder_counts_for_itself(self, folders: Folders) -> None:
        assert save(folders, "p", count=2) == ["p_00001_.png", "p_00002_.png"]
        assert save(folders, "p_other") == ["p_other_00001_.png"]
        assert save(folders, "deep/p") == ["deep/p_00001_.png"]
        assert place(folders, "p", "temp").save(".png", b"") == "p_00001_.png"
        assert save(folders, "p") == ["p_00003_.png"]

    def test_what_others_put_there_counts(self, folders: Folders) -> None:
        save(folders, "p")
        (folders.folder("output") / "p_00041_by hand.txt").write_bytes(b"")
        assert save(folders, "p") == ["p_00042_.png"]

    def test_what_others_took_away_does_not(self, folders: Folders) -> None:
        save(folders, "p", count=3)
        (folders.folder("output") / "p_00003_.png").unlink()
        assert save(folders, "p") == ["p_00003_.png"]

    @pytest.mark.parametrize("number", [2, 3])
    def test_nothing_is_overwritten_when_the_clock_is_too_coarse_to_tell(
        self, number: int, folders: Folders
    ) -> None:
        output = folders.folder("output")
        save(folders, "p")
        before = output.stat()
        for other in range(2, number + 1):
            (output / f"p_{other:05}_.png").write_bytes(b"mine")
        os.utime(output, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert save(folders, "p") == [f"p_{number + 1:05}_.png"]
        assert (output / "p_00002_.png").read_bytes() == b"mine"

    def test_past_five_digits(self, folders: Folders) -> None:
        (folders.folder("output") / "p_99999_.png").write_bytes(b"")
        assert save(folders, "p", count=2) == ["p_100000_.png", "p_100001_.png"]


class TestPrefixes:
    @pytest.mark.parametrize(
        ("prefix", "path"),
        [
            ("p", "p_00001_.png"),
            ("deep/p", "deep/p_00001_.png"),
            ("deep/er/p", "deep/er/p_00001_.png"),
            ("./p", "p_00001_.png"),
            ("a//b/./p", "a/b/p_00001_.png"),
            ("a/../p", "p_00001_.png"),
            ("a b ü", "a b ü_00001_.png"),
            ("p.png", "p.png_00001_.png"),
            ("deep\\p", "deep\\p_00001_.png"),
        ],
    )
    def test_the_path_is_folder_and_name(self, prefix: str, path: str, folders: Folders) -> None:
        assert save(folders, prefix) == [path]
        assert (folders.folder("output") / path).read_bytes() == b"new"

    @pytest.mark.parametrize(
        ("prefix", "filled"),
        [
            ("%width%x%height%", "640x480"),
            ("%year%-%month%-%day%", "2026-03-09"),
            ("%hour%:%minute%:%second%", "08:05:07"),
            ("%year%/%width%/p", "2026/640/p"),
            ("%width%%width%", "640640"),
            ("%unknown%", "%unknown%"),
            ("%Width%", "%Width%"),
            ("100%", "100%"),
            ("%batch_num%", "%batch_num%"),
            ("plain", "plain"),
        ],
    )
    def test_tokens(self, prefix: str, filled: str) -> None:
        assert fill_tokens(prefix, (640, 480), NOON) == filled

    def test_tokens_make_folders(self, folders: Folders) -> None:
        assert save(folders, "%year%/%width%_p") == ["2026/640_p_00001_.png"]

    def test_the_number_of_a_picture_in_its_batch(self, folders: Folders) -> None:
        """It is not counted with, so that such a prefix starts anew each time and overwrites."""
        names = ["p_0_00001_.png", "p_1_00002_.png", "p_2_00003_.png"]
        assert save(folders, "p_%batch_num%", count=3) == names
        (folders.folder("output") / names[0]).write_bytes(b"old")
        assert save(folders, "p_%batch_num%") == names[:1]
        assert (folders.folder("output") / names[0]).read_bytes() == b"new"

    @pytest.mark.parametrize("prefix", ["", "deep/"])
    def test_without_a_name_it_starts_anew_each_time(self, prefix: str, folders: Folders) -> None:
        for name in ("_00007_.png", "deep/_00007_.png"):
            (folders.folder("output") / name).parent.mkdir(exist_ok=True)
            (folders.folder("output") / name).write_bytes(b"")
        (first,) = save(folders, prefix)
        assert "_00001_" in first
        (folders.folder("output") / first).write_bytes(b"old")
        assert save(folders, prefix) == [first]
        assert (folders.folder("output") / first).read_bytes() == b"new"

    @pytest.mark.parametrize(
        "prefix",
        ["../p", "../../p", "deep/../../p", "/p", "/etc/p", "../output2/p", "..//p", "../%width%/p"],
    )
    def test_one_that_leaves_the_folder_raises(self, prefix: str, folders: Folders) -> None:
        with pytest.raises(
            Exception, match=r"^\*\*\*\* ERROR: Saving image outside the output folder is not allowed\."
        ) as raised:
            place(folders, prefix)
        assert type(raised.value) is Exception
        assert f"         output_dir: {folders.folder('output')}" in str(raised.value).split("\n")
        assert list(folders.root.parent.iterdir()) == [folders.root]

    @pytest.mark.parametrize(
        ("link", "target", "prefix"),
        [
            ("out", "../../beside", "out/p"),
            ("out", "../../beside", "out/deep/p"),
            ("p_0_00001_.png", "../../beside/new", "p_%batch_num%"),
            ("._00001_.png", "../../beside/secret", ""),
        ],
    )
    def test_one_that_leaves_it_over_a_link_raises(
        self, link: str, target: str, prefix: str, folders: Folders, folder: pathlib.Path
    ) -> None:
        (folders.folder("output") / link).symlink_to(target)
        with pytest.raises(Exception, match="outside the output folder"):
            save(folders, prefix)
        beside = folder.parent / "beside"
        assert {path.name: path.read_text() for path in beside.iterdir()} == {"secret": "secret"}

    def test_a_link_within_the_folder_is_followed(self, folders: Folders) -> None:
        (folders.folder("output") / "real").mkdir()
        (folders.folder("output") / "link").symlink_to("real")
        assert save(folders, "link/p") == ["link/p_00001_.png"]
        assert (folders.folder("output") / "real" / "p_00001_.png").exists()
