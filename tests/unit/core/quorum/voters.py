"""A committee that can vote: the keys of its anchors, made from fixed seeds."""

from collections.abc import Iterable, Sequence
from functools import cache

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.seals import Kind, Role, Seal, batch, statement
from sojourn.core.quorum.certificates import (
    Certificate,
    LockSummary,
    RoundCertificate,
    RoundVote,
    certify,
)
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote

ZONE = digest(b"zone")
SLOT = Slot(realm="test", group=ZONE, epoch=3, agent=digest(b"agent"), term=2, version=41)
X, Y = digest(b"x"), digest(b"y")


@cache
def pair(name: str) -> KeyPair:
    """Return the key pair of this name."""
    return KeyPair(digest(name.encode()))


class Voters:
    """The anchors of one committee, all of which sign whatever a test asks for."""

    def __init__(self, n: int = 4, f: int = 1, *, zone: bytes = ZONE, epoch: int = 3) -> None:
        self.pairs = [pair(f"anchor {i}") for i in range(n)]
        keys = tuple(each.public for each in self.pairs)
        self.committee = Committee(zone=zone, epoch=epoch, vote_keys=keys, f=f)

    def ballot(
        self,
        anchor: int,
        value: bytes = X,
        *,
        slot: Slot = SLOT,
        round: int = 0,
        phase: Phase = Phase.COMMIT,
        counter: int = 7,
        justification: bytes | None = None,
    ) -> Ballot:
        """Return what an anchor says."""
        return Ballot(
            slot=slot,
            round=round,
            phase=phase,
            value=value,
            anchor=anchor,
            counter=counter + anchor,
            justification=justification,
        )

    def signed(self, ballot: Ballot, *, key: KeyPair | None = None) -> Vote:
        """Return a ballot under the seal of the anchor it names, or of another key."""
        signer = key or self.pairs[ballot.anchor]
        covered = statement(Kind.VOTE, Role.ANCHOR, digest_of(ballot))
        return Vote(ballot=ballot, seal=Seal(signer=signer.public, signature=signer.sign(covered)))

    def vote(
        self, anchor: int, value: bytes = X, *, round: int = 0, phase: Phase = Phase.COMMIT
    ) -> Vote:
        """Return an anchor's vote."""
        return self.signed(self.ballot(anchor, value, round=round, phase=phase))

    def batched(self, ballots: Sequence[Ballot]) -> list[Vote]:
        """Return ballots of one anchor under one signature."""
        signer = self.pairs[ballots[0].anchor]
        statements = [statement(Kind.VOTE, Role.ANCHOR, digest_of(ballot)) for ballot in ballots]
        to_sign, proofs = batch(statements, Role.ANCHOR)
        signature = signer.sign(to_sign)
        return [
            Vote(
                ballot=ballot,
                seal=Seal(signer=signer.public, signature=signature, inclusion=proof),
            )
            for ballot, proof in zip(ballots, proofs, strict=True)
        ]

    def certificate(
        self,
        anchors: Iterable[int],
        value: bytes = X,
        *,
        round: int = 0,
        phase: Phase = Phase.COMMIT,
    ) -> Certificate:
        """Return the certificate of these anchors' votes."""
        votes = [self.vote(anchor, value, round=round, phase=phase) for anchor in anchors]
        return certify(votes, self.committee)

    def round_vote(
        self, anchor: int, lock: LockSummary | None = None, *, round: int = 0, slot: Slot = SLOT
    ) -> RoundVote:
        """Return an anchor's vote to leave a round, with its lock."""
        summary = lock or LockSummary()
        ballot = self.ballot(anchor, digest_of(summary), slot=slot, round=round, phase=Phase.ROUND)
        return RoundVote(vote=self.signed(ballot), summary=summary)

    def round_certificate(
        self, locks: dict[int, LockSummary], *, round: int = 0
    ) -> RoundCertificate:
        """Return the certificate of these anchors' votes to leave a round."""
        votes = tuple(self.round_vote(a, lock, round=round) for a, lock in sorted(locks.items()))
        return RoundCertificate(slot=SLOT, round=round, votes=votes)


def other_slots(slot: Slot = SLOT) -> dict[str, Slot]:
    """Return slots that differ from one in a single field, by the field's name."""
    return {
        "realm": replace(slot, realm="production"),
        "group": replace(slot, group=digest(b"another zone")),
        "epoch": replace(slot, epoch=slot.epoch + 1),
        "agent": replace(slot, agent=digest(b"another agent")),
        "term": replace(slot, term=slot.term + 1),
        "version": replace(slot, version=slot.version + 1),
    }
