"""The dossier: all that one anchor durably knows of one agent; and the view: what it knows of the world.

A ruling takes a dossier and gives the next one. The shell writes the next one before any answer leaves
(protocol §13). Transitions of one agent are serialised by the shell; different agents never meet here.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sojourn.core.agent.approvals import SignedApproval
from sojourn.core.agent.governance import Document
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.agent.trust import SignedEndorsement
from sojourn.core.base.encoding import Count, Digest, Value
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol.binding import LeaseBook
from sojourn.core.protocol.chains import ChainMemo
from sojourn.core.protocol.custody import Certified, Chapter, zones_in
from sojourn.core.protocol.edicts import KnownEdicts
from sojourn.core.protocol.messages import Arrive, AskVisa, Proposal, Reply
from sojourn.core.protocol.parentage import Parentage
from sojourn.core.protocol.promises import PromiseBook
from sojourn.core.protocol.proofs import KnownProofs
from sojourn.core.protocol.rates import RateBook
from sojourn.core.protocol.shares import Shares
from sojourn.core.protocol.visa import Visa, VisaTerms
from sojourn.core.quorum.certificates import Certificate, LockSummary, RoundCertificate
from sojourn.core.quorum.votes import Ballot, Slot
from sojourn.core.zone.envelope import Envelope
from sojourn.core.zone.manifest import ZoneManifest

__all__ = [
    "Arrival",
    "CastRound",
    "CastVote",
    "Dossier",
    "OpenSlot",
    "Ruling",
    "View",
    "zones_of",
]


class OpenSlot(Value):
    """An undecided slot (protocol §3). `entered_ms` is when the round began, on this anchor's boot clock.

    `lock_voted`, `commit_voted` and `round_voted` are what was voted for in the current round: asked again, an
    anchor says the same again. `lock_justification` is the digest of the lock certificate that the lock vote
    leaned on. `proposals` are the values behind the lock, the lock vote and what is pending, the newest last: a
    locked value is never forgotten. `entry` is the certificate that the round before was left.
    `lease_withheld` says that a bind was lock-voted here, in whatever round: until the slot is decided the lease
    of the old fence is not renewed (protocol §6).
    """

    slot: Slot
    entered_ms: Count
    round: Count = 0
    lock_voted: Digest | None = None
    lock_justification: Digest | None = None
    commit_voted: Digest | None = None
    round_voted: LockSummary | None = None
    lock: Certificate | None = None
    entry: RoundCertificate | None = None
    proposals: tuple[Proposal, ...] = ()
    lease_withheld: bool = False

    def proposal_of(self, value: bytes) -> Proposal | None:
        """Return the stored proposal of a value."""
        for proposal in self.proposals:
            if proposal.transition.digest == value:
                return proposal
        return None


class Arrival(Value):
    """A departure that names this zone, and when it was first seen here (boot clock, and which boot)."""

    arrive: Arrive
    seen_ms: Count
    boot: Digest

    def seen_at(self, boot: bytes) -> int:
        """Return a time of this boot's clock at which it had been seen: its beginning, if that was before."""
        return self.seen_ms if self.boot == boot else 0


class Dossier(Value, tag_field="kind", tag="dossier/1"):
    """One anchor's durable record of one agent.

    `head` is the newest commit known here. `chapter` is the term of custody that this zone holds or held
    last; `proved` says that the chapters stored here lead from genesis to the head without a gap: those of an
    anchor that missed decisions do not. `visa` is the one the agent departed from here with. `high_term` is the
    highest term this zone has ever held or closed; it never falls, for ever (trap 21). `application` is what the
    agent applied for entry with; `arrival` the departure that followed. `refusal` is the certified refusal of a
    departure: by this zone, or of a departure from it. `onward` is the admission elsewhere of the agent that left.
    `approvals` are the answers to petitions that are pending at the head.
    """

    agent: Digest
    head: Certified | None = None
    chapter: Chapter | None = None
    proved: bool = False
    high_term: Count = 0
    held: bool = False
    open: OpenSlot | None = None
    application: AskVisa | None = None
    arrival: Arrival | None = None
    visa: Visa | None = None
    refusal: Certified | None = None
    onward: Certified | None = None
    approvals: tuple[SignedApproval, ...] = ()

    @property
    def promised(self) -> VisaTerms | None:
        """What the agent has applied for, if its entry is not decided."""
        return self.application.terms if self.application else None


def zones_of(dossier: Dossier) -> set[bytes]:
    """Return the zones that hold or held an agent, or decided about it, as far as a dossier itself says.

    Without their manifests nothing that they certified can be checked any more.
    """
    heads = [each for each in (dossier.head, dossier.onward) if each is not None]
    decided = [each for each in (*heads, dossier.refusal) if each is not None]
    found = {each.certificate.slot.group for each in decided}
    found |= {each.record.migration.to_zone for each in heads if each.record.migration}
    return found | zones_in((dossier.chapter,) if dossier.chapter else ())


class View(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What an anchor knows beside the dossier at the moment of a ruling.

    `now_ms` is wall time, `boot_ms` CLOCK_BOOTTIME, `boot` names this boot. `lacking` returns which of some
    blocks are not stored here with all they link to; `documents`, `chapters` and `parentages` find policy documents,
    chapters of custody and what proves a parent among the blocks, and raise `Rejected` for a block that is none.
    `chains` remembers which chains of chapters were checked. `edicts` are what officers published, `proofs` are of
    anchors that lied; `shares` are those of keys that it holds. `newest` returns the newest record of an agent that
    is known here.
    """

    manifest: ZoneManifest
    index: int
    manifests: Mapping[bytes, ZoneManifest]
    documents: Mapping[bytes, Document]
    chapters: Mapping[bytes, Chapter]
    endorsements: Sequence[SignedEndorsement]
    envelopes: Mapping[bytes, Envelope]
    leases: LeaseBook
    rates: RateBook
    promises: PromiseBook
    lacking: Callable[[Sequence[bytes]], list[bytes]]
    memo: Memo
    chains: ChainMemo
    now_ms: int
    boot_ms: int
    boot: bytes
    edicts: KnownEdicts
    parentages: Mapping[bytes, Parentage]
    shares: Shares
    proofs: KnownProofs | None = None
    newest: Callable[[bytes], AgentRecord | None] | None = None

    @property
    def zone(self) -> bytes:
        """This anchor's zone."""
        return self.manifest.zone_id


class CastVote(msgspec.Struct, frozen=True):
    """Answer with this ballot, signed; the shell fills in its counter."""

    ballot: Ballot


class CastRound(msgspec.Struct, frozen=True):
    """Answer with a vote to leave the round, signed, and with what is locked here."""

    ballot: Ballot
    summary: LockSummary
    lock: Certificate | None
    proposal: Proposal | None


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What an anchor decided to do, in the order in which it must be done.

    1. `dossier`, if not None, `chapters`, `history`, and the order that was carried out, are written.
    2. `answer` leaves, signed if it is a vote.
    3. `applied` is announced to whoever watches this agent here.
    """

    answer: CastVote | CastRound | Reply
    dossier: Dossier | None = None
    chapters: tuple[Chapter, ...] = ()
    history: Certified | None = None
    order: SignedOrder | None = None
    applied: Certified | None = None
