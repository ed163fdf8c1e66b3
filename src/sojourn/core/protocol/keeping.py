"""Shares of keys: dealt to anchors before a birth, given to who holds custody, destroyed by order (protocol §10.21).

    launcher ── KeepShare ─► anchor    verified against the commitments, kept before it is acknowledged
    host     ── AskShare ──► anchor    for the bound host alone, under a lease that is live here
    anybody  ── AskErased ─► anchor    destroyed first, if that is still to be done; then stated, under its seal

What an anchor may do is ruled here; the share itself is the shell's. Connections are pinned to keys, so that nobody
else reads what is on them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated

from msgspec import UNSET, Meta

from sojourn.core.agent.eligibility import ENDED, Status
from sojourn.core.agent.memory.encryption import Encryption, Keys
from sojourn.core.agent.memory.field import Compartment
from sojourn.core.agent.orders import Act, SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.encoding import Count, Digest, Name, Value, digest_of
from sojourn.core.base.errors import Refused, Rejected
from sojourn.core.base.keys import key_text
from sojourn.core.base.limits import ANCHORS_MAX
from sojourn.core.base.seals import Kind, Role, Seal, check_seal
from sojourn.core.base.sharing import is_share
from sojourn.core.protocol.dossier import Dossier, View
from sojourn.core.protocol.governed import documents_of
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest

__all__ = [
    "AskErased",
    "AskShare",
    "Erasure",
    "ErasureCertificate",
    "KeepShare",
    "KeyShare",
    "SignedErasure",
    "check_dealt",
    "check_may_have",
    "check_shares",
    "destroyed_in",
    "encryption_here",
    "keys_to_destroy",
]

Scalar = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A share: a scalar, 32 bytes (`core.base.sharing`)."""


class KeepShare(Value, tag_field="kind", tag="keep-share"):
    """Keep this share of a key for an agent that is about to be launched in your zone."""

    agent: Digest
    commitments: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=ANCHORS_MAX)]
    share: Scalar


class AskShare(Value, tag_field="kind", tag="ask-share"):
    """Give me your share of the key of an agent that I hold custody of."""

    agent: Digest
    key: Digest


class KeyShare(Value, tag_field="kind", tag="share"):
    """This share."""

    share: Scalar


class AskErased(Value, tag_field="kind", tag="ask-erased"):
    """State that you hold no share of the keys that this order erases."""

    order: SignedOrder


class Erasure(Value, tag_field="kind", tag="erasure/1"):
    """What an anchor states: it holds no share of these keys, and takes none, by this order (its digest)."""

    realm: Name
    zone: Digest
    agent: Digest
    keys: Keys
    order: Digest
    anchor: Count


class SignedErasure(Value, tag_field="kind", tag="signed-erasure/1"):
    """Such a statement with the anchor's seal, by its identity key."""

    erasure: Erasure
    seal: Seal

    def check(self, manifest: ZoneManifest, order: SignedOrder, *, where: str) -> None:
        """Raise `Rejected` unless the anchor that it names, of this zone, states it of this order."""
        if self.erasure != stated(order, manifest, self.erasure.anchor):
            raise Rejected("it states something else", reason="wrong-erasure", where=where)
        if self.erasure.anchor >= len(manifest.anchors):
            raise Rejected("there is no such anchor", reason="wrong-anchor", where=where)
        if self.seal.signer != manifest.anchors[self.erasure.anchor].identity:
            raise Rejected("sealed by another key", reason="wrong-key", where=where)
        check_seal(Kind.ERASURE, Role.ANCHOR, digest_of(self.erasure), self.seal, where=where)


