"""Options and arguments that many commands share, and the home folder they all work in."""

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import click

from sojourn.cli.home import Home

__all__ = [
    "MOMENT",
    "SPAN",
    "is_number",
    "json_option",
    "milliseconds",
    "until_option",
    "with_home",
]

P = ParamSpec("P")
R = TypeVar("R")

_UNITS_MS: Final = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000}
_SPAN: Final = re.compile("([0-9]{1,9})(d|h|min|s)")
_YEARS_10: Final = timedelta(days=3652)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)


def with_home(command: Callable[Concatenate[Home, P], R]) -> Callable[P, R]:
    """Give a command the home folder as its first argument."""

    @click.pass_obj
    @functools.wraps(command)
    def wrapped(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return command(Home(path), *args, **kwargs)

    return wrapped


class _Moment(click.ParamType[datetime]):
    """A date, in UTC, or a date and time with its time zone, such as 2027-01-31 or 2027-01-31T12:00+02:00."""

    name = "DATE"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Return the moment in UTC; text that is none is a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo:
                return moment.astimezone(UTC)
        except (ValueError, OverflowError):  # the latter: in UTC it is before all dates, or after
            problem = f"{value[:40]!r} is no date: write 2027-01-31 or 2027-01-31T12:00+02:00"
            self.fail(problem, param, ctx)
        if ":" in value or "T" in value.upper():
            problem = f"{value!r} says no time zone: write {value}Z for UTC, or {value}+02:00"
            self.fail(problem, param, ctx)
        return moment.replace(tzinfo=UTC)


MOMENT: Final = _Moment()


class _Span(click.ParamType[int]):
    """A length of time, such as 7d, 12h, 30min or 45s, in milliseconds."""

    name = "SPAN"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the length in milliseconds; text that is none is a usage error."""
        if isinstance(value, int):
            return value
        found = _SPAN.fullmatch(value)
        if found is None:
            problem = f"{value[:40]!r} is no length of time: write 7d, 12h, 30min or 45s"
            self.fail(problem, param, ctx)
        return int(found[1]) * _UNITS_MS[found[2]]


SPAN: Final = _Span()


def is_number(text: str) -> bool:
    """Tell whether a text is a small whole number: "²" is a digit and none, and some have 5,000 digits."""
    return text.isascii() and text.isdigit() and len(text) < 10


def milliseconds(moment: datetime | None) -> int:
    """Return a moment as milliseconds since 1970; None stands for ten years from now."""
    return int((moment or datetime.now(UTC) + _YEARS_10).timestamp() * 1000)


def until_option(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return the option `--until DATE`."""
    text = f"{what} [default: ten years from now]"
    return click.option("--until", type=MOMENT, default=None, help=text)
