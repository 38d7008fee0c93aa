"""A client's connection on bytes: HTTP/1.1 as h11 in the client's role speaks and understands it."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import h11
import pytest

import comfystub
from comfystub.server.connection import Connection
from comfystub.server.place import NOBODY, Place, lies_below
from server.support import TROUBLE, form, picture, png

HOST = ("Host", "comfy.test:8188")
GET = b"GET %b HTTP/1.1\r\nHost: comfy.test:8188\r\n\r\n"
NOTHING_QUEUED = {"queue_running": [], "queue_pending": []}


class Told(NamedTuple):
    """An answer as h11 read it; ``informed`` are the statuses that came before it."""

    status: int
    headers: dict[str, str]
    body: bytes
    informed: tuple[int, ...] = ()

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """The other end of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.protocol = h11.Connection(h11.CLIENT)

    def send(self, *events: h11.Event) -> None:
        data = b"".join(self.protocol.send(event) or b"" for event in events)
        if data:  # nothing at all would say that no more comes
            self.connection.receive(data)

    def begin(self, method: str, target: str, *headers: tuple[str, str], **options: Any) -> None:
        self.send(h11.Request(method=method, target=target, headers=[HOST, *headers], **options))

    def ask(self, method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Told:
        """Send a request and read its answer; what comes after it would be a mistake."""
        size = [("Content-Length", str(len(body)))] if body else []
        self.begin(method, target, *headers, *size)
        self.send(*([h11.Data(data=body)] if body else []), h11.EndOfMessage())
        told = self.answer()
        if self.protocol.our_state is h11.DONE and self.protocol.their_state is h11.DONE:
            self.protocol.start_next_cycle()
        return told

    def answer(self) -> Told:
        head: h11.Response | None = None
        body = b""
        informed = []
        while not isinstance(event := self.protocol.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                data = self.connection.take(1 << 20)
                assert data is not None, "the server says nothing"
                self.protocol.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                informed.append(event.status_code)
            elif isinstance(event, h11.Response):
                head = event
            else:
                assert isinstance(event, h11.Data), event
                body += bytes(event.data)
        assert head is not None
        headers = {name.decode(): value.decode() for name, value in head.headers}
        return Told(head.status_code, headers, body, tuple(informed))


def at(stub: comfystub.Stub, prefix: str = "") -> Connection:
    """A connection to a server that lies below a path."""
    place = Place(stub._server, prefix)
    return Connection(lambda path: place if lies_below(path, prefix) else NOBODY)


@pytest.fixture
def connection(stub: comfystub.Stub) -> Connection:
    return at(stub)


@pytest.fixture
def client(connection: Connection) -> Client:
    return Client(connection)


def everything(connection: Connection) -> bytes:
    """What waits for the client."""
    return b"".join(iter(lambda: connection.take(1 << 20) or b"", b""))


def told(data: bytes, *requests: str) -> list[Told]:
    """Answers that came in a row, to requests of these methods."""
    answers = []
    for method in requests:
        protocol = h11.Connection(h11.CLIENT)
        protocol.send(h11.Request(method=method, target="/", headers=[HOST]))
        protocol.send(h11.EndOfMessage())
        protocol.receive_data(data)
        head = protocol.next_event()
        assert isinstance(head, h11.Response)
        body = b""
        while isinstance(event := protocol.next_event(), h11.Data):
            body += bytes(event.data)
        answers.append(Told(head.status_code, {n.decode(): v.decode() for n, v in head.headers}, body))
        data = protocol.trailing_data[0]
    assert data == b""
    return answers


# --- requests and answers


def test_a_connection_answers_one_request_after_the_other(client: Client, stub: comfystub.Stub) -> None:
    for _ in range(3):
        answer = client.ask("GET", "/queue")
        assert (answer.status, answer.json()) == (200, NOTHING_QUEUED)
        assert answer.headers["content-length"] == str(len(answer.body))
    assert client.connection.take(100) is None
    assert not client.connection.over
    assert [call.path for call in stub.requests] == ["/queue"] * 3


def test_nothing_is_said_before_the_client_asks(connection: Connection) -> None:
    assert connection.take(100) is None
    assert not connection.poll()
    assert not connection.move()


def test_a_request_arrives_as_it_was_sent(client: Client, stub: comfystub.Stub) -> None:
    client.ask("GET", "/view?filename=a%20b&x=1?2", ("X-Mine", "yes"), ("X-Mine", "no"))
    request = stub.requests[0].request
    assert (request.method, request.path, request.query) == ("GET", "/view", "filename=a%20b&x=1?2")
    assert request.headers["x-mine"] == "yes"
    assert request.headers["host"] == "comfy.test:8188"


def test_requests_in_a_row_are_answered_in_a_row(connection: Connection) -> None:
    connection.receive(GET % b"/queue" + GET % b"/prompt" + GET % b"/nowhere" + GET % b"/queue")
    answers = told(everything(connection), *["GET"] * 4)
    assert [answer.status for answer in answers] == [200, 200, 404, 200]
    assert answers[1].json() == {"exec_info": {"queue_remaining": 0}}


def test_bytes_may_come_one_at_a_time(connection: Connection, stub: comfystub.Stub) -> None:
    body = json.dumps({"prompt": picture()}).encode()
    head = b"POST /prompt HTTP/1.1\r\nHost: comfy.test\r\nContent-Length: %d\r\n\r\n" % len(body)
    for byte in head + body[:-1]:
        connection.receive(bytes([byte]))
        assert connection.take(100) is None
    connection.receive(body[-1:])
    assert [answer.status for answer in told(everything(connection), "POST")] == [200]
    assert len(stub.jobs) == 1


def test_what_waits_may_be_taken_in_parts(connection: Connection) -> None:
    connection.receive(GET % b"/queue")
    parts = []
    while (part := connection.take(7)) is not None:
        parts.append(part)
        assert connection.poll() == (connection.take(1, keep=True) is not None)
    assert {len(part) for part in parts[:-1]} == {7}
    assert told(b"".join(parts), "GET")[0].json() == NOTHING_QUEUED


def test_what_is_kept_is_there_for_the_next(connection: Connection) -> None:
    connection.receive(GET % b"/queue")
    assert connection.take(4, keep=True) == connection.take(4, keep=True) == b"HTTP"
    assert connection.take(8) == b"HTTP/1.1"
    assert (connection.take(100, keep=True) or b"").startswith(b" 200 OK\r\n")


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_a_body_may_come_in_chunks(client: Client, stub: comfystub.Stub, size: int) -> None:
    body = json.dumps({"prompt": picture()}).encode()
    client.begin("POST", "/prompt", ("Transfer-Encoding", "chunked"))
    for start in range(0, len(body), size):
        client.send(h11.Data(data=body[start : start + size]))
    assert client.connection.take(100) is None
    client.send(h11.EndOfMessage())
    assert client.answer().status == 200
    assert stub.requests[0].request.body == body


def test_the_body_of_one_request_is_not_that_of_the_next(client: Client, stub: comfystub.Stub) -> None:
    client.ask("POST", "/interrupt", body=b"{}")
    client.ask("POST", "/interrupt")
    assert [call.request.body for call in stub.requests] == [b"{}", b""]


def test_head_has_the_headers_of_get_and_no_body(client: Client) -> None:
    whole, head = client.ask("GET", "/queue"), client.ask("HEAD", "/queue")
    assert (head.status, head.headers, head.body) == (200, whole.headers, b"")
    assert client.ask("GET", "/queue").json() == NOTHING_QUEUED


@pytest.fixture
def filename(stub: comfystub.Stub) -> str:
    (stub.output_dir / "ten.bin").write_bytes(b"0123456789")
    return "ten.bin"


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=-3", 206, b"789"),
        ("bytes=8-", 206, b"89"),
        ("bytes=20-", 416, None),
    ],
)
def test_a_part_of_a_file(client: Client, filename: str, asked: str, status: int, body: bytes | None) -> None:
    answer = client.ask("GET", f"/view?filename={filename}", ("Range", asked))
    assert answer.status == status
    assert body is None or answer.body == body
    assert client.ask("GET", f"/view?filename={filename}").body == b"0123456789"


