"""Driving a slot: the good path, lying and silent anchors, and every order of replies."""

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.messages import (
    Applied,
    Declined,
    Evidence,
    Head,
    Nack,
    Need,
    Proposal,
    Propose,
    Reply,
    Request,
    ShowCommit,
    ShowLock,
    Voted,
)
from sojourn.core.protocol.proposer import Progress, Proposer, Send, Upload
from sojourn.core.protocol.rounds import ShownLock
from sojourn.core.quorum.votes import Phase
from tests.rulings import PureZone, driven
from tests.samples import found
from tests.unit.core.protocol.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def proposer_of(stage: Stage, proposal: Proposal | None = None, **more: Any) -> Proposer:
    settings: dict[str, Any] = {"parent": stage.head} | more
    return Proposer(proposal or stage.x, stage.slot, stage.zone.manifest, **settings)


def check_won(stage: Stage, proposer: Proposer, proposal: Proposal | None = None) -> None:
    """Check that the proposer's decision proves itself and says what was proposed."""
    wanted = proposal or stage.x
    assert Progress.WON is proposer.progress, proposer.describe()
    assert proposer.decided is not None and wanted.transition == proposer.decided.transition
    proposer.decided.check(stage.world.known.manifests)


# The good path


@pytest.mark.parametrize("n", [1, 3, 4, 7, 10])
def test_section_3_the_good_path(n: int) -> None:
    stage = Stage(n)
    proposer = driven(stage.zone, proposer_of(stage))
    check_won(stage, proposer)
    assert all(a.dossier(stage.agent).head == proposer.decided for a in stage.zone.anchors)


def test_section_12_a_step_costs_each_anchor_three_messages(stage: Stage) -> None:
    sent: list[type] = []
    proposer = proposer_of(stage)
    todo = deque(proposer.start())
    while todo:
        step = todo.popleft()
        assert isinstance(step, Send)
        sent.append(type(step.request))
        todo += proposer.heard(step.anchor, stage.anchor(step.anchor).ask(step.request))
    assert [(Propose, 4), (ShowLock, 4), (ShowCommit, 4)] == [
        (kind, sent.count(kind)) for kind in (Propose, ShowLock, ShowCommit)
    ]


@pytest.mark.parametrize("down", range(4))
def test_section_0_any_one_anchor_of_four_may_be_down(stage: Stage, down: int) -> None:
    proposer = proposer_of(stage)
    driven(stage.zone, proposer, only={0, 1, 2, 3} - {down})
    check_won(stage, proposer)


def test_with_two_of_four_down_it_stalls_and_says_why_and_can_be_asked_again(
    stage: Stage,
) -> None:
    stalled = driven(stage.zone, proposer_of(stage), only=(0, 1))
    assert Progress.STALLED is stalled.progress
    assert "anchor 2 does not answer; anchor 3 does not answer" in stalled.describe()
    check_won(stage, driven(stage.zone, proposer_of(stage), only=(0, 1, 2)))


def test_what_is_declined_is_told(stage: Stage) -> None:
    stage.world.clock.wall_ms += 60_000
    stalled = driven(stage.zone, proposer_of(stage))
    assert Progress.STALLED is stalled.progress
    assert {"untimely"} == {declined.reason for declined in stalled.declined.values()}
    assert "anchor 0: its time is -60000 ms from this anchor's clock" in stalled.describe()


def test_trap_2_a_split_vote_stalls_both_and_names_no_winner(stage: Stage) -> None:
    stage.opened(0, 1)
    stage.opened(2, 3, proposal=stage.y)
    for proposal in (stage.x, stage.y):
        proposer = driven(stage.zone, proposer_of(stage, proposal))
        assert (Progress.STALLED, None) == (proposer.progress, proposer.decided)


# Anchors that lack something


def test_an_anchor_that_lacks_the_parent_is_given_it(stage: Stage) -> None:
    stage.anchor(3).dossiers.clear()
    check_won(stage, driven(stage.zone, proposer_of(stage), only=(1, 2, 3)))
    assert stage.x.transition.record == head_of(stage.zone, 3, stage.agent)


