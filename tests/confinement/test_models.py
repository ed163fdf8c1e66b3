"""Confined code that uses models, secrets and queues: its host makes the calls, and keeps the keys to itself."""

import asyncio
import itertools
import sys
from typing import Any

import pytest

from sojourn.host.queues import Queues
from sojourn.models.relayed import Endpoint, ModelCaller
from sojourn.runtime.host_side.execution import Ending
from sojourn.runtime.host_side.turnstile import Limit
from sojourn.substrates.local import LocalSubstrate
from tests.confinement.agents import confiner
from tests.unit.models.endpoint import Endpoint as Server
from tests.unit.models.endpoint import endpoint, said
from tests.unit.runtime.custody import FakeCustodian, Zone, first_record
from tests.unit.runtime.executing import Stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can confine")
pytest.importorskip("openai")
KEY = "sk-canary-0123456789"
CALLER = """
    import gc, os
    from sojourn.models import converse, model, write_reply
    from sojourn.runtime.agent_side import relaying
    from sojourn.runtime.agent_side.steps import effect_key

    def found():
        "Return where in this process the key is, but in what we look for it by."
        half = "sk-" + "canary"
        held = [each for each in gc.get_objects() if isinstance(each, (dict, list, tuple, set))]
        return [repr(type(h)) for h in held for v in (h.values() if isinstance(h, dict) else h)
                if isinstance(v, (str, bytes)) and v != half and
                (half in v if isinstance(v, str) else half.encode() in v) and "gc.get" not in str(v)]

    class Desk(Agent):
        think = model("tiny", provider="local", base_url="http://198.51.100.1/v1", secret="local",
                      prices=(1_000_000, 2_000_000), output_tokens=50, backoff_s=0.01)

        @step(effect="once", action="ledger.read")
        def balance(self, account: str) -> int:
            "Return what is on an account."
            return 7

        {more}

        async def run(self, ctx):
            {run}
"""


def execute(
    server: Server,
    run: str,
    *lives: FakeCustodian,
    zone: Zone,
    more: str = "",
    endpoints: dict[str, Endpoint] | None = None,
) -> Ending | None:
    named = {"local": Endpoint(server.url)} if endpoints is None else endpoints

    async def play() -> Ending | None:
        substrate = LocalSubstrate(confiner=confiner())
        stage = Stage(substrate, "confined", zone)
        text = CALLER.format(run=run, more=more)
        caller = ModelCaller(lambda: named)
        try:
            for custodian in lives[:-1]:
                first = stage.execute_desk(text, custodian=custodian, caller=caller)
                assert await first is None
            last = stage.execute_desk(text, custodian=lives[-1], caller=caller)
            return await asyncio.wait_for(last, 60)
        finally:
            await substrate.close()

    ending = asyncio.run(play())
    stored = b"".join(zone.stored.values()) + repr((zone.intents, ending)).encode()
    assert KEY.encode() not in stored
    return ending


def host(zone: Zone, **more: Any) -> FakeCustodian:
    return FakeCustodian(zone, given={"local": KEY}, **more)


def test_the_host_makes_the_call_and_the_key_stays_with_it() -> None:
    zone = Zone(record=first_record({}, {"tokens": 10_000, "cost_micros": 10_000}))
    custodian = host(zone)
    with endpoint((200, said("four", used=(9, 2)))) as server:
        run = "reply = await self.think('2+2?'); return [reply.text, reply.cost_micros, found()]"
        ending = execute(server, run, custodian, zone=zone)
    assert ending is not None and ["four", 9 + 2 * 2, []] == ending.result, ending
    (headers, body), intent = server.asked[0], zone.intents[0]
    assert f"Bearer {KEY}" == headers["authorization"]
    assert intent.key == headers["idempotency-key"]
    assert [{"role": "user", "content": "2+2?"}] == body["messages"]
    assert ("local/tiny", ("local",)) == (intent.counterpart, intent.secrets)
    assert [("think", "model.call", ("local",))] == custodian.handed


def test_a_conversation_calls_tools_and_an_answer_is_written_to_a_stream() -> None:
    zone = Zone()
    wants = said("", tools=[("balance", '{"account": "a"}')], used=(1, 1))
    answers = ((200, wants), (200, said("you have 7", used=(1, 1))), (200, said("so", used=(1, 1))))
    run = """first = await converse(self, Desk.think, "how much?", [Desk.balance])
            async with ctx.stream("risk") as out:
                await write_reply(self, Desk.think, "and?", out)
            return [first.text, ctx.memory.log("risk")[0]["piece"]]"""
    with endpoint(*answers) as server:
        ending = execute(server, run, host(zone), zone=zone)
    assert ending is not None and ["you have 7", "so"] == ending.result, ending
    assert 3 == len(server.asked)
    assert "7" == server.asked[1][1]["messages"][-1]["content"]


