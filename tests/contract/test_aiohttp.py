"""The contract with aiohttp, for both HTTP and WebSockets."""

from __future__ import annotations

import pytest

pytest.importorskip("aiohttp")

from contract.over_aiohttp import Aiohttp
from contract.scenarios import Contract


class TestAiohttp(Contract):
    client = Aiohttp
