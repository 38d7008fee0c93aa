"""aiohttp, anyio and httpcore: what each of them does on its way to a connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from calls import URL, in_thread, named
from network import NetworkUsed
from wire import ADDRESS, GET, LAST, LONG, NOTHING_QUEUED
from workflows import text_to_image

import comfystub

SECURE = "https://secure.test"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch([URL, SECURE]) as stub:
        yield stub


# --- aiohttp


@pytest.fixture
def aiohttp() -> Any:
    return pytest.importorskip("aiohttp")


async def models(session: Any, url: str = URL, **options: Any) -> Any:
    async with session.get(f"{url}/models/checkpoints", **options) as response:
        assert response.status == 200
        return await response.json()


@pytest.mark.parametrize(
    "options", [{}, {"force_close": True}, {"limit": 1}, {"use_dns_cache": False}, {"ssl": False}]
)
@pytest.mark.parametrize("url", [URL, SECURE])
async def test_aiohttp_with_a_connector_of_ones_own(aiohttp: Any, options: dict[str, Any], url: str) -> None:
    with named("it", URL, SECURE) as stub:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(**options)) as session:
            for _ in range(2):
                assert await models(session, url) == ["it"]
            assert await asyncio.gather(*(models(session, url) for _ in range(5))) == [["it"]] * 5
    assert len(stub.requests) == 7


async def test_aiohttp_with_one_family(aiohttp: Any) -> None:
    with named("it"):
        for family in (socket.AF_INET, socket.AF_INET6):
            connector = aiohttp.TCPConnector(family=family)
            async with aiohttp.ClientSession(connector=connector) as session:
                assert await models(session) == ["it"]


async def test_an_aiohttp_session_that_was_made_before(aiohttp: Any) -> None:
    async with aiohttp.ClientSession() as session:
        for name in ("first", "second"):
            with named(name):
                assert await models(session) == [name]
        with pytest.raises((aiohttp.ClientError, NetworkUsed)):
            await models(session)


async def test_an_aiohttp_session_whose_connection_the_stub_closed(aiohttp: Any) -> None:
    with named("it"):
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{URL}/prompt", data=b"{") as response:
                assert response.status == 500
            assert await models(session) == ["it"]


@pytest.mark.parametrize("url", [URL, "http://made.up.name.test:1234", "http://comfy.internal:80"])
async def test_names_are_not_asked_for_with_aiodns(aiohttp: Any, url: str) -> None:
    pytest.importorskip("aiodns")
    resolver = aiohttp.AsyncResolver(nameservers=["192.0.2.1"])
    with named("it", url):
        connector = aiohttp.TCPConnector(resolver=resolver)
        async with aiohttp.ClientSession(connector=connector) as session:
            assert await models(session, url) == ["it"]
    await resolver.close()


async def test_aiodns_gives_an_address_of_the_family_that_is_wanted(
    aiohttp: Any, stub: comfystub.Stub
) -> None:
    pytest.importorskip("aiodns")
    resolver = aiohttp.AsyncResolver(nameservers=["192.0.2.1"])
    for family in (socket.AF_INET, socket.AF_INET6):
        [found] = await resolver.resolve("comfy.test", 8188, family)
        assert (found["family"], found["port"], found["hostname"]) == (family, 8188, "comfy.test")
        socket.inet_pton(family, found["host"])
    await resolver.close()


async def test_an_own_resolver_finds_other_hosts(aiohttp: Any, stub: comfystub.Stub, echo_url: str) -> None:
    port = int(echo_url.rpartition(":")[2])

    class Own(aiohttp.abc.AbstractResolver):  # type: ignore[name-defined,misc]
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
            address = {"inside.test": "127.0.0.1", "comfy.test": "comfy.test"}[host]
            found = {"hostname": host, "host": address, "port": port, "family": socket.AF_INET}
            return [found | {"proto": 0, "flags": 0}]

        async def close(self) -> None: ...

    connector = aiohttp.TCPConnector(resolver=Own())
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(f"http://inside.test:{port}/x") as response:
            assert await response.text() == "GET /x "
        async with session.get(f"{URL}/queue") as response:
            assert response.status == 200


async def test_aiohttp_is_refused_other_hosts(aiohttp: Any) -> None:
    with comfystub.patch(URL, unmatched="error"):
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await models(session, "http://elsewhere.test")


async def test_aiohttp_times_out(aiohttp: Any) -> None:
    with comfystub.patch(URL, pace="manual"):
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{URL}/ws") as websocket:
            await websocket.receive()
            with pytest.raises(asyncio.TimeoutError):
                await websocket.receive(timeout=0.01)


@pytest.mark.parametrize("options", [{}, {"heartbeat": 5}, {"compress": 15}, {"autoping": False}])
async def test_aiohttp_listens(aiohttp: Any, stub: comfystub.Stub, options: dict[str, Any]) -> None:
    heard = []
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(f"{URL}/ws?clientId=me", **options) as websocket:
            await session.post(f"{URL}/prompt", json={"prompt": text_to_image(), "client_id": "me"})
            async for message in websocket:
                if message.type == aiohttp.WSMsgType.TEXT:
                    heard.append(json.loads(message.data)["type"])
                if heard[-1] == "executing" and '"node": null' in str(message.data):
                    break
        assert websocket.close_code == 1000
    assert heard.count("execution_success") == 1
    assert not stub._engine.hub._sessions


# --- anyio, on asyncio and on trio

backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@pytest.fixture
def anyio(backend: str) -> Any:
    pytest.importorskip(backend)
    return pytest.importorskip("anyio")


def run(anyio: Any, backend: str, function: Any) -> Any:
    """Run a coroutine function; what fails to come is a failure, and no test that hangs."""

    async def main() -> Any:
        with anyio.fail_after(5):
            return await function()

    return in_thread(functools.partial(anyio.run, main, backend=backend))


@backends
@pytest.mark.parametrize("tls", [False, True])
def test_anyio_connects(anyio: Any, backend: str, stub: comfystub.Stub, tls: bool) -> None:
    async def main() -> bytes:
        async with await anyio.connect_tcp(*ADDRESS, tls=tls) as stream:
            await stream.send(GET)
            with anyio.move_on_after(0):
                raise AssertionError(await stream.receive())
            return bytes(await stream.receive())

    assert run(anyio, backend, main).endswith(NOTHING_QUEUED)


@backends
def test_anyio_hears_a_job(anyio: Any, backend: str, stub: comfystub.Stub) -> None:
    async def main() -> None:
        async with await anyio.connect_tcp(*ADDRESS) as stream:
            await stream.send(
                b"GET /ws?clientId=me HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            heard = b""
            while b'"sid"' not in heard:
                heard += await stream.receive()
            with stub.client() as client:
                client.post("/prompt", json={"prompt": text_to_image(), "client_id": "me"})
            while LAST not in heard:
                heard += await stream.receive()

    run(anyio, backend, main)


@backends
def test_anyio_learns_of_the_end(anyio: Any, backend: str, stub: comfystub.Stub) -> None:
    async def main() -> None:
        async with await anyio.connect_tcp(*ADDRESS) as stream:
            await stream.send_eof()
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()

    run(anyio, backend, main)


@backends
def test_anyio_is_refused_other_hosts(anyio: Any, backend: str) -> None:
    async def main() -> None:
        with pytest.raises(OSError):
            await anyio.connect_tcp("elsewhere.test", 80)

    with comfystub.patch(URL, unmatched="error"):
        run(anyio, backend, main)


@backends
def test_anyio_reaches_real_servers(anyio: Any, backend: str, stub: comfystub.Stub, echo_url: str) -> None:
    host, _, port = echo_url.removeprefix("http://").partition(":")

    async def main() -> bytes:
        async with await anyio.connect_tcp(host, int(port)) as stream:
            await stream.send(b"GET /x HTTP/1.0\r\n\r\n")
            heard = b""
            with contextlib.suppress(anyio.EndOfStream):
                while True:
                    heard += await stream.receive()
            return heard

    assert run(anyio, backend, main).endswith(b"GET /x ")


# --- httpcore, which httpx stands on


@pytest.fixture
def httpcore() -> Any:
    return pytest.importorskip("httpcore")


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    return ssl.create_default_context()


@pytest.mark.parametrize("url", [URL, SECURE])
def test_httpcore(httpcore: Any, stub: comfystub.Stub, url: str, context: ssl.SSLContext) -> None:
    with httpcore.ConnectionPool(ssl_context=context) as pool:
        for _ in range(2):
            response = pool.request("GET", f"{url}/queue", extensions={"timeout": {"read": LONG}})
            assert (response.status, response.content) == (200, NOTHING_QUEUED)
        assert len(pool.connections) == 1


@backends
@pytest.mark.parametrize("url", [URL, SECURE])
def test_httpcore_async(
    httpcore: Any, anyio: Any, backend: str, stub: comfystub.Stub, url: str, context: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with httpcore.AsyncConnectionPool(ssl_context=context) as pool:
            for _ in range(2):
                response = await pool.request("GET", f"{url}/queue")
                assert (response.status, response.content) == (200, NOTHING_QUEUED)
            assert len(pool.connections) == 1

    run(anyio, backend, main)


def test_trio_alone(stub: comfystub.Stub) -> None:
    trio = pytest.importorskip("trio")

    async def main() -> bytes:
        with trio.fail_after(5):
            async with await trio.open_tcp_stream(*ADDRESS) as stream:
                await stream.send_all(GET)
                return bytes(await stream.receive_some())

    assert trio.run(main).endswith(NOTHING_QUEUED)
