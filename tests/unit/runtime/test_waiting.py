"""Waiting: sleep, messages, time and chance; and the rest that an agent takes meanwhile."""

import asyncio

import pytest

from sojourn.core.agent.eligibility import Status, Wake
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Sleeping, Woke
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage

LISTENER = """
    class Desk(Agent):
        @step
        def work(self, x: int) -> int:
            return x

        async def run(self, ctx) -> list:
            heard = []
            while True:
                message = await ctx.receive(timeout={timeout})
                if message is None or message.body == b"end":
                    return heard
                heard.append([message.index, message.sender, message.body])
                await self.work(1)
"""


class Patient(FakeCustodian):
    """A host on which time does not pass by itself."""

    async def sleep_until(self, at_ms: int) -> None:
        if self.zone.now_ms < at_ms:
            await asyncio.Event().wait()


def test_sleeping_lets_time_pass_and_is_journaled() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> list:
                began = ctx.now()
                await ctx.sleep(hours(2))
                await ctx.sleep(until=ctx.now() + __import__("datetime").timedelta(days=1))
                return (ctx.now() - began).total_seconds()
    """
    zone = Zone()
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert ending.result == 26 * 3600
    assert [type(r) for r in journal_of(zone)[2:4]] == [Sleeping, Woke]


def test_a_time_without_zone_is_refused() -> None:
    text = """
        from datetime import datetime

        class Desk(Agent):
            async def run(self, ctx) -> None:
                await ctx.sleep(until=datetime(2030, 1, 1))
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending.text.startswith("Misused: ctx.sleep was given 2030-01-01T00:00:00")


def test_a_sleep_goes_on_to_the_same_time_after_a_crash() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> None:
                await ctx.sleep(60)
    """

    async def act(stage: Stage) -> int:
        began_ms = stage.zone.now_ms
        first = Patient(stage.zone, crash_at=1)
        assert await stage.execute_desk(text, custodian=first) is None
        stage.zone.now_ms += 50_000
        await stage.execute_desk(text)
        return stage.zone.now_ms - began_ms

    assert on_stage(act) == 60_000


def test_messages_are_consumed_once_and_in_order_through_crashes() -> None:
    async def act(stage: Stage) -> Ending:
        for body in (b"a", {"b": [1.5, None]}, b"end", b"too late"):
            stage.zone.send(body)
        return await stage.execute_through(
            range(40), "desk:Desk", source=desk(LISTENER.format(timeout=None))
        )

    zone = Zone()
    ending = on_stage(act, zone=zone)
    assert ending.result == [[0, "tester", b"a"], [1, "tester", {"b": [1.5, None]}]]
    assert zone.drafts[-1].inbox == 3


def test_a_message_that_no_journal_holds_is_an_error_and_no_silence() -> None:
    zone = Zone()
    zone.send(b"x" * 600_000)
    ending = on_stage(lambda stage: stage.execute_desk(LISTENER.format(timeout=None)), zone=zone)
    assert ending.how is How.RAISED
    assert ending.text.startswith("Misused: call 0: receive has 600")


def test_a_receive_ends_when_its_time_is_up() -> None:
    ending = on_stage(lambda stage: stage.execute_desk(LISTENER.format(timeout=30)))
    assert ending.result == []


def test_one_receive_at_a_time() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> None:
                await asyncio.gather(ctx.receive(), ctx.receive())
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending.text.startswith("Misused: ctx.receive came while another is under way")


@pytest.mark.parametrize(
    ("call", "wake"),
    [
        ("ctx.sleep(3600)", Wake(at_ms=1_800_003_600_000)),
        ("ctx.receive()", Wake(on_message=True)),
        ("ctx.receive(timeout=60)", Wake(at_ms=1_800_000_060_000, on_message=True)),
        (
            "asyncio.gather(ctx.receive(timeout=60), ctx.sleep(30))",
            Wake(at_ms=1_800_000_030_000, on_message=True),
        ),
    ],
)
def test_an_agent_that_only_waits_rests_and_says_what_wakes_it(call: str, wake: Wake) -> None:
    text = f"""
        class Desk(Agent):
            @step
            def work(self) -> None:
                pass

            async def run(self, ctx) -> str:
                await {call}
                await self.work()
                return "awake"
    """

    async def act(stage: Stage) -> Ending | None:
        resting = await stage.execute_desk(text, custodian=Patient(stage.zone), rest_after_s=0)
        assert resting is not None
        assert resting.how is How.RESTING
        eligibility = stage.zone.record.eligibility
        assert (eligibility.status, eligibility.wake) == (Status.DORMANT, (wake,))
        stage.zone.send(b"wake")
        return await stage.execute_desk(text)

    zone = Zone()
    assert on_stage(act, zone=zone).result == "awake"
    assert zone.record.eligibility.status is Status.DORMANT  # it has finished
    assert zone.record.eligibility.wake == ()


def test_an_agent_that_works_does_not_rest() -> None:
    text = """
        class Desk(Agent):
            @step
            async def work(self) -> None:
                for _ in range(50):
                    await asyncio.sleep(0)

            async def run(self, ctx) -> str:
                await asyncio.gather(ctx.receive(timeout=5), self.work())
                return "done"
    """
    ending = on_stage(lambda stage: stage.execute_desk(text, rest_after_s=60.0))
    assert ending.result == "done"


def test_an_agent_is_active_again_before_it_has_an_effect() -> None:
    text = """
        class Desk(Agent):
            @step(effect="once", action="order.place")
            def order(self) -> str:
                return "placed"

            async def run(self, ctx) -> str:
                await ctx.sleep(3600)
                return await self.order()
    """

    async def act(stage: Stage) -> Ending | None:
        await stage.execute_desk(text, custodian=Patient(stage.zone), rest_after_s=0)
        return await stage.execute_desk(text)

    assert on_stage(act).result == "placed"  # `Zone.intend` asserts the status


def test_waiting_for_what_nothing_brings_is_an_error_and_no_wait() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> None:
                await asyncio.Event().wait()
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending.how is How.RAISED
    assert "run waits for something that nothing will bring" in ending.text


def test_chance_is_the_same_in_every_replay_and_differs_everywhere_else() -> None:
    text = """
        class Desk(Agent):
            @step
            def work(self, x):
                return x

            async def run(self, ctx, again: bool = True) -> list:
                async for turn in ctx.turns(range(3)):
                    drawn = [ctx.random(), ctx.random(), str(ctx.uuid())]
                    ctx.memory["risk"].extend(drawn)
                    await self.work(drawn)
                if again:
                    await ctx.restart(False)
                return list(ctx.memory["risk"])
    """

    async def act(stage: Stage) -> Ending:
        return await stage.execute_through(range(60), "desk:Desk", source=desk(text))

    drawn = on_stage(act).result
    assert len(drawn) == len(set(drawn)) == 18
    assert all(0 <= value < 1 for value in drawn if isinstance(value, float))
