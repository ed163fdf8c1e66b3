"""Slots, ballots, votes and tallies.

A slot is one decision: one version of one agent, in one term, in one epoch of one zone. A vote is counted
for exactly one slot, round, phase and value; nothing is ever added up across them (traps 3 and 12).
"""

from collections.abc import Iterable
from enum import StrEnum

from sojourn.core.base.encoding import Count, Digest, Name, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.base.seals import Kind, Role, Seal, check_seal
from sojourn.core.quorum.committee import Committee

__all__ = ["Ballot", "Outcome", "Phase", "Slot", "SlotKind", "Tally", "Vote", "check_vote"]


class SlotKind(StrEnum):
    """What is decided in a slot."""

    VERSION = "version"


class Phase(StrEnum):
    """A step of the engine (protocol §3), or a visa (§5)."""

    LOCK = "lock"
    COMMIT = "commit"
    ROUND = "round"
    VISA = "visa"


class Slot(Value):
    """What is decided at once (protocol §2)."""

    realm: Name
    group: Digest
    epoch: Count
    agent: Digest
    term: Count
    version: Count
    kind: SlotKind = SlotKind.VERSION

    def describe(self) -> str:
        """Return the slot as people say it."""
        return f"version {self.version} in term {self.term}"


class Ballot(Value, tag_field="form", tag="vote/1"):
    """What one anchor says in one slot, round and phase.

    `justification` is the digest of the lock certificate the proposal leaned on, if any: it makes fraud
    provable (protocol §11). `counter` rises with every vote of this anchor, so that an anchor restored from
    an old copy is noticed (protocol §13).
    """

    slot: Slot
    round: Count
    phase: Phase
    value: Digest
    anchor: Count
    counter: Count
    justification: Digest | None = None


class Vote(Value):
    """A ballot and its anchor's seal."""

    ballot: Ballot
    seal: Seal


class Outcome(StrEnum):
    """A tally so far."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def check_vote(vote: Vote, committee: Committee, *, where: str = "vote") -> None:
    """Raise `Rejected` unless the vote is signed by the anchor it names, for this committee and epoch.

    Checks in order: zone, epoch, anchor index, key, signature (the dear one last).
    """
    slot = vote.ballot.slot
    if slot.group != committee.zone:
        raise Rejected("the vote is for another zone", reason="wrong-zone", where=where)
    if slot.epoch != committee.epoch:
        problem = f"the vote is of epoch {slot.epoch}, the committee of epoch {committee.epoch}"
        raise Rejected(problem, reason="wrong-epoch", where=where)
    if vote.ballot.anchor >= committee.n:
        problem = f"there is no anchor {vote.ballot.anchor} among {committee.n}"
        raise Rejected(problem, reason="unknown-anchor", where=where)
    if vote.seal.signer != committee.vote_keys[vote.ballot.anchor]:
        problem = f"the key is not that of anchor {vote.ballot.anchor}"
        raise Rejected(problem, reason="wrong-key", where=f"{where}.seal")
    check_seal(Kind.VOTE, Role.ANCHOR, digest_of(vote.ballot), vote.seal, where=f"{where}.seal")


class Tally:
    """The votes of one slot, round and phase so far, by value.

    Each anchor counts once, with its first vote; a second one for another value changes no count, and the
    first such pair of each anchor is kept in `conflicts` as evidence.
    """

    def __init__(self, committee: Committee, slot: Slot, round: int, phase: Phase) -> None:
        """Start an empty tally."""
        self._committee = committee
        self._key = (slot, round, phase)
        self._votes: dict[int, Vote] = {}
        self.conflicts: dict[int, tuple[Vote, Vote]] = {}

    def add(self, vote: Vote) -> None:
        """Count a checked vote. Raises `Rejected` ("wrong-slot") if it belongs to another tally."""
        ballot = vote.ballot
        if (ballot.slot, ballot.round, ballot.phase) != self._key:
            raise Rejected(
                "a vote of another slot, round or phase", reason="wrong-slot", where="vote"
            )
        earlier = self._votes.setdefault(ballot.anchor, vote)
        if earlier.ballot.value != ballot.value:
            self.conflicts.setdefault(ballot.anchor, (earlier, vote))

    def votes_for(self, value: bytes) -> list[Vote]:
        """Return the counted votes for a value, by anchor."""
        return [v for _, v in sorted(self._votes.items()) if v.ballot.value == value]

    def winner(self) -> bytes | None:
        """Return the value that a quorum voted for, if there is one."""
        for value in {vote.ballot.value for vote in self._votes.values()}:
            if len(self.votes_for(value)) >= self._committee.quorum:
                return value
        return None

    def outcome(self, value: bytes) -> Outcome:
        """Tell whether `value` has a quorum, can still get one, or cannot any more."""
        votes = len(self.votes_for(value))
        if votes >= self._committee.quorum:
            return Outcome.WON
        unheard = self._committee.n - len(self._votes)
        return Outcome.PENDING if votes + unheard >= self._committee.quorum else Outcome.LOST

    def heard(self) -> Iterable[int]:
        """Return the anchors that voted."""
        return sorted(self._votes)

    def describe(self) -> str:
        """Return the count for people, such as `3 of 4 heard, 3 needed: 2 for …ab12, 1 for …cd34`."""
        values = sorted({vote.ballot.value for vote in self._votes.values()})
        parts = ", ".join(f"{len(self.votes_for(v))} for …{v.hex()[-4:]}" for v in values)
        heard = f"{len(self._votes)} of {self._committee.n} heard, {self._committee.quorum} needed"
        return f"{heard}: {parts}" if parts else heard
