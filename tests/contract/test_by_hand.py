"""The contract without any client library: bytes over a socket, and over anyio."""

from __future__ import annotations

from contract.by_hand import Anyio, RawSocket
from contract.scenarios import Contract


class TestRawSocket(Contract):
    client = RawSocket


class TestAnyio(Contract):
    client = Anyio
