"""Leaving a round and leading the next one (protocol §3): what anchors do when a slot is stuck.

An anchor asks all for votes to leave the round. A quorum of them is a certificate that lets everybody enter the
next one, and brings to light every lock that could have decided. The next round's leader proposes the value of
the highest lock it heard of, or else whatever authorised proposal is pending.

One of those who answer may lie. It can show no lock or decision that is none; it can show a lock without its
value, and proposals that nobody would vote for: neither is leant on while there is anything better.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import CLOCK_SKEW_MS
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.dossier import OpenSlot
from sojourn.core.protocol.messages import Head, Nack, Proposal, RoundVoted
from sojourn.core.quorum.certificates import Certificate, RoundCertificate, RoundVote
from sojourn.core.quorum.committee import Committee
from sojourn.core.quorum.votes import Phase, Slot

__all__ = ["Leading", "RoundChange", "ShownLock"]


class ShownLock(NamedTuple):
    """A lock certificate, checked, and the value that it locks."""

    certificate: Certificate
    proposal: Proposal

    @property
    def round(self) -> int:
        """The round in which it was locked."""
        return self.certificate.round


class _Led(NamedTuple):
    """What an anchor proposed in a slot that it led, in which round, and the highest lock it was shown there."""

    slot: Slot
    round: int
    proposal: Proposal
    lock: ShownLock | None


class Leading:
    """What an anchor remembers of the slot of each agent that it led last. Not durable: a restart forgets it.

    A lock that was shown once is never forgotten while its slot is open: a liar that hides it in a later round
    would else have the leader propose another value, and lose that round to it.
    """

    def __init__(self) -> None:
        """Begin having led nothing."""
        self._led: dict[bytes, _Led] = {}

    def note(self, state: OpenSlot, proposal: Proposal) -> None:
        """Remember what is proposed in the current round of a slot."""
        self._led[state.slot.agent] = _Led(
            state.slot, state.round, proposal, lock=self.shown(state.slot)
        )

    def note_lock(self, shown: ShownLock | None) -> None:
        """Remember a lock, checked, of a slot that is led; unless a higher one is known."""
        if shown is None:
            return
        led = self._led_of(shown.certificate.slot)
        if led is not None and (led.lock is None or led.lock.round < shown.round):
            self._led[led.slot.agent] = led._replace(lock=shown)

    def said(self, state: OpenSlot, now_ms: int) -> Proposal | None:
        """Return what was proposed in this round, unless it is so old that nobody may vote for it much longer."""
        led = self._led_of(state.slot)
        if led is None or led.round != state.round:
            return None
        return led.proposal if now_ms - led.proposal.transition.at_ms < CLOCK_SKEW_MS // 2 else None

    def shown(self, slot: Slot) -> ShownLock | None:
        """Return the highest lock that was shown while this slot was led, in whatever round."""
        led = self._led_of(slot)
        return led.lock if led is not None else None

    def forget(self, agent: bytes) -> None:
        """Forget an agent whose slot is decided."""
        self._led.pop(agent, None)

    def _led_of(self, slot: Slot) -> _Led | None:
        led = self._led.get(slot.agent)
        return led if led is not None and led.slot == slot else None


class RoundChange:
    """What has been heard while asking for round `round` of a slot to be left."""

    def __init__(self, slot: Slot, round: int, committee: Committee) -> None:
        """Start having heard nothing."""
        self._slot, self._round, self._committee = slot, round, committee
        self._votes: dict[int, RoundVote] = {}
        self._own: list[Proposal] = []
        self._pending: dict[int, Proposal] = {}
        self._values: dict[bytes, Proposal] = {}
        self._locks: dict[bytes, Certificate] = {}
        self.decided: Certified | None = None
        self.round_seen = round

    def heard(self, anchor: int, reply: object) -> None:
        """Take in one anchor's reply. Raises `Rejected` if it cannot be what it claims."""
        match reply:
            case RoundVoted():
                self._heard_vote(anchor, reply)
                self._heard_lock(anchor, reply.lock, reply.proposal)
            case Nack():
                self.round_seen = max(self.round_seen, reply.round)
                self._heard_lock(anchor, reply.lock, reply.proposal)
            case Head():
                self._heard_head(reply)

    def _heard_vote(self, anchor: int, reply: RoundVoted) -> None:
        ballot = reply.vote.vote.ballot
        if (ballot.slot, ballot.round, ballot.anchor) != (self._slot, self._round, anchor):
            return
        reply.vote.check(self._committee)
        self._votes[anchor] = reply.vote

    def _heard_lock(self, anchor: int, lock: Certificate | None, proposal: Proposal | None) -> None:
        if lock is None:
            if proposal is not None:
                self._pending[anchor] = proposal
            return
        if lock.slot != self._slot:
            return
        lock.check(Phase.LOCK, self._committee)
        if proposal is not None and proposal.transition.digest == lock.value:
            self._values.setdefault(lock.value, proposal)
        self._add_lock(lock)

    def _add_lock(self, lock: Certificate) -> None:
        known = self._locks.get(lock.value)
        if known is None or lock.round > known.round:
            self._locks[lock.value] = lock

    def _heard_head(self, reply: Head) -> None:
        for known in (reply.certified, reply.refusal):
            if known is not None and self._settles(known):
                known.certificate.check(Phase.COMMIT, self._committee)
                self.decided = known

    def _settles(self, known: Certified) -> bool:
        """Tell whether this is of the same agent, in this slot or a later one."""
        slot = known.certificate.slot
        if (slot.group, slot.agent) != (self._slot.group, self._slot.agent):
            return False
        is_late = (slot.term, slot.version) < (self._slot.term, self._slot.version)
        return not is_late and known.certificate.value == known.transition.digest

    def remember(self, proposals: Iterable[Proposal]) -> None:
        """Add proposals that this anchor itself has judged or is locked on."""
        for proposal in proposals:
            self._own.append(proposal)
            self._values[proposal.transition.digest] = proposal

    def recall(self, shown: ShownLock | None) -> None:
        """Add a lock that was shown before: whoever showed it may not be heard this time, or may hide it."""
        if shown is not None:
            self._values[shown.certificate.value] = shown.proposal
            self._add_lock(shown.certificate)

    @property
    def votes(self) -> tuple[RoundVote, ...]:
        """The checked votes to leave the round: f+1 of them open the slot where it is not open yet."""
        return tuple(vote for _, vote in sorted(self._votes.items()))

    @property
    def locks(self) -> tuple[Certificate, ...]:
        """The checked locks that were shown: of each value the highest."""
        return tuple(self._locks.values())

    @property
    def certificate(self) -> RoundCertificate | None:
        """The certificate that the round was left, once a quorum voted for it."""
        if len(self._votes) < self._committee.quorum:
            return None
        return RoundCertificate(slot=self._slot, round=self._round, votes=self.votes)

    @property
    def lock(self) -> Certificate | None:
        """The highest lock of a value that is known.

        One that is shown without its value counts for nothing: a correct anchor that is locked holds the value,
        and if it was not heard, it says so to whoever proposes another (protocol §3 rule 4).
        """
        locks = [lock for value, lock in self._locks.items() if value in self._values]
        return max(locks, key=lambda lock: lock.round, default=None)

    @property
    def shown(self) -> ShownLock | None:
        """The highest lock of a value that is known, with the value."""
        lock = self.lock
        return ShownLock(lock, self._values[lock.value]) if lock is not None else None

    def choice(self, said: Proposal | None = None) -> Proposal:
        """Return what a leader proposes: the highest lock's value, or else the newest pending proposal.

        `said` is what it proposed in this round before: it says that again unless a lock shows. Those who refused
        for now may vote for it by and by; another value would split them from those who voted already. Proposals
        that the leader has judged itself go before those it was shown; of the latter, those that more anchors show.
        Raises `Rejected` ("unknown-value") if nothing is pending.
        """
        if self.lock is not None:
            return self._values[self.lock.value]
        if said is not None:
            return said
        if self._own:
            return max(self._own, key=_age)
        if not self._pending:
            raise Rejected("no proposal is pending", reason="unknown-value", where="slot")
        shown = Counter(proposal.transition.digest for proposal in self._pending.values())
        return max(self._pending.values(), key=lambda p: (shown[p.transition.digest], *_age(p)))


def _age(proposal: Proposal) -> tuple[int, bytes]:
    """Sort by time, the newest last: what is old may be too old for those who have not judged it."""
    return proposal.transition.at_ms, proposal.transition.digest
