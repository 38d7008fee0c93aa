"""The samplers: their rounds, and the previews they show."""

from __future__ import annotations

from comfystub.media.looks import Look
from comfystub.nodes.invocation import Invocation, Progress, Reports, Result
from comfystub.nodes.values import Latent, Sigmas

#: The longer side of a preview, in pixels.
PREVIEW_SIDE = 512


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
    sampled = sampled_from(latent, run.signature, run.look())
    preview, size = sampled.preview(), preview_size(latent.width, latent.height)
    for value in range(1, rounds + 1):
        yield Progress(value, maximum, preview, size)
    return Result((sampled,) * outputs)


def sampled_from(latent: Latent, digest: bytes, look: Look) -> Latent:
    """What sampling makes of a latent; a picture that is given brings its own size."""
    made = latent._replace(digest=digest, pictures=None, look=look)
    if look.given is not None and latent.frames:
        made = made._replace(width=look.given.width, height=look.given.height)
    return made


def preview_size(width: int, height: int) -> tuple[int, int]:
    """The size of a preview: the picture's, scaled so that the longer side is 512 pixels."""
    scale = PREVIEW_SIDE / max(width, height)
    return max(1, int(width * scale)), max(1, int(height * scale))


def schedule(run: Invocation) -> Result:
    return Result((Sigmas(max(0, run.value("steps", 20))),))


BEHAVIOURS = {
    "KSampler": k_sampler,
    "KSamplerAdvanced": k_sampler_advanced,
    "SamplerCustom": custom_sampler,
    "SamplerCustomAdvanced": custom_sampler,
}
