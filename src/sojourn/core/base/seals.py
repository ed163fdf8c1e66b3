"""Seals: signatures that say what they sign, and batches of them under one signature.

A seal covers `"sojourn/v1|" + kind + "|" + role + "|" + digest` (protocol §1). Kind and role are part of what
is signed, so an author's signature can never serve as a vote (trap 11). A batch is a Merkle tree over such
statements: one signature on the root, and a path for each leaf, stands for a signature on each.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache

from sojourn.core.base.encoding import PublicKey, Signature, Value
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair, key_text, verify
from sojourn.core.base.merkle import Inclusion, inclusions, leaf_hash, root_from

__all__ = [
    "Kind",
    "Role",
    "Seal",
    "Statement",
    "batch",
    "check_own",
    "check_seal",
    "is_sealed",
    "sealed_by",
    "statement",
]


class Kind(StrEnum):
    """What is sealed."""

    TRANSITION = "transition"
    VOTE = "vote"
    MANIFEST = "zone-manifest"
    ENVELOPE = "envelope"
    DOCUMENT = "document"
    POLICY_HEAD = "policy-head"
    ORDER = "order"
    APPROVAL = "approval"
    REVOCATION = "revocation"
    DELEGATION = "delegation"
    ENDORSEMENT = "endorsement"
    HEARTBEAT = "heartbeat"
    MESSAGE = "message"
    ANSWER = "answer"
    PROGRESS = "progress"
    QUESTION = "question"
    DISCLOSURE = "disclosure"
    CODE = "code"
    ERASURE = "erasure"
    BATCH = "batch"


class Role(StrEnum):
    """As what the signer signs."""

    ANCHOR = "anchor"
    HOST = "host"
    ISSUER = "issuer"
    PUBLISHER = "publisher"
    OPERATOR = "operator"
    PERSON = "person"


class Seal(Value):
    """One signer's signature; with `inclusion`, over the root of a batch that holds the statement."""

    signer: PublicKey
    signature: Signature
    inclusion: Inclusion | None = None


Statement = bytes
"""What a seal covers: kind, role and digest in one unambiguous byte string."""


def statement(kind: Kind, role: Role, digest: bytes) -> Statement:
    """Return the bytes to sign: domain, kind, role, then 32 bytes of digest."""
    return _domain(kind, role) + digest


@cache
def _domain(kind: Kind, role: Role) -> bytes:
    return b"sojourn/v1|%b|%b|" % (kind.encode(), role.encode())


def batch(statements: Sequence[Statement], role: Role) -> tuple[Statement, list[Inclusion | None]]:
    """Return the one statement to sign for many, and each one's inclusion.

    A batch of one is the statement itself, without a tree.
    """
    if len(statements) == 1:
        return statements[0], [None]
    root, proofs = inclusions([leaf_hash(item) for item in statements])
    return statement(Kind.BATCH, role, root), list(proofs)


def is_sealed(kind: Kind, role: Role, digest: bytes, seal: Seal) -> bool:
    """Tell whether `seal` is its signer's over this digest, of this kind, in this role."""
    covered = statement(kind, role, digest)
    if seal.inclusion is not None:
        root = root_from(leaf_hash(covered), seal.inclusion)
        if root is None:
            return False
        covered = statement(Kind.BATCH, role, root)
    return verify(seal.signer, seal.signature, covered)


def sealed_by(person: KeyPair, kind: Kind, digest: bytes) -> Seal:
    """Return a person's own seal on a digest."""
    covered = statement(kind, Role.PERSON, digest)
    return Seal(signer=person.public, signature=person.sign(covered))


def check_own(kind: Kind, digest: bytes, seal: Seal, by: bytes, *, where: str) -> None:
    """Raise `Rejected` unless the person with this key sealed a digest: "wrong-key" where somebody else did."""
    if seal.signer != by:
        raise Rejected("sealed by another key", reason="wrong-key", where=where)
    check_seal(kind, Role.PERSON, digest, seal, where=where)


def check_seal(kind: Kind, role: Role, digest: bytes, seal: Seal, *, where: str) -> None:
    """Raise `Rejected` ("bad-signature") unless `seal` holds."""
    if not is_sealed(kind, role, digest, seal):
        problem = f"the signature of {key_text(seal.signer)} as {role} does not cover this {kind}"
        raise Rejected(problem, reason="bad-signature", where=where)
