"""What an anchor keeps and tells of edicts: acknowledged when it is on disk, told to anchors, and let go of."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor import heralding, shelf
from sojourn.anchor.gossiping import Gossip
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.heads import head_of
from sojourn.core.agent.orders import Act, Order, SignedOrder
from sojourn.core.agent.revocations import About, Reach, Revocation, sealed_by
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.limits import REVOCATION_HOLDS_MS
from sojourn.core.protocol import edicts, gossip
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.gossip import Exchange, Exchanged, News, Tell
from sojourn.core.protocol.messages import Applied, Declined
from sojourn.core.protocol.ordering import sealed
from sojourn.runtime.clients.zone_client import ZoneClient
from sojourn.runtime.processes import clock
from sojourn.runtime.store import Change, Put
from tests.samples import PERMIT_ALL, document, successor
from tests.unit.anchor.standing_in import until
from tests.village import ISSUER, House, Village, key, village

HOUR_MS = 3_600_000
NEXT = successor(document(), cedar=PERMIT_ALL + " // 2")
VOUCHED = head_of(NEXT.document, ISSUER, at_ms=clock.wall_ms(), until_ms=clock.wall_ms() + HOUR_MS)
REVOKED = sealed_by(
    Revocation(
        reach=Reach.AGENTS,
        by=digest(b"an issuer"),
        about=About.CODE,
        subject=digest(b"code"),
        issued_ms=clock.wall_ms(),
    ),
    [ISSUER],
)
NOTHING = gossip.Summary(zones=(), envelopes=(), endorsements=())


@pytest.fixture(autouse=True)
def _no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no anchor gossip but at once: what is told here is what a test has caused."""

    async def idle(_: Gossip) -> None:
        return None

    monkeypatch.setattr(Gossip, "run", idle)


def run(test: Callable[[Village], Awaitable[None]], *names: str, n: int = 1) -> None:
    async def main() -> None:
        async with village(*(names or ("a", "b", "c")), n=n) as v:
            await test(v)

    asyncio.run(asyncio.wait_for(main(), 60))


def order(
    agent: bytes, act: Act = Act.SUSPEND, *, by: Any = ISSUER, lasts_ms: int = HOUR_MS
) -> Any:
    now_ms = clock.wall_ms()
    given = Order(agent=agent, act=act, issued_ms=now_ms, expires_ms=now_ms + lasts_ms)
    return sealed(given, [by])


async def tell(
    v: Village, house: House, *told: SignedOrder | SignedDocument, by: Any = None
) -> Any:
    news = News(
        orders=tuple(each for each in told if isinstance(each, SignedOrder)),
        documents=tuple(each for each in told if isinstance(each, SignedDocument)),
    )
    return await v.client(house, by or key("a command")).call(0, Tell(news=news))


def kept(house: House, table: str, index: int = 0) -> set[bytes]:
    return {key for key, _ in house.stores[index].scan(table, limit=1000)}


def head(house: House, agent: bytes) -> Any:
    known = house.anchors[0].shelf.dossier(agent).head
    assert known is not None
    return known.record


async def reopened(v: Village, house: House) -> None:
    await v.close(house, 0)
    await v.open(house)


# Kept


def test_section_13_what_was_acknowledged_is_known_after_a_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        strange, mine = order(digest(b"somebody")), order(digest(b"another"), Act.RETIRE)
        assert Applied() == await tell(v, a, strange, mine, NEXT)
        assert Applied() == await v.client(a, key("a command")).call(
            0, Tell(news=News(heads=(VOUCHED,), revocations=(REVOKED,)))
        )
        known = {digest_of(each) for each in (strange, mine)}
        assert known == kept(a, "order") and {digest_of(NEXT)} == kept(a, "successor")
        await reopened(v, a)
        anchor = a.anchors[0]
        assert known == set(anchor.edicts.known.names())
        assert {digest_of(NEXT)} == set(anchor.edicts.known.successors.names())
        for table, known_here, signed in (
            ("head", anchor.edicts.known.heads, VOUCHED),
            ("revocation", anchor.edicts.known.revocations, REVOKED),
        ):
            assert {digest_of(signed)} == kept(a, table) == set(known_here.names()), table
            assert {digest_of(signed)} == set(known_here.summary())
        later = clock.wall_ms() + REVOCATION_HOLDS_MS
        monkeypatch.setattr(clock, "wall_ms", lambda: later)
        await anchor.forget_expired()
        assert not kept(a, "head") and not kept(a, "revocation")

    run(test)


