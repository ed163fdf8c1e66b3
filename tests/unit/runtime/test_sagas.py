"""Sagas: what was done is undone, in reverse and once, wherever the host dies and the agent is by then."""

from collections.abc import Iterator

import pytest

from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.records import Outcome
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone, place
from tests.unit.runtime.executing import Stage, desk, journal_of, on_stage


@pytest.fixture(autouse=True)
def a_new_world() -> Iterator[None]:
    outside.forget()
    yield
    outside.forget()


STEPS = """
    class Traveller(Agent):
        @step(effect="idempotent", action="trip.book", backoff_s=0, attempts=2)
        def book(self, what: str) -> str:
            outside.happen(f"book {what} under {self.effect_key}")
            if what == "car":
                raise OSError("none left")
            return what.upper()

        @step(effect="idempotent", action="trip.cancel", backoff_s=0, attempts=2)
        async def cancel(self, ticket: str) -> str:
            outside.happen(f"cancel {ticket} under {self.effect_key}")
            return ticket

        @step
        def note(self, text: str) -> str:
            return text

        async def refund(self, ticket: str, *, share: int) -> None:
            await self.cancel(ticket)
            await self.note(f"{share}% of {ticket}")
"""
TRIP = (
    STEPS
    + """
    class Desk(Traveller):
        async def run(self, ctx) -> list:
            diary = ctx.memory["risk"]
            try:
                async with ctx.saga() as saga:
                    for what in ("flight", "hotel", "car"):
                        ticket = await self.book(what)
                        diary.append(ticket)
                        saga.undo(self.refund, ticket, share=50)
                        await ctx.consider()
            except StepFailed as error:
                diary.append(error.kind)
            return list(diary)
"""
)
DONE = ["FLIGHT", "HOTEL", "OSError"]


def acts() -> list[str]:
    """Return what has happened outside, what came under one key once."""
    by_key: dict[str, str] = {}
    for effect in outside.effects:
        what, _, key = effect.partition(" under ")
        by_key.setdefault(key, what)
    return list(by_key.values())


def travels(text: str, zone: Zone) -> Ending:
    async def act(stage: Stage) -> Ending:
        return await stage.execute_through([], "desk:Desk", source=desk(text))

    ending: Ending = on_stage(act, zone=zone)
    return ending


BOOKED = ["book flight", "book hotel", "book car"]


def test_what_was_done_is_undone_in_reverse() -> None:
    zone = Zone()
    assert DONE == travels(TRIP, zone).result
    assert [*BOOKED, "cancel HOTEL", "cancel FLIGHT"] == acts()
    steps = [record.step for record in journal_of(zone) if isinstance(record, Outcome)]
    assert ["book", "book", "book", "cancel", "note", "cancel", "note"] == steps


def test_where_all_goes_well_nothing_is_undone() -> None:
    zone = Zone()
    assert ["FLIGHT", "HOTEL", "BUS"] == travels(TRIP.replace('"car")', '"bus")'), zone).result
    assert ["book flight", "book hotel", "book bus"] == acts()


@pytest.mark.parametrize("cancels", ["idempotent", "none"])
def test_wherever_the_host_dies_each_is_undone_once(cancels: str) -> None:
    """Under one key each, for what has an effect; recomputed, for what has none."""
    text = TRIP
    if cancels == "none":
        text = text.replace(
            '@step(effect="idempotent", action="trip.cancel", backoff_s=0', "@step("
        )
        text = text.replace("@step(, ", "@step(").replace(
            "cancel {ticket} under {self.effect_key}", "cancel {ticket} under {ticket}"
        )
    whole = Zone()
    travels(text, whole)
    for point in range(whole.points):
        outside.forget()
        zone = Zone()

        async def act(stage: Stage, point: int = point) -> Ending:
            return await stage.execute_through([point], "desk:Desk", source=desk(text))

        assert DONE == on_stage(act, zone=zone).result, point
        assert [*BOOKED, "cancel HOTEL", "cancel FLIGHT"] == acts(), point
        undone = [r for r in journal_of(zone) if isinstance(r, Outcome) and r.step == "cancel"]
        assert ["HOTEL", "FLIGHT"] == [record.result for record in undone], point


