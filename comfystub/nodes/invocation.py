"""How the executor runs a node: what a behaviour is given, what it reports and what it returns."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from comfystub.media.files import Folders, SavePlace
from comfystub.media.looks import Look
from comfystub.media.pictures import Mosaic, Picture
from comfystub.nodes.schema import NodeClass
from comfystub.nodes.values import DEFAULT_SIZE, Images, Latent, first

N = TypeVar("N", int, float, str)


class Progress(NamedTuple):
    """A progress report, with the picture a listening client is sent along with it.

    ``size`` is the preview's size in pixels; ``None`` sends the picture itself, as a PNG.
    """

    value: int
    max: int
    picture: Picture | None = None
    size: tuple[int, int] | None = None


class Text(NamedTuple):
    """A text that every listening client is sent while the node runs."""

    text: str


class Result(NamedTuple):
    """What a node leaves: its outputs by slot, and what it shows in the user interface."""

    outputs: Sequence[Any] = ()
    ui: dict[str, Any] | None = None


Reports = Generator[Progress | Text, None, Result]
Behaviour = Callable[["Invocation"], Result | Reports]


class Surroundings(NamedTuple):
    """What a server lends to every node it runs."""

    folders: Folders
    random: random.Random
    now: Callable[[], float]
    #: How what a node of a job generates looks.
    look: Callable[[Any, str], Look]
    #: Node id to the random name part that belongs to it.
    temp_names: dict[tuple[str, str], str]


class Invocation(NamedTuple):
    """One run of one node.

    ``inputs`` holds plain values and what came over the links; of a class that takes lists, all of
    them are ``Several``.  ``signature`` is the digest of the node's class, its inputs and everything
    upstream.
    """

    node_id: str
    node_class: NodeClass
    inputs: Mapping[str, Any]
    signature: bytes
    prompt: Mapping[str, Any]
    extra_data: Mapping[str, Any]
    job: Any
    server: Surroundings
    #: Called with the path of every file before it is written; what it raises is the node's error.
    before_save: Callable[[str], None]

    def value(self, name: str, default: N) -> N:
        """A plain input, turned into the type of ``default``; ``default`` where there is none."""
        value = self.inputs.get(name)
        if value is None:
            return default
        try:
            return type(default)(value)
        except (TypeError, ValueError):
            return default

    def images(self, name: str = "image") -> Images:
        """The pictures of an input, or any that came in, or one the stub makes up."""
        named = self.inputs.get(name)
        found = named if isinstance(named, Images) else first(Images, [named, *self.inputs.values()])
        return found or Images([Mosaic(self.signature, DEFAULT_SIZE, DEFAULT_SIZE)])

    def look(self) -> Look:
        """How what this node generates looks."""
        return self.server.look(self.job, self.node_id)

    def save_place(self, kind: str, prefix: str, size: tuple[int, int]) -> SavePlace:
        """Where files with a prefix go in one of the folders; ``size`` is what its tokens stand for."""
        server = self.server
        return server.folders.save_place(kind, prefix, size, server.now(), self.before_save)

    def latent(self, name: str = "samples") -> Latent:
        """The latent of an input, or any that came in, or an empty one of the default size."""
        named = self.inputs.get(name)
        found = named if isinstance(named, Latent) else first(Latent, [named, *self.inputs.values()])
        return found or Latent(DEFAULT_SIZE, DEFAULT_SIZE, 1, self.signature)
