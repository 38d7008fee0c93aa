"""How generated pictures look: by model, by LoRA, by prompt."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from comfystub import arguments
from comfystub.arguments import ImageArgument, Sampler
from comfystub.engine.ingredients import Ingredients, ingredients_of
from comfystub.engine.job import Job
from comfystub.media.looks import PLAIN, Look
from comfystub.media.pictures import Palette, palette_of

#: What colours can go by, and how much of it a caption tells.
KINDS = ("model", "lora", "prompt")
CAPTION_WORDS = 8


class Style(NamedTuple):
    """What pictures look like that are made with this; patterns that are left out fit anything."""

    model: str | None
    lora: str | None
    prompt: str | None
    image: Sampler | None
    palette: Palette

    def fits(self, made_with: Ingredients) -> bool:
        """Whether a picture made with this has the style."""
        return (
            _any_fits(self.model, made_with.models)
            and _any_fits(self.lora, made_with.loras)
            and _any_fits(self.prompt, made_with.texts)
        )


class Styles:
    """How generated pictures look; of several styles that fit, the one that was added last counts.

    Where none fits, pictures are as ``image=`` has them, or mosaics in colours that follow from all
    that goes into them.  A change makes the server forget its cached results.
    """

    def __init__(self, image: Sampler | None, changed: Callable[[], None]) -> None:
        self._captions = False
        self._image = image
        #: Called when pictures look different from now on.
        self._changed = changed
        self._styles: list[Style] = []
        self._colored_by: tuple[str, ...] = ()

    @property
    def captions(self) -> bool:
        """Whether pictures carry a strip that tells size, seed, model and the first words of the prompt."""
        return self._captions

    @captions.setter
    def captions(self, wanted: bool) -> None:
        self._captions = wanted
        self._changed()

    def add(
        self,
        *,
        model: str | None = None,
        lora: str | None = None,
        prompt: str | None = None,
        image: ImageArgument | None = None,
        colors: Iterable[str] = (),
    ) -> None:
        """Say what pictures look like that are made with a model, a LoRA or a prompt.

        Args:
            model: The name of the checkpoint, diffusion model or partner model; ``*`` stands for any
                text, and case does not matter.  A name without a folder fits it in any folder.
            lora: The name of a LoRA, likewise.
            prompt: Words that the positive prompt has, likewise.
            image: What ``patch(image=)`` takes: a path, a Pillow image or a function of the ``Job``
                and its ``JobNode``.
            colors: The colours of the mosaics, such as ``"#ff8800"`` or ``"teal"``.

        Raises:
            ValueError: There is neither an image nor a colour, or both; a colour is none.
            TypeError: An image is none.
        """
        palette = tuple(_color(color) for color in colors)
        if (image is None) == (not palette):
            raise ValueError("a style is either an image or colors")
        words = None if prompt is None else f"*{prompt}*"
        self._styles.insert(0, Style(model, lora, words, arguments.sampler(image), palette))
        self._changed()

    def color_by(self, *kinds: str) -> None:
        """Let the colours of mosaics follow from these alone: ``"model"``, ``"lora"``, ``"prompt"``.

        So pictures made with the same model look alike, and others do not.  With none of them, colours
        follow again from all that goes into a picture.  Raises ``ValueError`` for any other word.
        """
        for kind in kinds:
            arguments.one_of("color_by", KINDS, kind)
        self._colored_by = kinds
        self._changed()

    def clear(self) -> None:
        """Forget all that was said of looks, but ``image=``."""
        self._captions = False
        self._styles.clear()
        self._colored_by = ()
        self._changed()

    def look(self, job: Job, node_id: str) -> Look:
        """How what a node generates looks."""
        if not (self._styles or self._colored_by or self._captions):
            return PLAIN if self._image is None else Look(self._image(job, node_id))
        made_with = ingredients_of(job.workflow, node_id)
        style = next((style for style in self._styles if style.fits(made_with)), None)
        image, palette = (
            (self._image, self._palette(made_with)) if style is None else (style.image, style.palette)
        )
        given = image(job, node_id) if image else None
        return Look(given, palette, _caption(made_with) if self._captions else "")

    def _palette(self, made_with: Ingredients) -> Palette:
        """The colours that go by what they are to go by."""
        if not self._colored_by:
            return ()
        parts = {"model": made_with.models, "lora": made_with.loras, "prompt": made_with.texts}
        return palette_of(repr([parts[kind] for kind in self._colored_by]).encode())


def _any_fits(pattern: str | None, names: Iterable[str]) -> bool:
    if pattern is None:
        return True
    fits = re.compile(fnmatch.translate(pattern.lower())).match
    return any(fits(form.lower()) for name in names for form in (name, re.split(r"[\\/]", name)[-1]))


def _caption(made_with: Ingredients) -> str:
    """Seed, models and the first words of the prompt."""
    words = " ".join(made_with.texts).split()
    seed = [] if made_with.seed is None else [str(made_with.seed)]
    names = (*made_with.models, *made_with.loras)
    return "  ".join([*seed, *names, " ".join(words[:CAPTION_WORDS])])


def _color(color: Any) -> bytes:
    from PIL import ImageColor

    return bytes(ImageColor.getrgb(color)[:3])
