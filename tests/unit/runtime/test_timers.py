"""Time limits, schedules, conditions and places waited for, through crashes at every point of the zone."""

import asyncio
import datetime
from typing import Any

import pytest

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.cron import Cron
from sojourn.runtime.agent_side.seeking import LOOK_AGAIN_MS
from sojourn.runtime.host_side.execution import QUESTIONS_MAX, Ending, How
from sojourn.runtime.records import Found, Seeking, Sleeping, Woke
from tests.unit.runtime.custody import Zone, place
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage
from tests.unit.runtime.test_waiting import Patient


def runs(text: str, zone: Zone | None = None, points: tuple[int, ...] = ()) -> Ending:
    async def act(stage: Stage) -> Ending:
        return await stage.execute_through(points, "desk:Desk", source=desk(text))

    ending: Ending = on_stage(act, zone=zone or Zone())
    return ending


def check_everywhere(text: str, **places: Any) -> Any:
    """Run an agent to its end, with the host dead at each point of the zone; the result is always the same."""
    whole = Zone(**places)
    expected = runs(text, whole).result
    for point in range(whole.points):
        assert expected == runs(text, Zone(**places), (point,)).result, point
    return expected


# --- time limits ---------------------------------------------------------------------------------------


LIMITED = """
    class Desk(Agent):
        @step
        async def work(self, x: int) -> int:
            return x

        async def run(self, ctx) -> list:
            said = []
            try:
                async with ctx.timeout(60) as limit:
                    said.append(await self.work(1))
                    await ctx.sleep(600)
                    said.append("never")
            except TimeoutError:
                said.append(limit.has_expired)
            async with ctx.timeout(days(3)) as limit:
                said.append(await self.work(2))
                await ctx.consider()
            said.append(limit.has_expired)
            try:
                async with ctx.timeout(30) as outer:
                    async with ctx.timeout(600) as inner:
                        await ctx.receive()
            except TimeoutError:
                said += [outer.has_expired, inner.has_expired]
            return [*said, ctx.random()]
"""


class NoTime(Patient):
    """A host on which time comes to the earliest that is waited for, if nothing else is: a short one, or of two."""

    async def sleep_until(self, at_ms: int) -> None:
        zone = self.zone
        times: set[int] = zone.__dict__.setdefault("times", set())
        times.add(at_ms)
        try:
            while zone.now_ms < at_ms:
                await asyncio.sleep(0.002)
                left_ms = at_ms - zone.now_ms
                is_next = left_ms < 10_000 or (left_ms < 3_600_000 and len(times) > 1)
                if at_ms == min(times) and is_next:
                    zone.now_ms = max(zone.now_ms, at_ms)
        finally:
            times.discard(at_ms)


async def timed(stage: Stage, text: str, points: tuple[int, ...] = ()) -> Ending:
    for point in (*points, None, None, None):
        ending = await stage.execute_desk(text, custodian=NoTime(stage.zone, crash_at=point))
        if ending is not None and ending.how is not How.DEPARTED:
            return ending
    raise AssertionError("it does not end")


def ends(text: str, points: tuple[int, ...] = (), zone: Zone | None = None) -> Ending:
    ending: Ending = on_stage(lambda stage: timed(stage, text, points), zone=zone or Zone())
    return ending


def test_a_limit_cancels_its_body_at_the_same_point_wherever_the_host_dies() -> None:
    def zone() -> Zone:
        return Zone(places=(place("home", 100, current=True), place("away", 50)))

    whole = zone()
    said = ends(LIMITED, zone=whole).result
    assert [1, True, 2, False, True, False] == said[:-1]
    assert 0 < whole.record.custody.term  # it moved within a limit
    for point in range(whole.points):
        assert said == ends(LIMITED, (point,), zone()).result, point


def test_a_limit_that_another_raises_through_is_no_time_out() -> None:
    text = """
        class Desk(Agent):
            @step
            async def fail(self) -> None:
                raise TerminalError("no")

            async def run(self, ctx) -> list:
                said = []
                try:
                    async with ctx.timeout(60) as limit:
                        await self.fail()
                except StepFailed as error:
                    said += [error.message, limit.has_expired]
                other = asyncio.create_task(self.limited(ctx))
                await self.fine()
                other.cancel()
                try:
                    await other
                except asyncio.CancelledError:
                    said.append("cancelled")
                return said

            @step
            async def fine(self) -> None:
                await asyncio.sleep(0)

            async def limited(self, ctx) -> None:
                async with ctx.timeout(days(9)):
                    await ctx.receive()
    """
    assert ["no", False, "cancelled"] == ends(text).result


