"""anyio and trio: what they do past the methods of sockets and loops."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from comfystub.transports.seams import Seam
from comfystub.transports.stubbed import Stubbed


def _make_wrap(original: Any) -> Any:
    # anyio does not leave TLS to the loop.
    async def wrap(cls: Any, transport_stream: Any, **options: Any) -> Any:
        from anyio.abc import SocketAttribute

        if isinstance(transport_stream.extra(SocketAttribute.raw_socket, None), Stubbed):
            return transport_stream
        return await original.__func__(cls, transport_stream, **options)

    wrapper: Any = functools.update_wrapper(wrap, original.__func__)
    return classmethod(wrapper)


def _make_nonblocking_helper(original: Callable[..., Any]) -> Callable[..., Any]:
    # trio calls the methods of the class socket.socket, whatever class its socket has.
    @functools.wraps(original)
    async def helper(self: Any, wait: Any, method: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self._sock, Stubbed):
            method = getattr(type(self._sock), method.__name__)
        return await original(self, wait, method, *args, **kwargs)

    return helper


def _past_tls(name: str) -> Callable[..., Any]:
    """Let a stream of trio's that encrypts do with a stub what the stream below it does."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            below = self.transport_stream
            if not isinstance(getattr(getattr(below, "socket", None), "_sock", None), Stubbed):
                return await original(self, *args, **kwargs)
            return None if name == "do_handshake" else await getattr(below, name)(*args, **kwargs)

        return method

    return make


SEAMS = (
    Seam("anyio.streams.tls", "TLSStream", "wrap", _make_wrap),
    Seam("trio._socket", "_SocketType", "_nonblocking_helper", _make_nonblocking_helper),
    *(
        Seam("trio._ssl", "SSLStream", name, _past_tls(name))
        for name in ("do_handshake", "send_all", "receive_some", "aclose")
    ),
)
