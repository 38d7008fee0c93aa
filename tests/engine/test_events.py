"""Messages as they go over a WebSocket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfystub.engine.events import NodeState, event_of, frame_of

NUMBER = st.one_of(st.integers(0, 10_000), st.floats(0, 10_000))
STATES = st.builds(NodeState, st.text(), NUMBER, NUMBER, st.sampled_from(["running", "finished"]))


@given(prompt_id=st.text(), states=st.lists(STATES, max_size=5, unique_by=lambda state: state.node_id))
def test_the_state_of_every_node_is_put_together_as_json_would(
    prompt_id: str, states: list[NodeState]
) -> None:
    by_id = {state.node_id: state for state in states}
    mark = ("progress_state", None)
    assert frame_of(mark, prompt_id, by_id) == event_of(mark, prompt_id, by_id).frame


@given(prompt_id=st.text(), node_id=st.text(), value=NUMBER, maximum=NUMBER)
def test_a_step_is_put_together_as_json_would(
    prompt_id: str, node_id: str, value: float, maximum: float
) -> None:
    mark = ("progress", (node_id, value, maximum))
    assert frame_of(mark, prompt_id, {}) == event_of(mark, prompt_id, {}).frame


@pytest.mark.parametrize(
    "mark",
    [("executing", "3"), ("executing", None), ("executed", ("9", {"images": []})), ("text", ("1", "a"))],
)
def test_all_else_is_the_event_itself(mark: tuple[str, Any]) -> None:
    frame = frame_of(mark, "p", {})
    assert frame == event_of(mark, "p", {}).frame
    assert isinstance(frame, bytes) or json.loads(frame)["type"] == mark[0]
