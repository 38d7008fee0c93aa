"""A load balancer, on bytes and on requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import comfystub
from comfystub import faults
from comfystub.server.balancer import Balancer
from comfystub.server.connection import Connection
from comfystub.server.http import Request
from comfystub.server.place import Place

GET = b"GET /queue HTTP/1.1\r\nHost: comfy.test\r\n\r\n"
GET_WS = (
    b"GET /ws?clientId=me HTTP/1.1\r\nHost: comfy.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def stubs() -> Iterator[list[comfystub.Stub]]:
    stubs = [comfystub.Stub("http://comfy.test"), comfystub.Stub("http://comfy.test")]
    yield stubs
    for stub in stubs:
        stub.close()


@pytest.fixture
def balancer(stubs: list[comfystub.Stub]) -> Balancer:
    return Balancer([stub._server for stub in stubs])


def connect(balancer: Balancer) -> Connection:
    return Connection(lambda path: Place(balancer, ""))


def asked(connection: Connection, request: bytes = GET) -> bytes:
    """The first line of the answer to a request."""
    connection.receive(request)
    answer = connection.take(100_000) or b""
    return answer.partition(b"\r\n")[0]


def counts(stubs: list[comfystub.Stub]) -> list[int]:
    return [len(stub.requests) for stub in stubs]


def test_each_call_of_a_connection_goes_to_the_next(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    connection = connect(balancer)
    for expected in ([1, 0], [1, 1], [2, 1]):
        assert asked(connection) == b"HTTP/1.1 200 OK"
        assert counts(stubs) == expected


def test_calls_that_come_at_once_take_turns(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    connection = connect(balancer)
    connection.receive(GET * 4)
    assert (connection.take(100_000) or b"").count(b"HTTP/1.1 200 OK") == 4
    assert counts(stubs) == [2, 2]


def test_it_listens_when_no_server_does(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    for stub in stubs:
        stub.fail(faults.refused())
    assert balancer.admits()
    connection = connect(balancer)
    assert asked(connection) == b"HTTP/1.1 502 Bad Gateway"
    assert not connection.over
    assert counts(stubs) == [0, 0]


def test_the_bad_gateway_says_how_long_it_is(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    stubs[0].fail(faults.refused())
    response = balancer.turn().respond(Request("GET", "/queue"))
    assert dict(response.headers) == {"Content-Type": "text/html", "Content-Length": str(len(response.body))}


def test_a_call_that_was_let_in_counts_once(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    fault = stubs[0].fail(faults.refused(on="/queue", times=1, after=1))
    connection = connect(balancer)
    found = [asked(connection)[9:12] for _ in range(6)]
    assert (found, fault.hits) == ([b"200", b"200", b"502", b"200", b"200", b"200"], 1)


def test_it_is_troubled_when_one_of_them_is(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    found = [balancer.troubled]
    fault = stubs[1].fail(faults.no_answer())
    found.append(balancer.troubled)
    fault.lift()
    assert [*found, balancer.troubled] == [False, True, False]


def test_a_socket_stays_at_its_server(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    connection = connect(balancer)
    assert asked(connection, GET_WS).startswith(b"HTTP/1.1 101")
    assert [len(stub.sockets) for stub in stubs] == [1, 0]
    stubs[1].restart()
    assert not connection.over
    stubs[0].restart()
    assert connection.over


def test_a_restart_leaves_connections_to_the_balancer_alone(
    stubs: list[comfystub.Stub], balancer: Balancer
) -> None:
    connection = connect(balancer)
    asked(connection)
    for stub in stubs:
        stub.restart()
    assert asked(connection) == b"HTTP/1.1 200 OK"


def test_many_threads_take_fair_turns(stubs: list[comfystub.Stub], balancer: Balancer) -> None:
    def ask() -> None:
        connection = connect(balancer)
        for _ in range(25):
            asked(connection)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts(stubs) == [50, 50]
