"""Seals say what they sign, as whom, and one by one or in batches (protocol §1)."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sojourn.core.base.digests import digest
from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.keys import KeyPair, key_text
from sojourn.core.base.merkle import Inclusion
from sojourn.core.base.seals import Kind, Role, Seal, batch, check_seal, is_sealed, statement

PAIR, OTHER = KeyPair(bytes(32)), KeyPair(bytes([1]) * 32)
THING = digest(b"thing")
DIGESTS = [digest(b"thing %d" % i) for i in range(9)]


def _seal(kind: Kind, role: Role, named: bytes) -> Seal:
    return Seal(signer=PAIR.public, signature=PAIR.sign(statement(kind, role, named)))


def _batch(size: int, kind: Kind = Kind.VOTE, role: Role = Role.ANCHOR) -> list[Seal]:
    """Return the seals of the first `size` digests under one signature."""
    to_sign, proofs = batch([statement(kind, role, named) for named in DIGESTS[:size]], role)
    signature = PAIR.sign(to_sign)
    return [Seal(signer=PAIR.public, signature=signature, inclusion=proof) for proof in proofs]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("role", Role)
def test_trap_11_a_seal_holds_for_its_own_kind_and_role_alone(kind: Kind, role: Role) -> None:
    seal = _seal(kind, role, THING)
    holding = [pair for pair in product(Kind, Role) if is_sealed(*pair, THING, seal)]
    assert [(kind, role)] == holding


def test_trap_11_statements_of_different_kinds_and_roles_never_meet() -> None:
    """No statement is a prefix of another's head, so no digest can be chosen to make two of them equal."""
    heads = [statement(kind, role, b"") for kind, role in product(Kind, Role)]
    assert not [(a, b) for a, b in product(heads, heads) if a is not b and b.startswith(a)]
    assert b"sojourn/v1|vote|anchor|" == statement(Kind.VOTE, Role.ANCHOR, b"")
    assert not any("|" in name for name in [*Kind, *Role])


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_a_seal_holds_for_its_own_digest_and_signer_alone(other: bytes) -> None:
    seal = _seal(Kind.DOCUMENT, Role.ISSUER, THING)
    assert is_sealed(Kind.DOCUMENT, Role.ISSUER, THING, seal)
    assert not is_sealed(Kind.DOCUMENT, Role.ISSUER, other, seal)
    assert not is_sealed(Kind.DOCUMENT, Role.ISSUER, THING, replace(seal, signer=OTHER.public))


def test_check_seal_says_whose_signature_fails_and_where() -> None:
    seal = _seal(Kind.DOCUMENT, Role.ISSUER, THING)
    check_seal(Kind.DOCUMENT, Role.ISSUER, THING, seal, where="document.seal")
    with pytest.raises(Rejected) as caught:
        check_seal(Kind.DOCUMENT, Role.PERSON, THING, seal, where="document.seal")
    assert ("bad-signature", "document.seal") == (caught.value.reason, caught.value.where)
    assert key_text(PAIR.public) in caught.value.problem
    assert "as person" in caught.value.problem


@pytest.mark.parametrize("size", range(1, 10))
def test_a_batch_seals_each_of_its_statements_and_nothing_else(size: int) -> None:
    seals = _batch(size)
    for i, seal in enumerate(seals):
        holding = [j for j in range(9) if is_sealed(Kind.VOTE, Role.ANCHOR, DIGESTS[j], seal)]
        assert [i] == holding
        assert seal == decode(encode(seal), Seal, what="seal", limit=4096)


def test_a_batch_of_one_is_the_statement_itself() -> None:
    only = statement(Kind.VOTE, Role.ANCHOR, THING)
    assert (only, [None]) == batch([only], Role.ANCHOR)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("role", Role)
def test_trap_11_a_batched_seal_holds_for_its_own_kind_and_role_alone(
    kind: Kind, role: Role
) -> None:
    seal = _batch(3, kind, role)[1]
    holding = [pair for pair in product(Kind, Role) if is_sealed(*pair, DIGESTS[1], seal)]
    assert [(kind, role)] == holding


def test_a_batch_in_one_role_does_not_serve_statements_of_another() -> None:
    """An issuer's batch may hold what looks like an anchor's vote; it seals none."""
    to_sign, proofs = batch(
        [statement(Kind.VOTE, Role.ANCHOR, named) for named in DIGESTS], Role.ISSUER
    )
    seal = Seal(signer=PAIR.public, signature=PAIR.sign(to_sign), inclusion=proofs[0])
    assert not any(is_sealed(Kind.VOTE, role, DIGESTS[0], seal) for role in Role)


def test_the_signature_on_a_batch_is_no_signature_on_a_leaf() -> None:
    for seal, named in zip(_batch(4), DIGESTS, strict=False):
        bare = replace(seal, inclusion=None)
        alone = replace(seal, inclusion=Inclusion(index=0, size=1, path=()))
        assert not any(is_sealed(kind, role, named, bare) for kind, role in product(Kind, Role))
        assert not any(is_sealed(kind, role, named, alone) for kind, role in product(Kind, Role))


def test_the_signature_on_a_statement_seals_nothing_as_a_batch() -> None:
    seal = _seal(Kind.VOTE, Role.ANCHOR, THING)
    proofs = [_batch(size)[0].inclusion for size in range(2, 6)]
    for proof in [Inclusion(index=0, size=1, path=()), *proofs]:
        assert not is_sealed(Kind.VOTE, Role.ANCHOR, THING, replace(seal, inclusion=proof))


def test_a_batch_root_is_no_digest_that_another_kind_could_carry() -> None:
    """A root signed as a batch does not hold as the digest of a manifest, a vote or a document."""
    statements = [statement(Kind.VOTE, Role.ANCHOR, named) for named in DIGESTS[:2]]
    to_sign, _ = batch(statements, Role.ANCHOR)
    root = to_sign.removeprefix(statement(Kind.BATCH, Role.ANCHOR, b""))
    seal = Seal(signer=PAIR.public, signature=PAIR.sign(to_sign))
    assert 32 == len(root)
    assert [Kind.BATCH] == [kind for kind in Kind if is_sealed(kind, Role.ANCHOR, root, seal)]


@pytest.mark.parametrize("size", [2, 5, 8])
def test_a_tampered_inclusion_seals_nothing(size: int) -> None:
    for i, seal in enumerate(_batch(size)):
        proof = seal.inclusion
        assert proof is not None
        tampered = [
            replace(proof, path=proof.path[:-1]),
            replace(proof, path=(*proof.path, THING)),
            replace(proof, path=(THING, *proof.path[1:])),
            replace(proof, index=(proof.index + 1) % size),
            replace(proof, index=size),
            replace(proof, size=0),
        ]
        for changed in tampered:
            held = is_sealed(Kind.VOTE, Role.ANCHOR, DIGESTS[i], replace(seal, inclusion=changed))
            assert held is False, changed


@given(st.integers(0, 511))
@settings(max_examples=40)
def test_a_flipped_bit_of_a_batched_signature_seals_nothing(bit: int) -> None:
    seal = _batch(3)[2]
    signature = bytearray(seal.signature)
    signature[bit // 8] ^= 1 << bit % 8
    assert not is_sealed(
        Kind.VOTE, Role.ANCHOR, DIGESTS[2], replace(seal, signature=bytes(signature))
    )
