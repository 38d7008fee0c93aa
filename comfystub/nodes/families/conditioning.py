"""Classes that make a latent, or numbers, along with a conditioning; all others only pass on."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from comfystub.media.edits import scaled
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.families.editing import alike
from comfystub.nodes.families.latent_batches import between, length_of
from comfystub.nodes.families.latent_shapes import WHITE, items
from comfystub.nodes.families.latents import (
    MINIMAX_SOUND,
    blank,
    encoded,
    even_length,
    formless,
    minimax_film,
)
from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.passing import output_of_type
from comfystub.nodes.spaces import (
    COSMOS,
    FLUX2,
    HUNYUAN_VIDEO_15,
    LTXV,
    QUARTER,
    SD,
    WAN,
    WAN_5B,
    Space,
)
from comfystub.nodes.values import Images, Latent, Masks, Opaque, Sounds, first


def along(run: Invocation, *made: Any) -> Result:
    """What a node made, on its last outputs; those before only pass on."""
    passed = run.node_class.output[: len(run.node_class.output) - len(made)]
    return Result((*(output_of_type(run, kind) for kind in passed), *made))


def making(make: Callable[[Invocation], Latent]) -> Behaviour:
    """What a node does that makes one latent."""
    return lambda run: along(run, make(run))


def given(run: Invocation, name: str) -> Images:
    """The pictures of an input, none where it has none."""
    images = run.inputs.get(name)
    return images if isinstance(images, Images) else Images()


# --- films

#: Classes that make an empty film, and its space.
FILMS = {
    "ARVideoI2V": WAN,
    "BerniniConditioning": WAN,
    "HunyuanImageToVideo": WAN,
    "HunyuanVideo15ImageToVideo": HUNYUAN_VIDEO_15,
    "Wan22FunControlToVideo": WAN,
    "WanCameraImageToVideo": WAN,
    "WanDancerVideo": WAN,
    "WanFirstLastFrameToVideo": WAN,
    "WanFunControlToVideo": WAN,
    "WanFunInpaintToVideo": WAN,
    "WanHuMoImageToVideo": WAN,
    "WanImageToVideo": WAN,
    "WanMoveTrackToVideo": WAN,
    "WanPhantomSubjectToVideo": WAN,
    "WanSoundImageToVideo": WAN,
    "WanTrackToVideo": WAN,
}


def film_with(latent: Latent, images: Images, strength: float = 1.0, at_end: bool = False) -> Latent:
    """A film that begins or ends with pictures, which sampling keeps; with less strength not all of them."""
    if not images:
        return latent
    count = min(latent.frames, latent.space.whole(len(images)))
    start = latent.frames - count if at_end else 0
    shown, masks = _shown(latent, images, count), _masks(latent)
    masks[start : start + count] = _kept(latent, strength, count)
    films = items(latent)
    for film in films:
        film[start : start + count] = shown
    return latent._replace(pictures=Images(chain(*films)), mask=Masks(masks))


def _shown(latent: Latent, images: Images, count: int) -> list[Picture]:
    """So many frames that show pictures, in the size of a film."""
    spread = [images[i * len(images) // count] for i in range(count)]
    return alike(spread, (latent.width, latent.height))


def _masks(latent: Latent) -> list[Picture]:
    """The mask of each frame of a film."""
    masks = latent.mask or [Solid(WHITE, latent.width, latent.height)]
    return [masks[i % len(masks)] for i in range(latent.frames)]


def _kept(latent: Latent, strength: float, count: int) -> list[Picture]:
    """The masks of frames that are kept with a strength from 0 to 1."""
    level = round(255 * (1 - max(0.0, min(1.0, strength))))
    return [Solid(level * 0x010101, latent.width, latent.height)] * count


def begun(run: Invocation, space: Space) -> Result:
    """A film with the pictures that it is to begin and to end with."""
    latent = film_with(blank(run, space), given(run, "start_image"))
    return along(run, film_with(latent, given(run, "end_image"), at_end=True))


def ltxv_begun(run: Invocation) -> Result:
    return along(run, film_with(blank(run, LTXV), run.images(), run.value("strength", 1.0)))


def begun_in_place(run: Invocation) -> Result:
    """LTXVImgToVideoInplace: the beginning of a film that is there already."""
    latent = run.latent("latent")
    if run.inputs.get("bypass"):
        return Result((latent,))
    return Result((film_with(latent, run.images(), run.value("strength", 1.0)),))


def kandinsky(run: Invocation) -> Result:
    """Kandinsky5ImageToVideo: an empty film, and the one that it begins with."""
    latent, images = blank(run, WAN), given(run, "start_image")
    if not images:
        return along(run, latent, latent)
    frames = min(latent.frames, WAN.whole(len(images)))
    return along(run, latent, between(film_with(latent, images), 0, WAN.length(frames)))


def vace(run: Invocation) -> Result:
    """WanVaceToVideo: the reference stands before the film, and is to be trimmed off."""
    trim = 1 if given(run, "reference_image") else 0
    return along(run, _after_reference(run, trim), trim)


def _after_reference(run: Invocation, references: int = 1) -> Latent:
    latent = blank(run, WAN)
    return latent._replace(frames=latent.frames + references * WAN.stride)


def animate(run: Invocation) -> Result:
    """WanAnimateToVideo: what is to be trimmed of latents and of pictures, and where the next part begins."""
    taken = min(len(given(run, "continue_motion")), run.value("continue_motion_max_frames", 5))
    return along(run, _after_reference(run), 1, WAN.whole(taken) if taken else 0, _next_offset(run, taken))


def animate_2(run: Invocation) -> Result:
    taken = min(len(given(run, "continue_motion")), 1)
    return along(run, _after_reference(run), 1, taken, _next_offset(run, taken))


def _next_offset(run: Invocation, taken: int) -> int:
    """Where the part behind this one begins, of which some frames were taken from the one before."""
    return max(0, run.value("video_frame_offset", 0) - taken) + run.value("length", 81)


def scail(run: Invocation) -> Result:
    """WanSCAILToVideo: a film that goes on where another ends."""
    count = max(1, run.value("previous_frame_count", 5))
    before = Images(given(run, "previous_frames")[-count:])
    return along(run, film_with(blank(run, WAN), before), _next_offset(run, len(before)))


def infinite_talk(run: Invocation) -> Result:
    goes_on = bool(given(run, "previous_frames"))
    return along(run, blank(run, WAN), run.value("motion_frame_count", 9) if goes_on else 0)


def sound_extended(run: Invocation) -> Latent:
    """WanSoundImageToVideoExtend: in the size of the film that it extends."""
    before = run.latent("video_latent")
    return blank(run, WAN, (before.width, before.height))._replace(batch=before.batch)


# --- guides of LTXV


class Guides(NamedTuple):
    """What a conditioning knows of the guides behind a film: how many units in time they are."""

    length: int


def add_guide(run: Invocation) -> Result:
    """LTXVAddGuide: pictures behind the film, which LTXVCropGuides cuts off again."""
    latent, images = run.latent("latent"), run.images()
    length = latent.space.length(len(images))
    count = length * latent.space.stride
    shown, kept = _shown(latent, images, count), _kept(latent, run.value("strength", 1.0), count)
    guided = latent._replace(
        frames=latent.frames + count,
        pictures=Images(chain.from_iterable([*film, *shown] for film in items(latent))),
        mask=Masks([*_masks(latent), *kept]),
    )
    return _with_guides(run, guided, _guides(run) + length)


def crop_guides(run: Invocation) -> Result:
    latent, length = run.latent("latent"), _guides(run)
    if not length:
        return along(run, latent)
    cropped = between(latent, 0, max(1, length_of(latent) - length))
    return _with_guides(run, cropped._replace(mask=Masks(_masks(latent)[: cropped.frames])), 0)


def _guides(run: Invocation) -> int:
    known = first(Guides, [run.inputs.get("positive")])
    return known.length if known else 0


def _with_guides(run: Invocation, latent: Latent, length: int) -> Result:
    conditioning = Opaque("CONDITIONING", run.signature, (Guides(length), *run.inputs.values()))
    return Result((conditioning, conditioning, latent))


# --- pictures


def views(run: Invocation) -> Latent:
    """SVD_img2vid_Conditioning and SV3D_Conditioning: frames that are a batch of pictures."""
    return blank(run, SD)._replace(batch=max(1, run.value("video_frames", 14)))


def inpainting(run: Invocation) -> Latent:
    """InpaintModelConditioning: the picture, and the mask of what is sampled anew."""
    latent, masks = encoded(run, run.images("pixels")), run.inputs.get("mask")
    masked = isinstance(masks, Masks) and run.inputs.get("noise_mask", True)
    return latent._replace(mask=masks) if masked else latent


def instructed(run: Invocation) -> Latent:
    """InstructPixToPixConditioning: in the size of the picture that is changed."""
    return encoded(run, run.images("pixels"))._replace(pictures=None)


def upscaled(run: Invocation) -> Latent:
    """SD_4XUpscale_Conditioning: so much larger than the pictures."""
    images, ratio = run.images("images"), run.value("scale_ratio", 4.0)
    width, height = (round(side * ratio) for side in images[0].size)
    return blank(run, QUARTER, (width, height))._replace(batch=len(images))


def edited(run: Invocation) -> Latent:
    """TextEncodeMageFlowEdit: a side of 0 is that of the first picture."""
    images = first(Images, run.inputs.values())
    own = images[0].size if images else (1024, 1024)
    return blank(run, FLUX2, (run.value("width", 0) or own[0], run.value("height", 0) or own[1]))


def super_resolution(run: Invocation) -> Result:
    """StableCascade_SuperResolutionControlnet: stages that come to twice the size of the picture."""
    images = run.images()
    width, height = (2 * side for side in images[0].size)
    stages = (blank(run, space, (width, height)) for space in (Space(32, channels=16), QUARTER))
    return Result((images, *(stage._replace(batch=len(images)) for stage in stages)))


def squared(run: Invocation) -> Result:
    """TripoSplatPreprocessImage: pictures with sides of one length."""
    side = max(1, run.value("size", 1024))
    return Result((Images(scaled(image, (side, side), crop=True) for image in run.images()),))


# --- numbers


def camera(run: Invocation) -> Result:
    return along(run, *(run.value(name, 0) for name in ("width", "height", "length")))


def tracks_of_coordinates(run: Invocation) -> Result:
    """WanMoveTracksFromCoords: as many frames as the first track has places."""
    given = json.loads(run.value("track_coords", "[]"))
    track = given[0] if given and isinstance(given[0], list) else given
    return along(run, len(track))


def tracks(run: Invocation) -> Result:
    return along(run, run.value("num_frames", 81))


def frame_rate_of_dance(run: Invocation) -> Result:
    """WanDancerEncodeAudio: the frames per second at which a film is as long as the music."""
    sounds: Sounds = output_of_type(run, "AUDIO")
    return along(run, f"{run.value('video_frames', 149) / max(0.01, sounds[0].seconds):.2f} fps")


#: The seconds between which the stub predicts a shot's length.
SHORTEST, LONGEST = 2.0, 10.0


def predicted_length(run: Invocation) -> Result:
    """LTXVDurationPredictor: a length that follows from the prompt, and the frames nearest to it."""
    seconds = round(SHORTEST + run.signature[0] / 255 * (LONGEST - SHORTEST), 2)
    limited = min(max(seconds, run.value("min_seconds", 1.0)), run.value("max_seconds", 20.0))
    frames = round(limited * run.value("frame_rate", 24.0))
    return Result((LTXV.whole(frames + LTXV.stride // 2), seconds))


def song_length(run: Invocation) -> Result:
    """MiniMaxMusic3TextEncode: a song of the length that it may have."""
    return along(run, MINIMAX_SOUND.whole(run.value("max_duration", 120.0)).seconds)


def unchanged(run: Invocation) -> Result:
    """NormalizeVideoLatentStart: nothing that a viewer would see."""
    return Result((run.latent("latent"),))


BEHAVIOURS = {
    **{name: making(partial(blank, space=space)) for name, space in FILMS.items()},
    "CosmosImageToVideoLatent": partial(begun, space=COSMOS),
    "CosmosPredict2ImageToVideoLatent": partial(begun, space=WAN),
    "Wan22ImageToVideoLatent": partial(begun, space=WAN_5B),
    "LTXVImgToVideo": ltxv_begun,
    "LTXVImgToVideoInplace": begun_in_place,
    "LTXVAddGuide": add_guide,
    "LTXVCropGuides": crop_guides,
    "Kandinsky5ImageToVideo": kandinsky,
    "MiniMaxH3ImageToVideo": making(minimax_film),
    "MiniMaxH3ReferenceToVideo": making(minimax_film),
    "VOIDInpaintConditioning": making(even_length),
    "WanVaceToVideo": vace,
    "WanAnimateToVideo": animate,
    "WanAnimate2ToVideo": animate_2,
    "WanSCAILToVideo": scail,
    "WanInfiniteTalkToVideo": infinite_talk,
    "WanSoundImageToVideoExtend": making(sound_extended),
    "SVD_img2vid_Conditioning": making(views),
    "SV3D_Conditioning": making(views),
    "StableZero123_Conditioning": making(partial(blank, space=SD)),
    "StableZero123_Conditioning_Batched": making(partial(blank, space=SD)),
    "InpaintModelConditioning": making(inpainting),
    "InstructPixToPixConditioning": making(instructed),
    "SD_4XUpscale_Conditioning": making(upscaled),
    "TextEncodeMageFlowEdit": making(edited),
    "StableCascade_SuperResolutionControlnet": super_resolution,
    "TripoSplatConditioning": making(formless),
    "Trellis2ShapeStage": making(formless),
    "Trellis2TextureStage": making(formless),
    "Trellis2UpsampleStage": making(formless),
    "TripoSplatPreprocessImage": squared,
    "WanCameraEmbedding": camera,
    "WanMoveTracksFromCoords": tracks_of_coordinates,
    "GenerateTracks": tracks,
    "WanDancerEncodeAudio": frame_rate_of_dance,
    "LTXVDurationPredictor": predicted_length,
    "MiniMaxMusic3TextEncode": song_length,
    "NormalizeVideoLatentStart": unchanged,
}
