"""The functions of ``time``, as the code under test finds them."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from calls import URL

import comfystub

Load = Callable[[str], Any]
READERS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")

POLL = """
    import time
    from time import sleep as pause, monotonic

    def poll(every, deadline):
        polls = 0
        end = monotonic() + deadline
        while monotonic() < end:
            polls += 1
            pause(every)
        return polls
"""


@pytest.mark.parametrize(("every", "deadline", "polls"), [(1, 300, 300), (0.1, 3, 30), (7, 300, 43)])
def test_a_client_that_polls_gives_up(
    load: Load, stub: comfystub.Stub, every: float, deadline: float, polls: int
) -> None:
    assert load(POLL).poll(every, deadline) == polls
    assert stub.clock.elapsed == every * polls


def test_a_module_that_was_imported_before(load: Load) -> None:
    users = load(POLL)
    with comfystub.patch(URL, clock="virtual") as stub:
        assert users.poll(1, 300) == 300
        assert stub.clock.elapsed == 300
    assert users.pause is time.sleep
    assert users.monotonic is time.monotonic


def test_a_module_that_is_imported_meanwhile(load: Load) -> None:
    with comfystub.patch(URL, clock="virtual"):
        users = load(POLL)
        assert users.poll(1, 300) == 300
    assert users.pause is time.sleep
    assert users.monotonic is time.monotonic


def test_sums_are_exact(stub: comfystub.Stub) -> None:
    for _ in range(3):
        time.sleep(0.1)
    assert stub.clock.elapsed == 0.3


@pytest.mark.parametrize("name", READERS)
def test_every_clock_moves_by_what_was_slept(stub: comfystub.Stub, name: str) -> None:
    read = getattr(time, name)
    second = 10**9 if name.endswith("_ns") else 1
    before = read()
    assert read() == before
    time.sleep(300)
    assert read() - before == 300 * second


def test_the_time_of_day_is_the_clock_s(stub: comfystub.Stub) -> None:
    time.sleep(0.25)
    assert time.time() == stub.clock.time()
    assert time.time_ns() == round(stub.clock.time() * 4) * 10**9 // 4


@pytest.mark.parametrize("name", READERS)
def test_a_clock_goes_on_from_where_the_machine_s_is(name: str) -> None:
    second = 10**9 if name.endswith("_ns") else 1
    before = getattr(time, name)()
    with comfystub.patch(URL, clock="virtual"):
        inside = getattr(time, name)()
    assert before <= inside < getattr(time, name)() + second


def test_the_clocks_read_the_same_in_every_run(stub: comfystub.Stub) -> None:
    # They begin at whole seconds: how a float is rounded does not depend on the time of day.
    assert [getattr(time, name)() % 1 for name in ("time", "monotonic", "perf_counter")] == [0, 0, 0]


def test_functions_look_like_what_they_stand_for() -> None:
    originals = {name: getattr(time, name) for name in (*READERS, "sleep")}
    with comfystub.patch(URL, clock="virtual"):
        for name, original in originals.items():
            hook = getattr(time, name)
            assert hook is not original
            assert (hook.__wrapped__, hook.__name__, hook.__doc__) == (original, name, original.__doc__)


def test_a_stub_with_the_real_clock_does_not_touch_time() -> None:
    originals = {name: getattr(time, name) for name in (*READERS, "sleep")}
    with comfystub.patch(URL):
        assert {name: getattr(time, name) for name in originals} == originals


def test_sleep_takes_what_it_ever_took(stub: comfystub.Stub) -> None:
    for seconds in (0, 0.0, False):
        time.sleep(seconds)
    assert stub.clock.elapsed == 0
    time.sleep(True)
    time.sleep(1e-12)
    assert stub.clock.elapsed == 1.000000001


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), OverflowError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_sleep_refuses_what_it_ever_refused(
    stub: comfystub.Stub, seconds: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        time.sleep(seconds)
    assert stub.clock.elapsed == 0


def test_a_hook_that_somebody_kept_is_the_original_afterwards() -> None:
    with comfystub.patch(URL, clock="virtual"):
        kept, sleep = time.time, time.sleep
        time.sleep(1000)
    before = time.time()
    assert before <= kept() <= time.time()
    sleep(0)


def test_a_default_argument_is_not_reached(load: Load) -> None:
    users = load("import time\ndef now(read=time.monotonic):\n    return read()")
    with comfystub.patch(URL, clock="virtual"):
        time.sleep(1000)
        assert users.now() < time.monotonic() - 500


# --- whose time it is


def test_a_test_runner_and_its_like_see_real_time(load: Load, stub: comfystub.Stub) -> None:
    users = load("import time\ndef read():\n    return time.time()")
    time.sleep(10_000)
    ours = users.read()
    for name in ("_pytest.runner", "pytest_timeout", "unittest.case", "hypothesis.core", "xdist.remote"):
        users.__dict__["__name__"] = name
        assert users.read() < ours - 5_000
    for name in ("pytests_of_mine", "tests.test_unittest", "my.pytest"):
        users.__dict__["__name__"] = name
        assert users.read() == ours


def test_pytest_measures_real_durations(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import time
        import pytest

        @pytest.mark.comfy_stub(clock="virtual")
        def test_it(comfy_stub):
            time.sleep(5_000)
            assert comfy_stub.clock.elapsed == 5_000
        """
    )
    result = pytester.runpytest_subprocess("--durations=0", "-vv")
    result.assert_outcomes(passed=1)
    assert "5000" not in result.stdout.str()


