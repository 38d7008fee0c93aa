"""The queue by itself: a heap ordered by number, ties by prompt id."""

from __future__ import annotations

import heapq
import math
import pathlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfystub.engine.job import Job
from comfystub.engine.pacing import ByHand
from comfystub.engine.queue import PromptQueue


def job(prompt_id: str, number: float = 0, **others: Any) -> Job:
    """A job that nothing is done with."""
    return Job(
        ordinal=1,
        submitted=0.0,
        number=number,
        prompt_id=prompt_id,
        workflow={},
        extra_data={},
        output_ids=[],
        sensitive={},
        pace=ByHand(),
        settle=lambda job: None,
        find=lambda kind, subfolder, name: pathlib.Path(name),
        **others,
    )


def queue_of(*jobs: tuple[str, float]) -> PromptQueue:
    queue = PromptQueue()
    for prompt_id, number in jobs:
        queue.put(job(prompt_id, number))
    return queue


def taken(queue: PromptQueue) -> list[str]:
    """The ids in the order in which the worker takes them."""
    order = []
    while (found := queue.take()) is not None:
        order.append(found.id)
        queue.running = None
    return order


@pytest.mark.parametrize(
    ("jobs", "order"),
    [
        ([], []),
        ([("a", 0), ("b", 1), ("c", 2)], ["a", "b", "c"]),
        ([("a", 2), ("b", 1), ("c", 0)], ["c", "b", "a"]),
        ([("a", 0), ("b", -1), ("c", -2)], ["c", "b", "a"]),
        ([("c", 1), ("a", 1), ("b", 1)], ["a", "b", "c"]),
        ([("a", 1.5), ("b", 1), ("c", 1.25)], ["b", "c", "a"]),
        ([("a", math.inf), ("b", -math.inf), ("c", 0)], ["b", "c", "a"]),
        ([("a", 1), ("a", 1)], ["a", "a"]),
    ],
    ids=["none", "rising", "falling", "in front", "ties", "fractions", "infinite", "twins"],
)
def test_the_order_of_running(jobs: list[tuple[str, float]], order: list[str]) -> None:
    assert [found.id for found in queue_of(*jobs).upcoming] == order
    assert taken(queue_of(*jobs)) == order


def test_pending_stands_in_the_order_of_the_heap() -> None:
    queue = queue_of(*((str(number), number) for number in (5, 4, 3, 2, 1)))
    assert [found.number for found in queue.pending] == [1, 2, 4, 5, 3]


@given(st.lists(st.tuples(st.uuids().map(str), st.integers(-9, 9)), unique_by=lambda one: one[0]))
def test_any_numbers(jobs: list[tuple[str, int]]) -> None:
    queue = queue_of(*jobs)
    heap: list[tuple[int, str]] = []
    for prompt_id, number in jobs:
        heapq.heappush(heap, (number, prompt_id))
    assert [(found.number, found.id) for found in queue.pending] == heap
    assert taken(queue) == [prompt_id for _, prompt_id in sorted(heap)]


def test_the_running_one_counts_but_does_not_wait() -> None:
    queue = queue_of(("a", 0), ("b", 1))
    assert (len(queue), queue.running) == (2, None)
    first = queue.take()
    assert first is not None and first.id == "a" and queue.running is first
    assert len(queue) == 2
    assert [found.id for found in queue.pending] == ["b"]
    assert [found.id for found in queue.upcoming] == ["a", "b"]


def test_the_head() -> None:
    queue = queue_of(("b", 1), ("a", 0))
    assert queue.head is not None and queue.head.id == "a"
    queue.take()
    queue.put(job("front", -5))
    assert queue.head is queue.running
    assert PromptQueue().head is None


def test_nothing_to_take() -> None:
    assert PromptQueue().take() is None


@pytest.mark.parametrize(
    ("ids", "dropped", "left"),
    [
        ([], 0, "bcdef"),
        (["c"], 1, "bdef"),
        (["b", "f", "b"], 2, "cde"),
        (["a"], 0, "bcdef"),
        (["x"], 0, "bcdef"),
    ],
)
def test_deleting(ids: list[str], dropped: int, left: str) -> None:
    """Of what waits; ``a`` runs."""
    queue = queue_of(*((name, number) for number, name in enumerate("abcdef")))
    queue.take()
    jobs = {found.id: found for found in queue.upcoming}
    assert queue.delete(ids) == dropped
    assert [found.id for found in queue.upcoming] == ["a", *left]
    assert [name for name, found in jobs.items() if found.ended] == sorted(set("bcdef") - set(left))


def test_all_with_an_id_are_deleted() -> None:
    queue = queue_of(("a", 0), ("b", 1), ("a", 2))
    assert queue.delete(["a"]) == 2
    assert taken(queue) == ["b"]


def test_clearing_leaves_the_running_one() -> None:
    queue = queue_of(("a", 0), ("b", 1), ("c", 2))
    running = queue.take()
    waiting = queue.pending
    queue.clear()
    assert queue.pending == [] and len(queue) == 1
    assert queue.running is running is not None and not running.ended
    assert {found.state for found in waiting} == {"cancelled"}


@given(st.lists(st.integers(0, 50), unique=True), st.sets(st.integers(0, 50)))
def test_what_is_left_is_still_a_heap(numbers: list[int], unwanted: set[int]) -> None:
    queue = queue_of(*((str(number), number) for number in numbers))
    queue.delete([str(number) for number in unwanted])
    assert taken(queue) == [str(number) for number in sorted(set(numbers) - unwanted)]
