"""Films: their frames, speed and sound, and the files they come from and become."""

from __future__ import annotations

import pathlib
from random import Random
from typing import Any

from comfystub.media.pictures import Mosaic
from comfystub.media.sound import Sound
from comfystub.nodes.families.audio import part
from comfystub.nodes.families.datasets import caption, files, folder, repeated
from comfystub.nodes.families.editing import options
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.passing import DEFAULT_FPS, DEFAULT_SECONDS, output_of_type
from comfystub.nodes.reading import digest_of, read
from comfystub.nodes.values import DEFAULT_SIZE, Images, Several, Sounds, Video, first, nth
from comfystub.nodes.writing import Texts, texts, write

#: The slowest speed that ComfyUI's nodes take, in frames per second.
LEAST_FPS = 0.01
#: The files that count as films.
ENDINGS = frozenset({".mp4", ".avi", ".mov", ".webm", ".mkv", ".flv"})


def video(run: Invocation) -> Video:
    """The film that came in, or one the stub makes up."""
    named = first(Video, [run.inputs.get("video")])
    made: Video = named or output_of_type(run, "VIDEO")
    return made


# --- films that are read


def load(run: Invocation) -> Result:
    return Result((read_film(read(run, run.value("file", ""))),))


def read_film(data: bytes) -> Video:
    """A file as a film: of its size, speed and length, or the stub's own where it does not tell these."""
    from comfystub.media.video import probe

    info, digest = probe(data), digest_of(data)
    if info is None:
        count, fps = round(DEFAULT_FPS * DEFAULT_SECONDS), DEFAULT_FPS
        return Video(frames(digest, count, DEFAULT_SIZE, DEFAULT_SIZE), fps, file=data)
    return Video(frames(digest, info.frames, info.width, info.height), info.fps, info.sound, data)


def frames(digest: bytes, count: int, width: int, height: int) -> Images:
    """The frames of a film that has a digest, none of which is drawn yet."""
    return Images(Mosaic(nth(digest, number), width, height) for number in range(max(1, count)))


# --- folders and lists of films


def load_folder(run: Invocation) -> Result:
    """LoadVideoDataSetFromFolder: every film of a folder."""
    return Result((Several(map(_film_at, _some(run, files(folder(run), ENDINGS)))),))


def load_folder_with_texts(run: Invocation) -> Result:
    """LoadVideoTextDataSetFromFolder: every film, as often as its folder says, and the text beside it."""
    paths = repeated(folder(run), ENDINGS)
    films = {path: _film_at(path) for path in _some(run, paths)}
    return Result((Several(films[path] for path in paths), Several(map(caption, paths))))


def _film_at(path: pathlib.Path) -> Video:
    return read_film(path.read_bytes())


def _some(run: Invocation, paths: list[pathlib.Path]) -> list[pathlib.Path]:
    if not paths:
        raise ValueError(f"No supported video files found in folder: {run.value('folder', '')}")
    return paths


def shuffle(run: Invocation) -> Result:
    """ShuffleVideoDataset and ShuffleVideoTextDataset: texts stay with their films."""
    lists = [run.inputs.get(name, ()) for name in ("videos", "texts") if name in run.inputs]
    order = list(range(min(map(len, lists), default=0)))
    _random(options(run)).shuffle(order)
    return Result([Several(values[place] for place in order) for values in lists])


def _random(run: Invocation) -> Random:
    """The chance that a node's seed stands for."""
    return Random(run.value("seed", 0))


# --- films out of films and pictures


def create(run: Invocation) -> Result:
    """CreateVideo: pictures at a speed, with the first sound of the batch."""
    sounds = first(Sounds, [run.inputs.get("audio")])
    fps = max(LEAST_FPS, run.value("fps", 30.0))
    return Result((Video(run.images("images"), fps, sounds[0] if sounds else None),))


def components(run: Invocation) -> Result:
    """GetVideoComponents: a film without a sound has no audio."""
    film = video(run)
    return Result((film.images, film.sound and Sounds([film.sound]), film.fps, 8, "sRGB"))


def interpolate(run: Invocation) -> Result:
    """FrameInterpolate: between two frames, so many times the first of them as there would be new ones."""
    images, multiplier = run.images("images"), max(1, run.value("multiplier", 2))
    held = [picture for picture in images[:-1] for _ in range(multiplier)]
    return Result((Images([*held, images[-1]]),))


def slice_seconds(run: Invocation) -> Result:
    """Video Slice: some seconds, or all that is left for 0; a negative start counts from the end."""
    film = video(run)
    start, duration = run.value("start_time", 0.0), run.value("duration", 0.0)
    if start < 0:
        start = max(0.0, start + film.seconds)
    rest = film.seconds - start
    if rest <= 0 or (run.inputs.get("strict_duration") and duration > rest):
        raise ValueError(
            f"Failed to slice video of {film.seconds} seconds: start time {start}, duration {duration}"
        )
    first_frame = min(int(start * film.fps + 0.5), len(film.images) - 1)
    length = int(duration * film.fps + 0.5) if duration else len(film.images)
    return Result((cut(film, first_frame, max(1, length)),))


