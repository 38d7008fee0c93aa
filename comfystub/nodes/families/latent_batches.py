"""Latents by number: batches taken apart and put together, films cut and joined, films with sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, cycle

from comfystub.media.pictures import Picture
from comfystub.nodes.families.editing import options
from comfystub.nodes.families.latent_shapes import beside, cut_out, items, resized
from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.spaces import Space
from comfystub.nodes.values import Images, Latent, Several

Film = Sequence[Picture]

# --- batches


def of_items(latent: Latent, films: Sequence[Film]) -> Latent:
    """A batch of other pictures, or films of as many frames as the first one has.

    A mask for each picture would not belong to them.
    """
    frames = len(films[0]) if latent.frames else 0
    mask = latent.mask if latent.mask and len(latent.mask) == 1 else None
    return latent._replace(batch=len(films), frames=frames, pictures=Images(chain(*films)), mask=mask)


def part_of(latent: Latent, start: int, count: int) -> Latent:
    return of_items(latent, items(latent)[start : start + count])


def joined(latents: Sequence[Latent]) -> Latent:
    """Several batches as one, all in the size of the first."""
    size = latents[0].width, latents[0].height
    films = chain.from_iterable(items(resized(one, size, crop=True)) for one in latents)
    return of_items(latents[0], list(films))


def from_batch(run: Invocation) -> Result:
    """LatentFromBatch: some of a batch, counted from its end when the index is below 0."""
    latent, index = run.latent(), run.value("batch_index", 0)
    start = max(0, min(latent.batch - 1, index + latent.batch if index < 0 else index))
    return Result((part_of(latent, start, max(1, run.value("length", 1))),))


def repeat(run: Invocation) -> Result:
    latent, amount = run.latent(), max(1, run.value("amount", 1))
    pictures = Images(latent.decoded() * amount) if latent.frames else None
    return Result((latent._replace(batch=latent.batch * amount, pictures=pictures),))


def batch(run: Invocation) -> Result:
    """LatentBatch and BatchLatentsNode: all that are linked, in their order."""
    latents = [value for value in run.inputs.values() if isinstance(value, Latent)]
    return Result((joined(latents or [run.latent()]),))


def rebatch(run: Invocation) -> Result:
    """RebatchLatents: the same latents in batches of another size; another shape begins another batch."""
    size = max(1, options(run).value("batch_size", 1))
    batches: list[Latent] = []
    for latent in latents_of(run):
        for index in range(latent.batch):
            one = part_of(latent, index, 1)
            if batches and batches[-1].batch < size and _shape(batches[-1]) == _shape(one):
                batches[-1] = joined([batches[-1], one])
            else:
                batches.append(one)
    return Result((Several(batches),))


def latents_of(run: Invocation, name: str = "latents") -> list[Latent]:
    """The latents that a class that takes lists was given."""
    return [value for value in run.inputs.get(name) or [] if isinstance(value, Latent)]


def _shape(latent: Latent) -> tuple[int, int, int]:
    return latent.width, latent.height, latent.frames


def seed_behavior(run: Invocation) -> Result:
    """LatentBatchSeedBehavior: whether all of a batch are sampled with the same noise."""
    return Result((run.latent()._replace(alike=run.value("seed_behavior", "fixed") == "fixed"),))


# --- time

#: The frames of one unit of a latent in time.
Moment = Sequence[Picture]


def moments(film: Film, space: Space) -> list[Moment]:
    """A film, cut into what each unit in time decodes to."""
    starts = range(space.start, len(film), space.stride)
    return [film[: space.start], *(film[start : start + space.stride] for start in starts)]


def film_of(given: Iterable[Moment], space: Space) -> Film:
    """The film that units in time decode to; one that stood elsewhere has more or fewer frames now."""
    film: list[Picture] = []
    for moment in given:
        count = space.stride if film else space.start
        film += [moment[i * len(moment) // count] for i in range(count)]
    return film


def length_of(latent: Latent) -> int:
    """The units of a latent in time."""
    return latent.space.length(latent.frames)


def between(latent: Latent, start: int, end: int) -> Latent:
    """Some of a latent's units in time."""
    space = latent.space
    return of_items(latent, [film_of(moments(film, space)[start:end], space) for film in items(latent)])


def in_place_of(latent: Latent, start: int, end: int, other: Latent) -> Latent:
    """A latent with all of another in the place of some of its units in time."""
    space, films = latent.space, []
    for film, inserted in zip(items(latent), cycle(items(resized(other, (latent.width, latent.height))))):
        given = moments(film, space)
        given[start:end] = moments(inserted, space)
        films.append(film_of(given, space))
    return of_items(latent, films)


def after_each_other(one: Latent, two: Latent) -> Latent:
    return in_place_of(one, length_of(one), length_of(one), two)


def trim(run: Invocation) -> Result:
    """TrimVideoLatent: without its beginning."""
    latent = run.latent()
    start = min(max(0, run.value("trim_amount", 0)), length_of(latent) - 1)
    return Result((between(latent, start, length_of(latent)) if start else latent,))


