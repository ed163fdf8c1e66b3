"""Steps: what may be declared, how they are tried again, and what `run` gets."""

import asyncio
import re
import time
from typing import Any

import pytest

from sojourn import Agent, TerminalError, step
from sojourn.core.base.errors import Misused
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Outcome
from tests.unit.runtime import outside
from tests.unit.runtime.custody import Zone
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage


def running(text: str, zone: Zone | None = None, *args: Any) -> Ending:
    """Run an agent."""
    outside.forget()

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(text, *args)

    ending = on_stage(act, zone=zone)
    assert ending is not None
    return ending


@pytest.mark.parametrize(
    ("declaration", "problem"),
    [
        ({"effect": "twice", "action": "a.b"}, "a step is declared with effect 'twice'"),
        ({"effect": "once"}, "effect 'once' and action ''"),
        ({"action": "order.place"}, "effect 'none' and action 'order.place'"),
        ({"attempts": 0}, "0 attempts"),
        ({"effect": "once", "action": "pay"}, "'pay' cannot be the name of .*\"order.place\""),
        ({"effect": "once", "action": "travel"}, "'travel' cannot be the name"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(declaration: Any, problem: str) -> None:
    with pytest.raises(Misused, match=problem):
        step(**declaration)


def test_on_an_agent_that_does_not_run_a_step_is_simply_called() -> None:
    class Desk(Agent):
        @step
        def add(self, x: int, y: int = 1) -> int:
            """Add."""
            return x + y

        @step(attempts=5)
        async def fail(self) -> None:
            raise TerminalError("no")

    assert asyncio.run(Desk().add(2)) == 3
    assert Desk.add.__doc__ == "Add."
    with pytest.raises(TerminalError, match="no"):
        asyncio.run(Desk().fail())


def test_results_come_as_declared_the_first_time_and_in_a_replay() -> None:
    text = """
        from datetime import date
        from enum import Enum

        class Side(Enum):
            BUY = "buy"

        @dataclass
        class Order:
            day: date
            side: Side
            parts: tuple[float, ...]

        class Desk(Agent):
            @step
            def typed(self) -> Order:
                return Order(date(2026, 1, 2), Side.BUY, (1.5, 2.0))

            @step
            def untyped(self):
                return Order(date(2026, 1, 2), Side.BUY, (1.5, 2.0))

            async def run(self, ctx) -> list:
                order = await self.typed()
                plain = await self.untyped()
                assert order == Order(date(2026, 1, 2), Side.BUY, (1.5, 2.0))
                assert plain == {"day": "2026-01-02", "side": "buy", "parts": [1.5, 2.0]}
                await ctx.sleep(1)
                return "alike"
    """

    async def act(stage: Stage) -> Ending:
        return await stage.execute_through(range(20), "desk:Desk", source=desk(text))

    assert on_stage(act).result == "alike"


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ("object()", "an instance of object has no plain form"),
        ("float('nan')", "cannot be kept"),
        ("'x' * 600_000", "(str of 600000 characters) has 600105 bytes, more than the 524288 of"),
    ],
)
def test_a_result_that_cannot_be_kept_fails_the_step_and_is_not_tried_again(
    returned: str, problem: str
) -> None:
    ending = running(f"""
        class Desk(Agent):
            @step
            def make(self):
                outside.happen("made")
                return {returned}

            async def run(self, ctx) -> str:
                try:
                    await self.make()
                except StepFailed as error:
                    return str(error)
    """)
    assert problem in ending.result
    assert outside.effects == ["made"]


def test_a_result_of_another_type_than_declared_is_said_to_be() -> None:
    ending = running("""
        class Desk(Agent):
            @step
            def make(self) -> int:
                return "text"

            async def run(self, ctx) -> None:
                await self.make()
    """)
    assert ending.how is How.RAISED
    assert ending.text == (
        "StepFailed: step 'make' failed after 1 attempts: Misused: the result of step 'make' "
        "(str of 4 characters) is no int: Expected `int`, got `str`. "
        "Return what the step declares, or declare what it returns"
    )


def test_arguments_that_cannot_be_journaled_are_refused_at_the_call() -> None:
    ending = running("""
        class Desk(Agent):
            @step
            def take(self, x) -> None:
                pass

            async def run(self, ctx) -> None:
                await self.take(object())
    """)
    assert ending.text.startswith("Misused: argument 1 of step 'take' (object) cannot be kept")


def test_a_step_is_tried_again_and_its_attempts_are_counted() -> None:
    zone = Zone()
    ending = running(
        """
        class Desk(Agent):
            @step(backoff_s=0)
            def flaky(self) -> int:
                outside.happen("tried")
                if len(outside.effects) < 3:
                    raise (RetryableError if len(outside.effects) == 1 else KeyError)("not yet")
                return len(outside.effects)

            async def run(self, ctx) -> int:
                return await self.flaky()
    """,
        zone,
    )
    assert ending.result == 3
    outcome = journal_of(zone)[1]
    assert isinstance(outcome, Outcome)
    assert outcome.attempts == 3


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("raised", "attempts", "name"),
    [
        ('TerminalError("no")', 1, "TerminalError"),
        ('ValueError("no")', 2, "ValueError"),
        ('SystemExit("no")', 2, "SystemExit"),
        ("asyncio.CancelledError('no')", 1, None),
    ],
)
def test_a_step_that_fails_for_good_says_how(
    kind: str, raised: str, attempts: int, name: str | None
) -> None:
    ending = running(f"""
        class Desk(Agent):
            @step(attempts=2, backoff_s=0)
            {kind} fail(self) -> None:
                raise {raised}

            async def run(self, ctx) -> list:
                try:
                    await self.fail()
                except StepFailed as error:
                    assert isinstance(error, TerminalError)
                    return [error.kind, error.attempts]
    """)
    if name is None:
        assert ending.how is How.RETURNED
    else:
        assert ending.result == [name, attempts]


