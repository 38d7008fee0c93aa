"""Faults of WebSockets, as each library puts them: its own exceptions, close codes and reasons."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import httpx_ws
import pytest
import websocket
import websockets
import websockets.sync.client
from calls import URL, in_thread
from wire import LONG, submit

import comfystub
from comfystub import faults

WS_URL = "ws://comfy.test:8188/ws?clientId=me"


@pytest.fixture
def stub() -> Iterator[comfystub.Stub]:
    with comfystub.patch(URL, clock="virtual") as stub:
        yield stub


@contextlib.contextmanager
def connected(client_id: str = "me") -> Iterator[websocket.WebSocket]:
    socket = websocket.create_connection(f"ws://comfy.test:8188/ws?clientId={client_id}", timeout=LONG)
    try:
        yield socket
    finally:
        socket.close()
        socket.shutdown()  # of one that the server has closed, close() leaves the connection open


def kinds(socket: websocket.WebSocket, last: str = "execution_success") -> list[str]:
    """The types of the texts up to one of a type."""
    heard: list[str] = []
    while last not in heard:
        message = socket.recv()
        assert message != "", heard
        if isinstance(message, str):
            heard.append(json.loads(message)["type"])
    return heard


# --- how a socket ends


def test_websocket_client_is_dropped(stub: comfystub.Stub) -> None:
    for resets, error in (
        (False, websocket.WebSocketConnectionClosedException),
        (True, ConnectionResetError),
    ):
        stub.fail(faults.drop_socket("execution_start", resets=resets))
        with connected() as socket:
            submit(stub, seed=resets)
            stub.finish()
            assert kinds(socket, "status") == ["status"]
            with pytest.raises(error):
                kinds(socket, "progress")
        record = stub.sockets[-1]
        assert (record.is_open, record.close_code) == (False, None)


def test_websocket_client_is_told_a_code(stub: comfystub.Stub) -> None:
    stub.fail(faults.close_socket("execution_start", 1013, "try again later"))
    with connected() as socket:
        submit(stub)
        opcode, data = socket.recv_data()
        while opcode == websocket.ABNF.OPCODE_TEXT:
            opcode, data = socket.recv_data()
        assert (opcode, data) == (websocket.ABNF.OPCODE_CLOSE, b"\x03\xf5try again later")
    assert stub.sockets[0].close_code == 1013


def test_websocket_app_is_told_a_code(stub: comfystub.Stub) -> None:
    closed: list[Any] = []
    sockets: list[Any] = []

    def begin(app: Any) -> None:
        sockets.append(app.sock)
        submit(stub)

    app = websocket.WebSocketApp(
        WS_URL,
        on_open=begin,
        on_close=lambda app, code, reason: closed.append((code, reason)),
    )
    stub.fail(faults.close_socket("execution_start", 1013, "later"))
    thread = threading.Thread(target=app.run_forever)
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive()
    assert closed == [(1013, "later")]
    sockets[0].shutdown()


def test_websocket_app_reconnects(stub: comfystub.Stub) -> None:
    """Its own loop dials again after so many seconds, and hears the rest of the job."""
    opened: list[float] = []
    ended = threading.Event()

    def hear(app: Any, message: Any) -> None:
        if isinstance(message, str) and json.loads(message)["type"] == "execution_success":
            ended.set()
            app.close()

    def note(app: Any) -> None:
        opened.append(stub.clock.elapsed)
        if len(opened) == 1:
            submit(stub)

    app = websocket.WebSocketApp(WS_URL, on_open=note, on_message=hear)
    stub.fail(faults.drop_socket("progress"))
    thread = threading.Thread(target=app.run_forever, kwargs={"reconnect": 5})
    thread.start()
    thread.join(LONG)
    assert not thread.is_alive() and ended.is_set()
    assert opened[0] == 0 and len(opened) == 2
    assert len(stub.sockets) == 2


@pytest.mark.parametrize("how", ["closed", "dropped", "reset"])
def test_websockets(stub: comfystub.Stub, how: str) -> None:
    def arm() -> None:
        if how == "closed":
            stub.fail(faults.close_socket("execution_start", 1012, "restart"))
        else:
            stub.fail(faults.drop_socket("execution_start", resets=how == "reset"))

    def judge(error: websockets.ConnectionClosed) -> None:
        if how == "closed":
            assert error.rcvd is not None
            assert (error.rcvd.code, error.rcvd.reason) == (1012, "restart")
        else:
            assert error.rcvd is None

    arm()
    with websockets.sync.client.connect(WS_URL) as socket:
        submit(stub)
        with pytest.raises(websockets.ConnectionClosedError) as caught:
            while True:
                socket.recv(LONG)
    judge(caught.value)

    async def main() -> websockets.ConnectionClosed:
        async with websockets.connect(WS_URL) as socket:
            submit(stub, seed=2)
            with pytest.raises(websockets.ConnectionClosedError) as caught:
                while True:
                    await socket.recv()
        return caught.value

    arm()
    judge(in_thread(asyncio.run, main()))


@pytest.mark.parametrize(
    ("how", "kind", "code"),
    [
        ("closed", aiohttp.WSMsgType.CLOSE, 1012),
        ("dropped", aiohttp.WSMsgType.CLOSED, 1006),
        ("reset", aiohttp.WSMsgType.CLOSED, 1006),
    ],
)
def test_aiohttp(stub: comfystub.Stub, how: str, kind: Any, code: int) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(WS_URL) as socket:
            submit(stub)
            messages = [await socket.receive()]
            while messages[-1].type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                messages.append(await socket.receive())
            assert messages[-1].type is kind, messages[-1]
            assert socket.close_code == code
            if how == "closed":
                assert (messages[-1].data, messages[-1].extra) == (1012, "restart")

    if how == "closed":
        stub.fail(faults.close_socket("execution_start", 1012, "restart"))
    else:
        stub.fail(faults.drop_socket("execution_start", resets=how == "reset"))
    in_thread(asyncio.run, main())


def test_httpx_ws_is_told_a_code(stub: comfystub.Stub) -> None:
    stub.fail(faults.close_socket("execution_start", 1012, "restart"))
    with httpx.Client() as client, httpx_ws.connect_ws(WS_URL, client) as socket:
        submit(stub)
        with pytest.raises(httpx_ws.WebSocketDisconnect) as caught:
            while True:
                socket.receive(LONG)
    assert (caught.value.code, caught.value.reason) == (1012, "restart")


def test_a_handshake_is_reset(stub: comfystub.Stub) -> None:
    async def over_aiohttp() -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientOSError):
                await session.ws_connect(WS_URL)

    stub.fail(faults.reset(on="/ws"))
    with pytest.raises(ConnectionResetError):
        websocket.create_connection(WS_URL, timeout=LONG)
    with httpx.Client() as client, pytest.raises(httpx.ReadError):
        with httpx_ws.connect_ws(WS_URL, client):
            raise AssertionError("it was opened")
    in_thread(asyncio.run, over_aiohttp())
    assert stub.sockets == []


def test_a_handshake_is_not_answered(stub: comfystub.Stub) -> None:
    stub.fail(faults.no_answer(on="/ws", times=2))
    with pytest.raises(websocket.WebSocketTimeoutException):
        websocket.create_connection(WS_URL, timeout=10)
    assert stub.clock.elapsed == 10
    with pytest.raises(TimeoutError):
        websockets.sync.client.connect(WS_URL, open_timeout=20)
    assert stub.clock.elapsed == 30
    with connected() as socket:
        assert kinds(socket, "status") == ["status"]


def test_a_handshake_takes_its_time(stub: comfystub.Stub) -> None:
    stub.fail(faults.slow(5, on="/ws"))
    with connected() as socket:
        assert stub.clock.elapsed == 5
        submit(stub)
        assert kinds(socket)[-1] == "execution_success"
    assert stub.clock.elapsed == 5


# --- whose socket, which message


def test_one_of_two_clients(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_events("status", on={"client": "you"}))
    fault = stub.fail(faults.close_socket("execution_start", 1011, on={"client": "you"}))
    with connected("me") as mine, connected("you") as yours:
        submit(stub, "me")
        assert "execution_start" in kinds(mine)
        submit(stub, "you", seed=2)
        assert yours.recv() == ""
        assert kinds(mine, "status") == ["status"]
    assert fault.hits == 1
    assert [record.close_code for record in stub.sockets][1] == 1011
    assert stub.sockets[1].sent["status"] == 0


def test_one_of_two_jobs(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_events("progress", on=2))
    with connected() as socket:
        for seed in (1, 2, 3):
            submit(stub, seed=seed)
            assert ("progress" in kinds(socket)) == (seed != 2)


def test_a_message_of_one_node(stub: comfystub.Stub) -> None:
    stub.fail(faults.drop_events("executing", on={"node": ["KSampler", "9"]}))
    with connected() as socket:
        submit(stub)
        nodes: list[Any] = []
        while not nodes or nodes[-1] is not None:
            message = socket.recv()
            if isinstance(message, str) and json.loads(message)["type"] == "executing":
                nodes.append(json.loads(message)["data"]["node"])
    assert "3" not in nodes and "9" not in nodes and "8" in nodes


def test_the_greeting_is_struck_too(stub: comfystub.Stub) -> None:
    stub.fail(faults.double_events("status", times=1))
    with connected() as socket:
        submit(stub)
        assert kinds(socket)[:3] == ["status", "status", "status"]


def test_the_second_message_of_a_type(stub: comfystub.Stub) -> None:
    stub.fail(faults.close_socket("progress", 1011, after=1))
    with connected() as socket:
        submit(stub)
        heard = []
        while message := socket.recv():
            heard.append(str(message))
    assert sum('"type": "progress"' in message for message in heard) == 1


# --- silence


def test_a_stalled_socket_goes_on_after_its_time(stub: comfystub.Stub) -> None:
    stub.fail(faults.stall_socket("execution_start", 30))
    with connected() as socket:
        submit(stub)
        stub.finish()
        assert kinds(socket, "status") == ["status"]
        socket.settimeout(10)
        with pytest.raises(websocket.WebSocketTimeoutException):
            while True:
                socket.recv()
        assert stub.clock.elapsed == 10
        socket.settimeout(60)
        assert "execution_start" in kinds(socket)
        assert stub.clock.elapsed == 30
        # And then it is as quick as ever.
        submit(stub, seed=2)
        assert "execution_start" in kinds(socket)
    assert stub.clock.elapsed == 30


def test_a_stalled_socket_is_silent_for_good(stub: comfystub.Stub) -> None:
    """Whoever only listens waits in vain; whoever looks finds the job done."""
    stub.fail(faults.stall_socket("execution_start"))
    with connected() as socket:
        prompt_id = submit(stub)
        socket.settimeout(300)
        with pytest.raises(websocket.WebSocketTimeoutException):
            kinds(socket)
        assert stub.clock.elapsed == 300
        assert list(httpx.get(f"{URL}/history/{prompt_id}").json()) == [prompt_id]


@pytest.mark.parametrize("away", ["lift", "remove", "clear", "lasting"])
def test_a_stalled_socket_is_let_go(stub: comfystub.Stub, away: str) -> None:
    fault = stub.fail(faults.stall_socket("execution_start", 500 if away == "lasting" else 1e6))
    with connected() as socket:
        submit(stub)
        stub.finish()
        actions = {
            "lift": fault.lift,
            "remove": lambda: stub.faults.remove(fault),
            "clear": stub.faults.clear,
            "lasting": lambda: stub.clock.advance(500),
        }
        timer = threading.Timer(0.02, actions[away])
        timer.start()
        socket.settimeout(None)
        assert kinds(socket)[-1] == "execution_success"
        timer.join()


def test_a_late_message_of_a_client_that_is_gone(stub: comfystub.Stub) -> None:
    stub.fail(faults.delay_events("executed", seconds=60))
    with connected() as socket:
        submit(stub)
        kinds(socket)
    stub.clock.advance(60)
    assert stub.sockets[0].sent["executed"] == 0
    assert not stub.sockets[0].is_open


def test_what_waits_for_other_messages_comes_at_the_end(stub: comfystub.Stub) -> None:
    stub.fail(faults.delay_events("execution_success", events=100))
    with connected() as socket:
        submit(stub)
        assert kinds(socket).count("execution_success") == 1
