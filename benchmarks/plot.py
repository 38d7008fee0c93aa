#!/usr/bin/env python3
"""Draw what benchmarks/run.py has measured, as SVG files for the documentation.

    python benchmarks/run.py --json docs/speed.json --machine "2 cores, shared with other programs"
    python benchmarks/plot.py docs/speed.json docs/images

Each plot is drawn for a light page and for a dark one.  Bars are ratios: times are those of one machine.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

#: What comfystub's own bars are called.
OURS = "comfystub"

WIDTH, LEFT, RIGHT = 720, 220, 120
ROW, GAP, TOP = 22, 14, 36
THICKNESS = 14


class Theme(NamedTuple):
    """The colours of a plot: of its texts, of comfystub's bars and of the others."""

    text: str
    faint: str
    ours: str
    other: str


THEMES = {
    "light": Theme(text="#333333", faint="#757575", ours="#5e35b1", other="#b0b3bd"),
    "dark": Theme(text="#e4e4e7", faint="#a0a3ad", ours="#b39ddb", other="#5f6472"),
}


class Bar(NamedTuple):
    """How many times as long something takes, and how many times it may at most, where that is said."""

    label: str
    length: float
    limit: float | None = None


class Plot(NamedTuple):
    """Groups of bars, each below its name."""

    title: str
    groups: Sequence[tuple[str, Sequence[Bar]]]


def beside(results: dict[str, Any]) -> Plot:
    """Each thing that is done on several servers, ``"… on …"``: its times, comfystub's being 1."""
    times: dict[str, dict[str, float]] = {}
    for name, microseconds in results["microseconds"].items():
        thing, on, server = name.partition(" on ")
        if on:
            times.setdefault(thing, {})[server] = microseconds
    groups = [
        (thing, [Bar(server, time / by_server[OURS]) for server, time in by_server.items()])
        for thing, by_server in times.items()
    ]
    return Plot("Times as long as on comfystub", groups)


def floor(results: dict[str, Any]) -> Plot:
    """What is measured against something that it cannot be faster than."""
    groups = [
        (
            one["measured"].partition(" on ")[0],
            [Bar(OURS, one["ratio"], one["limit"]), Bar(one["against"], 1.0)],
        )
        for one in results["ratios"]
        if " on " not in one["against"]
    ]
    return Plot("Times as long as without a server", groups)


def svg(plot: Plot, theme: Theme) -> str:
    """A plot as an SVG file."""
    longest = max(max(bar.length, bar.limit or 0) for _, bars in plot.groups for bar in bars)
    scale = (WIDTH - LEFT - RIGHT) / longest
    lines = list(_lines(plot, theme, scale))
    height = TOP + sum(ROW * (len(bars) + 1) + GAP for _, bars in plot.groups)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
            ' font-family="system-ui, sans-serif" font-size="13" role="img">',
            f"<title>{escape(plot.title)}</title>",
            *lines,
            "</svg>\n",
        ]
    )


def _lines(plot: Plot, theme: Theme, scale: float) -> Iterator[str]:
    yield _text(LEFT, TOP - 16, plot.title, theme.faint)
    y = TOP
    for name, bars in plot.groups:
        yield _text(LEFT, y + ROW - 8, name, theme.text, weight="bold")
        for bar in bars:
            y += ROW
            yield _text(LEFT - 10, y + ROW - 8, bar.label, theme.text, anchor="end")
            yield from _bar(bar, y + (ROW - THICKNESS) // 2, theme, scale)
        y += ROW
        y += GAP


def _bar(bar: Bar, y: int, theme: Theme, scale: float) -> Iterator[str]:
    length, end = bar.length * scale, max(bar.length, bar.limit or 0) * scale
    color = theme.ours if bar.label == OURS else theme.other
    yield f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{THICKNESS}" rx="2" fill="{color}"/>'
    said = f"{bar.length:.2f}"
    if bar.limit is not None:
        at = LEFT + bar.limit * scale
        yield f'<path d="M{at:.1f} {y - 3}v{THICKNESS + 6}" stroke="{theme.text}" stroke-width="2"/>'
        said += f", at most {bar.limit:g}"
    yield _text(LEFT + end + 8, y + 11, said, theme.text)


def _text(x: float, y: float, text: str, color: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def drawn(results: dict[str, Any]) -> dict[str, str]:
    """All plots of a run: names of files, and what stands in them."""
    plots = {"beside": beside(results), "floor": floor(results)}
    return {
        f"speed-{name}-{shade}.svg": svg(plot, theme)
        for name, plot in plots.items()
        for shade, theme in THEMES.items()
    }


def main(source: str, folder: str) -> None:
    results = json.loads(pathlib.Path(source).read_text(encoding="utf-8"))
    pathlib.Path(folder).mkdir(exist_ok=True)
    for name, text in drawn(results).items():
        pathlib.Path(folder, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