class ErasureCertificate(Value, tag_field="kind", tag="erasure-certificate/1"):
    """That keys were destroyed where their data is: the officers' order, and each anchor's statement.

    It proves itself, but for who the agent's officers are: a capsule tells that. A quorum of the zone makes one; it
    `is_complete` if all anchors state it, and until then those that do not may hold their shares.
    """

    order: SignedOrder
    manifest: SignedManifest
    statements: Annotated[tuple[SignedErasure, ...], Meta(max_length=ANCHORS_MAX)]

    @property
    def is_complete(self) -> bool:
        """Whether every anchor of the zone has destroyed its share."""
        return len(self.statements) == len(self.manifest.manifest.anchors)

    def check(self) -> None:
        """Raise `Rejected` unless a quorum of the zone's anchors states it, each once, and officers' seals hold."""
        self.manifest.check()
        manifest = self.manifest.manifest
        if self.order.order.act is not Act.ERASE or not self.order.order.keys:
            raise Rejected("that order erases nothing", reason="wrong-kind", where="order")
        self.order.check_seals()
        anchors = [each.erasure.anchor for each in self.statements]
        if anchors != sorted(set(anchors)):
            raise Rejected(
                "an anchor counts once, in order", reason="wrong-order", where="statements"
            )
        if len(anchors) < manifest.committee.quorum:
            problem = f"{len(anchors)} anchors state it, {manifest.committee.quorum} have to"
            raise Rejected(problem, reason="no-quorum", where="statements")
        for index, each in enumerate(self.statements):
            each.check(manifest, self.order, where=f"statements[{index}]")


def stated(order: SignedOrder, manifest: ZoneManifest, anchor: int) -> Erasure:
    """Return what an anchor of a zone states once it has done what an order says."""
    return Erasure(
        realm=manifest.realm,
        zone=manifest.zone_id,
        agent=order.order.agent,
        keys=order.order.keys,
        order=digest_of(order.order),
        anchor=anchor,
    )


# --- dealing -----------------------------------------------------------------------------------------


def check_dealt(ask: KeepShare, dossier: Dossier, manifest: ZoneManifest, index: int) -> Encryption:
    """Return the key that a share is of, if the anchor with this index may keep it.

    Raises `Rejected` for what is no share of its own; `Refused` for an agent that there is already: its keys were
    dealt, or destroyed.
    """
    if dossier.head is not None or dossier.held:
        raise Refused("that agent exists: its keys were dealt when it was launched")
    encryption = Encryption(commitments=ask.commitments)
    encryption.check(manifest.f, where="commitments")
    if not is_share(ask.share, index + 1, ask.commitments):
        problem = f"that is no share of anchor {index}"
        raise Rejected(problem, reason="bad-share", where="share")
    return encryption


def check_shares(genesis: AgentRecord, view: View) -> None:
    """Raise unless this anchor holds its share of every key that a genesis names (trap 23, for keys).

    Raises `Rejected` for what can be no key here, `Refused` if the share was not given here, or for another agent.
    """
    for name, item in sorted(genesis.memory.compartments.items()):
        if item.encryption is None or item.is_erased:  # erased is what a fork alone begins with
            continue
        key = item.encryption
        key.check(view.manifest.f, where=f"memory.{name}.encryption")
        if key.key not in view.shares:
            raise Refused(f"this anchor was given no share of the key of compartment {name!r}")
        _check_is_its(key.key, name, genesis, view)


def _check_is_its(key: bytes, name: str, genesis: AgentRecord, view: View) -> None:
    """Check that a key was dealt for this agent, or is that of the agent which it is a fork of.

    Commitments stand in records for all to read: whoever named another's would be given what that one keeps.
    """
    forked = genesis.lineage.forked
    if forked is UNSET:
        if not view.shares.is_dealt_for(key, genesis.agent_id):
            raise Refused(f"the key of compartment {name!r} was dealt for another agent")
    elif not view.shares.is_for(key, forked.agent):
        raise Refused(f"the key of compartment {name!r} is not one of the agent that is forked")


# --- giving ------------------------------------------------------------------------------------------


