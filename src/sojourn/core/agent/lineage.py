"""Lineage: where the agent comes from, provable without its past.

Every version but the newest is a leaf of a Merkle accumulator whose frontier stands in the record, so the
next root needs nothing but the record, and any old version can be proved by a path. Changes of custody are
also linked one to the next, so that an auditor can follow term after term. Certificates are evidence beside
the chain and are never hashed into it (trap 9).

Source: RFC 9162 §2.1 for the tree; protocol §2, §10.
"""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from sojourn.core.base import merkle
from sojourn.core.base.encoding import Count, Digest, Value, digest_of
from sojourn.core.base.errors import Rejected
from sojourn.core.quorum.votes import Slot

__all__ = ["CustodyLink", "Fork", "Lineage", "extend"]

Frontier = Annotated[tuple[Digest, ...], Meta(max_length=64)]


class CustodyLink(Value, tag_field="kind", tag="custody-link/1"):
    """One change of custody: which record it made, and the link before it."""

    record: Digest
    version: Count
    term: Count
    zone: Digest
    previous: Digest | None = None


class Fork(Value):
    """What a fork went on from: another agent, at one of its versions, by the digest of the record then."""

    agent: Digest
    version: Count
    record: Digest


class Lineage(Value):
    """The field: accumulator over versions 0..count-1, the newest custody link, the parent's slot.

    `parentage` is the root of what proves, for a child, that the agent which spawned it was who it said: its chain of
    custody (`core.protocol.kinship`); for a fork of a child, likewise its origin. None for an agent that has no
    ancestors. `forked` says, of a fork, what it went on from (`core.protocol.forking`); for any other agent it is
    absent from the bytes.
    """

    frontier: Frontier = ()
    count: Count = 0
    custody: Digest | None = None
    last_slot: Slot | None = None
    parentage: Digest | None = None
    forked: Fork | UnsetType = UNSET

    @property
    def root(self) -> bytes:
        """The accumulator's root, 32 bytes."""
        return merkle.frontier_root(self.frontier)


def extend(
    lineage: Lineage, parent: bytes, slot: Slot, *, link: CustodyLink | None = None
) -> Lineage:
    """Return the lineage of the child of the record with digest `parent`, decided in `slot`.

    `link` is the parent's own custody link where the parent changed custody (genesis, admit, return).
    Raises `Rejected` ("bad-lineage") if `lineage` is none that a count of versions could have left.
    """
    if len(lineage.frontier) != lineage.count.bit_count():
        problem = f"{lineage.count} versions do not leave a frontier of {len(lineage.frontier)}"
        raise Rejected(problem, reason="bad-lineage", where="lineage.frontier")
    leaf = merkle.leaf_hash(parent)
    return Lineage(
        frontier=merkle.append(lineage.frontier, lineage.count, leaf),
        count=lineage.count + 1,
        custody=digest_of(link) if link is not None else lineage.custody,
        last_slot=slot,
        parentage=lineage.parentage,
        forked=lineage.forked,
    )