def test_what_may_help_is_tried_again_and_what_is_told_is_rid_of_the_key() -> None:
    zone = Zone()
    busy = (429, {"error": {"message": "busy"}})
    bad = (401, {"error": {"message": f"bad key {KEY}"}})
    with endpoint(busy, (200, said("late", used=(1, 1))), bad) as server:
        run = """first = await self.think("x")
            try:
                await self.think("y")
            except StepFailed as error:
                return [first.text, str(error), found()]"""
        ending = execute(server, run, host(zone), zone=zone)
    assert ending is not None, ending
    text, problem, held = ending.result
    assert ("late", []) == (text, held)
    assert "401" in problem and "bad key [secret local]" in problem
    assert 3 == len(server.asked)


@pytest.mark.parametrize(("point", "calls"), [(3, 1), (4, 2)])
def test_a_host_dies_about_a_call_and_the_next_makes_it_again(point: int, calls: int) -> None:
    zone = Zone()
    with endpoint((200, said("one", used=(1, 1))), (200, said("two", used=(1, 1)))) as server:
        first = host(zone, crash_at=point)
        ending = execute(
            server, "return (await self.think('x')).text", first, host(zone), zone=zone
        )
    assert ending is not None and 1 == len(zone.intents)
    assert {zone.intents[0].key} == {h["idempotency-key"] for h, _ in server.asked}
    assert (["one", "two"][calls - 1], calls) == (ending.result, len(server.asked))


def test_an_answer_that_holds_the_key_does_not_come_in() -> None:
    with endpoint((200, said(f"your key is {KEY}", used=(1, 1)))) as server:
        ending = execute(server, "await self.think('x')", host(zone := Zone()), zone=zone)
    assert ending is not None and "contains secret 'local'" in ending.text


@pytest.mark.parametrize(
    ("endpoints", "remedy"),
    [({}, "speaks to no provider 'local'"), ({"local": Endpoint("http://127.0.0.1:9/v1")}, "9")],
)
def test_the_host_says_where_a_provider_is_and_the_code_does_not(
    endpoints: dict[str, Endpoint], remedy: str
) -> None:
    with endpoint((200, said("x", used=(1, 1)))) as server:
        run = "await self.think('x')"
        ending = execute(server, run, host(zone := Zone()), zone=zone, endpoints=endpoints)
    assert ending is not None and remedy in ending.text
    assert [] == server.asked


LIES = {
    "another key": ('key="a/0/1/0"', "waits for its outcome"),
    "other words": ('spelled=spelled_arguments(("y",), {}, what="x")', "not what was permitted"),
    "more tokens": ('settings=settings.replace(b"50", b"99999")', "its intent declares"),
    "no settings": ('settings=b"{}"', "declared wrongly"),
}


def test_code_that_says_other_than_its_intent_gets_no_call() -> None:
    lies = ", ".join(f"lambda settings: dict({changed})" for changed, _ in LIES.values())
    more = f"""def falsify(self, number):
            from sojourn.runtime.typed import spelled_arguments
            lie = [{lies}][number]
            session, ask = self._session, type(self._session).ask
            def asks(form, hand_on, **said):
                if form.__name__ == "CallModel":
                    said |= lie(said["settings"])
                return ask(session, form, hand_on, **said)
            session.ask = asks"""
    run = f"""told = []
            for number in range({len(LIES)}):
                self.falsify(number)
                try:
                    await self.think("x")
                except StepFailed as error:
                    told.append(str(error))
            return told"""
    with endpoint((200, said("x", used=(1, 1)))) as server:
        ending = execute(server, run, host(zone := Zone()), zone=zone, more=more)
    assert ending is not None and isinstance(ending.result, list), ending
    for told, (_, problem) in zip(ending.result, LIES.values(), strict=True):
        assert problem in told
    assert [] == server.asked


# --- secrets of other steps, and queues ------------------------------------------------------------------


def test_another_step_is_handed_its_secret_and_can_send_it_nowhere() -> None:
    more = """@step(effect="idempotent", action="bank.read", secrets=("local",), attempts=1)
        def read(self, where: str) -> object:
            key = sojourn.secret("local")
            if where == "home":
                return key
            import socket
            try:
                socket.create_connection(("127.0.0.1", 1))
            except PermissionError:
                return len(key)"""
    run = """told = await self.read("away")
            try:
                await self.read("home")
            except StepFailed as error:
                return [told, str(error)]"""
    zone = Zone()
    ending = execute(Server([]), run, host(zone), zone=zone, more=more)
    assert ending is not None, ending
    assert len(KEY) == ending.result[0] and "contains secret 'local'" in ending.result[1]


def test_attempts_wait_in_the_queue_of_their_host() -> None:
    more = """@step(effect="idempotent", action="gpu.use", queue="gpu")
        def use(self, number: int) -> list:
            import time
            began = time.monotonic()
            time.sleep(0.02)
            return [began, time.monotonic()]"""
    run = "return await ctx.map(self.use, range(3))"
    zone = Zone()
    one = Queues(lambda: {"gpu": Limit(at_once=1)})
    ending = execute(Server([]), run, host(zone, queues=one), zone=zone, more=more)
    assert ending is not None, ending
    times = sorted(ending.result)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
