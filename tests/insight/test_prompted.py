"""``stub.assert_prompted``, and what it says of the nearest miss."""

from __future__ import annotations

from typing import Any
from unittest.mock import ANY

import pytest
from workflows import text_to_image

import comfystub

from .app import REJECTED, URL, get, message, submit, without_steps


@pytest.mark.parametrize(
    "nodes",
    [
        None,
        {},
        {"KSampler": {}},
        {"KSampler": {"seed": 8}},
        {"3": {"seed": 8}},
        {3: {"seed": 8, "cfg": 8}},
        {"KSampler": {"seed": ANY, "denoise": pytest.approx(1)}},
        {"KSampler": {"model": ["4", 0], "positive": ("6", 0)}},
        {"CLIPTextEncode": {"text": "text, watermark"}},
        {"Positive": {"text": "a blue fox"}, "KSampler": {"steps": 2}},
    ],
)
def test_a_prompt_that_has_it_all_is_returned(nodes: dict[Any, dict[str, Any]] | None) -> None:
    graph = text_to_image("a blue fox", seed=8)
    graph["6"]["_meta"] = {"title": "Positive"}
    with comfystub.patch(URL) as stub:
        submit()
        submit(graph)
        assert stub.assert_prompted(nodes) is stub.jobs[1]


def test_values_are_those_that_the_server_has_converted() -> None:
    graph = text_to_image()
    graph["3"]["inputs"]["seed"] = "8"
    with comfystub.patch(URL) as stub:
        submit(graph)
        stub.assert_prompted({"KSampler": {"seed": 8}})


def test_a_text_and_a_client_can_be_wanted() -> None:
    with comfystub.patch(URL) as stub:
        submit(client_id="me")
        submit(text_to_image("a blue fox"), client_id="you")
        assert stub.assert_prompted(text="red f").ordinal == 1
        assert stub.assert_prompted(client_id="you").ordinal == 2
        assert stub.assert_prompted({"KSampler": {}}, text="fox", client_id="me", times=1).ordinal == 1
        with pytest.raises(AssertionError):
            stub.assert_prompted(text="red", client_id="you")


def test_it_moves_no_job() -> None:
    with comfystub.patch(URL) as stub:
        submit()
        assert stub.assert_prompted().state == "pending"


def test_the_nearest_miss_is_shown_as_a_diff() -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image("a wolf", seed=1, steps=3))
        submit(text_to_image(seed=8))
        submit(text_to_image(seed=9, steps=3))
        with pytest.raises(AssertionError) as failed:
            stub.assert_prompted(
                {"KSampler": {"seed": 7, "steps": 2}, "6": {"text": "a red fox"}}, text="fox"
            )
    assert message(failed.value) == [
        "no prompt is as wanted",
        "the nearest of 3 is job 2 (- wanted, + sent):",
        "  - KSampler.seed: 7",
        "  + KSampler.seed: 8",
        "    KSampler.steps: 2",
        "    6.text: 'a red fox'",
        "    text: 'fox'",
    ]


def test_what_is_not_there_is_told_with_what_may_be_meant() -> None:
    with comfystub.patch(URL) as stub:
        submit()
        with pytest.raises(AssertionError) as failed:
            stub.assert_prompted(
                {"KSampler": {"sed": 7, "fox": 1}, "SavImage": {"images": ANY}, "VAEDecode": {}},
                text="a wolf",
                client_id="me",
            )
    assert message(failed.value)[2:] == [
        "  - KSampler.sed: 7",
        "  + KSampler.sed: there is none; is it 'seed' that is meant?",
        "  - KSampler.fox: 1",
        "  + KSampler.fox: there is none",
        "  - SavImage: {'images': <ANY>}",
        "  + SavImage: there is no such node; is it 'SaveImage' that is meant?",
        "    VAEDecode: {}",
        "  - text: 'a wolf'",
        "  + text: 'a red fox'",
        "  - client_id: 'me'",
        "  + client_id: None",
    ]


def test_a_workflow_without_texts_says_so() -> None:
    with comfystub.patch(URL) as stub:
        made = {"width": 8, "height": 8, "batch_size": 1, "color": 1}
        submit(
            {
                "1": {"class_type": "EmptyImage", "inputs": made},
                "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
            }
        )
        with pytest.raises(AssertionError) as failed:
            stub.assert_prompted(text="fox")
    assert message(failed.value)[2:] == ["  - text: 'fox'", "  + text: there is none"]


def test_a_long_value_is_shown_in_part() -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image("fox " * 100))
        with pytest.raises(AssertionError) as failed:
            stub.assert_prompted({"6": {"text": "fox"}})
    assert message(failed.value)[-1] == f"  + 6.text: {('fox ' * 100)!r}"[: len("  + 6.text: ") + 300] + "…"


def test_exactly_so_many_can_be_wanted() -> None:
    with comfystub.patch(URL) as stub:
        stub.assert_prompted(times=0)
        submit()
        submit(text_to_image(seed=8))
        submit()
        assert stub.assert_prompted({"KSampler": {"seed": 7}}, times=2) is stub.jobs[2]
        with pytest.raises(AssertionError) as too_many:
            stub.assert_prompted({"KSampler": {"seed": 7}}, times=0)
        with pytest.raises(AssertionError) as too_few:
            stub.assert_prompted({"KSampler": {"seed": 8}}, times=2)
        with pytest.raises(AssertionError) as none:
            stub.assert_prompted(client_id="me", times=2)
    assert message(too_many.value) == ["2 prompts are as wanted, not 0: job 1, job 3"]
    assert message(too_few.value) == [
        "1 prompt is as wanted, not 2: job 2",
        "the nearest of 2 is job 3 (- wanted, + sent):",
        "  - KSampler.seed: 8",
        "  + KSampler.seed: 7",
    ]
    assert message(none.value)[0] == "no prompt is as wanted, and 2 should be"


def test_rejected_prompts_are_told() -> None:
    with comfystub.patch(URL) as stub:
        submit(without_steps())
        with pytest.raises(AssertionError) as without_another:
            stub.assert_prompted()
        submit()
        with pytest.raises(AssertionError) as with_another:
            stub.assert_prompted(client_id="me")
    assert message(without_another.value) == ["no prompt was accepted", REJECTED]
    assert message(with_another.value)[-1] == REJECTED


def test_without_a_prompt_the_calls_are_told() -> None:
    with comfystub.patch(URL) as stub:
        with pytest.raises(AssertionError) as nothing:
            stub.assert_prompted()
        get("/queue")
        get("/queue")
        get("/system_stats")
        with pytest.raises(AssertionError) as something:
            stub.assert_prompted()
    assert message(nothing.value) == [
        "no prompt was accepted",
        f"nothing was called; the stub answers at {URL}",
    ]
    assert message(something.value)[1] == "the calls were: GET /queue 200 (2 times), GET /system_stats 200"
