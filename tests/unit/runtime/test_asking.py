"""Steps that wait for an approval (protocol §10): asked once, waited for through takeovers, and given up."""

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from sojourn.core.agent.approvals import Approval, Petition, SignedApproval
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Denied
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.asking import Unapproved
from sojourn.runtime.agent_side.performing import PerformStep
from sojourn.runtime.agent_side.steps import Step
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.ports import Draft, Intent, Permit
from sojourn.runtime.questions import SPELLED_BYTES_MAX, Withdraw
from sojourn.runtime.records import Asked, Intended, Outcome
from tests.samples import key, seal
from tests.unit.runtime import outside
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage

BUYER = """
    class Desk(Agent):
        @step(effect="once", action="order.place")
        def buy(self, what: str, count: int = 1) -> str:
            outside.happen(what)
            return what

        async def run(self, ctx, *wanted) -> list:
            done = []
            for what in wanted:
                try:
                    done.append(await self.buy(what, count=2))
                except Denied as error:
                    done.append(error.problem)
            return done
"""
IMPATIENT = """
    class Desk(Agent):
        @step(effect="once", action="order.place")
        def buy(self, what: str) -> str:
            outside.happen(what)
            return what

        async def run(self, ctx) -> list:
            buying = asyncio.ensure_future(self.buy("bonds"))
            await asyncio.wait([asyncio.ensure_future(ctx.sleep(1))])
            buying.cancel()
            outside.note("given up")
            await asyncio.gather(buying, return_exceptions=True)
            message = await ctx.receive()
            return [message.body, buying.cancelled()]
"""


class Desk(FakeCustodian):
    """A custodian whose gate asks people about every action; `says` is what they answer, or an error."""

    says: Any = None

    async def intend(self, intent: Intent, draft: Draft) -> Permit:
        if not intent.approvals:
            raise Unapproved("the desk has to approve it")
        return await super().intend(intent, draft)

    async def answered(self, petition: Any) -> tuple[SignedApproval, ...]:
        self.zone.waiting += 1
        self.zone.stir()
        await self.zone.until(lambda: self.says is not None or self.zone.has_said)
        if isinstance(self.says, Exception):
            raise self.says
        return (approval(petition),)


def approval(petition: Any) -> SignedApproval:
    ann = key("ann")
    said = Approval(
        agent=petition.agent,
        petition=digest_of(petition),
        approver=ann.public,
        is_approved=True,
        issued_ms=0,
        expires_ms=1,
    )
    sealed = seal(ann, Kind.APPROVAL, Role.PERSON, digest_of(said))
    return SignedApproval(approval=said, seal=sealed)


class Approved(Desk):
    """People approve at once."""

    says = True


class Declined(Desk):
    """People decline at once."""

    says = Denied("order.place was declined by ann")


def setup_function() -> None:
    outside.forget()


def test_what_is_approved_is_asked_then_intended_then_done() -> None:
    zone = Zone()
    ending = on_stage(
        lambda s: s.execute_desk(BUYER, "bonds", custodian=Approved(s.zone)), zone=zone
    )
    assert ["bonds"] == ending.result == outside.effects
    asked, intended, outcome = [
        each for each in journal_of(zone) if isinstance(each, Asked | Intended | Outcome)
    ]
    assert isinstance(asked, Asked) and isinstance(intended, Intended)
    assert [["bonds"], {"count": 2}] == asked.spelled
    assert asked.arguments == intended.arguments == asked.petition.arguments
    assert (approval(asked.petition),) == intended.approvals
    assert 1 == len(zone.petitions)


def test_what_is_declined_is_denied_and_the_next_is_asked() -> None:
    zone = Zone()
    ending = on_stage(
        lambda s: s.execute_desk(BUYER, "bonds", "gold", custodian=Declined(s.zone)), zone=zone
    )
    assert ["order.place was declined by ann"] * 2 == ending.result
    assert [] == outside.effects
    assert 2 == len(zone.petitions)