def test_a_file_that_the_client_has_comes_without_a_body(client: Client, filename: str) -> None:
    tag = client.ask("GET", f"/view?filename={filename}").headers["etag"]
    answer = client.ask("GET", f"/view?filename={filename}", ("If-None-Match", tag))
    assert (answer.status, answer.body) == (304, b"")
    assert "content-length" not in answer.headers
    assert client.ask("GET", "/queue").status == 200


def test_an_answer_without_content(client: Client) -> None:
    client.ask("POST", "/userdata/mine.txt", body=b"x")
    answer = client.ask("DELETE", "/userdata/mine.txt")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    assert client.ask("GET", "/queue").status == 200


def test_an_upload_arrives(client: Client, stub: comfystub.Stub) -> None:
    content = png()
    sent = form(image=("mine.png", content))
    answer = client.ask("POST", "/upload/image", ("Content-Type", sent.content_type), body=sent.body)
    assert (answer.status, answer.json()["name"]) == (200, "mine.png")
    assert (stub.input_dir / "mine.png").read_bytes() == content


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit(
    client: Client, stub: comfystub.Stub, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr("comfystub.server.server.MAX_BODY", 10)
    extra = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "11")
    client.begin("POST", "/prompt", extra)
    client.send(h11.Data(data=b"x" * 11), h11.EndOfMessage())
    answer = client.answer()
    assert (answer.status, answer.body) == (413, b"Maximum request body size 10 exceeded.")
    assert stub.jobs == []


