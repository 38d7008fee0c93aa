"""The contact sheet of what jobs left."""

from __future__ import annotations

import base64
import io
import json
import pathlib
import random
from typing import Any

import pytest
from calls import URL
from PIL import Image, PngImagePlugin

import comfystub
from comfystub.reporting.facts import gather
from comfystub.reporting.graph import Facts
from comfystub.reporting.sheet import LARGEST, SMALL

from .eventful import other_files


def shown(*files: tuple[str, bytes], **entry: Any) -> list[Facts]:
    """The cards of files that lie in the output folder."""
    stub = comfystub.Stub(URL)
    for name, data in files:
        path = stub.output_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    cards = named(stub, [{"filename": name, **entry} for name, _ in files])
    stub.close()
    return cards


def named(stub: comfystub.Stub, files: list[dict[str, Any]]) -> list[Facts]:
    """The cards of files that a node names, whether or not they are there."""
    stub.add_node("Leave", lambda: {"ui": {"images": files}}, inputs={}, output_node=True)
    stub.fill_queue(workflow={"1": {"class_type": "Leave", "inputs": {}}})
    stub.finish()
    cards: list[Facts] = gather(stub)["outputs"]
    return cards


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def source_of(card: Facts) -> bytes:
    """The data in the address of what a card shows."""
    return base64.b64decode(card["source"].partition(";base64,")[2])


def opened(card: Facts) -> Image.Image:
    return Image.open(io.BytesIO(source_of(card)))


# --- pictures


def test_a_picture_is_made_small_and_its_texts_are_told() -> None:
    with comfystub.patch(URL) as stub:
        stub.fill_queue()
        stub.finish()
        first, second = gather(stub)["outputs"]
        size = stub.outputs[0].path.stat().st_size
    assert (first["name"], second["name"]) == ("demo_00001_.png", "demo_00002_.png")
    assert (first["job"], first["node"], first["folder"]) == (1, "9 SaveImage", "output")
    assert first["facts"] == ["512 × 512", "PNG", "RGB", f"{size:,} bytes"]
    assert opened(first).size == (SMALL, SMALL) == (first["width"], first["height"])
    ((keyword, text),) = first["texts"]
    assert keyword == "prompt"
    assert json.loads(text)["9"]["class_type"] == "SaveImage"


def test_pictures_of_many_kinds() -> None:
    red = Image.new("RGB", (40, 20), "red")
    clear = Image.new("RGBA", (40, 20), (255, 0, 0, 128))
    frames = [Image.new("RGB", (40, 20), colour) for colour in ("red", "blue")]
    cards = shown(
        ("a.jpg", encoded(red, "JPEG")),
        ("b.webp", encoded(red, "WEBP", lossless=True)),
        ("c.gif", encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])),
        ("d.png", encoded(clear, "PNG")),
        ("e.png", encoded(red.convert("L"), "PNG")),
        ("f.png", encoded(Image.new("I;16", (40, 20), 0x8000), "PNG")),
        ("g.PNG", encoded(red.convert("P"), "PNG")),
        ("h.tiff", encoded(red.convert("CMYK"), "TIFF")),
    )
    assert [card["is"] for card in cards] == ["picture"] * 8
    assert all(card["facts"][0] == "40 × 20" for card in cards)
    assert "2 frames" in cards[2]["facts"]
    assert opened(cards[3]).convert("RGBA").getpixel((5, 5)) == (255, 0, 0, 128)
    assert opened(cards[5]).convert("RGB").getpixel((5, 5)) == (128, 128, 128)
    assert opened(cards[6]).convert("RGB").getpixel((5, 5)) == (255, 0, 0)


def test_a_photo_becomes_a_jpeg_and_flat_colours_a_png() -> None:
    noise = Image.frombytes("RGB", (300, 300), random.Random(1).randbytes(300 * 300 * 3))
    photo, flat = shown(
        ("photo.png", encoded(noise, "PNG")),
        ("flat.jpg", encoded(Image.new("RGB", (300, 300), "red"), "JPEG")),
    )
    assert photo["source"].startswith("data:image/jpeg;base64,")
    assert flat["source"].startswith("data:image/png;base64,")


def test_texts_in_exif() -> None:
    exif = Image.Exif()
    exif[0x0110] = 'prompt:{"1": 2}'
    data = encoded(Image.new("RGB", (8, 8)), "WEBP", exif=exif.tobytes())
    (card,) = shown(("a.webp", data))
    assert card["texts"] == [("Model", 'prompt:{"1": 2}')]


