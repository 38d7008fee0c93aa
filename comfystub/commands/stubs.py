"""The arguments of commands that need a server, and the stub that they make."""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from comfystub.commands.mistakes import Mistake, read_json

if TYPE_CHECKING:
    from comfystub.engine.pacing import PaceArgument
    from comfystub.server.server import Call
    from comfystub.stub import Stub

#: The options that ``Stub`` takes as they are.
PASSED_ON = ("profile", "unknown_nodes", "version", "pace", "image", "seed", "output_dir")


def add_knowledge(parser: argparse.ArgumentParser) -> None:
    """What the server has and how it judges."""
    from comfystub.engine.releases import LATEST, RELEASES

    add = parser.add_argument_group("the server").add_argument
    add("--models", metavar="FILE", help='{"checkpoints": ["a.safetensors"], ...}: exactly these are there')
    add("--profile", metavar="SNAPSHOT", help="be the server that `comfystub snapshot` was pointed at")
    add("--object-info", metavar="FILE", help="what GET /object_info of your server answers")
    add(
        "--unknown-nodes",
        choices=("reject", "accept"),
        default="reject",
        help="whether a node class that is not known is taken as a black box (default: %(default)s)",
    )
    add("--version", choices=tuple(RELEASES), help=f"(default: the profile's, or {LATEST})")


def add_making(parser: argparse.ArgumentParser) -> None:
    """What its samplers make."""
    add = parser.add_argument_group("what it makes").add_argument
    add("--image", metavar="PICTURE", help="what sampling produces, in place of a mosaic")
    add("--seed", type=int, metavar="N", help="make ids, names and times repeatable")


def add_pace(parser: argparse.ArgumentParser, default: str, *, looks: bool) -> None:
    """How its jobs move; ``looks`` says whether a client may be what moves them."""
    also = ", or the number of looks at which a job is done" if looks else ""
    parser.add_argument(
        "--pace",
        type=_pace if looks else _time,
        default=default,
        metavar="SECONDS|instant|N" if looks else "SECONDS|instant",
        help=f"what each node and each step of a sampler takes, such as 0.5s; or instant{also} "
        "(default: %(default)s)",
    )


def _time(text: str) -> PaceArgument:
    """``instant``, or seconds."""
    from comfystub.engine.pacing import Timed

    seconds = re.fullmatch(r"(\d+\.?\d*|\.\d+)s", text)
    if seconds is not None:
        each = float(seconds[1])
        return Timed(load=each, step=each, node=each)
    if text != "instant":
        raise argparse.ArgumentTypeError(f"it is 'instant' or seconds, such as 0.5s, and not {text!r}")
    return text


def _pace(text: str) -> PaceArgument:
    """``instant``, seconds, or a number of looks."""
    return int(text) if text.isdecimal() else _time(text)


# --- the stub


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """What ``Stub`` is given, the files that it is made of already read.  Raises ``Mistake``."""
    given = {name: value for name, value in vars(options).items() if name in PASSED_ON and value is not None}
    for name, read in READERS.items():
        path = getattr(options, name)
        if path is not None:
            given[name] = read(path)
    return given


def make(**given: Any) -> Stub:
    """A stub.  Raises ``Mistake`` for a file that is none of the kind that it should be."""
    from comfystub.stub import Stub

    try:
        return Stub(**given)
    except OSError as problem:
        raise Mistake(f"cannot read {problem.filename}: {problem.strerror}") from None
    except (TypeError, ValueError) as problem:
        raise Mistake(_in_options(str(problem))) from None


def _models(path: str) -> Any:
    models = read_json(path)
    if not isinstance(models, dict) or not all(isinstance(names, list) for names in models.values()):
        raise Mistake(f'{path} holds no models: it should be like {{"checkpoints": ["a.safetensors"]}}')
    return models


def _object_info(path: str) -> Any:
    from comfystub.server.profile import FORMAT

    entries = read_json(path)
    if isinstance(entries, dict) and FORMAT in entries:
        raise Mistake(f"{path} is a snapshot: give it as --profile")
    return entries


#: The options that are files, read here so that several stubs can be made of them.
READERS: Mapping[str, Callable[[str], Any]] = {"models": _models, "object_info": _object_info}


def _in_options(text: str) -> str:
    """A text about arguments of ``patch()``, about options of a command."""
    return re.sub(r"\b([a-z_]+)=", lambda found: "--" + found[1].replace("_", "-"), text)


def submit(stub: Stub, body: Any) -> Call:
    """Post a prompt, and return the call with what it was answered."""
    from comfystub.server.http import Request
    from comfystub.server.prompts import UnknownNodeWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownNodeWarning)
        stub._server.respond(Request("POST", "/prompt", body=json.dumps(body).encode()))
    return stub.requests[-1]
