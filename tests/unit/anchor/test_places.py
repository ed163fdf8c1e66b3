"""What an anchor keeps of places: what proves its agents' records for ever, of the rest what has room and time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sojourn.core.protocol import gossip
from sojourn.core.protocol.messages import Applied, Declined
from sojourn.runtime.processes import clock
from sojourn.runtime.store import Store
from tests import samples
from tests.village import Village, key, village

STRANGERS = [samples.found(f"stranger {i}", n=1, hosts=1) for i in range(6)]


def run(test: Callable[[Village], Awaitable[None]]) -> None:
    async def main() -> None:
        async with village("a", "b", "c", n=1) as v:
            await test(v)

    asyncio.run(main())


def kept(store: Store) -> set[bytes]:
    """Return the zones whose manifests are stored."""
    return {zone for zone, _ in store.scan("place", limit=1000)}


async def reopened(v: Village, name: str) -> None:
    """Start the anchor of a zone again on its store."""
    house = v.houses[name]
    await v.close(house, 0)
    await v.open(house)


def test_section_11_the_manifests_of_a_chain_of_custody_outlive_expiry_and_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        await b.anchors[0].take_news(gossip.News(manifests=(STRANGERS[0].signed,)))
        assert {STRANGERS[0].zone} == kept(b.stores[0])
        await v.move(a, b, await v.launch(a))
        monkeypatch.setattr(clock, "wall_ms", lambda: samples.FOR_EVER_MS + 1)
        await b.anchors[0].forget_expired()
        assert {a.zone, b.zone} == set(b.anchors[0].manifests)
        assert {a.zone} == kept(b.stores[0])
        await reopened(v, "b")
        assert {a.zone, b.zone} == set(b.anchors[0].manifests)
        asked = gossip.Exchange(summary=gossip.KnownPlaces("test").summary())
        told = await v.client(b, key("somebody")).call(0, asked)
        assert isinstance(told, gossip.Exchanged)
        assert {a.zone, b.zone} == {m.manifest.zone_id for m in told.news.manifests}

    run(test)


def test_section_11_the_source_keeps_the_targets_manifest_while_an_agent_is_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without it nobody could ask the target, and the agent would be parked for ever."""

    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        await v.depart(a, b, await v.launch(a))
        monkeypatch.setattr(clock, "wall_ms", lambda: samples.FOR_EVER_MS + 1)
        await a.anchors[0].forget_expired()
        assert b.zone in a.anchors[0].manifests

    run(test)


def test_trap_50_an_admission_keeps_its_chains_manifests_however_full_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await v.launch(a)
        gone, visa, ask = await v.depart(a, b, head)
        anchor = b.anchors[0]
        anchor.places = gossip.KnownPlaces("test", b.zone)  # as if there had been no room for it
        anchor.learn(gossip.News(manifests=(b.signed,)))
        monkeypatch.setattr(gossip, "PLACES_MAX", 1)
        now_ms = clock.wall_ms()
        anchor.learn(gossip.News(envelopes=tuple(v.envelope(b, h, now_ms) for h in b.hosts)))
        anchor.learn(gossip.News(endorsements=(v.endorsement(b.zone),)))
        assert a.zone not in anchor.manifests
        await v.arrive(b, gone, visa, ask)
        assert a.zone in anchor.manifests
        assert a.zone in kept(b.stores[0])

    run(test)


def test_trap_50_a_flood_at_the_door_takes_a_share_and_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        gossip, "STRANGE_PLACES_MAX", 5
    )  # the other two zones of the village are strangers as well

    async def test(v: Village) -> None:
        a = v.houses["a"]
        known = set(a.anchors[0].manifests)
        flood = gossip.Tell(news=gossip.News(manifests=tuple(z.signed for z in STRANGERS)))
        reply = await v.client(a, key("a command")).call(0, flood)
        assert isinstance(reply, Declined)
        assert (True, "no room for 'stranger 3'") == (reply.for_now, reply.problem[:24])
        assert 3 == len(set(a.anchors[0].manifests) - known)
        assert 3 == len(kept(a.stores[0]) - known)
        one = gossip.Tell(news=gossip.News(manifests=(STRANGERS[5].signed,)))
        other = await v.client(a, key("another command")).call(0, one)
        assert isinstance(other, Declined)  # keys are free: who asks under another is nobody else

    run(test)


def test_trap_50_a_zone_that_agents_here_have_a_use_for_is_taken_in_spite_of_a_flood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gossip, "PLACES_MAX", 6)

    async def test(v: Village) -> None:
        a, wanted = v.houses["a"], STRANGERS[5]
        await v.launch(a)
        client = v.client(a, key("a command"))
        flood = gossip.News(manifests=tuple(z.signed for z in STRANGERS[:5]))
        assert isinstance(await client.call(0, gossip.Tell(news=flood)), Declined)
        assert (6, 3) == (len(a.anchors[0].manifests), len(kept(a.stores[0])))
        news = gossip.News(
            manifests=(wanted.signed,), endorsements=(samples.endorsement(wanted.zone),)
        )
        assert Applied() == await client.call(0, gossip.Tell(news=news))
        assert wanted.zone in kept(a.stores[0])
        await reopened(v, "a")
        assert wanted.zone in a.anchors[0].manifests

    run(test)
