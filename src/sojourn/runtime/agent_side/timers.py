"""What `ctx` offers that has to do with time: sleep, time limits, schedules, conditions and places waited for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.cron import Cron, Missed, Schedule
from sojourn.runtime.agent_side.operations import WaitForTime
from sojourn.runtime.agent_side.seeking import WaitForPlace
from sojourn.runtime.agent_side.timing import Timeout, deadline
from sojourn.runtime.ports import Assessment
from sojourn.runtime.records import Seeking, Sleeping
from sojourn.runtime.sought import MODELS_MAX, NAME_CHARS_MAX, Sought

if TYPE_CHECKING:
    from sojourn.runtime.agent_side.session import Session

__all__ = ["Timers"]


class Timers:
    """The part of a context that waits for time, and for what time brings."""

    _session: "Session"

    async def sleep(self, seconds: float = 0.0, *, until: datetime | None = None) -> None:
        """Sleep for so many seconds, a thousand years at most, or until a time (with a time zone).

        The agent needs no host meanwhile. Raises `Misused` for a time without zone, and for no number of seconds.
        """
        session = self._session
        ends = deadline(session, None if until is not None else seconds, until, what="ctx.sleep")
        sleeping = session.note(Sleeping, lambda call: Sleeping(call=call, until_ms=ends()))
        await session.perform(WaitForTime(session, sleeping.call, sleeping.until_ms))

    def timeout(self, seconds: float | None = None, *, until: datetime | None = None) -> Timeout:
        """Return a time limit: `async with ctx.timeout(60) as limit`, by the time that passes, wherever the agent is.

        When it is over the body is cancelled, and `TimeoutError` raised from the block, at the same point in every
        replay; `limit.has_expired` tells, `limit.at` says when. A step with an effect that is cancelled may have had
        it all the same. No restart point may lie within. Raises `Misused` as `ctx.sleep`.
        """
        return Timeout(self._session, deadline(self._session, seconds, until, what="ctx.timeout"))

    def schedule(
        self,
        cron: str,
        *,
        tz: str = "UTC",
        missed: Missed = "skip",
        after: datetime | None = None,
    ) -> Schedule:
        """Return the times that a cron text names, as they come: `async for due in ctx.schedule("0 9 * * *")`.

        `cron` has the fields minute, hour, day of month, month and day of week, or the second before them; `tz` is a
        zone of the IANA database. It begins after `after`, or now. The time that the agent sleeps until is given
        however late it wakes. Those that pass meanwhile are passed over (`missed="skip"`), or given one by one
        (`"catch-up"`). To go on behind a restart point: `await ctx.restart(after=due)`.

        Raises `Misused` that says which field is wrong, and for a zone that is unknown.
        """
        self._session.check_in_run()
        return Schedule(self._session, Cron(cron, tz), missed, after)

    async def until(
        self,
        holds: Callable[[], object],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (durable: it is not asyncio's to keep)
    ) -> bool:
        """Wait until `holds()` is true: a plain function of memory and variables, which other tasks of `run` change.

        It is looked at whenever the code comes to rest, and changes nothing. Returns False when `timeout` seconds are
        over. Raises what it raises, and `Misused` for what is no condition.
        """
        session = self._session
        session.check_in_run()
        if timeout is None:
            await session.loop.conditions.wait(holds)
            return True
        limit = self.timeout(timeout)
        try:
            async with limit:
                await session.loop.conditions.wait(holds)
        except TimeoutError:
            if not limit.has_expired:
                raise
            return False
        return True

    async def until_place(
        self,
        zone: str = "",
        *,
        price_micros_below: int | None = None,
        slots: int = 1,
        cpu_millis: int = 0,
        memory_mib: int = 0,
        gpus: int = 0,
        models: Sequence[str] = (),
        is_any: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Assessment | None:
        """Wait until a place is known that is as cheap, and has as much free, as this says; return the cheapest.

        `zone` names it, "" is any; the price is per hour, in millionths of the currency unit. It is one where the
        agent is eligible, unless `is_any`. The host judges the places it knows when it hears news of them; the agent
        needs none meanwhile. Returns None when `timeout` seconds are over. To go there: `ctx.consider`.
        """
        session = self._session
        try:
            sought = Sought(
                zone=zone,
                price_micros_below=price_micros_below,
                slots=slots,
                cpu_millis=cpu_millis,
                memory_mib=memory_mib,
                gpus=gpus,
                models=tuple(models),
                is_any=is_any,
            )
            _check(sought)
        except (TypeError, ValueError) as error:
            raise Misused(
                f"ctx.until_place was given what is no place: {error}",
                remedy="Give it a zone's name, whole numbers from 0 up, and names of models",
            ) from None
        ends = None if timeout is None else deadline(session, timeout, None, what="ctx.until_place")

        def opening(call: int) -> Seeking:
            return Seeking(call=call, sought=sought, until_ms=None if ends is None else ends())

        noted = session.note(Seeking, opening)
        operation = WaitForPlace(session, noted.call, noted.sought, noted.until_ms)
        found: Assessment | None = await session.perform(operation)
        return found


def _check(sought: Sought) -> None:
    """Raise `ValueError` for what is not of its type, or below 0: a line to the host would refuse it."""
    amounts = (sought.slots, sought.cpu_millis, sought.memory_mib, sought.gpus)
    for amount in (*amounts, sought.price_micros_below or 0):
        if type(amount) is not int or not 0 <= amount < 2**63:
            raise ValueError(f"{amount!r} is no amount")
    for name in (sought.zone, *sought.models):
        if type(name) is not str or len(name) > NAME_CHARS_MAX:
            raise ValueError(f"{name!r:.80} is no name")
    if len(sought.models) > MODELS_MAX or not all(sought.models):
        raise ValueError(f"{len(sought.models)} models, some without a name perhaps")
