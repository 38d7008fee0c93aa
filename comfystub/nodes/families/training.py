"""Training a LoRA, and the sets of pictures and words for it."""

from __future__ import annotations

import json
import math
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from comfystub.media.edits import Edited
from comfystub.media.files import inside
from comfystub.nodes.families.editing import options
from comfystub.nodes.families.latent_batches import joined, latents_of
from comfystub.nodes.families.latents import encoded
from comfystub.nodes.invocation import Invocation, Progress, Reports, Result
from comfystub.nodes.values import DEFAULT_SIZE, Images, Latent, Opaque, Several, first, nth
from comfystub.nodes.writing import temp_prefix, texts, write

if TYPE_CHECKING:
    from PIL.Image import Image


class Losses(NamedTuple):
    """How far off each step of a training was, ComfyUI's ``LOSS_MAP``."""

    values: tuple[float, ...]


#: Where the name of a LoRA says how many steps it was trained for.
TRAINED = re.compile(r"_(\d+)_steps")


def train(run: Invocation) -> Reports:
    """TrainLoraNode: one report for each step, and the losses that they end with."""
    plain = options(run)
    steps, before = max(1, plain.value("steps", 16)), TRAINED.search(plain.value("existing_lora", ""))
    for step in range(1, steps + 1):
        yield Progress(step, steps)
    lora = Opaque("LORA_MODEL", run.signature, tuple(run.inputs.values()))
    return Result((lora, Losses(_losses(run.signature, steps)), steps + (int(before[1]) if before else 0)))


def _losses(digest: bytes, steps: int) -> tuple[float, ...]:
    """Losses that fall, not smoothly, in a way that follows from a digest."""
    falling = (0.1 + 0.4 * math.exp(-3 * step / steps) for step in range(steps))
    return tuple(loss + nth(digest, step)[0] / 2550 for step, loss in enumerate(falling))


GRAPH_SIZE, MARGIN = (800, 480), 40


def plot(run: Invocation) -> Result:
    """LossGraphNode: the losses as a curve, which is a preview."""
    losses = first(Losses, run.inputs.values()) or Losses(_losses(run.signature, 16))
    picture = Edited(GRAPH_SIZE, lambda: _curve(losses.values))
    entry = write(run, ".png", picture.png(texts(run)), kind="temp", prefix=temp_prefix(run), size=GRAPH_SIZE)
    return Result((), {"images": [entry]})


def _curve(values: tuple[float, ...]) -> Image:
    from PIL import Image, ImageDraw

    width, height = (side - 2 * MARGIN for side in GRAPH_SIZE)
    lowest, highest = min(values), max(values)
    across, up = width / max(1, len(values) - 1), height / ((highest - lowest) or 1)
    image = Image.new("RGB", GRAPH_SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.line([(MARGIN, MARGIN), (MARGIN, MARGIN + height), (MARGIN + width, MARGIN + height)], fill="black")
    draw.text((4, MARGIN), f"{highest:.3f}", fill="black")
    draw.text((4, MARGIN + height), f"{lowest:.3f}", fill="black")
    points = [(MARGIN + i * across, MARGIN + (highest - value) * up) for i, value in enumerate(values)]
    draw.line(points, fill="blue", width=2)
    return image


# --- sets of pictures and words


def make_dataset(run: Invocation) -> Result:
    """MakeTrainingDataset: each picture as a latent, each text as a conditioning."""
    batches = [images for images in run.inputs.get("images") or [] if isinstance(images, Images)]
    words = list(run.inputs.get("texts") or [""])
    if len(words) not in (1, len(batches)):
        raise ValueError(
            f"Number of texts ({len(words)}) does not match number of images ({len(batches)}). "
            "Text list should have length 0, 1, or the number of images."
        )
    latents = Several(encoded(run, images) for images in batches)
    return Result(
        (latents, Several(_conditioning(run, i, words[i % len(words)]) for i in range(len(batches))))
    )


def _conditioning(run: Invocation, index: int, *carried: object) -> Opaque:
    return Opaque("CONDITIONING", nth(run.signature, index), carried)


def by_resolution(run: Invocation) -> Result:
    """ResolutionBucket: a batch for each size, and what belongs to it."""
    buckets: dict[tuple[int, int], list[tuple[Latent, object]]] = {}
    for latent, conditioning in zip(latents_of(run), run.inputs.get("conditioning") or []):
        buckets.setdefault((latent.width, latent.height), []).append((latent, conditioning))
    latents = Several(joined([latent for latent, _ in bucket]) for bucket in buckets.values())
    conditionings = (
        _conditioning(run, i, *(conditioning for _, conditioning in bucket))
        for i, bucket in enumerate(buckets.values())
    )
    return Result((latents, Several(conditionings)))


#: The folder of the sets, beside those of pictures.
DATASETS = "datasets"


def _folder(run: Invocation) -> Path:
    """The folder of a set, which lies below that of all sets."""
    datasets, name = run.server.folders.folder(DATASETS), run.value("folder_name", "training_dataset")
    folder = inside(datasets, name)
    if folder is None or folder == datasets:
        raise ValueError(f"Invalid dataset folder name: {name!r}")
    return folder


def save_dataset(run: Invocation) -> Result:
    """SaveTrainingDataset: files with so many pairs each, and one that counts them."""
    plain, latents = options(run), latents_of(run)
    if len(latents) != len(run.inputs.get("conditioning") or []):
        raise ValueError("Number of latents does not match number of conditioning")
    folder, size = _folder(plain), max(1, plain.value("shard_size", 1000))
    samples = [
        {"size": (latent.width, latent.height), "batch": latent.batch, "digest": latent.digest}
        for latent in latents
    ]
    shards = [samples[start : start + size] for start in range(0, len(samples), size)]
    counts = {"num_samples": len(samples), "num_shards": len(shards), "shard_size": size}
    folder.mkdir(parents=True, exist_ok=True)
    for number, shard in enumerate(shards):
        _write(run, folder / f"shard_{number:04d}.pkl", pickle.dumps(shard))
    _write(run, folder / "metadata.json", json.dumps(counts, indent=2).encode())
    return Result()


def _write(run: Invocation, path: Path, data: bytes) -> None:
    run.before_save(str(path))
    run.server.folders.write(path, data)


def load_dataset(run: Invocation) -> Result:
    """LoadTrainingDataset: as many pairs as were saved, one where none were."""
    path = _folder(run) / "metadata.json"
    count = json.loads(path.read_bytes())["num_samples"] if path.is_file() else 1
    latents = Several(Latent(DEFAULT_SIZE, DEFAULT_SIZE, 1, nth(run.signature, i)) for i in range(count))
    return Result((latents, Several(_conditioning(run, i) for i in range(count))))


BEHAVIOURS = {
    "TrainLoraNode": train,
    "LossGraphNode": plot,
    "MakeTrainingDataset": make_dataset,
    "ResolutionBucket": by_resolution,
    "SaveTrainingDataset": save_dataset,
    "LoadTrainingDataset": load_dataset,
}
