"""Where latents come from and what they turn into: empty ones, encoding, decoding and files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from comfystub.media import tensors
from comfystub.media.edits import Edited, Size, cropped, grown, levels
from comfystub.media.pictures import Picture, Solid
from comfystub.media.sound import Sound
from comfystub.nodes.invocation import Behaviour, Invocation, Progress, Reports, Result
from comfystub.nodes.passing import output_of_type
from comfystub.nodes.reading import read
from comfystub.nodes.spaces import (
    COSMOS,
    FLUX2,
    HUNYUAN_IMAGE,
    HUNYUAN_VIDEO_15,
    LTXV,
    MINIMAX,
    MOCHI,
    PIXELS,
    QUARTER,
    SD,
    SD3,
    WAN,
    Space,
    of_name,
    of_shape,
)
from comfystub.nodes.values import DEFAULT_SIZE, Images, Latent, Masks, Sounds, first
from comfystub.nodes.writing import texts, write

# --- empty latents


def blank(run: Invocation, space: Space, size: Size | None = None) -> Latent:
    """The empty latent of the width, height, length and batch that a node asks for."""
    width, height = size or (run.value("width", DEFAULT_SIZE), run.value("height", DEFAULT_SIZE))
    frames = space.whole(run.value("length", 1)) if space.stride > 1 else 1
    batch = batch_size(run)
    return Latent(space.side(width), space.side(height), batch, run.signature, frames=frames, space=space)


def batch_size(run: Invocation) -> int:
    return max(1, run.value("batch_size", 1))


def formless(run: Invocation) -> Latent:
    """A latent of something that is no picture."""
    return Latent(DEFAULT_SIZE, DEFAULT_SIZE, batch_size(run), run.signature, frames=0)


def layered(run: Invocation) -> Latent:
    """EmptyQwenImageLayeredLatentImage: the whole picture, then its layers."""
    return blank(run, SD3)._replace(frames=max(0, run.value("layers", 3)) + 1)


def even_length(run: Invocation) -> Latent:
    """A film of CogVideoX, whose latents have an even length."""
    latent = blank(run, WAN)
    return latent._replace(frames=WAN.frames(max(1, WAN.length(latent.frames) // 2 * 2)))


class Grain(NamedTuple):
    """How latents of one kind stand for sound: its sample rate, and the samples that one unit decodes to."""

    rate: int
    samples: int

    def whole(self, seconds: float) -> Sound:
        """As much sound as the units have that come nearest to so many seconds."""
        units = max(1, round(seconds * self.rate / self.samples))
        return Sound(units * self.samples / self.rate, self.rate)


STABLE_AUDIO = Grain(44100, 4096)
ACE_STEP_15 = Grain(48000, 1920)
LTXV_SOUND = Grain(24000, 960)
MINIMAX_SOUND = Grain(44100, 1764)

#: Frames per second of MiniMax's films.
MINIMAX_FPS = 24


def silent(run: Invocation, grain: Grain) -> Latent:
    """The empty latent of sound of the seconds that a node asks for."""
    return formless(run)._replace(sound=grain.whole(run.value("seconds", 1.0)))


def silent_film(run: Invocation) -> Latent:
    """LTXVEmptyLatentAudio: as much sound as belongs to so many frames."""
    seconds = run.value("frames_number", 97) / max(1.0, run.value("frame_rate", 25.0))
    return formless(run)._replace(sound=LTXV_SOUND.whole(seconds))


def minimax_film(run: Invocation) -> Latent:
    """An empty film of MiniMax, with sound, that is not shorter than asked for."""
    length = max(MINIMAX.start, run.value("length", 124))
    frames = MINIMAX.whole(length + MINIMAX.stride - 1)
    return blank(run, MINIMAX)._replace(frames=frames, sound=MINIMAX_SOUND.whole(frames / MINIMAX_FPS))


EMPTY: dict[str, Callable[[Invocation], Latent]] = {
    "EmptyLatentImage": partial(blank, space=SD),
    "EmptySD3LatentImage": partial(blank, space=SD3),
    "EmptyFlux2LatentImage": partial(blank, space=FLUX2),
    "EmptyHunyuanImageLatent": partial(blank, space=HUNYUAN_IMAGE),
    "EmptyChromaRadianceLatentImage": partial(blank, space=PIXELS),
    "EmptyHiDreamO1LatentImage": partial(blank, space=PIXELS),
    "EmptyQwenImageLayeredLatentImage": layered,
    "EmptyHunyuanLatentVideo": partial(blank, space=WAN),
    "EmptyHunyuanVideo15Latent": partial(blank, space=HUNYUAN_VIDEO_15),
    "EmptyARVideoLatent": partial(blank, space=WAN),
    "EmptyCosmosLatentVideo": partial(blank, space=COSMOS),
    "EmptyLTXVLatentVideo": partial(blank, space=LTXV),
    "EmptyMochiLatentVideo": partial(blank, space=MOCHI),
    "VOIDWarpedNoise": even_length,
    "EmptyMiniMaxH3LatentAV": minimax_film,
    "LTXVEmptyLatentAudio": silent_film,
    "EmptyLatentAudio": partial(silent, grain=STABLE_AUDIO),
    "EmptyAceStepLatentAudio": partial(silent, grain=STABLE_AUDIO),
    "EmptyAceStep1.5LatentAudio": partial(silent, grain=ACE_STEP_15),
    "EmptyMiniMaxMusic3LatentAudio": partial(silent, grain=MINIMAX_SOUND),
    "EmptyLatentHunyuan3Dv2": formless,
    "EmptyTrellis2LatentStructure": formless,
}


def giving(make: Callable[[Invocation], Latent]) -> Behaviour:
    """What a node does that gives one latent."""
    return lambda run: Result((make(run),))


def empty_stages(run: Invocation) -> Result:
    """StableCascade_EmptyLatentImage: what the first stage makes is never decoded; it guides the second."""
    return Result((blank(run, _first_stage(run)), blank(run, QUARTER)))


def _first_stage(run: Invocation) -> Space:
    return Space(max(1, run.value("compression", 42)), channels=16)


# --- encoding


def encoded(run: Invocation, images: Images) -> Latent:
    """The latent of pictures in the space of the node's VAE; one of films takes them for a film."""
    space = of_name(first(str, [run.inputs.get("vae")]) or "")
    if space.stride == 1:
        return _of(run, images, space)
    frames = space.whole(len(images))
    film = Images([*images, *[images[-1]] * (frames - len(images))][:frames])
    return _of(run, film, space)._replace(batch=1, frames=frames)


