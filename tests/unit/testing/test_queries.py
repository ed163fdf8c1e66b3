"""Queries on whole zones, in virtual time: agents that run, sleep and move are asked, and hosts die (§10.36)."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn import QueryRefused
from sojourn.core.base.encoding import digest_of, encode_block
from sojourn.core.base.seals import Kind, Role
from sojourn.core.protocol.querying import AskQuery, PutDisclosure, Query, SignedDisclosure
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.records import Intended, Outcome
from sojourn.testing import (
    Keep,
    LaunchedAgent,
    Rehearsal,
    World,
    Zone,
    person,
    simulate,
    survives_kills,
)
from sojourn.testing.founding import key
from tests import samples
from tests.unit.testing.oracles import Curious, Ledger

COUNT = 3
YEAR = 365 * 86_400.0


def ledger(
    world: World, zone: Zone, count: int = COUNT, pause: float = 5, **more: Any
) -> LaunchedAgent:
    plan = {"count": count, "moves": more.pop("moves", {}), "pause": pause}
    memory = {"plan": plan, "desks": {"a": 0}, "book": more.pop("book", None)}
    return world.launch(Ledger, zone, memory=memory, **more)


def curious(world: World, zone: Zone, to: LaunchedAgent, at: Zone, **more: Any) -> LaunchedAgent:
    plan = {"count": COUNT, "to": to.id, "zone": at.id, "pause": 2, **more.pop("plan", {})}
    return world.launch(Curious, zone, memory={"plan": plan, "said": None}, **more)


def test_section_10_36_a_sleeper_is_asked_and_sleeps_on() -> None:
    """It costs no step and no record, and the agent's host may be another than it was."""
    with simulate(seed=601) as world:
        zone = world.zone("a", hosts=2)
        agent = ledger(world, zone, pause=YEAR)
        agent.rests()
        version, records = agent.head.record.version, len(agent.journal())
        assert 1 == world.query(agent, "total")
        assert 0 == world.query(agent, "total", "b")
        sender, year, desks = world.query(agent, "about")
        assert (16, ["a"]) == (len(sender), desks)
        assert year > 2000
        host = agent.host
        assert host is not None
        host.kill()
        assert 1 == world.query(agent, "total", within=60)
        world.run(30)
        assert (version, records) == (agent.head.record.version, len(agent.journal()))


@pytest.mark.parametrize(
    ("name", "what", "why"),
    [
        ("bad", "write", "query 'bad' tried to write compartment 'desks'"),
        ("bad", "append", "query 'bad' tried to write compartment 'book'"),
        ("bad", "sleep", "query 'bad' tried ctx.sleep"),
        ("bad", "send", "query 'bad' tried ctx.send"),
        ("bad", "log", "query 'bad' tried ctx.log"),
        ("bad", "raise", "ZeroDivisionError"),
        ("bad", "large", "the result of query 'bad' has 70006 bytes, more than 65536"),
        ("bad", "strange", "an instance of object has no plain form"),
        ("worse", "wait", "query 'worse' tried to wait"),
        ("worse", "step", "query 'worse' tried step count"),
        ("total", ["a"], "argument 'desk' of query 'total' is no str: Expected `str`, got `array`"),
        ("secret", "", "the agent has no query 'secret'. It has about, bad, told, total, worse"),
        ("run", "", "the agent has no query 'run'"),
    ],
)
def test_section_10_36_what_a_query_tries_beyond_reading_refuses_it(
    scene: tuple[World, LaunchedAgent], name: str, what: Any, why: str
) -> None:
    world, agent = scene
    before = agent.head
    with pytest.raises(QueryRefused) as refused:
        world.query(agent, name, what)
    assert why in str(refused.value)
    assert before == agent.head


@pytest.fixture(scope="module")
def scene() -> Any:
    with simulate(seed=602) as world:
        agent = ledger(world, world.zone("a", anchors=1), pause=YEAR)
        agent.rests()
        yield world, agent


def test_section_10_36_policies_say_who_may_ask_and_what_it_may_read() -> None:
    """Data with labels is told to whom they permit; what is bound to a place to nobody."""
    permits = 'permit (principal, action, resource) unless { action == Action::"disclose" };'
    with simulate(seed=603) as world:
        zone = world.zone("a", anchors=1)
        silent = ledger(world, zone, policy=permits)
        with pytest.raises(QueryRefused, match="disclose"):
            world.query(silent, "total")
        person = key("person").public.hex()
        permits += f"""
            permit (principal, action == Action::"disclose", resource)
            when {{ context has counterpart && context.counterpart == "{person}" }}
            unless {{ context.labels.contains("secret") || context.labels.contains("private") }};
            permit (principal, action == Action::"disclose", resource)
            when {{ context.step == "told" && context.labels.contains("private") }};
        """
        for book, why in (
            (Keep(values=["x"]), ""),
            (Keep(values=["x"], labels=("private",)), ""),
            (Keep(values=["x"], labels=("secret",)), "disclose"),
            (
                Keep(values=["x"], residency=("EU",)),
                "query 'told' read data, bound to EU, and who asks may",
            ),
        ):
            agent = ledger(world, zone, policy=permits, book=book)
            assert 0 == world.query(agent, "total") or agent.journal()
            if not why:
                assert ["x"] == world.query(agent, "told")
                continue
            with pytest.raises(QueryRefused, match=why):
                world.query(agent, "told")
        assert "disclose" in curious(world, zone, agent, zone).failure(within=60)


def test_section_10_36_the_asker_s_own_policies_are_asked_too() -> None:
    permits = 'permit (principal, action, resource) unless { action == Action::"query" };'
    with simulate(seed=606) as world:
        zone = world.zone("a", anchors=1)
        asker = curious(world, zone, ledger(world, zone), zone, policy=permits)
        assert asker.failure(within=60).startswith("Denied")


def test_section_10_36_one_that_ended_or_that_nobody_knows_is_not_asked() -> None:
    with simulate(seed=607) as world:
        zone = world.zone("a", anchors=1)
        gone = ledger(world, zone, pause=YEAR)
        gone.rests()
        world.order(gone, "retire")
        assert "has ended" in curious(world, zone, gone, zone).failure(within=60)


def test_section_10_36_an_agent_asks_wherever_the_other_is_and_replays_what_it_was_told() -> None:
    """Its host dies between the answer and what it does with it; the other one goes to its zone meanwhile."""
    with simulate(seed=604) as world:
        a, b = world.zone("a", hosts=2), world.zone("b", anchors=1)
        world.run(3)
        other = ledger(world, b, moves={"1": "a"})
        asker = curious(world, a, other, b)
        asker.wait(lambda it: has(it, Outcome, 1), "was told once")
        assert asker.host is not None
        asker.host.kill()
        told = asker.result(within=300)
        assert 3 == other.result(within=300)
        assert (
            "the agent has no query 'secret'. It has about, bad, told, total, worse" == told.pop()
        )
        assert [True] * COUNT == [total == paid for total, paid in told]
        assert sorted(told) == told
        assert "a" == other.zone.name


def has(agent: LaunchedAgent, form: type, count: int) -> bool:
    found = (r for r in agent.journal() if isinstance(r, form) and r.step == "ctx.query")
    return sum(1 for _ in found) >= count


@pytest.mark.parametrize("form", [Intended, pytest.param(Outcome, marks=pytest.mark.soak)])
@pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_section_10_36_hosts_die_and_the_answer_is_one(form: type, number: int) -> None:
    with simulate(seed=605) as world:
        a, b = world.zone("a", anchors=1, hosts=2), world.zone("b", hosts=2)
        world.run(3)
        other = ledger(world, b)
        asker = curious(world, a, other, b)
        asker.wait(lambda it: has(it, form, number), "comes to it")
        for agent in (asker, other):
            assert agent.host is not None
            agent.host.kill()
        told = asker.result(within=300)
        assert [True] * COUNT == [total == paid for total, paid in told[:-1]]
        assert 3 == other.result(within=300)


def test_an_agent_that_is_rehearsed_is_told_the_same_in_every_life() -> None:
    def prepare(rehearsal: Rehearsal) -> None:
        def answer(asked: Query) -> int:
            if asked.name != "total":
                raise QueryRefused("no such query")
            return 7

        rehearsal.answer(answer)

    def check(rehearsal: Rehearsal) -> None:
        *told, last = rehearsal.result()
        assert [[7, 7]] * COUNT == told
        assert "no such query" == last

    plan = {"count": COUNT, "to": bytes(range(32)), "pause": 1}
    memory = {"plan": plan, "said": None}
    survives_kills(Curious, prepare=prepare, check=check, at=range(1, 12), memory=memory)


def test_section_10_36_an_anchor_tells_what_a_host_said_that_it_asked() -> None:
    """Whoever is no host here, and a host that speaks for another, is not believed; nor is an old question asked."""
    with simulate(seed=608) as world:
        zone = world.zone("a", anchors=1)
        agent = ledger(world, zone, pause=YEAR)
        agent.rests()
        client = ZoneClient(zone.manifest, world._person.pool)
        now_ms = world._person.clock.wall_ms()
        query = Query(name="total", arguments=((), {}))

        def call(request: Any) -> Any:
            return world.perform(lambda: client.call(0, request), "ask")

        old = person.question(agent.id, query, nonce=bytes(32), now_ms=now_ms - 10**6)
        assert "stale" == call(AskQuery(question=old)).reason
        asked = person.question(agent.id, query, nonce=bytes(32), now_ms=now_ms)
        (told,) = call(AskQuery(question=asked)).told
        assert 1 == told.disclosure.value
        lie = replace(told.disclosure, result=encode_block(1_000_000))
        seal = samples.seal(key("liar"), Kind.DISCLOSURE, Role.HOST, digest_of(lie))
        for forged in (SignedDisclosure(disclosure=lie, seal=seal), replace(told, disclosure=lie)):
            assert "wrong-key" == call(PutDisclosure(told=forged)).reason
        assert (told,) == call(AskQuery(question=asked)).told
