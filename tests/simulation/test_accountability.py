"""What a fraud proof is (protocol §11.5): nothing that an honest anchor may be brought to say.

Here all others lie, far above the bound: whatever they want is certified, two values in one round, too. One honest
anchor is asked anything about two versions of an agent, at any time, and crashes now and then. And the check of
the check: with votes that are no proof taken for one, somebody honest is blamed; anchors that say too little are
in `tests/planted`.
"""

import random
from dataclasses import dataclass
from functools import cache

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.protocol import decree
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import Dossier
from sojourn.core.protocol.messages import (
    AskRound,
    Proposal,
    Propose,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.certificates import (
    Certificate,
    LockSummary,
    RoundCertificate,
    RoundVote,
)
from sojourn.core.quorum.votes import Ballot, Phase, Slot
from sojourn.testing.checkers import blame
from tests.rulings import PureZone, World
from tests.simulation.oracles import check_blameless

SEEDS = 300
EVENTS = 40
ROUNDS = 5


@dataclass(frozen=True)
class Contest:
    """A slot, and two steps that compete for it."""

    slot: Slot
    steps: tuple[Proposal, Proposal]


@cache
def _stage() -> tuple[World, PureZone, Certified, Dossier, tuple[Contest, Contest]]:
    """Return a zone, an agent's head, what its anchors know at the beginning, and what is decided next.

    Those are two versions: the second one follows the first step of the first.
    """
    world = World("a")
    zone = world.zones[0]
    head = world.launch(zone)
    dossier = zone.anchors[0].dossier(head.record.agent_id)
    first = _contest(world, zone, head)
    decided = zone.sample.certified(first.steps[0].transition)
    return world, zone, head, dossier, (first, _contest(world, zone, decided))


def _contest(world: World, zone: PureZone, head: Certified) -> Contest:
    memories = [replace(head.record.memory, journal=digest(text)) for text in (b"x", b"y")]
    zone.give(*(memory.journal for memory in memories))
    x, y = (world.step_proposal(zone, head, memory=memory) for memory in memories)
    return Contest(zone.slot(x, head), (x, y))


@cache
def _left(number: int, round: int) -> RoundCertificate:
    """Return the proof that a round of a slot was left, by votes that carry no lock."""
    _, zone, _, _, contests = _stage()
    slot, nothing = contests[number].slot, LockSummary()
    ballot = Ballot(
        slot=slot, round=round, phase=Phase.ROUND, value=digest_of(nothing), anchor=0, counter=1
    )
    votes = [zone.sample.vote(replace(ballot, anchor=anchor)) for anchor in (1, 2, 3)]
    shown = tuple(RoundVote(vote=vote, summary=nothing) for vote in votes)
    return RoundCertificate(slot=slot, round=round, votes=shown)


@cache
def _lock(number: int, step: int, round: int) -> Certificate:
    """Return the lock certificate of one of a slot's values in a round; all of them exist."""
    _, zone, _, _, contests = _stage()
    slot, value = contests[number].slot, contests[number].steps[step].transition.digest
    return zone.sample.certificate(slot, value, phase=Phase.LOCK, round=round, anchors=(1, 2, 3))


LOCKS = [(number, step, round) for number in (0, 1) for step in (0, 1) for round in range(ROUNDS)]


def honest_run(seed: int) -> list[Ballot]:
    """Return what one honest anchor says when it is asked anything."""
    world, zone, head, dossier, contests = _stage()
    chance, anchor, agent = random.Random(seed), zone.anchors[0], head.record.agent_id
    anchor.dossiers[agent] = dossier
    anchor.votes.clear()

    def entry(number: int, round: int) -> RoundCertificate | None:
        return _left(number, round - 1) if round else None

    def proposed(number: int, step: int, round: int) -> None:
        leaning = chance.randrange(round) if round and chance.random() < 0.7 else None
        ask = Propose(
            slot=contests[number].slot,
            round=round,
            proposal=contests[number].steps[step],
            entry=entry(number, round),
            justification=None if leaning is None else _lock(number, step, leaning),
        )
        leading = zone.sample.identity(decree.leader(ask.slot, round, zone.manifest))
        anchor.ask(ask, leading.public)

    def locked(number: int, step: int, round: int) -> None:
        lock = _lock(number, step, round)
        anchor.ask(ShowLock(certificate=lock, proposal=contests[number].steps[step]))

    def left(number: int, _step: int, round: int) -> None:
        world.clock.boot_ms += chance.choice([0, 100_000])
        slot = contests[number].slot
        anchor.ask(AskRound(slot=slot, round=round, entry=entry(number, round)))

    def decided(_number: int, _step: int, _round: int) -> None:
        value = contests[0].steps[0]
        certificate = zone.sample.certificate(contests[0].slot, value.transition.digest)
        if chance.random() < 0.2:
            anchor.ask(ShowCommit(certificate=certificate, proposal=value))

    def restarted(_number: int, _step: int, _round: int) -> None:
        anchor.restart()

    happenings = [proposed, proposed, locked, left, decided, restarted]
    for _ in range(EVENTS):
        chance.choice(happenings)(*chance.choice(LOCKS))
        anchor.leases.renew(agent, (0, 1), world.clock.boot_ms)
    return [vote.ballot for vote in anchor.votes]


def check_runs() -> None:
    """Fail if the honest anchor is blamed in any run."""
    known = {digest_of(lock): lock for lock in (_lock(*which) for which in LOCKS)}
    for seed in range(SEEDS):
        check_blameless(honest_run(seed), known)


def test_p5_an_honest_anchor_is_never_blamed_whatever_others_certify() -> None:
    check_runs()


def test_p5_the_runs_are_worth_something() -> None:
    """Votes of all kinds, for both values; lock votes that lean on locks, of earlier rounds and of their own."""
    said = [ballot for seed in range(SEEDS) for ballot in honest_run(seed)]
    assert {Phase.LOCK, Phase.COMMIT, Phase.ROUND} == {ballot.phase for ballot in said}
    assert {contest.slot for contest in _stage()[-1]} == {ballot.slot for ballot in said}
    rounds = {digest_of(_lock(*which)): which[-1] for which in LOCKS}
    leaning = {
        ballot.round - rounds[ballot.justification]
        for ballot in said
        if ballot.justification is not None
    }
    assert {0, 1, 2} <= leaning


# What is no proof, taken for one


def test_section_11_a_lock_of_the_very_round_explains_a_vote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An anchor may hear of its round's lock before it hears of the proposal: then it leans on that lock."""
    right = blame._is_explained

    def narrow(commit: Ballot, lock: Ballot, just: Certificate | None) -> bool:
        return right(commit, lock, just) and just is not None and just.round < lock.round

    monkeypatch.setattr(blame, "_is_explained", narrow)
    with pytest.raises(AssertionError, match="is blamed"):
        check_runs()


# Visas


def test_section_11_visas_on_other_terms_are_no_fraud() -> None:
    """On which of two hosts it is to run, say, no visa decides: an agent may ask for both."""
    world = World("a", "b")
    a, b = world.zones
    one = world.application(a, b, world.launch(a))
    other = replace(one, terms=replace(one.terms, host=b.hosts[1].public))
    b.give(*one.head.record.governance.documents)
    votes = [b.anchors[0].ask(ask) for ask in (one, other)]
    first, second = (vote.vote.ballot for vote in votes if isinstance(vote, Voted))
    assert (first.slot, first.round, Phase.VISA) == (second.slot, second.round, second.phase)
    assert first.value != second.value
    check_blameless([first, second], {})
