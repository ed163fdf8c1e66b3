"""Protocol §10: decision, final intent, live lease, effect, outcome, in that order and through takeovers."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from sojourn.core.agent.record import AgentRecord
from sojourn.runtime.errors import LeaseLost
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Draft
from sojourn.runtime.records import Denial, Intended, Outcome
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage

TRADER = """
    class Desk(Agent):
        @step(effect="{effect}", action="order.place")
        def order(self, amount: int) -> str:
            outside.happen(f"{{amount}} under {{self.effect_key}}")
            return self.effect_key

        @step
        def price(self) -> int:
            return 7

        async def run(self, ctx, amount: int) -> list:
            ctx.memory["risk"].append(await self.price())
            try:
                return ["placed", await self.order(amount)]
            except UncertainOutcome as error:
                return ["uncertain", error.effect_key, error.step]
            except Denied as error:
                return ["denied", str(error)]
"""
ONCE = TRADER.format(effect="once")
IDEMPOTENT = TRADER.format(effect="idempotent")


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


def crash_after_effect(custodian: FakeCustodian) -> None:
    """Let the host die before the outcome of the next effect becomes final."""
    outside.hooks.append(lambda _: setattr(custodian, "crash_at", custodian.zone.points))


def test_what_came_before_is_final_then_the_intent_then_the_effect() -> None:
    async def act(stage: Stage) -> tuple[Ending | None, list[str]]:
        seen = []
        outside.hooks.append(lambda _: seen.extend(stage.zone.keys))
        outside.hooks.append(lambda _: seen.append(str(len(stage.zone.drafts))))
        return await stage.execute_desk(ONCE, 5), seen

    ending, seen = on_stage(act)
    assert ending is not None
    key = ending.result[1]
    assert ending.result == ["placed", key]
    assert seen == [key, "1"]  # one draft before, one intent, and only then the effect
    assert outside.effects == [f"5 under {key}"]


def test_an_effect_key_names_agent_term_version_and_index() -> None:
    zone = Zone()
    ending = on_stage(lambda stage: stage.execute_desk(ONCE, 5), zone=zone)
    agent, term, version, index = ending.result[1].split("/")
    assert agent.startswith("b")
    assert (term, version, index) == ("0", "2", "0")


@pytest.mark.parametrize("text", [ONCE, IDEMPOTENT])
def test_what_the_gate_denies_does_not_happen(text: str) -> None:
    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone, denied=frozenset({"order.place"}))
        return await stage.execute_desk(text, 5, custodian=custodian)

    zone = Zone()
    ending = on_stage(act, zone=zone)
    assert ending.result == ["denied", "order.place is denied here. Ask for less"]
    assert outside.effects == []
    assert zone.keys == []
    kinds = [type(record) for record in journal_of(zone)]
    assert Intended not in kinds


def denied_desk(text: str, zone: Zone, crash_at: int | None = None) -> Ending | None:
    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone, denied=frozenset({"order.place"}), crash_at=crash_at)
        return await stage.execute_desk(text, 5, custodian=custodian)

    return on_stage(act, zone=zone)


@pytest.mark.parametrize("text", [ONCE, IDEMPOTENT])
def test_a_denial_is_journaled_with_its_reason_before_the_code_is_told(text: str) -> None:
    zone = Zone()
    denied_desk(text, zone)
    journal = journal_of(zone)
    told = next(record for record in journal if isinstance(record, Denial))
    assert (told.step, told.action, told.zone) == ("order", "order.place", zone.record.custody.zone)
    assert (told.reason, told.remedy) == ("order.place is denied here", "Ask for less")
    assert told.version < zone.record.version
    after = journal[journal.index(told) + 1]
    assert isinstance(after, Outcome)
    assert after.failure is not None
    assert after.failure.cause == "denied"


def test_a_denial_that_was_final_when_the_host_died_is_the_answer() -> None:
    """Trap 29 for denials: wherever the host dies, one denial is told, once, and nothing happens."""
    whole = Zone()
    denied_desk(ONCE, whole)
    for point in range(1, whole.points):
        zone = Zone()
        if denied_desk(ONCE, zone, crash_at=point) is None:
            denied_desk(ONCE, zone)
        kinds = [type(record) for record in journal_of(zone)]
        assert kinds.count(Denial) == 1
        assert kinds.index(Outcome, kinds.index(Denial)) == kinds.index(Denial) + 1
        assert outside.effects == []


def test_an_interrupted_effect_that_is_idempotent_is_repeated_under_its_key() -> None:
    async def act(stage: Stage) -> Ending | None:
        first = FakeCustodian(stage.zone)
        crash_after_effect(first)
        assert await stage.execute_desk(IDEMPOTENT, 5, custodian=first) is None
        outside.hooks.clear()
        return await stage.execute_desk(IDEMPOTENT)

    zone = Zone()
    ending = on_stage(act, zone=zone)
    assert outside.effects == [f"5 under {zone.keys[0]}"] * 2
    assert ending.result == ["placed", zone.keys[0]]
    assert len(zone.keys) == 1


def test_section_8_an_effect_whose_intent_is_final_waits_while_the_agent_is_in_quarantine() -> None:
    """Nobody asks the gate again for what was permitted, so that the order has to be looked at by itself."""

    async def act(stage: Stage) -> tuple[Ending | None, list[str], Ending | None]:
        first = FakeCustodian(stage.zone)
        crash_after_effect(first)
        assert await stage.execute_desk(IDEMPOTENT, 5, custodian=first) is None
        outside.forget()
        quarantine(stage.zone, ordered=True)
        held = await stage.execute_desk(IDEMPOTENT)
        meanwhile = list(outside.effects)
        quarantine(stage.zone, ordered=False)
        return held, meanwhile, await stage.execute_desk(IDEMPOTENT)

    zone = Zone()
    held, meanwhile, ending = on_stage(act, zone=zone)
    assert held.how is How.LEASE_LOST
    assert "quarantine" in held.text
    assert [] == meanwhile
    assert [f"5 under {zone.keys[0]}"] == outside.effects
    assert ending.result == ["placed", zone.keys[0]]


def quarantine(zone: Zone, *, ordered: bool) -> None:
    """Let officers order it, or lift it."""
    eligibility = replace(zone.record.eligibility, is_quarantined=ordered)
    zone.record = replace(zone.record, eligibility=eligibility)


def test_an_interrupted_effect_that_is_once_is_not_repeated_and_the_agent_decides() -> None:
    async def act(stage: Stage) -> Ending | None:
        first = FakeCustodian(stage.zone)
        crash_after_effect(first)
        assert await stage.execute_desk(ONCE, 5, custodian=first) is None
        outside.hooks.clear()
        return await stage.execute_desk(ONCE)

    zone = Zone()
    ending = on_stage(act, zone=zone)
    assert outside.effects == [f"5 under {zone.keys[0]}"]
    assert ending.result == ["uncertain", zone.keys[0], "order"]


def test_an_uncertain_outcome_is_the_same_in_every_replay() -> None:
    async def act(stage: Stage) -> Ending | None:
        first = FakeCustodian(stage.zone)
        crash_after_effect(first)
        await stage.execute_desk(ONCE, 5, custodian=first)
        outside.hooks.clear()
        points = stage.zone.points
        await stage.execute_desk(ONCE, custodian=FakeCustodian(stage.zone, crash_at=points + 1))
        return await stage.execute_desk(ONCE)

    zone = Zone()
    assert on_stage(act, zone=zone).result == ["uncertain", zone.keys[0], "order"]


def test_an_intent_that_is_final_when_the_host_dies_counts_though_no_effect_was_had() -> None:
    async def act(stage: Stage) -> Ending | None:
        # Points 0 and 1 are the first batch, 2 and 3 the intent.
        await stage.execute_desk(ONCE, 5, custodian=FakeCustodian(stage.zone, crash_at=3))
        assert outside.effects == []
        return await stage.execute_desk(ONCE)

    assert on_stage(act).result[0] == "uncertain"
    assert outside.effects == []


def test_an_intent_that_was_not_final_is_no_intent() -> None:
    async def act(stage: Stage) -> Ending | None:
        await stage.execute_desk(ONCE, 5, custodian=FakeCustodian(stage.zone, crash_at=2))
        return await stage.execute_desk(ONCE)

    assert on_stage(act).result[0] == "placed"
    assert len(outside.effects) == 1


@pytest.mark.parametrize("point", [0, 2, 4])  # before the first batch; the intent; the effect
def test_without_a_live_lease_nothing_happens_and_nothing_is_recorded(point: int) -> None:
    """Trap 29: the lease may run out between any two of decision, intent, effect and outcome."""

    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone, lease_lost_at=point)
        return await stage.execute_desk(ONCE, 5, custodian=custodian)

    zone = Zone()
    ending = on_stage(act, zone=zone)
    assert ending.how is How.LEASE_LOST
    assert zone.points == point
    assert outside.effects == []


def test_an_outcome_is_not_recorded_once_the_lease_is_lost() -> None:
    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone)
        outside.hooks.append(lambda _: setattr(custodian, "lease_lost_at", 0))
        return await stage.execute_desk(ONCE, 5, custodian=custodian)

    zone = Zone()
    assert on_stage(act, zone=zone).how is How.LEASE_LOST
    assert isinstance(journal_of(zone)[-1], Intended)


def test_a_custodian_that_has_lost_the_lease_ends_the_execution() -> None:
    class Superseded(FakeCustodian):
        async def commit(self, draft: Draft) -> AgentRecord:
            raise LeaseLost("another host is bound")

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(ONCE, 5, custodian=Superseded(stage.zone))

    assert on_stage(act) == Ending(how=How.LEASE_LOST, text="another host is bound")


def test_a_step_beyond_its_budget_is_denied_and_does_not_happen() -> None:
    text = """
        class Desk(Agent):
            @step(spends={"orders": 4})
            def ask(self, question: str) -> str:
                outside.happen(question)
                return question

            async def run(self, ctx) -> list:
                answers = [await self.ask("a"), await self.ask("b")]
                try:
                    await self.ask("c")
                except BudgetExhausted as error:
                    answers.append(error.problem)
                return answers
    """
    zone = Zone()
    ending = on_stage(lambda stage: stage.execute_desk(text), zone=zone)
    assert ending.result == ["a", "b", "4 of budget 'orders' needed, 1 left"]
    assert outside.effects == ["a", "b"]
    assert zone.record.eligibility.budgets["orders"].spent == 8


def test_the_effect_key_is_there_in_a_step_with_an_effect_only() -> None:
    text = """
        class Desk(Agent):
            @step(attempts=1)
            def peek(self) -> str:
                return self.effect_key

            async def run(self, ctx) -> str:
                try:
                    return await self.peek()
                except StepFailed as error:
                    return error.kind
    """
    assert on_stage(lambda stage: stage.execute_desk(text)).result == "Misused"


def test_an_idempotent_step_is_retried_under_its_key_and_a_once_step_is_not() -> None:
    text = """
        class Desk(Agent):
            @step(effect="{effect}", action="order.place", backoff_s=0)
            async def order(self) -> str:
                outside.happen(self.effect_key)
                raise RetryableError("busy")

            async def run(self, ctx) -> int:
                try:
                    await self.order()
                except StepFailed as error:
                    return error.attempts
    """
    zone = Zone()
    idempotent = text.format(effect="idempotent")
    assert on_stage(lambda stage: stage.execute_desk(idempotent), zone=zone).result == 3
    assert outside.effects == zone.keys * 3
    outside.forget()
    once = text.format(effect="once")
    assert on_stage(lambda stage: stage.execute_desk(once)).result == 1
    assert len(outside.effects) == 1


def test_the_journal_tells_the_story() -> None:
    zone = Zone()
    on_stage(lambda stage: stage.execute_desk(ONCE, 5), zone=zone)
    kinds = [record.__struct_config__.tag for record in journal_of(zone)]
    assert kinds == ["began", "outcome", "intent", "outcome", "returned"]
    intent, outcome = journal_of(zone)[2:4]
    assert isinstance(intent, Intended)
    assert isinstance(outcome, Outcome)
    assert (intent.step, intent.action, intent.effect) == ("order", "order.place", "once")
    assert outcome.result == intent.key == zone.keys[0]
