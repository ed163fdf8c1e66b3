"""What goes wrong with a zone is counted in whole worlds, and what is counted has its effect (protocol §4)."""

import io

from sojourn.core.agent.events import Events
from sojourn.core.agent.transition import TransitionKind
from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.capsule import load_capsule
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote
from sojourn.runtime.records import Considered
from sojourn.testing import LaunchedAgent, Zone, simulate
from sojourn.testing.founding import endorsement, key
from tests.unit.audit.scene import exported
from tests.unit.testing.workers import Nomad, Payer, Walker

TURNS = 40
SUM = sum(number * number for number in range(TURNS))


def counted(agent: LaunchedAgent) -> dict[str, Events]:
    return agent.record.trust.events


def test_section_4_a_host_that_dies_at_work_has_broken_its_lease() -> None:
    with simulate(seed=1) as world:
        a = world.zone("a", hosts=2)
        plan = {"turns": TURNS, "pace_s": 0.1}
        agent = world.launch(Payer, a, memory={"plan": plan, "unsure": None, "done": None})
        agent.advances(by=6)
        assert {} == counted(agent)
        assert agent.host is not None
        agent.host.kill()
        agent.result()
        assert {a.id.hex(): Events(broken=1)} == counted(agent)
        assert not world.broken_promises()


def test_section_4_a_host_that_is_suspended_by_order_has_not() -> None:
    with simulate(seed=2) as world:
        a = world.zone("a", hosts=2)
        plan = {"turns": TURNS, "pace_s": 0.1}
        agent = world.launch(Payer, a, memory={"plan": plan, "unsure": None, "done": None})
        agent.advances(by=6)
        first = agent.host
        assert first is not None
        world.order(agent, "suspend")
        first.kill()
        world.run(10)
        world.order(agent, "resume")
        agent.result()
        assert agent.host is not first
        assert {} == counted(agent)


def test_section_4_a_zone_whose_hosts_are_gone_when_it_is_entered_is_trusted_less() -> None:
    with simulate(seed=3) as world:
        a, b = world.zone("a"), world.zone("b")
        agent = world.launch(Walker, a, memory={"plan": {"route": ["a", "b"]}, "diary": None})
        agent.wait(lambda it: it.record.migration is not None, "leaves")
        b.hosts[0].kill()
        agent.wait(lambda it: it.record.custody.term == 2, "comes back")
        assert (a, {b.id.hex(): Events(refused=1)}) == (agent.zone, counted(agent))
        b.hosts[0].start()
        assert ["a", "b"] == agent.result()
        looks = [each for each in agent.journal() if isinstance(each, Considered)]
        found = [place.trust for each in looks for place in each.places if place.name == "b"]
        assert any("lowered by 1 visa not honoured" in each.reasons[0] for each in found)
        world.order(agent, "forgive")
        assert {} == counted(agent)


def two_faced(zone: Zone, anchor: int) -> Fraud:
    """Return two lock votes of an anchor for different values, as one that lies casts them."""
    slot = Slot(
        realm=zone.manifest.realm,
        group=zone.id,
        epoch=0,
        agent=digest(b"another agent"),
        term=0,
        version=3,
    )
    pair = key(f"{zone.name}/anchor/{anchor}/vote")

    def vote(value: bytes) -> Vote:
        ballot = Ballot(
            slot=slot, round=0, phase=Phase.LOCK, value=digest(value), anchor=anchor, counter=1
        )
        covered = statement(Kind.VOTE, Role.ANCHOR, digest_of(ballot))
        return Vote(ballot=ballot, seal=Seal(signer=pair.public, signature=pair.sign(covered)))

    return Fraud(one=vote(b"one"), other=vote(b"other"))


def accusation(zone: Zone, *anchors: int) -> Accusation:
    return Accusation(
        manifest=zone.founded.signed,
        proofs=tuple(two_faced(zone, anchor) for anchor in anchors),
        endorsements=(endorsement(zone.id),),
    )


def test_section_11_an_agent_leaves_alone_a_zone_whose_anchors_lied() -> None:
    with simulate(seed=4) as world:
        a, b = world.zone("a", price=1.0), world.zone("b", price=2.0)
        plan = {"turns": TURNS, "pause_s": 0.2}
        agent = world.launch(Nomad, a, memory={"plan": plan, "sums": None})
        agent.advances(by=6)
        world.accuse(agent, accusation(b, 1))
        assert {b.id.hex(): Events(liars=(1,), tolerated=1)} == counted(agent)
        b.price = 0.1
        assert SUM == agent.result(), "it works on, whoever carried what when"
        assert a is agent.zone
        looks = [each for each in agent.journal() if isinstance(each, Considered)]
        cheap = [
            place
            for each in looks
            for place in each.places
            if place.name == "b" and place.price_micros == 100_000
        ]
        assert cheap
        assert not any(place.eligible for place in cheap)
        assert "lowered by 1 anchor proved to have lied" in cheap[-1].trust.reasons[0]
        assert not world.broken_promises()


def test_section_11_who_counts_that_anchors_lied_shows_where_with_all_that_was_decided() -> None:
    with simulate(seed=5) as world:
        a, b = world.zone("a"), world.zone("b")
        plan = {"turns": TURNS, "pause_s": 0.2}
        agent = world.launch(Nomad, a, memory={"plan": plan, "sums": None})
        world.order(agent, "suspend")
        world.accuse(agent, accusation(b, 1))
        world.order(agent, "quarantine")
        world.run(5)
        shown = load_capsule(io.BytesIO(exported(world, agent, with_history=True))).capsule
        kinds = [done.transition.kind for done in shown.decided]
        assert TransitionKind.ACCUSE is kinds[-2]
