"""asyncio's streams and transports that are connected to a stub, and who works when."""

from __future__ import annotations

import asyncio
import asyncio.proactor_events
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from loops import GET_AND_CLOSE, Recorder, Run, connect, each_loop, listening, turns
from wire import ADDRESS, GET, LAST, LONG, NOTHING_QUEUED, submit

import comfystub
from comfystub.transports import stubbed

# --- streams


@each_loop
def test_streams_ask_and_are_answered(stub: comfystub.Stub, run: Run) -> None:
    before = set(stubbed._channels)

    async def main() -> None:
        reader, writer = await asyncio.open_connection(*ADDRESS)
        for _ in range(2):
            writer.write(GET)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert await reader.readexactly(len(NOTHING_QUEUED)) == NOTHING_QUEUED
        writer.write(GET_AND_CLOSE)
        assert (await reader.read()).endswith(NOTHING_QUEUED)
        assert reader.at_eof()
        writer.close()
        await writer.wait_closed()

    run(main())
    assert len(stub.requests) == 3
    assert set(stubbed._channels) == before


@each_loop
def test_a_stream_that_ends_its_side_is_answered(stub: comfystub.Stub, run: Run) -> None:
    async def main() -> None:
        reader, writer = await asyncio.open_connection(*ADDRESS)
        assert writer.can_write_eof()
        writer.writelines([GET[:9], GET[9:]])
        writer.write_eof()
        assert (await reader.read()).endswith(NOTHING_QUEUED)
        writer.write(GET)
        writer.close()

    run(main())
    assert len(stub.requests) == 1


@each_loop
def test_a_read_that_is_cancelled_leaves_the_connection_as_it_was(stub: comfystub.Stub, run: Run) -> None:
    async def main() -> None:
        reader, writer = await asyncio.open_connection(*ADDRESS)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.01)
        writer.write(GET)
        assert (await reader.read(1000)).endswith(NOTHING_QUEUED)
        writer.close()

    run(main())


@each_loop
def test_a_connection_may_be_encrypted(stub: comfystub.Stub, run: Run) -> None:
    context = ssl.create_default_context()

    async def main() -> None:
        reader, writer = await asyncio.open_connection(*ADDRESS, ssl=context, server_hostname="comfy.test")
        assert writer.get_extra_info("sslcontext") is context
        assert writer.get_extra_info("ssl_object").getpeercert()["subjectAltName"] == (("DNS", "comfy.test"),)
        writer.write(GET_AND_CLOSE)
        assert (await reader.read()).endswith(NOTHING_QUEUED)
        writer.close()

    run(main())


async def test_what_a_transport_knows(stub: comfystub.Stub) -> None:
    made = await connect()
    transport = made.transport
    assert transport.get_extra_info("peername")[1] == 8188
    assert len(transport.get_extra_info("sockname")) == 2
    assert transport.get_extra_info("socket").fileno() != -1
    transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert transport.get_extra_info("sslcontext") is transport.get_extra_info("ssl_object") is None
    assert transport.get_extra_info("nothing", 3) == 3
    assert transport.get_write_buffer_size() == 0
    transport.set_write_buffer_limits(5)
    assert transport.get_protocol() is made
    transport.close()
    await made.lost


# --- transports


@each_loop
def test_a_protocol_lives_its_life(stub: comfystub.Stub, run: Run) -> None:
    async def main() -> None:
        made = await connect()
        assert made.happened == ["made"]
        made.transport.write(GET_AND_CLOSE)
        assert made.data == b"", "nothing comes within a call"
        assert await asyncio.wait_for(made.lost, LONG) is None
        assert made.happened == ["made", "data", "eof", "lost"]
        assert made.transport.is_closing()

    run(main())


@each_loop
@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_connection_is_lost_once(stub: comfystub.Stub, run: Run, end: str) -> None:
    before = set(stubbed._channels)

    async def main() -> None:
        made = await connect()
        made.transport.write(GET)
        getattr(made.transport, end)()
        assert made.happened == ["made"], "nothing comes within a call"
        made.transport.close()
        made.transport.abort()
        made.transport.write(GET)
        assert await asyncio.wait_for(made.lost, LONG) is None
        await turns()
        assert made.happened == ["made", "lost"]

    run(main())
    assert len(stub.requests) == 1
    assert set(stubbed._channels) == before


async def test_a_protocol_may_keep_its_side_open(stub: comfystub.Stub) -> None:
    made = await connect(lambda: Recorder(keeps_open=True))
    made.transport.write(GET_AND_CLOSE)
    await made.until(NOTHING_QUEUED)
    await turns()
    assert made.happened == ["made", "data", "eof"]
    assert not made.transport.is_closing()
    made.transport.write(GET)
    made.transport.close()
    await made.lost
    assert made.happened == ["made", "data", "eof", "lost"]