def test_waits_that_were_given_up_are_forgotten_by_the_host() -> None:
    """Each stayed a question under way until its time: an agent with some hundred limits was failed for it."""
    text = f"""
        class Desk(Agent):
            @step
            async def work(self, x: int) -> int:
                return x

            async def run(self, ctx) -> int:
                for n in range({QUESTIONS_MAX + 50}):
                    async with ctx.timeout(days(2)):
                        await self.work(n)
                return n
    """
    ending = on_stage(lambda stage: stage.execute_desk(text, custodian=Patient(stage.zone)))
    assert QUESTIONS_MAX + 49 == ending.result


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("ctx.sleep(float('nan'))", "ctx.sleep was given nan seconds"),
        ("ctx.sleep(float('inf'))", "ctx.sleep was given inf seconds"),
        ("ctx.sleep('long')", "ctx.sleep was given 'long' seconds"),
        ("ctx.sleep(until=5)", "ctx.sleep was given 5, which is no datetime"),
        ("ctx.receive(timeout=1e300)", "ctx.receive was given 1e+300 seconds"),
        ("ctx.timeout().__aenter__()", "ctx.timeout was given no time"),
        ("ctx.until(3)", "ctx.until was given 3, which cannot be called"),
        ("ctx.until(ctx.receive)", "the condition of ctx.until has to be awaited"),
        ("ctx.until_place(slots=-1)", "ctx.until_place was given what is no place"),
        ("ctx.until_place(models=[3])", "ctx.until_place was given what is no place"),
        ("anext(ctx.schedule('61 * * * *'))", "field 1 of the cron text '61 * * * *', the minute"),
        ("anext(ctx.schedule('* * * *'))", "the cron text '* * * *' has 4 fields"),
        ("anext(ctx.schedule('* * * * *', tz='Mars/Base'))", "there is no time zone 'Mars/Base'"),
        ("anext(ctx.schedule('* * * * *', tz='../etc'))", "there is no time zone '../etc'"),
        ("anext(ctx.schedule('* * * * *', missed='all'))", "ctx.schedule was given missed='all'"),
    ],
)
def test_bad_times_are_refused_with_what_they_were(call: str, problem: str) -> None:
    text = f"""
        class Desk(Agent):
            async def run(self, ctx) -> None:
                await {call}
    """
    ending = runs(text)
    assert ending.how is How.RAISED
    assert ending.text.startswith(f"Misused: {problem}")


def test_a_restart_point_within_a_limit_is_refused() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> None:
                async with ctx.timeout(5):
                    await ctx.restart()
    """
    ending = on_stage(lambda stage: stage.execute_desk(text, custodian=Patient(stage.zone)))
    assert "ctx.restart came while call 0: a time limit is under way" in ending.text


def test_a_sleep_may_last_for_years() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> float:
                began = ctx.now()
                await ctx.sleep(days(365) * 900)
                return (ctx.now() - began).days
    """
    assert 365 * 900 == check_everywhere(text)


# --- schedules -----------------------------------------------------------------------------------------


SCHEDULED = """
    from datetime import datetime

    class Desk(Agent):
        @step
        async def work(self, x: str) -> str:
            return x

        async def run(self, ctx, after: datetime | None = None) -> list:
            log = ctx.memory["risk"]
            schedule = ctx.schedule("30 2 * * *", tz="Europe/Berlin", missed={missed!r}, after=after)
            async for due in schedule:
                log.append(await self.work(due.isoformat()))
                if len(log) >= {count}:
                    return list(log)
                if len(log) == 2:
                    await ctx.sleep(days(2) + 60)
                if len(log) == 4:
                    await ctx.restart(after=due)
"""
EVE = int(datetime.datetime(2027, 3, 26, 12, tzinfo=datetime.UTC).timestamp() * 1000)
"""Two days before the clocks go forward in Europe: on 28 March 2027 there is no 02:30."""


def test_a_schedule_gives_what_is_due_once_and_goes_on_behind_a_restart_point() -> None:
    text = SCHEDULED.format(missed="catch-up", count=6)
    text = text.replace("= None", "= datetime.fromisoformat('2027-03-26T12:00Z')")
    said = check_everywhere(text, now_ms=EVE)
    assert [
        "2027-03-27T02:30:00+01:00",
        "2027-03-28T03:00:00+02:00",
        "2027-03-29T02:30:00+02:00",
        "2027-03-30T02:30:00+02:00",
        "2027-03-31T02:30:00+02:00",
        "2027-04-01T02:30:00+02:00",
    ] == said


