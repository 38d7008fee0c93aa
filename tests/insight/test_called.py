"""``stub.assert_called``, and what it says of the nearest miss."""

from __future__ import annotations

import httpx
import pytest
import requests
from workflows import text_to_image

import comfystub

from .app import URL, get, message, submit


def test_a_call_that_has_it_all_is_returned() -> None:
    with comfystub.patch(URL) as stub:
        get("/history/abc")
        get("/api/history", max_items=5)
        submit(client_id="me")
        assert stub.assert_called("/history") is stub.requests[1]
        assert stub.assert_called("GET /history/*") is stub.requests[0]
        assert stub.assert_called("/history", params={"max_items": 5}, times=1) is stub.requests[1]
        assert stub.assert_called("/history", params={"max_items": "5"}) is stub.requests[1]
        wanted = {"client_id": "me", "prompt": {"3": {"inputs": {"seed": 7}}}}
        assert stub.assert_called("POST /prompt", json=wanted) is stub.requests[2]
        stub.assert_called("POST /history", times=0)


def test_a_body_is_compared_key_by_key() -> None:
    with comfystub.patch(URL) as stub:
        submit(text_to_image(seed=8), client_id="me")
        with pytest.raises(AssertionError) as failed:
            stub.assert_called(
                "POST /prompt",
                json={"client_id": "me", "front": True, "prompt": {"3": {"inputs": {"seed": 7}}}},
            )
    assert message(failed.value) == [
        "no call of POST /prompt is as wanted",
        "the nearest of 1 is POST /prompt 200 (- wanted, + sent):",
        "    json.client_id: 'me'",
        "  - json.front: True",
        "  + json.front: there is none",
        "  - json.prompt.3.inputs.seed: 7",
        "  + json.prompt.3.inputs.seed: 8",
    ]


def test_a_body_that_is_no_json_or_no_dict_misses() -> None:
    with comfystub.patch(URL) as stub:
        requests.post(f"{URL}/interrupt", data=b"now")
        with pytest.raises(AssertionError) as none:
            stub.assert_called("/interrupt", json={"prompt_id": "1"})
        requests.post(f"{URL}/interrupt", json={"prompt_id": ["1"]})
        with pytest.raises(AssertionError) as other:
            stub.assert_called("/interrupt", json={"prompt_id": {"1": 1}})
    assert message(none.value)[2:] == ["  - json: {'prompt_id': '1'}", "  + json: the body is none"]
    assert message(other.value)[2:] == ["  - json.prompt_id: {'1': 1}", "  + json.prompt_id: ['1']"]


def test_params_are_compared_as_they_are_sent() -> None:
    with comfystub.patch(URL) as stub:
        get("/view", filename="a.png", subfolder="x")
        get("/view", filename="b.png")
        with pytest.raises(AssertionError) as failed:
            stub.assert_called("GET /view", params={"filename": "a.png", "subfoldr": "y"})
    assert message(failed.value) == [
        "no call of GET /view is as wanted",
        "the nearest of 2 is GET /view?filename=a.png&subfolder=x 404 (- wanted, + sent):",
        "    params.filename: 'a.png'",
        "  - params.subfoldr: 'y'",
        "  + params.subfoldr: there is none; is it 'subfolder' that is meant?",
    ]


def test_a_path_that_nobody_called_is_told_with_the_most_similar_calls() -> None:
    with comfystub.patch(URL) as stub:
        get("/histroy/abc")
        prompt_id = submit()
        get(f"/history/{prompt_id}")
        with pytest.raises(AssertionError) as similar:
            stub.assert_called("POST /history")
        with pytest.raises(AssertionError) as other:
            stub.assert_called("/free")
    assert message(similar.value) == [
        "no call of POST /history is as wanted",
        "the most similar calls were: GET /histroy/abc 404",
    ]
    short = prompt_id[:8]
    assert message(other.value) == [
        "no call of /free is as wanted",
        f"the calls were: GET /histroy/abc 404, POST /prompt 200, GET /history/{short}… 200",
    ]


def test_nothing_that_was_called_is_told_with_the_address() -> None:
    with comfystub.patch(URL) as stub:
        with pytest.raises(AssertionError) as failed:
            stub.assert_called("/prompt")
    assert message(failed.value)[1] == f"nothing was called; the stub answers at {URL}"


def test_of_many_calls_only_some_are_told() -> None:
    with comfystub.patch(URL) as stub, httpx.Client(base_url=URL) as client:
        for number in range(12):
            client.get(f"/models/{number}")
        with pytest.raises(AssertionError) as failed:
            stub.assert_called("POST /interrupt")
    assert message(failed.value)[1].endswith("GET /models/9 404, 2 more")


def test_exactly_so_many_can_be_wanted() -> None:
    with comfystub.patch(URL) as stub:
        get("/queue")
        get("/queue")
        stub.assert_called("/queue", times=2)
        with pytest.raises(AssertionError) as too_many:
            stub.assert_called("GET /queue", times=1)
        with pytest.raises(AssertionError) as too_few:
            stub.assert_called("GET /queue", times=3)
    assert message(too_many.value) == ["2 calls of GET /queue are as wanted, not 1: GET /queue 200 (2 times)"]
    assert message(too_few.value) == ["2 calls of GET /queue are as wanted, not 3: GET /queue 200 (2 times)"]


def test_what_names_no_call_is_refused() -> None:
    with comfystub.patch(URL) as stub:
        get("/queue")
        with pytest.raises(ValueError, match="not 'queue'"):
            stub.assert_called("queue")
