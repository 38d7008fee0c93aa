from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

import comfystub
from server.support import Asker

URL = "http://comfy.test:8188"


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder that holds all the server's folders."""
    return tmp_path / "server"


@pytest.fixture
def stub(root: pathlib.Path) -> Iterator[comfystub.Stub]:
    """A server whose jobs are done at the first look."""
    stub = comfystub.Stub(URL, root=root, seed=1)
    yield stub
    stub.close()


@pytest.fixture
def ask(stub: comfystub.Stub) -> Asker:
    return Asker(stub)


@pytest.fixture
def slow(root: pathlib.Path) -> Iterator[comfystub.Stub]:
    """A server that moves only when the test moves it."""
    stub = comfystub.Stub(URL, root=root, seed=1, pace="manual")
    yield stub
    stub.close()


@pytest.fixture
def ask_slow(slow: comfystub.Stub) -> Asker:
    return Asker(slow)
