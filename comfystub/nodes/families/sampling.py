"""The samplers: their rounds, the previews they show, and what they keep of what they were given."""

from __future__ import annotations

from comfystub.media.looks import Look
from comfystub.nodes.families.latent_shapes import kept_outside
from comfystub.nodes.invocation import Invocation, Progress, Reports, Result
from comfystub.nodes.values import Latent, Sigmas, first

#: The longer side of a preview, in pixels.
PREVIEW_SIDE = 512

#: The sampler that works in three steps at a time.
IN_THREES = "dpm_fast"


def k_sampler(run: Invocation) -> Reports:
    steps = run.value("steps", 20) if run.value("denoise", 1.0) > 0 else 0
    return _sample(run, steps, run.value("sampler_name", ""))


def k_sampler_advanced(run: Invocation) -> Reports:
    end = min(run.value("end_at_step", 10000), run.value("steps", 20))
    return _sample(run, max(0, end - run.value("start_at_step", 0)), run.value("sampler_name", ""))


def custom_sampler(run: Invocation) -> Reports:
    """SamplerCustom and SamplerCustomAdvanced: one round for each step of the schedule."""
    sigmas = run.inputs.get("sigmas")
    steps = sigmas.steps if isinstance(sigmas, Sigmas) else run.value("steps", 20)
    return _sample(run, steps, first(str, [run.inputs.get("sampler")]) or "", outputs=2)


def _sample(run: Invocation, steps: int, sampler: str, outputs: int = 1) -> Reports:
    rounds = steps // 3 + 1 if steps and sampler == IN_THREES else steps
    return sample(run, run.latent("latent_image"), rounds, steps, outputs)


def sample(run: Invocation, latent: Latent, rounds: int, maximum: int, outputs: int = 1) -> Reports:
    """Report ``rounds`` rounds of ``maximum``, then leave the sampled latent on every output.

    Without a round the latent stays as it is.
    """
    if not rounds:
        return Result((latent,) * outputs)
    sampled = sampled_from(latent, run.signature, run.look())
    preview, size = sampled.preview(), preview_size(latent.width, latent.height)
    for value in range(1, rounds + 1):
        yield Progress(value, maximum, preview, size)
    return Result((sampled,) * outputs)


def sampled_from(latent: Latent, digest: bytes, look: Look) -> Latent:
    """What sampling makes of a latent; a picture that is given brings its own size."""
    made = latent._replace(digest=digest, pictures=None, look=look)
    if latent.sound is not None and not latent.keeps_sound:
        made = made._replace(sound=latent.sound._replace(digest=b""))
    if look.given is not None and latent.frames:
        return made._replace(width=look.given.width, height=look.given.height)
    return kept_outside(latent, made)


def preview_size(width: int, height: int) -> tuple[int, int]:
    """The size of a preview: the picture's, scaled so that the longer side is 512 pixels."""
    scale = PREVIEW_SIDE / max(width, height)
    return max(1, int(width * scale)), max(1, int(height * scale))


BEHAVIOURS = {
    "KSampler": k_sampler,
    "KSamplerAdvanced": k_sampler_advanced,
    "SamplerCustom": custom_sampler,
    "SamplerCustomAdvanced": custom_sampler,
}
