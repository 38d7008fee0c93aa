"""A client's connection that became a WebSocket: its handshake, its frames, its end, and who is told."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import h11
import pytest
from PIL import Image
from workflows import text_to_image
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage

import comfystub
from comfystub.server import frames
from comfystub.server.connection import Connection
from comfystub.server.place import Place
from server.support import Asker, picture

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # the example of RFC 6455, and what it has to be answered
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

VALID = {
    "Host": "comfy.test:8188",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def handshake(client_id: str | None = "me", **changes: str | None) -> bytes:
    """The request for a WebSocket; a change names a header with ``_`` for ``-``, ``None`` leaves it out."""
    headers = VALID | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
    query = "" if client_id is None else f"?clientId={client_id}"
    return f"GET /ws{query} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


class Listener:
    """A client that speaks through wsproto; ``heard`` is all that it was told."""

    def __init__(self, stub: comfystub.Stub, client_id: str = "me", after: bytes = b"") -> None:
        self.connection = Connection(lambda path: Place(stub._server, ""))
        self.frames = Frames(ConnectionType.CLIENT)
        self.heard: list[Any] = []
        #: What ``poll`` said each time that the connection woke whoever has it.
        self.woken: list[bool] = []
        self.connection.wake = lambda: self.woken.append(self.connection.poll())
        self.connection.receive(handshake(client_id) + after)
        head, _, rest = self.taken().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        self.frames.receive_data(rest)

    def taken(self) -> bytes:
        return b"".join(iter(lambda: self.connection.take(1 << 20) or b"", b""))

    def say(self, event: Any) -> None:
        self.connection.receive(self.frames.send(event))

    def hear(self) -> list[Any]:
        """What it was told since it last listened: parsed JSON, binary frames, wsproto's control frames."""
        self.frames.receive_data(self.taken())
        new = []
        for event in self.frames.events():
            if isinstance(event, TextMessage):
                new.append(json.loads(event.data))
            else:
                new.append(bytes(event.data) if isinstance(event, BytesMessage) else event)
            assert not isinstance(event, Message) or event.message_finished
        self.heard += new
        return new

    def listen(self) -> list[str]:
        """Read until nothing comes without others; the types of what was heard."""
        new: list[Any] = []
        while True:
            new += self.hear()
            if not self.connection.move():
                return [one["type"] if isinstance(one, dict) else type(one).__name__ for one in new]


@pytest.fixture
def listener(stub: comfystub.Stub) -> Listener:
    listener = Listener(stub)
    listener.hear()
    return listener


# --- the handshake


def test_a_handshake_is_answered_and_the_client_greeted(stub: comfystub.Stub) -> None:
    connection = Connection(lambda path: Place(stub._server, ""))
    connection.receive(handshake())
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/ws", headers=list(VALID.items())))
    client.send(h11.EndOfMessage())
    client.receive_data(b"".join(iter(lambda: connection.take(1 << 20) or b"", b"")))
    answer = client.next_event()
    assert isinstance(answer, h11.InformationalResponse)
    assert (answer.status_code, answer.reason) == (101, b"Switching Protocols")
    headers = {name: value.lower() for name, value in answer.headers}
    assert headers[b"upgrade"] == b"websocket" and headers[b"connection"] == b"upgrade"
    assert headers[b"sec-websocket-accept"].decode() == ACCEPT.lower()
    assert b"sec-websocket-extensions" not in headers and b"sec-websocket-protocol" not in headers
    told = Frames(ConnectionType.CLIENT)
    told.receive_data(client.trailing_data[0])
    [greeting] = told.events()
    assert isinstance(greeting, TextMessage)
    status = {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"}
    assert json.loads(greeting.data) == {"type": "status", "data": status}


def test_every_key_has_an_answer_of_its_own(stub: comfystub.Stub) -> None:
    key = base64.b64encode(bytes(range(16))).decode()
    connection = Connection(lambda path: Place(stub._server, ""))
    connection.receive(handshake(Sec_WebSocket_Key=key))
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    assert b"Sec-WebSocket-Accept: " + base64.b64encode(digest) in (connection.take(1000) or b"")


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"},
        {"Sec_WebSocket_Protocol": "chat"},
        {"Content_Length": "0"},
    ],
)
def test_a_handshake_may_look_otherwise(stub: comfystub.Stub, changes: dict[str, str]) -> None:
    connection = Connection(lambda path: Place(stub._server, ""))
    connection.receive(handshake(**changes))
    assert (connection.take(1000) or b"").startswith(b"HTTP/1.1 101 ")
    assert connection.responder is stub._server


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Sec_WebSocket_Version": None},
        {"Sec_WebSocket_Version": "12"},
        {"Sec_WebSocket_Version": "x"},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": ""},
        {"Sec_WebSocket_Key": "dGhl"},
        {"Sec_WebSocket_Key": "not base64!"},
        {"Sec_WebSocket_Key": base64.b64encode(b"x" * 17).decode()},
    ],
)
def test_what_is_no_handshake_is_answered_with_a_text(
    stub: comfystub.Stub, changes: dict[str, str | None]
) -> None:
    connection = Connection(lambda path: Place(stub._server, ""))
    connection.receive(handshake(**changes))
    head, _, body = (connection.take(1 << 20) or b"").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n")
    assert body
    connection.receive(handshake())
    assert (connection.take(1000) or b"").startswith(b"HTTP/1.1 101 "), "the connection goes on"