def head_of(zone: PureZone, index: int, agent: bytes) -> Any:
    head = zone.anchors[index].dossier(agent).head
    return head.record if head else None


def test_trap_23_an_anchor_that_lacks_blocks_is_given_them(stage: Stage) -> None:
    journal = stage.x.transition.record.memory.journal
    for anchor in stage.zone.anchors[:3]:
        anchor.blocks.discard(journal)
    asked = stage.anchor(0).ask(Propose(slot=stage.slot, round=0, proposal=stage.x))
    assert Need(what="blocks", digests=(journal,)) == asked
    check_won(stage, driven(stage.zone, proposer_of(stage)))
    assert all(journal in anchor.blocks for anchor in stage.zone.anchors)


def test_an_anchor_that_did_not_vote_is_shown_the_value_with_the_lock(stage: Stage) -> None:
    stage.opened(3, proposal=stage.y)
    check_won(stage, driven(stage.zone, proposer_of(stage), only=(0, 1, 2, 3)))
    assert stage.x.transition.record == head_of(stage.zone, 3, stage.agent)


@pytest.mark.parametrize("what", ["blocks", "parent", "visa", "proposal", "money"])
def test_an_anchor_that_always_lacks_something_counts_as_unable(stage: Stage, what: str) -> None:
    def wants_more(request: Request, reply: Reply) -> Reply:
        return Need(what=what, digests=(stage.head.record.capabilities.code,))

    stage.zone.liars[0] = wants_more
    check_won(stage, driven(stage.zone, proposer_of(stage)))
    stage.zone.liars[1] = wants_more
    again = Stage()
    again.zone.liars = stage.zone.liars
    assert Progress.STALLED is driven(again.zone, proposer_of(again)).progress


def test_an_anchor_gets_no_block_that_is_to_stay_elsewhere(stage: Stage) -> None:
    """A liar at the target may ask for the root of a compartment whose residency keeps it at home."""
    secret = digest(b"stays at home")
    proposer = proposer_of(stage)
    proposer.start()
    for digests in ((secret,), (stage.head.record.capabilities.code, secret)):
        steps = proposer.heard(0, Need(what="blocks", digests=digests))
        assert not any(isinstance(step, Upload) for step in steps)


# Anchors that lie


def lies(stage: Stage) -> dict[str, Any]:
    """Return replies of anchor 3, each false in its own way."""
    thief, slot, x = found("thief"), stage.slot, stage.x.transition.digest
    zone = stage.zone.sample

    def vote(**changes: Any) -> Voted:
        phase = changes.pop("phase", Phase.LOCK)
        anchor = changes.pop("by", 3)
        made = zone.certificate(slot, x, phase=phase, anchors=(0, 1, 2, 3)).votes[anchor]
        ballot = zone.certificate(slot, x, phase=phase, anchors=(0, 1, 2, 3)).vote(made).ballot
        return Voted(vote=zone.vote(replace(ballot, **changes)))

    twin = stage.world.launch(
        stage.zone,
        capabilities=replace(stage.head.record.capabilities, entry="other:Agent"),
    )
    for _ in range(3):
        twin = stage.world.step(stage.zone, twin)
    forged = replace(zone.certified(stage.y.transition), certificate=thief.certificate(slot, x))
    locked = zone.certificate(slot, stage.y.transition.digest, phase=Phase.LOCK)
    return {
        "a vote for another value": vote(value=digest(b"y")),
        "a vote in another round": vote(round=1),
        "a vote in another slot": vote(slot=replace(slot, version=9)),
        "a vote in another epoch": vote(slot=replace(slot, epoch=9)),
        "another anchor's vote": vote(by=2),
        "a visa vote": vote(phase=Phase.VISA),
        "a commit vote at once": vote(phase=Phase.COMMIT),
        "an unsigned vote": Voted(vote=replace(vote().vote, seal=vote(by=2).vote.seal)),
        "a head that is forged": Head(certified=forged),
        "a head of another agent": Head(certified=twin),
        "a head that is older": Head(certified=stage.head),
        "no head": Head(certified=None),
        "a lock for another value": Nack(round=9, lock=locked, proposal=stage.y),
        "a lock that is forged": Nack(round=0, lock=replace(locked, votes=locked.votes[:1])),
        "applied": Applied(),
        "declined": Declined(reason="rejected", problem="no", for_now=False),
        "needs a proposal": Need(what="proposal"),
    }


