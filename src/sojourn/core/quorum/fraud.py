"""Fraud proofs (protocol §11.5): two votes of one key that no honest anchor casts both.

A proof needs nobody's word: the two votes are signed, and so is what the later one says it leaned on. Of the three
kinds those are here that can be proved so:

    (a)  two votes for different values in one slot, round and phase; visa votes are none, since an anchor may
         promise entry on several terms
    (b)  a commit vote for one value, and in a later round a lock vote for another that names no justification, or
         one that is shown to be anything but a lock certificate for it of a round in between

(c), a commit vote for what nobody can show a lock of, takes asking everybody: it is found, not shown.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Ballot, Phase, Vote, check_vote

__all__ = ["Fraud", "fraud_of", "frauds_in"]


class Fraud(Value, tag_field="kind", tag="fraud/1"):
    """Two votes of one anchor, and for (b) the certificate that its lock vote names, if it names one."""

    one: Vote
    other: Vote
    shown: Certificate | None = None

    @property
    def anchor(self) -> int:
        """The index of the anchor that is proved to have lied."""
        return self.one.ballot.anchor

    @property
    def zone(self) -> bytes:
        """The zone whose anchor that is."""
        return self.one.ballot.slot.group

    @property
    def culprit(self) -> bytes:
        """What any proof against this anchor is known by: one is as good as another."""
        return digest(self.zone + self.anchor.to_bytes(8, "big"))

    def check(self, committee: Committee, *, where: str = "fraud") -> None:
        """Raise `Rejected` unless an anchor of `committee` cast both votes, and an honest one never would.

        Checks in order: one slot and one anchor, that the votes are at odds, then signatures.
        """
        one, other = self.one.ballot, self.other.ballot
        if (one.slot, one.anchor) != (other.slot, other.anchor):
            raise Rejected("votes of two slots or anchors", reason="wrong-slot", where=where)
        if not (_is_two_faced(one, other) or self._is_unjustified(committee)):
            raise Rejected("an honest anchor may cast both votes", reason="no-fraud", where=where)
        check_vote(self.one, committee, where=f"{where}.one")
        check_vote(self.other, committee, where=f"{where}.other")

    def _is_unjustified(self, committee: Committee) -> bool:
        """Tell whether one is a commit vote, and the other a later lock vote for another value, for no reason."""
        commit, lock = self.one.ballot, self.other.ballot
        if (commit.phase, lock.phase) != (Phase.COMMIT, Phase.LOCK):
            commit, lock = lock, commit
        if (commit.phase, lock.phase) != (Phase.COMMIT, Phase.LOCK):
            return False
        if commit.value == lock.value or commit.round >= lock.round:
            return False
        if lock.justification is None:
            return True
        if self.shown is None or digest_of(self.shown) != lock.justification:
            return False  # what is named and not shown proves nothing
        return not _explains(self.shown, commit, lock, committee)


def _is_two_faced(one: Ballot, other: Ballot) -> bool:
    same = (one.round, one.phase) == (other.round, other.phase)
    return same and one.phase is not Phase.VISA and one.value != other.value


def _explains(shown: Certificate, commit: Ballot, lock: Ballot, committee: Committee) -> bool:
    """Tell whether a lock vote may lean on a certificate in spite of an earlier commit vote.

    A lock of the very round will do: the anchor heard of it before it heard of the proposal.
    """
    if (shown.slot, shown.value) != (lock.slot, lock.value):
        return False
    if not commit.round < shown.round <= lock.round:
        return False
    try:
        shown.check(Phase.LOCK, committee)
    except Rejected:
        return False
    return True


def frauds_in(certificates: Iterable[Certificate], committee: Committee) -> list[Fraud]:
    """Return a proof against each anchor that is proved to have lied by checked certificates of its zone."""
    known = list({digest_of(each): each for each in certificates}.values())
    named = {digest_of(each): each for each in known}
    cast: dict[int, list[Vote]] = {}
    for certificate in known:
        for part in certificate.votes:
            cast.setdefault(part.anchor, []).append(certificate.vote(part))
    found = []
    for _, votes in sorted(cast.items()):
        proofs = (fraud_of(one, other, named, committee) for one, other in combinations(votes, 2))
        first = next((proof for proof in proofs if proof is not None), None)
        found += [first] if first is not None else []
    return found


def fraud_of(
    one: Vote, other: Vote, named: Mapping[bytes, Certificate], committee: Committee
) -> Fraud | None:
    """Return what two votes prove, with the justification if it is among `named`, by digest; None for nothing."""
    lock = one if one.ballot.phase is Phase.LOCK else other
    fraud = Fraud(one=one, other=other, shown=named.get(lock.ballot.justification or b""))
    try:
        fraud.check(committee)
    except Rejected:
        return None
    return fraud
