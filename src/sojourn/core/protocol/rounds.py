"""Leaving a round and leading the next one (protocol §3): what anchors do when a slot is stuck.

An anchor asks all for votes to leave the round. A quorum of them is a certificate that lets everybody enter the
next one, and brings to light every lock that could have decided. The next round's leader proposes the value of
the highest lock it heard of, or else whatever authorised proposal is pending.
"""

from collections.abc import Iterable

from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Head, Nack, Proposal, RoundVoted
from sojourn.core.quorum.certificates import Certificate, RoundCertificate, RoundVote
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Phase, Slot

__all__ = ["RoundChange"]


class RoundChange:
    """What has been heard while asking for round `round` of a slot to be left."""

    def __init__(self, slot: Slot, round: int, committee: Committee) -> None:
        """Start having heard nothing."""
        self._slot, self._round, self._committee = slot, round, committee
        self._votes: dict[int, RoundVote] = {}
        self._pending: list[Proposal] = []
        self._locked: dict[bytes, Proposal] = {}
        self.lock: Certificate | None = None
        self.decided: Certified | None = None
        self.round_seen = round

    def heard(self, anchor: int, reply: object) -> None:
        """Take in one anchor's reply. Raises `Rejected` if it cannot be what it claims."""
        match reply:
            case RoundVoted():
                self._heard_vote(anchor, reply)
                self._heard_lock(reply.lock, reply.proposal)
            case Nack():
                self.round_seen = max(self.round_seen, reply.round)
                self._heard_lock(reply.lock, reply.proposal)
            case Head():
                self._heard_head(reply)

    def _heard_vote(self, anchor: int, reply: RoundVoted) -> None:
        ballot = reply.vote.vote.ballot
        if (ballot.slot, ballot.round, ballot.anchor) != (self._slot, self._round, anchor):
            return
        reply.vote.check(self._committee)
        self._votes[anchor] = reply.vote

    def _heard_lock(self, lock: Certificate | None, proposal: Proposal | None) -> None:
        if proposal is not None and lock is None:
            self._pending.append(proposal)
        if lock is None or lock.slot != self._slot or lock.phase is not Phase.LOCK:
            return
        lock.check(Phase.LOCK, self._committee)
        if proposal is not None and proposal.transition.digest == lock.value:
            self._locked[lock.value] = proposal
        if self.lock is None or lock.round > self.lock.round:
            self.lock = lock

    def _heard_head(self, reply: Head) -> None:
        for known in (reply.certified, reply.refusal):
            if known is not None and known.certificate.slot == self._slot:
                self.decided = known

    def remember(self, proposals: Iterable[Proposal]) -> None:
        """Add proposals that this anchor itself has stored."""
        for proposal in proposals:
            self._pending.append(proposal)
            self._locked.setdefault(proposal.transition.digest, proposal)

    @property
    def certificate(self) -> RoundCertificate | None:
        """The certificate that the round was left, once a quorum voted for it."""
        if len(self._votes) < self._committee.quorum:
            return None
        votes = tuple(vote for _, vote in sorted(self._votes.items()))
        return RoundCertificate(slot=self._slot, round=self._round, votes=votes)

    def choice(self) -> Proposal:
        """Return what a leader proposes: the highest lock's value, or else the newest pending proposal.

        Raises `Rejected` ("unknown-value") if a lock is known but not the proposal behind it, or nothing is.
        """
        if self.lock is not None:
            locked = self._locked.get(self.lock.value)
            if locked is None:
                problem = "the locked value is not known to any anchor that answered"
                raise Rejected(problem, reason="unknown-value", where="lock")
            return locked
        if not self._pending:
            raise Rejected("no proposal is pending", reason="unknown-value", where="slot")
        return max(self._pending, key=lambda p: (p.transition.at_ms, p.transition.digest))
