"""Heralding: what agents here may rely on is told at once, what strangers say is not (protocol §11.1)."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sojourn.anchor import gossiping
from sojourn.anchor.server import Anchor
from sojourn.core.base.digests import digest
from sojourn.core.protocol import gossip
from sojourn.runtime.processes import clock
from tests.samples import endorsement
from tests.village import House, Village, key, village

_SOON_S = 20.0


@pytest.fixture(autouse=True)
def no_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no round of gossip come: what is known is known for being told at once."""
    monkeypatch.setattr(gossiping, "_ROUND_S", 3600.0)


def run(test: Callable[[Village, House, House], Awaitable[None]]) -> None:
    """Run with zone a, where an agent relies on the issuer, and zone d, which nobody knows."""

    async def main() -> None:
        async with village("a", "b") as v:
            await v.launch(v.houses["a"])
            d = v.found("d")
            await v.open(d)
            now_ms = clock.wall_ms()
            for anchor in d.anchors.values():
                anchor.learn(
                    gossip.News(envelopes=tuple(v.envelope(d, h, now_ms) for h in d.hosts))
                )
            await test(v, v.houses["a"], d)

    asyncio.run(main())


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(_SOON_S):
        while not is_so():
            await asyncio.sleep(0.005)


def endorses(anchor: Anchor, zone: bytes) -> bool:
    return any(each.endorsement.subject == zone for each in anchor.places.endorsements)


def knows(anchor: Anchor, house: House) -> bool:
    """Tell whether an anchor knows all that an agent needs to choose a zone."""
    offers = anchor.places.envelopes_of(house.zone, clock.wall_ms())
    return endorses(anchor, house.zone) and len(offers) == len(house.hosts)


def test_section_11_1_the_whole_zone_and_the_new_one_know_at_once() -> None:
    async def test(v: Village, a: House, d: House) -> None:
        word = v.endorsement(d.zone)
        await a.anchors[2].take_news(gossip.News(manifests=(d.signed,), endorsements=(word,)))
        await until(lambda: all(knows(anchor, d) for anchor in a.anchors.values()))
        await until(lambda: all(endorses(anchor, d.zone) for anchor in d.anchors.values()))
        await until(lambda: any(endorses(o, d.zone) for o in v.houses["b"].anchors.values()))

    run(test)


def test_section_11_1_a_stranger_is_of_worth_from_the_word_of_an_issuer_on() -> None:
    async def test(v: Village, a: House, d: House) -> None:
        await a.anchors[0].take_news(gossip.News(manifests=(d.signed,)))
        assert not any(d.zone in anchor.manifests for i, anchor in a.anchors.items() if i)
        await a.anchors[0].take_news(gossip.News(endorsements=(v.endorsement(d.zone),)))
        await until(lambda: all(knows(anchor, d) for anchor in a.anchors.values()))

    run(test)


def test_trap_50_what_strangers_say_waits_for_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(v: Village, a: House, d: House) -> None:
        anchor, begun = a.anchors[0], list[object]()
        monkeypatch.setattr(anchor, "begin", lambda work, *_: begun.append(work))
        strange = endorsement(d.zone, by=key("mallory"))
        await anchor.take_news(gossip.News(manifests=(d.signed,), endorsements=(strange,)))
        assert d.zone in anchor.manifests
        assert [] == begun
        await anchor.take_news(gossip.News(endorsements=(v.endorsement(d.zone),)))
        assert 1 == len(begun)

    run(test)


def test_trap_50_whoever_says_the_same_again_has_it_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(v: Village, a: House, d: House) -> None:
        anchor, begun = a.anchors[0], list[object]()
        monkeypatch.setattr(anchor, "begin", lambda work, *_: begun.append(work))
        news = gossip.News(manifests=(d.signed,), endorsements=(v.endorsement(d.zone),))
        await anchor.take_news(news)
        await anchor.take_news(news)
        later = gossip.News(endorsements=(v.endorsement(d.zone, level=3),))
        await anchor.take_news(later)
        assert 1 == len(begun), "what comes while it tells is told together"

    run(test)


def test_a_neighbour_that_is_gone_keeps_nobody_else_from_hearing() -> None:
    async def test(v: Village, a: House, d: House) -> None:
        await v.close(a, 1)
        word = v.endorsement(d.zone)
        await a.anchors[0].take_news(gossip.News(manifests=(d.signed,), endorsements=(word,)))
        await until(lambda: all(knows(anchor, d) for anchor in a.anchors.values()))

    run(test)


def test_trap_50_of_a_flood_by_an_issuer_that_is_relied_on_a_little_is_told_at_once() -> None:
    async def test(v: Village, a: House, d: House) -> None:
        words = tuple(
            endorsement(digest(bytes([number, 1])), not_after_ms=clock.wall_ms() + 60_000 + number)
            for number in range(200)
        )
        await a.anchors[0].take_news(gossip.News(endorsements=words))
        known = {each.endorsement.subject for each in words[:64]}
        await until(lambda: all(_endorsed(o) >= known for o in a.anchors.values()))
        assert _endorsed(a.anchors[0]) > known
        await until(lambda: not a.anchors[0]._heralding._places.is_telling)
        told = {each.endorsement.subject for each in words} & _endorsed(a.anchors[1])
        assert known == told

    run(test)


def _endorsed(anchor: Anchor) -> set[bytes]:
    return {each.endorsement.subject for each in anchor.places.endorsements}