def _of(run: Invocation, images: Images, space: Space) -> Latent:
    width, height = map(space.side, images[0].size)
    pictures = Images(_middle(picture, width, height) for picture in images)
    return Latent(width, height, len(images), run.signature, pictures, space=space)


def _middle(picture: Picture, width: int, height: int) -> Picture:
    """The middle of a picture: what is more than whole units falls away."""
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return cropped(picture, (left, top, left + width, top + height))


def encode(run: Invocation) -> Result:
    return Result((encoded(run, run.images("pixels")),))


def encode_in_tiles(run: Invocation) -> Reports:
    latent = encoded(run, run.images("pixels"))
    yield from _tiles(run, latent)
    return Result((latent,))


def encode_for_inpainting(run: Invocation) -> Result:
    """VAEEncodeForInpaint: a mask of what sampling makes anew, which reaches a little further."""
    latent, masks = encoded(run, run.images("pixels")), run.inputs.get("mask")
    if not isinstance(masks, Masks):
        return Result((latent,))
    reach = run.value("grow_mask_by", 6) // 2
    return Result((latent._replace(mask=Masks(_grown(mask, reach) for mask in masks)),))


def _grown(mask: Picture, reach: int) -> Picture:
    if isinstance(mask, Solid) or not reach:
        return mask
    return Edited(mask.size, lambda: grown(levels(mask), reach))


def encode_stages(run: Invocation) -> Result:
    """StableCascade_StageC_VAEEncode: the pictures for the first stage, and room for the second."""
    images = run.images()
    given = _of(run, images, _first_stage(run))
    return Result((given, _of(run, images, QUARTER)._replace(pictures=None)))


def encode_sound(run: Invocation) -> Result:
    sounds: Sounds = output_of_type(run, "AUDIO")
    return Result((formless(run)._replace(batch=len(sounds), sound=sounds[0]),))


