"""``comfystub serve``: a real port, real clients."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import websocket
from calls import in_thread
from workflows import text_to_image

import comfystub
from comfystub.cli import main
from comfystub.commands.cross_origin import CrossOrigin
from comfystub.commands.serving import serving
from comfystub.server.place import Responder

#: How long a test waits at most for what must not fail to come.
LONG = 20


class Served:
    """A stub that is served in a thread."""

    def __init__(self, stub: comfystub.Stub, address: tuple[str, int]) -> None:
        self.stub = stub
        self.address = address
        self.url = f"http://{address[0]}:{address[1]}"

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=LONG)

    def listen(self, client_id: str = "me") -> websocket.WebSocket:
        return websocket.create_connection(
            f"{self.url.replace('http', 'ws')}/ws?clientId={client_id}", timeout=LONG
        )

    def submit(self, **body: Any) -> str:
        answer = httpx.post(f"{self.url}/prompt", json={"prompt": text_to_image(), **body}).raise_for_status()
        prompt_id: str = answer.json()["prompt_id"]
        return prompt_id


@contextlib.contextmanager
def served(
    wrap: Callable[[Any], Responder] = lambda server: server, host: str = "127.0.0.1", **options: Any
) -> Iterator[Served]:
    """A stub behind a port of this machine."""
    started: list[Any] = []
    ready = threading.Event()

    async def serve() -> None:
        stop = asyncio.Event()
        with contextlib.closing(comfystub.Stub(**options)) as stub:
            async with serving(wrap(stub._server), host, 0, lambda: None) as addresses:
                started[:] = [Served(stub, addresses[0]), asyncio.get_running_loop(), stop]
                ready.set()
                await stop.wait()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(asyncio.run, serve())
        running.add_done_callback(lambda _: ready.set())
        assert ready.wait(LONG)
        it, loop, stop = started or running.result()
        try:
            yield it
        finally:
            loop.call_soon_threadsafe(stop.set)
            running.result(LONG)


@pytest.fixture
def it() -> Iterator[Served]:
    with served() as one:
        yield one


def receive(sock: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer at the end."""
    data = bytearray()
    while len(data) < count and (more := sock.recv(min(count - len(data), 1 << 20))):
        data += more
    return bytes(data)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what must not fail to come."""
    done = threading.Event()
    for _ in range(LONG * 100):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("it did not come")


GET = b"GET /queue HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ANSWER = b'{"queue_running": [], "queue_pending": []}'


class TestHttp:
    @pytest.mark.parametrize("get", [httpx.get, requests.get])
    def test_a_job_from_its_submission_to_its_picture(self, it: Served, get: Any) -> None:
        prompt_id = it.submit()
        entry = get(f"{it.url}/history/{prompt_id}").json()[prompt_id]
        (image,) = entry["outputs"]["9"]["images"]
        picture = get(f"{it.url}/view", params=image).content
        assert picture == it.stub.jobs[0].outputs[0].path.read_bytes()

    def test_a_connection_is_kept(self, it: Served) -> None:
        connection = http.client.HTTPConnection(*it.address, timeout=LONG)
        sockets = []
        for _ in range(3):
            connection.request("GET", "/queue")
            assert connection.getresponse().read() == ANSWER
            sockets.append(connection.sock)
        assert sockets[0] is not None and sockets.count(sockets[0]) == 3
        connection.close()

    def test_calls_in_a_row_are_answered_in_a_row(self, it: Served) -> None:
        with it.connect() as sock:
            sock.sendall(
                GET * 99
                + GET.replace(b"queue", b"nothing").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            )
            answers = receive(sock, 1 << 30)
        assert (answers.count(ANSWER), answers.count(b" 200 OK"), answers.count(b" 404 ")) == (99, 99, 1)
        assert answers.rindex(b" 404 ") > answers.rindex(ANSWER)

    @pytest.mark.parametrize("size", [1, 64 * 1024])
    def test_what_comes_in_pieces(self, it: Served, size: int) -> None:
        body = json.dumps({"prompt": text_to_image()}).encode()
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        connection = http.client.HTTPConnection(*it.address, timeout=LONG)
        connection.request("POST", "/prompt", iter(pieces), encode_chunked=True)
        assert connection.getresponse().status == 200
        connection.close()
        assert len(it.stub.jobs) == 1

    def test_large_files(self, it: Served) -> None:
        content = os.urandom(1 << 20) * 32
        answer = httpx.post(f"{it.url}/upload/image", files={"image": ("big.png", content)}, timeout=LONG)
        assert answer.json()["name"] == "big.png"
        params = {"filename": "big.png", "type": "input"}
        assert httpx.get(f"{it.url}/view", params=params, timeout=LONG).content == content
        part = httpx.get(f"{it.url}/view", params=params, headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, content[5:10])

    def test_many_clients(self, it: Served) -> None:
        async def ask() -> list[int]:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as session:

                async def one(number: int) -> int:
                    body = {"prompt": text_to_image(seed=number), "client_id": f"client-{number}"}
                    async with session.post(f"{it.url}/prompt", json=body) as answer:
                        prompt_id = (await answer.json())["prompt_id"]
                    async with session.get(f"{it.url}/history/{prompt_id}") as answer:
                        return len(await answer.json())

                return await asyncio.gather(*map(one, range(200)))

        assert in_thread(asyncio.run, ask()) == [1] * 200

    def test_what_is_no_http(self, it: Served) -> None:
        with it.connect() as sock:
            sock.sendall(b"hello\r\n\r\n")
            assert receive(sock, 1 << 20).startswith(b"HTTP/1.1 400 ")

    def test_a_client_that_has_said_all_may_still_read(self, it: Served) -> None:
        with it.connect() as sock:
            sock.sendall(GET)
            sock.shutdown(socket.SHUT_WR)
            assert receive(sock, 1 << 20).endswith(ANSWER)

    def test_a_client_that_goes_away_in_the_middle(self, it: Served) -> None:
        with it.connect() as sock:
            sock.sendall(b"POST /prompt HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        assert httpx.get(f"{it.url}/queue").status_code == 200

    def test_over_ipv6(self) -> None:
        with contextlib.ExitStack() as stack:
            try:
                one = stack.enter_context(served(host="::1"))
            except OSError:
                pytest.skip("this machine has no IPv6")
            with one.connect() as sock:
                sock.sendall(GET)
                assert receive(sock, 15) == b"HTTP/1.1 200 OK"


class TestSlowReaders:
    SIZE = 24 << 20
    ASK = b"GET /view?filename=big.png&type=input HTTP/1.1\r\nHost: x\r\n\r\n"
    LAST = ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    @pytest.fixture
    def slow(self, it: Served) -> Iterator[socket.socket]:
        """A client with little room for what it does not read; there is a large file that it may ask for."""
        (it.stub.input_dir / "big.png").write_bytes(bytes(self.SIZE))
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            sock.settimeout(LONG)
            sock.connect(it.address)
            yield sock

    def views(self, it: Served) -> int:
        """How many times the file was asked for, once all that was sent is heard that can be."""
        for _ in range(20):
            assert httpx.get(f"{it.url}/queue").status_code == 200
        return sum(call.path == "/view" for call in it.stub.requests)

    def test_they_are_heard_when_they_have_read(self, it: Served, slow: socket.socket) -> None:
        slow.sendall(self.ASK)
        eventually(lambda: self.views(it) == 1)
        slow.sendall(self.LAST)
        assert self.views(it) == 1
        data = receive(slow, 1 << 30)
        assert (data.count(b" 200 OK"), data.count(0)) == (2, 2 * self.SIZE)

    def test_they_get_all_although_they_have_said_all(self, slow: socket.socket) -> None:
        slow.sendall(self.ASK)
        slow.shutdown(socket.SHUT_WR)
        assert receive(slow, 1 << 30).count(0) == self.SIZE

    def test_they_get_all_whatever_they_say_after_the_end(self, it: Served, slow: socket.socket) -> None:
        slow.sendall(self.LAST)
        eventually(lambda: self.views(it) == 1)
        slow.sendall(self.ASK)
        assert receive(slow, 1 << 30).count(0) == self.SIZE

    def test_they_may_go_away(self, it: Served, slow: socket.socket) -> None:
        slow.sendall(self.ASK)
        eventually(lambda: self.views(it) == 1)
        slow.close()
        assert self.views(it) == 1

    def test_they_hold_up_no_end(self, slow: socket.socket) -> None:
        """The fixture ends while it has most of its file still to read."""
        slow.sendall(self.ASK)
        assert select.select([slow], [], [], LONG)[0]

    def test_nothing_is_done_for_one_that_does_not_read(self, it: Served, slow: socket.socket) -> None:
        ws = websocket.create_connection(f"ws://{it.address[0]}/ws?clientId=me", socket=slow)
        it.submit(client_id="me", prompt=text_to_image(steps=5000))
        eventually(lambda: it.stub.jobs[0].state == "in_progress")
        with httpx.Client(base_url=it.url) as client:
            for _ in range(1000):  # which are no looks, and take turns with what is done for others
                client.get("/embeddings")
        assert it.stub.jobs[0].state == "in_progress"
        assert hear(ws).count("progress") == 5000
        ws.close()


def hear(ws: websocket.WebSocket) -> list[str]:
    """The types of the messages up to the end of a job; those in bytes are ``"preview"``."""
    heard = []
    while True:
        text = ws.recv()
        message = json.loads(text) if isinstance(text, str) else {"type": "preview"}
        heard.append(message["type"])
        if message["type"] == "executing" and message["data"]["node"] is None:
            return heard


class TestWebSockets:
    @pytest.mark.parametrize("pace", ["instant", 3, comfystub.Timed(0.0, 0.01, 0.001)], ids=str)
    def test_a_client_that_only_listens_hears_all(self, pace: Any) -> None:
        """It is told as time goes on, with nobody asking for anything."""
        with served(pace=pace) as one:
            ws, other = one.listen(), one.listen("other")
            one.submit(client_id="me", extra_data={"preview_method": "latent2rgb"})
            heard = hear(ws)
            assert next(kind for kind in heard if kind != "status") == "execution_start"
            assert heard.count("progress") == 2 and "preview" in heard
            assert heard[-3:] == ["execution_success", "status", "executing"]
            assert json.loads(other.recv())["data"]["sid"] == "other"
            ws.close()
            other.close()

    def test_with_aiohttp(self) -> None:
        async def talk(one: Served) -> list[str]:
            heard = []
            async with aiohttp.ClientSession() as session:
                async with session.ws_connect(f"{one.url}/ws?clientId=me") as ws:
                    await session.post(
                        f"{one.url}/prompt", json={"prompt": text_to_image(), "client_id": "me"}
                    )
                    while "execution_success" not in heard:
                        message = await ws.receive(LONG)
                        if message.type is aiohttp.WSMsgType.TEXT:
                            heard.append(message.json()["type"])
            return heard

        with served(pace=comfystub.Timed(0.0, 0.001, 0.001)) as one:
            assert in_thread(asyncio.run, talk(one)).count("executed") == 1
            eventually(lambda: not one.stub.sockets[0].is_open)
            assert one.stub.sockets[0].close_code == 1000

    @pytest.mark.parametrize("resets", [False, True])
    def test_one_that_goes_away_is_forgotten(self, it: Served, resets: bool) -> None:
        ws = it.listen()
        ws.recv()
        if resets:
            ws.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ws.sock.close()
        eventually(lambda: not it.stub.sockets[0].is_open)
        it.submit(client_id="me")

    def test_many_jobs_while_several_listen(self) -> None:
        with served(pace=comfystub.Timed(0.0, 0.001, 0.0)) as one:
            sockets = [one.listen(f"client-{number}") for number in range(8)]
            for number in range(8):
                one.submit(client_id=f"client-{number}", prompt=text_to_image(seed=number))
            with ThreadPoolExecutor(8) as pool:
                heard = list(pool.map(hear, sockets))
            assert [types.count("execution_success") for types in heard] == [1] * 8
            for ws in sockets:
                ws.close()

    def test_they_end_with_the_server(self) -> None:
        with served() as one:
            ws = one.listen()
            ws.recv()
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            ws.recv()
        ws.close()


class TestOtherOrigins:
    PAGE = "http://localhost:3000"

    def test_pages_of_other_sites_are_refused_as_ever(self, it: Served) -> None:
        assert httpx.get(f"{it.url}/queue", headers={"Origin": self.PAGE}).status_code == 403
        assert httpx.get(f"{it.url}/queue", headers={"Origin": it.url}).status_code == 200

    def test_unless_they_are_let_in(self) -> None:
        with served(lambda server: CrossOrigin(server, self.PAGE)) as one:
            headers = {"Origin": self.PAGE, "Sec-Fetch-Site": "cross-site"}
            asked = httpx.options(f"{one.url}/prompt", headers=headers)
            assert asked.status_code == 200
            assert "POST" in asked.headers["Access-Control-Allow-Methods"]
            answer = httpx.post(f"{one.url}/prompt", json={"prompt": text_to_image()}, headers=headers)
            assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, self.PAGE)
            ws = websocket.create_connection(
                f"{one.url.replace('http', 'ws')}/ws?clientId=me", origin=self.PAGE, timeout=LONG
            )
            assert json.loads(ws.recv())["data"]["sid"] == "me"
            ws.close()


def test_the_library_opens_no_port() -> None:
    """What does is loaded by the command alone."""
    code = "import sys, comfystub.pytest_plugin; comfystub.patch().__enter__(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith("comfystub.commands")]
    package = pathlib.Path(comfystub.__file__).parent
    names = {path.name for path in package.rglob("*.py") if "commands.serving" in path.read_text("utf-8")}
    assert names == {"serve.py"}


# --- the command

#: What a test may not do itself: call a port that another process opened.
CLIENT = """
import json, sys, urllib.error, urllib.request
def call(path, body=None):
    try:
        with urllib.request.urlopen(sys.argv[1] + path, body and json.dumps(body).encode()) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
