"""Replaying an agent with no host: verified, to a record, with other code, and with nothing done."""

import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from sojourn.core.agent.memory.blocks import MissingBlock
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.code import load_agent
from sojourn.runtime.host_side.execution import How
from sojourn.runtime.host_side.retracing import Retraced, retrace
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian
from tests.unit.runtime.executing import Stage, desk, on_stage

STEPS = """
    class Desk(Agent):
        @step
        def a(self, x: int) -> int:
            outside.happen("a")
            return x

        @step
        def b(self, x: int) -> int:
            return x

        @step(effect="idempotent", action="note.send")
        def tell(self) -> None:
            outside.happen("told")

        async def run(self, ctx) -> int:
"""
BODY = """
            await self.a(1)
            ctx.memory["risk"].append("first")
            ctx.now()
            await self.b(2)
            await self.tell()
            return await self.a(3)
"""
OTHERWISE = BODY.replace("return await self.a(3)", "return 5 + await self.a(3)")
LOOP = """
            await self.a(0)
            async for turn in ctx.turns(range(4)):
                ctx.memory["risk"].append(str(turn))
                await self.tell()
                await self.a(turn)
"""


def retraced(
    body: str,
    *,
    other: str | None = None,
    renamed: str = STEPS,
    crash_at: int | None = 6,
    **options: Any,
) -> tuple[Retraced, list[Any]]:
    """Run a body until its host dies, or to its end, and retrace what it left; return what was done meanwhile."""

    async def act(stage: Stage) -> tuple[Retraced, list[Any]]:
        if crash_at is None:
            ending = await stage.execute_desk(STEPS + body)
            assert ending is not None and ending.how in (How.RETURNED, How.RAISED)
        else:
            dying = FakeCustodian(stage.zone, crash_at=crash_at)
            assert await stage.execute_desk(STEPS + body, custodian=dying) is None
        outside.forget()
        points, stored = stage.zone.points, dict(stage.zone.stored)
        source: Mapping[str, bytes] = desk(renamed + (other or body))
        done = await retrace(FakeCustodian(stage.zone), load_agent("desk:Desk", source), **options)
        assert (points, stored) == (stage.zone.points, stage.zone.stored), "nothing was recorded"
        return done, list(outside.effects)

    found: tuple[Retraced, list[Any]] = on_stage(act)
    return found


@pytest.mark.parametrize("body", [BODY, LOOP])
@pytest.mark.parametrize("crash_at", [1, 3, 4, 6, None])
def test_the_same_code_repeats_its_journal_and_nothing_is_done(
    body: str, crash_at: int | None
) -> None:
    done, effects = retraced(body, crash_at=crash_at)
    assert (True, "") == (done.is_whole, done.parted)
    assert [] == effects


def test_a_run_that_failed_repeats_how() -> None:
    done, _ = retraced(
        BODY.replace("return await self.a(3)", "raise ValueError('no')"), crash_at=None
    )
    assert (True, "run raised ValueError: no") == (done.is_whole, done.doing)


def test_an_end_that_is_another_is_found_out() -> None:
    done, _ = retraced(
        BODY,
        other=BODY.replace("return await self.a(3)", "return 5 + await self.a(3)"),
        crash_at=None,
    )
    assert not done.is_whole
    assert "code     run returned" in done.parted


def test_it_ends_before_the_record_that_is_named() -> None:
    whole, _ = retraced(BODY)
    for until in range(whole.start, whole.stop):
        done, effects = retraced(BODY, until=until)
        assert (False, "", until) == (done.is_whole, done.parted, done.stop)
        assert until - whole.start == done.replayed
        assert [] == effects
    first, _ = retraced(BODY, until=whole.start)
    assert first.doing.startswith("call 0: step a(")


def test_a_record_that_is_no_part_of_the_replay_is_refused() -> None:
    with pytest.raises(Misused, match="not to 1000"):
        retraced(BODY, until=1000)


def test_a_step_whose_name_changed_is_named_and_so_is_what_the_journal_goes_on_with() -> None:
    renamed = STEPS.replace("def b(", "def c(")
    done, effects = retraced(BODY, other=BODY.replace("self.b(2)", "self.c(2)"), renamed=renamed)
    assert (False, []) == (done.is_whole, effects)
    lines = [line.strip() for line in done.parted.splitlines()]
    assert any(line.startswith("journal  outcome of call 2: step b(") for line in lines)
    assert any(line.startswith("then     intent of call 3: step tell(") for line in lines)
    assert any(line.startswith("code     call 2: step c(") for line in lines)
    named = "differs  the step's name: 'b' in the journal, 'c' in the code, with the same arguments"
    assert lines[-1].startswith(named)


def test_arguments_that_differ_are_said_to() -> None:
    done, _ = retraced(BODY, other=BODY.replace("self.b(2)", "self.b(3)"))
    assert "differs  the arguments of step 'b'" in done.parted


def test_memory_that_is_not_at_hand_is_fetched_and_the_same_done_again() -> None:
    """As of a version that is read from anchors: only the journal is at hand when the code begins."""

    async def act(stage: Stage, lost: bytes = b"") -> tuple[Retraced, list[bytes]]:
        dying = FakeCustodian(stage.zone, crash_at=14)
        assert await stage.execute_desk(STEPS + LOOP, custodian=dying) is None
        cold = FakeCustodian(stage.zone, is_cold=True)
        stage.zone.stored.pop(lost, None)
        return await retrace(cold, load_agent("desk:Desk", desk(STEPS + LOOP))), cold.fetched

    done, fetched = on_stage(act)
    assert (True, "") == (done.is_whole, done.parted)
    assert len(fetched) == len(set(fetched))
    with pytest.raises(MissingBlock):
        on_stage(lambda stage: act(stage, lost=fetched[-1]))


def test_the_debugger_takes_over_at_the_last_record() -> None:
    at: list[str] = []
    retraced(BODY, until=3, halt=lambda: at.append("now"))
    assert ["now"] == at


STREAM = """
            def pieces():
                for number in range(32 * 16):  # no chunk twice
                    yield number.to_bytes(4) * 2**14
            await ctx.memory.blobs("book").stream("large", pieces())
            return len(ctx.memory.blobs("book")["large"].read(2**25 - 5)) + await self.a(3)
"""


def test_what_a_replay_makes_anew_is_not_held_in_memory() -> None:
    peaks: list[int] = []

    async def act(stage: Stage) -> Retraced:
        ending = await stage.execute_desk(STEPS + STREAM)
        assert ending is not None and ending.result == 5 + 3, ending
        form = load_agent("desk:Desk", desk(STEPS + STREAM))
        tracemalloc.start()
        try:
            return await retrace(FakeCustodian(stage.zone), form)
        finally:
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    assert on_stage(act).is_whole
    assert peaks[0] < 2**24, "of 32 MiB"
