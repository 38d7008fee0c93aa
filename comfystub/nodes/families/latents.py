"""Latents: their sizes, batches and lengths, and the pictures they are made of and turn into."""

from __future__ import annotations

from comfystub.nodes.invocation import Invocation, Result
from comfystub.nodes.values import Images, Latent

#: Pixels of a decoded picture to one unit of a latent.
LATENT_UNIT = 8


def to_units(pixels: int) -> int:
    """A length in pixels as whole units of a latent."""
    return max(1, pixels // LATENT_UNIT) * LATENT_UNIT


def empty_latent(run: Invocation) -> Result:
    width, height = to_units(run.value("width", 512)), to_units(run.value("height", 512))
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
    return Result((Latent(to_units(width), to_units(height), latent.batch, run.signature),))


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
    width, height = (to_units(side) for side in pictures[0].size)
    return Result((Latent(width, height, len(pictures), run.signature, pictures),))


def decode(run: Invocation) -> Result:
    return Result((run.latent().decoded(),))


BEHAVIOURS = {
    "EmptyLatentImage": empty_latent,
    "LatentUpscale": upscale_latent,
    "LatentUpscaleBy": upscale_latent_by,
    "RepeatLatentBatch": repeat_latent,
    "VAEEncode": encode,
    "VAEDecode": decode,
    "VAEDecodeTiled": decode,
}
