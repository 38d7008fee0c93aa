"""What faults do to messages on their way, and the hub that sends them."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest

from comfystub import faults
from comfystub.engine.clock import VirtualClock
from comfystub.engine.events import Event
from comfystub.engine.faults import Fault, Faults
from comfystub.engine.hub import Hub
from comfystub.engine.sessions import Ending, Session


class Sending:
    """A hub with clients, and the faults in force."""

    def __init__(self, *in_force: Fault) -> None:
        self.clock = VirtualClock(0)
        self.faults = Faults(self.clock.time, random.Random(1))
        for fault in in_force:
            self.faults.add(fault)
        self.hub = Hub(self.faults, self.clock, self.clock.time)

    def send(self, session: Session, *kinds: str) -> None:
        for kind in kinds:
            self.hub.greet(session, Event(kind, {}))

    def listen(self, client_id: str = "me") -> Session:
        return self.hub.connect(client_id)


def read(session: Session) -> list[Any]:
    """What is there to be read, messages by their type; it is read now."""
    found = []
    while session.unread:
        said = session.unread.popleft()
        found.append(json.loads(said)["type"] if isinstance(said, str) else said)
    return found


def through(fault: Fault, *kinds: str) -> list[Any]:
    """What becomes of messages."""
    sending = Sending(fault)
    session = sending.listen()
    sending.send(session, *kinds)
    return read(session)


BEEP = Event("beep", {})


@pytest.mark.parametrize(
    ("fault", "sent", "wanted"),
    [
        (faults.drop_events("b"), "abcb", "ac"),
        (faults.drop_events("b", times=1), "abcb", "acb"),
        (faults.drop_events("b", after=1), "abcb", "abc"),
        (faults.drop_events(lambda event: event.type in "ac"), "abcb", "bb"),
        (faults.double_events("b"), "abc", "abbc"),
        (faults.swap_events("b"), "abcd", "acbd"),
        (faults.swap_events("b"), "abbc", "acbb"),
        (faults.swap_events("d"), "abcd", "abc"),
        (faults.delay_events("b", events=2), "abcde", "acdbe"),
        (faults.delay_events("b", events=9), "abcde", "acde"),
        (faults.delay_events(lambda event: event.type in "ab", events=2), "abcde", "cdabe"),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else value,
)
def test_what_becomes_of_messages(fault: Fault, sent: str, wanted: str) -> None:
    assert "".join(through(fault, *sent)) == wanted


def test_another_message_comes() -> None:
    assert through(faults.inject_event(BEEP, before="b"), *"abc") == ["a", "beep", "b", "c"]
    assert through(faults.inject_event(BEEP, on="b"), *"abc") == ["a", "b", "beep", "c"]
    assert through(faults.inject_event(b"\0\1", on="b", times=1), *"abb") == ["a", "b", b"\0\1", "b"]


def test_what_waits_for_others_comes_when_no_more_are_to_come() -> None:
    sending = Sending(faults.delay_events("b", events=9))
    session = sending.listen()
    sending.send(session, *"abc")
    assert read(session) == ["a", "c"]
    sending.hub.flush()
    assert read(session) == ["b"]
    sending.hub.flush()
    assert read(session) == []


def test_messages_come_later() -> None:
    sending = Sending(faults.delay_events("b", seconds=5))
    session = sending.listen()
    sending.send(session, *"abc")
    sending.clock.advance(4)
    sending.send(session, *"b")
    assert read(session) == ["a", "c"]
    sending.clock.advance(1)
    assert read(session) == ["b"]
    sending.clock.advance(4)
    assert read(session) == ["b"]


def test_several_faults_strike_one_message() -> None:
    sending = Sending(
        faults.double_events("b"), faults.inject_event(BEEP, on="b"), faults.delay_events("b", events=1)
    )
    session = sending.listen()
    sending.send(session, *"abcd")
    # The other message goes at once; it is the one that both copies wait for.
    assert read(session) == ["a", "beep", "b", "b", "c", "d"]
    assert [fault.hits for fault in sending.faults] == [1, 1, 1]


def test_a_message_that_does_not_come_does_not_come_twice() -> None:
    sending = Sending(faults.double_events("b"), faults.drop_events("b"))
    session = sending.listen()
    sending.send(session, *"abc")
    assert read(session) == ["a", "c"]


def test_of_one_kind_the_first_strikes() -> None:
    first, second = faults.drop_events("b", times=1), faults.drop_events("b")
    sending = Sending(first, second)
    session = sending.listen()
    sending.send(session, *"bbb")
    assert (read(session), first.hits, second.hits) == ([], 1, 2)


# --- one client of several


def test_a_fault_of_one_client_leaves_others_alone() -> None:
    sending = Sending(faults.drop_events("status", on={"client": "me"}))
    me, you = sending.listen("me"), sending.listen("you")
    sending.hub.status([])
    assert (read(me), read(you)) == ([], ["status"])


def test_each_client_has_its_own_order() -> None:
    sending = Sending(faults.swap_events("b", on={"client": "me"}))
    me, you = sending.listen("me"), sending.listen("you")
    sending.send(me, *"ab")
    sending.send(you, *"abc")
    sending.send(me, *"c")
    assert (read(me), read(you)) == (["a", "c", "b"], ["a", "b", "c"])


# --- sockets that end


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        (faults.close_socket("b"), Ending(1011)),
        (faults.close_socket("b", 1001, "going away"), Ending(1001, "going away")),
        (faults.drop_socket("b"), Ending()),
        (faults.drop_socket("b", resets=True), Ending(reset=True)),
    ],
)
def test_a_socket_ends_in_the_place_of_a_message(fault: Fault, ending: Ending) -> None:
    sending = Sending(fault)
    session = sending.listen()
    sending.send(session, *"ab")
    assert read(session) == ["a", ending]
    assert not sending.hub.reaches(session)
    assert (session.record.is_open, session.record.closed) == (False, 0)
    sending.hub.status([])
    assert read(session) == []


def test_one_socket_ends_and_the_others_go_on() -> None:
    sending = Sending(faults.drop_socket("status"))
    me, you = sending.listen("me"), sending.listen("you")
    sending.hub.status([])
    sending.hub.status([])
    assert (read(me), read(you)) == ([Ending()], ["status", "status"])


def test_what_was_to_come_later_does_not_come_to_a_socket_that_has_ended() -> None:
    sending = Sending(faults.delay_events("a", seconds=5), faults.drop_socket("b"))
    session = sending.listen()
    sending.send(session, *"ab")
    sending.clock.advance(10)
    assert read(session) == [Ending()]
    assert session.record.sent.total() == 0


def test_what_waits_for_others_does_not_come_to_a_socket_that_has_ended() -> None:
    sending = Sending(faults.delay_events("a", events=5), faults.drop_socket("b"))
    session = sending.listen()
    sending.send(session, *"ab")
    sending.hub.flush()
    assert read(session) == [Ending()]


# --- sockets that go silent


def test_a_socket_goes_silent_and_the_rest_comes_in_order() -> None:
    sending = Sending(fault := faults.stall_socket("b"))
    session = sending.listen()
    sending.send(session, *"abc")
    sending.clock.advance(1000)
    assert (read(session), sending.hub.reaches(session), session.record.is_open) == (["a"], False, True)
    fault.lift()
    assert (read(session), sending.hub.reaches(session)) == (["b", "c"], True)
    sending.send(session, *"bd")
    assert read(session) == ["b", "d"]


def test_a_socket_is_silent_for_a_while() -> None:
    sending = Sending(faults.stall_socket("b", seconds=10))
    session = sending.listen()
    sending.send(session, *"ab")
    sending.clock.advance(9)
    sending.send(session, "c")
    assert read(session) == ["a"]
    sending.clock.advance(1)
    assert read(session) == ["b", "c"]


def test_a_socket_is_silent_for_as_long_as_the_fault_lasts() -> None:
    sending = Sending(faults.stall_socket("b", lasting=10))
    session = sending.listen()
    sending.clock.advance(3)
    sending.send(session, *"ab")
    sending.clock.advance(6.5)
    assert read(session) == ["a"]
    sending.clock.advance(0.5)
    assert read(session) == ["b"]


def test_whoever_reads_is_woken_when_it_goes_on() -> None:
    sending = Sending(fault := faults.stall_socket("b"))
    session = sending.listen()
    woken: list[int] = []
    session.wake = lambda: woken.append(len(session.unread))
    sending.send(session, *"bc")
    assert woken == []
    fault.lift()
    assert woken[-1] == 2


def test_the_end_of_one_silence_is_not_the_end_of_another() -> None:
    first, second = faults.stall_socket("b", seconds=10), faults.stall_socket("d", seconds=100)
    sending = Sending(first, second)
    session = sending.listen()
    sending.send(session, "b")
    first.lift()
    sending.send(session, *"cd")
    assert read(session) == ["b", "c"]
    sending.clock.advance(10)
    assert read(session) == []
    sending.clock.advance(90)
    assert read(session) == ["d"]


def test_what_was_to_come_later_waits_for_the_silence_to_end() -> None:
    sending = Sending(faults.delay_events("a", seconds=5), fault := faults.stall_socket("b"))
    session = sending.listen()
    sending.send(session, *"abc")
    sending.clock.advance(10)
    assert read(session) == []
    fault.lift()
    assert read(session) == ["b", "c", "a"]


def test_what_waits_for_others_waits_for_the_silence_to_end() -> None:
    sending = Sending(faults.delay_events("a", events=5), fault := faults.stall_socket("b"))
    session = sending.listen()
    sending.send(session, *"abc")
    sending.hub.flush()
    assert read(session) == []
    fault.lift()
    assert read(session) == ["b", "c", "a"]


def test_a_client_that_leaves_a_silent_socket_is_sent_nothing() -> None:
    sending = Sending(fault := faults.stall_socket("b"))
    session = sending.listen()
    sending.send(session, *"abc")
    sending.hub.disconnect(session)
    fault.lift()
    assert read(session) == ["a"]


def test_only_the_socket_in_question_is_silent() -> None:
    sending = Sending(faults.stall_socket("status"))
    me, you = sending.listen("me"), sending.listen("you")
    for _ in range(2):
        sending.hub.status([])
    assert (read(me), read(you)) == ([], ["status", "status"])
    assert (sending.hub.reaches(me), sending.hub.reaches(you)) == (False, True)


@pytest.mark.parametrize("attempt", range(20))
def test_nothing_is_lost_that_is_sent_while_a_silence_ends(attempt: int) -> None:
    sending = Sending(fault := faults.stall_socket("status"))
    session = sending.listen()
    sending.hub.status([])

    def send() -> None:
        for _ in range(50):
            sending.hub.status([])

    threads = [threading.Thread(target=send), threading.Thread(target=fault.lift)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read(session) == ["status"] * 51


# --- the hub's records


def test_records_of_sockets() -> None:
    sending = Sending()
    session = sending.listen()
    sending.send(session, *"aab")
    sending.clock.advance(5)
    sending.hub.disconnect(session)
    sending.clock.advance(5)
    sending.hub.disconnect(session)
    (record,) = sending.hub.records
    assert (record.opened, record.closed, dict(record.sent)) == (0, 5, {"a": 2, "b": 1})
    assert repr(record) == "<SocketRecord me closed, 3 messages>"


def test_a_record_counts_what_was_sent_and_not_what_was_lost() -> None:
    sending = Sending(faults.drop_events("a"), faults.double_events("b"))
    session = sending.listen()
    sending.send(session, *"aab")
    assert dict(session.record.sent) == {"b": 2}


def test_a_tap_hears_what_faults_keep_from_clients() -> None:
    sending = Sending(faults.drop_events("status"))
    session, heard = sending.listen(), list[Event]()
    stop = sending.hub.tap(heard.append)
    sending.hub.status([1, 2])
    stop()
    sending.hub.status([])
    assert [event.data for event in heard] == [{"status": {"exec_info": {"queue_remaining": 2}}}]
    assert read(session) == []
