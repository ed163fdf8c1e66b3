"""What hosts, anchors and clients say to an anchor, and what it answers.

One struct for each message; a request always has an answer. The ladder is proposal → vote → certificate →
`Certified`, and each rung has a `check`.
"""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from sojourn.core.agent.actions import Action
from sojourn.core.agent.ancestry import given
from sojourn.core.agent.approvals import Petition, SignedApproval
from sojourn.core.agent.budgets import COST_MICROS, TOKENS
from sojourn.core.agent.governance import SignedDocument
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.base.encoding import Count, Digest, Name, Value, digest_of
from sojourn.core.base.limits import (
    ANCHORS_MAX,
    APPROVALS_MAX,
    ATTACHMENTS_MAX,
    CHAPTERS_MAX,
    DOCUMENTS_MAX,
    SUCCESSION_MAX,
)
from sojourn.core.base.seals import Seal
from sojourn.core.protocol.accusation import Accusation
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.visa import Visa, VisaTerms
from sojourn.core.quorum.certificates import Certificate, RoundCertificate, RoundVote
from sojourn.core.quorum.votes import Slot, Vote
from sojourn.core.zone.manifest import SignedManifest

__all__ = [
    "Applied",
    "Arrive",
    "AskHead",
    "AskRound",
    "AskVisa",
    "Declined",
    "Evidence",
    "Forking",
    "Head",
    "Intent",
    "Nack",
    "Need",
    "Proposal",
    "Propose",
    "PutApproval",
    "Reply",
    "Request",
    "RoundVoted",
    "ShowCommit",
    "ShowLock",
    "Voted",
]


class Intent(Action, kw_only=True, tag_field="kind", tag="intent/1"):
    """An effect that is about to be performed: what was asked of the gate, and the effect's key.

    `key` is (agent, term, version, index) as text. `petition` is the digest of the petition that approvers
    answered, where the policies ask for that. Of a message, `follows` is the version that sent the newest one to
    that agent before it which was delivered, 0 if there is none.
    """

    key: Name
    petition: Digest | None = None
    follows: Count = 0

    @property
    def declared(self) -> dict[str, int]:
        """What it is to cost, by the names of the budgets."""
        return {COST_MICROS: self.cost_micros, TOKENS: self.tokens}


class Forking(Value):
    """What a fork leans on: the version that it goes on from, and the newest of that agent, whose policies rule."""

    at: Certified
    newest: Certified


class Evidence(Value):
    """Attachments that prove themselves. Nothing in here is part of the value that is voted on.

    `child` is the genesis that a SPAWN names, `spawned` the certified SPAWN that names a genesis.
    `fork` is what the genesis of a fork leans on; of any other it is absent from the bytes.
    """

    departure: Certified | None = None
    refusal: Certified | None = None
    visa: Visa | None = None
    order: SignedOrder | None = None
    accusation: Accusation | None = None
    intent: Intent | None = None
    petition: Petition | None = None
    approvals: Annotated[tuple[SignedApproval, ...], Meta(max_length=APPROVALS_MAX)] = ()
    documents: Annotated[tuple[SignedDocument, ...], Meta(max_length=ATTACHMENTS_MAX)] = ()
    child: AgentRecord | None = None
    spawned: Certified | None = None
    fork: Forking | UnsetType = UNSET


class Proposal(Value, tag_field="kind", tag="proposal/1"):
    """A transition, its authors' seals, and the evidence it needs."""

    transition: Transition
    seals: Annotated[tuple[Seal, ...], Meta(max_length=64)]
    evidence: Evidence = Evidence()

    @property
    def declared(self) -> dict[str, int]:
        """What it gives the child that it names, or the intent that is recorded is to cost, by budget.

        Nothing if another is shown, or none.
        """
        intent, recorded = self.evidence.intent, self.transition.record.eligibility.last_decision
        child = self.evidence.child
        if self.transition.kind is TransitionKind.SPAWN:
            return given(child) if child is not None and child.digest == recorded else {}
        is_recorded = intent is not None and digest_of(intent) == recorded
        return intent.declared if intent is not None and is_recorded else {}


# --- requests ----------------------------------------------------------------------------------------


