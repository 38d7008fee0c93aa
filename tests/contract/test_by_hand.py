"""The contract without any client library: bytes over a socket, and over anyio."""

from __future__ import annotations

import socket

import comfystub
from contract.by_hand import Anyio, RawSocket
from contract.scenarios import Contract


class TestRawSocket(Contract):
    client = RawSocket


class TestAnyio(Contract):
    client = Anyio


def test_a_read_of_no_bytes_does_not_wait() -> None:
    """websocket-client reads the body of a refusal so, if that body is empty."""
    with comfystub.patch(), socket.create_connection(("localhost", 8188), timeout=1) as sock:
        assert sock.recv(0) == b""
