"""Reads a page as a browser's parser does: elements, attributes and text, not markup."""

from html.parser import HTMLParser
from typing import NamedTuple

_VOID = frozenset({"br", "meta"})


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """The elements and the text of a page; raises if an element is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.texts: list[str] = []
        self.sheet = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.sheet += data
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def having(self, class_: str, tag: str = "") -> list[Element]:
        """Return the elements of a class, in order."""
        return [
            element
            for element in self.elements
            if class_ in element.attributes.get("class", "").split() and tag in ("", element.tag)
        ]