def test_its_host_may_die_again_and_again_while_it_undoes() -> None:
    whole = Zone()
    travels(TRIP, whole)
    outside.forget()

    async def act(stage: Stage) -> Ending:
        return await stage.execute_through(range(whole.points), "desk:Desk", source=desk(TRIP))

    assert DONE == on_stage(act).result
    assert [*BOOKED, "cancel HOTEL", "cancel FLIGHT"] == acts()


def test_it_goes_on_where_the_agent_has_moved_to() -> None:
    zone = Zone(places=(place("home", 100, current=True), place("away", 50)))
    assert DONE == travels(TRIP, zone).result
    assert 1 == zone.record.custody.term
    assert [*BOOKED, "cancel HOTEL", "cancel FLIGHT"] == acts()
    terms = [effect.split("/")[1] for effect in outside.effects if effect.startswith("cancel")]
    assert ["1", "1"] == terms


def test_an_undo_call_may_move_the_agent_in_the_midst_of_undoing() -> None:
    text = TRIP.replace("await ctx.consider()", "self.ctx = ctx").replace(
        "await self.cancel(ticket)", "await self.cancel(ticket); await self.ctx.consider()"
    )
    zone = Zone(places=(place("home", 100, current=True), place("away", 50)))
    assert DONE == travels(text, zone).result
    assert 1 == zone.record.custody.term
    assert [*BOOKED, "cancel HOTEL", "cancel FLIGHT"] == acts()


FAILING = (
    STEPS
    + """
    class Desk(Traveller):
        @step({declared})
        def give_back(self, what: str) -> None:
            outside.happen("tried to give back " + what)
            raise TerminalError("they will not take it")

        async def run(self, ctx) -> list:
            try:
                async with ctx.saga() as saga:
                    saga.undo(self.cancel, await self.book("flight"))
                    saga.undo(self.give_back, "keys")
                    saga.undo(self.cancel, await self.book("hotel"))
                    {raises}
            except UndoFailed as error:
                assert isinstance(error, TerminalError)
                names = [name for name, _ in error.not_undone]
                cause = type(error.__cause__).__name__
                return [list(error.undone), names, cause, str(error)]
"""
)


def failing(declared: str, raises: str) -> str:
    return FAILING.replace("{declared}", declared).replace("{raises}", raises)


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ("", "StepFailed: step 'give_back' failed after 1 attempts: TerminalError: they will"),
        ("effect='once', action='keys.return'", "StepFailed: step 'give_back' failed after 1"),
        ("effect='once', action='bad.act'", "Denied: bad.act is denied here. Ask for less"),
        ("spends={'orders': 100}", "BudgetExhausted: 100 of budget 'orders' needed, 9 left"),
    ],
)
def test_what_cannot_be_undone_is_named_and_the_rest_is_undone(declared: str, problem: str) -> None:
    text = failing(declared, "await self.book('car')")

    def custodian(stage: Stage, crash_at: int | None = None) -> FakeCustodian:
        return FakeCustodian(stage.zone, denied=frozenset({"bad.act"}), crash_at=crash_at)

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(text, custodian=custodian(stage))

    whole = Zone()
    said = on_stage(act, zone=whole).result
    assert [["cancel", "cancel"], ["give_back"], "StepFailed"] == said[:3]
    assert said[3].startswith("1 of 3 undo calls of a saga were not done: give_back: " + problem)
    assert "The saga had failed by StepFailed: step 'book' failed" in said[3]
    booked = ["book flight", "book hotel", "book car"]
    assert [*booked, "cancel HOTEL", "cancel FLIGHT"] == [a for a in acts() if "tried" not in a]

    async def dying(stage: Stage) -> Ending | None:
        first = custodian(stage, crash_at=whole.points - 3)
        assert await stage.execute_desk(text, custodian=first) is None
        return await stage.execute_desk(text, custodian=custodian(stage))

    assert said == on_stage(dying).result


