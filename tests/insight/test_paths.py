"""How a test names calls."""

from __future__ import annotations

import pytest

from comfystub.server.paths import canonical, matches


@pytest.mark.parametrize(
    ("pattern", "call"),
    [
        ("/prompt", "POST /prompt"),
        ("POST /prompt", "POST /prompt"),
        ("post  /prompt", "POST /prompt"),
        ("/prompt/", "POST /prompt"),
        ("/prompt", "POST /api/prompt"),
        ("/api/prompt", "POST /prompt"),
        ("/history", "GET /history/123"),
        ("/jobs", "GET /api/jobs/1/cancel"),
        ("/", "GET /"),
        ("/", "GET /api"),
        ("/*", "GET /anything/at/all"),
        ("/*", "GET /"),
        ("/history/*", "GET /history/123"),
        ("/jobs/*/cancel", "POST /api/jobs/123/cancel"),
        ("/userdata/*.json", "GET /userdata/workflows%2Ffox.json"),
        ("/userdata/workflows%2Ffox.json", "GET /userdata/workflows%2Ffox.json"),
        ("/userdata/[a].json", "GET /userdata/[a].json"),
    ],
)
def test_a_pattern_names_a_call(pattern: str, call: str) -> None:
    assert matches(pattern, *call.split(" "))


@pytest.mark.parametrize(
    ("pattern", "call"),
    [
        ("GET /prompt", "POST /prompt"),
        ("/prompt", "GET /prompts"),
        ("/", "GET /prompt"),
        ("/history/*", "GET /history"),
        ("/history/123", "GET /history"),
        ("/apiary", "GET /ary"),
        ("/userdata/[a].json", "GET /userdata/a.json"),
        ("/a.b", "GET /aXb"),
    ],
)
def test_a_pattern_does_not_name_a_call(pattern: str, call: str) -> None:
    assert not matches(pattern, *call.split(" "))


@pytest.mark.parametrize("pattern", ["", "prompt", "POST", "POST prompt", "/view?type=temp", "/a#b", "1 /a"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="calls are named as '/path' or 'METHOD /path', without a query"):
        matches(pattern, "GET", "/")


def test_the_canonical_path_is_the_same_for_every_spelling() -> None:
    assert {canonical(path) for path in ("/view", "/api/view", "/view/", "/%76iew")} == {"/view"}
