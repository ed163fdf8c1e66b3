"""Seals: one signature over one statement."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind as SealKind
from sojourn.core.base.seals import Role, Seal, check_seal, statement
from tests.conformance.golden import Case, Json, Kind
from tests.conformance.spoiled import spoiled, with_fields
from tests.unit.core.base import edwards
from tests.unit.core.quorum.voters import pair

LIMIT: Final = 4096
THING, SIGNER = digest(b"thing"), pair("signer")


def given_for(kind: SealKind, role: Role, named: bytes) -> Json:
    """Return what a checker of seals is told."""
    return {"kind": kind.value, "role": role.value, "digest": named.hex()}


def check_given(data: bytes, given: Json) -> Seal:
    """Return the seal in `data` after checking that it covers what is given."""
    seal = decode(data, Seal, what="seal", limit=LIMIT)
    kind, role = SealKind(given["kind"]), Role(given["role"])
    check_seal(kind, role, bytes.fromhex(given["digest"]), seal, where="seal")
    return seal


def sealed(kind: SealKind, role: Role, named: bytes) -> Seal:
    """Return the signer's seal."""
    signature = SIGNER.sign(statement(kind, role, named))
    return Seal(signer=SIGNER.public, signature=signature)


def _check(data: bytes, given: Json) -> Json:
    seal = check_given(data, given)
    return {"signer": seal.signer.hex(), "batched": seal.inclusion is not None}


GIVEN: Final = given_for(SealKind.DOCUMENT, Role.ISSUER, THING)
SEAL: Final = sealed(SealKind.DOCUMENT, Role.ISSUER, THING)


def _valid() -> Iterator[Case]:
    for kind, role in (
        (SealKind.VOTE, Role.ANCHOR),
        (SealKind.TRANSITION, Role.HOST),
        (SealKind.TRANSITION, Role.ISSUER),
        (SealKind.DOCUMENT, Role.ISSUER),
        (SealKind.CODE, Role.PUBLISHER),
        (SealKind.MANIFEST, Role.OPERATOR),
        (SealKind.MESSAGE, Role.PERSON),
    ):
        given = given_for(kind, role, THING)
        yield Case(name=f"{kind} as {role}", data=encode(sealed(kind, role, THING)), given=given)


def _forged() -> Iterator[tuple[str, Seal, str]]:
    s = int.from_bytes(SEAL.signature[32:], "little")
    too_large = (s + edwards.L).to_bytes(32, "little")
    flipped = bytes([SEAL.signature[0] ^ 1]) + SEAL.signature[1:]
    identity = edwards.encode(edwards.IDENTITY)
    nonce = edwards.encode(edwards.multiply(5, edwards.BASE)) + (5).to_bytes(32, "little")
    single = Inclusion(index=0, size=1, path=())
    yield "one bit flipped", replace(SEAL, signature=flipped), ""
    yield "all zeros", replace(SEAL, signature=bytes(64)), ""
    yield "another signer", replace(SEAL, signer=pair("another").public), ""
    yield "S + L in place of S", replace(SEAL, signature=SEAL.signature[:32] + too_large), ""
    yield (
        "the identity as a key",
        Seal(signer=identity, signature=nonce),
        "S*B = R + k*A holds for every message; a library that lets keys of low order through accepts it",
    )
    yield "a key that is no point", replace(SEAL, signer=b"\x02" + bytes(31)), ""
    yield "taken for a batch of one leaf", replace(SEAL, inclusion=single), ""


def _invalid() -> Iterator[Case]:
    failed = {"reason": "bad-signature", "where": "seal"}
    data = encode(SEAL)
    for kind, role, named, name in (
        (SealKind.VOTE, Role.ISSUER, THING, "another kind"),
        (SealKind.BATCH, Role.ISSUER, THING, "a document taken for a batch"),
        (SealKind.DOCUMENT, Role.ANCHOR, THING, "another role"),
        (SealKind.VOTE, Role.ANCHOR, THING, "an issuer's document taken for an anchor's vote"),
        (SealKind.DOCUMENT, Role.ISSUER, digest(b"another thing"), "another digest"),
    ):
        yield Case(name=name, data=data, given=given_for(kind, role, named), expect=failed)
    for name, seal, note in _forged():
        yield Case(name=name, data=encode(seal), expect=failed, note=note)
    fields: dict[str, tuple[str, object]] = {
        "a signature of 63 bytes": ("signature", bytes(63)),
        "a signature of 65 bytes": ("signature", bytes(65)),
        "a signature that is text": ("signature", "a" * 64),
        "a key of 31 bytes": ("signer", bytes(31)),
    }
    for name, (field, value) in fields.items():
        expect = {"reason": "bad-field", "where": f"seal.{field}"}
        yield Case(name=name, data=with_fields(SEAL, {field: value}), expect=expect)
    yield from spoiled(SEAL, LIMIT, where="seal", optional="inclusion")


KIND = Kind(
    name="seal",
    about="bytes: a Seal. given: the kind, the role and the digest that it must cover, which are signed as "
    '"sojourn/v1|" kind "|" role "|" digest.',
    check=_check,
    files={"valid": _valid, "invalid": _invalid},
    given=GIVEN,
)
