"""What counts as a difference between two answers."""

from __future__ import annotations

from typing import Any

import pytest

from comfystub.live.comparing import Difference, differences
from comfystub.live.recordings import Transcript, adapted


@pytest.mark.parametrize(
    ("recorded", "found"),
    [
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}),
        ({"executed": ["4", "5"]}, {"executed": ["5", "4"]}),
        ({"errors": [{"type": "b"}, {"type": "a"}]}, {"errors": [{"type": "a"}, {"type": "b"}]}),
        ({"details": "one\ntwo"}, {"details": "two\none"}),
        ([0, "<p1>", {}, {}, ["9", "20"]], [0, "<p1>", {}, {}, ["20", "9"]]),
    ],
    ids=["numbers", "ids", "errors", "lines", "outputs"],
)
def test_the_same(recorded: Any, found: Any) -> None:
    assert differences(recorded, found) == []


@pytest.mark.parametrize(
    ("recorded", "found", "difference"),
    [
        (1, True, ("", 1, True)),
        (0, False, ("", 0, False)),
        (1, "1", ("", 1, "1")),
        (None, {}, ("", None, {})),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, ("/a/1/b", 2, 3)),
        ({"a": 1}, {}, ("/a", 1, "<absent>")),
        ({}, {"a": 1}, ("/a", "<absent>", 1)),
        (["4", "5"], ["5"], ("/0", "4", "<absent>")),
        ([{"n": 1}, {"n": 2}], [{"n": 1}, {"n": 9}, {"n": 2}], ("/1", "<absent>", {"n": 9})),
    ],
)
def test_a_difference(recorded: Any, found: Any, difference: Any) -> None:
    assert differences(recorded, found) == [Difference(*difference)]


def test_order_counts_where_the_server_has_one() -> None:
    assert differences({"size": [64, 32]}, {"size": [32, 64]}) == [("/size/0", 64, 32), ("/size/1", 32, 64)]


def test_of_as_many_events_one_is_missing_and_one_too_many() -> None:
    recorded, found = [{"n": 1}, {"n": 2}, {"n": 3}], [{"n": 2}, {"n": 3}, {"n": 4}]
    assert differences(recorded, found) == [
        ("/0", {"n": 1}, "<absent>"),
        ("/2", "<absent>", {"n": 4}),
    ]


def test_a_transcript_is_adapted_to_the_files_of_another_server() -> None:
    """What is its own gets another name, what the server has is what the server has."""
    old = "v1-5-pruned-emaonly.safetensors"
    both = ["v1-5-pruned-emaonly-fp16.safetensors", old]
    transcript = Transcript(
        "name",
        "about",
        [
            {
                "do": {"http": "GET", "path": "/view?filename=conf_a.png"},
                "expect": {"json": {"config": "conf_a.png"}},
            },
            {"do": {"id": "00000000-0000-4000-8000-000000000001", "ckpt": old}, "expect": {"json": both}},
            {"do": {}, "expect": {"details": f"'x' not in {both}", "conf-x": None}},
            {"do": {"http": "GET", "path": "/embeddings"}, "expect": {"json": []}},
        ],
    )
    there = adapted(
        transcript, "own", "aaaaaaaa-aaaa-4aaa-8aaa-", "b.ckpt", ["a.ckpt", old, "b.ckpt"], ["easy"]
    )
    assert there.steps == [
        {
            "do": {"http": "GET", "path": "/view?filename=own_a.png"},
            "expect": {"json": {"config": "own_a.png"}},
        },
        {
            "do": {"id": "aaaaaaaa-aaaa-4aaa-8aaa-000000000001", "ckpt": "b.ckpt"},
            "expect": {"json": ["a.ckpt", old, "b.ckpt"]},
        },
        {"do": {}, "expect": {"details": f"'x' not in {['a.ckpt', old, 'b.ckpt']}", "own-x": None}},
        {"do": {"http": "GET", "path": "/embeddings"}, "expect": {"json": ["easy"]}},
    ]
    assert transcript.steps[0]["do"]["path"] == "/view?filename=conf_a.png"
