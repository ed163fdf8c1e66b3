"""The judge is judged: our plain arithmetic against libsodium and against the curve's own laws."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.core.base.keys import KeyPair
from tests.unit.core.base import edwards
from tests.unit.core.base.crafted_signatures import cases, judge
from tests.unit.core.base.edwards import BASE, IDENTITY, TORSION, L, P

SCALARS = st.integers(0, L - 1)


def _secret_scalar(seed: bytes) -> int:
    """Return the scalar that RFC 8032 §5.1.5 derives from a seed."""
    low = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return low & (1 << 254) - 8 | 1 << 254


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=100))
@settings(max_examples=25)
def test_public_keys_and_signatures_are_libsodiums(seed: bytes, message: bytes) -> None:
    pair = KeyPair(seed)
    assert pair.public == edwards.encode(edwards.multiply(_secret_scalar(seed), BASE))
    assert judge(pair.public, pair.sign(message), message) == ()


@given(j=SCALARS, k=SCALARS, torsion=st.integers(0, 7))
@settings(max_examples=25)
def test_two_scalars_in_one_pass(j: int, k: int, torsion: int) -> None:
    other = edwards.add(edwards.multiply(5, BASE), TORSION[torsion])
    apart = edwards.add(edwards.multiply(j, BASE), edwards.multiply(k, other))
    assert edwards.same(apart, edwards.combine(j, BASE, k, other))


@given(k=SCALARS, torsion=st.integers(0, 7))
@settings(max_examples=25)
def test_points_come_back_from_their_encodings(k: int, torsion: int) -> None:
    point = edwards.add(edwards.multiply(k, BASE), TORSION[torsion])
    for data in edwards.encodings(point):
        decoded = edwards.decode(data)
        assert decoded is not None
        assert edwards.same(point, decoded)
        assert (data == edwards.encode(point)) is edwards.is_canonical(data)


def test_the_base_point_has_order_l_and_the_torsion_points_order_1_8_4_8_2_8_4_8() -> None:
    orders = [
        next(n for n in (1, 2, 4, 8) if edwards.same(edwards.multiply(n, point), IDENTITY))
        for point in TORSION
    ]
    assert [1, 8, 4, 8, 2, 8, 4, 8] == orders
    assert edwards.is_prime_order(BASE)
    assert not edwards.is_low_order(BASE)


def test_points_of_low_order_have_fourteen_encodings_and_only_19_values_of_y_have_aliases() -> None:
    assert 14 == sum(len(edwards.encodings(point)) for point in TORSION)
    assert [y for y in range(30) if y + P < 2**255] == list(range(19))


def test_what_fails_for_want_of_a_cofactor_holds_with_one() -> None:
    only = [case for case in cases() if case.name.endswith("/cofactored-only")]
    assert len(only) > 300
    for case in only[::7]:
        a, r = edwards.decode(case.key), edwards.decode(case.signature[:32])
        assert a is not None
        assert r is not None
        s = int.from_bytes(case.signature[32:], "little")
        k = edwards.challenge(case.signature[:32], case.key, case.message) % L
        assert (False, True) == (edwards.holds(a, r, s, k), edwards.holds_cofactored(a, r, s, k))


def test_half_of_all_numbers_are_the_y_of_no_point() -> None:
    on_curve = [y for y in range(200) if edwards.lift(y, 0) is not None]
    assert 80 < len(on_curve) < 120
    assert not edwards.is_canonical((2).to_bytes(32, "little"))