def replace(run: Invocation) -> Result:
    """ReplaceVideoLatentFrames: unless what is put in reaches beyond the end."""
    latent, source = run.latent("destination"), run.inputs.get("source")
    if not isinstance(source, Latent):
        return Result((latent,))
    index = run.value("index", 0)
    start = index + length_of(latent) if index < 0 else index
    end = start + length_of(source)
    fits = start >= 0 and end <= length_of(latent)
    return Result((in_place_of(latent, start, end, source) if fits else latent,))


def chunks(run: Invocation) -> Result:
    """SeedVR2TemporalChunk: parts that overlap; ``auto`` has room for all of it."""
    latent = run.latent("latent")
    length = whole = length_of(latent)
    if run.value("chunking_mode", "auto") == "manual":
        length = latent.space.length(run.value("chunking_mode.frames_per_chunk", 21))
    if length >= whole:
        return Result((Several([latent]), 0))
    overlap = min(max(0, run.value("temporal_overlap", 0)), length - 1)
    starts = range(0, whole - overlap, length - overlap)
    return Result((Several(between(latent, start, start + length) for start in starts), overlap))


def merge(run: Invocation) -> Result:
    """SeedVR2TemporalMerge: each part but the first without what overlaps."""
    merged, *rest = latents_of(run) or [run.latent("latents")]
    overlap = max(0, options(run).value("temporal_overlap", 0))
    for latent in rest:
        merged = after_each_other(between(merged, 0, max(1, length_of(merged) - overlap)), latent)
    return Result((merged,))


# --- along any side


def concat(run: Invocation) -> Result:
    """LatentConcat: along a side or in time; with a minus the second comes first."""
    one, two, dim = run.latent("samples1"), run.latent("samples2"), run.value("dim", "x")
    if dim.startswith("-"):
        one, two = two, one
    side = dim.lstrip("-")
    return Result((after_each_other(one, two) if side == "t" else beside(one, two, down=side == "y"),))


def units_of(latent: Latent, side: str) -> int:
    if side == "t":
        return length_of(latent)
    return (latent.width if side == "x" else latent.height) // latent.space.unit


def part_along(latent: Latent, side: str, start: int, end: int) -> Latent:
    if side == "t":
        return between(latent, start, end)
    first, last = start * latent.space.unit, end * latent.space.unit
    whole = latent.width, latent.height
    return cut_out(latent, (first, 0, last, whole[1]) if side == "x" else (0, first, whole[0], last))


def cut(run: Invocation) -> Result:
    """LatentCut: some units along a side or in time, as far as there are any."""
    latent, side, index = run.latent(), run.value("dim", "x"), run.value("index", 0)
    whole = units_of(latent, side)
    start = max(0, index + whole) if index < 0 else min(index, whole - 1)
    end = min(whole, start + max(1, run.value("amount", 1)))
    return Result((part_along(latent, side, start, end),))


def cut_to_batch(run: Invocation) -> Result:
    """LatentCutToBatch: slices of the same size as a batch; what is left over falls away."""
    latent, side = run.latent(), run.value("dim", "t")
    whole = units_of(latent, side)
    size = min(whole, max(1, run.value("slice_size", 1)))
    slices = [part_along(latent, side, start, start + size) for start in range(0, whole - size + 1, size)]
    films = zip(*map(items, slices))
    return Result((of_items(slices[0], list(chain.from_iterable(films))),))


# --- films with sound


def with_sound(run: Invocation) -> Result:
    """LTXVConcatAVLatent: the one's pictures with the other's sound."""
    film, other = run.latent("video_latent"), run.latent("audio_latent")
    sound = next(iter(other.sounds()), None)
    return Result((film._replace(sound=sound, keeps_sound=other.keeps_sound),))


def separate(run: Invocation) -> Result:
    """LTXVSeparateAVLatent: the pictures, and the sound that belongs to them."""
    latent = run.latent("av_latent")
    sound = next(iter(latent.sounds()), None)
    film = latent._replace(sound=None, keeps_sound=False)
    return Result((film, latent._replace(frames=0, pictures=None, mask=None, sound=sound)))


BEHAVIOURS = {
    "LatentFromBatch": from_batch,
    "RepeatLatentBatch": repeat,
    "LatentBatch": batch,
    "BatchLatentsNode": batch,
    "RebatchLatents": rebatch,
    "LatentBatchSeedBehavior": seed_behavior,
    "TrimVideoLatent": trim,
    "ReplaceVideoLatentFrames": replace,
    "SeedVR2TemporalChunk": chunks,
    "SeedVR2TemporalMerge": merge,
    "LatentConcat": concat,
    "LatentCut": cut,
    "LatentCutToBatch": cut_to_batch,
    "LTXVConcatAVLatent": with_sound,
    "LTXVSeparateAVLatent": separate,
}
