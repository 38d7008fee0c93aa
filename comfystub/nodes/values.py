"""What flows along the links of a workflow: pictures, sound and latents in earnest, the rest by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from comfystub.media.looks import PLAIN, Look
from comfystub.media.pictures import Picture
from comfystub.media.sound import Sound
from comfystub.nodes.spaces import SD, Space

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


class Svg(list[str]):
    """Drawings, ComfyUI's ``SVG``: each a document."""


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
    latent that is no picture.  ``sound`` is what its sound decodes to, if it has any; one without a
    digest is generated.

    Sampling leaves as it is what lies outside of ``mask``, one for all pictures or one for each, and the
    sound where ``keeps_sound`` says so.  With ``alike``, all of the batch come out the same.
    """

    width: int
    height: int
    batch: int
    digest: bytes
    pictures: Images | None = None
    frames: int = 1
    sound: Sound | None = None
    look: Look = PLAIN
    space: Space = SD
    mask: Masks | None = None
    keeps_sound: bool = False
    alike: bool = False

    def decoded(self) -> Images:
        """The pictures this latent stands for."""
        if self.pictures is not None:
            return self.pictures
        count = self.batch * max(1, self.frames)
        distinct = max(1, self.frames) if self.alike else count
        digests = [self.digest] if count == 1 else [nth(self.digest, i) for i in range(distinct)]
        return Images([self.look.picture(d, self.width, self.height) for d in digests] * (count // distinct))

    def preview(self) -> Picture | None:
        """The first picture of the batch; ``None`` for what is no picture."""
        if not self.frames:
            return None
        if self.pictures:
            return self.pictures[0]
        digest = self.digest if self.batch * self.frames == 1 else nth(self.digest, 0)
        return self.look.picture(digest, self.width, self.height)

    def sounds(self) -> Sounds:
        """The sounds this latent stands for, one for each of the batch."""
        if self.sound is None:
            return Sounds()
        if self.sound.digest:
            return Sounds([self.sound] * self.batch)
        return Sounds(self.sound._replace(digest=nth(self.digest, index)) for index in range(self.batch))


class Sigmas(NamedTuple):
    """A noise schedule: its number of steps, and the levels from the first to the last, one more than steps.

    There are none where nobody knows them.
    """

    steps: int
    levels: tuple[float, ...] = ()


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
