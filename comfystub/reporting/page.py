"""The page: facts of stubs as HTML that loads nothing and escapes what it shows."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import comfystub
from comfystub.reporting.graph import Facts

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATES = pathlib.Path(__file__).parent / "templates"

#: What is said where the template engine is not installed.
MISSING = "a report is made with jinja2, which is not installed: pip install 'comfystub[report]'"


def of_stub(facts: Facts) -> str:
    """The page of one stub."""
    return _render(title=f"comfystub: {facts['url']}", stubs=[facts], tests=None, others="")


def of_tests(tests: Sequence[Facts], others: str) -> str:
    """The page of a run of tests.

    Each of ``tests`` has a ``name``, an ``outcome``, what it failed with and its ``stubs``; ``others``
    says what there is to say of the rest.
    """
    return _render(title="comfystub: tests", stubs=[], tests=tests, others=others)


def write(path: str | os.PathLike[str], html: str) -> pathlib.Path:
    """Write a page to a file and return its path.  Half a character, which JSON may hold, is spelled out."""
    path = pathlib.Path(path)
    path.write_text(html, encoding="utf-8", errors="backslashreplace", newline="\n")
    return path


def _render(**what: object) -> str:
    template = load()
    style, script = _source("report.css"), _source("report.js")
    html: str = template.render(
        **what,
        version=comfystub.__version__,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return html


@functools.cache
def load() -> Template:
    """The template.  Raises ``ImportError``, with a line that says what to install, without jinja2."""
    try:
        import jinja2
    except ImportError:
        raise ImportError(MISSING) from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


@functools.cache
def _source(name: str) -> str:
    """A style sheet or a script of our own."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(source: str) -> str:
    """What a page's policy knows a piece of it by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
