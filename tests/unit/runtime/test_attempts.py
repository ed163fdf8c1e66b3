"""Attempts at a step: timed, one after another, spaced, and decided once for every replay."""

import itertools
from collections.abc import Iterator

import pytest

from sojourn import Agent, RetryableError, StepFailed, step
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.attempting import pause_s
from sojourn.runtime.agent_side.course import Course
from sojourn.runtime.frames import Start
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Outcome, Resume, Segment
from tests.unit.runtime import outside
from tests.unit.runtime.custody import HOME, FakeCustodian, Zone, place
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


CALL = """
    import threading


    class Desk(Agent):
        @step({declared})
        {kind} call(self) -> str:
            {body}

        @step
        def let_go(self) -> None:
            self.gate.set()

        async def run(self, ctx) -> list:
            self.gate = threading.Event()
            try:
                return ["came", await self.call()]
            except UncertainOutcome as error:
                return ["uncertain", error.effect_key]
            except StepFailed as error:
                return ["failed", error.kind, error.attempts, error.timed_out]
            finally:
                await self.let_go()
"""
HANGS = """
            outside.happen(self.effect_key if {is_effect} else "tried")
            try:
                await asyncio.Event().wait()
            finally:
                outside.happen("ended")
"""
BLOCKS = """
            outside.happen(self.effect_key if {is_effect} else "tried")
            self.gate.wait(20)
            return "late"
"""
EFFECT = "effect='{}', action='order.place', timeout_s=0.02, backoff_s=0, attempts=2"


def called(declared: str, body: str, zone: Zone, kind: str = "async def") -> list[object]:
    is_effect = "effect" in declared
    text = CALL.format(declared=declared, kind=kind, body=body.format(is_effect=is_effect).strip())
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert ending.how is How.RETURNED, ending.text
    result: list[object] = ending.result
    return result


def test_a_coroutine_that_takes_too_long_is_cancelled_and_tried_again() -> None:
    zone = Zone()
    result = called("timeout_s=0.02, backoff_s=0, attempts=3", HANGS, zone)
    assert ["failed", "Timeout", 3, True] == result
    assert ["tried", "ended"] * 3 == outside.effects
    outcome = journal_of(zone)[1]
    assert isinstance(outcome, Outcome) and outcome.failure is not None
    assert ("timeout", 3) == (outcome.failure.cause, outcome.attempts)
    assert "it had not ended after 0.02 s" == outcome.failure.message


def test_section_10_1_an_idempotent_effect_that_takes_too_long_is_repeated_under_its_key() -> None:
    zone = Zone()
    result = called(EFFECT.format("idempotent"), HANGS, zone)
    assert ["failed", "Timeout", 2, True] == result
    assert [zone.keys[0], "ended"] * 2 == outside.effects
    assert 1 == len(zone.keys)


@pytest.mark.parametrize(("body", "kind"), [(HANGS, "async def"), (BLOCKS, "def")])
def test_section_10_4_an_effect_once_that_takes_too_long_is_uncertain(body: str, kind: str) -> None:
    zone = Zone()
    result = called(EFFECT.format("once"), body, zone, kind)
    assert ["uncertain", zone.keys[0]] == result
    assert 1 == outside.effects.count(zone.keys[0])
    assert ["order.place"] == [intent.action for intent in zone.intents]


@pytest.mark.parametrize("declared", ["timeout_s=0.02, backoff_s=0, attempts=3", EFFECT])
def test_a_function_that_never_ends_uses_up_the_attempts_that_wait_for_it(declared: str) -> None:
    zone = Zone()
    attempts = 2 if declared == EFFECT else 3
    result = called(declared.format("idempotent"), BLOCKS, zone, "def")
    assert ["failed", "Timeout", attempts, True] == result
    assert 1 == len(outside.effects)  # no other was begun beside it
    failure = next(r.failure for r in journal_of(zone) if isinstance(r, Outcome))
    assert failure is not None
    assert "as a function it cannot be stopped" in failure.message
    assert "write a coroutine" in failure.remedy


SLOW = """
            outside.happen("begins")
            if len(outside.effects) == 1:
                self.gate.wait(0.1)
            outside.happen("ends")
            return str(len(outside.effects))
"""


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_attempt_begins_when_the_last_has_ended_and_what_came_late_is_not_used(
    kind: str,
) -> None:
    body = SLOW
    if kind == "async def":  # it does not let itself be cancelled
        stays = "\n                await self.linger()"
        body = body.replace("\n                self.gate.wait(0.1)", stays)
    text = CALL.format(
        declared="timeout_s=0.02, backoff_s=0, attempts=200", kind=kind, body=body.strip()
    )
    text += """
        async def linger(self):
            loop = asyncio.get_running_loop()
            until = loop.time() + 0.1
            while loop.time() < until:
                try:
                    await asyncio.sleep(until - loop.time())
                except asyncio.CancelledError:
                    pass
    """
    zone = Zone()
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    times = len(outside.effects) // 2  # more than twice where this machine is slow
    assert times >= 2
    assert ["begins", "ends"] * times == outside.effects
    assert ["came", str(2 * times)] == ending.result
    outcome = journal_of(zone)[1]
    assert isinstance(outcome, Outcome)
    assert 2 <= outcome.attempts < 200


def test_what_has_timed_out_is_decided_once_wherever_the_host_dies() -> None:
    """Before the outcome is final it is another life, where nothing is known either; behind it, the same."""
    text = CALL.format(
        declared=EFFECT.format("once"), kind="async def", body=HANGS.format(is_effect=True).strip()
    )
    whole = Zone()
    on_stage(lambda stage: stage.execute_desk(text), zone=whole)
    for point in range(whole.points):
        outside.forget()
        zone = Zone()

        async def act(stage: Stage, point: int = point) -> Ending:
            return await stage.execute_through([point], "desk:Desk", source=desk(text))

        ending = on_stage(act, zone=zone)
        assert ["uncertain", zone.keys[0]] == ending.result
        assert outside.effects.count(zone.keys[0]) <= 1
        outcomes = [r for r in journal_of(zone) if isinstance(r, Outcome) and r.step == "call"]
        assert 1 == len(outcomes)


MOVING = """
    class Desk(Agent):
        @step(timeout_s=0.02, backoff_s=0, attempts=2)
        async def call(self) -> str:
            outside.happen("tried")
            await asyncio.Event().wait()

        @step(backoff_s=0, attempts=2)
        def flaky(self) -> int:
            outside.happen("flaky")
            if outside.effects.count("flaky") < 2:
                raise RetryableError("not yet", after_s=0.01)
            return 1

        async def run(self, ctx) -> list:
            try:
                await self.call()
            except StepFailed as error:
                said = str(error)
            await ctx.consider()
            return [said, await self.flaky(), ctx.random()]
"""


def test_a_time_out_reads_alike_where_the_agent_has_moved_to() -> None:
    async def act(stage: Stage) -> tuple[Ending | None, Ending | None]:
        return await stage.execute_desk(MOVING), await stage.execute_desk(MOVING)

    zone = Zone(places=(place("home", 100, current=True), place("away", 50)))
    left, ending = on_stage(act, zone=zone)
    assert left.how is How.DEPARTED
    assert (
        "step 'call' failed after 2 attempts: Timeout: it had not ended after 0.02 s. "
        "Give each attempt more time (timeout_s)"
    ) == ending.result[0]
    assert ["tried", "tried", "flaky", "flaky"] == outside.effects


def test_only_what_is_named_is_tried_again() -> None:
    text = """
        class Desk(Agent):
            @step(backoff_s=0, attempts=4, retry_on=(OSError, KeyError))
            def fail(self, kinds: list) -> None:
                outside.happen("tried")
                raise eval(kinds[min(len(outside.effects), len(kinds)) - 1])("no")

            async def run(self, ctx, *kinds) -> list:
                try:
                    await self.fail(kinds)
                except StepFailed as error:
                    return [error.kind, error.attempts]
    """
    for kinds, expected in (
        (["ValueError"], ["ValueError", 1]),
        (["ConnectionError", "RetryableError", "ValueError"], ["ValueError", 3]),
        (["KeyError"], ["KeyError", 4]),
        (["OSError", "TerminalError"], ["TerminalError", 2]),
    ):
        outside.forget()

        async def act(stage: Stage, kinds: list[str] = kinds) -> Ending | None:
            return await stage.execute_desk(text, *kinds)

        assert expected == on_stage(act).result


def test_pauses_double_up_to_a_bound_and_are_never_less_than_half() -> None:
    @step(backoff_s=2, backoff_s_max=10)
    def declared(self: object) -> None: ...

    assert [1, 2, 4, 5, 5] == [pause_s(declared, attempt, 0.0) for attempt in range(1, 6)]
    assert [1.5, 3.0, 6.0, 7.5] == [pause_s(declared, attempt, 0.5) for attempt in range(1, 5)]
    assert 5 == pause_s(declared, 10**9, 0.0)


def test_the_chance_in_a_pause_is_drawn_from_the_agents_seed_and_perturbs_no_replay() -> None:
    segment = Segment(memory={}, start=0)
    resume = Resume(run=0, seed=HOME, arguments=((), {}), segments=(segment,))

    def course(agent: bytes) -> Course:
        start = Start(
            agent=agent, zone=HOME, shelves={}, resume=resume, length=0, budgets={}, fresh=True
        )
        return Course(start)

    one, same, other = course(HOME), course(HOME), course(bytes(32))
    drawn = [one.chance(call, attempt) for call, attempt in itertools.product(range(9), range(9))]
    assert drawn == [
        same.chance(call, attempt) for call, attempt in itertools.product(range(9), range(9))
    ]
    assert 81 == len(set(drawn))
    assert all(0 <= each < 1 for each in drawn)
    assert drawn[0] != other.chance(0, 0)
    assert one.draw() == course(HOME).draw()  # what the code draws is as if there had been no pause