def crop(run: Invocation) -> Result:
    """VideoTemporalCrop: a number of frames from one on, as far as there are."""
    return Result((cut(video(run), run.value("start_frame", 0), run.value("length", 16)),))


def crop_anywhere(run: Invocation) -> Result:
    """VideoRandomTemporalCrop: a number of frames from where the seed says."""
    film, length = video(run), run.value("length", 16)
    start = _random(run).randint(0, max(0, len(film.images) - length))
    return Result((cut(film, start, length),))


def sample(run: Invocation) -> Result:
    """VideoFrameSample: some of the frames; where they do not follow each other there is no sound."""
    film, strategy = video(run), run.value("strategy", "uniform")
    total = len(film.images)
    count = max(1, min(run.value("num_frames", 16), total))
    if strategy == "head":
        return Result((cut(film, 0, count),))
    if strategy == "tail":
        return Result((cut(film, total - count, count),))
    places = _random(run).sample(range(total), count) if strategy == "random" else _evenly(total, count)
    return Result((Video(Images(film.images[place] for place in places), film.fps),))


def _evenly(total: int, count: int) -> list[int]:
    """Places from the first to the last, evenly spaced; a single one is in the middle."""
    if count == 1:
        return [total // 2]
    return [round(number * (total - 1) / (count - 1)) for number in range(count)]


def cut(film: Video, start: int, length: int) -> Video:
    """Some frames of a film, at least one of them, with the sound that goes with them."""
    start = min(max(0, start), len(film.images) - 1)
    images = Images(film.images[start : start + max(1, length)])
    if len(images) == len(film.images):
        return film
    return Video(images, film.fps, _heard(film, start / film.fps, len(images) / film.fps))


def _heard(film: Video, start: float, seconds: float) -> Sound | None:
    """The sound of some seconds of a film; there is none where the sound was over before."""
    if film.sound is None or film.sound.seconds <= start:
        return None
    return part(film.sound, start, seconds)


# --- films that are written


def save_video(run: Invocation) -> Result:
    """SaveVideo: a film that was read and not changed stays as it was, in the container it was in."""
    film, container = video(run), _container(run)
    if film.file is not None and _kind_of(film.file) == container and not _asks_to_encode(run):
        data = film.file
    else:
        data = encode(film, container, texts(run))
    return Result((film,), written(run, f".{container}", data, film.images, "video/ComfyUI"))


def _container(run: Invocation) -> str:
    """The container that the node asks for, or that its codec is put into."""
    asked = run.value("format", "auto")
    codec = run.inputs.get("format.codec", run.inputs.get("codec"))
    if asked in ("mp4", "mkv", "webm"):
        return asked
    return "webm" if codec == "av1" else "mp4"


def _asks_to_encode(run: Invocation) -> bool:
    return any(name.endswith(".encoding") and value == "re-encode" for name, value in run.inputs.items())


def _kind_of(data: bytes) -> str | None:
    """The container of a file; ``None`` for one that is not known."""
    if data[4:8] == b"ftyp":
        return "mp4" if data[8:12] != b"qt  " else None
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "webm" if b"webm" in data[:64] else "mkv"
    return None


def encode(film: Video, container: str, notes: Texts) -> bytes:
    """The file of a film, whose sound ends with the pictures."""
    from comfystub.media import video

    if container == "mp4":
        return video.mp4(film.images, film.fps, _heard(film, 0.0, film.seconds), notes)
    return video.webm(film.images, film.fps, "av1", notes)


def save_webm(run: Invocation) -> Result:
    from comfystub.media.video import webm

    images, fps = run.images("images"), max(LEAST_FPS, run.value("fps", 24.0))
    data = webm(images, fps, run.value("codec", "vp9"), texts(run))
    return Result((images,), written(run, ".webm", data, images, "ComfyUI"))


def written(run: Invocation, ending: str, data: bytes, images: Images, prefix: str) -> dict[str, Any]:
    """Write a film where the node's prefix says, ``prefix`` without one, and return what shows it."""
    place = run.value("filename_prefix", prefix)
    return {"images": [write(run, ending, data, prefix=place, size=images[0].size)], "animated": [True]}


BEHAVIOURS = {
    "LoadVideo": load,
    "LoadVideoDataSetFromFolder": load_folder,
    "LoadVideoTextDataSetFromFolder": load_folder_with_texts,
    "ShuffleVideoDataset": shuffle,
    "ShuffleVideoTextDataset": shuffle,
    "CreateVideo": create,
    "GetVideoComponents": components,
    "FrameInterpolate": interpolate,
    "Video Slice": slice_seconds,
    "VideoTemporalCrop": crop,
    "VideoRandomTemporalCrop": crop_anywhere,
    "VideoFrameSample": sample,
    "SaveVideo": save_video,
    "SaveWEBM": save_webm,
}