def test_what_is_not_taken_is_said() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        client = v.client(a, key("a command"))
        over = head_of(NEXT.document, ISSUER, at_ms=1, until_ms=2)
        own = replace(REVOKED.revocation, reach=Reach.ZONE, by=a.zone)
        cases = (
            (News(heads=(over,)), "it holds no more"),
            (News(revocations=(sealed_by(own, [ISSUER]),)), "too few of this zone's anchors"),
            (
                News(revocations=(sealed_by(replace(own, issued_ms=1), [ISSUER]),)),
                "it holds no more, or not yet",
            ),
        )
        for news, said in cases:
            reply = await client.call(0, Tell(news=news))
            assert isinstance(reply, Declined) and said in reply.problem, reply

    run(test)


def test_section_13_who_tells_of_what_is_being_written_is_not_answered_before_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        anchor, gate = a.anchors[0], asyncio.Event()
        write = anchor.write

        async def slowly(changes: list[Change]) -> None:
            if any(isinstance(c, Put) and c.table == "order" for c in changes):
                await gate.wait()
            await write(changes)

        monkeypatch.setattr(anchor, "write", slowly)
        signed = order(digest(b"somebody"))
        telling = [asyncio.create_task(tell(v, a, signed, by=key(f"{i}"))) for i in range(2)]
        await asyncio.sleep(0.2)
        assert not any(each.done() for each in telling)
        assert not kept(a, "order")
        gate.set()
        assert [Applied()] * 2 == await asyncio.gather(*telling)
        assert {digest_of(signed)} == kept(a, "order")

    run(test)


def test_section_8_8_what_was_carried_out_or_has_lapsed_is_dropped_from_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        agent = (await v.launch(a)).record.agent_id
        suspend, strange = order(agent), order(digest(b"somebody"), lasts_ms=60_000)
        assert Applied() == await tell(v, a, suspend, strange)
        anchor = a.anchors[0]
        await until(lambda: not anchor.edicts.known.about(agent))
        assert head(a, agent).eligibility.is_suspended
        await anchor.forget_expired()
        assert {digest_of(strange)} == kept(a, "order")
        assert digest_of(suspend) in anchor.summary().orders, "so that nobody tells of it again"
        later = clock.wall_ms() + 60_000
        monkeypatch.setattr(clock, "wall_ms", lambda: later)
        await anchor.forget_expired()
        assert not kept(a, "order")

    run(test)


def test_section_13_more_than_goes_in_one_commit_is_dropped_by_and_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelf, "_REMOVED_AT_ONCE", 2)

    async def test(v: Village) -> None:
        a = v.houses["a"]
        await tell(v, a, *(order(digest(b"%d" % i), lasts_ms=60_000) for i in range(5)))
        assert 5 == len(kept(a, "order"))
        later = clock.wall_ms() + 60_000
        monkeypatch.setattr(clock, "wall_ms", lambda: later)
        for left in (3, 1, 0, 0):
            await a.anchors[0].forget_expired()
            assert left == len(kept(a, "order"))

    run(test)


# Told


def test_section_11_1_what_officers_publish_is_told_to_anchors_alone() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        await tell(v, a, order(digest(b"somebody")), NEXT)
        for asker, count in ((key("a command"), 0), (a.hosts[0], 0), (key("b/anchor/0"), 1)):
            told = await v.client(a, asker).call(0, Exchange(summary=NOTHING))
            assert isinstance(told, Exchanged)
            assert (count, count) == (len(told.news.orders), len(told.news.documents))
        await until(lambda: kept(b, "order") and kept(b, "successor"))

    run(test)


def test_section_11_1_a_round_of_gossip_brings_what_was_missed() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        await v.close(b, 0)
        await tell(v, a, order(digest(b"somebody")), NEXT)
        await asyncio.sleep(0.2)
        await v.open(b)
        b.anchors[0].learn(News(manifests=(a.signed,)))
        assert not kept(b, "order")
        await b.anchors[0]._gossip.gossip_with(ZoneClient(a.manifest, b.anchors[0].connections), 0)
        assert 1 == len(kept(b, "order")) == len(kept(b, "successor"))

    run(test)