def test_a_handshake_may_come_after_requests(stub: comfystub.Stub) -> None:
    connection = Connection(lambda path: Place(stub._server, ""))
    connection.receive(b"GET /queue HTTP/1.1\r\nHost: a\r\n\r\n" + handshake())
    data = b"".join(iter(lambda: connection.take(1 << 20) or b"", b""))
    assert data.startswith(b"HTTP/1.1 200 OK") and b"HTTP/1.1 101 " in data


def test_a_handshake_from_elsewhere_is_refused(stub: comfystub.Stub) -> None:
    connection = Connection(lambda path: Place(stub._server, ""))
    connection.receive(handshake(Sec_Fetch_Site="cross-site"))
    assert (connection.take(1000) or b"").startswith(b"HTTP/1.1 403 ")


FEATURES = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


def test_frames_may_come_with_the_handshake(stub: comfystub.Stub) -> None:
    client = Frames(ConnectionType.CLIENT)
    listener = Listener(stub, after=client.send(TextMessage(json.dumps(FEATURES))) + client.send(Ping(b"x")))
    assert [one if isinstance(one, Pong) else one["type"] for one in listener.hear()] == [
        "status",
        "feature_flags",
        Pong(b"x"),
    ]


def test_the_end_may_come_with_the_handshake(stub: comfystub.Stub) -> None:
    listener = Listener(stub, after=Frames(ConnectionType.CLIENT).send(CloseConnection(1000)))
    assert [type(one) for one in listener.hear()] == [dict, CloseConnection]
    assert listener.connection.take(100) == b""


# --- what is said


def test_every_ping_has_its_pong(listener: Listener) -> None:
    for payload in (b"", b"?", b"x" * 125):
        listener.say(Ping(payload))
        assert listener.hear() == [Pong(payload)]


def test_a_pong_is_not_answered(listener: Listener) -> None:
    listener.say(Pong(b"x"))
    assert listener.hear() == []


def test_a_ping_within_a_message_is_answered_at_once(listener: Listener) -> None:
    listener.say(TextMessage(json.dumps(FEATURES)[:10], message_finished=False))
    listener.say(Ping(b"?"))
    assert listener.hear() == [Pong(b"?")]
    listener.say(TextMessage(json.dumps(FEATURES)[10:]))
    assert [one["type"] for one in listener.hear()] == ["feature_flags"]


@pytest.mark.parametrize("size", [1, 3])
def test_bytes_may_come_in_parts(listener: Listener, size: int) -> None:
    data = listener.frames.send(TextMessage(json.dumps(FEATURES)))
    for start in range(0, len(data), size):
        assert listener.hear() == []
        listener.connection.receive(data[start : start + size])
    assert [one["type"] for one in listener.hear()] == ["feature_flags"]


@pytest.mark.parametrize(
    "message", [TextMessage("[1]"), TextMessage("{"), TextMessage(""), BytesMessage(b"\xff")]
)
def test_other_messages_do_no_harm(listener: Listener, message: Message) -> None:
    listener.say(message)
    listener.say(TextMessage(json.dumps(FEATURES)))
    assert [one["type"] for one in listener.hear()] == ["feature_flags"]


def test_a_listener_hears_its_job_beat_by_beat(listener: Listener, ask: Asker, stub: comfystub.Stub) -> None:
    ask.submit(picture(), client_id="me")
    assert listener.hear()[-1]["type"] == "status"
    beats = 0
    while listener.connection.move():
        beats += 1
        assert listener.hear(), "a beat without anything to hear"
    assert beats > 3
    assert listener.heard[-1] == {"type": "executing", "data": {"node": None, "prompt_id": stub.jobs[0].id}}
    assert not listener.connection.poll()