@pytest.mark.parametrize(
    ("after_s", "expected"), [(5, 5.0), (-1, 0.0), (float("nan"), 0.0), (1e9, 3600.0)]
)
def test_a_step_may_say_when_to_try_again_within_an_hour(after_s: float, expected: float) -> None:
    assert expected == RetryableError("busy", after_s=after_s).after_s

    class Busy(RetryableError):
        def __init__(self) -> None:
            pass

    assert 0.0 == Busy().after_s


@pytest.mark.parametrize(
    ("declaration", "problem"),
    [
        ({"timeout_s": 0}, "timeout_s=0"),
        ({"timeout_s": float("inf")}, "timeout_s=inf"),
        ({"heartbeat_s": -1}, "heartbeat_s=-1"),
        ({"backoff_s": -1}, "backoff_s=-1"),
        ({"backoff_s_max": float("nan")}, "backoff_s_max=nan"),
        (
            {"retry_on": (OSError, "KeyError")},
            "retry_on='KeyError', which is no class of exceptions",
        ),
    ],
)
def test_times_and_classes_that_make_no_sense_are_refused(
    declaration: dict[str, object], problem: str
) -> None:
    with pytest.raises(Misused, match=problem):
        step(**declaration)  # type: ignore[call-overload]


def test_a_call_that_the_code_has_cancelled_is_not_tried_again() -> None:
    text = """
        import threading


        class Desk(Agent):
            @step(backoff_s=0, attempts=9, timeout_s=20)
            def hang(self) -> None:
                outside.happen("tried")
                self.gate.wait(20)
                raise OSError("no")

            @step
            def let_go(self) -> None:
                while not outside.effects:
                    self.gate.wait(0.001)
                self.gate.set()

            async def run(self, ctx) -> str:
                self.gate = threading.Event()
                task = asyncio.create_task(self.hang())
                await ctx.sleep(0)
                task.cancel()
                await self.let_go()
                await self.let_go()
                return "done"
    """
    zone = Zone()
    assert "done" == on_stage(lambda stage: stage.execute_desk(text), zone=zone).result
    assert ["tried"] == outside.effects


@pytest.mark.parametrize(("kind", "body"), [("def", BLOCKS), ("async def", HANGS)])
def test_a_step_that_nothing_is_heard_of_has_timed_out(kind: str, body: str) -> None:
    zone = Zone()
    declared = "heartbeat_s=0.02, timeout_s=50, backoff_s=0, attempts=2"
    assert ["failed", "Timeout", 2, True] == called(declared, body, zone, kind)
    failure = next(r.failure for r in journal_of(zone) if isinstance(r, Outcome))
    assert failure is not None
    assert failure.message.startswith("nothing was heard of it for 0.02 s")
    assert failure.remedy.startswith("Call self.heartbeat() in it more often")


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_the_next_attempt_is_given_the_newest_progress(kind: str) -> None:
    body = """
            outside.happen(str(self.progress))
            for page in range(3):
                self.heartbeat([page, {"of": 9}])
            self.heartbeat()
            if len(outside.effects) < 3:
                raise OSError("no")
            return "read"
    """
    text = CALL.format(declared="heartbeat_s=50, backoff_s=0", kind=kind, body=body.strip())
    assert ["came", "read"] == on_stage(lambda stage: stage.execute_desk(text)).result
    assert ["None", "[2, {'of': 9}]", "[2, {'of': 9}]"] == outside.effects


def test_progress_that_cannot_be_kept_fails_the_attempt_and_is_named() -> None:
    zone = Zone()
    result = called("attempts=1", "self.heartbeat(object())", zone, "def")
    assert ["failed", "Misused", 1, False] == result
    failure = next(r.failure for r in journal_of(zone) if isinstance(r, Outcome))
    assert failure is not None
    assert failure.message.startswith("the progress of step 'call' (object) cannot be kept")


def test_nothing_beats_outside_a_step() -> None:
    for act in (lambda: Agent().heartbeat(1), lambda: Agent().progress):
        with pytest.raises(Misused, match="was used outside a step"):
            act()


def test_a_failure_says_what_to_do() -> None:
    failed = StepFailed("pay", "Timeout", "late", 2, remedy="Wait longer", timed_out=True)
    assert "step 'pay' failed after 2 attempts: Timeout: late. Wait longer" == str(failed)
    assert "step 'pay' failed after 1 attempts: E: no" == str(StepFailed("pay", "E", "no", 1))


def test_the_time_of_an_effect_whose_lease_is_lost_is_nobodys() -> None:
    text = CALL.format(
        declared="effect='idempotent', action='order.place', timeout_s=0.02, backoff_s=0",
        kind="async def",
        body=HANGS.format(is_effect=True).strip(),
    )

    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone)
        outside.hooks.append(lambda _: setattr(custodian, "lease_lost_at", 0))
        return await stage.execute_desk(text, custodian=custodian)

    zone = Zone()
    assert How.LEASE_LOST is on_stage(act, zone=zone).how
    assert [zone.keys[0], "ended"] == outside.effects  # no second attempt without a lease
