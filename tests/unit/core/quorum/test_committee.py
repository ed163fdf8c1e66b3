"""The arithmetic of quorums (protocol §0; trap 10)."""

import pytest
from msgspec.structs import replace

from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.limits import ANCHORS_MAX
from sojourn.core.quorum.committee import Committee
from tests.unit.core.quorum.voters import ZONE, Voters, pair

KEYS = tuple(pair(f"anchor {i}").public for i in range(ANCHORS_MAX + 1))
COMMITTEES = [(n, f) for n in range(1, ANCHORS_MAX + 1) for f in range((n - 1) // 3 + 1)]


def _committee(n: int, f: int) -> Committee:
    return Committee(zone=ZONE, epoch=0, vote_keys=KEYS[:n], f=f)


@pytest.mark.parametrize(("n", "f"), COMMITTEES)
def test_trap_10_a_quorum_is_n_minus_f_and_two_of_them_share_a_correct_anchor(
    n: int, f: int
) -> None:
    committee = _committee(n, f)
    committee.check()
    assert (n, n - f) == (committee.n, committee.quorum)
    smallest_intersection = 2 * committee.quorum - n
    assert smallest_intersection >= f + 1 == committee.honest_witness
    assert n - f >= committee.quorum, "the correct anchors are a quorum by themselves"


def test_trap_10_the_formulae_that_look_like_it_are_unsafe() -> None:
    """Two sets of 2f+1 of 6, or of 2n//3 of 4, need not share an anchor at all."""
    for committee, naive in ((_committee(6, 1), 2 * 1 + 1), (_committee(4, 1), 2 * 4 // 3)):
        assert naive < committee.quorum
        assert 2 * naive - committee.n <= 0


@pytest.mark.parametrize(("n", "f"), [(0, 0), (3, 1), (6, 2), (30, 10), (ANCHORS_MAX + 1, 0)])
def test_too_few_or_too_many_anchors_are_rejected(n: int, f: int) -> None:
    with pytest.raises(Rejected) as caught:
        _committee(n, f).check()
    assert "bad-committee" == caught.value.reason


def test_trap_10_one_key_with_two_seats_is_rejected() -> None:
    committee = replace(_committee(4, 1), vote_keys=(*KEYS[:3], KEYS[0]))
    with pytest.raises(Rejected) as caught:
        committee.check()
    assert "bad-committee" == caught.value.reason


def test_a_committee_comes_back() -> None:
    committee = _committee(ANCHORS_MAX, 10)
    assert committee == decode(encode(committee), Committee, what="committee", limit=4096)


@pytest.mark.parametrize(
    ("field", "value"),
    [("zone", bytes(31)), ("vote_keys", KEYS), ("vote_keys", (bytes(33),)), ("f", -1)],
    ids=["zone", "more keys than any committee has", "a key", "f"],
)
def test_a_committee_with_a_field_out_of_bounds_is_rejected_when_read(
    field: str, value: object
) -> None:
    written = encode(replace(_committee(4, 1), **{field: value}))
    with pytest.raises(Rejected) as caught:
        decode(written, Committee, what="committee", limit=4096)
    assert "bad-field" == caught.value.reason
    assert caught.value.where.startswith(f"committee.{field}")


def test_a_committee_says_how_much_loss_it_stands() -> None:
    assert "4 anchors, any 1 may fail or lie, 3 decide" == Voters(4, 1).committee.describe()
