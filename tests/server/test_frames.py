"""WebSocket frames: what the reader makes of a client's bytes, and what a client makes of the writer's."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.frame_protocol import CloseReason

from comfystub.server import frames

#: The last size of each class of lengths, and the first of the next.
SIZES = [0, 1, 125, 126, 127, 65535, 65536, 70000]

Told = tuple[int, bytes]


def sent(
    opcode: int,
    payload: bytes = b"",
    *,
    final: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x5a\x00\xff\x13",
    size: int | None = None,
) -> bytes:
    """A client's frame, also one that no library would send; ``size`` is what it says of its length."""
    size = len(payload) if size is None else size
    head = bytes([final << 7 | reserved << 4 | opcode])
    flag = 0 if mask is None else 0x80
    if size < 126:
        head += bytes([flag | size])
    elif size < 0x10000:
        head += bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def read(data: bytes) -> list[Told]:
    return [tuple(message) for message in frames.Reader().read(data)]


def read_in_parts(parts: Iterable[bytes]) -> list[Told]:
    reader = frames.Reader()
    return [tuple(message) for part in parts for message in reader.read(part)]


def broken_with(data: bytes, before: Sequence[Told] = ()) -> int:
    """The code of the violation that some bytes are, after the messages that come before it."""
    told: list[Told] = []
    with pytest.raises(frames.Violation) as caught:
        for message in frames.Reader().read(data):
            told.append(tuple(message))
    assert told == list(before)
    return caught.value.code


# --- what a client sends


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_of_any_length_is_read(size: int) -> None:
    payload = bytes(number % 251 for number in range(size))
    assert read(sent(frames.BINARY, payload)) == [(frames.BINARY, payload)]


