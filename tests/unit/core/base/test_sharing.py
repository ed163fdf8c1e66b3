"""Shares: those of RFC 9591, and what holds of all."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.errors import Rejected
from sojourn.core.base.sharing import (
    check_commitments,
    commit,
    deal,
    is_share,
    recover,
    scalar,
)

# RFC 9591, appendix E.1: FROST(Ed25519, SHA-512), two of three.
SECRET = bytes.fromhex("7b1c33d3f5291d85de664833beb1ad469f7fb6025a0ec78b3a790c6e13a98304")
PUBLIC = bytes.fromhex("15d21ccd7ee42959562fc8aa63224c8851fb3ec85a3faf66040d380fb9738673")
SLOPE = bytes.fromhex("178199860edd8c62f5212ee91eff1295d0d670ab4ed4506866bae57e7030b204")
SHARES = [
    bytes.fromhex("929dcc590407aae7d388761cddb0c0db6f5627aea8e217f4a033f2ec83d93509"),
    bytes.fromhex("a91e66e012e4364ac9aaa405fcafd370402d9859f7b6685c07eed76bf409e80d"),
    bytes.fromhex("d3cb090a075eb154e82fdb4b3cb507f110040905468bb9c46da8bdea643a9a02"),
]
ORDER = 2**252 + 27742317777372353535851937790883648493

coefficients = st.lists(st.binary(min_size=64, max_size=64).map(scalar), min_size=1, max_size=5)


def test_the_published_shares_are_dealt_and_verify_and_give_the_secret() -> None:
    assert SHARES == deal([SECRET, SLOPE], 3)
    commitments = commit([SECRET, SLOPE])
    assert commitments[0] == PUBLIC
    check_commitments(commitments, 2, where="key")
    for holder, share in enumerate(SHARES, 1):
        assert is_share(share, holder, commitments)
    for pair in combinations(range(1, 4), 2):
        assert SECRET == recover({i: SHARES[i - 1] for i in pair}, commitments)


@given(drawn=coefficients, more=st.integers(0, 4), data=st.data())
def test_any_as_many_shares_give_the_secret(
    drawn: list[bytes], more: int, data: st.DataObject
) -> None:
    holders = len(drawn) + more
    shares, commitments = deal(drawn, holders), commit(drawn)
    chosen = data.draw(
        st.sets(st.integers(1, holders), min_size=len(drawn), max_size=holders), label="chosen"
    )
    assert drawn[0] == recover({i: shares[i - 1] for i in chosen}, commitments)


@given(drawn=coefficients, at=st.integers(0, 255), holder=st.integers(1, 5))
def test_a_share_that_is_another_by_one_bit_or_another_holders_does_not_verify(
    drawn: list[bytes], at: int, holder: int
) -> None:
    share, commitments = deal(drawn, 5)[holder - 1], commit(drawn)
    assert is_share(share, holder, commitments)
    flipped = (int.from_bytes(share, "little") ^ (1 << at)).to_bytes(32, "little")
    assert not is_share(flipped, holder, commitments)
    if len(drawn) > 1:
        assert not is_share(share, holder + 1, commitments)


def test_a_share_is_reduced_and_not_zero_and_has_its_length() -> None:
    commitments = commit([SECRET, SLOPE])
    unreduced = int.from_bytes(SHARES[0], "little") + ORDER
    for wrong in (unreduced.to_bytes(32, "little"), bytes(32), SHARES[0][:-1], b""):
        assert not is_share(wrong, 1, commitments)


def test_commitments_are_as_many_as_shares_are_needed_and_points() -> None:
    commitments = commit([SECRET, SLOPE])
    with pytest.raises(Rejected) as found:
        check_commitments(commitments, 3, where="key")
    assert "bad-threshold" == found.value.reason
    neutral, low_order = b"\x01" + bytes(31), bytes(32)
    for wrong in (neutral, low_order, b"\xff" * 32):
        with pytest.raises(Rejected) as found:
            check_commitments((wrong, commitments[1]), 2, where="key")
        assert "bad-point" == found.value.reason


def test_crafted_commitments_verify_for_nobody_where_they_sum_to_nothing() -> None:
    opposite = commit([(ORDER - 1).to_bytes(32, "little")])[0]  # minus the base point
    base = commit([(1).to_bytes(32, "little")])[0]
    assert not is_share(SHARES[0], 1, (opposite, base))


def test_one_share_alone_says_nothing() -> None:
    """Whatever the secret is, some polynomial gives holder 1 this very share."""
    share = int.from_bytes(SHARES[0], "little")
    for secret in (1, 2, 12345, ORDER - 1):
        slope = (share - secret) % ORDER
        drawn = [secret.to_bytes(32, "little"), slope.to_bytes(32, "little")]
        assert SHARES[0] == deal(drawn, 1 + 1)[0]
