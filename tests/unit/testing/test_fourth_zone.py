"""A fourth cloud joins three that run (protocol §9.4): who may rely on it goes there within one round of gossip.

It is introduced to one anchor of one zone, and nothing else is told, changed or restarted anywhere.
"""

from collections.abc import Callable

import pytest

from sojourn.core.agent.trust import SignedEndorsement, Trust, TrustedIssuer, judge
from sojourn.core.base.limits import GOSSIP_ROUND_MS
from sojourn.runtime.records import Considered
from sojourn.testing import LaunchedAgent, World, Zone, simulate
from sojourn.testing.founding import ISSUER, RELYING, endorsement, key
from tests.unit.testing.workers import Nomad

ROUND_S = GOSSIP_ROUND_MS / 1000
HOP_S = 1.0
"""What it takes from the choice to the departure, here: to look round, to copy ahead, to get a visa."""
TURNS = 40
SUM = sum(number * number for number in range(TURNS))
PARTNER = key("partner")
Word = Callable[[Zone], tuple[SignedEndorsement, ...]]


def three_clouds(world: World) -> list[Zone]:
    return [world.zone(name, price=1.0) for name in ("a", "b", "c")]


def works(world: World, zone: Zone, trust: Trust = RELYING) -> LaunchedAgent:
    """Return an agent that has begun to work in a zone, and looks round ten times a second."""
    plan = {"turns": TURNS, "pause_s": 0.1}
    agent = world.launch(Nomad, zone, memory={"plan": plan, "sums": None}, trust=trust)
    agent.advances(by=6)
    return agent


def fourth(world: World) -> Zone:
    """Return a fourth cloud, a tenth of the price, that is up and that nobody knows."""
    zone = world.zone("d", price=0.1, introduced=False)
    world.run(2)
    return zone


def join(world: World, zone: Zone, to: Zone, *said: SignedEndorsement) -> float:
    """Introduce a zone to the first anchor of another, with what is said of it; return when that was done."""
    world.tell(zone, to)
    world.tell(to, zone, *said, anchor=0)
    return world.now


def is_on_its_way(agent: LaunchedAgent, zone: Zone) -> bool:
    migration = agent.record.migration
    return agent.zone is zone or (migration is not None and migration.to_zone == zone.id)


def is_usable(agent: LaunchedAgent, zone: Zone) -> bool:
    """Tell whether an agent's host knows all that the agent needs to choose a zone: an offer, and trust enough."""
    assert agent.host is not None
    assert agent.host.host is not None
    places, now_ms = agent.host.host.places, agent.host.clock.wall_ms()
    finding = judge(agent.record.trust, zone.id, "travel", places.endorsements, now_ms)
    return finding.is_enough and bool(places.envelopes_of(zone.id, now_ms))


def judged(agent: LaunchedAgent, name: str) -> list[str]:
    """Return what the agent found of its trust in a place, each time that it looked round and knew of it."""
    looks = [record for record in agent.journal() if isinstance(record, Considered)]
    places = [place for look in looks for place in look.places if place.name == name]
    assert all(place.governance.passes for place in places)
    return [place.trust.reasons[0] for place in places if not place.trust.passes]


@pytest.mark.parametrize("seed", range(2))
def test_section_9_agents_everywhere_choose_a_new_zone_within_one_gossip_round(seed: int) -> None:
    with simulate(seed=seed) as world:
        zones = three_clouds(world)
        d = fourth(world)
        agents = [works(world, zone) for zone in zones]
        assert zones == [agent.zone for agent in agents]
        told_s = join(world, d, zones[0], endorsement(d.id))
        world.run_until(
            lambda: all(is_usable(agent, d) for agent in agents),
            "the new zone is usable by all",
            within=told_s + ROUND_S - world.now,
        )
        for agent in agents:
            agent.wait(lambda it: is_on_its_way(it, d), "leaves for the new zone")
        assert world.now - told_s <= ROUND_S + HOP_S
        for agent in agents:
            assert SUM == agent.result()
            assert d is agent.zone
        assert not world.broken_promises()


def stays(trust: Trust, word: Word, why: str) -> None:
    """Expect that an agent that knows of a fourth zone, by far the cheapest, does not go there."""
    with simulate(seed=11) as world:
        zones = three_clouds(world)
        d = fourth(world)
        agent = works(world, zones[0], trust)
        join(world, d, zones[0], *word(d))
        assert SUM == agent.result()
        assert zones[0] is agent.zone
        said = judged(agent, "d")
        assert len(said) > TURNS // 4, "it has heard of it, and judged it again and again"
        assert {why} == set(said)


def relying(depth: int) -> Trust:
    return Trust(issuers=(TrustedIssuer(name="test", key=ISSUER.public, depth=depth),))


def by_partner(depth: int) -> Word:
    """Return the word of a partner, of whom the issuer says how many may follow."""
    vouched = endorsement(PARTNER.public, depth=depth)
    return lambda zone: (vouched, endorsement(zone.id, by=PARTNER))


NOBODY = "no issuer I know endorses this place for travel"


def test_section_9_a_zone_that_nobody_vouches_for_is_never_chosen() -> None:
    stays(RELYING, lambda _: (), NOBODY)


def test_section_9_nor_one_that_a_stranger_vouches_for() -> None:
    stays(RELYING, lambda zone: (endorsement(zone.id, by=PARTNER, level=10),), NOBODY)


def test_section_9_nor_one_that_is_vouched_for_beyond_the_depth() -> None:
    stays(relying(depth=1), by_partner(depth=1), NOBODY)
    stays(relying(depth=2), by_partner(depth=0), NOBODY)


def test_section_9_one_that_is_vouched_for_within_the_depth_is_chosen() -> None:
    with simulate(seed=12) as world:
        zones = three_clouds(world)
        d = fourth(world)
        agent = works(world, zones[0], relying(depth=2))
        told_s = join(world, d, zones[0], *by_partner(depth=1)(d))
        agent.wait(lambda it: is_on_its_way(it, d), "leaves for the new zone")
        assert world.now - told_s <= ROUND_S + HOP_S


def test_section_9_an_endorsement_that_is_over_brings_nobody_there_any_more() -> None:
    with simulate(seed=13) as world:
        zones = three_clouds(world)
        d = fourth(world)
        ends_ms = zones[0].anchors[0].clock.wall_ms() + 10_000
        first = works(world, zones[0])
        join(world, d, zones[0], endorsement(d.id, not_after_ms=ends_ms))
        first.arrives(d)
        world.run(15)
        second = works(world, zones[1])
        assert SUM == second.result()
        assert zones[1] is second.zone
        assert {NOBODY} == set(judged(second, "d"))
