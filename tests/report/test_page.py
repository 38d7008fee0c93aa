"""The page: that it is whole, that it escapes what it shows, and that it is the same each time."""

from __future__ import annotations

import base64
import hashlib
import itertools
import pathlib
import re
import sys
from collections.abc import Iterator

import httpx
import pytest
from calls import URL
from prompting import get, listen, post
from workflows import text_to_image

import comfystub
from comfystub.reporting import page

from .eventful import eventful
from .pages import Parsed

ATTACK = "</script></title></style><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a stub at which much happened."""
    with eventful() as stub:
        return stub.report(tmp_path_factory.mktemp("page") / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parsed(html: str) -> Parsed:
    return Parsed(html)


# --- that it is whole


def test_it_tells_what_happened(parsed: Parsed) -> None:
    headings = [one.text for one in parsed.elements if re.fullmatch(r"h\d", one.tag)]
    assert headings == [
        f"What happened at {URL}",
        "What went wrong",
        "Jobs",
        "Job 1 completed",
        "Job 2 completed",
        "Job 3 failed",
        "Job 4 completed",
        "Outputs",
        "Calls",
        "Sockets",
    ]
    whole = parsed.all("main")[0].text
    for told in (
        "27 calls, 4 jobs, 6 outputs, 1 socket",
        "GET /promt was answered 404: ComfyUI has no such path; is /prompt meant?",
        "Fault out_of_memory (node KSampler): struck once",
        "failed at 3 KSampler: torch.OutOfMemoryError: Allocation on device",
        "ComfyUI_00001_.png",
        "512 × 768, PNG, RGB",
        "the file is gone",
        "sound/rain_00001_.flac",
    ):
        assert told in whole


def test_headings_go_down_one_level_at_a_time(parsed: Parsed) -> None:
    levels = [int(one.tag[1]) for one in parsed.elements if re.fullmatch(r"h\d", one.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(level <= before + 1 for before, level in itertools.pairwise(levels))


def test_every_link_leads_somewhere_on_the_page(parsed: Parsed) -> None:
    ids = parsed.values("id")
    assert len(set(ids)) == len(ids)
    links = [link for link in parsed.values("href") if not link.startswith("data:")]
    assert len(links) > 30
    assert {link[1:] for link in links} <= set(ids)
    assert set(parsed.values("aria-labelledby")) <= set(ids)


def test_everything_is_in_it(parsed: Parsed) -> None:
    assert {source.partition(",")[0] for source in parsed.values("src")} == {
        "data:audio/flac;base64",
        "data:image/jpeg;base64",
        "data:image/png;base64",
        "data:video/mp4;base64",
    }
    assert not any("//" in value and "data:" not in value for value in parsed.values("href"))
    assert not parsed.all("iframe") and not parsed.all("object")


def test_the_policy_lets_nothing_in(html: str, parsed: Parsed) -> None:
    (policy,) = (
        one.attributes["content"] or "" for one in parsed.all("meta") if "http-equiv" in one.attributes
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == rules["media-src"] == "data:"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (source,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert parsed.values("style") == []
    assert not [name for one in parsed.elements for name in one.attributes if name.startswith("on")]


# --- that it escapes what it shows


def attacked() -> comfystub.Stub:
    """A stub everything about which a client, or a test, says is an attack."""
    graph = text_to_image(ATTACK, prefix="a<b>&'c")
    graph["6"]["_meta"] = {"title": ATTACK}
    graph[ATTACK] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    stub = comfystub.Stub(URL, pace=0)
    stub.add_node("Say", lambda text: {"ui": {"text": [ATTACK]}}, inputs={"text": "STRING"}, output_node=True)
    stub.add_node("Fail", _fail, inputs={}, output_node=True)
    graph["10"] = {"class_type": "Say", "inputs": {"text": ATTACK}}
    graph["11"] = {"class_type": "Fail", "inputs": {}}
    with comfystub.patch(stub=stub):
        post(graph, client_id=ATTACK)
        httpx.get(f"{URL}/{ATTACK}", params={ATTACK: ATTACK}, headers={"X-Attack": ATTACK})
        httpx.post(f"{URL}/prompt", json={"prompt": {"<b>": {"class_type": ATTACK, "inputs": {}}}})
        socket = listen("me<img>")
        socket.send(ATTACK)
        socket.close()
        get("/queue")
    return stub


def _fail() -> None:
    raise ValueError(ATTACK)


@pytest.mark.filterwarnings("ignore::comfystub.UnknownNodeWarning")
def test_what_it_shows_stays_text(parsed: Parsed, tmp_path: pathlib.Path) -> None:
    stub = attacked()
    html = stub.report(tmp_path / "report.html").read_text(encoding="utf-8")
    stub.close()
    plain = Parsed(html)
    assert html.count("</script>") == html.count("</style>") == 1
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") > 20
    assert "{{ 7 * 7 }}" in plain.all("main")[0].text
    assert not {one.tag for one in plain.elements} - {one.tag for one in parsed.elements}
    assert not [name for one in plain.elements for name in one.attributes if name.startswith("on")]
    assert "x" not in plain.values("src")


def test_half_a_character_is_spelled_out(tmp_path: pathlib.Path) -> None:
    with comfystub.patch(URL) as stub:
        body = '{"prompt": {"1": {"class_type": "Half \\ud83e", "inputs": {}}}}'
        with pytest.warns(comfystub.UnknownNodeWarning):
            httpx.post(f"{URL}/prompt", content=body)
        assert "Half \\ud83e" in stub.report(tmp_path / "report.html").read_text(encoding="utf-8")


def test_texts_of_tests_stay_text() -> None:
    test = {"name": ATTACK, "outcome": "failed", "failure": ATTACK, "stubs": []}
    html = page.of_tests([test], "")
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") == 3
    assert not Parsed(html).all("img")


# --- that it is the same each time


def test_with_a_seed_two_reports_are_equal_to_the_byte(html: str, tmp_path: pathlib.Path) -> None:
    with eventful() as stub:
        assert stub.report(tmp_path / "report.html").read_bytes() == html.encode()


def test_with_a_seed_on_the_real_clock_too(tmp_path: pathlib.Path) -> None:
    def made(name: str) -> bytes:
        with comfystub.patch(URL, seed=1, pace=2) as stub:
            socket = listen()
            post(client_id="me")
            get("/queue")
            get("/queue")
            socket.close()
            return stub.report(tmp_path / name).read_bytes()

    assert made("one.html") == made("other.html")


def test_a_second_report_of_a_stub_is_the_first(tmp_path: pathlib.Path) -> None:
    with comfystub.patch(URL) as stub:
        post()
        first = stub.report(tmp_path / "first.html")
        assert first == tmp_path / "first.html"
        assert stub.report(str(tmp_path / "second.html")).read_bytes() == first.read_bytes()


# --- with little, and without


def test_of_a_stub_that_nobody_called(tmp_path: pathlib.Path) -> None:
    parsed = Parsed(comfystub.Stub(URL).report(tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "0 calls, 0 jobs, 0 outputs" in parsed.all("main")[0].text


def test_of_a_stub_that_is_closed(tmp_path: pathlib.Path) -> None:
    with comfystub.patch(URL) as stub:
        post()
        get("/queue")
    parsed = Parsed(stub.report(tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "the file is gone" in parsed.all("main")[0].text


@pytest.fixture
def without_jinja(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page.load.cache_clear()
    yield
    page.load.cache_clear()


@pytest.mark.usefixtures("without_jinja")
def test_without_the_template_engine_it_says_what_to_install(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ImportError) as raised:
        comfystub.Stub(URL).report(tmp_path / "report.html")
    assert str(raised.value).endswith("pip install 'comfystub[report]'")
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == []
