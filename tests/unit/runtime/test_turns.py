"""Restart points: `ctx.turns` and `ctx.restart`. A resume costs what happened since the last one."""

from collections.abc import Iterator

import pytest

from sojourn.core.agent.memory.blocks import load_block
from sojourn.core.base.limits import RUN_AHEAD_RECORDS
from sojourn.runtime.agent_side import batch, course
from sojourn.runtime.host_side.execution import Ending, How
from tests.unit.runtime import outside
from tests.unit.runtime.custody import Blocks, FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage


@pytest.fixture(autouse=True)
def every_record_a_batch() -> Iterator[None]:
    outside.forget()
    batch.RUN_AHEAD_RECORDS = 1  # type: ignore[misc]
    yield
    batch.RUN_AHEAD_RECORDS = RUN_AHEAD_RECORDS  # type: ignore[misc]


def resumed(text: str, crash_at: int, *args: object) -> tuple[Ending, list[str]]:
    """Run an agent until its host dies, forget what happened outside, resume it; return what then happened."""

    async def act(stage: Stage) -> Ending | None:
        dying = FakeCustodian(stage.zone, crash_at=crash_at)
        assert await stage.execute_desk(text, *args, custodian=dying) is None
        outside.forget()
        return await stage.execute_desk(text)

    ending = on_stage(act)
    return ending, list(outside.effects)


LOOP = """
    class Desk(Agent):
        @step
        def work(self, x: int) -> int:
            outside.happen(f"work {x}")
            return x

        async def run(self, ctx) -> list:
            outside.happen("before")
            first = await self.work(100)
            async for turn in ctx.turns(range(4)):
                outside.happen(f"turn {turn}")
                ctx.memory["risk"].append(await self.work(turn))
            outside.happen("behind")
            await self.work(200)
            return [first, *ctx.memory["risk"]]
"""


def test_a_resume_runs_the_code_before_the_loop_and_then_the_turn() -> None:
    # began, work 100, then turn and work for each of the turns 0 and 1, and turn 2: seven batches
    ending, happened = resumed(LOOP, 13)
    assert happened == [
        "before",
        *("turn 2", "work 2", "turn 3", "work 3"),
        *("behind", "work 200"),
    ]
    assert ending.result == [100, 0, 1, 2, 3]


def test_a_finished_loop_is_passed_over() -> None:
    ending, happened = resumed(LOOP, 21)
    assert happened == ["before", "behind", "work 200"]
    assert ending.result == [100, 0, 1, 2, 3]


def test_a_sequence_goes_on_by_index_and_a_generator_item_by_item() -> None:
    text = """
        class Items(list):
            def __getitem__(self, index):
                outside.happen(f"item {index}")
                return super().__getitem__(index)

        def generated():
            for i in range(3):
                outside.happen(f"generated {i}")
                yield i

        class Desk(Agent):
            @step
            def work(self, x: int) -> int:
                return x

            async def run(self, ctx, kind: str) -> None:
                async for item in ctx.turns(Items(range(3)) if kind == "list" else generated()):
                    await self.work(item)
    """
    assert resumed(text, 11, "list")[1] == ["item 2"]
    assert resumed(text, 11, "generator")[1] == ["generated 0", "generated 1", "generated 2"]


def test_a_loop_inside_a_turn_has_no_restart_points() -> None:
    text = """
        class Desk(Agent):
            @step
            def work(self, x: int) -> int:
                outside.happen(f"work {x}")
                return x

            async def run(self, ctx) -> int:
                async for turn in ctx.turns(range(2)):
                    local = 0
                    async for inner in ctx.turns(range(3)):
                        local += await self.work(10 * turn + inner)
                    ctx.memory["risk"].append(local)
                return list(ctx.memory["risk"])
    """
    ending, happened = resumed(text, 7)  # began, turn 0, work 0, work 1
    assert ending.result == [3, 33]
    assert happened == ["work 2", "work 10", "work 11", "work 12"]


def test_a_second_loop_follows_one_that_was_left_early() -> None:
    text = """
        class Desk(Agent):
            @step
            def work(self, x: int) -> int:
                outside.happen(f"work {x}")
                return x

            async def run(self, ctx) -> list:
                async for turn in ctx.turns():
                    ctx.memory["risk"].append(await self.work(turn))
                    if turn == 1:
                        break
                async for turn in ctx.turns(range(10, 12)):
                    ctx.memory["risk"].append(await self.work(turn))
                return list(ctx.memory["risk"])
    """
    ending, happened = resumed(text, 15)
    assert ending.result == [0, 1, 10, 11]
    assert happened == ["work 11"]


def test_restart_begins_run_anew_with_its_arguments_as_declared() -> None:
    text = """
        @dataclass
        class Position:
            amount: int

        class Desk(Agent):
            @step
            def work(self, x: int) -> int:
                outside.happen(f"work {x}")
                return x

            async def run(self, ctx, position: Position = Position(0), *, rounds: int = 2) -> int:
                assert isinstance(position, Position)
                assert not hasattr(self, "mark")
                self.mark = True
                await self.work(position.amount)
                if rounds:
                    await ctx.restart(Position(position.amount + 5), rounds=rounds - 1)
                return position.amount
    """
    ending, happened = resumed(text, 9)  # began, work, began, work, began
    assert ending.result == 10
    assert happened == ["work 10"]