def test_arguments_that_people_cannot_be_shown_are_denied() -> None:
    long = "x" * SPELLED_BYTES_MAX
    zone = Zone()
    ending = on_stage(lambda s: s.execute_desk(BUYER, long, custodian=Approved(s.zone)), zone=zone)
    assert "more than people can be asked about" in ending.result[0]
    assert [] == zone.petitions == outside.effects


def test_at_whatever_point_its_host_dies_it_is_done_once() -> None:
    for point in range(12):
        outside.forget()
        zone = Zone()

        async def act(stage: Stage, point: int = point) -> Ending | None:
            first = await stage.execute_desk(
                BUYER, "bonds", custodian=Approved(stage.zone, crash_at=point)
            )
            if first is not None:
                return first
            return await stage.execute_desk(BUYER, "bonds", custodian=Approved(stage.zone))

        ending = on_stage(act, zone=zone)
        assert ending is not None
        assert How.RETURNED is ending.how or "UncertainOutcome" in ending.text, point
        assert len(outside.effects) <= 1, point
        assert 1 == len(zone.petitions), f"asked twice, after a crash at {point}"


def test_a_host_that_takes_over_waits_for_the_same_petition() -> None:
    zone = Zone()

    async def act(stage: Stage) -> Ending | None:
        running = asyncio.ensure_future(
            stage.execute_desk(BUYER, "bonds", custodian=Desk(stage.zone))
        )
        await stage.zone.until(lambda: stage.zone.waiting > 0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert [] == stage.zone.withdrawn, "its host has stopped, the code has not given up"
        return await stage.execute_desk(BUYER, "bonds", custodian=Approved(stage.zone))

    assert ["bonds"] == on_stage(act, zone=zone).result
    assert 1 == len(zone.petitions)


def test_what_the_code_gives_up_on_is_withdrawn_and_does_not_happen() -> None:
    zone = Zone()

    async def act(stage: Stage) -> Ending | None:
        custodian = Hesitant(stage.zone, at="answered")
        running = asyncio.ensure_future(stage.execute_desk(IMPATIENT, custodian=custodian))
        await stage.zone.until(lambda: bool(stage.zone.withdrawn))
        stage.zone.has_said = True
        stage.zone.stir()
        for _ in range(50):
            await asyncio.sleep(0)  # it is approved all the same, too late
        stage.zone.send("late")
        return await running

    assert ["late", True] == on_stage(act, zone=zone).result
    assert [] == outside.effects
    assert [digest_of(each) for each in zone.petitions] == zone.withdrawn


LOOKER = """
    class Desk(Agent):
        @step(effect="once", action="order.place")
        def buy(self, what: str) -> str:
            return what

        @step
        def look(self, number: int) -> int:
            return number

        async def run(self, ctx) -> str:
            buying = asyncio.ensure_future(self.buy("bonds"))
            await ctx.sleep(1)
            await self.look({number})
            return await buying
"""


def test_who_stops_the_code_withdraws_nothing() -> None:
    """A host that is stopped, or code that does not repeat its journal, has not given up."""
    step = Step(
        print,
        effect="once",
        action="order.place",
        attempts=1,
        backoff_s=0,
        spends={},
        declassifies=(),
        into="",
    )
    record = Asked(
        call=0, step="print", arguments=digest(b"a"), petition=approved_petition(), spelled=[]
    )
    for is_over, expected in ((True, []), (False, [Withdraw])):
        asked: list[type] = []
        session = SimpleNamespace(
            loop=SimpleNamespace(create_future=Future),
            is_over=is_over,
            ask=lambda form, *_, into=asked, **__: into.append(form),
        )
        performing = PerformStep(session, 0, step, (), {})  # type: ignore[arg-type]
        assert not performing.deliver(record)
        performing.abandon()
        assert expected == asked


def approved_petition() -> Petition:
    intent = Intent(
        key="k", step="print", action="order.place", effect="once", arguments=digest(b"a")
    )
    return asyncio.run(FakeCustodian(Zone()).petition(intent))


def test_what_a_run_that_has_ended_waited_for_is_withdrawn() -> None:
    text = LOOKER.format(number=1).replace("return await buying", "return 'gone'")
    zone = Zone()
    ending = on_stage(
        lambda s: s.execute_desk(text, custodian=Hesitant(s.zone, at="answered")), zone=zone
    )
    assert "gone" == ending.result
    assert [digest_of(each) for each in zone.petitions] == zone.withdrawn


class Hesitant(Desk):
    """Time passes only once a petition, or an answer to it, is being waited for: `at` says which."""

    def __init__(self, zone: Zone, *, at: str) -> None:
        super().__init__(zone)
        self.at, self.has_begun, self.goes_on = at, asyncio.Event(), asyncio.Event()

    async def ask(self, petition: Any, draft: Draft) -> None:
        if self.at == "ask":
            self.has_begun.set()
            await self.goes_on.wait()
        await super().ask(petition, draft)

    async def intend(self, intent: Intent, draft: Draft) -> Permit:
        if self.at == "intend":
            self.has_begun.set()
            await self.goes_on.wait()
            return await FakeCustodian.intend(self, intent, draft)
        return await super().intend(intent, draft)

    async def answered(self, petition: Any) -> tuple[SignedApproval, ...]:
        self.has_begun.set()
        return await super().answered(petition)

    async def sleep_until(self, at_ms: int) -> None:
        await self.has_begun.wait()
        await super().sleep_until(at_ms)


def test_a_call_that_is_cancelled_while_it_is_asked_about_replays() -> None:
    for at, written in (("ask", Asked), ("intend", Intended)):
        outside.forget()
        zone = Zone()

        async def act(stage: Stage, at: str = at, written: type = written) -> Ending | None:
            custodian = Hesitant(stage.zone, at=at)
            running = asyncio.ensure_future(stage.execute_desk(IMPATIENT, custodian=custodian))
            await custodian.has_begun.wait()
            while not outside.noted:
                await asyncio.sleep(0)
            custodian.goes_on.set()
            await stage.zone.until(
                lambda: any(isinstance(r, written) for r in journal_of(stage.zone))
            )
            await stage.zone.until(lambda: len(stage.zone.drafts) > 1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            stage.zone.send("late")
            return await stage.execute_desk(IMPATIENT)

        ending = on_stage(act, zone=zone)
        assert How.RETURNED is ending.how, (at, ending.text)
        assert ["late", True] == ending.result


TURNING = """
    class Desk(Agent):
        @step(effect="once", action="order.place")
        def buy(self, what: str) -> str:
            outside.happen(what)
            return what

        @step
        def look(self, turn: int) -> int:
            return turn

        async def run(self, ctx) -> list:
            seen = []
            async for turn in ctx.turns(range(3)):
                seen.append(await self.look(turn))
                if turn == 0:
                    buying = asyncio.ensure_future(self.buy("bonds"))
                    await asyncio.wait([asyncio.ensure_future(ctx.sleep(1))])
                    buying.cancel()
                    await asyncio.gather(buying, return_exceptions=True)
                if turn == 1:
                    await ctx.receive()
            return seen
"""


def test_a_turn_that_begins_while_a_cancelled_call_is_asked_about_replays() -> None:
    for at in ("ask", "intend"):
        outside.forget()
        zone = Zone()

        async def act(stage: Stage, at: str = at) -> Ending | None:
            custodian = Hesitant(stage.zone, at=at)
            running = asyncio.ensure_future(stage.execute_desk(TURNING, custodian=custodian))
            await custodian.has_begun.wait()
            for _ in range(50):
                await asyncio.sleep(0)
            custodian.goes_on.set()
            await stage.zone.until(lambda: _looked(stage.zone) > 1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            stage.zone.send("late")
            return await stage.execute_desk(TURNING)

        ending = on_stage(act, zone=zone)
        assert How.RETURNED is ending.how, (at, ending.text)


def _looked(zone: Zone) -> int:
    if zone.record.memory.journal == ZERO:
        return 0
    return sum(isinstance(r, Outcome) and r.step == "look" for r in journal_of(zone))
