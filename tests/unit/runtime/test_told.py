"""What others tell an agent's code binds it by the labels that it has (protocol §10.40)."""

from typing import Any

import pytest
from msgspec import UNSET

from sojourn.core.base.digests import ZERO
from sojourn.core.base.encoding import encode_block
from sojourn.core.base.limits import LABELS_MAX
from sojourn.core.protocol.querying import Disclosure
from sojourn.runtime.frames import Open, Progressed, digest_of_records
from sojourn.runtime.host_side.execution import Ending, How
from sojourn.runtime.host_side.forked import forked_journal
from sojourn.runtime.host_side.journal import Saved
from sojourn.runtime.questions import Done, Listen, Problem, Told
from sojourn.runtime.records import Denial, Intended, Outcome, Received, Waiting, encode_record
from tests.unit.runtime.custody import FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage
from tests.unit.runtime.labelled import content, labelled_zone, run_to_its_end
from tests.unit.runtime.test_flow import BEGAN, Side, last, last_commit, play_side, refused

ORDER = """
            @step(effect="once", action="order.place")
            def order(self, x: int) -> int:
                return x

            @step(declassifies=("secret",), into="totals")
            def release(self, value: int) -> int:
                return value
"""
RECEIVES = "(await ctx.receive()).body"
ASKS = "await ctx.query(bytes(32), 'total')"


def desk(body: str) -> str:
    """Return an agent whose `run` has this body; its lines are indented by 16."""
    return f"""
        class Desk(Agent):
            {ORDER}
            async def run(self, ctx):
                {body}
    """


def told_zone(*labels: str, value: Any = 7, refused: str = "") -> Zone:
    """Return a zone where an agent is told a value with these labels: by a message, and by a query."""
    zone = labelled_zone()
    zone.send(value, labels)
    zone.tells = Disclosure(
        question=ZERO,
        agent=ZERO,
        version=1,
        told_ms=0,
        result=b"" if refused else encode_block(value),
        labels=labels,
        refused=refused,
    )
    return zone


@pytest.fixture(params=[RECEIVES, ASKS], ids=["message", "query"])
def tells(request: pytest.FixtureRequest) -> str:
    """Return an expression whose value the code is told."""
    told: str = request.param
    return told


def test_section_10_40_what_it_was_told_is_written_only_where_its_labels_are(tells: str) -> None:
    body = f"""told = {tells}
                ctx.memory["secrets"]["told"] = told
                ctx.memory["totals"].append(told)"""
    zone = told_zone("secret")
    ending, _ = run_to_its_end(desk(body), zone)
    assert "Denied: compartment 'totals' may not hold data labelled secret" in ending.text
    assert [] == content(zone, "totals")
    assert 7 == content(zone, "secrets")["told"]


def test_section_10_40_what_has_no_labels_binds_nobody(tells: str) -> None:
    zone = told_zone()
    ending, _ = run_to_its_end(desk(f'ctx.memory["totals"].append({tells})'), zone)
    assert (How.RETURNED, [7]) == (ending.how, content(zone, "totals"))


def test_section_10_40_acts_and_messages_are_judged_by_what_it_was_told(tells: str) -> None:
    body = f"""await self.order(1)
                told = {tells}
                await self.order(told)
                await ctx.send(bytes(range(32)), told)"""
    zone = told_zone("secret", "strange")
    ending, _ = run_to_its_end(desk(body), zone)
    assert ending.how is How.RETURNED, ending
    judged = [r for r in journal_of(zone) if isinstance(r, Intended) and r.action != "query"]
    both = ("secret", "strange")
    assert [("order.place", ()), ("order.place", both), ("message", both)] == [
        (each.action, each.labels) for each in judged
    ]


def test_section_10_40_a_query_that_was_refused_tells_something_too() -> None:
    body = """try:
                    await ctx.query(bytes(32), "total")
                except QueryRefused as error:
                    ctx.memory["totals"].append(str(error))"""
    zone = told_zone("secret", refused="ann owes 5")
    ending, _ = run_to_its_end(desk(body), zone)
    assert "compartment 'totals' may not hold data labelled secret" in ending.text
    assert [] == content(zone, "totals")