@pytest.mark.parametrize(
    ("target", "status"), [("/comfy/queue", 200), ("/comfy", 200), ("/queue", 404), ("/comfyui", 404)]
)
def test_a_server_below_a_path(stub: comfystub.Stub, target: str, status: int) -> None:
    client = Client(at(stub, "/comfy"))
    assert client.ask("GET", target).status == status
    assert client.ask("GET", "/comfy/prompt").status == 200


def test_who_answers_is_asked_for_at_every_request(stub: comfystub.Stub) -> None:
    other = comfystub.Stub()
    servers = [stub, other, stub]
    client = Client(Connection(lambda path: Place(servers.pop(0)._server, "")))
    for _ in range(3):
        client.ask("GET", "/queue")
    assert (len(stub.requests), len(other.requests)) == (2, 1)


def test_where_nobody_is_the_connection_ends() -> None:
    connection = Connection(lambda path: None)
    connection.receive(GET % b"/queue")
    assert connection.over
    assert connection.take(100) == b""


# --- who waits for whom


def test_a_client_that_waits_for_leave_to_send_gets_it(client: Client) -> None:
    client.begin("POST", "/interrupt", ("Expect", "100-continue"), ("Content-Length", "2"))
    assert client.connection.poll()
    data = client.connection.take(1000)
    assert data == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.protocol.receive_data(data)
    client.send(h11.Data(data=b"{}"), h11.EndOfMessage())
    answer = client.answer()
    assert (answer.status, answer.informed) == (200, (100,))


