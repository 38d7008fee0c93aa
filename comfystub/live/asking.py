"""Asking a live server, and saying in one line why that does not work."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import httpx


class Trouble(Exception):
    """Why a server cannot be worked with, and what to do about it: one line."""


class LiveServer:
    """A ComfyUI that is called over the network, for the duration of a ``with`` block.

    Args:
        url: Its address; without a scheme it is ``http``, a path prefix may follow, and ``user:password@``
            stand before the host.
        headers: Lines ``Name: value`` that go with every call.
        timeout: Seconds that an answer may take.

    Raises:
        Trouble: The address or a header is none.
    """

    def __init__(self, url: str, headers: Iterable[str] = (), timeout: float = 60) -> None:
        address = _address(url)
        self._headers = dict(map(_header, headers))
        if address.userinfo:
            login = f"{address.username}:{address.password}".encode()
            self._headers.setdefault("Authorization", f"Basic {base64.b64encode(login).decode()}")
            address = address.copy_with(userinfo=None)
        #: Its address, without a trailing slash and without a password.
        self.url = str(address).rstrip("/")
        self.host = address.host
        self.timeout = timeout
        self._client = httpx.Client(base_url=self.url, headers=self._headers, timeout=timeout)

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    @property
    def header_lines(self) -> list[str]:
        """The headers that go with every call."""
        return [f"{name}: {value}" for name, value in self._headers.items()]

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Make a call, as ``httpx.Client.request`` does, and raise what that raises."""
        return self._client.request(method, path, **options)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Make a call.  Raises ``Trouble`` when it gets no answer, or is sent elsewhere or away."""
        try:
            answer = self.send(method, path, **options)
        except httpx.TimeoutException:
            raise Trouble(
                f"{self.url} did not answer {method} {path} within {self.timeout:g} seconds; "
                "give it more with --timeout"
            ) from None
        except httpx.ConnectError as problem:
            raise Trouble(
                f"cannot connect to {self.url} ({problem}): is ComfyUI running, and is that its address?"
            ) from None
        except httpx.HTTPError as problem:
            raise Trouble(
                f"{self.url} broke off {method} {path}: {str(problem) or type(problem).__name__}"
            ) from None
        if answer.status_code in (401, 403):
            raise Trouble(
                f"{self.url} answers {answer.status_code}, it wants a login: "
                "give one with --header 'Authorization: …'"
            )
        if answer.has_redirect_location:
            raise Trouble(f"{self.url} sends on to {answer.headers['location']}: give that address")
        return answer

    def json(self, path: str) -> Any:
        """What a path that every ComfyUI has answers.  Raises ``Trouble`` when it is none."""
        answer = self.ask("GET", path)
        body = body_of(answer)
        if body is None:
            raise Trouble(
                f"{self.url} does not answer GET {path} as ComfyUI does, but {answer.status_code} "
                f"{answer.headers.get('content-type', 'without a content type')}: is that its address?"
            )
        return body


def body_of(answer: httpx.Response) -> Any:
    """The JSON of an answer that is well, ``None`` for any other."""
    try:
        return answer.json() if answer.status_code == 200 else None
    except ValueError:
        return None


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url if "://" in url else f"http://{url}")
    except httpx.InvalidURL as problem:
        raise Trouble(f"{url} is no address: {problem}") from None
    if address.scheme not in ("http", "https") or not address.host:
        raise Trouble(f"{url} is no address of a server: give one like http://127.0.0.1:8188")
    return address.copy_with(query=None, fragment=None)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip() or not line.isascii():
        raise Trouble(f"--header takes 'Name: value' in ASCII, not {line!r}")
    return name.strip(), value.strip()
