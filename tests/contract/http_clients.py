"""The libraries that only speak HTTP; a subclass says which library opens its WebSockets."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import httpx
import requests
import requests.adapters
import urllib3
from urllib3.util.retry import Retry

from contract.clients import (
    PATIENCE,
    Answer,
    AsyncClient,
    Client,
    Failures,
    Files,
    SyncClient,
    answer,
    encoded,
    trusting,
)

#: Tries again at once, so that a call that is refused for good ends soon.
RETRY = Retry(total=2, backoff_factor=0, status_forcelist=(502, 503, 504))

#: Whether requests minds a body that is shorter than it says: urllib3 does so for it since 2.0.
COUNTS = not version("urllib3").startswith("1.")

OF_HTTPX = Failures(
    reset=(httpx.ReadError,),
    hung_up=(httpx.RemoteProtocolError,),
    cut=(httpx.RemoteProtocolError,),
    times_out=(httpx.ReadTimeout,),
)
OF_HTTP_CLIENT = Failures(
    reset=(ConnectionResetError,),
    hung_up=(http.client.RemoteDisconnected,),
    cut=(http.client.IncompleteRead,),
    times_out=(TimeoutError,),
)


def _httpx_timeout(client: Client) -> httpx.Timeout:
    return httpx.Timeout(PATIENCE, read=client.patience)


class Httpx(SyncClient):
    unreachable = (httpx.ConnectError,)
    failures = OF_HTTPX

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.session = httpx.Client(verify=False)

    async def close(self) -> None:
        self.session.close()

    async def request(
        self, method: str, path: str, *, body: bytes | None = None, fields: Any = None, **options: Any
    ) -> Answer:
        response = self.session.request(
            method, self.url + path, content=body, data=fields, timeout=_httpx_timeout(self), **options
        )
        return answer(response.status_code, response.headers.items(), response.content)


class AsyncHttpx(AsyncClient):
    unreachable = (httpx.ConnectError,)
    failures = OF_HTTPX

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.session = httpx.AsyncClient(verify=False)

    async def close(self) -> None:
        await self.session.aclose()

    async def request(
        self, method: str, path: str, *, body: bytes | None = None, fields: Any = None, **options: Any
    ) -> Answer:
        response = await self.session.request(
            method, self.url + path, content=body, data=fields, timeout=_httpx_timeout(self), **options
        )
        return answer(response.status_code, response.headers.items(), response.content)


class Requests(SyncClient):
    unreachable = (requests.ConnectionError,)
    failures = Failures(
        reset=(requests.ConnectionError,),
        hung_up=(requests.ConnectionError,),
        cut=(requests.exceptions.ChunkedEncodingError,) if COUNTS else (),
        times_out=(requests.ReadTimeout,),
    )

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.session = requests.Session()
        self.session.verify = False

    async def close(self) -> None:
        self.session.close()

    async def request(
        self, method: str, path: str, *, body: bytes | None = None, fields: Any = None, **options: Any
    ) -> Answer:
        data = fields if body is None else body
        timeout = (PATIENCE, self.patience)
        response = self.session.request(method, self.url + path, data=data, timeout=timeout, **options)
        return answer(response.status_code, response.headers.items(), response.content)


class RequestsWithRetry(Requests):
    """A session that was told to try again, and so leaves it all to urllib3."""

    tries = 3

    def __init__(self, url: str) -> None:
        super().__init__(url)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=RETRY))


class Urllib3(SyncClient):
    unreachable = (urllib3.exceptions.MaxRetryError,)
    failures = Failures(
        reset=(urllib3.exceptions.ProtocolError,),
        hung_up=(urllib3.exceptions.ProtocolError,),
        cut=(urllib3.exceptions.ProtocolError,),
        times_out=(urllib3.exceptions.ReadTimeoutError,),
    )
    tries = 3

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._pools = urllib3.PoolManager(cert_reqs="CERT_NONE", retries=RETRY)

    async def close(self) -> None:
        self._pools.clear()

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        files: Files | None = None,
        fields: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        options: dict[str, Any] = {}
        if files is not None:
            options["fields"] = {**files, **(fields or {})}
        path, body, sent = encoded(path, json, body, None, None, params, headers)
        if body is not None:
            options["body"] = body
        timeout = urllib3.Timeout(connect=PATIENCE, read=self.patience)
        response = self._pools.request(method, self.url + path, headers=sent, timeout=timeout, **options)
        return answer(response.status, response.headers.items(), response.data)


class Encoding(Client):
    """For libraries whose users make bodies and queries themselves."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        files: Files | None = None,
        fields: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return await self.put(method, *encoded(path, json, body, files, fields, params, headers))

    async def put(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """The answer to a request that is ready to be sent."""
        raise NotImplementedError


class UrllibRequest(Encoding, SyncClient):
    unreachable = (urllib.error.URLError,)
    failures = OF_HTTP_CLIENT

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusting()))

    async def put(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        request = urllib.request.Request(self.url + target, body, headers, method=method)
        try:
            response = self._opener.open(request, timeout=self.patience)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            return answer(response.status, response.headers.items(), response.read())


class HttpClient(Encoding, SyncClient):
    """``http.client``, with a connection to each server that is kept."""

    unreachable = (ConnectionRefusedError,)
    failures = OF_HTTP_CLIENT

    def __init__(self, url: str) -> None:
        super().__init__(url)
        # Those that are not in use.
        self._connections: dict[str, http.client.HTTPConnection] = {}

    async def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    async def put(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        scheme, netloc, path, *_ = urlsplit(self.url)
        kept = self._connections.pop(netloc, None)
        try:
            connection = kept or self._connect(scheme, netloc)
            if kept is not None and kept.sock is not None:
                kept.sock.settimeout(self.patience)
            found = self._ask(connection, method, path + target, body, headers)
        except Exception as error:
            connection.close()
            if kept is None or not isinstance(error, ConnectionError):
                raise
            # The server may have closed it since.
            connection = self._connect(scheme, netloc)
            found = self._ask(connection, method, path + target, body, headers)
        if self._connections.setdefault(netloc, connection) is not connection:
            connection.close()
        return found

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> Answer:
        connection.request(method, target, body, headers)
        with connection.getresponse() as response:
            return answer(response.status, response.headers.items(), response.read())

    def _connect(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(netloc, timeout=self.patience, context=trusting())
        return http.client.HTTPConnection(netloc, timeout=self.patience)