print(json.dumps([call(*asked) for asked in json.loads(sys.argv[2])]))
"""


class Command:
    """``comfystub serve`` in a process of its own."""

    def __init__(self, *arguments: str, **options: Any) -> None:
        given = [sys.executable, "-m", "comfystub", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", **options
        )
        assert self.process.stdout is not None
        self.first = self.process.stdout.readline()

    @property
    def url(self) -> str:
        return self.first.split()[-1]

    def ask(self, *calls: Any, url: str = "") -> Any:
        done = subprocess.run(
            [sys.executable, "-c", CLIENT, url or self.url, json.dumps(calls)],
            capture_output=True,
            check=True,
        )
        return json.loads(done.stdout)

    def end(self, number: int = signal.SIGINT) -> tuple[int, list[str], str]:
        """Stop it; its exit status, and what it said."""
        self.process.send_signal(number)
        assert self.process.stdout is not None and self.process.stderr is not None
        out, err = self.process.stdout.read(), self.process.stderr.read()
        return self.process.wait(LONG), out.splitlines(), err


@contextlib.contextmanager
def command(*arguments: str, **options: Any) -> Iterator[Command]:
    one = Command(*arguments, **options)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such signals")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_of_each_call_until_it_is_stopped(tmp_path: pathlib.Path, number: int) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with command("--pace", "instant", env=environment) as one:
        assert one.first == f"ComfyUI answers at {one.url}\n"
        graph: Any = text_to_image()
        unknown = {"1": {"class_type": "Mine", "inputs": {}}}
        answers = one.ask(
            ["/prompt", {"prompt": graph}],
            ["/history?max_items=1"],
            ["/nothing"],
            ["/prompt", {"prompt": unknown}],
        )
        assert [status for status, _ in answers] == [200, 200, 404, 400]
        assert '"ComfyUI_00001_.png"' in answers[1][1]
        (folder,) = tmp_path.iterdir()
        status, out, err = one.end(number)
    assert (status, err) == (0, "")
    assert out == [
        f"files go to {folder.resolve() / 'output'}; Ctrl-C ends it",
        "POST /prompt  200",
        "GET /history?max_items=1  200",
        "GET /nothing  404",
        "POST /prompt  400  Node 'Mine' not found. The custom node may not be installed. (Node ID '#1')",
    ]
    assert list(tmp_path.iterdir()) == []


@posix
def test_in_json(tmp_path: pathlib.Path) -> None:
    output = tmp_path / "pictures"
    with command("--json", "--output-dir", str(output), "--pace", "0", "--seed", "1") as one:
        assert json.loads(one.first).keys() == {"urls", "output_dir"}
        (url,) = json.loads(one.first)["urls"]
        one.ask(
            ["/prompt", {"prompt": text_to_image()}],
            ["/prompt", {"client_id": "me"}],
            ["/queue?a=1"],
            url=url,
        )
        status, out, _ = one.end()
    assert status == 0
    assert [json.loads(line) for line in out] == [
        {"method": "POST", "path": "/prompt", "query": "", "status": 200, "problems": []},
        {
            "method": "POST",
            "path": "/prompt",
            "query": "",
            "status": 400,
            "problems": ["No prompt provided"],
        },
        {"method": "GET", "path": "/queue", "query": "a=1", "status": 200, "problems": []},
    ]
    assert [path.name for path in output.iterdir()] == ["ComfyUI_00001_.png"]


@posix
def test_quiet_and_with_options_of_the_server(tmp_path: pathlib.Path) -> None:
    models = tmp_path / "models.json"
    models.write_text(json.dumps({"checkpoints": ["mine.safetensors"]}))
    with command("-q", "--models", str(models), "--version", "0.8", "--enable-cors-header") as one:
        answers = one.ask(["/models/checkpoints"], ["/prompt", {"prompt": text_to_image()}])
        assert answers[0] == [200, '["mine.safetensors"]']
        assert answers[1][0] == 400
        status, out, err = one.end()
    assert (status, len(out), err) == (0, 1, "")


@posix
def test_jobs_take_a_while_unless_it_is_told_otherwise() -> None:
    with command() as one:
        (status, _), (_, queue) = one.ask(["/prompt", {"prompt": text_to_image(steps=10_000)}], ["/queue"])
        assert (status, len(json.loads(queue)["queue_running"])) == (200, 1)
        assert one.end()[0] == 0


@posix
def test_nobody_has_to_read_what_it_says() -> None:
    with command() as one:
        url = one.url
        assert one.process.stdout is not None
        one.process.stdout.close()
        for _ in range(3):
            assert one.ask(["/queue"], url=url)[0][0] == 200
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(LONG) == 0
        one.process.stdout = None


def complaints(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = in_thread(main, ["serve", *arguments])
    return status, capsys.readouterr().err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str], it: Served) -> None:
    port = it.address[1]
    assert complaints(capsys, "--port", str(port)) == (
        1,
        f"comfystub: cannot listen at 127.0.0.1:{port}: something listens there already: stop it, or give "
        "another --port (0 is any free one)\n",
    )


def test_an_address_of_another_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaints(capsys, "--host", "192.0.2.1") == (
        1,
        "comfystub: cannot listen at 192.0.2.1:8188: that is no address of this machine: give another --host\n",
    )


def test_a_folder_that_cannot_be(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    status, said = complaints(capsys, "--output-dir", str(tmp_path / "file" / "sub"))
    assert (status, said) == (1, f"comfystub: cannot write {tmp_path / 'file' / 'sub'}: Not a directory\n")


def test_a_file_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaints(capsys, "--profile", "none.gz") == (
        1,
        "comfystub: cannot read none.gz: No such file or directory\n",
    )


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none(capsys: pytest.CaptureFixture[str], port: str) -> None:
    with pytest.raises(SystemExit):
        main(["serve", f"--port={port}"])
    assert f"--port: it is a number from 0 to 65535, and not '{port}'" in capsys.readouterr().err


@posix
def test_beyond_this_machine() -> None:
    with command("--host", "0.0.0.0") as one:
        assert one.url.startswith("http://0.0.0.0:")
        status, _, err = one.end()
    assert (status, err) == (
        0,
        "comfystub: it listens beyond this machine: whoever reaches it can use it, and read its files\n",
    )
