"""What flows along the links of a workflow: pictures, sound and latents in earnest, the rest by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from comfystub.media.looks import PLAIN, Look
from comfystub.media.pictures import Picture
from comfystub.media.sound import Sound

#: The size of a picture that nothing in the workflow says the size of, in pixels.
DEFAULT_SIZE = 512

T = TypeVar("T")


class Several(list[Any]):
    """Values that come over one link and go through the next node one by one.

    This is what an output of ComfyUI's with ``output_is_list`` gives; a batch is one value.
    """


class Images(list[Picture]):
    """A batch of pictures, ComfyUI's ``IMAGE``."""


class Masks(list[Picture]):
    """A batch of masks, ComfyUI's ``MASK``: white where the mask is set."""


class Sounds(list[Sound]):
    """A batch of sounds, ComfyUI's ``AUDIO``."""


class Video(NamedTuple):
    """A film, ComfyUI's ``VIDEO``; ``fps`` in frames per second.

    ``file`` is what it was read from, where it is as it was there.
    """

    images: Images
    fps: float
    sound: Sound | None = None
    file: bytes | None = None

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.images) / self.fps


class Latent(NamedTuple):
    """A batch of latents, ComfyUI's ``LATENT``.

    ``width`` and ``height`` are in pixels of the decoded picture.  ``digest`` stands for everything
    that went into the latent.  ``pictures`` are what it decodes to where that is known already;
    otherwise decoding generates them from the digest.

    Of a film, ``frames`` is how many pictures each latent of the batch decodes to; it is 0 for a
    latent of sound alone.  ``sound`` is what its sound decodes to, if it has any.
    """

    width: int
    height: int
    batch: int
    digest: bytes
    pictures: Images | None = None
    frames: int = 1
    sound: Sound | None = None
    look: Look = PLAIN

    def decoded(self) -> Images:
        """The pictures this latent stands for."""
        if self.pictures is not None:
            return self.pictures
        count = self.batch * max(1, self.frames)
        digests = [self.digest] if count == 1 else [nth(self.digest, i) for i in range(count)]
        return Images(self.look.picture(digest, self.width, self.height) for digest in digests)

    def preview(self) -> Picture | None:
        """The first picture of the batch; ``None`` for sound alone."""
        if self.pictures:
            return self.pictures[0]
        if not self.frames:
            return None
        digest = self.digest if self.batch * self.frames == 1 else nth(self.digest, 0)
        return self.look.picture(digest, self.width, self.height)

    def sounds(self) -> Sounds:
        """The sounds this latent stands for, one for each of the batch."""
        if self.sound is None:
            return Sounds()
        return Sounds(self.sound._replace(digest=nth(self.digest, index)) for index in range(self.batch))


class Sigmas(NamedTuple):
    """A noise schedule, of which the stub knows the number of steps."""

    steps: int


class Opaque(NamedTuple):
    """A value nobody looks into: a model, a conditioning, whatever an unknown node gives."""

    type: str
    digest: bytes
    carried: tuple[Any, ...] = ()


def nth(digest: bytes, index: int) -> bytes:
    """The digest of one of several things that have a digest together."""
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
        elif isinstance(value, Several):
            yield from _all(kind, value)
