"""The contract with websockets: its sync client, its present one of asyncio, and the old one."""

from __future__ import annotations

import pytest

pytest.importorskip("websockets")

from contract import http_clients, over_websockets
from contract.scenarios import Contract


class Sync(http_clients.Urllib3, over_websockets.OverSync): ...


class Legacy(http_clients.AsyncHttpx, over_websockets.OverLegacy): ...


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
class TestUrllib3AndSync(Contract):
    client = Sync


@pytest.mark.skipif(over_websockets.legacy is None, reason="this websockets has no legacy client any more")
class TestHttpxAndLegacy(Contract):
    client = Legacy


@pytest.mark.skipif(over_websockets.current is None, reason="this websockets has no such client yet")
class TestAiohttpAndAsyncio(Contract):
    @pytest.fixture(autouse=True)
    def with_aiohttp(self) -> None:
        over_aiohttp = pytest.importorskip("contract.over_aiohttp")

        class Asyncio(over_websockets.OverAsyncio, over_aiohttp.AiohttpSession): ...

        self.client = Asyncio
