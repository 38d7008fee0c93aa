"""Noise schedules: how many steps each gives a sampler, and their levels.

Only what a node puts between two levels depends on them.  Where they belong to a model, they are those
of Stable Diffusion, or of a model that goes evenly from 1 to 0.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence

from comfystub.nodes.invocation import Behaviour, Invocation, Result
from comfystub.nodes.values import Sigmas, first

#: The highest and the lowest level of Stable Diffusion.
SIGMA_MAX, SIGMA_MIN = 14.614642, 0.0291675

#: An exponent beyond which a level is no number any more.
LARGEST = 700.0

Levels = Sequence[float]


def schedule(levels: Levels) -> Sigmas:
    return Sigmas(max(0, len(levels) - 1), tuple(levels))


def steps_of(run: Invocation) -> int:
    return max(1, run.value("steps", 20))


def levels_of(run: Invocation) -> Levels:
    """The levels that came in; even ones where nobody knows them."""
    sigmas = first(Sigmas, run.inputs.values()) or Sigmas(steps_of(run))
    return sigmas.levels or (_even(sigmas.steps) if sigmas.steps else ())


# --- levels by formula


def _even(steps: int) -> Levels:
    return [1 - i / steps for i in range(steps + 1)]


def _parts(count: int) -> list[float]:
    """From 0 to 1 in so many places."""
    return [i / max(1, count - 1) for i in range(count)]


def _karras(steps: int, highest: float = SIGMA_MAX, lowest: float = SIGMA_MIN, rho: float = 7.0) -> Levels:
    high, low = highest ** (1 / rho), lowest ** (1 / rho)
    return [*((high + part * (low - high)) ** rho for part in _parts(steps)), 0.0]


def karras(run: Invocation) -> Levels:
    return _karras(steps_of(run), *_limits(run), max(0.1, run.value("rho", 7.0)))


def exponential(run: Invocation) -> Levels:
    """ExponentialScheduler, and PolyexponentialScheduler, which has an exponent more."""
    high, low = map(math.log, _limits(run))
    rho = run.value("rho", 1.0)
    return [*(math.exp(low + (1 - part) ** rho * (high - low)) for part in _parts(steps_of(run))), 0.0]


def laplace(run: Invocation) -> Levels:
    """LaplaceScheduler: levels without a last one of 0, so one step less."""
    mu, beta, (high, low) = run.value("mu", 0.0), run.value("beta", 0.5), _limits(run)
    levels = (
        math.exp(mu - beta * math.copysign(1, 0.5 - part) * math.log(1 - 2 * abs(0.5 - part) + 1e-5))
        for part in _parts(steps_of(run))
    )
    return [min(high, max(low, level)) for level in levels]


def variance_preserving(run: Invocation) -> Levels:
    beta_d, beta_min, last = run.value("beta_d", 19.9), run.value("beta_min", 0.1), run.value("eps_s", 0.001)
    times = (1 + part * (last - 1) for part in _parts(steps_of(run)))
    exponents = (min(LARGEST, beta_d * time**2 / 2 + beta_min * time) for time in times)
    return [*(math.sqrt(math.expm1(exponent)) for exponent in exponents), 0.0]


def _limits(run: Invocation) -> tuple[float, float]:
    lowest = max(1e-6, run.value("sigma_min", SIGMA_MIN))
    return max(lowest, run.value("sigma_max", SIGMA_MAX)), lowest


#: A number in the text of ManualSigmas.
NUMBER = re.compile(r"[-+]?\d*\.?\d+")


def manual(run: Invocation) -> Levels:
    return [float(number) for number in NUMBER.findall(run.value("sigmas", ""))]


# --- levels of a model


def basic(run: Invocation) -> Levels:
    """BasicScheduler: the last steps of as many more as less denoising takes."""
    steps, denoise = steps_of(run), run.value("denoise", 1.0)
    return _karras(int(steps / min(1.0, denoise)))[-steps - 1 :] if denoise > 0 else ()


def turbo(run: Invocation) -> Levels:
    """SDTurboScheduler: some of the ten steps of a model that was made for few."""
    return _karras(10)[-int(10 * run.value("denoise", 1.0)) - 1 :][: steps_of(run) + 1]


def optimized(run: Invocation) -> Levels:
    """A schedule from a table, without the steps that less denoising leaves out."""
    steps, denoise = steps_of(run), run.value("denoise", 1.0)
    return _karras(steps)[-round(steps * denoise) - 1 :] if denoise > 0 else ()


def even(run: Invocation) -> Levels:
    return _even(steps_of(run))


# --- changed schedules


def split(run: Invocation) -> Result:
    levels, step = levels_of(run), max(0, run.value("step", 0))
    return Result((schedule(levels[: step + 1]), schedule(levels[step:])))


def split_by_denoise(run: Invocation) -> Result:
    """SplitSigmasDenoise: the last steps apart; without any of them nothing is before them either."""
    levels = levels_of(run)
    last = round(max(0, len(levels) - 1) * run.value("denoise", 1.0))
    return Result((schedule(levels[:-last] if last else ()), schedule(levels[-last - 1 :])))


def flip(run: Invocation) -> Levels:
    """FlipSigmas: the other way round; a schedule cannot begin at 0."""
    levels = levels_of(run)[::-1]
    return [levels[0] or 0.0001, *levels[1:]] if levels else levels


def set_first(run: Invocation) -> Levels:
    levels = levels_of(run)
    return [run.value("sigma", 136.0), *levels[1:]] if levels else levels


def extend(run: Invocation) -> Levels:
    """ExtendIntermediateSigmas: steps that begin between two levels become several."""
    parts, levels = max(1, run.value("steps", 2)), levels_of(run)
    start, end = run.value("start_at_sigma", -1.0), run.value("end_at_sigma", 12.0)
    extended: list[float] = []
    for level, following in itertools.pairwise(levels):
        count = parts if end <= level <= (math.inf if start < 0 else start) else 1
        extended += [level + part / count * (following - level) for part in range(count)]
    return [*extended, *levels[-1:]]


def percent_to_sigma(run: Invocation) -> Result:
    """SamplingPercentToSigma, of a model whose levels go from 1 to 0."""
    percent = run.value("sampling_percent", 0.0)
    outside = percent <= 0 and not run.inputs.get("return_actual_sigma")
    return Result((BEFORE_ALL if outside else 1 - percent,))


#: What stands for a level above all others.
BEFORE_ALL = 999999999.9


def giving(levels: Callable[[Invocation], Levels]) -> Behaviour:
    return lambda run: Result((schedule(levels(run)),))


SCHEDULES: dict[str, Callable[[Invocation], Levels]] = {
    "BasicScheduler": basic,
    "BetaSamplingScheduler": basic,
    "SDTurboScheduler": turbo,
    "AlignYourStepsScheduler": optimized,
    "GITSScheduler": optimized,
    "OptimalStepsScheduler": optimized,
    "KarrasScheduler": karras,
    "ExponentialScheduler": exponential,
    "PolyexponentialScheduler": exponential,
    "LaplaceScheduler": laplace,
    "VPScheduler": variance_preserving,
    "Flux2Scheduler": even,
    "LTXVScheduler": even,
    "Ideogram4Scheduler": even,
    "ManualSigmas": manual,
    "FlipSigmas": flip,
    "SetFirstSigma": set_first,
    "ExtendIntermediateSigmas": extend,
}

BEHAVIOURS = {
    **{name: giving(levels) for name, levels in SCHEDULES.items()},
    "SplitSigmas": split,
    "SplitSigmasDenoise": split_by_denoise,
    "SamplingPercentToSigma": percent_to_sigma,
}
