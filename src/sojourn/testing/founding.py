"""The documents of a simulated world: keys from names, zones, policies, endorsements. All of it real, and signed.

Names give keys, so that a world of the same names has the same keys whatever its seed, and what was signed for
one is there for the next.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import UNSET

from sojourn.core.agent.approvals import Approvers
from sojourn.core.agent.capabilities import Capabilities, Requirements
from sojourn.core.agent.eligibility import Budget, Eligibility, Status
from sojourn.core.agent.governance import (
    Document,
    Governance,
    Officers,
    SignedDocument,
    issuer_id,
)
from sojourn.core.agent.lineage import Lineage
from sojourn.core.agent.memory.blocks import NewBlocks, NoBlocks
from sojourn.core.agent.memory.field import Compartment, Form, Memory
from sojourn.core.agent.memory.log import Log
from sojourn.core.agent.memory.mapping import Mapping as MemoryMapping
from sojourn.core.agent.record import AgentRecord, Custody
from sojourn.core.agent.transition import Transition, TransitionKind
from sojourn.core.agent.trust import Endorsement, SignedEndorsement, Trust, TrustedIssuer
from sojourn.core.base.digests import ZERO, digest
from sojourn.core.base.encoding import digest_of, encode, encode_block
from sojourn.core.base.keys import KeyPair
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role, Seal, statement
from sojourn.core.protocol.messages import Evidence, Proposal
from sojourn.core.zone.manifest import (
    AnchorEntry,
    Attributes,
    Endpoint,
    SignedManifest,
    ZoneManifest,
    host_inclusions,
)
from sojourn.runtime.host_side.dealing import Dealt, Keyring, encrypt
from sojourn.runtime.typed import to_plain

__all__ = [
    "ISSUER",
    "PERMIT_ALL",
    "RELYING",
    "Born",
    "FoundedZone",
    "Keep",
    "anchor_keys",
    "compartment",
    "endorsement",
    "found",
    "genesis",
    "key",
    "person_key",
    "policy_of",
    "successor",
]

PERMIT_ALL: Final = "permit (principal, action, resource);"
_FOR_EVER_MS: Final = 4_000_000_000_000
_REALM: Final = "simulated"
_PORT: Final = 7400


@cache
def key(name: str) -> KeyPair:
    """Return the key of a name."""
    return KeyPair(digest(f"sojourn.testing/{name}".encode()))


ISSUER: Final = key("issuer")
"""Who signs the agents' policies, and vouches for every zone: agents trust it."""
RELYING: Final = Trust(issuers=(TrustedIssuer(name="test", key=ISSUER.public),))


def person_key(name: str) -> bytes:
    """Return the public key of a person, for `Approvers`: who answers by that name has it."""
    return key(name).public


def _seal(pair: KeyPair, kind: Kind, role: Role, named: bytes) -> Seal:
    return Seal(signer=pair.public, signature=pair.sign(statement(kind, role, named)))


# --- zones -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class FoundedZone:
    """A zone's manifest, and the proofs that its hosts are enrolled."""

    signed: SignedManifest
    hosts: tuple[KeyPair, ...]
    memberships: Mapping[bytes, Inclusion]


@cache
def found(
    name: str,
    anchors: int,
    hosts: int,
    policy: str,
    jurisdiction: tuple[str, ...],
    price_micros: int,
    lease_ms: int,
) -> FoundedZone:
    """Return a zone that all its anchors have signed."""
    pairs = tuple(key(f"{name}/host/{index}") for index in range(hosts))
    root, memberships = host_inclusions(tuple(pair.public for pair in pairs))
    manifest = ZoneManifest(
        realm=_REALM,
        zone=ZERO,
        name=name,
        epoch=0,
        anchors=tuple(_entry(name, index) for index in range(anchors)),
        f=(anchors - 1) // 3,
        hosts_root=root,
        attributes=Attributes(
            provider="simulated",
            region=name,
            country="Ireland",
            jurisdiction=jurisdiction,
            price_micros=price_micros,
        ),
        policy=policy,
        not_after_ms=_FOR_EVER_MS,
        lease_ms=lease_ms,
    )
    manifest.check()
    seals = tuple(
        _seal(one, Kind.MANIFEST, Role.ANCHOR, manifest.digest)
        for one in anchor_keys(name, anchors)
    )
    return FoundedZone(SignedManifest(manifest=manifest, seals=seals), pairs, memberships)


def anchor_keys(zone: str, count: int) -> list[KeyPair]:
    """Return the identity keys of a zone's anchors."""
    return [key(f"{zone}/anchor/{index}") for index in range(count)]


def _entry(zone: str, index: int) -> AnchorEntry:
    return AnchorEntry(
        identity=key(f"{zone}/anchor/{index}").public,
        vote_key=key(f"{zone}/anchor/{index}/vote").public,
        endpoint=Endpoint(address=f"{zone}-{index}", port=_PORT),
        operator=zone,
    )


@cache
def endorsement(
    subject: bytes,
    *,
    by: KeyPair = ISSUER,
    level: int = 5,
    depth: int = 0,
    not_after_ms: int = _FOR_EVER_MS,
) -> SignedEndorsement:
    """Return the word of an issuer that a zone, or another issuer, can be trusted with everything."""
    said = Endorsement(
        issuer=by.public,
        subject=subject,
        level=level,
        not_before_ms=0,
        not_after_ms=not_after_ms,
        depth=depth,
    )
    return SignedEndorsement(
        endorsement=said, seal=_seal(by, Kind.ENDORSEMENT, Role.ISSUER, digest_of(said))
    )


