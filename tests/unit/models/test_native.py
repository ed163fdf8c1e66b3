"""Calls in a provider's own protocol, by the real library to a server on loopback that speaks Anthropic's."""

from typing import Any

import pytest

from sojourn.core.base.errors import Misused
from sojourn.models import model
from sojourn.runtime.host_side.execution import Ending
from tests.unit.models.endpoint import Endpoint, endpoint, message
from tests.unit.runtime.custody import FakeCustodian, Zone, first_record
from tests.unit.runtime.executing import Stage, on_stage

pytest.importorskip("any_llm")
KEY = "sk-ant-canary-0123456789"
CALLER = """
    from sojourn.models import Reply, converse, model

    class Desk(Agent):
        think = model("{name}", provider="{provider}", protocol="native", base_url="{url}",
                      secret="vendor", prices=(1_000_000, 2_000_000), output_tokens=50,
                      backoff_s=0.01)

        @step(effect="once", action="ledger.read")
        def balance(self, account: str) -> int:
            "Return what is on an account."
            return 7

        async def run(self, ctx):
            {run}
"""


def execute(
    server: Endpoint, run: str, zone: Zone, provider: str = "anthropic", name: str = "claude-tiny"
) -> Ending:
    url = server.url.removesuffix("/v1")
    text = CALLER.format(url=url, run=run, provider=provider, name=name)
    custodian = FakeCustodian(zone, given={"vendor": KEY})

    async def act(stage: Stage) -> Ending | None:
        return await stage.execute_desk(text, custodian=custodian)

    ending: Ending | None = on_stage(act, zone=zone)
    stored = b"".join(zone.stored.values()) + repr((zone.intents, ending)).encode()
    assert ending is not None and KEY.encode() not in stored
    return ending


def test_a_call_in_anthropics_protocol_is_gated_priced_keyed_and_recorded() -> None:
    zone = Zone(record=first_record({}, {"tokens": 10_000, "cost_micros": 10_000}))
    with endpoint((200, message("four", used=(9, 2)))) as server:
        run = (
            "reply = await self.think('2+2?'); return [reply.text, reply.cost_micros, reply.finish]"
        )
        ending = execute(server, run, zone)
    assert ["four", 9 + 2 * 2, "stop"] == ending.result, ending
    (headers, body), intent = server.asked[0], zone.intents[0]
    assert ["/v1/messages"] == server.paths
    assert KEY == headers["x-api-key"] and intent.key == headers["idempotency-key"]
    assert ("claude-tiny", 50) == (body["model"], body["max_tokens"])
    assert "anthropic/claude-tiny" == intent.counterpart


def test_a_conversation_calls_tools_in_anthropics_protocol() -> None:
    zone = Zone()
    wants = message("let me look", ("balance", {"account": "a"}), used=(1, 1))
    answers = ((200, wants), (200, message("you have 7", used=(1, 1))))
    run = "return (await converse(self, Desk.think, 'how much?', [Desk.balance])).text"
    with endpoint(*answers) as server:
        ending = execute(server, run, zone)
    assert "you have 7" == ending.result, ending
    (tool,) = server.asked[0][1]["tools"]
    assert ("balance", ["account"]) == (tool["name"], tool["input_schema"]["required"])
    (told,) = server.asked[1][1]["messages"][-1]["content"]
    assert ("tool_result", "t1", "7") == (told["type"], told["tool_use_id"], told["content"])
    assert ["model.call", "ledger.read", "model.call"] == [each.action for each in zone.intents]


def test_what_may_help_is_tried_again_by_the_runtime_and_nothing_else() -> None:
    busy: Any = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    zone = Zone()
    with endpoint((529, busy), (429, busy), (200, message("late", used=(1, 1)))) as server:
        ending = execute(server, "return (await self.think('x')).text", zone)
    assert "late" == ending.result, ending
    assert 3 == len(server.asked) and 1 == len({h["idempotency-key"] for h, _ in server.asked})
    bad = {"type": "error", "error": {"type": "authentication_error", "message": f"no {KEY}"}}
    with endpoint((401, bad)) as server:
        ending = execute(server, "await self.think('x')", Zone())
    assert 1 == len(server.asked)
    assert "401 from anthropic" in ending.text and "no [secret vendor]" in ending.text


def test_a_server_that_is_not_there_is_tried_again() -> None:
    with endpoint((200, {})) as server:
        gone = server.url
    ending = execute(Endpoint([], url=gone), "await self.think('x')", Zone())
    assert "after 3 attempts" in ending.text and "no answer from anthropic" in ending.text


@pytest.mark.parametrize(
    ("provider", "problem"),
    [
        ("nowhere", "nowhere"),
        ("watsonx", "pip install 'any-llm-sdk[watsonx]' on the host"),
    ],
)
def test_a_provider_that_cannot_be_spoken_to_is_told_at_once(provider: str, problem: str) -> None:
    with endpoint((200, {})) as server:
        ending = execute(server, "await self.think('x')", Zone(), provider)
    assert problem in ending.text and "after 1 attempt" in ending.text
    assert [] == server.asked


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"protocol": "soap"}, "is declared with protocol 'soap'"),
        ({"protocol": "native", "provider": ""}, "nobody says where provider ''"),
        (
            {"protocol": "native", "provider": "xai", "base_url": "https://x"},
            "the client of provider 'xai' cannot be sent to base_url 'https://x'",
        ),
    ],
)
def test_a_declaration_that_makes_no_sense_is_misused(
    declared: dict[str, Any], problem: str
) -> None:
    with pytest.raises(Misused, match=problem):
        model("x", **declared)