def test_what_is_kept_is_there_for_the_next(listener: Listener, ask: Asker) -> None:
    ask.submit(picture(), client_id="me")
    kept = listener.connection.take(5, keep=True)
    assert kept and listener.connection.take(5, keep=True) == kept == listener.connection.take(5)


def test_what_is_taken_while_another_thread_speaks_is_not_lost(stub: comfystub.Stub) -> None:
    """An answer that is added between the look at what waits and its removal has to stay."""

    class Interrupted(bytearray):
        between: Callable[[], None] | None = None

        def __getitem__(self, index: Any) -> Any:
            data = super().__getitem__(index)
            between, self.between = self.between, None
            if between:
                between()
            return data

    listener = Listener(stub)
    connection = listener.connection
    out = connection.out = Interrupted(connection.out)
    assert connection._websocket is not None
    connection._websocket._out = out
    listener.say(Ping(b"first"))
    out.between = lambda: listener.say(Ping(b"second"))
    assert [one for one in listener.hear() if isinstance(one, Pong)] == [Pong(b"first"), Pong(b"second")]


# --- how it ends


def test_a_client_says_goodbye_and_is_answered(listener: Listener, stub: comfystub.Stub) -> None:
    listener.say(CloseConnection(3000, "enough"))
    assert listener.hear() == [CloseConnection(1000, "")]
    assert listener.connection.over
    assert listener.connection.take(100) == b""
    assert listener.connection.poll()
    with pytest.raises(BrokenPipeError):
        listener.connection.receive(b"x")


def test_a_goodbye_without_a_code_is_answered(listener: Listener) -> None:
    listener.connection.receive(bytes([0x88, 0x80, 0, 0, 0, 0]))
    assert listener.hear() == [CloseConnection(1000, "")]


def test_what_was_said_before_comes_before_the_goodbye(listener: Listener, ask: Asker) -> None:
    ask.submit(picture(), client_id="me")
    listener.connection.move()
    listener.say(CloseConnection(1000))
    told = listener.hear()
    assert [one["type"] for one in told[:-1]][:3] == ["status", "status", "execution_start"]
    assert told[-1] == CloseConnection(1000, "")


def test_nothing_is_said_after_the_goodbye(listener: Listener, ask: Asker, stub: comfystub.Stub) -> None:
    listener.say(CloseConnection(1000))
    listener.hear()
    ask.submit(picture(), client_id="me")
    stub.finish()
    assert listener.connection.take(100) == b""
    assert not listener.connection.move()


def test_what_the_client_says_after_its_goodbye_is_not_heard(stub: comfystub.Stub) -> None:
    listener = Listener(stub)
    ping, goodbye = listener.frames.send(Ping(b"x")), listener.frames.send(CloseConnection(1000))
    listener.connection.receive(goodbye + ping)
    assert [type(one) for one in listener.hear()] == [dict, CloseConnection]


def test_a_client_that_only_hangs_up_ends_it_too(listener: Listener, ask: Asker) -> None:
    ask.submit(picture(), client_id="me")
    listener.connection.receive(b"")
    assert listener.connection.over
    assert [one["type"] for one in listener.hear()] == ["status"]
    assert listener.connection.take(100) == b""


@pytest.mark.parametrize("end", ["goodbye", "hang up", "close", "violation"])
def test_whoever_ends_it_the_server_forgets_the_client(
    listener: Listener, stub: comfystub.Stub, end: str
) -> None:
    session = listener.connection._websocket.socket.session  # type: ignore[union-attr]
    assert stub._engine.hub.reaches(session)
    if end == "goodbye":
        listener.say(CloseConnection(1000))
    elif end == "close":
        listener.connection.close()
    else:
        listener.connection.receive(b"" if end == "hang up" else b"\xff\xff")
    assert not stub._engine.hub.reaches(session)


MASKED = bytes([0x80, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x01x", 1002),
        (b"\xc1" + MASKED, 1002),
        (b"\x83" + MASKED, 1002),
        (b"\x80" + MASKED, 1002),
        (b"\x09" + MASKED, 1002),
        (b"\x89\xfe\x00\x7e\0\0\0\0" + b"x" * 126, 1002),
        (b"\x01" + MASKED + b"\x81" + MASKED, 1002),
        (b"\x88\x81\0\0\0\0\x03", 1002),
        *((b"\x88\x82\0\0\0\0" + struct.pack("!H", code), 1002) for code in (0, 999, 1005, 1006, 1015, 5000)),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x01\x82\0\0\0\0\xc3\xa9" + b"\x80\x81\0\0\0\0\xc3", 1007),
        (b"\x82\xff" + struct.pack("!Q", frames.LARGEST_MESSAGE + 1) + b"\0\0\0\0", 1009),
    ],
)
def test_a_client_that_breaks_the_protocol_is_told_so(listener: Listener, data: bytes, code: int) -> None:
    listener.connection.receive(data + listener.frames.send(Ping(b"x")))
    assert listener.hear() == [CloseConnection(code, "")]
    assert listener.connection.take(100) == b""


