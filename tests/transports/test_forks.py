"""Forked copies of the process: that the test is told of their calls, and that they are answered at all."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import multiprocessing
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from calls import GETS, URL, httpx_get, named, requests_get, who
from prompting import LONG, get, hear, listen, post, status, types

import comfystub
from comfystub import ForkWarning
from comfystub.engine import forking

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here"),
    # Python 3.12 and later
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
#: For tests of something else than the warning.
untold = pytest.mark.filterwarnings("ignore::comfystub.ForkWarning")


def in_copy(function: Callable[[], Any]) -> Any:
    """Call a function in a forked copy of this process, and return what it returns, through JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(LONG)
        try:
            said = json.dumps([function(), None])
        except BaseException:
            said = json.dumps([None, traceback.format_exc()])
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    assert said, "the copy hangs"
    result, failure = json.loads(said)
    assert failure is None, failure
    return result


def warned(function: Callable[[], Any]) -> list[str]:
    """The warnings about forks that a function causes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return about_forks(caught)


def about_forks(caught: Iterable[warnings.WarningMessage]) -> list[str]:
    """Those of comfystub; Python 3.12 and later have one of their own."""
    return [str(one.message) for one in caught if one.category is ForkWarning]


def urllib_get(url: str) -> None:
    urllib.request.urlopen(url).close()


@contextlib.contextmanager
def meanwhile(function: Callable[[], Any]) -> Iterator[threading.Thread]:
    """A block in which a thread of its own calls a function."""
    thread = threading.Thread(target=function)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


# --- who is told


@pytest.mark.parametrize("call", [*GETS, urllib_get], ids=lambda call: call.__name__)
def test_the_first_call_of_a_copy_is_told_on_both_sides(call: Callable[[str], Any]) -> None:
    def calls() -> list[int]:
        return [len(warned(lambda: call(f"{URL}/queue"))) for _ in range(2)]

    stub = comfystub.Stub(URL)
    with pytest.warns(ForkWarning) as told, comfystub.patch(stub=stub):
        assert in_copy(calls) == [1, 0]
    assert stub.requests == []
    assert about_forks(told) == [
        "a forked copy of this process called ComfyUI: a copy of the stub answered, and stub.jobs and "
        "stub.requests have nothing of it. Call in the process of the test, or have the new one enter "
        "comfystub.patch() and look there."
    ]


@untold
def test_what_a_copy_is_told() -> None:
    with comfystub.patch(URL):
        assert in_copy(lambda: warned(lambda: get("/queue"))) == [
            "a forked copy of the process calls comfy.test:8188: a copy of the stub answers, and the test sees "
            "nothing of it. Call in the process of the test, or have the new one enter comfystub.patch() and "
            "look there."
        ]


def test_the_next_block_is_told_nothing() -> None:
    with pytest.warns(ForkWarning), comfystub.patch(URL):
        in_copy(lambda: warned(who))
    with comfystub.patch(URL):
        who()


def test_a_block_that_raised_leaves_nothing_to_the_next() -> None:
    with pytest.raises(ValueError), comfystub.patch(URL):
        in_copy(lambda: warned(who))
        raise ValueError
    with comfystub.patch(URL):
        who()


def test_every_copy_is_told_and_the_test_once() -> None:
    with pytest.warns(ForkWarning) as told, comfystub.patch(URL):
        assert [len(in_copy(lambda: warned(who))) for _ in range(2)] == [1, 1]
    assert len(about_forks(told)) == 1


def test_a_copy_of_a_copy_tells_the_test_too() -> None:
    with pytest.warns(ForkWarning) as told, comfystub.patch(URL):
        in_copy(lambda: in_copy(lambda: warned(who)))
    assert len(about_forks(told)) == 1


@untold
def test_a_copy_that_leaves_the_block_is_told_once() -> None:
    def call_and_leave() -> None:
        who()
        block.__exit__(None, None, None)

    block = comfystub.patch(URL)
    with block:
        assert len(in_copy(lambda: warned(call_and_leave))) == 1


def test_of_two_blocks_the_inner_one_tells() -> None:
    with comfystub.patch("http://outer.test:1"):
        with pytest.warns(ForkWarning), comfystub.patch(URL):
            in_copy(lambda: warned(who))


def test_a_copy_that_calls_nobody_is_not_told_of() -> None:
    with comfystub.patch(URL):
        assert in_copy(lambda: 7) == 7


def test_a_copy_that_was_made_without_a_stub_is_not_told_of() -> None:
    def calls() -> list[str]:
        with comfystub.patch(URL):
            return warned(who)

    assert in_copy(calls) == []


def test_a_copy_with_a_stub_of_its_own_is_not_told_of() -> None:
    def calls() -> tuple[str, list[str]]:
        with named("copy"):
            return who(), warned(who)

    with named("test"):
        assert in_copy(calls) == ["copy", []]
        assert who() == "test"


def test_where_warnings_are_errors_the_copy_is_answered_and_the_block_raises() -> None:
    def calls() -> list[Any]:
        log: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: log.append(record.levelname)  # type: ignore[method-assign]
        logging.getLogger("comfystub").addHandler(handler)
        return [httpx_get(f"{URL}/queue").status, log]

    with pytest.raises(ForkWarning), comfystub.patch(URL):
        assert in_copy(calls) == [200, ["WARNING"]]
    with pytest.raises(LookupError):
        comfystub.current()


def test_processes_of_other_programs_are_no_copies() -> None:
    def forks_and_runs() -> list[str]:
        subprocess.run([sys.executable, "-c", ""], check=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            subprocess.run([sys.executable, "-c", ""], check=True, preexec_fn=lambda: None)
        return warned(who)

    with comfystub.patch(URL):
        assert forks_and_runs() == []


def test_multiprocessing() -> None:
    def runs_and_pools() -> None:
        process = context.Process(target=post)
        process.start()
        process.join(LONG)
        assert process.exitcode == 0
        with ProcessPoolExecutor(1, context) as pool:
            assert pool.submit(polled).result(LONG) == "completed"

    context = multiprocessing.get_context("fork")
    with pytest.warns(ForkWarning) as told, comfystub.patch(URL):
        runs_and_pools()
    assert len(about_forks(told)) == 1


def polled() -> str:
    return status(post())


# --- that a copy is answered, whatever others were about


@untold
def test_the_locks_that_other_threads_hold_are_free_in_a_copy() -> None:
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.ExitStack() as stack:
            for lock in list(forking._locks):
                assert lock.acquire(timeout=LONG)
                stack.callback(lock.release)
            held.set()
            assert over.wait(LONG)

    def calls() -> list[str]:
        with contextlib.closing(listen()) as ws:
            prompt_id = post(client_id="me")
            return [types(hear(ws))[-1], status(prompt_id)]

    with comfystub.cluster(2, URL), comfystub.patch(URL), contextlib.closing(listen("test")):
        with meanwhile(hold):
            assert held.wait(LONG)
            try:
                said = in_copy(calls)
            finally:
                over.set()
        assert said == ["executing", "completed"]


@pytest.mark.parametrize("layer", ["engine", "server", "transports"])
def test_every_lock_is_known(layer: str) -> None:
    made = re.compile(r"(.{0,13})threading\.(?:R?Lock|Condition|Semaphore|Barrier)\(")
    for file in pathlib.Path(comfystub.__path__[0], layer).rglob("*.py"):
        for before in made.findall(file.read_text(encoding="utf-8")):
            assert before.endswith("forking.lock("), file


@untold
def test_a_lock_of_the_thread_that_forks_stays_its_own() -> None:
    lock = forking.lock(threading.RLock())

    def release() -> bool:
        lock.release()
        return True

    with comfystub.patch(URL), lock:
        assert in_copy(release)


@untold
def test_a_beat_of_another_thread_is_a_crash_of_the_copy() -> None:
    began, over = threading.Event(), threading.Event()

    def image(job: comfystub.Job, node: comfystub.JobNode) -> Any:
        from PIL import Image

        if job.workflow["3"]["inputs"]["seed"] == 1:
            began.set()
            assert over.wait(LONG)
        return Image.new("RGB", (8, 8))

    def calls() -> list[str]:
        return [job.status for job in stub.jobs] + [status(post(seeded(2)))]

    with comfystub.patch(URL, image=image) as stub:
        prompt_id = post(seeded(1))
        with meanwhile(lambda: get("/history")):
            assert began.wait(LONG)
            try:
                assert in_copy(calls) == ["lost", "completed"]
            finally:
                over.set()
        assert status(prompt_id) == "completed"


def seeded(seed: int) -> Any:
    from workflows import text_to_image

    return text_to_image(seed=seed)


@untold
def test_a_copy_that_is_made_inside_a_beat_ends_it() -> None:
    def image(job: comfystub.Job, node: comfystub.JobNode) -> Any:
        from PIL import Image

        if not copied:
            copied.append(os.fork())
        return Image.new("RGB", (8, 8))

    copied: list[int] = []
    original = os.getpid()
    with comfystub.patch(URL, image=image):
        said = ""
        try:
            said = status(post())
        finally:
            if os.getpid() != original:
                os._exit(said != "completed")
        assert said == "completed"
        assert os.waitpid(copied[0], 0)[1] == 0


@untold
def test_the_thread_of_the_real_clock_is_there_in_a_copy() -> None:
    def run() -> str:
        with contextlib.closing(listen(str(os.getpid()))) as ws:
            post(client_id=str(os.getpid()))
            return types(hear(ws))[-1]

    with comfystub.patch(URL, pace=comfystub.Timed(load=0.3, step=0.01)), meanwhile(run):
        while not any(thread.name == "comfystub clock" for thread in threading.enumerate()):
            time.sleep(0.001)
        assert in_copy(run) == "executing"


def really_sleep(seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
    sleep(seconds)


def waits(about: threading.Event, pipe: int) -> None:
    about.set()
    time.sleep(50)


def is_inside_the_stub(about: threading.Event, pipe: int) -> None:
    def run() -> None:
        about.set()
        os.read(pipe, 1)

    comfystub.current().add_node("Blocks", run, output_node=True)
    status(post({"1": {"class_type": "Blocks", "inputs": {}}}))


def works_for_a_loop(about: threading.Event, pipe: int) -> None:
    def work() -> None:
        about.set()
        os.read(pipe, 1)

    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(main())


@untold
@pytest.mark.parametrize("other", [waits, is_inside_the_stub, works_for_a_loop])
def test_virtual_time_moves_in_a_copy_whatever_others_do(
    other: Callable[[threading.Event, int], None],
) -> None:
    def sleeps() -> float:
        before = time.monotonic()
        time.sleep(100)
        return time.monotonic() - before

    about = threading.Event()
    pipe, end = os.pipe()
    with comfystub.patch(URL, clock="virtual") as stub, meanwhile(lambda: other(about, pipe)):
        try:
            with stub.clock.inside:  # so that time stands still in this process
                assert about.wait()
                really_sleep(0.05)
                assert in_copy(sleeps) == 100
        finally:
            os.write(end, b".")
    os.close(pipe)
    os.close(end)


# --- that the original keeps what is its own


@untold
def test_an_open_connection_is_two_afterwards() -> None:
    with comfystub.patch(URL) as stub:
        connection = http.client.HTTPConnection("comfy.test", 8188)

        def ask(path: str) -> int:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status

        assert ask("/queue") == 200
        sock = connection.sock

        def asks() -> list[Any]:
            status = ask("/prompt")
            connection.request("GET", "/prompt")  # whose answer nobody reads
            return [status, connection.sock is sock, is_readable(sock)]

        assert in_copy(asks) == [200, True, True]
        assert not is_readable(sock)
        assert ask("/system_stats") == 200
        assert connection.sock is sock
        connection.close()
    assert [call.path for call in stub.requests] == ["/queue", "/system_stats"]


@untold
def test_what_waits_to_be_read_can_be_read_by_both() -> None:
    with comfystub.patch(URL), contextlib.closing(listen()) as ws:
        post(client_id="me")
        assert in_copy(lambda: types(hear(ws))[-1]) == "executing"
        assert is_readable(ws.sock)
        assert types(hear(ws))[-1] == "executing"


@untold
def test_a_socket_that_does_not_wait_does_not_in_a_copy() -> None:
    def reads() -> str:
        try:
            return repr(sock.recv(1))
        except BlockingIOError:
            return "would wait"

    with comfystub.patch(URL), socket.create_connection(("comfy.test", 8188)) as sock:
        sock.setblocking(False)
        assert in_copy(reads) == reads() == "would wait"


def is_readable(sock: Any) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def test_a_copy_that_ends_takes_no_folder_away() -> None:
    with comfystub.patch(URL) as stub:
        post()
        path = stub.outputs[0].path
        folder = stub.output_dir.parent
        assert folder.parent == pathlib.Path(tempfile.gettempdir()).resolve()
        child = os.fork()
        if not child:
            try:
                stub.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert path.exists()
    assert not folder.exists()


@untold
def test_a_copy_has_what_the_test_did_until_then() -> None:
    with comfystub.patch(URL):
        prompt_id = post()
        assert in_copy(lambda: [status(prompt_id), requests_get(f"{URL}/queue").status]) == ["completed", 200]
