"""Model calls by the real client to a server on loopback: gated, priced, tried again, recorded."""

from typing import Any

import pytest

from sojourn.core.base.errors import Misused
from sojourn.models import model
from sojourn.models.prices import Prices, cost_micros
from sojourn.runtime.host_side.execution import Ending
from sojourn.runtime.records import Outcome
from tests.unit.models.endpoint import Endpoint, endpoint, said
from tests.unit.runtime.custody import FakeCustodian, Zone, first_record
from tests.unit.runtime.executing import Stage, journal_of, on_stage

pytest.importorskip("openai")
KEY = "sk-canary-0123456789"
CALLER = """
    from sojourn.models import Reply, converse, model

    class Desk(Agent):
        think = model("tiny", provider="local", base_url="{url}", secret="local",
                      prices={prices}, output_tokens=50, backoff_s=0.01)

        @step(effect="once", action="ledger.read")
        def balance(self, account: str, in_cents: bool = False) -> int:
            "Return what is on an account."
            return 700 if in_cents else 7

        async def run(self, ctx):
            {run}
"""


def execute(
    server: Endpoint,
    run: str,
    *lives: FakeCustodian,
    zone: Zone,
    prices: str = "(1_000_000, 2_000_000)",
) -> Ending | None:
    text = CALLER.format(url=server.url, run=run, prices=prices)

    async def act(stage: Stage) -> Ending | None:
        for custodian in lives[:-1]:
            assert await stage.execute_desk(text, custodian=custodian) is None
        return await stage.execute_desk(text, custodian=lives[-1])

    ending: Ending | None = on_stage(act, zone=zone)
    stored = b"".join(zone.stored.values()) + repr((zone.intents, ending)).encode()
    assert KEY.encode() not in stored
    return ending


def host(zone: Zone, **more: Any) -> FakeCustodian:
    return FakeCustodian(zone, given={"local": KEY}, **more)


def test_a_call_is_priced_and_permitted_made_and_recorded() -> None:
    zone = Zone(record=first_record({}, {"tokens": 10_000, "cost_micros": 10_000}))
    with endpoint((200, said("four", used=(9, 2)))) as server:
        run = (
            "reply = await self.think('2+2?'); return [reply.text, reply.cost_micros, reply.model]"
        )
        ending = execute(server, run, host(zone), zone=zone)
    assert ending is not None and ["four", 9 + 2 * 2, "tiny-1"] == ending.result
    (headers, body), intent = server.asked[0], zone.intents[0]
    assert f"Bearer {KEY}" == headers["authorization"]
    assert intent.key == headers["idempotency-key"]
    assert ("tiny", 50) == (body["model"], body["max_tokens"])
    assert [{"role": "user", "content": "2+2?"}] == body["messages"]
    assert ("model.call", "local/tiny", ("local",)) == (
        intent.action,
        intent.counterpart,
        intent.secrets,
    )
    assert 50 + 9 < intent.tokens < 250 and intent.cost_micros == intent.tokens + 50
    budgets = zone.record.eligibility.budgets
    assert (intent.tokens, intent.cost_micros) == (
        budgets["tokens"].spent,
        budgets["cost_micros"].spent,
    )


def test_what_was_used_beyond_what_was_reserved_is_charged_as_well() -> None:
    zone = Zone(record=first_record({}, {"tokens": 10_000}))
    with endpoint((200, said("long", used=(5_000, 50)))) as server:
        execute(server, "await self.think('2+2?')", host(zone), zone=zone)
    assert 5_050 == zone.record.eligibility.budgets["tokens"].spent


def test_a_call_that_the_budget_does_not_hold_is_not_made() -> None:
    zone = Zone(record=first_record({}, {"tokens": 60}))
    run = """try:
                await self.think('2+2?')
            except BudgetExhausted as error:
                return str(error)"""
    with endpoint((200, said("four", used=(1, 1)))) as server:
        ending = execute(server, run, host(zone), zone=zone)
    assert ending is not None and "of budget 'tokens' needed" in ending.result
    assert [] == server.asked


def test_what_may_help_is_tried_again_by_the_runtime_and_nothing_else() -> None:
    zone = Zone()
    busy = (429, {"error": {"message": f"busy, {KEY}"}})
    with endpoint(busy, (503, {}), (200, said("late", used=(1, 1)))) as server:
        ending = execute(server, "return (await self.think('x')).text", host(zone), zone=zone)
    assert ending is not None and "late" == ending.result
    assert 3 == len(server.asked) and 1 == len({h["idempotency-key"] for h, _ in server.asked})
    zone = Zone()
    with endpoint((401, {"error": {"message": f"bad key {KEY}"}})) as server:
        ending = execute(server, "await self.think('x')", host(zone), zone=zone)
    assert ending is not None and "401" in ending.text and "bad key [secret local]" in ending.text
    assert 1 == len(server.asked)


