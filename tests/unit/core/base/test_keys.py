"""One verdict on every crafted signature (protocol §1; trap 14: no signature may split a quorum)."""

from itertools import product

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.core.base.keys import KeyPair, is_acceptable_key, key_text, verify
from tests.unit.core.base import edwards
from tests.unit.core.base.crafted_signatures import CLAUSES, cases
from tests.unit.core.base.edwards import BASE, IDENTITY, TORSION

SEEDS = st.binary(min_size=32, max_size=32)


def _verify_by_the_other_library(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def test_trap_14_verify_follows_the_one_rule_on_every_crafted_signature() -> None:
    wrong = [
        (case.name, case.broken)
        for case in cases()
        if verify(case.key, case.signature, case.message) is bool(case.broken)
    ]
    assert wrong == []


def test_crafted_signatures_are_distinct_and_break_every_clause_alone_where_one_can() -> None:
    assert len(cases()) == len({case[1:4] for case in cases()})
    assert len(cases()) == len({case.name for case in cases()})
    assert len(cases()) >= 900
    alone = {case.broken[0] for case in cases() if len(case.broken) == 1}
    # Whoever can sign for an alias has a point of low order, and what is no point fits no equation.
    assert alone == {"s-range", "key-order", "r-order", "equation"}
    assert {clause for case in cases() for clause in case.broken} == set(CLAUSES)


def test_trap_14_the_other_library_decides_otherwise_hence_one_code_path() -> None:
    """`cryptography` lets points of low order through: on 155 of these cases, when this was written."""
    split = [
        case
        for case in cases()
        if verify(case.key, case.signature, case.message)
        is not _verify_by_the_other_library(case.key, case.signature, case.message)
    ]
    assert len(split) > 0
    assert all({"key-order", "r-order"} & set(case.broken) for case in split)


def test_the_identity_as_a_key_signs_nothing() -> None:
    """With A the identity, S*B = R + k*A holds for R = r*B and S = r, whatever the message."""
    r = 12345
    forged = edwards.encode(edwards.multiply(r, BASE)) + r.to_bytes(32, "little")
    identity = edwards.encode(IDENTITY)
    assert _verify_by_the_other_library(identity, forged, b"pay me") is True
    assert verify(identity, forged, b"pay me") is False
    assert is_acceptable_key(identity) is False


def test_a_key_of_mixed_order_can_verify_but_enters_no_manifest() -> None:
    """Its holder can make signatures that hold, and others that hold with a cofactor only."""
    mixed = [case for case in cases() if "key-mixed" in case.name and not case.broken]
    assert len(mixed) > 0
    assert all(verify(case.key, case.signature, case.message) for case in mixed)
    assert not any(is_acceptable_key(case.key) for case in mixed)


def test_acceptable_keys_are_canonical_points_of_the_prime_order_group() -> None:
    """PyNaCl before 1.6.2 let in points with a part of order 2 (CVE-2025-69277)."""
    prime = edwards.multiply(7, BASE)
    encodings = [
        data for torsion in TORSION for data in edwards.encodings(edwards.add(prime, torsion))
    ]
    low = [data for torsion in TORSION for data in edwards.encodings(torsion)]
    aliases = [
        (y | sign).to_bytes(32, "little")
        for y, sign in product(range(edwards.P, 2**255), (0, edwards.SIGN_BIT))
    ]
    assert is_acceptable_key(edwards.encode(prime))
    assert [edwards.encode(prime)] == [data for data in encodings if is_acceptable_key(data)]
    assert not any(map(is_acceptable_key, [*low, *aliases]))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_and_signatures_of_another_length_are_refused(size: int) -> None:
    """The library reads 32 bytes of key wherever they end, so the length is ours to check."""
    pair = KeyPair(bytes(32))
    signature, key = pair.sign(b""), (pair.public * 2)[:size]
    assert verify(pair.public, signature, b"")
    assert not verify(key, signature, b"")
    assert not is_acceptable_key(key)
    assert not verify(pair.public, signature + b"\0", b"")
    assert not verify(pair.public, signature[:-1], b"")
    assert not verify(pair.public, b"", b"")


def test_no_byte_moves_between_a_signature_and_its_message() -> None:
    """The library takes the two as one string, so where one ends is ours to check."""
    pair = KeyPair(bytes(32))
    whole = pair.sign(b"message") + b"message"
    ends = [end for end in range(len(whole)) if verify(pair.public, whole[:end], whole[end:])]
    assert [64] == ends


@given(seed=SEEDS, message=st.binary(max_size=300))
@settings(max_examples=50)
def test_what_a_pair_signs_verifies_here_and_elsewhere_and_nothing_near_it(
    seed: bytes, message: bytes
) -> None:
    pair = KeyPair(seed)
    signature = pair.sign(message)
    assert verify(pair.public, signature, message)
    assert _verify_by_the_other_library(pair.public, signature, message)
    assert is_acceptable_key(pair.public)
    assert not verify(pair.public, signature, message + b"\0")


@given(seed=SEEDS, bit=st.integers(0, 511))
@settings(max_examples=100)
def test_a_flipped_bit_breaks_a_signature(seed: bytes, bit: int) -> None:
    pair = KeyPair(seed)
    signature = bytearray(pair.sign(b"message"))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(pair.public, bytes(signature), b"message")


def test_a_pair_shows_its_fingerprint_and_never_its_secret() -> None:
    pair = KeyPair(bytes(range(32)))
    assert f"KeyPair({key_text(pair.public)})" == repr(pair)
    assert pair.seed.hex() not in repr(pair)
    assert 16 == len(key_text(pair.public))


def test_clause_1_9_the_verdicts_remembered_are_bounded() -> None:
    """Strangers choose what is verified: what is kept of it must not grow with what they send."""
    assert 16_384 == verify.cache_info().maxsize
