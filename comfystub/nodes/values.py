"""What flows along the links of a workflow: pictures and latents in earnest, the rest by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from comfystub.media.pictures import Mosaic, Picture

#: The size of a picture that nothing in the workflow says the size of, in pixels.
DEFAULT_SIZE = 512

T = TypeVar("T")


class Images(list[Picture]):
    """A batch of pictures, ComfyUI's ``IMAGE``."""


class Masks(list[Picture]):
    """A batch of masks, ComfyUI's ``MASK``: white where the mask is set."""


class Latent(NamedTuple):
    """A batch of latents, ComfyUI's ``LATENT``.

    ``width`` and ``height`` are in pixels of the decoded picture.  ``digest`` stands for everything
    that went into the latent.  ``pictures`` are what it decodes to where that is known already;
    otherwise decoding generates them from the digest.
    """

    width: int
    height: int
    batch: int
    digest: bytes
    pictures: Images | None = None

    def decoded(self) -> Images:
        """The pictures this latent stands for."""
        if self.pictures is not None:
            return self.pictures
        digests = [self.digest] if self.batch == 1 else [_nth(self.digest, i) for i in range(self.batch)]
        return Images(Mosaic(digest, self.width, self.height) for digest in digests)

    def preview(self) -> Picture:
        """The first picture of the batch."""
        if self.pictures:
            return self.pictures[0]
        return Mosaic(self.digest if self.batch == 1 else _nth(self.digest, 0), self.width, self.height)


class Sigmas(NamedTuple):
    """A noise schedule, of which the stub knows the number of steps."""

    steps: int


class Opaque(NamedTuple):
    """A value nobody looks into: a model, a conditioning, whatever an unknown node gives."""

    type: str
    digest: bytes
    carried: tuple[Any, ...] = ()


def _nth(digest: bytes, index: int) -> bytes:
    return hashlib.blake2b(digest + index.to_bytes(4, "big"), digest_size=16).digest()


def first(kind: type[T], values: Iterable[Any]) -> T | None:
    """The first value of a kind, looked for inside unknown nodes' outputs too."""
    return next(_all(kind, values), None)


def _all(kind: type[T], values: Iterable[Any]) -> Iterator[T]:
    for value in values:
        if isinstance(value, kind):
            yield value
        elif isinstance(value, Opaque) and value.carried:
            yield from _all(kind, value.carried)
