"""Driving one slot to a decision: what hosts, clients and leading anchors do (protocol §3).

    start ─ Propose ─► LOCKING ─ q lock votes ─► COMMITTING ─ q commit votes ─► WON
                          │                          │
                          └── a head for this slot ──┴──► WON (our value) or OVERTAKEN (another)
                          └── a quorum is out of reach ─► STALLED (ask again, or let the anchors lead)

The machine holds no clock and no socket: `start` and `heard` give the messages to send next, to which anchor.
A caller that hears nothing sends again; every message may be repeated. The good path costs each anchor three
messages and two forced writes.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from sojourn.core.agent.memory.field import travelling_roots
from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import (
    AskVisa,
    Declined,
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
from sojourn.core.protocol.rounds import ShownLock
from sojourn.core.quorum.certificates import Certificate, RoundCertificate, certify
from sojourn.core.quorum.votes import Outcome, Phase, Slot, Tally, Vote, check_vote
from sojourn.core.zone.manifest import ZoneManifest

__all__ = ["CONTENDED", "Progress", "Proposer", "Send", "Upload"]

CONTENDED: Final = "nack"
"""Why an anchor is said to decline that has voted for something else in this slot."""

_HELP_MAX = 4
"""How often one anchor's wants are met before it counts as unable."""


class Progress(StrEnum):
    """Where a proposer stands."""

    LOCKING = "locking"
    COMMITTING = "committing"
    WON = "won"
    OVERTAKEN = "overtaken"
    STALLED = "stalled"


class Send(msgspec.Struct, frozen=True):
    """Send this request to this anchor; its reply goes to `heard`."""

    anchor: int
    request: Request


class Upload(msgspec.Struct, frozen=True):
    """Store the blocks under these roots with this anchor, then send `then`."""

    anchor: int
    digests: tuple[bytes, ...]
    then: Request


