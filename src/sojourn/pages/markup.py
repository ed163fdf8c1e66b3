"""Builds HTML and SVG so that whatever is not markup is escaped.

`element` is the only way to make `Markup`; a plain string given as a child or an attribute is text
and is escaped. So no name, reason or note, whoever wrote it, can become markup.
"""

from collections.abc import Iterable
from html import escape

__all__ = ["Markup", "document", "element", "join", "number", "style"]

_VOID = frozenset({"br", "meta"})


class Markup(str):
    """A string that is markup already."""

    __slots__ = ()


def element(
    tag: str, /, *children: "str | Iterable[Markup]", **attributes: str | float | None
) -> Markup:
    """Return an element. In attribute names, `_` stands for `-`, and one at the end for nothing.

    Children are text or markup, or iterables of markup. An attribute that is None is left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{''.join(map(_child, children))}</{tag}>")


def join(parts: Iterable[Markup]) -> Markup:
    """Return pieces of markup as one."""
    return Markup("".join(parts))


def style(sheet: str) -> Markup:
    """Return a style element; `sheet` is our own, and CSS is not escaped as text is."""
    assert "<" not in sheet
    return Markup(f"<style>{sheet}</style>")


def document(root: Markup) -> str:
    """Return a whole HTML document."""
    return f"<!doctype html>\n{root}\n"


def number(value: float) -> str:
    """Return a coordinate to a tenth of a pixel, as short as it can be written."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)


def _child(child: "str | Iterable[Markup]") -> str:
    if isinstance(child, Markup):
        return child
    return escape(child) if isinstance(child, str) else "".join(child)
