"""Sound: lengths, channels and sample rates, and the files it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from comfystub.media.sound import Sound, encode, probe
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.passing import DEFAULT_SECONDS, output_of_type
from comfystub.nodes.reading import digest_of, read
from comfystub.nodes.values import Sounds, first, nth
from comfystub.nodes.writing import entry, temp_prefix, texts

DEFAULT_PREFIX = "audio/ComfyUI"


def sounds(run: Invocation, name: str = "audio") -> Sounds:
    """The sounds of an input, or any that came in, or one the stub makes up."""
    named = first(Sounds, [run.inputs.get(name)])
    made: Sounds = named or output_of_type(run, "AUDIO")
    return made


def empty(run: Invocation) -> Result:
    """EmptyAudio: silence."""
    seconds, rate = run.value("duration", 60.0), run.value("sample_rate", 44100)
    return Result((Sounds([Sound(max(0.0, seconds), max(1, rate), run.value("channels", 2))]),))


def load(run: Invocation) -> Result:
    """LoadAudio and RecordAudio: as long as the file is; a film's sound is taken out of it."""
    data = read(run, run.value("audio", ""))
    found = probe(data) or _of_film(data) or Sound(DEFAULT_SECONDS, digest=digest_of(data))
    return Result((Sounds([found]),))


def _of_film(data: bytes) -> Sound | None:
    from comfystub.media import video

    film = video.probe(data)
    return film.sound if film is not None else None


# --- one sound out of one, and out of two

Change = Callable[[Invocation, Sound], Sound]
Combine = Callable[[Sound, Sound], Sound]


def changing(change: Change) -> Behaviour:
    """Every sound of the batch, changed."""
    return lambda run: Result((_retold(run, (change(run, sound) for sound in sounds(run))),))


def combining(one: str, other: str, combine: Combine) -> Behaviour:
    """The sounds of two inputs, pair by pair; the last of the smaller batch goes with all that remain."""

    def behaviour(run: Invocation) -> Result:
        pairs = _pairs(sounds(run, one), sounds(run, other))
        return Result((_retold(run, (combine(*pair) for pair in pairs)),))

    return behaviour


def _retold(run: Invocation, changed: Iterable[Sound]) -> Sounds:
    """Sounds that follow from all that went into this node; silence stays silent."""
    return Sounds(
        sound._replace(digest=nth(run.signature, number)) if sound.digest else sound
        for number, sound in enumerate(changed)
    )


def _pairs(one: Sounds, other: Sounds) -> Iterator[tuple[Sound, Sound]]:
    for number in range(max(len(one), len(other))):
        yield one[min(number, len(one) - 1)], other[min(number, len(other) - 1)]


def part(sound: Sound, start: float, seconds: float) -> Sound:
    """Some seconds of a sound, as far as there are; a negative start counts from its end.

    Raises ``ValueError`` when nothing is left.
    """
    begin = max(0.0, start + sound.seconds if start < 0 else start)
    end = min(begin + seconds, sound.seconds)
    if begin >= end:
        raise ValueError("The start time must be less than the end time and within the audio length.")
    return sound._replace(seconds=end - begin)


def _trimmed(run: Invocation, sound: Sound) -> Sound:
    return part(sound, run.value("start_index", 0.0), run.value("duration", 60.0))


def _same(_run: Invocation, sound: Sound) -> Sound:
    return sound


def _one_after_the_other(one: Sound, other: Sound) -> Sound:
    return _both(one, other)._replace(
        seconds=one.seconds + other.seconds, channels=max(2, one.channels, other.channels)
    )


def _both(one: Sound, other: Sound) -> Sound:
    """Two sounds at once: as long as the first, in the better quality of the two."""
    return Sound(
        one.seconds,
        max(one.sample_rate, other.sample_rate),
        max(one.channels, other.channels),
        one.digest or other.digest,
    )


def _side_by_side(left: Sound, right: Sound) -> Sound:
    return _both(left, right)._replace(seconds=min(left.seconds, right.seconds), channels=2)


def split(run: Invocation) -> Result:
    """SplitAudioChannels: the left and the right channel of every sound."""
    batch = sounds(run)
    if any(sound.channels != 2 for sound in batch):
        raise ValueError("The input audio must have exactly two channels.")
    halves = [sound._replace(channels=1) for sound in batch for _side in ("left", "right")]
    retold = _retold(run, halves)
    return Result((Sounds(retold[::2]), Sounds(retold[1::2])))


# --- files


def saving(ending: str) -> Behaviour:
    """Save every sound in one format; its ``quality`` is the node's."""
    return lambda run: save(run, "output", _prefix(run), ending, run.value("quality", ""))


def save_as_asked(run: Invocation) -> Result:
    """SaveAudioAdvanced: in the format that the node asks for."""
    return save(run, "output", _prefix(run), run.value("format", "flac"), run.value("format.quality", ""))


def preview(run: Invocation) -> Result:
    return save(run, "temp", temp_prefix(run), "flac")


def _prefix(run: Invocation) -> str:
    return run.value("filename_prefix", DEFAULT_PREFIX)


def save(run: Invocation, kind: str, prefix: str, ending: str, quality: str = "") -> Result:
    """Write every sound that came in to a folder, as files that carry the prompt."""
    batch, notes = sounds(run), texts(run)
    place = run.save_place(kind, prefix, (0, 0))
    names = [
        place.save(f".{ending}", encode(sound, ending, quality, notes), number)
        for number, sound in enumerate(batch)
    ]
    return Result((batch,), {"audio": [entry(name, place.subfolder, kind) for name in names]})


BEHAVIOURS = {
    "EmptyAudio": empty,
    "LoadAudio": load,
    "RecordAudio": load,
    "TrimAudioDuration": changing(_trimmed),
    "AudioAdjustVolume": changing(_same),
    "AudioEqualizer3Band": changing(_same),
    "AudioConcat": combining("audio1", "audio2", _one_after_the_other),
    "AudioMerge": combining("audio1", "audio2", _both),
    "JoinAudioChannels": combining("audio_left", "audio_right", _side_by_side),
    "SplitAudioChannels": split,
    "SaveAudio": saving("flac"),
    "SaveAudioMP3": saving("mp3"),
    "SaveAudioOpus": saving("opus"),
    "SaveAudioAdvanced": save_as_asked,
    "PreviewAudio": preview,
}
