"""Sample zones, documents, agents and proposals, made from names: the same bytes in every run."""

from dataclasses import dataclass
from functools import cache, cached_property

from msgspec.structs import replace

from sojourn.core.agent.ancestry import given
from sojourn.core.agent.budgets import charged
from sojourn.core.agent.capabilities import Capabilities, Offer, Requirements
from sojourn.core.agent.eligibility import Eligibility, Status
from sojourn.core.agent.governance import (
    Document,
    Governance,
    Governing,
    Officers,
    SignedDocument,
    issuer_id,
)
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.field import Memory
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.agent.trust import Endorsement, SignedEndorsement, Trust, TrustedIssuer
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of, encode
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.core.quorum.certificates import Certificate, certify
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote
from sojourn.core.zone.envelope import Envelope, SignedEnvelope
from sojourn.core.zone.manifest import (
    AnchorEntry,
    Attributes,
    Endpoint,
    SignedManifest,
    ZoneManifest,
    host_inclusions,
)

__all__ = [
    "CODE",
    "FOR_EVER_MS",
    "ISSUER",
    "NOW_MS",
    "PERMIT_ALL",
    "REALM",
    "SampleZone",
    "document",
    "endorsement",
    "envelope",
    "found",
    "genesis",
    "key",
    "propose",
    "seal",
]

REALM = "test"
NOW_MS = 1_800_000_000_000
FOR_EVER_MS = 4_000_000_000_000
PERMIT_ALL = "permit (principal, action, resource);"
CODE = encode({"agent.py": b"pass"})


@cache
def key(name: str) -> KeyPair:
    """Return the key pair of a name."""
    return KeyPair(digest(name.encode()))


ISSUER = key("issuer")


def seal(pair: KeyPair, kind: Kind, role: Role, named: bytes) -> Seal:
    """Return a seal by `pair`."""
    return Seal(signer=pair.public, signature=pair.sign(statement(kind, role, named)))


@dataclass(frozen=True)
class SampleZone:
    """A zone and all its keys."""

    signed: SignedManifest
    hosts: tuple[KeyPair, ...]
    memberships: dict[bytes, Inclusion]

    @property
    def manifest(self) -> ZoneManifest:
        """The zone's manifest."""
        return self.signed.manifest

    @property
    def name(self) -> str:
        """What the zone calls itself."""
        return self.manifest.name

    @cached_property
    def zone(self) -> bytes:
        """The zone's identifier."""
        return self.manifest.zone_id

    def identity(self, index: int) -> KeyPair:
        """Return an anchor's identity key."""
        return key(f"{self.name}/anchor/{index}")

    def vote_key(self, index: int) -> KeyPair:
        """Return an anchor's vote key."""
        return key(f"{self.name}/vote/{index}")

    def vote(self, ballot: Ballot) -> Vote:
        """Return a ballot under the seal of the anchor it names."""
        pair = self.vote_key(ballot.anchor)
        return Vote(ballot=ballot, seal=seal(pair, Kind.VOTE, Role.ANCHOR, digest_of(ballot)))

    def certificate(
        self,
        slot: Slot,
        value: bytes,
        *,
        phase: Phase = Phase.COMMIT,
        round: int = 0,
        anchors: tuple[int, ...] | None = None,
    ) -> Certificate:
        """Return what a quorum (or `anchors`) certifies, as a lying or an honest zone would."""
        committee = self.manifest.committee
        ballots = (
            Ballot(slot=slot, round=round, phase=phase, value=value, anchor=anchor, counter=1)
            for anchor in anchors or range(committee.quorum)
        )
        return certify([self.vote(ballot) for ballot in ballots], committee)

    def certified(self, transition: Transition, slot: Slot | None = None) -> Certified:
        """Return a transition that this zone commits, whether or not it may."""
        record = transition.record
        slot = slot or Slot(
            realm=record.realm,
            group=self.zone,
            epoch=self.manifest.epoch,
            agent=record.agent_id,
            term=record.custody.term,
            version=record.version,
        )
        return Certified(
            transition=transition, certificate=self.certificate(slot, transition.digest)
        )


def found(
    name: str,
    n: int = 4,
    *,
    hosts: int = 2,
    policy: str = PERMIT_ALL,
    jurisdiction: tuple[str, ...] = ("EU",),
    lease_ms: int = 60_000,
    realm: str = REALM,
    not_after_ms: int = FOR_EVER_MS,
) -> SampleZone:
    """Return a zone of n anchors and some hosts, with its first manifest sealed by all anchors."""
    pairs = tuple(key(f"{name}/host/{i}") for i in range(hosts))
    root, memberships = host_inclusions(tuple(host.public for host in pairs))
    entries = tuple(
        AnchorEntry(
            identity=key(f"{name}/anchor/{i}").public,
            vote_key=key(f"{name}/vote/{i}").public,
            endpoint=Endpoint(address=name, port=1000 + i),
            operator=name,
        )
        for i in range(n)
    )
    manifest = ZoneManifest(
        realm=realm,
        zone=ZERO,
        name=name,
        epoch=0,
        anchors=entries,
        f=(n - 1) // 3,
        hosts_root=root,
        attributes=Attributes(
            provider="test", region=name, country="Ireland", jurisdiction=jurisdiction
        ),
        policy=policy,
        not_after_ms=not_after_ms,
        lease_ms=lease_ms,
    )
    return SampleZone(signed(manifest), pairs, memberships)


def signed(manifest: ZoneManifest) -> SignedManifest:
    """Return a manifest under the seals of the anchors of the zone it names."""
    pairs = (key(f"{manifest.name}/anchor/{i}") for i in range(len(manifest.anchors)))
    seals = tuple(seal(pair, Kind.MANIFEST, Role.ANCHOR, manifest.digest) for pair in pairs)
    return SignedManifest(manifest=manifest, seals=seals)


