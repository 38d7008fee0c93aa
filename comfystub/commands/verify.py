"""``comfystub verify``: whether a live server still answers as it was recorded."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfystub.commands import connection
from comfystub.commands.terminal import BAD, BOLD, DIM, GOOD, Terminal, complain

if TYPE_CHECKING:
    from comfystub.live.recordings import Transcript
    from comfystub.live.verify import StepDifference, Verdict, Verification

HELP = "play the recorded transcripts against a live server and show where it differs"

#: The exit status when all hold, when some differ, and when nothing was played.
HOLD, DIFFER, COULD_NOT = 0, 1, 2

STYLES = {"holds": GOOD, "differs": BAD, "skipped": DIM}

#: So many differences of a transcript are shown, and so many characters of a value.
MOST_SHOWN = 5
LONGEST = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Play the transcripts that the stub is tested with against a live server, and show where it answers "
        "otherwise than the stub. It runs small jobs there, takes them out of the history again, and leaves "
        "files that begin with comfystub-."
    )
    parser.epilog = (
        "Example: comfystub verify http://192.168.1.20:8188. Exit status: 0 all hold, 1 some differ, "
        "2 nothing could be played."
    )
    connection.add_arguments(parser, timeout=120)
    add = parser.add_argument
    add("--only", action="append", metavar="WORD", help="play those with this in their name; may be repeated")
    add("--skip", action="append", metavar="WORD", default=[], help="leave these out; may be repeated")
    add("--checkpoint", metavar="NAME", help="a checkpoint of the server, in place of the recorded one")
    add("--all", action="store_true", help="also those that clear the queue or the history, or need it empty")
    add("--force", action="store_true", help="although the server has jobs to run, which may be interrupted")
    add("-v", "--verbose", action="store_true", help="show every difference, whole")
    add("--json", action="store_true", help="print the result as JSON")


def run(options: argparse.Namespace) -> int:
    from comfystub.live.asking import Trouble
    from comfystub.live.verify import Verification

    verdicts: list[Verdict] = []
    try:
        with connection.server(options) as server:
            verification = Verification(
                server, checkpoint=options.checkpoint, clears=options.all, busy=options.force
            )
            chosen = _chosen(verification.release, options.only, options.skip)
            width = max((len(transcript.name) for transcript in chosen), default=0)
            for verdict in verification.run(chosen):
                verdicts.append(verdict)
                if not options.json:
                    _print(verdict, width, options.verbose)
    except Trouble as problem:
        complain(problem)
        return COULD_NOT
    counts = Counter(verdict.result for verdict in verdicts)
    if options.json:
        Terminal(sys.stdout).line(json.dumps(_document(verdicts, counts, verification, server.url)))
    else:
        _print_summary(verdicts, counts, verification, server.url)
    return DIFFER if counts["differs"] else HOLD if counts["holds"] else COULD_NOT


def _chosen(release: str, only: Sequence[str] | None, skip: Sequence[str]) -> list[Transcript]:
    """The transcripts to play.  Raises ``Trouble`` when there are none."""
    from comfystub.live.asking import Trouble
    from comfystub.live.recordings import transcripts

    found = [
        transcript
        for transcript in transcripts(release)
        if (only is None or any(word in transcript.name for word in only))
        and not any(word in transcript.name for word in skip)
    ]
    if not found:
        raise Trouble("no transcript has such a name: without --only and --skip all of them are played")
    return found


def _print(verdict: Verdict, width: int, verbose: bool) -> None:
    terminal = Terminal(sys.stdout)
    about = verdict.why or verdict.about
    terminal.line((f"{verdict.result:9}", STYLES[verdict.result]), f"{verdict.name:{width}}  ", (about, DIM))
    shown = verdict.differences if verbose else verdict.differences[:MOST_SHOWN]
    for one in shown:
        terminal.line(" " * 9, (f"{one.step}. {one.do}: ", BOLD), _told(one, None if verbose else LONGEST))
    more = len(verdict.differences) - len(shown)
    if more:
        terminal.line(" " * 9, (f"and {more} more; --verbose shows them", DIM))


def _told(difference: StepDifference, longest: int | None) -> str:
    from comfystub.live.player import ABSENT

    where, recorded, found = difference.where, difference.recorded, difference.found
    if not where:
        return str(found)
    if found == ABSENT:
        return f"{where} is missing; recorded is {_short(recorded, longest)}"
    if recorded == ABSENT:
        return f"{where} is {_short(found, longest)}; nothing is recorded there"
    return f"{where} is {_short(found, longest)}; recorded is {_short(recorded, longest)}"


def _short(value: Any, longest: int | None) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"


def _print_summary(
    verdicts: Sequence[Verdict], counts: Counter[str], verification: Verification, url: str
) -> None:
    terminal = Terminal(sys.stdout)
    strangers = sorted({kind for verdict in verdicts for kind in verdict.strangers})
    if strangers:
        terminal.line(
            (f"messages that ComfyUI itself does not send were left out: {', '.join(strangers)}", DIM)
        )
    terminal.line(
        (f"{counts['holds']} hold, ", GOOD),
        (f"{counts['differs']} differ", BAD if counts["differs"] else GOOD),
        (f", {counts['skipped']} skipped", DIM),
        f": {url}, ComfyUI {verification.facts.version}, against the recordings of {verification.release}",
    )


def _document(
    verdicts: Sequence[Verdict], counts: Counter[str], verification: Verification, url: str
) -> dict[str, Any]:
    """The result for other programs."""
    return {
        "url": url,
        "comfyui_version": verification.facts.version,
        "recorded_of": verification.release,
        **{result: counts[result] for result in STYLES},
        "transcripts": [
            {**verdict._asdict(), "differences": [one._asdict() for one in verdict.differences]}
            for verdict in verdicts
        ],
    }