def test_section_11_1_an_order_follows_the_agent_that_went_on_from_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heralding, "SPREAD_ZONES", 0)

    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        agent = (await v.move(b, c, await v.move(a, b, await v.launch(a)))).record.agent_id
        assert Applied() == await tell(v, a, order(agent))
        await until(lambda: head(c, agent).eligibility.is_suspended)
        assert {1} == {len(kept(house, "order")) for house in (a, b)}, "from zone to zone"

    run(test)


def test_what_is_left_out_is_said_with_the_reason() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        agent = (await v.launch(a)).record.agent_id
        first = order(agent)
        await tell(v, a, first)
        await until(lambda: head(a, agent).eligibility.is_suspended)
        assert Applied() == await tell(v, a, first), "it is done"
        old = successor(document(), by=(key("eve"),))
        forged = successor(document(name="b"), by=(key("eve"),), not_after_ms=clock.wall_ms() - 1)
        for told, said in (
            (order(agent, by=key("eve")), "too few of the agent's officers"),
            (order(digest(b"somebody"), lasts_ms=5), "holds too briefly"),
            (sealed(first.order, [ISSUER, ISSUER]), "one issued since"),
            (old, "it does not follow what rules"),
            (forged, "it holds no more"),
        ):
            reply = await tell(v, a, told)
            if said == "one issued since":
                assert Applied() == reply, "the very order, sealed twice, is done as well"
                continue
            assert isinstance(reply, Declined) and reply.for_now, told
            assert said in reply.problem
        await tell(v, a, order(agent, Act.RETIRE))
        await until(lambda: head(a, agent).eligibility.status == "retired")
        late = await tell(v, a, order(agent, Act.SUSPEND))
        assert isinstance(late, Declined) and "the agent has ended" in late.problem

    run(test)


def test_trap_50_a_flood_at_the_door_takes_a_share_and_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(edicts, "STRANGE_ORDERS_MAX", 3)

    async def test(v: Village) -> None:
        a = v.houses["a"]
        agent = (await v.launch(a)).record.agent_id
        flood = [order(digest(b"%d" % i), by=key("eve")) for i in range(9)]
        reply = await tell(v, a, *flood)
        assert isinstance(reply, Declined) and "there is no room" in reply.problem
        assert 3 == len(kept(a, "order"))
        assert Applied() == await tell(v, a, order(agent)), "whoever tells of it"
        await until(lambda: head(a, agent).eligibility.is_suspended)

    run(test)


# What it costs


async def counted(v: Village, agents: int) -> tuple[Counter[str], Counter[str]]:
    """Publish a document that so many agents are under; return how much was told of it, in messages and bytes."""
    messages, size = Counter[str](), Counter[str]()
    call = ZoneClient.call

    async def noted(self: ZoneClient, index: int, request: Any, **more: Any) -> Any:
        if isinstance(request, Tell) and request.news.documents:
            messages[self.manifest.name] += 1
            size[self.manifest.name] += len(encode(request))
        return await call(self, index, request, **more)

    a, b, c = v.houses.values()
    nonces = [digest(b"agent %d" % number) for number in range(agents)]
    born = [await v.decide(c, v.genesis(c, parent=nonce)) for nonce in nonces]
    ZoneClient.call = noted  # type: ignore[method-assign,assignment]
    try:
        await tell(v, a, NEXT)
        await until(lambda: all(map(amended(c), born)), timeout_s=40)
        for house in (a, b, c):
            assert {digest_of(NEXT)} == kept(house, "successor")
        await asyncio.sleep(0.3)
    finally:
        ZoneClient.call = call  # type: ignore[method-assign]
    return messages, size


def amended(house: House) -> Callable[[Certified], bool]:
    return lambda born: head(house, born.record.agent_id).governance.version == 2


def test_section_12_what_spreading_costs_does_not_depend_on_how_many_agents_there_are() -> None:
    costs = []
    for agents in (1, 200):

        async def test(v: Village, agents: int = agents) -> None:
            costs.append(await counted(v, agents))

        run(test)
    assert costs[0] == costs[1]
    messages, _ = costs[0]
    assert {"a": 3, "b": 2, "c": 2} == dict(messages)
