"""The engine, rules 0 to 5 (protocol §3): whom one anchor answers with a lock vote, and whom with a NACK."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import ROUNDS_MAX
from sojourn.core.protocol import decree
from sojourn.core.protocol.messages import (
    AskRound,
    Declined,
    Head,
    Nack,
    Need,
    Proposal,
    Propose,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.votes import Phase, Slot
from tests.rulings import World
from tests.unit.core.protocol.stage import Stage, refused


@pytest.fixture
def stage() -> Stage:
    return Stage()


# Rule 0: never vote blind


def test_rule_0_a_decided_slot_is_answered_with_the_decision(stage: Stage) -> None:
    old = stage.zone.slot(stage.x, stage.head)
    before = replace(old, version=stage.head.record.version)
    reply = stage.anchor().ask(Propose(slot=before, round=0, proposal=stage.x))
    assert isinstance(reply, Head) and stage.head == reply.certified


def test_rule_0_an_anchor_that_lacks_the_parent_says_so_and_does_not_vote(stage: Stage) -> None:
    behind = stage.anchor(3)
    behind.dossiers.clear()
    reply = stage.propose(3, stage.x)
    assert isinstance(reply, Need) and "parent" == reply.what
    assert not behind.dossiers


def test_rule_0_one_that_is_behind_does_not_vote_for_a_grandchild(stage: Stage) -> None:
    done = stage.world.decide(stage.zone, stage.x, stage.head, only=(0, 1, 2))
    stage.head = done
    grandchild = stage.world.step_proposal(stage.zone, done)
    slot = stage.zone.slot(grandchild, done)
    reply = stage.anchor(3).ask(Propose(slot=slot, round=0, proposal=grandchild))
    assert isinstance(reply, Need)
    assert reply.what == "parent"


# Rule 1: zone, epoch, realm


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"group": digest(b"another zone")}, "wrong-zone"),
        ({"epoch": 1}, "wrong-epoch"),
        ({"realm": "production"}, "wrong-realm"),
        ({"term": 7}, "wrong-slot"),
        ({"version": 9}, "wrong-slot"),
    ],
)
def test_rule_1_and_trap_12_another_slot_is_not_this_one(
    stage: Stage, changes: dict[str, Any], reason: str
) -> None:
    ask = Propose(slot=replace(stage.slot, **changes), round=0, proposal=stage.x)
    before = dict(stage.anchor().dossiers)
    assert refused(stage.anchor().ask(ask), reason)
    assert before == stage.anchor().dossiers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"group": digest(b"another zone")}, "wrong-zone"),
        ({"epoch": 1}, "wrong-epoch"),
        ({"realm": "production"}, "wrong-realm"),
        ({"term": 7}, "bad-signature"),
        ({"version": 9}, "bad-signature"),
    ],
)
def test_rule_1_and_trap_12_a_lock_of_another_slot_is_not_this_ones(
    stage: Stage, changes: dict[str, Any], reason: str
) -> None:
    lock = replace(stage.certificate(stage.x), slot=replace(stage.slot, **changes))
    assert refused(stage.anchor().ask(ShowLock(certificate=lock)), reason)


# Rule 2: no free jumps


@pytest.mark.parametrize("round", [1, 2, ROUNDS_MAX, ROUNDS_MAX + 1, 2**63 - 1])
def test_rule_2_and_trap_26_no_round_is_entered_without_proof(stage: Stage, round: int) -> None:
    stage.opened(0)
    state = stage.anchor().dossier(stage.agent).open
    assert refused(stage.propose(0, stage.x, round), "bad-round")
    for index in (0, 1):
        ask = AskRound(slot=stage.slot, round=round)
        assert refused(stage.anchor(index).ask(ask), "bad-round")
    assert state == stage.anchor().dossier(stage.agent).open


def test_rule_2_the_proof_is_of_the_round_before_and_of_this_slot(stage: Stage) -> None:
    entry = stage.left(0)
    other = replace(entry, slot=replace(stage.slot, version=9))
    for wrong in (other, replace(entry, round=1), replace(entry, votes=entry.votes[:2])):
        reply = stage.propose(3, stage.x, 1, entry=wrong)
        assert isinstance(reply, Declined) and reply.reason in ("bad-round", "no-quorum")
    assert isinstance(stage.propose(3, stage.x, 1, entry=entry), Voted)
    assert refused(stage.propose(3, stage.x, 2, entry=entry), "bad-round")


def test_rule_2_a_later_round_may_be_entered_at_once(stage: Stage) -> None:
    entry = stage.entry_to(3)
    stage.anchor(3).dossiers[stage.agent] = replace(stage.anchor(3).dossier(stage.agent), open=None)
    assert isinstance(stage.propose(3, stage.x, 3, entry=entry), Voted)


def test_rule_2_a_lock_certificate_proves_that_its_round_was_entered(stage: Stage) -> None:
    stage.locked(0, stage.x, round=5)
    state = stage.anchor().dossier(stage.agent).open
    assert state is not None and 5 == state.round


# Rule 3: one lock vote a round


def test_rule_3_the_same_value_gets_the_same_vote_again(stage: Stage) -> None:
    first, again = stage.propose(0, stage.x), stage.propose(0, stage.x)
    assert isinstance(first, Voted) and isinstance(again, Voted)
    assert replace(first.vote.ballot, counter=2) == replace(again.vote.ballot, counter=2)


def test_rule_3_the_same_value_gets_its_vote_again_though_time_has_passed(stage: Stage) -> None:
    """What was judged is judged once: a lease or a window may have ended since."""
    assert isinstance(stage.propose(0, stage.x), Voted)
    stage.world.clock.pass_ms(100_000)
    assert isinstance(stage.propose(0, stage.x), Voted)


def test_rule_3_another_value_gets_a_nack(stage: Stage) -> None:
    stage.opened(0)
    reply = stage.propose(0, stage.y)
    assert isinstance(reply, Nack) and (0, None) == (reply.round, reply.lock)


def pending(stage: Stage) -> tuple[Proposal, ...]:
    """Return the proposals that anchor 0 remembers."""
    state = stage.anchor().dossier(stage.agent).open
    assert state is not None
    return state.proposals


def test_a_valid_proposal_that_came_too_late_is_pending(stage: Stage) -> None:
    """By the time a leader may propose, the one voted for may be too old for others."""
    stage.opened(0)
    assert isinstance(stage.propose(0, stage.y), Nack)
    assert (stage.x, stage.y) == pending(stage)
    stage.anchor().ask(AskRound(slot=stage.slot, round=1, entry=stage.left(0)))
    z = stage.step(b"z")
    assert isinstance(stage.propose(0, z), Nack)
    assert z == pending(stage)[-1]


def test_a_leader_that_has_seen_no_proposal_is_told_of_one_at_once(stage: Stage) -> None:
    """Else it could propose nothing before the round's time is up, when the others leave it again."""
    stage.opened(0)
    asked = AskRound(slot=stage.slot, round=1, entry=stage.left(0))
    for _ in range(2):
        told = stage.anchor().ask(asked)
        assert isinstance(told, Nack) and (1, None, stage.x) == (
            told.round,
            told.lock,
            told.proposal,
        )


