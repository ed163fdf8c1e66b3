"""The scene of a schedule: zones that know each other, officers, and agents that were launched and bound.

Made from names, the same bytes every time, and only once for each size: thousands of schedules begin from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from msgspec.structs import replace

from sojourn.core.agent.budgets import charged
from sojourn.core.agent.capabilities import Capabilities, Offer, Requirements
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.governance import (
    Document,
    Governance,
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
from sojourn.core.policy.memo import Memo
from sojourn.core.protocol.admission import bound
from sojourn.core.protocol.custody import Certified
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.core.protocol.validate import slot_for
from sojourn.core.quorum.certificates import Certificate, certify
from sojourn.core.quorum.votes import Ballot, Phase, Slot, Vote
from sojourn.core.zone.envelope import Envelope
from sojourn.core.zone.manifest import (
    AnchorEntry,
    Attributes,
    Endpoint,
    SignedManifest,
    ZoneManifest,
    host_inclusions,
)
from sojourn.testing.schedules.clocks import EPOCH_MS
from sojourn.testing.schedules.seals import IdealKeyPair

__all__ = ["Scene", "ZoneScene", "locks", "scene", "seal"]

REALM: Final = "simulated"
FOR_EVER_MS: Final = EPOCH_MS + 10**11
LEASE_MS: Final = 3_000
HOSTS: Final = 2
RULES: Final = """
permit (principal, action, resource);
forbid (principal, action, resource) when { context.step == "forbidden" };
"""
"""The agents' policy: everything but what is forbidden. A schedule tries that, too."""
ZONE_RULES: Final = """
permit (principal, action, resource);
forbid (principal, action, resource) when { context.step == "unwelcome" };
"""
CODE: Final = encode({"agent.py": b"pass"})


def seal(pair: KeyPair, kind: Kind, role: Role, named: bytes) -> Seal:
    """Return a seal by `pair`."""
    return Seal(signer=pair.public, signature=pair.sign(statement(kind, role, named)))


@dataclass(frozen=True, eq=False)
class ZoneScene:
    """A zone: its manifest, and all its keys."""

    signed: SignedManifest
    identities: tuple[KeyPair, ...]
    vote_keys: tuple[KeyPair, ...]
    hosts: tuple[KeyPair, ...]
    envelopes: dict[bytes, Envelope]

    @property
    def manifest(self) -> ZoneManifest:
        """The zone's manifest."""
        return self.signed.manifest

    @property
    def name(self) -> str:
        """What the zone calls itself."""
        return self.signed.manifest.name

    @property
    def zone(self) -> bytes:
        """The zone's identifier."""
        return self.signed.manifest.zone_id

    def vote(self, ballot: Ballot) -> Vote:
        """Return a ballot under the seal of the anchor it names, whoever asks for it."""
        pair = self.vote_keys[ballot.anchor]
        return Vote(ballot=ballot, seal=seal(pair, Kind.VOTE, Role.ANCHOR, digest_of(ballot)))

    def certificate(self, slot: Slot, value: bytes, phase: Phase = Phase.COMMIT) -> Certificate:
        """Return what the first quorum of anchors certifies in round 0."""
        committee = self.manifest.committee
        ballots = (
            Ballot(slot=slot, round=0, phase=phase, value=value, anchor=anchor, counter=1)
            for anchor in range(committee.quorum)
        )
        return certify([self.vote(ballot) for ballot in ballots], committee)


@dataclass(frozen=True, eq=False)
class AgentScene:
    """An agent that was launched in a zone and bound to its first host."""

    home: str
    genesis: Proposal
    born: Certified
    binding: Proposal
    head: Certified

    @property
    def agent(self) -> bytes:
        """The agent's identifier."""
        return self.head.record.agent_id


@dataclass(frozen=True, eq=False)
class Scene:
    """All that is there before anything happens."""

    zones: dict[str, ZoneScene]
    manifests: dict[bytes, ZoneManifest]
    endorsements: tuple[SignedEndorsement, ...]
    issuer: KeyPair
    document: SignedDocument
    agents: tuple[AgentScene, ...]
    memo: Memo
    """Decisions of Cedar, for all: they depend on policies and request alone."""

    @property
    def names(self) -> tuple[str, ...]:
        """The zones' names, in order."""
        return tuple(self.zones)

    def of(self, zone: bytes) -> ZoneScene:
        """Return a zone by its identifier."""
        return self.zones[self.manifests[zone].name]


@cache
def scene(n: int, zones: int, variant: int, agents: int = 2, *, ideal: bool = True) -> Scene:
    """Return a scene of some zones of n anchors, and some agents.

    `variant` makes other agents of it: who leads which round depends on an agent's identifier.
    """
    pair = _keys(ideal)
    made = [_zone(name, n, pair) for name in "abcdefgh"[:zones]]
    issuer = pair("issuer")
    document = _document(issuer)
    born = tuple(_agent(made[i % zones], issuer, document, f"{variant}/{i}") for i in range(agents))
    return Scene(
        zones={zone.name: zone for zone in made},
        manifests={zone.zone: zone.manifest for zone in made},
        endorsements=tuple(_endorsement(issuer, zone.zone) for zone in made),
        issuer=issuer,
        document=document,
        agents=born,
        memo=Memo(),
    )


@cache
def locks(scene: Scene) -> Mapping[bytes, Certificate]:
    """Return the lock certificates under what is decided when a schedule begins, by digest."""
    decided = [each for agent in scene.agents for each in (agent.born, agent.head)]
    made = [
        scene.of(slot.group).certificate(slot, each.certificate.value, Phase.LOCK)
        for each in decided
        for slot in [each.certificate.slot]
    ]
    return {digest_of(lock): lock for lock in made}