LIES = sorted(lies(Stage()))


@pytest.mark.parametrize("lie", LIES)
def test_section_0_one_liar_of_four_changes_no_outcome(stage: Stage, lie: str) -> None:
    told = lies(stage)[lie]
    stage.zone.liars[3] = lambda request, reply: told
    proposer = driven(stage.zone, proposer_of(stage))
    check_won(stage, proposer)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_alone_never_wins_and_never_overtakes(stage: Stage, lie: str) -> None:
    told = lies(stage)[lie]
    proposer = proposer_of(stage)
    proposer.start()
    for _ in range(9):
        try:
            proposer.heard(3, told)
        except Rejected:
            proposer.silent(3)
    assert proposer.progress is Progress.LOCKING and proposer.decided is None


def test_trap_10_a_liar_that_votes_for_all_is_heard_once(stage: Stage) -> None:
    proposer = proposer_of(stage)
    proposer.start()
    vote = stage.anchor(0).ask(Propose(slot=stage.slot, round=0, proposal=stage.x))
    for anchor in range(4):
        try:
            proposer.heard(anchor, vote)
        except Rejected:
            proposer.silent(anchor)
    assert Progress.STALLED is proposer.progress


def test_an_anchor_that_votes_to_lock_for_ever_is_not_answered_for_ever(stage: Stage) -> None:
    """It would keep the driver busy for as long as the others are slow."""
    proposer = proposer_of(stage)
    ask = Propose(slot=stage.slot, round=0, proposal=stage.x)
    for anchor in range(4):
        reply = stage.anchor(anchor).ask(ask)
        assert isinstance(reply, Voted)
        proposer.heard(anchor, reply)
    answered = [list(proposer.heard(3, stage.anchor(3).ask(ask))) for _ in range(5)]
    assert [[]] * 5 == answered


@pytest.mark.parametrize(
    ("for_now", "never", "silent", "may_pass"),
    [
        (2, 0, 0, True),
        (4, 0, 0, True),
        (1, 1, 0, True),
        (1, 0, 1, True),
        (1, 1, 1, False),
        (0, 2, 0, False),
    ],
)
def test_a_stalled_proposal_is_worth_another_try_if_a_quorum_may_come_of_it(
    stage: Stage, for_now: int, never: int, silent: int, may_pass: bool
) -> None:
    proposer = proposer_of(stage)
    proposer.start()
    declines = [Declined(reason="refused", problem="", for_now=True)] * for_now
    declines += [Declined(reason="denied", problem="", for_now=False)] * never
    for anchor, declined in enumerate(declines):
        proposer.heard(anchor, declined)
    for anchor in range(len(declines), len(declines) + silent):
        proposer.silent(anchor)
    assert may_pass is proposer.may_pass


def test_a_highest_lock_is_remembered_for_whoever_goes_on(stage: Stage) -> None:
    lock = stage.locked(0, stage.y)
    proposer = driven(stage.zone, proposer_of(stage), only=(0, 1, 2))
    assert Progress.STALLED is proposer.progress
    assert ShownLock(lock, stage.y) == proposer.shown


# Decided by others


def test_a_decision_of_ours_by_others_is_ours(stage: Stage) -> None:
    done = stage.world.decide(stage.zone, stage.x, stage.head)
    proposer = driven(stage.zone, proposer_of(stage))
    assert (Progress.WON, done) == (proposer.progress, proposer.decided)


def test_another_decision_or_a_later_one_overtakes(stage: Stage) -> None:
    done = stage.world.decide(stage.zone, stage.x, stage.head)
    later = stage.world.step(stage.zone, done)
    proposer = driven(stage.zone, proposer_of(stage, stage.y))
    assert (Progress.OVERTAKEN, later) == (proposer.progress, proposer.decided)