@pytest.mark.parametrize("size", SIZES)
def test_what_wsproto_sends_is_read(size: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    data = client.send(BytesMessage(b"\x07" * size)) + client.send(TextMessage("x" * size))
    assert read(data) == [(frames.BINARY, b"\x07" * size), (frames.TEXT, b"x" * size)]


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04", b"\0\0\0\x80"])
@pytest.mark.parametrize("size", range(10))
def test_a_mask_is_taken_off_whatever_the_length(mask: bytes, size: int) -> None:
    payload = b"\0\x01\x80\xffabcdef"[:size]
    assert read(sent(frames.BINARY, payload, mask=mask)) == [(frames.BINARY, payload)]


@pytest.mark.parametrize("opcode", [frames.TEXT, frames.BINARY, frames.CLOSE, frames.PING, frames.PONG])
def test_every_kind_of_frame_is_told_by_its_opcode(opcode: int) -> None:
    assert read(sent(opcode, b"abc")) == [(opcode, b"abc")]


def test_a_longer_form_of_a_length_than_needed_is_read() -> None:
    short = sent(frames.TEXT, b"abc")
    for form in (bytes([0x80 | 126, 0, 3]), bytes([0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 3])):
        assert read(short[:1] + form + short[2:]) == [(frames.TEXT, b"abc")]


def test_a_frame_is_told_with_its_last_byte_and_not_before() -> None:
    for size in (0, 3, 126, 65536):
        reader = frames.Reader()
        *first, last = [bytes([byte]) for byte in sent(frames.BINARY, b"\x03" * size)]
        assert [message for byte in first for message in reader.read(byte)] == []
        assert [tuple(message) for message in reader.read(last)] == [(frames.BINARY, b"\x03" * size)]


def test_several_frames_may_come_at_once() -> None:
    data = sent(frames.TEXT, b"a") + sent(frames.PING) + sent(frames.BINARY, b"b") + sent(frames.TEXT)[:3]
    assert read(data) == [(frames.TEXT, b"a"), (frames.PING, b""), (frames.BINARY, b"b")]


def test_nothing_is_told_of_nothing() -> None:
    assert read(b"") == []


# --- messages in parts


def test_a_message_may_come_in_parts() -> None:
    data = (
        sent(frames.TEXT, b"a", final=False)
        + sent(frames.CONTINUATION, b"", final=False)
        + sent(frames.CONTINUATION, b"bc", final=False)
        + sent(frames.CONTINUATION, b"d")
    )
    assert read(data * 2) == [(frames.TEXT, b"abcd")] * 2


def test_control_frames_may_come_between_the_parts() -> None:
    data = (
        sent(frames.BINARY, b"a", final=False)
        + sent(frames.PING, b"p")
        + sent(frames.CONTINUATION, b"b", final=False)
        + sent(frames.PONG, b"q")
        + sent(frames.CONTINUATION, b"c")
    )
    assert read(data) == [(frames.PING, b"p"), (frames.PONG, b"q"), (frames.BINARY, b"abc")]


def test_parts_may_be_empty_at_the_end() -> None:
    data = sent(frames.TEXT, b"abc", final=False) + sent(frames.CONTINUATION)
    assert read(data) == [(frames.TEXT, b"abc")]


messages = st.lists(
    st.tuples(
        st.sampled_from([frames.TEXT, frames.BINARY, frames.PING, frames.PONG]),
        st.binary(max_size=125) | st.sampled_from([b"\x11" * 126, b"\x22" * 200]),
        st.lists(st.integers(0, 200), max_size=3),
        st.binary(min_size=4, max_size=4),
    ),
    max_size=6,
)


def stream_of(told: Iterable[tuple[int, bytes, list[int], bytes]]) -> tuple[bytes, list[Told]]:
    """Messages as a client may send them, cut into frames at some places, and as they are to be read."""
    data, expected = b"", []
    for opcode, payload, cuts, mask in told:
        if opcode >= frames.CLOSE:
            payload, cuts = payload[:125], []
        edges = [0, *sorted(min(cut, len(payload)) for cut in cuts), len(payload)]
        parts = [payload[start:end] for start, end in itertools.pairwise(edges)]
        for number, part in enumerate(parts):
            kind = frames.CONTINUATION if number else opcode
            data += sent(kind, part, final=number == len(parts) - 1, mask=mask)
        expected.append((opcode, payload))
    return data, expected


@settings(max_examples=200, deadline=None)
@given(messages, st.lists(st.integers(0, 2000), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_messages(
    told: list[tuple[int, bytes, list[int], bytes]], cuts: list[int]
) -> None:
    data, expected = stream_of(told)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert read_in_parts(data[start:end] for start, end in itertools.pairwise(edges)) == expected


@settings(max_examples=30, deadline=None)
@given(messages)
def test_single_bytes_give_the_same_messages(told: list[tuple[int, bytes, list[int], bytes]]) -> None:
    data, expected = stream_of(told)
    assert read_in_parts(bytes([byte]) for byte in data) == expected


# --- what breaks the protocol

BEFORE = sent(frames.TEXT, b"fine")


@pytest.mark.parametrize(
    "data",
    [
        sent(frames.TEXT, b"x", mask=None),
        sent(frames.PING, mask=None),
        *(sent(frames.TEXT, b"x", reserved=bit) for bit in (1, 2, 4, 7)),
        *(sent(frames.PING, reserved=bit) for bit in (1, 2, 4)),
        *(sent(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        *(sent(opcode, b"x", final=False) for opcode in (frames.CLOSE, frames.PING, frames.PONG)),
        *(sent(opcode, b"x" * 126) for opcode in (frames.CLOSE, frames.PING, frames.PONG)),
        sent(frames.CONTINUATION, b"x"),
        sent(frames.CONTINUATION, b"x", final=False),
        sent(frames.TEXT, b"x", final=False) + sent(frames.TEXT, b"y"),
        sent(frames.TEXT, final=False) + sent(frames.BINARY, b"y"),
    ],
)
def test_a_broken_frame_is_a_violation_after_what_came_before_it(data: bytes) -> None:
    assert broken_with(BEFORE + data, [(frames.TEXT, b"fine")]) == frames.PROTOCOL_ERROR


def test_nothing_continues_a_message_that_is_whole() -> None:
    data = sent(frames.BINARY, b"x", final=False) + sent(frames.CONTINUATION, b"y") * 2
    assert broken_with(data, [(frames.BINARY, b"xy")]) == frames.PROTOCOL_ERROR


def test_a_longest_control_frame_is_none() -> None:
    assert read(sent(frames.PING, b"x" * 125)) == [(frames.PING, b"x" * 125)]


def test_a_broken_head_is_seen_without_waiting_for_the_rest() -> None:
    assert broken_with(sent(frames.TEXT, b"x" * 500, mask=None)[:2]) == frames.PROTOCOL_ERROR


def test_nothing_is_waited_for_that_is_too_big(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (frames.LARGEST_MESSAGE + 1, 1 << 62):
        assert broken_with(sent(frames.BINARY, size=size)) == frames.TOO_BIG
    assert read(sent(frames.BINARY, size=frames.LARGEST_MESSAGE)) == []
    monkeypatch.setattr(frames, "LARGEST_MESSAGE", 8)
    assert read(sent(frames.TEXT, b"12345678")) == [(frames.TEXT, b"12345678")]
    assert broken_with(sent(frames.TEXT, b"123456789")) == frames.TOO_BIG


def test_the_parts_of_a_message_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LARGEST_MESSAGE", 8)
    first = sent(frames.TEXT, b"12345", final=False)
    assert read(first + sent(frames.CONTINUATION, b"678")) == [(frames.TEXT, b"12345678")]
    assert read((first + sent(frames.CONTINUATION, b"678")) * 2) == [(frames.TEXT, b"12345678")] * 2
    assert broken_with(first + sent(frames.CONTINUATION, b"6789", final=False)) == frames.TOO_BIG


def test_a_control_frame_is_no_part_of_the_message_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LARGEST_MESSAGE", 8)
    data = sent(frames.TEXT, b"12345678", final=False) + sent(frames.PING, b"?") + sent(frames.CONTINUATION)
    assert read(data) == [(frames.PING, b"?"), (frames.TEXT, b"12345678")]


# --- closing and text


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
def test_a_close_frame_has_a_code(code: int) -> None:
    assert frames.close_code(struct.pack("!H", code)) == code
    assert frames.close_code(struct.pack("!H", code) + "Grüße".encode()) == code


def test_a_close_frame_may_have_none() -> None:
    assert frames.close_code(b"") is None


@pytest.mark.parametrize(
    "payload",
    [b"\x03", b"\0", *(struct.pack("!H", code) for code in (0, 999, 1004, 1005, 1006, 1015, 5000, 65535))],
)
def test_a_close_frame_without_a_proper_code_is_a_violation(payload: bytes) -> None:
    with pytest.raises(frames.Violation) as caught:
        frames.close_code(payload)
    assert caught.value.code == frames.PROTOCOL_ERROR


def test_a_text_is_utf_8() -> None:
    assert frames.text("Grüße 🦊\0".encode()) == "Grüße 🦊\0"
    assert frames.text(b"") == ""


@pytest.mark.parametrize("payload", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", "é".encode("latin-1")])
def test_a_text_that_is_not_utf_8_is_a_violation(payload: bytes) -> None:
    with pytest.raises(frames.Violation) as caught:
        frames.text(payload)
    assert caught.value.code == frames.NOT_UTF8 == CloseReason.INVALID_FRAME_PAYLOAD_DATA


def test_a_text_that_is_cut_within_a_character_is_one_when_whole() -> None:
    fox = "🦊".encode()
    [(_, payload)] = read(sent(frames.TEXT, fox[:2], final=False) + sent(frames.CONTINUATION, fox[2:]))
    assert frames.text(payload) == "🦊"


# --- what the server sends, as wsproto reads it


def as_wsproto_reads(data: bytes) -> list[Event]:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(data)
    return list(client.events())


def joined(events: Iterable[Event]) -> list[bytes | str]:
    """Whole messages: wsproto gives those of a frame's parts that it has."""
    told: list[bytes | str] = []
    rest: bytes | str | None = None
    for event in events:
        assert isinstance(event, Message)
        rest = event.data if rest is None else rest + event.data
        if event.message_finished:
            told.append(bytes(rest) if isinstance(rest, bytearray) else rest)
            rest = None
    return told


@pytest.mark.parametrize("size", SIZES)
def test_wsproto_reads_a_frame_of_any_length(size: int) -> None:
    data = frames.frame(frames.TEXT, b"x" * size) + frames.frame(frames.BINARY, b"\xff" * size)
    assert joined(as_wsproto_reads(data)) == ["x" * size, b"\xff" * size]


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_has_the_shortest_head_and_no_mask(size: int) -> None:
    head = 2 if size < 126 else 4 if size < 65536 else 10
    data = frames.frame(frames.BINARY, b"x" * size)
    assert len(data) == head + size
    assert not data[1] & 0x80


def test_wsproto_reads_control_frames() -> None:
    data = frames.frame(frames.PING, b"a") + frames.frame(frames.PONG, b"b") + frames.close_frame(1001)
    assert as_wsproto_reads(data) == [Ping(b"a"), Pong(b"b"), CloseConnection(1001, "")]
