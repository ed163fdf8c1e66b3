"""What commands print: one JSON document, or text and tables for people. Nothing else prints.

Results are `msgspec` structs. As JSON each is printed whole, so that a script never has to read a table; for
people a function of the command says it in lines.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["clean", "counted", "duration", "emit", "note", "say", "say_json", "table", "when"]

T = TypeVar("T")

_WIDTH_MAX: Final = 4096


def emit(value: T, as_json: bool, render: Callable[[T], None]) -> None:
    """Print a result: as JSON, or as `render` says it to people."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    else:
        render(value)


def say_json(value: Any) -> None:
    """Print a value as JSON on one line: one of many documents."""
    click.echo(msgspec.json.encode(value).decode())


def say(text: str) -> None:
    """Print a line for people."""
    click.echo(text)


def note(text: str) -> None:
    """Print a line for people that is no result: on the standard error, so that a pipe does not carry it."""
    click.echo(text, err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table. Nothing is cut off: a terminal gets wrapped cells, a pipe as wide a table as it takes."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(clean(str(cell))) for cell in row))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=_WIDTH_MAX)
        console.width = max(1, console.measure(made).maximum)
    console.print(made)


def clean(text: str) -> str:
    """Return text that may be a stranger's with what a terminal would obey escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def counted(count: int, thing: str, things: str = "") -> str:
    """Return so many of a thing, for people: "1 rule", "2 rules"."""
    return f"{count} {thing if count == 1 else things or f'{thing}s'}"


def when(at_ms: int) -> str:
    """Return a time (milliseconds since 1970) for people, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(length_ms: int) -> str:
    """Return a length of time for people: its two largest units."""
    seconds = length_ms // 1000
    if seconds < 1:
        return f"{length_ms} ms"
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
