"""Schedules: `async for due in ctx.schedule("0 9 * * MON-FRI", tz="Europe/Berlin")`.

The next time due is computed live, once, and stands in the journal as the end of a sleep: a replay, perhaps on a
host with other time zone data, is given the same one.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from cronsim.cronsim import FIELD_NAMES

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.durations import milliseconds_until
from sojourn.runtime.agent_side.operations import WaitForTime
from sojourn.runtime.records import Sleeping

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Cron", "Missed", "Schedule"]

Missed: TypeAlias = Literal["skip", "catch-up"]
"""What becomes of times that passed while the agent did something else: passed over, or given one by one."""

CHARS_MAX: Final = 256
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
SHAPE: Final = (
    'Write five fields, "minute hour day-of-month month day-of-week", or six with the second first'
)


class Cron:
    """A cron text in a time zone, and the times that it names.

    Daylight saving is as in Debian's cron: a job at a fixed time that the clocks leave out comes when they have
    gone forward, one that they show twice comes at the first of them; what comes every hour or oftener comes by
    the time that passes.
    """

    def __init__(self, text: str, tz: str) -> None:
        """Read it. Raises `Misused` that says which field is wrong, or for a zone that is unknown."""
        self.text = text = str(text)
        self.zone = _zone(tz)
        if len(text) > CHARS_MAX:
            problem = f"{text!r:.80} is no cron text"
            raise Misused(problem, remedy=SHAPE)
        try:
            next(CronSim(text, EPOCH.astimezone(self.zone)))
        except StopIteration:
            problem = f"the cron text {text!r} names no time in fifty years"
            raise Misused(problem, remedy="Look at its day and month together") from None
        except (CronSimError, ArithmeticError, AssertionError, LookupError, ValueError) as error:
            raise _misread(text, str(error)) from None

    def after(self, at_ms: int) -> int:
        """Return the first time after one, in milliseconds since 1970.

        Raises `Misused` where the calendar ends.
        """
        at = datetime.fromtimestamp(at_ms / 1000, self.zone)
        try:
            for due in CronSim(self.text, at):
                due_ms = milliseconds_until(due, what="ctx.schedule")
                if due_ms > at_ms:  # where clocks go back it begins with what has been
                    return due_ms
        except (OverflowError, ValueError):
            pass
        problem = f"the cron text {self.text!r} names no time after {at.isoformat()}"
        raise Misused(problem, remedy="End the schedule before")


class Schedule(AsyncIterator[datetime]):
    """What `ctx.schedule(...)` gives: each time when it has come, with the schedule's time zone."""

    def __init__(
        self, session: "Session", cron: Cron, missed: Missed, after: datetime | None
    ) -> None:
        if missed not in get_args(Missed):
            problem = f"ctx.schedule was given missed={missed!r}"
            raise Misused(problem, remedy=f"Use one of {', '.join(get_args(Missed))}")
        self._session = session
        self._cron = cron
        self._missed = missed
        self._last_ms = None if after is None else milliseconds_until(after, what="ctx.schedule")

    def _next_ms(self) -> int:
        now_ms, last_ms = self._session.now_ms(), self._last_ms
        if last_ms is None:
            last_ms = now_ms
        return self._cron.after(last_ms if self._missed == "catch-up" else max(last_ms, now_ms))

    async def __anext__(self) -> datetime:
        """Sleep until the next time, and return it; the agent needs no host meanwhile."""
        session = self._session
        sleeping = session.note(
            Sleeping, lambda call: Sleeping(call=call, until_ms=self._next_ms())
        )
        await session.perform(WaitForTime(session, sleeping.call, sleeping.until_ms))
        self._last_ms = sleeping.until_ms
        return datetime.fromtimestamp(sleeping.until_ms / 1000, self._cron.zone)


def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (LookupError, OSError, TypeError, ValueError):
        problem = f"there is no time zone {tz!r}"
        remedy = 'Name one as the IANA database does: "Europe/Berlin", "UTC"'
        raise Misused(problem, remedy=remedy) from None


def _misread(text: str, why: str) -> Misused:
    """Return the error that says which field of a cron text is wrong."""
    fields = text.split()
    if len(fields) not in (5, 6):
        count = f"{len(fields)} field{'s' if len(fields) != 1 else ''}"
        return Misused(f"the cron text {text!r} has {count}", remedy=SHAPE)
    names = FIELD_NAMES[-len(fields) :]
    named = why.removeprefix("Bad ")
    if named not in names:
        return Misused(f"the cron text {text!r} cannot be read: {why}", remedy=SHAPE)
    at = names.index(named)
    problem = f"field {at + 1} of the cron text {text!r}, the {named}, is wrong: {fields[at]!r}"
    return Misused(problem, remedy=_RANGES[named])


_RANGES: Final = {
    "second": "Seconds are 0 to 59, *, */5, 0-30 or 0,15",
    "minute": "Minutes are 0 to 59, *, */5, 0-30 or 0,15",
    "hour": "Hours are 0 to 23, *, */6, 9-17 or 8,20",
    "day-of-month": "Days are 1 to 31, in a month that has them, *, L (the last) or LW (the last workday)",
    "month": "Months are 1 to 12 or JAN to DEC, *, */3 or 6-8",
    "day-of-week": "Weekdays are 0 to 7 (Sunday is both) or SUN to SAT, *, 1-5 or MON-FRI, "
    "5#2 (the second Friday) or 5L (the last)",
}