def test_trap_50_a_slot_remembers_few_proposals(stage: Stage) -> None:
    stage.opened(0)
    for i in range(9):
        stage.propose(0, stage.step(bytes([i])))
    assert 3 >= len(pending(stage))
    assert stage.x in pending(stage)


def test_a_proposal_that_is_worth_nothing_is_not_pending(stage: Stage) -> None:
    stage.opened(0)
    forged = replace(stage.y, seals=stage.x.seals)
    assert isinstance(stage.propose(0, forged), Nack)
    assert (stage.x,) == pending(stage)


def test_trap_25_a_locked_anchor_shows_its_lock_whatever_the_proposal_is_worth(
    stage: Stage,
) -> None:
    lock = stage.locked(0, stage.x)
    reply = stage.propose(0, replace(stage.y, seals=()))
    assert isinstance(reply, Nack) and lock == reply.lock


# Rule 4: an anchor that is locked


def test_rule_4_and_trap_25_a_locked_anchor_shows_its_lock_to_whoever_proposes_else(
    stage: Stage,
) -> None:
    lock = stage.locked(0, stage.x)
    reply = stage.propose(0, stage.y)
    assert isinstance(reply, Nack)
    assert (lock, stage.x) == (reply.lock, reply.proposal)


@pytest.mark.parametrize(
    ("locked_in", "justified_by", "round", "is_accepted"),
    [
        (1, None, 3, False),
        (1, 0, 3, False),
        (1, 1, 3, False),
        (1, 2, 3, True),
        (0, 1, 2, True),
        (0, 0, 1, False),
    ],
)
def test_rule_4_a_later_lock_frees_from_an_earlier_one(
    stage: Stage, locked_in: int, justified_by: int | None, round: int, is_accepted: bool
) -> None:
    entry = stage.entry_to(round)
    lock = stage.certificate(stage.x, round=locked_in)
    stage.holding(lock, stage.x, round - 1)
    just = None
    if justified_by is not None:
        just = stage.certificate(stage.y, round=justified_by)
    reply = stage.propose(0, stage.y, round, entry=entry, justification=just)
    assert isinstance(reply, Voted if is_accepted else Nack), reply
    if isinstance(reply, Voted):
        assert just is not None
        assert digest_of(just) == reply.vote.ballot.justification
    else:
        assert (lock, stage.x) == (reply.lock, reply.proposal)