def test_section_10_40_a_step_that_declassifies_takes_the_labels_off(tells: str) -> None:
    zone = told_zone("secret")
    ending, _ = run_to_its_end(desk(f"return await self.release({tells})"), zone)
    assert (7, [7]) == (ending.result, content(zone, "totals"))
    kept = told_zone("secret", "strange")
    ending, _ = run_to_its_end(desk(f"return await self.release({tells})"), kept)
    assert "compartment 'totals' may not hold data labelled strange" in ending.text


def test_section_10_40_behind_a_restart_point_it_is_forgotten_but_what_the_loop_knows(
    tells: str,
) -> None:
    body = f"""async for turn in ctx.turns(range(2)):
                    if turn == 0:
                        {tells}
                    else:
                        ctx.memory["totals"].append(turn)
                        await self.order(turn)"""
    zone = told_zone("strange")
    ending, times = run_to_its_end(desk(body), zone)
    assert (How.RETURNED, 1, [1]) == (ending.how, times, content(zone, "totals"))
    assert () == [r for r in journal_of(zone) if isinstance(r, Intended)][-1].labels
    before = f"""told = {tells}
                async for turn in ctx.turns(range(1)):
                    ctx.memory["totals"].append(told)"""
    ending, _ = run_to_its_end(desk(before), told_zone("strange"))
    assert "compartment 'totals' may not hold data labelled strange" in ending.text


def test_section_10_40_a_run_that_begins_anew_is_bound_by_what_it_was_told(tells: str) -> None:
    body = f"""if not given:
                    await ctx.restart({tells})
                ctx.memory["totals"].append(given[0])"""
    text = desk(body).replace("def run(self, ctx)", "def run(self, ctx, *given)")
    ending, _ = run_to_its_end(text, told_zone("secret"))
    assert "compartment 'totals' may not hold data labelled secret" in ending.text


@pytest.mark.parametrize("crash_at", range(14))
def test_section_10_40_it_is_bound_in_every_life(tells: str, crash_at: int) -> None:
    body = f"""ctx.memory["totals"].append(1)
                await self.release(0)
                told = {tells}
                try:
                    ctx.memory["totals"].append(told)
                except Denied:
                    ctx.memory["secrets"]["denied"] = told
                try:
                    await self.order(told)
                except UncertainOutcome:
                    pass
                return told"""
    zone = told_zone("secret")

    async def act(stage: Stage) -> Ending:
        custodian = FakeCustodian(zone, crash_at=crash_at)
        ending = await stage.execute_desk(desk(body), custodian=custodian)
        return ending or await stage.execute_desk(desk(body))

    ending = on_stage(act, zone=zone)
    assert (How.RETURNED, 7) == (ending.how, ending.result), ending
    assert ([1, 0], 7) == (content(zone, "totals"), content(zone, "secrets")["denied"])
    (order,) = [r for r in journal_of(zone) if isinstance(r, Intended) and r.step == "order"]
    assert ("secret",) == order.labels


def test_section_10_40_a_call_that_is_given_up_tells_nothing_and_binds_nobody() -> None:
    body = """await ctx.race(ctx.query(bytes(32), "total"), ctx.sleep(1))
                ctx.memory["table"]["a"] = 1"""
    zone = told_zone("secret")
    zone.tells_after_s = 0.3
    ending, _ = run_to_its_end(desk(body), zone)
    assert (How.RETURNED, {"a": 1}) == (ending.how, content(zone, "table")), ending
    (outcome,) = [r for r in journal_of(zone) if isinstance(r, Outcome)]
    assert {"labels": ["secret"]} == outcome.result


def test_section_10_40_who_knows_what_has_labels_has_no_children(tells: str) -> None:
    zone = told_zone("secret")
    ending, _ = run_to_its_end(desk(f'{tells}; await ctx.spawn("desk:Desk")'), zone)
    assert "Denied: its agent has used what may not be everywhere" in ending.text
    assert ["spawn"] == [r.action for r in journal_of(zone) if isinstance(r, Denial)]


def test_section_10_40_a_fork_is_bound_by_what_its_origin_was_told(tells: str) -> None:
    zone = told_zone("secret")

    async def act(stage: Stage) -> Saved | None:
        text = desk(f"{tells}; await ctx.receive(); await ctx.receive()")
        ending = await stage.execute_desk(text, rest_after_s=0.01)
        assert ending is not None
        assert ending.how is How.RESTING, ending
        return await forked_journal(FakeCustodian(zone))

    saved = on_stage(act, zone=zone)
    assert [("secret",)] == [mark.labels for mark in saved.journal.resume.bound_by()]