def envelope(
    zone: SampleZone, host: KeyPair, now_ms: int = NOW_MS, /, **changes: object
) -> SignedEnvelope:
    """Return a current envelope of a host, good for an hour, changed."""
    offered = Envelope(
        zone=zone.zone,
        host=host.public,
        membership=zone.memberships[host.public],
        offer=Offer(cpu_millis=1000, memory_mib=1024, slots=100),
        price_micros=1000,
        sequence=now_ms,
        issued_ms=now_ms,
        expires_ms=now_ms + 3_600_000,
    )
    offered = replace(offered, **changes)
    return SignedEnvelope(
        envelope=offered, seal=seal(host, Kind.ENVELOPE, Role.HOST, digest_of(offered))
    )


def endorsement(
    subject: bytes, level: int = 5, /, *, by: KeyPair = ISSUER, **changes: object
) -> SignedEndorsement:
    """Return an issuer's endorsement of a subject, good for ever, changed."""
    said = Endorsement(
        issuer=by.public, subject=subject, level=level, not_before_ms=0, not_after_ms=FOR_EVER_MS
    )
    said = replace(said, **changes)
    return SignedEndorsement(
        endorsement=said, seal=seal(by, Kind.ENDORSEMENT, Role.ISSUER, digest_of(said))
    )


def document(
    cedar: str = PERMIT_ALL, *, by: tuple[KeyPair, ...] = (ISSUER,), **changes: object
) -> SignedDocument:
    """Return a policy document of the issuer's, changed, under the seals of `by`."""
    text = Document(
        issuer="acme",
        name="rules",
        version=1,
        officers=Officers(keys=(ISSUER.public,)),
        cedar=cedar,
        not_before_ms=0,
        not_after_ms=FOR_EVER_MS,
    )
    text = replace(text, **changes)
    seals = tuple(seal(pair, Kind.DOCUMENT, Role.ISSUER, digest_of(text)) for pair in by)
    return SignedDocument(document=text, seals=seals)


def successor(
    old: SignedDocument, *, by: tuple[KeyPair, ...] = (ISSUER,), **changes: object
) -> SignedDocument:
    """Return the document that follows another, changed, under the seals of `by`."""
    follows = {"version": old.document.version + 1, "previous": digest_of(old.document)}
    text = replace(old.document, **(follows | changes))
    seals = tuple(seal(pair, Kind.DOCUMENT, Role.ISSUER, digest_of(text)) for pair in by)
    return SignedDocument(document=text, seals=seals)


def genesis(
    zone: SampleZone,
    *documents: SignedDocument,
    now_ms: int = NOW_MS,
    by: tuple[KeyPair, ...] = (ISSUER,),
    **fields: object,
) -> Proposal:
    """Return the proposal that launches an agent in a zone, with some fields of its record changed."""
    ruling = documents or (document(),)
    record = AgentRecord(
        realm=REALM,
        agent=ZERO,
        version=0,
        parent=ZERO,
        custody=Custody(zone=zone.zone, term=0, binding=0, host=None),
        migration=None,
        governance=Governance(
            documents=tuple(digest_of(item.document) for item in ruling),
            version=1,
            issuer=issuer_id(ruling[0].document),
        ),
        memory=Memory(compartments={}),
        lineage=Lineage(),
        eligibility=Eligibility(status=Status.ACTIVE),
        trust=Trust(issuers=(TrustedIssuer(name="acme", key=ISSUER.public),)),
        capabilities=Capabilities(
            requires=Requirements(),
            code=digest(CODE),
            entry="agent:Agent",
            publisher=by[0].public,
        ),
    )
    transition = Transition(
        kind=TransitionKind.GENESIS,
        parent=ZERO,
        record=replace(record, **fields),
        author=by[0].public,
        at_ms=now_ms,
    )
    seals = tuple(seal(pair, Kind.TRANSITION, Role.ISSUER, transition.digest) for pair in by)
    return Proposal(transition=transition, seals=seals, evidence=Evidence(documents=ruling))


def governed_by(record: AgentRecord, *documents: Document) -> AgentRecord:
    """Return a record that names other documents; the first one's issuer is the agent's."""
    issuer = issuer_id(documents[0]) if documents else ZERO
    named = tuple(map(digest_of, documents))
    governance = replace(record.governance, documents=named, issuer=issuer)
    return replace(record, governance=governance)


def governing(record: AgentRecord, *documents: Document, now_ms: int = NOW_MS) -> Governing:
    """Return what rules a record, which names these documents."""
    return record.governance.governing(documents, now_ms)


def propose(
    kind: TransitionKind,
    parent: Certified,
    record: AgentRecord,
    author: KeyPair,
    *,
    role: Role = Role.HOST,
    evidence: Evidence | None = None,
    now_ms: int = NOW_MS,
    reason: str = "",
    is_charged: bool = True,
) -> Proposal:
    """Return a sealed proposal of a transition from `parent` to `record`, with what is due charged to its budgets."""
    declared = evidence.intent.declared if evidence and evidence.intent else {}
    if evidence and evidence.child:
        declared = given(evidence.child)
    if is_charged and kind is not TransitionKind.REFUSE:
        record = charged(kind, parent.record, record, now_ms, declared)
    transition = Transition(
        kind=kind,
        parent=parent.record.digest,
        record=record,
        author=author.public,
        at_ms=now_ms,
        reason=reason,
    )
    sealed = seal(author, Kind.TRANSITION, role, transition.digest)
    return Proposal(transition=transition, seals=(sealed,), evidence=evidence or Evidence())