def test_a_failure_keeps_the_authors_part_of_the_traceback() -> None:
    zone = Zone()
    running(
        """
        class Desk(Agent):
            @step(attempts=1)
            def fail(self) -> None:
                self.deeper()

            def deeper(self) -> None:
                raise ValueError("deep")

            async def run(self, ctx) -> None:
                await self.fail()
    """,
        zone,
    )
    outcome = journal_of(zone)[1]
    assert isinstance(outcome, Outcome)
    assert outcome.failure is not None
    lines = outcome.failure.trace.splitlines()
    assert all(re.match(r"<agent [0-9a-f]{8}>/desk.py:\d+ in ", line) for line in lines)
    assert lines[-1].endswith('in deeper: raise ValueError("deep")')


def test_functions_run_beside_each_other_and_do_not_hold_up_the_loop() -> None:
    ending = running("""
        import threading

        barrier = threading.Barrier(2)

        class Desk(Agent):
            @step
            def meet(self, x: int) -> int:
                barrier.wait(20)
                return x

            async def run(self, ctx) -> list:
                return await asyncio.gather(self.meet(1), self.meet(2))
    """)
    assert ending.result == [1, 2]


def test_a_cancelled_call_is_forgotten_and_a_coroutine_with_it() -> None:
    ending = running("""
        class Desk(Agent):
            @step
            async def hang(self) -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    outside.happen("cancelled")

            @step
            async def quick(self) -> int:
                await asyncio.sleep(0)
                return 1

            async def run(self, ctx) -> int:
                task = asyncio.create_task(self.hang())
                await self.quick()
                task.cancel()
                return await self.quick()
    """)
    assert ending.result == 1
    assert outside.effects == ["cancelled"]


def test_run_cannot_reach_around_its_journal() -> None:
    for call in ("asyncio.sleep(1)", "asyncio.to_thread(print)", "asyncio.wait_for(x, 1)"):
        ending = running(f"""
            class Desk(Agent):
                async def run(self, ctx) -> None:
                    x = asyncio.Event().wait()
                    try:
                        await {call}
                    finally:
                        x.close()
        """)
        assert ending.how is How.RAISED
        assert "run asked its event loop for" in ending.text


def test_a_run_that_spins_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sojourn.runtime.agent_side.loop.CALLBACKS_MAX", 1000)
    began = time.monotonic()
    ending = running("""
        class Desk(Agent):
            async def run(self, ctx) -> None:
                while True:
                    await asyncio.sleep(0)
    """)
    assert "run did not come to rest after 1000 callbacks" in ending.text
    assert time.monotonic() - began < 20