@pytest.mark.parametrize(
    ("point", "text", "calls"),
    [
        (3, "one", 1),  # right after the intent is final
        (4, "two", 2),  # right before the outcome is: nobody knows of the first answer
        (5, "one", 1),  # right after it
    ],
)
def test_a_host_dies_about_a_call_and_the_answer_that_was_recorded_is_used(
    point: int, text: str, calls: int
) -> None:
    zone = Zone()
    with endpoint((200, said("one", used=(1, 1))), (200, said("two", used=(1, 1)))) as server:
        run, first = "return (await self.think('x')).text", host(zone, crash_at=point)
        ending = execute(server, run, first, host(zone), zone=zone)
    assert ending is not None and 1 == len(zone.intents)
    keys = [headers["idempotency-key"] for headers, _ in server.asked]
    assert [zone.intents[0].key] * len(keys) == keys
    assert (text, calls) == (ending.result, len(keys))
    outcomes = [r for r in journal_of(zone) if isinstance(r, Outcome)]
    assert [ending.result] == [each.result["text"] for each in outcomes]


def test_a_conversation_calls_tools_as_steps_and_tells_the_model_what_came_of_them() -> None:
    zone = Zone()
    deep = '{"account": ' + "[" * 100_000
    wants = [("balance", '{"account": "a", "in_cents": true}'), ("balance", '{"acount": 1}')]
    wants += [("balance", "\ud800"), ("balance", deep)]
    answers = [
        (200, said("", tools=[*wants, ("steal", "{}")], used=(1, 1))),
        (200, said("you have 7", used=(1, 1))),
    ]
    run = "return (await converse(self, Desk.think, 'how much?', [Desk.balance])).text"
    with endpoint(*answers) as server:
        ending = execute(server, run, host(zone), zone=zone)
    assert ending is not None and "you have 7" == ending.result
    (tool,) = server.asked[0][1]["tools"]
    assert "Return what is on an account." == tool["function"]["description"]
    assert ["account"] == tool["function"]["parameters"]["required"]
    told = [m["content"] for m in server.asked[1][1]["messages"] if m["role"] == "tool"]
    assert "700" == told[0]
    assert all("arguments of balance are wrong" in each for each in told[1:4])
    assert "there is no tool 'steal'" in told[4]
    assert ["model.call", "ledger.read", "model.call"] == [each.action for each in zone.intents]


def test_a_denied_tool_is_told_to_the_model_and_turns_are_bounded() -> None:
    zone = Zone()
    wants = (200, said("", tools=[("balance", '{"account": "a"}')], used=(1, 1)))
    run = """try:
                await converse(self, Desk.think, 'x', [Desk.balance], turns=2)
            except Exception as error:
                return [str(error), error.messages[2]["content"]]"""
    with endpoint(wants) as server:
        custodian = host(zone, denied=frozenset({"ledger.read"}))
        ending = execute(server, run, custodian, zone=zone)
    assert ending is not None
    problem, told = ending.result
    assert "after 2 turns" in problem and "ledger.read is denied here" in told


def test_prices_come_from_the_author_or_the_table() -> None:
    assert 7 == cost_micros("x", "y", Prices(1_000_000, 2_000_000), 3, 2)
    assert 1 == cost_micros("x", "y", Prices(1, 0), 1, 0)
    assert 450 == cost_micros("gpt-4o-mini", "openai", None, 1000, 500)
    with pytest.raises(Misused, match="nobody says what model 'no-such' of openai costs"):
        cost_micros("no-such", "openai", None, 1, 1)


def test_a_model_of_which_nobody_says_what_it_costs_is_not_called() -> None:
    zone = Zone()
    with endpoint((200, said("x", used=(1, 1)))) as server:
        run = "await self.think('x')"
        ending = execute(server, run, host(zone), zone=zone, prices="None")
    assert ending is not None and "nobody says what model 'tiny' of local costs" in ending.text
    assert [] == server.asked


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"provider": "nowhere"}, "nobody says where provider 'nowhere'"),
        ({"effect": "none"}, "with effect 'none'"),
        ({"output_tokens": 0}, "output_tokens=0"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_misused(
    declared: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Misused, match=problem):
        model("x", **declared)
