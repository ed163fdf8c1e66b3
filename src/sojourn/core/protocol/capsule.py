"""Capsules: an agent as one file that proves itself, with no network.

A capsule is a CAR file (`core.protocol.car`). Its root block holds the evidence: every chapter of custody from
genesis on, the newest certified transition, and the manifests of the zones that certified them; if it is to be
audited, also what was decided in between, and the orders of officers that were carried out. After it come
the blocks that the newest record names: policy documents, with those that prove them, code, then memory. Their
order is fixed: a block follows the one that first names it, depth first. So one capsule has one sequence of bytes,
a reader needs no more memory than a list of names, and whatever is missing, superfluous, repeated or out of place
is noticed where it stands. A compartment that stayed behind in another zone is named by the record and not in the
file.

Source: architecture §2 (capsule), protocol §1, §2, §10.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from sojourn.core.agent.governance import Document
from sojourn.core.agent.memory.blocks import links
from sojourn.core.agent.memory.field import travelling_roots
from sojourn.core.agent.orders import SignedOrder
from sojourn.core.agent.record import AgentRecord
from sojourn.core.base.digests import cid_text
from sojourn.core.base.encoding import Digest, Value, decode, digest_of, encode
from sojourn.core.base.errors import Misused, Rejected
from sojourn.core.base.limits import BLOCK_BYTES_MAX, CHAPTERS_MAX, DOCUMENT_BYTES_MAX
from sojourn.core.protocol import decided
from sojourn.core.protocol.car import ByteSource, CarReader, Section, car_header, car_section
from sojourn.core.protocol.custody import (
    Certified,
    Chapter,
    check_chain,
    check_head,
    proving,
    zones_in,
)
from sojourn.core.protocol.kin_blocks import KinBlocks
from sojourn.core.protocol.kinship import Parent, check_family
from sojourn.core.zone.manifest import SignedManifest, ZoneManifest

__all__ = [
    "Capsule",
    "Closure",
    "Places",
    "VerifiedCapsule",
    "block_names",
    "capsule_head",
    "load_capsule",
    "make_capsule",
    "policy_names",
]

HISTORY_MAX: Final = 65_536
"""Transitions shown beside the ends of terms: at 3 KB each, three times what the root block has room for."""
ROOT_BYTES_MAX: Final = CHAPTERS_MAX * 8 * 1024
"""The root block: about 8 KB for each chapter of custody."""


Places: TypeAlias = dict[bytes, tuple[int, int]]
"""Where blocks stand in a file, by digest: the offset of their first byte, and how many they have."""


class Capsule(Value, tag_field="kind", tag="capsule/1"):
    """The root block: the evidence. Manifests are in the order of their zones' identifiers.

    `history` are transitions that neither open nor close a term, and are not the head: as many as whoever made
    the capsule wanted to show, oldest first. `orders` are those that shown transitions carried out.
    """

    agent: Digest
    chapters: Annotated[tuple[Chapter, ...], Meta(min_length=1, max_length=CHAPTERS_MAX)]
    head: Certified
    manifests: Annotated[tuple[SignedManifest, ...], Meta(min_length=1, max_length=256)]
    history: Annotated[tuple[Certified, ...], Meta(max_length=HISTORY_MAX)] = ()
    orders: Annotated[tuple[SignedOrder, ...], Meta(max_length=HISTORY_MAX)] = ()

    @property
    def decided(self) -> list[Certified]:
        """All transitions that are shown and made a version, oldest first."""
        return decided.decided(self.chapters, self.history, self.head)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCapsule:
    """What a capsule proves. `blocks` and `size` count its blocks and the bytes in them, the root aside.

    `documents` are those that rule, in order; `policies` all that it holds, by digest, cooling and earlier ones too.
    `parents` are its ancestors when they spawned, its own parent first.
    """

    capsule: Capsule
    manifests: Mapping[bytes, ZoneManifest]
    documents: tuple[Document, ...]
    policies: Mapping[bytes, Document]
    parents: tuple[Parent, ...]
    left_behind: tuple[str, ...]
    blocks: int
    size: int

    @property
    def record(self) -> AgentRecord:
        """The newest record in the capsule."""
        return self.capsule.head.record


class Closure:
    """The order of the blocks under some roots: depth first, each block once, where it is first named."""

    def __init__(self, roots: Sequence[bytes]) -> None:
        """Begin before the first block."""
        self._todo = list(reversed(roots))
        self._seen: set[bytes] = set()

    @property
    def next(self) -> bytes | None:
        """The digest of the block that comes next; None when all have come."""
        while self._todo and self._todo[-1] in self._seen:
            self._todo.pop()
        return self._todo[-1] if self._todo else None

    def upcoming(self, limit: int) -> list[bytes]:
        """Return digests of blocks that will come soon, the next one first."""
        ahead: dict[bytes, None] = {}
        for named in reversed(self._todo):
            if len(ahead) == limit:
                break
            if named not in self._seen:
                ahead[named] = None
        return list(ahead)

    def take(self, data: bytes) -> None:
        """Take the block that comes next. Raises `Rejected` for bytes that are no block."""
        named = self.next
        assert named is not None, "all blocks have come"
        self._seen.add(named)
        self._todo.extend(reversed(links(data)))


def make_capsule(
    chapters: Sequence[Chapter],
    head: Certified,
    manifests: Iterable[SignedManifest],
    documents: Iterable[Document],
    *,
    history: Sequence[Certified] = (),
    orders: Sequence[SignedOrder] = (),
    kin: KinBlocks | None = None,
) -> Capsule:
    """Return the root block of a capsule, checked as `load_capsule` will.

    Of `manifests` those are taken that the evidence needs; `documents` are those that `policy_names` returns. For a
    child, `kin` holds what proves its ancestors. Raises `Rejected` if it does not hold.
    """
    by_zone = {signed.manifest.zone_id: signed for signed in manifests}
    kin = KinBlocks(head.record) if kin is None else kin
    named = _zones_named(chapters, head) | kin.zones(chapters[0])
    capsule = Capsule(
        agent=head.record.agent_id,
        chapters=tuple(chapters),
        head=head,
        manifests=tuple(by_zone[zone] for zone in sorted(named) if zone in by_zone),
        history=tuple(history),
        orders=tuple(orders),
    )
    known = _check_evidence(capsule)
    _check_by_documents(capsule, {digest_of(item): item for item in documents}, known, kin)
    return capsule


def capsule_head(capsule: Capsule) -> bytes:
    """Return the beginning of the file: header and root block. `Closure(block_names(…))` says what follows."""
    root = encode(capsule)
    if len(root) > ROOT_BYTES_MAX:
        problem = f"the evidence of this agent has {len(root)} bytes, more than {ROOT_BYTES_MAX}"
        raise Misused(problem, remedy="It has moved too often for one capsule")
    section = car_section(root)
    return car_header(_digest_in(section, len(root))) + section


def _digest_in(section: bytes, size: int) -> bytes:
    return section[-size - 32 : -size]


def policy_names(chapters: Sequence[Chapter], record: AgentRecord) -> list[bytes]:
    """Return the digests of the documents that a capsule holds: those the record names, and those that prove them."""
    return [*record.governance.named, *proving(chapters[0], chapters[-1], record)]


def block_names(capsule: Capsule) -> list[bytes]:
    """Return the digests at the top of what a capsule holds: documents, code, memory that travels."""
    record = capsule.head.record
    memory = travelling_roots(record.memory, record.custody.zone)
    return [
        *policy_names(capsule.chapters, record),
        *record.capabilities.codes,
        *record.proofs,
        *memory,
    ]


def load_capsule(source: ByteSource, places: Places | None = None) -> VerifiedCapsule:
    """Return the verified capsule in a file. Raises `Rejected` with where it fails.

    Where each block's bytes stand in the file is put into `places`, for who wants to read them afterwards.

    Checks in order: the CAR's form and each block's digest as it is read; the root block; manifests (sound,
    sealed by all their anchors, first ones, whose digest is the zone's identifier; exactly those that the
    evidence names, in order); the chain of custody from genesis to the newest transition, and what was decided
    in between; then each block
    that the newest record names, in its place, and nothing behind the last; at the end the officers' seals, of
    the genesis, of the documents that were among the blocks, from the first to those that rule, and of orders.
    """
    reader = CarReader(source, what="capsule")
    first = reader.next_section(ROOT_BYTES_MAX)
    if first is None or first.named != reader.root:
        problem = "the root block does not come first"
        raise Rejected(
            problem, reason="truncated" if first is None else "wrong-order", where="capsule"
        )
    capsule = decode(first.data, Capsule, what="capsule", limit=ROOT_BYTES_MAX)
    manifests = _check_evidence(capsule)
    return _read_blocks(reader, capsule, manifests, {} if places is None else places)


def _read_blocks(
    reader: CarReader,
    capsule: Capsule,
    manifests: Mapping[bytes, ZoneManifest],
    places: Places,
) -> VerifiedCapsule:
    record = capsule.head.record
    closure = Closure(block_names(capsule))
    policies = frozenset(policy_names(capsule.chapters, record))
    documents: dict[bytes, Document] = {}
    kin = KinBlocks(record)
    blocks = size = 0
    while (expected := closure.next) is not None:
        section = reader.next_section(BLOCK_BYTES_MAX)
        if section is None:
            problem = f"it ends before block {cid_text(expected)}, which its record needs"
            raise Rejected(problem, reason="truncated", where=f"capsule, byte {reader.offset}")
        _check_place(section, expected)
        places[expected] = (reader.offset - len(section.data), len(section.data))
        if expected in policies:
            documents[expected] = _document(section)
        kin.take(expected, section.data)
        closure.take(section.data)
        blocks, size = blocks + 1, size + len(section.data)
    if (extra := reader.next_section(BLOCK_BYTES_MAX)) is not None:
        problem = f"block {cid_text(extra.named)} follows where all that the record needs has come"
        raise Rejected(problem, reason="extra", where=f"capsule, byte {extra.offset}")
    _check_by_documents(capsule, documents, manifests, kin)
    ruling = tuple(documents[named] for named in record.governance.documents)
    return VerifiedCapsule(
        capsule=capsule,
        manifests=manifests,
        documents=ruling,
        policies={**kin.documents, **documents},
        parents=tuple(kin.parents(capsule.chapters[0])),
        left_behind=_left_behind(record),
        blocks=blocks,
        size=size,
    )


def _check_by_documents(
    capsule: Capsule,
    documents: Mapping[bytes, Document],
    manifests: Mapping[bytes, ZoneManifest],
    kin: KinBlocks,
) -> None:
    """Check what officers sealed: the genesis, the documents up to those that rule, and orders carried out.

    Of a child, its ancestors' instead of its genesis; and that no manifest is there that nothing names.
    """
    held = {**kin.documents, **documents}
    _check_no_more(capsule, kin)

    def find(named: bytes) -> Document:
        try:
            return held[named]
        except KeyError:
            problem = f"document {cid_text(named)} is missing"
            raise Rejected(problem, reason="wrong-documents", where="documents") from None

    first, last = capsule.chapters[0], capsule.chapters[-1]
    check_family(first, last, capsule.head.record, find, kin.among(manifests))
    decided.check_orders(capsule.orders, capsule.decided, documents)


def _check_place(section: Section, expected: bytes) -> None:
    if section.named != expected:
        problem = f"block {cid_text(section.named)} where {cid_text(expected)} belongs"
        raise Rejected(problem, reason="wrong-order", where=f"capsule, byte {section.offset}")


def _document(section: Section) -> Document:
    return decode(section.data, Document, what="document", limit=DOCUMENT_BYTES_MAX)


def _left_behind(record: AgentRecord) -> tuple[str, ...]:
    """Return the compartments that another zone holds."""
    here = record.custody.zone
    return tuple(
        name
        for name, item in sorted(record.memory.compartments.items())
        if item.held_by not in (None, here)
    )


# --- evidence ----------------------------------------------------------------------------------------


def _check_evidence(capsule: Capsule) -> dict[bytes, ZoneManifest]:
    """Return the manifests by zone once they and the chain of custody hold. Raises `Rejected`."""
    manifests = _check_manifests(capsule)
    chapters, head = capsule.chapters, capsule.head
    check_chain(capsule.agent, chapters, manifests)
    check_head(chapters[-1], head, manifests)
    decided.check_decided(chapters, capsule.history, head, manifests)
    closed = chapters[-1].closed
    if closed is not None and closed.transition != head.transition:
        problem = "the last term is closed by another transition than the head"
        raise Rejected(problem, reason="bad-lineage", where=f"chapters[{len(chapters) - 1}].closed")
    return manifests


def _check_manifests(capsule: Capsule) -> dict[bytes, ZoneManifest]:
    found: dict[bytes, ZoneManifest] = {}
    for index, signed in enumerate(capsule.manifests):
        where = f"manifests[{index}]"
        manifest = signed.manifest
        signed.check()
        if found and manifest.zone_id <= max(found):
            raise Rejected("manifests out of order", reason="wrong-order", where=where)
        found[manifest.zone_id] = manifest
    named = _zones_named(capsule.chapters, capsule.head)
    if lacking := named - found.keys():
        problem = f"the manifest of zone {cid_text(min(lacking))} is missing"
        raise Rejected(problem, reason="unknown-zone", where="manifests")
    if not capsule.head.record.eligibility.ancestors:
        _check_no_more(capsule, KinBlocks(capsule.head.record))
    return found


def _check_no_more(capsule: Capsule, kin: KinBlocks) -> None:
    """Check that each manifest is of a zone that the evidence names, that about a child's ancestors as well."""
    named = _zones_named(capsule.chapters, capsule.head) | kin.zones(capsule.chapters[0])
    found = {signed.manifest.zone_id: signed.manifest for signed in capsule.manifests}
    if extra := found.keys() - named:
        problem = f"the manifest of {found[min(extra)].name}, which nothing here names"
        raise Rejected(problem, reason="extra", where="manifests")


def _zones_named(chapters: Sequence[Chapter], head: Certified) -> set[bytes]:
    """Return the zones whose certificates the evidence holds."""
    return {head.certificate.slot.group} | zones_in(chapters)
