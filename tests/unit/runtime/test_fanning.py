"""Many calls at once: bounded, in order, the first of them; through crashes at every point of the zone."""

import pytest

from sojourn.runtime.host_side.execution import How
from sojourn.runtime.records import Outcome
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.executing import journal_of
from tests.unit.runtime.test_timers import check_everywhere, runs

FANNED = """
    class Desk(Agent):
        under_way = 0
        most = 0

        @step
        async def work(self, x: int) -> int:
            Desk.under_way += 1
            Desk.most = max(Desk.most, Desk.under_way)
            for _ in range(3 + x % 3):
                await asyncio.sleep(0)
            Desk.under_way -= 1
            return x * x

        @step(attempts=1)
        async def fail(self, x: int) -> int:
            if x % 4 == 3:
                raise TerminalError(f"no {x}")
            return x

        @step
        async def see(self) -> int:
            return Desk.most

        async def hang(self, ctx) -> None:
            try:
                await ctx.receive()
            finally:
                self.said.append("hung up")

        async def run(self, ctx) -> list:
            self.said = []
            Desk.most = Desk.under_way = 0
            self.said.append(await ctx.map(self.work, range(10), at_once=3))
            self.said.append(await self.see() <= 3)
            came = await ctx.map(self.fail, range(5), failures="collect")
            self.said.append([str(each) if isinstance(each, Exception) else each for each in came])
            try:
                await ctx.map(self.fail, range(100), at_once=2)
            except StepFailed as error:
                self.said.append(error.message)
            self.said.append(await ctx.race(self.hang(ctx), self.work(7)))
            try:
                await ctx.race(self.hang(ctx), self.fail(3))
            except StepFailed as error:
                self.said.append(error.message)
            self.said.append(await ctx.map(self.work, []))
            return [*self.said, ctx.random()]
"""


def test_many_calls_come_out_the_same_wherever_the_host_dies() -> None:
    said = check_everywhere(FANNED)
    assert [
        [n * n for n in range(10)],
        True,
        [0, 1, 2, "step 'fail' failed after 1 attempts: TerminalError: no 3", 4],
        "no 3",
        "hung up",
        49,
        "hung up",
        "no 3",
        [],
    ] == said[:-1]


def test_the_first_failure_lets_nothing_more_begin() -> None:
    zone = Zone()
    runs(FANNED, zone)
    failing = [r for r in journal_of(zone) if isinstance(r, Outcome) and r.step == "fail"]
    assert len(failing) <= 5 + 6 + 1


QUEUED = """
    class Desk(Agent):
        @step
        async def work(self, x: int) -> int:
            return x

        async def pass_through(self, ctx, queue, x: int) -> int:
            async with queue:
                self.inside.append(x)
                await self.work(x)
                self.most = max(self.most, len(self.inside) - len(self.left))
                self.left.append(x)
                return x

        async def run(self, ctx) -> list:
            self.inside, self.left, self.most = [], [], 0
            queue = ctx.queue(2)
            tasks = [asyncio.create_task(self.pass_through(ctx, queue, n)) for n in range(6)]
            await self.work(9)
            tasks[4].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            said = [list(self.inside), self.most]
            self.inside, self.left = [], []
            slow = ctx.queue(6, rate=2, per=60)
            began = ctx.now()
            await ctx.map(lambda n: self.pass_through(ctx, slow, n), range(5))
            said += [list(self.inside), (ctx.now() - began).total_seconds()]
            return said
"""


def test_a_queue_lets_in_so_many_at_once_and_in_a_while_in_their_order() -> None:
    inside, most, slow, took = runs(QUEUED).result
    assert [0, 1, 2, 3, 5] == inside
    assert 2 == most
    assert ([0, 1, 2, 3, 4], 120) == (slow, took)


def test_a_queue_comes_out_the_same_wherever_the_host_dies() -> None:
    """How long it took may be longer: its host has died meanwhile."""
    whole = Zone()
    expected = runs(QUEUED, whole).result[:3]
    for point in range(whole.points):
        assert expected == runs(QUEUED, Zone(), (point,)).result[:3], point


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("ctx.map(self.run, [1], at_once=0)", "ctx.map was given at_once=0"),
        ("ctx.map(self.run, [1], at_once=201)", "ctx.map was given at_once=201"),
        ("ctx.map(3, [1])", "ctx.map was given 3, which cannot be called"),
        ("ctx.map(self.run, [1], failures='drop')", "ctx.map was given failures='drop'"),
        ("ctx.race()", "ctx.race was given nothing to await"),
        ("ctx.queue(True).__aenter__()", "ctx.queue was given at_once=True"),
        ("ctx.queue(rate=0).__aenter__()", "ctx.queue was given rate=0"),
        ("ctx.queue(rate=1, per='x').__aenter__()", "ctx.queue was given 'x' seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_it_was(call: str, problem: str) -> None:
    text = f"""
        class Desk(Agent):
            async def run(self, ctx) -> None:
                await {call}
    """
    ending = runs(text)
    assert ending.how is How.RAISED
    assert ending.text.startswith(f"Misused: {problem}")
