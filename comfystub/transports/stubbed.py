"""Sockets that are connected to a stub.

Such a socket is one end of a pair.  The pair itself carries no data: it keeps the socket's file
descriptor readable exactly when a read brings something, so that ``select``, and all that is built on
it, works.  The data goes through a ``Connection``.
"""

from __future__ import annotations

import errno
import functools
import os
import select
import socket
import threading
import weakref
from collections.abc import Iterable
from typing import Any

from comfystub.engine import forking
from comfystub.server.connection import Connection, nobody_waits
from comfystub.transports.names import is_address
from comfystub.transports.virtual import virtual_time
from comfystub.transports.waiting import Released

#: The class below Python's own, whose methods see the pair.
_RAW = socket.SocketType
# A plain number: the enumeration's own takes its time.
_PEEK = int(socket.MSG_PEEK)
_DONT_WAIT = int(getattr(socket, "MSG_DONTWAIT", 0))
# While a virtual clock is in force, that of the module may be another.
_select, _poll = select.select, getattr(select, "poll", None)


class Channel:
    """What is behind a stubbed socket: its connection, and the other end of its pair."""

    def __init__(
        self, owner: socket.socket, host: str, address: Any, connection: Connection, peer: socket.socket
    ) -> None:
        self.host = host
        self.address = address
        self.connection = connection
        self.options: dict[tuple[int, int], Any] = {}
        self._owner = weakref.ref(owner, functools.partial(_forget, id(owner)))
        self._peer = peer
        self._lit = False
        self._closed = False
        self._lock = forking.lock(threading.Lock())
        connection.wake = self.wake

    def wake(self) -> None:
        """There may be something to read now."""
        if not self._lit:
            self.update()

    def update(self) -> None:
        """Make the file descriptor readable, or not any more."""
        with self._lock:
            self._follow()
        if self._closed:
            self._peer.close()

    def was_read(self) -> None:
        """Somebody has read, and not through the socket: it may have nothing to read any more."""
        if self._lit:
            self.update()

    def _follow(self) -> None:
        # Asked again after each change: who saw it readable until then did not wake it.
        while not self._closed and (readable := self.connection.poll()) != self._lit:
            owner = self._owner()
            if owner is None:
                return
            try:
                if readable:
                    self._peer.send(b".")
                else:
                    _RAW.recv(owner, 1)
            except OSError:  # another thread is just closing the socket
                return
            self._lit = readable

    def read(self, owner: socket.socket, limit: int, flags: int) -> bytes:
        """At most ``limit`` bytes, as soon as there are any; ``b""`` at the end."""
        connection = self.connection
        while (data := connection.take(limit, flags & _PEEK != 0)) is None:
            if not connection.move():
                self.update()
                self._sleep(owner, flags)
        if not connection.out:
            self.update()
        return data

    def _sleep(self, owner: socket.socket, flags: int) -> None:
        """Wait until there is something to read, or raise what a read does after the socket's time-out."""
        present, timeout = virtual_time.present, owner.gettimeout()
        if present is None or timeout == 0 or flags & _DONT_WAIT:
            _sleep_really(owner, flags)
            return
        really = functools.partial(_is_readable, owner)
        try:
            came = present.waiters.wait(timeout, ready=self.connection.poll, really=really)
        except Released:
            _sleep_really(owner, flags)
        else:
            if not came:
                raise TimeoutError("timed out")

    def linger(self, owner: socket.socket) -> None:
        """Let a thread that was woken for a socket, and has not got round to it, find it still.

        What ``epoll`` has to say of a descriptor is lost when that is closed, but not while another one
        stands for the same socket; this one does as long as anybody has the object.
        """
        if self._lit and threading.active_count() > 1:
            try:
                weakref.finalize(owner, socket.close, socket.dup(owner.fileno()))
            except OSError:  # that other thread has closed it already
                return

    def part(self) -> None:
        """In a forked copy of the process: have a pair of its own, and leave the other to the original."""
        owner = self._owner()
        if self._closed or owner is None or owner.fileno() < 0:
            return
        mine, peer = socket.socketpair()
        peer.setblocking(False)
        os.dup2(mine.fileno(), owner.fileno(), inheritable=False)
        mine.close()
        owner.settimeout(owner.gettimeout())
        self._peer.close()
        self._peer = peer
        if self._lit:
            self._lit = False
            self.update()

    def close(self) -> None:
        """The client has closed its end."""
        self._closed = True
        # The garbage collector calls this in the middle of anything: it must not wait for whoever updates,
        # who looks at this afterwards.
        if self._lock.acquire(blocking=False):
            self._peer.close()
            self._lock.release()
        self.connection.wake = nobody_waits
        self.connection.close()


def _sleep_really(owner: socket.socket, flags: int) -> None:
    """Have the kernel wake this thread when the file descriptor is readable, or after the time-out."""
    _RAW.recv(owner, 1, flags | _PEEK)


def _is_readable(owner: socket.socket, seconds: float) -> bool:
    """Wait until a socket's file descriptor is readable, or so many real seconds; whether it is.

    One that was closed is.
    """
    descriptor = owner.fileno()
    if descriptor < 0:
        return True
    if _poll is None:
        return bool(_select([descriptor], [], [], seconds)[0])
    # Which knows no largest descriptor, and takes one that another thread has just closed.
    waiting = _poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