def test_a_compressed_text() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "a fox, 20 steps", zip=True)
    (card,) = shown(("a.png", encoded(Image.new("RGB", (8, 8)), "PNG", pnginfo=texts)))
    assert card["texts"] == [("parameters", "a fox, 20 steps")]


def test_a_drawing_is_shown_as_it_is() -> None:
    (card,) = shown(("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"))
    assert card["is"] == "picture"
    assert card["source"].startswith("data:image/svg+xml;base64,")


# --- what else there is


def test_sound_films_and_latents() -> None:
    with comfystub.patch(URL) as stub:
        stub.fill_queue(workflow=other_files())
        stub.finish()
        cards = {pathlib.Path(card["name"]).suffix: card for card in gather(stub)["outputs"]}
        paths = {output.path.suffix: output.path for output in stub.outputs}
        assert source_of(cards[".flac"]) == paths[".flac"].read_bytes()
        assert source_of(cards[".mp4"]) == paths[".mp4"].read_bytes()
    assert cards[".flac"]["is"] == "sound"
    assert cards[".flac"]["name"] == "sound/rain_00001_.flac"
    assert cards[".flac"]["facts"][0] == "2 s, 44100 Hz, 2 channels"
    assert cards[".mp4"]["is"] == "film"
    assert cards[".mp4"]["facts"][:2] == ["96 × 64", "8 frames, 8 a second"]
    assert cards[".latent"]["is"] == ""
    assert cards[".latent"]["facts"][0] == "LATENT file"


def test_what_is_large_is_only_told_of() -> None:
    (card,) = shown(("a.mp4", bytes(LARGEST + 1)))
    assert "source" not in card
    assert card["facts"] == [
        "video/mp4",
        "larger than 1,048,576 bytes, and not in this page",
        "1,048,577 bytes",
    ]


def test_a_film_that_is_none_is_still_there_to_be_tried() -> None:
    (card,) = shown(("a.webm", b"no film"))
    assert (card["is"], card["facts"]) == ("film", ["7 bytes"])


def test_a_text_file() -> None:
    short, long = shown(("a.txt", "füchse".encode()), ("b.json", b"x" * 9000))
    assert (short["is"], short["text"]) == ("text", "füchse")
    assert long["text"].startswith("xxx") and "more characters" in long["text"]


def test_texts_that_nodes_showed() -> None:
    stub = comfystub.Stub(URL)
    stub.add_node("Say", lambda: {"ui": {"text": ["one", "two"]}}, inputs={}, output_node=True)
    stub.fill_queue(workflow={"1": {"class_type": "Say", "inputs": {}}})
    stub.finish()
    (card,) = gather(stub)["outputs"]
    assert (card["name"], card["is"], card["text"], card["node"]) == ("text", "text", "one\ntwo", "1 Say")


# --- what is not there


def test_a_file_that_is_gone() -> None:
    with comfystub.patch(URL) as stub:
        stub.fill_queue()
        stub.finish()
        stub.outputs[0].path.unlink()
        gone, there = gather(stub)["outputs"]
    assert (gone["is"], gone["facts"]) == ("gone", ["the file is gone"])
    assert there["is"] == "picture"
    # And now the folder.
    assert [card["is"] for card in gather(stub)["outputs"]] == ["gone", "gone"]


def test_a_picture_that_is_none() -> None:
    (card,) = shown(("a.png", b"no picture"))
    assert card["is"] == ""
    assert card["facts"][0].startswith("cannot be read: cannot identify image file")


@pytest.mark.parametrize(
    "entry",
    [
        {"filename": "../secret.txt"},
        {"filename": "secret.txt", "subfolder": ".."},
        {"filename": "secret.txt", "subfolder": "/"},
        {"filename": "secret.txt", "type": "user"},
        {"filename": "a\0b.txt"},
    ],
)
def test_no_other_file_is_read(tmp_path: pathlib.Path, entry: dict[str, str]) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "output").mkdir()
    stub = comfystub.Stub(URL, output_dir=tmp_path / "output")
    (card,) = named(stub, [entry])
    stub.close()
    assert (card["is"], card["facts"]) == ("", ["not in a folder of the server"])


def test_a_file_in_a_folder_that_was_never_needed() -> None:
    stub = comfystub.Stub(URL)
    stub.add_node("Leave", lambda: {"ui": {"images": [{"filename": "a.png"}]}}, inputs={}, output_node=True)
    stub.fill_queue(workflow={"1": {"class_type": "Leave", "inputs": {}}})
    stub.finish()
    stub.close()
    assert gather(stub)["outputs"] == []