class Proposer:
    """One attempt to have `proposal` decided in `slot`.

    `parent` is the certified parent, for anchors that have not heard of it; `application` what the agent
    applied with, for anchors that have not seen it; `blocks` go along with the proposal. From round 1 on,
    `entry` and `justification` are needed. A justification that is a lock of this round, or of a later one, leans on
    nothing: it is what is left to be shown, and lock votes are not asked for again.
    """

    def __init__(
        self,
        proposal: Proposal,
        slot: Slot,
        manifest: ZoneManifest,
        *,
        parent: Certified | None = None,
        application: AskVisa | None = None,
        round: int = 0,
        entry: RoundCertificate | None = None,
        justification: Certificate | None = None,
        blocks: tuple[bytes, ...] = (),
    ) -> None:
        """Prepare; nothing is sent before `start`."""
        self.progress = Progress.LOCKING
        self.decided: Certified | None = None
        self.declined: dict[int, Declined] = {}
        self.shown: ShownLock | None = None
        self._proposal, self._slot, self._manifest = proposal, slot, manifest
        self._committee = manifest.committee
        self._value = proposal.transition.digest
        self._parent, self._application = parent, application
        self._lock = _lock_to_show(justification, proposal, slot, round)
        if self._lock is not None:
            round, justification = self._lock.round, None
        self._is_locked = self._lock is not None
        self._ask = Propose(
            slot=slot,
            round=round,
            proposal=proposal,
            entry=entry,
            justification=justification,
            blocks=blocks,
        )
        self._locks = Tally(self._committee, slot, round, Phase.LOCK)
        self._commits = Tally(self._committee, slot, round, Phase.COMMIT)
        self._roots = _roots(proposal, slot.group)
        if application is not None:
            self._roots |= {*application.chapters, *application.documents}
        self._helped: dict[int, int] = {}
        self._silent: set[int] = set()
        self._unshown: set[int] = set()
        self._odd: dict[int, Vote] = {}

    def start(self) -> list[Send | Upload]:
        """Return the first messages, one for each anchor."""
        if self._is_locked:
            self.progress = Progress.COMMITTING
        return [self._first(anchor) for anchor in range(self._committee.n)]

    def _first(self, anchor: int) -> Send:
        return self._show_to(anchor) if self._is_locked else Send(anchor, self._ask)

    @property
    def is_over(self) -> bool:
        """Whether the attempt has an outcome."""
        return self.progress in (Progress.WON, Progress.OVERTAKEN, Progress.STALLED)

    @property
    def may_pass(self) -> bool:
        """Whether a quorum may still come of asking again soon: enough anchors vote, or decline for now."""
        never = {anchor for anchor, declined in self.declined.items() if not declined.for_now}
        return self._committee.n - len(never | self._silent) >= self._committee.quorum

    def silent(self, anchor: int) -> None:
        """Note that an anchor could not be reached, or answered with nonsense."""
        self._silent.add(anchor)
        self._unshown.add(anchor)
        self._consider_stalling()

    def heard(self, anchor: int, reply: Reply) -> Sequence[Send | Upload]:
        """Return what to send after a reply. Raises `Rejected` if the reply cannot be what it claims."""
        self._silent.discard(anchor)
        if self.is_over:
            return self._spread_to(anchor, reply)
        match reply:
            case Voted():
                return self._voted(anchor, reply)
            case Head():
                return self._head(anchor, reply)
            case Need():
                return self._help(anchor, reply)
            case Nack():
                self._note_lock(reply)
                self._decline(anchor, Declined(reason=CONTENDED, problem="locked", for_now=True))
            case Declined():
                self._decline(anchor, reply)
            case _:
                raise Rejected(f"a {type(reply).__name__} answers no proposal", reason="wrong-kind")
        return []

    @property
    def in_vain(self) -> tuple[Vote, ...]:
        """The checked votes that were given for what was not decided: one may contradict what others were shown.

        None where nobody was locked on anything else, and nothing else was decided: then they lack for answers only.
        """
        is_contended = any(each.reason == CONTENDED for each in self.declined.values())
        if self.progress is Progress.WON or not (is_contended or self.decided):
            return ()
        mine = (self._locks.votes_for(self._value), self._commits.votes_for(self._value))
        return (*mine[0], *mine[1], *self._odd.values())

    def describe(self) -> str:
        """Return, for people, why there is no decision yet."""
        tally = self._locks if self.progress is Progress.LOCKING else self._commits
        reasons = [f"anchor {i}: {d.problem}" for i, d in sorted(self.declined.items())]
        reasons += [f"anchor {i} does not answer" for i in sorted(self._silent)]
        return "; ".join([tally.describe(), *reasons])

    def _voted(self, anchor: int, reply: Voted) -> Sequence[Send | Upload]:
        vote = reply.vote
        check_vote(vote, self._committee)
        if vote.ballot.anchor != anchor or vote.ballot.value != self._value:
            self._odd.setdefault(anchor, vote)
            raise Rejected("a vote of another anchor, or for another value", reason="wrong-value")
        self.declined.pop(anchor, None)
        if vote.ballot.phase is Phase.LOCK:
            return self._locked(anchor, vote)
        self._commits.add(vote)
        if self._commits.outcome(self._value) is not Outcome.WON:
            return []
        certificate = certify(self._commits.votes_for(self._value), self._committee)
        return self._won(certificate)

    def _locked(self, anchor: int, vote: Vote) -> Sequence[Send | Upload]:
        self._locks.add(vote)
        if self._lock is not None:
            again = anchor in self._unshown and self._may_help(anchor)
            return [self._show_to(anchor)] if again else []
        if self._locks.outcome(self._value) is not Outcome.WON:
            return []
        self._lock = certify(self._locks.votes_for(self._value), self._committee)
        self.progress = Progress.COMMITTING
        return [self._show_to(each) for each in range(self._committee.n)]

    def _show_to(self, anchor: int) -> Send:
        """Show the lock, with the value to an anchor that did not vote for it."""
        assert self._lock is not None
        self._unshown.discard(anchor)
        shown = None if anchor in self._locks.heard() else self._proposal
        return Send(anchor, ShowLock(certificate=self._lock, proposal=shown))

    def _won(self, certificate: Certificate) -> Sequence[Send | Upload]:
        self.progress = Progress.WON
        self.decided = Certified(transition=self._proposal.transition, certificate=certificate)
        voted = set(self._locks.heard())
        return [
            Send(
                anchor,
                ShowCommit(
                    certificate=certificate, proposal=None if anchor in voted else self._proposal
                ),
            )
            for anchor in range(self._committee.n)
        ]

    def _spread_to(self, anchor: int, reply: Reply) -> Sequence[Send | Upload]:
        """Give a decision to an anchor that shows it has not heard of it."""
        if self.progress is not Progress.WON:
            return []
        assert self.decided is not None
        if isinstance(reply, Need) and reply.what == "proposal" and self._may_help(anchor):
            certificate = self.decided.certificate
            return [Send(anchor, ShowCommit(certificate=certificate, proposal=self._proposal))]
        return []

    def _head(self, anchor: int, reply: Head) -> Sequence[Send | Upload]:
        for known in (reply.certified, reply.refusal):
            if known is None or not self._settles(known):
                continue
            known.check({self._slot.group: self._manifest})
            same = known.certificate.slot == self._slot and known.certificate.value == self._value
            self.progress = Progress.WON if same else Progress.OVERTAKEN
            self.decided = known
            return []
        return self._help(anchor, Need(what="parent"))

    def _settles(self, known: Certified) -> bool:
        """Tell whether this is of the same agent, in this slot or a later one."""
        slot = known.certificate.slot
        if (slot.group, slot.agent) != (self._slot.group, self._slot.agent):
            return False
        return (slot.term, slot.version) >= (self._slot.term, self._slot.version)

    def _help(self, anchor: int, need: Need) -> Sequence[Send | Upload]:
        if not self._may_help(anchor):
            self._decline(anchor, Declined(reason="unable", problem=need.what, for_now=True))
            return []
        match need.what:
            case "blocks" if set(need.digests) <= self._roots:
                return [Upload(anchor, need.digests, self._ask)]
            case "proposal" if self._lock is not None:
                return [Send(anchor, ShowLock(certificate=self._lock, proposal=self._proposal))]
            case "parent" if self._parent is not None:
                shown = Proposal(transition=self._parent.transition, seals=())
                certificate = self._parent.certificate
                return [
                    Send(anchor, ShowCommit(certificate=certificate, proposal=shown)),
                    self._first(anchor),
                ]
            case "visa" if self._application is not None:
                return [
                    Upload(anchor, self._needed_to_apply(), self._application),
                    self._first(anchor),
                ]
        problem = f"it lacks {need.what}"
        self._decline(anchor, Declined(reason="unable", problem=problem, for_now=True))
        return []

    def _needed_to_apply(self) -> tuple[bytes, ...]:
        """Return what must be stored before the application is shown: its own reply is not waited for."""
        assert self._application is not None
        ask = self._application
        return (*ask.chapters, *ask.documents, *ask.head.record.governance.named)

    def _may_help(self, anchor: int) -> bool:
        self._helped[anchor] = self._helped.get(anchor, 0) + 1
        return self._helped[anchor] <= _HELP_MAX

    def _note_lock(self, nack: Nack) -> None:
        """Remember the highest lock that is shown with its value: whoever goes on must propose that."""
        lock, proposal = nack.lock, nack.proposal
        if lock is None or lock.slot != self._slot or lock.phase is not Phase.LOCK:
            return
        lock.check(Phase.LOCK, self._committee)
        if proposal is None or proposal.transition.digest != lock.value:
            return
        if self.shown is None or lock.round > self.shown.round:
            self.shown = ShownLock(lock, proposal)

    def _decline(self, anchor: int, declined: Declined) -> None:
        self.declined[anchor] = declined
        self._unshown.add(anchor)
        self._consider_stalling()

    def _consider_stalling(self) -> None:
        """Stop when too few anchors are left that may still vote."""
        out = self._silent | self.declined.keys()
        if not self.is_over and self._committee.n - len(out) < self._committee.quorum:
            self.progress = Progress.STALLED


def _lock_to_show(
    lock: Certificate | None, proposal: Proposal, slot: Slot, round: int
) -> Certificate | None:
    """Return a lock on this value that no proposal of the round may lean on: it is not of an earlier one."""
    if lock is None or lock.round < round or lock.phase is not Phase.LOCK:
        return None
    return lock if (lock.slot, lock.value) == (slot, proposal.transition.digest) else None


def _roots(proposal: Proposal, zone: bytes) -> frozenset[bytes]:
    """Return what an anchor of `zone` may ask for: it gets nothing that is to stay elsewhere."""
    record = proposal.transition.record
    shown = (digest_of(signed.document) for signed in proposal.evidence.documents)
    named = [*record.capabilities.codes, *record.governance.named, *shown, *record.proofs]
    if (child := proposal.evidence.child) is not None:
        named += [*travelling_roots(child.memory, zone), *child.proofs]
    return frozenset((*travelling_roots(record.memory, zone), *named))