def encode_film_sound(run: Invocation) -> Result:
    """LTXVAudioVAEEncode: sound in the sample rate of that VAE."""
    sounds: Sounds = output_of_type(run, "AUDIO")
    sound = sounds[0]._replace(sample_rate=LTXV_SOUND.rate)
    return Result((formless(run)._replace(batch=len(sounds), sound=sound),))


# --- decoding


def decode(run: Invocation) -> Result:
    return Result((run.latent().decoded(),))


def decode_in_tiles(run: Invocation) -> Reports:
    latent = run.latent()
    yield from _tiles(run, latent)
    return Result((latent.decoded(),))


def decode_sound(run: Invocation) -> Result:
    return Result((run.latent().sounds() or output_of_type(run, "AUDIO"),))


def _tiles(run: Invocation, latent: Latent) -> Iterator[Progress]:
    """The reports of pictures that are done in tiles of three shapes; of films there are none."""
    if latent.space.stride > 1:
        return
    unit = latent.space.unit
    tile = max(2, run.value("tile_size", 512) // unit)
    overlap = min(run.value("overlap", 64) // unit, tile // 4)
    size = latent.width // unit, latent.height // unit
    shapes = (tile, tile), (tile // 2, tile * 2), (tile * 2, tile // 2)
    total = latent.batch * sum(_count(size, shape, overlap) for shape in shapes)
    for value in range(1, total + 1):
        yield Progress(value, total)


def _count(size: Size, shape: Size, overlap: int) -> int:
    """How many tiles of a shape cover a size."""
    return math.prod(
        1 if whole <= part else math.ceil((whole - overlap) / max(1, part - overlap))
        for whole, part in zip(size, shape)
    )


# --- files

#: Samples of sound to one unit of a latent in a file, at the rate of STABLE_AUDIO.
WRITTEN_SAMPLES = 2048


def save_latent(run: Invocation) -> Result:
    latent = run.latent()
    data = tensors.latent(run.signature, _shape(latent), dict(texts(run)))
    return Result((latent,), {"latents": [write(run, ".latent", data)]})


def _shape(latent: Latent) -> list[int]:
    space, rate = latent.space, STABLE_AUDIO.rate
    if not latent.frames:
        seconds = latent.sound.seconds if latent.sound else 0.0
        return [latent.batch, 64, round(seconds * rate / WRITTEN_SAMPLES)]
    time = [space.length(latent.frames)] if space.stride > 1 else []
    return [latent.batch, space.channels, *time, latent.height // space.unit, latent.width // space.unit]


def load_latent(run: Invocation) -> Result:
    """LoadLatent: of the size that the file says; what it decodes to is generated."""
    header = tensors.read_header(read(run, run.value("latent", "")))
    if header is None:
        raise ValueError("Error while deserializing header: invalid header")
    _, shape = header[0]["latent_tensor"]
    batch, size = shape[0], shape[-1]
    if len(shape) == 3:
        sound = Sound(size * WRITTEN_SAMPLES / STABLE_AUDIO.rate, STABLE_AUDIO.rate)
        return Result((formless(run)._replace(batch=batch, sound=sound),))
    space = of_shape(shape)
    frames = space.frames(shape[2]) if len(shape) > 4 else 1
    width, height = size * space.unit, shape[-2] * space.unit
    return Result((Latent(width, height, batch, run.signature, frames=frames, space=space),))


BEHAVIOURS = {
    **{name: giving(make) for name, make in EMPTY.items()},
    "StableCascade_EmptyLatentImage": empty_stages,
    "StableCascade_StageC_VAEEncode": encode_stages,
    "VAEEncode": encode,
    "VAEEncodeTiled": encode_in_tiles,
    "VAEEncodeForInpaint": encode_for_inpainting,
    "VAEEncodeAudio": encode_sound,
    "LTXVAudioVAEEncode": encode_film_sound,
    "VAEDecode": decode,
    "VAEDecodeTiled": decode_in_tiles,
    "VAEDecodeAudio": decode_sound,
    "VAEDecodeAudioTiled": decode_sound,
    "LTXVAudioVAEDecode": decode_sound,
    "SaveLatent": save_latent,
    "LoadLatent": load_latent,
}
