"""The contact sheet: the files that jobs left, small, with what stands in them."""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from comfystub.engine.job import Job, Output
from comfystub.media import probe, sound
from comfystub.media.files import TYPES, inside
from comfystub.reporting import bodies
from comfystub.reporting.graph import Facts
from comfystub.wording import counted, node_name

if TYPE_CHECKING:
    from PIL import Image

    from comfystub.stub import Stub

#: The longest side of a small picture, in pixels.
SMALL = 288
#: The largest file that is put into the page as it is, in bytes.
LARGEST = 1 << 20
#: So many characters of a text are shown on its card.
LONGEST = 2_000

#: What files of sound, films and drawings are to a browser, by the ends of their names.
SOUNDS = {
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
}
FILMS = {".mp4": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"}
DRAWINGS = {".svg": "image/svg+xml"}
PICTURES = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
TEXTS = (".csv", ".json", ".md", ".srt", ".txt")


def sheet(stub: Stub, jobs: Iterable[Job]) -> Iterator[Facts]:
    """A card for each file that jobs left, and for the texts that their nodes showed.

    A card says its ``job`` and ``node``, ``name``, what it ``is`` to the page, if the page can show it,
    the ``facts`` that are known of it, and the ``texts`` that stand in it.
    """
    for job in jobs:
        for output in _files(job):
            yield _card(job, output.node_id) | _file(stub, output)
        for node_id, ui in list(job.ui.items()):
            for kind, entries in ui.items():
                texts = [one for one in entries if isinstance(one, str)] if isinstance(entries, list) else []
                if texts:
                    shown = bodies.cut("\n".join(texts), LONGEST)
                    yield _card(job, node_id) | {"name": kind, "is": "text", "text": shown}


def _card(job: Job, node_id: str) -> Facts:
    return {"job": job.ordinal, "node": node_name(job, node_id), "is": "", "facts": [], "texts": []}


def _files(job: Job) -> list[Output]:
    try:
        return job.files()
    except RuntimeError:  # nodes of a test's own named files, and nobody ever wrote to that folder
        return []


def _file(stub: Stub, output: Output) -> Facts:
    """What there is to say of a file, which may be gone, and may be anything."""
    name = os.path.join(output.subfolder, output.filename)
    facts: Facts = {"name": name, "folder": output.type}
    folder = getattr(stub, f"{output.type}_dir") if output.type in TYPES else None
    path = None if folder is None else inside(folder, name)
    if path is None:
        return facts | {"facts": ["not in a folder of the server"]}
    if not path.is_file():
        return facts | {"is": "gone", "facts": ["the file is gone"]}
    try:
        size = path.stat().st_size
        seen = _seen(path, size)
    except Exception as problem:  # of a broken file, Pillow raises whatever it likes
        return facts | {"facts": [f"cannot be read: {problem}"]}
    return facts | seen | {"facts": [*seen.get("facts", ()), bodies.size(size)]}


def _seen(path: pathlib.Path, size: int) -> Facts:
    """What can be seen or heard of a file, by its name."""
    ending = path.suffix.lower()
    if ending in PICTURES:
        return _picture(path)
    if ending in TEXTS:
        with path.open("rb") as file:
            beginning = file.read(4 * LONGEST).decode(errors="replace")
        return {"is": "text", "text": bodies.cut(beginning, LONGEST)}
    for kinds, look in LOOKS:
        if ending in kinds:
            if size > LARGEST:
                return {"facts": [kinds[ending], f"larger than {bodies.size(LARGEST)}, and not in this page"]}
            data = path.read_bytes()
            return {"source": bodies.data_uri(data, kinds[ending]), **look(data)}
    return {"facts": [f"{ending[1:].upper()} file"] if ending else []}


def _heard(data: bytes) -> Facts:
    found = sound.probe(data)
    return {"is": "sound", "facts": [] if found is None else [_length(found)]}


def _film(data: bytes) -> Facts:
    found = probe.probe(data)
    if found is None:
        return {"is": "film"}
    facts = [f"{found.width} × {found.height}", f"{found.frames} frames, {found.fps:g} a second"]
    heard = [] if found.sound is None else [f"sound of {_length(found.sound)}"]
    return {"is": "film", "facts": facts + heard}


def _length(found: sound.Sound) -> str:
    return f"{found.seconds:.3g} s, {found.sample_rate} Hz, {counted(found.channels, 'channel')}"


def _drawing(data: bytes) -> Facts:
    return {"is": "picture"}


LOOKS: tuple[tuple[Mapping[str, str], Callable[[bytes], Facts]], ...] = (
    (SOUNDS, _heard),
    (FILMS, _film),
    (DRAWINGS, _drawing),
)


# --- pictures


def _picture(path: pathlib.Path) -> Facts:
    from PIL import Image

    with Image.open(path) as image:
        frames = getattr(image, "n_frames", 1)
        facts = [f"{image.width} × {image.height}", str(image.format), image.mode]
        if frames > 1:
            facts.append(f"{frames} frames")
        texts = [(name, bodies.body(text.encode(errors="replace"))) for name, text in _texts(image)]
        image.seek(0)
        small = _small(image)
        return {
            "is": "picture",
            "source": bodies.data_uri(*_encoded(small)),
            "width": small.width,
            "height": small.height,
            "facts": facts,
            "texts": texts,
        }


def _texts(image: Image.Image) -> Iterator[tuple[str, str]]:
    """The texts in a picture, by their keywords: chunks of a PNG file, EXIF of any other."""
    from PIL import ExifTags

    yield from getattr(image, "text", {}).items()
    for tag, value in image.getexif().items():
        if isinstance(value, str):
            yield ExifTags.TAGS.get(tag, str(tag)), value


def _small(image: Image.Image) -> Image.Image:
    """A picture of at most ``SMALL`` pixels a side, in colours that every browser knows."""
    if image.mode.startswith("I"):  # of 16 bits
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    see_through = "A" in image.getbands() or "transparency" in image.info
    small = image.convert("RGBA" if see_through else "RGB")
    small.thumbnail((SMALL, SMALL))
    return small


def _encoded(image: Image.Image) -> tuple[bytes, str]:
    """The smaller of two files of a picture, and its content type: flat colours are PNG's, photos JPEG's."""
    files = {}
    for kind in ("PNG", "JPEG") if image.mode == "RGB" else ("PNG",):
        file = io.BytesIO()
        options: dict[str, Any] = {"optimize": True} if kind == "PNG" else {"quality": 85}
        image.save(file, kind, **options)
        files[f"image/{kind.lower()}"] = file.getvalue()
    content_type = min(files, key=lambda one: len(files[one]))
    return files[content_type], content_type