def test_a_schedule_may_skip_what_was_missed() -> None:
    said = runs(SCHEDULED.format(missed="skip", count=4), Zone(now_ms=EVE)).result
    assert [27, 28, 31, 1] == [datetime.datetime.fromisoformat(each).day for each in said]


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        # 31 October 2027: the clocks go back at 03:00, and show 02:30 twice
        ("30 2 * * *", "2027-10-31T00:00+02:00", ["31T02:30:00+02:00", "01T02:30:00+01:00"]),
        ("30 2 * * *", "2027-10-31T02:10+01:00", ["01T02:30:00+01:00"]),
        ("0 * * * *", "2027-10-31T01:30+02:00", ["31T02:00:00+02:00", "31T02:00:00+01:00"]),
        ("0 * * * *", "2027-03-28T01:30+01:00", ["28T03:00:00+02:00", "28T04:00:00+02:00"]),
        ("30 2 * * *", "2027-03-28T00:00+01:00", ["28T03:00:00+02:00", "29T02:30:00+02:00"]),
        ("0 12 L * *", "2027-02-01T00:00+01:00", ["28T12:00:00+01:00", "31T12:00:00+02:00"]),
        ("0 0 29 2 *", "2027-02-01T00:00+01:00", ["29T00:00:00+01:00"]),
        ("*/20 * * * * *", "2027-02-01T00:00:01+01:00", ["01T00:00:20+01:00"]),
    ],
)
def test_daylight_saving_is_as_in_debians_cron(text: str, after: str, expected: list[str]) -> None:
    cron = Cron(text, "Europe/Berlin")
    at_ms = int(datetime.datetime.fromisoformat(after).timestamp() * 1000)
    for each in expected:
        at_ms = cron.after(at_ms)
        due = datetime.datetime.fromtimestamp(at_ms / 1000, cron.zone)
        assert each == due.isoformat()[8:]


def test_a_schedule_ends_with_the_calendar() -> None:
    with pytest.raises(Misused, match="names no time after 9999"):
        Cron("0 0 1 1 *", "UTC").after(253_402_300_000_000)


# --- conditions ----------------------------------------------------------------------------------------


CONDITIONS = """
    class Desk(Agent):
        @step
        async def work(self, x: int) -> int:
            return x

        async def fill(self, ctx) -> None:
            for n in range(5):
                ctx.memory["risk"].append(await self.work(n))

        async def run(self, ctx) -> list:
            log = ctx.memory["risk"]
            filling = asyncio.create_task(self.fill(ctx))
            said = [await ctx.until(lambda: len(log) >= 3), len(log)]
            said += [await ctx.until(lambda: len(log) >= 5, timeout=days(9)), len(log)]
            await filling
            said.append(await ctx.until(lambda: len(log) >= 6, timeout=5))
            try:
                await ctx.until(lambda: 1 / 0)
            except ZeroDivisionError:
                said.append("raised")
            return said
"""


def test_a_condition_is_looked_at_at_each_rest_and_the_same_in_every_replay() -> None:
    whole = Zone()
    said = ends(CONDITIONS, zone=whole).result
    assert [True, 3, True, 5, False, "raised"] == said
    for point in range(whole.points):
        assert said == ends(CONDITIONS, (point,)).result, point


def test_a_condition_that_nothing_can_change_is_an_error_and_no_wait() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> None:
                await ctx.until(lambda: False)
    """
    assert "run waits for something that nothing will bring" in runs(text).text


# --- places --------------------------------------------------------------------------------------------


SEEKER = """
    class Desk(Agent):
        async def run(self, ctx) -> list:
            found = await ctx.until_place(price_micros_below=80)
            said = [found.name, found.price_micros]
            said.append(await ctx.until_place("nowhere", slots=9, timeout=60))
            return said
"""


def test_a_place_is_waited_for_and_what_woke_the_agent_is_journaled() -> None:
    async def act(stage: Stage) -> Ending | None:
        stage.zone.places = (place("home", 100, current=True),)
        resting = await stage.execute_desk(SEEKER, custodian=Patient(stage.zone), rest_after_s=0)
        assert resting is not None and resting.how is How.RESTING
        assert [80] == [each.price_micros_below for each in resting.sought]
        eligibility = stage.zone.record.eligibility
        until_ms = stage.zone.now_ms + LOOK_AGAIN_MS
        assert (Status.DORMANT, (Wake(at_ms=until_ms),)) == (eligibility.status, eligibility.wake)
        stage.zone.places = (place("home", 100, current=True), place("away", 50))
        return await stage.execute_through(range(30), "desk:Desk", source=desk(SEEKER))

    zone = Zone()
    assert ["away", 50, None] == on_stage(act, zone=zone).result
    records = [r for r in journal_of(zone) if isinstance(r, Seeking | Found | Sleeping | Woke)]
    assert [Seeking, Found, Seeking, Found] == [type(record) for record in records]
