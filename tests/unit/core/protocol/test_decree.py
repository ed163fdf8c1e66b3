"""The engine, rule by rule (protocol §3): what one anchor answers, and what a quorum of them decides."""

from typing import Any

import pytest
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import ROUND_BASE_MS, ROUND_DOUBLINGS_MAX, ROUNDS_MAX
from sojourn.core.protocol import decree
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import (
    Applied,
    AskHead,
    AskRound,
    Declined,
    Head,
    Nack,
    Need,
    Proposal,
    Propose,
    Reply,
    RoundVoted,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.quorum.certificates import (
    Certificate,
    LockSummary,
    RoundCertificate,
    RoundVote,
    certify,
)
from sojourn.core.quorum.votes import Phase, Slot
from tests.rulings import PureAnchor, PureZone, World


class Stage:
    """A zone with one agent, and two steps x and y that compete for its next version."""

    def __init__(self, n: int = 4) -> None:
        self.world = World("a", n=n)
        self.zone: PureZone = self.world.zones[0]
        self.head = self.world.launch(self.zone)
        self.agent = self.head.record.agent_id
        self.x = self.step(b"x")
        self.y = self.step(b"y")
        self.slot: Slot = self.zone.slot(self.x, self.head)

    def step(self, journal: bytes) -> Proposal:
        memory = replace(self.head.record.memory, journal=digest(journal))
        self.zone.give(memory.journal)
        return self.world.step_proposal(self.zone, self.head, memory=memory)

    def anchor(self, index: int = 0) -> PureAnchor:
        return self.zone.anchors[index]

    def propose(self, index: int, proposal: Proposal, round: int = 0, **more: Any) -> Reply:
        """Ask for a lock vote, as the round's leader would."""
        ask = Propose(slot=self.slot, round=round, proposal=proposal, **more)
        return self.anchor(index).ask(ask, self.leader(round))

    def leader(self, round: int) -> bytes:
        """Return the identity of whoever may propose in a round; the host's in round 0."""
        if round == 0:
            return self.zone.hosts[0].public
        return self.zone.sample.identity(decree.leader(self.slot, round, self.zone.manifest)).public

    def certificate(
        self,
        proposal: Proposal,
        phase: Phase = Phase.LOCK,
        round: int = 0,
        anchors: tuple[int, ...] | None = None,
    ) -> Certificate:
        """Return what a quorum of votes makes, whether or not the anchors here cast them."""
        value = proposal.transition.digest
        return self.zone.sample.certificate(
            self.slot, value, phase=phase, round=round, anchors=anchors
        )

    def left(self, round: int, entry: RoundCertificate | None = None) -> RoundCertificate:
        """Have all anchors leave a round once its time is up."""
        for index, anchor in enumerate(self.zone.anchors):
            if anchor.dossier(self.agent).open is None:
                self.opened(index)
        ask = AskRound(slot=self.slot, round=round, entry=entry)
        self.zone.ask_all(ask)
        self.world.clock.pass_ms(decree.round_timeout_ms(round))
        replies = self.zone.ask_all(ask)
        votes = tuple(reply.vote for reply in replies if isinstance(reply, RoundVoted))
        assert len(votes) >= self.zone.manifest.committee.quorum, replies
        return RoundCertificate(slot=self.slot, round=round, votes=votes)

    def entry_to(self, round: int) -> RoundCertificate:
        """Have all anchors leave every round before one; return the proof that it may be entered."""
        entry = None
        for leaving in range(round):
            entry = self.left(leaving, entry)
        assert entry is not None
        return entry

    def holding(self, lock: Certificate, proposal: Proposal, round: int) -> None:
        """Have anchor 0 stand in a round with a lock from before."""
        dossier = self.anchor().dossier(self.agent)
        state = dossier.open or OpenSlot(slot=self.slot, entered_ms=self.world.clock.boot_ms)
        state = replace(state, round=round, lock=lock, proposals=(proposal,))
        self.anchor().dossiers[self.agent] = replace(dossier, open=state)

    def locked(self, index: int, proposal: Proposal, round: int = 0) -> Certificate:
        """Lock one anchor on a value."""
        lock = self.certificate(proposal, round=round)
        reply = self.anchor(index).ask(ShowLock(certificate=lock, proposal=proposal))
        assert isinstance(reply, Voted) and reply.vote.ballot.phase is Phase.COMMIT
        return lock

    def opened(self, *indexes: int, proposal: Proposal | None = None) -> None:
        """Have anchors lock-vote for a value (x) in round 0."""
        for index in indexes:
            assert isinstance(self.propose(index, proposal or self.x), Voted)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def refused(reply: Reply, reason: str) -> bool:
    return isinstance(reply, Declined) and reply.reason == reason


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


def test_rule_5_the_lead_goes_round() -> None:
    manifest = World("a").zones[0].manifest
    leaders = [decree.leader(SLOT, round, manifest) for round in (*range(1, 41), 2**63 - 1)]
    assert {0, 1, 2, 3} == set(leaders)


# Locks and commits


def test_trap_1_a_quorum_of_lock_votes_decides_nothing(stage: Stage) -> None:
    lock = stage.certificate(stage.x)
    reply = stage.anchor().ask(ShowCommit(certificate=lock, proposal=stage.x))
    assert refused(reply, "wrong-phase")
    assert stage.head == stage.anchor().dossier(stage.agent).head


def test_trap_1_a_commit_certificate_locks_nothing(stage: Stage) -> None:
    reply = stage.anchor().ask(
        ShowLock(certificate=stage.certificate(stage.x, Phase.COMMIT), proposal=stage.x)
    )
    assert refused(reply, "wrong-phase")


def test_trap_3_votes_of_different_rounds_are_no_certificate(stage: Stage) -> None:
    early, late = (stage.certificate(stage.x, round=r) for r in (0, 1))
    mixed = replace(early, votes=(*early.votes[:2], late.votes[2]))
    assert refused(stage.anchor().ask(ShowLock(certificate=mixed)), "bad-signature")


def test_trap_4_no_commit_vote_for_a_round_that_was_left(stage: Stage) -> None:
    entry = stage.entry_to(2)
    stage.anchor().ask(AskRound(slot=stage.slot, round=2, entry=entry))
    lock = stage.certificate(stage.x, round=0)
    reply = stage.anchor().ask(ShowLock(certificate=lock, proposal=stage.x))
    assert isinstance(reply, Nack)
    state = stage.anchor().dossier(stage.agent).open
    assert state is not None and state.lock is None


def test_one_commit_vote_a_round(stage: Stage) -> None:
    stage.locked(0, stage.x)
    reply = stage.anchor().ask(ShowLock(certificate=stage.certificate(stage.y), proposal=stage.y))
    assert isinstance(reply, Nack)


def test_a_lock_vote_for_one_value_does_not_bar_the_commit_of_another(stage: Stage) -> None:
    """A quorum locked y: this anchor's lock vote for x was outvoted."""
    stage.opened(0)
    stage.locked(0, stage.y)


def test_whoever_is_locked_holds_the_value(stage: Stage) -> None:
    """Else a value could be locked by the only anchor that does not know it, for ever."""
    lock = stage.certificate(stage.x)
    reply = stage.anchor().ask(ShowLock(certificate=lock))
    assert isinstance(reply, Need) and "proposal" == reply.what
    assert stage.anchor().dossier(stage.agent).open is None
    reply = stage.anchor().ask(ShowLock(certificate=lock, proposal=stage.y))
    assert isinstance(reply, Need) and "proposal" == reply.what
    assert isinstance(stage.anchor().ask(ShowLock(certificate=lock, proposal=stage.x)), Voted)


def test_a_repeated_lock_gets_the_same_commit_vote(stage: Stage) -> None:
    show = ShowLock(certificate=stage.certificate(stage.x), proposal=stage.x)
    replies = [stage.anchor().ask(show) for _ in range(2)]
    ballots = [replace(r.vote.ballot, counter=0) for r in replies if isinstance(r, Voted)]
    assert 2 == len(ballots) and ballots[0] == ballots[1]


def test_a_decision_is_applied_once_and_again_harmlessly(stage: Stage) -> None:
    done = stage.world.decide(stage.zone, stage.x, stage.head)
    show = ShowCommit(certificate=done.certificate, proposal=stage.x)
    before = stage.anchor().dossier(stage.agent)
    assert done == before.head and before.open is None
    assert Applied() == stage.anchor().ask(show)
    assert before == stage.anchor().dossier(stage.agent)


def test_a_decision_without_its_value_is_not_applied(stage: Stage) -> None:
    commit = stage.certificate(stage.x, Phase.COMMIT)
    reply = stage.anchor().ask(ShowCommit(certificate=commit))
    assert isinstance(reply, Need) and "proposal" == reply.what
    assert refused(
        stage.anchor().ask(ShowCommit(certificate=commit, proposal=stage.y)), "wrong-value"
    )


# Leaving a round


def test_a_round_is_not_left_before_its_time(stage: Stage) -> None:
    stage.opened(0)
    ask = AskRound(slot=stage.slot, round=0)
    assert isinstance(stage.anchor().ask(ask), Nack)
    stage.world.clock.pass_ms(ROUND_BASE_MS - 1)
    assert isinstance(stage.anchor().ask(ask), Nack)
    stage.world.clock.pass_ms(1)
    assert isinstance(stage.anchor().ask(ask), RoundVoted)


def test_the_time_of_a_round_doubles_and_stops_doubling() -> None:
    times = [decree.round_timeout_ms(round) for round in range(ROUND_DOUBLINGS_MAX + 3)]
    assert [ROUND_BASE_MS * 2**r for r in range(ROUND_DOUBLINGS_MAX + 1)] == times[:-2]
    assert times[-3] == times[-2] == times[-1] == decree.round_timeout_ms(ROUNDS_MAX)


def test_a_reboot_does_not_keep_a_round_for_as_long_as_the_machine_was_up(stage: Stage) -> None:
    """Boot times of different boots are not comparable; a round's clock guards no promise."""
    stage.opened(0)
    stage.world.clock.boot_ms, stage.world.clock.boot = 5, digest(b"another boot")
    stage.anchor().restart()
    reply = stage.anchor().ask(AskRound(slot=stage.slot, round=0))
    assert isinstance(reply, RoundVoted)


def test_section_3_the_round_vote_carries_the_lock_and_its_value(stage: Stage) -> None:
    lock = stage.locked(0, stage.x)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    reply = stage.anchor().ask(AskRound(slot=stage.slot, round=0))
    assert isinstance(reply, RoundVoted)
    assert (0, stage.x.transition.digest) == (reply.vote.summary.round, reply.vote.summary.value)
    assert (lock, stage.x) == (reply.lock, reply.proposal)


def test_section_11_an_anchor_says_one_thing_when_it_leaves_a_round(stage: Stage) -> None:
    """Two round votes of one key that differ would prove fraud against an honest anchor (P5)."""
    stage.opened(0)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    ask = AskRound(slot=stage.slot, round=0)
    first = stage.anchor().ask(ask)
    lock = stage.locked(0, stage.x)
    stage.anchor().restart()
    again = stage.anchor().ask(ask)
    assert isinstance(first, RoundVoted) and isinstance(again, RoundVoted)
    assert first.vote.summary == again.vote.summary
    assert lock == again.lock  # nothing is hidden for all that


def stuck_votes(stage: Stage, *indexes: int) -> tuple[RoundVote, ...]:
    """Have some anchors lock-vote, and then vote to leave the round."""
    stage.opened(*indexes)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    ask = AskRound(slot=stage.slot, round=0)
    replies = [stage.anchor(index).ask(ask) for index in indexes]
    return tuple(reply.vote for reply in replies if isinstance(reply, RoundVoted))


def test_an_anchor_that_has_seen_nothing_of_a_slot_leaves_a_round_that_a_correct_one_leaves(
    stage: Stage,
) -> None:
    """Else two votes here, one silent anchor and one that saw nothing would hold the agent for ever."""
    ask = AskRound(slot=stage.slot, round=0, votes=stuck_votes(stage, 1, 2))
    assert isinstance(stage.anchor().ask(ask), Nack)
    stage.world.clock.pass_ms(ROUND_BASE_MS)
    assert isinstance(stage.anchor().ask(ask), RoundVoted)


def test_trap_26_nobody_has_a_slot_opened_without_a_correct_anchor(stage: Stage) -> None:
    one, two = stuck_votes(stage, 1, 2)
    moved = replace(stage.slot, version=9)
    for votes, slot in (
        ((), stage.slot),
        ((one,), stage.slot),
        ((one, one), stage.slot),
        ((one, replace(two, summary=LockSummary(round=0, value=digest(b"x")))), stage.slot),
        ((one, two), moved),
    ):
        reply = stage.anchor().ask(AskRound(slot=slot, round=0, votes=votes))
        assert isinstance(reply, Declined), votes
        assert stage.anchor().dossier(stage.agent).open is None


def test_an_anchor_that_has_seen_nothing_of_a_slot_enters_a_round_with_its_proof(
    stage: Stage,
) -> None:
    entry = stage.left(0)
    fresh = stage.anchor(3)
    fresh.dossiers[stage.agent] = replace(fresh.dossier(stage.agent), open=None)
    assert isinstance(fresh.ask(AskRound(slot=stage.slot, round=1, entry=entry)), Nack)
    state = fresh.dossier(stage.agent).open
    assert state is not None and 1 == state.round


def test_a_left_round_stays_left_after_a_crash(stage: Stage) -> None:
    entry = stage.entry_to(1)
    stage.anchor().ask(AskRound(slot=stage.slot, round=1, entry=entry))
    stage.anchor().restart()
    assert isinstance(stage.propose(0, stage.x), Nack)


# Whole decisions


def votes_of(replies: list[Reply]) -> list[Any]:
    return [reply.vote for reply in replies if isinstance(reply, Voted)]


def test_trap_2_split_votes_end_in_a_decision(stage: Stage) -> None:
    """x to two anchors and y to two: nobody has a quorum in round 0."""
    stage.opened(0, 1)
    stage.opened(2, 3, proposal=stage.y)
    entry = stage.entry_to(1)
    votes = votes_of([stage.propose(i, stage.y, 1, entry=entry) for i in range(4)])
    lock = certify(votes, stage.zone.manifest.committee)
    shown = [stage.anchor(i).ask(ShowLock(certificate=lock, proposal=stage.y)) for i in range(4)]
    commit = certify(votes_of(shown), stage.zone.manifest.committee)
    done = Certified(transition=stage.y.transition, certificate=commit)
    done.check(stage.world.known.manifests)
    replies = [stage.anchor(i).ask(ShowCommit(certificate=commit)) for i in range(4)]
    assert [Applied()] * 4 == replies
    assert done == stage.zone.head(stage.agent)


def test_trap_5_and_rule_3_a_promise_survives_a_crash(stage: Stage) -> None:
    stage.opened(0)
    stage.anchor().restart()
    assert isinstance(stage.propose(0, stage.y), Nack)
    assert isinstance(stage.propose(0, stage.x), Voted)


def test_asking_for_the_head_changes_nothing(stage: Stage) -> None:
    reply = stage.anchor().ask(AskHead(agent=stage.agent))
    assert isinstance(reply, Head) and stage.head == reply.certified
    assert Head(certified=None) == stage.anchor().ask(AskHead(agent=digest(b"nobody")))
    assert {stage.agent} == set(stage.anchor().dossiers)