class Propose(Value, tag_field="kind", tag="propose"):
    """Ask for a lock vote. From round 1 on, `entry` proves that round-1 was left, and only its leader asks.

    `justification` is the lock certificate the value was taken from, if any. `blocks` are new blocks of memory,
    children first: what fits here is stored by the same forced write as the vote.
    """

    slot: Slot
    round: Count
    proposal: Proposal
    justification: Certificate | None = None
    entry: RoundCertificate | None = None
    blocks: Annotated[tuple[bytes, ...], Meta(max_length=4096)] = ()


class ShowLock(Value, tag_field="kind", tag="show-lock"):
    """Show a lock certificate; ask for a commit vote. `proposal` for one that did not vote on it."""

    certificate: Certificate
    proposal: Proposal | None = None


class ShowCommit(Value, tag_field="kind", tag="show-commit"):
    """Show a commit certificate; the anchor applies it. `proposal` for one that did not vote on it."""

    certificate: Certificate
    proposal: Proposal | None = None


class AskRound(Value, tag_field="kind", tag="ask-round"):
    """Ask for a vote to leave `round`; `entry` proves that the round before was left.

    `votes` are others' to leave this round: f+1 of them prove to an anchor that has seen nothing of the slot
    that it is stuck.
    """

    slot: Slot
    round: Count
    entry: RoundCertificate | None = None
    votes: Annotated[tuple[RoundVote, ...], Meta(max_length=ANCHORS_MAX)] = ()


class AskVisa(Value, tag_field="kind", tag="ask-visa"):
    """Ask a target's anchor to promise resources to an agent: its head and its chain of custody.

    Its chapters, by digest, and the policy documents that its record names are blocks like any other, and go
    before. The documents' seals are in the first chapter, those of later ones in the last; `documents` are the
    others that prove them.
    """

    terms: VisaTerms
    head: Certified
    chapters: Annotated[tuple[Digest, ...], Meta(max_length=CHAPTERS_MAX)]
    manifests: Annotated[tuple[SignedManifest, ...], Meta(max_length=256)]
    documents: Annotated[tuple[Digest, ...], Meta(max_length=SUCCESSION_MAX + DOCUMENTS_MAX)] = ()


class Arrive(Value, tag_field="kind", tag="arrive"):
    """Show the target a certified departure that names it, with the visa."""

    departure: Certified
    visa: Visa


class AskHead(Value, tag_field="kind", tag="ask-head"):
    """Ask for the newest certified transition of an agent."""

    agent: Digest


class PutApproval(Value, tag_field="kind", tag="put-approval"):
    """Keep this answer to a petition until the petition is not pending any more."""

    petition: Petition
    approval: SignedApproval


Request = Propose | ShowLock | ShowCommit | AskRound | AskVisa | Arrive | AskHead | PutApproval


# --- replies -----------------------------------------------------------------------------------------


class Voted(Value, tag_field="kind", tag="voted"):
    """A lock, commit or visa vote."""

    vote: Vote


class RoundVoted(Value, tag_field="kind", tag="round-voted"):
    """A vote to leave a round. `proposal` is the value behind the carried lock, or else one pending here."""

    vote: RoundVote
    lock: Certificate | None = None
    proposal: Proposal | None = None


class Nack(Value, tag_field="kind", tag="nack"):
    """No vote, with all that is hidden here: the round, the highest lock and the value behind it.

    Without a lock, `proposal` is one that is pending here: whoever leads may have seen none.
    """

    round: Count
    lock: Certificate | None = None
    proposal: Proposal | None = None


class Head(Value, tag_field="kind", tag="head"):
    """The newest certified transition known here; where the agent went on to, if it left; open refusals.

    `opened` is the transition that opened this zone's newest term: what a source waits for as its answer.
    """

    certified: Certified | None
    opened: Certified | None = None
    onward: Certified | None = None
    refusal: Certified | None = None


class Need(Value, tag_field="kind", tag="need"):
    """Something must come first: `parent`, `proposal`, `visa`, or `blocks`, with their digests.

    Or nothing but `time`: part of what was shown is checked; asked again, the anchor goes on from there.
    """

    what: Name
    digests: tuple[Digest, ...] = ()


class Declined(Value, tag_field="kind", tag="declined"):
    """No: `reason` is a slug, `problem` a sentence; `for_now` if the same may be granted later."""

    reason: Name
    problem: str
    for_now: bool


class Applied(Value, tag_field="kind", tag="applied"):
    """Done, or already known."""


Reply = Voted | RoundVoted | Nack | Head | Need | Declined | Applied
