"""Folders of pictures and their captions: read from the input folder, written to the output folder."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Collection

from comfystub.media.files import highest_number, inside
from comfystub.media.pictures import Picture, Pixels
from comfystub.nodes.families.editing import one_by_one, options, singles
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Several
from comfystub.nodes.writing import texts

#: The files that count as pictures.
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp"})
#: A folder in a folder whose name tells how often its files are repeated.
REPEATED = re.compile(r"(\d+)_")


# --- reading


def load_images(run: Invocation) -> Result:
    """LoadImageDataSetFromFolder: every picture of a folder, a batch each."""
    return Result((singles([_read(path) for path in _some(files(folder(run), ENDINGS))]),))


def load_pairs(run: Invocation) -> Result:
    """LoadImageTextDataSetFromFolder: pictures and their texts, as often as their folders say."""
    paths = repeated(folder(run), ENDINGS)
    pictures = {path: _read(path) for path in _some(paths)}
    return Result((singles([pictures[path] for path in paths]), Several(map(caption, paths))))


def folder(run: Invocation) -> pathlib.Path:
    """The folder that a node is to read."""
    name = run.value("folder", "")
    path = run.server.folders.locate(name)
    if path is None or not path.is_dir():
        raise FileNotFoundError(f"[Errno 2] No such file or directory: {name!r}")
    return path


def files(folder: pathlib.Path, endings: Collection[str]) -> list[pathlib.Path]:
    """The files in a folder that have one of these endings, sorted."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in endings and path.is_file())


def repeated(folder: pathlib.Path, endings: Collection[str]) -> list[pathlib.Path]:
    """The files in a folder, and those of the folders in it, as often as their names say."""
    paths = files(folder, endings)
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and (times := REPEATED.match(inner.name)):
            paths += files(inner, endings) * int(times[1])
    return paths


def caption(path: pathlib.Path) -> str:
    """The text that lies beside a file, under the same name."""
    beside = path.with_suffix(".txt")
    return beside.read_text("utf-8").strip() if beside.is_file() else ""


def _some(paths: list[pathlib.Path]) -> list[pathlib.Path]:
    if not paths:
        raise ValueError("No valid images found in input")
    return paths


def _read(path: pathlib.Path) -> Picture:
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        return Pixels(ImageOps.exif_transpose(opened).convert("RGB"))


# --- writing


def save_images(run: Invocation) -> Result:
    """SaveImageDataSetToFolder and its twin, which writes a text beside each picture that has one."""
    pictures, captions, run = one_by_one(run), run.inputs.get("texts") or (), options(run)
    chunks, place = texts(run), run.value("folder_name", "dataset")
    prefix = run.value("filename_prefix", "image")
    counts = run.value("mode", "overwrite") == "increment"
    first = 1 + highest_number(_made(run, place), prefix) if counts else 0
    for number, picture in enumerate(pictures, first):
        stem = f"{prefix}_{number:05}" + "_" * counts
        _write(run, place, f"{stem}.png", picture.png(chunks))
        if number - first < len(captions):
            _write(run, place, f"{stem}.txt", str(captions[number - first]).encode())
    return Result()


def _made(run: Invocation, name: str) -> pathlib.Path:
    """A folder in the output folder, which is made if it is not there."""
    path = inside(run.server.folders.folder("output"), name)
    if path is None:
        raise ValueError(f"Folder {name!r} is outside of the output directory.")
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write(run: Invocation, place: str, name: str, data: bytes) -> None:
    path = inside(_made(run, place), name)
    if path is None:
        raise ValueError(f"File {name!r} is outside of the folder {place!r}.")
    run.before_save(str(path))
    run.server.folders.write(path, data)


BEHAVIOURS: dict[str, Behaviour] = {
    "LoadImageDataSetFromFolder": load_images,
    "LoadImageTextDataSetFromFolder": load_pairs,
    "SaveImageDataSetToFolder": save_images,
    "SaveImageTextDataSetToFolder": save_images,
}
