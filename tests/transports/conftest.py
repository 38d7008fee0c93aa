"""What most tests of the transports ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from calls import URL

import comfystub


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL) as stub:
        yield stub