@cache
def _keys(ideal: bool) -> Callable[[str], KeyPair]:
    kind = IdealKeyPair if ideal else KeyPair

    @cache
    def pair(name: str) -> KeyPair:
        return kind(digest(name.encode()))

    return pair


@cache
def _zone(name: str, n: int, pair: Callable[[str], KeyPair]) -> ZoneScene:
    identities = tuple(pair(f"{name}/anchor/{i}") for i in range(n))
    vote_keys = tuple(pair(f"{name}/vote/{i}") for i in range(n))
    hosts = tuple(pair(f"{name}/host/{i}") for i in range(HOSTS))
    root, memberships = host_inclusions(tuple(host.public for host in hosts))
    entries = tuple(
        AnchorEntry(
            identity=identity.public,
            vote_key=vote_key.public,
            endpoint=Endpoint(address=name, port=1000 + i),
            operator=name,
        )
        for i, (identity, vote_key) in enumerate(zip(identities, vote_keys, strict=True))
    )
    attributes = Attributes(
        provider="simulated", region=name, country="Ireland", jurisdiction=("EU",)
    )
    manifest = ZoneManifest(
        realm=REALM,
        zone=ZERO,
        name=name,
        epoch=0,
        anchors=entries,
        f=(n - 1) // 3,
        hosts_root=root,
        attributes=attributes,
        policy=ZONE_RULES,
        not_after_ms=FOR_EVER_MS,
        lease_ms=LEASE_MS,
    )
    seals = tuple(seal(one, Kind.MANIFEST, Role.ANCHOR, manifest.digest) for one in identities)
    envelopes = {
        host.public: _envelope(manifest.zone_id, host.public, memberships[host.public])
        for host in hosts
    }
    signed = SignedManifest(manifest=manifest, seals=seals)
    return ZoneScene(signed, identities, vote_keys, hosts, envelopes)


def _envelope(zone: bytes, host: bytes, membership: Inclusion) -> Envelope:
    return Envelope(
        zone=zone,
        host=host,
        membership=membership,
        offer=Offer(cpu_millis=1000, memory_mib=1024, slots=100),
        price_micros=1000,
        sequence=EPOCH_MS,
        issued_ms=EPOCH_MS,
        expires_ms=FOR_EVER_MS,
    )


def _endorsement(issuer: KeyPair, subject: bytes) -> SignedEndorsement:
    said = Endorsement(
        issuer=issuer.public, subject=subject, level=5, not_before_ms=0, not_after_ms=FOR_EVER_MS
    )
    sealed = seal(issuer, Kind.ENDORSEMENT, Role.ISSUER, digest_of(said))
    return SignedEndorsement(endorsement=said, seal=sealed)


def _document(issuer: KeyPair) -> SignedDocument:
    text = Document(
        issuer="acme",
        name="rules",
        version=1,
        officers=Officers(keys=(issuer.public,)),
        cedar=RULES,
        not_before_ms=0,
        not_after_ms=FOR_EVER_MS,
        actions=("order.place",),
    )
    sealed = seal(issuer, Kind.DOCUMENT, Role.ISSUER, digest_of(text))
    return SignedDocument(document=text, seals=(sealed,))


_BUDGETS: Final = {
    name: Budget(limit=2**40) for name in ("steps", "calls", "cost_micros", "wall_ms", "hops")
}
"""More than any schedule spends: what is counted is for liars to falsify."""


def _agent(zone: ZoneScene, issuer: KeyPair, document: SignedDocument, name: str) -> AgentScene:
    genesis = _genesis(zone, issuer, document, name)
    born = _certified(zone, genesis, None)
    record = bound(born, zone.hosts[0].public)
    transition = Transition(
        kind=TransitionKind.BIND,
        parent=born.record.digest,
        record=charged(TransitionKind.BIND, born.record, record, EPOCH_MS),
        author=zone.hosts[0].public,
        at_ms=EPOCH_MS,
    )
    sealed = seal(zone.hosts[0], Kind.TRANSITION, Role.HOST, transition.digest)
    binding = Proposal(transition=transition, seals=(sealed,))
    return AgentScene(zone.name, genesis, born, binding, _certified(zone, binding, born))


def _genesis(zone: ZoneScene, issuer: KeyPair, document: SignedDocument, name: str) -> Proposal:
    record = AgentRecord(
        realm=REALM,
        agent=ZERO,
        version=0,
        parent=ZERO,
        custody=Custody(zone=zone.zone, term=0, binding=0, host=None),
        migration=None,
        governance=Governance(
            documents=(digest_of(document.document),),
            version=1,
            issuer=issuer_id(document.document),
        ),
        memory=Memory(compartments={}),
        lineage=Lineage(),
        eligibility=Eligibility(status=Status.ACTIVE, budgets=_BUDGETS),
        trust=Trust(issuers=(TrustedIssuer(name="acme", key=issuer.public),)),
        capabilities=Capabilities(
            requires=Requirements(),
            code=digest(CODE),
            entry="agent:Agent",
            publisher=issuer.public,
        ),
    )
    transition = Transition(
        kind=TransitionKind.GENESIS,
        parent=ZERO,
        record=replace(record, parent=digest(name.encode())),
        author=issuer.public,
        at_ms=EPOCH_MS,
    )
    sealed = seal(issuer, Kind.TRANSITION, Role.ISSUER, transition.digest)
    return Proposal(
        transition=transition, seals=(sealed,), evidence=Evidence(documents=(document,))
    )


def _certified(zone: ZoneScene, proposal: Proposal, parent: Certified | None) -> Certified:
    slot = slot_for(parent, proposal.transition, zone.manifest)
    certificate = zone.certificate(slot, proposal.transition.digest)
    return Certified(transition=proposal.transition, certificate=certificate)
