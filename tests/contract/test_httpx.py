"""The contract with httpx, and httpx-ws on the same clients."""

from __future__ import annotations

import pytest

pytest.importorskip("httpx_ws")

from contract import http_clients, over_httpx_ws
from contract.scenarios import Contract


class Sync(http_clients.Httpx, over_httpx_ws.OverSync): ...


class Async(http_clients.AsyncHttpx, over_httpx_ws.OverAsyncio): ...


class TestSync(Contract):
    client = Sync


class TestAsync(Contract):
    client = Async
