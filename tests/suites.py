"""Suites of one file that pytest runs in this process."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import httpx
import PIL.Image
import pytest

import comfystub

# Loaded here, so that the suites need not each load them anew.
LOADED = (httpx, PIL.Image, comfystub.Stub, comfystub.patch)

Run = Callable[..., pytest.RunResult]

GET = """
    import httpx
    import comfystub
    import pytest

    CLIENT = httpx.Client(verify=False)

    def get(path="/queue", url="http://127.0.0.1:8188"):
        return CLIENT.get(url + path)
"""


def runner(pytester: pytest.Pytester) -> Run:
    """Runs a suite of one file, which begins with GET."""

    def run(code: str, *arguments: str, ini: str = "", **files: str) -> pytest.RunResult:
        pytester.makeini("[pytest]\n" + textwrap.dedent(ini))
        files["test_it"] = textwrap.dedent(GET) + textwrap.dedent(code)
        pytester.makepyfile(**{name: textwrap.dedent(text) for name, text in files.items()})
        # pytest-asyncio warns where it is not set up, as in suites that have no coroutines.  Hypothesis is
        # slow to load, and so is the collecting of garbage, which the run around this one does as well.
        without = [f"no:{plugin}" for plugin in ("asyncio", "hypothesispytest", "unraisableexception")]
        options = [option for name in without for option in ("-p", name)]
        return pytester.runpytest(*options, "--strict-markers", "-W", "error", *arguments)

    return run