def test_a_subprocess_has_the_time_it_was_given(stub: comfystub.Stub) -> None:
    # A time-out that is virtual would be over at once.
    code = "import time; time.sleep(0.1); print('done')"
    done = subprocess.run([sys.executable, "-c", code], timeout=60, capture_output=True, text=True)
    assert done.stdout == "done\n"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        assert process.wait(timeout=60) == 0
    assert stub.clock.elapsed == 0


def test_a_line_of_the_log_has_the_real_time(stub: comfystub.Stub, caplog: pytest.LogCaptureFixture) -> None:
    time.sleep(10_000)
    logging.getLogger("users").warning("now")
    assert caplog.records[-1].created < time.time() - 5_000


def test_names_of_exempt_modules_stay(stub: comfystub.Stub) -> None:
    assert vars(threading)["_time"] is getattr(time.monotonic, "__wrapped__")  # noqa: B009 - no such attribute


# --- a loop that only looks at the clock


def test_a_loop_that_never_sleeps_comes_to_its_end(stub: comfystub.Stub) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        continue
    assert 300 <= stub.clock.elapsed < 302


def test_it_does_so_alike_in_every_run() -> None:
    def run() -> tuple[int, float]:
        with comfystub.patch(URL, clock="virtual") as stub:
            reads, end = 0, time.time() + 20
            while time.time() < end:
                reads += 1
            return reads, stub.clock.elapsed

    assert run() == run()


def test_a_thousand_looks_are_free(stub: comfystub.Stub) -> None:
    for _ in range(1000):
        time.perf_counter()
    assert stub.clock.elapsed == 0
    time.perf_counter()
    assert stub.clock.elapsed == 0.001


def test_they_are_counted_anew_after_each_move(stub: comfystub.Stub) -> None:
    for _ in range(5):
        for _ in range(900):
            time.time()
        time.sleep(1)
    assert stub.clock.elapsed == 5


def test_looks_do_not_move_it_past_an_alarm(stub: comfystub.Stub) -> None:
    rung: list[float] = []
    stub.clock.call_at(stub.clock.time() + 0.0005, lambda: rung.append(stub.clock.elapsed))
    for _ in range(1001):
        time.time()
    assert rung == [0.0005]


def test_the_clock_moves_by_hand(stub: comfystub.Stub) -> None:
    before = time.monotonic()
    stub.clock.advance(60)
    assert time.monotonic() - before == 60
