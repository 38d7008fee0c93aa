"""What ``patch()`` and ``Stub()`` take, checked where it is given."""

from __future__ import annotations

import difflib
import functools
import inspect
import io
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

from comfystub.engine.clock import RealClock, VirtualClock
from comfystub.engine.faults import Fault
from comfystub.engine.job import Job
from comfystub.engine.stamps import EPOCH
from comfystub.media import png
from comfystub.media.pictures import Encoded, Picture, Pixels
from comfystub.transports.origins import DEFAULT_URLS

if TYPE_CHECKING:
    from PIL import Image

    from comfystub.engine.job import JobNode

#: Makes what sampling produces of a job and the id of its node.
Sampler = Callable[[Job, str], Picture]

PathLike = Union[str, "os.PathLike[str]"]
#: ``"real"``, ``"virtual"``, or the clock of another stub.
ClockArgument = str | RealClock | VirtualClock
ImageArgument = Union[PathLike, "Image.Image", Callable[[Job, "JobNode"], "Image.Image"]]


def base_urls(given: Any) -> list[str]:
    """The base URLs, without a trailing slash; ``None`` means those of a ComfyUI started without options."""
    urls = DEFAULT_URLS if given is None else [given] if isinstance(given, str) else given
    if not isinstance(urls, Sequence) or not all(isinstance(url, str) for url in urls):
        raise TypeError(f"base_url= takes a URL or a list of URLs, not {given!r}")
    if not urls:
        raise ValueError("base_url= takes a URL or a list of URLs, not an empty list")
    return [url.rstrip("/") for url in urls]


def one_of(name: str, choices: Sequence[str], given: Any) -> Any:
    """An argument that is one of some words."""
    if given not in choices:
        raise ValueError(f"{name}= takes {' or '.join(map(repr, choices))}, not {given!r}")
    return given


def path(name: str, given: Any) -> PathLike | None:
    """An argument that is a path, or ``None``."""
    if given is not None and not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"{name}= takes a path, not {given!r}")
    return given


def clock(given: Any, seed: int | None) -> RealClock | VirtualClock:
    """A clock of its own, or that of another stub; with a seed, a virtual one begins at a fixed time."""
    if isinstance(given, (RealClock, VirtualClock)):
        return given
    if one_of("clock", ("real", "virtual"), given) == "real":
        return RealClock()
    return VirtualClock(None if seed is None else EPOCH / 1000)


def fault(given: Any) -> Fault:
    """One of what ``faults=`` takes."""
    if not isinstance(given, Fault):
        raise TypeError(f"faults= takes a list of comfystub.faults, and {given!r} is none")
    return given


def models(given: Any) -> Mapping[str, Iterable[str]] | None:
    """Folder names to the names of the files in them."""
    if given is not None and not (
        isinstance(given, Mapping) and all(isinstance(names, (list, tuple, set)) for names in given.values())
    ):
        raise TypeError(f"models= takes a dict of folder names and lists of file names, not {given!r}")
    return given


def environment(env: Any) -> Mapping[str, str]:
    """Names and values that an environment takes."""
    changes = {} if env is None else env
    if not isinstance(changes, Mapping) or any(
        not isinstance(text, str) for change in changes.items() for text in change
    ):
        raise TypeError(f"env= takes a dict of names and values, both strings, not {env!r}")
    for name in changes:
        if not name or "=" in name:
            raise ValueError(f"env= takes names of environment variables, not {name!r}")
    return changes


def refuse_unknown(function: str, given: Mapping[str, Any], taken_by: Callable[..., Any]) -> None:
    """Raise ``TypeError`` for an argument by name that nothing takes, with the one that may be meant."""
    known = _parameters(taken_by) if given else ()
    for name in given:
        if name not in known:
            meant = difflib.get_close_matches(name, known, 1)
            hint = f"; is it {meant[0]!r} that is meant?" if meant else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")


@functools.cache
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def sampler(image: Any) -> Sampler | None:
    """What makes the picture that sampling produces; ``None`` leaves that to the stub."""
    if image is None:
        return None
    if callable(image):
        return lambda job, node_id: Pixels(image(job, job.node(node_id)))
    picture = _picture(image)
    return lambda job, node_id: picture


def _picture(image: Any) -> Picture:
    if isinstance(image, (str, os.PathLike)):
        return _picture_file(pathlib.Path(image))
    if not hasattr(image, "getbands"):  # what every Pillow image has; Pillow itself need not be loaded
        kind = type(image).__name__
        raise TypeError(f"image= takes a path, a Pillow image or a function of job and node, not {kind}")
    return Pixels(image)


def _picture_file(file: pathlib.Path) -> Picture:
    data = file.read_bytes()
    if data.startswith(png.SIGNATURE):
        return Encoded(data)
    from PIL import Image, UnidentifiedImageError

    try:
        return Pixels(Image.open(io.BytesIO(data)))
    except UnidentifiedImageError:
        raise ValueError(f"image= takes a picture, and {file} is none that Pillow can read") from None
