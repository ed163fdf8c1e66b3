"""A replay that parts from the journal is found out, and shown where."""

import pytest

from sojourn.runtime.host_side.execution import Ending, How
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, on_stage

STEPS = """
    class Desk(Agent):
        @step
        def a(self, x: int) -> int:
            return x

        @step
        def b(self, x: int) -> int:
            return x

        @step(effect="idempotent", action="note.send")
        def tell(self) -> None:
            outside.happen("told")

        async def run(self, ctx) -> int:
"""
FIRST = """
            await self.a(1)
            ctx.memory["risk"].append("first")
            ctx.now()
            await self.b(2)
            await self.tell()
            await self.a(3)
"""


def replayed_by(body: str, *, first: str = FIRST, crash_at: int = 6) -> Ending:
    """Run `first` until its host dies, then resume with `body` in its place."""

    async def act(stage: Stage) -> Ending | None:
        dying = FakeCustodian(stage.zone, crash_at=crash_at)
        assert await stage.execute_desk(STEPS + first, custodian=dying) is None
        outside.forget()
        points = stage.zone.points
        ending = await stage.execute_desk(STEPS + body)
        if ending is not None and ending.how is How.DIVERGED:
            assert stage.zone.points == points, "a mismatch changes nothing"
            assert outside.effects == []
        return ending

    ending = on_stage(act)
    assert ending is not None
    return ending


def test_the_same_code_goes_on() -> None:
    assert replayed_by(FIRST).how is How.RETURNED


@pytest.mark.parametrize(
    ("changed", "journal", "code"),
    [
        (
            FIRST.replace("self.a(1)", "self.b(1)"),
            "outcome of call 0: step a(",
            "call 0: step b(",
        ),
        (
            FIRST.replace("self.b(2)", "self.b(7)"),
            "outcome of call 2: step b(",
            "call 2: step b(",
        ),
        (FIRST.replace("ctx.now()", "pass"), "now of call 1", "call 1: step b("),
        (FIRST.replace("ctx.now()", "ctx.log('x')"), "now of call 1", "log of call 1"),
        (FIRST.replace("await self.b(2)", "return 0"), "outcome of call 2", "run returned"),
        (FIRST.replace("await self.b(2)", "1 / 0"), "outcome of call 2", "run raised ZeroDivision"),
        (
            FIRST.replace("await self.b(2)", "await asyncio.Event().wait()"),
            "outcome of call 2",
            "nothing is under way",
        ),
        (FIRST.replace('"first"', '"other"'), "nothing more", "another content of memory: risk"),
        (
            FIRST.replace("await self.tell()", "await self.tell(); ctx.now()"),
            "nothing more",
            "now of call 4",
        ),
    ],
    ids=["step", "arguments", "left-out", "kind", "returned", "raised", "stuck", "memory", "more"],
)
def test_a_mismatch_shows_both_histories(changed: str, journal: str, code: str) -> None:
    assert changed != FIRST
    ending = replayed_by(changed)
    assert ending.how is How.DIVERGED
    shown = {line[2:9].strip(): line[11:] for line in ending.text.splitlines() if line[:2] == "  "}
    assert shown["journal"].startswith(journal)
    assert shown["code"].startswith(code)


def test_code_that_swallows_the_mismatch_is_found_out_all_the_same() -> None:
    swallowing = """
            await self.a(1)
            ctx.memory["risk"].append("first")
            try:
                ctx.log("not now")
            except Exception:
                pass
            await self.b(2)
            await self.tell()
            await self.a(3)
"""
    ending = replayed_by(swallowing)
    assert ending.how is How.DIVERGED


def test_a_loop_that_is_gone_or_new_is_a_mismatch() -> None:
    looping = """
            await self.a(0)
            async for turn in ctx.turns(range(3)):
                await self.tell()
"""
    straight = """
            await self.a(0)
            for turn in range(3):
                await self.tell()
"""
    gone = replayed_by(straight, first=looping)
    assert gone.how is How.DIVERGED
    assert "journal  loop 0" in gone.text
    assert "code     call 1: step tell(" in gone.text
    new = replayed_by(looping, first=straight)
    assert new.how is How.DIVERGED
    assert "journal  intent of call 1: step tell(" in new.text
    assert "code     call 1: turn 0 of loop 0" in new.text


def test_a_shorter_iterable_is_a_mismatch() -> None:
    looping = """
            async for turn in ctx.turns(range({n})):
                await self.tell()
"""
    ending = replayed_by(looping.format(n=0), first=looping.format(n=5), crash_at=8)
    assert ending.how is How.DIVERGED
    assert "code     loop 0 with fewer items" in ending.text


def test_an_agent_that_diverged_goes_on_once_the_right_code_is_back() -> None:
    async def act(stage: Stage) -> list[How]:
        await stage.execute_desk(STEPS + FIRST, custodian=FakeCustodian(stage.zone, crash_at=6))
        wrong = await stage.execute_desk(STEPS + FIRST.replace("a(1)", "a(9)"))
        right = await stage.execute_desk(STEPS + FIRST)
        assert wrong is not None
        assert right is not None
        return [wrong.how, right.how]

    assert on_stage(act, zone=Zone()) == [How.DIVERGED, How.RETURNED]
