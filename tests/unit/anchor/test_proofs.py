"""What an anchor does with proofs (protocol §11.7): it finds them, keeps them, tells them on, counts them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.anchor.gossiping import Gossip
from sojourn.core.agent.events import Events
from sojourn.core.base.digests import digest
from sojourn.core.protocol import decree
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.accusing import accusing
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.exchange import AskProofs, Proofs, ShowVotes
from sojourn.core.protocol.gossip import Exchange, Exchanged, News, Summary, Tell
from sojourn.core.protocol.messages import (
    Applied,
    Declined,
    Nack,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.proposer import Proposer
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.fraud import Fraud
from sojourn.core.quorum.votes import Ballot, Phase
from sojourn.runtime.clients.zone_client import Stalled, ZoneClient
from sojourn.runtime.processes import clock
from tests.samples import found
from tests.unit.anchor.standing_in import answers, stand_in, until
from tests.unit.core.protocol.test_accusing import two_faced
from tests.village import House, Village, key, village

NOTHING = Summary(zones=(), envelopes=(), endorsements=())


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


def held(house: House, index: int = 0) -> list[tuple[bytes, int]]:
    """Return whom the proofs name that an anchor knows and has on its disk."""
    on_disk = {key for key, _ in house.stores[index].scan("proof", limit=1000)}
    known = house.anchors[index].proofs.known
    proofs = [proof for zone in known.zones() for proof in known.against(zone)]
    return sorted((proof.zone, proof.anchor) for proof in proofs if proof.culprit in on_disk)


async def tell(v: Village, house: House, *proofs: Fraud) -> Any:
    return await v.client(house, key("somebody")).call(0, Tell(news=News(proofs=proofs)))


def lie(house: House, anchor: int = 0) -> Fraud:
    return two_faced(house.sample, anchor)


# Kept, and told


def test_section_13_what_was_acknowledged_is_known_after_a_restart() -> None:
    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        shelf = a.anchors[0].shelf
        await a.anchors[0].write(shelf.place_changes(News(manifests=(b.signed,))))
        assert Applied() == await tell(v, a, lie(b), lie(c))
        assert sorted([(b.zone, 0), (c.zone, 0)]) == held(a)
        assert 2 == len(a.stores[0].scan("proof", limit=10))
        await v.close(a, 0)
        await v.open(a)
        assert [(b.zone, 0)] == held(a), "nobody could check what is proved of c"
        await a.anchors[0].forget_expired()
        assert 1 == len(a.stores[0].scan("proof", limit=10))

    run(test)


def test_section_11_what_one_anchor_holds_all_zones_know_at_once() -> None:
    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        await tell(v, a, lie(c, 2))
        every = [(house, index) for house in (a, b, c) for index in house.anchors]
        await until(lambda: all([(c.zone, 2)] == held(*each) for each in every))

    run(test, n=4)


def test_section_11_a_round_of_gossip_brings_what_was_missed_and_no_second_proof() -> None:
    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        await v.close(b, 0)
        await tell(v, a, lie(c))
        await v.open(b)
        mine = b.anchors[0]
        mine.learn(News(manifests=(a.signed, c.signed)))
        assert [] == held(b)
        await mine._gossip.gossip_with(ZoneClient(a.manifest, mine.connections), 0)
        assert [(c.zone, 0)] == held(b)
        other = two_faced(c.sample, 0, version=99)
        assert Applied() == await tell(v, b, other), "there is one, which is as good"
        assert [lie(c)] == mine.proofs.known.against(c.zone)

    run(test)


def test_section_11_proofs_are_gossiped_among_anchors_and_shown_to_whoever_asks() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        await tell(v, a, lie(b))
        for asker, count in ((key("a command"), 0), (a.hosts[0], 0), (key("b/anchor/0"), 1)):
            told = await v.client(a, asker).call(0, Exchange(summary=NOTHING))
            assert isinstance(told, Exchanged)
            assert count == len(told.news.proofs)
        shown = await v.client(a, key("a command")).call(0, AskProofs())
        assert Proofs(proofs=(lie(b),), manifests=(b.signed,)) == shown
        rest = await v.client(a, key("a command")).call(0, AskProofs(after=lie(b).culprit))
        assert Proofs(proofs=()) == rest

    run(test)


def test_section_11_what_is_not_taken_is_declined_with_the_reason() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        forged = replace(lie(b), other=replace(lie(b).other, seal=lie(b).one.seal))
        for told, reason in (
            (forged, "bad-signature"),
            (replace(lie(b), other=lie(b).one), "no-fraud"),
            (two_faced(b.sample, 0, realm="production"), "wrong-realm"),
        ):
            answer = await tell(v, a, told)
            assert isinstance(answer, Declined)
            assert (reason, False) == (answer.reason, answer.for_now)
        answer = await tell(v, a, two_faced(found("nowhere"), 0))
        assert isinstance(answer, Declined) and answer.for_now
        assert "its zone is not known here" in answer.problem
        assert [] == held(a)

    run(test)


# Counted


def test_section_11_agents_that_rely_on_the_zone_count_it_by_themselves() -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        head = await v.launch(a)
        await tell(v, v.houses["c"], lie(b))
        lied = {b.zone.hex(): Events(liars=(0,), tolerated=0)}
        await until(lambda: lied == events(a, head))

    run(test)


def events(house: House, head: Certified) -> dict[str, Events]:
    known = house.anchors[0].shelf.dossier(head.record.agent_id).head
    assert known is not None
    return known.record.trust.events


def test_section_11_what_somebody_brings_before_one_agent_is_counted_by_all() -> None:
    async def test(v: Village) -> None:
        a, b, c = v.houses.values()
        head, elsewhere = await v.launch(a), await v.launch(c)
        given = Accusation(
            manifest=b.signed, proofs=(lie(b),), endorsements=(v.endorsement(b.zone),)
        )
        await v.decide(a, accusing(given, head, key("somebody"), at_ms=clock.wall_ms()), head)
        await until(lambda: b.zone.hex() in events(c, elsewhere))
        assert [(b.zone, 0)] == held(a) == held(c)

    run(test)


# Found


LIAR = 3


def locked(v: Village, house: House, head: Certified) -> tuple[Propose, ShowLock, ShowVotes]:
    """Return a step after `head`, a lock on it with the liar's vote, and a vote of the liar's for something else."""
    proposal = v.step_proposal(house, head)
    slot = slot_for(head, proposal.transition, house.manifest)
    value = proposal.transition.digest
    signers = (0, 1, LIAR)
    lock = house.sample.certificate(slot, value, phase=Phase.LOCK, anchors=signers)
    ballot = Ballot(
        slot=slot, round=0, phase=Phase.LOCK, value=digest(b"y"), anchor=LIAR, counter=1
    )
    return (
        Propose(slot=slot, round=0, proposal=proposal),
        ShowLock(certificate=lock, proposal=proposal),
        ShowVotes(votes=(house.sample.vote(ballot),)),
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 2), (0, 2, 2, 1, 1)])
def test_section_11_votes_that_were_given_in_vain_convict_who_voted_otherwise_as_well(
    order: tuple[int, ...],
) -> None:
    async def test(v: Village) -> None:
        a, b = v.houses["a"], v.houses["b"]
        requests = locked(v, a, await v.launch(a))
        # Its vote was signed for it: it would give another one for the accusation.
        await v.close(a, 1)
        for number in order:
            await v.client(a).call(0, requests[number])
        await until(lambda: [(a.zone, LIAR)] == held(a))
        await until(lambda: [(a.zone, LIAR)] == held(b) == held(a, 2) == held(b, 2))

    run(test, "a", "b", n=4)


async def restarted(v: Village, house: House, head: Certified) -> None:
    await v.close(house, 0)
    await v.open(house, [0])
    await until(lambda: answers(v.client(house), 0, head))


def test_section_11_a_lock_from_before_a_restart_convicts_who_voted_otherwise_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decree, "ROUND_BASE_MS", 600_000)  # nobody is asked to leave a round

    async def test(v: Village) -> None:
        a = v.houses["a"]
        head = await v.launch(a)
        await v.close(a, 1)
        _, show, shown = locked(v, a, head)
        await v.client(a).call(0, show)
        await restarted(v, a, head)
        await v.client(a).call(0, shown)
        await until(lambda: [(a.zone, LIAR)] == held(a))

    run(test, "a", n=4)


def test_section_11_a_lock_from_before_a_restart_convicts_those_who_signed_another() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        head = await v.launch(a)
        await v.close(a, 1)
        propose, show, _ = locked(v, a, head)
        await v.client(a).call(0, show)
        await restarted(v, a, head)
        signers = (1, 2, LIAR)
        other = a.sample.certificate(propose.slot, digest(b"y"), phase=Phase.LOCK, anchors=signers)
        await v.client(a).call(0, ShowLock(certificate=other, proposal=None))
        await until(lambda: [(a.zone, 1), (a.zone, LIAR)] == held(a))

    run(test, "a", n=4)


def test_section_11_a_vote_against_what_is_decided_convicts_after_a_restart_too() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        first = await v.launch(a)
        head = await v.step(a, await v.step(a, first))
        await until(lambda: a.anchors[0].shelf.dossier(head.record.agent_id).head == head)
        await restarted(v, a, head)
        decided = first.certificate
        liar, honest = decided.signers()[0], decided.signers()[1]
        for anchor, round, value in ((honest, 1, decided.value), (liar, 1, digest(b"y"))):
            ballot = Ballot(
                slot=decided.slot,
                round=decided.round + round,
                phase=Phase.LOCK,
                value=value,
                anchor=anchor,
                counter=1,
            )
            vote = a.sample.vote(ballot)
            forged = replace(vote, seal=a.sample.vote(replace(ballot, counter=2)).seal)
            for said in (forged, vote):
                assert Applied() == await v.client(a).call(0, ShowVotes(votes=(said,)))
        await until(lambda: [(a.zone, liar)] == held(a))
        assert not a.anchors[0].proofs._witness.has_seen(decided.slot), "nobody fills the room so"

    run(test, "a", n=4)


def test_section_11_a_false_testimony_is_declined_and_one_of_no_use_is_not_remembered() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        _, show, shown = locked(v, a, await v.launch(a))
        assert Applied() == await v.client(a).call(0, shown), "of a slot of which nothing is seen"
        await v.client(a).call(0, show)
        await asyncio.sleep(0.05)
        assert [] == held(a)
        [true] = shown.votes
        forged = replace(true, ballot=replace(true.ballot, anchor=1))
        answer = await v.client(a).call(0, ShowVotes(votes=(forged,)))
        assert isinstance(answer, Declined) and "wrong-key" == answer.reason
        assert [] == held(a)

    run(test, "a", n=4)


def test_section_11_another_decision_convicts_those_who_signed_both_however_old_it_is() -> None:
    async def test(v: Village) -> None:
        a = v.houses["a"]
        first = await v.launch(a)
        head = await v.step(a, await v.step(a, first))
        await until(lambda: a.anchors[0].shelf.dossier(head.record.agent_id).head == head)
        await restarted(v, a, head)
        decided = first.certificate
        forged = replace(decided, value=digest(b"y"))
        await v.client(a).call(0, ShowCommit(certificate=forged))
        other = a.sample.certificate(decided.slot, digest(b"y"), anchors=(1, 2, 3))
        assert Applied() == await v.client(a).call(0, ShowCommit(certificate=other))
        # Others may have a certificate of the same decision that one more of them signed, and tell of that.
        both = {1, 2, 3} & set(decided.signers())
        await until(lambda: {(a.zone, anchor) for anchor in both} <= set(held(a)))
        assert set(held(a)) <= {(a.zone, anchor) for anchor in (1, 2, 3)}

    run(test, "a", n=4)


def test_section_11_a_proposer_that_does_not_win_shows_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decree, "ROUND_BASE_MS", 600_000)  # no anchor has either decided meanwhile

    async def test(v: Village) -> None:
        a = v.houses["a"]
        head = await v.launch(a)
        propose, _, _ = locked(v, a, head)
        await until(lambda: clock.wall_ms() > propose.proposal.transition.at_ms)
        other = v.step_proposal(a, head)  # the same but for its time
        slot = slot_for(head, other.transition, a.manifest)
        proposer, told = Proposer(other, slot, a.manifest, parent=head), asyncio.Event()

        async def also(request: Any, honest: Any) -> Any:
            """Vote for the step as well, whatever was voted for before."""
            if isinstance(request, ShowVotes):
                told.set()
            if not (isinstance(request, Propose) and isinstance(honest, Nack)):
                return honest
            value = request.proposal.transition.digest
            ballot = Ballot(
                slot=request.slot, round=0, phase=Phase.LOCK, value=value, anchor=LIAR, counter=9
            )
            return Voted(vote=a.sample.vote(ballot))

        async def later(_request: Any, honest: Any) -> Any:
            if isinstance(honest, Nack):
                await until(lambda: LIAR in proposer._locks.heard())
            return honest

        for anchor in range(4):
            await v.client(a).call(anchor, propose)
            await stand_in(v, a, anchor, also if anchor == LIAR else later)
        for anchor in range(4):
            await until(lambda anchor=anchor: answers(v.client(a), anchor, head))
        with pytest.raises(Stalled):
            await v.client(a).decide(proposer, v.blocks)
        await told.wait()
        assert not held(a), "nobody has seen its other vote"
        await v.client(a).call(0, ShowLock(certificate=lock_of(a, propose), proposal=None))
        await until(lambda: [(a.zone, LIAR)] == held(a))

    run(test, "a", n=4)


def lock_of(house: House, propose: Propose) -> Certificate:
    value = propose.proposal.transition.digest
    return house.sample.certificate(propose.slot, value, phase=Phase.LOCK, anchors=(0, 1, LIAR))
