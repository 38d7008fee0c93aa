"""Latents and the samplers: sizes, batches, rounds, previews."""

from __future__ import annotations

from comfystub.media.pictures import Picture
from comfystub.nodes.invocation import Invocation, Progress, Reports, Result
from comfystub.nodes.values import Images, Latent, Sigmas

#: Pixels of a decoded picture to one unit of a latent.
LATENT_UNIT = 8
#: The longer side of a preview, in pixels.
PREVIEW_SIDE = 512


def _to_units(pixels: int) -> int:
    return max(1, pixels // LATENT_UNIT) * LATENT_UNIT


def empty_latent(run: Invocation) -> Result:
    width, height = _to_units(run.value("width", 512)), _to_units(run.value("height", 512))
    return Result((Latent(width, height, max(1, run.value("batch_size", 1)), run.signature),))


def upscale_latent(run: Invocation) -> Result:
    """LatentUpscale: to a size; where one side is 0 the other one's scale decides."""
    latent = run.latent()
    width, height = run.value("width", 512), run.value("height", 512)
    if not width and not height:
        return Result((latent,))
    if not width:
        width = max(64, round(latent.width * height / latent.height))
    if not height:
        height = max(64, round(latent.height * width / latent.width))
    return Result((Latent(_to_units(width), _to_units(height), latent.batch, run.signature),))


def upscale_latent_by(run: Invocation) -> Result:
    latent, factor = run.latent(), run.value("scale_by", 1.5)
    width, height = (
        round(side / LATENT_UNIT * factor) * LATENT_UNIT for side in (latent.width, latent.height)
    )
    return Result((Latent(max(LATENT_UNIT, width), max(LATENT_UNIT, height), latent.batch, run.signature),))


def repeat_latent(run: Invocation) -> Result:
    latent, amount = run.latent(), max(1, run.value("amount", 1))
    pictures = Images(latent.pictures * amount) if latent.pictures else None
    return Result((latent._replace(batch=latent.batch * amount, digest=run.signature, pictures=pictures),))


def encode(run: Invocation) -> Result:
    pictures = run.images("pixels")
    width, height = (_to_units(side) for side in pictures[0].size)
    return Result((Latent(width, height, len(pictures), run.signature, pictures),))


def decode(run: Invocation) -> Result:
    return Result((run.latent().decoded(),))


def k_sampler(run: Invocation) -> Reports:
    steps = run.value("steps", 20)
    rounds = steps if run.value("denoise", 1.0) > 0 else 0
    if rounds and run.inputs.get("sampler_name") == "dpm_fast":
        rounds = steps // 3 + 1
    return sample(run, run.latent("latent_image"), rounds, steps)


def k_sampler_advanced(run: Invocation) -> Reports:
    steps = run.value("steps", 20)
    rounds = max(0, min(run.value("end_at_step", 10000), steps) - run.value("start_at_step", 0))
    return sample(run, run.latent("latent_image"), rounds, rounds)


def custom_sampler(run: Invocation) -> Reports:
    """SamplerCustom and SamplerCustomAdvanced: one round for each step of the schedule."""
    sigmas = run.inputs.get("sigmas")
    rounds = sigmas.steps if isinstance(sigmas, Sigmas) else run.value("steps", 20)
    return sample(run, run.latent("latent_image"), rounds, rounds, outputs=2)


def sample(run: Invocation, latent: Latent, rounds: int, maximum: int, outputs: int = 1) -> Reports:
    """Report ``rounds`` rounds of ``maximum``, then leave the sampled latent on every output."""
    made = run.server.sample(run.job, run.node_id)
    sampled = _sampled(latent, run.signature, made)
    preview, size = sampled.preview(), preview_size(latent.width, latent.height)
    for value in range(1, rounds + 1):
        yield Progress(value, maximum, preview, size)
    return Result((sampled,) * outputs)


def _sampled(latent: Latent, digest: bytes, made: Picture | None) -> Latent:
    if made is None:
        return Latent(latent.width, latent.height, latent.batch, digest)
    return Latent(made.width, made.height, latent.batch, digest, Images([made] * latent.batch))


def preview_size(width: int, height: int) -> tuple[int, int]:
    """The size of a preview: the picture's, scaled so that the longer side is 512 pixels."""
    scale = PREVIEW_SIDE / max(width, height)
    return max(1, int(width * scale)), max(1, int(height * scale))


def schedule(run: Invocation) -> Result:
    return Result((Sigmas(max(0, run.value("steps", 20))),))
