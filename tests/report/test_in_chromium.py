"""The page in a headless Chromium: light and dark, wide and narrow, with a keyboard and without scripts.

With COMFYSTUB_SCREENSHOTS=docs/images the screenshots of the documentation are taken anew.
"""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Iterator

import pytest
from PIL import Image

from comfystub.reporting import facts, page

from . import chromium
from .chromium import Browser, Page
from .eventful import eventful

pytestmark = pytest.mark.skipif(chromium.found() is None, reason="there is no Chromium")

WIDE, NARROW = 1200, 400

#: What is too faint: texts whose contrast with what is behind them is less than 4.5.
FAINT = """
(() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const box = element.closest(".node");
    if (box) return getComputedStyle(box.querySelector("rect")).fill;
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      if (channels(colour)[3] !== 0) return colour;
    }
  };
  const faint = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!own || !element.checkVisibility() || element.tagName === "title") continue;
    const style = getComputedStyle(element);
    const [dark, bright] = [light(element.tagName === "text" ? style.fill : style.color), light(behind(element))]
      .sort((one, other) => one - other);
    seen += 1;
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < 4.5) faint.push(`${element.className.baseVal ?? element.className} ${contrast}`);
  }
  return seen > 200 ? faint : ["few texts were seen"];
})()
"""

OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true })"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
FOCUSED = "document.activeElement"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = chromium.found()
    assert path is not None
    with chromium.running(path, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module", params=["stub", "run"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The page of a stub, and that of a run of tests."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    with eventful() as stub:
        told = facts.gather(stub)
    if request.param == "stub":
        return page.write(path, page.of_stub(told))
    tests = [
        {
            "name": "test_it.py::test_a_fox",
            "outcome": "failed",
            "failure": "E   assert 1 == 2",
            "stubs": [told],
        },
        {"name": "test_it.py::test_another", "outcome": "passed", "failure": "", "stubs": [told, told]},
    ]
    return page.write(path, page.of_tests(tests, "3 tests without one."))


@pytest.fixture(scope="module")
def of_stub(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    with eventful() as stub:
        return stub.report(tmp_path_factory.mktemp("report") / "report.html")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_it_opens_without_a_complaint(browser: Browser, report: pathlib.Path, width: int, dark: bool) -> None:
    seen = browser.open(report, width=width, dark=dark)
    seen.evaluate(OPEN_ALL)
    assert seen.evaluate("document.compatMode") == "CSS1Compat"
    pictures = seen.evaluate(
        "Promise.all([...document.images].map((one) => one.decode().then(() => one.naturalWidth)))"
    )
    assert len(pictures) > 3 and 0 not in pictures
    assert seen.requested() == [report.as_uri()]
    assert seen.problems() == []


def test_sound_and_films_can_be_played(browser: Browser, of_stub: pathlib.Path) -> None:
    seen = browser.open(of_stub)
    lengths = seen.evaluate(
        """Promise.all([...document.querySelectorAll("audio, video")].map((one) =>
             new Promise((done) => {
               const tell = () => done(one.error ? one.error.message : one.duration);
               if (one.readyState > 0 || one.error) return tell();
               one.onloadedmetadata = one.onerror = tell;
             })))"""
    )
    assert lengths == [2, 1]


@pytest.mark.parametrize("opened", [False, True], ids=["folded", "opened"])
def test_it_fits_a_narrow_window(browser: Browser, report: pathlib.Path, opened: bool) -> None:
    seen = browser.open(report, width=NARROW)
    if opened:
        seen.evaluate(OPEN_ALL)
    assert seen.evaluate("document.documentElement.scrollWidth") == NARROW


# --- light and dark


def test_it_is_as_dark_as_the_system(browser: Browser, of_stub: pathlib.Path) -> None:
    light, dark = (browser.open(of_stub, dark=dark).evaluate(BACKGROUND) for dark in (False, True))
    assert (light, dark) == ("rgb(247, 246, 249)", "rgb(20, 19, 24)")


def test_a_button_makes_it_dark_and_light_again(browser: Browser, of_stub: pathlib.Path) -> None:
    seen = browser.open(of_stub)
    light = seen.evaluate(BACKGROUND)
    tab_to(seen, "document.getElementById('theme')")
    seen.press("Enter")
    assert seen.evaluate(BACKGROUND) != light
    assert seen.evaluate(f"{FOCUSED}.textContent") == "Light"
    seen.press("Enter")
    assert seen.evaluate(BACKGROUND) == light


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_are_not_faint(browser: Browser, report: pathlib.Path, dark: bool) -> None:
    seen = browser.open(report, dark=dark)
    seen.evaluate(OPEN_ALL)
    assert seen.evaluate(FAINT) == []


# --- with a keyboard


def tab_to(seen: Page, wanted: str) -> None:
    """Press Tab until something has the focus."""
    for _ in range(300):
        seen.press("Tab")
        if seen.evaluate(f"{FOCUSED} === {wanted}"):
            return
    raise AssertionError(f"Tab does not come to {wanted}")


def test_the_first_thing_that_tab_comes_to_leads_past_the_header(
    browser: Browser, of_stub: pathlib.Path
) -> None:
    seen = browser.open(of_stub)
    seen.press("Tab")
    assert seen.evaluate(f"{FOCUSED}.textContent") == "Skip to the report"
    assert seen.evaluate(f"{FOCUSED}.getBoundingClientRect().left") > 0
    seen.press("Enter")
    assert seen.evaluate("location.hash") == "#main"


def test_tab_comes_to_a_call_and_enter_opens_it(browser: Browser, of_stub: pathlib.Path) -> None:
    seen = browser.open(of_stub)
    call = "[...document.querySelectorAll('.rows summary')].find((one) => one.textContent.includes('/upload/image'))"
    tab_to(seen, call)
    assert seen.evaluate(f"getComputedStyle({FOCUSED}).outlineStyle") == "solid"
    assert not seen.evaluate(f"{call}.parentElement.open")
    seen.press("Enter")
    assert seen.evaluate(f"{call}.parentElement.open")
    seen.press("Tab")
    assert seen.evaluate(f"{FOCUSED}.textContent.trim()") == "Body"
    seen.press("Enter")
    seen.press("Tab")
    assert seen.evaluate(f"{FOCUSED}.textContent") == "image: fox.png, 6 bytes"


def test_a_node_is_told_of_and_leads_to_its_row(browser: Browser, of_stub: pathlib.Path) -> None:
    seen = browser.open(of_stub)
    node = "[...document.querySelectorAll('.node')].find((one) => one.textContent.includes('What to paint'))"
    tab_to(seen, node)
    assert seen.evaluate(f"getComputedStyle({node}.querySelector('rect')).strokeWidth") == "3px"
    told = seen.evaluate(f"{node}.closest('.graph').querySelector('.told').textContent")
    assert told == "What to paint #6 CLIPTextEncode: ran   text: a red fox in the snow"
    row = "document.querySelector(decodeURIComponent(location.hash))"
    seen.press("Enter")
    assert seen.evaluate(f"{row}.closest('details').open")
    assert "a red fox in the snow" in seen.evaluate(f"{row}.innerText")


def test_a_test_is_opened_by_its_link(browser: Browser, tmp_path: pathlib.Path) -> None:
    tests = [
        {"name": name, "outcome": "passed", "failure": "", "stubs": []} for name in ("test_one", "test_other")
    ]
    seen = browser.open(page.write(tmp_path / "run.html", page.of_tests(tests, "")))
    assert seen.evaluate("document.querySelectorAll('details[open]').length") == 0
    tab_to(seen, "document.querySelector('.index a[href=\"#t2\"]')")
    seen.press("Enter")
    assert seen.evaluate("document.querySelector('details[open]').innerText").startswith("test_other")


def test_all_is_opened_and_closed_by_a_button(browser: Browser, of_stub: pathlib.Path) -> None:
    seen = browser.open(of_stub)
    folded = "document.querySelectorAll('details:not([open])').length"
    before = seen.evaluate(folded)
    for now in (0, before):
        seen.evaluate("document.getElementById('folds').click()")
        assert seen.evaluate(folded) == now


# --- without scripts


def test_it_is_whole_without_scripts(browser: Browser, of_stub: pathlib.Path) -> None:
    seen = browser.open(of_stub, script=False)
    assert seen.evaluate("document.querySelector('.tools').checkVisibility()") is False
    assert seen.evaluate("document.querySelectorAll('.node').length") > 20
    summary = "document.querySelector('.timeline summary')"
    tab_to(seen, summary)
    seen.press("Enter")
    assert seen.evaluate(f"{summary}.parentElement.open")
    assert seen.problems() == []


# --- screenshots


@pytest.mark.parametrize(
    ("name", "width", "dark", "part"),
    [
        ("report-light", WIDE, False, "#main"),
        ("report-dark", WIDE, True, "#main"),
        ("report-narrow", NARROW, False, "#main"),
        ("report-outputs", WIDE, False, "#s1-outputs"),
    ],
)
def test_screenshots(
    browser: Browser,
    of_stub: pathlib.Path,
    tmp_path: pathlib.Path,
    name: str,
    width: int,
    dark: bool,
    part: str,
) -> None:
    seen = browser.open(of_stub, width=width, height=1240, dark=dark)
    if part != "#main":
        seen.evaluate(f"document.querySelector({part!r}).scrollIntoView({{behavior: 'instant'}})")
    picture = Image.open(io.BytesIO(seen.screenshot())).convert("RGB")
    assert picture.size == (width, 1240)
    colours = picture.getcolors(1 << 20)
    assert colours is not None and len(colours) > 50
    folder = pathlib.Path(os.environ.get("COMFYSTUB_SCREENSHOTS", tmp_path))
    picture.quantize(256, kmeans=2).save(folder / f"{name}.png", optimize=True)
