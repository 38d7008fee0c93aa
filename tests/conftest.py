"""What every test gets, and what some ask for."""

from __future__ import annotations

from collections.abc import Iterator

import network
import pytest


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Nothing leaves the process, but to a server that the test itself opened."""
    with network.forbidden():
        yield


@pytest.fixture
def echo_url() -> Iterator[str]:
    """The URL of a real server on this machine, which says what it was asked."""
    with network.echo_server() as url:
        yield url
