"""What nodes that change pictures have in common: batches, and lists of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from comfystub.media.edits import Edited, Size, scaled
from comfystub.media.pictures import Picture, Solid
from comfystub.nodes.invocation import Invocation
from comfystub.nodes.values import Images, Masks, Several, first

if TYPE_CHECKING:
    from PIL.Image import Image

Batch = Sequence[Picture]


def masks(run: Invocation, name: str = "mask", size: Size | None = None) -> Masks:
    """The masks of an input, or any that came in, or one that is set all over."""
    found = first(Masks, [run.inputs.get(name), *run.inputs.values()])
    return found or Masks([Solid(0xFFFFFF, *(size or run.images()[0].size))])


def color(run: Invocation, name: str, default: str) -> tuple[int, ...]:
    """The red, green and blue of a colour that an input names; those of ``default`` where it names none."""
    from PIL.ImageColor import getrgb

    try:
        return getrgb(run.value(name, default))[:3]
    except ValueError:
        return getrgb(default)[:3]


def each(change: Callable[..., Picture], batch: Batch, *others: Batch) -> list[Picture]:
    """Change every picture of a batch, a picture that it holds several times once.

    ``change`` is given one picture of each batch; those that are smaller than the first begin anew.
    """
    made: dict[tuple[int, ...], Picture] = {}
    changed = []
    for number, picture in enumerate(batch):
        group = picture, *(other[number % len(other)] for other in others)
        key = tuple(map(id, group))
        if key not in made:
            made[key] = change(*group)
        changed.append(made[key])
    return changed


def edit(
    change: Callable[..., Image], batch: Batch, *others: Batch, size: Size | None = None
) -> list[Picture]:
    """The same with a change of pixels, which is made when somebody looks.

    ``size`` is that of what ``change`` returns, where it is another than that of the pictures.
    """

    def later(*group: Picture) -> Picture:
        return Edited(size or group[0].size, lambda: change(*group))

    return each(later, batch, *others)


def alike(pictures: Batch, size: Size) -> list[Picture]:
    """Pictures of one size: those that have another shape are cut to it around their middle."""
    return each(lambda picture: scaled(picture, size, "BILINEAR", crop=True), pictures)


def joined(batches: Sequence[Batch]) -> list[Picture]:
    """Batches one after the other, in the size of the first picture."""
    size = batches[0][0].size
    return [picture for batch in batches for picture in alike(batch, size)]


def gathered(run: Invocation, name: str, kind: type[Images] | type[Masks]) -> list[Batch]:
    """The batches of an input that grows, such as ``images.image0`` and so on, in their order."""
    values = [value for key, value in run.inputs.items() if key.partition(".")[0] == name]
    return [value for value in values if isinstance(value, kind) and value]


# --- classes that are given lists: every input of theirs is one


def options(run: Invocation) -> Invocation:
    """The same run with the first value of each list, which is all that counts of an option."""
    return run._replace(inputs={name: values[0] for name, values in run.inputs.items() if values})


def one_by_one(run: Invocation, name: str = "images") -> list[Picture]:
    """All pictures of a list of batches."""
    batches = run.inputs.get(name, ())
    return [picture for batch in batches if isinstance(batch, Images) for picture in batch]


def singles(pictures: Batch) -> Several:
    """Pictures as a list of batches that have one each."""
    return Several(Images([picture]) for picture in pictures)