def test_an_undo_step_that_may_have_been_done_is_not_done_again_and_is_named() -> None:
    text = failing("effect='once', action='keys.return'", "raise ValueError('changed my mind')")

    async def act(stage: Stage) -> Ending | None:
        first = FakeCustodian(stage.zone)
        outside.hooks.append(
            lambda what: setattr(first, "crash_at", stage.zone.points) if "tried" in what else None
        )
        assert await stage.execute_desk(text, custodian=first) is None
        outside.hooks.clear()
        return await stage.execute_desk(text)

    said = on_stage(act).result
    assert [["cancel", "cancel"], ["give_back"], "ValueError"] == said[:3]
    assert "UncertainOutcome: step 'give_back' was interrupted" in said[3]
    assert 1 == outside.effects.count("tried to give back keys")


@pytest.mark.parametrize(
    ("raises", "ended"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("raise SystemExit('no')", "SystemExit: no"),
        ("await self.pay()", "Denied: bad.act is denied here"),
        ("await self.afford()", "BudgetExhausted: 100 of budget 'orders' needed, 9 left"),
        (
            "asyncio.current_task().cancel(); await ctx.sleep(1)",
            "CancelledError: run was cancelled",
        ),
        (
            "await ctx.restart()",
            "Misused: ctx.restart came within a saga that has 'cancel' to undo",
        ),
    ],
)
def test_whatever_made_it_fail_is_raised_again_when_all_is_undone(raises: str, ended: str) -> None:
    text = (
        STEPS
        + f"""
    class Desk(Traveller):
        @step(effect="once", action="bad.act")
        def pay(self) -> None:
            outside.happen("paid")

        @step(spends={{"orders": 100}})
        def afford(self) -> None:
            outside.happen("afforded")

        async def run(self, ctx) -> None:
            async with ctx.saga() as saga:
                saga.undo(self.cancel, await self.book("flight"))
                {raises}
"""
    )

    async def act(stage: Stage) -> Ending | None:
        custodian = FakeCustodian(stage.zone, denied=frozenset({"bad.act"}))
        return await stage.execute_desk(text, custodian=custodian)

    ending = on_stage(act)
    assert How.RAISED is ending.how
    assert ending.text.startswith(ended)
    assert ["book flight", "cancel FLIGHT"] == acts()


CANCELLED = (
    STEPS
    + """
    class Desk(Traveller):
        async def trip(self, ctx) -> None:
            async with ctx.saga() as saga:
                for what in ("flight", "hotel"):
                    saga.undo(self.cancel, await self.book(what))
                self.is_booked.set()
                await asyncio.Event().wait()

        async def run(self, ctx) -> str:
            self.is_booked = asyncio.Event()
            task = asyncio.create_task(self.trip(ctx))
            await self.is_booked.wait()
            task.cancel()
            await self.note("cancelled")
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                return "cancelled"
"""
)


def test_code_that_is_cancelled_again_while_it_undoes_undoes_all_the_same() -> None:
    whole = Zone()

    async def act(stage: Stage, point: int | None = None) -> Ending:
        points = [] if point is None else [point]
        return await stage.execute_through(points, "desk:Desk", source=desk(CANCELLED))

    assert "cancelled" == on_stage(act, zone=whole).result
    for point in range(whole.points):
        outside.forget()

        async def dying(stage: Stage, point: int = point) -> Ending:
            return await act(stage, point)

        assert "cancelled" == on_stage(dying).result
        assert ["book flight", "book hotel", "cancel HOTEL", "cancel FLIGHT"] == acts()