class Buffered(asyncio.BufferedProtocol):
    """Takes five bytes at a time."""

    def __init__(self) -> None:
        self.buffer = bytearray(5)
        self.data = b""
        self.hints: list[int] = []
        self.over = asyncio.get_running_loop().create_future()

    def get_buffer(self, sizehint: int) -> bytearray:
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]

    def eof_received(self) -> None:
        self.over.set_result(None)


async def test_a_protocol_may_have_a_buffer_of_its_own(stub: comfystub.Stub) -> None:
    transport, made = await asyncio.get_running_loop().create_connection(Buffered, *ADDRESS)
    transport.write(GET_AND_CLOSE)
    await asyncio.wait_for(made.over, LONG)
    assert made.data.startswith(b"HTTP/1.1 200 OK") and made.data.endswith(NOTHING_QUEUED)
    assert len(made.hints) > 5


async def test_a_protocol_may_be_exchanged(stub: comfystub.Stub) -> None:
    first = await connect()
    second = Recorder()
    second.happened.append("taken over")
    first.transport.set_protocol(second)
    first.transport.write(GET_AND_CLOSE)
    await asyncio.wait_for(second.lost, LONG)
    assert (first.happened, second.happened) == (["made"], ["taken over", "data", "eof", "lost"])


@pytest.mark.parametrize("where", ["data_received", "eof_received"])
async def test_a_protocol_that_raises_loses_its_connection(stub: comfystub.Stub, where: str) -> None:
    """As with asyncio's own transport; otherwise whoever waits would wait for ever."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    class Broken(Recorder):
        def fail(self, *_: Any) -> Any:
            raise RuntimeError("broken")

    setattr(Broken, where, Broken.fail)
    made = await connect(Broken)
    made.transport.write(GET_AND_CLOSE)
    with contextlib.closing(made.transport):
        lost = await asyncio.wait_for(made.lost, 1)
    assert isinstance(lost, RuntimeError)
    assert [str(context["exception"]) for context in told] == ["broken"]
    assert made.transport.is_closing()


# --- who works when


async def test_a_listener_hears_its_job(stub: comfystub.Stub) -> None:
    made = await listening()
    submit(stub)
    await made.until(LAST)
    assert stub._engine.jobs[0].ended
    made.transport.close()


async def test_other_tasks_run_between_the_beats(stub: comfystub.Stub) -> None:
    made = await listening()
    sizes: list[int] = []
    submit(stub)
    watch = asyncio.create_task(made.until(LAST))
    while not watch.done():
        sizes.append(len(made.data))
        await asyncio.sleep(0)
    await watch
    assert len(set(sizes)) > 8, "the server ran through its beats in a turn or two"
    made.transport.close()


async def test_who_stops_reading_stops_the_server(stub: comfystub.Stub) -> None:
    made = await listening()
    made.transport.pause_reading()
    made.transport.pause_reading()
    assert not made.transport.is_reading()
    submit(stub)
    await turns(100)
    [job] = stub._engine.jobs
    assert (made.data, job.state) == (b"", "pending")
    made.transport.resume_reading()
    assert made.transport.is_reading()
    await made.until(b"execution_start")
    made.transport.pause_reading()
    before = made.data
    await turns(100)
    assert (made.data, job.state) == (before, "in_progress")
    made.transport.resume_reading()
    await made.until(LAST)
    made.transport.close()


async def test_the_end_is_not_told_to_who_stopped_reading(stub: comfystub.Stub) -> None:
    made = await connect()
    made.transport.pause_reading()
    made.transport.write(GET_AND_CLOSE)
    await turns()
    assert made.happened == ["made"]
    made.transport.resume_reading()
    await asyncio.wait_for(made.lost, LONG)
    assert made.happened == ["made", "data", "eof", "lost"]


async def test_who_closes_moves_nothing_any_more(stub: comfystub.Stub) -> None:
    made = await listening()
    submit(stub)
    made.transport.close()
    await turns(100)
    assert stub._engine.jobs[0].state == "pending"
    assert not stub._engine.hub._sessions


async def test_a_submission_from_another_thread_is_heard(stub: comfystub.Stub) -> None:
    made = await listening()
    await asyncio.to_thread(submit, stub)
    await made.until(LAST)
    made.transport.close()


@pytest.fixture(autouse=True)
async def _nothing_is_left_undone() -> AsyncIterator[None]:
    yield
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others
