"""The request that turns an HTTP connection into a WebSocket."""

from __future__ import annotations

import base64
import binascii
import hashlib

from comfystub.server.http import Request, Response, text_response
from comfystub.server.state import State

#: What RFC 6455 has a server append to the client's key.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSIONS = ("13", "8", "7")


def get_socket(server: State, request: Request) -> Response:
    """``/ws``: 101 for a WebSocket handshake, 400 for anything else."""
    headers = request.headers
    upgrade, connection = headers.get("upgrade"), headers.get("connection")
    if (upgrade or "").lower() != "websocket":
        return _refused(f'No WebSocket UPGRADE hdr: {upgrade}\n Can "Upgrade" only to "WebSocket".')
    if "upgrade" not in (connection or "").lower():
        return _refused(f"No CONNECTION upgrade hdr: {connection}")
    version, key = headers.get("sec-websocket-version", ""), headers.get("sec-websocket-key")
    if version not in VERSIONS:
        return _refused(f"Unsupported version: {version}")
    if not _is_key(key or ""):
        return _refused(f"Handshake error: {key!r}")
    return Response(
        101,
        (
            ("Upgrade", "websocket"),
            ("Connection", "upgrade"),
            ("Sec-WebSocket-Accept", accept_of(key or "")),
        ),
    )


def accept_of(key: str) -> str:
    """The answer to a client's key."""
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key)) == 16
    except binascii.Error:
        return False


def _refused(text: str) -> Response:
    return text_response(text, 400)
