"""What was wanted beside what there was, as facts that hold or do not, and the nearest miss as a diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

#: A value that takes more characters than this is shown in part.
LONGEST_VALUE = 300


class Missing(NamedTuple):
    """Stands for a value that is not there; ``text`` says so."""

    text: str


class Fact(NamedTuple):
    """Something that is wanted: what it is called, its value, and the one it has."""

    name: str
    wanted: Any
    found: Any

    @property
    def holds(self) -> bool:
        # In this order, so that objects which are equal to much, such as mock.ANY, are asked.
        return not isinstance(self.found, Missing) and bool(_as_json(self.wanted) == self.found)

    def lines(self) -> list[str]:
        """The fact as a diff shows it: ``-`` is wanted, ``+`` is there, neither is both."""
        wanted = f"{self.name}: {shown(self.wanted)}"
        if self.holds:
            return [f"  {wanted}"]
        found = self.found.text if isinstance(self.found, Missing) else shown(self.found)
        return [f"- {wanted}", f"+ {self.name}: {found}"]


class Piece(Fact):
    """A piece that one of some texts has to have; where none has, the one that is most like it is shown."""

    @property
    def holds(self) -> bool:
        return any(self.wanted in text for text in self.found)

    def lines(self) -> list[str]:
        if self.holds:
            return [f"  {self.name}: {shown(self.wanted)}"]
        most_alike = max(self.found, key=self._likeness, default=Missing("there is none"))
        return Fact(self.name, self.wanted, most_alike).lines()

    def _likeness(self, text: str) -> tuple[int, int]:
        """How much of it a text has; among equals, what has words beats the name of a file."""
        matcher = difflib.SequenceMatcher(None, self.wanted, text, autojunk=False)
        return matcher.find_longest_match(0, len(self.wanted), 0, len(text)).size, text.count(" ")


Facts = Sequence[Fact]


def subset(name: str, wanted: Any, found: Any) -> Iterator[Fact]:
    """The facts that a value holds all that is wanted: of a dict, those entries and no others matter."""
    if not isinstance(wanted, Mapping) or not isinstance(found, Mapping):
        yield Fact(name, wanted, found)
        return
    for key, value in wanted.items():
        inner = f"{name}.{key}"
        if key in found:
            yield from subset(inner, value, found[key])
        else:
            yield Fact(inner, value, Missing(f"there is none{meant(str(key), found)}"))


def meant(name: str, known: Iterable[Any]) -> str:
    """The name that may be meant instead of one that is not known, as the end of a sentence."""
    close = difflib.get_close_matches(name, [str(one) for one in known], 1)
    return f"; is it {close[0]!r} that is meant?" if close else ""


def misses(facts: Facts) -> int:
    """How many do not hold."""
    return sum(not fact.holds for fact in facts)


def diff(facts: Facts) -> list[str]:
    """The facts as lines."""
    return [line for fact in facts for line in fact.lines()]


def shown(value: Any) -> str:
    """A value as a diff shows it."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _as_json(value: Any) -> Any:
    """A value as JSON has it, which knows no tuples: links are lists there."""
    return list(value) if isinstance(value, tuple) else value
