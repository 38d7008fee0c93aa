"""A page as a test reads it: its elements, and whether they are closed in the order in which they are opened."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple

#: Elements that have no end.
VOID = frozenset({"img", "link", "meta"})


class Element(NamedTuple):
    """An element of a page, its attributes and the text that stands in it."""

    tag: str
    attributes: dict[str, str | None]
    texts: list[str]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


class Parsed(HTMLParser):
    """The elements of a page, in order.

    Raises ``AssertionError`` where one is closed that is not the last that was opened.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), [])
        assert len(element.attributes) == len(attrs), f"an attribute of {tag} stands there twice"
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.texts.append(data)

    def all(self, tag: str, *, cls: str | None = None) -> list[Element]:
        """The elements of a kind, or those of them that have a class."""
        return [
            one
            for one in self.elements
            if one.tag == tag and (cls is None or cls in (one.attributes.get("class") or "").split())
        ]

    def values(self, attribute: str) -> list[str]:
        """What an attribute is, of all elements that have it."""
        return [one.attributes[attribute] or "" for one in self.elements if attribute in one.attributes]
