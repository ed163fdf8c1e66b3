"""Merkle trees against RFC 9162's definitions, written down once more and naively."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.base.encoding import decode, encode
from sojourn.core.base.errors import Rejected
from sojourn.core.base.merkle import (
    Inclusion,
    append,
    frontier_root,
    inclusions,
    leaf_hash,
    root_from,
    tree_root,
)

SIZES = range(71)
DATA = [b"leaf %d" % i for i in range(128)]
LEAVES = [leaf_hash(data) for data in DATA]


def _mth(entries: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1, MTH(D_n), over the data itself."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = _split(len(entries))
    return hashlib.sha256(b"\x01" + _mth(entries[:k]) + _mth(entries[k:])).digest()


def _path(m: int, entries: list[bytes]) -> list[bytes]:
    """RFC 9162 §2.1.3.1, PATH(m, D_n)."""
    if len(entries) == 1:
        return []
    k = _split(len(entries))
    if m < k:
        return [*_path(m, entries[:k]), _mth(entries[k:])]
    return [*_path(m - k, entries[k:]), _mth(entries[:k])]


def _split(n: int) -> int:
    """Return the k of RFC 9162: the power of two with k < n <= 2k."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


@pytest.mark.parametrize("size", SIZES)
def test_roots_and_paths_are_the_rfcs(size: int) -> None:
    root, proofs = inclusions(LEAVES[:size])
    assert _mth(DATA[:size]) == root == tree_root(LEAVES[:size])
    assert [
        Inclusion(index=m, size=size, path=tuple(_path(m, DATA[:size]))) for m in range(size)
    ] == proofs
    assert all(root == root_from(LEAVES[m], proofs[m]) for m in range(size))


@pytest.mark.parametrize("size", SIZES)
def test_a_frontier_grown_leaf_by_leaf_stands_for_the_tree(size: int) -> None:
    frontier: tuple[bytes, ...] = ()
    for count, leaf in enumerate(LEAVES[:size]):
        frontier = append(frontier, count, leaf)
    assert tree_root(LEAVES[:size]) == frontier_root(frontier)
    assert size.bit_count() == len(frontier)


@pytest.mark.parametrize("size", [5, 8, 21])
def test_a_frontier_is_the_roots_of_the_perfect_trees_largest_first(size: int) -> None:
    frontier: tuple[bytes, ...] = ()
    for count, leaf in enumerate(LEAVES[:size]):
        frontier = append(frontier, count, leaf)
    expected, start = [], 0
    for bit in range(size.bit_length() - 1, -1, -1):
        if size >> bit & 1:
            expected.append(_mth(DATA[start : start + (1 << bit)]))
            start += 1 << bit
    assert tuple(expected) == frontier


@given(st.integers(0, 127), st.integers(0, 127))
def test_appending_depends_on_nothing_but_the_frontier_and_the_size(first: int, more: int) -> None:
    """What was accumulated stays: a tree of `first` leaves continues to the same root from its frontier."""
    first, total = sorted((first, more))
    whole: tuple[bytes, ...] = ()
    for count, leaf in enumerate(LEAVES[:total]):
        if count == first:
            resumed = tuple(bytes(peak) for peak in whole)
        whole = append(whole, count, leaf)
    if first < total:
        for count, leaf in enumerate(LEAVES[first:total], start=first):
            resumed = append(resumed, count, leaf)
        assert whole == resumed


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 16, 33, 70])
def test_a_proof_with_another_leaf_or_path_leads_to_another_root(size: int) -> None:
    root, proofs = inclusions(LEAVES[:size])
    for m, proof in enumerate(proofs):
        assert root != root_from(LEAVES[m + 1], proof)
        tampered = [
            (*proof.path[:i], leaf_hash(proof.path[i]), *proof.path[i + 1 :])
            for i in range(len(proof.path))
        ]
        longer = [(*proof.path, root), (root, *proof.path), (*proof.path, *proof.path, root)]
        shorter = [proof.path[:-1], proof.path[1:]] if proof.path else []
        for path in [*tampered, *longer, *shorter, proof.path[::-1]]:
            changed = Inclusion(index=m, size=size, path=path)
            assert root != root_from(LEAVES[m], changed) or path == proof.path


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7, 8, 13])
def test_a_path_that_ends_too_soon_leads_nowhere(size: int) -> None:
    """It would lead to an inner node, which is no root."""
    for m, proof in enumerate(inclusions(LEAVES[:size])[1]):
        early = Inclusion(index=m, size=size, path=proof.path[:-1])
        assert root_from(LEAVES[m], early) is None


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_a_proof_at_another_index_proves_that_leaf_or_nothing(size: int) -> None:
    """A root does not commit to its tree's size: some (index, size) walk the same path. The leaf they prove
    is the same, which is all that a seal needs; nobody may take an index from a proof for a fact.
    """
    root, proofs = inclusions(LEAVES[:size])
    for m, proof in enumerate(proofs):
        for index in range(20):
            for claimed in range(20):
                moved = Inclusion(index=index, size=claimed, path=proof.path)
                others = [i for i in range(size) if i != m]
                assert not any(root == root_from(LEAVES[i], moved) for i in others)
        elsewhere = Inclusion(index=(m + 1) % size, size=size, path=proof.path)
        assert size == 1 or root != root_from(LEAVES[m], elsewhere)


def test_an_index_beyond_the_size_is_no_proof() -> None:
    assert root_from(LEAVES[0], Inclusion(index=0, size=0, path=())) is None
    assert root_from(LEAVES[0], Inclusion(index=1, size=1, path=())) is None
    assert root_from(LEAVES[0], Inclusion(index=2**63 - 1, size=5, path=())) is None


def test_the_largest_proof_costs_no_more_than_its_path() -> None:
    path = tuple(LEAVES[:64])
    last = 2**63 - 1
    assert root_from(LEAVES[0], Inclusion(index=last - 1, size=last, path=path)) is None
    assert root_from(LEAVES[0], Inclusion(index=0, size=last, path=path[:63])) is not None


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 64))
def test_arbitrary_proofs_lead_to_a_root_or_to_none(index: int, size: int, length: int) -> None:
    root = root_from(LEAVES[0], Inclusion(index=index, size=size, path=tuple(LEAVES[:length])))
    assert root is None or 32 == len(root)


def test_neither_leaf_nor_inner_hash_passes_for_the_other() -> None:
    left, right = LEAVES[:2]
    root = tree_root([left, right])
    assert leaf_hash(left + right) != root
    assert leaf_hash(b"\x01" + left + right) != root
    assert tree_root([]) != leaf_hash(b"")


def test_clause_1_9_a_proof_has_a_path_of_64_steps_at_most() -> None:
    longest, longer = (
        Inclusion(index=0, size=2**63 - 1, path=tuple(LEAVES[:steps])) for steps in (64, 65)
    )
    assert longest == decode(encode(longest), Inclusion, what="proof", limit=4096)
    with pytest.raises(Rejected) as caught:
        decode(encode(longer), Inclusion, what="proof", limit=4096)
    assert "bad-field" == caught.value.reason
