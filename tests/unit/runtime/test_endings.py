"""How an execution ends, what is recorded of it, and what comes after."""

import asyncio

import pytest
from msgspec.structs import replace

from sojourn.core.agent.eligibility import Status
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.errors import Failed, Rejected, StoreFailed
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Draft
from sojourn.runtime.records import Raised, Returned
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage

RETURNING = """
    class Desk(Agent):
        @step
        def work(self, x: int) -> int:
            return x

        async def run(self, ctx, *numbers: int, more: int = 0) -> dict:
            return {"sum": await self.work(sum(numbers) + more)}
"""
FAILING = """
    class Desk(Agent):
        @step
        def work(self) -> int:
            return 1

        async def run(self, ctx) -> None:
            await self.work()
            raise ValueError("it went wrong")
"""


def test_what_run_returns_is_recorded_and_the_agent_is_dormant_for_good() -> None:
    async def act(stage: Stage) -> list[Ending | None]:
        first = await stage.execute_desk(RETURNING, 1, 2, more=4)
        points = stage.zone.points
        again = await stage.execute_desk(RETURNING)
        assert stage.zone.points == points
        return [first, again]

    zone = Zone()
    assert on_stage(act, zone=zone) == [Ending(how=How.RETURNED, result={"sum": 7})] * 2
    assert journal_of(zone)[-1] == Returned(result={"sum": 7})
    assert zone.record.eligibility.status is Status.DORMANT
    assert zone.record.eligibility.wake == ()


def test_what_run_raises_is_recorded_and_the_agent_is_dormant_for_good() -> None:
    async def act(stage: Stage) -> list[Ending | None]:
        return [await stage.execute_desk(FAILING), await stage.execute_desk(FAILING)]

    zone = Zone()
    raised = Ending(how=How.RAISED, text="ValueError: it went wrong")
    assert on_stage(act, zone=zone) == [raised, raised]
    record = journal_of(zone)[-1]
    assert isinstance(record, Raised)
    assert record.failure.trace.endswith('in run: raise ValueError("it went wrong")')
    assert zone.record.eligibility.status is Status.DORMANT


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("raise TerminalError('enough')", "TerminalError: enough"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("asyncio.current_task().cancel(); await asyncio.sleep(0)", "CancelledError: run was"),
        ("return object()", "Misused: the result of run cannot be kept"),
        ("return 'x' * 600_000", "Misused: the result of run has 600"),
        ("return float('inf')", "Misused: the result of run cannot be kept"),
        ("ctx.log('x', field=object())", "Misused: a field of ctx.log cannot be kept"),
        ("await ctx.restart(1, 2)", "Misused: run cannot begin: too many positional arguments"),
        ("await ctx.restart('x')", "Misused: argument 'number' of run is no int"),
        ("[ctx.log('x') for _ in range(2000)]", "Misused: run made 1024 journal records"),
    ],
)
def test_whatever_run_does_wrong_ends_it_with_a_reason(body: str, text: str) -> None:
    ending = on_stage(
        lambda stage: stage.execute_desk(f"""
            class Desk(Agent):
                async def run(self, ctx, number: int = 0):
                    {body}
        """)
    )
    assert ending.how is How.RAISED
    assert ending.text.startswith(text)


def test_an_agent_that_cannot_be_made_fails() -> None:
    text = """
        class Desk(Agent):
            def __init__(self):
                raise OSError("no")

            async def run(self, ctx):
                pass
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending == Ending(how=How.RAISED, text="OSError: no")


def test_more_memory_at_once_than_a_commit_takes_fails_the_agent_on_top_of_what_is_final() -> None:
    text = """
        import random

        class Desk(Agent):
            @step
            def work(self) -> int:
                return 1

            async def run(self, ctx):
                ctx.memory["risk"].append("kept")
                await self.work()
                await ctx.sleep(1)
                for i in range(70):
                    ctx.memory["book"][str(i)] = random.Random(i).randbytes(1_000_000)
                await self.work()
    """
    zone = Zone()
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert ending.how is How.RAISED
    assert "bytes of memory at once, more than 67108864" in ending.text
    assert zone.record.memory.compartments["book"].root == ZERO
    assert zone.record.memory.compartments["risk"].root != ZERO


class Broken(FakeCustodian):
    """A host whose store fails."""

    async def commit(self, draft: Draft) -> None:  # type: ignore[override]
        raise StoreFailed("the disk is full")


def test_what_breaks_the_host_reaches_the_host() -> None:
    async def act(stage: Stage) -> None:
        with pytest.raises(StoreFailed, match="the disk is full"):
            await stage.execute_desk(RETURNING, custodian=Broken(stage.zone))

    on_stage(act)


def test_a_block_that_nobody_has_is_the_worlds_fault_and_not_recorded() -> None:
    async def act(stage: Stage) -> None:
        await stage.execute("pacer:Turner", 100, custodian=FakeCustodian(stage.zone, crash_at=5))
        root = stage.zone.record.memory.compartments["risk"].root
        held = stage.zone.stored.pop(root)
        points = stage.zone.points
        with pytest.raises(Failed, match="is not at hand"):
            await stage.execute("pacer:Turner")
        assert stage.zone.points == points
        stage.zone.stored[root] = held
        ending = await stage.execute("pacer:Turner")
        assert ending is not None
        assert ending.result == 100

    on_stage(act)


def test_a_journal_of_another_format_is_refused_by_name() -> None:
    block = encode_block({"kind": "journal/9", "log": None, "resume": {}})
    zone = Zone(stored={digest(block): block})
    zone.record = replace(zone.record, memory=replace(zone.record.memory, journal=digest(block)))

    async def act(stage: Stage) -> None:
        with pytest.raises(Rejected, match="unknown-version: the journal has format 'journal/9'"):
            await stage.execute_desk(RETURNING)

    on_stage(act, zone=zone)


def test_a_stopped_execution_lets_finally_run_and_commits_nothing_more() -> None:
    text = """
        class Desk(Agent):
            @step
            async def hang(self) -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    outside.happen("step unwound")

            async def run(self, ctx):
                try:
                    await self.hang()
                finally:
                    outside.happen("run unwound")
                    ctx.memory["risk"].append(1)
    """

    async def act(stage: Stage) -> None:
        outside.forget()
        running = asyncio.create_task(stage.execute_desk(text))
        await stage.zone.until(lambda: bool(stage.zone.drafts))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert sorted(outside.effects) == ["run unwound", "step unwound"]
        assert len(stage.zone.drafts) == 1

    on_stage(act)
