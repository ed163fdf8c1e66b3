"""A witness: who voted for what in one zone, and whom that proves to have lied, as it comes out (protocol §11.7).

Who says one thing to one and another to another is convicted by whoever hears of both. An anchor hears much: what
is shown to it with locks and decisions, what it is told when it leads, and the votes that proposers were given in
vain. It remembers what is checked of the newest slots, and compares all that it is shown with that.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.limits import WITNESSED_CERTIFICATES_MAX, WITNESSED_SLOTS_MAX
from sojourn.core.quorum.certificates import Certificate
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.fraud import Fraud, fraud_of
from sojourn.core.quorum.votes import Slot, Vote

__all__ = ["Witness"]


@dataclass(slots=True)
class _Seen:
    """What was seen of one slot: certificates, and single votes by anchor, the oldest first."""

    certificates: list[Certificate] = field(default_factory=list)
    votes: dict[int, list[Vote]] = field(default_factory=dict)

    def add(self, certificate: Certificate) -> None:
        if len(self.certificates) < WITNESSED_CERTIFICATES_MAX and not self._has(certificate):
            self.certificates.append(certificate)

    def _has(self, certificate: Certificate) -> bool:
        said = _said(certificate)
        return any(_said(known) == said for known in self.certificates)

    def add_vote(self, vote: Vote) -> None:
        mine = self.votes.setdefault(vote.ballot.anchor, [])
        if len(mine) < WITNESSED_CERTIFICATES_MAX and vote not in mine:
            mine.append(vote)

    def other_than(self, value: bytes, anchor: int) -> Iterable[Vote]:
        """Yield the votes of an anchor for other values."""
        for certificate in self.certificates:
            if certificate.value != value:
                mine = (part for part in certificate.votes if part.anchor == anchor)
                yield from map(certificate.vote, mine)
        yield from (v for v in self.votes.get(anchor, ()) if v.ballot.value != value)


class Witness:
    """The votes of one committee that are remembered. Not durable: what it finds is."""

    def __init__(self, committee: Committee, slots_max: int = WITNESSED_SLOTS_MAX) -> None:
        """Begin having seen nothing; remember at most so many slots, the newest."""
        self._committee, self._slots_max = committee, slots_max
        self._slots: OrderedDict[Slot, _Seen] = OrderedDict()
        self._convicted: set[int] = set()

    def has_seen(self, slot: Slot) -> bool:
        """Tell whether something of a slot is remembered."""
        return slot in self._slots

    def take(
        self, certificates: Iterable[Certificate] = (), votes: Iterable[Vote] = ()
    ) -> list[Fraud]:
        """Remember what is checked; return a proof against each anchor that is convicted by it first."""
        found: list[Fraud] = []
        for certificate in filter(self._is_ours, certificates):
            found += self.compare([certificate])
            self._of(certificate.slot).add(certificate)
        for vote in votes:
            if self._is_slot_ours(vote.ballot.slot):
                found += self.compare(votes=[vote])
                self._of(vote.ballot.slot).add_vote(vote)
        return found

    def compare(
        self, certificates: Iterable[Certificate] = (), votes: Iterable[Vote] = ()
    ) -> list[Fraud]:
        """Return what is proved by this and by what is remembered; nothing is remembered of it.

        It need not be checked: a proof is, whole.
        """
        found: list[Fraud] = []
        for certificate in certificates:
            seen = self._slots.get(certificate.slot)
            if seen is not None and _differs(seen, certificate.value):
                shown = [*seen.certificates, certificate]
                said = [certificate.vote(part) for part in certificate.votes]
                found += self._convicting(said, seen, shown)
        for vote in votes:
            seen = self._slots.get(vote.ballot.slot)
            if seen is not None:
                found += self._convicting([vote], seen, seen.certificates)
        return found

    def _convicting(
        self, said: Iterable[Vote], seen: _Seen, shown: Iterable[Certificate]
    ) -> list[Fraud]:
        """Return a proof against each anchor that is convicted by one of these votes first."""
        named = {digest_of(certificate): certificate for certificate in shown}
        found = []
        for vote in said:
            anchor = vote.ballot.anchor
            for other in seen.other_than(vote.ballot.value, anchor):
                if anchor in self._convicted:
                    break
                fraud = fraud_of(other, vote, named, self._committee)
                if fraud is not None:
                    self._convicted.add(anchor)
                    found.append(fraud)
        return found

    def _is_ours(self, certificate: Certificate) -> bool:
        return self._is_slot_ours(certificate.slot)

    def _is_slot_ours(self, slot: Slot) -> bool:
        return (slot.group, slot.epoch) == (self._committee.zone, self._committee.epoch)

    def _of(self, slot: Slot) -> _Seen:
        """Return what is remembered of a slot, which is the newest now."""
        seen = self._slots.setdefault(slot, _Seen())
        self._slots.move_to_end(slot)
        if len(self._slots) > self._slots_max:
            self._slots.popitem(last=False)
        return seen


def _said(certificate: Certificate) -> tuple[object, ...]:
    return (certificate.round, certificate.phase, certificate.value, certificate.signers())


def _differs(seen: _Seen, value: bytes) -> bool:
    """Tell whether anything that was seen is for another value: mostly nothing is."""
    values = {certificate.value for certificate in seen.certificates}
    return bool(seen.votes) or values not in (set(), {value})