def test_finally_runs_before_a_restart_and_its_writes_count() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx, again: bool = True) -> list:
                try:
                    if again:
                        await ctx.restart(False)
                finally:
                    ctx.memory["risk"].append("finally")
                return list(ctx.memory["risk"])
    """
    assert on_stage(lambda stage: stage.execute_desk(text)).result == ["finally", "finally"]


def test_what_a_run_leaves_behind_changes_nothing_in_the_next() -> None:
    text = """
        import gc

        class Desk(Agent):
            @step
            def work(self) -> None:
                pass

            async def lurk(self, ctx) -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    ctx.memory["risk"].append("lurked")

            async def run(self, ctx, again: bool = True) -> list:
                if again:
                    self.lurking = asyncio.create_task(self.lurk(ctx))
                    await self.work()
                    await ctx.restart(False)
                await self.work()
                gc.collect()
                return list(ctx.memory["risk"])
    """
    assert on_stage(lambda stage: stage.execute_desk(text)).result == []


@pytest.mark.parametrize("call", ["ctx.restart()", "ctx.consider()", "leave"])
def test_no_restart_point_while_a_step_is_under_way(call: str) -> None:
    body = "break" if call == "leave" else f"await {call}"
    text = f"""
        class Desk(Agent):
            @step
            async def work(self) -> None:
                await asyncio.Event().wait()

            async def run(self, ctx) -> str:
                try:
                    async for turn in ctx.turns():
                        task = asyncio.create_task(self.work())
                        await asyncio.sleep(0)
                        {body}
                    async for turn in ctx.turns():
                        pass
                except sojourn.core.base.errors.Misused as error:
                    return str(error)
    """
    what = {"leave": "a restart point"}.get(call, call.removesuffix("()"))
    assert on_stage(lambda stage: stage.execute_desk(text)).result.startswith(
        f"{what} came while call 0: step work("
    )


def test_what_a_loop_iterates_over_may_not_call_steps() -> None:
    text = """
        class Desk(Agent):
            @step
            def work(self) -> int:
                return 1

            async def items(self):
                yield await self.work()

            async def run(self, ctx) -> None:
                async for item in ctx.turns(self.items()):
                    pass
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending.how is How.RAISED
    assert "what ctx.turns iterates over called a step" in ending.text


def test_more_loops_than_there_may_be_ask_for_a_restart() -> None:
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> None:
                for _ in range(40):
                    async for turn in ctx.turns(range(1)):
                        pass
    """
    ending = on_stage(lambda stage: stage.execute_desk(text))
    assert ending.how is How.RAISED
    assert "more than 31 durable loops" in ending.text


def test_what_a_resume_needs_is_linked_from_the_journal_and_nothing_older_is() -> None:
    zone = Zone()
    on_stage(lambda stage: stage.execute_desk(LOOP), zone=zone)
    resume = load_block(Blocks(zone.stored), zone.record.memory.journal)["resume"]
    assert [(s["start"], s["stop"], s["turn"]) for s in resume["segments"]] == [
        (1, 2, None),
        (11, None, None),
    ]
    assert len(journal_of(zone)) == 13


def test_restarts_and_turns_without_a_step_wait_for_room_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "JOURNAL_RECORDS_PER_STEP_MAX", 4)
    text = """
        class Desk(Agent):
            async def run(self, ctx, rounds: int = 20) -> int:
                ctx.memory["risk"].append(rounds)
                if rounds:
                    await ctx.restart(rounds - 1)
                async for turn in ctx.turns(range(20)):
                    ctx.memory["risk"].append(turn)
                return len(ctx.memory["risk"])
    """
    zone = Zone()
    undisturbed = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert undisturbed.result == 41
    for point in range(0, zone.points, 7):
        assert resumed(text, point)[0] == undisturbed


def test_a_straight_line_that_grows_warns_once_and_then_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(course, "RUN_RECORDS_WARN", 20)
    monkeypatch.setattr(course, "REPLAY_RECORDS_MAX", 40)
    text = """
        class Desk(Agent):
            async def run(self, ctx) -> None:
                while True:
                    await ctx.sleep(0)
    """
    zone = Zone()
    custodian = FakeCustodian(zone)

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(text, custodian=custodian)

    ending = on_stage(act, zone=zone)
    warnings = [text for source, text in custodian.lines if source == "runtime"]
    assert len(warnings) == 1
    assert "more than 20 records" in warnings[0]
    assert ending.how is How.RAISED
    assert "40 records since its last restart point" in ending.text


def test_a_resume_reads_as_many_blocks_at_any_age() -> None:
    """Architecture §5: never the agent's age."""

    async def act(stage: Stage) -> list[int]:
        read = []
        for turns in (40, 400):
            stage.zone = Zone()
            dying = FakeCustodian(stage.zone, crash_at=4 * turns)
            await stage.execute("pacer:Turner", turns + 1, custodian=dying)
            cold = FakeCustodian(stage.zone, is_cold=True)
            ending = await stage.execute("pacer:Turner", custodian=cold)
            assert ending is not None
            assert ending.result == turns + 1
            read.append(len(set(cold.fetched)))
        return read

    young, old = on_stage(act)
    assert old <= young + 3  # the log is one level deeper