@cache
def policy_of(
    cedar: str,
    actions: tuple[str, ...] = (),
    *,
    outside: bool = False,
    cool_down_ms: int = 0,
    not_after_ms: int = _FOR_EVER_MS,
    approvers: tuple[tuple[str, Approvers], ...] = (),
    staleness_ms: int | None = None,
) -> SignedDocument:
    """Return an agent's policy document, signed by the issuer."""
    document = Document(
        issuer="test",
        name="rules",
        version=1,
        officers=Officers(keys=(ISSUER.public,)),
        cedar=cedar,
        not_before_ms=0,
        not_after_ms=not_after_ms,
        actions=actions,
        outside_effects=outside,
        cool_down_ms=cool_down_ms,
        approvers=dict(approvers),
        staleness_ms=UNSET if staleness_ms is None else staleness_ms,
    )
    return _signed(document)


def successor(
    old: Document, cedar: str, *, cool_down_ms: int = 0, not_after_ms: int | None = None
) -> SignedDocument:
    """Return the document that follows another, signed by the issuer: its text, and how long it holds and cools."""
    follows = msgspec.structs.replace(
        old,
        version=old.version + 1,
        previous=digest_of(old),
        cedar=cedar,
        cool_down_ms=cool_down_ms,
        not_after_ms=_FOR_EVER_MS if not_after_ms is None else not_after_ms,
    )
    return _signed(follows)


def _signed(document: Document) -> SignedDocument:
    document.check()
    sealed = _seal(ISSUER, Kind.DOCUMENT, Role.ISSUER, digest_of(document))
    return SignedDocument(document=document, seals=(sealed,))


# --- agents ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A compartment of memory and what is in it at first: a mapping for a dictionary, a log for a list.

    With `encrypted` it is encrypted, under a key of its own (True), or the one with a name: a launch deals it.
    """

    values: Mapping[str, Any] | Sequence[Any] = ()
    labels: tuple[str, ...] = ()
    residency: tuple[str, ...] = ()
    encrypted: bool | str = False


@dataclass(frozen=True, slots=True)
class Born:
    """A genesis that is ready to be proposed, the blocks that it names, and the keys that were drawn for it."""

    proposal: Proposal
    blocks: NewBlocks
    dealt: tuple[Dealt, ...] = ()

    @property
    def record(self) -> AgentRecord:
        """The genesis record."""
        return self.proposal.transition.record


def genesis(
    zone: ZoneManifest,
    source: Mapping[str, bytes],
    entry: str,
    *,
    nonce: bytes,
    now_ms: int,
    memory: Mapping[str, Keep],
    policy: SignedDocument,
    budgets: Mapping[str, int],
    requires: Requirements,
    trust: Trust,
) -> Born:
    """Return the genesis of an agent, signed by the issuer. `nonce` (32 bytes) makes it one of its kind."""
    blocks, signed = NewBlocks(NoBlocks()), policy
    keys = Keyring(zone, random.Random(nonce).randbytes)  # noqa: S311 (the same in every run)
    ruled_by = blocks.add(encode(signed.document))
    record = AgentRecord(
        realm=zone.realm,
        agent=ZERO,
        version=0,
        parent=nonce,
        custody=Custody(zone=zone.zone_id, term=0, binding=0, host=None),
        migration=None,
        governance=Governance(documents=(ruled_by,), version=1, issuer=issuer_id(signed.document)),
        memory=Memory(
            compartments={name: _kept(name, kept, blocks, keys) for name, kept in memory.items()}
        ),
        lineage=Lineage(),
        eligibility=Eligibility(
            status=Status.ACTIVE,
            budgets={name: Budget(limit=limit) for name, limit in budgets.items()},
        ),
        trust=trust,
        capabilities=Capabilities(
            requires=requires,
            code=blocks.add(encode_block(dict(source))),
            entry=entry,
            publisher=ISSUER.public,
        ),
    )
    transition = Transition(
        kind=TransitionKind.GENESIS,
        parent=ZERO,
        record=record,
        author=ISSUER.public,
        at_ms=now_ms,
    )
    sealed = _seal(ISSUER, Kind.TRANSITION, Role.ISSUER, transition.digest)
    proposal = Proposal(
        transition=transition, seals=(sealed,), evidence=Evidence(documents=(signed,))
    )
    return Born(proposal, blocks, keys.dealt)


def _kept(name: str, kept: Keep, blocks: NewBlocks, keys: Keyring) -> Compartment:
    if not kept.encrypted:
        return compartment(kept, blocks)
    plain, dealt = (
        NewBlocks(NoBlocks()),
        keys.key(name if kept.encrypted is True else kept.encrypted),
    )
    made = compartment(kept, plain)
    root = encrypt(dealt, made.root, plain, blocks)
    return msgspec.structs.replace(made, root=root, encryption=dealt.encryption)


def compartment(kept: Keep, blocks: NewBlocks) -> Compartment:
    """Return a compartment with what is in it at first; what it is made of goes into `blocks`."""
    before = len(blocks.made)
    values = to_plain(kept.values, what="the first values of a compartment")
    if isinstance(values, dict):
        mapping = MemoryMapping.load(ZERO, blocks)
        for name, value in values.items():
            mapping = mapping.put(name, value)
        form, root = Form.MAPPING, mapping.commit(blocks).root
    else:
        form, root = Form.LOG, Log.load(ZERO, blocks).extend(values).commit(blocks).root
    return Compartment(
        form=form,
        root=root,
        labels=kept.labels,
        residency=kept.residency,
        size=sum(len(data) for data in list(blocks.made.values())[before:]),
    )