def test_a_client_that_does_not_wait_for_it_is_answered_all_the_same(connection: Connection) -> None:
    head = (
        b"POST /interrupt HTTP/1.1\r\nHost: comfy.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    connection.receive(head + b"{}")
    assert everything(connection).rpartition(b"HTTP/1.1 ")[2].startswith(b"200 OK")


# --- when the connection ends


def ends(connection: Connection) -> bool:
    """Whether the server says no more, and takes no more."""
    if connection.take(1 << 20) != b"" or not connection.poll():
        return False
    with pytest.raises(BrokenPipeError):
        connection.receive(GET % b"/queue")
    return connection.over


def test_a_client_may_ask_to_close(client: Client) -> None:
    answer = client.ask("GET", "/queue", ("Connection", "close"))
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert ends(client.connection)


def test_nothing_is_answered_after_a_request_to_close(connection: Connection, stub: comfystub.Stub) -> None:
    connection.receive(
        b"GET /queue HTTP/1.1\r\nHost: comfy.test\r\nConnection: close\r\n\r\n" + GET % b"/prompt"
    )
    assert len(told(everything(connection), "GET")) == len(stub.requests) == 1
    assert ends(connection)


def test_an_old_client_gets_one_answer(connection: Connection) -> None:
    connection.receive(b"GET /queue HTTP/1.0\r\n\r\n")
    assert told(everything(connection), "GET")[0].json() == NOTHING_QUEUED
    assert ends(connection)


def test_a_handler_that_raises_ends_the_connection(client: Client) -> None:
    answer = client.ask("POST", "/prompt", body=b"{")
    assert (answer.status, answer.body.decode()) == (500, TROUBLE)
    assert answer.headers["connection"] == "close"
    assert ends(client.connection)


@pytest.mark.parametrize("status", [400, 404, 405])
def test_no_other_failure_does(client: Client, status: int) -> None:
    asked = {400: ("POST", "/upload/image"), 404: ("GET", "/nowhere"), 405: ("PUT", "/queue")}[status]
    assert client.ask(*asked).status == status
    assert client.ask("GET", "/queue").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\nGET\r\n\r\n",
        b"GET /queue\r\n\r\n",
        b"GET /queue HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET /queue HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"GET /queue HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /prompt HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /prompt HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /prompt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
    ],
)
def test_what_is_no_request_is_answered_400_and_closed(
    connection: Connection, stub: comfystub.Stub, data: bytes
) -> None:
    connection.receive(GET % b"/queue")
    connection.receive(data)
    first, second = told(everything(connection), "GET", "GET")
    assert (first.status, second.status) == (200, 400)
    assert second.body
    assert ends(connection)
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "start", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;"]
)
def test_what_does_not_end_is_refused(connection: Connection, start: bytes) -> None:
    connection.receive(start)
    with contextlib.suppress(BrokenPipeError):
        for _ in range(100):
            connection.receive(b"x" * 10_000)
    [answer] = told(everything(connection), "GET")
    assert answer.status in (400, 414, 431)
    assert ends(connection)


def test_a_client_that_sends_no_more_ends_the_connection(connection: Connection) -> None:
    connection.receive(b"")
    assert connection.over
    assert connection.take(100) == b""


def test_a_client_that_sends_no_more_gets_the_answer_it_waits_for(connection: Connection) -> None:
    connection.receive(GET % b"/queue" + GET % b"/prompt")
    connection.receive(b"")
    assert [answer.status for answer in told(everything(connection), "GET", "GET")] == [200, 200]
    assert ends(connection)


@pytest.mark.parametrize(
    "part", [GET % b"/queue", b"POST /prompt HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{}"]
)
def test_half_a_request_is_none(connection: Connection, stub: comfystub.Stub, part: bytes) -> None:
    connection.receive(part[:-1])
    connection.receive(b"")
    everything(connection)
    assert ends(connection)
    assert stub.requests == []


def test_the_end_leaves_what_was_said_to_be_read(connection: Connection) -> None:
    connection.receive(GET % b"/queue")
    connection.close()
    assert told(everything(connection), "GET")[0].status == 200
    assert ends(connection)


def test_no_more_is_taken_with_the_error_of_a_real_socket(connection: Connection) -> None:
    connection.close()
    with pytest.raises(BrokenPipeError) as caught:
        connection.receive(GET % b"/queue")
    assert caught.value.errno == errno.EPIPE


# --- who is told when there is something to read


@pytest.fixture
def woken(connection: Connection) -> list[bool]:
    """What ``poll`` said each time that the connection woke whoever has it."""
    said: list[bool] = []
    connection.wake = lambda: said.append(connection.poll())
    return said


def test_an_answer_wakes(connection: Connection, woken: Sequence[bool]) -> None:
    assert not connection.poll()
    connection.receive(GET % b"/queue")
    assert woken[-1:] == [True]
    everything(connection)
    assert not connection.poll()


def test_the_end_wakes_once(connection: Connection, woken: Sequence[bool]) -> None:
    connection.close()
    connection.close()
    assert woken == [True]


def test_what_the_client_says_may_wake_and_end(connection: Connection, woken: Sequence[bool]) -> None:
    connection.receive(b"nonsense\r\n\r\n")
    assert woken[-1:] == [True]
