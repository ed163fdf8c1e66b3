"""Durations and times that an author gives, as milliseconds: checked, so that bad ones say what was wrong.

Checked by value alone, before anything is recorded: a replay refuses what was refused.
"""

import math
from datetime import datetime
from typing import Any, Final

from sojourn.core.base.errors import Misused

__all__ = ["SECONDS_MAX", "milliseconds_of", "milliseconds_until"]

SECONDS_MAX: Final = 1000 * 366 * 86_400
"""A thousand years: what is longer is a mistake, and the year 9999 is as far as a `datetime` goes."""


def milliseconds_of(seconds: Any, *, what: str) -> int:
    """Return seconds as milliseconds, 0 for what is below. `what` names who asked, in the error.

    Raises `Misused` for what is no number of seconds, or more than `SECONDS_MAX`.
    """
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or math.isnan(seconds) or seconds > SECONDS_MAX:
        problem = f"{what} was given {seconds!r} seconds"
        remedy = f"Give it a number of seconds, {SECONDS_MAX} (a thousand years) at most"
        raise Misused(problem, remedy=remedy)
    return max(0, round(max(float(seconds), -1.0) * 1000))


def milliseconds_until(at: Any, *, what: str) -> int:
    """Return a time as milliseconds since 1970, 0 for what is before. Raises `Misused` for one without zone."""
    if not isinstance(at, datetime):
        problem = f"{what} was given {at!r}, which is no datetime"
        raise Misused(problem, remedy="Give it datetime(..., tzinfo=UTC), or ctx.now() + timedelta")
    if at.utcoffset() is None:
        raise Misused(
            f"{what} was given {at.isoformat()}, a time without zone",
            remedy="Give it one: datetime(..., tzinfo=UTC), or ctx.now() + timedelta(...)",
        )
    return max(0, round(at.timestamp() * 1000))
