"""What a snapshot leaves out: whatever tells who its owner is, or lets somebody in."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Mapping
from typing import Any

from comfystub.nodes.binding import is_upload

LEFT_OUT = "<left out>"

#: Words in the name of a setting, or of a node's input, that holds a secret or names a person.
SECRETS = re.compile(
    r"(?:keys?|auth|authorization|bearer|cookies?|session|passwd|passphrase|credentials?|user|username|login|e?mail)"
    r"|.*(?:apikey|tokens?|passwords?|secrets?)"
)
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

#: Keys of well-known services, and JSON web tokens.
KEY = re.compile(
    r"\b(?:(?:[spr]k|hf|r8|gh[opsu]|xox[abp]|glpat)[-_](?=[\w-]*\d)|AIza|AKIA)[\w-]{16,}"
    r"|\beyJ[\w-]{8,}(?:\.[\w-]+)+"
)
#: Long texts without a gap that only a machine writes.
RANDOM = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[\w+/=-]{32,}")
URL_HOST = re.compile(r"(?<=://)[^\s/'\"<>?#]+")
MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
#: Absolute paths of Unix and of Windows, to the end of the line: there may be blanks in them.
PATH = re.compile(
    r"(?:(?<![\w.:/<>~-])~?/[^\s/'\"<>|,;]+/|(?<!\w)[A-Za-z]:[\\/]|\\\\\w|\bfile:/)[^'\"<>|,;\n]*"
)
#: What may be an IP address, of version 4 or 6.
ADDRESS = re.compile(
    r"(?<![\w.])\d+(?:\.\d+){3}(?!\.?\w)|(?<![\w.:])(?=\S*:\S*:)[0-9A-Fa-f:.]*[0-9A-Fa-f](?![\w:])"
)
#: Endings of names that only a network of one's own knows.
PRIVATE = (".local", ".lan", ".home", ".internal", ".intranet", ".corp", ".localdomain", ".ts.net")
HERE = ("localhost", "127.0.0.1", "0.0.0.0", "::1", "::")

#: What of a node class is paths below the server's own address, or formulas.
UNTOUCHED = ("route", "price_badge")

#: Options of ComfyUI's command line whose value is kept; numbers always are.
KEPT_OPTIONS = ("--preview-method",)


def cleaned(part: str, value: Any, host: str) -> Any:
    """A part of a snapshot without what is nobody else's business.

    ``host`` is what the server was called by.
    """
    scrub = Scrubber(host, part in ("settings", "system_stats"))
    if part == "object_info":
        return {name: scrub.all(_node(entry)) for name, entry in value.items()}
    if part == "settings":
        return scrub.all(_settings(value))
    if part == "system_stats":
        return scrub.all(_system_stats(value))
    # Names of model files and paths below the server's own address say nothing of the machine.
    return value if part in ("models", "extensions") else scrub.all(value)


class Scrubber:
    """Takes out of texts what could be a key, an address, a host, a mail address or an absolute path.

    ``strictly`` takes every host of an address, otherwise those that are not public.
    """

    def __init__(self, host: str, strictly: bool) -> None:
        names = {host, host.partition(".")[0]} if strictly else {host} if "." in host else set()
        names = {name for name in names if name and name not in HERE and not _is_address(name)}
        self._own = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(names)) or r"(?!)", re.I)
        self._strictly = strictly

    def all(self, value: Any, key: str = "") -> Any:
        """A value with every text in it scrubbed; the texts that name things stay."""
        if isinstance(value, str):
            return self.text(value, is_version="version" in key)
        if isinstance(value, Mapping):
            return {name: one if name in UNTOUCHED else self.all(one, name) for name, one in value.items()}
        return [self.all(one, key) for one in value] if isinstance(value, list) else value

    def text(self, text: str, is_version: bool = False) -> str:
        """A text, scrubbed; four numbers with dots between them may be a version."""
        text = KEY.sub(LEFT_OUT, text)
        text = URL_HOST.sub(self._host, text)
        text = MAIL.sub(LEFT_OUT, text)
        text = PATH.sub(LEFT_OUT, text)
        if not is_version:
            text = ADDRESS.sub(lambda found: LEFT_OUT if _is_address(found[0]) else found[0], text)
        return self._own.sub(LEFT_OUT, text)

    def _host(self, found: re.Match[str]) -> str:
        authority = found[0]
        host = re.sub(r":\d*$", "", authority.rpartition("@")[2]).strip("[]")
        if host in HERE:
            return authority.rpartition("@")[2]
        private = "." not in host or host.endswith(PRIVATE) or _is_address(host)
        return LEFT_OUT if self._strictly or private or "@" in authority else authority


def _is_address(text: str) -> bool:
    """Whether it is an IP address that others could be told by."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


def _is_secret(name: str) -> bool:
    return any(SECRETS.fullmatch(word.lower()) for word in WORD.findall(name))


def _settings(value: Any) -> Any:
    """Settings without those that are secrets by their name, and without texts that look like one."""
    if isinstance(value, Mapping):
        return {name: _settings(one) for name, one in value.items() if not _is_secret(name)}
    if isinstance(value, list):
        return [_settings(one) for one in value]
    return RANDOM.sub(LEFT_OUT, value) if isinstance(value, str) else value


def _system_stats(value: Any) -> Any:
    """System stats whose command line tells options and numbers only."""
    system = value.get("system")
    if not isinstance(system, Mapping) or not isinstance(system.get("argv"), list):
        return value
    argv = [str(word) for word in system["argv"]]
    program = re.split(r"[\\/]", argv[0])[-1] if argv else ""
    words = [_argument(before, word) for before, word in itertools.pairwise(argv)]
    return {**value, "system": {**system, "argv": [program, *words] if argv else []}}


def _argument(before: str, word: str) -> str:
    option, equals, value = word.partition("=")
    if not option.startswith("-"):
        return word if before in KEPT_OPTIONS or _is_number(word) else LEFT_OUT
    if not equals or option in KEPT_OPTIONS or _is_number(value):
        return word
    return f"{option}={LEFT_OUT}"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _node(entry: Any) -> Any:
    """A node class without the names of input files and without texts given for secrets."""
    sections = entry.get("input") if isinstance(entry, Mapping) else None
    if not isinstance(sections, Mapping):
        return entry
    return {**entry, "input": {section: _inputs(inputs) for section, inputs in sections.items()}}


def _inputs(inputs: Any) -> Any:
    if not isinstance(inputs, Mapping):
        return inputs
    return {name: _input(name, spec) for name, spec in inputs.items()}


def _input(name: str, spec: Any) -> Any:
    if not isinstance(spec, list) or len(spec) < 2 or not isinstance(spec[1], Mapping):
        return spec
    kind, config = spec[0], dict(spec[1])
    if is_upload(config):
        kind = _without_files(kind)
        config = {key: _without_files(one) for key, one in config.items() if not _is_file(one)}
    elif kind == "STRING" and _is_secret(name) and config.get("default"):
        config["default"] = ""
    return [kind, config, *spec[2:]]


def _without_files(options: Any) -> Any:
    """The options of a list of input files that are none, such as ``"none"``."""
    return [one for one in options if not _is_file(one)] if isinstance(options, list) else options


def _is_file(option: Any) -> bool:
    return isinstance(option, str) and "." in option