def test_the_reason_of_a_goodbye_is_a_text_as_well(listener: Listener) -> None:
    listener.connection.receive(b"\x88\x84\0\0\0\0" + struct.pack("!H", 1000) + b"\xff\xfe")
    assert listener.hear() == [CloseConnection(1007, "")]


def test_what_came_before_the_breach_is_heard(listener: Listener) -> None:
    listener.connection.receive(listener.frames.send(Ping(b"x")) + b"\x81\x01x")
    assert listener.hear() == [Pong(b"x"), CloseConnection(1002, "")]


# --- who is told when there is something to read


@pytest.fixture
def woken(listener: Listener) -> list[bool]:
    """What ``poll`` said each time that the connection woke whoever has it."""
    assert not listener.connection.poll()
    listener.woken.clear()
    return listener.woken


def test_a_submission_wakes(woken: list[bool], ask: Asker) -> None:
    ask.submit(picture(), client_id="me")
    assert woken[-1:] == [True]


def test_the_submission_of_another_wakes(woken: list[bool], ask: Asker) -> None:
    ask.submit(picture())
    assert woken[-1:] == [True]


def test_the_end_wakes(woken: list[bool], listener: Listener) -> None:
    listener.connection.close()
    assert woken[-1:] == [True]


def test_an_answer_wakes(woken: list[bool], listener: Listener) -> None:
    listener.say(Ping(b""))
    assert woken[-1:] == [True]


def test_a_beat_that_others_let_happen_wakes(slow: comfystub.Stub, ask_slow: Asker) -> None:
    ask_slow.submit(picture(), client_id="me")
    listener = Listener(slow)
    listener.hear()
    connection = listener.connection
    assert not connection.poll() and not connection.move()
    listener.woken.clear()
    slow.step()
    assert listener.woken and listener.woken[-1]
    listener.hear()
    assert not connection.poll()


def test_a_driver_that_is_done_wakes(root: pathlib.Path) -> None:
    """While another thread is in a beat there is nothing to read; then there is, also without a frame."""
    inside, go_on = threading.Event(), threading.Event()

    def image(job: Any, node: Any) -> Image.Image:
        inside.set()
        assert go_on.wait(20)
        return Image.new("RGB", (8, 8))

    stub = comfystub.Stub(root=root, image=image)
    Asker(stub).submit(text_to_image(), client_id="another")
    listener = Listener(stub)
    driver = threading.Thread(target=lambda: stub.run_until("executed"))
    driver.start()
    try:
        assert inside.wait(20)
        listener.hear()
        connection = listener.connection
        assert not connection.poll()
        assert not connection.move()
        listener.woken.clear()
    finally:
        go_on.set()
        driver.join(20)
    assert listener.woken[-1:] == [True]
    assert connection.take(1) is None, "no frame was for this client: it may move the server"
    assert connection.move()
    stub.close()


def test_a_client_that_was_taken_over_moves_nothing(
    listener: Listener, ask: Asker, stub: comfystub.Stub
) -> None:
    newer = Listener(stub)
    ask.submit(picture(), client_id="me")
    assert not listener.connection.poll() and not listener.connection.move()
    assert listener.hear() == []
    assert newer.listen()[-1] == "executing"
    listener.connection.close()
    ask.submit(picture(1), client_id="me")
    assert not newer.connection.poll() and not newer.connection.move()


def texts(listener: Listener) -> Iterator[dict[str, Any]]:
    return (one for one in listener.heard if isinstance(one, dict))


def test_clients_hear_their_own(stub: comfystub.Stub, ask: Asker) -> None:
    listeners = [Listener(stub, name) for name in "abc"]
    ids = [ask.submit(picture(number), client_id=name) for number, name in enumerate("abc")]
    listeners[1].listen()
    for listener, prompt_id in zip(listeners, ids):
        listener.listen()
        named = {said["data"]["prompt_id"] for said in texts(listener) if "prompt_id" in said["data"]}
        assert named == {prompt_id}
