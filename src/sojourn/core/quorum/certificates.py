"""Certificates: at least q = n - f distinct anchors, all for the same slot, round, phase and value.

A commit certificate is the only zone finality. A lock certificate is not one (protocol §3, trap 1).
Certificates are evidence, never content: nothing is hashed over them (trap 9).
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from sojourn.core.base.encoding import Count, Digest, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX
from sojourn.core.base.seals import Seal
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote, check_vote

__all__ = ["Certificate", "Endorsed", "LockSummary", "RoundCertificate", "RoundVote", "certify"]


class Endorsed(Value):
    """One anchor's part of a certificate: what its ballot said beyond the shared fields, and its seal."""

    anchor: Count
    counter: Count
    seal: Seal
    justification: Digest | None = None


class Certificate(Value, tag_field="kind", tag="certificate/1"):
    """A quorum's votes for one value in one slot, round and phase."""

    slot: Slot
    round: Count
    phase: Phase
    value: Digest
    votes: Annotated[tuple[Endorsed, ...], Meta(max_length=ANCHORS_MAX)]

    def vote(self, part: Endorsed) -> Vote:
        """Return one part as the vote it came from."""
        ballot = Ballot(
            slot=self.slot,
            round=self.round,
            phase=self.phase,
            value=self.value,
            justification=part.justification,
            anchor=part.anchor,
            counter=part.counter,
        )
        return Vote(ballot=ballot, seal=part.seal)

    def check(self, phase: Phase, committee: Committee, *, where: str = "certificate") -> None:
        """Raise `Rejected` unless a quorum of distinct anchors of `committee` signed this, in `phase`.

        A caller says which phase it needs: a lock certificate must never pass for a commit (trap 1).

        The committee comes from what the caller already trusts, never from the certificate's own
        attachments (trap 13). Checks in order: phase, zone, epoch, distinct anchors, count, then signatures.
        """
        if self.phase is not phase:
            problem = f"a {self.phase} certificate where a {phase} certificate is needed"
            raise Rejected(problem, reason="wrong-phase", where=where)
        if self.slot.group != committee.zone:
            raise Rejected("the certificate is of another zone", reason="wrong-zone", where=where)
        if self.slot.epoch != committee.epoch:
            problem = (
                f"certificate of epoch {self.slot.epoch}, committee of epoch {committee.epoch}"
            )
            raise Rejected(problem, reason="wrong-epoch", where=where)
        anchors = [part.anchor for part in self.votes]
        if anchors != sorted(set(anchors)):
            problem = "anchors are repeated or out of order"
            raise Rejected(problem, reason="duplicate-signer", where=where)
        if len(anchors) < committee.quorum:
            problem = (
                f"{len(anchors)} anchors signed; {committee.quorum} of {committee.n} are needed"
            )
            raise Rejected(problem, reason="no-quorum", where=where)
        if anchors[-1] >= committee.n:
            problem = f"there is no anchor {anchors[-1]} among {committee.n}"
            raise Rejected(problem, reason="unknown-anchor", where=where)
        for index, part in enumerate(self.votes):
            check_vote(self.vote(part), committee, where=f"{where}.votes[{index}]")

    def signers(self) -> tuple[int, ...]:
        """Return the anchors that signed."""
        return tuple(part.anchor for part in self.votes)


def certify(votes: Sequence[Vote], committee: Committee) -> Certificate:
    """Return the certificate that checked, equal-valued votes of distinct anchors make."""
    first = votes[0].ballot
    assert len({vote.ballot.anchor for vote in votes}) == len(votes) >= committee.quorum
    assert all(
        (v.ballot.slot, v.ballot.round, v.ballot.phase, v.ballot.value)
        == (first.slot, first.round, first.phase, first.value)
        for v in votes
    )
    parts = tuple(
        Endorsed(
            anchor=vote.ballot.anchor,
            counter=vote.ballot.counter,
            justification=vote.ballot.justification,
            seal=vote.seal,
        )
        for vote in sorted(votes, key=lambda v: v.ballot.anchor)
    )
    return Certificate(
        slot=first.slot, round=first.round, phase=first.phase, value=first.value, votes=parts
    )


class LockSummary(Value, tag_field="kind", tag="lock-summary/1"):
    """What an anchor is locked on when it asks to leave a round: a round and value, or nothing."""

    round: Count | None = None
    value: Digest | None = None


class RoundVote(Value):
    """A vote to leave a round, with the lock it carries; the ballot's value is the summary's digest."""

    vote: Vote
    summary: LockSummary

    def check(self, committee: Committee, *, where: str = "round-vote") -> None:
        """Raise `Rejected` unless signed, of phase ROUND, and the summary is the one signed over."""
        if self.vote.ballot.phase is not Phase.ROUND:
            raise Rejected("not a round vote", reason="wrong-phase", where=where)
        lock_round = self.summary.round
        if (lock_round is None) != (self.summary.value is None):
            raise Rejected("half a lock summary", reason="bad-summary", where=where)
        if lock_round is not None and lock_round > self.vote.ballot.round:
            raise Rejected("a lock from a round to come", reason="bad-summary", where=where)
        if self.vote.ballot.value != digest_of(self.summary):
            raise Rejected(
                "the lock summary is not the one signed", reason="bad-summary", where=where
            )
        check_vote(self.vote, committee, where=where)


class RoundCertificate(Value, tag_field="kind", tag="round-certificate/1"):
    """At least q anchors want to leave `round` of a slot; their locks may differ (protocol §2)."""

    slot: Slot
    round: Count
    votes: Annotated[tuple[RoundVote, ...], Meta(max_length=ANCHORS_MAX)]

    def check(self, committee: Committee, *, where: str = "round-certificate") -> None:
        """Raise `Rejected` unless a quorum of distinct anchors signed for this slot and round."""
        ballots = [item.vote.ballot for item in self.votes]
        if any((b.slot, b.round) != (self.slot, self.round) for b in ballots):
            raise Rejected("a vote of another slot or round", reason="wrong-slot", where=where)
        anchors = [ballot.anchor for ballot in ballots]
        if anchors != sorted(set(anchors)):
            raise Rejected(
                "anchors repeated or out of order", reason="duplicate-signer", where=where
            )
        if len(anchors) < committee.quorum:
            problem = (
                f"{len(anchors)} anchors signed; {committee.quorum} of {committee.n} are needed"
            )
            raise Rejected(problem, reason="no-quorum", where=where)
        for index, item in enumerate(self.votes):
            item.check(committee, where=f"{where}.votes[{index}]")