#: The channels of stubbed sockets by the id of the socket, whose class has no room for attributes.
_channels: dict[int, Channel] = {}


def _forget(key: int, _: object = None) -> None:
    channel = _channels.pop(key, None)
    if channel is not None:
        channel.close()


def part() -> None:
    """In a forked copy of the process: have sockets that are not the original's."""
    for channel in list(_channels.values()):
        channel.part()


def channel_of(stubbed: Stubbed) -> Channel:
    """The channel behind a stubbed socket.

    Raises ``OSError``, as for any closed socket, when there is none.
    """
    try:
        return _channels[id(stubbed)]
    except KeyError:
        raise OSError(errno.EBADF, "Bad file descriptor") from None


def attach(sock: socket.socket, host: str, address: Any, connection: Connection) -> None:
    """Make a socket, which is not connected yet, the client's end of a connection."""
    family, kind, proto, timeout = sock.family, sock.type, sock.proto, sock.gettimeout()
    # An SSLSocket can be connected after it was made.
    _become(sock, StubbedTLS if hasattr(sock, "do_handshake") else Stubbed)
    mine, peer = socket.socketpair()
    peer.setblocking(False)
    socket.close(socket.socket.detach(sock))
    socket.socket.__init__(sock, family, kind, proto, mine.detach())
    sock.settimeout(timeout)
    _channels[id(sock)] = channel = Channel(sock, host, address, connection, peer)
    channel.update()


def add_tls(sock: Stubbed) -> None:
    """Let a stubbed socket pass for one whose connection is encrypted."""
    _become(sock, StubbedTLS)


def _become(sock: Any, mixin: Any) -> None:
    cls: Any = type(sock)
    sock.__class__ = _subclass(cls, mixin)


@functools.cache
def _subclass(cls: Any, mixin: Any) -> Any:
    if issubclass(mixin, cls):
        return mixin
    # Only what comes first may have attributes of its own.  What the class itself defines stays, unless it
    # is an SSLSocket, whose methods reach for the pair.
    methods: dict[str, Any] = {"__slots__": ()}
    if mixin is StubbedTLS:
        methods = {**vars(Stubbed), **vars(StubbedTLS), "__slots__": ()}
    return type(f"{mixin.__name__}{cls.__name__}", (cls, mixin), methods)


class Stubbed(socket.socket):
    """A socket that is connected to a stub."""

    __slots__ = ()

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        channel = channel_of(self)
        return channel.read(self, bufsize, flags) if bufsize else b""

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        view = memoryview(buffer).cast("B")
        data = self.recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        return self.recv(bufsize, flags), None

    def send(self, data: Any, flags: int = 0, /) -> int:
        connection, sent = channel_of(self).connection, bytes(data)
        if sent:  # of nothing, a connection takes that no more will come
            connection.receive(sent)
        return len(sent)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        self.send(data, flags)

    def sendmsg(self, buffers: Iterable[Any], *args: Any) -> int:
        return self.send(b"".join(buffers))

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        file.seek(offset)
        return self.send(file.read(-1 if count is None else count))

    def shutdown(self, how: int, /) -> None:
        connection = channel_of(self).connection
        if how != socket.SHUT_WR:
            connection.close()
        elif not connection.over:
            connection.receive(b"")

    def close(self) -> None:
        if (channel := _channels.get(id(self))) is not None:
            channel.linger(self)
        super().close()
        if self.fileno() == -1:  # a file that was made of the socket keeps it open
            _forget(id(self))

    def getpeername(self) -> Any:
        return channel_of(self).address

    def getsockname(self) -> Any:
        channel_of(self)
        return ("::1", 49152, 0, 0) if self.family == socket.AF_INET6 else ("127.0.0.1", 49152)

    # The pair knows nothing of TCP.

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if level == socket.SOL_SOCKET:
            super().setsockopt(level, option, *value)
        else:
            channel_of(self).options[level, option] = value[0]

    def getsockopt(self, level: int, option: int, *size: Any) -> Any:
        if level == socket.SOL_SOCKET:
            return super().getsockopt(level, option, *size)
        return channel_of(self).options.get((level, option), 0)


class StubbedTLS(Stubbed):
    """A socket that is connected to a stub and takes its server for one that speaks TLS."""

    __slots__ = ()

    def do_handshake(self, block: bool = False) -> None:
        """Nothing is encrypted, so nothing has to be agreed on."""

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return "TLS_AES_256_GCM_SHA384", "TLSv1.3", 256

    def selected_alpn_protocol(self) -> None:
        return None

    def getpeercert(self, binary_form: bool = False) -> Any:
        host = channel_of(self).host
        kind = "IP Address" if is_address(host) else "DNS"
        return b"" if binary_form else {"subjectAltName": ((kind, host),)}

    def pending(self) -> int:
        return 0

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        return self.recv(len) if buffer is None else self.recv_into(buffer, len)

    def write(self, data: Any) -> int:
        return self.send(data)

    def unwrap(self) -> socket.socket:
        return self


def _refuse(name: str) -> Any:
    def method(self: Stubbed, *args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EOPNOTSUPP, f"{name}() of a socket that is connected to a stub")

    return method


# What would reach for the pair's own data.
for _name in ("detach", "dup", "recvfrom_into", "recvmsg", "recvmsg_into", "sendto"):
    setattr(Stubbed, _name, _refuse(_name))
