"""Answers that are written to a stream while they come: by real servers, through the death of a host."""

import time
from typing import Any

import pytest

from sojourn.core.agent.memory.log import Log
from sojourn.core.base.digests import ZERO
from sojourn.models import ScriptedModel, model, write_reply
from sojourn.models.writing import AGAIN
from sojourn.runtime.agent_side.agent import Agent
from sojourn.runtime.agent_side.context import Context
from sojourn.runtime.host_side.execution import Ending
from sojourn.runtime.records import Outcome
from sojourn.testing import rehearse
from tests.unit.models.endpoint import BREAK, Endpoint, endpoint, message_events, streamed
from tests.unit.runtime.custody import Blocks, FakeCustodian, Zone
from tests.unit.runtime.executing import Stage, journal_of, on_stage

pytest.importorskip("openai")
CALLER = """
    from sojourn.models import model, write_reply

    class Desk(Agent):
        think = model("tiny", provider="{provider}", protocol="{protocol}", base_url="{url}",
                      prices=(0, 0), output_tokens=50, backoff_s=0.01)

        async def run(self, ctx):
            async with ctx.stream("risk") as out:
                reply = await write_reply(self, Desk.think, "x", out, every_s=0.01)
            return [reply.text, reply.output_tokens]
"""


def execute(
    server: Endpoint, *lives: FakeCustodian, zone: Zone, provider: str = "local"
) -> Ending | None:
    is_native = provider != "local"
    text = CALLER.format(
        url=server.url.removesuffix("/v1") if is_native else server.url,
        provider=provider,
        protocol="native" if is_native else "openai",
    )

    async def act(stage: Stage) -> Ending | None:
        for custodian in lives[:-1]:
            assert await stage.execute_desk(text, custodian=custodian) is None
        return await stage.execute_desk(text, custodian=lives[-1])

    ending: Ending | None = on_stage(act, zone=zone)
    return ending


def written(zone: Zone) -> list[Any]:
    root = zone.record.memory.compartments["risk"].root
    return [] if root == ZERO else list(Log.load(root, Blocks(zone.stored)))


def pieces(zone: Zone) -> list[str]:
    return [each["piece"] for each in written(zone) if "piece" in each]


def until_written(zone: Zone, text: str) -> Any:
    """Return what waits until a reader of the zone has all of a text."""

    def wait() -> None:
        until = time.monotonic() + 20
        while "".join(pieces(zone)) != text:
            assert time.monotonic() < until, pieces(zone)
            time.sleep(0.002)

    return wait


@pytest.mark.parametrize("provider", ["local", "anthropic"])
def test_pieces_are_final_while_the_answer_still_comes_and_the_outcome_is_all_of_it(
    provider: str,
) -> None:
    if provider == "anthropic":
        pytest.importorskip("any_llm")
    events = message_events if provider == "anthropic" else streamed
    zone = Zone()
    waits = until_written(zone, "one "), until_written(zone, "one two ")
    coming = events("one ", waits[0], "two ", waits[1], "three", used=(3, 5))
    with endpoint((200, coming)) as server:
        ending = execute(server, FakeCustodian(zone), zone=zone, provider=provider)
    assert ending is not None and ["one two three", 5] == ending.result, ending
    assert ["one ", "two ", "three"] == pieces(zone)
    assert {"end": ""} == written(zone)[-1]
    (outcome,) = [r for r in journal_of(zone) if isinstance(r, Outcome) and r.step == "think"]
    assert "one two three" == outcome.result["text"]
    assert 1 == len(zone.intents)


class Dies:
    """A custodian whose host dies when the server has come to a point."""

    def __init__(self, zone: Zone) -> None:
        self.custodian = FakeCustodian(zone)

    def __call__(self) -> None:
        self.custodian.crash_at = self.custodian.zone.points


@pytest.mark.parametrize(
    ("again", "kept"),
    [
        (("one ", "two ", "three"), "one two three"),
        (("uno ", "dos"), f"one {AGAIN}uno dos"),
        (("one",), f"one {AGAIN}one"),
    ],
)
def test_a_host_dies_amid_an_answer_and_a_reader_loses_nothing(
    again: tuple[str, ...], kept: str
) -> None:
    zone = Zone()
    first = Dies(zone)
    coming = streamed("one ", until_written(zone, "one "), first, "two ", "more", "and more")
    with endpoint((200, coming), (200, streamed(*again))) as server:
        ending = execute(server, first.custodian, FakeCustodian(zone), zone=zone)
    assert ending is not None and "".join(again) == ending.result[0], ending
    assert kept == "".join(pieces(zone))
    assert 2 == len(server.asked) and 1 == len(zone.intents)
    assert {zone.intents[0].key} == {h["idempotency-key"] for h, _ in server.asked}


def test_an_answer_that_breaks_off_is_asked_for_again_and_gone_on_with() -> None:
    zone = Zone()
    broken = streamed("one ", until_written(zone, "one "), BREAK)
    with endpoint((200, broken), (200, streamed("one ", "two"))) as server:
        ending = execute(server, FakeCustodian(zone), zone=zone)
    assert ending is not None and "one two" == ending.result[0], ending
    assert "one two" == "".join(pieces(zone))
    assert 2 == len(server.asked)


def test_a_call_that_fails_ends_the_stream_with_why() -> None:
    zone = Zone()
    with endpoint((400, {"error": {"message": "too long"}})) as server:
        ending = execute(server, FakeCustodian(zone), zone=zone)
    assert ending is not None and "too long" in ending.text
    assert "too long" in written(zone)[-1]["end"]


class Speaker(Agent):
    think = model("tiny", provider="local", base_url="http://127.0.0.1:9/v1", prices=(0, 0))

    async def run(self, ctx: Context) -> str:
        async with ctx.stream("said") as out:
            replies = [
                await write_reply(self, Speaker.think, "a", out),
                *await ctx.map(lambda _: write_reply(self, Speaker.think, "b", out), range(2)),
            ]
        return "".join(reply.text for reply in replies)


def test_a_scripted_model_is_written_in_one_piece_at_every_point_where_a_host_may_die() -> None:
    answers = ScriptedModel(lambda said: str(said[0]["content"]) * 2)
    points, at = 1, 0
    while at < points:
        rehearsal = rehearse(Speaker, memory={"said": None}, kill_at=(at,))
        rehearsal.stand_in("think", answers)
        assert "aabbbb" == rehearsal.result()
        said = [each["piece"] for each in rehearsal.memory("said")[:-1]]
        assert ["aa", "bb", "bb"] == said
        points, at = len(rehearsal.points), at + 1
    assert points > 8