def test_code_that_is_stopped_with_its_host_undoes_nothing() -> None:
    text = (
        STEPS
        + """
    class Desk(Traveller):
        async def forget(self) -> None:
            outside.happen("forgotten, though it goes on")

        async def run(self, ctx) -> str:
            async with ctx.saga() as saga:
                saga.undo(self.cancel, await self.book("flight"))
                saga.undo(self.forget)
                message = await ctx.receive()
            return message.body
"""
    )

    async def act(stage: Stage) -> Ending | None:
        resting = await stage.execute_desk(text, rest_after_s=0.0)
        assert resting is not None
        assert How.RESTING is resting.how
        stage.zone.send("went well")
        return await stage.execute_desk(text)

    assert "went well" == on_stage(act).result
    assert ["book flight"] == acts()


TURNING = (
    STEPS
    + """
    class Desk(Traveller):
        async def run(self, ctx) -> list:
            diary = ctx.memory["risk"]
            try:
                async with ctx.saga() as saga:
                    saga.undo(self.cancel, await self.book("flight"))
                    async for turn in ctx.turns(range(3)):
                        diary.append(await self.note(str(turn)))
                        {in_turn}
                    raise ValueError("no")
            except (ValueError, Misused) as error:
                return [list(diary), str(error)]
"""
).replace("class Traveller", "from sojourn.core.base.errors import Misused\n\n    class Traveller")


def test_a_saga_around_a_loop_keeps_what_it_had_to_undo_before_it() -> None:
    text = TURNING.replace("{in_turn}", "pass")
    whole = Zone()
    assert [["0", "1", "2"], "no"] == travels(text, whole).result
    for point in range(whole.points):
        outside.forget()

        async def act(stage: Stage, point: int = point) -> Ending:
            return await stage.execute_through([point], "desk:Desk", source=desk(text))

        assert [["0", "1", "2"], "no"] == on_stage(act).result
        assert ["book flight", "cancel FLIGHT"] == acts()


def test_a_saga_that_a_restart_point_would_make_forget_is_refused_and_undone() -> None:
    text = TURNING.replace("{in_turn}", "saga.undo(self.cancel, await self.book(str(turn)))")
    said = travels(text, Zone()).result
    assert ["0"] == said[0]
    assert "a restart point came within a saga that has 'cancel' to undo" in said[1]
    assert "within one turn" in said[1]
    assert ["book flight", "book 0", "cancel 0", "cancel FLIGHT"] == acts()


def test_a_saga_within_each_turn_is_its_turns_own() -> None:
    text = (
        STEPS
        + """
    class Desk(Traveller):
        async def run(self, ctx) -> list:
            diary = ctx.memory["risk"]
            async for what in ctx.turns(["flight", "car", "hotel"]):
                try:
                    async with ctx.saga() as saga:
                        saga.undo(self.cancel, await self.book(what + " of Ann"))
                        saga.undo(self.cancel, await self.book(what))
                except StepFailed as error:
                    diary.append(error.kind)
            return list(diary)
"""
    )
    whole = Zone()
    assert ["OSError"] == travels(text, whole).result
    expected = acts()
    assert ["book car of Ann", "book car", "cancel CAR OF ANN"] == expected[2:5]
    assert 6 + 1 == len(expected)
    for point in range(whole.points):
        outside.forget()

        async def act(stage: Stage, point: int = point) -> Ending:
            return await stage.execute_through([point], "desk:Desk", source=desk(text))

        assert ["OSError"] == on_stage(act).result
        assert expected == acts()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (
            "saga = ctx.saga(); saga.undo(self.note, 'x')",
            "saga.undo was given 'note' outside its saga",
        ),
        (
            "\n            async with ctx.saga() as saga: saga.undo(self.note('x').close())",
            "saga.undo was given None, which cannot be called",
        ),
        (
            "\n            async with ctx.saga() as saga:\n                async with saga: pass",
            "a saga was entered twice",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(code: str, problem: str) -> None:
    text = (
        STEPS
        + f"""
    class Desk(Traveller):
        async def run(self, ctx) -> None:
            {code}
"""
    )
    assert problem in travels(text, Zone()).text
