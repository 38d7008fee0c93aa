"""History by itself: pages, the cap and what takes whose place."""

from __future__ import annotations

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfystub.engine.history import CAPACITY, History
from comfystub.engine.job import Job
from comfystub.engine.pacing import ByHand


def job(prompt_id: str) -> Job:
    return Job(
        ordinal=1,
        submitted=0.0,
        number=0,
        prompt_id=prompt_id,
        workflow={},
        extra_data={},
        output_ids=[],
        sensitive={},
        pace=ByHand(),
        settle=lambda job: None,
        find=lambda kind, subfolder, name: pathlib.Path(name),
    )


def history_of(ids: str | range) -> History:
    history = History()
    for prompt_id in ids:
        history.add(job(str(prompt_id)))
    return history


def ids(history: History) -> list[str]:
    return [found.id for found in history]


def test_it_is_kept_oldest_first() -> None:
    history = history_of("cab")
    assert ids(history) == ["c", "a", "b"]
    assert len(history) == 3


def test_by_id() -> None:
    history, one = History(), job("a")
    history.add(one)
    assert history.get("a") is one
    assert history.get("b") is None


def test_the_same_id_again_takes_the_earlier_ones_place() -> None:
    history, again = history_of("abc"), job("a")
    history.add(again)
    assert ids(history) == ["a", "b", "c"]
    assert history.get("a") is again


def test_forgetting() -> None:
    history = history_of("abcd")
    history.delete("b")
    history.delete("unknown")
    assert ids(history) == ["a", "c", "d"]
    history.clear()
    assert ids(history) == [] and len(history) == 0
    history.add(job("e"))
    assert ids(history) == ["e"]


def test_the_oldest_leaves_when_there_are_more_than_ten_thousand() -> None:
    history = history_of(range(CAPACITY))
    assert (CAPACITY, len(history)) == (10_000, 10_000)
    history.add(job("next"))
    assert len(history) == 10_001
    assert history.get("0") is not None
    history.add(job("and next"))
    assert len(history) == 10_001
    assert history.get("0") is None
    assert ids(history)[0] == "1" and ids(history)[-1] == "and next"


def test_walking_it_while_it_changes() -> None:
    history = history_of("abc")
    for found in history:
        history.delete(found.id)
    assert len(history) == 0


@pytest.mark.parametrize(
    ("max_items", "offset", "page"),
    [
        (None, -1, "abcdef"),
        (None, 0, "abcdef"),
        (None, 4, "ef"),
        (None, 6, ""),
        (None, 99, ""),
        (2, -1, "ef"),
        (2, -99, "ef"),
        (6, -1, "abcdef"),
        (99, -1, "abcdef"),
        (2, 0, "ab"),
        (2, 2, "cd"),
        (2, 3, "de"),
        (2, 4, "ef"),
        (2, 5, "f"),
        (2, 6, ""),
        (99, 0, "abcdef"),
        (99, 3, "def"),
        (0, -1, ""),
        (0, 0, "a"),
        (0, 3, "d"),
        (0, 5, "f"),
        (0, 6, ""),
    ],
)
def test_pages(max_items: int | None, offset: int, page: str) -> None:
    assert [found.id for found in history_of("abcdef").page(max_items, offset)] == list(page)


@given(st.integers(0, 12), st.none() | st.integers(0, 14), st.integers(-3, 14))
def test_any_page(count: int, max_items: int | None, offset: int) -> None:
    """A page is what a walk over all entries finds that counts an entry after it took it."""
    everything = [str(number) for number in range(count)]
    if offset < 0:
        offset = max(0, count - max_items) if max_items is not None else 0
    page: list[str] = []
    for place, prompt_id in enumerate(everything):
        if place >= offset:
            page.append(prompt_id)
            if max_items is not None and len(page) >= max_items:
                break
    assert [found.id for found in history_of(range(count)).page(max_items, offset)] == page