MANY = tuple(f"label {number:02}" for number in range(LABELS_MAX))


def test_section_10_40_more_labels_than_it_can_have_are_not_told() -> None:
    """Whoever writes chooses them: the message is consumed, the code goes on, and the next one is told."""
    body = """got = []
                for _ in range(2):
                    try:
                        got.append((await ctx.receive()).body)
                    except Denied as error:
                        got.append(str(error))
                return got"""
    zone = told_zone(*MANY)
    zone.send("next")
    ending, _ = run_to_its_end(desk(body), zone)
    denied, told = ending.result
    assert "next" == told
    assert denied.startswith("message 0 from tester, labelled label 00, label 01")
    assert f"more than {LABELS_MAX} labels" in denied
    first = next(r for r in journal_of(zone) if isinstance(r, Received))
    assert (0, None, True) == (first.index, first.body, first.denied is not UNSET)
    ending, _ = run_to_its_end(desk(f"return {ASKS}"), zone := told_zone(*MANY))
    assert "Denied: the answer is not told" in ending.text
    (outcome,) = [r for r in journal_of(zone) if isinstance(r, Outcome)]
    assert outcome.failure is not None


# --- the host's side, whatever the agent's says ---------------------------------------------------------


async def listen(side: Side) -> tuple[Any, int]:
    """Listen for the first message; return what comes, and the number under which it is sealed."""
    mail = await side.ask(Listen, index=0, until_ms=None)
    return mail.message, mail.sealed


def test_section_10_40_a_body_is_given_to_who_is_bound_by_its_labels() -> None:
    async def script(side: Side) -> None:
        message, sealed = await listen(side)
        assert (None, ("secret",)) == (message.body, message.labels)
        data = encode_record(BEGAN, what="a record")
        made = {"records": 1, "digest": digest_of_records((data,)), "roots": side.roots}
        assert Told(result=7) == await side.ask(Open, sealed=sealed, **made)
        assert Done() == await side.commit(BEGAN, Waiting(call=0, until_ms=None))

    _, zone = play_side(script, told_zone("secret"))

    async def later(side: Side) -> None:
        assert [("secret",)] == [mark.labels for mark in side.start.resume.bound_by()]
        side.write("totals", "remembered")
        await last_commit(side, Waiting(call=1, until_ms=None), resume=side.start.resume)

    assert "compartment 'totals' may not hold" in refused(later, zone)


def test_section_10_40_who_has_opened_it_writes_nowhere_else() -> None:
    async def script(side: Side) -> None:
        _, sealed = await listen(side)
        assert Told(result=7) == await side.ask(Open, sealed=sealed, roots=side.roots)
        side.write("totals", 7)
        await last_commit(side, BEGAN)

    assert "compartment 'totals' may not hold" in refused(script, told_zone("secret"))


def test_section_10_40_what_was_never_sealed_or_is_opened_already_is_not_opened() -> None:
    async def script(side: Side) -> None:
        await last(side, Open, sealed=12)

    assert "what is to be opened was never sealed" in refused(script)

    async def twice(side: Side) -> None:
        _, sealed = await listen(side)
        await side.ask(Open, sealed=sealed, roots=side.roots)
        side.channel.say(Open(ask=98, sealed=sealed, roots=side.roots))

    assert "what is to be opened was never sealed" in refused(twice, told_zone("secret"))


def test_section_10_40_who_is_denied_is_not_bound() -> None:
    async def script(side: Side) -> None:
        _, sealed = await listen(side)
        assert isinstance(await side.ask(Open, sealed=sealed, roots=side.roots), Problem)
        side.write("totals", 1)
        assert Done() == await side.commit(BEGAN)

    _, zone = play_side(script, told_zone(*MANY))
    assert [1] == content(zone, "totals")


def test_section_10_10_what_is_bound_to_a_place_is_no_progress() -> None:
    async def script(side: Side) -> None:
        side.touch("clients")
        side.channel.say(Progressed(text="ann owes 5"))

    assert "Progressed came out of turn" in refused(script)