@pytest.mark.parametrize("spoilt", ["another value", "this round", "a commit", "two votes", "slot"])
def test_rule_4_a_justification_is_an_earlier_lock_on_this_very_value(
    stage: Stage, spoilt: str
) -> None:
    entry = stage.entry_to(1)
    good = stage.certificate(stage.y)
    just = {
        "another value": stage.certificate(stage.x),
        "this round": stage.certificate(stage.y, round=1),
        "a commit": stage.certificate(stage.y, Phase.COMMIT),
        "two votes": replace(good, votes=good.votes[:2]),
        "slot": replace(good, slot=replace(stage.slot, version=9)),
    }[spoilt]
    reply = stage.propose(0, stage.y, 1, entry=entry, justification=just)
    assert isinstance(reply, Declined) and reply.reason in ("bad-justification", "no-quorum")
    state = stage.anchor().dossier(stage.agent).open
    assert state is not None and 0 == state.round


def test_rule_4_the_vote_for_a_value_that_one_is_locked_on_names_that_lock(stage: Stage) -> None:
    """Else a commit vote for x before, and a lock vote for y now, would look like fraud (§11)."""
    entry = stage.entry_to(2)
    lock = stage.certificate(stage.x, round=1)
    stage.holding(lock, stage.x, 1)
    reply = stage.propose(0, stage.x, 2, entry=entry)
    assert isinstance(reply, Voted)
    assert digest_of(lock) == reply.vote.ballot.justification


# Rule 5: who proposes


def test_rule_5_from_round_1_on_only_the_leader_proposes(stage: Stage) -> None:
    entry = stage.entry_to(1)
    leading = decree.leader(stage.slot, 1, stage.zone.manifest)
    for index in range(4):
        ask = Propose(slot=stage.slot, round=1, proposal=stage.x, entry=entry)
        sender = stage.zone.sample.identity(index).public
        reply = stage.anchor().ask(ask, sender)
        expected = isinstance(reply, Voted) if index == leading else refused(reply, "wrong-leader")
        assert expected, (index, reply)


SLOT = Slot(realm="test", group=digest(b"z"), epoch=0, agent=digest(b"a"), term=0, version=1)


def test_rule_5_of_rounds_that_follow_each_other_every_anchor_leads_one() -> None:
    manifest = World("a").zones[0].manifest
    for first in (1, 2, 17, 2**63 - 4):
        leaders = {decree.leader(SLOT, round, manifest) for round in range(first, first + 4)}
        assert {0, 1, 2, 3} == leaders