def test_an_anchor_that_lacks_the_value_of_a_decision_is_given_it(stage: Stage) -> None:
    proposer = driven(stage.zone, proposer_of(stage), only=(0, 1, 2))
    assert proposer.decided is not None
    (step,) = proposer.heard(3, Need(what="proposal"))
    assert isinstance(step, Send) and isinstance(step.request, ShowCommit)
    assert Applied() == stage.anchor(3).ask(step.request)


# Every order


class Mail:
    """Messages under way between a proposer and its anchors, delivered as a test draws them."""

    def __init__(self, stage: Stage, proposer: Proposer) -> None:
        self.stage, self.proposer = stage, proposer
        self.requests: list[Send] = []
        self.replies: list[tuple[int, Reply]] = []
        self.send(proposer.start())

    def send(self, steps: Any) -> None:
        self.requests += [step for step in steps if isinstance(step, Send)]

    def deliver(self, choice: int, *, twice: bool) -> None:
        """Deliver one message of those under way, and leave it under way if it comes twice."""
        index = choice % (len(self.requests) + len(self.replies))
        if index < len(self.requests):
            step = self.requests[index] if twice else self.requests.pop(index)
            self.replies.append((step.anchor, self.stage.anchor(step.anchor).ask(step.request)))
            return
        index -= len(self.requests)
        anchor, reply = self.replies[index] if twice else self.replies.pop(index)
        try:
            self.send(self.proposer.heard(anchor, reply))
        except Rejected:
            self.proposer.silent(anchor)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_section_5_any_order_and_any_repetition_comes_to_the_same_decision(
    data: st.DataObject,
) -> None:
    stage = Stage()
    proposer = proposer_of(stage)
    mail = Mail(stage, proposer)
    for _ in range(200):
        if not mail.requests and not mail.replies:
            break
        twice = data.draw(st.integers(0, 9)) == 0
        mail.deliver(data.draw(st.integers(0, 99)), twice=twice)
    while mail.requests or mail.replies:
        mail.deliver(0, twice=False)
    check_won(stage, proposer)
    heads = {head_of(stage.zone, i, stage.agent) is not None for i in range(4)}
    assert {True} == heads


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_section_0_two_proposers_in_any_order_never_both_win(data: st.DataObject) -> None:
    stage = Stage()
    proposers = [proposer_of(stage, proposal) for proposal in (stage.x, stage.y)]
    mails = [Mail(stage, proposer) for proposer in proposers]
    for _ in range(300):
        busy = [mail for mail in mails if mail.requests or mail.replies]
        if not busy:
            break
        mail = busy[data.draw(st.integers(0, 1)) % len(busy)]
        mail.deliver(data.draw(st.integers(0, 99)), twice=data.draw(st.booleans()))
    decided = {p.decided.certificate.value for p in proposers if p.decided is not None}
    assert len(decided) <= 1


def test_trap_9_evidence_and_seals_are_no_part_of_the_value(stage: Stage) -> None:
    bare = replace(stage.x, seals=(), evidence=Evidence())
    assert bare.transition.digest == stage.x.transition.digest


# What was given in vain


def test_section_11_votes_that_were_given_in_vain_are_to_be_shown(stage: Stage) -> None:
    stage.opened(0, 1)
    stage.opened(2, 3, proposal=stage.y)
    proposer = driven(stage.zone, proposer_of(stage))
    assert Progress.STALLED is proposer.progress
    assert [0, 1] == [vote.ballot.anchor for vote in proposer.in_vain]
    assert {stage.x.transition.digest} == {vote.ballot.value for vote in proposer.in_vain}


def test_section_11_so_is_a_vote_for_what_was_not_proposed(stage: Stage) -> None:
    stage.opened(1, proposal=stage.y)
    odd = lies(stage)["a vote for another value"]
    stage.zone.liars[3] = lambda request, reply: odd
    proposer = driven(stage.zone, proposer_of(stage))
    assert odd.vote in proposer.in_vain


def test_section_11_where_nobody_contends_nobody_is_shown_anything(stage: Stage) -> None:
    assert () == driven(stage.zone, proposer_of(stage), only=(0, 1)).in_vain, "too few answer"
    assert () == driven(stage.zone, proposer_of(stage)).in_vain, "it has won"
