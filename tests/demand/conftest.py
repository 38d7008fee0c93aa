"""The server that goes wrong in every way that was reported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from calls import URL

import comfystub


@pytest.fixture
def stub(request: pytest.FixtureRequest) -> Iterator[comfystub.Stub]:
    """A stub on a virtual clock; ``takes_time`` gives it other options."""
    options: dict[str, Any] = getattr(request, "param", {})
    with comfystub.patch(URL, clock="virtual", **options) as stub:
        yield stub
