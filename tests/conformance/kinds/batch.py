"""Seals in batches: one signature over the root of many statements."""

from collections.abc import Iterator

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import encode
from sojourn.core.base.merkle import Inclusion, leaf_hash, root_from
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role, Seal, batch, statement
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.kinds.seal import SIGNER, check_given, given_for

DIGESTS = [digest(b"thing %d" % i) for i in range(8)]


def _check(data: bytes, given: Json) -> Json:
    seal = check_given(data, given)
    covered = statement(
        SealKind(given["kind"]), Role(given["role"]), bytes.fromhex(given["digest"])
    )
    root = root_from(leaf_hash(covered), seal.inclusion) if seal.inclusion else None
    return {"signer": seal.signer.hex(), "root": root.hex() if root else None}


def _statements(size: int, kind: SealKind = SealKind.VOTE, role: Role = Role.ANCHOR) -> list[bytes]:
    return [statement(kind, role, named) for named in DIGESTS[:size]]


def _seals(size: int, kind: SealKind = SealKind.VOTE, role: Role = Role.ANCHOR) -> list[Seal]:
    to_sign, proofs = batch(_statements(size, kind, role), role)
    signature = SIGNER.sign(to_sign)
    return [Seal(signer=SIGNER.public, signature=signature, inclusion=proof) for proof in proofs]


def _given(index: int, kind: SealKind = SealKind.VOTE, role: Role = Role.ANCHOR) -> Json:
    return given_for(kind, role, DIGESTS[index])


def _valid() -> Iterator[Case]:
    for size in (1, 2, 3, 5, 8):
        for index, seal in enumerate(_seals(size)):
            yield Case(name=f"leaf {index} of {size}", data=encode(seal), given=_given(index))
    host = _seals(3, SealKind.TRANSITION, Role.HOST)[2]
    given = _given(2, SealKind.TRANSITION, Role.HOST)
    yield Case(name="a host's transitions", data=encode(host), given=given)


def _spoilt() -> Iterator[tuple[str, Seal, int]]:
    seals = _seals(5)
    seal, proof = seals[1], seals[1].inclusion
    assert proof is not None
    root = SIGNER.sign(statement(SealKind.BATCH, Role.ANCHOR, digest(b"another root")))
    changes = {
        "no proof": None,
        "the proof of a batch of one": Inclusion(index=0, size=1, path=()),
        "an empty path": replace(proof, path=()),
        "a path cut by one": replace(proof, path=proof.path[:-1]),
        "a path with one more": replace(proof, path=(*proof.path, DIGESTS[0])),
        "a path with another sibling": replace(proof, path=(DIGESTS[0], *proof.path[1:])),
        "a path turned round": replace(proof, path=proof.path[::-1]),
        "the index of the sibling": replace(proof, index=0),
        "an index beyond the size": replace(proof, index=5),
        "a size of none": replace(proof, size=0),
        "a size of 2^63 - 1": replace(proof, size=2**63 - 1),
    }
    for name, changed in changes.items():
        yield name, replace(seal, inclusion=changed), 1
    yield "the proof of another leaf", replace(seal, inclusion=seals[2].inclusion), 1
    yield "a statement that is not in the batch", seal, 6
    yield "the signature on another root", replace(seal, signature=root), 1
    alone = SIGNER.sign(_statements(2)[1])
    yield "the signature on the statement itself", replace(seal, signature=alone), 1


def _invalid() -> Iterator[Case]:
    failed = {"reason": "bad-signature", "where": "seal"}
    for name, seal, index in _spoilt():
        yield Case(name=name, data=encode(seal), given=_given(index), expect=failed)
    for name, kind, role in (
        ("a vote taken for a message", SealKind.MESSAGE, Role.ANCHOR),
        ("an anchor's leaf taken for a host's", SealKind.VOTE, Role.HOST),
    ):
        yield Case(name=name, data=encode(_seals(3)[1]), given=_given(1, kind, role), expect=failed)
    to_sign, proofs = batch(_statements(3), Role.ISSUER)
    foreign = Seal(signer=SIGNER.public, signature=SIGNER.sign(to_sign), inclusion=proofs[1])
    name = "an anchor's statement in an issuer's batch"
    yield Case(name=name, data=encode(foreign), given=_given(1), expect=failed)
    root = to_sign[-32:]
    bare = Seal(signer=SIGNER.public, signature=SIGNER.sign(to_sign))
    given = given_for(SealKind.VOTE, Role.ISSUER, root)
    name = "the root taken for the digest of a vote"
    yield Case(name=name, data=encode(bare), given=given, expect=failed)


KIND = Kind(
    name="batch",
    about="bytes: a Seal whose inclusion leads from one statement to the root of a batch. given: as for seal. "
    "expect.root: the root of the Merkle tree (RFC 9162, over the hashes of statements as leaves) that was "
    "signed as the digest of kind batch; null where a batch of one is the statement itself.",
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
)