def check_may_have(ask: AskShare, dossier: Dossier, sender: bytes, view: View) -> Encryption:
    """Return the key that a host asks a share of, if it may have it.

    Raises `Refused`, with the reason, for any but the bound host of an agent that may act here, under a lease that
    is live at this anchor, of a key that is here and not erased.
    """
    record = dossier.head.record if dossier.head is not None else None
    if record is None or record.custody.zone != view.zone:
        raise Refused("that agent is not here")
    if record.custody.host != sender:
        raise Refused(f"{key_text(sender)} is not the bound host")
    if not record.eligibility.is_acting:
        raise Refused(f"the agent does not act: it is {record.eligibility.describe()}")
    if not view.leases.is_live(record.agent_id, record.custody.fence, view.boot_ms):
        raise Refused("this anchor knows of no live lease for the bound host")
    found = encryption_here(record, ask.key)
    if found is None:
        raise Refused("no compartment that is here is encrypted under that key")
    if found.is_erased:
        raise Refused("that key was erased by order of the agent's officers")
    _check_given_to(ask, view)
    return found


def _check_given_to(ask: AskShare, view: View) -> None:
    if not view.shares.is_for(ask.key, ask.agent):
        raise Refused("that key was dealt here for another agent, whatever this one's record says")


def encryption_here(record: AgentRecord, key: bytes) -> Encryption | None:
    """Return the key with a name, if a compartment where the agent is has it."""
    return next((e for e in _here(record) if e.key == key), None)


def _here(record: AgentRecord) -> Iterable[Encryption]:
    zone = record.custody.zone
    compartments = record.memory.compartments.values()
    return (c.encryption for c in compartments if c.encryption and c.held_by in (None, zone))


# --- destroying --------------------------------------------------------------------------------------


def destroyed_in(record: AgentRecord | None) -> set[bytes]:
    """Return the names of the keys that a record says were destroyed."""
    compartments: Mapping[str, Compartment] = record.memory.compartments if record else {}
    return {c.encryption.key for c in compartments.values() if c.encryption and c.is_erased}


def keys_to_destroy(signed: SignedOrder, dossier: Dossier, view: View) -> Sequence[bytes]:
    """Return the keys whose shares this anchor destroys by an order, now.

    They are those that the agent's record says are destroyed; and where the agent went on or has ended, so that no
    transition follows here, all that its officers order. Raises `Refused` while that transition is to come, or if
    nothing is known of the agent; `Rejected` for an order that is not its officers'.
    """
    order = signed.order
    record = dossier.head.record if dossier.head is not None else None
    if record is None:
        raise Refused("that agent is not known here")
    if order.act is not Act.ERASE or not order.keys:
        raise Rejected("that order erases nothing", reason="wrong-kind", where="order")
    _check_are_its(order.keys, record, view)
    if destroyed_in(record).issuperset(order.keys):
        return order.keys
    if not _is_over_here(record, dossier, view.zone):
        raise Refused("the agent is here, and has not had it carried out yet")
    (first,) = documents_of(record.governance.documents[:1], view)
    ordered_ms = record.governance.last_ordered_ms(order.matter)
    signed.check(first, ordered_ms=ordered_ms, at_ms=view.now_ms)
    _check_known(order.keys, record)
    return order.keys


def _is_over_here(record: AgentRecord, dossier: Dossier, zone: bytes) -> bool:
    status = record.eligibility.status
    is_gone = record.custody.zone != zone or status is Status.DEPARTED
    return is_gone or dossier.onward is not None or status in ENDED


def _check_are_its(keys: Collection[bytes], record: AgentRecord, view: View) -> None:
    """Check that no share is destroyed which is held here for other agents than this one."""
    if any(key in view.shares and not view.shares.is_for(key, record.agent_id) for key in keys):
        problem = "a share of one of these keys is held here for another agent"
        raise Rejected(problem, reason="wrong-key", where="order.keys")


def _check_known(keys: Collection[bytes], record: AgentRecord) -> None:
    """Check that an order names keys of this agent: a statement about any other would say nothing."""
    compartments = record.memory.compartments.values()
    known = {c.encryption.key for c in compartments if c.encryption is not None}
    if not known.issuperset(keys):
        problem = "no compartment of the agent is encrypted under one of these keys"
        raise Rejected(problem, reason="wrong-key", where="order.keys")
